"""What only the VOLE intersection promises; test_psi_conformance holds it to the rest."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from psi import buckets
from psi.ecdh import Items
from psi.identifiers import key_buffer
from psi.kernels.tag_lists import unpack_tags
from psi.protocol import (
    Context,
    Envelope,
    MisuseError,
    Pair,
    PeerError,
    Role,
    decode,
    encode,
)
from psi.vole import LARGEST_PORTABLE, Receiver, Sender, limits, parameters
from psi.vole.messages import Encoded, Extension, Report, Tags, Trees


def items(values: Iterable[int]) -> Items:
    return Items(*key_buffer(pa.array([str(v) for v in values], pa.large_string())))


def role_of(context: Context, values: Items, reveal: str) -> Role[Any]:
    if context.party == "r":
        return Receiver(context, "s", values, reveal=reveal, minimum=0, largest=10**6)
    return Sender(context, "r", values, reveal=reveal, largest=10**6)


def pair(mine: Iterable[int], theirs: Iterable[int], reveal: str = "both") -> list[Role[Any]]:
    context = [Context(bytes(32), "x", party, secrets.token_bytes) for party in "rs"]
    sets = items(mine), items(theirs)
    return [role_of(c, values, reveal) for c, values in zip(context, sets, strict=True)]


class Forgetful(Pair):
    """Both roles are made again after each message, from what they saved and their stores."""

    def __init__(self, sets: dict[str, Items], *roles: Role[Any]) -> None:
        super().__init__(*roles)
        self._sets = sets

    def deliver(self) -> None:
        super().deliver()
        for party, role in self.roles.items():
            if party not in self.results:
                self.roles[party] = role_of(role.context, self._sets[party], "both")
                self.roles[party].restore(role.save())


@pytest.fixture
def large_way(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The way of large sets, at a size for tests: more bins, chunks, buckets, tags and reports."""
    monkeypatch.setattr(parameters, "BIN", 100)
    monkeypatch.setattr(buckets, "BUCKET", 700)
    for module in ("receiver", "sender", "reports"):
        monkeypatch.setattr(f"psi.vole.{module}.TAGS", 64)
    for place in ("store_for", "parts_of", "vector_for"):
        getattr(parameters, place).cache_clear()
    yield
    for place in ("store_for", "parts_of", "vector_for"):
        getattr(parameters, place).cache_clear()


@pytest.mark.usefixtures("large_way")
@pytest.mark.parametrize("theirs", [3500, 512, 513, 1024])
def test_several_chunks_parts_and_messages(theirs: int) -> None:
    """Windows of 512 tags, whole ones and one more; some of them go over buckets' ends."""
    assert parameters.store_for(5000).chunks == 2
    found = Pair(*pair(range(5000), range(4800, 4800 + theirs))).run()
    assert found["r"].own.tolist() == list(range(4800, 5000))
    assert np.array_equal(found["s"].own, np.arange(200))
    assert np.array_equal(found["s"].peer, found["r"].peer)


@pytest.mark.usefixtures("large_way")
def test_roles_that_forget_all_after_each_message_come_to_the_same() -> None:
    sets = {"r": items(range(4000)), "s": items(range(3900, 5400))}
    found = Forgetful(sets, *pair(range(4000), range(3900, 5400))).run()
    assert found["r"].own.tolist() == list(range(3900, 4000))
    assert np.array_equal(found["s"].own, np.arange(100))


def spoiled(change: type, **fields: Any) -> pytest.ExceptionInfo[PeerError]:
    """The error of a run in which one message has other fields."""

    def wire(data: bytes) -> Iterable[bytes]:
        envelope = decode(data, Envelope)
        if envelope.payload[1] == encode_number(change):
            inside: Any = decode(envelope.payload, change)
            changes = {k: v(getattr(inside, k)) for k, v in fields.items()}
            envelope = replace(envelope, payload=encode(replace(inside, **changes)))
        yield encode(envelope)

    with pytest.raises(PeerError) as caught:
        Pair(*pair(range(40), range(20, 60)), wire=wire).run()
    return caught


def in_one_step(steps: np.ndarray) -> np.ndarray:
    """All forty tags with the same leading bits, so that the others fall somewhere."""
    del steps
    return np.full(5, 255, np.uint8)


def encode_number(change: type) -> int:
    from psi.protocol.codec import _TYPE_OF

    return _TYPE_OF[change]


@pytest.mark.parametrize(
    ("change", "fields", "why"),
    [
        (Extension, {"coin": lambda c: bytes(32)}, "committed to"),
        (Extension, {"chunk": lambda c: 1}, "out of order"),
        (Extension, {"transfers": lambda t: t[:, :-2]}, "transfers of another number"),
        (Extension, {"products": lambda t: t[:-1]}, "products of another number"),
        (Trees, {"chunk": lambda c: 1}, "out of order"),
        (Trees, {"sums": lambda s: s[1:]}, "trees of another number"),
        (Encoded, {"part": lambda p: 1}, "out of order"),
        (Encoded, {"elements": lambda e: e[1:]}, "of another size"),
        (Tags, {"offset": lambda o: 1}, "out of order"),
        (Tags, {"rests": lambda r: r[1:]}, "tags of shape"),
        (Tags, {"steps": lambda s: s[:-1]}, "no steps"),
        (Tags, {"first": lambda f: f + 32}, "no steps"),
        (Tags, {"steps": in_one_step, "first": lambda f: 0}, "out of order"),
        (Report, {"total": lambda t: 41}, "too many places"),
        (Report, {"places": lambda p: p[1:]}, "another length"),
        (Report, {"places": lambda p: p + np.uint32(40)}, "do not exist"),
        (Report, {"places": lambda p: np.full_like(p, 3)}, "repeated places"),
    ],
)
def test_malformed_messages(change: type, fields: dict[str, Any], why: str) -> None:
    assert why in str(spoiled(change, **fields).value)


def test_what_it_cannot_do_names_what_can(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MisuseError, match="ecdh"):
        pair([1], [1], "cardinality")
    monkeypatch.setattr(limits, "block_path", lambda: "portable")
    with pytest.raises(MisuseError, match=r'CPU without AES.*protocol = "ecdh"'):
        limits.check_path(LARGEST_PORTABLE + 1, "both")


def test_what_the_sender_sends_tells_no_order() -> None:
    """Tags ascend, whatever order the items have."""
    for theirs in (range(50), reversed(range(50))):
        link = Pair(*pair(range(10), theirs, "receiver"))
        link.run()
        last = [e.payload for e in link.sent if e.sender == "s"][-1]
        part = decode(last, Tags)
        found = unpack_tags(part.first, part.steps, part.rests, parameters.tag_form(10, 50).leading)
        assert found is not None
        assert (np.diff(found[:, 1].astype(object)) > 0).all()
