"""Officers who are other users of the machine, by the recipe of docs/POLICY.md."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from federated.approval.inbox import Inbox
from federated.cli.node import app
from federated.keys.identity_file import write_identity
from federated.keys.keyfile import save_keys
from federated.keys.party_keys import PartyKeys
from federated.keys.peers import Peers
from federated.node.home import NodeHome
from federated.store.files import locked
from tests.unit.test_officer import IDS, contract, request

ROOT = Path(__file__).parents[2]
ANN = 65534

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user"),
]


@pytest.fixture
def home() -> Iterator[NodeHome]:
    """Where another user may pass: a test's own folder is its owner's alone."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o711)
    made = NodeHome.create(folder / "node", "bureau", "hub:1")
    save_keys(made.keys, PartyKeys.generate("bureau"), b"correct horse", secrets.token_bytes)
    write_identity(made.path / "identity.json", IDS["bureau"])
    write_identity(made.peers / "bank.json", IDS["bank"])
    Peers(made.path).confirm("bank", IDS["bank"].fingerprint, "ann")
    Inbox(made.desk).put(request(contract(folder, 1)), time.time() + 3600)
    yield made
    shutil.rmtree(folder)


def say(home: NodeHome, *words: str) -> str:
    done = CliRunner().invoke(app, [*words, "--home", str(home.path)])
    return done.output + (repr(done.exception) if done.exception else "")


def as_ann(home: NodeHome, *words: str) -> str:
    """A command by another user, in a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(ANN)
        os.setuid(ANN)
        os.write(writing, say(home, *words).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as said:
        text = said.read().decode()
    os.waitpid(child, 0)
    return text


def test_a_group_reads_and_decides_and_sees_no_more(home: NodeHome) -> None:
    text = (ROOT / "docs" / "POLICY.md").read_text("utf-8")
    (recipe,) = re.findall(r"^chgrp officers .*$", text, re.MULTILINE)
    recipe = recipe.replace("officers", str(ANN), 1)
    subprocess.run(recipe, shell=True, check=True, cwd=home.path.parent)  # noqa: S602

    home.policy.write_text("[limits]\nminimum_group = 30\n")
    home.tables.write_text("")
    home.tables.chmod(0o600)
    for words in (("jobs",), ("show", "0101"), ("peers",), ("policy", "check")):
        say(home, *words)  # what commands import, before another user asks
    assert "01010101  waiting" in as_ann(home, "jobs")
    assert "fingerprint compared by ann" in as_ann(home, "show", "0101")
    assert "is approved by" in as_ann(home, "approve", "0101")
    assert "fingerprint compared by ann" in as_ann(home, "peers")
    assert "what it names is not looked up for you" in as_ann(home, "policy", "check")
    (word,) = Inbox(home.desk).find("0101").words
    assert word.user == ANN
    for name in ("keys", "node.key", "jobs"):
        if (home.path / name).exists():
            assert (home.path / name).stat().st_mode & 0o077 == 0


def test_what_root_leaves_is_the_nodes(home: NodeHome) -> None:
    """Root is the second pair of eyes; a lock that `show` makes must not shut the node out."""
    for path in (home.path, *home.path.rglob("*")):
        os.chown(path, ANN, ANN)
    shutil.rmtree(home.releases, ignore_errors=True)
    say(home, "show", "0101")
    say(home, "approve", "0101")
    with locked(home.releases / ".lock"):
        pass
    made = [home.releases, home.releases / ".lock"]
    assert {path.stat().st_uid for path in made} == {ANN}
    (word,) = home.desk.glob("*.decision.*")
    assert word.stat().st_uid == 0  # whose word it is
