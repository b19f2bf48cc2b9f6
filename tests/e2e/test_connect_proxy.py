"""A node behind an HTTP proxy: TLS to the hub goes through it as it is."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from federated.wire.proxy import PROXY, hub_proxy, not_reached_hint
from psi.protocol import MisuseError
from tests.e2e.hub_nodes import Place


class Connect:
    """An HTTP proxy that knows CONNECT only; `seen` is what it was asked, and what went by."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.seen = b""
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            near, _ = self._server.accept()
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += near.recv(1)
        method, target, _ = head.decode().split(maxsplit=2)
        self.asked.append(f"{method} {target}")
        host, _, port = target.rpartition(":")
        far = socket.create_connection((host, int(port)))
        near.sendall(b"HTTP/1.1 200 established\r\n\r\n")
        threading.Thread(target=self._carry, args=(near, far), daemon=True).start()
        self._carry(far, near)

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(1 << 16):
                self.seen += data
                other.sendall(data)
        for link in (one, other):
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.close()


def test_a_node_reaches_its_hub_through_a_proxy(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Connect()
    direct = place.member("a").start()
    assert proxy.asked == []
    monkeypatch.setenv(PROXY, proxy.address)
    behind = place.member("b").start()  # its enrolment goes through it too
    direct.endpoint.send("b", b"through the proxy")
    assert behind.endpoint.receive(20) == ("a", b"through the proxy")
    assert set(proxy.asked) == {f"CONNECT {place.home.address}"}
    assert b"through the proxy" not in proxy.seen
    assert b"x-fedprofile" not in proxy.seen.lower()


def test_what_is_no_proxy_is_told() -> None:
    assert hub_proxy({}) is None
    for wrong in ("proxy:3128", "socks5://proxy:1", "http://proxy/page"):
        with pytest.raises(MisuseError, match=PROXY):
            hub_proxy({PROXY: wrong})
    hint = not_reached_hint("", {PROXY: "http://user:word@proxy.example:1"})
    assert "CONNECT" in hint
    assert "word" not in hint
