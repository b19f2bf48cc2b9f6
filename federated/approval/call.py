"""A call for a session: how one party asks others to open a channel and hear a proposal.

It travels outside any sealed channel, so it says no more than is needed: the session's name, who
calls and who is to take part, signed by the caller's sealing key. The job itself is told inside
the session. Parties' names and public keys are seen by whoever relays it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated

from federated.approval.decision import Call
from federated.keys.party_keys import Identity, PartyKeys
from psi.protocol import Length, PeerError, Range, Refused, Text, decode, encode, message

__all__ = ["VALID", "caller_in", "make_call", "read_call"]

VALID = 7 * 24 * 3600
"""Seconds after which a call is stale."""


@message(0xD1)
@dataclass(frozen=True)
class _Terms:
    session: Annotated[bytes, Length(32)]
    proposer: Annotated[str, Text(64)]
    parties: Annotated[tuple[Identity, ...], Length(16)]
    made: Annotated[int, Range(0, 2**40)]


@message(0xD2)
@dataclass(frozen=True)
class _Call:
    terms: Annotated[bytes, Length(1 << 13)]
    signature: Annotated[bytes, Length(64)]


def _signed(terms: bytes) -> bytes:
    return b"fedprofile call v1\n" + terms


def make_call(
    session: bytes, keys: PartyKeys, parties: dict[str, Identity], now: float | None = None
) -> bytes:
    """The bytes of a signed call for these parties, the caller among them."""
    made = int(time.time() if now is None else now)
    terms = encode(_Terms(session, keys.identity.name, tuple(parties.values()), made))
    return encode(_Call(terms, keys.sign_sealing(_signed(terms))))


def read_call(data: bytes, me: str, pinned: dict[str, Identity], now: float | None = None) -> Call:
    """The call in `data`.

    Raises `Refused` unless every party it names has the key that is pinned here, this party is
    among them, and it is fresh; `PeerError` if it is malformed or not signed by its caller.
    """
    outer = decode(data, _Call)
    terms = decode(outer.terms, _Terms)
    caller = pinned.get(terms.proposer)
    if caller is None:
        raise Refused(
            f"{_clean(terms.proposer)} is not among this node's peers",
            hint="exchange identity files and confirm the fingerprints first",
        )
    caller.check_sealing(outer.signature, _signed(outer.terms), "call")
    names = [party.name for party in terms.parties]
    if len(set(names)) != len(names) or terms.proposer not in names or me not in names:
        raise PeerError("a call that does not name its caller and this party once")
    if len(terms.session) != 32:
        raise PeerError("a call with a malformed session")
    for party in terms.parties:
        if pinned.get(party.name) != party:
            raise Refused(
                f"{_clean(party.name)} has another key here than the caller says, or none",
                hint="exchange identity files and confirm the fingerprints first",
            )
    now = time.time() if now is None else now
    if not now - VALID < terms.made < now + 3600:
        raise Refused("the call is stale, or a clock is wrong", hint="compare both clocks")
    return Call(terms.session, terms.proposer, terms.parties)


def caller_in(data: bytes) -> str:
    """Who calls, as a call says that was taken before; "" where nothing can be read."""
    try:
        return _clean(decode(decode(data, _Call).terms, _Terms).proposer)
    except PeerError:
        return ""


def _clean(name: str) -> str:
    return "".join(c for c in name if c.isprintable())[:64]
