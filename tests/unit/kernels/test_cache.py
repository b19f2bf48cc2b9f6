"""Where compiled kernels are kept, when the place is refused, and what a user is told."""

from __future__ import annotations

import os
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


def test_a_place_that_others_can_exchange_is_refused(tmp_path: Path) -> None:
    """Who may write to a folder above ours may move it away and put one of his own there."""
    above = tmp_path / "shared" / "cache"
    above.mkdir(parents=True)
    assert seen(above)[0] == "True"
    (tmp_path / "shared").chmod(0o777)
    kept, refusal, _ = seen(above)
    assert kept == "False"
    assert "others could put another folder into it" in refusal
    (tmp_path / "shared").chmod(0o1777)  # sticky, as /tmp is
    assert seen(above)[0] == "True"


def test_links_above_the_place_are_followed_once_and_looked_at(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "cache").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "cache").symlink_to(tmp_path / "open" / "cache")
    assert seen(tmp_path / "mine" / "cache")[0] == "True"
    (tmp_path / "open").chmod(0o777)  # what the link points to can be exchanged
    assert seen(tmp_path / "mine" / "cache")[0] == "False"


def test_a_link_in_the_places_own_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir(mode=0o700)
    (tmp_path / "fedprofile").symlink_to(tmp_path / "theirs")
    kept, refusal, _ = seen(tmp_path)
    assert kept == "False"
    assert "no directory" in refusal


@pytest.mark.skipif(os.getuid() != 0, reason="gives a folder to another user")
def test_a_place_below_another_users_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs" / "cache").mkdir(parents=True)
    os.chown(tmp_path / "theirs", 65534, -1)
    assert seen(tmp_path / "theirs" / "cache")[0] == "False"


def test_this_process_has_a_place() -> None:
    if cache.cache_directory() is None:
        pytest.skip(cache.cache_refusal())
    assert cache.compiling() == "" or "once" in cache.compiling()
