"""Random instances of VOLE set intersection against Python's sets: no miss, no false match.

    python tools/fuzz_vole.py                                   # 10,000 instances, planted overlaps
    python tools/fuzz_vole.py --protocol vole-malicious
    NUMBA_BOUNDSCHECK=1 XDG_CACHE_HOME=$(mktemp -d) python tools/fuzz_vole.py --every-size 300
    python tools/fuzz_vole.py --instances 300 --columns 1.2     # where large sets do not peel

Bounds checks need kernels of their own, hence the other cache.
"""

from __future__ import annotations

import argparse
import random
import secrets
import sys
import time
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from psi.align import PROTOCOLS
from psi.ecdh import Items
from psi.identifiers import key_buffer
from psi.protocol import Context, Pair
from psi.vole import parameters

LARGEST = 2_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--instances", type=int, default=10_000)
    parser.add_argument("--every-size", type=int, help="all sizes up to this, once each")
    parser.add_argument("--columns", type=float, help="columns an item, few enough to force gaps")
    parser.add_argument("--protocol", default="vole", choices=("vole", "vole-malicious"))
    parser.add_argument("--minutes", type=float, default=1e9, help="end after these, and say so")
    parser.add_argument("--seed", type=int, default=1, help="of the instances, not of the protocol")
    options = parser.parse_args()
    if options.columns:
        parameters._expansion = lambda items, bits: max(options.columns, 12 / items)  # type: ignore[assignment]
    chance, begun, matches = random.Random(options.seed), time.monotonic(), 0
    cases = list(sizes(options.every_size, options.instances, chance))
    done = 0
    for mine, theirs, shared in cases:
        matches += check(options.protocol, mine, theirs, shared, chance)
        done += 1
        if done % 500 == 0:
            print(f"{done} of {len(cases)}", file=sys.stderr)  # noqa: T201
        if time.monotonic() - begun > 60 * options.minutes:
            break
    seconds = time.monotonic() - begun
    print(f"{done} instances exact, {matches} matches in all, {seconds:.0f} s")  # noqa: T201


def sizes(every: int | None, count: int, chance: random.Random) -> Iterator[tuple[int, int, int]]:
    """Sizes of both sets and of their overlap: none, some, all, or one."""
    if every is not None:
        for size in range(every + 1):
            other = chance.randint(0, every)
            yield size, other, chance.randint(0, min(size, other))
        return
    for _ in range(count):
        mine, theirs = (int(LARGEST ** chance.random()) - 1 for _ in range(2))
        least = min(mine, theirs)
        yield mine, theirs, chance.choice([0, min(1, least), least, chance.randint(0, least)])


def check(name: str, mine: int, theirs: int, shared: int, chance: random.Random) -> int:
    """One run in mode both; raises where it is not exact."""
    pool = [f"{value:x}" for value in chance.sample(range(1 << 40), mine + theirs - shared)]
    left, right = pool[:mine], pool[mine - shared :]
    chance.shuffle(left)
    chance.shuffle(right)
    session, made = secrets.token_bytes(32), PROTOCOLS[name]
    places = [Context(session, "fuzz", party, secrets.token_bytes) for party in "rs"]
    found = Pair(
        made.receiver(places[0], "s", _items(left), reveal="both", minimum=0, largest=10**6),
        made.sender(places[1], "r", _items(right), reveal="both", largest=10**6),
    ).run()
    ours, peers = found["r"].own, found["s"].own
    wanted = set(left) & set(right)
    exact = (
        len(ours) == len(peers) == shared == len(wanted)
        and {left[row] for row in ours} == wanted
        and [left[row] for row in ours] == [right[row] for row in peers]
        and bool((np.diff(ours) > 0).all())
    )
    if not exact:
        raise SystemExit(f"not exact: {mine} against {theirs} items, {shared} shared")
    return shared


def _items(values: list[str]) -> Items:
    return Items(*key_buffer(pa.array(values, pa.large_string())))


if __name__ == "__main__":
    main()
