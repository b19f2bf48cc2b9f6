"""A node and a proposer that play states of a job (docs/STATES.md).

The node is the real one, with its desk, files and commands; the wire is a function call.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from federated.approval.call import make_call
from federated.approval.officer import NodeDecider
from federated.cli.node import app
from federated.contract.completion import complete
from federated.keys.identity_file import write_identity
from federated.keys.keyfile import save_keys
from federated.keys.peers import Peers
from federated.ledger.lines import read_ledger
from federated.node.home import NodeHome
from federated.node.participant import Participant
from federated.node.rotation import rotate
from federated.session.session import Session
from federated.tables.source import MemorySource
from federated.wire.certificates import make_key, write_key
from federated.wire.flower import node as nodes
from federated.wire.flower.absent import nobody_plays
from federated.wire.parcels import Kind, Parcel, notice
from federated.wire.post import PostEndpoint, hand_on
from profiles.job import Job
from profiles.proposal import draft
from psi.protocol import MisuseError
from tests.unit.test_node_replay import KEYS, PEOPLE, PINNED, SECRET
from tests.unit.test_release_guard import JOB

OPEN = "[releases]\nrow_share = 100.0\n"
FORBIDS = OPEN + '[proposals]\npurposes = ["fraud"]\n'


SLOW = pytest.mark.slow


def people(rows: int) -> pa.Table:
    return pa.table({"id": PEOPLE[:rows], "loans": [1.0] * rows})


class Wire:
    """Stands for the hub and a node's connection to it; `cut` loses what is sent."""

    def __init__(self, *args: Any) -> None:
        self.connected = threading.Event()
        self.lost_since, self.trouble = time.time(), ""

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
        self.cut_at = self.loses = "no such step"
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
        if parcel.step.startswith(self.loses):
            return
        if self.node is None:
            self.bank.away("bureau")
        elif not self.cut:
            self.node._arrived(parcel)

    def to_bank(self, parcel: Parcel) -> None:
        if self.cut:
            return
        if not self.ended.is_set() or parcel.kind > Kind.BYE:
            hand_on(self.bank, parcel)
        elif (word := nobody_plays(parcel, self.folder / "bank")) and self.node is not None:
            self.node._arrived(word)  # as the bank's own node says, which stays

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

    def notes(self, kind: str) -> None:
        """Wait for such a line: the state that is shown may be that of the job's life before."""
        end = time.monotonic() + 20
        while not self.lines(kind):
            assert time.monotonic() < end, f"a line {kind!r} expected, {self.row()}"
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
