"""A partner's node needs no report, plot or modelling package."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
ANALYST = {
    "scikit-learn": "sklearn",
    "threadpoolctl": "threadpoolctl",
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
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [d for d in project["dependencies"] if d.split(">")[0] not in ANALYST]
    lines = (ROOT / "requirements-node.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == wanted
