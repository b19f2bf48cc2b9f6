"""The taxonomy: which types of flow there are, and by which rules a transaction is one of them.

It is data (`profiles/flows/types`), versioned, in the wheel. A bank lays a file of its own over it,
a branch another over that: a key of a type in a later layer replaces the earlier one's, `"text+"`
adds to it, `drop` takes types out, `base` names the layer below.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

from federated.toml_sections import load_toml, parse_toml
from profiles.flows.rules import Rule, rules_of
from psi.protocol.errors import InputError, JobError

__all__ = ["FlowType", "Taxonomy"]

_PARTS = ("consumer.toml", "company.toml", "government.toml")
_KINDS = ("C", "B", "G")
_WAYS = ("in", "out", "both")
_NEEDED = ("names", "way", "group", "match", "near")
_FLAGS = ("product", "leak", "series", "seen", "reversal", "inside")
_RULES = ("text", "not", "bare", "name", "named", "mcc", "code", "channel", "priority", "rule")
_KNOWN = (*_NEEDED, *_FLAGS, *_RULES, "iso", "known")
_CODE = re.compile(r"[CBG]\.[a-z][a-z0-9_]{1,39}")
_DEEPEST = 8


@dataclass(frozen=True, kw_only=True)
class FlowType:
    """One type: a stable code such as `C.salary`, names in English and Chinese, and what it is.

    `known` is "purpose", or "mechanism" where only the way of paying is known (cash). `product` is
    money that moves into or out of a product here, `leak` money that leaves for an account or a
    product elsewhere, `series` what comes or goes month after month, `inside` what moves between
    accounts here of one entity. `seen` says that real data have shown it.
    """

    code: str
    english: str
    chinese: str
    way: str
    group: str
    iso: str
    known: str
    product: bool
    leak: bool
    series: bool
    reversal: bool
    inside: bool
    seen: bool
    match: tuple[str, ...]
    near: tuple[str, ...]
    rules: tuple[Rule, ...]

    @property
    def kind(self) -> str:
        """C, B or G."""
        return self.code[0]

    @property
    def ways(self) -> tuple[str, ...]:
        """ "in", "out", or both."""
        return ("in", "out") if self.way == "both" else (self.way,)


class Taxonomy:
    """Types by code, and their rules in the order in which they are tried. Make one by `load`.

    Args:
        version: of the data.
        raw: code to what a layer says of the type.
    """

    def __init__(self, version: str, raw: Mapping[str, Mapping[str, Any]]) -> None:
        self.version = version
        self._raw = {code: dict(entry) for code, entry in raw.items()}
        made = [_made(code, entry) for code, entry in self._raw.items()]
        _distinct(made)
        self.types: dict[str, FlowType] = {one.code: one for one in made}
        order = [rule for one in made for rule in one.rules]
        ranked = sorted(range(len(order)), key=lambda i: (order[i].priority, i))
        self.rules: tuple[Rule, ...] = tuple(
            order[i].ranked(place) for place, i in enumerate(ranked, start=1)
        )

    @classmethod
    def load(cls, layers: Iterable[str | Path] = ()) -> Taxonomy:
        """The taxonomy of the wheel, under the layers of a bank and its branches.

        Args:
            layers: TOML files, the lowest first.

        Raises:
            JobError: a layer that is wrong, with file, key, found and allowed.

        >>> Taxonomy.load()["C.salary"].way
        'in'
        """
        raw: dict[str, dict[str, Any]] = {}
        version = ""
        for part in _PARTS:
            data = parse_toml(
                files("profiles.flows").joinpath("types", part).read_text("utf-8"), part
            )
            version = str(data.pop("version"))
            _lay(part, data, raw)
        groups = {kind: _groups(raw, kind) for kind in _KINDS}
        for layer in layers:
            for path, data in _chain(Path(layer)):
                version += f"/{_version(path, data)}"
                _lay(path.name, data, raw)
                _check_groups(path.name, data, groups)
        return cls(version, raw)

    def __len__(self) -> int:
        return len(self.types)

    def __iter__(self) -> Iterator[FlowType]:
        return iter(self.types.values())

    def __getitem__(self, code: str) -> FlowType:
        """The type of a code. Raises `JobError`."""
        if code not in self.types:
            close = get_close_matches(code, self.types, n=1)
            hint = f"did you mean {close[0]}?" if close else "fedprofile flows taxonomy lists them"
            raise JobError(f"no type {code!r}", hint=hint)
        return self.types[code]

    def check_codes(self, codes: Iterable[str], where: str) -> None:
        """Raise `InputError` naming the first of a table's codes that is no type here."""
        for code in sorted(set(codes) - {""}):
            try:
                self[code]
            except JobError as error:
                raise InputError(f"{where}: {error.message}", hint=error.hint) from None

    def codes(self, flag: str) -> list[str]:
        """The codes of the types that are `leak`, `product`, `series`, `reversal` or `inside`."""
        return [one.code for one in self if getattr(one, flag)]

    def differences(self, other: Taxonomy) -> list[str]:
        """What changes from this one to another: a line a type added, dropped or changed."""
        lines = [f"- {code}" for code in self._raw if code not in other._raw]
        for code, entry in other._raw.items():
            if code not in self._raw:
                lines.append(f"+ {code} {entry['names'][0]}")
                continue
            before = self._raw[code]
            for key in dict.fromkeys([*before, *entry]):
                if before.get(key) != entry.get(key):
                    lines.append(f"~ {code} {key}: {_change(before.get(key), entry.get(key))}")
        return lines


def _change(before: Any, after: Any) -> str:
    if isinstance(before, list) and isinstance(after, list):
        gone = [f"-{one!r}" for one in before if one not in after]
        come = [f"+{one!r}" for one in after if one not in before]
        return " ".join([*gone, *come]) or "another order"
    return f"{before!r} -> {after!r}"


def _chain(path: Path) -> list[tuple[Path, dict[str, Any]]]:
    """A layer and those that it stands on, the lowest first."""
    found: list[tuple[Path, dict[str, Any]]] = []
    seen: list[Path] = []
    while True:
        here = path.resolve()
        if here in seen or len(seen) >= _DEEPEST:
            names = " -> ".join(one.name for one in [*seen, here])
            raise JobError(f"{path.name} base: a circle found: {names}, layers in order allowed")
        seen.append(here)
        data = load_toml(path)
        base = data.pop("base", "")
        found.insert(0, (path, data))
        if not base:
            return found
        if not isinstance(base, str):
            raise JobError(f"{path.name} base: the path of another layer allowed")
        path = path.parent / base


def _version(path: Path, data: dict[str, Any]) -> str:
    version = data.pop("version", None)
    if not isinstance(version, str) or not re.fullmatch(r"[\w.-]{1,40}", version):
        raise JobError(
            f"{path.name} version: missing or wrong, letters, digits, _, . and - allowed",
            hint='the first line of a layer, above its tables: version = "2026-06"',
        )
    return version


def _lay(file: str, data: Mapping[str, Any], raw: dict[str, dict[str, Any]]) -> None:
    """One layer over those below."""
    dropped = data.get("drop", [])
    if not isinstance(dropped, list):
        raise JobError(f"{file} drop: a list of types needed", hint='drop = ["C.lottery"]')
    for code in dropped:
        if code not in raw:
            close = get_close_matches(str(code), raw, n=1)
            raise JobError(
                f"{file} drop: {code!r} found, a type of a layer below allowed",
                hint=f"did you mean {close[0]}?" if close else "",
            )
        del raw[code]
    folded = {code.casefold() for code in raw}
    for kind, entries in data.items():
        if kind == "drop":
            continue
        if kind not in _KINDS or not isinstance(entries, dict):
            raise JobError(
                f"{file} {kind}: found, [C.NAME], [B.NAME] or [G.NAME] allowed",
                hint="a type is a table such as [C.rent_paid], without quotes",
            )
        for name, entry in entries.items():
            code = f"{kind}.{name}"
            where = f"{file} [{code}]"
            if not _CODE.fullmatch(code):
                raise JobError(
                    f"{where}: lower case letters, digits and _ allowed",
                    hint="a type is a table such as [C.rent_paid], without quotes",
                )
            if not isinstance(entry, dict):
                raise JobError(f"{where}: a table is needed")
            new = code not in raw
            if new and code.casefold() in folded:
                raise JobError(f"{where}: this code is there twice")
            raw[code] = _over(where, {} if new else raw[code], entry)
            for key in _NEEDED if new else ():
                if key not in entry:
                    raise JobError(f"{where} {key}: missing, a new type needs it")


def _groups(raw: Mapping[str, Mapping[str, Any]], kind: str) -> list[str]:
    return sorted({str(entry["group"]) for code, entry in raw.items() if code[0] == kind})


def _check_groups(file: str, data: Mapping[str, Any], groups: Mapping[str, list[str]]) -> None:
    """A layer's purpose groups are the wheel's: views and the map know no others."""
    for kind in _KINDS:
        for name, entry in data.get(kind, {}).items():
            group = entry.get("group")
            if isinstance(group, str) and group not in groups[kind]:
                close = get_close_matches(group, groups[kind], n=1)
                raise JobError(
                    f"{file} [{kind}.{name}] group: {group!r} found,"
                    f" {', '.join(groups[kind])} allowed",
                    hint=f"did you mean {close[0]}?" if close else "",
                )


def _over(where: str, below: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(below)
    for key, value in entry.items():
        plain = key.removesuffix("+")
        if plain not in _KNOWN:
            close = get_close_matches(plain, _KNOWN, n=1)
            hint = f"did you mean {close[0]}?" if close else f"keys: {', '.join(_KNOWN)}"
            raise JobError(f"{where} {key}: unknown key", hint=hint)
        if key != plain and not isinstance(value, list):
            raise JobError(f"{where} {key}: a list is needed")
        found[plain] = [*found.get(plain, []), *value] if key != plain else value
    return found


def _made(code: str, entry: Mapping[str, Any]) -> FlowType:
    where = f"[{code}]"

    def strings(key: str, least: int) -> tuple[str, ...]:
        value = entry.get(key)
        good = isinstance(value, list) and all(isinstance(v, str) and v.strip() for v in value)
        if not good or len(value or []) < least:
            raise JobError(f"{where} {key}: at least {least} texts needed")
        return tuple(value or [])

    def one_of(key: str, default: str, allowed: tuple[str, ...]) -> str:
        value = entry.get(key, default)
        if value not in allowed:
            raise JobError(f"{where} {key}: {value!r} found, {' or '.join(allowed)} allowed")
        return str(value)

    for flag in _FLAGS:
        if not isinstance(entry.get(flag, False), bool):
            raise JobError(f"{where} {flag}: true or false allowed")
    group = entry.get("group")
    if not isinstance(group, str) or not group:
        raise JobError(f"{where} group: a text is needed")
    names = strings("names", 2)
    way = one_of("way", "", _WAYS)
    ways = ("in", "out") if way == "both" else (way,)
    return FlowType(
        code=code,
        english=names[0],
        chinese=names[1],
        way=way,
        group=group,
        iso=_iso(where, entry.get("iso", "")),
        known=one_of("known", "purpose", ("purpose", "mechanism")),
        match=strings("match", 3),
        near=strings("near", 2),
        rules=rules_of(where, code, ways, entry),
        **{flag: bool(entry.get(flag, False)) for flag in _FLAGS},
    )


def _iso(where: str, value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch("([A-Z]{4})?", value):
        raise JobError(f"{where} iso: {value!r} found, four capital letters allowed")
    return value


def _distinct(types: Iterable[FlowType]) -> None:
    """Two types of one kind and way under one name cannot be told apart by people."""
    seen: dict[tuple[str, str, str], str] = {}
    for one in types:
        for way in one.ways:
            for name in (one.english, one.chinese):
                other = seen.setdefault((one.kind, way, name.casefold()), one.code)
                if other != one.code:
                    raise JobError(f"[{one.code}] names: {name!r} is also the name of {other}")
