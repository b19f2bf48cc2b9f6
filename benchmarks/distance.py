"""A cable whose packets arrive late: kernels without `netem` have no delay of their own.

Both ends are tunnel devices; a process of its own hands packets from one to the other, each so long
after it came.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from psi.protocol import EnvironmentFailed

__all__ = ["PACKET", "distance"]

PACKET = 9000
"""Bytes of a packet, at most: large ones, so that handing them on takes little of a core."""
_TUNSETIFF, _TUN, _NO_PI = 0x400454CA, 0x0001, 0x1000


@contextmanager
def distance(seconds: float) -> Iterator[tuple[str, str]]:
    """The names of two new devices, of which each gives what the other takes, so much later.

    Raises `EnvironmentFailed` where there are no tunnel devices.
    """
    names = tuple(f"fpd{os.getpid() % 10**6}{end}" for end in "ab")
    command = (sys.executable, "-m", "benchmarks.distance", str(seconds), *names)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        if process.stdout is None or process.stdout.readline() != b"ready\n":
            hint = "needs root and /dev/net/tun; or a network without a delay"
            raise EnvironmentFailed("a network with a delay cannot be made", hint=hint)
        yield names[0], names[1]
    finally:
        process.kill()
        process.wait()


def _opened(name: str) -> int:
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _TUN | _NO_PI))
    return device


def _hand_on(seconds: float, names: list[str]) -> None:
    """For ever, from each device to the other."""
    first, second = (_opened(name) for name in names)
    print("ready", flush=True)
    other = {first: second, second: first}
    waiting: deque[tuple[float, int, bytes]] = deque()  # in the order of their times
    while True:
        patience = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        ready, _, _ = select.select([first, second], [], [], patience)
        now = time.monotonic()
        for device in ready:
            try:
                waiting.append((now + seconds, other[device], os.read(device, 1 << 16)))
            except OSError:
                continue
        while waiting and waiting[0][0] <= now:
            _, device, packet = waiting.popleft()
            try:
                os.write(device, packet)
            except OSError:
                continue  # a device that is not up yet loses packets


if __name__ == "__main__":
    _hand_on(float(sys.argv[1]), sys.argv[2:])
