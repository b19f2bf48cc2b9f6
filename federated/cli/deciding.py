"""Which decider a node starts with: the one place where policy meets the daemon."""

from __future__ import annotations

import logging
from collections.abc import Callable

from federated.approval.decision import Decider, Request
from federated.approval.officer import NodeDecider
from federated.node.home import NodeHome
from federated.tables.source import Source

__all__ = ["make_decider"]

GRACE = 20.0
"""Seconds that a policy may be wrong, while somebody saves it, before a proposal is refused."""

_log = logging.getLogger("fedprofile.desk")


def _to_log(request: Request, why: str) -> None:
    _log.info("job %s %s: fedprofile node show %s", request.id, why, request.id)


def make_decider(
    home: NodeHome, source: Source, tell: Callable[[Request, str], None] = _to_log
) -> Decider:
    """This party's decider: its policy.toml, and its officers where no rule decides."""
    return NodeDecider(name=home.name, home=home.path, source=source, tell=tell, grace=GRACE)
