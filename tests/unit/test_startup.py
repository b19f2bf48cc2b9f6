"""What the command line does before a command runs: little, and with one thread for BLAS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from profiles.cli import app
from profiles.run import _small_matrices

PROGRAM = """
import json, sys
import profiles.cli
heavy = {"numpy", "numba", "pyarrow", "scipy", "pandas", "ibis", "duckdb", "flwr", "sklearn"}
found = {"heavy": sorted(heavy & set(sys.modules))}
import numpy
from threadpoolctl import threadpool_info
blas = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
found["blas"] = blas
import profiles.run
print(json.dumps(found | {"a_run": sorted({"sklearn", "duckdb", "flwr"} & set(sys.modules))}))
"""
LOADED = """
import json, sys
import federated.{module}
print(json.dumps(sorted(set({heavy}) & set(sys.modules))))
"""
NAMES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


def test_commands_import_what_they_need_when_they_run() -> None:
    bare = {name: value for name, value in os.environ.items() if name not in NAMES}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=Path(__file__).parents[2], env=bare, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert found["heavy"] == []
    assert found["a_run"] == []
    assert set(found["blas"]) == {1}


def test_help_is_there_before_any_numbers_are() -> None:
    program = """
import sys
import profiles.cli
sys.argv = ["fedprofile", "--help"]
try:
    profiles.cli.main()
except SystemExit:
    print(sorted({"numpy", "pyarrow", "cryptography"} & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[2], check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    assert "Start with: fedprofile demo" in done.stdout
    assert done.stderr == "[]\n"


@pytest.mark.parametrize("module", ["cli.worker", "wire.flower.front", "wire.flower.mounted"])
def test_jobs_and_nodes_load_nothing_of_a_hub(module: str) -> None:
    assert loaded(module, "flwr", "sqlalchemy", "fastapi") == []


def test_what_a_monitor_asks_for_each_minute_loads_little() -> None:
    assert loaded("node.measures", "numpy", "pyarrow", "cryptography", "flwr") == []
    assert loaded("node.health", "pandas", "sklearn", "flwr") == []


def loaded(module: str, *heavy: str) -> list[str]:
    """Which of these packages a module of ours imports, by itself or by others."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(module=module, heavy=heavy)],
        cwd=Path(__file__).parents[2], check=True, capture_output=True, text=True,
    )  # fmt: skip
    return list(json.loads(done.stdout))


def test_a_run_in_a_notebook_takes_one_thread_for_its_matrices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from threadpoolctl import threadpool_info, threadpool_limits

    def threads() -> set[int]:
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    with threadpool_limits(2, user_api="blas"):
        with _small_matrices():
            assert threads() == {1}
        assert threads() == {2}
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
        with _small_matrices():
            assert threads() == {2}  # as whoever runs it has said


@pytest.mark.parametrize("name", ["fedprofile", "fedprofile-node"])
def test_the_version_of_an_editable_install_of_either_package(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such an install lists one file of paths, and no module of ours."""
    folder = tmp_path / f"{name.replace('-', '_')}-1.2.3.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.2.3\n")
    (folder / "entry_points.txt").write_text("[console_scripts]\nfedprofile = profiles.cli:main\n")
    (folder / "RECORD").write_text("_editable_impl_fedprofile.pth,,\n")
    others = [place for place in sys.path if "site-packages" not in place]
    monkeypatch.setattr(sys, "path", [str(tmp_path), *others])
    assert CliRunner().invoke(app, ["--version"]).output == "fedprofile 1.2.3\n"


def test_a_demo_says_at_once_that_it_has_begun(tmp_path: Path) -> None:
    """Before it loads packages for seconds: here, before its first own one, which is not there."""
    blocked = (
        "import sys; sys.modules['profiles.cli.screen'] = None; import profiles.cli as c; c.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", blocked, "demo"], cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}, check=False,
    )  # fmt: skip
    assert done.stderr.startswith("four jobs of a synthetic bank with its partners;")
