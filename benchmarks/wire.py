"""What the hub costs: round trips, bulk relay, alignment and rounds, against plain sockets.

    python -m benchmarks.wire roundtrip          median of 200, node to node and back
    python -m benchmarks.wire relay --mb 640     MB/s through the hub, memory of each process
    python -m benchmarks.wire align --rows 1000000    hub against TCP sockets, seconds
    python -m benchmarks.wire rounds             200 rounds with a party mounted in the hub

Every party and the hub are processes of their own on this machine, with mutual TLS and node
authentication on. Prints one JSON line a figure, with the machine's load.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa

JOB = bytes(32)
SECRET = b"benchmark only"
NAMES = ["a", "b"]


def _wait_for(path: Path, patience: float = 120.0) -> None:
    end = time.monotonic() + patience
    while not path.exists():
        if time.monotonic() > end:
            raise SystemExit(f"{path.name} did not appear")
        time.sleep(0.02)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


# parties


def _fleet_endpoint(folder: Path, name: str) -> tuple[Any, Any]:
    from federated.wire.flower.fleet import Fleet, FleetKeys
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
    return ends[0], fleet


def _ticking(endpoint: Any) -> None:
    while True:
        time.sleep(0.5)
        endpoint.tick()


def _endpoint(kind: str, folder: Path, name: str) -> Any:
    if kind == "socket":
        from federated.wire.routers import SocketEndpoint

        ports = json.loads((folder / "ports").read_text())
        return SocketEndpoint(name, {n: ("127.0.0.1", p) for n, p in ports.items()})
    if kind == "mounted":
        from federated.wire.local import LocalMount

        mount = LocalMount(folder / "hub" / "hub.sock", name, JOB, NAMES, lambda step: 1 << 40)
        mount.endpoint.greet()
        return mount.endpoint
    endpoint, fleet = _fleet_endpoint(folder, name)
    FLEET.append(fleet)
    return endpoint


def _party(kind: str, name: str, task: str, folder: Path, size: int) -> None:
    endpoint = _endpoint(kind, folder, name)
    (folder / f"{name}.ready").touch()
    for other in NAMES:
        _wait_for(folder / f"{other}.ready")
    result = {"echo": _echo, "relay": _relay, "align": _align}[task](endpoint, name, folder, size)
    result["peak_mb"] = _peak()
    (folder / f"{name}.result").write_text(json.dumps(result))


def _echo(endpoint: Any, name: str, folder: Path, rounds: int) -> dict[str, Any]:
    del folder
    times = []
    for _ in range(rounds + 5):
        begun = time.perf_counter()
        if name == "a":
            endpoint.send("b", os.urandom(200))
            endpoint.receive(60)
            times.append(time.perf_counter() - begun)
        else:
            endpoint.receive(60)
            endpoint.send("a", os.urandom(200))
    time.sleep(1.0)
    return {"seconds": times[5:], "bare": _bare_calls(rounds) if FLEET else []}


FLEET: list[Any] = []


def _bare_calls(rounds: int) -> list[float]:
    """Seconds of nine fleet calls in a row, the number that one small message and its reply need:
    mutual TLS and node authentication on, and nothing of ours."""
    from flwr.proto.heartbeat_pb2 import SendNodeHeartbeatRequest

    fleet = FLEET[0]
    request = SendNodeHeartbeatRequest(node=fleet._node, heartbeat_interval=30.0)
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        for _ in range(9):
            fleet._client.SendNodeHeartbeat(request)
        times.append(time.perf_counter() - begun)
    return times


def _relay(endpoint: Any, name: str, folder: Path, megabytes: int) -> dict[str, Any]:
    del folder
    frame, begun = os.urandom(32 << 20), time.perf_counter()
    for _ in range(megabytes // 32):
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


def _align(endpoint: Any, name: str, folder: Path, rows: int) -> dict[str, Any]:
    from federated.party.identity_file import read_identity, write_identity
    from federated.party.keys import PartyKeys
    from federated.party.session import Session
    from psi import align

    keys = PartyKeys.generate(name)
    write_identity(folder / f"{name}.identity", keys.identity)
    for other in NAMES:
        _wait_for(folder / f"{other}.identity")
    pinned = {n: read_identity(folder / f"{n}.identity") for n in NAMES}
    half = rows // 2 if name == "b" else 0
    values = pa.array([f"id{i:09d}" for i in range(half, half + rows)])
    settings = align.AlignSettings()
    warm = pa.array([f"w{i}" for i in range(1000)])
    session = Session(JOB, keys, pinned, endpoint, folder / f"{name}-home", timeout=900)
    session.connect()
    _aligned(session, name, [warm], settings, "warm")
    begun = time.perf_counter()
    found = _aligned(session, name, [values], settings, "align")
    seconds = time.perf_counter() - begun
    session.finish()
    return {"seconds": seconds, "matched": int(found.matched)}


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


# the parent


def _prepare(folder: Path, mounted: bool) -> subprocess.Popen[bytes]:
    from federated.wire.certificates import make_key, write_key
    from federated.wire.flower.fleet import enrol
    from federated.wire.hub_home import HubHome

    (port,) = _ports(1)
    home = HubHome.create(folder / "hub", ["localhost"], port, "127.0.0.1")
    command = [sys.executable, "-m", "profiles", "hub", "start", "--home", str(home.path)]
    hub = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _wait_for(home.socket)
    (folder / "address").write_text(home.address)
    for name in NAMES[mounted:]:
        invite, key = home.invite(name), make_key()
        (folder / f"{name}.crt").write_bytes(enrol(invite, key))
        (folder / f"{name}.key").write_bytes(write_key(key, SECRET))
        (folder / f"{name}.ca").write_text(invite.authority)
    return hub


def _ports(count: int) -> list[int]:
    import socket

    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(s.getsockname()[1]) for s in held]
    for s in held:
        s.close()
    return ports


def _run(kind: str, task: str, size: int) -> dict[str, Any]:
    """One task at both parties; what each measured, and the hub's peak memory in MB."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hub = None
        if kind == "socket":
            (folder / "ports").write_text(json.dumps(dict(zip(NAMES, _ports(2), strict=True))))
        else:
            hub = _prepare(folder, kind == "mounted")
        kinds = {"a": kind, "b": "hub" if kind == "mounted" else kind}
        parties = [
            subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "benchmarks.wire",
                    "party",
                    kinds[n],
                    n,
                    task,
                    name,
                    str(size),
                ]
            )
            for n in NAMES
        ]
        try:
            for party in parties:
                if party.wait(1200):
                    raise SystemExit("a party has failed")
            found = {n: json.loads((folder / f"{n}.result").read_text()) for n in NAMES}
            found["hub_mb"] = _hub_peak(hub) if hub else 0
        finally:
            for process in (*parties, hub):
                if process is not None and process.poll() is None:
                    process.terminate()
                    process.wait(20)
        return found


def _hub_peak(hub: subprocess.Popen[bytes]) -> int:
    for line in Path(f"/proc/{hub.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) >> 10
    return 0


def _say(**figures: Any) -> None:
    figures["load"] = round(os.getloadavg()[0], 1)
    figures["cores"] = os.cpu_count()
    print(json.dumps(figures), flush=True)


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sub = parser.add_subparsers(dest="task", required=True)
    sub.add_parser("roundtrip").add_argument("--rounds", type=int, default=200)
    sub.add_parser("relay").add_argument("--mb", type=int, default=640)
    sub.add_parser("align").add_argument("--rows", type=int, default=10**6)
    sub.add_parser("rounds").add_argument("--rounds", type=int, default=200)
    party = sub.add_parser("party")
    for word in ("kind", "name", "job", "folder"):
        party.add_argument(word)
    party.add_argument("size", type=int)
    given = parser.parse_args()
    if given.task == "party":
        _party(given.kind, given.name, given.job, Path(given.folder), given.size)
    elif given.task == "roundtrip":
        mounted = _run("mounted", "echo", given.rounds)
        median, bare = (
            statistics.median(mounted[n][what]) for n, what in (("a", "seconds"), ("b", "bare"))
        )
        _say(
            figure="hub to node and back", median=median, nine_bare_calls=bare, ratio=median / bare
        )
        times = _run("hub", "echo", given.rounds)["a"]["seconds"]
        _say(figure="node to node and back", median=statistics.median(times), rounds=len(times))
    elif given.task == "relay":
        found = _run("hub", "relay", given.mb)
        peaks = {"hub": found["hub_mb"], **{n: found[n]["peak_mb"] for n in NAMES}}
        _say(figure="relay", mb_per_s=given.mb / found["a"]["seconds"], peak_mb=peaks)
    elif given.task == "align":
        times = {
            kind: _run(kind, "align", given.rows)["a"]["seconds"] for kind in ("socket", "hub")
        }
        _say(figure="align", rows=given.rows, **times, ratio=times["hub"] / times["socket"])
    else:
        times = _run("mounted", "echo", given.rounds)["a"]["seconds"]
        _say(figure="rounds, one party mounted", rounds=len(times), seconds=sum(times))


if __name__ == "__main__":
    _main()
