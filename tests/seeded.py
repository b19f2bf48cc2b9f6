"""Jobs whose parties draw the same numbers in every run, so that outputs can be compared."""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from federated.session.session import Session
from psi.protocol import Context, Random

__all__ = ["outputs", "seed_sessions"]


def stream(*names: str) -> Random:
    """Bytes that `names`, their number and how many were drawn before tell.

    Draws of one length are a stream of their own: work ahead draws when it has the time.
    """
    drawn: defaultdict[int, int] = defaultdict(int)
    lock = threading.Lock()

    def random(size: int) -> bytes:
        with lock:
            drawn[size] += 1
            about = "\0".join([*names, f"{size}", f"{drawn[size]}"])
        return hashlib.shake_256(about.encode()).digest(size)

    return random


def seed_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on every party's numbers follow from its name and step, and nothing else.

    Jobs in one process have one session's name too: what private sums draw follows from it.
    """
    named = SimpleNamespace(token_bytes=bytes)
    monkeypatch.setattr("profiles.federation.secrets", named)
    begin, context = Session.__init__, Session.context

    def seeded(self: Session, session: bytes, keys: Any, *args: Any, **options: Any) -> None:
        options["random"] = stream(keys.identity.name)
        begin(self, session, keys, *args, **options)

    def of_step(self: Session, step: str) -> Context:
        made = context(self, step)
        return Context(made.session, step, made.party, stream(self.name, step), made.store)

    monkeypatch.setattr(Session, "__init__", seeded)
    monkeypatch.setattr(Session, "context", of_step)


def outputs(folder: Path) -> dict[str, bytes]:
    """What a job left of profiles and target lists, as bytes."""
    files = [folder / name for name in ("profiles.parquet", "targets.parquet", "targets.csv")]
    return {file.name: file.read_bytes() for file in files if file.exists()}
