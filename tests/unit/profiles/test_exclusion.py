"""Rules on who is on no list: each condition, one reason for everybody, and what is refused."""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from federated.tables.basis import Admission
from federated.tables.source import MemorySource
from profiles.exclusion.nobody import nobody_of
from profiles.exclusion.rules import Rules
from profiles.job import Job
from profiles.language import language
from profiles.looked import looked_at
from profiles.own_table import check_own, sieved
from profiles.plan import planned
from profiles.plan_text import describe, in_text
from profiles.tables import open_tables
from psi.protocol.errors import InputError, JobError

TODAY = date(2026, 7, 1)
PEOPLE = pd.DataFrame(
    {
        "id": ["01", "02", "03", "04", "05", "06"],
        "number": [1, 2, 3, 4, 5, 6],
        "left": [None, 0, 1, 0, 0, 0],
        "kyc": ["2026-07-01", "2026-06-30", "2027-01-01", None, "2026-01-01", "2028-01-01"],
        "grade": ["A", " D", "B", None, "D", "E"],
        "age": [17, 18, 70, 71, None, 40],
        "staff": [True, False, False, False, None, False],
        "x": [0.0, 1, 2, 3, 4, 5],
    }
)
CALLS = pd.DataFrame(
    {
        "who": ["02", "03", "03", "09"],
        "day": ["2026-06-01", "2026-06-25", "2025-01-01", "2026-07-01"],
        "state": ["declined", "pending", "declined", "declined"],
        "what": ["loan", "card", "loan", "loan"],
    }
)


def job(*rules: dict[str, Any], **target: Any) -> Job:
    parties = [
        {"name": n, "table": f"{n}.people", "keys": [["id"]], "features": ["x"]}
        for n in ("bank", "shop")
    ]
    return Job.load(
        {
            "job": {"name": "n", "purpose": "retention"},
            "party": parties,
            "align": {"minimum_overlap": 1},
            "train": {"task": "churn", "label": "bank.left"},
            "target": [{"product": "loan", "leave_out": "none", **target}, {"product": "card"}],
            "exclude": [{"reason": f"rule {n}", **rule} for n, rule in enumerate(rules, 1)],
        }
    )


def tables(people: pd.DataFrame = PEOPLE) -> Any:
    return open_tables({"bank.people": people, "bank.calls": CALLS})


def out(**rule: Any) -> list[int]:
    """Whose rows one rule leaves out of the list of loans."""
    may, _ = sieved(job(rule), tables(), None, TODAY)
    assert [(r.words, r.people) for r in may.reasons] == [("rule 1", int((~may.rows).sum()))]
    return [number for number, row in enumerate(may.rows, 1) if not row]


CALLED = {"table": "bank.calls", "of": "id", "entity": "who"}
CASES: list[tuple[dict[str, Any], list[int]]] = [
    ({"column": "kyc", "before_days": 0}, [2, 5]),
    ({"column": "kyc", "before_days": 0, "missing": True}, [2, 4, 5]),
    ({"column": "kyc", "within_days": 1}, [1, 2, 3, 6]),
    ({"column": "grade", "is": ["D", "E"]}, [2, 5, 6]),
    ({"column": "grade", "is_not": "D"}, [1, 3, 6]),
    ({"column": "grade", "is_not": ["A", "B"], "missing": True}, [2, 4, 5, 6]),
    ({"column": "grade", "missing": True}, [4]),
    ({"column": "age", "below": 18}, [1]),
    ({"column": "age", "above": 70, "missing": True}, [4, 5]),
    ({"column": "age", "below": 71, "above": 17.5}, [2, 3, 6]),
    ({"column": "age", "is": [18, 70]}, [2, 3]),
    ({"column": "staff", "is": True}, [1]),
    (CALLED, [2, 3]),
    ({**CALLED, "column": "day", "within_days": 30}, [2, 3]),
    ({**CALLED, "column": "day", "within_days": 29}, [3]),
    ({**CALLED, "column": "state", "is": "declined", "product": "what"}, [2, 3]),
    ({**CALLED, "column": "state", "is": "pending", "product": "what"}, []),
    ({"table": "bank.calls", "of": "id", "entity": "who", "lists": ["loan"]}, [2, 3]),
]


@pytest.mark.parametrize(("rule", "left"), CASES)
def test_whom_a_rule_leaves_out(rule: dict[str, Any], left: list[int]) -> None:
    assert out(**rule) == left


def test_everybody_has_one_reason_in_the_order_of_steps() -> None:
    found = job(
        {"column": "age", "above": 60, "stage": "suppression", "reason": "complaint open"},
        {"column": "grade", "is": ["D", "E"], "lists": ["card"], "reason": "grade"},
        {"column": "staff", "is": True, "reason": "staff"},
        channel="sms",
    )
    reach = pd.Series([1, 1, 1, 1, 1, 0], dtype=bool).to_numpy()
    rows = pd.Series([1, 1, 1, 1, 0, 1], dtype=bool).to_numpy()
    admission = Admission(rows, {"withdrawn": 3}, {"sms": rows & reach})
    loan, card = sieved(found, tables(), admission, TODAY)
    assert [(r.stage, r.words, r.people) for r in loan.reasons] == [
        ("basis", "withdrawn", 3),
        ("basis", "lost since the job was agreed on", 1),
        ("eligibility", "staff", 1),
        ("suppression", "complaint open", 2),
        ("consent", "may not be reached by sms", 1),
    ]
    assert loan.rows.tolist() == [False, True, False, False, False, False]
    assert [(r.words, r.people) for r in card.reasons[2:]] == [
        ("grade", 2),
        ("staff", 1),
        ("has the outcome already", 1),
        ("complaint open", 1),
    ]
    assert card.rows.tolist() == [False] * 6


def test_a_plan_counts_them_before_anything_is_sent() -> None:
    rule = {"column": "kyc", "before_days": 0, "reason": "KYC has expired"}
    days = ["2020-01-01"] * 60 + ["2099-01-01"] * 120
    people = pd.DataFrame({"id": range(180), "left": [0, 1] * 90, "x": 1.0, "kyc": days})
    shop = pd.DataFrame({"id": range(180), "x": range(180)})
    said = describe(job(rule), open_tables({"bank.people": people, "shop.people": shop}))
    rest = "    still to come off: who has no score; who comes after the list is full\n"
    assert f"  loan: 120\n    not, eligibility: KYC has expired  60\n{rest}  card: 60\n" in said


def test_nobody_left_is_told_with_counts_before_anything_is_sent() -> None:
    rule = {"column": "x", "below": 100, "reason": "too little"}
    with pytest.raises(InputError, match="'loan': nobody is left of 6: 6 'too little'"):
        check_own(job(rule), tables())


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"column": "grad", "is": "D"}, "has no column 'grad'"),
    ({"column": "grade", "below": 3}, "'grade' holds .*, and the rule numbers"),
    ({"column": "age", "is": "18"}, "'age' holds .*, and the rule texts"),
    ({"column": "grade", "within_days": 3}, "5 of 6 values of 'grade' are no days"),
    ({"table": "bank.staff", "of": "id"}, "no table 'bank.staff'"),
    ({"table": "bank.calls", "of": "id"}, "bank.calls has no column 'id'"),
    ({"table": "bank.calls", "entity": "who", "of": "no"}, "bank.people has no column 'no'"),
]
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"column": "grade"}, "a condition"),
    ({"is": "D"}, "the column that the condition is on"),
    ({}, "a condition"),
    ({"column": "age", "below": 3, "is": "x"}, "one kind of condition"),
    ({"column": "age", "is": ["x", 3]}, "a list of one kind"),
    ({"column": "age", "is": []}, "a condition"),
    ({"column": "age", "before_days": 1.5}, "a whole number of days"),
    ({"column": "age", "before_days": -1}, "0 to 36600 allowed"),
    ({"column": "age", "is": 3, "lists": ["lone"]}, "did you mean loan"),
    ({"column": "age", "is": 3, "entity": "who"}, "none without a table"),
    ({"table": "shop.people"}, '"bank.TABLE"'),
    ({"column": "age", "is": 3, "stage": "later"}, "eligibility or suppression"),
]


@pytest.mark.parametrize(("rule", "told"), WRONG)
def test_a_rule_that_does_not_fit_its_table_is_told(rule: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        check_own(job(rule), tables())


@pytest.mark.parametrize(("rule", "told"), REFUSED)
def test_a_rule_that_says_nothing_clear_is_refused(rule: dict[str, Any], told: str) -> None:
    with pytest.raises(JobError, match=told):
        job(rule)


def test_rules_want_a_list() -> None:
    parties = [{"name": n, "table": f"{n}.people", "keys": [["id"]]} for n in ("bank", "shop")]
    about = {"name": "n", "purpose": "retention"}
    rule = {"reason": "staff", "column": "staff", "is": True}
    with pytest.raises(JobError, match=r"a rule with a \[\[target\]\] section"):
        Job.load({"job": about, "party": parties, "exclude": [rule]})


def stopped(own: pa.Array, theirs: pa.Array) -> Any:
    """Customers and a list of objections that names the first two of them."""
    people = pa.table({"id": own, "x": pa.array(range(len(own)), pa.float64())})
    return MemorySource({"bank.people": people, "bank.calls": pa.table({"who": theirs})})


NUMBERS = [1001, 1002, 1003]
OBJECTED = {"table": "bank.calls", "of": "id", "entity": "who"}


@pytest.mark.parametrize(
    "theirs",
    [
        pa.array(NUMBERS[:2], pa.decimal128(20, 2)),
        pa.array(NUMBERS[:2], pa.float64()),
        pa.array(NUMBERS[:2], pa.uint64()),
        pa.array(["1001", " 1002 "]),
        pa.array(["1001", "1002"]).dictionary_encode(),
    ],
    ids=["decimals", "floats", "unsigned", "texts", "codes"],
)
@pytest.mark.parametrize("own", [pa.int64(), pa.decimal128(20, 2), pa.float64(), pa.string()])
def test_who_is_on_another_table_is_found_whatever_the_types(
    own: pa.DataType, theirs: pa.Array
) -> None:
    """A decimal from one system met no whole number of another: all who objected were listed."""
    mine = pa.array([str(n) for n in NUMBERS] if own == pa.string() else NUMBERS, own)
    rules = Rules(job(OBJECTED), stopped(mine, theirs), "id", TODAY)
    (rule,) = rules.of("loan", "eligibility")
    assert rules.excluded(rule, "loan").tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("own", "theirs"),
    [
        (["001001", "001002", "001003"], ["1001", "1002"]),
        (["1001", "1002", "1003"], ["1001.0", "1002.0"]),
        (["C1", "C2", "C3"], ["c1", "c2", "c9"]),
        (["C1", "C2", "C3"], ["ｃ１", "C2", "c3"]),
        (["10-01", "10-02", "10-03"], ["1001", "1002"]),
    ],
)
def test_a_table_that_names_people_in_another_way_is_refused(
    own: list[str], theirs: list[str]
) -> None:
    """It left nobody out, and those who had objected were listed, with exit 0."""
    rules = Rules(job(OBJECTED), stopped(pa.array(own), pa.array(theirs)), "id", TODAY)
    (rule,) = rules.of("loan", "eligibility")
    with pytest.raises(
        InputError, match=r"2 values of 'who' in bank\.calls are those of 'id'"
    ) as met:
        rules.excluded(rule, "loan")
    assert not any(name in met.value.message + met.value.hint for name in (*own, *theirs))


def test_a_table_that_names_nobody_here_is_taken() -> None:
    """A list of sanctions names none of the customers on most days."""
    source = stopped(pa.array(["a", "b", "c"]), pa.array(["x", "y"]))
    rules = Rules(job(OBJECTED), source, "id", TODAY)
    (rule,) = rules.of("loan", "eligibility")
    assert not rules.excluded(rule, "loan").any()


def test_values_that_are_nobody_are_told_from_the_first_that_would_be_somebody() -> None:
    """Fewer than were found as they are written were passed over, and stayed on the list."""
    people = pd.DataFrame({"id": [f"C{n:03d}" for n in range(180)], "left": [0, 1] * 90, "x": 1.0})
    shop = pd.DataFrame({"id": people.id, "x": range(180)})
    calls = pd.DataFrame({"who": ["C001", "C002", "c003", "elsewhere"]})
    source = open_tables({"bank.people": people, "shop.people": shop, "bank.calls": calls})
    said = "2 of 4 values of 'who' are nobody in bank.people; 1 of them would be but"
    found = planned(job(OBJECTED), source)
    assert said in in_text(found)
    assert found.as_dict()["nobody"] == [
        {"table": "bank.calls", "column": "who", "values": 4, "nobody": 2, "alike": 1}
    ]
    (bank,) = looked_at(job(OBJECTED), source, job(OBJECTED).parties[:1])
    assert said in bank.to_text()
    (one,) = nobody_of(job(OBJECTED), source, "id")
    assert "其中 1 个只是写法不同" in language("zh").told(one.words(), "note")
    calls.loc[2, "who"] = "C003"
    source = open_tables({"bank.people": people, "bank.calls": calls})
    (one,) = nobody_of(job(OBJECTED), source, "id")
    assert (one.nobody, one.alike, one.words()) == (1, 0, "")


@pytest.mark.parametrize("column", ["who", "what"])
@pytest.mark.parametrize(
    "values",
    [pa.array([b"\x00\xff"] * 2), pa.array([[1, 2]] * 2), pa.array([{"a": 1}] * 2)],
    ids=["bytes", "lists", "structs"],
)
def test_a_type_that_names_nobody_is_told_with_its_column(column: str, values: pa.Array) -> None:
    calls = {"who": pa.array(["a", "b"]), "what": pa.array(["loan", "loan"])} | {column: values}
    people = pa.table({"id": ["a", "b"]})
    source = MemorySource({"bank.people": people, "bank.calls": pa.table(calls)})
    rules = Rules(job(OBJECTED | {"product": "what"}), source, "id", TODAY)
    (rule,) = rules.of("loan", "eligibility")
    with pytest.raises(InputError, match=f"column '{column}': found .*, which cannot be a"):
        rules.excluded(rule, "loan")
