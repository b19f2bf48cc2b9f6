"""`fedprofile profile`: what profiles say over time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federated.cli.group import Group
from profiles.cli.flow_options import Lang

if TYPE_CHECKING:
    from profiles.drift import Drift
    from profiles.language import Language

__all__ = ["app"]

app = typer.Typer(cls=Group, help="What profiles say over time.", no_args_is_help=True)
_SHOWN = 20


@app.callback()
def _group() -> None:
    pass


def _without(drift: Drift, t: Language) -> str:
    from profiles.drift import SCORES

    what = "score" if drift.column.startswith(SCORES) else "value"
    counts = (("lost", drift.lost), ("gained", drift.gained))
    return "".join(t.say(f"moved.{key}_{what}", people=n) for key, n in counts if n)


@app.command()
def diff(
    before: Annotated[Path, typer.Argument(help="The earlier run's folder, or profiles.parquet.")],
    after: Annotated[Path, typer.Argument(help="The later one's.")],
    as_json: Annotated[bool, typer.Option("--json", help="For programs, and whole.")] = False,
    lang: Lang = "",
) -> None:
    """Say who came, went and moved between two dates, and which columns drifted.

    A drift is a population stability index: below 0.1 little has changed, above 0.25 much.
    """
    import json
    from dataclasses import asdict
    from math import isfinite

    from federated.text import plain
    from profiles.cli.run import check_lang
    from profiles.drift import LITTLE, MUCH, difference
    from profiles.language import LANGUAGES, language
    from profiles.said_tables import spoken_in

    check_lang(lang)
    found = difference(before, after)
    if as_json:
        told = asdict(found)
        for drift in told["drifts"]:
            numbers = {k: v if isfinite(v) else None for k, v in drift.items() if k != "column"}
            drift.update(numbers)
        typer.echo(json.dumps(told, indent=1, ensure_ascii=False))
        return
    titles = spoken_in(after if after.is_dir() else after.parent).titles
    t = language(lang or LANGUAGES[0], titles)
    counts = {"stayed": found.stayed, "came": found.came, "went": found.went}
    typer.echo(t.say("moved.people", **counts))
    for old, new, people in found.moves[:_SHOWN]:
        names = {"old": plain(old, 200), "new": plain(new, 200)}
        typer.echo(t.say("moved.segment", people=people, **names))
    for drift in found.drifts[:_SHOWN]:
        key = "much" if drift.index > MUCH else "some" if drift.index > LITTLE else "little"
        ends = {"before": f"{drift.before:.6g}", "after": f"{drift.after:.6g}"}
        said = t.say(
            "moved.drift",
            column=plain(drift.column, 100),
            drift=t.say(f"moved.{key}"),
            index=f"{drift.index:.3f}",
            means=t.say("moved.means", **ends) if isfinite(drift.before) else "",
            people=drift.moved,
            without=_without(drift, t),
        )
        typer.echo(said)
    if found.left_out:
        typer.echo(t.say("moved.left", names=", ".join(found.left_out)))
