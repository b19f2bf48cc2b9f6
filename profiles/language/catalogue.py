"""A language's texts, as they are kept: group, key, and a text with its parameters."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

__all__ = ["LANGUAGES", "PARAMETER", "Message", "catalogue"]

LANGUAGES = ("en", "zh")
PARAMETER = re.compile(r"\{(\w+)(?::(\w+))?\}")
_FILES = ("page.toml", "told.toml", "screen.toml")


@dataclass(frozen=True)
class Message:
    """One message. `one` is its text where its parameter `n` is 1, if that is another text.

    Attributes:
        text: with `{name}` or `{name:form}` where a value stands.
    """

    text: str
    one: str = ""

    @property
    def parameters(self) -> frozenset[tuple[str, str]]:
        """(name, form) of each; a text for one need not have all."""
        return frozenset((m[1], m[2] or "") for m in PARAMETER.finditer(self.text))

    def chosen(self, values: Mapping[str, object]) -> str:
        """The text for these values."""
        return self.one if self.one and values.get("n") == 1 else self.text


@cache
def catalogue(code: str) -> Mapping[str, Mapping[str, Message]]:
    """Group to key to message, of one of `LANGUAGES`; raises `KeyError` for any other."""
    if code not in LANGUAGES:
        raise KeyError(code)
    found: dict[str, dict[str, Message]] = {}
    for name in _FILES:
        path = resources.files("profiles.language").joinpath(code, name)
        for group, entries in tomllib.loads(path.read_text("utf-8")).items():
            found[group] = {key: _message(entry) for key, entry in entries.items()}
    return found


def _message(entry: str | dict[str, str]) -> Message:
    return Message(entry) if isinstance(entry, str) else Message(entry["other"], entry["one"])
