"""What tests of ways beside the hub share."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from federated.wire.direct.door import Door

JOB = bytes(range(32))
PLACE = "127.0.0.1:9443"


def until(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def call(door: Door, data: bytes) -> socket.socket:
    link = socket.create_connection((door.host, door.port), timeout=10)
    link.sendall(data)
    return link
