"""Horizontal training with all parties in this process: their branches meet, Flower runs."""

from __future__ import annotations

import threading

from federated.horizontal import Branch, HorizontalFit, Plan
from psi.protocol import PeerGone

__all__ = ["LocalRounds"]

PATIENCE = 600.0


class LocalRounds:
    """Waits for every party's branch; the last to come runs the rounds for all."""

    def __init__(self, parties: int) -> None:
        self._branches: dict[str, Branch] = {}
        self._fit: HorizontalFit | None = None
        self._error: BaseException | None = None
        self._parties, self._changed = parties, threading.Condition()

    def join(self, name: str, branch: Branch, plan: Plan) -> HorizontalFit:
        """Hand in a branch; returns when the model is there."""
        with self._changed:
            self._branches[name] = branch
            if len(self._branches) == self._parties:
                try:
                    self._run(plan)
                finally:
                    self._changed.notify_all()
            self._changed.wait_for(lambda: self._fit or self._error, PATIENCE)
        if self._fit is None:
            raise PeerGone("another party has ended the training") from self._error
        return self._fit

    def _run(self, plan: Plan) -> None:
        from federated.wire.flower.server_app import run_local

        try:
            self._fit, _ = run_local(self._branches, plan)
        except BaseException as error:
            self._error = error
            raise
