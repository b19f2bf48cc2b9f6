"""A node is what lies in its folder: copied whole, restored whole, and never taken for its last
state without its officer's word."""

from __future__ import annotations

import gzip
import hashlib
import os
import secrets
import shutil
import tarfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from typer.testing import CliRunner

from federated.approval.inbox import Inbox
from federated.approval.policy_file import load_policy
from federated.approval.quota import Quota
from federated.cli.hub import app as hub_app
from federated.cli.node import app
from federated.keys.identity_file import write_identity
from federated.keys.keyfile import check_private, save_keys
from federated.keys.officers import OfficerKey, Person
from federated.keys.party_keys import PartyKeys
from federated.ledger.lines import read_ledger
from federated.node.belongings import BELONGINGS, HUB_BELONGINGS, is_known
from federated.node.copies import accept, backup, restore
from federated.node.home import NodeHome
from federated.node.lives import (
    OlderCopy,
    adopt,
    begin,
    check_is_last,
    copy_of,
    mark,
    mark_older,
    met,
)
from federated.node.officers import change_officers
from federated.node.purge import node_ledger
from federated.node.rotation import rotate
from federated.session.journal import Journal, can_resume
from federated.session.reached import Reached
from federated.tables.source import MemorySource
from federated.wire.flower.front import NodeFront
from federated.wire.flower.relay import Relay
from federated.wire.hub_home import HubHome
from federated.wire.lives_met import LivesMet
from profiles.job import Job
from profiles.remote import HubLink, federate_remote
from profiles.runs import Started
from psi.protocol import FedprofileError, InputError, JobError, MisuseError
from tests.unit.test_officer import contract, request

SECRET = b"correct horse"
SESSION = bytes([3] * 32)


@pytest.fixture
def home(tmp_path: Path) -> NodeHome:
    """A node of which every thing on the list is there, with a job under way."""
    made, keys = NodeHome.create(tmp_path / "node", "bureau", "hub:1"), PartyKeys.generate("bureau")
    save_keys(made.keys, keys, SECRET, secrets.token_bytes)
    write_identity(made.path / "identity.json", keys.identity)
    met(made.path, begin(made.path))
    (made.path / "tables.toml").write_text("")
    for name in ("hub.crt", "node.crt", "node.key", "confirmed.json", "columns.json"):
        (made.path / name).write_text(name)
    for name in ("peers/bank.json", "authorities/chamber.json", "former/1f3a.json"):
        (made.path / name).parent.mkdir(exist_ok=True)
        (made.path / name).write_text(name)
    for name in ("told.json", "learned.json", "folds", "bank.held", "asked/book"):
        (made.path / "tags" / name).parent.mkdir(exist_ok=True, parents=True)
        (made.path / "tags" / name).write_text(name)
    for name in ("book", "key", "tags-1", "section-1-0", "parts-1-0"):
        (made.path / "releases").mkdir(exist_ok=True)
        (made.path / "releases" / name).write_text(name)
    (made.path / "campaigns").mkdir()
    made.models.mkdir()
    (made.models / ("0a" * 8)).write_text("a part")
    (made.path / "persons").mkdir()
    (made.path / "persons" / "gone").write_text("gone")
    (made.path / "campaigns" / "spring.json").write_text("spring")
    inbox = Inbox(made.desk)
    for number in (1, 3):
        inbox.put(request(contract(tmp_path, number)), time.time() + 3600)
    inbox.decide(inbox.find("01" * 4), True)
    inbox.use(bytes([9] * 32), bytes([9] * 32))
    ann = OfficerKey.make("ann", tmp_path / "ann.key", SECRET, secrets.token_bytes)
    change_officers(made, keys, lambda listed: (Person("ann", ann.public),))
    asked = contract(tmp_path, 1)
    Quota(made.path / "quota.json", time.time).take(asked, load_policy(made.policy), 5)
    ledger = node_ledger(made, keys, time.time)
    ledger.write("purged", requests=[], jobs={}, tags=[], journals=[])
    ledger.close()
    reached = Reached(made.reached(SESSION))
    journal = Journal(made.job(SESSION), SESSION, secrets.token_bytes, {}, None, reached)
    journal.save("align", b"role", b"", {})
    journal.close()
    return made


def tree(folder: Path) -> dict[str, str]:
    """Every file and what it holds, by its hash; folders too."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else ""
        for path in folder.rglob("*")
    }


def test_a_restored_node_is_the_node(home: NodeHome, tmp_path: Path) -> None:
    before = tree(home.path)
    there = {name.split("/")[0] for name in before}
    assert {thing.name for thing in BELONGINGS} - there == {"copy", "keys.next"}
    assert all(is_known(name) for name in there)
    out = tmp_path / "copy.tar.gz"
    (home.path / "quota.lock").touch()
    backup(home.path, out, "bureau", running=False)
    assert out.stat().st_mode & 0o777 == 0o600
    assert home.load_keys(SECRET).private_bytes()[:32] not in gzip.decompress(out.read_bytes())
    restore(out, tmp_path / "restored")
    made = NodeHome.open(tmp_path / "restored")
    after = tree(made.path)
    del after["copy"]
    assert after == {name: what for name, what in before.items() if not name.endswith(".lock")}
    assert {p.stat().st_mode & 0o077 for p in made.path.rglob("*") if p.is_dir()} == {0}
    check_private(made.keys)
    assert made.load_keys(SECRET).identity == home.identity
    with pytest.raises(MisuseError, match="exists"):
        backup(home.path, out, "bureau", running=False)
    with pytest.raises(MisuseError, match="holds something"):
        restore(out, tmp_path / "restored")


def test_new_keys_and_a_moved_folder_forget_nothing(home: NodeHome, tmp_path: Path) -> None:
    shutil.rmtree(home.job(SESSION))
    before = tree(home.path)
    rotate(home, home.load_keys(SECRET), SECRET, secrets.token_bytes)
    after = tree(home.path)
    changed = {name for name in before if after.get(name) != before[name]}
    rotating = {thing.name for thing in BELONGINGS if thing.rotates}
    assert changed == {"keys", "identity.json", "ledger.jsonl", "officers.json"} < rotating
    assert changed.isdisjoint(thing.name for thing in BELONGINGS if thing.memory)
    home.path.rename(tmp_path / "elsewhere")
    check_is_last(tmp_path / "elsewhere")


def test_the_last_state_goes_on(home: NodeHome, tmp_path: Path) -> None:
    backup(home.path, tmp_path / "c", "bureau", running=False)
    restore(tmp_path / "c", tmp_path / "restored")
    made = NodeHome.open(tmp_path / "restored")
    with pytest.raises(OlderCopy, match="restored from c"):
        begin(made.path)
    found = copy_of(made.path)
    assert found is not None
    assert accept(made, made.load_keys(SECRET), "ann", last=True, why="the disk was lost") == []
    assert can_resume(made.job(SESSION))
    hub = LivesMet(tmp_path)
    said = begin(made.path)
    assert hub.comes("bureau", said)  # nobody else has been there since
    assert not hub.comes("bureau", begin(home.path))  # the other copy, started afterwards
    mark_older(made.path)  # the officer was wrong, the hub says
    again = copy_of(made.path)
    assert again is not None
    assert again.made == found.made > 0
    adopt(made.path, last=True)
    line = read_ledger(made.path / "ledger.jsonl")[-1]
    assert line["kind"] == "restored"
    assert (line["body"]["last"], line["body"]["by"], line["body"]["jobs"]) == (True, "ann", [])
    assert len(list(made.desk.glob("*.decision.*"))) == 1
    with pytest.raises(MisuseError, match="not a copy"):
        accept(made, made.load_keys(SECRET), "ann", last=True)


def test_an_older_state_lets_go_of_what_it_cannot_know(home: NodeHome, tmp_path: Path) -> None:
    """Going on from an earlier point would use numbers of sealed frames twice."""
    backup(home.path, tmp_path / "c", "bureau", running=True)
    restore(tmp_path / "c", tmp_path / "restored")
    made = NodeHome.open(tmp_path / "restored")
    keys = made.load_keys(SECRET)
    with pytest.raises(MisuseError, match="at work"):
        accept(made, keys, "ann", last=True)
    shutil.rmtree(made.path / "releases")  # no book, but a file of each name
    made.policy.write_text("[[approve")
    with pytest.raises(JobError):
        accept(made, keys, "ann", last=False)
    made.policy.write_text('[[approve]]\nname = "twelve"\njobs = 12\n[[approve]]\nname = "all"\n')
    assert accept(made, keys, "ann", last=False) == [SESSION.hex()]
    assert not can_resume(made.job(SESSION))
    assert not (made.job(SESSION) / "journal").exists()
    (left,) = Inbox(made.desk).all()
    assert (left.request.session, left.word) == (bytes([1] * 32), None)
    line = read_ledger(made.path / "ledger.jsonl")[-1]
    assert (line["body"]["last"], line["body"]["jobs"]) == (False, [SESSION.hex()])
    assert line["body"]["rules"] == ["twelve"]
    said = CliRunner().invoke(app, ["policy", "check", "--home", str(made.path)]).output
    assert 'rule "twelve" approves no more: this node was put back to a copy of 20' in said
    assert "another name lets it count anew" in said
    assert 'rule "all" approves by itself' in said
    assert begin(made.path).startswith(":")
    check_is_last(made.path)


def test_a_copy_answers_no_kind_of_job_and_proposes_none(
    home: NodeHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever step a job has, an answer begins at one of three doors, and all are shut."""
    backup(home.path, tmp_path / "c", "bureau", running=False)
    (tmp_path / "hub").mkdir()
    restore(tmp_path / "c", tmp_path / "hub" / "party")
    made = NodeHome.open(tmp_path / "hub" / "party")
    (made.path / "node.key").chmod(0o600)  # the fixture's file
    before = tree(made.path)
    monkeypatch.setattr("profiles.remote._check", lambda job, link: None)
    keys, tables = made.load_keys(SECRET), MemorySource({})

    def proposes() -> object:
        job = cast(Job, None)  # it is not looked at
        link = HubLink(made.path)
        return federate_remote(job, tables, link, keys, tmp_path / "out", cast(Started, None))

    doors: tuple[Callable[[], object], ...] = (
        lambda: NodeFront(made, SECRET),
        lambda: NodeFront(made, SECRET, relay=cast(Relay, None)),
        proposes,
    )
    for door in doors:
        with pytest.raises(OlderCopy, match="answers nothing"):
            door()
    assert tree(made.path) == before
    assert not (tmp_path / "out").exists()


def test_a_folder_copied_by_hand_is_a_copy(home: NodeHome, tmp_path: Path) -> None:
    shutil.copytree(home.path, tmp_path / "by hand")
    with pytest.raises(OlderCopy, match="copied"):
        begin(tmp_path / "by hand")
    check_is_last(home.path)
    (home.path / "life").write_text("planted")
    found = copy_of(home.path)
    assert found is not None
    assert "cannot be read" in found.why


def test_a_hub_knows_an_older_state(home: NodeHome, tmp_path: Path) -> None:
    """A disk image that is put back shows nothing by itself."""
    hub, life = LivesMet(tmp_path), home.path / "life"
    image = life.read_bytes()
    assert hub.comes("bureau", begin(home.path))  # the process is killed before it notes that
    first = begin(home.path)
    assert hub.comes("bureau", first)
    met(home.path, first)
    begin(home.path)  # another start, which ends before it connects
    met(home.path, first)  # the first connects again
    second = begin(home.path)
    assert hub.comes("bureau", second)
    met(home.path, second)
    assert hub.comes("registry", f":{'0' * 16}")
    life.write_bytes(image)
    assert not hub.comes("bureau", begin(home.path))
    mark_older(home.path)
    found = copy_of(home.path)
    assert found is not None
    assert 0 <= time.time() - found.made < 60, "as old as its last meeting with the hub"
    assert not hub.comes("bureau", "planted")
    assert hub.comes("bureau", "")  # a node of a version before


def test_an_altered_copy_is_refused(home: NodeHome, tmp_path: Path) -> None:
    backup(home.path, tmp_path / "c", "bureau", running=False)
    whole = gzip.decompress((tmp_path / "c").read_bytes())
    at = whole.index(b"policy.toml") + 1024
    altered = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
    with tarfile.open(tmp_path / "c") as archive:
        renamed = whole.replace(archive.getnames()[0].encode(), b"x" * len(archive.getnames()[0]))
    made = [gzip.compress(data) for data in (altered, renamed, whole[: len(whole) // 2])]
    for data in (*made, b"planted"):
        (tmp_path / "c").write_bytes(data)
        with pytest.raises(InputError, match=r"altered|not a copy"):
            restore(tmp_path / "c", tmp_path / "r")
        assert not (tmp_path / "r").exists()
    (tmp_path / "link").symlink_to(tmp_path)
    for planted, name in ((home.keys, "../planted"), (tmp_path / "link", "link")):
        with tarfile.open(tmp_path / "c", "w:gz") as archive:
            archive.add(planted, arcname=name)
        with pytest.raises(FedprofileError):
            restore(tmp_path / "c", tmp_path / "r")
    assert not (tmp_path / "planted").exists()


def test_a_copy_is_restored_by_the_first_python_that_is_allowed(
    home: NodeHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian 12 has 3.11.2, whose `extractall` knows no filter."""
    call = home.jobs / ("ab" * 32) / "call"
    call.parent.mkdir(parents=True)
    call.touch(0o600)
    os.utime(call, (1e9, 1e9))
    backup(home.path, tmp_path / "c", "bureau", running=False)
    monkeypatch.delattr(tarfile.TarFile, "extractall")
    restore(tmp_path / "c", tmp_path / "r")
    there = tmp_path / "r"
    assert (there / "jobs" / ("ab" * 32) / "call").stat().st_mtime == 1e9
    modes = {p.name: p.stat().st_mode & 0o777 for p in (there / "keys", there / "jobs")}
    assert modes == {"keys": 0o600, "jobs": 0o700}


def test_the_commands_say_what_to_do(home: NodeHome, tmp_path: Path) -> None:
    def say(*words: str) -> str:
        env = {"FEDPROFILE_PASSPHRASE_FILE": str(tmp_path / "p")}
        done = CliRunner().invoke(app, [*words], env=env)
        return done.output + (f"{done.exception}" if done.exception else "")

    (tmp_path / "p").write_bytes(SECRET)
    (tmp_path / "p").chmod(0o600)
    assert "files of bureau" in say("backup", str(tmp_path / "c"), "--home", str(home.path))
    new = str(tmp_path / "new")
    assert "next: fedprofile node accept-copy" in say("restore", str(tmp_path / "c"), "--home", new)
    assert "answers nothing" in say("start", "--home", new)
    assert "one of --last and --may-have-forgotten" in say("accept-copy", "--home", new)
    found = copy_of(Path(new))
    assert found is not None
    mark(Path(new), replace(found, running=True))
    said = say("accept-copy", "--home", new)
    assert "--may-have-forgotten is needed" in said
    assert "--last" not in said, "what would be refused is not offered"
    mark(Path(new), found)
    policy = Path(new) / "policy.toml"
    whole = policy.read_text()
    policy.write_text("[proposals\n")
    said = say("accept-copy", "--may-have-forgotten", "--home", new)
    assert "nothing is accepted yet" in said
    assert "not TOML" in said
    assert "answers nothing" in say("start", "--home", new)
    policy.write_text(whole)
    assert "from now on" in say("accept-copy", "--last", "--home", new)
    check_is_last(Path(new))


def test_a_restored_hub(tmp_path: Path) -> None:
    made = HubHome.create(tmp_path / "hub", ["localhost"], 8443, "127.0.0.1")
    made.invite("bureau")
    made.lives.comes("bureau", f":{'0' * 16}")
    names = {path.name for path in made.path.iterdir()}
    assert all(is_known(name, HUB_BELONGINGS) for name in names)
    assert {thing.name for thing in HUB_BELONGINGS} - names == {"party"}
    for words in (["backup", "--home", "hub", "c"], ["restore", "--home", "new", "c"]):
        before = Path.cwd()
        os.chdir(tmp_path)
        done = CliRunner().invoke(hub_app, words)
        os.chdir(before)
        assert done.exit_code == 0, done.output
    again = HubHome(tmp_path / "new")
    again.check()
    assert again.authority.pem() == made.authority.pem()
    assert (again.nodes(), again.path.joinpath("invites.json").read_text()) == ({}, "[]\n")
    assert not (again.path / "lives.json").exists()
