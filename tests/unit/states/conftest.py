"""The scene, set: a proposal waits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from federated.approval import officer
from federated.session import frames
from federated.session.session import Session
from federated.wire.flower import fleet
from federated.wire.flower import node as nodes
from tests.unit.states.scene import Scene, Wire


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """A party has called, and its proposal has not come."""
    monkeypatch.setattr(fleet, "Fleet", Wire)
    monkeypatch.setattr(fleet, "FleetKeys", lambda *args: None)
    monkeypatch.setattr(officer, "_POLL", 0.05)
    monkeypatch.setattr(frames, "LISTEN", 0.05)
    late = partial(Session, clock=lambda: time.time() + Scene.now.session_clock)
    monkeypatch.setattr(nodes, "Session", late)
    made = Scene(tmp_path)
    yield made
    made.stop()
    made.ended.set()


@pytest.fixture
def scene(called: Scene) -> Scene:
    """A proposal waits."""
    called.propose()
    called.becomes("waiting")
    return called
