"""The direction of imports, and what a protocol role may not touch."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import runpy
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

import federated
import psi
from psi.protocol import Role

ROOT = Path(__file__).parents[2]
FLOORS = ("psi", "federated", "profiles", "fedprofile")
IO = {"os", "io", "pathlib", "socket", "asyncio", "time", "subprocess", "threading", "queue"}
IO |= {"pandas", "flwr", "duckdb", "ibis"}
ARITHMETIC = ("psi.kernels", "federated.paillier")
"""What computes on several threads: it may know processors and locks, not sockets or clocks."""


def sources(*places: str) -> list[Path]:
    found: list[Path] = []
    for place in places:
        path = ROOT / place
        found += sorted(path.rglob("*.py")) if path.is_dir() else [path] * path.exists()
    return found


@cache
def nodes(path: Path) -> list[ast.AST]:
    """Of the whole file, in no promised order."""
    return list(ast.walk(ast.parse(path.read_text("utf-8"))))


@pytest.fixture(scope="module", autouse=True)
def forgotten() -> Iterator[None]:
    """A million small objects, through which every later look for garbage would go."""
    yield
    nodes.cache_clear()


def imports(path: Path) -> Iterator[str]:
    for node in nodes(path):
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


def rooms() -> tuple[dict[str, set[str]], dict[str, int]]:
    """The rooms of `federated`: which others each imports, and its lines."""
    behind: dict[str, set[str]] = {}
    lines: dict[str, int] = {}
    for path in sources("federated"):
        room = path.relative_to(ROOT / "federated").parts[0].removesuffix(".py")
        lines[room] = lines.get(room, 0) + len(path.read_text("utf-8").splitlines())
        names = {name.split(".")[1] for name in imports(path) if name.startswith("federated.")}
        behind.setdefault(room, set()).update(names - {room})
    return behind, lines


def test_rooms_of_federated_stand_on_floors() -> None:
    """No circle, so there is an order of floors without an import upwards; none is the house."""
    behind, lines = rooms()
    assert len(behind) > 15
    left = dict(behind)
    while left:
        ground = [room for room, others in left.items() if not others & set(left)]
        assert ground, f"in a circle, or above one: {sorted(left)}"
        for room in ground:
            del left[room]
    assert max(lines.values()) < sum(lines.values()) / 4


def modules(package: ModuleType) -> Iterator[str]:
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(found.name)
        yield found.name


def subclasses(cls: type) -> Iterator[type]:
    one: type
    for one in cls.__subclasses__():
        yield one
        yield from subclasses(one)


def behind(module: str) -> set[str]:
    """The modules of this project that a module's own lines import, submodules by name too."""
    tree = ast.parse(Path(str(sys.modules[module].__file__)).read_text("utf-8"))
    named = set(imports(Path(str(sys.modules[module].__file__))))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            named |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in named if name.split(".")[0] in FLOORS and name in sys.modules}


def test_roles_are_free_of_io() -> None:
    """Every role of every protocol, and whatever its module imports, directly or not."""
    assert len({*modules(psi), *modules(federated)}) > 200
    roles = {cls.__module__ for cls in subclasses(Role)}
    todo = [name for name in roles if name.split(".")[0] in FLOORS]
    assert len(todo) > 20
    seen: set[str] = set()
    while todo:
        module = todo.pop()
        if module in seen or module.startswith(ARITHMETIC):
            continue
        seen.add(module)
        found = imports(Path(str(sys.modules[module].__file__)))
        wrong = {name.split(".")[0] for name in found} & IO
        assert not wrong, f"{module}, which a role imports, imports {wrong}"
        todo += behind(module)


def test_messages_have_numbers_of_their_own_and_a_table() -> None:
    table = runpy.run_path(str(ROOT / "tools" / "message_table.py"))["table"]()
    assert (ROOT / "docs" / "protocols" / "messages.md").read_text("utf-8") == table


def test_flower_is_imported_in_two_places_after_its_settings() -> None:
    for path in sources(*FLOORS):
        if not path.parent.as_posix().endswith(("federated/flower", "federated/wire/flower")):
            assert not any(name.split(".")[0] == "flwr" for name in imports(path)), path


def test_what_a_partner_runs_needs_no_report_plot_or_modelling_library() -> None:
    heavy = {"sklearn", "plotly", "jinja2", "matplotlib"}
    for path in sources("psi", "federated"):
        wrong = {name.split(".")[0] for name in imports(path)} & heavy
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def test_nothing_is_pickled_or_evaluated() -> None:
    for path in sources(*FLOORS):
        assert not {"pickle", "marshal", "shelve"} & set(imports(path)), path
        for node in nodes(path):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec"}, path


def test_many_fields_are_named_where_they_are_given() -> None:
    """Two whole numbers that change places pass every type checker."""
    for path in sources(*FLOORS):
        for node in nodes(path):
            if isinstance(node, ast.ClassDef):
                deco = [ast.unparse(d) for d in node.decorator_list]
                found = [d for d in deco if d.startswith("dataclass")]
                fields = [n for n in node.body if isinstance(n, ast.AnnAssign)]
                fields = [n for n in fields if "ClassVar" not in ast.unparse(n.annotation)]
                if found and len(fields) > 6:
                    assert "kw_only=True" in found[0], f"{path.relative_to(ROOT)}: {node.name}"
            if isinstance(node, ast.Call) and len(node.args) >= 7:
                name = ast.unparse(node.func).rpartition(".")[2]
                assert not name[:1].isupper(), f"{path.relative_to(ROOT)}:{node.lineno}: {name}"
