"""A partner's node needs no report, plot or modelling package."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
NODE = ROOT / "packaging" / "node" / "pyproject.toml"
ANALYST = {
    "scikit-learn": "sklearn",
    "threadpoolctl": "threadpoolctl",
    "scipy": "scipy",
    "pandas": "pandas",
    "ibis-framework[duckdb]": "ibis",
    "duckdb": "duckdb",
    "jinja2": "jinja2",
    "plotly": "plotly",
}
PROGRAM = f"""
import importlib, pkgutil, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {set(ANALYST.values())!r}:
            raise ImportError(name + " is not installed")

sys.meta_path.insert(0, Absent())
import federated, psi
for package in (psi, federated):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
from profiles.cli import main
sys.argv = ["fedprofile", "node", "--help"]
main()
"""


def test_the_node_runs_without_the_analysts_packages() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "start" in done.stdout


def test_its_requirements_are_the_projects_without_them() -> None:
    project, node = (
        tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        for file in (ROOT / "pyproject.toml", NODE)
    )
    wanted = [d for d in project["dependencies"] if d.split(">")[0] not in ANALYST]
    assert node["dependencies"] == wanted
    for same in ("version", "requires-python", "scripts", "license"):
        assert node[same] == project[same]
    extras = dict(node["optional-dependencies"])
    databases = extras.pop("databases")
    assert set(databases) <= set(project["dependencies"])
    assert all(project["optional-dependencies"][name] == found for name, found in extras.items())


def test_it_reads_files_and_says_what_a_database_needs(tmp_path: Path) -> None:
    program = (
        PROGRAM.split("import federated, psi", maxsplit=1)[0]
        + f"""
from pathlib import Path
from federated.readers import CsvFormat, of_database, of_path
from psi.protocol import InputError

folder = Path({str(tmp_path)!r})
(folder / "a.csv").write_text("id,x\\n1,2\\n")
assert of_path("t", folder / "a.csv", CsvFormat()).read(["id"]).num_rows == 1
(folder / "a.duckdb").write_bytes(b"")
try:
    of_database("t", "duckdb:///a.duckdb", "t", folder).columns()
except InputError as error:
    print(error.message, error.hint)
"""
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "no driver for duckdb" in done.stdout
    assert "ibis-framework[duckdb]" in done.stdout
