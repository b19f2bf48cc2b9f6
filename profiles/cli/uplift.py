"""`fedprofile uplift`: what a campaign changed, against its control group."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from profiles.cli.flow_options import Lang

if TYPE_CHECKING:
    from profiles.campaign import Measured, Uplift
    from profiles.language import Language

__all__ = ["uplift"]


def uplift(
    campaign: Annotated[
        Path,
        typer.Argument(
            help="campaign.parquet of a run, or any CSV or Parquet with a row a person; or, with "
            "--by-aggregate, the folder of a run whose partner holds the outcome."
        ),
    ],
    outcome: Annotated[
        list[str], typer.Option("--outcome", help="A column of outcomes; may be repeated.")
    ],
    outcomes: Annotated[
        Path | None,
        typer.Option("--outcomes", help="CSV or Parquet with them; the campaign's own by default."),
    ] = None,
    contacts: Annotated[
        Path | None,
        typer.Option("--contacts", help="CSV or Parquet with everybody who was reached."),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", help="Look at the groups of this column too; may be repeated."),
    ] = None,
    entity: Annotated[
        str, typer.Option("--entity", help="The column that names a person, in all files.")
    ] = "entity",
    arm: Annotated[
        str, typer.Option("--arm", help="The campaign's column that says who was listed.")
    ] = "arm",
    control: Annotated[
        str, typer.Option("--control", help="What that column says of the control group.")
    ] = "control",
    absent_is_zero: Annotated[
        bool,
        typer.Option(
            "--absent-is-zero", help="A person whom the outcomes do not name had no outcome."
        ),
    ] = False,
    date: Annotated[
        str, typer.Option("--date", help="The outcomes' column of days; with --since.")
    ] = "",
    since: Annotated[
        datetime | None,
        typer.Option("--since", formats=["%Y-%m-%d"], help="Outcomes before it do not count."),
    ] = None,
    by_aggregate: Annotated[
        bool,
        typer.Option(
            "--by-aggregate",
            help="Read means and variances by arm from the run's encrypted aggregate.",
        ),
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="A Parquet or CSV file with a row an effect.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Plain data in place of text.")] = False,
    lang: Lang = "",
) -> None:
    """Measure what being listed changed, with intervals of 95%.

    Compares all who were listed, reached or not, with the control group, held back at random. With
    --contacts also the effect on those who were reached. Where an interval holds 0 the list cannot
    tell, and the smallest effect that it can show is said.
    """
    from profiles.campaign import Asked, uplift_of
    from profiles.campaign.by_aggregate import uplift_by_aggregate
    from profiles.cli.run import check_lang
    from profiles.language import LANGUAGES, language
    from profiles.said_tables import spoken_in
    from psi.protocol.errors import MisuseError

    check_lang(lang)
    if bool(date) != (since is not None):
        raise MisuseError("--date and --since go together")
    if by_aggregate:
        given = [
            n for n, v in (("--outcomes", outcomes), ("--contacts", contacts), ("--by", by)) if v
        ]
        if given:
            raise MisuseError(f"{given[0]} does not go with --by-aggregate")
        found = uplift_by_aggregate(campaign, outcome, arm=arm, control=control)
    else:
        asked = Asked(
            outcomes=outcome,
            entity=entity,
            arm=arm,
            control=control,
            by=by or (),
            absent_is_zero=absent_is_zero,
            day=date,
            since=since.date() if since else None,
        )
        found = uplift_of(campaign, outcomes, asked, contacts)
    if out is not None:
        _write(found, out)
    if as_json:
        typer.echo(json.dumps(found.plain(), indent=2, ensure_ascii=False))
        return
    t = language(lang or LANGUAGES[0], spoken_in(campaign.parent).titles)
    for one in found.effects:
        for line in _lines(one, t):
            typer.echo(line)
    for why, count in found.left_out.items():
        typer.echo(t.say("effects.left", rows=count, why=why))
    for note in found.notes:
        typer.echo(t.told(note, "set_aside"))
    if out is not None:
        typer.echo(t.say("effects.file", file=out, rows=len(found.effects)))


def _write(found: Uplift, out: Path) -> None:
    from profiles.profile import write_parquet_atomic
    from profiles.spreadsheet import write_csv
    from psi.protocol.errors import MisuseError

    if out.suffix == ".csv":
        write_csv(found.table(), out)
    elif out.suffix == ".parquet":
        write_parquet_atomic(found.table(), out)
    else:
        raise MisuseError(
            f"--out {out}: found {out.suffix or 'no ending'}, .csv or .parquet needed"
        )


def _lines(one: Measured, t: Language) -> list[str]:
    from profiles.campaign.people import LISTED

    of, share = one.effect, one.effect.listed.is_share and one.effect.control.is_share
    key = "listed" if one.arm == LISTED else "group" if one.group else "whole"
    key += "_group" if one.group and key == "listed" else ""
    name = t.say(f"arms.{key}", outcome=one.outcome, arm=one.arm, group=one.group)
    arms = {
        key: t.say(f"effects.{key}", mean=_told(sums.mean, share), rows=sums.rows)
        if sums.rows
        else t.say(f"effects.{key}_none")
        for key, sums in (("listed", of.listed), ("control", of.control))
    }
    lines = [t.say("effects.head", name=name, verdict=one.verdict, **arms)]
    if not (of.listed.rows and of.control.rows):
        return lines
    change = _change(t, of.difference, of.low, of.high, share)
    lines.append(t.say("effects.being", change=change))
    if one.verdict == "cannot tell":
        lines += _why(one, t)
        if isfinite(of.smallest) and of.smallest:  # 0: nobody differs from anybody
            least = _points(
                t, f"{100 * of.smallest:.2f}" if share else f"{of.smallest:,.4g}", share
            )
            lines.append(t.say("effects.smallest", least=least))
    if one.reached is not None:
        met = one.reached
        change = _change(t, met.difference, met.low, met.high, share)
        lines.append(
            t.say("effects.reached", share=_told(met.share, True), change=change)
            if isfinite(met.difference)
            else t.say("effects.reached_none")
        )
    return lines


def _why(one: Measured, t: Language) -> Iterator[str]:
    """Why nothing can be told though the interval leaves out 0."""
    from profiles.campaign.effects import LEVEL

    of = one.effect
    if of.low <= 0 <= of.high:
        return
    if of.p > 1 - LEVEL:
        yield t.say("effects.by_chance", times=f"{100 * of.p:.0f}")
    else:
        yield t.say("effects.by_many", p=f"{of.p:.2g}")


def _told(value: float, share: bool) -> str:
    return f"{100 * value:.2f}%" if share else f"{value:,.4g}"


def _points(t: Language, text: str, share: bool) -> str:
    """A difference: between shares in percentage points."""
    return t.say("effects.points", change=text) if share else text


def _change(t: Language, value: float, low: float, high: float, share: bool) -> str:
    """A difference with its interval, the unit once."""

    def said(number: float) -> str:
        return f"{100 * number:+.2f}" if share else f"{number:+,.4g}"

    change = _points(t, said(value), share)
    if not (isfinite(low) and isfinite(high)):
        return t.say("effects.any_other", change=change)
    return t.say("effects.between", change=change, low=said(low), high=said(high))
