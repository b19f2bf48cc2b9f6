"""A party that is mounted in its hub: the hub lists it, and says how it runs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from typer.testing import CliRunner

from federated.cli import hub, node
from federated.wire.flower import guard
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
