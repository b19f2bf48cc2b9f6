"""Options that several commands have, with one text each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Hub", "Lang", "Out", "Overwrite", "PassphraseFile", "Quiet", "Tables", "Wait"]

Tables = Annotated[Path, typer.Option("--tables", help="Binds the job's tables to data.")]
Out = Annotated[Path, typer.Option("--out", help="A folder for the outputs.")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace the outputs of an earlier run in --out.")
]
Hub = Annotated[
    Path | None,
    typer.Option(
        "--hub",
        help="The folder of this party's hub or running node: the other parties are at their "
        "own nodes, and --tables binds this party's tables only.",
    ),
]
PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", help="Opens this party's keys, with --hub.")
]
Wait = Annotated[
    float, typer.Option("--wait", min=0.01, help="Hours to wait for the others, with --hub.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bar.")]
Lang = Annotated[
    str,
    typer.Option(
        "--lang", help="The report's language, en or zh; without it that of the job file."
    ),
]
