"""Sections of several contracts by private sums: told is what is told under encryption."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from federated.aggregate import AggregateResult
from federated.aggregate.history import KnownReceiver, KnownSender
from federated.contract.parts import Release
from federated.contract.terms import Contract
from federated.steps.sections_told import SectionsTold
from federated.steps.segment_sums import PartnerSums, ReceiverSums
from psi.protocol import Pair
from tests.unit.test_history import Parties, context, month


class ShareParties(Parties):
    """The bank and the bureau of `test_history`, by private sums."""

    def contract(self, columns: tuple[str, ...] = ("a",)) -> Contract:
        made = super().contract(columns)
        (terms,) = made.aggregate
        return replace(made, aggregate=(replace(terms, key_bits=0, protocol="sums"),))

    def job(
        self,
        people: list[str],
        segments: list[str],
        values: np.ndarray,
        *,
        column: str = "a",
        told: bool = True,
    ) -> AggregateResult:
        made = self.contract((column,))
        me, terms = made.party("bureau"), made.aggregate[0]
        bank, bureau = pa.table({"segment": segments}), pa.table({column: values})
        release, names = (
            Release(step="aggregate/0/bureau", columns=(column,)),
            pa.array(people, pa.string()),
        )
        self.releases.reserve(made, me, release, lambda levels: [names] * len(levels))
        sides = SectionsTold(made, asked=self.asked), SectionsTold(made, releases=self.releases)
        sides[0].ask("bureau", bank)
        self.history = sides[1].history(me, bureau)
        known = Pair(
            KnownReceiver(context("bank"), len(people), self.minimum),
            KnownSender(context("bureau"), "bank", self.history),
        ).run()
        one = ReceiverSums(made, sides[0], "bureau", bank, known["bank"])
        other = PartnerSums(
            made, sides[1], me, bureau, self.history, bound=lambda number: 4711, seed=b"q" * 32
        )
        kinds = Pair(one.hearing(context("bank")), other.telling(context("bureau"))).run()
        one.heard(kinds["bank"])
        shares = Pair(
            one.adding(context("bank"), terms), other.adding(context("bureau"), terms)
        ).run()
        results = Pair(
            one.opening(context("bank"), terms, shares["bank"]),
            other.opening(context("bureau"), terms, shares["bureau"]),
        ).run()
        if told:
            sides[0].received(terms, results["bank"], bank)
            sides[1].gave(terms, results["bureau"])
        found: AggregateResult = results["bank"]
        return found


def test_what_earlier_jobs_told_counts_as_under_encryption(tmp_path: Path) -> None:
    """Records come, go and move, values go missing: a row for each that has left, cells of both."""
    rng = np.random.default_rng(4)
    one, other = Parties(tmp_path / "encrypted"), ShareParties(tmp_path / "shared")
    withheld = 0
    for number in range(3):
        people, segments = month(number, 8, 2)
        values = np.round(rng.normal(0, 9, len(people)), 2)
        values[rng.random(len(people)) < 0.05] = np.nan
        for place in rng.integers(0, len(people), number):
            segments[place] = "xyz"[rng.integers(3)]
        found, wanted = other.job(people, segments, values), one.job(people, segments, values)
        assert np.array_equal(found.rows, wanted.rows)
        np.testing.assert_array_equal(found.values[0], wanted.values[0])
        assert np.array_equal(found.there["a"], wanted.there["a"])
        withheld += int(np.isnan(found.values[0]).sum())
    assert withheld


def test_a_group_less_one_record_is_not_told_again(tmp_path: Path) -> None:
    parties = ShareParties(tmp_path)
    people, segments = month(0)
    values = np.arange(80.0)
    assert not np.isnan(parties.job(people, segments, values).values[0]).any()
    assert np.isnan(parties.job(people[1:], segments[1:], values[1:]).values[0]).any()
