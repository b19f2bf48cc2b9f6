"""Leads by results: what became of earlier leads, what is learned from it, who gets whom."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scipy.optimize import linear_sum_assignment
from typer.testing import CliRunner

from profiles.assignment import Learned, load_leads, paired, transported
from profiles.cli import app
from profiles.language import language
from profiles.managers import assigned
from profiles.routing import Routing
from profiles.spreadsheet import write_csv
from psi.protocol.errors import InputError

ROUTING = Routing((("branch", "branch"),), "", "manager", "capacity")
LISTED = date(2026, 7, 1)


@pytest.mark.parametrize("seed", range(8))
def test_the_best_of_all_ways_is_found(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kinds, managers = rng.integers(1, 30, 2)
    value = rng.random((kinds, managers))
    leads, room = rng.integers(0, 5, kinds), rng.integers(0, 6, managers)
    found = transported(value, leads, room)
    assert (found.sum(axis=1) <= leads).all()
    assert (found.sum(axis=0) <= room).all()
    assert found.sum() == min(leads.sum(), room.sum())
    single = np.repeat(np.repeat(value, leads, axis=0), room, axis=1)
    rows, columns = linear_sum_assignment(single, maximize=True)
    assert (found * value).sum() == pytest.approx(single[rows, columns].sum())


def test_of_many_pairs_the_programme_takes_what_betters_it() -> None:
    rng = np.random.default_rng(9)
    value = rng.random((400, 300))
    leads, room = np.full(400, 3), np.full(300, 4)
    found = transported(value, leads, room)
    assert found.sum() == 1200
    rows, columns = linear_sum_assignment(
        np.repeat(np.repeat(value, leads, axis=0), room, axis=1), maximize=True
    )
    best = np.repeat(np.repeat(value, leads, axis=0), room, axis=1)[rows, columns].sum()
    assert (found * value).sum() == pytest.approx(best, rel=1e-6)


def test_a_kind_of_lead_that_fills_many_managers_finds_them() -> None:
    rng = np.random.default_rng(10)
    value = rng.random((40, 2000))
    leads, room = np.full(40, 10), np.full(2000, 3)
    leads[0] = 5_000  # more than the managers that a kind begins with can take
    found = transported(value, leads, room)
    assert found.sum() == leads.sum()
    assert (found.sum(axis=0) <= room).all()


class World:
    """Branches, managers with a skill, strengths of their own, and customers of eight kinds."""

    def __init__(self, seed: int, managers: int = 200, branches: int = 10) -> None:
        self.rng = rng = np.random.default_rng(seed)
        self.branch = np.arange(managers) % branches
        self.skill = rng.integers(0, 4, managers)
        base = rng.uniform(0.1, 0.3, 8)
        own = rng.normal(0, 0.08, (managers, 8))
        fits = (np.arange(8) % 4)[None] == self.skill[:, None]
        self.truth = np.clip(base + own + 0.06 * fits, 0, 1)
        self.branches, self.many = branches, managers

    @property
    def managers(self) -> pa.Table:
        return pa.table(
            {
                "manager": [f"m{i}" for i in range(self.many)],
                "branch": [f"b{i}" for i in self.branch],
                "skill": [f"s{i}" for i in self.skill],
                "capacity": np.full(self.many, 70),
            }
        )

    def leads(self, rows: int) -> tuple[pa.Table, np.ndarray]:
        kind = self.rng.integers(0, 8, rows)
        branch = self.rng.integers(0, self.branches, rows)
        table = {"segment_name": [f"k{i}" for i in kind], "branch": [f"b{i}" for i in branch]}
        return pa.table(table), kind

    def expected(self, found: dict[str, pa.Array], kind: np.ndarray) -> float:
        names = found["manager"].to_pylist()
        known = [(int(name[1:]), k) for name, k in zip(names, kind, strict=True) if name]
        return float(sum(self.truth[m, k] for m, k in known))

    def history(self, rows: int, refuses: int = -1) -> pa.Table:
        leads, kind = self.leads(rows)
        who = np.array(
            [int(n[1:]) for n in assigned(leads, self.managers, ROUTING)["manager"].to_pylist()]
        )
        came = (self.rng.random(rows) < self.truth[who, kind]) & (who != refuses)
        made = {"manager": [f"m{i}" for i in who], "outcome": came.astype(int)}
        return pa.table(made | {"segment_name": leads.column("segment_name")})


def fitted(world: World, history: pa.Table) -> Learned:
    return Learned.fit(history, world.managers, columns=["segment_name"], attributes=["skill"])


def gained(world: World, found: dict[str, pa.Array], leads: pa.Table, kind: np.ndarray) -> float:
    """The share of what knowing every chance would bring over spreading evenly."""
    best = 0.0
    for b in range(world.branches):
        mine = np.flatnonzero(world.branch == b)
        many = np.bincount(kind[leads.column("branch").to_numpy() == f"b{b}"], minlength=8)
        room = transported(world.truth[mine].T, many, np.full(len(mine), 70))
        best += float((room * world.truth[mine].T).sum())
    even = world.expected(assigned(leads, world.managers, ROUTING), kind)
    return (world.expected(found, kind) - even) / (best - even)


def test_one_round_of_leads_brings_most_of_what_one_round_can_tell() -> None:
    world = World(3)
    learned = fitted(world, world.history(10_000))
    leads, kind = world.leads(10_000)
    results = assigned(leads, world.managers, ROUTING, learned)
    assert results["manager"].null_count <= 0.01 * 10_000
    assert pa.array(results["assigned_by"]).to_pylist().count("branch, by results") > 9000
    counts = pd.Series(results["manager"].to_pylist()).value_counts()
    assert counts.max() <= 70
    assert gained(world, results, leads, kind) > 0.50  # .63 at most, by all but the truth


def test_leads_by_kind_come_near_leads_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(3, managers=60, branches=3)
    learned = fitted(world, world.history(3_000))
    leads, kind = world.leads(3_000)
    one_by_one = gained(world, assigned(leads, world.managers, ROUTING, learned), leads, kind)
    monkeypatch.setattr(paired, "_PAIRS", 0)
    by_kind = assigned(leads, world.managers, ROUTING, learned)
    assert gained(world, by_kind, leads, kind) == pytest.approx(one_by_one, abs=0.02)
    monkeypatch.setattr(paired, "_KINDS", 4)
    assert gained(world, assigned(leads, world.managers, ROUTING, learned), leads, kind) > 0.1


def test_strengths_along_a_number_are_learned() -> None:
    rng = np.random.default_rng(5)
    many = 8_000
    who, age = rng.integers(0, 100, many), rng.normal(45, 15, many)
    slope = rng.normal(0, 0.8, 100)
    chance = 1 / (1 + np.exp(1.0 - slope[who] * (age - 45) / 15))
    history = pa.table(
        {
            "manager": [f"m{i}" for i in who],
            "age": age,
            "outcome": (rng.random(many) < chance).astype(int),
        }
    )
    managers = pa.table({"manager": [f"m{i}" for i in range(100)]})
    learned = Learned.fit(history, managers, columns=["age"])
    two = learned.values(learned.shown(pa.table({"age": [30.0, 60.0]})), np.arange(100))
    assert np.corrcoef(two[1] - two[0], slope)[0, 1] > 0.8  # .93 in this draw
    blank = learned.shown(pa.table({"age": pa.array([None, np.nan], pa.float64())}))
    assert np.isfinite(learned.values(blank, np.arange(100))).all()


@pytest.mark.parametrize("outcome", [0, 1])
def test_outcomes_that_are_all_alike_tell_nothing_apart(outcome: int) -> None:
    world = World(2)
    history = world.history(300)
    alike = history.set_column(1, "outcome", pa.array([outcome] * 300))
    learned = fitted(world, alike)
    leads, _ = world.leads(100)
    values = learned.values(learned.shown(leads), np.arange(world.many))
    assert values.max() - values.min() < 1e-3


def test_who_rejects_everything_gains_nothing_by_it() -> None:
    world = World(4)
    learned = fitted(world, world.history(10_000, refuses=5))
    leads, _ = world.leads(7_000)  # half of the room there is
    names = assigned(leads, world.managers, ROUTING, learned)["manager"].to_pylist()
    assert names.count("m5") == 0


def test_drawn_leads_go_to_managers_who_may_be_good() -> None:
    """A manager of whom nothing is known is nobody's best, and tried all the same."""
    world = World(6)
    history = world.history(10_000)
    new = [f"m{i}" for i in range(0, 200, 10)]  # all of one branch
    known = history.filter(pc.invert(pc.is_in(history.column("manager"), pa.array(new[:10]))))
    learned = fitted(world, known)
    leads, _ = world.leads(4_000)
    drawn = world.rng.random(4_000) < 0.2
    seeds = (Random(seed) for seed in range(5))
    found = [assigned(leads, world.managers, ROUTING, learned, drawn, seed) for seed in seeds]
    by = np.array(found[0]["assigned_by"].to_pylist())
    assert set(by[drawn]) == {"branch, to learn"}
    assert set(by[~drawn]) == {"branch, by results"}
    shares = [
        np.mean([np.isin(np.array(f["manager"].to_pylist())[rows], new[:10]).mean() for f in found])
        for rows in (drawn, ~drawn)
    ]
    assert shares[0] > 1.5 * shares[1] > 0


def test_chance_does_not_tell_managers_apart_and_colleagues_share_leads() -> None:
    """Twelve managers in six branches, 33 leads each, outcomes of nobody's doing."""
    many, branches, apart = 12, 6, 0
    managers = pa.table(
        {
            "manager": [f"m{i}" for i in range(many)],
            "branch": [f"b{i % branches}" for i in range(many)],
            "capacity": [60] * many,
        }
    )
    for seed in range(20):
        rng = np.random.default_rng(seed)
        kind = [f"k{i}" for i in rng.integers(0, 4, 400)]
        history = pa.table(
            {
                "segment_name": kind,
                "manager": [f"m{i % many}" for i in range(400)],
                "outcome": (rng.random(400) < 0.18).astype(int),
            }
        )
        learned = Learned.fit(history, managers, columns=["segment_name"])
        apart += learned.apart
        if seed:
            continue
        leads = pa.table(
            {
                "segment_name": kind,
                "branch": [f"b{i}" for i in rng.integers(0, branches, 400)],
            }
        )
        # what is drawn to learn reaches everybody, also where somebody is taken to be better
        found = assigned(leads, managers, ROUTING, learned, np.ones(400, bool), Random(1))
        names = found["manager"].to_pylist()
        assert min(names.count(f"m{i}") for i in range(many)) > 10
        # of equals the less loaded comes first
        even = replace(learned, own=np.zeros_like(learned.own))
        names = assigned(leads, managers, ROUTING, even)["manager"].to_pylist()
        for i in range(branches):
            assert abs(names.count(f"m{i}") - names.count(f"m{i + branches}")) <= 1
    assert apart <= 4  # one of 20, by chance
    world = World(1)
    assert fitted(world, world.history(10_000)).chance == 1 / 200


def files(folder: Path) -> tuple[Path, Path]:
    targets = pa.table(
        {
            "product": ["loan"] * 5,
            "entity": ["001", "002", "003", "004", "005"],
            "manager": ["Wu", "Wu", "Li", "Li", None],
            "segment_name": ["a", "b", "a", "b", "a"],
        }
    )
    pa.parquet.write_table(targets, folder / "targets.parquet")
    (folder / "contacts.csv").write_text(
        "entity,manager,contacted,outcome\n"
        "001,Wu,2026-07-05,1\n"  # right
        "002,Li,2026-07-05,1\n"  # given away
        "003,Li,2026-07-20,1\n"  # late
        "004,Li,2026-06-20,0\n"  # before the list
        "009,Li,2026-07-05,1\n"  # not on it
    )
    return folder / "targets.parquet", folder / "contacts.csv"


def test_right_is_kept_and_contacted_within_ten_days(tmp_path: Path) -> None:
    targets, contacts = files(tmp_path)
    history = tmp_path / "leads.parquet"
    found = load_leads(targets, contacts, LISTED, history)
    assert (found.leads, found.unassigned, found.kept, found.right) == (4, 1, 2, 1)
    assert found.outcomes == 2
    assert found.left_out == {
        "contacts with nobody on the list": 1,
        "contacts from before the list": 1,
    }
    table = pd.read_parquet(history)
    assert table.entity.tolist() == ["001", "002", "003", "005"]
    assert table.outcome.tolist() == [1, 0, 1, 0]
    again = load_leads(targets, contacts, LISTED, history)
    assert again.history == 4  # the same list replaces itself
    assert load_leads(targets, contacts, date(2026, 8, 1), history).history == 5
    contacts.write_text(contacts.read_text().replace("2026-", "2020-"))  # the command has a clock
    words = ["leads", "load", str(targets), str(contacts), "--listed", "2020-07-01"]
    shown = CliRunner().invoke(app, [*words, "--history", str(history)])
    assert shown.exit_code == 0, shown.output
    assert "right (kept, and contacted within 10 days): 1, 25.0%" in shown.output


def test_what_is_not_known_of_a_lead_is_no_failure(tmp_path: Path) -> None:
    targets, contacts = files(tmp_path)
    contacts.write_text(
        "entity,manager,contacted,outcome\n001,Wu,2026-07-05,\n002,Wu,,1\n003,Li,,\n"
        "4,Li,2026-07-05,1\n"
    )
    history = tmp_path / "leads.parquet"
    found = load_leads(targets, contacts, LISTED, history)
    assert found.left_out == {
        "contacts with nobody on the list": 1,
        "leads with a manager, of which the contacts have no row": 1,
        "contacted leads whose outcome is blank": 1,
        "leads with outcome 1 and no day of contact": 1,
    }
    assert pd.read_parquet(history).entity.tolist() == ["003", "005"]  # nobody called on 003
    (note,) = found.notes
    assert note.startswith("1 contacts with nobody on the list name a lead of it but for case")
    assert "只是写法不同" in language("zh").told(note, "set_aside")
    contacts.write_text(
        "entity,product,manager,contacted\n001,loan,Wu,2026-07-05\n002,loans,Wu,2026-07-05\n"
    )
    (note,) = load_leads(targets, contacts, LISTED, tmp_path / "other.parquet").notes
    assert note == "1 contacts name somebody whom the list has under another product"


def test_contacts_in_the_future_and_unknown_managers_are_counted(tmp_path: Path) -> None:
    targets, contacts = files(tmp_path)
    contacts.write_text(
        "entity,manager,contacted\n001,Wu,2026-07-02\n002,Zhu,2026-07-02\n003,LI,2026-07-09\n"
        "004,Li,2026-07-02\n"
    )
    history = tmp_path / "leads.parquet"
    found = load_leads(targets, contacts, LISTED, history, date(2026, 7, 8))
    assert found.left_out == {"contacts in the future": 1}
    assert (found.kept, found.right) == (2, 2)
    (note,) = found.notes
    assert note.startswith("2 rows have a manager whom the list does not name, 1 of them it names")
    contacts.write_text(contacts.read_text().replace("Li", "li").replace("Wu", "wu"))
    with pytest.raises(InputError, match="3 rows have a manager of the list but for case"):
        load_leads(targets, contacts, LISTED, history)


def test_one_list_under_two_days_is_refused(tmp_path: Path) -> None:
    targets, contacts = files(tmp_path)
    table = pa.parquet.read_table(targets)
    ranks = pa.array(range(1, 6)), pa.array([0.9, 0.8, 0.7, 0.6, 0.55])
    pa.parquet.write_table(
        table.append_column("rank", ranks[0]).append_column("score", ranks[1]), targets
    )
    history = tmp_path / "leads.parquet"
    assert load_leads(targets, contacts, LISTED, history).history == 4
    assert load_leads(targets, contacts, LISTED, history).history == 4
    later = date(2026, 8, 1)
    with pytest.raises(InputError, match=r"leads.parquet: has this list under --listed 2026-07-01"):
        load_leads(targets, contacts, later, history)
    assert pa.parquet.read_table(history).num_rows == 4
    scores = pa.array([0.9, 0.8, 0.7, 0.6, 0.5])  # one lead has moved: another list
    pa.parquet.write_table(
        table.append_column("rank", ranks[0]).append_column("score", scores), targets
    )
    assert load_leads(targets, contacts, later, history).history == 5


def test_another_list_takes_no_leads_of_the_list_of_its_day(tmp_path: Path) -> None:
    targets, contacts = files(tmp_path)
    history = tmp_path / "leads.parquet"
    load_leads(targets, contacts, LISTED, history)
    before, table = history.read_bytes(), pa.parquet.read_table(targets)
    for other in (
        table.slice(0, 3),  # shares three
        table.set_column(  # all of its people, with others
            table.column_names.index("manager"), "manager", pa.array(["Li"] * table.num_rows)
        ),
        table.set_column(  # none of them
            table.column_names.index("entity"), "entity", pa.array(list("abcde"))
        ),
    ):
        pa.parquet.write_table(other, targets)
        some = other.column("entity")[0].as_py()
        contacts.write_text(f"entity,manager,contacted\n{some},Li,2026-07-05\n")
        with pytest.raises(InputError, match="--listed 2026-07-01 is another list's day") as error:
            load_leads(targets, contacts, LISTED, history)
        assert "give the day on which managers got this list" in error.value.hint
        assert history.read_bytes() == before
    assert load_leads(targets, contacts, date(2026, 8, 1), history).history == 5


def test_what_a_file_needs_is_said_of_the_file(tmp_path: Path) -> None:
    targets, contacts = files(tmp_path)
    contacts.write_bytes("entity,manager,contacted\n001,吴老师,2026-07-05\n".encode("gbk"))
    with pytest.raises(InputError, match="is not utf-8 text") as error:
        load_leads(targets, contacts, LISTED, tmp_path / "leads.parquet")
    assert "no tables.toml is read here" in error.value.hint
    contacts.write_text("entity,manager,contacted\n001,Wu,05.07.2026\n")
    with pytest.raises(InputError, match="are no days") as error:
        load_leads(targets, contacts, LISTED, tmp_path / "leads.parquet")
    assert "days as 2026-07-31" in error.value.hint


def test_leads_of_which_nobody_says_anything_are_no_failures(tmp_path: Path) -> None:
    targets, contacts = files(tmp_path)
    contacts.write_text("entity,manager,contacted\n001,Wu,2026-07-05\n002,Wu,\n")
    history = tmp_path / "leads.parquet"
    found = load_leads(targets, contacts, LISTED, history)
    assert (found.leads, found.unassigned, found.kept, found.right) == (3, 1, 2, 1)
    assert found.left_out == {"leads with a manager, of which the contacts have no row": 2}
    contacts.write_text("entity,manager,contacted\n003,Li,2026-07-05\n")
    assert load_leads(targets, contacts, LISTED, history).history == 4  # what was known stays
    table = pd.read_parquet(history).set_index("entity").right
    assert table.to_dict() == {"001": True, "002": False, "003": True, "005": False}


def test_a_list_in_csv_goes_with_one_in_parquet_and_types_that_changed_are_told(
    tmp_path: Path,
) -> None:
    targets, contacts = files(tmp_path)
    later = contacts.read_text().replace("2026-07-", "2026-08-").replace("2026-06-", "2026-08-")
    contacts.write_text(later)  # than both lists
    more: dict[str, pa.Array] = {
        "matched": pa.array([True, False, None, True, True]),
        "reasons": pa.array([["a", "b"]] * 5, pa.list_(pa.large_string())),
        "offer_value": pa.array([1.0, 2.0, None, 3.0, 4.0]),
        "unassigned": pa.array([None] * 5, pa.large_string()),
        "since": pa.array([date(2026, 1, 2)] * 5),
    }
    typed = pa.parquet.read_table(targets)
    for name, values in more.items():
        typed = typed.append_column(name, values)
    table = tmp_path / "targets.csv"
    write_csv(typed, table)
    pa.parquet.write_table(typed, targets)
    second = date(2026, 8, 1)
    for first, then in ((targets, table), (table, targets)):
        history = tmp_path / f"{first.suffix}.leads"
        load_leads(first, contacts, LISTED, history)
        assert load_leads(then, contacts, second, history).history == 10
        kept = pa.parquet.read_table(history)
        assert kept.schema.field("matched").type == pa.bool_()
        assert kept.column("matched").to_pylist() == more["matched"].to_pylist() * 2
        assert "reasons" not in kept.column_names
        assert pc.sum(kept.column("right")).as_py() == 1  # a CSV's '001 is 001
    old = history.read_bytes()
    for name, values in (("offer_value", ["low"] * 5), ("matched", [1] * 5)):
        place = typed.column_names.index(name)
        write_csv(typed.set_column(place, name, pa.array(values)), table)
        with pytest.raises(InputError, match=rf"targets.csv: column '{name}' is .*leads it is "):
            load_leads(table, contacts, date(2026, 9, 1), history)
        assert history.read_bytes() == old


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("entity,manager\n001,Wu\n", "no column 'contacted'"),
        ("entity,manager,contacted\n001,Wu,5 July\n", "1 of 1 values of 'contacted' are no days"),
        ("entity,manager,contacted\n001,Wu,\n001,Li,\n", "1 rows repeat a lead"),
        ("entity,manager,contacted,outcome\n001,Wu,,2\n", "1 outcomes are neither 0 nor 1"),
        ("entity,manager,contacted\n1,Wu,\n2,Li,\n", "none of 2 rows is about one of 5 leads"),
        ("entity,product,manager,contacted\n001,laon,Wu,\n", "of the list, by product and entity"),
    ],
)
def test_contacts_that_do_not_fit_change_nothing(tmp_path: Path, text: str, said: str) -> None:
    targets, contacts = files(tmp_path)
    contacts.write_text(text)
    with pytest.raises(InputError, match=said):
        load_leads(targets, contacts, LISTED, tmp_path / "leads.parquet")
    assert not (tmp_path / "leads.parquet").exists()
