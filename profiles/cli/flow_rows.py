"""The typed rows that commands of `fedprofile flows` ask, and a word on those that are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from profiles.flows.flows import Flows

__all__ = ["say_left_out", "typed_rows"]


def typed_rows(flows: Flows, *columns: str) -> Any:
    """The typed rows, kept on the engine; how many rows are not among them goes to stderr.

    Args:
        columns: of them, all by default.

    Raises:
        InputError: no row can be read.
    """
    typed = flows.kept(*columns)
    say_left_out(flows, int(typed.count().to_pyarrow().as_py()))
    return typed


def say_left_out(flows: Flows, read: int) -> None:
    """Say on stderr that of all rows only `read` are in what is shown. Raises as `typed_rows`."""
    from psi.protocol.errors import InputError

    hint = "fedprofile flows check says why"
    if not read:
        raise InputError(f"{flows.settings.where}: no row can be read", hint=hint)
    given = flows.given
    if given > read:
        left = f"{given - read:,} of {given:,} rows are left out"
        typer.echo(f"{left}, since they cannot be read: {hint}", err=True)
