"""CSV as people and programs write it: all rows as they are, or a line with what is wrong."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import random
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from federated.readers.csv_file import CsvReader
from federated.readers.scan import Scanner
from federated.tables.bindings import Table, TablesFile
from psi.protocol import InputError

CANARY = "CANARY7Q"
Bind = Callable[..., Table]


@pytest.fixture
def bind(tmp_path: Path) -> Bind:
    def write(data: bytes | str, settings: str = "", name: str = "data.csv") -> Table:
        content = data.encode() if isinstance(data, str) else data
        (tmp_path / name).write_bytes(content)
        (tmp_path / "tables.toml").write_text(f'[bank.t]\npath = "{name}"\n{settings}\n')
        return TablesFile.load(tmp_path / "tables.toml")["bank.t"]

    return write


def lines(count: int) -> list[str]:
    return ["id,v,name", *(f"c{i:06d},{i},name number {i}" for i in range(count))]


@pytest.mark.parametrize(("count", "at"), [(1000, 500), (60_000, 40_000), (100_000, 10)])
def test_a_quote_that_never_closes_is_named_by_its_line(bind: Bind, count: int, at: int) -> None:
    text = lines(count)
    text[at + 1] = f'c{at:06d},{at},"{CANARY} Trading'
    with pytest.raises(InputError, match=rf"line {at + 2}: a quote opens and never clos") as caught:
        bind("\n".join(text)).load(["id"])
    assert CANARY not in str(caught.value)
    with pytest.raises(InputError, match=rf"line {at + 2}"):
        bind("\n".join(text)).load()


def test_a_quote_that_swallows_lines_and_closes_later(bind: Bind) -> None:
    for end in ('x,"Smith, John"', 'x,9,Hotel "Ritz" Paris', 'x,9,Ritz"'):
        text = lines(40)
        text[10] = 'c,9,"Golden Gate'
        text[20] = end
        with pytest.raises(InputError, match="line 11: a quote opens and closes within line 21"):
            bind("\n".join(text)).load(["id"])
    held = bind('id,note\n1,"first\n\nthird, of three"\n2,"a\nb\nc\nd"\n').load()
    assert held["note"].to_pylist() == ["first\n\nthird, of three", "a\nb\nc\nd"]


def test_the_advice_on_quotes_helps(bind: Bind) -> None:
    text = "\n".join(["id\tname", '1\t"Golden Gate', '2\tb"c', ""])
    with pytest.raises(InputError, match=r'line 2.*set quote = ""'):
        bind(text, 'delimiter = "\\t"').load()
    found = bind(text, 'delimiter = "\\t"\nquote = ""').load()
    assert found["name"].to_pylist() == ['"Golden Gate', 'b"c']
    escaped = 'id,name\n1,"a \\"b, c\\" d"\n2,x\n'
    with pytest.raises(InputError, match=r'line 2 has 3 fields.*set escape = "\\\\"'):
        bind(escaped).load()
    assert bind(escaped, 'escape = "\\\\"').load()["name"].to_pylist() == ['a "b, c" d', "x"]


def test_lines_are_those_that_an_editor_shows(bind: Bind) -> None:
    text = 'id,name\r\n\r\n1,"a\r\nb"\r\n\r\n2,x,y\r\n3\r\n'
    with pytest.raises(InputError, match="line 6 has 3 fields, the header 2; 2 such lines in all"):
        bind(text).load()


@pytest.mark.parametrize("row", [0, 70])
def test_a_field_of_three_megabytes(bind: Bind, row: int) -> None:
    text = ["id,scan,v"] + [f"{i},{'A' * 3_000_000 if i == row else 'B'},{i}" for i in range(100)]
    found = bind("\n".join(text)).load(["v", "id"])
    assert found["v"].to_pylist() == list(range(100))
    assert len(bind("\n".join(text)).load(["scan"])["scan"][row].as_py()) == 3_000_000


def _zip(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(name, "id\n1\n")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "name", "said"),
    [
        (_zip("t.csv"), "t.csv.zip", "is a zip archive"),
        (_zip("t.csv"), "t.csv", "is a zip archive"),
        (_zip("xl/workbook.xml"), "t.xlsx", "an Excel workbook.*save it as CSV"),
        (_zip("content.xml"), "t.ods", "OpenDocument"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "t.xls", "an Excel workbook"),
        (b"<html><table><tr><td>1</td></tr></table>", "t.xls", "a web page"),
        (b'{"id": 1}\n{"id": 2}\n', "t.jsonl", "is JSON"),
        (b'[\n {"id": 1}]', "t.csv", "is JSON"),
        (b"SQLite format 3\0" + bytes(90), "t.csv", "sqlite:///"),
        (b"%PDF-1.7", "t.csv", "a PDF"),
        (b"\xfd7zXZ\x00abc", "t.csv.xz", "xz"),
        (b"id\n1\n", "t.csv.gz", "not compressed as its name says"),
        (gzip.compress(b"id\n1\n" * 1000)[:-20], "t.csv.gz", "cut off"),
        (b"sep=;\nid;v\n1;2\n", "t.csv", "sep=.*delete that line"),
        ("id,v\n1,2\n".encode("utf-16-le"), "t.csv", "utf-16-le"),
    ],
)
def test_other_files_are_told_as_what_they_are(
    bind: Bind, data: bytes, name: str, said: str
) -> None:
    with pytest.raises(InputError, match=said) as caught:
        bind(data, name=name).load(["id"])
    assert caught.value.__cause__ is None


def test_databases_bound_as_files(bind: Bind, tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "a.db").execute("create table t (x)").connection.commit()
    duckdb.connect(str(tmp_path / "b.db")).execute("create table t (x int)").close()
    for name in ("a.db", "b.db"):
        with pytest.raises(InputError, match="bind it by connection"):
            bind((tmp_path / name).read_bytes(), name=name).load()


def test_compressed_by_content_whatever_the_name(bind: Bind) -> None:
    two = gzip.compress(b"id,v\n1,2\n") + gzip.compress(b"3,4\n")
    assert bind(two, name="data.csv").load().to_pydict() == {"id": [1, 3], "v": [2, 4]}
    assert bind(bz2.compress(b"id\n7\n"), name="d.bz2").load().to_pydict() == {"id": [7]}
    tabs = gzip.compress(b"id\tv\n1\t2\n")
    assert bind(tabs, name="t.tsv.gz").load().to_pydict() == {"id": [1], "v": [2]}


def test_parquet_by_content_whatever_the_name(bind: Bind, tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1]}), tmp_path / "x.parquet")
    assert bind((tmp_path / "x.parquet").read_bytes(), name="part-0").load()["id"].to_pylist() == [
        1
    ]


@pytest.mark.parametrize("seed", range(40))
def test_records_as_another_reader_has_them(bind: Bind, seed: int) -> None:
    """Random tables written by Python's csv: no record more or less, no character changed."""
    rng = random.Random(seed)
    pieces = ["a", "7", ",", '"', "\n", "\r\n", " ", "é", "张", '""', ";", "x,y", "", "\\"]
    rows = [
        [f"k{i}"] + ["".join(rng.choices(pieces, k=rng.randrange(5))) for _ in range(3)]
        for i in range(rng.randrange(1, 60))
    ]
    text = io.StringIO()
    ends = rng.choice(["\n", "\r\n"])
    writer = csv.writer(text, lineterminator=ends)
    if rng.random() < 0.5:
        writer = csv.writer(text, lineterminator=ends, quoting=csv.QUOTE_ALL)
    writer.writerows([["k", "a", "b", "c"], *rows])
    table = bind(text.getvalue(), "nulls = []\n" + 'types = { a = "string" }')
    try:
        found = table.load(["k", "a", "b", "c"], keys=["k", "a", "b", "c"]).to_pylist()
    except InputError as error:
        # Only where a quoted text has lines that are all like records is a good file refused.
        if "closes within" not in error.message:
            raise
        return
    want = [[cell if cell.strip() else None for cell in row] for row in rows]
    assert [list(row.values()) for row in found] == want


@pytest.mark.parametrize("block", [1, 2, 3, 7, 1000])
def test_a_scan_does_not_depend_on_its_blocks(block: int) -> None:
    data = b'a,b\r\n1,"x\r\ny"\r\n\r\n2,3,4\r\n\r\n7,""\n"a""b" ,c\n\n8,"open\n9,1\n'
    whole, parts = Scanner(","), Scanner(",")
    whole.feed(data)
    for at in range(0, len(data), block):
        parts.feed(data[at : at + block])
    assert parts.done() == whole.done()


def test_codes_keep_their_zeros_and_numbers_are_numbers(bind: Bind) -> None:
    text = "code,n,f,v,big,sci,blank,word\n0123,1,1.5,1.10,12345678901234567890,1E5,,NA\n"
    text += "4567,-2,.25,1.1,1,2E5,,5\n"
    found = bind(text).load().to_pydict()
    assert found == {
        "code": ["0123", "4567"], "n": [1, -2], "f": [1.5, 0.25], "v": ["1.10", "1.1"],
        "big": ["12345678901234567890", "1"], "sci": ["1E5", "2E5"], "blank": [None, None],
        "word": [None, 5],
    }  # fmt: skip


def test_a_quote_that_a_block_ends_within_is_no_open_quote(
    bind: Bind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names of the columns need no more than the file's first block."""
    monkeypatch.setattr("federated.readers.csv_file._BLOCK", 16)
    table = bind('id,job\n1,"self-employed"\n2,"retired"\n')
    assert table.columns() == ["id", "job"]
    assert table.load(["job"]).column("job").to_pylist() == ["self-employed", "retired"]


def test_advice_where_the_header_is_another_than_the_lines(bind: Bind) -> None:
    """Each hint is the one that helps: it is applied here, and the file is read."""
    semicolons = "id;v\n1;2,5\n2;3,5\n3;4,5\n"
    with pytest.raises(InputError) as caught:
        bind(semicolons).load()
    assert "set delimiter = ';' in tables.toml" in str(caught.value.hint)
    found = bind(semicolons, 'delimiter = ";"\ndecimal = ","').load()
    assert found["v"].to_pylist() == [2.5, 3.5, 4.5]
    titled = "Export of 2 January\nid,v\n1,2\n2,3\n3,4\n"
    with pytest.raises(InputError) as caught:
        bind(titled).load()
    assert "is line 2 the header? delete the lines above it" in str(caught.value.hint)
    assert bind(titled.split("\n", 1)[1]).load()["v"].to_pylist() == [2, 3, 4]
    trailing = "id,v\n1,2,\n2,3,\n"
    with pytest.raises(InputError) as caught:
        bind(trailing).load()
    assert "each line ends in ',' and the header does not" in str(caught.value.hint)
    assert bind(trailing.replace("id,v", "id,v,")).load()["v"].to_pylist() == [2, 3]


def test_the_header_of_a_wide_table_is_read_a_few_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was read once for each column: `plan` of 2,000 columns took minutes."""
    names = [f"c{n}" for n in range(500)]
    (tmp_path / "t.csv").write_text("\n".join([",".join(names), *[",".join(["1"] * 500)] * 3]))
    (tmp_path / "tables.toml").write_text('[bank.t]\npath = "t.csv"\n')
    read, header = list[int](), CsvReader._header

    def counted(self: CsvReader, line: bytes) -> list[str]:
        read.append(1)
        return header(self, line)

    monkeypatch.setattr(CsvReader, "_header", counted)
    assert TablesFile.load(tmp_path / "tables.toml")["bank.t"].load(names).num_columns == 500
    assert len(read) < 10
