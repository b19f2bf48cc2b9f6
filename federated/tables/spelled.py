"""What two columns of one party's are compared by: text as a person would have typed it.

Tables of one party come from several systems: a customer's number is a decimal in one and a text in
another. Both are spelled alike here, as keys are.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from federated.tables.column_roles import kind_of
from psi.identifiers.columns import as_text, fold_wide, one_array
from psi.protocol import InputError

__all__ = ["ALIKE", "loosely", "nearly", "spelled"]

ALIKE = "but for case, width, leading zeros, .0, blanks or dashes"
"""What `loosely` leaves out, as errors say it."""
_TYPED = ("number", "date", "timestamp")


def spelled(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The column as large_string without blanks around it; blank is missing.

    Whole numbers are their digits whatever their type; days and times as keys have them.

    Raises:
        InputError: bytes, or several values in one: it names the type, not the column.
    """
    array = one_array(column)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = kind_of(array.type)
    if kind in ("bytes", "list", "nested", "other"):
        raise InputError(
            f"found {array.type}, which is compared with nothing",
            hint="export it as text or as a number",
        )
    text = array.cast(pa.large_string())
    if kind in _TYPED:
        text = pc.coalesce(as_text(array)[0], text)  # floats beyond their digits have none
    text = pc.utf8_trim_whitespace(text)
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.large_string()), text)


def loosely(text: pa.Array) -> pa.Array:
    """Texts without what programs change: case, width, leading zeros, .0, blanks and dashes."""
    text = pc.utf8_lower(fold_wide(text)[0])
    for pattern, kept in ((r"\.0+$", ""), (r"[\s'-]+", ""), (r"^0+(.)", r"\1")):
        text = pc.replace_substring_regex(text, pattern, kept)
    return text


def nearly(lost: pa.Array | pa.ChunkedArray, known: pa.Array | pa.ChunkedArray) -> int:
    """How many of these texts that are not known would be, but for what programs change."""
    mine, theirs = (loosely(one_array(one).cast(pa.large_string())) for one in (lost, known))
    return int(pc.sum(pc.is_in(mine, value_set=theirs.drop_null())).as_py() or 0)
