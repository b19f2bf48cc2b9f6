"""The direction of imports, and what a protocol role may not touch."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLOORS = ("psi", "federated", "profiles")
IO = {"os", "io", "socket", "asyncio", "time", "pandas", "flwr", "subprocess", "threading", "queue"}
ROLE_FILES = (
    "psi/protocol",
    "psi/oprf.py",
    "psi/ecdh.py",
    "psi/align.py",
    "psi/align",
    "federated/aggregate.py",
    "federated/aggregate",
    "federated/join_sum",
    "federated/vertical",
    "federated/party/negotiation.py",
)


def sources(*places: str) -> list[Path]:
    found: list[Path] = []
    for place in places:
        path = ROOT / place
        found += sorted(path.rglob("*.py")) if path.is_dir() else [path] * path.exists()
    return found


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("floor", FLOORS)
def test_each_floor_imports_only_those_below_it(floor: str) -> None:
    above = FLOORS[FLOORS.index(floor) + 1 :]
    for path in sources(floor):
        wrong = [name for name in imports(path) if name.split(".")[0] in above]
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def test_roles_are_free_of_io() -> None:
    files = sources(*ROLE_FILES)
    assert len(files) > 8
    for path in files:
        wrong = {name.split(".")[0] for name in imports(path)} & IO
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def test_flower_is_imported_in_one_place() -> None:
    for path in sources(*FLOORS):
        if "federated/wire/flower" not in path.as_posix():
            assert not any(name.split(".")[0] == "flwr" for name in imports(path)), path


def test_what_a_partner_runs_needs_no_report_plot_or_modelling_library() -> None:
    heavy = {"sklearn", "plotly", "jinja2", "matplotlib"}
    for path in sources("psi", "federated"):
        wrong = {name.split(".")[0] for name in imports(path)} & heavy
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def test_nothing_is_pickled_or_evaluated() -> None:
    for path in sources(*FLOORS):
        assert not {"pickle", "marshal", "shelve"} & set(imports(path)), path
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec"}, path
