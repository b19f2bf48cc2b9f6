"""All parties of a job in one process, one thread each, over the memory router.

Exactly the code of a deployment: each party has its own keys, ledger, journal and tables, and
speaks to the others through sealed frames only. A run with every table at hand plays on it, and
so does a rehearsal.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from federated.contract.completion import complete
from federated.contract.negotiation import Agreed
from federated.contract.terms import Contract
from federated.node.participant import Participant
from federated.session.routers import MemoryRouter
from federated.session.session import Session
from federated.steps.outcome import Outcome
from psi.protocol import PeerGone

__all__ = ["Player", "first_failed", "play"]


class Player(threading.Thread):
    """One participant on a thread of its own; keeps its result or its error.

    With `draft` it proposes, otherwise it joins. `ended` is what to wait for: a `join` that Ctrl-C
    interrupts takes the thread for ended (CPython issue 90882) while it still writes.
    """

    def __init__(
        self, session: Session, participant: Participant, draft: Contract | None = None
    ) -> None:
        super().__init__(name=session.name, daemon=True)
        self.session, self._participant, self._draft = session, participant, draft
        self.result: tuple[Agreed, Outcome] | None = None
        self.error: BaseException | None = None
        self.ended = threading.Event()

    def run(self) -> None:
        try:
            if self._draft is not None:
                self.result = self._participant.propose(self._draft, complete)
            else:
                self.result = self._participant.join()
        except BaseException as error:
            self.error = error
            self.session.close()  # whatever failed, the others must not wait for it
        finally:
            self.ended.set()


def play(router: MemoryRouter, players: Sequence[Player]) -> None:
    """Start all and wait until each has ended; Ctrl-C stops them in good order."""
    for player in players:
        player.start()
    try:
        for player in players:
            while not player.ended.wait(0.2):  # short, so that Ctrl-C is heard
                continue
    except KeyboardInterrupt:
        _stop(router, players)
        raise


def first_failed(players: Sequence[Player]) -> Player | None:
    """The party whose error is the cause, not one that others left; None if all went well."""
    failed = [player for player in players if player.error is not None]
    return min(failed, key=lambda player: isinstance(player.error, PeerGone), default=None)


def _stop(router: MemoryRouter, players: Sequence[Player], patience: float = 20.0) -> None:
    """Say goodbye to every party in the name of the others, and wait until they have ended."""
    for player in players:
        router.endpoint(player.session.name).close()
    end = time.monotonic() + patience
    for player in players:
        player.ended.wait(max(0.0, end - time.monotonic()))
