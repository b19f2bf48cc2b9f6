"""`fedprofile profile`: what profiles say over time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federated.cli.group import Group

if TYPE_CHECKING:
    from profiles.drift import Drift

__all__ = ["app"]

app = typer.Typer(cls=Group, help="What profiles say over time.", no_args_is_help=True)
_SHOWN = 20


@app.callback()
def _group() -> None:
    pass


def _without(drift: Drift) -> str:
    from profiles.drift import SCORES

    what = "score" if drift.column.startswith(SCORES) else "value"
    counts = ((drift.lost, f"have no {what} now"), (drift.gained, f"had no {what} before"))
    return "".join(f", {people:,} {words}" for people, words in counts if people)


@app.command()
def diff(
    before: Annotated[Path, typer.Argument(help="The earlier run's folder, or profiles.parquet.")],
    after: Annotated[Path, typer.Argument(help="The later one's.")],
    as_json: Annotated[bool, typer.Option("--json", help="For programs, and whole.")] = False,
) -> None:
    """Say who came, went and moved between two dates, and which columns drifted.

    A drift is a population stability index: below 0.1 little has changed, above 0.25 much.
    """
    import json
    from dataclasses import asdict
    from math import isfinite

    from federated.text import plain
    from profiles.drift import LITTLE, MUCH, difference

    found = difference(before, after)
    if as_json:
        told = asdict(found)
        for drift in told["drifts"]:
            numbers = {k: v if isfinite(v) else None for k, v in drift.items() if k != "column"}
            drift.update(numbers)
        typer.echo(json.dumps(told, indent=1, ensure_ascii=False))
        return
    typer.echo(f"in both {found.stayed:,}, came {found.came:,}, went {found.went:,}")
    for old, new, people in found.moves[:_SHOWN]:
        typer.echo(f"{people:,} moved from {plain(old, 200)!r} to {plain(new, 200)!r}")
    for drift in found.drifts[:_SHOWN]:
        words = "much" if drift.index > MUCH else "some" if drift.index > LITTLE else "little"
        means = f", mean {drift.before:.6g} -> {drift.after:.6g}" if isfinite(drift.before) else ""
        typer.echo(
            f"{plain(drift.column, 100)}: {words} drift ({drift.index:.3f}){means}; "
            f"{drift.moved:,} have another value{_without(drift)}"
        )
    if found.left_out:
        typer.echo(f"in one of the two only, or of another type: {', '.join(found.left_out)}")
