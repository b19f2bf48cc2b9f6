"""`fedprofile selftest`: what an installation can check of itself."""

from __future__ import annotations

import typer


def selftest() -> None:
    """Check kernels, keys, randomness and the compile cache of this installation."""
    from rich.console import Console
    from rich.table import Table

    from profiles.selfcheck import checks

    table = Table("", "check", "found", box=None, pad_edge=False)
    failed = 0
    for name, good, detail in checks():
        failed += not good
        table.add_row("ok" if good else "FAILED", name, detail)
    Console().print(table)
    if failed:
        typer.echo(f"error: {failed} checks failed", err=True)
        raise typer.Exit(1)
