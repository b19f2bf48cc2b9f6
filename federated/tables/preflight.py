"""What each side finds out about its own keys before any cryptography: nothing leaves the party."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.readers.advice import to_declare
from federated.readers.dates import patterns_of
from federated.readers.fillers import FILLERS
from federated.readers.numbers import FORMS, Spelling, fitting
from federated.readers.settle import gone_of, notes_of
from federated.tables.advice import looks_like, of_column, of_report, problems
from federated.tables.key_columns import cleaned_key
from federated.tables.preflight_report import ColumnReport, LevelReport, PreflightReport
from psi.identifiers import Cleaned, clean, combine, guess_kind
from psi.identifiers.columns import as_text
from psi.identifiers.texts import among
from psi.protocol.errors import InputError, MisuseError

__all__ = ["preflight"]

# kinds that read 100001.0 as 100001
_WHOLE = ("number", "phone")
_SAMPLE = 2000
_VALUES, _REPEATED = 20, 10
"""Different keys from which on one in so many times the rows of others looks like a stand-in."""
# UTF-8 read as Latin-1 or Windows-1252, GBK read twice, and the replacement character.
_MOJIBAKE = "[\u00c2-\u00f4][\u0080-\u00bf]|\ufffd|锟斤拷|烫烫|屯屯|锘|ï»¿"
_FULL_WIDTH = "[\uff01-\uff5e\u3000]"
_SCIENTIFIC = r"^\d(?:\.\d+)?[eE]\+?\d+$"
_TIME = r"[\dT] ?\d{1,2}:\d{2}"
_MIDNIGHT = r"(?:T|\d +)0?0:00(?::00(?:\.0*)?)?\s*$"
_WRAPPED = r"""^\s*(?:="[^"]*"|'[^']+|(?:\{|urn:uuid:)[0-9a-fA-F-]{32,36}\}?)\s*$"""
_CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
_CODED = ("identity_number", "credit_code", "lei", "phone", "number")
_HASHED = r"^\s*(?:0x)?(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{64})\s*$"
_MARKED = {Spelling(decimal, thousands) for thousands, decimal in FORMS} - {Spelling()}
_FILLERS = frozenset(one.strip() for one in FILLERS)


def preflight(
    table: pa.Table,
    keys: Sequence[Sequence[str]],
    kinds: Mapping[str, str],
    *,
    duplicates: str = "collapse",
    minimum: int = 0,
    largest: int = 0,
    progress: Callable[[str, float], None] | None = None,
) -> PreflightReport:
    """Check the key columns of one party's table.

    Args:
        table: holds every key column.
        keys: the waterfall: levels of one or more columns, tried in order.
        kinds: identifier kind by column; a column without one is checked as `text`.
        duplicates: what the job does with rows that share a key, `collapse` or `join`.
        minimum: how many shared records the job needs.
        largest: how many distinct keys the other party takes; 0: any number.
        progress: told a column whose kind takes long, and the share of it that is done.

    Raises:
        InputError: no rows, or a key column that the table does not have.
        MisuseError: unknown kind, or no key at all.
    """
    if not keys or not all(keys):
        raise MisuseError("found no key columns, allowed: at least 1 in every level")
    if table.num_rows == 0:
        raise InputError("the table is empty")
    names = list(dict.fromkeys(name for level in keys for name in level))
    for name in names:
        if name not in table.column_names:
            raise InputError(f"no key column {name!r}")
    cleaned = {}
    for name in names:
        told = partial(progress, name) if progress else None
        cleaned[name] = cleaned_key(table, name, kinds.get(name, "text"), told)
    columns = tuple(
        _column(table.schema.field(name), table.column(name), cleaned[name], kinds)
        for name in names
    )
    levels = []
    waiting = np.ones(table.num_rows, dtype=np.bool_)
    for level in keys:
        key = combine([cleaned[name] for name in level])
        usable = np.asarray(pc.is_valid(key).to_numpy(zero_copy_only=False), dtype=np.bool_)
        reached = int((usable & waiting).sum())
        distinct = int(pc.count_distinct(key).as_py())
        levels.append(LevelReport(tuple(level), int(usable.sum()), distinct, reached))
        waiting &= ~usable
    found = PreflightReport(
        rows_=table.num_rows,
        columns=columns,
        levels=tuple(levels),
        duplicates=duplicates,
        minimum=minimum,
        largest=largest,
    )
    return replace(found, problems=tuple(problems(found)), suggestions=tuple(of_report(found)))


def _count(text: pa.Array, pattern: str) -> int:
    return int(pc.sum(pc.match_substring_regex(text, pattern)).as_py() or 0)


def _mistyped(text: pa.Array, cleaned: Cleaned) -> int:
    """Rows that are valid with the digit 0 for the letter O, or 1 for I and l."""
    if cleaned.kind not in _CODED or not cleaned.invalid:
        return 0
    unusable = text.filter(pc.is_null(cleaned.values))
    swapped = pc.replace_substring_regex(unusable, "[Oo]", "0")
    swapped = pc.replace_substring_regex(swapped, "[Il]", "1")
    changed = swapped.filter(pc.fill_null(pc.not_equal(swapped, unusable), False))
    return clean(changed, cleaned.kind).usable


def _uneven(text: pa.Array, kind: str) -> tuple[int, int]:
    """The fewest and most digits where all texts are numbers of differing lengths, none from 0."""
    known = pc.utf8_trim_whitespace(text.drop_null())
    if kind != "text" or not len(known) or _count(known, r"^(?:0|[1-9]\d*)$") < len(known):
        return 0, 0
    ends = pc.min_max(pc.utf8_length(known)).as_py()
    return (ends["min"], ends["max"]) if ends["min"] < ends["max"] else (0, 0)


def _marks(unread: pa.Array, name: str, kind: str) -> str:
    """What to declare where all texts that are no numbers are some with marks between thousands."""
    distinct = pc.unique(unread).drop_null()
    forms = fitting(distinct) if kind == "number" and len(distinct) else []
    if not forms or forms[0][0] not in _MARKED or forms[0][1] < len(distinct):
        return ""
    return ", ".join(to_declare(name, forms[0][0], None))


def _lengths(keys: pa.Array) -> tuple[int, int]:
    """Characters of the shortest and of the longest key."""
    ends = pc.min_max(pc.utf8_length(keys)).as_py()
    return (ends["min"] or 0, ends["max"] or 0)


def _most(held: np.ndarray) -> int:
    """Rows of the most frequent value, where that stands in far more rows than others do.

    `held` has the rows of each value.
    """
    if len(held) < _VALUES:
        return 0
    most = int(held.max())
    return most if most >= _REPEATED * max(1.0, float(np.quantile(held, 0.99))) else 0


def _fillers(text: pa.Array, kind: str) -> tuple[tuple[str, int], ...]:
    """What stands for nothing among keys that could be any text, most frequent first."""
    if kind != "text":
        return ()  # no other kind takes such a value
    trimmed = pc.utf8_trim_whitespace(text)
    counted = pc.value_counts(trimmed.filter(pc.fill_null(among(trimmed, _FILLERS), False)))
    found = zip(
        counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True
    )
    return tuple(sorted(found, key=lambda pair: (-pair[1], pair[0])))


def _column(
    field: pa.Field, values: pa.ChunkedArray, cleaned: Cleaned, kinds: Mapping[str, str]
) -> ColumnReport:
    name = field.name
    text, _ = as_text(values)
    wide = text.filter(pc.fill_null(pc.invert(pc.string_is_ascii(text)), False))
    reasons = dict(cleaned.reasons)
    nulls = reasons.pop("null", 0) + reasons.pop("empty", 0)
    held = pc.value_counts(cleaned.values.drop_null()).field("counts").to_numpy()
    distinct = len(held)
    filled = cleaned.rows - nulls
    guessed = ""
    plain = cleaned.kind == "text"
    if plain or name not in kinds or (filled and cleaned.usable < 0.5 * filled):
        sample = text.drop_null().slice(0, _SAMPLE)
        guessed = guess_kind(name, sample) or ""
        if name in kinds and guessed == "number":
            guessed = ""  # digits may be text on purpose, and digits of any kind are a number
        # A guess must beat the kind that was given, not only pass.
        better = guessed and name in kinds and clean(sample, guessed, threads=1).usable
        if guessed == cleaned.kind or (name in kinds and 2 * (better or 0) < len(sample)):
            guessed = ""
    times = _count(text, _TIME) - _count(text, _MIDNIGHT) if "date" in cleaned.kind else 0
    found = ColumnReport(
        column=name,
        kind=cleaned.kind,
        rows=cleaned.rows,
        nulls=nulls,
        invalid=reasons,
        changed=cleaned.changed,
        duplicates=cleaned.usable - distinct,
        full_width=_count(wide, _FULL_WIDTH),
        byte_order_marks=_count(wide, "\ufeff"),
        mojibake=_count(wide, _MOJIBAKE),
        scientific=_count(text, _SCIENTIFIC),
        suggested_kind=guessed,
        suggestions=(),
        words=int(notes_of(field).get("words", 0)),
        gone=tuple(gone_of(field)),
        fractions=0 if cleaned.kind in _WHOLE else _count(text, r"^\s*\d+\.0+\s*$"),
        mistyped=_mistyped(text, cleaned),
        times=times,
        fillers=_fillers(text, cleaned.kind),
        zeros=_count(text, r"^\s*0\d+\s*$") if plain else 0,
        digits=_count(text, r"^\s*[1-9]\d*\s*$") if plain else 0,
        wrapped=_count(text, _WRAPPED),
        control=_count(text, _CONTROL),
        uneven=_uneven(text, cleaned.kind),
        most=_most(held),
        dates=patterns_of(text.filter(pc.is_null(cleaned.values)))
        if cleaned.kind == "date" and not times
        else (),
        hashed=0 if plain else _count(text, _HASHED),
        said=looks_like(text, name),
        marks=_marks(text.filter(pc.is_null(cleaned.values)), name, cleaned.kind),
        lengths=_lengths(cleaned.values),
    )
    return replace(found, suggestions=tuple(of_column(found, values.type)))
