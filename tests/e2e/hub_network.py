"""A network of its own for a node: a namespace joined to the hub's by a cable that can be cut."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest


def usable() -> str:
    """Why namespaces cannot be used here, "" if they can."""
    if shutil.which("ip") is None:
        return "needs ip (apt install iproute2)"
    if os.geteuid():
        return "needs root, for network namespaces"
    name = f"fp-try-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return "" if made.returncode == 0 else "network namespaces cannot be made here"


netns = [pytest.mark.netns, pytest.mark.skipif(bool(usable()), reason=usable())]


class Network:
    """One namespace and its cable; the hub is at `hub`, from inside."""

    def __init__(self) -> None:
        number = os.getpid() % 200
        self.name, self.cable = f"fp-{os.getpid()}", f"fpc{os.getpid() % 10**6}"
        self.hub, self.node = f"10.213.{number}.1", f"10.213.{number}.2"
        inside = ["netns", "exec", self.name, "ip"]
        self._ip("netns", "add", self.name)
        there = ["peer", "name", "up0", "netns", self.name]
        self._ip("link", "add", self.cable, "type", "veth", *there)
        self._ip("addr", "add", f"{self.hub}/30", "dev", self.cable)
        self._ip("link", "set", self.cable, "up")
        self._ip(*inside, "addr", "add", f"{self.node}/30", "dev", "up0")
        self._ip(*inside, "link", "set", "lo", "up")
        self._ip(*inside, "link", "set", "up0", "up")

    @property
    def inside(self) -> list[str]:
        """What a command begins with to run in the namespace."""
        return ["ip", "netns", "exec", self.name]

    def cut(self) -> None:
        """Packets of both sides vanish; nobody is told."""
        self._ip("netns", "exec", self.name, "ip", "link", "set", "up0", "down")

    def mend(self) -> None:
        self._ip("netns", "exec", self.name, "ip", "link", "set", "up0", "up")

    def close(self) -> None:
        for words in (("link", "del", self.cable), ("netns", "del", self.name)):
            subprocess.run(["ip", *words], capture_output=True, check=False)

    def _ip(self, *words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)
