"""Where compiled kernels are kept between processes.

Numba's cache is code on disk, so it lives in a directory of the user's own: under
`$XDG_CACHE_HOME/fedprofile` (or `~/.cache/fedprofile`), mode 0700, named by a hash of all
kernel sources, versions and the CPU. A directory that others own or can write to is refused;
kernels then compile anew in each process and `fedprofile selftest` says why.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import stat
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core import caching

from psi.kernels.simd import kernel_path

__all__ = ["cache_directory", "cache_refusal", "kernel"]

_PACKAGES = Path(__file__).parents[2]
_OURS = ("psi", "federated", "profiles")


@cache
def _fingerprint() -> str:
    """A hash of every source that may hold a kernel, of the versions and of the CPU."""
    digest = hashlib.sha256()
    for path in sorted((_PACKAGES / "psi").rglob("*.py")):
        digest.update(path.relative_to(_PACKAGES).as_posix().encode() + path.read_bytes())
    cpu = llvmlite.binding.get_host_cpu_name() + llvmlite.binding.get_host_cpu_features().flatten()
    for text in (platform.python_version(), numba.__version__, llvmlite.__version__, cpu):
        digest.update(text.encode())
    digest.update(kernel_path().encode())
    return digest.hexdigest()[:24]


@cache
def _prepared() -> tuple[Path | None, str]:
    """The directory, or None and why there is none."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    home = Path(base) / "fedprofile"
    place = home / f"kernels-{_fingerprint()}"
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        place.mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        return None, f"{home}: {error.strerror}"
    for path in (home, place):
        found = path.lstat()
        if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode):
            return None, f"{path}: owned by another user, or no directory"
        if stat.S_IMODE(found.st_mode) & 0o022:
            return None, f"{path}: others can write to it (chmod 700)"
    _prune(home, place)
    return place, ""


def _prune(home: Path, keep: Path, most: int = 6) -> None:
    """Remove the oldest directories of other sources and versions, all but a few."""
    others = [p for p in home.glob("kernels-*") if p != keep]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in others[most:]:
        shutil.rmtree(path, ignore_errors=True)


def cache_directory() -> Path | None:
    """Where compiled kernels are kept; None if the place was refused."""
    return _prepared()[0]


def cache_refusal() -> str:
    """Why there is no cache; empty if there is one."""
    return _prepared()[1]


class _Locator(caching._CacheLocator):
    """Sends the compile cache of our own functions, and of no others, to our directory."""

    def __init__(self, function: Callable[..., Any], file: str) -> None:
        self._name = f"{Path(file).stem}-{function.__code__.co_firstlineno}"

    def get_cache_path(self) -> str:
        return str(cache_directory())

    def get_source_stamp(self) -> str:
        return _fingerprint()

    def get_disambiguator(self) -> str:
        return self._name

    @classmethod
    def from_function(cls, function: Callable[..., Any], file: str) -> _Locator | None:
        path = Path(file)
        ours = any(path.is_relative_to(_PACKAGES / name) for name in _OURS)
        return cls(function, file) if ours and cache_directory() else None


def _install() -> None:
    if _Locator not in caching.CacheImpl._locator_classes:
        caching.CacheImpl._locator_classes.insert(0, _Locator)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a kernel: without the GIL, kept between processes where the cache is allowed."""
    _install()
    return numba.njit(nogil=True, cache=cache_directory() is not None)(function)
