"""A group of commands whose help shows whole clauses, not sentences that are cut off."""

from __future__ import annotations

from typing import Any

import click
import typer.core

__all__ = ["Group"]

typer.core.HAS_RICH = False  # help is plain text: with rich its brackets would be escaped


_SUGGESTS = hasattr(click.exceptions, "NoSuchCommand")


class Group(typer.core.TyperGroup):
    """For `typer.Typer(cls=Group)`: each command with the first clause of its help."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As typer does; what click has suggested by itself (from 8.2 on) is not said again."""
        self.suggest_commands = not _SUGGESTS
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write name and purpose of every command."""
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        rows = [(name, _clause(command.help or "")) for name, command in found if command]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


def _clause(text: str) -> str:
    """The first sentence up to a colon or semicolon."""
    first = " ".join(text.split("\n\n", maxsplit=1)[0].split()).split(". ")[0]
    for mark in (": ", "; "):
        first = first.split(mark)[0]
    return first.rstrip(".")
