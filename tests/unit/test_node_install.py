"""A partner's node needs no report, plot or modelling package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

from profiles.cli import OF_THE_ANALYST

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
            raise ModuleNotFoundError(name + " is not installed", name=name)

sys.meta_path.insert(0, Absent())
import federated, psi
for package in (psi, federated):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
from profiles.cli import main
sys.argv = ["fedprofile", "node", "--help"]
main()
"""


COMMANDS = f"""
{PROGRAM.split("import federated, psi", maxsplit=1)[0]}
import json
from profiles.cli import main

for words in json.loads(sys.argv[1]):
    sys.argv = ["fedprofile", *words]
    try:
        main()
    except SystemExit as end:
        print("ended", end.code, flush=True)
        print("--", file=sys.stderr, flush=True)
"""
JOB = """
[job]
name = "match"
purpose = "test"
entity = "consumer"

[[party]]
name = "bank"
table = "bank.people"
keys = [["id"]]

[[party]]
name = "bureau"
table = "bureau.people"
keys = [["id"]]

[align]
reveal = "both"
"""
TABLES = """
[bank.people]
path = "people.csv"
keys = ["id"]

[bureau.people]
path = "people.csv"
keys = ["id"]
"""


def called(folder: Path, *commands: str) -> tuple[list[str], list[str]]:
    """What each of the commands says in the end, and what it says of errors."""
    (folder / "job.toml").write_text(JOB)
    (folder / "tables.toml").write_text(TABLES)
    (folder / "node.toml").write_text('version = 1\nname = "bureau"\nhub = "nowhere:1"\n')
    (folder / "policy.toml").write_text("")
    (folder / "people.csv").write_text("id\n" + "\n".join(f"p{i:03d}" for i in range(120)))
    words = json.dumps([command.split() for command in commands])
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ends = [line for line in done.stdout.splitlines() if line.startswith("ended ")]
    return ends, done.stderr.split("--\n")[:-1]


def test_what_a_partner_needs_of_job_files_works_without_them(tmp_path: Path) -> None:
    tables = "--tables tables.toml"
    ends, errors = called(
        tmp_path,
        "node rehearse job.toml --home .",
        f"plan job.toml {tables}",
        f"preflight job.toml {tables}",
        "job ls --hub .",
    )
    assert ends == ["ended 0"] * 4, errors


def test_a_command_of_the_whole_package_says_so_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    ends, errors = called(
        tmp_path,
        "demo --out demo",
        "run job.toml --tables tables.toml --out out",
        "new job --out made --template credit-risk",
        "uplift run --outcome won.csv",
    )
    assert ends == ["ended 7"] * 4, errors
    for said in errors:
        *_, first, second = said.splitlines()  # the demo has said that it began
        assert first.startswith("error: this command needs the whole of fedprofile: ")
        assert "`pip install fedprofile`" in second


def test_the_command_line_knows_the_packages_that_a_node_lacks() -> None:
    assert set(ANALYST.values()) == OF_THE_ANALYST


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
from psi.protocol import EnvironmentFailed

folder = Path({str(tmp_path)!r})
(folder / "a.csv").write_text("id,x\\n1,2\\n")
assert of_path("t", folder / "a.csv", CsvFormat()).read(["id"]).num_rows == 1
(folder / "a.duckdb").write_bytes(b"")
try:
    of_database("t", "duckdb:///a.duckdb", "t", folder).columns()
except EnvironmentFailed as error:
    print(error.message, error.hint)
"""
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "duckdb needs its driver, which is not installed" in done.stdout
    assert "ibis-framework[duckdb]" in done.stdout
