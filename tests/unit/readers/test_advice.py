"""Advice that the program prints makes its error go away: each is applied here."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from federated.readers.advice import how_to_read
from federated.readers.numbers import Spelling, spelled
from federated.tables.bindings import TablesFile
from federated.tables.encoding import Encoder
from federated.tables.inferred import mark, refuse_unclear
from federated.tables.matrix import numeric_matrix
from federated.tables.preflight import preflight
from federated.tables.source import FileSource
from psi.protocol import InputError

ROWS = 400
RNG = np.random.default_rng(3)
AMOUNT = np.round(20_000 + 5_000 * RNG.normal(size=ROWS), 2)

WIDE = {ord(mark): 0xFEE0 + ord(mark) for mark in "0123456789,.%-"}
RATE = np.round(AMOUNT / 1000, 3)


def swapped(text: str) -> str:
    return text.translate(str.maketrans(",.", ".,"))


WRITTEN = {
    "1,234.50": ([f"{a:,.2f}" for a in AMOUNT], AMOUNT),
    "1.234,50": ([swapped(f"{a:,.2f}") for a in AMOUNT], AMOUNT),
    "5,30": ([f"{a / 1000:.2f}".replace(".", ",") for a in AMOUNT], np.round(AMOUNT / 1000, 2)),
    "1 234.50": ([f"{a:,.2f}".replace(",", " ") for a in AMOUNT], AMOUNT),
    "1'234.50": ([f"{a:,.2f}".replace(",", "'") for a in AMOUNT], AMOUNT),
    "12.5%": ([f"{r:.3f}%" for r in RATE], RATE / 100),
    "12,5 %": ([f"{r:.1f} %".replace(".", ",") for r in RATE],
               np.array([float(f"{r:.1f}") / 100 for r in RATE])),
    "¥1,234": ([f"¥{a:,.0f}" for a in AMOUNT], np.round(AMOUNT)),
    "€30.000,50": (["€" + swapped(f"{a:,.2f}") for a in AMOUNT], AMOUNT),
    "1234.5元": ([f"{a:.2f}元" for a in AMOUNT], AMOUNT),
    "CNY 1,234.50": ([f"CNY {a:,.2f}" for a in AMOUNT], AMOUNT),
    "(1,234.50)": ([f"(${a:,.2f})" for a in AMOUNT], -AMOUNT),
    "full-width": ([f"{a:,.2f}".translate(WIDE) for a in AMOUNT], AMOUNT),
    "full-width %": ([f"-{r:.3f}%".translate(WIDE) for r in RATE], -RATE / 100),
    "U+2212": ([f"{20_000 - a:.2f}".replace("-", "\u2212") for a in AMOUNT], 20_000 - AMOUNT),
    "en dash": ([f"\u2013${a:,.2f}" for a in AMOUNT], -AMOUNT),
    "with gaps": ([("-", "?", f"{a:.2f}")[min(i % 9, 2)] for i, a in enumerate(AMOUNT)],
                  np.array([np.nan if i % 9 < 2 else a for i, a in enumerate(AMOUNT)])),
    "gaps and commas": ([("k.A.", "NA", f"{a:,.2f}")[min(i % 9, 2)] for i, a in enumerate(AMOUNT)],
                        np.array([np.nan if i % 9 < 2 else a for i, a in enumerate(AMOUNT)])),
}  # fmt: skip


def source(
    folder: Path, column: list[str], name: str, more: str = "", kind: str = "csv"
) -> FileSource:
    cells = "".join(f'"{i}","{text}"\n' for i, text in enumerate(column))
    (folder / "t.csv").write_text(f'"id","{name}"\n' + cells, encoding="utf-8")
    rows = pa.table({"id": [str(i) for i in range(len(column))], name: column})
    pq.write_table(rows, folder / "t.parquet")
    (folder / "tables.toml").write_text(f'[p.t]\npath = "t.{kind}"\n{more}\n', encoding="utf-8")
    return FileSource(TablesFile.load(folder / "tables.toml"))


def said(hint: str) -> list[str]:
    """The keys of tables.toml that a hint names, as lines, for its first way."""
    first = hint.split(" or ", maxsplit=1)[0].split("; to take it", maxsplit=1)[0]
    return re.findall(r"\w+ = \{ [^}]*\}", first)


def merged(keys: list[str]) -> str:
    assert keys
    tomllib.loads("\n".join(keys))
    return "\n".join(keys)


@pytest.mark.parametrize(("name", "kind"), [("amount", "csv"), ("贷款 余额", "parquet")])
@pytest.mark.parametrize("form", WRITTEN)
def test_numbers_written_for_people(form: str, name: str, kind: str, tmp_path: Path) -> None:
    column, want = WRITTEN[form]
    table = source(tmp_path, column, name, kind=kind).load("p.t", [name])
    with pytest.raises(InputError, match=name) as caught:
        Encoder.fit(mark(table, [name]), [name])
    keys = merged(said(caught.value.hint))
    table = source(tmp_path, column, name, keys, kind).load("p.t", [name])
    np.testing.assert_allclose(numeric_matrix(table, [name])[:, 0], want, rtol=1e-12)
    assert Encoder.fit(mark(table, [name]), [name]).names[0] == name
    as_text = re.findall(r'types = \{ [^}]*= "string" \}', caught.value.hint)
    table = source(tmp_path, column, name, as_text[0], kind).load("p.t", [name])
    assert table[name].to_pylist() == column
    Encoder.fit(mark(table, [name]), [name])


@pytest.mark.parametrize("form", [form for form in WRITTEN if form != "with gaps"])
def test_the_same_as_a_measure(form: str, tmp_path: Path) -> None:
    column, want = WRITTEN[form]
    table = source(tmp_path, column, "amount").load("p.t", ["amount"])
    with pytest.raises(InputError, match=r"'amount': .* values are not numeric"):
        numeric_matrix(table, ["amount"])
    with pytest.raises(InputError) as caught:
        numeric_matrix(table, ["amount"])
    table = source(tmp_path, column, "amount", merged(said(caught.value.hint))).load(
        "p.t", ["amount"]
    )
    np.testing.assert_allclose(numeric_matrix(table, ["amount"])[:, 0], want, rtol=1e-12)


@pytest.mark.parametrize("kind", ["number", "percent", "money"])
def test_a_declared_form_that_does_not_fit(kind: str, tmp_path: Path) -> None:
    column, _ = WRITTEN["1.234,50"]
    wrong = source(tmp_path, column, "amount", f'types = {{ amount = "{kind}" }}')
    with pytest.raises(InputError, match="of 400 values are n") as caught:
        wrong.load("p.t", ["amount"])
    keys = merged(said(caught.value.hint))
    assert (
        source(tmp_path, column, "amount", keys).load("p.t", ["amount"])["amount"].null_count == 0
    )


def test_codes_that_are_mostly_numbers(tmp_path: Path) -> None:
    column = ["1001", "1002", "1003", "A012"] * 100
    table = source(tmp_path, column, "code").load("p.t", ["code"])
    with pytest.raises(InputError, match="100 of 400 values are not numeric") as caught:
        Encoder.fit(mark(table, ["code"]), ["code"])
    as_text = re.findall(r'types = \{ [^}]*= "string" \}', caught.value.hint)
    table = source(tmp_path, column, "code", as_text[0]).load("p.t", ["code"])
    assert len(Encoder.fit(mark(table, ["code"]), ["code"]).names) == 3


def test_hundreds_of_codes_with_leading_zeros(tmp_path: Path) -> None:
    column = [f"{i:05d}" for i in range(ROWS)]
    table = source(tmp_path, column, "zip").load("p.t", ["zip"])
    with pytest.raises(
        InputError, match="400 different numbers, some with leading zeros"
    ) as caught:
        refuse_unclear(table, "zip")
    for keys in re.findall(r"types = \{[^}]*\}", caught.value.hint):
        table = source(tmp_path, column, "zip", keys).load("p.t", ["zip"])
        assert refuse_unclear(table, "zip").kind
    few = source(tmp_path, ["0010", "0020"] * 200, "zip").load("p.t", ["zip"])
    assert Encoder.fit(few, ["zip"]).names == ("zip=0020",)


def test_what_a_column_is_taken_for_holds_for_any_of_its_rows(tmp_path: Path) -> None:
    """Decided over the whole table: rows that are shared may look different, and come too late."""
    column = ["1.5"] * 100 + [f"w{i}" for i in range(300)]
    table = mark(source(tmp_path, column, "q").load("p.t", ["q"]), ["q"])
    Encoder.fit(table, ["q"])
    Encoder.fit(table.slice(0, 104), ["q"])  # mostly numbers, by themselves


def test_advice_on_keys(tmp_path: Path) -> None:
    column = ["100001.0", "100002.0", "-", "-", "?", "NULL"]
    keys, kinds = [["k"]], {"k": "text"}
    table = source(tmp_path, column, "k").load("p.t", ["k"], keys=["k"])
    report = preflight(table, keys, kinds)
    told = " ".join(report.suggestions)
    assert "2 rows are whole numbers with .0" in told
    assert "1 rows hold a word for nothing" in told
    assert 'nulls = { k = ["-", "?", "NULL"] }' in told
    assert preflight(table, keys, {"k": "number"}).columns[0].usable == 2
    as_identity = " ".join(preflight(table, keys, {"k": "identity_number"}).suggestions)
    assert "they match 100001 only if you export the column as whole numbers" in as_identity
    table = source(tmp_path, column, "k", 'nulls = { k = ["-", "?"] }').load(
        "p.t", ["k"], keys=["k"]
    )
    assert preflight(table, keys, kinds).columns[0].nulls == 3
    table = source(tmp_path, column, "k", "nulls = { k = [] }").load("p.t", ["k"], keys=["k"])
    assert preflight(table, keys, kinds).columns[0].usable == 6


def test_letters_for_digits_are_counted(tmp_path: Path) -> None:
    column = ["11010519491231002X", "11O10519491231002X", "1101051949123l002X", "x"]
    table = source(tmp_path, column, "k").load("p.t", ["k"], keys=["k"])
    report = preflight(table, [["k"]], {"k": "identity_number"})
    assert report.columns[0].mistyped == 2
    assert "2 rows are valid with the digit 0 for the letter O, or 1" in " ".join(
        report.suggestions
    )


def test_phones_written_as_floats_are_told_to_be_phones_and_nothing_else() -> None:
    table = pa.table({"tel": [f"1380013{n:04}.0" for n in range(30)]})
    (told,) = preflight(table, [["tel"]], {}).suggestions
    assert told.startswith("tel: looks like phone: name that kind in [align] kinds of the job")
    report = preflight(table, [["tel"]], {"tel": "phone"})
    assert (report.columns[0].usable, report.suggestions) == (30, ())


def test_a_fraction_after_a_comma_is_no_thousand() -> None:
    column = pa.chunked_array([[f"0,{n}" for n in range(100, 180)]], pa.large_string())
    assert how_to_read(column, "rate").startswith('in tables.toml set decimal = { rate = "," };')
    assert spelled(column, Spelling(".", ",", "number"))[1].all()
