"""A door that listens on this machine."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from federated.wire.direct.door import Door


@pytest.fixture
def door() -> Iterator[Door]:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    made = Door(f"127.0.0.1:{port}")
    made.start()
    yield made
    made.close()
