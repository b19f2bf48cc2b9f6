"""A hub and nodes as processes on loopback, with real certificates."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from typer.testing import CliRunner

from federated.keys.identity_file import read_identity
from federated.keys.peers import Peers
from federated.wire.local import ask
from profiles.cli import app
from psi.protocol import EnvironmentFailed
from tests.e2e import nursery
from tests.e2e.nursery import Process, die_with_parent

PATIENCE = 60.0
OPEN = """
[officers]
four_eyes = false

[releases]
row_share = 100.0
label_bits = 1000.0

[[approve]]
name = "everything"
"""
"""A policy under which every job runs at once, on tables of few rows: for tests of other things."""


Running = Process | subprocess.Popen[bytes]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class World:
    """Folders and processes of one hub and its nodes; `stop` ends what still runs.

    With `anew` each process is a new Python; without it, one that begins loaded (`nursery`).
    """

    def __init__(
        self,
        folder: Path,
        party: str = "",
        hosts: Sequence[str] = ("localhost", "127.0.0.1"),
        listen: str = "127.0.0.1",
        anew: bool = False,
    ) -> None:
        self.folder, self.anew = folder, anew
        folder.mkdir(parents=True, exist_ok=True)
        self.hub = folder / "hub"
        self.secret = folder / "passphrase"
        self.secret.write_text("correct horse battery")
        self.secret.chmod(0o600)
        self.processes: dict[str, Running] = {}
        self.inside: dict[str, list[str]] = {}  # what begins the commands of a node elsewhere
        options = ["--party", party] if party else []
        for host in hosts:
            options += ["--host", host]
        self.here(
            "hub", "init", "--home", str(self.hub),
            "--port", str(free_port()), "--listen", listen, *options,
        )  # fmt: skip
        if party:
            (self.hub / "party" / "policy.toml").write_text(OPEN)

    def here(self, *words: str) -> None:
        """A command in this very process: for what only sets a scene."""
        done = CliRunner().invoke(app, words, env=self.environment(), catch_exceptions=False)
        assert done.exit_code == 0, f"{words}: {done.output}"

    def command(
        self, *words: str, check: bool = True, at: str = ""
    ) -> subprocess.CompletedProcess[str]:
        if self.anew or at in self.inside:
            done = subprocess.run(
                [*self.inside.get(at, []), sys.executable, "-m", "profiles", *words],
                env=self.environment(), capture_output=True, text=True, timeout=240, check=False,
            )  # fmt: skip
        else:
            done = nursery.run(words, self.environment(), 240)
        if check and done.returncode:
            raise AssertionError(f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def environment(self) -> dict[str, str]:
        here = str(Path(__file__).parents[2])
        return os.environ | {
            "FEDPROFILE_PASSPHRASE_FILE": str(self.secret),
            "PYTHONPATH": here,
            "COLUMNS": "200",
        }

    def spawn(self, name: str, *words: str) -> Running:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = self._begun(name, words, log)
        return self.processes[name]

    def _begun(self, name: str, words: Sequence[str], log: IO[bytes]) -> Running:
        if not self.anew and name not in self.inside:
            return Process(words, self.environment(), log, log)
        return subprocess.Popen(
            [*self.inside.get(name, []), sys.executable, "-m", "profiles", *words],
            env=self.environment(), stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            preexec_fn=die_with_parent,  # noqa: PLW1509  (one call of the system, no lock)
        )  # fmt: skip

    def start_hub(self) -> None:
        self.spawn("hub", "hub", "start", "--home", str(self.hub))
        self.wait(lambda: bool(self.status()), "the hub does not start")

    def node(self, name: str) -> Path:
        return self.folder / name

    def join(self, name: str) -> Path:
        """Invite and init; the node's folder."""
        invite = self.folder / f"{name}.invite"
        self.here("hub", "invite", name, "--home", str(self.hub), "--out", str(invite))
        words = ("node", "init", str(invite), "--home", str(self.node(name)))
        if name in self.inside:
            self.command(*words, at=name)
        else:
            self.here(*words)
        (self.node(name) / "policy.toml").write_text(OPEN)
        return self.node(name)

    def introduce(self, *homes: Path) -> None:
        """Every party gets every other's identity file and confirms its fingerprint."""
        known = {home: read_identity(home / "identity.json") for home in homes}
        for one in homes:
            for other in homes:
                if one != other:
                    peer = Peers(one).add(other / "identity.json", known[one]).identity
                    Peers(one).confirm(peer.name, peer.fingerprint, "the test")

    def start_node(self, name: str, tables: str, wait: bool = True) -> None:
        (self.node(name) / "tables.toml").write_text(tables)
        self.spawn(name, "node", "start", "--home", str(self.node(name)))
        if wait:  # the hub may not know yet that the one before is gone
            here = self.node(name) / "node.sock"
            self.wait(
                lambda: bool(self.asked(here)) and self.online(name), f"{name} does not connect"
            )

    def status(self) -> dict[str, object]:
        return self.asked(self.hub / "hub.sock")

    def asked(self, place: Path) -> dict[str, object]:
        """What a hub or a node says of itself; nothing where none answers."""
        try:
            return ask(place, op="status")
        except EnvironmentFailed:
            return {}

    def online(self, name: str) -> bool:
        nodes = self.status().get("nodes", [])
        assert isinstance(nodes, list)
        return any(node["name"] == name and node["online"] for node in nodes)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def wait(self, true, what: str, patience: float = PATIENCE) -> None:  # type: ignore[no-untyped-def]
        end = time.monotonic() + patience
        while not true():
            if time.monotonic() > end:
                logs = "\n".join(f"--- {n}\n{self.log(n)}" for n in self.processes)
                raise AssertionError(f"{what}\n{logs}")
            time.sleep(0.1)

    def workers(self, name: str) -> list[int]:
        """The processes that a node runs its jobs in."""
        children = Path(f"/proc/{self.processes[name].pid}/task").glob("*/children")
        return [int(child) for file in children for child in file.read_text().split()]

    def kill(self, name: str, how: int = signal.SIGKILL) -> None:
        process = self.processes.pop(name)
        process.send_signal(how)
        process.wait(30)

    def stop(self) -> None:
        for name in list(self.processes):
            if self.processes[name].poll() is None:
                self.kill(name, signal.SIGTERM)
