"""A node is asked again with what an earlier job has signed; the wire is a function call."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from federated.approval.call import make_call
from federated.approval.decision import AutoDecider
from federated.contract.completion import complete
from federated.keys.identity_file import write_identity
from federated.keys.keyfile import save_keys
from federated.keys.party_keys import PartyKeys
from federated.ledger.lines import read_ledger
from federated.node.home import NodeHome
from federated.node.participant import Participant
from federated.session.session import Session
from federated.tables.source import MemorySource
from federated.wire.certificates import make_key, write_key
from federated.wire.flower import fleet
from federated.wire.flower import node as nodes
from federated.wire.parcels import Kind, Parcel, notice
from federated.wire.post import PostEndpoint, hand_on
from profiles.job import Job
from profiles.proposal import draft
from psi.protocol import PeerGone
from tests.unit.test_release_guard import JOB

KEYS = {name: PartyKeys.generate(name) for name in ("bank", "bureau")}
PINNED = {name: keys.identity for name, keys in KEYS.items()}
PEOPLE = [f"planted{i:03d}" for i in range(40)]
SECRET = b"correct horse"


class Fleet:
    """Stands for the hub: what the node sends is kept, and handed to the bank."""

    def __init__(self, *args: object) -> None:
        self.sent: list[Parcel] = []
        self.deliver: Callable[[Parcel], None] = lambda parcel: None

    def put(self, parcel: Parcel) -> None:
        self.sent.append(parcel)
        self.deliver(parcel)


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> nodes.NodeDaemon:
    home = NodeHome.create(tmp_path / "node", "bureau", "hub:1")
    save_keys(home.keys, KEYS["bureau"], SECRET, secrets.token_bytes)
    write_identity(home.path / "identity.json", PINNED["bureau"])
    home.certificate_key.write_bytes(write_key(make_key(), SECRET))
    home.certificate_key.chmod(0o600)
    monkeypatch.setattr(fleet, "Fleet", Fleet)
    monkeypatch.setattr(fleet, "FleetKeys", lambda *args: None)
    table = pa.table({"id": PEOPLE, "loans": [1.0] * len(PEOPLE)})
    source = MemorySource({"bureau.people": table})
    return nodes.NodeDaemon(
        home, SECRET, source, AutoDecider("bureau", source), pinned=lambda: PINNED, timeout=60
    )


def propose(node: nodes.NodeDaemon, folder: Path, session: bytes, nonce: bytes) -> Any:
    """The bank calls for `session` and proposes a contract under `nonce`."""
    fleet: Any = node.fleet
    bank = PostEndpoint("bank", session, list(PINNED), node._arrived, lambda step: 1 << 24)
    fleet.deliver = lambda parcel: hand_on(bank, parcel)
    node._arrived(
        notice(Kind.CALL, session, "bank", "bureau", data=make_call(session, KEYS["bank"], PINNED))
    )
    (folder / "job.toml").write_text(JOB.split("[[aggregate]]")[0])
    asked = draft(Job.load(folder / "job.toml"), PINNED, nonce, time.time())
    source = MemorySource({"bank.people": pa.table({"id": PEOPLE})})
    home = folder / f"bank-{len(fleet.sent)}"
    party = Participant(Session(session, KEYS["bank"], PINNED, bank, home, timeout=60), source)
    return party.propose(asked, complete)[0].contract


def test_what_was_signed_in_an_earlier_job_is_not_accepted_again(
    node: nodes.NodeDaemon, tmp_path: Path
) -> None:
    first, second = secrets.token_bytes(32), secrets.token_bytes(32)
    earlier = propose(node, tmp_path, first, first)
    assert earlier.nonce == first.hex()
    node.jobs[first].thread.join(30)  # type: ignore[union-attr]
    assert node.jobs[first].state == "done"
    before = (node.home.job(first) / "ledger.jsonl").read_bytes()

    with pytest.raises(PeerGone, match="the job has ended there"):
        propose(node, tmp_path, first, first)  # the same call, the same contract
    assert (node.home.job(first) / "ledger.jsonl").read_bytes() == before

    with pytest.raises(PeerGone, match="not what was agreed"):
        propose(node, tmp_path, second, first)  # the same contract, in a session of its own
    node.jobs[second].thread.join(30)  # type: ignore[union-attr]
    assert "is of another session" in node.jobs[second].error
    kinds = [line["kind"] for line in read_ledger(node.home.job(second) / "ledger.jsonl")]
    assert "sent" not in kinds
    assert "contract" not in kinds
