"""The typed rows that commands of `fedprofile flows` ask, and a word on those that are left out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from profiles.flows.flows import Flows

_CHECK = "fedprofile flows check"

__all__ = ["say_left_out", "say_notes", "say_reasons", "typed_rows"]


def typed_rows(flows: Flows, *columns: str, lang: str = "") -> Any:
    """The typed rows, kept on the engine; how many rows are not among them goes to stderr.

    Args:
        columns: of them, all by default.
        lang: of what is said.

    Raises:
        InputError: no row can be read.
    """
    typed = flows.kept(*columns)
    say_left_out(flows, int(typed.count().to_pyarrow().as_py()), lang)
    return typed


def say_left_out(flows: Flows, read: int, lang: str = "") -> None:
    """Say on stderr that of all rows only `read` are in what is shown. Raises as `typed_rows`."""
    from psi.protocol.errors import InputError

    if not read:
        hint = f"{_CHECK} says why"
        raise InputError(f"{flows.settings.where}: no row can be read", hint=hint)
    given = flows.given
    if given > read:
        _say(lang, given - read, given)


def say_reasons(flows: Flows, lang: str = "", *, beside: bool = True) -> None:
    """As `say_left_out`, with the reasons, where days have been looked at and they cost nothing.

    Args:
        beside: whether to say too what may be meant otherwise in amounts and currencies, and what
            the tables beside hold that is not used.
    """
    from profiles.flows.beside import beside_notes
    from profiles.flows.money import money_notes
    from profiles.language import LANGUAGES, language

    t, lost = language(lang or LANGUAGES[0]), flows.left_out
    if lost:
        _say(lang, sum(lost.values()), flows.given)
        for why, rows in lost.items():
            typer.echo(f"  {t.told(why, 'flow_reason')}: {rows:,}", err=True)
    if beside:
        say_notes([*money_notes(flows), *beside_notes(flows)], lang)


def say_notes(notes: Iterable[str], lang: str = "") -> None:
    """Say on stderr what may be meant otherwise, or is not used."""
    from federated.text import plain
    from profiles.language import LANGUAGES, language

    t = language(lang or LANGUAGES[0])
    for note in notes:
        typer.echo(plain(t.told(note, "flow_note"), 1000), err=True)


def _say(lang: str, left: int, given: int) -> None:
    from profiles.language import LANGUAGES, language

    t = language(lang or LANGUAGES[0])
    said = t.say("flows.left_out", left=f"{left:,}", given=f"{given:,}", command=_CHECK)
    typer.echo(said, err=True)
