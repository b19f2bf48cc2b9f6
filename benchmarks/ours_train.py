"""Our side of a training: the role of a regression or of trees on the socket router.

Trees and shares lie in a sealed spool, as in a job. Each frame is sent with how many frames came
one after the other before it, so that the receiver tells `rounds`: the length of the longest chain
of messages each of which had to wait for the one before. The variant `hub` is a sealed session with
its journal, over a hub by mutual TLS, as a job's; `direct` the same where the parties' policies let
them find a way beside the hub, which they do at the step's beginning.
"""

from __future__ import annotations

import importlib.metadata
import secrets
import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.ours_psi import SESSION, drive
from benchmarks.ours_wire import JOB, NAMES, node_endpoint
from benchmarks.party import Start, Stopwatch, auc, mean_auc, meet, options, rows_of
from federated import trees
from federated.hidden_trees import HiddenFeatureParty, HiddenLabelParty, HiddenPlan
from federated.hidden_trees.plan import FEWEST_ROWS
from federated.regression import FeatureParty, LabelParty, planned
from federated.session.routers import SocketEndpoint
from federated.store.spool import Spool
from federated.trees.binning import Binning
from federated.trees.layout import Layout
from psi.protocol import Context, Envelope, Pair, Role

_DEEP = struct.Struct("<I")
PEER = {"receiver": "sender", "sender": "receiver", "a": "b", "b": "a"}
"""Over a hub parties have the names of the suite `wire`."""
HOLDERS = ("receiver", "a")


class Deep:
    """An endpoint that counts how many messages followed from each other."""

    def __init__(self, inner: SocketEndpoint) -> None:
        self._inner, self.name, self.depth = inner, inner.name, 0

    def send(self, receiver: str, frame: bytes) -> None:
        self._inner.send(receiver, _DEEP.pack(self.depth + 1) + frame)

    def receive(self, timeout: float) -> tuple[str, bytes]:
        sender, frame = self._inner.receive(timeout)
        if frame:
            self.depth = max(self.depth, _DEEP.unpack_from(frame)[0])
        return sender, frame[_DEEP.size :]


def regression(context: Context, case: dict[str, Any], rows: Any) -> Role[Any]:
    """The regression's role of the context's party, on the terms that a job has."""
    plan = planned(len(rows["fold"]), folds=case["folds"])
    peer = PEER[context.party]
    if context.party not in HOLDERS:
        return FeatureParty(context, peer, rows["x"], plan=plan)
    return LabelParty(
        context, [peer], rows["x"], rows["label"], plan=plan, folds=rows["fold"].astype(np.int64)
    )


def boosted(context: Context, case: dict[str, Any], rows: Any) -> Role[Any]:
    """The trees' role: rows of the first fold are scored only."""
    bins, layout = binned(rows)
    terms = {name: case[name] for name in ("trees", "depth", "rate")}
    plan = trees.TreesPlan(rows=len(rows["fold"]), row_bits=case["trees"] * case["depth"], **terms)
    peer = PEER[context.party]
    if context.party not in HOLDERS:
        return trees.FeatureParty(context, peer, bins, layout, plan=plan)
    return trees.LabelParty(context, [peer], bins, layout, held_out(rows), plan=plan)


def hidden(context: Context, case: dict[str, Any], rows: Any) -> Role[Any]:
    """The same of trees that tell no row's side."""
    bins, layout = binned(rows)
    terms = {name: case[name] for name in ("trees", "depth", "rate", "score_bits")}
    plan = HiddenPlan(rows=len(rows["fold"]), **terms)
    peer = PEER[context.party]
    if context.party not in HOLDERS:
        return HiddenFeatureParty(context, peer, bins, layout, plan=plan)
    return HiddenLabelParty(context, peer, bins, layout, held_out(rows), plan=plan)


def held_out(rows: Any) -> Any:
    """Labels, none in the first fold."""
    return np.where(rows["fold"] == 0, -1, rows["label"]).astype(np.int8)


def binned(rows: Any) -> tuple[list[Any], Layout]:
    """Columns in bins, categories one each."""
    binning = Binning.fit(table := plain_table(rows), table.column_names)
    return binning.transform(table), binning.layout


def plain_table(rows: Any) -> pa.Table:
    """The columns as a party's table has them: numbers, and categories as texts."""
    columns = {}
    for at, (column, categories) in enumerate(zip(rows["x"].T, rows["kinds"], strict=True)):
        gone = np.isnan(column)
        if categories:
            codes = np.where(gone, 0, column).astype(np.int64)
            columns[f"x{at}"] = pa.array(np.char.mod("c%d", codes), pa.string(), mask=gone)
        else:
            columns[f"x{at}"] = pa.array(column, mask=gone)
    return pa.table(columns)


ROLES = {"logistic": regression, "trees": boosted, "hidden": hidden}


def warm(case: dict[str, Any]) -> None:
    """Load the compiled kernels: both roles once on few rows."""
    rng = np.random.default_rng(0)
    count = FEWEST_ROWS if case["model"] == "hidden" else 2048
    fold, label = np.arange(count) % 5, (rng.random(count) < 0.4).astype(np.int8)
    small = case | {"trees": 2, "depth": 2}
    x = {"x": rng.normal(size=(count, 2)), "kinds": np.zeros(2, np.int64)}
    given = {**x, "fold": fold, "label": label}
    places = [Context(SESSION, "warm", party, secrets.token_bytes) for party in NAMES]
    Pair(*(ROLES[case["model"]](place, small, given) for place in places)).run()


def figures(case: dict[str, Any], rows: Any, result: Any) -> dict[str, Any]:
    """What the receiver tells of its model."""
    if case["model"] in ("trees", "hidden"):
        held = rows["fold"] == 0
        return {"auc": auc(rows["label"][held], result.margin[held]), "scored_folds": 1}
    found = mean_auc(rows["label"], result.fold_scores, rows["fold"])
    return {"auc": found, "scored_folds": case["folds"], "evaluations": result.evaluations}


def run(start: Start) -> None:
    """One party from its columns to its part of the model."""
    role, case = start.role, start.case
    rows = rows_of(role, case)
    warm(case)
    with tempfile.TemporaryDirectory() as folder:
        meet(role, start.port, start.hosts)
        endpoint = SocketEndpoint(role, start.addresses())
        endpoint.connect(PEER[role])
        deep, waiting = Deep(endpoint), list[Envelope]()
        watch = Stopwatch()
        store = Spool(Path(folder), secrets.token_bytes)
        context = Context(SESSION, "train", role, secrets.token_bytes, store)
        result = drive(deep, ROLES[case["model"]](context, case, rows), waiting)  # type: ignore[arg-type]
        told = figures(case, rows, result) if role == "receiver" else {}
        version = importlib.metadata.version("fedprofile")
        sent = endpoint.bytes_sent
        watch.report(version, len(rows["fold"]), sent, rounds=deep.depth, **told)
        endpoint.close()


class Counted:
    """An endpoint that counts what it was given to send."""

    def __init__(self, inner: Any) -> None:
        self._inner, self.bytes_sent = inner, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def send(self, receiver: str, frame: bytes) -> None:
        self.bytes_sent += len(frame)
        self._inner.send(receiver, frame)


def direct_ways(endpoint: Any, folder: Path, name: str) -> Any:
    """What a party's policy with `[direct]` makes: b hears, a calls."""
    from federated.approval.direct import Direct
    from federated.wire.direct.door import Door
    from federated.wire.direct.ways import DirectWays

    place = (folder / "door").read_text()
    if name == "a":
        return DirectWays(endpoint, list(NAMES), Direct(dial={"b": place}), lambda knock, s: None)
    door = Door(place)
    door.start()
    return DirectWays(endpoint, list(NAMES), Direct(place, place), door.wait)


def run_over_hub(start: Start, *, direct: bool) -> None:
    """The same as a step of a session, over the hub whose files are in the case's folder."""
    from federated.keys.identity_file import read_identity, write_identity
    from federated.keys.party_keys import PartyKeys
    from federated.session.progress import NOTES
    from federated.session.session import Session
    from federated.store.memory import keep_blocks

    keep_blocks()  # as a node's process for jobs does
    folder, case = Path(start.case["folder"]), start.case
    name = NAMES[start.role == "sender"]
    rows, keys = rows_of(start.role, case), PartyKeys.generate(name)
    warm(case)
    write_identity(folder / f"{name}.identity", keys.identity)
    meet(start.role, start.port, start.hosts)
    pinned = {each: read_identity(folder / f"{each}.identity") for each in NAMES}
    endpoint: Any = Counted(node_endpoint(folder, name))
    ways = direct_ways(endpoint, folder, name) if direct else None
    home = folder / f"{name}-home"
    session = Session(JOB, keys, pinned, endpoint, home, timeout=900, beside=ways)
    session.connect()
    before, watch = endpoint.bytes_sent, Stopwatch()
    if ways is not None:  # as where a contract is signed
        ways.begin(lambda peer, data: session._frames.send_aside(peer, NOTES, data))
    role = ROLES[case["model"]](session.context("train/t"), case, rows)
    result = session.run("train/t", role)
    told = figures(case, rows, result) if start.role == "receiver" else {}
    version = importlib.metadata.version("fedprofile")
    if ways is not None:
        by_way = ways.figures()[PEER[name]]
        told["direct_share"] = by_way["direct"] / sum(by_way.values())
    watch.report(version, len(rows["fold"]), endpoint.bytes_sent - before, **told)
    session.finish()


if __name__ == "__main__":
    given = options()
    if given.variant in ("hub", "direct"):
        run_over_hub(given, direct=given.variant == "direct")
    else:
        run(given)
