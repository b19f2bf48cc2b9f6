"""Our side of a PSI race: `psi.align` over the socket router, envelopes as they are.

With the source `memory` the ids are an Arrow column already; with `parquet` a file of messy
credit codes is read, normalised and checked, and the aligned rows are written, all timed. The
variant `kept` prepares and delivers the sender's tags first, which is told as `offline_s`; `vole`
and `vole-malicious` take that protocol instead of ECDH.
"""

from __future__ import annotations

import importlib.metadata
import secrets
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.codes import credit_codes
from benchmarks.party import Stopwatch, id_ranges, meet, options
from federated.session.routers import SocketEndpoint
from federated.store.spool import Spool
from psi import align, oprf
from psi.align import PROTOCOLS
from psi.ecdh import Held, Items, Prepared, prepare
from psi.identifiers import clean, combine
from psi.kernels.distinct import distinct
from psi.kernels.grouping import join
from psi.kernels.hashing import tag_hash
from psi.kernels.strings import take_strings
from psi.protocol import Context, Envelope, MemoryStore, Pair, Role, decode, encode

SESSION = bytes(32)
TIMEOUT = 3600.0


def drive(endpoint: SocketEndpoint, role: Role[Any], waiting: list[Envelope]) -> Any:
    """Run a role to its result; envelopes of later steps are kept in `waiting`."""
    step = role.start()
    while True:
        for envelope in step.messages:
            endpoint.send(envelope.receiver, encode(envelope))
        if step.result is not None:
            return step.result
        role.ahead()
        mine = [envelope for envelope in waiting if envelope.step == role.context.step]
        if mine:
            waiting.remove(mine[0])
            step = role.receive(mine[0])
            continue
        _, frame = endpoint.receive(TIMEOUT)
        envelope = decode(frame, Envelope)
        if envelope.step != role.context.step:
            waiting.append(envelope)
        else:
            step = role.receive(envelope)


def run(endpoint: SocketEndpoint, runs: align.Runs, folder: Path | None) -> align.Alignment:
    """All protocol runs of one side of an alignment; large arrays go into the folder, sealed."""
    waiting: list[Envelope] = []
    wanted = next(runs)
    while True:
        name, build = wanted
        store = Spool(folder, secrets.token_bytes) if folder else MemoryStore()
        context = Context(SESSION, name, endpoint.name, secrets.token_bytes, store)
        try:
            wanted = runs.send(drive(endpoint, build(context), waiting))
        except StopIteration as stop:
            result: align.Alignment = stop.value
            return result


def warm(protocol: str, source: str = "memory") -> None:
    """Load the compiled kernels, and with the first array of pyarrow pandas: a node has them."""
    pa.array([0])
    data, offsets = np.zeros(16, np.uint8), np.array([0, 8, 15], np.int64)
    take_strings(data, offsets, distinct(data, offsets, np.ones(2, bool), 0)[1])
    if source != "memory":
        clean(pa.array(["91110000600037341L"]), "credit_code")
    if PROTOCOLS[protocol].blocks:
        warm_roles(protocol, Items(data, offsets))
        return
    points = oprf.own(oprf.encode(data, offsets), 8)
    blinds = oprf.blinds(bytes(32), 0, 2)
    blinded = oprf.blind(data, offsets, blinds)
    oprf.finalize(oprf.evaluate(blinded, 8), oprf.public_key(8), blinds)
    tags = tag_hash(b"warm", data, offsets, points)
    join(tags, tags)


def warm_roles(protocol: str, items: Items) -> None:
    """Both roles once, on few items."""
    places = [Context(SESSION, "warm", party, secrets.token_bytes) for party in ("r", "s")]
    terms: dict[str, Any] = {"reveal": "both", "largest": len(items)}
    receiver = PROTOCOLS[protocol].receiver(places[0], "s", items, minimum=0, **terms)
    Pair(receiver, PROTOCOLS[protocol].sender(places[1], "r", items, **terms)).run()


class Keeper:
    """Tags in memory: prepared and delivered before the clock starts."""

    def __init__(self) -> None:
        self._held: Held | None = None
        self._made: Prepared | None = None

    def held(self) -> Held | None:
        return self._held

    def keep(self, held: Held) -> None:
        self._held = held

    def prepared(self, items: Items) -> Prepared:
        self._made = self._made or prepare(items, secrets.token_bytes)
        return self._made

    def spend(self, items: int) -> None:
        del items


def id_column(role: str, case: dict[str, Any]) -> pa.Array:
    """What `party.ids` gives, made without a Python string each."""
    ranges = id_ranges(role, case)
    total = sum(count for _, count in ranges)
    digits = np.empty((total, 18), np.uint8)
    at = 0
    for first, count in ranges:
        part = digits[at : at + count]
        part[:, 0] = ord(first)
        left = np.arange(count)
        for place in range(17, 0, -1):
            part[:, place] = left % 10 + ord("0")
            left //= 10
        at += count
    offsets = np.arange(0, 18 * total + 1, 18)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(digits)]
    return pa.Array.from_buffers(pa.large_string(), total, buffers)


def keys_of(source: str, table: Path, column: pa.Array) -> list[pa.Array]:
    """The key column: in memory, or read from Parquet, normalised and checked."""
    if source == "memory":
        return [column]
    return [combine([clean(pq.read_table(table).column("code"), "credit_code")])]


def main() -> None:
    start = options()
    role, case, variant = start.role, start.case, start.variant
    me, peer = role, "sender" if role == "receiver" else "receiver"
    with tempfile.TemporaryDirectory() as folder:
        table, out = Path(folder) / "in.parquet", Path(folder) / "out.parquet"
        if case["source"] == "memory":
            column = id_column(role, case)
        else:
            column = pa.array(credit_codes(role, case), pa.large_string())
            pq.write_table(pa.table({"code": column}), table)
        protocol = variant if variant in PROTOCOLS else "ecdh"
        warm(protocol, case["source"])
        meet(role, start.port, start.hosts)
        version = importlib.metadata.version("fedprofile")
        endpoint = SocketEndpoint(me, start.addresses())
        endpoint.connect(peer)  # as peers make their links before their clocks start
        settings = align.AlignSettings(protocol=protocol, reveal=case["mode"])
        side = align.receive if role == "receiver" else align.send
        keeper, offline = None, None
        if variant.endswith("kept"):
            keeper, begun = Keeper(), time.perf_counter()
            none = [column.slice(0, 0)] if role == "receiver" else [column]
            run(endpoint, side(peer, none, settings, keeper), None)
            offline = time.perf_counter() - begun
        before = endpoint.bytes_sent
        watch = Stopwatch()
        keys = keys_of(case["source"], table, column)
        found = run(endpoint, side(peer, keys, settings, keeper), Path(folder) / "spool")
        if case["source"] == "parquet" and role == "receiver":
            pq.write_table(pa.table({"row": found.rows}), out)
        matched = found.matched if found.matched >= 0 else case["matched"]
        sent = endpoint.bytes_sent - before
        watch.report(version, matched, sent, offline)
        endpoint.close()


if __name__ == "__main__":
    main()
