"""tables.toml and the readers: what loads, and one clear line for what does not."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from federated.readers import arrow_expression, duckdb_connection
from federated.tables.bindings import (
    Table,
    TablesFile,
    categorical,
    null_counts,
    numeric_matrix,
    snapshot_hash,
)
from federated.tables.matrix import binary_label
from psi.protocol.errors import InputError, JobError

CANARY = "CANARY7Q"
Bind = Callable[..., Table]


@pytest.fixture
def bind(tmp_path: Path) -> Bind:
    """Write a data file and a tables.toml that binds it; the logical table."""

    def write(data: bytes | str, settings: str = "", name: str = "data.csv") -> Table:
        content = data.encode() if isinstance(data, str) else data
        (tmp_path / name).write_bytes(content)
        (tmp_path / "tables.toml").write_text(f'[bank.t]\npath = "{name}"\n{settings}\n')
        return TablesFile.load(tmp_path / "tables.toml")["bank.t"]

    return write


def refuse(tmp_path: Path, text: str) -> str:
    """The error that a tables.toml ends with."""
    (tmp_path / "tables.toml").write_text(text, encoding="utf-8")
    with pytest.raises(JobError) as caught:
        TablesFile.load(tmp_path / "tables.toml")
    return str(caught.value)


# what loads


def test_only_the_named_columns_in_that_order(bind: Bind) -> None:
    table = bind("a,b,c\n1,2.5,x\n3,,y\n")
    assert table.columns() == ["a", "b", "c"]
    assert table.load(["c", "a"]).to_pydict() == {"c": ["x", "y"], "a": [1, 3]}
    assert table.load().column_names == ["a", "b", "c"]


def test_keys_keep_leading_zeros(bind: Bind) -> None:
    table = bind("id,mobile,zip,n\n007,013,0123,1\n", 'kinds = { mobile = "phone" }')
    found = table.load(["id", "mobile", "zip", "n"], keys=["id"]).to_pydict()
    assert found == {"id": ["007"], "mobile": ["013"], "zip": ["0123"], "n": [1]}
    typed = bind("zip\n0123\n", 'types = { zip = "string" }')
    assert typed.load().to_pydict() == {"zip": ["0123"]}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gbk", "gb18030", "utf-16"])
def test_encodings_and_quoted_commas(bind: Bind, encoding: str) -> None:
    text = '姓名,金额\n"张三,李四",1\n"王""五",2\n'
    named = "utf-8" if encoding == "utf-8-sig" else encoding
    table = bind(text.encode(encoding), f'encoding = "{named}"')
    assert table.columns() == ["姓名", "金额"]
    assert table.load(["姓名", "金额"]).to_pydict() == {
        "姓名": ["张三,李四", '王"五'],
        "金额": [1, 2],
    }


def test_delimiter_nulls_and_newlines_in_quotes(bind: Bind) -> None:
    table = bind('a;b\n1;"x\ny"\n?;NA\n', 'delimiter = ";"\nnulls = ["?", "NA"]')
    assert table.load().to_pydict() == {"a": [1, None], "b": ["x\ny", None]}


def test_row_number_stands_in_for_a_key(bind: Bind) -> None:
    table = bind("a\n5\n6\n", 'row_number = "client"')
    assert table.columns() == ["client", "a"]
    assert table.load(["client"]).to_pydict() == {"client": [1, 2]}
    assert table.load(["a", "client"], keys=["client"]).to_pydict() == {
        "a": [5, 6],
        "client": [1, 2],
    }


def test_a_column_forced_to_numbers(bind: Bind) -> None:
    table = bind('a\n" 1.5 "\n+2\n\n', 'types = { a = "number" }')
    assert table.load().to_pydict() == {"a": [1.5, 2.0]}


def test_parquet_and_dictionaries(bind: Bind, tmp_path: Path) -> None:
    source = pa.table({"id": [7, 8], "c": pa.array(["x", "y"]).dictionary_encode(), "n": [1.5, 2]})
    pq.write_table(source, tmp_path / "source.parquet")
    table = bind((tmp_path / "source.parquet").read_bytes(), name="data.parquet")
    found = table.load(["c", "id"], keys=["id", "c"])
    assert found.to_pydict() == {"c": ["x", "y"], "id": ["7", "8"]}
    coded = bind(
        (tmp_path / "source.parquet").read_bytes(), 'types = { n = "string" }', "data.parquet"
    )
    assert coded.load(["n"]).to_pydict() == {"n": ["1.5", "2"]}


def test_environment_in_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "d.csv").write_text("a\n1\n")
    (tmp_path / "tables.toml").write_text('[p.t]\npath = "$DATA_HERE/d.csv"\n')
    table = TablesFile.load(tmp_path / "tables.toml")["p.t"]
    monkeypatch.delenv("DATA_HERE", raising=False)
    with pytest.raises(JobError, match=r"\[p.t\] path: the environment variable DATA_HERE is not"):
        table.load()
    monkeypatch.setenv("DATA_HERE", str(tmp_path))
    assert table.load().num_rows == 1


def test_dollar_signs_in_a_path(tmp_path: Path) -> None:
    for name in ("数据$2026", "a$b", "x$"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "t.csv").write_text("id\n1\n")
        written = name.replace("$b", "$$b")
        (tmp_path / "tables.toml").write_text(f'[p.t]\npath = "{written}/t.csv"\n')
        assert TablesFile.load(tmp_path / "tables.toml")["p.t"].load().num_rows == 1
    (tmp_path / "tables.toml").write_text('[p.t]\npath = "a$b/t.csv"\n')
    with pytest.raises(JobError, match=r"variable b is not set .*a dollar sign itself is \$\$"):
        TablesFile.load(tmp_path / "tables.toml")["p.t"].load()


def test_duckdb_through_ibis(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect(str(tmp_path / "file.db")) as connection:
        connection.execute("create table c as select 7 id, 1.50::decimal(9,2) v, 'x' s")
    (tmp_path / "tables.toml").write_text(
        '[p.t]\nconnection = "duckdb:///file.db"\ntable = "c"\nkinds = { id = "number" }\n'
        '[p.none]\nconnection = "duckdb:///file.db"\ntable = "nothing"\n'
        '[p.gone]\nconnection = "duckdb:///gone.db"\ntable = "c"\n'
    )
    file = TablesFile.load(tmp_path / "tables.toml")
    assert file["p.t"].columns() == ["id", "v", "s"]
    found = file["p.t"].load(["s", "id", "v"])
    assert found.select(["s", "id"]).to_pydict() == {"s": ["x"], "id": ["7"]}
    assert numeric_matrix(found, ["v"]).tolist() == [[1.5]]
    with pytest.raises(InputError, match="cannot open table 'nothing'"):
        file["p.none"].load()
    with pytest.raises(InputError, match="no database file"):
        file["p.gone"].load()
    with pytest.raises(InputError, match="did you mean 's'"):
        file["p.t"].load(["ss"])


@pytest.mark.parametrize(
    "query",
    [
        "INSTALL spatial",
        "LOAD spatial",
        "SET enable_external_access = true",
        "SET allow_community_extensions = true",
        "SELECT * FROM 'data.csv'",
    ],
)
def test_duckdb_neither_installs_nor_reads_other_files(
    query: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    duckdb = pytest.importorskip("duckdb")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text("a\n1\n")
    with pytest.raises(duckdb.Error):
        duckdb_connection().raw_sql(query)


def test_arrow_tables_join_a_duckdb_connection() -> None:
    table = pa.table({"g": ["x", "y", "y"], "v": [1, 2, 3]})
    flows = arrow_expression(duckdb_connection(), "flows", table)
    found = flows.group_by("g").agg(total=flows.v.sum()).order_by("g").to_pyarrow()
    assert found.to_pydict() == {"g": ["x", "y"], "total": [1, 5]}


# what does not


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no tables"),
        ("bank = 1", r"found [bank], allowed: [party.table]"),
        ('[bank]\npath = "x.csv"', "write [bank.NAME]"),
        ("[bank.t]", "exactly one of path and connection"),
        ('[b.t]\npath = "x"\nconnection = "duckdb://y"', "exactly one of path and connection"),
        ('[b.t]\nconnection = "duckdb://y"', "[b.t] table: missing"),
        ('[b.t]\npaht = "x.csv"', "paht: unknown key (did you mean path?)"),
        ("[b.t]\npath = 3", "path: found int, a string is needed"),
        ('[b.t]\npath = "x"\nencoding = "gbkk"', "encoding: found 'gbkk'"),
        ('[b.t]\npath = "x"\ndelimiter = ",,"', "one mark of ASCII"),
        ('[b.t]\npath = "x"\ndelimiter = "1"', "one mark of ASCII"),
        ('[b.t]\npath = "x"\nescape = "\\n"', "one mark of ASCII"),
        (
            '[b.t]\npath = "x"\nkinds = { a = "phon" }',
            "kinds.a: found identifier kind 'phon', allowed: identity",
        ),
        ('[b.t]\npath = "x"\nkinds = { a = "phon" }', "did you mean phone?"),
        ('[b.t]\npath = "x"\npermissions = { a = "all" }', "allowed: never, aggregate, feature"),
        ('[b.t]\npath = "x"\ntypes = { a = "int" }', "allowed: string, number"),
        ('[b.t]\npath = "x"\nkinds = "phone"', "kinds: a table of column = string"),
        ('[b.t]\npath = "x"\nnulls = "?"', "nulls: a list of strings"),
        ('[b.t]\npath = "x', "not valid toml (at "),
    ],
)
def test_wrong_tables_files(tmp_path: Path, text: str, said: str) -> None:
    assert said in refuse(tmp_path, text)


@pytest.mark.parametrize(
    "url",
    [
        f"postgres://ann:{CANARY}@host/db",
        f"postgres://ann:${{PW}}{CANARY}@host/db",
        f"postgres://host/db?user=ann&password={CANARY}",
        f"snowflake://host/db?token={CANARY}",
        f"mysql://ann:a/b@{CANARY}@host/db",
        f"s3://host/db?aws_secret_access_key={CANARY}",
    ],
)
def test_written_passwords_are_refused_and_not_repeated(tmp_path: Path, url: str) -> None:
    said = refuse(tmp_path, f'[b.t]\ntable = "t"\nconnection = "{url}"')
    assert "holds a password" in said
    assert "${NAME}" in said
    assert CANARY not in said


def test_named_passwords_are_taken_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tables.toml").write_text(
        '[b.t]\ntable = "t"\nconnection = "nosuchdb://ann:${PW}@host/db"\n'
    )
    table = TablesFile.load(tmp_path / "tables.toml")["b.t"]
    monkeypatch.delenv("PW", raising=False)
    with pytest.raises(JobError, match="PW is not set"):
        table.load(["a"])
    monkeypatch.setenv("PW", CANARY)
    with pytest.raises(InputError, match="nosuchdb") as caught:
        table.load(["a"])
    assert CANARY not in str(caught.value) + repr(table)
    assert caught.value.__suppress_context__


def test_unknown_logical_table(bind: Bind) -> None:
    file = TablesFile.load(bind("a\n1\n").file)
    assert "bank.t" in file
    assert (list(file), len(file)) == (["bank.t"], 1)
    with pytest.raises(JobError, match="did you mean bank"):
        file["bank.tt"]
    with pytest.raises(JobError, match="no tables file"):
        TablesFile.load("nothing.toml")


def test_missing_file_and_missing_column(bind: Bind) -> None:
    table = bind("income,age\n1,2\n")
    with pytest.raises(InputError, match=r"no column 'incone'.*did you mean 'income'"):
        table.load(["incone"])
    with pytest.raises(InputError, match=r"did you mean 'income'"):
        table.load(["INCOME"])
    with pytest.raises(InputError, match=r"\[bank.t\]: no column 'zz' \(columns: income, age\)"):
        table.load(["zz"])
    (table.file.parent / "data.csv").unlink()
    with pytest.raises(InputError, match=r"tables.toml: \[bank.t\]: no file .*data.csv"):
        table.load(["income"])


@pytest.mark.parametrize("data", ["", "a,b\n", "a,b"])
def test_empty_tables(bind: Bind, data: str) -> None:
    with pytest.raises(InputError, match="empty"):
        bind(data).load()


def test_ragged_lines_by_number(bind: Bind) -> None:
    table = bind(f"a,b\n1,2\n{CANARY}\n3,4\n{CANARY},6,7\n")
    with pytest.raises(InputError) as caught:
        table.load(["a"])
    assert "data.csv line 3 has 1 fields, the header 2; 2 such lines in all" in str(caught.value)
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_wrong_encoding_suggests_the_right_one(bind: Bind) -> None:
    table = bind("姓名,b\n张三,1\n".encode("gbk"))
    with pytest.raises(InputError, match=r'data.csv is not utf-8 text \(try encoding = "gbk"'):
        table.load()
    late = bind(b"a,b\n" + b"1,2\n" * 300_000 + "张,3\n".encode("gbk"))
    with pytest.raises(InputError, match="not utf-8 text from line 300,002 on"):
        late.load()


def test_mixed_encodings_and_unnamed_utf_16_are_told_apart(bind: Bind) -> None:
    mixed = bind("a,b\n张,1\n".encode() + "李四,2\n".encode("gbk") + b"\xff,3\n")
    with pytest.raises(InputError, match=r"from line 3 on, and is before .it mixes encodings"):
        mixed.load()
    zipped = bind(gzip.compress("a,b\n1,1\n李四,2\n".encode("gbk")), name="data.csv.gz")
    with pytest.raises(InputError, match=r'from line 3 on .try encoding = "gbk"'):
        zipped.load()
    western = bind("a,b\nx,1\nJosé,2\n".encode("latin-1"))
    with pytest.raises(InputError, match=r'from line 3 on .if .* encoding = "windows-1252"'):
        western.load(["a"])
    with pytest.raises(InputError, match='try encoding = "utf-16"'):
        bind("a,b\n张,1\n".encode("utf-16")).load()


@pytest.mark.parametrize(("mark", "shown"), [(";", ";"), ("\t", r"\\t"), ("|", r"\|")])
def test_another_delimiter_is_suggested(bind: Bind, mark: str, shown: str) -> None:
    table = bind(f'"id"{mark}"name"\n1{mark}x\n')
    with pytest.raises(InputError, match=f'set delimiter = "{shown}" in tables.toml'):
        table.load(["id"])


def test_compressed_and_damaged_files(bind: Bind) -> None:
    assert bind(gzip.compress(b"a\n1\n"), name="data.csv.gz").load().to_pydict() == {"a": [1]}
    with pytest.raises(InputError, match="cannot be read"):
        bind(f"{CANARY}\n1\n", name="data.csv.gz").load()


def test_repeated_header(bind: Bind) -> None:
    with pytest.raises(InputError, match="has 2 columns 'a'"):
        bind("a,a\n1,2\n").load(["a"])


def test_damaged_parquet(bind: Bind) -> None:
    with pytest.raises(InputError, match="cannot be read as parquet"):
        bind(f"PAR1{CANARY}", name="data.parquet").load()


# columns as numbers


def test_numeric_matrix_types_and_nulls() -> None:
    table = pa.table(
        {
            "i": [1, None, 3],
            "f": [0.5, float("nan"), None],
            "b": [True, False, None],
            "s": pa.array([" 1 ", "+2.5e1", ""]),
            "d": pa.array(["1", None, "2"]).dictionary_encode(),
        }
    )
    found = numeric_matrix(table, ["i", "f", "b", "s", "d"])
    assert found.dtype == np.float64
    expected = [[1, 0.5, 1, 1, 1], [np.nan, np.nan, 0, 25, np.nan], [3, *[np.nan] * 3, 2]]
    assert np.array_equal(found, np.array(expected), equal_nan=True)
    assert null_counts(table, ["i", "f", "s"]) == {"i": 1, "f": 2, "s": 0}
    assert categorical(table, "d").to_pylist() == ["1", None, "2"]
    assert categorical(table, "i").to_pylist() == ["1", None, "3"]


def test_values_that_are_not_numbers_are_counted_not_shown(bind: Bind) -> None:
    table = pa.table({"income": ["1", CANARY, "x", None]})
    with pytest.raises(InputError, match="column 'income': 2 of 4 values are not numeric") as e:
        numeric_matrix(table, ["income"])
    assert CANARY not in str(e.value)
    bound = bind(f"income\n1\n{CANARY}\n", 'types = { income = "number" }')
    with pytest.raises(InputError, match=r"\[bank.t\]: column 'income': 1 of 2") as e:
        bound.load()
    assert CANARY not in str(e.value)
    with pytest.raises(InputError, match="1 values are infinite"):
        numeric_matrix(pa.table({"a": [1.0, float("inf")]}), ["a"])
    dates = pa.table({"a": pa.array([0], type=pa.date32())})
    with pytest.raises(InputError, match=r"found date32.*\(turn a date into"):
        numeric_matrix(dates, ["a"])


@pytest.mark.parametrize(
    ("values", "positive", "expected"),
    [
        ([0, 1, 1], "", [0, 1, 1]),
        ([-1, 1], "", [0, 1]),
        ([0.0, 1.0], "", [0, 1]),
        ([True, False], "", [1, 0]),
        (["Yes", " no"], "", [1, 0]),
        (["是", "否"], "", [1, 0]),
        (["good", "bad"], "bad", [0, 1]),
        (["a", "b"], "B", [0, 1]),
    ],
)
def test_binary_labels(values: list[object], positive: str, expected: list[int]) -> None:
    assert binary_label(pa.table({"y": values}), "y", positive=positive).tolist() == expected


@pytest.mark.parametrize(
    ("values", "positive", "said"),
    [
        ([1, 1], "", "found 1 classes, allowed: 2"),
        ([0, 1, 2], "", 'found 3 classes, allowed: 2.*model = "linear" predicts numbers'),
        ([0, None], "", "1 of 2 rows have no label"),
        ([CANARY, "b"], "", "which of its 2 classes is the positive one"),
        ([CANARY, "b"], "c", "no row has the class that positive names"),
    ],
)
def test_labels_that_cannot_be_learned(values: list[object], positive: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        binary_label(pa.table({"y": values}), "y", positive=positive)
    assert CANARY not in str(caught.value)


# snapshots


def test_snapshot_sees_content_not_layout() -> None:
    ids = [str(i) if i % 7 else None for i in range(70_000)]
    amounts = [i / 3 if i % 5 else None for i in range(70_000)]
    plain = pa.table({"id": ids, "v": amounts, "b": [i % 2 == 0 for i in range(70_000)]})
    expected = snapshot_hash(plain)
    assert len(expected) == 64
    halves = pa.concat_tables([plain.slice(0, 33_333), plain.slice(33_333)])
    assert snapshot_hash(halves) == expected
    assert snapshot_hash(plain.select(["v", "b", "id"])) == expected
    coded = plain.set_column(0, "id", plain["id"].dictionary_encode())
    assert snapshot_hash(coded) == expected
    large = plain.set_column(0, "id", plain["id"].cast(pa.large_string()))
    assert snapshot_hash(large) == expected
    padded = pa.concat_tables([plain.slice(0, 1), plain]).slice(1)
    assert snapshot_hash(padded) == expected


def test_snapshot_sees_every_change() -> None:
    plain = pa.table({"id": ["a", "b", None], "v": [1.0, 0.0, None]})
    changed = [
        plain.slice(0, 2),
        plain.take([1, 0, 2]),
        plain.rename_columns(["id", "w"]),
        plain.set_column(0, "id", [["a", "b", ""]]),
        plain.set_column(0, "id", [["ab", "", None]]),
        plain.set_column(1, "v", [[1.0, None, 0.0]]),
        plain.set_column(1, "v", [[1, 0, None]]),
        plain.select(["id"]),
    ]
    hashes = {snapshot_hash(table) for table in changed} | {snapshot_hash(plain)}
    assert len(hashes) == len(changed) + 1
    assert snapshot_hash(plain, salt=b"s") not in hashes
    minus = plain.set_column(1, "v", [[1.0, -0.0, None]])
    assert snapshot_hash(minus) == snapshot_hash(plain)
    assert len(snapshot_hash(pa.table({"n": pa.nulls(2)}))) == 64
    assert len(snapshot_hash(pa.table({"a": pa.array([], type=pa.int64())}))) == 64
