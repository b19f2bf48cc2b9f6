"""Files as people send them: read as they are written, or refused with a line and what to do."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from federated.tables.bindings import TablesFile
from federated.tables.column_report import columns_taken
from federated.tables.preflight import preflight
from federated.tables.source import MemorySource
from psi.protocol import InputError

LINES = [f"{i:06d},city {i % 3},{i}.5" for i in range(60)]
HEAD = "id,city,amount"


def load(folder: Path, text: str | bytes) -> pa.Table:
    data = text.encode() if isinstance(text, str) else text
    (folder / "t.csv").write_bytes(data)
    (folder / "tables.toml").write_text('[bank.t]\npath = "t.csv"\n')
    table = TablesFile.load(folder / "tables.toml")["bank.t"]
    return table.load(["id", "city", "amount"], keys=["id"])


def whole(*lines: str) -> str:
    return "\n".join([*lines, ""])


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (whole(HEAD, *(f"{line}," for line in LINES)), "line 2 has 4 fields", "add one there"),
        (whole("Report", "by Ann", "", HEAD, *LINES), "line 4 has 3 fields", "is line 4 the head"),
        (whole(HEAD, *LINES).encode() + b"\0" * 99, "line 62 has 1 fields", "NUL or end"),
        (whole(HEAD, *LINES, '1,"Foo" Inc,2'), "line 62: text follows a closing", "double quotes"),
        (
            whole(HEAD, *LINES, r'1,"the \"Foo\" company",2'),
            "line 62: text follows a closing quote",
            r'set escape = "\\"',
        ),
        (
            whole(HEAD, *LINES).replace("city 0", "Köln").encode("latin-1"),
            "from line 2 on",
            'try encoding = "windows-1252"',
        ),
        (
            whole(HEAD, *LINES).replace("city 0", "北京").encode("gbk"),
            "from line 2 on",
            'try encoding = "gbk"',
        ),
        (whole(HEAD, *LINES).encode("utf-16-be"), "mostly NUL", 'encoding = "utf-16-be"'),
        (whole(HEAD, *LINES).encode("utf-16-le"), "mostly NUL", 'encoding = "utf-16-le"'),
        (whole(HEAD, *LINES).encode("utf-32"), "not utf-8 text", 'encoding = "utf-32"'),
        (whole(HEAD, *LINES, "\x1a"), "line 62 has 1 fields", "NUL or end"),
        (whole(HEAD, *LINES, "only,two"), "line 62 has 2 fields", "check delimiter"),
        (
            whole(HEAD, *LINES).replace("city 0", "Köln").encode()
            + whole(*LINES).replace("city", "Zürich").encode("latin-1"),
            "from line 62 on, and is before",
            "mixes encodings",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    tmp_path: Path, text: str | bytes, message: str, hint: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load(tmp_path, text)
    assert hint in caught.value.hint


def test_a_delimiter_added_to_the_header_as_advised_reads_the_file(tmp_path: Path) -> None:
    found = load(tmp_path, whole(f"{HEAD},", *(f"{line}," for line in LINES)))
    assert found.num_rows == len(LINES)
    assert found.column("id")[7].as_py() == "000007"


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_first_line_that_is_a_row_is_not_shown(tmp_path: Path, mark: str) -> None:
    row = f"110105194912310021{mark}Ann Canary{mark}17.5"
    with pytest.raises(InputError, match="no column 'id'") as caught:
        load(tmp_path, whole(row, *(line.replace(",", mark) for line in LINES)))
    assert "put a header above it" in caught.value.hint
    assert "Canary" not in caught.value.hint
    assert "1101" not in caught.value.hint


def report(**columns: list[str]) -> str:
    table = MemorySource({"p.t": pa.table(columns)}).load("p.t", list(columns), keys=["id"])
    return " ".join(preflight(table, [["id"]], {"id": "text"}).suggestions)


def test_keys_as_spreadsheets_leave_them_are_pointed_at() -> None:
    plain = [f"{i:06d}" for i in range(50)]
    assert report(id=plain) == ""
    assert "50 rows are written for a spreadsheet" in report(id=[f'="{one}"' for one in plain])
    assert "50 rows are written for a spreadsheet" in report(id=[f"'{one}" for one in plain])
    assert "50 rows hold NUL" in report(id=[f"{one}\0" for one in plain])
    lost = report(id=[str(i + 1) for i in range(50)])
    assert "numbers of 1 to 2 digits without a leading zero" in lost
    assert report(id=[str(1000 + i) for i in range(50)]) == ""


def test_advice_is_for_what_a_column_is_used_for() -> None:
    """A fact is carried as it is: nobody has to declare it. Numbers in text are no categories."""
    table = pa.table(
        {
            "code": [f"{i:06d}" for i in range(300)],
            "amount": [f"{i}.50" for i in range(299)] + ["99999999999.5"],
            "note": ["ok\0"] * 300,
        }
    )
    loaded = MemorySource({"p.t": table}).load("p.t", table.column_names)
    roles = {"code": ["key", "fact"], "amount": ["feature"], "note": ["fact"]}
    told = {one.column: " ".join(one.wrong) for one in columns_taken(loaded, roles)}
    assert told["code"] == ""
    assert "categories" not in told["amount"]
    assert "far beyond all others" in told["amount"]
    assert "300 rows hold NUL" in told["note"]
    bare = {one.column: " ".join(one.wrong) for one in columns_taken(loaded, {"code": []})}
    assert "leading zeros" in bare["code"]


def test_days_as_a_spreadsheet_counts_them(tmp_path: Path) -> None:
    """Day 60 is a 29 February 1900 that was not; a time of day, or other text, is no day."""
    found = ["45931", "45931.0", "61", "60", "2958465", "2958466", "45931.25", "2025-10-01", ""]
    (tmp_path / "t.csv").write_text(whole("id,d", *(f"c{i},{d}" for i, d in enumerate(found))))
    for pattern, columns in (('"excel"', ["d"]), ('"Excel"', ["d", "id"])):
        text = f'[bank.t]\npath = "t.csv"\ndates = {{ d = {pattern} }}\n'
        (tmp_path / "tables.toml").write_text(text)
        days = TablesFile.load(tmp_path / "tables.toml")["bank.t"].load(columns).column("d")
        assert days.to_pylist() == [
            "2025-10-01", "2025-10-01", "1900-03-01", "60", "9999-12-31", "2958466", "45931.25",
            "2025-10-01", None,
        ]  # fmt: skip


@pytest.mark.parametrize("given", ["{%s}", "urn:uuid:%s"])
def test_uuids_in_braces_are_pointed_at(given: str) -> None:
    ids = [given % f"f02109ad-4ff0-4958-99aa-4c154f19a7{i:02x}" for i in range(50)]
    report = preflight(pa.table({"id": ids}), [["id"]], {"id": "text"})
    assert any("50 rows are written" in text and "UUID" in text for text in report.suggestions)


def test_texts_that_hide_numbers_or_days_are_no_categories_in_silence(tmp_path: Path) -> None:
    """Each would be pooled into one category, and the column be gone from the model."""
    lines = [f'{i:06d}, "{i}.5",{2001 + i // 9}/{i % 9 + 1}/5,="{i}.5"' for i in range(90)]
    (tmp_path / "t.csv").write_text(whole("id,quoted,day,formula", *lines).replace('="', "='"))
    (tmp_path / "tables.toml").write_text('[bank.t]\npath = "t.csv"\n')
    table = TablesFile.load(tmp_path / "tables.toml")["bank.t"].load()
    roles = {name: ["feature"] for name in ("quoted", "formula", "day")}
    told = {one.column: one for one in columns_taken(table, roles)}
    for name in ("quoted", "formula"):
        assert told[name].problem
        assert "90 different numbers in quotes" in " ".join(told[name].wrong)
    assert "90 different dates, each taken for a category" in " ".join(told["day"].wrong)


def test_a_table_without_columns_or_rows_says_what_to_see(tmp_path: Path) -> None:
    for columns, message in (({}, "no column 'id'"), ({"id": pa.array([], "string")}, "is empty")):
        pq.write_table(pa.table(columns), tmp_path / "t.parquet")
        (tmp_path / "tables.toml").write_text('[bank.t]\npath = "t.parquet"\n')
        with pytest.raises(InputError, match=message) as caught:
            TablesFile.load(tmp_path / "tables.toml")["bank.t"].load(["id"])
        assert "see whether the export ended well" in caught.value.hint
