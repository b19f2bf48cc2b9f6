"""A node finds jobs that an earlier process of it left: it goes on, waits, or lets go."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path
from typing import Any, cast
from unittest import mock

import pytest

from federated.approval.call import VALID, make_call
from federated.approval.decision import Decision
from federated.keys.party_keys import PartyKeys
from federated.session.journal import can_begin, can_resume, was_interrupted
from federated.session.routers import MemoryRouter
from federated.session.session import Session
from federated.wire.flower.node import NodeDaemon
from federated.wire.parcels import Kind, Parcel, Refusal, notice
from psi.protocol import Refused
from tests.unit.test_node_replay import KEYS, PINNED, node

__all__ = ["node"]

ID = secrets.token_bytes(32)


def left(node: NodeDaemon, *, spoken: bool) -> Path:
    """The folder of a job whose process was killed, before or after its hello."""
    place = node.home.job(ID)
    router = MemoryRouter(list(PINNED))
    session = Session(ID, KEYS["bureau"], PINNED, router.endpoint("bureau"), place, timeout=0.1)
    (place / "call").write_bytes(make_call(ID, KEYS["bank"], PINNED))
    if spoken:  # the bank's name sorts first: its hello is answered
        bank = Session(
            ID, KEYS["bank"], PINNED, router.endpoint("bank"), place.parent / "x", timeout=0.1
        )
        for peer, hello in bank._frames._hands.begin():
            for answer in session._frames._hands.take("bank", hello):
                assert (peer, bool(answer)) == ("bureau", True)
        bank.close()
    session.close()
    return place


def part(node: NodeDaemon) -> list[Parcel]:
    """A part of a frame comes for the job; what the node says."""
    fleet: Any = node.fleet
    fleet.sent.clear()
    node._arrived(notice(Kind.PART, ID, "bank", "bureau", "align/bureau/0"))
    return list(fleet.sent)


def test_what_may_come_back_is_away_and_what_has_ended_is_refused(node: NodeDaemon) -> None:
    place = left(node, spoken=True)
    assert can_resume(place)
    (word,) = part(node)
    assert (word.kind, word.step) == (Kind.AWAY, "align/bureau/0")
    router = MemoryRouter(list(PINNED))
    session = Session(ID, KEYS["bureau"], PINNED, router.endpoint("bureau"), place)
    assert session.resumed
    session.abort(Refused("no"))
    (word,) = part(node)
    assert (word.kind, word.step) == (Kind.REFUSED, Refusal.ENDED)


def test_one_that_had_said_nothing_begins_afresh(node: NodeDaemon) -> None:
    place = left(node, spoken=False)
    assert not can_resume(place)
    assert can_begin(place)
    assert was_interrupted(place)
    (word,) = part(node)
    assert word.kind == Kind.AWAY
    node._resume()
    assert node.jobs[ID].state in ("waiting", "running")
    node.jobs[ID].endpoint.fail(Refused("the test is over"))
    node.jobs[ID].thread.join(20)  # type: ignore[union-attr]
    assert not was_interrupted(place)  # a restart does not begin what has ended
    assert can_begin(place)  # its proposer may


def test_a_proposal_whose_proposer_does_not_come_back_is_let_go(node: NodeDaemon) -> None:
    place = left(node, spoken=True)
    old = time.time() - VALID - 60
    os.utime(place / "call", (old, old))
    call = make_call(ID, KEYS["bank"], PINNED, old)
    (place / "call").write_bytes(call)
    os.utime(place / "call", (old, old))
    node._resume()
    assert ID not in node.jobs
    assert not (place / "journal").exists()
    assert (place / "ledger.jsonl").exists()


def test_a_call_is_refused_by_a_code_that_tells_no_reason(
    node: NodeDaemon, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever carries it reads it, and the caller may be a stranger: one word for every rule."""
    stranger = PartyKeys.generate("stranger")
    decider, fleet = mock.Mock(), cast(Any, node.fleet)
    decider.admit.return_value = Decision(False, "policy", "planted: 3 of your proposals wait")
    node._decider = decider
    with_stranger = PINNED | {"stranger": stranger.identity}
    calls = [
        ("bank", make_call(ID, KEYS["bank"], PINNED)),
        ("bank", b"planted"),
        ("stranger", make_call(ID, stranger, with_stranger)),
        ("bank", make_call(ID, KEYS["bank"], with_stranger)),
        ("bank", make_call(secrets.token_bytes(32), KEYS["bank"], PINNED)),
    ]
    for sender, data in calls:
        fleet.sent.clear()
        node._arrived(notice(Kind.CALL, ID, sender, "bureau", data=data))
        (word,) = fleet.sent
        assert (word.kind, word.step, word.data) == (Kind.REFUSED, "closed", b"")
    assert "planted: 3 of your proposals wait" in caplog.text  # at home all is said
    assert Refusal.read("planted") is Refusal.CLOSED  # nor is another's text shown
