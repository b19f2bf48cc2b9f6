"""A partner that has one label trained on again and again, to average the noise on what it reads.

Each training draws noise of its own, so k of them tell a label √k times as well. What stands
against it is the label party's own book: bits of a label, towards one partner, over sections,
contracts and months, whatever the trainings are called.
"""

from __future__ import annotations

import math
import secrets
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from federated.contract.completion import complete
from federated.contract.kinds.label import class_bits
from federated.contract.release import given, towards
from federated.contract.summary import in_words
from federated.contract.terms import Contract
from federated.node.participant import Participant
from federated.regression import label_bits
from federated.regression.noise import lasting_noise
from federated.regression.schedule import Vector
from federated.releases.book import read_book
from federated.releases.budget import OverBudget
from federated.releases.label_bits import label_bits as labels_of
from federated.releases.label_bits import label_totals, label_words
from federated.releases.limits import NEW_LABEL_BITS, ReleaseLimits, load_release_limits
from federated.releases.memory import Releases
from federated.session.routers import MemoryRouter
from federated.session.session import Session
from federated.steps.release_guard import foresee
from federated.store.plain import canonical
from federated.tables.source import MemorySource
from psi.protocol import Declined
from tests.attacks.test_budgets import COLUMNS, HEAD, POLICY
from tests.attacks.world import KEYS, NAMES, PINNED, drafted

DAY = 24 * 3600.0
MANY, FEW = 30_000, 5_000
REGRESSION = """
[[train]]
task = "{task}"
label = "bank.{label}"
score_bits = 1
"""
TREES = """
[[train]]
task = "{task}"
label = "bank.{label}"
model = "trees"
row_bits = 2
"""
BINNING = """
[[binning]]
label = "bank.{label}"
columns = ["bureau.b0"]
"""
HEADED = HEAD.format(own='features = ["a"]', partner=f"features = {COLUMNS}".replace("'", '"'))
ONE = label_bits(1.0, 5, 0)
"""Bits of a label that one column of a training with five folds tells at a noise of 1."""


class Bank:
    """The label party over its months: its table, its book, and who asks it."""

    def __init__(self, folder: Path, **limits: float) -> None:
        self.folder, self.now, self.told = folder, 1.9e9, ""
        rng = np.random.default_rng(4)
        y = rng.integers(0, 2, 1000)
        table = {
            "id": [f"id{n:04d}" for n in range(1000)],
            "a": rng.normal(size=1000),
            "y": y,
            "copy": y,
            "codes": np.where(y == 1, "left", "stayed"),
            "other": rng.integers(0, 2, 1000),
        }
        self.source = MemorySource({"bank.people": pa.table(table)})
        found = ReleaseLimits(**{"label_bits": NEW_LABEL_BITS, **limits})  # type: ignore[arg-type]
        self.book = Releases(folder / "book", found, secrets.token_bytes, lambda: self.now)

    def contract(self, sections: str, rows: int = MANY) -> Contract:
        """The contract of a job with these sections, of so many rows on both sides."""
        asked = drafted(self.folder, HEADED + sections)
        for terms in asked.parties:
            widths = tuple(len(asked.features(one, terms.name)) for one in asked.train)
            stated = replace(terms, rows=rows, design_columns=widths, protocols=("ecdh",))
            asked = asked.with_party(stated)
        return complete(asked)

    def signs(self, contract: Contract) -> bool:
        """Whether it would sign, and if so has told all that the contract gives."""
        try:
            foresee(contract, "bank", self.source, self.book, draft=False)
        except OverBudget as no:
            self.told = str(no)
            return False
        me = contract.party("bank")
        for partner, release in given(contract):
            self.book.reserve(towards(contract, partner), me, release, None, holds=lambda _: 1.0)
        return True


def regression(task: str = "t", label: str = "y") -> str:
    return REGRESSION.format(task=task, label=label)


def by(number: int) -> str:
    """A training by these columns alone: a job file has no two of one label by the same."""
    return f'features = ["bank.a", "bureau.b{number}"]\n'


def test_the_mean_over_trainings_reads_labels_and_the_book_ends_it(tmp_path: Path) -> None:
    """2,000 labels of equal classes, each alone in a column: the noise that stays is another one in
    each training. One reads .69 of them, four .84, twelve .96."""
    label = np.arange(2000) % 2
    every = (Vector(0, -1, False),)
    right = {}
    for trainings in (1, 4, 12):
        draws = [
            lasting_noise(secrets.token_bytes(32), every, np.ones(2000), 20).view(np.int64)[0]
            for _ in range(trainings)
        ]
        read = -label + np.mean(draws, axis=0) / 2**20
        right[trainings] = float(((read < -0.5) == label).mean())
    spread = 6 * math.sqrt(0.25 / 2000)
    assert right[1] < 0.692 + spread
    assert right[12] > 0.958 - spread
    bank, signed = Bank(tmp_path), 0
    for _ in range(12):
        signed += bank.signs(bank.contract(regression()))
        bank.now += 30 * DAY
    assert signed == 4
    assert right[4] < 0.841 + spread
    assert bank.told.startswith(
        "column 'y' of bank.people: 0.23 bits of one record's label asked, 0.92 told before to the "
        "same partner, 1 allowed by policy within 400 days"
    )
    assert label_totals(bank.book) == [
        "bureau was told 0.92 bits at most of a record's 'y' of bank.people; 1 may be told"
    ]


def test_it_counts_sections_of_one_contract_whatever_they_are_called(tmp_path: Path) -> None:
    bank = Bank(tmp_path)
    many = "".join(regression(f"t{n}") + by(n) for n in range(4))
    assert not bank.signs(bank.contract(regression() + many))
    assert "1.15 bits of one record's label asked, 0 told before" in bank.told
    kinds = regression() + TREES.format(task="u", label="y") + by(0) + BINNING.format(label="y")
    contract = bank.contract(kinds)
    (found,) = labels_of(contract, book=bank.book)
    assert found.asked == pytest.approx(ONE + 1 + class_bits(1.0))  # .23, trees, .16
    assert (found.told, found.allowed) == (0.0, 1.0)
    assert not bank.signs(contract)
    assert bank.signs(bank.contract(regression() + BINNING.format(label="y")))
    (found,) = labels_of(bank.contract(regression()), book=bank.book)
    assert found.total == pytest.approx(0.39 + ONE, abs=0.01)
    assert not bank.signs(bank.contract(TREES.format(task="u", label="y")))


@pytest.mark.parametrize("label", ["y", "copy", "codes"])
def test_a_label_under_another_name_or_in_other_codes_is_the_same(
    tmp_path: Path, label: str
) -> None:
    bank = Bank(tmp_path, label_bits=ONE * 1.5)
    assert bank.signs(bank.contract(regression()))
    assert not bank.signs(bank.contract(regression("another task", label)))
    assert bank.signs(bank.contract(regression("another task", "other")))


def test_noise_buys_trainings_and_few_rows_buy_none(tmp_path: Path) -> None:
    bank = Bank(tmp_path)
    louder = regression() + "noise = 4\n"
    assert all(bank.signs(bank.contract(louder)) for _ in range(12))
    told = sum(entry.label for _, entry in bank.book.entries()) / 1e6
    assert told == pytest.approx(12 * label_bits(4.0, 5, 0), abs=1e-4)
    assert told < ONE
    (tmp_path / "small").mkdir()
    small = Bank(tmp_path / "small")
    assert small.signs(small.contract(regression(), FEW))  # exact sums: a label whole
    assert not small.signs(small.contract(regression(), FEW))
    assert "1 bits of one record's label asked, 1 told before" in small.told
    assert "which of fewer than 16,384 records has none" in small.told


def test_what_a_partner_may_change_changes_nothing(tmp_path: Path) -> None:
    """Other columns, other rows, another key, another purpose, a job that it breaks off."""
    bank = Bank(tmp_path, label_bits=3.5 * ONE)
    first = bank.contract(regression())
    assert bank.signs(first)
    assert bank.signs(first)  # goes on: pays once
    fewer = replace(
        bank.contract(regression(), 20_000),
        purpose="another",
        parties=tuple(
            replace(one, features=one.features[:2] if one.name == "bureau" else one.features)
            for one in first.parties
        ),
    )
    assert bank.signs(fewer)
    me = first.party("bank")
    broken = bank.contract(regression())
    release = next(one for _, one in given(broken))
    bank.book.reserve(towards(broken, "bureau"), me, release, None)  # and nothing came after
    assert not bank.signs(bank.contract(regression()))
    assert "0.69 told before" in bank.told
    bank.now += 401 * DAY
    assert bank.signs(bank.contract(regression()))


def test_what_the_partner_had_as_a_column_of_its_own_job_counts(tmp_path: Path) -> None:
    """The other way round: the bureau received a score of the bank's columns, `y` one of them."""
    bank = Bank(tmp_path)
    job = bank.contract(regression())
    release = next(one for _, one in given(job))
    as_feature = replace(release, columns=("a", "y"), bits=5.0, label_bits=0.0, rounded=False)
    asked = towards(job, "bureau")
    bank.book.reserve(asked, job.party("bank"), as_feature, None, holds=lambda _: 20.0)
    assert not bank.signs(bank.contract(regression()))
    assert "1 told before" in bank.told


def test_partners_that_pool_are_counted_apart(tmp_path: Path) -> None:
    """What the chapter says: each partner is told what it may be told, whoever else was told."""
    bank = Bank(tmp_path)
    while bank.signs(bank.contract(regression())):
        pass
    job = bank.contract(regression())
    release = next(one for _, one in given(job))
    bank.book.reserve(towards(job, "telecom"), job.party("bank"), release, None)
    totals = {line.split()[0]: line.split()[3] for line in label_totals(bank.book)}
    assert totals == {"bureau": "0.92", "telecom": "0.23"}


def test_a_node_refuses_before_it_says_a_word(tmp_path: Path) -> None:
    bank = Bank(tmp_path)
    for _ in range(4):
        assert bank.signs(bank.contract(regression()))
    asked = drafted(tmp_path, HEADED + regression())
    router = MemoryRouter(list(NAMES))
    session = Session(
        bytes.fromhex(asked.nonce), KEYS["bank"], PINNED, router.endpoint("bank"),
        tmp_path / "session", timeout=5.0,
    )  # fmt: skip
    party = Participant(session, bank.source, releases=bank.book, kept=tmp_path / "kept")
    with pytest.raises(Declined, match=r"0\.92 told before to the same partner"):
        party.propose(asked, complete)


CARD = """
[[train]]
task = "t"
label = "bank.y"
model = "scorecard"
score_bits = 1
"""


def test_a_table_of_few_rows_is_refused_before_anybody_is_asked(tmp_path: Path) -> None:
    """A draft says nothing of rows: 1,000 of them bear no noise, whatever the partner has."""
    bank = Bank(tmp_path)
    asked = drafted(tmp_path, HEADED + CARD)
    with pytest.raises(OverBudget, match=r"1\.16 bits of one record's label asked") as no:
        foresee(asked, "bank", bank.source, bank.book, draft=True)
    assert "noise = 1 or more in [train]" in no.value.hint
    assert "label_bits = 1.17" in no.value.hint
    (found,) = labels_of(asked, book=bank.book)
    assert found.asked == pytest.approx(class_bits(1.0) * 2, abs=0.01)
    assert found.few == pytest.approx(1 + class_bits(1.0))
    assert "shared, and 1.16 else" in label_words(found)[0]
    assert "of fewer than 16,384 shared records the job is refused" in label_words(found)[-1]
    me = asked.party("bank")
    (known,) = labels_of(asked.with_party(replace(me, rows=1000)), book=bank.book)
    assert known.asked == pytest.approx(1 + class_bits(1.0))
    assert known.few is None
    assert label_words(known)[-1].startswith("that is more than may be told")
    noised = drafted(tmp_path, HEADED + CARD + "noise = 1.0\n")
    foresee(noised, "bank", bank.source, bank.book, draft=True)
    wider = Bank(tmp_path / "wider", label_bits=1.17)
    foresee(asked, "bank", wider.source, wider.book, draft=True)
    few = drafted(tmp_path, HEADED + regression())
    foresee(few, "bank", bank.source, bank.book, draft=True)  # a whole label: it may be told


def test_a_label_counts_whole_where_its_record_is_in_several_rows(tmp_path: Path) -> None:
    bank = Bank(tmp_path)
    asked = bank.contract(regression())
    align = tuple(replace(one, duplicates="join") for one in asked.align)
    assert [one.label_bits for _, one in given(replace(asked, align=align))] == [1.0]
    assert [one.label_bits for _, one in given(asked)] == [pytest.approx(ONE)]


def test_classes_under_epsilon_tell_what_randomised_response_does() -> None:
    assert class_bits(0) == 1.0
    truth = math.e / (1 + math.e)
    entropy = -truth * math.log2(truth) - (1 - truth) * math.log2(1 - truth)
    assert class_bits(1.0) == pytest.approx(1 - entropy)
    assert class_bits(1.0) == pytest.approx(0.16, abs=0.001)
    assert 0.99 < class_bits(10.0) < 1


def test_a_new_node_has_a_limit_and_an_older_book_is_read(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(POLICY)
    assert load_release_limits(tmp_path / "policy.toml").label_bits == NEW_LABEL_BITS
    entry = {"step": "binning/0/bureau", "columns": ["y"], "epsilon": 10**6, "bits": 1_442_696}
    job = {
        "session": "aa", "contract": "bb", "table": "bank.people", "receiver": "bureau",
        "purpose": "p", "made": 1, "expires": 2, "tagged": False, "compared": False, "holds": 0,
        "entries": [
            entry | {"thresholds": []},
            entry | {"step": "train/t", "columns": ["a", "b"], "thresholds": []},
        ],
    }  # fmt: skip
    found = read_book(canonical({"version": 2, "tag_key": "", "names": [], "jobs": [job]}))
    assert [round(one.label / 1e6, 2) for one in found.jobs[0].entries] == [0.16, 0.0]
    assert read_book(found.to_bytes()) == found


def test_contracts_say_what_is_told_of_a_label_beside_what_is_counted(tmp_path: Path) -> None:
    """Columns of the label party's that the book leaves out; wins among many, and all wins."""
    noised = regression() + "noise = 1.0\n"
    text = "\n".join(in_words(drafted(tmp_path, HEADED + noised)))
    assert "of a label 0.23 bits at most from all sums of a column and" in text
    assert "0.3 from inner products over each of bank's columns" in text
    grown = "\n".join(in_words(drafted(tmp_path, HEADED + TREES.format(task="t", label="y"))))
    wide = 64 * len(COLUMNS)
    assert f".5 among 1,240 (here up to {wide})" in grown
    nodes = 20 * 15  # trees of depth 4
    assert f"all its wins have {nodes * wide.bit_length():,} bits at most" in grown
