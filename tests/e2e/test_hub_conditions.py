"""Clocks, certificates and versions that do not fit: a message that says what to do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flwr.supernode import node_auth_http_interceptor as interceptor

from federated.wire import certificates, enrolment
from federated.wire.certificates import make_key, request_certificate
from federated.wire.enrolment import enrol
from federated.wire.flower import hub_calls
from federated.wire.hub_home import HubHome
from psi.protocol import EnvironmentFailed, FedprofileError, Refused
from tests.e2e.hub_nodes import Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.close()


def ended(place: Place, keys: Any = None) -> FedprofileError:
    """With what a node that starts now ends."""
    member = place.member("a", keys).start()
    assert member.ended.wait(20)
    assert member.error is not None
    return member.error


class _Late(dt.datetime):
    """Ten minutes behind."""

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> Any:
        return super().now(tz) - dt.timedelta(minutes=10)


def test_a_clock_that_is_wrong(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    class Calendar:
        datetime = _Late
        UTC = dt.UTC

    monkeypatch.setattr(interceptor, "now", lambda: _Late.now(dt.UTC))
    monkeypatch.setattr(hub_calls, "dt", Calendar)
    error = ended(place)
    assert isinstance(error, EnvironmentFailed)
    assert "this machine's clock differs from the hub's by" in error.message
    assert "300 allowed" in error.message
    assert "set the clock" in error.hint


def test_a_certificate_that_has_expired(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    invite, key = place.home.invite("a"), make_key()
    enrol(invite, key)
    monkeypatch.setattr(certificates, "CERTIFICATE_DAYS", -1 / 24)
    monkeypatch.setattr(certificates, "_SKEW", dt.timedelta(days=2))
    old = place.home.authority.node(request_certificate(key, "a"), "a")
    error = ended(place, place.keys(invite, key, old))
    assert isinstance(error, EnvironmentFailed)
    assert "this node's certificate has expired on" in error.message
    assert "node init INVITE --renew" in error.hint


def test_a_hub_whose_certificate_has_expired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "CERTIFICATE_DAYS", -1 / 24)
    monkeypatch.setattr(certificates, "_SKEW", dt.timedelta(days=2))
    made = HubHome.create(tmp_path / "other", ["localhost"], 1, "127.0.0.1")
    monkeypatch.undo()
    place = Place(tmp_path)
    try:
        keys = place.keys(place.home.invite("a"))
        for name in ("server.crt", "server.key"):
            (place.home.path / name).write_bytes((made.path / name).read_bytes())
        place.restart()
        # as if the node had joined while the certificate was good
        keys.context.load_verify_locations(cadata=made.authority.pem().decode())
        error = ended(place, keys)
    finally:
        place.close()
    assert isinstance(error, EnvironmentFailed)
    assert "the hub's certificate does not hold" in error.message
    assert "expired" in error.hint


def test_a_node_of_another_version(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enrolment, "VERSION", "0")
    invite = place.home.invite("b")
    with pytest.raises(Refused, match="this hub speaks version 1 of the channel, this node"):
        enrol(invite, make_key())
    monkeypatch.undo()
    keys = place.keys(place.home.invite("a"))
    monkeypatch.setattr(hub_calls, "VERSION", "0")
    error = ended(place, keys)
    assert isinstance(error, Refused)
    assert "this hub speaks version 1 of the channel, this node 0: update" in error.message
    assert place.hub.guard.versions == {"": "0", "a": "0"}
    assert place.hub.guard.turned_away["version"] >= 2
