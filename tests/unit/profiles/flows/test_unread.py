"""What cannot be used is counted by its reason, and shown by how it is written, not by a value."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from profiles.flows.check import check_flows
from profiles.flows.flows import Flows
from profiles.language import language
from profiles.language.recognised import recognised
from psi.protocol.errors import InputError
from tests.unit.profiles.flows.made import flows_of, rows_of, tables_file

TWICE = """1,A,2024-01-31,5,C,CNY,x
1,A,2024-01-31,5,C,CNY,other words
2,A,2024-01-31,5,C,CNY,x
2,A,2024-01-31,6,C,CNY,x
3,A,2024-01-31,5,C,CNY,x
3,D,2024-01-31,5,D,CNY,x
4,A,2024-01-31,abc,C,CNY,x
4,A,2024-01-31,7,C,CNY,x
"""


def test_an_id_with_other_content_is_told_apart_from_a_repeated_row(tmp_path: Path) -> None:
    flows = Flows.load(tables_file(tmp_path, TWICE))
    found = check_flows(flows)
    assert found.refused["bank.tx"] == {
        "this id came before, with another account, amount, direction or day": 2,
        "no amount, or none that can be read": 1,
        "this row came before": 1,
    }
    assert rows_of(flows.base.good, "id", "minor") == [
        ("1", 500),
        ("2", 500),
        ("3", 500),
        ("4", 700),
    ]
    assert any("id: 2 rows have the id of another transaction" in note for note in found.notes)
    both = tables_file(tmp_path, TWICE, id='id = ["id", "acct"]')
    found = check_flows(Flows.load(both))
    assert (
        found.refused["bank.tx"][
            "this id came before, with another account, amount, direction or day"
        ]
        == 1
    )
    good = Flows.load(both).base.good
    assert [i for (i,) in rows_of(good, "id")] == ["1/A", "2/A", "3/A", "3/D", "4/A"]


def test_what_cannot_be_read_is_shown_by_how_it_is_written() -> None:
    amounts = ["12.345.678,90", "98.765.432,10", "９９ 万元", "张三", "", "1e5", "5"]
    rows = [
        {"id": str(i), "account": "A", "time": "2026-06-30", "amount": amount}
        for i, amount in enumerate(amounts)
    ]
    rows.append({"id": "t", "account": "A", "time": "30/06/2026", "amount": "5"})
    table = pa.table({name: [row[name] for row in rows] for name in rows[0]})
    found = check_flows(Flows.of(table))
    (reasons,) = found.refused.values()
    assert reasons == {
        "no amount, or none that can be read": 6,
        "no day, or none that can be read": 1,
    }
    amount, time = found.notes
    assert amount == (
        "transactions amount: what cannot be read is written (9 for figures, a and 字 for letters) "
        "'99.999.999,99' 2, '' 1, '9a9' 1, "
        "'字' 1, '９９ 字' 1"
    )
    assert "'yyyy-mm-dd' does not read" in time
    assert time.endswith("letters) '99/99/9999' 1")


def test_eight_figures_are_no_year_and_counted_days_are_pointed_out(tmp_path: Path) -> None:
    times = ["20260630", "2026", "45931", "45931.0", "6217000011112222"]  # no form reads them
    rows = [{"id": str(i), "account": "A", "time": t, "amount": 1.0} for i, t in enumerate(times)]
    written, counted, _ = check_flows(flows_of(rows)).notes
    for shape in ("'99999999' 1", "'9999' 1", "'99999' 1", "'99999999…' 1"):
        assert shape in written
    assert counted == (
        "transactions time: 2 are whole numbers from 30,000 to 60,000: where a spreadsheet has "
        'counted days (45931 is 2025-10-01), dates = { "time" = "excel" } in '
        "[given.transactions] reads them"
    )
    file = tables_file(tmp_path, "1,A,45931,5,C,CNY,x\n2,A,45932,5,C,CNY,x\n")
    text = file.read_text("utf-8")
    assert any('= "excel" } in [bank.tx]' in note for note in check_flows(Flows.load(file)).notes)
    declared = 'path = "tx.csv"\ndates = { day = "excel" }'
    file.write_text(text.replace('path = "tx.csv"', declared).replace(', day = "string"', ""))
    found = check_flows(Flows.load(file))
    assert (found.first, found.last) == ("2025-10-01", "2025-10-02")
    (tmp_path / "acc.csv").write_text("acct,cust,kind,opened,closed\nA,1,P,43831,\n")
    notes = check_flows(Flows.load(file)).notes
    assert any("accounts] opened: 1 are whole numbers from 30,000" in note for note in notes)
    assert all(recognised(note, "flow_note") for note in (counted, *notes))


def test_many_codes_are_counted_and_only_common_ones_named() -> None:
    codes = [f"K{i}" for i in range(9) for _ in range(20 - i)] + ["张三", "李四", "王"]
    rows = [
        {"id": str(i), "account": "A", "time": "2026-06-30", "amount": 1.0, "direction": code}
        for i, code in enumerate(codes)
    ]
    flows = flows_of(rows, inward=("C",), outward=("D",))
    (note,) = check_flows(flows).notes
    assert "'K0' 20, 'K1' 19" in note
    assert "K8" not in note
    assert note.endswith("'K7' 13; 4 more on 15 rows, 12 at most each, written 'a9' 12, '字' 3")
    assert "张" not in note


@pytest.mark.parametrize("key", ["text", "amount", "account"])
def test_a_column_of_lists_or_bytes_is_refused_by_its_name(key: str) -> None:
    columns = {
        "id": ["1"],
        "account": ["A"],
        "time": ["2026-06-30"],
        "amount": [1.0],
        "text": ["x"],
    }
    for odd, said in (
        (pa.array([["a", "b"]]), "several values in one"),
        (pa.array([b"x"]), "bytes"),
    ):
        flows = Flows.of(pa.table({**columns, key: odd}))
        with pytest.raises(InputError, match=f"transactions: column '{key}' holds {said}") as error:
            _ = flows.base
        assert "view" in error.value.hint


def test_a_shape_in_each_form_of_dates_keeps_its_marks() -> None:
    given = flows_of([{"id": "1", "account": "A", "time": "30.06.2026 20:15", "amount": 1.0}])
    (source,) = given.settings.sources
    settings = replace(given.settings, sources=(replace(source, dates="yyyymmdd"),))
    (note,) = check_flows(Flows(settings, given.engine)).notes
    assert note.endswith("letters) '99.99.9999 99:99' 1")


def test_what_check_says_is_said_in_chinese_too(tmp_path: Path) -> None:
    rows = (
        TWICE
        + "5,A,2024-01-31T10:00Z,5,C,CNY,x\n6,A,2024-13-31,5,C,CNY,x\n7,A,2024-01-31,5,Q,CNY,x\n"
    )
    found = check_flows(Flows.load(tables_file(tmp_path, rows)))
    assert len(found.notes) == 5
    lines = found.lines(2, language("zh"))
    assert lines[0] == "流水 f，合计单位 CNY"
    assert "  bank.tx: 流水号重复，而账号、金额、方向或日期不同: 2" in lines
    said = [line for line in lines if line.strip()]
    assert [one for one in said if not any("\u4e00" <= c <= "\u9fff" for c in one)] == []
