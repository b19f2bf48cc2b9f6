"""One person out of a job's outputs: profiles, lists, held-out scores, and the lists of pages.

That is of the folder itself, of each branch's folder and of the managers' pages. Rows go whose
`entity` is one of the person's: what stands in the column that names entities in the party's own
table. A page names nobody but in its lists of targets; one that names the person elsewhere is
removed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from markupsafe import escape

from federated.persons.naming import Person
from federated.store.files import write_atomic
from federated.text import plain
from profiles.folder_names import BRANCHES, MANAGERS, hash_of
from profiles.language import Language
from profiles.profile import write_parquet_atomic
from profiles.said_tables import said_list, spoken_in
from profiles.spreadsheet import write_csv, write_workbook

__all__ = ["names_in", "take_out"]

ENTITY = "entity"
_ROW = re.compile(r"[ \t]*<tr>.*?</tr>\n?", re.DOTALL)


def take_out(folder: Path, person: Person, *, dry: bool = False) -> dict[str, str]:
    """Take a person's rows out of all outputs in a folder.

    Args:
        folder: of one job's outputs.
        person: from `find_person`.
        dry: say what would be written, and write nothing.

    Returns:
        The files that named the person, with the SHA-256 of what they are now: "" for one that was
        removed, or nothing is written. A folder of branches or managers counts as one file.
    """
    names, spoken = names_in(folder, person), spoken_in(folder)
    found = _out_of(folder, names, spoken, dry)
    for name in (BRANCHES, MANAGERS):
        inside = folder / name
        taken = [
            _out_of(place, names, spoken, dry) for place in (inside, *sorted(inside.glob("*/")))
        ]
        if any(taken):
            found[name] = "" if dry else hash_of(inside)
    return found


def _out_of(folder: Path, names: Iterable[str], spoken: Language, dry: bool) -> dict[str, str]:
    """Take the rows of `names` out of the tables and pages in one folder."""
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.parquet")):
        if ENTITY not in pq.read_schema(path).names:
            continue
        table = pq.read_table(path)
        entity = table.column(ENTITY).cast(pa.large_string())
        out = pc.is_in(entity, value_set=pa.array(sorted(names), pa.large_string()))
        if not pc.any(out).as_py():
            continue
        beside = [path.with_suffix(end) for end in (".csv", ".xlsx")]
        written = [path, *(other for other in beside if other.exists())]
        if not dry:
            left = table.filter(pc.invert(out))
            said = said_list(left, spoken)
            for other in beside:
                if other.exists() and other.suffix == ".csv":
                    write_csv(said, other)
                elif other.exists() and not write_workbook(said, other):
                    other.unlink()  # the package that writes it is gone
            write_parquet_atomic(left, path)  # last: a kill before it finds the person again
        found |= {one.name: "" if dry else hash_of(one) for one in written}
    for page in sorted(folder.glob("*.html")):
        if (text := _without_rows(page.read_text("utf-8"), names)) is not None:
            if not dry:
                _write_page(page, text, names)
            found[page.name] = "" if dry else hash_of(page)
    return found


def names_in(folder: Path, person: Person) -> set[str]:
    """What the person may be called in the column `entity` of these outputs."""
    table, column = _entity_column(folder)
    if not column:  # the outputs have ended, copies may be left
        return person.words()
    names, rows = {person.word}, person.rows.get(table)
    if rows is not None and column in rows.column_names:
        names |= {str(value) for value in rows.column(column).to_pylist() if value is not None}
    return names


def _entity_column(folder: Path) -> tuple[str, str]:
    """The receiver's table and the column that names entities; "" where metrics.json says none."""
    try:
        said = json.loads((folder / "metrics.json").read_text("utf-8"))["entity"]
        return str(said["table"]), str(said["column"])
    except (OSError, ValueError, KeyError, TypeError):
        return "", ""


def _without_rows(text: str, names: Iterable[str]) -> str | None:
    """The report without the rows of its lists that name the person; None where none does."""
    heads = [f'<th scope="row">{escape(plain(name))}</th>' for name in names]
    if not any(head in text for head in heads):
        return None
    return _ROW.sub(lambda row: "" if any(h in row.group() for h in heads) else row.group(), text)


def _write_page(page: Path, text: str, names: Iterable[str]) -> None:
    if any(f">{escape(plain(name))}<" in text for name in names):
        page.unlink()
    else:
        write_atomic(page, text)
