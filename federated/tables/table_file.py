"""Changes `tables.toml` one section at a time: what an officer wrote by hand stays as it is.

A section is put in or cut out as text; the result is parsed again and must be the old tables but
for that one, or nothing is written. Names are checked against a pattern and everything else is
quoted, so that no name becomes TOML, a path or SQL.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from federated.store.files import write_atomic
from psi.protocol import InputError, MisuseError

__all__ = ["put_table", "remove_table", "table_name"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


def table_name(party: str, name: str) -> str:
    """`PARTY.NAME` for `NAME` or `PARTY.NAME`; raises `MisuseError` if it is no name."""
    own = name.removeprefix(f"{party}.")
    if not _NAME.fullmatch(own):
        raise MisuseError(
            f"table name {name[:64]!r} found, up to 40 letters, digits, - and _ allowed",
            hint=f"jobs will call it {party}.NAME",
        )
    return f"{party}.{own}"


def put_table(file: Path, name: str, entry: Mapping[str, Any], *, replace: bool = False) -> None:
    """Write the section `[name]`.

    Raises `MisuseError` if it is there already, unless `replace`, and `InputError` if the table
    that admits its rows is not bound.
    """
    text = file.read_text("utf-8") if file.exists() else ""
    admits = entry.get("basis", {}).get("table", name)
    if admits != name and _section(text, admits) is None:
        raise InputError(
            f"{name}: its rows are admitted by {admits}, which is not bound",
            hint=f"first: fedprofile node table add {admits.partition('.')[2]}",
        )
    if _section(text, name) is not None and not replace:
        raise MisuseError(f"{name} is bound already", hint="give --replace, or another name")
    kept = _cut(text, name).rstrip("\n")
    _write(file, text, name, f"{kept}\n\n{_toml(name, entry)}".lstrip("\n"), entry)


def remove_table(file: Path, name: str) -> None:
    """Cut the section `[name]` out; raises `InputError` if there is none."""
    text = file.read_text("utf-8") if file.exists() else ""
    if _section(text, name) is None:
        raise InputError(f"{file.name}: no table {name[:64]!r}")
    party, _, own = name.partition(".")
    for other, entry in _parsed(file, text).get(party, {}).items():
        if other != own and entry.get("basis", {}).get("table") == name:
            raise MisuseError(
                f"{name} says who of {party}.{other} may be in jobs",
                hint=f"remove {party}.{other} first, or bind it anew without this basis",
            )
    _write(file, text, name, _cut(text, name), None)


def _write(file: Path, old: str, name: str, new: str, entry: Mapping[str, Any] | None) -> None:
    expected = _parsed(file, old)
    party, _, table = name.partition(".")
    expected.setdefault(party, {}).pop(table, None)
    if entry is not None:
        expected[party][table] = dict(entry)
    try:
        same = _filled(tomllib.loads(new)) == _filled(expected)
    except tomllib.TOMLDecodeError:
        same = False
    if not same:
        raise MisuseError(
            f"{file.name} is written in a way that this command does not change",
            hint=f"edit the section [{name}] by hand",
        )
    write_atomic(file, new, private=True)


def _filled(data: dict[str, Any]) -> dict[str, Any]:
    return {party: tables for party, tables in data.items() if tables}


def _parsed(file: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise InputError(f"{file.name}: not valid toml", hint="fedprofile node doctor") from None


def _section(text: str, name: str) -> tuple[int, int] | None:
    """Where a section's lines begin and end in the text."""
    header = re.compile(rf"^[ \t]*\[[ \t]*{re.escape(name)}[ \t]*\][^\n]*$", re.MULTILINE)
    found = header.search(text)
    if found is None:
        return None
    following = re.compile(r"^[ \t]*\[", re.MULTILINE).search(text, found.end())
    return found.start(), following.start() if following else len(text)


def _cut(text: str, name: str) -> str:
    found = _section(text, name)
    return text if found is None else text[: found[0]] + text[found[1] :]


def _toml(name: str, entry: Mapping[str, Any]) -> str:
    return "\n".join([f"[{name}]", *(f"{key} = {_value(v)}" for key, v in entry.items()), ""])


def _value(value: str | Sequence[str] | Mapping[str, str]) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_quoted(k)} = {_quoted(v)}" for k, v in value.items()) + " }"
    if isinstance(value, str):
        return _quoted(value)
    return "[" + ", ".join(_quoted(one) for one in value) + "]"


def _quoted(text: str) -> str:
    """A TOML basic string; its escapes are JSON's, and DEL, which JSON leaves."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
