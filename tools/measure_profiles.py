"""Profiles, lists and a report of many customers: how long, how much memory, how large.

    python -m tools.measure_profiles [--rows 1000000] [--columns 60] [--listed 50000]

Customers are drawn, of 200 branches, with a label that some columns tell. Their scores come from a
model at hand, as after a horizontal training, so that nothing else is measured than what becomes of
features: profiles with reasons and segments, a list for 2,000 managers, their pages, the report.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from multiprocessing import Process
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from federated.horizontal import HorizontalFit
from federated.horizontal.model_file import RowsModel
from profiles.branch_rows import branch_job, copied, write_branch_rows
from profiles.job import Job
from profiles.tables import open_tables

MANAGERS, BRANCHES = 2_000, 200


def main() -> None:
    """A line a figure."""
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    given.add_argument("--rows", type=int, default=1_000_000)
    given.add_argument("--columns", type=int, default=60)
    given.add_argument("--listed", type=int, default=50_000)
    asked = given.parse_args()
    with TemporaryDirectory() as folder:
        _measure(Path(folder), asked.rows, asked.columns, asked.listed)


def _measure(folder: Path, rows: int, columns: int, listed: int) -> None:
    features = tuple(f"column_{i}" for i in range(columns))
    made = Process(target=_tables, args=(folder, rows, features))  # its memory is not counted
    made.start()
    made.join()
    parties = [{"name": n, "table": f"{n}.people", "features": list(features)} for n in "ab"]
    job = Job.load(
        {
            "job": {"name": "many", "purpose": "retention"},
            "party": parties,
            "train": {"task": "leaves", "split": "horizontal", "label": "left"},
            "profile": {"facts": ["id"]},
            "target": [{"product": "call", "top": listed, "managers": "a.managers"}],
        }
    )
    rng = np.random.default_rng(2)
    fit = HorizontalFit(
        coefficients=rng.normal(0, 0.2, columns),
        intercept=-1.0,
        mean=np.zeros(columns),
        scale=np.ones(columns),
        rows=rows,
        positives=rows // 4,
        fold_aucs=np.zeros(0),
        log=np.zeros(0),
    )
    model = RowsModel(
        task="leaves",
        label="left",
        positive="",
        features=features,
        parties=("a", "b"),
        contract="00" * 32,
        purpose="retention",
        made=0,
        fit=fit,
    )
    mine, source = branch_job(job, "a", model), open_tables(folder / "tables.toml")
    begun, worked = time.perf_counter(), time.process_time()
    with copied(mine, source) as tables:
        _say("copy", begun, worked)
        begun, worked = time.perf_counter(), time.process_time()
        write_branch_rows(mine, model, tables, folder / "out")
    _say("profiles, lists, report", begun, worked)
    for name in ("report.html", "profiles.parquet", "targets.csv"):
        sys.stdout.write(f"{name} {(folder / 'out' / name).stat().st_size / 1e6:.1f} MB\n")


def _say(what: str, begun: float, worked: float) -> None:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    took = time.perf_counter() - begun, time.process_time() - worked
    sys.stdout.write(f"{what}: {took[0]:.1f} s, {took[1]:.1f} s of a core, {most:.2f} GB at most\n")
    sys.stdout.flush()


def _tables(folder: Path, rows: int, features: tuple[str, ...]) -> None:
    rng = np.random.default_rng(1)
    table = {"id": [f"c{i:08d}" for i in range(rows)]}
    table |= {name: rng.normal(size=rows).astype(np.float64) for name in features}
    table["left"] = (rng.random(rows) < 0.25).astype(np.int64)
    table["branch"] = [f"b{i}" for i in rng.integers(0, BRANCHES, rows)]
    pq.write_table(pa.table(table), folder / "people.parquet")
    managers = [f"m{i},b{i % BRANCHES}\n" for i in range(MANAGERS)]
    (folder / "managers.csv").write_text("manager,branch\n" + "".join(managers))
    (folder / "tables.toml").write_text(
        '[a.people]\npath = "people.parquet"\n[a.managers]\npath = "managers.csv"\n'
    )


if __name__ == "__main__":
    main()
