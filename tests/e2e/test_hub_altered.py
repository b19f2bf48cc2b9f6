"""Calls to the hub, and answers, that somebody on the way has altered: no node's process ends."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flwr.supercore.constant import FLEET_HTTP_SIGNATURE_HEADER

from federated.session.routers import Silence
from federated.wire.flower import guard
from psi.protocol import Refused
from tests.e2e.hub_nodes import Cable, Member, Place


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr(guard, "HOLD", 0.3)
    place = Place(tmp_path)
    yield place
    place.close()


def alters(monkeypatch: pytest.MonkeyPatch, call: str, header: str, times: int) -> list[int]:
    """Whoever stands behind the hub's TLS alters a header of the next such calls of a node."""
    true, left = guard.Guard._serve, [times]

    async def serve(self: guard.Guard, scope: Any, receive: Any, send: Any) -> None:
        if left[0] and scope["path"].endswith(call):
            left[0] -= 1
            name = header.lower().encode()
            kept = [(key, value) for key, value in scope["headers"] if key.lower() != name]
            scope = {**scope, "headers": [*kept, (name, b"QUJD")]}
        await true(self, scope, receive, send)

    monkeypatch.setattr(guard.Guard, "_serve", serve)
    return left


def goes_on(a: Member, b: Member, word: bytes) -> None:
    a.endpoint.send("b", word)
    end, got = time.monotonic() + 20, ("", b"")
    while got != ("a", word):  # what was lost on the way comes again
        assert time.monotonic() < end
        a.endpoint.again()
        with contextlib.suppress(Silence):
            got = b.endpoint.receive(0.5)
    assert not a.ended.is_set()
    assert not b.ended.is_set()


@pytest.mark.parametrize(
    "header",
    [FLEET_HTTP_SIGNATURE_HEADER, "x-fedprofile-version", "x-fedprofile-instance"],
)
@pytest.mark.parametrize("call", ["pull-messages", "push-messages"])
def test_one_altered_call_ends_no_node(
    place: Place, monkeypatch: pytest.MonkeyPatch, call: str, header: str
) -> None:
    a, b = place.member("a").start(), place.member("b").start()
    goes_on(a, b, b"before")
    left = alters(monkeypatch, call, header, 1)
    goes_on(a, b, b"meanwhile")
    assert left == [0]
    goes_on(a, b, b"afterwards")


def test_a_signature_that_never_holds_ends_no_node_that_was_connected(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    a, b = place.member("a").start(), place.member("b").start()
    goes_on(a, b, b"before")
    left = alters(monkeypatch, "", FLEET_HTTP_SIGNATURE_HEADER, 12)
    end = time.monotonic() + 30
    while left[0] and time.monotonic() < end:
        time.sleep(0.05)
    goes_on(a, b, b"afterwards")
    said = [r.getMessage() for r in caplog.records if "does not accept" in r.getMessage()]
    assert 1 <= len(said) <= 2, "one line a node, however often it is tried"
    assert a.fleet.trouble == ""


def test_what_the_hub_says_again_and_again_is_its_word(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = place.member("a").start()
    alters(monkeypatch, "", "x-fedprofile-version", 1 << 30)
    assert a.ended.wait(10)
    assert isinstance(a.error, Refused)
    assert "version" in a.error.message


def test_another_hub_on_the_way_ends_no_node(place: Place, tmp_path: Path) -> None:
    """Somebody between shows a certificate of his own for a while: it is not taken."""
    other = Place(tmp_path / "other")
    cable = Cable(place.home.port)
    b = place.member("b").start()
    a = place.member("a", through=f"localhost:{cable.port}").start()
    try:
        goes_on(a, b, b"before")
        cable._to = other.home.port
        cable.cut()
        cable.mend()
        end = time.monotonic() + 20
        while "certificate does not hold" not in a.fleet.trouble:
            assert time.monotonic() < end
            time.sleep(0.05)
        cable._to = place.home.port
        goes_on(a, b, b"afterwards")
    finally:
        other.close()
