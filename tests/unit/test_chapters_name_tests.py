"""A chapter's claim about a party that lies stands beside the name of a test that exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHAPTERS = [
    *sorted((ROOT / "docs" / "protocols").glob("*.md")),
    *(ROOT / "docs" / f"{name}.md" for name in ("ATTACKS", "THREAT_MODEL")),
]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
ALONE = re.compile(r"`(test_\w+)`")
FILE = re.compile(r"`(tests/[\w/]+\.py)`")


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_tests_that_a_chapter_names_exist(chapter: Path) -> None:
    for file, name in NAMED.findall(chapter.read_text(encoding="utf-8")):
        path = ROOT / file
        assert path.exists(), f"{chapter.name}: no file {file}"
        found = re.search(rf"^def {name}\(", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert found, f"{chapter.name}: no test {name} in {file}"


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_files_that_a_chapter_names_exist(chapter: Path) -> None:
    found = FILE.findall(chapter.read_text(encoding="utf-8"))
    assert [name for name in found if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_tests_that_a_chapter_names_without_their_file_exist(chapter: Path) -> None:
    wanted = set(ALONE.findall(chapter.read_text(encoding="utf-8")))
    if wanted:
        text = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "tests").rglob("test_*.py"))
        assert wanted <= set(re.findall(r"^def (test_\w+)\(", text, re.MULTILINE))


@pytest.mark.parametrize(
    "name",
    [
        "aggregate",
        "differencing",
        "ecdh_psi",
        "horizontal",
        "join_sum",
        "private_binning",
        "vole_psi",
        "vole_psi_malicious",
    ],
)
def test_a_chapter_says_what_a_party_that_lies_gets(name: str) -> None:
    text = (ROOT / "docs" / "protocols" / f"{name}.md").read_text(encoding="utf-8")
    assert "| who lies, and how | what it gets | played by |" in text
    assert NAMED.search(text)
