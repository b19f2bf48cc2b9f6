"""Files as people send them: read as they are written, or refused with a line and what to do."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from federated.tables.bindings import Table, TablesFile
from federated.tables.column_report import columns_taken
from federated.tables.preflight import preflight
from federated.tables.source import MemorySource
from psi.protocol import FedprofileError, InputError, JobError

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
        (
            b"\xef\xbb\xbf" + whole(HEAD, *LINES).replace("city 0", "北京").encode("gbk"),
            "begins with the mark of utf-8, and goes on in another",
            'take its first three bytes away, and set encoding = "gbk"',
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
        (whole("Report,,", ",,", HEAD, *LINES), "no column 'id' in line 1", "line 3 looks like"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    tmp_path: Path, text: str | bytes, message: str, hint: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load(tmp_path, text)
    assert hint in caught.value.hint


CHINESE = whole(HEAD, *LINES).replace("city 0", "北京")


@pytest.mark.parametrize(
    ("text", "declared", "advised"),
    [
        (whole(HEAD, *LINES).encode("utf-16-le"), "utf-16", "utf-16-le"),
        (CHINESE.replace("city 1", "㐂").encode("gb18030"), "gbk", "gb18030"),
        (CHINESE.encode(), "gbk", "utf-8"),
        (CHINESE.encode(), "latin-1", "utf-8"),
        (CHINESE.encode("gbk"), "utf-8", "gbk"),
        (CHINESE.encode("utf-16"), "gbk", "utf-16"),
    ],
)
def test_the_advice_on_an_encoding_reads_the_file(
    tmp_path: Path, text: bytes, declared: str, advised: str
) -> None:
    """UTF-8 that is read as something else gives no error by itself, and garbles every category."""
    (tmp_path / "t.csv").write_bytes(text)
    for encoding in (declared, advised):
        (tmp_path / "tables.toml").write_text(
            f'[bank.t]\npath = "t.csv"\nencoding = "{encoding}"\n'
        )
        table = TablesFile.load(tmp_path / "tables.toml")["bank.t"]
        if encoding == declared:
            with pytest.raises(InputError, match=r"utf-8 text|not .* text") as caught:
                table.load(["id", "city"])
            assert f'encoding = "{advised}"' in caught.value.hint
        else:
            assert table.load(["id", "city"]).column("city")[2].as_py() == "city 2"


def test_a_header_that_comes_again_is_read_and_pointed_at(tmp_path: Path) -> None:
    """As of files put together: no row is lost, and each column says what is in it."""
    (tmp_path / "t.csv").write_text(whole(HEAD, *LINES, f"\ufeff{HEAD}", *LINES))
    (tmp_path / "tables.toml").write_text('[bank.t]\npath = "t.csv"\n')
    table = TablesFile.load(tmp_path / "tables.toml")["bank.t"].load(keys=["id"])
    assert table.num_rows == 2 * len(LINES) + 1
    told = columns_taken(table, {"city": ["feature"], "amount": ["feature"]})
    assert all("1 rows hold the column's own name" in " ".join(one.wrong) for one in told)
    assert "the first in row 61" in told[1].wrong[0]
    keys = " ".join(preflight(table, [["id"]], {"id": "text"}).suggestions)
    assert "id: 1 rows hold the column's own name: the header comes again" in keys


@pytest.mark.parametrize("pattern", ["dd/mm/yyyy", "mm/dd/yyyy", "dd.mm.yy", "yy-mm-dd", "excel"])
def test_the_advice_on_days_reads_the_keys(tmp_path: Path, pattern: str) -> None:
    """Such keys match nothing until the form is declared."""
    form = pattern.replace("yyyy", "%Y").replace("yy", "%y").replace("mm", "%m").replace("dd", "%d")
    days = [date(1999, 12, 13) + timedelta(days=i) for i in range(60)]
    texts = [
        str((day - date(1899, 12, 30)).days) if form == "excel" else f"{day:{form}}" for day in days
    ]
    (tmp_path / "t.csv").write_text(whole("born,x", *(f"{text},1" for text in texts)))
    usable = []
    for more in ("", f'dates = {{ born = "{pattern}" }}\n'):
        (tmp_path / "tables.toml").write_text(f'[bank.t]\npath = "t.csv"\n{more}')
        table = TablesFile.load(tmp_path / "tables.toml")["bank.t"].load(["born"], keys=["born"])
        found = preflight(table, [["born"]], {"born": "date"})
        usable.append(found.usable)
        if not more:
            assert f'dates = {{ born = "{pattern}" }}' in " ".join(found.suggestions)
    assert usable == [0, 60]


def test_days_that_may_be_read_two_ways_have_both_named() -> None:
    keys = pa.table({"born": ["03/04/1980", "05/06/1980"]})
    told = " ".join(preflight(keys, [["born"]], {"born": "date"}).suggestions)
    assert 'born = "dd/mm/yyyy" } or dates = { born = "mm/dd/yyyy" }, by what stands first' in told


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("identity_number", "0123456789abcdef" * 2, "look like hashes"),
        ("email", "a@x.com; b@x.com", "50 rows are no email as it is read: notes, several values"),
        ("date", "1700000000000", "export seconds since 1970 as days"),
        ("text", "合计", "50 rows are called a total"),
        ("text", "Grand Total:", "50 rows are called a total"),
    ],
)
def test_keys_that_cannot_match_say_why(kind: str, value: str, said: str) -> None:
    found = preflight(pa.table({"id": [value] * 50}), [["id"]], {"id": kind})
    assert said in " ".join(found.suggestions)


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


@pytest.mark.parametrize("unit", [" kg", "万", "期"])
def test_numbers_with_a_unit_are_no_categories_in_silence(unit: str) -> None:
    """More than a hundred would be pooled into one category, and the column be gone."""
    values = [f"{i * 3}{unit if i % 4 else ''}" for i in range(200)]
    (told,) = columns_taken(pa.table({"x": values}), {"x": ["feature"]})
    assert told.problem
    assert "different numbers with words or marks beside them" in told.wrong[0]
    assert f'"{unit.strip()}"' in told.wrong[0]
    codes = pa.table({"x": [f"{i}{chr(65 + i % 26)}" for i in range(200)]})
    assert not columns_taken(codes, {"x": ["feature"]})[0].problem


@pytest.mark.parametrize("written", ["~{0}.5", "<{0}", "${0}k", "≈ {0}", "#{0}"])
def test_numbers_with_a_mark_before_them_are_none_in_silence_either(written: str) -> None:
    values = [written.format(i) if i % 3 else f"{i}" for i in range(1, 300)]
    values[0], shown = written.format(7), written.format("")[0]
    (told,) = columns_taken(pa.table({"x": values}), {"x": ["feature"]})
    assert told.problem
    assert "different numbers with words or marks beside them" in told.wrong[0]
    assert shown in told.wrong[0]


@pytest.mark.parametrize("distinct", [3, 10, 40])
def test_intervals_are_told_however_few(distinct: int) -> None:
    """Of ten or fewer each was a category, without a word."""
    values = [f"{i % distinct + 1} days 04:05:06" for i in range(200)]
    (told,) = columns_taken(pa.table({"x": values}), {"x": ["feature"]})
    assert f"{distinct} different durations" in told.wrong[0]
    assert told.problem == (distinct > 10)


def bound(folder: Path, section: str, **files: str | pa.Table) -> Table:
    """A table of what stands beside its tables.toml; "t" is bound."""
    for name, held in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(held, str):
            path.write_text(held, "utf-8")
        else:
            pq.write_table(held, path)
    (folder / "tables.toml").write_text(f'[bank.t]\npath = "t"\n{section}\n', "utf-8")
    return TablesFile.load(folder / "tables.toml")["bank.t"]


def test_shares_in_brackets_are_below_zero(tmp_path: Path) -> None:
    text = "id,x\n1,(5%)\n2,5%-\n3,(1.5)%\n4,-2%\n5,7 %\n"
    found = bound(tmp_path, 'types = { x = "percent" }', t=text).load()
    assert found.column("x").to_pylist() == [-0.05, -0.05, -0.015, -0.02, 0.07]
    twice = bound(tmp_path, 'types = { x = "percent" }', t="id,x\n1,(-5%)\n")
    with pytest.raises(InputError, match="1 of 1 values are no percent"):
        twice.load()


def test_a_column_without_a_name_has_its_own_values(tmp_path: Path) -> None:
    """It was the number of the row."""
    found = bound(tmp_path, "", t="id,,x\n1,7,3\n2,8,4\n").load()
    assert found.column("").to_pylist() == [7, 8]


def test_a_part_that_says_another_day_than_its_folder_is_refused(tmp_path: Path) -> None:
    for day, other in (("02", True), ("01", False), (1, False), (2, True), (None, False)):
        table = bound(tmp_path, "", **{"t__day=01__a.parquet": pa.table({"id": [1], "day": [day]})})
        if not other:
            assert table.load().column("day").to_pylist() == ["01"]
            continue
        with pytest.raises(InputError, match=r"day=01/a.parquet has a column 'day' with other"):
            table.load()


def test_advice_on_parts_that_differ_is_toml_whatever_the_name(tmp_path: Path) -> None:
    parts = {f"t__{at}.parquet": pa.table({"my col": [v]}) for at, v in (("a", 1), ("b", "x"))}
    with pytest.raises(InputError) as caught:
        bound(tmp_path, "", **parts).load()
    section = caught.value.hint.split(" in tables.toml")[0]
    assert bound(tmp_path, section, **parts).load().column("my col").to_pylist() == ["1", "x"]


def test_thousands_in_keys_of_numbers_are_told_and_read(tmp_path: Path) -> None:
    text = "id,x\n" + "".join(f'"{10_000 + i:,}",1\n' for i in range(40))
    table = bound(tmp_path, "", t=text).load(keys=["id"])
    told = preflight(table, [["id"]], {"id": "number"})
    (said,) = (one for one in told.suggestions if "characters that no number has" in one)
    section = said.split("in tables.toml set ")[1]
    read = bound(tmp_path, section, t=text).load(keys=["id"])
    assert preflight(read, [["id"]], {"id": "number"}).usable == 40
    signed = pa.table({"id": [f"+{i}" for i in range(40)]})  # no declared mark reads these
    told = preflight(signed, [["id"]], {"id": "number"})
    assert any("notes in place of a value" in one for one in told.suggestions)
    plain = bound(tmp_path, 'thousands = ","', t=text).load(keys=["id"])  # of all, not of keys
    assert plain.column("id")[0].as_py() == "10,000"


@pytest.mark.parametrize("hour", ["09:30:00", "10:00:00", "20:00"])
def test_dates_with_a_time_of_day_are_told_as_such(hour: str) -> None:
    """10:00 counted as midnight, and the advice was a pattern that changed nothing."""
    keys = pa.table({"day": [f"2026-01-{i:02} {hour}" for i in range(1, 29)]})
    told = preflight(keys, [["day"]], {"day": "date"}).suggestions
    assert any("28 rows have a time of day" in one for one in told)
    assert not any("dates = {" in one and "yyyy/" in one for one in told)
    midnight = pa.table({"day": [f"2026-01-{i:02}T00:00:00" for i in range(1, 29)]})
    told = preflight(midnight, [["day"]], {"day": "date"}).suggestions
    assert not any("time of day" in one for one in told)


def test_a_segment_of_which_nothing_would_be_told_is_pointed_at() -> None:
    table = pa.table({"few": range(90), "many": ["a", "b", "c"] * 30})
    few, many = columns_taken(table, {"few": ["segment"], "many": ["segment"]})
    assert "no value is in more than 1 rows" in few.wrong[0]
    assert not few.problem
    assert many.wrong == ()


def test_the_row_of_the_first_value_that_is_no_number_is_named() -> None:
    values = [str(i / 4) for i in range(200)]
    values[16] = "<5"
    (told,) = columns_taken(pa.table({"x": values}), {"x": ["feature"]})
    assert "1 of 200 values are not numeric, the first in row 17" in told.wrong[0]


def test_categories_that_differ_by_spelling_alone_are_counted() -> None:
    spelled = ["Gold", "gold", "GOLD ", "Ｇold", "Go ld", "\ufeffGold", "Gold\u200b", "Silver"]
    (told,) = columns_taken(pa.table({"x": spelled * 9}), {"x": ["feature"]})
    assert "6 of 8 categories differ from another by case, width" in " ".join(told.wrong)
    (told,) = columns_taken(pa.table({"x": ["gold", "silver"] * 9}), {"x": ["feature"]})
    assert told.wrong == ()


def test_advice_on_what_stands_for_nothing_names_all_of_it() -> None:
    marks = ["#N/A", "-", "--", "NULL", "NaN", "None", "null", "无", "未知", "N/A"]
    (told,) = columns_taken(pa.table({"x": ["a", "b", *marks] * 9}), {"x": ["feature"]})
    assert all(f'"{mark}"' in told.wrong[0] for mark in marks)


@pytest.mark.parametrize(
    ("more", "message", "advised"),
    [
        (
            'decimal = ","\n',
            "40 of 40 values are not as declared",
            'decimal = { "*" = ",", z = "." }',
        ),
        (
            'decimal = ","\nthousands = "."\n',
            "values are not as declared",
            'decimal = { "*" = ",", z = "." }\nthousands = { "*" = ".", z = "" }',
        ),
        ('row_number = "z"\n', "row_number: 'z' found, a column of the table", 'row_number = "n"'),
        ('permissions = { zz = "never" }\n', "no column 'zz'", 'permissions = { z = "never" }'),
        ('keys = ["idd"]\n', "no column 'idd'", 'keys = ["id"]'),
        ('kinds = { idd = "phone" }\n', "no column 'idd'", 'kinds = { id = "phone" }'),
        ('data_class = { zz = "bureau" }\n', "no column 'zz'", 'data_class = { z = "bureau" }'),
    ],
)
def test_a_section_that_does_not_fit_its_table_is_refused(
    tmp_path: Path, more: str, message: str, advised: str
) -> None:
    """Each was passed over: a column that was to be kept out of jobs stood open to them."""
    (tmp_path / "t.csv").write_text(whole("id,z", *(f"c{i},{i / 4:.3f}" for i in range(40))))
    for said in (more, advised):
        (tmp_path / "tables.toml").write_text(f'[bank.t]\npath = "t.csv"\n{said}\n')
        table = TablesFile.load(tmp_path / "tables.toml")["bank.t"]
        if said == more:
            with pytest.raises(FedprofileError, match=message):
                table.load(["id", "z"])
        else:
            assert table.load(["z"]).column("z")[7].as_py() == 1.75


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('[bank.t]\npath = "C:\\data\\t.csv"\n', "write a path with /"),
        ('[bank.t]\npath = "a.csv"\n[bank.t]\npath = "b.csv"\n', "stands twice"),
        ('[bank.t]\ntypes = { 支行 = "string" }\n', "stand in quotes where they are keys"),
        ("[bank.t]\npath = “t.csv”\n", "“ is no mark of TOML"),
        ('["bank.t"]\npath = "t.csv"\n', "write [bank.t] without quotes"),
    ],
)
def test_slips_in_toml_are_told_as_what_they_are(tmp_path: Path, text: str, hint: str) -> None:
    (tmp_path / "tables.toml").write_text(text)
    with pytest.raises(JobError) as caught:
        TablesFile.load(tmp_path / "tables.toml")
    assert hint in caught.value.hint


def test_a_table_without_columns_or_rows_says_what_to_see(tmp_path: Path) -> None:
    for columns, message in (({}, "no column 'id'"), ({"id": pa.array([], "string")}, "is empty")):
        pq.write_table(pa.table(columns), tmp_path / "t.parquet")
        (tmp_path / "tables.toml").write_text('[bank.t]\npath = "t.parquet"\n')
        with pytest.raises(InputError, match=message) as caught:
            TablesFile.load(tmp_path / "tables.toml")["bank.t"].load(["id"])
        assert "see whether the export ended well" in caught.value.hint
