"""What `node doctor` finds that keeps a node from working."""

from __future__ import annotations

import datetime as dt
import email.utils
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from federated.cli import doctor
from federated.cli.node import app
from federated.keys.identity_file import write_identity
from federated.keys.party_keys import PartyKeys
from federated.node.home import NodeHome
from federated.wire.certificates import Authority, make_key, request_certificate, write_key

SECRET = b"correct horse"


@pytest.fixture
def home(tmp_path: Path) -> NodeHome:
    made = NodeHome.create(tmp_path / "node", "bureau", "hub:1")
    write_identity(made.path / "identity.json", PartyKeys.generate("bureau").identity)
    return made


@pytest.mark.parametrize(("minutes", "told"), [(0, ""), (10, "differs by "), (-10, "differs by ")])
def test_a_clock_that_is_off_is_told_before_the_hub_refuses_calls(
    home: NodeHome, monkeypatch: pytest.MonkeyPatch, minutes: int, told: str
) -> None:
    theirs = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes)
    said = httpx.Response(400, headers={"date": email.utils.format_datetime(theirs, usegmt=True)})
    monkeypatch.setattr(doctor, "_turned_away", lambda home: said)
    found = doctor._clock(home)
    assert found.startswith(told)
    assert bool(found) == bool(told)
    assert not told or "timedatectl" in found


def test_a_certificate_of_another_key_is_told(home: NodeHome) -> None:
    key, other = make_key(), make_key()
    authority = Authority.create("hub")
    for one, problem in ((key, ""), (other, "of another key")):
        home.certificate.write_bytes(authority.node(request_certificate(one, "bureau"), "bureau"))
        home.certificate_key.write_bytes(write_key(key, SECRET))
        home.certificate_key.chmod(0o600)
        found = doctor._pair(home, lambda: SECRET)
        assert problem in found
        assert bool(found) == bool(problem)


def test_a_key_that_changed_is_said_when_it_is_added(home: NodeHome, tmp_path: Path) -> None:
    first, second = (PartyKeys.generate("bank").identity for _ in range(2))
    file = tmp_path / "bank.json"
    for identity, changed in ((first, False), (first, False), (second, True)):
        file.unlink(missing_ok=True)
        write_identity(file, identity)
        said = CliRunner().invoke(app, ["peers", "add", str(file), "--home", str(home.path)]).output
        assert (f"CHANGED: the key of bank was {first.fingerprint}" in said) == changed
