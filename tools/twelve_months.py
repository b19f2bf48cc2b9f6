"""Twelve monthly jobs over a hub, by the commands: how many a new node runs, and what they tell.

    FEDPROFILE_DATA=... python -m tools.twelve_months [--score-bits 0,2,1] [--keep FOLDER]

A hub and two nodes on this machine, the bureau's policy as `fedprofile node init` writes it but for
three things: its tables state no lawful basis, a rule says yes to whatever the policy lets pass,
and a day may have twelve jobs, for they all are of one day here (the book keeps 400). Every month
the bank runs `examples/credit_default` again, twenty other customers left out. Then both attacks of
`python -m benchmarks attack --only rows-over-months` are played on the bank's own outputs: an
insider who knows every row there is and the directions, and a lattice that knows none. The ledgers
of all jobs are verified against each other, and the bureau's book is printed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from benchmarks.attack.columns import BAR, CHURN, MONTHS, largest_cell, whole_rows
from benchmarks.attack.data import EXAMPLES, Joined, bound, joined
from federated.approval.policy_file import NEW_POLICY
from tests.e2e.hub_world import World
from tools.measure_trees import DATA

FOLDER = DATA / "credit_default"
GUEST, HOST = "default_credit_hetero_guest.csv", "default_credit_hetero_host.csv"
OFFICER = '\n[[approve]]\nname = "every month"\n'
"""The rule stands in for an officer who says yes."""


def told(text: str) -> None:
    """A line, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def table(name: str, path: Path, columns: list[str]) -> str:
    """A party's table, its columns for features and the label, matched by `id`."""
    allowed = ", ".join(f'{c} = "{"label" if c == "y" else "feature"}"' for c in columns)
    return f'[{name}.clients]\npath = "{path}"\nkeys = ["id"]\npermissions = {{ {allowed} }}\n'


def policy(four_eyes: bool) -> str:
    """A new node's, but for what the page's first lines say."""
    changes = {'basis = "persons"': 'basis = "none"', "jobs_a_day = 10": f"jobs_a_day = {MONTHS}"}
    if not four_eyes:
        changes["four_eyes = true"] = "four_eyes = false"
    text = NEW_POLICY
    for before, after in changes.items():
        if text.count(before) != 1:
            raise SystemExit(f"a new node's policy has no {before!r}")
        text = text.replace(before, after)
    return text + OFFICER


class Months:
    """One bank and one bureau whose book outlives a job."""

    def __init__(self, folder: Path, score_bits: int) -> None:
        self.folder, self.guest = folder, csv.read_csv(FOLDER / GUEST)
        job = (EXAMPLES / "credit_default" / "job.toml").read_text("utf-8")
        asked = f'label = "bank.y"\nscore_bits = {score_bits}' if score_bits else 'label = "bank.y"'
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "job.toml").write_text(job.replace('label = "bank.y"', asked))
        self.world = World(folder / "world", party="bank")
        (self.world.hub / "party" / "policy.toml").write_text(policy(four_eyes=False))
        self.world.start_hub()
        bureau = self.world.join("bureau")
        (bureau / "policy.toml").write_text(policy(four_eyes=True))
        self.world.introduce(self.world.hub / "party", bureau)
        columns = csv.read_csv(FOLDER / HOST).column_names
        self.world.start_node("bureau", table("bureau", FOLDER / HOST, columns[1:]))

    def month(self, number: int) -> tuple[Path | None, str]:
        """The outputs of one job, or why there are none."""
        rows = np.arange(self.guest.num_rows)
        kept = np.delete(rows, rows[number * CHURN : (number + 1) * CHURN])
        path = self.folder / f"bank-{number}.csv"
        csv.write_csv(self.guest.take(pa.array(kept)), path)
        tables = self.folder / "tables.toml"
        columns = [name for name in self.guest.column_names if name != "id"]
        tables.write_text(table("bank", path, columns))
        out = self.folder / f"out-{number}"
        words = ["run", str(self.folder / "job.toml"), "--tables", str(tables), "--quiet"]
        done = self.world.command(
            *words, "--out", str(out), "--hub", str(self.world.hub), check=False
        )
        path.unlink()
        return (out, "") if done.returncode == 0 else (None, _last(done.stderr or done.stdout))

    def verified(self) -> str:
        """The bureau's ledgers against the bank's: those of a refused job have an unheard frame."""
        bureau, bank = self.world.node("bureau"), self.world.hub / "party"
        found = [
            (file, bank / "jobs" / file.parent.name / file.name)
            for file in sorted(bureau.glob("jobs/*/ledger.jsonl"))
        ]
        right = 0
        for mine, other in found:
            words = ("ledger", "verify", str(mine), "--identity", str(bureau / "identity.json"))
            done = self.world.command(*words, "--against", str(other), check=False)
            right += done.returncode == 0
        return f"{right} of {len(found)} pairs of ledgers agree, the others broke off"

    def book(self) -> str:
        """What the bureau's book says, in its own words."""
        done = self.world.command("node", "releases", "--home", str(self.world.node("bureau")))
        return done.stdout


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines)[:300]


def numbers_of(found: Joined, places: dict[str, int], outs: list[Path]) -> tuple[np.ndarray, ...]:
    """Rows that share all jobs' folds, and the partner's part as told, by the bank's outputs.

    The receiver subtracts its own part. It knows its own model; here a fit says it, exactly.
    """
    scores = np.full((len(places), len(outs)), np.nan)
    folds = np.full((len(places), len(outs)), -1, np.int64)
    for job, out in enumerate(outs):
        held = pq.read_table(out / "held_out.parquet")
        at = np.array([places[str(entity)] for entity in held["entity"].to_pylist()])
        p = np.asarray(held["joined"], np.float64)
        scores[at, job], folds[at, job] = np.log(p / (1 - p)), np.asarray(held["fold"])
    whole = np.flatnonzero((folds >= 0).all(axis=1))
    rows = whole[largest_cell(folds[whole])]
    own = np.column_stack([found.own, np.ones(len(found.own))])[rows]
    design = np.column_stack([own, found.partner[rows]])
    fit = np.linalg.lstsq(design, scores[rows], rcond=None)[0]
    return rows, scores[rows] - own @ fit[: own.shape[1]]


def played(folder: Path, score_bits: int, found: Joined, places: dict[str, int]) -> None:
    """Twelve months at one setting."""
    months = Months(folder, score_bits)
    outs: list[Path] = []
    try:
        told(f"--- {f'score_bits = {score_bits}' if score_bits else 'the defaults of a job'}")
        for number in range(MONTHS):
            since = time.perf_counter()
            out, why = months.month(number)
            outs += [out] if out else []
            took = time.perf_counter() - since
            told(f"month {number + 1}: {'ran' if out else 'refused: ' + why} ({took:.0f} s)")
        told(f"{len(outs)} of {MONTHS} jobs ran; {months.verified()}")
        told(months.book())
    finally:
        months.world.stop()
    if outs:
        leakage = json.loads((outs[-1] / "metrics.json").read_text("utf-8"))["leakage"]
        told(f"the last report's leakage: {json.dumps(leakage)[:600]}")
        rows, numbers = numbers_of(found, places, outs)
        insider, blind, bits = whole_rows(found, rows, numbers)
        most = found.mode + BAR
        told(
            f"whole rows of {len(rows):,}: an insider {insider:.4f}, a lattice {blind or 0:.4f}, "
            f"the most frequent row {found.mode:.4f}; {bits:.2f} bits told of {found.entropy:.2f}: "
            f"{'holds' if max(insider, blind or 0) <= most else 'DOES NOT HOLD'}"
        )


def main() -> None:
    """All settings in turn, each with a bureau of its own."""
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    given.add_argument("--score-bits", default="0,2,1")
    given.add_argument("--keep", type=Path, default=None)
    asked = given.parse_args()
    found = joined(bound("credit_default"))
    keys = [str(key) for key in csv.read_csv(FOLDER / GUEST)["id"].to_pylist()]
    places = {key: at for at, key in enumerate(keys)}
    if len(places) != len(found.label):
        raise SystemExit("credit_default has customers that the bureau does not know")
    with tempfile.TemporaryDirectory(prefix="fedprofile-months-") as name:
        for score_bits in (int(text) for text in asked.score_bits.split(",")):
            played((asked.keep or Path(name)) / f"bits-{score_bits}", score_bits, found, places)


if __name__ == "__main__":
    main()
