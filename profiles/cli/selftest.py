"""`fedprofile selftest`: what an installation can check of itself."""

from __future__ import annotations

import typer


def selftest() -> None:
    """Check kernels, keys, randomness and the compile cache of this installation."""
    from federated.cli.lists import print_rows
    from profiles.selfcheck import checks

    found = list(checks())
    failed = sum(not good for _, good, _ in found)
    rows = [("ok" if good else "FAILED", name, detail) for name, good, detail in found]
    print_rows(("", "check", "found"), rows)
    if failed:
        typer.echo(f"error: {failed} checks failed", err=True)
        raise typer.Exit(1)
