"""Names of branches and managers as those of files and folders; a folder's content as one hash.

A name may hold anything: a slash, dots alone, a direction mark, what another name is but for its
capitals. What cannot stand in a file's name on any system becomes a hyphen, and then, as where two
names would meet, eight digits of the name's own hash follow: the same name, the same folder, in
every run.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from federated.text import plain

__all__ = ["BRANCHES", "MANAGERS", "folder_names", "hash_of"]

BRANCHES, MANAGERS = "branches", "managers"
"""Folders of a job's outputs with something for each of them."""

_BYTES = 120  # of 255 that a file's name may have; a temporary one is longer
_OTHERS = re.compile(r"[^\w .()-]+")
_EDGES = " ._-"
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""What Windows takes for a device, whatever comes after a dot."""
_MARKED = re.compile(r"(.*-)?[0-9a-f]{8}")
"""Ends as if it were made here: else it could be chosen to be another one's folder."""


def folder_names(names: Iterable[str]) -> dict[str, str]:
    """Each name with one for a file or folder: visible, no path, unlike all others by any capitals.

    >>> folder_names(["Hill", "上海 支行", "../etc"])
    {'Hill': 'Hill', '上海 支行': '上海 支行', '../etc': 'etc-f7f9121f'}
    """
    safe = {name: _safe(name) for name in dict.fromkeys(names)}
    met = Counter(found.casefold() for found in safe.values())
    return {
        name: found
        if found == name and met[found.casefold()] == 1 and not _kept_apart(found)
        else f"{found}-{_digits(name)}".lstrip("-")
        for name, found in safe.items()
    }


def _kept_apart(found: str) -> bool:
    return bool(_DEVICES.fullmatch(found) or _MARKED.fullmatch(found))


def _safe(name: str) -> str:
    whole = _OTHERS.sub("-", plain(name)).strip(_EDGES)
    return whole.encode()[:_BYTES].decode("utf-8", "ignore").strip(_EDGES)


def _digits(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:8]


def hash_of(path: Path) -> str:
    """SHA-256 of a file, "" where there is none; of a folder, that of what `sha256sum` would say of
    all files in it, in the order of their paths."""
    if path.is_dir():
        inside = [(p.relative_to(path).as_posix(), p) for p in path.rglob("*") if p.is_file()]
        lines = (f"{hash_of(file)}  {name}\n" for name, file in sorted(inside))
        return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""
