"""One job of two parties over memory and over TCP: the same outcome (for a hub see test_hub)."""

from __future__ import annotations

import secrets
from pathlib import Path

from federated.session.routers import SocketEndpoint
from profiles.job import Job
from profiles.tables import open_tables
from tests.e2e.hub_world import free_port
from tests.e2e.test_resume_job import NAMES, Party, check, play


class Sockets:
    """Endpoints over TCP on loopback."""

    def __init__(self) -> None:
        self._ports = {name: ("127.0.0.1", free_port()) for name in NAMES}

    def endpoint(self, name: str) -> SocketEndpoint:
        return SocketEndpoint(name, self._ports)


def test_a_job_over_sockets_is_the_job_in_memory(small: Path, tmp_path: Path) -> None:
    plain = play(small, tmp_path / "plain", {})
    job, source = Job.load(small / "job.toml"), open_tables(small / "tables.toml")
    router, home, nonce = Sockets(), tmp_path / "sockets", secrets.token_bytes(32)
    parties = {name: Party(home, name, job, source, router, 0) for name in NAMES}
    for party in parties.values():
        party.nonce = nonce
        party.start()
    for party in parties.values():
        party.join(120)
        assert not party.is_alive()
    check(parties, plain, home)
