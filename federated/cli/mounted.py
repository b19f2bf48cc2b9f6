"""The party that is mounted in a hub, as `hub start` runs it."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from federated.wire.flower.front import NodeFront
    from federated.wire.flower.hub import Hub

__all__ = ["mounted_party"]


def mounted_party(
    hub: Hub, passphrase_file: Path | None, notify: str, log_format: str
) -> NodeFront | None:
    """Start the party of this hub's owner, so that others can call it.

    Args:
        hub: running.
        passphrase_file: opens the party's keys; without it, and without the variable that names
            one, the party only proposes.
        notify: what is told of proposals that wait and of jobs that end; "" for nothing.
        log_format: of the log of the process for its jobs.

    Returns:
        The node, to be stopped before the hub; None where there is no party, or no passphrase.

    Raises:
        FedprofileError: a wrong passphrase or policy, a copy that nobody has accepted.
    """
    from federated.cli.passphrase import PASSPHRASE_FILE, passphrase
    from federated.node.home import NodeHome
    from federated.node.lives import check_is_last
    from federated.wire.flower.front import NodeFront

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
    party = NodeFront(
        place,
        passphrase(passphrase_file),
        notify=notify,
        log_format=log_format,
        relay=hub.guard.relay,
        door=hub.door,
    )
    party.start()
    log.info("%s is mounted and waits for proposals", place.name)
    return party
