"""Reads the sections of a TOML file so that every mistake names file, key, found and allowed."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from psi.protocol import JobError

__all__ = ["TomlSection", "load_toml", "parse_toml", "slip_of"]


def load_toml(path: Path) -> dict[str, Any]:
    """The parsed file; raises `JobError` with file, line and column if it is not TOML."""
    try:
        return parse_toml(path.read_text("utf-8-sig"), str(path))
    except FileNotFoundError:
        raise JobError(f"{path}: no such file") from None
    except OSError as error:
        raise JobError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise JobError(f"{path}: not UTF-8", hint="TOML files are UTF-8") from None


def parse_toml(text: str, name: str) -> dict[str, Any]:
    """The parsed text of the file `name`; raises `JobError` with line and column as `load_toml`."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise JobError(f"{name}: not TOML: {error}", hint=slip_of(text, error)) from None


def slip_of(text: str, error: tomllib.TOMLDecodeError) -> str:
    """What people most often write where TOML cannot be read; "" where it is something else."""
    place = re.search(r"at line (\d+)", str(error))
    line = text.splitlines()[int(place[1]) - 1] if place else ""
    if re.search("twice|overwrite|immutable", str(error)):
        return "a section or a key stands twice: put them together"
    if "\\" in line:
        return "a backslash within \" begins an escape: write a path with /, or within '"
    if "for a key" in str(error) and not line.isascii():
        return "names beyond ASCII stand in quotes where they are keys"
    if strange := re.search(
        "[\u201c\u201d\u2018\u2019\uff02\uff1d\uff0c\uff3b\uff3d\u3010\u3011]", line
    ):
        return f"{strange[0]} is no mark of TOML: \" ' = , [ ] are"
    return ""


class TomlSection:
    """One table of a TOML file; each getter takes a key out, `done()` complains of the rest."""

    def __init__(self, file: str, name: str, data: Any, within: str = "") -> None:
        self.file, self.name, self.within = file, name, within
        if not isinstance(data, dict):
            raise JobError(f"{file}: {name}: a table is needed")
        self._data: dict[str, Any] = dict(data)
        self._given = frozenset(data)
        self._known: list[str] = []

    def fail(self, key: str, found: Any, allowed: str, hint: str = "") -> JobError:
        """The error for one key; of one that is not there, what it may be called there."""
        hint = self._meant(key) or hint
        shown = repr(found) if isinstance(found, str) else _kind(found)
        return JobError(
            f"{self.file}: {self.name} {key}: {shown} found, {allowed} allowed", hint=hint
        )

    def text(self, key: str, default: str | None = None, one_of: Iterable[str] = ()) -> str:
        """A string; one of `one_of`, if given. No default: the key must be there."""
        value = self._take(key, default, "a text")
        choices = list(one_of)
        if not isinstance(value, str) or (default is None and not value.strip()):
            raise self.fail(key, value, "a text")
        if not value.isprintable() or len(value) > 200:
            raise self.fail(key, "such a text", "at most 200 printable characters")
        if choices and value not in choices:
            raise self.fail(key, value, " or ".join(choices), _suggest(value, choices))
        return value

    def integer(self, key: str, default: int | None, low: int, high: int) -> int:
        """An integer from `low` to `high`."""
        value = self._take(key, default, f"an integer from {low} to {high}")
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.fail(key, value, f"an integer from {low} to {high}")
        if not low <= value <= high:
            raise JobError(
                f"{self.file}: {self.name} {key}: {value} found, {low} to {high} allowed"
            )
        return value

    def number(self, key: str, default: float | None, low: float, high: float) -> float:
        """A number from `low` to `high`."""
        value = self._take(key, default, f"a number from {low:g} to {high:g}")
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self.fail(key, value, f"a number from {low:g} to {high:g}")
        if not low <= value <= high:
            raise JobError(
                f"{self.file}: {self.name} {key}: {value} found, {low:g} to {high:g} allowed"
            )
        return float(value)

    def bound(self, key: str, low: float, high: float) -> float | None:
        """A number from `low` to `high`, None where the key is not there."""
        self._known.append(key)
        return self.number(key, None, low, high) if key in self._data else None

    def scalars(self, key: str) -> tuple[str | float | bool, ...]:
        """A text, a number, true or false, or a list of one kind; none without the key."""
        self._known.append(key)
        value = self._data.pop(key, [])
        found = value if isinstance(value, list) else [value]
        found = [float(v) if type(v) is int else v for v in found]
        kinds = {type(v) for v in found}
        if len(kinds) > 1 or not kinds <= {str, bool, float} or (value == [] and kinds):
            raise self.fail(key, value, "a text, a number, true or false, or a list of one kind")
        return tuple(found)

    def one_or_more(self, key: str) -> tuple[str, ...]:
        """A text, or a list of them."""
        if isinstance(self._data.get(key), list):
            return self.texts(key)
        return (self.text(key),)

    def listed(self, key: str) -> list[str]:
        """The texts of a list, which stays to be taken; none where it is no list."""
        found = self._data.get(key)
        return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []

    def has(self, key: str) -> bool:
        """Whether the key is there, and not taken yet. It is one of the section's, then."""
        self._known.append(key)
        return key in self._data

    def renames(self, key: str) -> dict[str, str]:
        """A table of text = text."""
        value = self._take(key, {}, "a table")
        if not isinstance(value, dict) or not all(isinstance(v, str) and v for v in value.values()):
            raise self.fail(key, value, "a table of text = text")
        return dict(value)

    def counts(self, key: str) -> dict[str, int]:
        """A table of text = whole number of 0 or more; empty without the key."""
        value = self._take(key, {}, "a table")
        good = isinstance(value, dict) and all(type(v) is int and v >= 0 for v in value.values())
        if not good:
            raise self.fail(key, value, "a table of text = whole number")
        return dict(value)

    def texts(self, key: str, default: list[str] | None = None) -> tuple[str, ...]:
        """A list of strings without repeats."""
        value = self._take(key, default, "a list of texts")
        if not isinstance(value, list) or not all(isinstance(v, str) and v for v in value):
            raise self.fail(key, value, "a list of texts")
        if len(set(value)) != len(value):
            raise self.fail(key, "a repeated entry", "each entry once")
        return tuple(value)

    def lists(
        self, key: str, default: list[list[str]] | None = None
    ) -> tuple[tuple[str, ...], ...]:
        """A list of lists of strings."""
        value = self._take(key, default, "a list of lists of texts")
        good = isinstance(value, list) and all(
            isinstance(v, list) and v and all(isinstance(w, str) and w for w in v) for v in value
        )
        if not good:
            hint = 'write [["identity_number"], ["phone", "name"]], even for one column'
            raise self.fail(key, value, "a list of lists of texts", hint)
        return tuple(tuple(entry) for entry in value)

    def flag(self, key: str, default: bool) -> bool:
        """true or false."""
        value = self._take(key, default, "true or false")
        if not isinstance(value, bool):
            raise self.fail(key, value, "true or false")
        return value

    def names(self, key: str, default: tuple[str, ...], one_of: Iterable[str]) -> tuple[str, ...]:
        """A list of texts, each one of `one_of`."""
        found, choices = self.texts(key, list(default)), list(one_of)
        for name in found:
            if name not in choices:
                raise self.fail(key, name, " or ".join(choices), _suggest(name, choices))
        return found

    def mapping(self, key: str, one_of: Iterable[str]) -> dict[str, str]:
        """A table of text = one of `one_of`."""
        value, choices = self._take(key, {}, "a table"), list(one_of)
        if not isinstance(value, dict):
            raise self.fail(key, value, "a table")
        for name, found in value.items():
            if found not in choices:
                raise self.fail(f"{key}.{name}", found, " or ".join(choices))
        return dict(value)

    def rest(self) -> list[str]:
        """The keys that nobody has asked for yet."""
        return list(self._data)

    def tables(self, key: str) -> list[TomlSection]:
        """The sections of an array of tables, `[[key]]`."""
        value = self._take(key, [], "an array of tables")
        if isinstance(value, dict):
            full = f"{self.within}{key}"
            raise JobError(f"{self.file}: [{full}]: write [[{full}]], there may be several")
        if not isinstance(value, list):
            raise self.fail(key, value, f"[[{key}]] tables")
        name = f"[[{self.within}{key}]]"
        return [TomlSection(self.file, f"{name} {i}", v) for i, v in enumerate(value, start=1)]

    def table(self, key: str) -> TomlSection | None:
        """The section `[key]`, or None if it is absent."""
        self._known.append(key)
        if key not in self._data:
            return None
        value = self._data.pop(key)
        if isinstance(value, list):
            full = f"{self.within}{key}"
            raise JobError(f"{self.file}: [[{full}]]: write [{full}], there is one at most")
        return TomlSection(self.file, f"[{self.within}{key}]", value)

    def one_or_several(self, key: str) -> list[TomlSection]:
        """The section `[key]`, or those of `[[key]]`; empty if there is none."""
        if isinstance(self._data.get(key), list):
            return self.tables(key)
        one = self.table(key)
        return [] if one is None else [one]

    def done(self) -> None:
        """Raise `JobError` if a key is left that nobody asked for."""
        for key in self._data:
            hint = (
                _suggest(key, self._known) or f"known keys: {', '.join(sorted(set(self._known)))}"
            )
            raise JobError(f"{self.file}: {self.name} {key}: unknown key", hint=hint)

    def _meant(self, key: str) -> str:
        """Which key that nobody has asked for yet may stand for one that is not there."""
        if key in self._given:
            return ""
        left = list(self._data)
        close = [name for name in left if sorted(name) == sorted(key)]
        close += difflib.get_close_matches(key, left, n=1)
        return f"there is {close[0]}: {key} is meant?" if close else ""

    def _take(self, key: str, default: Any, needed: str) -> Any:
        self._known.append(key)
        if key in self._data:
            return self._data.pop(key)
        if default is None:
            raise JobError(
                f"{self.file}: {self.name} {key}: missing, {needed} needed", hint=self._meant(key)
            )
        return default


def _kind(value: Any) -> str:
    names = {
        str: "a text",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "a table",
    }
    return names.get(type(value), type(value).__name__)


def _suggest(found: str, known: list[str]) -> str:
    close = difflib.get_close_matches(found, known, n=1)
    return f"did you mean {close[0]}?" if close else ""
