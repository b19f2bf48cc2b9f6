"""`fedprofile node policy`: whether policy.toml is well-formed, and what it means."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from federated.cli.group import Group

app = typer.Typer(cls=Group, help="This party's policy: the file policy.toml in the node's folder.")

Home = Annotated[
    Path,
    typer.Option("--home", help="The node's folder.", readable=False),  # 0710 for officers
]
HOME = Path("fedprofile-node")


@app.callback()
def _policy() -> None:
    """The file is read anew at every proposal: edit it, then `policy check`."""


@app.command()
def check(home: Home = HOME) -> None:
    """Read policy.toml and say what it means; code 3 if it is wrong.

    Tables and columns that it names are looked up in tables.toml, for a misspelt one protects
    nothing.
    """
    from federated.approval.policy_file import load_policy
    from federated.approval.policy_words import doubts, in_words
    from federated.approval.series import rules_over
    from federated.node.home import NodeHome
    from federated.tables.bindings import TablesFile

    place = NodeHome.open(home)
    policy = load_policy(place.policy)
    typer.echo("\n".join(in_words(policy, rules_over(place.path, policy))))
    if place.tables.exists() and not os.access(place.tables, os.R_OK):
        typer.echo("note: tables.toml is the node's own: what it names is not looked up for you")
        return
    tables = dict(TablesFile.load(place.tables).tables) if place.tables.exists() else {}
    for text in doubts(policy, tables):
        typer.echo(f"note: {text}")
