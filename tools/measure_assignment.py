"""How much of what managers could gain the next list gains, in drawn worlds of several kinds.

    python -m tools.measure_assignment [--worlds segment,numbers] [--seeds 5] [--lists 2]

Each world draws customers (a segment, an age, a balance, a language), managers in branches (with a
skill, a language and a grade), and the chance that a manager has a success with a customer:

    even      managers differ by themselves only: some do better with everybody
    segment   each manager does better with some of eight segments than with others
    types     managers are of five hidden types, and a type does well with some segments
    numbers   strengths lie along age and balance, no two managers alike
    mixed     all of these, by halves

Earlier lists (one by default, each as long as the next) are spread evenly within branches; of a
share `--skilled` of them leads went to who speaks their language where there was room. From their
outcomes the next list is given out. Its gain is what it brings over spreading evenly within
branches, as a share of what knowing every chance would bring: "known" where kind of lead, skill and
language are all that is known, and that exactly; "results" by what was learned; "explored" with
`--explore` of the leads drawn to learn more.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.optimize import linear_sum_assignment

from profiles.assignment import Learned
from profiles.managers import assigned
from profiles.routing import Routing

WORLDS = ("even", "segment", "types", "numbers", "mixed")
ROUTING = Routing((("branch", "branch"),), "", "manager", "capacity")
COLUMNS = ("segment_name", "age", "balance", "language")
SEGMENTS, SKILLS = 8, 4
_PARTS = {
    "even": (1.0, 0.0, 0.0, 0.0),
    "segment": (0.0, 1.0, 0.0, 0.0),
    "types": (0.0, 0.0, 1.0, 0.0),
    "numbers": (0.0, 0.0, 0.0, 1.0),
    "mixed": (0.5, 0.5, 0.5, 0.5),
}


@dataclass(frozen=True)
class Leads:
    """A list: `table` as the assignment sees it, and what the truth is made of."""

    table: pa.Table
    segment: np.ndarray
    language: np.ndarray
    numbers: np.ndarray
    branch: np.ndarray


class World:
    """Managers and how they do; `strength` is how far chances differ by manager, in log-odds."""

    def __init__(
        self, kind: str, seed: int, managers: int, branches: int, strength: float, skill: float
    ) -> None:
        self.rng = rng = np.random.default_rng(seed)
        self.many, self.branches = managers, branches
        self.branch = np.arange(managers) % branches
        self.skill, self.language = rng.integers(0, SKILLS, managers), rng.integers(0, 2, managers)
        self.grade = rng.integers(0, 3, managers)
        alone, by_segment, by_type, by_number = (strength * x for x in _PARTS[kind])
        self.base = rng.normal(-1.4, 0.4, SEGMENTS)
        self.slope = rng.normal(0, 0.3, 2)
        self.types = types = rng.normal(0, by_type, (5, SEGMENTS))
        self.own = (
            rng.normal(0, by_segment, (managers, SEGMENTS)) + types[rng.integers(0, 5, managers)]
        )
        self.own += (
            rng.normal(0, alone, managers)[:, None] + 0.2 * strength * (self.grade - 1)[:, None]
        )
        self.along = rng.normal(0, by_number / np.sqrt(2), (managers, 2))
        self.skilled = skill

    def table(self, capacity: int) -> pa.Table:
        """The managers, with room for so many leads each."""
        return pa.table(
            {
                "manager": [f"m{i}" for i in range(self.many)],
                "branch": [f"b{i}" for i in self.branch],
                "skill": [f"s{i}" for i in self.skill],
                "language": [f"l{i}" for i in self.language],
                "grade": [f"g{i}" for i in self.grade],
                "capacity": np.full(self.many, capacity),
            }
        )

    def leads(self, rows: int) -> Leads:
        """New customers."""
        rng = self.rng
        segment, language = rng.integers(0, SEGMENTS, rows), (rng.random(rows) < 0.3).astype(int)
        branch, numbers = rng.integers(0, self.branches, rows), rng.normal(0, 1, (rows, 2))
        table = pa.table(
            {
                "segment_name": [f"k{i}" for i in segment],
                "age": np.round(45 + 15 * numbers[:, 0]),
                "balance": np.round(np.exp(9 + 1.2 * numbers[:, 1])),
                "language": [f"l{i}" for i in language],
                "branch": [f"b{i}" for i in branch],
            }
        )
        return Leads(table, segment, language, numbers, branch)

    def chances(
        self, leads: Leads, rows: np.ndarray, who: np.ndarray, *, own: bool = True
    ) -> np.ndarray:
        """`float64[rows, managers]`: the chance of a success; without `own`, of an average manager
        of the same skill and language."""
        segment, numbers = leads.segment[rows], leads.numbers[rows]
        logit = (self.base[segment] + numbers @ self.slope)[:, None]
        fits = (segment % SKILLS)[:, None] == self.skill[who][None]
        speaks = leads.language[rows][:, None] == self.language[who][None]
        logit = logit + self.skilled * fits + 0.6 * self.skilled * speaks
        if own:
            logit = logit + self.own[who].T[segment] + numbers @ self.along[who].T
        return np.asarray(1 / (1 + np.exp(-logit)))

    def of_pairs(self, leads: Leads, names: pa.Array) -> np.ndarray:
        """The chance of each lead with its manager; 0 without one."""
        found = np.zeros(len(names))
        who = np.array([-1 if n is None else int(n[1:]) for n in names.to_pylist()])
        for m in np.unique(who[who >= 0]):
            rows = np.flatnonzero(who == m)
            found[rows] = self.chances(leads, rows, np.array([m]))[:, 0]
        return found

    def best(self, leads: Leads, capacity: int, *, own: bool = True) -> float:
        """What the best assignment brings that knows all chances, or all but managers' own."""
        total = 0.0
        for b in range(self.branches):
            rows, who = np.flatnonzero(leads.branch == b), np.flatnonzero(self.branch == b)
            seats = np.repeat(np.arange(len(who)), capacity)
            at = linear_sum_assignment(-self.chances(leads, rows, who, own=own)[:, seats])
            total += float(self.chances(leads, rows, who)[at[0], seats[at[1]]].sum())
        return total


def measured(
    world: World, rows: int, explore: float, skilled: float, lists: int
) -> tuple[float, ...]:
    """Shares of the possible gain: by skill and language alone, by results, by results with some
    leads drawn to learn; the possible gain in successes; seconds of the fit and of giving out."""
    rng, mean = world.rng, rows // world.many
    managers = world.table(round(1.3 * mean))
    earlier = rows * lists
    before, room = world.leads(earlier), world.table(round(1.3 * mean * lists))
    first = assigned(before.table, room, ROUTING)["manager"]
    if skilled:
        routing = Routing(
            (("branch", "branch"), ("language", "language")), "", "manager", "capacity"
        )
        sure = assigned(before.table, room, routing)["manager"]
        kept = rng.random(earlier) < skilled
        first = pa.array(
            [
                s if k else f
                for s, f, k in zip(sure.to_pylist(), first.to_pylist(), kept, strict=True)
            ]
        )
    came = (rng.random(earlier) < world.of_pairs(before, first)).astype(int)
    history = pa.table(
        {**{c: before.table.column(c) for c in COLUMNS}, "manager": first, "outcome": came}
    )
    new = world.leads(rows)
    even = world.of_pairs(new, assigned(new.table, managers, ROUTING)["manager"]).sum()
    possible = world.best(new, round(1.3 * mean)) - even
    known = (world.best(new, round(1.3 * mean), own=False) - even) / possible
    start = time.process_time()
    learned = Learned.fit(
        history, managers, columns=COLUMNS, attributes=["skill", "language", "grade"]
    )
    fitted, start = time.process_time() - start, time.process_time()
    results = assigned(new.table, managers, ROUTING, learned)["manager"]
    given = time.process_time() - start
    drawn = rng.random(rows) < explore
    some = assigned(new.table, managers, ROUTING, learned, drawn)["manager"]
    shares = [(world.of_pairs(new, found).sum() - even) / possible for found in (results, some)]
    return (known, *shares, possible, fitted, given)


def main() -> None:
    """One line a world."""
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    given.add_argument("--worlds", default=",".join(WORLDS))
    given.add_argument("--leads", type=int, default=10_000)
    given.add_argument("--managers", type=int, default=200)
    given.add_argument("--branches", type=int, default=10)
    given.add_argument("--lists", type=int, default=1, help="how many earlier lists")
    given.add_argument("--seeds", type=int, default=3)
    given.add_argument("--first", type=int, default=0, help="the first seed")
    given.add_argument("--strength", type=float, default=0.7, help="how managers differ, log-odds")
    given.add_argument(
        "--skill", type=float, default=0.35, help="what a fitting skill adds, log-odds"
    )
    given.add_argument("--explore", type=float, default=0.2)
    given.add_argument("--skilled", type=float, default=0.0)
    asked = given.parse_args()
    sys.stdout.write("world     known  results  explored  possible   fit s  given s\n")
    for kind in asked.worlds.split(","):
        found = np.array(
            [
                measured(
                    World(kind, seed, asked.managers, asked.branches, asked.strength, asked.skill),
                    asked.leads,
                    asked.explore,
                    asked.skilled,
                    asked.lists,
                )
                for seed in range(asked.first, asked.first + asked.seeds)
            ]
        )
        m = found.mean(axis=0)
        sys.stdout.write(
            f"{kind:8} {m[0]:6.2f} {m[1]:8.2f} {m[2]:9.2f} {m[3]:9.0f} {m[4]:7.2f} {m[5]:8.2f}"
            f"   ({found[:, 1].min():.2f} to {found[:, 1].max():.2f})\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
