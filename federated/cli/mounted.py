"""The party that is mounted in a hub, as `hub start` runs it."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from federated.wire.flower.front import NodeFront
    from federated.wire.flower.hub import Hub

__all__ = ["Mounted"]

LOOK = 2.0
"""Seconds between two looks at whether an officer has accepted the folder, a copy."""

_log = logging.getLogger("fedprofile.hub")


class Mounted:
    """The party of a hub's owner, which others can call as a node once its keys are open.

    A folder that is a copy is not opened before its officer accepts it; the hub goes on meanwhile,
    and the party is mounted as soon as he has.

    Args:
        hub: running.
        passphrase_file: opens the party's keys; without it, and without the variable that names
            one, the party only proposes.
        notify: what is told of proposals that wait and of jobs that end; "" for nothing.
        log_format: of the log of the process for its jobs.
    """

    def __init__(
        self, hub: Hub, passphrase_file: Path | None, notify: str, log_format: str
    ) -> None:
        self._hub, self._file = hub, passphrase_file
        self._notify, self._log_format = notify, log_format
        self._over, self._lock = threading.Event(), threading.Lock()
        self.party: NodeFront | None = None

    def __repr__(self) -> str:
        return f"<{self._hub.home.mounted}, mounted>"

    def start(self) -> None:
        """Mount it, now or once it is accepted; nothing where there is no party, or no passphrase.

        Raises:
            FedprofileError: a wrong passphrase or policy.
        """
        from federated.cli.passphrase import PASSPHRASE_FILE
        from federated.node.lives import OlderCopy, check_is_last

        if not self._hub.home.mounted:
            return
        home = self._hub.home.path / "party"
        try:
            check_is_last(home)
        except OlderCopy as error:
            _log.error("%s: %s", error.message, error.hint)
            threading.Thread(target=self._once_accepted, daemon=True, name="mount").start()
            return
        if self._file is None and PASSPHRASE_FILE not in os.environ:
            _log.warning(
                "%s is mounted and proposes by run --hub; others cannot call it without "
                "--passphrase-file",
                self._hub.home.mounted,
            )
            return
        self._mount(home)

    def stop(self) -> None:
        """It takes part no more."""
        self._over.set()
        with self._lock:
            if self.party is not None:
                self.party.stop()

    def _mount(self, home: Path) -> None:
        from federated.cli.passphrase import passphrase
        from federated.node.home import NodeHome
        from federated.wire.flower.front import NodeFront

        party = NodeFront(
            NodeHome.open(home),
            passphrase(self._file),
            notify=self._notify,
            log_format=self._log_format,
            relay=self._hub.guard.relay,
            door=self._hub.door,
        )
        with self._lock:
            if self._over.is_set():
                return
            self.party = party
        party.start()
        _log.info("%s is mounted and waits for proposals", self._hub.home.mounted)

    def _once_accepted(self) -> None:
        from federated.node.lives import waits_for_word
        from psi.protocol import FedprofileError

        home = self._hub.home.path / "party"
        while waits_for_word(home):
            if self._over.wait(LOOK):
                return
        try:
            self.start()
        except FedprofileError as error:
            _log.error("%s is not mounted: %s", self._hub.home.mounted, error)
