"""A language as templates and sentences use it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from markupsafe import Markup, escape

from federated.text import plain
from profiles.language.catalogue import LANGUAGES, PARAMETER, Message, catalogue
from profiles.language.numbers import FORMS
from profiles.language.recognised import LISTS, recognised

__all__ = ["LANGUAGES", "Language", "language"]

_LIMIT = 600


class Language:
    """Says messages: `say` as plain text, a call as markup with every value made safe.

    Args:
        code: one of `LANGUAGES`.
        messages: group to key to message.
    """

    def __init__(self, code: str, messages: Mapping[str, Mapping[str, Message]]) -> None:
        self.code = code
        self._messages = messages

    @property
    def tag(self) -> str:
        """What HTML calls it."""
        return {"zh": "zh-Hans"}.get(self.code, self.code)

    def __call__(self, key: str, /, **values: object) -> Markup:
        """A message as markup: the catalogue's own tags stay, values are cleaned and escaped."""
        return Markup(self._filled(key, values, safe=True))  # noqa: S704 values are escaped

    def say(self, key: str, /, **values: object) -> str:
        """A message as plain text; raises `KeyError` for one that there is not, or a value."""
        return self._filled(key, values, safe=False)

    def form(self, name: str, value: object) -> str:
        """A value in one of the language's forms, or a text of a group, or as it is."""
        if name in FORMS:
            return FORMS[name](self.say, value)
        return self.told(str(value), name) if name else str(value)

    def told(self, text: str, group: str) -> str:
        """A sentence of another room in this language; as it is where no message reads like it."""
        text = text if group in LISTS else plain_edges(text)
        if self.code == "en" or not text:
            return text
        if group in LISTS:
            return self._parts(text, *LISTS[group])
        found = recognised(text, group)
        return text if found is None else self.say(found[0], **found[1])

    def _parts(self, text: str, group: str, between: str) -> str:
        """Each part by itself; a part may hold what stands between them."""
        parts, said = text.split(between), list[str]()
        while parts:
            tries = range(1, len(parts) + 1)
            known = (n for n in tries if recognised(between.join(parts[:n]), group))
            taken = next(known, 1)  # "histogram over 1, 2 of x" is one part
            said.append(self.told(between.join(parts[:taken]), group))
            del parts[:taken]
        return self.say("form.comma").join(said)

    def _filled(self, key: str, values: Mapping[str, object], *, safe: bool) -> str:
        group, _, name = key.partition(".")
        text = self._messages[group][name].chosen(values)
        pieces, start = [], 0
        for found in PARAMETER.finditer(text):
            value = self.form(found[2] or "", values[found[1]])
            pieces += [text[start : found.start()], _safe(value) if safe else value]
            start = found.end()
        return "".join([*pieces, text[start:]])


def plain_edges(text: str) -> str:
    """`plain`, but a text that begins with a space keeps it: it goes on with another."""
    return " " * text.startswith(" ") + plain(text, _LIMIT * 4)


def _safe(value: str) -> str:
    return str(escape(value if isinstance(value, Markup) else plain_edges(value)))


@cache
def language(code: str) -> Language:
    """One of `LANGUAGES`; raises `KeyError` for any other."""
    return Language(code, catalogue(code))
