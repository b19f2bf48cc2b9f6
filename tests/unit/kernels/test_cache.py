"""Where compiled kernels are kept, when the place is refused, and what a user is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from psi.kernels import cache

PROGRAM = """
from psi.kernels import cache
print(cache.cache_directory() is not None)
print(cache.cache_refusal())
print(cache.compiling())
"""


def seen(home: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"XDG_CACHE_HOME": str(home), "PYTHONPATH": str(Path(cache.__file__).parents[2])},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


def test_a_fresh_place_is_private_and_announced(tmp_path: Path) -> None:
    kept, refusal, told = seen(tmp_path)
    assert kept == "True"
    assert refusal == ""
    assert told.startswith("kernels are compiled for this machine: once")
    (place,) = (tmp_path / "fedprofile").iterdir()
    assert place.stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "fedprofile").stat().st_mode & 0o777 == 0o700
    (place / "kept").touch()
    assert seen(tmp_path)[2:] == [""]


def test_a_place_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    seen(tmp_path)
    (place,) = (tmp_path / "fedprofile").iterdir()
    place.chmod(0o722)
    kept, refusal, told = seen(tmp_path)
    assert kept == "False"
    assert "others can write to it" in refusal
    assert "compiled at every start" in told


def test_this_process_has_a_place() -> None:
    if cache.cache_directory() is None:
        pytest.skip(cache.cache_refusal())
    assert cache.compiling() == "" or "once" in cache.compiling()
