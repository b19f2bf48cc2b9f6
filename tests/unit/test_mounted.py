"""A party that is mounted in its hub: the hub lists it, and says how it runs."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from typer.testing import CliRunner

from federated.cli import hub, mounted, node
from federated.node.home import NodeHome
from federated.node.job_rows import UNACCEPTED
from federated.node.lives import Copy, adopt, check_is_last, mark
from federated.wire import local
from federated.wire.flower import front, guard
from federated.wire.flower.hub import Hub
from federated.wire.hub_home import HubHome, write_invite
from profiles.cli import app
from psi.protocol import InputError, MisuseError


def test_the_hub_lists_it_and_a_node_is_not_started_for_it(tmp_path: Path) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text("correct horse battery")
    secret.chmod(0o600)
    home = str(tmp_path / "hub")
    words = ["init", "--host", "localhost", "--home", home, "--party", "bank"]
    made = CliRunner().invoke(hub.app, [*words, "--passphrase-file", str(secret)])
    assert made.exit_code == 0, made.output
    assert HubHome(tmp_path / "hub").mounted == "bank"
    assert "bank                     mounted" in CliRunner().invoke(
        hub.app, ["nodes", "--home", home]
    ).output  # fmt: skip
    party = str(tmp_path / "hub" / "party")
    done = CliRunner().invoke(node.app, ["start", "--home", party])
    assert isinstance(done.exception, MisuseError)
    assert f"fedprofile hub start --home {home} --passphrase-file" in done.exception.hint
    invited = CliRunner().invoke(hub.app, ["invite", "bank", "--home", home])
    assert "bank is mounted in this hub" in str(invited.exception)
    invite = tmp_path / "bank.invite"
    there = CliRunner().invoke(
        hub.app, ["invite", "registry", "--home", home, "--out", str(invite)]
    )
    assert "node init bank.invite --home node --passphrase-file FILE" in there.output
    write_invite(invite, replace(HubHome(tmp_path / "hub").invite("bureau"), name="bank"))
    renewed = ["init", str(invite), "--renew", "--home", party, "--passphrase-file", str(secret)]
    done = CliRunner().invoke(node.app, renewed)
    assert "mounted in its hub: it has no certificate" in str(done.exception)


def test_a_wrong_hub_is_told_first(tmp_path: Path) -> None:
    words = ["run", "no such.toml", "--tables", "none", "--out", "out", "--hub", str(tmp_path)]
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, InputError)
    assert "no hub's folder, and no node's" in done.exception.message


def test_every_reason_to_turn_a_call_away_is_explained() -> None:
    source = Path(guard.__file__).read_text("utf-8")
    codes = set(re.findall(r'_Turned\(\s*\d+,\s*"(\w+)"', source))
    assert len(codes) > 10
    assert codes == set(hub.TURNED)


def test_a_hub_goes_on_while_its_party_is_a_copy_that_nobody_has_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It ended after "listening": with the party the business of all nodes stood still."""
    secret, home = tmp_path / "passphrase", tmp_path / "hub"
    secret.write_text("correct horse battery")
    secret.chmod(0o600)
    words = ["init", "--host", "localhost", "--home", str(home), "--party", "bank"]
    CliRunner().invoke(hub.app, [*words, "--passphrase-file", str(secret)])
    mark(home / "party", Copy("it was restored from c", 1, False))
    began = list[Path]()

    class Front:
        def __init__(self, place: NodeHome, passphrase: bytes, **rest: object) -> None:
            check_is_last(place.path)

        def start(self) -> None:
            began.append(home)

        def stop(self) -> None:
            began.clear()

    monkeypatch.setattr(front, "NodeFront", Front)
    monkeypatch.setattr(mounted, "LOOK", 0.02)
    runs = SimpleNamespace(home=HubHome(home), guard=SimpleNamespace(relay=None), door=None)
    party = mounted.Mounted(cast(Hub, runs), secret, "", "text")
    party.start()
    assert party.party is None
    accept = f"fedprofile node accept-copy --home {home / 'party'}"
    assert "answers nothing" in caplog.text
    assert accept in caplog.text
    said = CliRunner().invoke(hub.app, ["health", "--home", str(home)])
    assert accept in said.output
    status = {"address": "localhost:1", "mounted": "bank", "nodes": [], "turned_away": {}}
    monkeypatch.setattr(local, "ask", lambda *given, **asked: dict(status))
    said = CliRunner().invoke(hub.app, ["status", "--home", str(home)])
    assert f"bank                     mounted  {UNACCEPTED}: {accept}" in said.output
    adopt(home / "party", last=True)  # its officer accepts: nobody starts the hub anew for it
    end = time.monotonic() + 10
    while not began:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert "accept-copy" not in CliRunner().invoke(hub.app, ["status", "--home", str(home)]).output
    party.stop()
    assert not began
