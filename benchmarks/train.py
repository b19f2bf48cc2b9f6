"""The suite `train`: one model over two parties' columns, two processes, five folds.

The sets are those of the examples, laid out in one folder for every subject; what is timed begins
with aligned columns at both parties. `logistic` takes the design columns that the product's encoder
makes, and is measured by the mean AUC of five folds, each by a model that has not seen it. `trees`
and `hidden` (trees that tell no row's side) take the columns as they are, a category by its place
in the alphabet, and are measured by the AUC of the first fold.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.attack.data import Floats, bound, load
from benchmarks.attack.plain import dealt
from benchmarks.networks import LOOPBACK, Network, network
from benchmarks.ours_wire import NAMES
from benchmarks.race import race
from benchmarks.rows import Row, interleaved, median_row
from benchmarks.subjects import Subject, find
from benchmarks.wire import free_ports, started_hub
from federated.tables.inferred import CATEGORY, refuse_unclear
from federated.tables.matrix import categorical, known_labels, numeric_matrix
from psi.protocol import FedprofileError, MisuseError

__all__ = ["FOLDS", "MODELS", "lay_out", "measure"]

Told = Callable[[str], None]
Arrays = dict[str, Any]
MODELS: Mapping[str, Mapping[str, Any]] = {
    "logistic": {"folds": 5},
    "trees": {"trees": 20, "depth": 4, "rate": 0.3},
    "hidden": {"trees": 20, "depth": 4, "rate": 0.3, "score_bits": 5},
}
FOLDS = 5
PLAIN = ("trees", "hidden")
"""Models that take columns as they are."""
OVER_HUB = ("ours-hub", "ours-direct")
"""Need a hub; the second leaves it for a way of its own once both have found each other."""
INVENTED = "invented-"
"""Before a number of rows: normal columns, twenty a party."""


def measure(
    sets: Sequence[str],
    names: Sequence[str],
    *,
    model: str,
    runs: int,
    told: Told,
    timeout: float = 900.0,
    networks: Sequence[str] = (LOOPBACK,),
) -> list[Row]:
    """Medians of `runs` interleaved runs of every subject on every set and network.

    Raises `MisuseError` for a model or a set that there is not.
    """
    if model not in MODELS:
        raise MisuseError(f"model {model!r} found, {', '.join(MODELS)} allowed")
    subjects: dict[str, Subject | str] = {}
    for name in names:
        try:
            subjects[name] = find(name, "train")
        except FedprofileError as error:
            subjects[name] = str(error)
    rows: list[Row] = []
    for each in sets:
        with tempfile.TemporaryDirectory() as folder:
            sizes = lay_out(each, Path(folder), plain=model in PLAIN)
            case: dict[str, Any] = {"data": each, "model": model, **sizes, **MODELS[model]}
            for text in networks:
                with network(text) as over:
                    given = (subjects, case, folder, over, runs)
                    rows += _measured(*given, told=told, timeout=timeout)
    return rows


def _measured(
    subjects: Mapping[str, Subject | str],
    case: dict[str, Any],
    folder: str,
    over: Network,
    runs: int,
    *,
    told: Told,
    timeout: float,
) -> list[Row]:
    def run(name: str) -> dict[str, Any]:
        subject = subjects[name]
        if isinstance(subject, str):
            return {"error": subject}
        if name in OVER_HUB and over.spaces:
            return {"error": "a hub is measured over loopback only"}
        with _hub(folder) if name in OVER_HUB else nullcontext(folder) as place:
            return race(subject, case | {"folder": place}, timeout, over)

    found = interleaved(list(subjects), runs, told, f"{case['data']}, {over.name}", run)
    return [median_row("train", name, case, every, over.name) for name, every in found.items()]


@contextmanager
def _hub(folder: str) -> Iterator[str]:
    """A copy of the folder with a hub's files, for as long as the hub runs."""
    with tempfile.TemporaryDirectory() as place:
        for file in Path(folder).glob("*.npz"):
            shutil.copy(file, place)
        hub = started_hub(Path(place), NAMES)
        (Path(place) / "door").write_text(f"127.0.0.1:{free_ports(1)[0]}")
        try:
            yield place
        finally:
            hub.terminate()
            hub.wait(20)


def lay_out(name: str, folder: Path, *, plain: bool = False) -> dict[str, int]:
    """Write both parties' columns for all subjects; how many rows and columns there are.

    plain: columns as they are; `kinds` has of each how many categories, 0 where it has numbers.
    """
    own, partner, label = _columns(name, plain=plain)
    fold = dealt(label, FOLDS, np.random.default_rng(1)).astype(np.int8)
    np.savez(folder / "receiver.npz", **own, fold=fold, label=label)
    np.savez(folder / "sender.npz", **partner, fold=fold)
    sizes = {"rows": len(label), "own": own["x"].shape[1], "partner": partner["x"].shape[1]}
    (folder / "sizes.json").write_text(json.dumps(sizes))
    return sizes


def _columns(name: str, *, plain: bool) -> tuple[Arrays, Arrays, Any]:
    if name.startswith(INVENTED):
        own, partner, label = _invented(name)
    elif plain:
        return _plain(name)
    else:
        found = load(name)
        known = found.label >= 0
        own, partner, label = found.own[known], found.partner[known], found.label[known]
    kinds = [{"kinds": np.zeros(x.shape[1], np.int64)} if plain else {} for x in (own, partner)]
    return {"x": own, **kinds[0]}, {"x": partner, **kinds[1]}, label


def _plain(name: str) -> tuple[Arrays, Arrays, Any]:
    """The tables' columns with a label."""
    found = bound(name)
    label = known_labels(found.own, found.label, positive=found.positive, where=name)
    known = label >= 0
    both = zip((found.own, found.partner), found.features, strict=True)
    own, partner = (_as_they_are(table.filter(pa.array(known)), names) for table, names in both)
    return own, partner, label[known].astype(np.int8)


def _as_they_are(table: pa.Table, names: Sequence[str]) -> Arrays:
    """Numbers, and categories by their place in the alphabet; what is missing is NaN."""
    columns, kinds = [], []
    for name in names:
        if refuse_unclear(table, name).kind == CATEGORY:
            texts = categorical(table, name, role="feature")
            categories = sorted(pc.unique(texts.drop_null()).to_pylist())
            place = pc.index_in(texts, pa.array(categories, texts.type))
            columns.append(np.asarray(pc.cast(place, pa.float64()).to_numpy(zero_copy_only=False)))
            kinds.append(len(categories))
        else:
            columns.append(numeric_matrix(table, [name])[:, 0])
            kinds.append(0)
    return {"x": np.column_stack(columns), "kinds": np.array(kinds, np.int64)}


def _invented(name: str) -> tuple[Floats, Floats, Any]:
    """Normal columns and a label that hangs on all of them."""
    try:
        rows = int(float(name.removeprefix(INVENTED)))
    except ValueError:
        raise MisuseError(f"set {name!r} found, invented-ROWS such as invented-1e6 allowed") from (
            None
        )
    rng = np.random.default_rng(3)
    common = rng.normal(size=(rows, 1))
    own, partner = (0.4 * common + rng.normal(size=(rows, 20)) for _ in range(2))
    score = own @ np.linspace(0.4, -0.2, 20) + partner @ np.linspace(-0.3, 0.3, 20) - 1.0
    label = (rng.random(rows) < 1 / (1 + np.exp(-score))).astype(np.int8)
    return own, partner, label
