"""How much of a row is told: in `plan`, `node show`, `node releases`, metrics and report."""

from __future__ import annotations

import json
import re
import secrets
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from federated.approval.decision import Request
from federated.approval.policy import Policy
from federated.approval.policy_words import in_words
from federated.contract.parts import Release
from federated.contract.release import planned
from federated.contract.terms import Contract
from federated.keys.party_keys import PartyKeys
from federated.node.home import NodeHome
from federated.node.row_bits import row_bits_of
from federated.regression import told_bits
from federated.releases.book import MICRO
from federated.releases.budget import OverBudget, check_bits, passing_score_bits
from federated.releases.learned import note_learned
from federated.releases.limits import ReleaseLimits
from federated.releases.memory import Releases
from federated.releases.row_bits import RowBits, row_bits, row_words, told_words
from federated.tables.source import MemorySource
from profiles.cli import app
from profiles.job import Job
from profiles.language import language
from profiles.plan_text import describe
from profiles.proposal import draft
from profiles.report.data import Leakage
from profiles.report.sentences import leakage_words
from psi.protocol import InputError
from tests.unit.test_budget import bits
from tests.unit.test_releases import PEOPLE, by_id

JOB = """
[job]
name = "bits"
purpose = "test"

[[party]]
name = "bank"
table = "bank.people"
keys = [["id"]]
features = ["age"]

[[party]]
name = "bureau"
table = "bureau.people"
keys = [["id"]]
features = ["loans", "limit", "odd"]

[align]
minimum_overlap = 5

[train]
task = "t"
label = "bank.y"
folds = 2
"""
IDS = {name: PartyKeys.generate(name).identity for name in ("bank", "bureau")}
ROWS = 1024


def bureau() -> pa.Table:
    """Ten bits a row: five in each of two columns, nothing more in the third."""
    number = np.arange(ROWS)
    ids = [f"p{n}" for n in number]
    columns = {"loans": number % 32, "limit": number // 32, "odd": number % 2}
    return pa.table({"id": ids, **columns})


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / "job.toml").write_text(JOB)
    return Job.load(tmp_path / "job.toml")


@pytest.fixture
def asked(job: Job) -> Contract:
    return draft(job, IDS, secrets.token_bytes(32), time.time())


def test_from_the_contract_alone(asked: Contract) -> None:
    row = row_bits(asked, "bureau")
    assert row == RowBits(
        party="bureau",
        receiver="bank",
        columns=("loans", "limit", "odd"),
        asked=told_bits(5),
    )
    assert row_bits(asked, "bank") is None
    decided = row_bits(asked, "bureau", told=1.0, held=10.0, limits=ReleaseLimits())
    assert decided is not None
    assert row_words(decided)[0] == (
        "this contract tells bank 5.0 bits of a row of bureau, in 3 columns"
    )
    assert row_words(decided)[1:3] == [
        "1.0 bits of some rows were told before: 6.0 in all",
        "a row holds 10.0 bits in them; 3.0 may be told",
    ]
    assert "decodes 8.6% of whole rows" in row_words(decided)[3]
    close = replace(decided, asked=2.41, told=0.0, allowed=2.38)
    assert row_words(close)[0].startswith("this contract tells bank 2.41 bits of a row")
    assert row_words(close)[2].endswith("; 2.38 may be told")
    assert "2.41 bits of a row of bureau at most" in told_words(close)
    assert row_words(replace(close, allowed=2.41))[2].endswith("; 2.4 may be told")
    refused = "rows of which more would be told are refused"
    assert row_words(decided)[4:] == [f"{refused}: score_bits = 1 would pass"]
    none = row_bits(asked, "bureau", told=2.5, held=10.0, limits=ReleaseLimits())
    assert none is not None
    assert row_words(none)[4:] == [f"{refused}: nothing would pass"]
    counts = row_bits(asked, "bureau", told=2.2, held=10.0, limits=ReleaseLimits())
    assert counts is not None
    assert row_words(counts)[4:] == [f"{refused}: score_bits = 0 would pass"]


@pytest.mark.parametrize(
    ("held", "finest", "named"),
    [
        (11.3, 3, "[[target]] score_bits = 2"),
        (9.5, 3, "[[target]] score_bits = 0"),
        (9.4, 0, 'score_bits = 1 and tells = "scores"'),
        (8.0, 3, "nothing"),
    ],
)
def test_of_a_told_list_the_terms_that_pass_are_named(
    asked: Contract, held: float, finest: int, named: str
) -> None:
    (train,) = asked.train
    counted = replace(train, score_bits=0, listed=300, listed_bits=finest)
    limits, job = ReleaseLimits(), replace(asked, train=(counted,))
    row = row_bits(job, "bureau", held=held, limits=limits)
    assert row is not None
    assert row_words(row)[-1].endswith(f": {named} would pass")
    if named.startswith("[["):
        bits = int(named[-1])
        for told, over in ((bits, False), (bits + 1, True)):
            changed = replace(asked, train=(replace(counted, listed_bits=told),))
            again = row_bits(changed, "bureau", held=held, limits=limits)
            assert again is not None
            assert again.allowed is not None
            assert (again.total > again.allowed) == over
    (asks,) = (r for r in planned(job, "bureau") if r.bits)
    with pytest.raises(OverBudget, match=re.escape(f"; {named} would pass")):
        check_bits("bureau.people", limits, lambda _: held, [asks], [], [], 0.0)


def test_the_score_bits_that_a_plan_names_pass_and_finer_ones_do_not(asked: Contract) -> None:
    (train,) = asked.train
    limits = ReleaseLimits()
    first = row_bits(asked, "bureau", held=10.0, limits=limits)
    assert first is not None
    assert first.passing == 2
    for finest, over in ((first.passing, False), (first.passing + 1, True)):
        changed = replace(asked, train=(replace(train, score_bits=finest),))
        again = row_bits(changed, "bureau", held=10.0, limits=limits)
        assert again is not None
        assert again.allowed is not None
        assert (again.total > again.allowed) == over
        assert again.passing == (first.passing if over else 0)


def test_a_plan_says_it_with_and_without_tables(job: Job) -> None:
    people = bureau()
    bank = people.select(["id"]).append_column("age", pa.array(np.arange(ROWS) % 70))
    bank = bank.append_column("y", pa.array(np.arange(ROWS) % 2))
    tables = MemorySource({"bank.people": bank, "bureau.people": people})
    told = describe(job, tables, 100)
    assert "a row holds 10.0 bits in them; 3.0 may be told" in told
    assert "more would be told are refused: score_bits = 2 would pass" in told
    assert "what may be told is what a new node allows; a partner's own policy decides" in told
    assert "decodes" in told
    told = describe(job, None, 100)
    assert "Bits of a row\n  this contract tells bank" in told
    assert (
        "how many a row holds is known with --tables, and to the partner: a new node lets" in told
    )


def test_an_officer_sees_what_was_told_and_what_a_row_holds(
    tmp_path: Path, asked: Contract
) -> None:
    home = NodeHome.create(tmp_path / "node", "bureau", "localhost:1")
    request = Request(bytes.fromhex(asked.nonce), "bureau", asked)
    row, unknown = row_bits_of(request, home)
    assert row is not None
    assert (row.told, row.held) == (0.0, None)
    assert unknown == ["what a row holds is in a table that this user cannot read"]
    pq.write_table(bureau(), tmp_path / "bureau.parquet")
    home.tables.write_text(f'[bureau.people]\npath = "{tmp_path}/bureau.parquet"\n')
    book = Releases(home.releases, ReleaseLimits(), secrets.token_bytes, time.time)
    told = bits(2.0, "loans")
    earlier = replace(asked, nonce="ab" * 32)
    me = earlier.party("bureau")
    book.reserve(earlier, me, told, by_id(PEOPLE), (), lambda columns: 12.0)
    row, unknown = row_bits_of(request, home)
    assert row is not None
    assert (row.told, row.held, row.allowed, unknown) == (2.0, 10.0, 3.0, [])
    words = ["node", "releases", "--home", str(home.path)]
    listed = CliRunner().invoke(app, words, env={"COLUMNS": "300"}).output
    assert "2.0" in listed
    assert (
        "bank was told 2.0 bits of a row of bureau.people at most, in 1 columns that held 12.0: "
        "4.8 may be told; an insider" in listed
    )


def test_a_receiver_notes_what_it_was_told(tmp_path: Path, asked: Contract) -> None:
    file, first = tmp_path / "kept" / "learned.json", asked
    assert note_learned(file, first) == {"bureau": 0.0}
    assert note_learned(file, first) == {"bureau": 0.0}  # a job that goes on
    assert file.stat().st_mode & 0o077 == 0
    second = replace(first, nonce="cd" * 32)
    assert note_learned(file, second)["bureau"] == pytest.approx(5.0007, abs=1e-4)
    me = second.party("bureau")
    others = replace(second, nonce="ef" * 32).with_party(replace(me, features=("other",)))
    assert note_learned(file, others) == {"bureau": 0.0}
    elsewhere = replace(second, nonce="01" * 32).with_party(replace(me, table="bureau.firms"))
    assert note_learned(file, elsewhere) == {"bureau": 0.0}
    assert note_learned(tmp_path / "none.json", replace(asked, train=())) == {}
    assert not (tmp_path / "none.json").exists()
    file.write_text(json.dumps({"lines": 1}))
    with pytest.raises(InputError, match="what was told before cannot be read"):
        note_learned(file, second)


def test_a_report_says_it_in_words() -> None:
    row = RowBits(party="bureau", receiver="bank", columns=("a", "b"), asked=8.0056)
    said = leakage_words(language("en"), Leakage("bureau", row, 1, 0, 0.0))
    assert said == [
        "This run told 8.0 bits of a row, in the mean of rows, in 2 columns.",
        "Of earlier runs nothing is kept where all parties run in one process.",
        "How many a row holds is known to bureau alone.",
        "A column was in one answer.",
    ]
    said = leakage_words(
        language("en"), Leakage("bureau", replace(row, told=4.0, held=14.3), 2, 3, 0.5)
    )
    assert "Earlier runs told up to 4.0 bits of a row that was in all of them: 12.0 with" in said[1]
    assert "reads 30% of whole rows from that" in said[3]
    assert said[4:] == [
        "Noised tables spent epsilon 0.5 of a column.",
        "A column was in 2 answers.",
        "There were 3 thresholds of a column.",
    ]


def test_advice_counts_what_coarser_scores_tell_as_well() -> None:
    """Trees that tell nothing but scores tell sums of nodes beside them all the same."""
    asked = Release(step="train/t", columns=("a",), bits=6.5, besides=0.5, vectors=1, rounded=True)
    for left, passes in ((6.6, 6), (6.4, 5), (5.6, 5), (5.4, 4), (1.6, 0)):
        assert passing_score_bits([asked], round(left * MICRO)) == passes
    assert passing_score_bits([replace(asked, besides=0.0)], round(6.4 * MICRO)) == 6


def test_whole_rows_are_called_so() -> None:
    """A `row_share` of 100 is no ten thousand per cent of what a row holds."""
    policy = Policy(releases=ReleaseLimits(row_share=100.0))
    said = "\n".join(in_words(policy))
    assert "one receiver may learn whole rows, in the columns it asks for" in said
    assert "%" not in said
    bits = RowBits(
        party="bureau", receiver="bank", columns=("a",), asked=5.0, held=16.1, allowed=1610.0
    )
    assert "a row holds 16.1 bits in them; whole rows may be told" in row_words(bits)
