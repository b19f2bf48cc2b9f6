"""Rows with one key, at either side or both: every step counts what SQL counts.

DuckDB is the oracle. With `duplicates = "join"` the steps after an alignment that both sides know
are over the pairs of its inner join; where only one side knows the shared records, or nobody, over
what can be known there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from federated.tables.source import MemorySource
from profiles.federation import Federation, federate
from profiles.job import Job
from profiles.run import run_job

HEAD = """
[job]
name = "pairs"
purpose = "test"
key_bits = 2048

[[party]]
name = "bank"
table = "bank.t"
keys = KEYS
FEATURES

[[party]]
name = "bureau"
table = "bureau.t"
keys = KEYS
features = ["x", "w", "v", "u"]

[align]
minimum_overlap = 1
duplicates = "join"
"""
AGGREGATE = """
[[aggregate]]
by = "bank.g"
measures = ["bureau.amount:count", "bureau.amount:sum", "bureau.amount:variance"]
minimum_group = 3
"""
CATEGORY = """
[[aggregate]]
by = "bureau.kind"
categories = ["p", "q"]
measures = ["bank.money:sum[0,9]"]
epsilon = 10.0
"""
TRAIN = """
[train]
task = "churn"
label = "bank.y"
folds = 0
evaluations = 4
"""
JOIN_SUM = """
[[join_sum]]
measures = ["bureau.amount:count", "bureau.amount:sum"]
noise = "none"
minimum_group = 3
"""
REPEATS = ("receiver", "partner", "both", "many")
ONE, TWO = '[["id"]]', '[["id"], ["tel"]]'
PAIRS = """
create view pairs as select b.id, b.row as mine, u.row as theirs, g, money, z, y, amount, kind
from bank b join bureau u on b.id = u.id
"""


def tables(repeats: str) -> dict[str, pa.Table]:
    rng = np.random.default_rng(5)
    own = [f"o{i:03d}" for i in range(90)]
    more = {
        "receiver": (own[:20], []), "partner": ([], own[:20]), "both": (own[:20], own[10:30]),
        "many": (["k"] * 5, ["k"] * 7),
    }[repeats]  # fmt: skip
    left = [*own, *more[0], "bank's own", None]
    right = [*own[::-1], *more[1], "the bureau's", None]
    bank = {
        "id": left, "tel": [None] * len(left), "g": rng.choice(["a", "b"], len(left)),
        "money": rng.integers(0, 10, len(left)), "z": rng.normal(size=len(left)),
        "y": rng.integers(0, 2, len(left)),
    }  # fmt: skip
    amounts = rng.integers(-500, 500, len(right)).astype(float)
    amounts[::9] = np.nan
    bureau = {
        "id": right, "tel": [None] * len(right), "kind": rng.choice(["p", "q", "r"], len(right)),
        "amount": pa.array(amounts, from_pandas=True),
        **{name: rng.normal(size=len(right)) for name in "xwvu"},
    }  # fmt: skip
    return {"bank.t": pa.table(bank), "bureau.t": pa.table(bureau)}


def sql(data: dict[str, pa.Table], query: str, *given: str) -> list[tuple[Any, ...]]:
    """The answer over `bank`, `bureau` and their inner join `pairs`."""
    with duckdb.connect() as db:
        for name, table in data.items():
            numbered = table.append_column("row", pa.array(range(len(table))))
            db.register(name.split(".")[0], numbered)
        db.execute(PAIRS)
        return db.execute(query, given).fetchall()


def run(folder: Path, data: dict[str, pa.Table], steps: str, align: str, keys: str) -> Federation:
    own = 'features = ["z"]' if TRAIN in steps else ""
    text = HEAD.replace("KEYS", keys).replace("FEATURES", own) + align + steps
    (folder / "job.toml").write_text(text)
    job = Job.load(folder / "job.toml")
    sources = {"bank": MemorySource(data), "bureau": MemorySource(data)}
    return federate(job, sources, folder / "homes")


@pytest.mark.parametrize("repeats", REPEATS)
@pytest.mark.parametrize(
    ("protocol", "keys"),
    [("ecdh", ONE), ("ecdh", TWO), ("vole", ONE), ("vole-malicious", ONE)],
)
def test_every_step_is_over_the_pairs_of_an_inner_join(
    tmp_path: Path, repeats: str, protocol: str, keys: str
) -> None:
    data = tables(repeats)
    steps = AGGREGATE + CATEGORY + TRAIN if protocol == "ecdh" else AGGREGATE
    found = run(tmp_path, data, steps, f'protocol = "{protocol}"\n', keys)
    pairs = sql(data, "select mine, theirs from pairs order by 1, 2")
    ends = [found.outcomes[name].rows.tolist() for name in ("bank", "bureau")]
    assert list(zip(*ends, strict=True)) == pairs
    _, told = found.outcome.aggregates[0]
    by_group = """
    select count(*), count(amount), sum(amount), var_samp(amount) from pairs group by g order by g
    """
    for group, values in enumerate(sql(data, by_group)):
        assert told.rows[group] == values[0]
        np.testing.assert_allclose([v[group] for v in told.values], values[1:], rtol=1e-9)
    if protocol != "ecdh":
        return
    _, by_kind = found.outcome.categories[0]
    for place, kind in enumerate("pqr"):
        of_kind = "select count(*), sum(money) from pairs where kind = ?"
        ((count, money),) = sql(data, of_kind, kind)
        assert abs(by_kind.counts[place, 0] - count) < 20 * by_kind.scales[0]
        assert abs(by_kind.sums[0][place, 0] - money) < 20 * by_kind.scales[1]
    (trained,) = found.outcome.trained
    wanted = sql(data, "select y from pairs order by mine, theirs")
    assert trained.label.tolist() == [y for (y,) in wanted]
    assert len(trained.scores) == len(pairs)


@pytest.mark.parametrize("repeats", ["both", "many"])
def test_private_sums_count_pairs_and_records_as_encryption_does(
    tmp_path: Path, repeats: str
) -> None:
    data, asked = tables(repeats), AGGREGATE.replace("variance", "mean")
    shared = (asked + CATEGORY).replace("[[aggregate]]", '[[aggregate]]\nprotocol = "sums"')
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    one = run(tmp_path / "one", data, asked, 'protocol = "ecdh"\n', ONE)
    other = run(tmp_path / "other", data, shared, 'protocol = "ecdh"\n', ONE)
    (_, wanted), (_, found) = one.outcome.aggregates[0], other.outcome.aggregates[0]
    assert found.rows.tolist() == wanted.rows.tolist()
    np.testing.assert_array_equal(found.values, wanted.values)
    _, by_kind = other.outcome.categories[0]
    for place, kind in enumerate("pqr"):
        of_kind = "select count(*), sum(money) from pairs where kind = ?"
        ((count, money),) = sql(data, of_kind, kind)
        assert abs(by_kind.counts[place, 0] - count) < 40 * by_kind.scales[0]
        assert abs(by_kind.sums[0][place, 0] - money) < 40 * by_kind.scales[1]


@pytest.mark.parametrize("repeats", REPEATS)
@pytest.mark.parametrize("protocol", ["ecdh", "vole", "vole-malicious"])
def test_where_only_the_receiver_knows_the_join_it_is_a_semi_join(
    tmp_path: Path, repeats: str, protocol: str
) -> None:
    data = tables(repeats)
    align = f'protocol = "{protocol}"\nreveal = "receiver"\n'
    found = run(tmp_path, data, "", align, ONE)
    rows = sql(data, "select row from bank where id in (select id from bureau) order by 1")
    assert [(row,) for row in found.outcome.alignments["bureau"].rows.tolist()] == rows
    told = [d for d in found.contract.disclosures if "how often" in d.learns]
    assert not told  # nobody learns the other's repeats


@pytest.mark.parametrize("repeats", REPEATS)
def test_where_nobody_knows_the_join_sums_are_over_shared_keys(
    tmp_path: Path, repeats: str
) -> None:
    data = tables(repeats)
    found = run(tmp_path, data, JOIN_SUM, 'reveal = "cardinality"\n', ONE)
    _, told = found.outcome.join_sums[0]
    over_keys = """
    select count(distinct id), count(distinct id) filter (amount is not null), sum(amount)
    from bureau where id in (select id from bank)
    """
    assert [(told.shared, *told.values.tolist())] == sql(data, over_keys)


@pytest.mark.parametrize("repeats", REPEATS)
@pytest.mark.parametrize(
    ("reveal", "wanted"),
    [
        ("both", "select count(*), count(distinct mine) from pairs"),
        ("receiver", "select count(*), count(*) from bank where id in (select id from bureau)"),
        ("cardinality", "select count(distinct id), count(distinct id) from pairs"),
    ],
)
def test_outputs_say_how_many_pairs_and_how_many_records(
    tmp_path: Path, repeats: str, reveal: str, wanted: str
) -> None:
    data = tables(repeats)
    (tmp_path / "job.toml").write_text(
        HEAD.replace("KEYS", ONE).replace("FEATURES", "") + f'reveal = "{reveal}"\n'
    )
    run_job(Job.load(tmp_path / "job.toml"), MemorySource(data), tmp_path / "out")
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert [(metrics["matched"], metrics["matched_entities"])] == sql(data, wanted)
