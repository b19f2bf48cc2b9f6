"""From a sentence that another room has said in English to its message and its values.

Contracts, notes and reasons are English: parties sign them, and tables keep them. The catalogue's
English texts are patterns here, so that the same sentence can be said in another language.
"""

from __future__ import annotations

import re
from functools import cache

from profiles.language.catalogue import PARAMETER, catalogue

__all__ = ["LISTS", "recognised"]

LISTS = {
    "measures": ("measure", ", "),
    "their": ("measure", " and "),
    "whys": ("why", ", "),
    "uses": ("brings", ", "),
    "traits": ("level", ", "),
    "useds": ("used", ", "),
    "whoses": ("whose", "; "),
    "bins": ("bin", " or "),
}
"""Form to (group of each part, what stands between the parts in English)."""


def recognised(text: str, group: str) -> tuple[str, dict[str, str]] | None:
    """The key in a group and the values by name; None where no message reads like this."""
    for key, pattern in _patterns(group):
        found = pattern.fullmatch(text)
        if found is not None:
            return f"{group}.{key}", found.groupdict()
    return None


@cache
def _patterns(group: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """The longest fixed text first, so that "very low" is not taken for "low"."""
    messages = catalogue("en")[group].items()
    fixed = [(len(PARAMETER.sub("", message.text)), key, message.text) for key, message in messages]
    fixed.sort(key=lambda entry: (-entry[0], entry[1]))
    return tuple((key, re.compile(_pattern(text), re.DOTALL)) for _, key, text in fixed)


def _pattern(text: str) -> str:
    pieces, start = [], 0
    for found in PARAMETER.finditer(text):
        least = "*" if found[2] else "+"  # a part that is itself a message may be absent
        pieces += [re.escape(text[start : found.start()]), f"(?P<{found[1]}>.{least}?)"]
        start = found.end()
    return "".join([*pieces, re.escape(text[start:])])
