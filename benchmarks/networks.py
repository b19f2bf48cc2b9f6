"""Where the two parties of a race run: on loopback, or in namespaces joined by a slow cable.

A cable is a pair of virtual devices in two network namespaces; a token bucket at each end holds
what that side sends to the rate, so that both directions have it in full. `100mbit-10ms` also
delays every packet by 10 ms each way (`distance`); without a delay a round costs what the kernel
takes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from benchmarks.distance import PACKET, distance
from benchmarks.party import HOSTS, ROLES, carried
from psi.protocol import EnvironmentFailed, MisuseError

__all__ = ["LOOPBACK", "Network", "cable_commands", "delay_of", "network", "rate_of", "told_rate"]

LOOPBACK = "loopback"
_UNITS = {"kbit": 10**3, "mbit": 10**6, "gbit": 10**9}
_TOLD = {"kb/s": 10**3, "mb/s": 10**6, "gb/s": 10**9}
_HINT = "needs root and Linux network namespaces (apt install iproute2); or --network loopback"


@dataclass(frozen=True)
class Network:
    """Both parties' addresses, and the namespaces their commands run in, if any."""

    name: str = LOOPBACK
    hosts: tuple[str, str] = HOSTS
    spaces: tuple[str, ...] = ()

    def inside(self, role: str) -> tuple[str, ...]:
        """What a party's command begins with."""
        return ("ip", "netns", "exec", self.spaces[ROLES.index(role)]) if self.spaces else ()

    def carried(self) -> int:
        """Bytes that have arrived at both parties so far, headers included."""
        if not self.spaces:
            return carried()
        return sum(carried(_run("ip", "netns", "exec", name, "cat", "/proc/net/dev"), "up0")
                   for name in self.spaces)  # fmt: skip


def rate_of(text: str) -> int:
    """Bits a second of `100mbit`, `2.5gbit` or, as rows tell it, `100 Mb/s`.

    Raises `MisuseError`.
    """
    return _parsed(text)[0]


def delay_of(text: str) -> float:
    """Seconds each way of `100mbit-10ms` or, as rows tell it, `100 Mb/s, 10 ms`; 0 for none.

    Raises `MisuseError`.
    """
    return _parsed(text)[1]


def _parsed(text: str) -> tuple[int, float]:
    pattern = r"(\d+(?:\.\d+)?) ?([kmg](?:bit|b/s))(?:(?:-|, )(\d+(?:\.\d+)?) ?ms)?"
    found = re.fullmatch(pattern, text.strip().lower())
    if found is None or not float(found[1]):
        raise MisuseError(
            f"network {text!r} found, loopback or a rate such as 100mbit allowed, or that and a "
            "delay: 100mbit-10ms"
        )
    return round(float(found[1]) * (_UNITS | _TOLD)[found[2]]), float(found[3] or 0) / 1000


def told_rate(bits: float) -> str:
    """A rate as rows and tables tell it: `100 Mb/s`."""
    for unit, size in (("Gb/s", 1e9), ("Mb/s", 1e6)):
        if bits >= size:
            return f"{bits / size:g} {unit}"
    return f"{bits / 1e3:g} kb/s"


def cable_commands(
    spaces: Sequence[str], hosts: Sequence[str], bits: int, *, far: Sequence[str] = ()
) -> list[tuple[str, ...]]:
    """What makes the namespaces, a cable between them, and its rate at both ends.

    `far` are the two ends of a cable that is there already, one a namespace.
    """
    first, second = spaces
    made: list[tuple[str, ...]] = [("ip", "netns", "add", space) for space in spaces]
    ends = ("peer", "name", "up0", "netns", second)
    if not far:
        made.append(("ip", "link", "add", "up0", "netns", first, "type", "veth", *ends))
    made += [
        ("ip", "link", "set", device, "netns", space, "name", "up0", "mtu", f"{PACKET}")
        for device, space in zip(far, spaces, strict=False)
    ]
    # two milliseconds at the rate, and at least two of the largest packets
    burst = max(1 << 17, bits // 8 // 500)
    for space, host in zip(spaces, hosts, strict=True):
        inside = ("ip", "netns", "exec", space)
        made += [
            (*inside, "ip", "addr", "add", f"{host}/30", "dev", "up0"),
            (*inside, "ip", "link", "set", "lo", "up"),
            (*inside, "ip", "link", "set", "up0", "up"),
            (*inside, "tc", "qdisc", "add", "dev", "up0", "root", "tbf",
             "rate", f"{bits}bit", "burst", f"{burst}", "latency", "50ms"),
        ]  # fmt: skip
    return made


@contextmanager
def network(text: str) -> Iterator[Network]:
    """Loopback, or a cable of a rate such as `100mbit` for as long as the context lasts.

    Raises:
        MisuseError: no such network.
        EnvironmentFailed: namespaces or token buckets cannot be made here.
    """
    if text == LOOPBACK:
        yield Network()
        return
    bits, delay = _parsed(text)
    if os.geteuid() or not (shutil.which("ip") and shutil.which("tc")):
        raise EnvironmentFailed(f"a network of {told_rate(bits)} {_HINT}")
    number = os.getpid()
    spaces = (f"fp-race-{number}-a", f"fp-race-{number}-b")
    hosts = (f"10.214.{number % 250}.1", f"10.214.{number % 250}.2")
    away = f", {delay * 1000:g} ms" if delay else ""
    try:
        with distance(delay) if delay else nullcontext(()) as far:
            for command in cable_commands(spaces, hosts, bits, far=far):
                _run(*command)
            yield Network(told_rate(bits) + away, hosts, spaces)
    finally:
        for space in spaces:
            subprocess.run(("ip", "netns", "del", space), capture_output=True, check=False)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise EnvironmentFailed(f"{' '.join(command)}: {why}", hint=f"a network of a rate {_HINT}")
    return done.stdout
