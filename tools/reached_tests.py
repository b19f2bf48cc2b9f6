"""Which unit tests changed files can reach, by imports: the nearest first.

    python tools/reached_tests.py [--since COMMIT] [--steps N]

Prints test files, one a line: those that changed themselves, and those that import a changed module
within N steps (2 if it is not said). Files changed since COMMIT (HEAD: what is not committed yet).
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACES = ("psi", "federated", "profiles", "fedprofile", "benchmarks", "tests")


def changed(since: str) -> list[str]:
    """Paths of Python files that differ from a commit, new ones too."""
    told = ["git", "diff", "--name-only", "--diff-filter=d", since, "--", "*.py"]
    new = ["git", "ls-files", "--others", "--exclude-standard", "--", "*.py"]
    lines = [subprocess.check_output(c, cwd=ROOT, text=True).splitlines() for c in (told, new)]
    return [line for found in lines for line in found]


def module(path: Path) -> str:
    """A file's module: "psi.align" for psi/align/__init__.py."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def importers() -> tuple[dict[str, Path], dict[str, set[str]]]:
    """The file of each module, and which modules import it."""
    files = {module(p): p for place in PLACES for p in sorted((ROOT / place).rglob("*.py"))}
    found: dict[str, set[str]] = {}
    for name, path in files.items():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            named: Iterable[str] = ()
            if isinstance(node, ast.Import):
                named = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                named = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            for one in named:
                if one in files:
                    found.setdefault(one, set()).add(name)
    return files, found


def reached(paths: Iterable[str], steps: int) -> list[Path]:
    """Unit test files within so many imports of the changed `paths`, the nearest first."""
    files, found = importers()
    near = {module(ROOT / path) for path in paths if path.startswith(PLACES)}
    seen, order = set(near), sorted(near)
    for _ in range(steps):
        near = {name for one in near for name in found.get(one, ())} - seen
        seen |= near
        order += sorted(near)
    tests = (files[name] for name in order if name in files)
    unit = ROOT / "tests" / "unit"
    return [path for path in tests if path.is_relative_to(unit) and path.name.startswith("test_")]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="unit tests that changed files can reach")
    parser.add_argument("--since", default="HEAD", help="a commit; HEAD: what is not committed")
    parser.add_argument("--steps", type=int, default=2, help="imports between test and change")
    given = parser.parse_args()
    for path in reached(changed(given.since), given.steps):
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
