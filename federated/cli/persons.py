"""`fedprofile node year` and `node answer`: who was in this party's jobs, as counts and for one."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from federated.persons.book import Admitted, Used

__all__ = ["answer", "given_word", "year"]

HOME = Path("fedprofile-node")
Home = Annotated[Path, typer.Option("--home", help="The node's folder.")]
Entity = Annotated[
    str,
    typer.Argument(
        help="What names the person in this party's tables; - reads it from standard input, which "
        "leaves nothing in the shell's history."
    ),
]
From = Annotated[
    Path | None, typer.Option("--from", help="A file that holds it, in place of the argument.")
]
Column = Annotated[
    str, typer.Option("--column", help="The column it stands in, where it would name several.")
]


def given_word(entity: str, file: Path | None) -> str:
    """The identifier: the argument, the first line of a file, or of standard input.

    Raises:
        MisuseError: none was given, or two; without what was given.
    """
    from psi.protocol import InputError, MisuseError

    if bool(entity) == (file is not None):
        raise MisuseError("one of ENTITY and --from is needed", hint="ENTITY - reads it from input")
    try:
        text = (
            file.read_text("utf-8") if file else sys.stdin.readline() if entity == "-" else entity
        )
    except (OSError, UnicodeError):
        raise InputError(f"{file}: cannot be read as UTF-8 text") from None
    word = next(iter(text.splitlines()), "").strip()
    if not word:
        raise InputError("what was given is empty")
    return word


def year(
    of: Annotated[int, typer.Option("--of", help="Which year; the present one by default.")] = 0,
    home: Home = HOME,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show which persons' rows went into which purposes over a year, by partner, as counts.

    One line for each purpose, partner and table: jobs, rows that were admitted, how many distinct
    ones over all jobs, and how many of them were found at the partner, where this party knows.
    """
    import json

    from federated.node.home import NodeHome, person_book
    from federated.text import plain

    book, wanted = person_book(NodeHome.open(home)), of or datetime.now(UTC).year
    groups: dict[tuple[str, str, str, str], list[Admitted]] = {}
    me = NodeHome.open(home).name
    for job in book.jobs():
        if datetime.fromtimestamp(job.began, UTC).year != wanted:
            continue
        for other in job.others(me):
            place = (job.purpose, job.purpose_class or "class not stated", other, job.table)
            groups.setdefault(place, []).append(job)
    rows: list[dict[str, Any]] = []
    for (purpose, name, other, table), jobs in sorted(groups.items()):
        known = [job.matched for job in jobs if job.matched >= 0]
        rows.append(
            {
                "purpose": purpose,
                "class": name,
                "partner": other,
                "table": table,
                "jobs": len(jobs),
                "rows": sum(job.rows for job in jobs),
                "distinct": book.persons([job.session for job in jobs]),
                "matched": sum(known) if len(known) == len(jobs) else None,
            }
        )
    if as_json:
        typer.echo(json.dumps({"year": wanted, "purposes": rows}, indent=1, ensure_ascii=False))
        return
    if not rows:
        typer.echo(f"no job of {wanted} is remembered here")
    for row in rows:
        distinct = "" if row["distinct"] is None else f", {row['distinct']:,} distinct"
        found = "" if row["matched"] is None else f"; {row['matched']:,} found there"
        typer.echo(
            f"{plain(row['purpose'], 60)} ({row['class']}) with {row['partner']}, {row['table']}: "
            f"{row['jobs']} jobs, {row['rows']:,} rows{distinct}{found}"
        )


def answer(
    entity: Entity = "",
    file: From = None,
    column: Column = "",
    home: Home = HOME,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Answer a person who asks: what of me was used, by whom, for what, and when.

    From this party's own records: the jobs that the person's row was admitted to, with the columns
    that their contracts used. The identifier is looked up, and never shown or kept.
    """
    import json

    from federated.node.forget import look_up
    from federated.node.home import NodeHome, person_book

    place = NodeHome.open(home)
    person = look_up(place, given_word(entity, file), column)
    used = person_book(place).used(person)
    rows = [_as_data(one, place.name) for one in used]
    if as_json:
        typer.echo(json.dumps({"party": place.name, "used": rows}, indent=1, ensure_ascii=False))
        return
    if not rows:
        typer.echo("no job that is remembered here had a row of this person")
    for row in rows:
        for line in _lines(row):
            typer.echo(line)


def _as_data(one: Used, me: str) -> dict[str, Any]:
    job = one.job
    return {
        "day": f"{datetime.fromtimestamp(job.began, UTC):%Y-%m-%d}",
        "job": job.job,
        "session": job.session,
        "purpose": job.purpose,
        "class": job.purpose_class,
        "with": list(job.others(me)),
        "receiver": job.receiver,
        "table": job.table,
        "columns": {one.use: list(one.columns) for one in job.uses},
        "found_at_partners": one.matched,
    }


def _lines(row: dict[str, Any]) -> list[str]:
    from federated.text import plain

    found = {
        None: "whether partners know you is not known here",
        True: "you were found at the partners, and are in its results",
        False: "you were not found at all partners: nothing of you is in its results",
    }[row["found_at_partners"]]
    lines = [
        f'{row["day"]}  "{plain(row["job"], 80)}" for "{plain(row["purpose"], 60)}" '
        f"({row['class'] or 'class not stated'}), with {', '.join(row['with'])}; "
        f"{row['receiver']} received the results",
        f"  {found}",
    ]
    lines += [
        f"  as {use}: {plain(', '.join(columns), 1000)}" for use, columns in row["columns"].items()
    ]
    return lines
