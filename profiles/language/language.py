"""A language as templates and sentences use it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType

from markupsafe import Markup, escape

from federated.text import plain
from profiles.language.catalogue import LANGUAGES, PARAMETER, Message, catalogue
from profiles.language.numbers import AMONG, FORMS
from profiles.language.recognised import LISTS, recognised

__all__ = ["LANGUAGES", "Language", "language"]

_LIMIT = 600
_NAMING = frozenset(
    [
        "level",
        "traits",
        "column",
        "names",
        "measure",
        "measures",
        "score",
        "how",
        "columns",
        "every",
        "all_rows",
        "note",
    ]
)
"""Groups of texts with names in them that the job may call otherwise; the others are as signed."""


class Language:
    """Says messages: `say` as plain text, a call as markup with every value made safe.

    Args:
        code: one of `LANGUAGES`.
        messages: group to key to message.
        titles: what columns, tasks and parties are called, by name.
    """

    def __init__(
        self,
        code: str,
        messages: Mapping[str, Mapping[str, Message]],
        titles: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.code = code
        self._messages = messages
        self.titles = titles
        in_reasons = {name.replace("_", " "): said for name, said in titles.items()}
        self._titles = {**in_reasons, **titles}

    @property
    def as_made(self) -> bool:
        """Whether sentences that other rooms have said in English stay as they are."""
        return self.code == LANGUAGES[0] and not self._titles

    def named(self, name: str) -> str:
        """What the job calls a column, a task or a party; a name without a title as it is."""
        return self._titles.get(name, name)

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
        if self.as_made or not text or (self.code == LANGUAGES[0] and group not in _NAMING):
            return text
        if group in LISTS:
            return self._parts(text, *LISTS[group])
        found = recognised(text, group)
        return self.named(text) if found is None else self.say(found[0], **found[1])

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
        pieces, start, last = list[str](), 0, ""
        for found in PARAMETER.finditer(text):
            value = self.form(found[2] or "", self._called(values[found[1]], found[2] or ""))
            pieces += [_joined(last, text[start : found.start()], value)]
            pieces += [_safe(value) if safe else value]
            start, last = found.end(), value
        return "".join([*pieces, _joined(last, text[start:], "")])

    def _called(self, value: object, form: str) -> object:
        """A value by its title, where it stands as it is, or several of them."""
        if form == "list" and isinstance(value, Sequence):
            return [self.named(str(one)) for one in value]
        return self.named(value) if not form and isinstance(value, str) else value


def plain_edges(text: str) -> str:
    """`plain`, but a text that begins with a space keeps it: it goes on with another."""
    return " " * text.startswith(" ") + plain(text, _LIMIT * 4)


def _joined(before: str, text: str, after: str) -> str:
    """What stands between two values, without the blank between two Chinese characters."""
    whole = f"{before[-1:]}{text}{after[:1]}"
    return AMONG.sub("", whole)[len(before[-1:]) : -1 if after else None]


def _safe(value: str) -> str:
    return str(escape(value if isinstance(value, Markup) else plain_edges(value)))


def language(code: str, titles: Mapping[str, str] = MappingProxyType({})) -> Language:
    """One of the languages.

    Args:
        code: one of `LANGUAGES`; raises `KeyError` for any other.
        titles: what a job calls columns, tasks and parties.
    """
    return _language(code, tuple(titles.items()))


@cache
def _language(code: str, titles: tuple[tuple[str, str], ...]) -> Language:
    return Language(code, catalogue(code), dict(titles))
