"""Each branch's folder and each manager's page: theirs alone, safe names, and nobody forgotten."""

from __future__ import annotations

import csv
import json
import re
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from federated.persons.naming import Person
from profiles.branches import Cut, _index, write_branches
from profiles.folder_names import folder_names, hash_of
from profiles.job import Job
from profiles.manager_pages import write_manager_pages
from profiles.segments import Segments
from profiles.without_person import take_out
from tests.unit.profiles.sample import sample
from tests.unit.profiles.test_language import marked, outside
from tests.unit.profiles.test_report import Page

JOB = Job.load(
    {
        "job": {"name": "relief", "purpose": "retention", "entity": "company"},
        "party": [
            {"name": "bank", "table": "bank.t", "keys": [["id"]], "features": ["x"]},
            {"name": "bureau", "table": "bureau.t", "keys": [["id"]], "features": ["y"]},
        ],
        "align": {},
        "train": {"task": "churn", "label": "bank.left"},
        "profile": {"facts": ["customer"], "branches": "branch"},
        "target": [{"product": "relief", "managers": "bank.m", "columns": ["phone"]}],
    }
)
OWNERS = ["Hill", "../up", "Hill", None, "hill", " Hill ", "../up", "Hill"]
MANAGERS = ["Ann", "Ann", "Bo/", None, "Ann", "Bo/", "Bo/", "Ann"]
SHOWN = np.array([True, True, True, True, True, True, True, False])


def outputs(folder: Path) -> Path:
    """Eight customers C0 to C7, all listed; C7 has lost its basis."""
    names = [f"C{n}" for n in range(8)]
    profiles = pa.table({"entity": names, "city": pa.array(["Oslo"] * 7 + ["Rome"])})
    profiles = profiles.set_column(1, "city", profiles.column("city").dictionary_encode())
    best = np.array([6, 2, 5, 1, 0, 4, 3])
    leads = pa.table(
        {
            "product": ["relief"] * 7,
            "rank": pa.array(range(1, 8)),
            "entity": [names[row] for row in best],
            "phone": [f"+47 {row}" for row in best],
            "score": pa.array(np.linspace(0.9, 0.3, 7)),
            "matched": [True] * 7,
            "segment": pa.array([1] * 7, pa.int32()),
            "reasons": [["partner bureau (+0.31)", "balance low (-0.10)"]] * 7,
            "manager": pa.array([MANAGERS[row] for row in best], pa.string()),
            "assigned_by": ["branch"] * 7,
            "unassigned": pa.array([None] * 7, pa.string()),
        }
    )
    report = replace(sample(), created=datetime(2026, 11, 30, 9, 5, tzinfo=UTC), models=())
    cut = Cut(
        owner=pa.chunked_array([pa.array(OWNERS, pa.string())]),
        shown=SHOWN,
        profiles=profiles.filter(pa.array(SHOWN)),
        targets=leads,
        leads=best,
        segment=Segments(
            number=np.array([1, 2] * 4),
            descriptions=("x high", "x low"),
            sizes=(4, 4),
            centres=np.zeros((2, 1)),
        ),
        scores={"churn": np.linspace(0.1, 0.8, 8)},
        report=report,
    )
    for name, table in (("profiles", cut.profiles), ("targets", leads)):
        pq.write_table(table, folder / f"{name}.parquet")
    said = {"entity": {"table": "bank.t", "column": "customer"}}
    (folder / "metrics.json").write_text(json.dumps(said))
    assert write_branches(JOB, folder, cut) == ["branches", "branches.csv"]
    assert write_manager_pages(JOB, folder, leads, report) == ["managers"]
    return folder


def test_a_branch_has_its_own_customers_and_no_others(tmp_path: Path) -> None:
    outputs(tmp_path)
    with (tmp_path / "branches.csv").open(encoding="utf-8-sig") as file:
        index = {line["branch"]: line for line in csv.DictReader(file)}
    assert {name: (v["customers"], v["leads"]) for name, v in index.items()} == {
        "../up": ("2", "2"), "Hill": ("3", "3"), "hill": ("1", "1"), "": ("1", "1"),
    }  # fmt: skip
    mine = {"../up": {"C1", "C6"}, "Hill": {"C0", "C2", "C5"}, "hill": {"C4"}}
    assert len(list((tmp_path / "branches").iterdir())) == len(mine)
    for name, expected in mine.items():
        home = tmp_path / "branches" / index[name]["folder"]
        for table in ("profiles", "targets"):
            found = pq.read_table(home / f"{table}.parquet").column("entity").to_pylist()
            assert set(found) == expected
        page = Page((home / "report.html").read_text())
        for one in home.iterdir():
            assert one.stat().st_mode & 0o777 == 0o600
            if one.suffix in (".csv", ".html"):
                text = page.text if one.suffix == ".html" else one.read_text("utf-8-sig")
                assert {n for n in (f"C{i}" for i in range(8)) if n in text} == expected
        assert name.strip() in page.text
        assert "Ranks are places in the list of all branches" in page.text, "the first is not 1"
        assert "Rome" not in str((home / "profiles.parquet").read_bytes())
    assert not (tmp_path / "up").exists()


def test_where_everybody_has_a_branch_no_line_counts_the_others() -> None:
    for beyond, lines in ((0, ["a"]), (2, ["a", None])):
        index = _index(["a"], {"a": "a"}, [3, beyond], [1, 0])
        assert index.column("branch").to_pylist() == lines


def test_a_manager_has_a_page_of_his_own_leads_with_reasons_and_a_day(tmp_path: Path) -> None:
    outputs(tmp_path)
    pages = sorted((tmp_path / "managers").iterdir())
    texts = [Page(page.read_text()).text for page in pages]
    assert pages[0].name == "Ann.html"
    assert [{n for n in (f"C{i}" for i in range(8)) if n in text} for text in texts] == [
        {"C0", "C1", "C4"},
        {"C2", "C5", "C6"},
    ]
    for page, text in zip(pages, texts, strict=True):
        assert page.stat().st_mode & 0o777 == 0o600
        assert "10 December 2026" in text
        assert "information from bureau" in text
        assert "balance low" not in text, "it speaks against the call"
        assert "0.31" not in text
        assert "+47" in text
        assert "http:" not in page.read_text()
        assert "https" not in page.read_text()
    chinese = write_manager_pages(
        replace(JOB, lang="zh"), tmp_path / "zh", pq.read_table(tmp_path / "targets.parquet"),
        sample(),
    )  # fmt: skip
    assert "来自 bureau 的信息" in (tmp_path / "zh" / chinese[0] / "Ann.html").read_text()


def test_forget_reaches_branches_and_pages(tmp_path: Path) -> None:
    out = outputs(tmp_path)
    before = {name: hash_of(out / name) for name in ("branches", "managers")}
    person = Person("C2", {"bank.t": pa.table({"customer": ["C2"]})})
    assert set(take_out(out, person, dry=True)) == {
        "profiles.parquet", "targets.parquet", "branches", "managers",
    }  # fmt: skip
    assert {name: hash_of(out / name) for name in before} == before
    written = take_out(out, person)
    assert all(written[name] == hash_of(out / name) != before[name] for name in before)
    for file in (p for p in out.rglob("*") if p.is_file()):
        if file.suffix == ".parquet":
            assert "C2" not in pq.read_table(file).column("entity").to_pylist()
        elif file.suffix != ".xlsx":
            assert "C2" not in file.read_text("utf-8")
    assert "C5" in (out / "branches" / "Hill-21f5358c" / "report.html").read_text()
    assert take_out(out, person) == {}


def test_a_page_of_a_branch_speaks_from_the_catalogue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("profiles.job.language", lambda code, titles: marked())
    outputs(tmp_path)
    names = r"(Ann|Bo/|Hill|relief|phone|churn|C\d|\+47 \d|bank · .*|retention · .*|x|bureau)"
    for page in (tmp_path / "managers" / "Ann.html", *(tmp_path / "branches").glob("Hill*/*.html")):
        left = outside(page.read_text())
        assert [text for text in left if not re.fullmatch(names, text.strip())] == []


ODD = [
    *(
        "",
        ".",
        "..",
        "...",
        "/",
        "a/b",
        "a\\b",
        "a:b",
        "a*b?",
        "CON",
        "nul.txt",
        "lpt1",
        "-rf",
        "~",
    ),
    *(
        "\u202egnol",
        "zero\u200bwidth",
        "a\nb",
        "\x00",
        "\x1b[31mred",
        "e\u0301",
        "\u00e9",
        "\ud800",
    ),
    *(
        "上海 支行",
        "上海支行",
        "STRASSE",
        "straße",
        "ﬁ",
        "fi",
        "Hill",
        "hill",
        "HILL",
        " Hill",
        "x" * 300,
    ),
    *(
        "x" * 299,
        "行" * 200,
        "😀" * 90,
        "branches.csv",
        "deadbeef",
        "a-deadbeef",
        "a" + "\u0300" * 50,
    ),
]


def test_names_of_folders_are_safe_and_differ() -> None:
    rng = np.random.default_rng(5)
    drawn = ("".join(map(chr, rng.integers(1, 0x2FFF, 12))) for _ in range(300))
    names = list(dict.fromkeys([*ODD, *drawn]))
    found = folder_names(names)
    assert list(found) == names
    assert len({each.casefold() for each in found.values()}) == len(names)
    for each in found.values():
        assert each == Path(each).name
        assert each not in (".", "..")
        assert len(each.encode()) <= 140
        assert not each.startswith((".", "-", " "))
        assert all(unicodedata.category(c)[0] != "C" for c in each)


def test_no_name_can_be_chosen_to_be_another_ones_folder() -> None:
    taken = folder_names(["a/b"])["a/b"]
    assert len(set(folder_names(["a/b", taken, "a-b", "A-B"]).values())) == 4
