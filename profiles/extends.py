"""`extends = "head-office.toml"`: a branch's job is its head office's, but for what it overrides.

Tables are put together key by key; parties, trainings, lists and offers by what they are called,
whether a file spells them [train] or [[train]]; other arrays are the branch's where it has any.
Some keys are final: whom lists leave out, the control group, and by which purpose people are in a
job. A branch may leave out more, never less.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from federated.toml_sections import load_toml
from psi.protocol import JobError

__all__ = ["FINAL", "KEY", "extended", "whole_text"]

KEY = "extends"
FINAL = (
    "job.purpose",
    "job.purpose_class",
    "job.entity",
    "campaign",
    "exclude",
    "target.leave_out",
    "target.channel",
    "final",
)
"""What no file below may change, whatever `final` says."""
_CALLED = {
    "party": "name",
    "train": "task",
    "target": "product",
    "offer": "name",
    "exclude": "reason",
    "segment": "name",
    "stage": "name",
}
"""What tells the entries of an array apart."""
_DEEPEST = 8

Origins = dict[str, str]


def extended(path: Path) -> tuple[dict[str, Any], Origins]:
    """The whole job of a file, and of each key in which file its value stands.

    Args:
        path: a job file; what it extends is looked for beside it.

    Raises:
        JobError: a file that is not there or not TOML, one that extends itself, an override of
            a final key.
    """
    return _read(path, ())


def _read(path: Path, below: tuple[Path, ...]) -> tuple[dict[str, Any], Origins]:
    data = load_toml(path)
    above = data.pop(KEY, None)
    if above is None:
        _final_keys(data, path)
        return data, dict.fromkeys(_leaves(data), path.name)
    if not isinstance(above, str) or not above:
        raise JobError(f"{path}: {KEY}: the path of a job file needed")
    chain = (*below, path.resolve())
    other = (path.parent / above).resolve()
    if other in chain or len(chain) > _DEEPEST:
        names = " -> ".join(file.name for file in (*chain, other))
        raise JobError(f"{path}: {KEY}: files extend each other: {names}")
    whole, origins = _read(other, chain)
    final = (*FINAL, *_final_keys(whole, other))
    _spell_alike(whole, data, origins)
    for key in _leaves(data):
        _check(key, final, whole, data, f"{path}", origins)
    merged = _merged(whole, data)
    mine = dict.fromkeys(_leaves(data), path.name)
    known = set(_leaves(merged))
    return merged, {key: file for key, file in {**origins, **mine}.items() if key in known}


def _spell_alike(whole: dict[str, Any], data: dict[str, Any], origins: Origins) -> None:
    """Where one file has [train] and the other [[train]], both have an array from here on.

    A table that does not say what it is called is the other file's only entry.
    """
    for section, called in _CALLED.items():
        found = whole.get(section), data.get(section)
        if sum(isinstance(one, dict) for one in found) != 1 or None in found:
            continue
        entries = next((one for one in found if isinstance(one, list)), [])
        single = next(one for one in found if isinstance(one, dict))
        if called not in single and len(entries) == 1 and called in entries[0]:
            single = {called: entries[0][called], **single}
        if isinstance(found[0], dict):
            before = _leaves({section: found[0]})
            whole[section] = [single]
            files = [origins.pop(key, "") for key in before]
            named = f"{section}[{_plain(_name(single, called, 0))}]"
            keys = [named + key.removeprefix(section) for key in before]
            origins.update(zip(keys, files, strict=True))
        else:
            data[section] = [single]


def _final_keys(data: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """What a file says is final: `[final] keys = ["align.minimum_overlap"]`."""
    said = data.get("final", {})
    keys = said.get("keys", []) if isinstance(said, dict) else None
    good = isinstance(keys, list) and all(isinstance(key, str) and key for key in keys)
    if not good or (isinstance(said, dict) and set(said) - {"keys"}):
        raise JobError(
            f'{path}: [final]: keys, a list of texts such as "align.minimum_overlap", needed'
        )
    return tuple(keys or ())


def _check(
    key: str,
    final: tuple[str, ...],
    whole: Mapping[str, Any],
    data: Mapping[str, Any],
    file: str,
    origins: Origins,
) -> None:
    """Raise `JobError` where a key of `data` changes what is final."""
    named = ".".join(part.partition("[")[0] for part in key.split("."))
    held = next((f for f in final if named == f or named.startswith(f + ".")), "")
    if not held:
        return
    entry = key.split(".", maxsplit=1)[0]
    if "[" in entry and not any(known.split(".")[0] == entry for known in origins):
        return  # a rule, a list of its own
    mine, theirs = _at(data, key), _at(whole, key)
    if mine == theirs:
        return
    same = (k for k in origins if k == key or k.split(".")[0] == entry)
    above = origins.get(next(same, next((k for k in origins if k.startswith(entry)), "")))
    raise JobError(
        f"{file}: {key}: found, and {above or 'what it extends'} has the last word on it",
        hint="a branch may leave more people out by [[exclude]] of its own; it changes no rule, "
        "purpose or control group",
    )


def _merged(whole: Any, mine: Any, name: str = "") -> Any:
    if isinstance(whole, dict) and isinstance(mine, dict):
        found = dict(whole)
        for key, value in mine.items():
            found[key] = _merged(whole[key], value, key) if key in whole else value
        return found
    called = _CALLED.get(name)
    if called and isinstance(whole, list) and isinstance(mine, list):
        entries = {_name(entry, called, place): entry for place, entry in enumerate(whole)}
        for place, entry in enumerate(mine):
            key = _name(entry, called, place)
            entries[key] = _merged(entries[key], entry) if key in entries else entry
        return list(entries.values())
    return mine


def _name(entry: Any, called: str, place: int) -> Any:
    found = entry.get(called, place) if isinstance(entry, dict) else place
    return found if isinstance(found, str | int) else place


def _leaves(data: Any, path: str = "", name: str = "") -> list[str]:
    """`job.purpose`, `party[bank].table`, …: every key with a value of its own."""
    if isinstance(data, dict) and data:
        dot = f"{path}." if path else ""
        return [leaf for key, value in data.items() for leaf in _leaves(value, dot + key, key)]
    if isinstance(data, list) and data and all(isinstance(entry, dict) for entry in data):
        called = _CALLED.get(name)
        if called:
            return [
                leaf
                for place, entry in enumerate(data)
                for leaf in _leaves(entry, f"{path}[{_plain(_name(entry, called, place))}]")
            ]
    return [path]


def _plain(name: Any) -> str:
    return str(name).replace(".", " ").replace("[", "(").replace("]", ")")


def _at(data: Any, key: str) -> Any:
    """The value at a leaf, None where there is none."""
    for part in key.split("."):
        name, _, entry = part.partition("[")
        data = data.get(name) if isinstance(data, dict) else None
        if entry and isinstance(data, list):
            called = _CALLED[name]
            rows = enumerate(data)
            found = (e for i, e in rows if _plain(_name(e, called, i)) == entry[:-1])
            data = next(found, None)
    return data


def whole_text(path: Path) -> bytes:
    """The job in one file: as it is, or put together where it extends another.

    Args:
        path: a job file.

    Raises:
        JobError: as `extended`.
    """
    text = path.read_bytes()
    if KEY not in load_toml(path):
        return text
    lines = [f"{_key(key)} = {_toml(value)}\n" for key, value in extended(path)[0].items()]
    return "".join(lines).encode("utf-8")


def _toml(value: Any) -> str:
    """A value as TOML writes it in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, int | float) else value.isoformat()


def _key(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)
