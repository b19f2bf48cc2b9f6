"""Jobs that end here without a line of their own: the node's ledger says which, and why."""

from __future__ import annotations

import time
from collections.abc import Callable

from federated.keys.party_keys import PartyKeys
from federated.node.home import NodeHome
from federated.node.purge import note
from federated.session import over

__all__ = ["NOT_BACK", "STOPPED", "let_go"]

STOPPED = "stopped by this party's officer; its folder did not open, so nobody could be told"
NOT_BACK = "its proposer has not come back in time"


def let_go(
    home: NodeHome,
    keys: PartyKeys,
    session: bytes,
    why: str,
    clock: Callable[[], float] = time.time,
) -> None:
    """Note it in the node's ledger, and end the job: its journal is removed.

    Args:
        home: the party's folder.
        keys: sign the line.
        session: of the job.
        why: in our own words, without a name.

    Raises:
        EnvironmentFailed: the disk has no room; the job is as it was.
    """
    note(home, keys, clock, "let_go", jobs=[session.hex()], why=why)
    over.let_go(home.job(session), why)
