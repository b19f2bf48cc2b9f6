"""Where compiled kernels are kept between processes.

Numba's cache is code on disk, so it lives in a directory of the user's own: under
`$XDG_CACHE_HOME/fedprofile` (or `~/.cache/fedprofile`), mode 0700, named by a hash of all
sources in this package, of the versions, the CPU and the path. Kernels of other packages of
ours also carry the hash of their own package. A directory that others own or can write to is
refused, and so is one below a folder in which others could put another in its place: kernels then
compile anew in each process, and `fedprofile selftest` says why.
"""

from __future__ import annotations

import contextlib
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
from numba.core import caching, types

from psi.kernels.simd import block_path, cpu_features, kernel_path

__all__ = ["cache_directory", "cache_refusal", "compiling", "kernel", "part"]

_HERE = Path(__file__).parent
_PACKAGES = _HERE.parents[1]
_OURS = ("psi", "federated", "profiles")
_njit: Any = numba.njit


@cache
def _sources(folder: Path) -> str:
    """A hash of the sources in one folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        text = path.read_bytes()
        digest.update(f"{path.name} {len(text)} ".encode() + text)
    return digest.hexdigest()


@cache
def _fingerprint() -> str:
    """A hash of all that compiled kernels depend on."""
    features = ",".join(sorted(cpu_features()))
    parts = (
        _sources(_HERE),
        platform.python_implementation(),
        platform.python_version(),
        numba.__version__,
        llvmlite.__version__,
        llvmlite.binding.get_host_cpu_name(),
        features,
        kernel_path(),
        block_path(),
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]


def _home() -> Path:
    """Our part of the user's cache; a relative XDG_CACHE_HOME counts as none, as XDG says."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "fedprofile"


@cache
def _prepared() -> tuple[Path | None, str]:
    """The directory, or None and why there is none."""
    try:
        home = _home()
    except RuntimeError:
        return None, "this user has no home directory (set XDG_CACHE_HOME)"
    place = home / f"kernels-{_fingerprint()}"
    try:
        home.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        home = home.parent.resolve(strict=True) / home.name  # what is looked at is what is used
        place = home / place.name
        above = _replaceable(home)
        if above is not None:
            return None, f"{above}: others could put another folder into it (chmod go-w)"
        for path in (home, place):
            path.mkdir(exist_ok=True, mode=0o700)
        states = [(path, path.lstat()) for path in (home, place)]
    except OSError as error:
        return None, f"{home}: {error.strerror}"
    for path, found in states:
        if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode):
            return None, f"{path}: owned by another user, or no directory"
        if stat.S_IMODE(found.st_mode) & 0o022:
            return None, f"{path}: others can write to it (chmod 700)"
    if not os.access(place, os.W_OK | os.X_OK):
        return None, f"{place}: not writable"
    _prune(home, place)
    return place, ""


def _replaceable(home: Path) -> Path | None:
    """The first folder above `home`, links resolved, where others could move what lies in it.

    Only this user and root may own one or write to it; in a sticky one, such as /tmp, nobody moves
    what is another's.
    """
    for folder in home.parents:
        found = folder.lstat()
        if found.st_uid not in (os.getuid(), 0):
            return folder
        if stat.S_IMODE(found.st_mode) & 0o022 and not found.st_mode & stat.S_ISVTX:
            return folder
    return None


def _prune(home: Path, keep: Path, most: int = 3) -> None:
    """Remove the directories of other sources and versions, but a few that others may use.

    A process that loses its directory compiles again; nothing breaks.
    """
    aged = []
    for path in home.glob("kernels-*"):
        with contextlib.suppress(OSError):  # another process may prune at the same time
            aged.append((path.stat().st_mtime, path))
    others = [path for _, path in sorted(aged, reverse=True) if path != keep]
    for path in others[most:]:
        shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):
        os.utime(keep)


def cache_directory() -> Path | None:
    """Where compiled kernels are kept; None if the place was refused."""
    return _prepared()[0]


def cache_refusal() -> str:
    """Why there is no cache; empty if there is one."""
    return _prepared()[1]


def compiling() -> str:
    """What a user should know before the first kernels are called; empty if they are kept."""
    place, why = _prepared()
    if place is None:
        return f"kernels are compiled at every start, for they cannot be kept: {why}"
    if not any(place.iterdir()):
        return "kernels are compiled for this machine: once, when first needed, in up to 20 s"
    return ""


class _Locator(caching._CacheLocator):
    """Sends the compile cache of our own functions, and of no others, to our directory."""

    def __init__(self, function: Callable[..., Any], file: str) -> None:
        self._folder = Path(file).parent
        self._name = f"{Path(file).stem}-{function.__code__.co_firstlineno}"

    def get_cache_path(self) -> str:
        return str(cache_directory())

    def get_source_stamp(self) -> str:
        """Numba compiles again where this differs from what it kept."""
        return _fingerprint() + (_sources(self._folder) if self._folder != _HERE else "")

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


def part(function: Callable[..., Any]) -> Any:
    """Compile a part of kernels: not kept by itself, only inside the kernels that call it.

    Python cannot call it: its wrappers would take long to compile. Numba would compile it anew for
    each number that a caller writes out.
    """
    made: Any = _njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
    template_of: Any = made.get_call_template
    plain: Any = types.unliteral

    def template(args: Any, kws: Any) -> Any:
        named = {name: plain(kind) for name, kind in kws.items()}
        return template_of(tuple(plain(kind) for kind in args), named)

    made.get_call_template = template
    return made


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a kernel: without the GIL, kept between processes where the cache is allowed."""
    _install()
    kept = cache_directory() is not None
    return _njit(nogil=True, no_cfunc_wrapper=True, cache=kept)(function)
