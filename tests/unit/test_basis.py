"""Who may be in a job: lawful bases, row by row."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from federated.tables.admitted import AdmittedTables
from federated.tables.basis import ANY, Basis, BasisAsked, admit, nobody_left, read_basis
from federated.tables.source import MemorySource
from psi.protocol import InputError, JobError

JUNE = dt.date(2026, 6, 1)
BASIS = read_basis(
    "tables.toml: [bank.people]",
    {
        "table": "bank.consents", "of": "id", "purpose": "purpose", "recipient": "given_to",
        "channel": "channel", "from": "since", "until": "until", "withdrawn": "withdrawn",
    },
)  # fmt: skip
ROWS = [
    ("A", "retention", "telecom", None, "2026-01-01", None, None),
    ("B", "retention", "telecom", None, "2026-01-01", None, "2026-05-31"),
    ("C", "fraud", "telecom", None, "2026-01-01", None, None),
    ("D", "retention", "telecom", None, "2025-01-01", "2026-05-31", None),
    ("F", "retention", "telecom", "sms", "2026-01-01", None, "2026-02-01"),
    ("F", "retention", "telecom", "call", "2026-01-01", None, None),
    ("G", "retention", "registry", None, "2026-01-01", None, None),
    ("H", "retention", None, None, "2026-06-02", None, None),
]
NAMES = ("id", "purpose", "given_to", "channel", "since", "until", "withdrawn")
ASKED = BasisAsked("retention", ("telecom",), "consumer", JUNE)


def consents(rows: Sequence[tuple[str | None, ...]] = ROWS) -> MemorySource:
    columns = zip(*rows, strict=True)
    return MemorySource({"bank.consents": pa.table(dict(zip(NAMES, columns, strict=True)))})


def admitted(people: str, asked: BasisAsked = ASKED, basis: Basis | None = BASIS) -> str:
    assert basis is not None
    names = pa.chunked_array([list(people)], pa.large_string())
    found = admit(basis, consents(), names, asked)
    return "".join(np.array(list(people))[found.rows])


def test_those_with_a_basis_for_purpose_recipient_and_day() -> None:
    assert BASIS is not None
    people = list("ABCDEFGH")
    found = admit(BASIS, consents(), pa.chunked_array([people], pa.large_string()), ASKED)
    assert list(np.array(people)[found.rows]) == ["A", "F"]
    assert found.left_out == {
        "no basis": 1,
        "for another purpose": 1,
        "towards another recipient": 1,
        "not valid yet": 1,
        "expired": 1,
        "withdrawn": 1,
    }
    assert list(np.array(people)[found.channels["sms"]]) == ["A"]
    assert list(np.array(people)[found.channels["call"]]) == ["A", "F"]
    assert list(np.array(people)[found.channels[ANY]]) == ["A"]


@pytest.mark.parametrize(
    ("asked", "people"),
    [
        (replace(ASKED, day=dt.date(2026, 5, 30)), "ABDF"),
        (replace(ASKED, day=dt.date(2026, 5, 31)), "ADF"),  # withdrawn counts from its day on
        (replace(ASKED, day=dt.date(2026, 6, 2)), "AFH"),
        (replace(ASKED, purpose="fraud"), "C"),
        (replace(ASKED, recipients=("telecom", "registry")), ""),
        (replace(ASKED, recipients=("registry",)), "G"),
        (replace(ASKED, purpose="research"), ""),
    ],
)
def test_another_day_purpose_or_recipient(asked: BasisAsked, people: str) -> None:
    assert admitted("ABCDEFGH", asked) == people


def test_legal_entities_are_in_where_the_rule_says_so() -> None:
    assert BASIS is not None
    rule = replace(BASIS, legal_entities=True)
    assert admitted("XYZ", replace(ASKED, entity="company"), rule) == "XYZ"
    assert admitted("XYZ", ASKED, rule) == ""
    assert admitted("XYZ", replace(ASKED, entity="company")) == ""


def test_the_reason_of_who_has_a_basis_for_another_purpose_only() -> None:
    """Blanks around do not count, nor does a basis that names nobody."""
    assert BASIS is not None
    rows: list[tuple[str | None, ...]] = [
        (" A ", "fraud", None, None, "2026-01-01", None, None),
        (None, "retention", None, None, "2026-01-01", None, None),
        ("", "fraud", None, None, "2026-01-01", None, None),
    ]
    names = pa.chunked_array([["A", "B", None, " "]], pa.large_string())
    found = admit(BASIS, consents(rows), names, ASKED)
    assert not found.rows.any()
    assert found.left_out == {"no basis": 3, "for another purpose": 1}


def test_a_row_that_names_nobody_is_out_and_blanks_do_not_count() -> None:
    assert BASIS is not None
    names = pa.chunked_array([[" A ", None, ""]], pa.large_string())
    found = admit(BASIS, consents(), names, ASKED)
    assert found.rows.tolist() == [True, False, False]
    assert found.left_out == {"no basis": 2}


def test_days_that_are_none_are_refused_with_the_column() -> None:
    assert BASIS is not None
    wrong = consents([*ROWS[:1], ("B", "retention", None, None, "soon", None, None)])
    with pytest.raises(
        InputError, match=r"bank\.consents: column 'since' holds values that are no"
    ):
        admit(BASIS, wrong, pa.chunked_array([["A"]], pa.large_string()), ASKED)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ("bank.consents", "a table of key = text is needed"),
        ({"table": "t", "of": "id"}, r"basis\.purpose: missing"),
        ({"table": "t", "of": "id", "purpose": "p", "chanel": "c"}, r"basis\.chanel: unknown key"),
        ({"table": "t", "of": "i", "purpose": "p", "legal_entities": "all"}, "allowed: admit"),
    ],
)
def test_a_section_that_is_wrong_is_told_by_key(found: object, said: str) -> None:
    with pytest.raises(JobError, match=said):
        read_basis("tables.toml: [bank.people]", found)


@pytest.mark.slow
@pytest.mark.timing
def test_a_million_entities_for_three_purposes() -> None:
    rng, n = np.random.default_rng(1), 10**6
    ids = pa.array(np.arange(n).astype(str))
    every = pa.concat_arrays([ids] * 3)
    purposes = np.repeat(["retention", "fraud", "service"], n)
    since = rng.choice(np.array(["2026-01-01", "2026-07-01"]), 3 * n)
    table = pa.table({"id": every, "purpose": purposes, "since": since})
    basis = read_basis("x", {"table": "t", "of": "id", "purpose": "purpose", "from": "since"})
    assert basis is not None
    source, names = MemorySource({"t": table}), pa.chunked_array([ids]).cast(pa.large_string())
    begun = time.process_time()
    for purpose in ("retention", "fraud", "service"):
        found = admit(basis, source, names, replace(ASKED, purpose=purpose))
        assert 0.4 * n < found.rows.sum() < 0.6 * n
    # 1.8 s on one machine, 2.6 to 3.1 s on another
    assert time.process_time() - begun < 5


def test_where_nobody_is_left_the_hint_names_what_bases_say() -> None:
    assert BASIS is not None
    assert "the purpose and, as recipient, the other parties" in nobody_left("t", BASIS).hint
    columns = {key: name for key, name in BASIS.columns.items() if key != "recipient"}
    assert "recipient" not in nobody_left("t", replace(BASIS, columns=columns)).hint


def test_looking_ahead_reads_a_table_of_bases_once() -> None:
    read = list[str]()

    class Counted(MemorySource):
        def load(self, table: str, columns: Sequence[str], *, keys: Sequence[str] = ()) -> pa.Table:
            read.append(table)
            return super().load(table, columns, keys=keys)

    assert BASIS is not None
    people = pa.table({"id": list("ABCDEFGH"), "x": range(8)})
    bases = pa.table(dict(zip(NAMES, zip(*ROWS, strict=True), strict=True)))
    tables = {"bank.people": people, "bank.consents": bases}
    seen = AdmittedTables(Counted(tables, bases={"bank.people": BASIS}), lambda table: ASKED)
    for _ in range(3):
        assert seen.load("bank.people", ["x"])["x"].to_pylist() == [0, 5]
    assert sorted(read) == ["bank.consents", *["bank.people"] * 3]
