"""Target lists: the best first, managers assigned by what is known, CSV that runs nothing."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from profiles.managers import NO_CAPACITY, NO_MANAGERS
from profiles.routing import Routing
from profiles.spreadsheet import csv_bytes, write_csv
from profiles.targets import target_list
from psi.protocol.errors import InputError, MisuseError


def profiles(rows: int = 1000) -> pa.Table:
    random = np.random.default_rng(5)
    score = np.round(random.random(rows), 3)
    return pa.table(
        {
            "entity": [f"c{place:05d}" for place in range(rows)],
            "branch": random.choice(["north", "south", "east"], rows, p=[0.5, 0.3, 0.2]),
            "manager": pa.array(
                random.choice(["Ann", "Bo", "gone"], rows, p=[0.1, 0.1, 0.8]),
                mask=random.random(rows) < 0.5,
            ),
            "score_deposit": pa.array(score, mask=score > 0.98),
            "reasons_deposit": [["balance high (+0.42)"]] * rows,
            "segment": pa.array(np.ones(rows, np.int32)),
        }
    )


MANAGERS = pa.table(
    {
        "manager": ["Ann", "Bo", "Cy", "Di"],
        "branch": ["north", "south", "north", None],
        "capacity": [60, 40, 50, 50],
    }
)


def test_the_best_come_first_and_ties_by_no_name() -> None:
    found = target_list(profiles(), "renewal", "deposit", 200)
    score = found.column("score").to_numpy()
    assert found.num_rows == 200
    assert (np.diff(score) <= 0).all()
    assert found.column("rank").to_pylist() == list(range(1, 201))
    whole = profiles().column("score_deposit").drop_null().to_numpy()
    np.testing.assert_array_equal(score, np.sort(whole)[::-1][:200])
    entity = np.array(found.column("entity").to_pylist())
    tied = np.flatnonzero(np.diff(score) == 0)
    assert len(tied)
    assert 0.2 * len(tied) < np.count_nonzero(entity[tied] < entity[tied + 1]) < 0.8 * len(tied)
    assert set(found.column("unassigned").to_pylist()) == {NO_MANAGERS}
    assert found.column("manager").null_count == found.num_rows


def test_the_list_does_not_depend_on_row_order() -> None:
    table = profiles()
    mixed = table.take(pa.array(np.random.default_rng(1).permutation(table.num_rows)))
    backwards = MANAGERS.take(pa.array([3, 2, 1, 0]))
    first = target_list(table, "renewal", "deposit", 200, MANAGERS)
    assert first.equals(target_list(mixed, "renewal", "deposit", 200, backwards))


def test_managers_relationship_then_branch_then_capacity() -> None:
    found = target_list(profiles(), "renewal", "deposit", 200, MANAGERS, name="branch")
    table = found.to_pandas()
    known = dict(zip(*profiles().select(["entity", "manager"]).to_pydict().values(), strict=True))
    for row in table.itertuples():
        if known[row.entity] in {"Ann", "Bo"}:
            assert (row.manager, row.assigned_by) == (known[row.entity], "relationship")
        elif row.assigned_by == "branch":
            assert {"Ann": "north", "Cy": "north", "Bo": "south"}[row.manager] == row.name
    assert table["manager"].value_counts().to_dict() == {"Ann": 60, "Cy": 50, "Di": 50, "Bo": 40}
    assert set(table["assigned_by"]) == {"relationship", "branch", "capacity"}
    assert found.column("manager").null_count == 0


def test_leads_beyond_capacity_say_why() -> None:
    few = MANAGERS.set_column(2, "capacity", pa.array([50.0, 50, 48.9, 50]))
    found = target_list(profiles(), "renewal", "deposit", 200, few)
    assert found.column("manager").null_count == 2
    left = found.filter(pa.compute.is_null(found.column("manager")))
    assert left.column("unassigned").to_pylist() == [NO_CAPACITY] * 2
    assert left.column("assigned_by").null_count == 2
    assert min(left.column("rank").to_pylist()) > 100


def test_without_capacities_the_load_is_even() -> None:
    names = pa.table({"manager": [f"m{place}" for place in range(7)]})
    leads = profiles().drop_columns(["manager"])
    found = target_list(leads, "renewal", "deposit", 100, names)
    counts = found.column("manager").value_counts().field("counts").to_numpy()
    assert counts.max() - counts.min() <= 1
    assert found.column("manager").null_count == 0


def test_only_the_eligible() -> None:
    keep = np.zeros(1000, bool)
    keep[:10] = True
    found = target_list(profiles(), "renewal", "deposit", 200, eligible=keep)
    assert found.num_rows <= 10
    none = target_list(profiles(), "x", "deposit", 9, MANAGERS, eligible=np.zeros(1000, bool))
    assert none.num_rows == 0


def test_wrong_input_is_named() -> None:
    table = profiles()
    with pytest.raises(MisuseError, match="no score"):
        target_list(table, "x", "other", 5)
    with pytest.raises(MisuseError, match="top = 0"):
        target_list(table, "x", "deposit", 0)
    with pytest.raises(InputError, match="no column 'manager'"):
        target_list(table, "x", "deposit", 5, pa.table({"who": ["a"]}))
    with pytest.raises(InputError, match="0 of 2 rows have no name in 'manager', 1 repeat one"):
        target_list(table, "x", "deposit", 5, pa.table({"manager": ["a", "a"]}))
    with pytest.raises(InputError, match="1 of 3 rows have no name in 'manager', 0 repeat one"):
        target_list(table, "x", "deposit", 5, pa.table({"manager": ["a", None, "b"]}))
    with pytest.raises(InputError, match="'capacity' holds texts"):
        target_list(table, "x", "deposit", 5, pa.table({"manager": ["a"], "capacity": ["few"]}))
    with pytest.raises(InputError, match="negative"):
        target_list(table, "x", "deposit", 5, pa.table({"manager": ["a"], "capacity": [-1]}))


def test_csv_runs_nothing(tmp_path: Path) -> None:
    evil = [
        "=cmd()",
        "+1",
        "-1",
        "@x",
        "\t=1",
        'quote "and", comma',
        "line\nbreak",
        None,
        "王\u202e",
    ]
    table = pa.table(
        {
            "=name": evil,
            "reasons": [["=a", "b"]] * len(evil),
            "score": np.linspace(-1, 1, len(evil)),
            "kind": pa.array(["=k"] * len(evil)).dictionary_encode(),
        }
    )
    write_csv(table, tmp_path / "targets.csv")
    data = (tmp_path / "targets.csv").read_bytes()
    assert data == csv_bytes(table)
    assert data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))
    assert rows[0] == ["'=name", "reasons", "score", "kind"]
    shown = [row[0] for row in rows[1:]]
    assert shown == [
        "'=cmd()",
        "'+1",
        "'-1",
        "'@x",
        "'=1",
        'quote "and", comma',
        "line break",
        "",
        "王",
    ]
    assert rows[1][1:] == ["'=a; b", "-1", "'=k"]


def test_columns_stand_beside_the_entity() -> None:
    table = profiles().append_column("phone", pa.array([f"1{p:010d}" for p in range(1000)]))
    found = target_list(table, "renewal", "deposit", 5, columns=["phone", "branch"])
    assert found.column_names[:9] == [
        *("product", "rank", "entity", "name", "phone", "branch", "task", "score", "matched"),
    ]
    places = [int(entity[1:]) for entity in found.column("entity").to_pylist()]
    assert found.column("phone").to_pylist() == [f"1{place:010d}" for place in places]


def test_branch_and_language_are_named_by_the_job() -> None:
    """Leads go to a manager who shares both, else the branch, else to whoever has room."""
    leads = pa.table(
        {
            "entity": [f"c{place}" for place in range(8)],
            "支行": ["0010", "0010 ", "0010", "0020", "0020", "0020", None, "0030"],
            "tongue": ["zh", "fr", "fr", "zh", "fr", None, "fr", "zh"],
            "knows": [None, None, None, None, None, "Bo", None, None],
            "score_deposit": np.linspace(0.9, 0.2, 8),
            "matched": [True, True, True, True, True, True, False, True],
        }
    )
    managers = pa.table(
        {
            "姓名": ["Ann", "Bo", "Cy", "Di"],
            "office": ["0010", "0010", "0020", "0040"],
            "tongue": ["zh", "fr", "zh", "fr"],
            "most": [2, 3, 2, 9],
        }
    )
    routing = Routing((("支行", "office"), ("tongue", "tongue")), "knows", "姓名", "most")
    found = target_list(leads, "renewal", "deposit", 8, managers, routing=routing).to_pandas()
    both, alone = "支行 and tongue", "支行"
    assert list(zip(found["manager"], found["assigned_by"], strict=True)) == [
        ("Ann", both), ("Bo", both), ("Bo", both), ("Cy", both), ("Cy", alone),
        ("Bo", "relationship"), ("Di", "capacity"), ("Di", "capacity"),
    ]  # fmt: skip
    assert found["matched"].tolist() == [True] * 6 + [False, True]
    assert set(found["task"]) == {"deposit"}
