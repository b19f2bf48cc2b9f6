"""One party of the suite `wire`: echoes, relays or aligns over one kind of endpoint.

Started by `benchmarks.wire` as a process of its own; leaves its figures in FOLDER/NAME.result.
The kinds: `process` (TCP sockets on loopback), `node` (a connection to the hub by mutual TLS and
Flower's fleet calls), `mounted` (in the hub's process, over its socket file), `direct` (from node
to node, without a hub).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa

__all__ = ["JOB", "NAMES", "SECRET", "node_endpoint", "wait_for"]

JOB = bytes(32)
SECRET = b"benchmark only"
NAMES = ["a", "b"]
FLEET_CALLS = 7
"""Of one small message and its reply: pull, an object, confirm; push, three objects."""

_FLEETS: list[Any] = []


def wait_for(path: Path, patience: float = 120.0) -> None:
    """Return once the file is there."""
    end = time.monotonic() + patience
    while not path.exists():
        if time.monotonic() > end:
            raise SystemExit(f"{path.name} did not appear")
        time.sleep(0.02)


def _endpoint(kind: str, folder: Path, name: str) -> Any:
    if kind == "process":
        from federated.session.routers import SocketEndpoint

        ports = json.loads((folder / "ports").read_text())
        return SocketEndpoint(name, {n: ("127.0.0.1", p) for n, p in ports.items()})
    if kind == "mounted":
        from federated.wire.local import LocalMount

        mount = LocalMount(folder / "hub" / "hub.sock", name, JOB, NAMES, lambda step: 1 << 40)
        mount.endpoint.greet()
        return mount.endpoint
    if kind == "direct":
        return _direct(folder, name)
    return node_endpoint(folder, name)


def _direct(folder: Path, name: str) -> Any:
    """An endpoint whose only way is the direct one; offers go by files."""
    from federated.approval.direct import Direct
    from federated.wire.direct.door import Door
    from federated.wire.direct.ways import DirectWays
    from federated.wire.post import PostEndpoint

    ports, other = json.loads((folder / "ports").read_text()), NAMES[name == "a"]
    place, door = f"127.0.0.1:{ports['b']}", None
    allowed = Direct(dial={"b": place}) if name == "a" else Direct(place, place)
    if name == "b":
        door = Door(place)
        door.start()
    end = PostEndpoint(name, JOB, NAMES, lambda parcel: None, lambda step: 1 << 40)
    ways = DirectWays(end, NAMES, allowed, door.wait if door else lambda knock, within: None)

    def tell(peer: str, data: bytes) -> None:
        (folder / f"{name}.new").write_bytes(data)
        (folder / f"{name}.new").rename(folder / f"{name}.offer")

    ways.begin(tell)
    heard = b""
    while other not in end.beside:
        theirs = folder / f"{other}.offer"
        if theirs.exists() and theirs.read_bytes() != heard:
            heard = theirs.read_bytes()
            ways.heard(other, heard)
        time.sleep(0.01)
    threading.Thread(target=_ticking, args=(end,), daemon=True).start()
    end.greet()
    return end


def node_endpoint(folder: Path, name: str) -> Any:
    """A party's door at the hub whose files are in the folder."""
    from federated.wire.flower.fleet import Fleet
    from federated.wire.flower.hub_calls import FleetKeys
    from federated.wire.post import PostEndpoint, hand_on

    certificate, key, authority = (folder / f"{name}.{end}" for end in ("crt", "key", "ca"))
    keys = FleetKeys(certificate, key, authority, SECRET)
    ends: list[PostEndpoint] = []
    hub = (folder / "address").read_text()
    fleet = Fleet(hub, keys, lambda p: hand_on(ends[0], p), lambda: ends[0].again())  # noqa: PLW0108
    ends.append(PostEndpoint(name, JOB, NAMES, fleet.put, lambda step: 1 << 40))
    threading.Thread(target=_ticking, args=(ends[0],), daemon=True).start()
    fleet.start()
    fleet.connected.wait(30)
    ends[0].greet()
    _FLEETS.append(fleet)
    return ends[0]


def _ticking(endpoint: Any) -> None:
    while True:
        time.sleep(0.5)
        endpoint.tick()


# tasks


def _words(size: int) -> bytes:
    """What no endpoint takes for a sealed frame, whose step it would look for."""
    return bytes(2) + os.urandom(size - 2)


def _echo(endpoint: Any, name: str, folder: Path, size: int, rounds: int) -> dict[str, Any]:
    """Messages of `size` bytes from a to b and back."""
    del folder
    times = []
    for _ in range(rounds + 5):
        begun = time.perf_counter()
        if name == "a":
            endpoint.send("b", _words(size))
            endpoint.receive(60)
            times.append(time.perf_counter() - begun)
        else:
            endpoint.receive(60)
            endpoint.send("a", _words(size))
    time.sleep(1.0)
    return {"seconds": times[5:]}


def _echo_bare(endpoint: Any, name: str, folder: Path, size: int, rounds: int) -> dict[str, Any]:
    """As `_echo`; after each echo b times as many fleet calls in a row as one small message and
    its reply need: mutual TLS and node authentication on, and nothing of ours but the guard."""
    from flwr.proto.heartbeat_pb2 import SendNodeHeartbeatRequest

    del folder
    times = []
    for _ in range(rounds + 5):
        begun = time.perf_counter()
        if name == "a":
            endpoint.send("b", _words(size))
            endpoint.receive(60)
            times.append(time.perf_counter() - begun)
            endpoint.receive(60)
            continue
        endpoint.receive(60)
        endpoint.send("a", _words(size))
        time.sleep(0.05)  # what follows the echo, a fresh leave to send, is over by then
        fleet = _FLEETS[0]
        request = SendNodeHeartbeatRequest(node=fleet._node, heartbeat_interval=30.0)
        begun = time.perf_counter()
        for _ in range(FLEET_CALLS):
            fleet._client.SendNodeHeartbeat(request)
        times.append(time.perf_counter() - begun)
        endpoint.send("a", b"go on")
    time.sleep(1.0)
    return {"seconds": times[5:]}


def _echo_tls(endpoint: Any, name: str, folder: Path, size: int, rounds: int) -> dict[str, Any]:
    """As `_echo`; after each echo as many bytes as its parcel has go over a bare TLS connection of
    the same two processes and back: TLS 1.3, both certificates, nothing of ours."""
    from federated.wire.parcels import Kind, notice

    wire = 8 + len(notice(Kind.PART, JOB, "a", "b", "handshake", bytes(size)).to_bytes())
    bare, times, bares = _bare_tls(folder, name), [], []
    for _ in range(rounds + 5):
        begun = time.perf_counter()
        if name == "a":
            endpoint.send("b", _words(size))
            endpoint.receive(60)
            times.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            bare.sendall(bytes(wire))
            _all(bare, wire)
            bares.append(time.perf_counter() - begun)
        else:
            endpoint.receive(60)
            endpoint.send("a", _words(size))
            bare.sendall(_all(bare, wire))
    time.sleep(0.5)
    return {"seconds": times[5:], "bare": bares[5:]}


def _all(link: Any, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += link.recv(size - len(data))
    return data


def _bare_tls(folder: Path, name: str) -> Any:
    """A connection of a and b by Python's own TLS sockets."""
    import socket
    import ssl

    from federated.wire.direct.tunnel import make_pass

    port, mine = json.loads((folder / "ports").read_text())["a"], make_pass()
    certificate = ssl.DER_cert_to_PEM_cert(mine.certificate)
    (folder / f"{name}.pem").write_bytes(mine.private + certificate.encode())
    (folder / f"{name}.bare").write_text(certificate)
    other = folder / f"{NAMES[name == 'a']}.bare"
    wait_for(other)
    time.sleep(0.1)  # until it is whole
    sides = {"a": ssl.PROTOCOL_TLS_CLIENT, "b": ssl.PROTOCOL_TLS_SERVER}
    context = ssl.SSLContext(sides[name])
    context.check_hostname, context.verify_mode = False, ssl.CERT_REQUIRED
    context.load_cert_chain(folder / f"{name}.pem")
    context.load_verify_locations(other)
    if name == "b":
        with socket.create_server(("127.0.0.1", port)) as server:
            (folder / "bare").touch()
            link, _ = server.accept()
    else:
        wait_for(folder / "bare")
        link = socket.create_connection(("127.0.0.1", port))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(link, server_side=name == "b")


def _relay(endpoint: Any, name: str, folder: Path, size: int, rounds: int) -> dict[str, Any]:
    """`rounds` frames of `size` bytes from a to b."""
    del folder
    frame, begun = os.urandom(size), time.perf_counter()
    for _ in range(rounds):
        if name == "a":
            endpoint.send("b", frame)
        else:
            endpoint.receive(600)
    if name == "b":
        endpoint.send("a", b"all here")
    else:
        endpoint.receive(600)
    seconds = time.perf_counter() - begun
    time.sleep(1.5)
    return {"seconds": seconds}


def _align(endpoint: Any, name: str, folder: Path, size: int, rounds: int) -> dict[str, Any]:
    """Set intersection of `size` items a side in a sealed session, the kernels warm."""
    del rounds
    from psi import align

    half = size // 2 if name == "b" else 0
    values = pa.array([f"id{i:09d}" for i in range(half, half + size)])
    settings = align.AlignSettings()
    warm = pa.array([f"w{i}" for i in range(1000)])
    session = _session(endpoint, name, folder)
    _aligned(session, name, [warm], settings, "warm")
    begun, processor = time.perf_counter(), time.process_time()
    found = _aligned(session, name, [values], settings, "align")
    seconds, processor = time.perf_counter() - begun, time.process_time() - processor
    session.finish()
    return {"seconds": seconds, "cpu": processor, "matched": int(found.matched)}


def _session(endpoint: Any, name: str, folder: Path) -> Any:
    """A session of both parties, their handshake behind it."""
    from federated.keys.identity_file import read_identity, write_identity
    from federated.keys.party_keys import PartyKeys
    from federated.session.session import Session

    keys = PartyKeys.generate(name)
    write_identity(folder / f"{name}.identity", keys.identity)
    for other in NAMES:
        wait_for(folder / f"{other}.identity")
    pinned = {n: read_identity(folder / f"{n}.identity") for n in NAMES}
    session = Session(JOB, keys, pinned, endpoint, folder / f"{name}-home", timeout=900)
    session.connect()
    return session


def _turns(endpoint: Any, name: str, folder: Path, size: int, rounds: int) -> dict[str, Any]:
    """`size` bytes from a to b and back in a session: sealed, in both ledgers, and on the disk
    before they leave; beside two appends to a file, each with its wait for the disk."""
    from benchmarks.turns import Player

    session, peer = _session(endpoint, name, folder), NAMES[name == "a"]
    player = Player(session.context("turns"), peer, size, rounds + 1, name == "a")
    processor = time.process_time()
    session.run("turns", player)
    processor = (time.process_time() - processor) / rounds
    session.finish()
    stamps, bare = player.stamps, []
    with (folder / f"{name}.appended").open("ab", buffering=0) as file:
        for _ in range(min(rounds, 100)):
            begun = time.perf_counter()
            for _ in range(2):
                file.write(os.urandom(size))
                os.fdatasync(file.fileno())
            bare.append(time.perf_counter() - begun)
    seconds = [later - now for now, later in itertools.pairwise(stamps)]
    return {"seconds": seconds, "bare": bare, "cpu": processor}


def _aligned(session: Any, name: str, keys: list[Any], settings: Any, step: str) -> Any:
    from psi import align

    runs = (align.receive if name == "a" else align.send)(
        "b" if name == "a" else "a", keys, settings
    )
    try:
        level, build = next(runs)
        while True:
            named = f"{step}/{level}"
            level, build = runs.send(session.run(named, build(session.context(named))))
    except StopIteration as stop:
        return stop.value


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for word in ("kind", "name", "task", "folder"):
        parser.add_argument(word)
    parser.add_argument("size", type=int)
    parser.add_argument("rounds", type=int)
    given = parser.parse_args()
    tasks = {"echo": _echo, "bare": _echo_bare, "tls": _echo_tls, "relay": _relay, "align": _align}
    tasks["turns"] = _turns
    folder, task = Path(given.folder), tasks[given.task]
    endpoint = _endpoint(given.kind, folder, given.name)
    (folder / f"{given.name}.ready").touch()
    for other in NAMES:
        wait_for(folder / f"{other}.ready")
    result = task(endpoint, given.name, folder, given.size, given.rounds)
    result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    (folder / f"{given.name}.result").write_text(json.dumps(result))


if __name__ == "__main__":
    _main()
