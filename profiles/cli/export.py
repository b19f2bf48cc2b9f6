"""`fedprofile export`: a run's tables in DuckDB, PostgreSQL or a workbook."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["export"]


def export(
    out: Annotated[Path, typer.Argument(help="The folder of a run.")],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="A file that ends in .duckdb or .xlsx, or postgresql://HOST/DATABASE (a password "
            "is better in ~/.pgpass).",
        ),
    ],
    schema: Annotated[str, typer.Option("--schema", help="Of the database.")] = "public",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file, or tables of the same names.")
    ] = False,
) -> None:
    """Copy profiles, lists and what else a run has as tables to where people work with them.

    Notes on columns go with them. All tables are copied, or none.
    """
    from profiles.export import export as copied

    for line in copied(out, to, schema=schema, overwrite=overwrite):
        typer.echo(line)
