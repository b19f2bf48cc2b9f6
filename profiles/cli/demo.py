"""`fedprofile demo`: the whole job on a small synthetic world."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["demo"]

OUT = "fedprofile-demo"


def demo(
    out: Annotated[Path, typer.Option("--out", help="A folder for the outputs.")] = Path(OUT),
    write: Annotated[
        Path | None,
        typer.Option(
            "--write", help="Leave the world here, as files with jobs and tables, and run none."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite/--keep", help="Replace the outputs of an earlier demo.")
    ] = True,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
    lang: Annotated[str, typer.Option("--lang", help="The reports' language, en or zh.")] = "",
) -> None:
    """Run four jobs on a synthetic bank, telecom, credit bureau and business registry.

    All parties in one process, each with its own keys, contract, sealed channels, journal
    and ledger: the code that a deployment runs.
    """
    if write is None and not quiet:  # before a second is spent on imports
        typer.echo("four jobs of a synthetic bank with its partners; results follow each", err=True)
    from profiles.cli.run import check_lang
    from profiles.cli.screen import progress_bar
    from profiles.cli.summary import print_summary
    from profiles.demo import run_demo, show_money, write_world

    check_lang(lang)
    if write is not None:
        write_world(write)
        to, more = out if str(out) != OUT else "out", f" --lang {lang}" if lang else ""
        typer.echo(f"the world is in {write}, and no job is run: change it, then")
        typer.echo(
            f"  fedprofile run {write}/job.toml --tables {write}/tables.toml --out {to}{more}"
        )
        typer.echo(f"  fedprofile flows report --tables {write}/tables.toml --out flows.html{more}")
        return
    for result in run_demo(
        out, overwrite=overwrite, progress=None if quiet else progress_bar, lang=lang
    ):
        print_summary(result)
    typer.echo(f"where the bank's money comes from, goes and leaves: {show_money(out, lang=lang)}")
