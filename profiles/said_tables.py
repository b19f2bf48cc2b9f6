"""Tables for people in the report's language: CSV files and workbooks.

Names of columns, products, segments' numbers and the job's own values are the same in every
language: a sheet's formula or another program finds them. Sentences that the software makes
(reasons, names of segments, how a lead came to its manager or why it has none, notes on columns)
are in the report's language. Parquet files, and what is copied from them to a database, stay
English: what earlier effects and histories are compared with must not hang on who reads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from profiles.language import LANGUAGES, Language, language

__all__ = ["said_list", "said_notes", "said_profiles", "spoken_in"]

_OF_LISTS = {"segment_name": "traits", "assigned_by": "how", "unassigned": "unassigned"}
"""Column to what it holds, as the catalogue groups it."""
_OF_PROFILES = {"segment_name": "traits"}
_OF_NOTES = {"description": "described"}
_REASON = r"(?s)^(?P<what>.*)(?P<by> \([+-]\d+\.\d\d\))$"


def spoken_in(folder: Path) -> Language:
    """The language of the outputs in a folder by metrics.json, with their job's titles; English
    where it says none."""
    try:
        said = json.loads((folder / "metrics.json").read_text("utf-8"))
        titles = {str(name): str(title) for name, title in said.get("titles", {}).items()}
        return language(said["lang"], titles)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return language(LANGUAGES[0])


def said_list(table: pa.Table, t: Language) -> pa.Table:
    """Target lists, or a campaign, with their sentences in a language."""
    return _said_in(table, t, _OF_LISTS)


def said_profiles(table: pa.Table, t: Language) -> pa.Table:
    """The same of profiles."""
    return _said_in(table, t, _OF_PROFILES)


def said_notes(table: pa.Table, t: Language) -> pa.Table:
    """The same of the dictionary of columns."""
    return _said_in(table, t, _OF_NOTES)


def _said_in(table: pa.Table, t: Language, forms: Mapping[str, str]) -> pa.Table:
    if t.as_made:
        return table
    for place, name in enumerate(table.column_names):
        column = table.column(place)
        if name in forms and pa.types.is_string(column.type):
            say = partial(t.told, group=forms[name])
            chunks = [_said(chunk, say) for chunk in column.chunks]
        elif _of_reasons(name, column.type):
            say = partial(t.told, group="level")
            chunks = [_reasons(chunk, say) for chunk in column.chunks]
        else:
            continue
        field = table.schema.field(place)
        table = table.set_column(place, field, pa.chunked_array(chunks, column.type))
    return table


def _of_reasons(name: str, kind: pa.DataType) -> bool:
    return (name == "reasons" or name.startswith("reasons_")) and kind == pa.list_(pa.string())


def _said(texts: pa.Array, say: Callable[[str], str]) -> pa.Array:
    coded = texts.dictionary_encode()
    words = [say(text) for text in coded.dictionary.to_pylist()]
    return pa.array(words, pa.string()).take(coded.indices)


def _reasons(lists: pa.ListArray, say: Callable[[str], str]) -> pa.ListArray:
    """Each reason in words, how far it moves the score behind it as it was."""
    flat = lists.flatten()
    parts = pc.extract_regex(flat, _REASON)
    moved = pc.is_valid(parts)
    what = pc.if_else(moved, pc.struct_field(parts, "what"), flat)
    size = pc.if_else(moved, pc.struct_field(parts, "by"), "")
    said = pc.binary_join_element_wise(_said(what, say), size, "")
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), said, mask=pc.is_null(lists))
