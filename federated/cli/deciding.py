"""Which decider a node starts with: the one place where policy meets the daemon."""

from __future__ import annotations

from federated.party.desk import AutoDecider, Decider
from federated.party.node_home import NodeHome
from federated.party.source import Source

__all__ = ["make_decider"]


def make_decider(home: NodeHome, source: Source) -> Decider:
    """This party's decider."""
    return AutoDecider(home.name, source)
