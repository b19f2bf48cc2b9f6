"""What jobs leave on disk is its owner's alone, whatever the process's umask lets through."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from federated.node.home import NodeHome
from federated.store.files import make_folder, private_file, write_atomic
from profiles.demo.jobs import write_world
from profiles.job import Job
from profiles.run import run_job
from profiles.tables import open_tables
from psi.protocol import FedprofileError
from tests.unit.test_kept_tags_job import World


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """What is made with a default mode can then be read and written by anybody."""
    before = os.umask(0)
    yield
    os.umask(before)


def loose(folder: Path) -> list[str]:
    """What others may read, write or enter below a folder, itself included."""
    every = [folder, *sorted(folder.rglob("*"))]
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in every}
    return [f"{path.relative_to(folder)} {mode:o}" for path, mode in modes.items() if mode & 0o077]


def test_all_that_a_run_writes(small: Path) -> None:
    """Profiles, targets, metrics, the report, and each party's ledger and identity."""
    job, tables = Job.load(small / "job.toml"), open_tables(small / "tables.toml")
    run_job(job, tables, small / "results" / "today" / "out", baseline=True)
    assert len(list((small / "results").rglob("*.*"))) > 8
    assert loose(small / "results") == []


def test_what_a_run_that_failed_leaves(small: Path) -> None:
    text = (small / "job.toml").read_text().replace("minimum_overlap = 50", "minimum_overlap = 900")
    (small / "job.toml").write_text(text)
    job, tables = Job.load(small / "job.toml"), open_tables(small / "tables.toml")
    with pytest.raises(FedprofileError):
        run_job(job, tables, small / "out")
    assert list((small / "out.failed").rglob("ledger.jsonl"))
    assert loose(small / "out.failed") == []


def test_what_outlives_jobs(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir(mode=0o700)
    world = World(tmp_path / "w")
    world.bind("registry", range(100, 300))
    world.run(range(98, 102))
    for name in ("registry-tags", "bank-tags", "job1"):
        assert list((world.folder / name).iterdir())
        assert loose(world.folder / name) == []


def test_a_nodes_folder_shows_what_officers_read_and_no_more(tmp_path: Path) -> None:
    home = NodeHome.create(tmp_path / "made" / "node", "bureau", "hub.example:8443")
    assert loose(home.path) == ["node.toml 644", "policy.toml 644"]
    assert loose(tmp_path / "made")[0].startswith("node/")  # the folder above was made too


def test_the_demos_tables(tmp_path: Path) -> None:
    write_world(tmp_path / "demo")
    assert loose(tmp_path / "demo") == []


def test_files_and_folders_that_are_made(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    write_atomic(tmp_path / "a" / "c" / "kept", b"x")
    with private_file(tmp_path / "a" / "log", "ab") as file:
        file.write(b"x")
    (tmp_path / "a" / "old").touch()
    with private_file(tmp_path / "a" / "old", "ab"):
        pass
    assert loose(tmp_path / "a") == []
    write_atomic(tmp_path / "told", b"x", private=False)
    assert (tmp_path / "told").stat().st_mode & 0o777 == 0o644
