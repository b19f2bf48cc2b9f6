"""Options that several commands of `fedprofile flows` have, with one text each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Lang", "Memory", "Name", "Tables", "Threads"]

Tables = Annotated[Path, typer.Option("--tables", help="A tables.toml with [flows.NAME].")]
Name = Annotated[str, typer.Option("--flows", help="Which [flows.NAME], where there are several.")]
Lang = Annotated[str, typer.Option("--lang", help="What is shown is in this language, en or zh.")]
Threads = Annotated[int, typer.Option("--threads", help="Of an embedded DuckDB; 0: its choice.")]
Memory = Annotated[
    str,
    typer.Option(
        "--memory",
        help="What this command may take, such as 4GB: an embedded DuckDB gets five eighths of it, "
        "all but 1.5 GB of more than 4, and writes what is over to TMPDIR.",
    ),
]
