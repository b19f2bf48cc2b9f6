"""Texts from other hands, made safe to show: in a report, on a terminal, in a CSV file.

Column values, product names and other parties' names may hold anything. `plain` leaves only
what is visible; HTML is escaped where it is written, by Jinja's autoescape; `csv_safe` keeps a
spreadsheet from reading a cell as a formula.

Sources: Unicode TR 36 and "Trojan Source" (Boucher and Anderson, 2021) on bidirectional
controls; ECMA-48 on terminal sequences; OWASP, "CSV Injection".
"""

from __future__ import annotations

import re
import unicodedata

import pyarrow as pa
import pyarrow.compute as pc

__all__ = [
    "LIMIT",
    "compared",
    "csv_safe",
    "csv_safe_column",
    "plain",
    "plain_column",
    "sized",
    "slug",
]

LIMIT = 200

# escape sequences of a terminal: CSI, then strings (OSC, DCS, …) up to their end, then short
_TERMINAL = (
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]?"
    "|(?:\x1b[\\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\\\|\x9c)?"
    "|\x1b[ -/]*[0-~]?"
)
_SPACE = r"[\s\x1c-\x1f\x85\p{Z}]+"
_UNSEEN = (
    r"[\p{Cc}\p{Cf}\p{Co}\x{115f}\x{1160}\x{3164}\x{ffa0}\x{fe00}-\x{fe0f}\x{e0100}-\x{e01ef}]+"
)
_FILLERS = "\u115f\u1160\u3164\uffa0"  # letters by category, blank on the screen
_MARKS = r"(\p{M}{3})\p{M}+"
# what Excel and its relatives take for the start of a formula, their full-width forms too
_FORMULA = "=+-@\t\r\n|%＝＋－＠"
# Text that they take for a number or a date, and write back as another: leading zeros, more than
# 15 digits, 12E4, 1-2 and 3/4.
_REWRITTEN = r"^(?:0\d+(?:\.\d+)?|\d{16,}|\d+[eE]\d+|\d{1,2}[-/]\d{1,2})$"


def plain(text: str, limit: int = LIMIT) -> str:
    """`text` in one line, in NFC, without anything that is not seen, at most `limit` characters.

    Terminal sequences go as a whole; control, formatting (bidirectional, zero-width) and
    private-use characters go; white space becomes single spaces; a fourth combining mark on
    one letter and what follows it goes. A longer text ends in "…".
    """
    # surrogates cannot be encoded, so they would break every writer further on
    whole = text[: 8 * limit + 1024].encode("utf-8", "replace").decode("utf-8")
    if whole.isascii() and whole.isprintable():
        found = " ".join(whole.split())
    elif whole.isprintable() and all(_ordinary(character) for character in whole):
        # nearly every text; the patterns below cost milliseconds
        found = " ".join(unicodedata.normalize("NFC", whole).split())
    else:
        found = str(plain_column(pa.array([whole], pa.large_string()))[0].as_py())
    return found if len(found) <= limit else found[: limit - 1].rstrip() + "…"


def _ordinary(character: str) -> bool:
    """Whether a printable character is sure to be seen and to stand alone: no mark on another."""
    return character not in _FILLERS and not unicodedata.category(character).startswith("M")


def plain_column(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """`plain` of every value of a text column, without the limit; nulls stay null."""
    found = pc.replace_substring_regex(column, _TERMINAL, "")
    found = pc.replace_substring_regex(found, _SPACE, " ")
    found = pc.replace_substring_regex(found, _UNSEEN, "")
    found = pc.replace_substring_regex(found, " {2,}", " ")  # what stood between them is gone
    found = pc.utf8_normalize(found, form="NFC")
    found = pc.replace_substring_regex(found, _MARKS, r"\1")
    return pc.utf8_trim_whitespace(found)


def csv_safe(text: str) -> str:
    """`text` without control characters, with an apostrophe before what a spreadsheet changes.

    That is what looks like a formula, and numbers that would lose digits: leading zeros, more than
    15 digits.
    """
    found = csv_safe_column(pa.array([text.encode("utf-8", "replace").decode()]))[0].as_py()
    return str(found)


def csv_safe_column(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """`csv_safe` of every value of a text column; nulls stay null."""
    shown = plain_column(column)
    # looked for before and after cleaning: a tab or a hidden character must not shield a sign
    first = f"^[{re.escape(_FORMULA)}]"
    risky = pc.or_(pc.match_substring_regex(column, first), pc.match_substring_regex(shown, first))
    risky = pc.or_(risky, pc.match_substring_regex(shown, _REWRITTEN))
    marked = pc.binary_join_element_wise(
        pa.scalar("'", shown.type), shown, pa.scalar("", shown.type)
    )
    return pc.if_else(risky, marked, shown)


def sized(count: float) -> str:
    """A number of bytes for people: 1234567 -> '1.2 MB'."""
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def compared(found: float, allowed: float, *more: float) -> list[str]:
    """Numbers with as many decimals, one to six, as show which of the first two is larger."""
    decimals = 1
    if found != allowed:
        while decimals < 6 and f"{found:.{decimals}f}" == f"{allowed:.{decimals}f}":
            decimals += 1
    return [f"{value:.{decimals}f}" for value in (found, allowed, *more)]


def slug(text: str) -> str:
    """`text` as a column or file name: letters, digits and underscores, never empty."""
    folded = unicodedata.normalize("NFKC", plain(text)).lower()
    return re.sub(r"\W+", "_", folded).strip("_")[:60] or "unnamed"
