"""The glossary speaks of what is there, and the map of the rooms has every room."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = " ".join(
    word
    for place in ("psi", "federated", "profiles", "docs")
    for path in sorted((ROOT / place).rglob("*"))
    if path.suffix in (".py", ".md") and path.name != "GLOSSARY.md"
    for word in path.read_text("utf-8").lower().split()
)


def rows(page: str) -> list[list[str]]:
    """The cells of every table's rows."""
    lines = (ROOT / "docs" / page).read_text("utf-8").splitlines()
    return [[c.strip() for c in line.strip("|").split("|")] for line in lines if line[:1] == "|"]


def terms() -> list[str]:
    found = [re.sub(r"[`*]|\(.*?\)", "", row[0]) for row in rows("GLOSSARY.md")[2:]]
    return [one.strip().lower() for cell in found for one in cell.split(",")]


@pytest.mark.parametrize("term", terms())
def test_each_term_is_used(term: str) -> None:
    assert re.search(rf"\b{re.escape(term)}", TEXT)


def test_terms_are_in_the_glossary_once_and_in_order() -> None:
    first = [row[0] for row in rows("GLOSSARY.md")[2:]]
    plain = [re.sub(r"\W", "", cell.split(",")[0]).lower() for cell in first]
    assert plain == sorted(plain)
    assert len(terms()) == len(set(terms()))


def test_the_map_has_every_room_of_federated_and_no_other() -> None:
    floors = [row for row in rows("ARCHITECTURE.md") if len(row) == 3]
    named = {room for row in floors for room in re.findall(r"`(\w+)`", row[1])}
    there = {path.parent.name for path in (ROOT / "federated").glob("*/__init__.py")}
    assert named == there


def test_paths_on_the_map_exist() -> None:
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text("utf-8")
    paths = re.findall(r"`((?:psi|federated|profiles|tests)/[\w/.]+)`", page)
    assert len(paths) > 10
    missing = [path for path in paths if "NAME" not in path and not (ROOT / path).exists()]
    assert not missing
