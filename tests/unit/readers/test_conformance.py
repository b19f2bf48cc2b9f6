"""One suite for every kind of source: the same rows, the same values, the same gaps.

What a table file declares holds for all of them; what each kind is bad at is in its own tests.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from federated.tables.bindings import Table, TablesFile
from psi.protocol import InputError
from tests.sources import KINDS, entry

IDS = [f"{i:06d}" for i in range(240)]
ROWS = pa.table(
    {
        "id": [None if i % 40 == 9 else f"{i:06d}" for i in range(240)],
        "zone": [("NA", "EU", "None", None)[i % 4] for i in range(240)],
        "code": [("0010", "0020", "1E5")[i % 3] for i in range(240)],
        "mark": ["-" if i % 5 == 0 else str(i) for i in range(240)],
        "amount": [f"{1000 + i:,}.50" for i in range(240)],
        "count": pa.array([None if i % 7 == 3 else i for i in range(240)], pa.int64()),
        "rate": [i / 8 for i in range(240)],
        "text": [f'a "quoted", {i}\nline' if i % 3 else "plain" for i in range(240)],
    }
)


def _gzip(table: pa.Table, folder: Path) -> str:
    pa_csv.write_csv(table, folder / "plain.csv")
    (folder / "t.csv.gz").write_bytes(gzip.compress((folder / "plain.csv").read_bytes()))
    return 'path = "t.csv.gz"'


def _zstd(table: pa.Table, folder: Path) -> str:
    with pa.CompressedOutputStream(str(folder / "t.zst"), "zstd") as file:
        pa_csv.write_csv(table, file)
    return 'path = "t.zst"'


def _gbk(table: pa.Table, folder: Path) -> str:
    pa_csv.write_csv(table, folder / "plain.csv")
    (folder / "t.csv").write_bytes((folder / "plain.csv").read_bytes().decode().encode("gb18030"))
    return 'path = "t.csv"\nencoding = "gb18030"'


def _parts(table: pa.Table, folder: Path) -> list[tuple[str, pa.Table]]:
    return [(f"part-{n:05d}", table.slice(80 * n, 80)) for n in range(3)]


def _csv_folder(table: pa.Table, folder: Path) -> str:
    (folder / "t").mkdir()
    for name, part in _parts(table, folder):
        pa_csv.write_csv(part.select(part.column_names[::-1]), folder / "t" / f"{name}.csv")
    (folder / "t" / "_SUCCESS").write_text("done")
    (folder / "t" / ".part.crc").write_bytes(b"\0")
    (folder / "t" / "part-00003.csv").write_bytes(b"")
    return 'path = "t"'


def _cast(table: pa.Table, name: str, kind: pa.DataType) -> pa.Table:
    at = table.schema.get_field_index(name)
    if at < 0:
        return table
    column = table.column(name)
    coded = pa.types.is_dictionary(kind)
    return table.set_column(at, name, column.dictionary_encode() if coded else column.cast(kind))


def _parquet_folder(table: pa.Table, folder: Path) -> str:
    (folder / "t").mkdir()
    narrow = table.slice(0, 80)
    for name, kind in (("count", pa.int16()), ("zone", pa.dictionary(pa.int8(), pa.string()))):
        narrow = _cast(narrow, name, kind)
    pq.write_table(narrow, folder / "t" / "a.parquet")
    wide = _cast(table.slice(80, 80), "text", pa.binary())
    pq.write_table(wide, folder / "t" / "b.snappy.parquet")
    pq.write_table(table.slice(160), folder / "t" / "c")
    return 'path = "t"'


def _hive_folder(table: pa.Table, folder: Path) -> str:
    for n, (name, part) in enumerate(_parts(table, folder)):
        place = folder / "t" / f"day={n:02d}"
        place.mkdir(parents=True)
        pq.write_table(part, place / f"{name}.parquet")
    return 'path = "t"'


MORE = {
    "gzip": _gzip, "zstd": _zstd, "gbk": _gbk, "csv folder": _csv_folder,
    "parquet folder": _parquet_folder, "hive folder": _hive_folder,
}  # fmt: skip
EVERY = (*KINDS, *MORE)


def bound(
    kind: str, table: pa.Table, folder: Path, request: pytest.FixtureRequest, more: str = ""
) -> Table:
    make = MORE.get(kind)
    lines = make(table, folder) if make else entry(kind, table, folder, "t", request)
    (folder / "tables.toml").write_text(f"[bank.t]\n{lines}\n{more}\n")
    return TablesFile.load(folder / "tables.toml")["bank.t"]


@pytest.mark.parametrize("kind", EVERY)
def test_values_are_as_written(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    found = bound(kind, ROWS, tmp_path, request).load(ROWS.column_names, keys=["id"])
    assert found.to_pydict() == ROWS.to_pydict()


@pytest.mark.parametrize("kind", EVERY)
def test_gaps_and_forms_are_as_declared(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    more = 'nulls = { mark = ["-"], zone = ["None"] }\nthousands = { amount = "," }\n'
    more += 'types = { amount = "number", mark = "number", count = "string" }'
    found = bound(kind, ROWS, tmp_path, request, more).load()
    zone = [None if z == "None" else z for z in ROWS["zone"].to_pylist()]
    assert found["zone"].to_pylist() == zone
    assert found["mark"].to_pylist() == [None if i % 5 == 0 else i for i in range(240)]
    assert found["amount"].to_pylist() == [1000.5 + i for i in range(240)]
    counts = ROWS["count"].to_pylist()
    assert found["count"].to_pylist() == [None if c is None else str(c) for c in counts]


@pytest.mark.parametrize("kind", EVERY)
def test_nulls_of_all_columns(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    more = 'nulls = ["-", "NA", "17", "2.5"]'
    table = bound(kind, ROWS, tmp_path, request, more)
    found = table.load(["mark", "zone", "count", "rate", "id"], keys=["id"])
    assert found["mark"].null_count == 48 + 1
    assert found["zone"].null_count == 120
    assert found["count"].to_pylist()[17] is None
    assert found["rate"].to_pylist()[20] is None
    assert found["rate"].null_count == 2  # 17.0 and 2.5


@pytest.mark.parametrize("kind", EVERY)
def test_words_for_nothing_are_no_keys(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    names = [("NULL", "nan", "N/A", f"n{i}")[i % 4] for i in range(240)]
    table = pa.table({"name": names, "x": list(range(240))})
    found = bound(kind, table, tmp_path, request).load(["name"], keys=["name"])
    assert found["name"].null_count == 180
    if kind in ("csv", "parquet"):
        kept = bound(kind, table, tmp_path, request, "nulls = []")
        assert kept.load(["name"], keys=["name"])["name"].to_pylist() == names


@pytest.mark.parametrize("kind", EVERY)
def test_columns_that_are_not_there(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    table = bound(kind, ROWS, tmp_path, request)
    with pytest.raises(InputError, match=r"no column 'amuont' .did you mean 'amount'"):
        table.load(["amuont"])
    if kind in ("csv", "parquet"):
        wrong = bound(kind, ROWS, tmp_path, request, 'types = { amuont = "string" }')
        with pytest.raises(InputError, match=r"no column 'amuont'"):
            wrong.load(["amount"])


@pytest.mark.parametrize("kind", EVERY)
def test_an_empty_table(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    with pytest.raises(InputError, match="empty"):
        bound(kind, ROWS.slice(0, 0), tmp_path, request).load(["amount"])


def test_folders_of_a_hive_table_are_columns_of_text(tmp_path: Path) -> None:
    rows = {"EU%20north": 2, "NA": 3, "__HIVE_DEFAULT_PARTITION__": 1}
    for zone, count in rows.items():
        place = tmp_path / "t" / "year=2026" / f"zone={zone}"
        place.mkdir(parents=True)
        pq.write_table(pa.table({"x": list(range(count))}), place / "0.parquet")
    (tmp_path / "tables.toml").write_text('[bank.t]\npath = "t"\n')
    table = TablesFile.load(tmp_path / "tables.toml")["bank.t"]
    assert table.columns() == ["x", "year", "zone"]
    found = table.load(["zone", "year", "x"]).to_pydict()
    assert found["zone"] == ["EU north"] * 2 + ["NA"] * 3 + [None]
    assert found["year"] == ["2026"] * 6
    assert found["x"] == [0, 1, 0, 1, 2, 0]
