"""A workbook keeps digits, leading zeros and signs as they are, and runs nothing."""

from __future__ import annotations

import datetime
import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pyarrow as pa
import pytest

from profiles import spreadsheet
from profiles.spreadsheet import no_workbook, write_workbook
from psi.protocol import EnvironmentFailed
from tests.unit.test_full_disk import full_after

CARDS = ["6222020000000000001", "000123", "=cmd()", "+49 30", "a, b; c", None]
TABLE = pa.table(
    {
        "card": CARDS,
        "long": pa.array([110105194912310021, 1, 2, 3, 4, None]),
        "short": pa.array([1, 2, 3, 4, 5, None]),
        "score": [0.123456789, 1.0, 0.5, float("nan"), 0.0, None],
        "matched": [True, False, None, True, True, True],
        "reasons": [["=x", "y"], [], None, ["z"], ["z"], ["z"]],
        "day": [datetime.date(2026, 1, 2)] * 6,
    }
)
SPACE = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def cells(path: Path) -> list[list[tuple[str, str]]]:
    """(type, text) of each cell, row by row: "s" text, "b" boolean, "n" number, "f" formula."""
    with zipfile.ZipFile(path) as book:
        sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))  # noqa: S314
    rows = []
    for row in sheet.iter(f"{SPACE}row"):
        found = {}
        for cell in row.iter(f"{SPACE}c"):
            column = re.sub(r"\d", "", cell.get("r", ""))
            kind = "f" if cell.find(f"{SPACE}f") is not None else cell.get("t", "n")[-1]
            text = "".join(cell.itertext())
            found[column] = ("s" if kind == "r" else kind, text)
        rows.append([found.get(letter, ("", "")) for letter in "ABCDEFG"])
    return rows


def test_every_cell_is_what_it_was(tmp_path: Path) -> None:
    assert write_workbook(TABLE, tmp_path / "t.xlsx")
    head, *rows = cells(tmp_path / "t.xlsx")
    assert [text for _, text in head] == TABLE.column_names
    assert [row[0] for row in rows[:5]] == [("s", text) for text in CARDS[:5]]
    assert rows[0][1] == ("s", "110105194912310021")
    assert rows[0][2] == ("n", "1")
    assert rows[0][3] == ("n", "0.123457")
    assert rows[0][4] == ("b", "1")
    assert rows[0][5] == ("s", "=x; y")
    assert rows[0][6] == ("s", "2026-01-02")
    assert rows[5][:4] == [("", "")] * 4
    assert "f" not in {kind for row in rows for kind, _ in row}
    assert (tmp_path / "t.xlsx").stat().st_mode & 0o777 == 0o600


def test_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_workbook(TABLE, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_nobody_pages_through_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheet, "_SHEET_ROWS", 5)
    assert not write_workbook(TABLE, tmp_path / "t.xlsx")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told_and_leaves_the_old_workbook_and_nothing_beside(
    tmp_path: Path,
) -> None:
    path = tmp_path / "t.xlsx"
    path.write_text("earlier")
    with (
        full_after(500),
        pytest.raises(EnvironmentFailed, match=r"t\.xlsx: File too large") as told,
    ):
        write_workbook(TABLE, path)
    assert "make room" in told.value.hint
    assert path.read_text() == "earlier"
    assert [entry.name for entry in tmp_path.iterdir()] == ["t.xlsx"]


def test_digits_stay_text_where_a_cell_is_edited_and_are_not_marked_as_a_slip(
    tmp_path: Path,
) -> None:
    """A spreadsheet offered to make numbers of 19 digits, and did so when a cell was touched."""
    assert write_workbook(TABLE, tmp_path / "t.xlsx")
    with zipfile.ZipFile(tmp_path / "t.xlsx") as book:
        sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))  # noqa: S314
        styles = ElementTree.fromstring(book.read("xl/styles.xml"))  # noqa: S314
    formats = [one.get("numFmtId") for one in next(styles.iter(f"{SPACE}cellXfs"))]
    given = {one.get("r"): one for one in sheet.iter(f"{SPACE}c")}
    as_text = "49"  # the number of the format @ in every workbook
    assert all(formats[int(given[cell].get("s", "0"))] == as_text for cell in ("A2", "A3", "B2"))
    assert formats[int(given["C2"].get("s", "0"))] != as_text
    (ignored,) = sheet.iter(f"{SPACE}ignoredError")
    assert (ignored.get("sqref"), ignored.get("numberStoredAsText")) == ("A1:G7", "1")


def test_a_run_says_once_that_workbooks_need_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("profiles.spreadsheet.find_spec", lambda name: object())
    assert no_workbook() == ""
    monkeypatch.setattr("profiles.spreadsheet.find_spec", lambda name: None)
    assert "fedprofile[spreadsheet]" in no_workbook()
