"""What a party of a race needs, with nothing but Python: options, ids, a meeting, a stopwatch.

Imported by peers in environments that do not have fedprofile.
"""

from __future__ import annotations

import argparse
import json
import resource
import socket
import time
from pathlib import Path
from typing import Any, NamedTuple

ROLES = ("receiver", "sender")
HOSTS = ("127.0.0.1", "127.0.0.1")
"""Where the roles listen unless the race says otherwise."""


class Start(NamedTuple):
    """What a party is started with; `hosts` are the addresses of receiver and sender."""

    role: str
    case: dict[str, Any]
    port: int
    variant: str
    hosts: tuple[str, ...]

    def addresses(self) -> dict[str, tuple[str, int]]:
        """Where each role may listen."""
        places = zip(ROLES, self.hosts, strict=True)
        return {role: (host, self.port + i) for i, (role, host) in enumerate(places)}


def options() -> Start:
    """From the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--role", choices=ROLES, required=True)
    parser.add_argument("--case", type=json.loads, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--variant", default="")
    parser.add_argument("--hosts", default=",".join(HOSTS))
    found = parser.parse_args()
    hosts = tuple(found.hosts.split(","))
    return Start(found.role, found.case, found.port, found.variant, hosts)


def ids(role: str, case: dict[str, Any]) -> list[str]:
    """The party's identifiers, 18 characters each, as a list.

    `size_a` belong to the receiver, `size_b` to the sender; the first `matched` are shared.
    """
    return [
        f"{first}{number:017d}" for first, count in id_ranges(role, case) for number in range(count)
    ]


def id_ranges(role: str, case: dict[str, Any]) -> list[tuple[str, int]]:
    """(first character, how many) of the shared identifiers and of the party's own."""
    size = case["size_a"] if role == "receiver" else case["size_b"]
    shared = case["matched"]
    return [("0", shared), ("1" if role == "receiver" else "2", size - shared)]


def meet(role: str, port: int, hosts: tuple[str, ...] = HOSTS) -> None:
    """Return once the other party is there too."""
    if role == "receiver":
        with socket.create_server((hosts[0], port)) as server:
            link, _ = server.accept()
    else:
        end = time.monotonic() + 600
        while True:
            try:
                link = socket.create_connection((hosts[0], port))
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.005)
    with link:
        link.sendall(b"!")
        link.recv(1)


def carried(counters: str = "", device: str = "lo") -> int:
    """Bytes that a network device has received, by the kernel's counters (else those of now)."""
    try:
        lines = (counters or Path("/proc/net/dev").read_text(encoding="utf-8")).splitlines()
    except OSError:
        return 0
    return next((int(x.split()[1]) for x in lines if x.strip().startswith(f"{device}:")), 0)


# training


def rows_of(role: str, case: dict[str, Any]) -> Any:
    """A party's columns `x: float64[n, k]`, folds `int8[n]`, and the receiver's label.

    For trees, `kinds: int64[k]`: how many categories a column has, 0 where it has numbers.
    """
    import numpy as np

    with np.load(Path(case["folder"]) / f"{role}.npz", allow_pickle=False) as kept:
        return {name: kept[name] for name in kept.files}


def joined(case: dict[str, Any]) -> Any:
    """Both parties' columns in one place, for subjects that keep nothing private."""
    import numpy as np

    own, other = (rows_of(role, case) for role in ROLES)
    sides = {name: [own[name], other[name]] for name in ("x", "kinds") if name in own}
    return own | {name: np.hstack(parts) for name, parts in sides.items()}


def auc(label: Any, scores: Any) -> float:
    """Area under the curve, ties counted half."""
    import numpy as np

    values, place, many = np.unique(scores, return_inverse=True, return_counts=True)
    below = np.cumsum(many) - many
    ranks = below[place] + (many[place] + 1) / 2
    ones = np.asarray(label) == 1
    first, rest = int(ones.sum()), int((~ones).sum())
    del values
    return float((ranks[ones].sum() - first * (first + 1) / 2) / (first * rest))


def mean_auc(label: Any, scores: Any, fold: Any) -> float:
    """Of the folds, each by the model that has not seen it."""
    import numpy as np

    return float(np.mean([auc(label[fold == f], scores[fold == f]) for f in np.unique(fold)]))


class Stopwatch:
    """Wall clock and processor time of this process, all threads, from its making."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def report(
        self,
        version: str,
        matched: int,
        wire_bytes: int | None = None,
        offline_s: float | None = None,
        **more: float | None,
    ) -> None:
        """Print the party's figures; `wire_bytes` is what it sent, None if it cannot tell.

        `offline_s` is what a subject that prepares something for many runs took for that; `more`
        are figures of the suite, of which the receiver's count, None where there is none.
        """
        figures = {
            "version": version,
            "wall_s": time.perf_counter() - self.wall,
            "cpu_s": time.process_time() - self.cpu,
            "wire_bytes": wire_bytes,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "matched": matched,
        }
        if offline_s is not None:
            figures["offline_s"] = offline_s
        figures |= {name: value for name, value in more.items() if value is not None}
        print(json.dumps(figures), flush=True)
