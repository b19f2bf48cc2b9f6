"""`fedprofile uplift`: what a campaign changed, against its control group."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from profiles.campaign import Measured, Uplift

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
) -> None:
    """Measure what being listed changed, with intervals of 95%.

    Compares all who were listed, reached or not, with the control group, held back at random. With
    --contacts also the effect on those who were reached. Where an interval holds 0 the list cannot
    tell, and the smallest effect that it can show is said.
    """
    from profiles.campaign import Asked, uplift_of
    from profiles.campaign.by_aggregate import uplift_by_aggregate
    from psi.protocol.errors import MisuseError

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
    for one in found.effects:
        for line in _lines(one):
            typer.echo(line)
    for why, count in found.left_out.items():
        typer.echo(f"left out: {count:,} {why}")
    for note in found.notes:
        typer.echo(note)
    if out is not None:
        typer.echo(f"{out}: {len(found.effects):,} rows")


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


def _lines(one: Measured) -> list[str]:
    of, share = one.effect, one.effect.listed.is_share and one.effect.control.is_share
    name = f"{one.outcome}, {one.arm}" + (f", {one.group}" if one.group else "")
    told = [
        f"{_told(sums.mean, share)} of {sums.rows:,} {where}" if sums.rows else f"nobody {where}"
        for sums, where in ((of.listed, "listed"), (of.control, "in the control group"))
    ]
    lines = [f"{name}: {one.verdict}; {', '.join(told)}"]
    if not (of.listed.rows and of.control.rows):
        return lines
    lines.append(f"  effect of being listed {_change(of.difference, of.low, of.high, share)}")
    if one.verdict == "cannot tell":
        lines += [f"  {why}" for why in _why(one)]
        if isfinite(of.smallest) and of.smallest:  # 0: nobody differs from anybody
            lines.append(
                f"  the smallest effect that this list can show: {_points(of.smallest, share)}"
            )
    if one.reached is not None:
        met = one.reached
        lines.append(
            f"  reached {_told(met.share, True)} more of the listed; effect on them "
            f"{_change(met.difference, met.low, met.high, share)}"
            if isfinite(met.difference)
            else "  nobody more of the listed was reached"
        )
    return lines


def _why(one: Measured) -> Iterator[str]:
    """Why nothing can be told though the interval leaves out 0."""
    from profiles.campaign.effects import LEVEL

    of = one.effect
    if of.low <= 0 <= of.high:
        return
    if of.p > 1 - LEVEL:
        yield (
            f"the interval leaves out 0, but where nothing changes and all vary alike a difference "
            f"as large comes about in {100 * of.p:.0f} of 100 lists"
        )
    else:
        yield (
            f"the interval leaves out 0, but among several groups one differs as much by chance "
            f"(p {of.p:.2g}, Holm's rule)"
        )


def _told(value: float, share: bool) -> str:
    return f"{100 * value:.2f}%" if share else f"{value:,.4g}"


def _points(value: float, share: bool) -> str:
    """A difference: between shares in percentage points."""
    return f"{100 * value:.2f} percentage points" if share else f"{value:,.4g}"


def _change(value: float, low: float, high: float, share: bool) -> str:
    """A difference with its interval, the unit once."""
    if not (isfinite(low) and isfinite(high)):
        sign = f"{100 * value:+.2f} percentage points" if share else f"{value:+,.4g}"
        return f"{sign}, or any other: too few people for an interval"
    if share:
        return f"{100 * value:+.2f} percentage points [{100 * low:+.2f}, {100 * high:+.2f}]"
    return f"{value:+,.4g} [{low:+,.4g}, {high:+,.4g}]"
