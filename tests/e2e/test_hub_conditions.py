"""Clocks, certificates and versions that do not fit: a message that says what to do."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flwr.supernode import node_auth_http_interceptor as interceptor
from typer.testing import CliRunner

from federated.cli import doctor
from federated.cli.health import health_of_hub
from federated.cli.hub import app as hub_app
from federated.node.home import NodeHome
from federated.wire import certificates, enrolment
from federated.wire.certificates import make_key, read_certificate, request_certificate, write_key
from federated.wire.enrolment import enrol
from federated.wire.flower import guard, hub_calls
from federated.wire.hub_home import HubHome
from psi.protocol import EnvironmentFailed, FedprofileError, Refused
from tests.e2e.hub_nodes import SECRET, Place


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
        assert isinstance(error, EnvironmentFailed)
        assert "the hub's certificate has expired" in error.message
        assert "fedprofile hub renew" in error.hint
    finally:
        place.close()


def test_what_a_node_hears_before_it_is_turned_away(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Near its certificate's end its log says so, once; `doctor` says that the hub takes it no
    more, and asks without a trace: who is connected stays so."""
    monkeypatch.setattr(certificates, "CERTIFICATE_DAYS", 20)
    monkeypatch.setattr(guard, "HOLD", 0.5)
    key, invite = make_key(), place.home.invite("a")
    member = place.member("a", place.keys(invite, key)).start()
    home = NodeHome.create(place.folder / "node", "a", place.home.address)
    home.certificate.write_bytes(next(place.folder.glob("a-*.crt")).read_bytes())
    home.certificate_key.write_bytes(write_key(key, SECRET))
    home.authority.write_text(invite.authority)
    assert doctor._known(home, lambda: SECRET) == ""
    now = time.monotonic
    assert [peer.online(now()) for peer in place.hub.guard.relay.peers()] == [True]
    end = now() + 40
    while "days: ask the hub's owner" not in caplog.text:
        assert now() < end
        time.sleep(0.1)
    assert caplog.text.count("node init INVITE --renew") == 1
    place.home.revoke("a")
    assert member.ended.wait(30)
    assert doctor._known(home, lambda: SECRET).startswith("this node was revoked")
    place.keys(place.home.invite("a"))
    assert doctor._known(home, lambda: SECRET).startswith("this node is not registered")


def days_of(place: Place) -> int:
    """Of the certificate that the hub shows to whoever connects now."""
    context = ssl.create_default_context(cadata=place.home.authority.pem().decode())
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", place.home.port), timeout=5) as link,
        context.wrap_socket(link) as tls,
    ):
        ends = read_certificate(tls.getpeercert(binary_form=True) or b"").not_valid_after_utc
    return (ends - dt.datetime.now(dt.UTC)).days


def test_a_hub_is_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Near the end of its certificate, and after it; the authority's goes with it.

    Nodes that joined under the earlier certificate of the authority need nothing, whether they are
    connected or come anew; one that joins afterwards knows the authority for longer.
    """
    monkeypatch.setattr(certificates, "CERTIFICATE_DAYS", 20)
    monkeypatch.setattr(certificates, "AUTHORITY_DAYS", 300)
    place = Place(tmp_path)
    keys = {name: place.keys(place.home.invite(name)) for name in "ab"}
    monkeypatch.undo()
    try:
        assert days_of(place) == 19
        a = place.member("a", keys["a"]).start()
        assert "fedprofile hub renew" in health_of_hub(place.home).problems[0]
        assert caplog.text.count("fedprofile hub renew") == 1
        before = place.home.authority.certificate
        done = CliRunner().invoke(hub_app, ["renew", "--home", str(place.home.path)])
        assert f"ends on {place.home.expires:%Y-%m-%d}" in done.output
        until(lambda: days_of(place) == 396)  # without a restart
        after = place.home.authority.certificate
        assert after.not_valid_after_utc - before.not_valid_after_utc > dt.timedelta(days=1500)
        assert (after.subject, after.public_key()) == (before.subject, before.public_key())
        b = place.member("b", keys["b"]).start()
        place.keys(place.home.invite("c"))
        a.endpoint.send("b", b"still here")
        assert b.endpoint.receive(20) == ("a", b"still here")
        place.restart()
        a.endpoint.send("b", b"and after a restart")
        assert b.endpoint.receive(30) == ("a", b"and after a restart")
        assert not [said for said in health_of_hub(place.home).problems if "certificate" in said]
        # an end that has passed: nodes are turned away until it is renewed
        monkeypatch.setattr(certificates, "CERTIFICATE_DAYS", -1 / 24)
        monkeypatch.setattr(certificates, "_SKEW", dt.timedelta(days=2))
        invite = place.home.invite("d")
        place.home.renew()
        until(lambda: days_of(place) < 0)
        monkeypatch.undo()
        assert "has ended 0 days ago" in health_of_hub(place.home).problems[0]
        with pytest.raises(EnvironmentFailed, match="the hub's certificate has expired"):
            place.keys(invite)
        place.restart()  # who was connected goes on trying
        place.home.renew()
        until(lambda: days_of(place) == 396)
        place.member("d", place.keys(invite)).start()
        a.endpoint.send("b", b"and after its end")
        assert b.endpoint.receive(60) == ("a", b"and after its end")
    finally:
        place.close()


def test_nodes_of_an_authority_that_has_ended_are_not_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its certificate is made for longer with each renewal, so a node that renewed has a later one.

    The hub takes certificates that were signed while the earlier one held.
    """
    monkeypatch.setattr(certificates, "AUTHORITY_DAYS", -1 / 24)
    monkeypatch.setattr(certificates, "_SKEW", dt.timedelta(days=2))
    place = Place(tmp_path)
    monkeypatch.undo()
    try:
        with pytest.raises(EnvironmentFailed, match="the hub's certificate has expired"):
            place.keys(place.home.invite("a"))
        key = make_key()
        old = place.home.authority.node(request_certificate(key, "a"), "a")
        place.home.renew()
        invite = place.home.invite("a")
        time.sleep(1.5)  # the hub looks once a second
        assert enrol(invite, key)
        place.member("a", place.keys(invite, key, old)).start()
    finally:
        place.close()


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


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
