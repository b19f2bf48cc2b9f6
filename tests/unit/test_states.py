"""States of a proposal and what happens to it: docs/STATES.md, played by a node and a proposer.

The node is the real one, with its desk, files and commands; the wire is a function call.
"""

from __future__ import annotations

import errno
import json
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from federated.approval import officer
from federated.approval.call import make_call
from federated.approval.officer import NodeDecider
from federated.cli.node import app
from federated.contract.completion import complete
from federated.keys.identity_file import write_identity
from federated.keys.keyfile import save_keys
from federated.keys.peers import Peers
from federated.ledger.ending import Told
from federated.ledger.lines import read_ledger
from federated.node.home import NodeHome
from federated.node.participant import Participant
from federated.node.rotation import rotate
from federated.node.states import STATES, Found, state_of
from federated.session import frames
from federated.session.session import Session
from federated.tables.source import MemorySource
from federated.wire.certificates import make_key, write_key
from federated.wire.flower import node as nodes
from federated.wire.parcels import Kind, Parcel, notice
from federated.wire.post import PostEndpoint, hand_on
from profiles.job import Job
from profiles.proposal import draft
from psi.protocol import FedprofileError, MisuseError, PeerGone, Refused
from tests.unit.test_node_replay import KEYS, PEOPLE, PINNED, SECRET
from tests.unit.test_release_guard import JOB

OPEN = "[releases]\nrow_share = 100.0\n"
FORBIDS = OPEN + '[proposals]\npurposes = ["fraud"]\n'
DOC = Path(__file__).parents[2] / "docs" / "STATES.md"


def people(rows: int) -> pa.Table:
    return pa.table({"id": PEOPLE[:rows], "loans": [1.0] * rows})


class Wire:
    """Stands for the hub and a node's connection to it; `cut` loses what is sent."""

    def __init__(self, *args: Any) -> None:
        self.connected = threading.Event()

    def start(self) -> None:
        self.connected.set()
        Scene.now.at_connection()

    def close(self) -> None:
        self.connected.clear()

    waiting = 0

    def put(self, parcel: Parcel) -> None:
        if self.connected.is_set():
            Scene.now.to_bank(parcel)


class Scene:
    """The bureau's node, which can be stopped and started, and a bank that proposes one job."""

    now: Scene

    def __init__(self, folder: Path) -> None:
        Scene.now = self
        self.folder, self.cut, self.clock = folder, False, 0.0
        self.cut_at = "no such step"
        self.people, self.session_clock = 40, 0.0
        self.at_connection: Callable[[], None] = lambda: None
        self.home = NodeHome.create(folder / "node", "bureau", "hub:1")
        save_keys(self.home.keys, KEYS["bureau"], SECRET, secrets.token_bytes)
        write_identity(self.home.path / "identity.json", PINNED["bureau"])
        write_identity(self.home.peers / "bank.json", PINNED["bank"])
        Peers(self.home.path).confirm("bank", PINNED["bank"].fingerprint, "ann")
        self.home.certificate_key.write_bytes(write_key(make_key(), SECRET))
        self.home.certificate_key.chmod(0o600)
        self.policy(OPEN)
        self.session = secrets.token_bytes(32)
        self.ends_told: list[tuple[str, str]] = []
        self.node: nodes.NodeDaemon | None = None
        self.comes()
        self.start()

    def comes(self) -> None:
        """The bank's process, at the beginning or again."""
        self.bank = PostEndpoint(
            "bank", self.session, list(PINNED), self.to_bureau, lambda step: 1 << 24
        )
        self.error: BaseException | None = None
        self.ended = threading.Event()

    def policy(self, text: str) -> None:
        self.home.policy.write_text(text)

    def start(self) -> None:
        source = MemorySource({"bureau.people": people(self.people)})
        late = lambda: time.time() + self.clock  # noqa: E731
        desk = NodeDecider(name="bureau", home=self.home.path, source=source, clock=late)
        self.node = nodes.NodeDaemon(
            self.home, SECRET, source, desk, timeout=60,
            on_end=lambda job, state: self.ends_told.append((job, state)),
        )  # fmt: skip
        self.node.start()
        self.call()

    def stop(self) -> None:
        if self.node is not None:
            node, self.node = self.node, None
            node.stop()

    def to_bureau(self, parcel: Parcel) -> None:
        self.cut = self.cut or parcel.step.startswith(self.cut_at)
        if self.node is None:
            self.bank.away("bureau")
        elif not self.cut:
            self.node._arrived(parcel)

    def to_bank(self, parcel: Parcel) -> None:
        if not self.cut:
            hand_on(self.bank, parcel)

    def mend(self) -> None:
        """The hub is back: what was lost is sent again."""
        self.cut, self.cut_at = False, "no such step"
        if self.node is not None:
            self.node._back()
        self.bank.again()

    def call(self) -> None:
        data = make_call(self.session, KEYS["bank"], PINNED)
        self.to_bureau(notice(Kind.CALL, self.session, "bank", "bureau", data=data))

    def propose(self) -> None:
        (self.folder / "job.toml").write_text(JOB.split("[[aggregate]]")[0])
        asked = draft(Job.load(self.folder / "job.toml"), PINNED, self.session, time.time())
        people = MemorySource({"bank.people": pa.table({"id": PEOPLE})})
        self.party = Session(
            self.session, KEYS["bank"], PINNED, self.bank, self.folder / "bank", timeout=60
        )

        def run() -> None:
            try:
                Participant(self.party, people).propose(asked, complete)
            except BaseException as error:
                self.error = error
            self.ended.set()

        threading.Thread(target=run, daemon=True).start()
        threading.Thread(target=self._tick, daemon=True).start()

    def _tick(self) -> None:
        while not self.ended.wait(0.1):
            self.bank.tick()

    def row(self) -> dict[str, Any]:
        done = CliRunner().invoke(app, ["jobs", "--json", "--home", str(self.home.path)])
        (row,) = json.loads(done.stdout)
        return dict(row)

    def becomes(self, state: str) -> None:
        end = time.monotonic() + 20
        while self.row()["state"] != state:
            assert time.monotonic() < end, f"{state} expected, {self.row()}, {self.error!r}"
            time.sleep(0.05)

    def say(self, *words: str) -> str:
        return CliRunner().invoke(app, [*words, "--home", str(self.home.path)]).output

    def approve(self) -> str:
        return self.say("approve", self.session.hex()[:8])

    def ends(self) -> BaseException | None:
        assert self.ended.wait(30), self.row()
        return self.error

    def lines(self, kind: str) -> list[dict[str, Any]]:
        return [
            line["body"]
            for line in read_ledger(self.home.job(self.session) / "ledger.jsonl")
            if line["kind"] == kind
        ]


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr(nodes, "Fleet", Wire)
    monkeypatch.setattr(nodes, "FleetKeys", lambda *args: None)
    monkeypatch.setattr(officer, "_POLL", 0.05)
    monkeypatch.setattr(frames, "LISTEN", 0.05)
    late = partial(Session, clock=lambda: time.time() + Scene.now.session_clock)
    monkeypatch.setattr(nodes, "Session", late)
    made = Scene(tmp_path)
    made.propose()
    made.becomes("waiting")
    yield made
    made.stop()
    made.ended.set()


def nothing(scene: Scene) -> None:
    """Nothing happens."""


def restart(scene: Scene) -> None:
    """SIGTERM, Ctrl-C, systemctl restart."""
    before = scene.row()["received"]
    scene.stop()
    assert scene.row()["state"] == "waiting"
    assert not scene.row()["live"]
    assert scene.lines("refused") == []
    scene.start()
    scene.becomes("waiting")
    assert scene.row()["received"] == before


def called_at_once(scene: Scene) -> None:
    """The proposer calls in the moment in which the node goes on with the job by itself."""
    scene.stop()
    scene.at_connection = scene.call
    scene.start()
    scene.at_connection = lambda: None
    scene.becomes("waiting")
    assert len(scene.lines("resumed")) == 1  # one life of the job, not two in one ledger


def stopped_meanwhile(scene: Scene) -> None:
    """The officer says yes while no node runs."""
    scene.stop()
    assert "no node runs here: the word counts once it does" in scene.approve()
    assert scene.row()["state"] == "approved"
    scene.start()


def rotation(scene: Scene) -> None:
    """New keys would take a waiting proposal's channels from it."""
    scene.stop()
    with pytest.raises(MisuseError, match=scene.session.hex()[:8]):
        rotate(scene.home, KEYS["bureau"], SECRET, secrets.token_bytes)
    scene.start()


def broken_policy(scene: Scene) -> None:
    """A bad save, for a second."""
    scene.policy("[proposals\n")
    time.sleep(0.3)
    assert "until it is mended" in scene.say("jobs")
    assert scene.node is not None
    assert scene.node.jobs[scene.session].state == "waiting"
    scene.policy(OPEN)


def saved_policy(scene: Scene) -> None:
    """One that allows it as well."""
    scene.policy(OPEN + "[limits]\nminimum_group = 5\n")
    time.sleep(0.2)
    assert scene.row()["state"] == "waiting"


def hub_gone(scene: Scene) -> None:
    """What is sent is lost; afterwards endpoints send it again."""
    scene.cut = True
    scene.approve()
    time.sleep(0.3)
    scene.mend()


SLOW = pytest.mark.slow
GO_ON = [
    pytest.param(nothing, marks=SLOW),
    restart,
    called_at_once,
    stopped_meanwhile,
    pytest.param(rotation, marks=SLOW),
    broken_policy,
    pytest.param(saved_policy, marks=SLOW),
    pytest.param(hub_gone, marks=SLOW),
]


@pytest.mark.parametrize("event", GO_ON, ids=lambda event: event.__name__)
def test_what_a_waiting_proposal_outlives(scene: Scene, event: Callable[[Scene], None]) -> None:
    event(scene)
    if not scene.row()["by"]:
        assert "goes on by itself" in scene.approve()
    assert scene.ends() is None
    scene.becomes("done")
    (line,) = scene.lines("approved")
    assert (line["job"], line["proposer"]) == (scene.row()["job"], "bank")
    assert scene.ends_told == [(scene.session.hex()[:8], "done")]
    scene.stop()
    assert scene.row()["state"] == "done"  # and after a restart


def forbidding_policy(scene: Scene) -> None:
    scene.policy(FORBIDS)


def too_late(scene: Scene) -> None:
    scene.clock = 100 * 3600


def denied(scene: Scene) -> None:
    scene.say("deny", scene.session.hex()[:8], "--why", "not this purpose")


def denied_while_down(scene: Scene) -> None:
    scene.stop()
    denied(scene)
    assert scene.row()["state"] == "denied"
    scene.start()


ENDS = [
    (forbidding_policy, "refused", "purpose 'test' asked, fraud allowed by policy"),
    pytest.param(too_late, "expired", "no officer has decided in time", marks=SLOW),
    pytest.param(denied, "denied", "not this purpose", marks=SLOW),
    (denied_while_down, "denied", "not this purpose"),
]


@pytest.mark.parametrize(
    ("event", "state", "why"), ENDS, ids=lambda one: getattr(one, "__name__", "")
)
def test_what_ends_a_waiting_proposal(
    scene: Scene, event: Callable[[Scene], None], state: str, why: str
) -> None:
    event(scene)
    error = scene.ends()
    assert isinstance(error, FedprofileError)
    assert why in error.message
    scene.becomes(state)
    (line,) = scene.lines("refused")
    assert (line["why"], line["job"], line["purpose"]) == (why, scene.row()["job"], "test")
    scene.stop()
    assert scene.row()["state"] == state
    assert scene.row()["why"] == why


def test_a_proposer_that_ends_for_good(scene: Scene) -> None:
    """An officer is not left with a question that nobody asks any more."""
    scene.bank.stop(Refused("stopped by this party"))
    assert isinstance(scene.ends(), Refused)
    scene.becomes("left")
    assert scene.lines("farewell")[0]["error"] == "Refused"
    assert not list(scene.home.jobs.glob("*/journal"))
    assert "bank has gone: the word counts once" in scene.approve()


@SLOW
def test_a_proposer_that_may_come_back(scene: Scene) -> None:
    """Its process is gone: the hub says so. The officer's word waits for it."""
    assert scene.node is not None
    scene.bank.leave(PeerGone("killed"))
    assert isinstance(scene.ends(), PeerGone)
    hand_on(
        scene.node.jobs[scene.session].endpoint,
        notice(Kind.REFUSED, scene.session, "bank", "bureau", "gone"),
    )
    end = time.monotonic() + 10
    while scene.row()["live"]:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert scene.row()["state"] == "waiting"
    scene.approve()
    scene.comes()  # job resume
    scene.call()
    scene.propose()
    assert scene.ends() is None
    scene.becomes("done")


@SLOW
def test_an_officer_who_stops_a_waiting_proposal(scene: Scene) -> None:
    assert "is stopped" in scene.say("stop", scene.session.hex()[:8], "--now")
    error = scene.ends()
    assert isinstance(error, PeerGone)
    assert error.message == "bureau has stopped the job for good"
    assert error.exit_code == 6
    scene.becomes("left")
    stopped = CliRunner().invoke(
        app, ["stop", scene.session.hex()[:8], "--now", "--home", str(scene.home.path)]
    )
    assert "it is left" in str(stopped.exception)


@SLOW
def test_a_node_that_is_revoked(scene: Scene) -> None:
    assert scene.node is not None
    scene.node._ended(Refused("this node was revoked"))
    scene.becomes("left")
    assert scene.lines("ended")[-1]["error"] == "Refused"


def at_rest(scene: Scene, step: str, state: str) -> None:
    """Bring the job into a state and keep it there: the hub loses what is sent from a step on."""
    scene.cut_at = step
    if not step:
        scene.cut = True
    scene.approve()
    scene.becomes(state)
    end = time.monotonic() + 20
    while not (scene.lines("approved") and scene.cut):
        assert time.monotonic() < end
        time.sleep(0.02)


def restarted(scene: Scene) -> None:
    """Stop and start, with the hub back: what was approved goes on, what ran goes on."""
    state = "interrupted" if scene.lines("contract") else scene.row()["state"]
    scene.stop()
    assert scene.row()["state"] in (state, "interrupted")
    scene.cut, scene.cut_at = False, "no such step"
    scene.start()


def back(scene: Scene) -> None:
    """The hub was gone for a moment."""
    scene.mend()


def new_keys(scene: Scene) -> None:
    scene.stop()
    with pytest.raises(MisuseError, match=scene.session.hex()[:8]):
        rotate(scene.home, KEYS["bureau"], SECRET, secrets.token_bytes)
    scene.cut, scene.cut_at = False, "no such step"
    scene.start()


@pytest.mark.parametrize(
    ("step", "state", "event"),
    [
        ("", "approved", back),
        pytest.param("", "approved", restarted, marks=SLOW),
        pytest.param("", "approved", new_keys, marks=SLOW),
        pytest.param("align", "running", back, marks=SLOW),
        ("align", "running", restarted),
        pytest.param("align", "running", new_keys, marks=SLOW),
    ],
)
def test_what_approved_and_running_jobs_outlive(
    scene: Scene, step: str, state: str, event: Callable[[Scene], None]
) -> None:
    at_rest(scene, step, state)
    event(scene)
    assert scene.ends() is None
    scene.becomes("done")
    assert len(scene.lines("approved")) == 1
    scene.stop()
    assert scene.row()["state"] == "done"


def later(scene: Scene) -> None:
    """Steps have no dates."""
    scene.session_clock = 400 * 86400
    scene.mend()


@SLOW
def test_a_running_job_outlives_a_clock(scene: Scene) -> None:
    at_rest(scene, "align", "running")
    later(scene)
    assert scene.ends() is None
    scene.becomes("done")


@SLOW
@pytest.mark.parametrize(("state", "rows"), [("waiting", 30), ("running", 40)])
def test_a_table_that_changes_is_read_once(scene: Scene, state: str, rows: int) -> None:
    """After the decision, when this party states its facts; from then on its own copy counts."""
    if state == "running":
        at_rest(scene, "align", state)
    assert scene.node is not None
    scene.node._source._tables["bureau.people"] = people(30)  # type: ignore[attr-defined]
    if state == "running":
        scene.mend()
    else:
        scene.approve()
    assert scene.ends() is None
    scene.becomes("done")
    (line,) = scene.lines("contract")
    assert [p["rows"] for p in line["terms"]["parties"] if p["name"] == "bureau"] == [rows]


def states_facts(scene: Scene) -> None:
    """The word is given, and this party's facts are on their way to a hub that is gone."""
    at_rest(scene, "", "approved")
    end = time.monotonic() + 20
    while not [line for line in scene.lines("sent") if line["step"] == "contract"]:
        assert time.monotonic() < end
        time.sleep(0.02)


def before_it_starts(scene: Scene) -> None:
    scene.stop()
    scene.approve()
    scene.becomes("approved")
    scene.people = 30
    scene.start()


def after_its_facts(scene: Scene) -> None:
    states_facts(scene)
    assert scene.node is not None
    scene.node._source._tables["bureau.people"] = people(30)  # type: ignore[attr-defined]
    scene.mend()


def after_its_facts_and_a_restart(scene: Scene) -> None:
    states_facts(scene)
    scene.people = 30
    restarted(scene)


@SLOW
@pytest.mark.parametrize(
    ("event", "rows"),
    [(before_it_starts, 30), (after_its_facts, 40), (after_its_facts_and_a_restart, 40)],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_a_table_that_changes_in_an_approved_job(
    scene: Scene, event: Callable[[Scene], None], rows: int
) -> None:
    """The reading divides before from after, not the word, which it follows where a node runs."""
    event(scene)
    assert scene.ends() is None
    scene.becomes("done")
    (line,) = scene.lines("contract")
    assert [p["rows"] for p in line["terms"]["parties"] if p["name"] == "bureau"] == [rows]


@SLOW
@pytest.mark.parametrize(("step", "state"), [("", "approved"), ("align", "running")])
def test_a_full_disk_leaves_a_job_at_rest(
    scene: Scene, step: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_rest(scene, step, state)
    jobs, make = str(scene.home.jobs), tempfile.mkstemp

    def full(*given: Any, **named: Any) -> tuple[int, str]:
        if str(named.get("dir", "")).startswith(jobs):
            raise OSError(errno.ENOSPC, "No space left on device")
        return make(*given, **named)

    monkeypatch.setattr(tempfile, "mkstemp", full)
    scene.mend()
    assert isinstance(scene.ends(), PeerGone)
    assert scene.node is not None
    job = scene.node.jobs[scene.session]
    end = time.monotonic() + 20
    while job.state != "failed":
        assert time.monotonic() < end, job.state
        time.sleep(0.05)
    assert "No space left on device" in job.error
    monkeypatch.setattr(tempfile, "mkstemp", make)
    words = ["stop", scene.session.hex()[:8], "--now", "--home", str(scene.home.path)]
    error = CliRunner().invoke(app, words).exception
    assert isinstance(error, FedprofileError)
    assert "start the node again" in error.hint
    scene.stop()
    scene.becomes("interrupted")
    scene.comes()  # job resume
    scene.start()
    scene.propose()
    assert scene.ends() is None
    scene.becomes("done")


def forbidden_since(scene: Scene) -> None:
    scene.policy(FORBIDS)
    scene.mend()


def forbidden_over_a_restart(scene: Scene) -> None:
    scene.policy(FORBIDS)
    restarted(scene)


def given_up(scene: Scene) -> None:
    """While the hub was gone: the farewell comes with what stands before it once it is back."""
    scene.bank.stop(Refused("stopped by this party"))
    scene.mend()


def clock_far_ahead(scene: Scene) -> None:
    """The contract's time is over before it is signed."""
    scene.session_clock = 400 * 86400
    scene.mend()


def revoked(scene: Scene) -> None:
    assert scene.node is not None
    scene.node._ended(Refused("this node was revoked"))


def stopped_by_its_officer(scene: Scene) -> None:
    scene.cut, scene.cut_at = False, "no such step"
    scene.say("stop", scene.session.hex()[:8], "--now")


@pytest.mark.parametrize(
    ("step", "state", "event", "ends"),
    [
        ("", "approved", forbidden_since, "refused"),
        pytest.param("", "approved", given_up, "failed", marks=SLOW),
        pytest.param("align", "running", given_up, "failed", marks=SLOW),
        pytest.param("", "approved", clock_far_ahead, "refused", marks=SLOW),
        pytest.param("", "approved", revoked, "refused", marks=SLOW),
        ("align", "running", forbidden_over_a_restart, "refused"),
        pytest.param("align", "running", revoked, "refused", marks=SLOW),
        pytest.param("align", "running", stopped_by_its_officer, "refused", marks=SLOW),
    ],
)
def test_what_ends_approved_and_running_jobs(
    scene: Scene, step: str, state: str, event: Callable[[Scene], None], ends: str
) -> None:
    at_rest(scene, step, state)
    event(scene)
    scene.becomes(ends)
    scene.stop()
    assert scene.row()["state"] == ends  # and after a restart


@pytest.mark.parametrize(
    ("told", "state"),
    [
        (Told(), "failed"),
        (Told(word="approved", signed=True), "failed"),
        (Told(word="approved", ended="Refused"), "refused"),
        (Told(word="approved", finished=True), "done"),
        (Told(word="refused", by="policy"), "refused"),
    ],
)
def test_of_a_job_that_no_officer_was_asked_for(tmp_path: Path, told: Told, state: str) -> None:
    assert state_of(Found(None, told, tmp_path), 0.0) == state
    live = Found(None, told, tmp_path, "running")
    assert state_of(live, 0.0) == ("done" if told.finished else "running")
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "point").touch()
    if state == "failed":
        assert state_of(Found(None, told, tmp_path), 0.0) == "interrupted"


def test_the_document_has_every_cell() -> None:
    """States down, events across, nothing left out; and it knows the states of the code."""
    lines = DOC.read_text("utf-8").splitlines()
    begins = next(n for n, line in enumerate(lines) if line.startswith("| event |"))
    states = [cell.strip(" `") for cell in lines[begins].strip("|").split("|")][1:]
    rows = [line for line in lines[begins + 2 :] if line.startswith("|")]
    assert [row.split("|")[1].strip() for row in rows] == EVENTS
    assert states == ["called", "waiting", "approved", "running", "interrupted"]
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) == len(states) + 1
        assert all(cells), row
    assert all(f"| `{state}` |" in "\n".join(lines) for state in STATES)


EVENTS = ["stop, restart", "kill", "`keys rotate`", "policy saved", "policy broken", "revoked"]
EVENTS += ["hub gone", "proposer gone", "table changed", "clock", "disk full"]
