"""What commands of `fedprofile flows` show of a bank's money: tables under heads, with names.

On a terminal they are folded to its width; into a pipe a row is a line, so that it can be searched.
Codes stand beside names: files of types and SQL are written with them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from federated.cli.lists import print_rows
from federated.text import plain
from profiles.language import LANGUAGES, Language, language

if TYPE_CHECKING:
    from profiles.flows.flows import Flows
    from profiles.flows.summary import Reversals, Untyped

__all__ = ["show_breaks", "show_leaks", "show_map", "show_types"]

Rows = Sequence[dict[str, Any]]


def show_types(
    flows: Flows,
    lang: str,
    rows: Rows,
    shares: dict[str, float],
    texts: Sequence[Untyped],
    back: Reversals,
) -> None:
    """Print types with counts and sums, what is known of all, and the largest untyped texts.

    Args:
        lang: one of `LANGUAGES`, or "" for the first.
        rows: of `type_table`.
        shares: of `summary.shares`.
        texts: of `summary.untyped`.
        back: of `summary.reversals`.
    """
    t = _head(flows, lang, "types_of", version=flows.taxonomy.version)
    print_rows(
        (*_said(t, "type", "code", "way", "rows"), _amount_head(flows, t)),
        [
            (_name(flows, t, row["type"]), row["type"] or row["kind"], _way(t, row["way"]),
             f"{row['rows']:,}", _amount(flows, row["minor"]))
            for row in rows
        ],
        figures=(3, 4),
    )  # fmt: skip
    known = {
        "rows": int(shares["rows"]), "purpose": shares["purpose known, rows"],
        "money": shares["purpose known, money"], "some": shares["mechanism known, rows"],
    }  # fmt: skip
    typer.echo(f"\n{t.say('flows.lede', **known)}")
    if back.rows:
        said = {"rows": f"{back.rows:,}", "alone": f"{back.alone:,}"}
        said |= {"amount": _amount(flows, back.minor), "currency": flows.settings.currency}
        typer.echo(f"\n{t.say('flows.reversals', **said)}")
    if texts:
        typer.echo(f"\n{t.say('flows.untyped')}\n{t.say('flows.untyped_note')}\n")
        print_rows(
            _said(t, "text", "whose", "way", "rows", "near"),
            [
                (one.text, t.say(f"flows.place_{one.kind}"), _way(t, one.way), f"{one.rows:,}",
                 ", ".join(f"{_name(flows, t, code)} ({code})" for code in one.near))
                for one in texts
            ],
            figures=(3,),
        )  # fmt: skip


def show_map(flows: Flows, lang: str, rows: Rows) -> None:
    """Print what flows between places, month by month.

    Args:
        lang: as for `show_types`.
        rows: of `by_month`.
    """
    t = _head(flows, lang, "map_of")
    print_rows(
        (*_said(t, "month", "from", "to", "rows"), _amount_head(flows, t)),
        [
            (_month(row["month"]), t.say(f"flows.place_{row['source']}"),
             t.say(f"flows.place_{row['target']}"), f"{row['rows']:,}",
             _amount(flows, row["minor"]))
            for row in rows
        ],
        figures=(3, 4),
    )  # fmt: skip


def show_leaks(flows: Flows, lang: str, rows: Rows, unknown: int, days: int) -> None:
    """Print what left for elsewhere, by the month and the type that it came as.

    Args:
        lang: as for `show_types`.
        rows: month, inflow_type, outflow_type, rows, minor.
        unknown: minor units that left and that no inflow brought.
        days: within how many.
    """
    t = _head(flows, lang, "leaks_of", days=days)
    if rows:
        print_rows(
            (*_said(t, "month", "came", "went_as", "pairs"), _amount_head(flows, t)),
            [
                (_month(row["month"]), _both(flows, t, row["inflow_type"]),
                 _both(flows, t, row["outflow_type"]), f"{row['rows']:,}",
                 _amount(flows, row["minor"]))
                for row in rows
            ],
            figures=(3, 4),
        )  # fmt: skip
    else:
        typer.echo(t.say("flows.no_leaks", days=days))
    amount = _amount(flows, unknown)
    typer.echo(f"\n{t.say('flows.unknown', amount=amount, currency=flows.settings.currency)}")


def show_breaks(flows: Flows, lang: str, rows: Rows, day: dt.date) -> None:
    """Print what came every month and stopped, by the first month missing.

    Args:
        lang: as for `show_types`.
        rows: month, type, change, rows, minor.
        day: the last one looked at.
    """
    if not rows:
        typer.echo(language(lang or LANGUAGES[0]).say("flows.no_breaks", day=day.isoformat()))
        return
    t = _head(flows, lang, "breaks_of", day=day.isoformat())
    a_month = t.say("flows.a_month", currency=flows.settings.currency)
    changed = {"break": "what_break", "payer changed": "what_changed"}
    print_rows(
        (*_said(t, "month", "type", "what", "series"), a_month),
        [
            (_month(row["month"]), _both(flows, t, row["type"]),
             t.say(f"flows.{changed[row['change']]}"), f"{row['rows']:,}",
             _amount(flows, row["minor"]))
            for row in rows
        ],
        figures=(3, 4),
    )  # fmt: skip


def _head(flows: Flows, lang: str, key: str, **values: object) -> Language:
    """Says what follows, and gives the language."""
    t, own = language(lang or LANGUAGES[0]), flows.settings
    said = t.say(f"flows.{key}", flow=own.name, currency=own.currency, **values)
    typer.echo(f"{plain(said, 300)}\n")
    return t


def _said(t: Language, *keys: str) -> tuple[str, ...]:
    return tuple(t.say(f"flows.{key}") for key in keys)


def _amount_head(flows: Flows, t: Language) -> str:
    return t.say("flows.amount", currency=flows.settings.currency)


def _name(flows: Flows, t: Language, code: str) -> str:
    if not code:
        return t.say("flows.no_type")
    one = flows.taxonomy[code]
    return one.chinese if t.code == "zh" else one.english


def _both(flows: Flows, t: Language, code: str) -> str:
    return f"{_name(flows, t, code)} ({code})" if code else _name(flows, t, code)


def _way(t: Language, way: str) -> str:
    return t.say(f"flows.way_{way}")


def _month(number: int) -> str:
    return f"{number // 12}-{number % 12 + 1:02d}"


def _amount(flows: Flows, minor: int) -> str:
    digits = flows.settings.digits
    return f"{minor / 10**digits:,.{digits}f}"
