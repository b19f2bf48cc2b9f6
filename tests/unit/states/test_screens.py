"""What every screen says of a job in each state: one folder a state, and all commands on it."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from federated.approval.call import make_call
from federated.approval.decision import Call, Request
from federated.approval.inbox import Inbox
from federated.cli.health import health_of_node
from federated.cli.node import app
from federated.contract.terms import Contract
from federated.keys.identity_file import write_identity
from federated.keys.keyfile import save_keys
from federated.keys.peers import Peers
from federated.ledger.lines import Ledger, read_ledger
from federated.node import let_go
from federated.node.home import NodeHome
from federated.node.job_rows import UNACCEPTED
from federated.node.lives import Copy, mark
from federated.node.states import STATES
from federated.session.over import halt, why_over
from federated.session.reached import PUT_BACK
from federated.wire import local
from federated.wire.flower.node import Job as Live
from psi.protocol import EnvironmentFailed, MisuseError
from tests.unit.test_node_replay import KEYS, PINNED, SECRET
from tests.unit.test_officer import HUB_ONLY, contract

SESSION = bytes([1] * 32)
ID = SESSION.hex()[:8]
DAY = 86400

Lines = list[tuple[str, dict[str, Any]]]
TERMS = {"job": "small churn", "purpose": "retention", "proposer": "bank"}
APPROVED: Lines = [("approved", {"by": "ann", "why": "", **TERMS})]
SIGNED: Lines = [*APPROVED, ("contract", {"terms": TERMS})]
KILLED: Lines = [("ended", {"error": "EnvironmentFailed"})]


@dataclass
class Left:
    """What a job has left on file: its proposal, what of it the ledger says, a journal, its call;
    `live` is the state in the running node, None where none runs, `error` what ended it there."""

    request: bool = True
    word: bool | None = None
    ends: float = DAY
    lines: Lines = field(default_factory=list)
    rests: bool = True
    call: bool = True
    live: str | None = None
    error: str = ""


PLAYED: dict[str, tuple[Left, str, str, str]] = {
    "called": (Left(request=False), "called", "", "its proposal comes once the node runs and bank"),
    "called, live": (Left(request=False, live="waiting"), "called", "", "comes once bank is there"),
    "called, stopped": (Left(request=False, lines=KILLED, rests=False), "called", "", "once"),
    "called, gone": (
        Left(request=False, lines=[("ended", {"error": "PeerGone"})], rests=False),
        "failed",
        "this party has lost another party",
        "",
    ),
    "waiting": (Left(), "waiting", "", f"fedprofile node show {ID}"),
    "waiting, live": (Left(live="waiting"), "waiting", "", f"fedprofile node show {ID}"),
    "approved, node down": (Left(word=True), "approved", "", "begins once the node runs and bank"),
    "approved, killed": (Left(word=True, lines=APPROVED), "approved", "", "begins once the node"),
    "approved, live": (
        Left(word=True, lines=APPROVED, live="waiting"),
        "approved",
        "",
        "once bank",
    ),
    "denied, node down": (Left(word=False), "denied", "no", ""),
    "denied, proposer away": (Left(word=False, live="waiting"), "denied", "no", ""),
    "denied, its proposer killed before": (
        Left(word=False, live="failed", error="bank: its process has ended"),
        "denied",
        "no",
        "",
    ),
    "denied": (
        Left(word=False, lines=[("refused", {"by": "ann", "why": "no", **TERMS})], rests=False),
        "denied",
        "no",
        "",
    ),
    "expired": (
        Left(ends=-5, lines=[("refused", {"by": "nobody", "why": "too late"})], rests=False),
        "expired",
        "too late",
        "",
    ),
    "left": (
        Left(lines=[("farewell", {"peer": "bank", "error": "Refused"}), KILLED[0]], rests=False),
        "left",
        "bank says no",
        "a word counts once",
    ),
    "left, revoked": (
        Left(lines=[("ended", {"error": "ShutOut"})], rests=False),
        "left",
        "this party was shut out by the hub",
        "a word counts once",
    ),
    "running": (Left(word=True, lines=SIGNED, live="running"), "running", "", ""),
    "killed": (Left(word=True, lines=SIGNED), "interrupted", "", "goes on once the node runs and"),
    "killed, proposer away": (
        Left(word=True, lines=SIGNED, live="waiting"),
        "interrupted",
        "",
        f"it goes on once bank is there; fedprofile node stop {ID} --now ends it",
    ),
    "its proposer has ended": (
        Left(
            word=True,
            lines=[
                *SIGNED,
                ("ended", {"error": "PeerGone", "why": "bank: the job has ended there"}),
            ],
        ),
        "interrupted",
        "bank: the job has ended there",
        f"fedprofile node stop {ID} --now ends it",
    ),
    "refused by policy": (
        Left(lines=[("refused", {"by": "policy", "why": "4 asked, 3 allowed"})], rests=False),
        "refused",
        "4 asked, 3 allowed",
        "",
    ),
    "stopped": (
        Left(word=True, lines=[*SIGNED, ("ended", {"error": "Stopped"})], rests=False),
        "refused",
        "this party has stopped the job for good",
        "",
    ),
    "failed": (
        Left(word=True, lines=[*SIGNED, ("ended", {"error": "InputError"})], rests=False),
        "failed",
        "its table does not hold what the job needs",
        "",
    ),
    "revoked": (
        Left(word=True, lines=[*SIGNED, ("ended", {"error": "ShutOut"})], rests=False),
        "failed",
        "shut out by the hub",
        "",
    ),
    "done": (
        Left(word=True, lines=[*SIGNED, ("finished", {"heads": {}, "unheard": []})], rests=False),
        "done",
        "",
        "",
    ),
}


class Place:
    """A node's folder with one job in it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.patch = folder, monkeypatch
        self.home = NodeHome.create(folder / "node", "bureau", "mounted")
        save_keys(self.home.keys, KEYS["bureau"], SECRET, secrets.token_bytes)
        write_identity(self.home.path / "identity.json", PINNED["bureau"])
        write_identity(self.home.peers / "bank.json", PINNED["bank"])
        Peers(self.home.path).confirm("bank", PINNED["bank"].fingerprint, "ann")

    def has(self, left: Left) -> None:
        asked: Contract = contract(self.folder)
        place, now = self.home.job(SESSION), time.time()
        ledger = Ledger(place / "ledger.jsonl", KEYS["bureau"], time.time, SESSION, PINNED)
        for kind, body in left.lines:
            ledger.write(kind, **body)
        ledger.close()
        if left.call:
            (place / "call").write_bytes(make_call(SESSION, KEYS["bank"], PINNED))
        if left.rests:
            (place / "journal").mkdir()
            for name in ("key", "point"):
                (place / "journal" / name).touch(0o600)
            self.home.reached(SESSION).parent.mkdir()
            self.home.reached(SESSION).touch()
        inbox = Inbox(self.home.desk)
        if left.request:
            request = Request(SESSION, "bureau", asked, now - 60)
            inbox.put(request, now + DAY)
            if left.word is not None:
                inbox.decide(inbox.find(ID), left.word, "" if left.word else "no")
            inbox.put(request, now + left.ends)
        status: dict[str, Any] = {"connected": True, "memory": 1, "queue": 0, "jobs": []}
        if left.live is not None:
            job = Live(call=Call(SESSION, "bank", tuple(PINNED.values())), endpoint=HUB_ONLY)
            job.state, job.step = left.live, "train/a task with a name that is rather long"
            job.error = left.error
            status["jobs"] = [job.summary()]

        def ask(path: Path, **asked: Any) -> dict[str, Any]:
            if left.live is None:
                raise EnvironmentFailed("no node runs here")
            return status

        self.patch.setattr(local, "ask", ask)

    def say(self, *words: str) -> str:
        done = CliRunner().invoke(app, [*words, "--home", str(self.home.path)])
        error = done.exception
        return done.output + ("" if error is None or isinstance(error, SystemExit) else str(error))

    def row(self) -> dict[str, Any]:
        (row,) = json.loads(CliRunner().invoke(app, ["jobs", "--json", "--home",
                                                     str(self.home.path)]).stdout)  # fmt: skip
        return dict(row)


def write(place: Place, lines: Lines, at: float) -> None:
    """Go on with the job's ledger at a time."""
    path = place.home.job(SESSION) / "ledger.jsonl"
    ledger = Ledger(path, KEYS["bureau"], lambda: at, SESSION, PINNED)
    for kind, body in lines:
        ledger.write(kind, **body)
    ledger.close()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)


def test_every_state_is_played() -> None:
    assert {state for _, state, _, _ in PLAYED.values()} == set(STATES)


@pytest.mark.parametrize("name", PLAYED)
def test_every_screen_says_the_same(place: Place, name: str) -> None:
    left, state, why, after = PLAYED[name]
    place.has(left)
    row = place.row()
    assert row["state"] == state
    assert why in row["why"]
    assert bool(why) == bool(row["why"])
    assert after in row["next"]
    assert bool(after) == bool(row["next"])
    assert (row["proposer"], row["parties"]) == ("bank", ["bank", "bureau"])
    assert row["received"] > time.time() - 3600

    (line,) = place.say("jobs").splitlines()
    assert line.startswith(f"{ID}  {state}")
    assert row["why"] in line
    if state == "interrupted":
        assert row["next"] in line

    shown, offers = place.say("show", ID), f"fedprofile node approve {ID}"
    assert (offers in shown) == (state == "waiting"), shown
    assert state == "waiting" or f"\n{state}" in shown
    assert row["why"] in shown
    assert json.loads(place.say("show", ID, "--json"))["state"] == state

    states = {one.labels["state"]: one.value for one in health_of_node(place.home).measures
              if one.name == "jobs"}  # fmt: skip
    assert [name for name, count in states.items() if count] == [state]

    if state == "left":
        assert "the word counts once, for its next proposal" in place.say("approve", ID)
        row = place.row()
        assert (row["state"], row["why"]) == ("left", row["why"]), (
            "its session is gone all the same"
        )
        assert "counts once, if exactly the same is asked again" in row["next"]
        assert "the yes of" in row["next"]
        other = bytes([7] * 32)
        Inbox(place.home.desk).use(SESSION, other)
        assert place.row()["next"] == f"its yes has counted for {other.hex()[:8]}"
    elif left.request and state != "waiting":
        for words in (("approve", ID), ("deny", ID, "--why", "no")):
            assert f"{ID} is {state} already" in place.say(*words)


@pytest.mark.parametrize("name", ["approved, killed", "killed", "denied"])
def test_a_word_that_comes_late_says_what_takes_the_other_back(place: Place, name: str) -> None:
    place.has(PLAYED[name][0])
    done = CliRunner().invoke(app, ["deny", ID, "--why", "no", "--home", str(place.home.path)])
    assert isinstance(done.exception, MisuseError)
    stop = f"fedprofile node stop {ID} --now takes the yes back and ends it for good"
    assert done.exception.hint == (stop if name != "denied" else "")


def test_the_date_is_that_of_the_state(place: Place) -> None:
    """Neither a stop nor a restart moves it."""
    place.has(Left(lines=[("ended", {"error": "EnvironmentFailed"}), ("resumed", {"step": ""})]))
    row = place.row()
    assert (row["state"], row["changed"]) == ("waiting", 0)
    day = time.strftime("%Y-%m-%d %H:%M", time.localtime(row["received"]))
    assert day in place.say("jobs")


@pytest.mark.parametrize("state", ["approved", "denied", "expired", "refused"])
def test_a_line_that_comes_with_a_later_start_moves_no_date(
    place: Place, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """What was said while no node ran is noted in the job's ledger once one does."""
    word = {"denied": False, "expired": None}.get(state, True)
    place.has(Left(word=word, ends=-5 if word is None else DAY, rests=state == "approved"))
    if state == "refused":
        assert Inbox(place.home.desk).take_back(SESSION)
    before = place.row()
    assert before["state"] == state
    kind, by = ("approved" if word else "refused"), ("ann" if word is not None else "nobody")
    lines: Lines = [(kind, {"by": by, "why": before["why"], **TERMS})]
    ends: Lines = [] if state == "approved" else [("ended", {"error": "Stopped"})]
    write(place, [*lines, *ends], time.time() + 600)
    after = place.row()
    assert (after["state"], after["changed"]) == (state, before["changed"])


def test_a_denial_stays_one_when_its_officer_has_left(place: Place) -> None:
    """No word on file counts any more, and the job's ledger has what was said."""
    place.has(Left(lines=[("refused", {"by": "ann", "why": "no", **TERMS})], rests=False))
    row = place.row()
    assert (row["state"], row["why"], row["by"], row["next"]) == ("denied", "no", "ann", "")


def test_long_states_and_names_leave_columns_straight(place: Place) -> None:
    place.has(PLAYED["running"][0])
    (one,) = place.say("jobs").splitlines()
    inbox, second = Inbox(place.home.desk), contract(place.folder, 2)
    inbox.put(Request(bytes([2] * 32), "bureau", second, time.time()), time.time() + DAY)
    first, other = place.say("jobs").splitlines()
    assert first == one
    assert first.index('"small churn"') == other.index('"small churn"')
    assert "running train/a task with a name that is rather long 20" in first


def test_a_copy_says_first_that_it_has_to_be_accepted(place: Place) -> None:
    """Whatever is said in it before may be void: a word does not count once a node runs."""
    place.has(PLAYED["waiting"][0])
    mark(place.home.path, Copy("it was restored from c", 1, True))
    assert "accept-copy --home" in place.say("jobs")
    first = f"{UNACCEPTED}: fedprofile node accept-copy --home {place.home.path} first"
    assert place.row()["next"] == json.loads(place.say("show", ID, "--json"))["next"] == first
    shown = place.say("show", ID)
    assert shown.index(first) < shown.index("fedprofile node approve")
    said = place.say("approve", ID)
    assert UNACCEPTED in said
    assert "void" in said
    assert "counts once" not in said


@pytest.mark.parametrize("name", ["called", "called, stopped", "waiting", "approved, killed"])
def test_what_may_be_forgotten_ends_every_job_that_could_go_on(place: Place, name: str) -> None:
    place.has(PLAYED[name][0])
    mark(place.home.path, Copy("it was restored from c", 1, True))
    (place.folder / "p").write_bytes(SECRET)
    (place.folder / "p").chmod(0o600)
    words = ("accept-copy", "--passphrase-file", str(place.folder / "p"), "--may-have-forgotten")
    assert f"{ID} is let go" in place.say(*words)
    row = place.row()
    assert (row["state"], row["next"], row["proposer"]) == ("failed", "", "bank")
    assert name.startswith("called") or (row["job"], row["purpose"]) == ("small churn", "retention")
    assert "let go when this folder, an older copy, was accepted" in place.row()["why"]
    assert read_ledger(place.home.path / "ledger.jsonl")[-1]["body"]["jobs"] == [SESSION.hex()]
    assert "let go" in place.say("ledger")
    early = "before an officer was asked" in place.say("show", ID)
    assert early == name.startswith("called"), "an officer had the others before him"
    assert "nothing is to be done" in place.say(*words)


def test_a_folder_that_was_put_back_after_the_end_is_known_by_sight(place: Place) -> None:
    """Before any node has tried to go on with it."""
    place.has(PLAYED["killed"][0])
    place.home.reached(SESSION).unlink()
    assert (place.row()["state"], place.row()["why"]) == ("interrupted", PUT_BACK)
    assert place.row()["next"] == f"fedprofile node stop {ID} --now ends it"


@pytest.mark.parametrize("name", ["killed", "approved, killed", "called"])
def test_a_folder_that_does_not_open_says_so_and_how_it_ends(place: Place, name: str) -> None:
    place.has(PLAYED[name][0])
    halt(place.home.job(SESSION), "this job's folder is older than the job")
    row = place.row()
    assert row["state"] == "interrupted"
    assert row["why"] == "this job's folder is older than the job"
    assert row["next"] == f"fedprofile node stop {ID} --now ends it"
    for words in (("jobs",), ("show", ID)):
        assert f"{row['why']}; {row['next']}" in place.say(*words)
    let_go.let_go(place.home, KEYS["bureau"], SESSION, let_go.STOPPED)
    assert (place.row()["state"], place.row()["why"]) == ("failed", let_go.STOPPED)
    assert why_over(place.home.job(SESSION)) == let_go.STOPPED
    line = read_ledger(place.home.path / "ledger.jsonl")[-1]
    assert (line["kind"], line["body"]["jobs"]) == ("let_go", [SESSION.hex()])
    assert "let go" in place.say("ledger")
    kinds = [line["kind"] for line in read_ledger(place.home.job(SESSION) / "ledger.jsonl")]
    assert "ended" not in kinds, "a line more in a ledger that was put back is another account"
