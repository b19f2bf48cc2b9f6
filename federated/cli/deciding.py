"""Which decider a node starts with: the one place where policy meets the daemon."""

from __future__ import annotations

import logging
from collections.abc import Callable

from federated.approval.decision import Decider, Request
from federated.approval.officer import NodeDecider
from federated.approval.policy_file import load_policy
from federated.keys.officers import Person
from federated.node.home import NodeHome
from federated.tables.bindings import TablesFile
from federated.tables.source import FileSource, Source

__all__ = ["make_decider", "table_source", "to_log_and"]

GRACE = 20.0
"""Seconds that a policy may be wrong, while somebody saves it, before a proposal is refused."""

_log = logging.getLogger("fedprofile.desk")


def _to_log(request: Request, why: str) -> None:
    _log.info("job %s %s: fedprofile node show %s", request.id, why, request.id)


def to_log_and(tell: Callable[[str, str, str], None]) -> Callable[[Request, str], None]:
    """Log that a proposal waits, and tell whoever is to be told."""

    def both(request: Request, why: str) -> None:
        _to_log(request, why)
        tell("waiting", request.id, "waiting")

    return both


def table_source(home: NodeHome) -> Source:
    """This party's tables; the policy is read too, so that a mistake in it shows at the start."""
    load_policy(home.policy)
    if home.tables.exists():
        return FileSource(TablesFile.load(home.tables))
    # who only proposes binds its table where it runs
    logging.getLogger("fedprofile.node").warning("no table is bound: others' jobs are refused")
    return FileSource(TablesFile(home.tables, {}))


def make_decider(
    home: NodeHome,
    source: Source,
    tell: Callable[[Request, str], None] = _to_log,
    asker: Person | None = None,
) -> Decider:
    """This party's decider: its policy.toml, and its officers where no rule decides.

    `asker` is who has the party propose, if he signed that.
    """
    return NodeDecider(
        name=home.name, home=home.path, source=source, tell=tell, grace=GRACE, asker=asker
    )
