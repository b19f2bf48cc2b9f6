"""The desk of a node: waiting for an officer, four eyes, counts, and texts that would deceive."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from federated.approval.decision import Call, Decision, Request, Undecided
from federated.approval.inbox import Inbox
from federated.approval.officer import NodeDecider, counts
from federated.approval.policy import Officers, Policy
from federated.approval.quota import Quota
from federated.approval.words import Waiting, Word
from federated.cli.node import app
from federated.contract.terms import Contract
from federated.keys.identity_file import write_identity
from federated.keys.party_keys import PartyKeys
from federated.keys.peers import Peers
from federated.tables.source import MemorySource
from federated.wire import local
from federated.wire.flower.node import Job as Live
from profiles.job import Job
from profiles.proposal import draft
from psi.protocol import Declined, InputError, MisuseError, Refused
from tests.e2e.conftest import JOB

IDS = {name: PartyKeys.generate(name).identity for name in ("bank", "bureau")}
NONE = threading.Event()
HUB_ONLY: Any = SimpleNamespace(beside=())
"""What a job's frames go by."""


def contract(tmp_path: Path, nonce: int = 1, **changes: object) -> Contract:
    (tmp_path / "job.toml").write_text(JOB)
    made = draft(Job.load(tmp_path / "job.toml"), IDS, bytes([nonce] * 32), time.time())
    return replace(made, **changes)  # type: ignore[arg-type]


def request(made: Contract, me: str = "bureau") -> Request:
    return Request(bytes.fromhex(made.nonce), me, made, time.time())


def desk(home: Path, policy: str = "", me: str = "bureau") -> NodeDecider:
    (home / "desk").mkdir(exist_ok=True)
    (home / "policy.toml").write_text(policy)
    for name, identity in IDS.items():
        if name != me and not (home / "peers" / f"{name}.json").exists():
            write_identity(home / "peers" / f"{name}.json", identity)
            Peers(home).confirm(name, identity.fingerprint, "ann")
    return NodeDecider(name=me, home=home, source=MemorySource({}))


def said(user: int) -> Word:
    return Word(approved=True, why="", asked=b"", user=user, by="", made=0)


class Asked(threading.Thread):
    """A decision that is being waited for."""

    def __init__(self, at: NodeDecider, asked: Request) -> None:
        super().__init__(daemon=True)
        self.at, self.asked, self.stop = at, asked, threading.Event()
        self.start()

    def run(self) -> None:
        try:
            self.decision = self.at.decide(self.asked, self.stop)
        except Undecided:
            self.decision = Decision(False, "still waiting")

    def end(self) -> bool:
        self.join(10)
        return self.decision.approved


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[Asked]:
    asked = Asked(desk(tmp_path), request(contract(tmp_path)))
    end = time.monotonic() + 10
    while not Inbox(tmp_path / "desk").all() and time.monotonic() < end:
        time.sleep(0.01)
    yield asked
    asked.stop.set()


def test_an_officer_approves(tmp_path: Path, waiting: Asked) -> None:
    inbox = Inbox(tmp_path / "desk")
    entry = inbox.find("0101")
    assert entry.state(time.time()) == "waiting"
    inbox.decide(entry, True)
    assert waiting.end()
    assert waiting.decision.by == inbox.find("0101").words[0].by
    waiting.at.check(waiting.asked.contract)
    with pytest.raises(MisuseError, match="is approved already"):
        inbox.decide(inbox.find("0101"), False)


def test_an_officer_denies_and_says_why(tmp_path: Path, waiting: Asked) -> None:
    inbox = Inbox(tmp_path / "desk")
    inbox.decide(inbox.find("01010101"), False, "not this purpose")
    assert not waiting.end()
    with pytest.raises(Declined, match="not this purpose"):
        waiting.decision.enforce()


def test_a_word_given_while_the_node_was_down_counts_once_for_the_same_question(
    tmp_path: Path,
) -> None:
    first, inbox = request(contract(tmp_path)), Inbox(tmp_path / "desk")
    at = desk(tmp_path)
    inbox.put(first, time.time() + 60)
    inbox.decide(inbox.find("0101"), True)
    # another question does not profit by it
    other = request(contract(tmp_path, 2, purpose="fraud"))
    asked = Asked(at, other)
    asked.stop.set()
    assert not asked.end()
    again = request(contract(tmp_path, 3))
    assert at.decide(again, NONE).approved
    at.check(again.contract)
    third = Asked(at, request(contract(tmp_path, 4)))
    third.stop.set()
    assert not third.end()


def test_an_approval_counts_once_although_the_node_came_back_before_the_signature(
    tmp_path: Path,
) -> None:
    """A node that is killed after the draft was approved goes on from there: `decide` is not asked
    again, and what it knew in memory is gone."""
    first, inbox = request(contract(tmp_path)), Inbox(tmp_path / "desk")
    inbox.put(first, time.time() + 60)
    inbox.decide(inbox.find("0101"), True)
    assert desk(tmp_path).decide(first, NONE).approved
    desk(tmp_path).check(first.contract)
    desk(tmp_path).check(first.contract)  # and once more, for the same session
    other = Asked(desk(tmp_path), request(contract(tmp_path, 2)))
    other.stop.set()
    assert not other.end()


def test_two_sessions_that_heard_the_same_word_spend_it_once(tmp_path: Path) -> None:
    first, inbox = request(contract(tmp_path)), Inbox(tmp_path / "desk")
    inbox.put(first, time.time() + 60)
    inbox.decide(inbox.find("0101"), True)
    second = request(contract(tmp_path, 2))
    assert desk(tmp_path).decide(second, NONE).approved
    assert desk(tmp_path).decide(first, NONE).approved
    desk(tmp_path).check(second.contract)
    with pytest.raises(Declined, match="spent on another"):
        desk(tmp_path).check(first.contract)


def test_a_desk_put_back_from_an_older_copy_brings_no_approval_back(tmp_path: Path) -> None:
    first, inbox = request(contract(tmp_path)), Inbox(tmp_path / "desk")
    inbox.put(first, time.time() + 60)
    inbox.decide(inbox.find("0101"), True)
    shutil.copytree(tmp_path / "desk", tmp_path / "older")
    second = request(contract(tmp_path, 2))
    assert desk(tmp_path).decide(second, NONE).approved
    desk(tmp_path).check(second.contract)
    shutil.rmtree(tmp_path / "desk")
    shutil.copytree(tmp_path / "older", tmp_path / "desk")
    third = Asked(desk(tmp_path), request(contract(tmp_path, 3)))
    third.stop.set()
    assert not third.end()
    with pytest.raises(Declined, match="no approval counts"):
        desk(tmp_path).check(third.asked.contract)
    # nor does one that an earlier version has marked as spent, beside the words
    (tmp_path / "spent" / first.session.hex()).rename(
        tmp_path / "desk" / f"{first.session.hex()}.used"
    )
    fourth = Asked(desk(tmp_path), request(contract(tmp_path, 4)))
    fourth.stop.set()
    assert not fourth.end()


def test_no_signature_without_an_approval_on_file(tmp_path: Path) -> None:
    """A job's state that outlives its request, or that a node has from elsewhere, is none."""
    asked, inbox = request(contract(tmp_path)), Inbox(tmp_path / "desk")
    with pytest.raises(Declined, match="no approval counts"):
        desk(tmp_path).check(asked.contract)
    inbox.put(asked, time.time() + 60)
    with pytest.raises(Declined, match="no approval counts"):
        desk(tmp_path).check(asked.contract)
    inbox.decide(inbox.find("0101"), False)
    with pytest.raises(Declined, match="no approval counts"):
        desk(tmp_path).check(asked.contract)


def test_what_nobody_decides_on_expires(tmp_path: Path) -> None:
    now = [time.time()]
    at = replace(desk(tmp_path, "[officers]\nwait_hours = 1\n"), clock=lambda: now[0])
    asked = Asked(at, request(contract(tmp_path)))
    now[0] += 3601
    assert not asked.end()
    assert asked.decision.why == "no officer has decided in time"
    assert Inbox(tmp_path / "desk").find("0101").state(now[0]) == "expired"


def test_who_proposes_does_not_approve(tmp_path: Path) -> None:
    own = request(contract(tmp_path), "bank")
    me = os.geteuid()
    valid = counts(Policy())
    entry = Waiting(request=own, ends=0, user=me)
    assert not valid(said(me), entry)
    assert valid(said(me + 1), entry)
    assert counts(Policy(officers=Officers(four_eyes=False)))(said(me), entry)
    theirs = replace(entry, request=replace(own, me="bureau"))
    assert valid(said(me), theirs)
    only = counts(Policy(officers=Officers(users=("nobody at all",))))
    assert not only(said(me), theirs)

    at = desk(tmp_path, me="bank")
    asked = Asked(at, own)
    time.sleep(0.1)
    strict, open_ = at.inbox(Policy()), Inbox(tmp_path / "desk")
    with pytest.raises(Refused, match="does not count here") as error:
        strict.decide(strict.find("0101"), True)
    assert "[officers] four_eyes = false" in error.value.hint
    open_.decide(open_.find("0101"), True)  # past the command's own check
    time.sleep(0.7)
    assert asked.is_alive()
    asked.stop.set()
    assert not asked.end()
    assert desk(tmp_path, "[officers]\nfour_eyes = false\n", "bank").decide(own, NONE).approved


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to write in another user's name")
def test_another_user_approves_what_this_party_proposes(tmp_path: Path) -> None:
    asked = Asked(desk(tmp_path, me="bank"), request(contract(tmp_path), "bank"))
    time.sleep(0.1)
    inbox = Inbox(tmp_path / "desk")
    inbox.decide(inbox.find("0101"), True)
    (file,) = (tmp_path / "desk").glob("*.decision.*")
    os.chown(file, 65534, 65534)
    assert asked.end()
    assert asked.decision.by == "nobody"


def test_a_changed_policy_counts_before_the_signature(tmp_path: Path) -> None:
    rule = '[[approve]]\nname = "all"\n'
    at, made = desk(tmp_path, rule), contract(tmp_path)
    decision = at.decide(request(made), NONE)
    assert (decision.approved, decision.by) == (True, "rule all")
    entry = Inbox(tmp_path / "desk").find("0101")
    assert (entry.rule, entry.state(time.time())) == ("rule all", "approved")
    with pytest.raises(MisuseError, match="is approved already"):
        Inbox(tmp_path / "desk").decide(entry, False)
    desk(tmp_path, rule + '[columns."bureau.people"]\nloans = "never"\n')
    with pytest.raises(Declined, match="'loans'"):
        at.check(made)
    desk(tmp_path, "[columns")
    with pytest.raises(Declined, match="cannot be read"):
        at.check(made)
    desk(tmp_path, rule)
    Peers(tmp_path).remove("bank")
    with pytest.raises(Declined, match="the key of bank is not confirmed"):
        at.check(made)


def test_a_rule_that_approves_a_series_ends_by_its_jobs_and_by_its_day(tmp_path: Path) -> None:
    """Then an officer is asked, and what comes within 365 days is no new series."""
    today = dt.date(2026, 11, 30)
    at = desk(tmp_path, f'[[approve]]\nname = "monthly"\njobs = 2\nuntil = "{today}"\n')
    gone = threading.Event()
    gone.set()
    noon = dt.datetime.combine(today, dt.time(12)).timestamp()

    def answered(nonce: int, days: float = 0.0) -> str:
        now = noon + days * 24 * 3600
        asked = replace(request(contract(tmp_path, nonce)), received=now)
        try:
            return replace(at, clock=lambda: now).decide(asked, gone).by
        except Undecided:
            return "an officer is asked"

    assert answered(1, -200) == "rule monthly"
    assert answered(2, -100) == "rule monthly"
    assert answered(2, -100) == "rule monthly", "a node that came back asks again"
    assert answered(3, -50) == "an officer is asked"
    (tmp_path / "desk" / f"{'01' * 32}.request").write_text("{")
    assert answered(4, -40) == "an officer is asked", "one that cannot be read counts"
    at = desk(tmp_path, f'[[approve]]\nname = "another"\nuntil = "{today}"\n')
    assert answered(5) == "rule another"
    assert answered(6, 1) == "an officer is asked"
    at = desk(tmp_path, '[[approve]]\nname = "monthly"\njobs = 2\n')
    (tmp_path / "desk" / f"{'01' * 32}.request").unlink()
    assert answered(7, 300) == "rule monthly", "a year after the first two"


def test_what_a_rule_approved_is_listed_and_shown(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text('version = 1\nname = "bureau"\nhub = "nowhere:1"\n')
    rule = '[[approve]]\nname = "monthly"\n'
    assert desk(tmp_path, rule).decide(request(contract(tmp_path)), NONE).approved

    def node(*words: str) -> str:
        return CliRunner().invoke(app, [*words, "--home", str(tmp_path)]).output

    assert "01010101  approved" in node("jobs")
    shown = node("show", "0101")
    assert "bank learns which of its own records bureau has" in shown
    assert "approved by rule monthly, " in shown
    assert "node approve" not in shown
    assert json.loads(node("show", "0101", "--json"))["by"] == "rule monthly"


def test_a_call_whose_proposal_is_not_here_yet_waits_for_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "node.toml").write_text('version = 1\nname = "bureau"\nhub = "nowhere:1"\n')
    desk(tmp_path)
    identities = tuple(IDS.values())
    live = [Live(call=Call(bytes([n] * 32), "bank", identities), endpoint=HUB_ONLY) for n in (1, 2)]
    monkeypatch.setattr(local, "ask", lambda path, **asked: {"jobs": [j.summary() for j in live]})
    Inbox(tmp_path / "desk").put(request(contract(tmp_path, 2)), time.time() + 60)
    said = CliRunner().invoke(app, ["jobs", "--home", str(tmp_path)]).output
    assert "01010101  called " in said
    assert "02020202  waiting " in said


def test_what_the_policy_refused_is_listed_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "node.toml").write_text('version = 1\nname = "bureau"\nhub = "nowhere:1"\n')
    desk(tmp_path)
    refused = Live(call=Call(bytes([1] * 32), "bank", tuple(IDS.values())), endpoint=HUB_ONLY)
    refused.draft = contract(tmp_path)
    refused.state, refused.error = "refused", "purpose 'retention' asked, fraud allowed by policy"
    monkeypatch.setattr(local, "ask", lambda path, **asked: {"jobs": [refused.summary()]})

    def node(*words: str) -> str:
        return CliRunner().invoke(app, [*words, "--home", str(tmp_path)]).output

    (line,) = node("jobs").splitlines()
    assert line.endswith(
        '"small churn" for "retention": purpose \'retention\' asked, fraud allowed by policy'
    )
    shown = node("show", "0101")
    assert "bank proposed 01010101" in shown
    assert "refused before an officer was asked: purpose 'retention' asked" in shown
    assert f"fedprofile node ledger 01010101 --home {tmp_path}" in shown


def test_a_request_of_another_version_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text('version = 1\nname = "bureau"\nhub = "nowhere:1"\n')
    asked = desk(tmp_path)
    Inbox(tmp_path / "desk").put(request(contract(tmp_path, 2)), time.time() + 60)
    (old,) = (tmp_path / "desk").glob("*.request")
    new = old.read_text().replace("-v", "-v9")
    assert new != old.read_text()
    (tmp_path / "desk" / f"{'03' * 32}.request").write_text(new)

    done = CliRunner().invoke(app, ["jobs", "--home", str(tmp_path)])
    assert "02020202  waiting " in done.output
    assert "03030303  unreadable " in done.output
    assert "03030303 is another version's, or damaged: nobody can decide on it" in done.output
    assert f"or remove {tmp_path / 'desk' / ('03' * 32)}.request" in done.output
    ledger = tmp_path / "jobs" / ("03" * 32) / "ledger.jsonl"
    ledger.parent.mkdir(parents=True)
    ledger.write_text('{"body":{"heads":{},"unheard":[]},"kind":"finished","time":1}\n')
    listed = CliRunner().invoke(app, ["jobs", "--home", str(tmp_path)]).output
    assert listed.count("03030303") == 1, "a job that has run is listed as what it came to"
    assert "03030303  done " in listed
    assert asked.admit(Call(bytes(32), "bank", tuple(IDS.values()))).approved
    with pytest.raises(InputError, match="not a request that this version can read"):
        Inbox(tmp_path / "desk").find("0303")


def test_counts_of_a_day_survive_a_restart(tmp_path: Path) -> None:
    now = [time.time()]
    policy = "[proposals]\njobs_a_day = 2\nrows_a_day = 100\n"
    for nonce in range(1, 5):
        approved = request(contract(tmp_path, nonce))
        Inbox(tmp_path / "desk").put(approved, now[0] + 60, "rule all")
    for nonce in (1, 1, 2):  # a resumed job counts once
        replace(desk(tmp_path, policy), clock=lambda: now[0]).check(contract(tmp_path, nonce))
    third = contract(tmp_path, 3)
    at = replace(desk(tmp_path, policy), clock=lambda: now[0])
    with pytest.raises(Declined, match="3 jobs of bank on one day"):
        at.check(third)
    now[0] += 24 * 3600
    at.check(third)
    large = contract(tmp_path, 4)
    with pytest.raises(Declined, match="101 rows for jobs of bank on one day"):
        at.check(large.with_party(replace(large.party("bureau"), rows=101)))
    (tmp_path / "quota.json").write_text("{")
    with pytest.raises(Exception, match=r"quota.json cannot be read"):
        Quota(tmp_path / "quota.json", time.time).take(third, Policy(), 1)


def test_at_the_door(tmp_path: Path) -> None:
    call = Call(bytes([9] * 32), "bank", tuple(IDS.values()))
    at = desk(tmp_path, "[proposals]\nopen = 1\n")
    assert at.admit(call).approved
    Inbox(tmp_path / "desk").put(request(contract(tmp_path)), time.time() + 60)
    assert "1 of your proposals wait" in at.admit(call).why
    Inbox(tmp_path / "desk").pause("audit")
    assert at.admit(call).why == "this party takes no new jobs at present"
    assert Inbox(tmp_path / "desk").unpause()
    assert (
        desk(tmp_path, '[proposals]\nfrom = ["registry"]\n').admit(call).why.startswith("proposer")
    )


@pytest.mark.parametrize("name", ["", "01", "../../etc", "*", "0101*", "9999"])
def test_names_of_requests_are_no_paths_or_patterns(tmp_path: Path, name: str) -> None:
    Inbox(tmp_path / "desk").put(request(contract(tmp_path)), time.time() + 60)
    with pytest.raises(InputError):
        Inbox(tmp_path / "desk").find(name)


def test_altered_files_of_a_desk_are_refused(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "desk")
    inbox.put(request(contract(tmp_path)), time.time() + 60)
    inbox.decide(inbox.find("0101"), True)
    (file,) = (tmp_path / "desk").glob("*.decision.*")
    data = json.loads(file.read_text())
    file.write_text(json.dumps(data | {"asked": "00" * 32}))
    assert inbox.verdict(request(contract(tmp_path))) is None  # a word on something else
    file.unlink()
    file.symlink_to("/etc/passwd")
    with pytest.raises(InputError):
        inbox.find("0101")
    assert inbox.all() == []
    assert [file.name for file in inbox.unread()] == [f"{'01' * 32}.request"]
    assert (
        inbox.verdict(request(contract(tmp_path))) is None
    )  # nothing counts of what cannot be read
