"""Any bytes into any role of an alignment, in any phase: taken, or refused with the step's name.

And each role, killed and restored before every message, ends as if nothing had happened.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psi.align import PROTOCOLS, SelectReceiver, SelectSender
from psi.align.order import OrderReceiver, OrderSender
from psi.align.waterfall import ChosenReceiver, ChosenSender, Records
from psi.ecdh import Held, Items, Receiver, Sender, TagReceiver, TagSender, prepare
from psi.identifiers import key_buffer
from psi.protocol import (
    Context,
    Envelope,
    FedprofileError,
    MemoryStore,
    Pair,
    PeerError,
    Role,
    decode,
    encode,
)

Stores = dict[str, MemoryStore]
Make = Callable[[Context, Context], list[Role[Any]]]


def items(*names: str) -> Items:
    return Items(*key_buffer(pa.array(names, pa.large_string())))


MINE, THEIRS = items("planted-a", "b", "c"), items("b", "c", "planted-d", "e")
TERMS: dict[str, Any] = {"largest": 100}
KEPT = prepare(THEIRS, secrets.token_bytes)
HELD = Held(KEPT.name, KEPT.tags)
RECORDS = Records.of([pa.array(["a", None, "b"]), pa.array(["1", "2", None])])


def protocol(name: str, reveal: str) -> Make:
    made, terms = PROTOCOLS[name], TERMS | {"reveal": reveal}
    return lambda r, s: [
        made.receiver(r, "s", MINE, minimum=0, **terms),
        made.sender(s, "r", THEIRS, **terms),
    ]


def kept(r: Context, s: Context) -> list[Role[Any]]:
    terms = TERMS | {"reveal": "both"}
    return [
        Receiver(r, "s", MINE, minimum=0, held=HELD, **terms),
        Sender(s, "r", THEIRS, prepared=KEPT, **terms),
    ]


def records(r: Context, s: Context) -> list[Role[Any]]:
    terms = TERMS | {"reveal": "receiver"}
    return [
        Receiver(r, "s", RECORDS.items, minimum=0, records=True, **terms),
        Sender(s, "r", RECORDS.items, records=RECORDS.record, **terms),
    ]


def counted(r: Context, s: Context) -> list[Role[Any]]:
    terms = TERMS | {"reveal": "cardinality"}
    groups = RECORDS.grouped(2, secrets.token_bytes)
    return [
        Receiver(r, "s", groups, minimum=0, records=True, group=2, **terms),
        Sender(s, "r", RECORDS.items, records=RECORDS.record, groups=True, **terms),
    ]


def order(join: bool) -> Make:
    rows = np.array([0, 1, 1] if join else [1, 0])
    return lambda r, s: [
        OrderReceiver(r, "s", rows, 2, join),
        OrderSender(s, "r", np.array([1, 2]), join),
    ]


CASES: dict[str, Make] = {
    f"{name}-{reveal}": protocol(name, reveal)
    for name, found in PROTOCOLS.items()
    for reveal in found.reveals
}
CASES |= {
    "kept": kept,
    "records": records,
    "counted": counted,
    "order": order(join=False),
    "order-join": order(join=True),
    "tags": lambda r, s: [TagReceiver(r, "s", None, largest=100), TagSender(s, "r", KEPT)],
    "tags-held": lambda r, s: [TagReceiver(r, "s", HELD, largest=100), TagSender(s, "r", KEPT)],
    "chosen": lambda r, s: [
        ChosenReceiver(r, "s", np.array([2, 0]), 0),
        ChosenSender(s, np.arange(3)),
    ],
    "select": lambda r, s: [
        SelectReceiver(r, {"s": np.array([0, 2])}),
        SelectSender(s, 3),
    ],
}
FAST = [name for name in CASES if not name.startswith("vole")]
each = pytest.mark.parametrize(
    "case", [*FAST, *(pytest.param(n, marks=pytest.mark.slow) for n in CASES if n not in FAST)]
)


def roles(case: str, stores: Stores | None = None) -> list[Role[Any]]:
    stores = stores or {"r": MemoryStore(), "s": MemoryStore()}
    places = [
        Context(b"session-of-test!" * 2, "this step", party, secrets.token_bytes, stores[party])
        for party in "rs"
    ]
    return CASES[case](*places)


def transcript(case: str) -> list[Envelope]:
    """All envelopes of an honest run."""
    sent: list[Envelope] = []

    def wire(data: bytes) -> Iterable[bytes]:
        sent.append(decode(data, Envelope))
        yield data

    Pair(*roles(case), wire=wire).run()
    return sent


@each
def test_any_bytes_are_taken_or_refused(case: str) -> None:
    honest = transcript(case)

    @settings(deadline=None, max_examples=25 if case in FAST else 8)
    @given(st.data())
    def played(data: st.DataObject) -> None:
        phase = data.draw(st.integers(0, len(honest) - 1))
        seen = 0

        def wire(sent: bytes) -> Iterable[bytes]:
            nonlocal seen
            seen += 1
            if seen != phase + 1:
                yield sent
                return
            envelope = decode(sent, Envelope)
            payload = data.draw(spoiled(envelope.payload, honest))
            yield encode(replace(envelope, payload=payload))

        found: FedprofileError | None = None
        try:
            Pair(*roles(case), wire=wire).run()
        except FedprofileError as error:
            found = error
        assert "planted" not in str(found)
        assert not isinstance(found, PeerError) or found.step == "this step"

    played()


def spoiled(payload: bytes, honest: list[Envelope]) -> st.SearchStrategy[bytes]:
    """Noise, another phase's message, or this one cut short, lengthened or altered."""
    place = st.integers(0, max(0, len(payload) - 1))

    def altered(at: int, value: int) -> bytes:
        return payload[:at] + bytes([payload[at] ^ value]) + payload[at + 1 :]

    return st.one_of(
        st.binary(max_size=64),
        st.binary(max_size=64).map(lambda noise: payload[:3] + noise),
        st.sampled_from([envelope.payload for envelope in honest]),
        place.map(lambda at: payload[:at]),
        st.binary(min_size=1, max_size=9).map(lambda more: payload + more),
        st.builds(altered, place, st.integers(1, 255)),
    )


def shown(result: Any) -> str:
    """What a role ended with, less what is secret or drawn anew."""
    if isinstance(result, Held):
        return str(len(result.tags))
    own = getattr(result, "own", result)
    return f"{getattr(result, 'count', '')} {np.sort(own) if isinstance(own, np.ndarray) else own}"


@each
def test_killed_and_restored_before_each_message(case: str) -> None:
    wanted = {party: shown(found) for party, found in Pair(*roles(case)).run().items()}
    stores: Stores = {"r": MemoryStore(), "s": MemoryStore()}
    link = Pair(*roles(case, stores))
    for party, role in link.roles.items():
        link._take(party, role.start())
    while link._queue:
        for role in roles(case, stores):
            party = role.context.party
            if party not in link.results:
                role.restore(link.roles[party].save())
                link.roles[party] = role
        link.deliver()
    assert {party: shown(found) for party, found in link.results.items()} == wanted
