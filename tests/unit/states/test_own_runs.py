"""What every screen says of a run of this party's own: `node jobs`, `node show`, `job ls`, …"""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from federated.approval.decision import NOBODY, Request
from federated.approval.inbox import Inbox
from federated.cli.node import app as node_app
from federated.ledger.lines import Ledger
from federated.node.home import NodeHome
from federated.node.own_runs import GONE
from federated.node.states import ENDS
from federated.session.over import halt, let_go
from federated.session.progress import APPROVAL, AWAY, OFFLINE
from federated.wire import local
from profiles.cli.job import app as job_app
from profiles.runs import Run, RunFolder, Started
from psi.protocol import EnvironmentFailed
from tests.unit.states.test_screens import APPROVED, DAY, ID, SESSION, SIGNED, Lines
from tests.unit.test_node_replay import KEYS, PINNED
from tests.unit.test_officer import contract

FINISHED: Lines = [*SIGNED, ("finished", {"heads": {}, "unheard": []})]
RESUME, STOP = f"job resume {ID}", f"job stop {ID}"


@dataclass
class Run_:
    """What a run has left: its own word, its proposal and the officer's word, its ledger, a
    journal; `at` where the parties are while its process is there."""

    state: str = "running"
    error: str = ""
    hint: str = ""
    at: dict[str, str] | None = None
    request: bool = True
    word: bool | None = True
    lines: Lines = field(default_factory=list)
    rests: bool = False
    halted: str = ""
    over: bool = False


PLAYED: dict[str, tuple[Run_, str, str, str]] = {
    "its own officer thinks": (
        Run_(at={"bank": APPROVAL}, word=None), "waiting", "bank's officer since", "node show",
    ),
    "killed meanwhile": (
        Run_(word=None, lines=[("handshake", {"peers": {}})]), "left", GONE, "a word counts once",
    ),
    "stopped meanwhile": (
        Run_("stopped", "stopped by this party", word=None,
             lines=[("ended", {"error": "Stopped"})]),
        "left", "stopped by this party", "a word counts once",
    ),
    "denied": (
        Run_("refused", "bank itself says no: no", word=False,
             lines=[("refused", {"by": "ann", "why": "no"}), ("ended", {"error": "Declined"})]),
        "denied", "no", "",
    ),
    "denied by one who is no officer any more": (
        Run_("refused", "bank itself says no: no", word=None,
             lines=[("refused", {"by": "ann", "why": "no"}), ("ended", {"error": "Declined"})]),
        "denied", "no", "",
    ),
    "nobody decided": (
        Run_("refused", "bank itself says no: too late", word=None,
             lines=[("refused", {"by": NOBODY, "why": "too late"})]),
        "expired", "too late", "",
    ),
    "refused by its own policy": (
        Run_("refused", "bank itself says no: 4 asked", request=False,
             lines=[("refused", {"by": "policy", "why": "4 asked"})]),
        "refused", "4 asked", "",
    ),
    "waits for the other officer": (
        Run_(at={"bank": "contract", "bureau": APPROVAL}, lines=APPROVED),
        "running", "it waits for bureau's officer since", STOP,
    ),
    "the other is away": (
        Run_(at={"bank": "align", "bureau": AWAY}, lines=SIGNED),
        "running", "bureau to connect to the hub since", STOP,
    ),
    "the hub is gone": (
        Run_(at={"bank": OFFLINE, "bureau": "align"}, lines=SIGNED),
        "running", "the hub, which bank's node does not reach since", STOP,
    ),
    "at work": (Run_(at={"bank": "align", "bureau": "align"}, lines=SIGNED), "running", "", ""),
    "heard nothing": (
        Run_("failed", "nothing received for 36 s: it waited for bureau's officer",
             f"fedprofile job resume {ID} waits on", rests=True,
             lines=[*APPROVED, ("ended", {"error": "Silence"})]),
        "approved", "it waited for bureau's officer", RESUME,
    ),
    "the other has forgotten it": (
        Run_("failed", "bureau: the job has ended there", rests=True,
             lines=[*APPROVED, ("ended", {"error": "PeerGone"})]),
        "approved", "bureau: the job has ended there", f"fedprofile job stop {ID}",
    ),
    "killed before the signature": (Run_(lines=APPROVED, rests=True), "approved", GONE, RESUME),
    "killed": (Run_(lines=SIGNED, rests=True), "interrupted", GONE, RESUME),
    "interrupted by its person": (
        Run_("failed", "interrupted", lines=[*SIGNED, ("ended", {"error": "KeyboardInterrupt"})],
             rests=True),
        "interrupted", "interrupted", RESUME,
    ),
    "its folder does not open": (
        Run_(lines=SIGNED, rests=True, halted="this job's folder is older than the job"),
        "interrupted", "this job's folder is older than the job", STOP,
    ),
    "outputs are not written": (Run_(lines=FINISHED, rests=True), "interrupted", GONE, RESUME),
    "done": (Run_("done", lines=FINISHED), "done", "", ""),
    "stopped": (
        Run_("stopped", "stopped by this party", lines=[*SIGNED, ("ended", {"error": "Stopped"})]),
        "refused", "stopped by this party", "",
    ),
    "refused there": (
        Run_("refused", "bureau says no: 4 asked, 3 allowed", "change the job",
             lines=[*APPROVED, ("farewell", {"peer": "bureau", "error": "Declined"}),
                    ("ended", {"error": "PeerRefused"})]),
        "refused", "bureau says no: 4 asked, 3 allowed", "change the job",
    ),
    "failed": (
        Run_("failed", "bureau is not connected to the hub", "run again", lines=APPROVED),
        "failed", "bureau is not connected to the hub", "run again",
    ),
    "let go": (
        Run_("failed", "bureau: it has ended", "job stop ends it here", lines=APPROVED, over=True),
        "failed", "let go", "",
    ),
    "no hub runs": (
        Run_("failed", "nothing runs in hub", "fedprofile hub start", request=False),
        "failed", "nothing runs in hub", "fedprofile hub start",
    ),
}  # fmt: skip


def screens(home: NodeHome) -> dict[str, Any]:
    """What each of them says of the one run."""

    def say(app: Any, *words: str, of: str) -> str:
        done = CliRunner().invoke(app, [*words, of, str(home.path)])
        assert done.exception is None, done.output
        return done.stdout

    (row,) = json.loads(say(node_app, "jobs", "--json", of="--home"))
    (run,) = json.loads(say(job_app, "ls", "--json", of="--hub"))
    return {
        "node jobs --json": row,
        "node show --json": json.loads(say(node_app, "show", ID, "--json", of="--home")),
        "job ls --json": run,
        "node jobs": say(node_app, "jobs", of="--home"),
        "node show": say(node_app, "show", ID, of="--home"),
        "job ls": say(job_app, "ls", of="--hub"),
        "job show": say(job_app, "show", ID, of="--hub"),
    }


@pytest.mark.parametrize("name", PLAYED)
def test_every_screen_says_the_same_of_an_own_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    left, state, why, after = PLAYED[name]
    home = NodeHome.create(tmp_path / "node", "bank", "hub:1")
    home.policy.write_text("[officers]\nfour_eyes = false\n")
    place, now = home.job(SESSION), time.time()
    if left.request:
        inbox = Inbox(home.desk)
        request = Request(SESSION, "bank", contract(tmp_path), now - 60)
        inbox.put(request, now + DAY)
        if left.word is not None:
            inbox.decide(inbox.find(ID), left.word, "" if left.word else "no")
        if state == "expired":
            inbox.put(request, now - 5)
    if left.lines:
        ledger = Ledger(place / "ledger.jsonl", KEYS["bank"], time.time, SESSION, PINNED)
        for kind, body in left.lines:
            ledger.write(kind, **body)
        ledger.close()
    place.mkdir(parents=True, exist_ok=True)
    if left.rests:
        (place / "journal").mkdir()
        for file in ("key", "point"):
            (place / "journal" / file).touch(0o600)
        home.reached(SESSION).parent.mkdir()
        home.reached(SESSION).touch()
    if left.over:
        let_go(place, "let go")
    if left.halted:
        halt(place, left.halted)

    def ask(path: Path, **asked: Any) -> dict[str, Any]:
        raise EnvironmentFailed("nothing runs here")

    monkeypatch.setattr(local, "ask", ask)
    folder = RunFolder(place)
    run = Run(
        session=SESSION.hex(), job="small churn", purpose="retention", me="bank",
        parties=["bank", "bureau"], started=Started("/t", "/o", False), began=int(now - 60),
    )  # fmt: skip
    job = tmp_path / "mine.toml"
    job.write_text("[job]\n")
    folder.begin(run, job)
    for party, step in (left.at or {}).items():
        folder.note(party, step, 0.0)
    if left.state != "running":
        folder.end(left.state, left.error, left.hint)

    with contextlib.ExitStack() as held:
        if left.at is not None:
            held.enter_context(folder.held())
        said = screens(home)
    rows = [text for name, text in said.items() if name.endswith("--json")]
    assert {row["state"] for row in rows} == {state}, rows
    for row in rows:
        assert why in row["why"]
        assert bool(row["why"]) == bool(why)
        assert after in row["next"]
        assert bool(row["next"]) == bool(after)
    row = rows[0]
    assert (row["proposer"], row["job"], row["parties"]) == (
        "bank",
        "small churn",
        ["bank", "bureau"],
    )
    shown = [line for line in said["job show"].splitlines() if line.startswith("outputs: ")]
    expected = [] if state in ENDS and state != "done" else [state != "done"]
    assert [line.endswith(" (not yet)") for line in shown] == expected
    for screen, text in said.items():
        if not screen.endswith("--json"):
            assert (state if screen != "node show" else "") in text, screen
            assert row["why"] in text, screen
    assert state == "waiting" or f"\n{state}" in said["node show"]
    for screen in ("job ls", "job show", "node show"):
        if (state, screen) != ("waiting", "node show"):  # it is that screen
            assert row["next"] in said[screen], screen
