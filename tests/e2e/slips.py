"""Slips in a job, a table or a peer's shape, one each, and what is said of them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

ROWS = 240
BANK = {"name": "bank", "table": "bank.t", "keys": [["id"]], "features": ["z"]}
BUREAU = {"name": "bureau", "table": "bureau.t", "keys": [["id"]], "features": ["a", "b"]}
TELECOM = {"name": "telecom", "table": "telecom.t", "keys": [["id"]], "features": ["q"]}
TRAIN = {"task": "churn", "label": "bank.y", "folds": 2}
SEGMENT = {"by": "bank.g", "measures": ["bureau.m:sum"]}
CATEGORY = {"by": "bureau.k", "categories": ["x"], "measures": ["bank.z:sum[0,9]"]}
TWO_WAY = CATEGORY | {"by": ["bank.g", "bureau.k"]}
SUMS = {"measures": ["bureau.m:sum[0,9]"]}
BINS = {"label": "bank.y"}
LIST = {"product": "offer", "top": 5}
OWN_BINS = BINS | {"columns": ["bank.w", "bureau.a"]}
TREES = {"model": "trees", "trees": 2, "depth": 2, "row_bits": 2}

Tables = dict[str, dict[str, Any]]


def asked(**changes: Any) -> dict[str, Any]:
    """A job of one training; sections that are given come in its place or beside it."""
    job: dict[str, Any] = {
        "job": {"name": "j", "purpose": "p", "key_bits": 2048},
        "party": [BANK, BUREAU],
        "align": {"minimum_overlap": 20} | changes.pop("align", {}),
    }
    if not changes.keys() & {"aggregate", "join_sum"}:
        job["train"] = [TRAIN | changes.pop("train", {})]
    return job | changes


def world(rows: int = ROWS) -> Tables:
    rng = np.random.default_rng(5)
    ids = [f"c{i}" for i in range(rows)]
    half = [i % 2 for i in range(rows)]
    bank = {"id": ids, "z": rng.normal(size=rows), "y": half}
    bank |= {"g": [f"g{i}" for i in half], "note": ["n"] * rows}
    bureau: dict[str, Any] = {name: rng.normal(size=rows) for name in "abm"}
    telecom = {"id": ids, "q": rng.normal(size=rows)}
    bureau |= {"id": ids, "k": ["x"] * rows}
    north = {"z": rng.normal(size=rows), "y": half}
    return {"bank": bank, "bureau": bureau, "telecom": telecom, "north": north}


def first(tables: Tables, party: str, rows: int) -> Tables:
    """The same with fewer rows at one party."""
    return tables | {party: {name: list(column)[:rows] for name, column in tables[party].items()}}


def wide(party: str, columns: int, rows: int) -> Tables:
    """A table of many columns for its rows."""
    rng, tables = np.random.default_rng(7), world(rows)
    tables[party] |= {f"f{i}": rng.normal(size=rows) for i in range(columns)}
    return tables


def spoiled(party: str, **columns: Any) -> Tables:
    tables = world()
    tables[party] |= columns
    return tables


@dataclass(frozen=True)
class Slip:
    """A job with its tables, in which one thing is wrong, and what is said of it."""

    said: str
    job: dict[str, Any]
    tables: Tables
    code: tuple[int, ...] = (3, 4, 6)


def column(party: str, name: str, values: Any, said: str, **job: Any) -> Slip:
    """One column of one party's holds something else."""
    tables = world()
    tables[party][name] = values
    return Slip(said, asked(**job), tables)


DAY = dt.date(2026, 1, 2)
ODD: dict[str, Any] = {
    "dates": [DAY] * ROWS,
    "times": pa.array([dt.datetime(2026, 1, 2, 10)] * ROWS, pa.timestamp("us", "Europe/Berlin")),
    "durations": [dt.timedelta(days=1)] * ROWS,
    "bytes": [b"\x00\xff"] * ROWS,
    "lists": [[1, 2]] * ROWS,
    "structs": [{"a": 1}] * ROWS,
    "maps": pa.array([[("a", 1)]] * ROWS, pa.map_(pa.string(), pa.int64())),
    "nothing": pa.nulls(ROWS),
}
LISTS = {"target": [LIST]}
ROLES: dict[str, tuple[str, str, dict[str, Any], set[str]]] = {
    # where, which column, in what job, and what may be in it all the same
    "key": ("bank", "id", {}, {"dates", "times"}),
    "partner's key": ("bureau", "id", {}, {"dates", "times"}),
    "feature": ("bank", "z", {}, {"nothing"}),
    "partner's feature": ("bureau", "a", {}, {"nothing"}),
    "label": ("bank", "y", {}, set()),
    "segment": ("bank", "g", {"aggregate": [SEGMENT]}, {"dates", "times"}),
    "segment of a table of two ways": (
        "bank", "g", {"aggregate": [TWO_WAY]}, {"dates", "times"},
    ),
    "measure": ("bureau", "m", {"aggregate": [SEGMENT]}, {"nothing"}),
    "category": ("bureau", "k", {"aggregate": [CATEGORY]}, {"dates", "times", "nothing"}),
    "amount": ("bank", "z", {"aggregate": [CATEGORY]}, {"nothing"}),
    "summed": (
        "bureau", "m", {"align": {"reveal": "cardinality"}, "join_sum": [SUMS]}, {"nothing"},
    ),
    "name": ("bank", "note", {"target": [LIST | {"name": "note"}]}, {"dates", "times", "nothing"}),
    "list column": (
        "bank", "note", {"target": [LIST | {"columns": ["note"]}]},
        {"dates", "times", "nothing", "lists"},
    ),
    "entity": ("bank", "note", {"profile": {"facts": ["note"]}}, {"dates", "times", "nothing"}),
    "branch": ("bank", "branch", LISTS, {"dates", "times", "nothing"}),
    "weight": ("bank", "w", {"train": {"weight": "bank.w"}}, set()),
    "offset": ("bank", "w", {"train": {"offset": "bank.w"}}, {"nothing"}),
    "binned": ("bureau", "a", {"binning": [BINS]}, {"nothing"}),
    "own binned": ("bank", "w", {"binning": [OWN_BINS]}, {"nothing"}),
    "label of bins": ("bank", "w", {"binning": [{"label": "bank.w"}]}, set()),
    "label of numbers": (
        "bank", "w", {"train": {"model": "linear", "label": "bank.w"}}, set(),
    ),
    "label of counts": (
        "bank", "w", {"train": {"model": "poisson", "label": "bank.w"}}, set(),
    ),
    "feature of trees": ("bureau", "a", {"train": TREES}, {"nothing"}),
    "feature of scorecards": ("bureau", "a", {"train": {"model": "scorecard"}}, {"nothing"}),
    "feature of counted scores": ("bureau", "a", {"train": {"score_bits": 0}}, {"nothing"}),
    "rule's column": (
        "bank", "w", LISTS | {"exclude": [{"reason": "r", "column": "w", "is": ["x"]}]},
        {"dates", "nothing"},
    ),
    "offer's column": (
        "bank", "w", LISTS | {"offer": [{"name": "o", "cost_of": ["w"]}]}, {"nothing"},
    ),
}  # fmt: skip


def odd_types() -> dict[str, Slip]:
    """Every role with every type that it cannot take."""
    found = {}
    for role, (party, name, job, taken) in ROLES.items():
        for kind, values in ODD.items():
            if kind not in taken:
                found[f"{kind} as {role}"] = column(party, name, values, repr(name)[1:-1], **job)
    return found


def few(rows: int, party: str, said: str, **job: Any) -> Slip:
    return Slip(said, asked(**job), first(world(), party, rows))


FEATURES = [f"f{i}" for i in range(30)]
NUMBERS = [f"{i:,}.5" for i in range(3000, 3000 + ROWS)]
ABSENT: dict[str, dict[str, Any]] = {
    # a job that names a column which is not there, by its role
    "key": {"party": [BANK | {"keys": [["no"]]}, BUREAU]},
    "partner's key": {"party": [BANK, BUREAU | {"keys": [["no"]]}]},
    "feature": {"party": [BANK | {"features": ["no"]}, BUREAU]},
    "partner's feature": {"party": [BANK, BUREAU | {"features": ["no"]}]},
    "label": {"train": {"label": "bank.no"}},
    "time": {"train": {"time": "bank.no", "validate_from": "2025-10-01"}},
    "segment": {"aggregate": [SEGMENT | {"by": "bank.no"}]},
    "measure": {"aggregate": [SEGMENT | {"measures": ["bureau.no:sum"]}]},
    "category": {"aggregate": [CATEGORY | {"by": "bureau.no"}]},
    "amount": {"aggregate": [CATEGORY | {"measures": ["bank.no:sum[0,9]"]}]},
    "fact": {"profile": {"facts": ["no"]}},
    "list column": {"target": [LIST | {"columns": ["no"]}]},
    "name": {"target": [LIST | {"name": "no"}]},
}
LATER = {"time": "bank.on", "validate_from": "2025-10-01"}
EARLY, LATE = dt.date(2025, 9, 30), dt.date(2025, 10, 1)


def dated(said: str, days: Any, **columns: Any) -> Slip:
    """A training with a validation period, by days that are no good for it."""
    tables = world()
    tables["bank"] |= {"on": days} | columns
    return Slip(said, asked(train=LATER), tables)


def rows(said: str, tables: Tables) -> Slip:
    """A training on rows of two parties."""
    parties = [{"name": n, "table": f"{n}.t", "features": ["z"]} for n in ("bank", "north")]
    job = asked(party=parties, train={"split": "horizontal", "label": "y", "folds": 0})
    del job["align"]
    return Slip(said, job, tables)


MANAGED = LIST | {"managers": "bank.m", "history": "bank.h", "columns": ["note"]}
EFFECTS: dict[str, Any] = {
    "outcome": ["bought"], "arm": ["listed"], "group": [""], "mean_listed": [0.2],
    "effect": [0.05], "low": [0.04], "high": [0.06],
}  # fmt: skip
STOP = {"reason": "objected", "table": "bank.s", "of": "id", "entity": "who"}


def learned(said: str, **columns: Any) -> Slip:
    """A list by managers and their earlier leads, in which a column is wrong."""
    history = {"manager": ["m1"] * ROWS, "outcome": [0, 1] * 120, "note": ["n"] * ROWS} | columns
    tables = world() | {"bank.m": {"manager": ["m1"]}, "bank.h": history}
    return Slip(said, asked(target=[MANAGED | {"learn_by": ["note"]}]), tables)


def moved(said: str, **columns: Any) -> Slip:
    """A list of offers by what earlier ones changed, in which a column is wrong."""
    offers = {"offer": [{"name": "o", "value": 9}]}
    target = LIST | {"choose": "value", "effects": "bank.e"}
    return Slip(said, asked(target=[target], **offers), world() | {"bank.e": EFFECTS | columns})


SLIPS: dict[str, Slip] = odd_types() | {
    # a validation period
    "days as numbers": dated("'on': found int64, which cannot be a time", [20251001] * ROWS),
    "days in another order": dated("240 of 240 values of 'on' are no days", ["01.10.2025"] * ROWS),
    "labels without a day": dated(
        "1 rows have a label 'y' and no day in 'on'", [*[EARLY, LATE] * 119, EARLY, None]
    ),
    "all rows too late to train on": dated(
        "0 rows of its rarer class from before 2025-10-01", [LATE] * ROWS
    ),
    "no row to validate on": dated(
        "0 rows of its rarer class with on from 2025-10-01 on", [EARLY] * ROWS
    ),
    "one class to train on": dated(
        "0 rows of its rarer class from before", [EARLY] * 120 + [LATE] * 120,
        y=[1] * 120 + [0, 1] * 60,
    ),
    "one class to validate on": dated(
        "0 rows of its rarer class with on from", [EARLY] * 120 + [LATE] * 120,
        y=[0, 1] * 60 + [0] * 120,
    ),
    "too few rows before for the columns and folds": dated(
        "50 rows from before 2025-10-01 have a label", [EARLY] * 50 + [LATE] * 190
    ),
    # labels
    "three classes": column("bank", "y", [0, 1, 2] * 80, "found 3 classes"),
    "a continuous label": column("bank", "y", np.arange(ROWS) / 7, "found 240 classes"),
    "one class": column("bank", "y", [1] * ROWS, "found 1 classes"),
    "no label": column("bank", "y", [None] * ROWS, "found 0 classes"),
    "classes without positive": column("bank", "y", ["a", "b"] * 120, "positive one is not known"),
    "positive is no class": column(
        "bank", "y", ["a", "b"] * 120, "class that positive names", train={"positive": "c"}
    ),
    "few of a class": column("bank", "y", [1] * 15 + [0] * 225, "15 rows of its rarer class"),
    "few of a class for the folds": column(
        "bank", "y", [1] * 40 + [0] * 200, "40 rows of its rarer.* 10 folds", train={"folds": 10}
    ),
    "few labels for the folds": column(
        "bank", "y", [0, 1] * 50 + [None] * 140, "100 rows have a label", train={"folds": 4}
    ),
    # columns
    "text that is mostly numbers": column("bank", "z", NUMBERS, "'z'.*spell"),
    "partner's text that is mostly numbers": column("bureau", "a", NUMBERS, "'a'.*spell"),
    "infinite": column("bank", "z", [np.inf] * ROWS, "'z'.*infinite"),
    "partner's infinite": column("bureau", "a", [np.inf] * ROWS, "'a'.*infinite"),
    "numbers whose squares are infinite": column("bank", "z", [1e300, 1.0] * 120, "'z'.*1e.150"),
    "text as measure": column(
        "bureau", "m", ["x"] * ROWS, "'m'.*not numeric", aggregate=[SEGMENT]
    ),
    "too large to add up": column(
        "bureau", "m", [2.0**45] * ROWS, "'m'.*too large", aggregate=[SEGMENT]
    ),
    "too large for private sums": column(
        "bureau", "m", [1e12] * ROWS, "'m'.*2\\^42", aggregate=[SEGMENT | {"protocol": "sums"}]
    ),
    "text as amount": column("bank", "z", ["x"] * ROWS, "'z'", aggregate=[CATEGORY]),
    "more segments than a table of two ways has": Slip(
        "300 different values", asked(aggregate=[TWO_WAY]),
        world(300) | {"bank": world(300)["bank"] | {"g": [f"g{i}" for i in range(300)]}},
    ),
    "more segments than private sums have": column(
        "bank", "g", [f"g{i}" for i in range(ROWS)], "240 different values",
        aggregate=[TWO_WAY | {"protocol": "sums"}],
    ),
    "partner's constants": Slip(
        "no usable column of bureau", asked(),
        world() | {"bureau": world()["bureau"] | {"a": [1] * ROWS, "b": [2] * ROWS}},
    ),
    "constants of one of two partners": Slip(
        "no usable column of telecom", asked(party=[BANK, BUREAU, TELECOM]),
        world() | {"telecom": world()["telecom"] | {"q": [1] * ROWS}},
    ),
    "offsets that are no logarithms": column(
        "bank", "w", [600.0] * ROWS, "240 of 240 offsets in 'w' are beyond 50",
        train={"offset": "bank.w"},
    ),
    # rows
    "no row": few(0, "bank", "bank.t: the table is empty"),
    "partner without a row": few(0, "bureau", "bureau.t: the table is empty"),
    "fewer rows than to be shared": few(15, "bank", "15 different usable keys"),
    "partner's fewer rows": few(15, "bureau", "15 different usable keys"),
    "partner's rows for two classes": few(30, "bureau", "at most 30 rows can be shared"),
    "partner's rows for the folds": few(50, "bureau", "at most 50 rows.* 2 folds"),
    "more columns than rows bear": Slip(
        "for 31 columns", asked(party=[BANK | {"features": FEATURES}, BUREAU]),
        wide("bank", 30, 100),
    ),
    "partner's columns for the rows": Slip(
        "for 32 columns", asked(party=[BANK, BUREAU | {"features": FEATURES}]),
        wide("bureau", 30, 100),
    ),
    "more than the largest set": Slip(
        "240 different keys", asked(align={"largest_set": 200}), world()
    ),
    # keys
    "no valid key": Slip(
        "0 different usable keys", asked(align={"kinds": [["identity_number"]]}), world()
    ),
    "partner's keys all repeat one": column(
        "bureau", "id", ["c1"] * ROWS, "1 different usable keys"
    ),
    "keys of different widths": Slip(
        "1 and 2 columns", asked(party=[BANK, BUREAU | {"keys": [["id", "k"]]}]), world()
    ),
    "different numbers of keys": Slip(
        "1 and 2 keys", asked(party=[BANK, BUREAU | {"keys": [["id"], ["k"]]}]), world()
    ),
    "an unknown kind": Slip(
        "mean phone", asked(align={"kinds": [["phone_number"]]}), world()
    ),
    # columns that are not there, in every role
    **{f"no such {role}": Slip("'no'", asked(**job), world()) for role, job in ABSENT.items()},
    # the receiver's other tables
    "outcomes of earlier leads that are none": learned("240 of 240 values", outcome=["won"] * ROWS),
    "outcomes beyond 0 and 1": learned("120 of 240 outcomes", outcome=[0, 7] * 120),
    "earlier leads of other managers": learned("none of 240 leads", manager=["m9"] * ROWS),
    "earlier leads by lists": learned("'note'.*segment", note=[[1]] * ROWS),
    "effects that are no shares": moved("no share", mean_listed=[40.0]),
    "effects of nobody": moved("no effect of everybody", group=["note n"]),
    "effects that are texts": moved("'effect'|'mean_listed'|not numeric", effect=["large"]),
    "effects of two arms": moved(
        "2 values of 'arm'", **{k: [*v, *v] for k, v in EFFECTS.items()} | {"arm": ["a", "b"]}
    ),
    "who objected by another writing": Slip(
        "values of 'who' in bank.s are those", asked(target=[LIST], exclude=[STOP]),
        world() | {"bank.s": {"who": [f"C{i}" for i in range(9)]}},
    ),
    # rows of several parties
    "a party's few rows": rows("north.t: 5 rows with a label 'y'", first(world(), "north", 5)),
    "a party without a row": rows("north.t: the table is empty", first(world(), "north", 0)),
    "a party's other classes": rows(
        "north.t.*positive one is not known", spoiled("north", y=["a", "b"] * 120)
    ),
    "a party's missing values": rows("240 feature values", spoiled("north", z=pa.nulls(ROWS))),
    "a party's texts": rows("'z': 240 of 240", spoiled("north", z=["x"] * ROWS)),
    # the job
    "rows of pairs with three parties": Slip(
        "'join' found", asked(party=[BANK, BUREAU, TELECOM], align={"duplicates": "join"}), world()
    ),
    "a training on rows that nobody knows": Slip(
        "reveal", asked(align={"reveal": "cardinality"}), world()
    ),
    "more numbers a row than private sums take": Slip(
        "267 numbers a row", asked(aggregate=[{
            "by": "bank.g", "protocol": "sums",
            "measures": [
                f"bureau.{name}:{what}" for name in "abmcd"
                for what in ("sum", "mean", f"histogram{[*range(50)]}".replace(" ", ""))
            ],
        }]),
        world() | {"bureau": world()["bureau"] | {"c": [1.0] * ROWS, "d": [1.0] * ROWS}},
    ),
    "a list by a taken name": Slip(
        "in every list already", asked(target=[LIST | {"columns": ["segment"]}]), world()
    ),
}  # fmt: skip
