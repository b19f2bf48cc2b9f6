"""What to do about keys that preflight found wanting: a sentence each, without a value."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.readers.advice import listed_nulls, quoted_name
from federated.tables.preflight_report import ColumnReport, LevelReport, PreflightReport

__all__ = ["looks_like", "of_column", "of_report", "problems"]

_ZH = "小计|小計|合计|合計|总计|總計|汇总"
_SUM = rf"sub-?total|total|summe|gesamt|合 *计|总 *计|小 *计|{_ZH}"
_TOTAL = (
    rf"(?i)^(?:grand +)?(?:{_SUM}|sum)s?\s*[:：]?$"  # Total, 合计
    rf"|^(?:{_SUM})s?\s*[:：]\s*\S"  # Total: North
    rf"|\S[\s–—-]*(?:{_ZH})\s*[:：]?$|\S[\s–—-]+(?:sub-?)?totals?\s*:?$"  # North total, 北京小计
    r"|^\(?[\d,]+ rows?(?: (?:selected|affected|fetched))?\.?\)?$"  # what SQL tools put below
)


def looks_like(text: pa.Array | pa.ChunkedArray, name: str) -> tuple[str, ...]:
    """What rows of a column of text are by the look of them, and what to do; a sentence each."""
    trimmed = pc.utf8_trim_whitespace(text)
    found = (_own_names(trimmed, name), _sums(trimmed), _merged_cells(text))
    return tuple(said for said in found if said)


def _own_names(text: pa.Array | pa.ChunkedArray, name: str) -> str:
    """Where the header comes again."""
    marked = pa.array([name, f"\ufeff{name}"], text.type)
    rows = int(pc.sum(pc.is_in(text, value_set=marked)).as_py() or 0)
    if not rows:
        return ""
    return (
        f"{rows:,} rows hold the column's own name: the header comes again, as in files put "
        "together from several; delete these lines, or bind the folder of the files"
    )


def _sums(text: pa.Array | pa.ChunkedArray) -> str:
    """Where rows are named as a sum of others."""
    rows = int(pc.sum(pc.match_substring_regex(text, _TOTAL)).as_py() or 0)
    if not rows:
        return ""
    return (
        f"{rows:,} rows are called a total (Total, North total, 合计 …), or are a count of rows as "
        "tools put below a table: delete them"
    )


def _merged_cells(text: pa.Array | pa.ChunkedArray) -> str:
    """Where a value stands for the rows below it, as merged cells are exported."""
    there = np.asarray(pc.is_valid(text).to_numpy(zero_copy_only=False), dtype=np.bool_)
    held = int(there.sum())
    if not 1 < held <= len(there) // 2 or not there[0] or (there[1:] & there[:-1]).any():
        return ""
    return (
        f"{held:,} of {len(there):,} rows have a value, each with rows below it that have none: "
        "where cells were merged in a spreadsheet, fill the value down into every row"
    )


def of_column(report: ColumnReport, given: pa.DataType) -> list[str]:
    """Sentences that say what to do, worst first."""
    name, found = report.column, list[str]()
    if report.mojibake:
        found.append(
            f"{name}: {report.mojibake:,} rows are garbled: the file was read in another "
            'encoding than it was written in; set encoding = "gbk" or "utf-8" in tables.toml'
        )
    inexact = report.scientific + report.invalid.get("number not exact", 0)
    if inexact:
        found.append(
            f"{name}: {inexact:,} rows lost digits as floating-point numbers (9.1E+17): export the "
            "column as text, from the source and not from a spreadsheet"
        )
    if report.suggested_kind:
        kind = report.suggested_kind
        other = "" if report.kind == "text" else "another column may be meant; if not, "
        found.append(
            f"{name}: looks like {kind}: {other}name that kind in [align] kinds of the job, or in "
            f'tables.toml, kinds = {{ {quoted_name(name)} = "{kind}" }}, where a table is bound '
            "without a job"
        )
    if report.invalid.get("masked"):
        found.append(
            f"{name}: {report.invalid['masked']:,} rows are masked with *: they cannot match; ask "
            "for the column unmasked"
        )
    found += _of_values(report)
    found += [f"{name}: {said}" for said in report.said]
    if report.byte_order_marks:
        marks = report.byte_order_marks
        found.append(f"{name}: {marks:,} byte-order marks inside the data, removed")
    if report.nulls == report.rows:
        found.append(f"{name}: empty in all rows: see whether the export lost it")
    elif report.nulls * 2 > report.rows:
        found.append(f"{name}: {report.nulls:,} of {report.rows:,} rows are empty")
    return found + ([] if report.suggested_kind else _of_form(report, given))


def _of_values(report: ColumnReport) -> list[str]:
    """What is said of values that are not what they seem."""
    name, found, plain = report.column, list[str](), report.kind == "text"
    if report.fractions and not report.suggested_kind:
        kind = "as kind number; name it in [align] kinds, or export" if plain else "if you export"
        found.append(
            f"{name}: {report.fractions:,} rows are whole numbers with .0 behind them, as programs "
            f"write numbers beside gaps: they match 100001 only {kind} the column as whole numbers"
        )
    if report.times:
        found.append(
            f"{name}: {report.times:,} rows have a time of day: a moment, or a date that was moved "
            "to another time zone; export the date alone"
        )
    if report.words:
        found.append(
            f"{name}: {report.words:,} rows hold a word for nothing (NA, NULL, None, nan …), taken "
            f"as missing; nulls = {{ {quoted_name(name)} = [] }} in tables.toml keeps them"
        )
    if report.fillers:
        marks = listed_nulls([mark for mark, _ in report.fillers], report.gone)
        count = sum(count for _, count in report.fillers)
        found.append(
            f"{name}: {count:,} rows hold what people write for nothing, and match each other: set "
            f"nulls = {{ {quoted_name(name)} = {marks} }} in tables.toml if they mean missing"
        )
    if report.most:
        found.append(
            f"{name}: {report.most:,} rows have one and the same value, others a few: if it was "
            "typed for want of the true one (0, 11111111), all of them match as one: name it in "
            f"nulls = {{ {quoted_name(name)} = [...] }} in tables.toml"
        )
    if report.wrapped:
        found.append(
            f'{name}: {report.wrapped:,} rows are written for a spreadsheet (="0123" or an '
            "apostrophe before it), or as a UUID in braces, which is part of the text and matches "
            "nothing that is written without: export the column without"
        )
    if report.control:
        found.append(
            f"{name}: {report.control:,} rows hold NUL or other control characters: the export or "
            "a copy of it is damaged"
        )
    if report.uneven[1]:
        low, high = report.uneven
        found.append(
            f"{name}: numbers of {low} to {high} digits without a leading zero: if the other party "
            "writes them with (000123), they match as kind number only, or a spreadsheet has "
            "taken the zeros: export the column as text"
        )
    if report.mistyped:
        found.append(
            f"{name}: {report.mistyped:,} rows are valid with the digit 0 for the letter O, or 1 "
            "for I or l: correct them at the source"
        )
    return found


def _of_form(report: ColumnReport, given: pa.DataType) -> list[str]:
    """What is said of values that have not the form of their kind."""
    name, found = report.column, list[str]()
    if pa.types.is_timestamp(given) and given.tz:
        found.append(
            f"{name}: times as clocks in {given.tz} show them: the other party's have to be of "
            "the same zone"
        )
    if report.invalid.get("wrong checksum"):
        found.append(
            f"{name}: {report.invalid['wrong checksum']:,} rows have a wrong check digit: typing "
            "or scanning errors (O for 0, I for 1), or another kind of identifier"
        )
    if pa.types.is_integer(given) and report.invalid.get("wrong length"):
        found.append(f"{name}: whole numbers lose leading zeros: read the column as text")
    elif report.invalid.get("wrong length", 0) * 200 > report.rows:
        found.append(
            f"{name}: {report.invalid['wrong length']:,} rows have the wrong length: values cut "
            "off, leading zeros lost, or another kind of identifier"
        )
    if report.hashed:
        found.append(
            f"{name}: {report.hashed:,} rows look like hashes: they match only as kind text, and "
            "where the other party has the same hash of the same spelling; better ask for the "
            "column as it was"
        )
    if wrong := report.invalid.get("wrong format", 0) + report.invalid.get("wrong date", 0):
        found.append(
            f"{name}: {wrong:,} rows are no {report.kind} as it is read: {_written(report)}"
        )
    strange = report.invalid.get("bad character", 0) - report.scientific
    if strange * 200 > report.rows:
        why = "notes in place of a value (none, to follow), or values of another column"
        if report.marks:
            why = f"in tables.toml set {report.marks}"
        found.append(f"{name}: {strange:,} rows hold characters that no {report.kind} has: {why}")
    return found


def _written(report: ColumnReport) -> str:
    """What to write into `tables.toml` so that days are read, as far as trying finds it."""
    key = quoted_name(report.column)
    if report.dates:
        ways = " or ".join(f'dates = {{ {key} = "{pattern}" }}' for pattern in report.dates)
        which = ", by what stands first, the day or the month" * (len(report.dates) > 1)
        return f"in tables.toml set {ways}{which}"
    if report.kind == "date":
        return (
            "days are written 2026-07-31; where all are written in another way, say it in "
            f'tables.toml: dates = {{ {key} = "dd.mm.yyyy" }}; export seconds since 1970 as days'
        )
    return "notes, several values in one cell, or values of another column"


def _of_level(level: LevelReport, report: PreflightReport) -> list[str]:
    """What repeated keys of one level mean."""
    if level.duplicates * 10 <= report.rows_:
        return []
    told = f"{' + '.join(level.columns)}: {level.duplicates:,} rows repeat an earlier key"
    if report.duplicates == "join":
        return [f"{told}: each matches, and the other party learns how often each key occurs"]
    return [f'{told}: the first stands for all; [align] duplicates = "join" would keep each']


def of_report(report: PreflightReport) -> list[str]:
    """What to fix: of each column, of each level, of all."""
    found = [text for column in report.columns for text in column.suggestions]
    found += [text for level in report.levels for text in _of_level(level, report)]
    if 0 < report.usable * 2 < report.rows_:
        missing = report.rows_ - report.usable
        found.append(f"{missing:,} rows have no usable key: add another level of keys")
    return found


def problems(report: PreflightReport) -> list[str]:
    """Why a job cannot succeed with these keys, whatever the other party brings."""
    if report.usable == 0:
        return ["no row has a usable key: nothing can match"]
    items, found = sum(level.distinct for level in report.levels), list[str]()
    most = report.usable if report.duplicates == "join" else min(report.usable, items)
    if most < report.minimum:
        found.append(
            f"{most:,} records at most can match, and fewer than {report.minimum:,} end the job: "
            "[align] minimum_overlap"
        )
    if report.largest and items > report.largest * len(report.levels):
        found.append(
            f"{items:,} different keys; the other party takes {report.largest:,} a level: "
            "[align] largest_set"
        )
    return found
