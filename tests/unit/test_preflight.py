"""The preflight report: counts that add up, advice that fits, and no value anywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from federated.tables.preflight import preflight
from federated.tables.preflight_report import PreflightReport
from profiles.cli import app
from psi.protocol.errors import InputError, MisuseError

CANARY = "CANARY7Q"
IDENTITY = "11010519491231002X"
KINDS = {"id": "identity_number", "mobile": "phone", "name": "name"}


@pytest.fixture
def report() -> PreflightReport:
    table = pa.table(
        {
            "id": [IDENTITY, IDENTITY.lower(), None, "", CANARY, "110105********002X", "１２"],
            "mobile": ["13800138000"] * 3 + ["+86 139 0013 8000", None, "13700137000", "1"],
            "name": ["张三", "张三", "张三", "李四", "王五", "\ufeff赵六", "å¼ ä¸\x89"],
        }
    )
    return preflight(table, [["id"], ["mobile", "name"]], KINDS)


def test_counts_add_up(report: PreflightReport) -> None:
    by_name = {row["column"]: row for row in report.rows()}
    found = by_name["id"]
    assert (found["rows"], found["usable"], found["nulls"]) == (7, 2, 2)
    assert found["invalid"] == {"masked": 1, "wrong length": 2}
    assert (found["changed"], found["duplicates"], found["full_width"]) == (1, 1, 1)
    assert by_name["mobile"]["invalid"] == {"wrong length": 1}
    assert by_name["mobile"]["duplicates"] == 2
    assert (by_name["name"]["mojibake"], by_name["name"]["byte_order_marks"]) == (1, 1)
    for row in report.rows():
        assert row["usable"] + row["nulls"] + sum(row["invalid"].values()) == row["rows"]


def test_levels_of_the_waterfall(report: PreflightReport) -> None:
    first, second = report.levels
    assert (first.usable, first.distinct, first.duplicates, first.reached) == (2, 1, 1, 2)
    assert (second.usable, second.distinct, second.reached) == (5, 3, 3)
    assert report.usable == 5
    assert report.as_dict()["levels"][1]["columns"] == ["mobile", "name"]


def test_no_value_is_shown(report: PreflightReport) -> None:
    shown = report.to_text() + repr(report) + json.dumps(report.as_dict(), ensure_ascii=False)
    for value in (CANARY, "138", "张", IDENTITY[:6]):
        assert value not in shown


def test_text_says_what_to_do(report: PreflightReport) -> None:
    text = report.to_text()
    first = "7 rows, 5 with a usable key (71.4%)\nid (identity_number): 2 usable (28.6%)\n"
    assert text.startswith(first)
    assert "  unusable: null or blank 2, wrong length 2, masked 1\n" in text
    assert "  brought to one spelling: 1, 1 with full-width characters\n" in text
    second = "5 usable, 3 distinct (2 rows repeat one), first usable key of 3 rows"
    assert f"key 2 (mobile + name): {second}" in text
    assert "what to do:\n  - id: 1 rows are masked with *" in text
    assert "  - name: 1 rows are garbled" in text


def test_repeated_keys_are_told_of_levels_and_as_the_job_takes_them() -> None:
    table = pa.table({"tel": ["13800138000"] * 20, "name": [f"n{i}" for i in range(20)]})
    kinds = {"tel": "phone", "name": "name"}
    assert preflight(table, [["tel", "name"]], kinds).suggestions == ()
    (told,) = preflight(table, [["tel"]], kinds).suggestions
    assert "the first stands for all" in told
    (told,) = preflight(table, [["tel"]], kinds, duplicates="join").suggestions
    assert "how often" in told


@pytest.mark.parametrize(
    ("values", "kinds", "said"),
    [
        (["91110000600037341L", "91110000600037341l"], {}, 'kinds = { key = "credit_code" }'),
        (
            [IDENTITY] * 3,
            {"key": "credit_code"},
            "looks like identity_number: another column may be meant",
        ),
        (["1.38E+10", "1.39E+10"], {"key": "phone"}, "lost digits as floating-point numbers"),
        ([1.1e17, 2.0], {"key": "number"}, "1 rows lost digits"),
        ([IDENTITY[:-1] + "1"], {"key": "identity_number"}, "wrong check digit"),
        ([1380013800, 13800138000], {"key": "phone"}, "lose leading zeros"),
        ([None, None, IDENTITY], {"key": "identity_number"}, "2 of 3 rows are empty"),
        ([None, None, IDENTITY], {"key": "identity_number"}, "2 rows have no usable key"),
        ([None, None], {"key": "text"}, "empty in all rows"),
        (["9111000060003734"] * 3, {"key": "credit_code"}, "wrong length"),
        (["无", "待补", "91110000600037341L"], {"key": "credit_code"}, "notes in place of a value"),
        (["91110000600037341L", "91110000600037341l"], {"key": "text"}, "looks like credit_code"),
        (["a", "a"], {"key": "text"}, "1 rows repeat an earlier key"),
        (["锟斤拷", "b"], {"key": "name"}, "garbled"),
    ],
)
def test_suggestions(values: list[object], kinds: dict[str, str], said: str) -> None:
    report = preflight(pa.table({"key": values}), [["key"]], kinds)
    assert any(said in text for text in report.suggestions)


@pytest.mark.parametrize(
    ("values", "terms", "said"),
    [
        (["*"], {}, "no row has a usable key: nothing can match"),
        (["1", "1", "2"], {"minimum": 3}, "2 records at most can match, and fewer than 3 end"),
        (["1", "1", "2"], {"minimum": 3, "duplicates": "join"}, ""),
        (["1", "1", "2"], {"minimum": 2}, ""),
        (["1", "2", "2"], {"largest": 1}, "2 different keys; the other party takes 1 a level"),
        (["1", "2", "2"], {"largest": 2}, ""),
    ],
)
def test_what_a_job_cannot_succeed_with(values: list[str], terms: Any, said: str) -> None:
    report = preflight(pa.table({"id": values}), [["id"]], {"id": "number"}, **terms)
    assert bool(report.problems) == bool(said)
    assert report.as_dict()["ok"] is not bool(said)
    assert said in "".join(report.problems)
    told = "the job cannot succeed with this table:\n  - "
    assert (told in report.to_text()) == bool(said)


def test_a_wrong_kind_is_all_that_is_said_of_its_values() -> None:
    table = pa.table({"id_no": ["13800138000"] * 9 + [None]})
    report = preflight(table, [["id_no"]], {"id_no": "identity_number"})
    (told,) = report.suggestions
    assert "id_no: looks like phone" in told


JOB = """
[job]
name = "trial"
purpose = "test"

[[party]]
name = "bank"
table = "bank.t"
keys = [["id"]]

[[party]]
name = "bureau"
table = "bureau.t"
keys = [["id_no"]]

[align]
kinds = [["phone"]]
minimum_overlap = 2
"""


@pytest.mark.parametrize(
    ("rows", "code", "usable"),
    [
        ("13800138000\n13900139000\n1\n", 0, 2),
        ("13800138000\n13800138000\n", 4, 2),
        ("x\ny\n", 4, 0),
    ],
)
def test_exit_code_and_data_for_programs(tmp_path: Path, rows: str, code: int, usable: int) -> None:
    (tmp_path / "job.toml").write_text(JOB)
    (tmp_path / "tables.toml").write_text('[bureau.t]\npath = "t.csv"\n')
    (tmp_path / "t.csv").write_text("id_no\n" + rows)
    words = ["preflight", str(tmp_path / "job.toml"), "--tables", str(tmp_path / "tables.toml")]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == code
    (found,) = json.loads(done.output)
    assert (found["party"], found["table"]) == ("bureau", "bureau.t")
    assert (found["ok"], found["usable"]) == (code == 0, usable)
    plain = CliRunner().invoke(app, words)
    assert plain.exit_code == code
    assert plain.output.startswith("bureau: bureau.t\n")
    assert ("the job cannot succeed" in plain.output) == (code == 4)


def test_a_job_that_matches_no_rows_has_no_keys_to_check(tmp_path: Path) -> None:
    head, *_ = JOB.split("[align]")
    for keys in ('keys = [["id"]]', 'keys = [["id_no"]]'):
        head = head.replace(keys, 'features = ["a"]')
    train = '[train]\ntask = "t"\nsplit = "horizontal"\nlabel = "y"\n'
    (tmp_path / "job.toml").write_text(head + train)
    (tmp_path / "tables.toml").write_text('[bureau.t]\npath = "t.csv"\n')
    words = ["preflight", str(tmp_path / "job.toml"), "--tables", str(tmp_path / "tables.toml")]
    assert "no [[party]] keys to check" in str(CliRunner().invoke(app, words).exception)


def test_a_clean_column_needs_no_advice() -> None:
    table = pa.table({"id": [str(i) for i in range(1, 50)]})
    report = preflight(table, [["id"]], {"id": "number"})
    assert report.suggestions == ()
    lines = report.to_text().splitlines()
    assert (lines[0], lines[-1]) == ("49 rows, 49 with a usable key (100%)", "nothing to mend")
    accents = pa.table({"name": ["José Ñandú", "Zoë Ångström", "张三"]})
    assert preflight(accents, [["name"]], {"name": "name"}).suggestions == ()


def test_wrong_calls() -> None:
    table = pa.table({"id": ["1"]})
    with pytest.raises(MisuseError, match="at least 1 in every level"):
        preflight(table, [[]], {})
    with pytest.raises(InputError, match="empty"):
        preflight(table.slice(0, 0), [["id"]], {})
    with pytest.raises(InputError, match="no key column 'ids'"):
        preflight(table, [["ids"]], {})
    with pytest.raises(MisuseError, match="allowed: identity_number"):
        preflight(table, [["id"]], {"id": "idcard"})


def test_a_column_that_holds_no_keys_is_named() -> None:
    table = pa.table({"flag": [True, False]})
    with pytest.raises(InputError, match="key column 'flag' as text: found a column of type bool"):
        preflight(table, [["flag"]], {})
    broken = pa.array([b"\xff", b"a"]).cast(pa.string(), safe=False)
    damaged = pa.table({"id": pa.Array.from_buffers(pa.string(), 2, broken.buffers())})
    with pytest.raises(
        InputError, match="key column 'id' as name: found text that is not valid utf-8"
    ):
        preflight(damaged, [["id"]], {"id": "name"})
