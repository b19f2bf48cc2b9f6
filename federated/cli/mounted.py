"""The party that is mounted in a hub, as `hub start` runs it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from federated.wire.flower.hub import Hub
    from federated.wire.flower.node import NodeDaemon

__all__ = ["mounted_party"]


def mounted_party(
    hub: Hub, passphrase_file: Path | None, tell: Callable[[str, str, str], None]
) -> NodeDaemon | None:
    """Start the party of this hub's owner, so that others can call it.

    Args:
        hub: running.
        passphrase_file: opens the party's keys; without it, and without the variable that names
            one, the party only proposes.
        tell: hears of proposals that wait and of jobs that end.

    Returns:
        The daemon, to be stopped before the hub; None where there is no party, or no passphrase.

    Raises:
        FedprofileError: a wrong passphrase or policy, a copy that nobody has accepted.
    """
    from federated.cli.deciding import make_decider, table_source, to_log_and
    from federated.cli.passphrase import PASSPHRASE_FILE, passphrase
    from federated.node.home import NodeHome
    from federated.node.lives import check_is_last
    from federated.wire.flower.node import NodeDaemon

    if not hub.home.mounted:
        return None
    log = logging.getLogger("fedprofile.hub")
    if passphrase_file is None and PASSPHRASE_FILE not in os.environ:
        log.warning(
            "%s is mounted and proposes by run --hub; others cannot call it without "
            "--passphrase-file",
            hub.home.mounted,
        )
        return None
    place = NodeHome.open(hub.home.path / "party")
    check_is_last(place.path)
    source = table_source(place)
    party = NodeDaemon(
        place,
        passphrase(passphrase_file),
        source,
        make_decider(place, source, to_log_and(tell)),
        relay=hub.guard.relay,
        on_end=lambda job, state: tell("ended", job, state),
    )
    party.start()
    log.info("%s is mounted and waits for proposals", place.name)
    return party
