"""What commands of nodes and of runs read of a party's jobs: the same rows for every screen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from federated.node.home import NodeHome
    from federated.node.job_rows import Running

__all__ = ["rows_at", "running_at"]


def running_at(home: Path) -> Running | None:
    """What runs at the party whose folder this is; None where no node of it does."""
    from federated.node.job_rows import Running
    from federated.wire.local import ask
    from psi.protocol import EnvironmentFailed

    try:
        return Running.of(ask(home / "node.sock", op="status"))
    except EnvironmentFailed:
        return None


def rows_at(place: NodeHome, live: Running | None) -> list[dict[str, Any]]:
    """The rows of `federated.node.job_rows`, whatever the policy says: that it is wrong is told
    elsewhere."""
    from federated.approval.inbox import Inbox
    from federated.approval.officer import counts
    from federated.approval.policy import Policy
    from federated.approval.policy_file import load_policy
    from federated.keys.officers import load_officers
    from federated.node.job_rows import job_rows
    from psi.protocol import FedprofileError

    try:
        counting = counts(load_policy(place.policy), load_officers(place.path))
    except FedprofileError:
        counting = counts(Policy())
    return job_rows(Inbox(place.desk, counting), place, live)
