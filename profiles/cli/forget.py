"""`fedprofile forget`: one person is gone from what this party keeps, and from its next jobs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federated.cli.persons import HOME, Column, Entity, From, Home

if TYPE_CHECKING:
    from federated.node.forget import Forgotten
    from federated.persons.naming import Person

__all__ = ["forget"]


def forget(
    entity: Entity = "",
    file: From = None,
    column: Column = "",
    home: Home = HOME,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            "--out",
            help="Another folder of outputs than this node's runs have noted, or that of another "
            "tables.toml, of which fedprofile flows has written files.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")
    ] = False,
    undo: Annotated[
        bool,
        typer.Option("--undo", help="Let a person who was forgotten be in later jobs again."),
    ] = False,
    passphrase_file: Annotated[
        Path | None,
        typer.Option("--passphrase-file", help="A file of mode 0600 that opens this party's keys."),
    ] = None,
) -> None:
    """Forget one person at this party: a withdrawal that is carried out.

    Gone from all later jobs, from profiles, lists and held-out scores of earlier ones, from the
    record of who was in them, from prepared tags and from the book of releases. Says what is kept,
    and why. Partners learn of it by the next alignment, in which the person's key is not. Saying it
    twice changes nothing. What names the person is never shown, logged or written in the clear.

    \b
        fedprofile forget - --dry-run < letter.txt
    """
    from federated.cli.passphrase import passphrase
    from federated.cli.persons import given_word
    from federated.node.forget import forget as carry_out
    from federated.node.forget import look_up, pending, readmit
    from federated.node.home import NodeHome
    from federated.node.outputs import kept_outputs, output_folders
    from profiles.taken_out import take_out_of_copies
    from profiles.without_person import names_in, take_out

    place = NodeHome.open(home)
    person = look_up(place, given_word(entity, file), column)
    if undo:
        gone = readmit(place, person)
        typer.echo("may be in jobs again" if gone else "was not forgotten: nothing has changed")
        return
    kept = {kept.folder for kept in kept_outputs(place)} | set(out or [])
    folders = dict.fromkeys([*output_folders(place), *(out or [])])
    beyond: dict[str, None] = {}

    def copies(folder: Path, names: set[str], **how: bool) -> dict[str, str]:
        written, left = take_out_of_copies(folder, names, **how)
        beyond.update(dict.fromkeys(left))
        return {Path(name).name: now for name, now in written.items()}

    def outputs(person: Person, dry: bool) -> dict[str, str]:
        found: dict[str, str] = {}
        for folder in folders:
            named = names_in(folder, person)
            written = take_out(folder, person, dry=dry) if folder in kept else {}
            found |= {f"{folder.name}/{name}": now for name, now in written.items()}
            found |= copies(folder, named, changed=bool(written), dry=dry)
        return found | copies(place.path, person.words(), dry=dry)

    if dry_run:
        _say(carry_out(place, person, None, outputs), beyond, dry=True)
        return
    keys = place.load_keys(passphrase(passphrase_file))
    if begun := pending(place):  # a command that was killed is finished first
        word, at = begun
        carry_out(place, look_up(place, word, at), keys, outputs, column=at)
    _say(carry_out(place, person, keys, outputs, column=column), beyond, dry=False)


def _say(done: Forgotten, beyond: Iterable[str], *, dry: bool) -> None:
    from federated.node.forget import KEPT
    from federated.text import plain

    would = "would be" if dry else "is"
    found = ", ".join(f"{rows} of {table}" for table, rows in done.tables.items())
    typer.echo(f"rows now: {found or 'none in the bound tables'}; out of all later jobs")
    typer.echo(f"the record of who was in {done.jobs} jobs {would} without the person")
    if not dry:
        typer.echo(f"tags in the book of releases replaced: {done.releases}")
    typer.echo(f"{done.prepared} files of prepared tags {would} removed: partners get others")
    for name, kept in done.outputs.items():
        went = "" if kept or dry else ", removed: it named the person outside its lists"
        typer.echo(f"output {plain(name)} {would} without the person{went}")
    for session in done.under_way:
        typer.echo(
            f"job {session} is under way: its sealed copy of the table ends with it, or by "
            f"fedprofile job stop {session}"
        )
    for line in beyond:
        typer.echo(f"out of reach: {plain(line, 400)}")
    typer.echo(
        "out of reach: copies that were made by other means than fedprofile export, leads load and "
        "flows; and flows of other tables.toml than this node's, unless --out names their folder"
    )
    typer.echo("kept:")
    for line in KEPT:
        typer.echo(f"  {line}")
