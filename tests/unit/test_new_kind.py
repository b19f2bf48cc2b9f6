"""A kind of step that is new takes two files of its own, and five lines of others.

Its own stand here: what it says of itself, and how it runs. The lines that it takes elsewhere are
what `added` does: a contract's field, `KINDS`, `STEPS`; of the analyst's side a section of job
files and what it proposes, for which `draft` stands here. All else takes it from there, so a whole
job runs, under rules, books, limits and ledgers that have never heard of it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from federated.contract.cost import Estimate, Rates
from federated.contract.kinds import KINDS, Kind
from federated.contract.parts import Disclosure, Release
from federated.contract.summary import in_words
from federated.contract.terms import Contract
from federated.session import result_types
from federated.steps.runner import STEPS
from federated.steps.step import Step
from federated.steps.work import Work
from profiles.job import Job
from profiles.run import run_job
from psi.protocol import Done, InputError, PeerError, Range, Role, Turn, message

ROWS = 60


@dataclass(frozen=True)
class ToyTerms:
    """How many different values a partner's column has among the shared records."""

    partner: str
    column: str


class Toy(Kind[ToyTerms]):
    """The first file: `federated/contract/kinds/toy.py`."""

    name = "toy"
    joined = True

    def terms(self, contract: Contract) -> Sequence[ToyTerms]:
        return getattr(contract, "toy", ())

    def partners(self, terms: ToyTerms) -> Sequence[str]:
        return [terms.partner]

    def used(self, contract: Contract, party: str) -> Iterator[tuple[str, Sequence[str]]]:
        for terms in self.terms(contract):
            if party == terms.partner:
                yield "feature", [terms.column]

    def disclosures(self, contract: Contract) -> Iterator[Disclosure]:
        for terms in self.terms(contract):
            learns = f"how many values {terms.partner}'s {terms.column} has"
            yield Disclosure("toy", contract.receiver, learns, "toy.column")

    def words(self, contract: Contract) -> Iterator[str]:
        for terms in self.terms(contract):
            yield f"{terms.partner} counts the values of {terms.column}"

    def releases(self, contract: Contract, party: str) -> Iterator[Release]:
        for terms in self.terms(contract):
            if party == terms.partner:
                yield Release(step="toy", columns=(terms.column,), known=contract.known)

    def limit(self, contract: Contract, step: str) -> int | None:
        return 1 << 16 if step == "toy" and self.terms(contract) else None

    def cost(self, contract: Contract, rates: Rates) -> Iterator[Estimate]:
        return iter(())


@message(0x1C)
@dataclass(frozen=True)
class Values:
    count: Annotated[int, Range(0, 1 << 40)]


@message(0x1D)
@dataclass(frozen=True)
class Waiting:
    pass


class Told(Role[int]):
    """The protocol, a package of its own: one number, told once."""

    transitions: ClassVar[Mapping[tuple[type, type], str]] = {(Waiting, Values): "on_values"}

    def __init__(self, context: Any, receiver: str, count: int | None = None) -> None:
        super().__init__(context)
        self._receiver, self._count = receiver, count

    def begin(self) -> Turn[int]:
        if self._count is None:
            return Turn(Waiting())
        return Turn(Done(), [(self._receiver, Values(self._count))], self._count)

    def on_values(self, state: Waiting, sent: Values, peer: str) -> Turn[int]:
        return Turn(Done(), result=sent.count)


class ToyStep(Step):
    """The second file: `federated/steps/toy.py`."""

    counts: ClassVar[list[int]] = []

    def __init__(self, work: Work) -> None:
        self._work = work

    @staticmethod
    def check(contract: Contract, party: str, table: pa.Table) -> None:
        for terms in Toy().terms(contract):
            if terms.partner == party and terms.column not in table.column_names:
                raise InputError(f"no column {terms.column!r}")

    def run(self) -> None:
        work = self._work
        for terms in Toy().terms(work.contract):
            if not work.takes_part(terms.partner):
                continue
            count, peer = None, terms.partner
            if not work.receives:
                work.reserve("toy")
                count, peer = len(pc.unique(work.aligned()[terms.column])), work.contract.receiver
            role = Told(work.session.context("toy"), work.contract.receiver, count)
            self.counts.append(work.run("toy", role, [peer]))
            work.disclosed("toy")


@dataclass(frozen=True, kw_only=True)
class WithToy(Contract):
    toy: tuple[ToyTerms, ...] = ()


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three lines: `contract/kinds/__init__.py`, `contract/terms.py`, `steps/runner.py`."""
    every: dict[int, tuple[Any, Any]] = {
        id(KINDS): (KINDS, (*KINDS, Toy())),
        id(STEPS): (STEPS, (*STEPS, ToyStep)),
        id(Contract): (Contract, WithToy),
    }
    for module in [each for name, each in sys.modules.items() if name.startswith(FLOORS)]:
        for name, value in list(vars(module).items()):
            if (found := every.get(id(value))) and found[0] is value:
                monkeypatch.setattr(module, name, found[1])
    nested = {cls.__qualname__: cls for cls in result_types._nested(WithToy)}
    for name, cls in nested.items():  # as they are found when the module is imported
        monkeypatch.setitem(result_types.RESULTS, name, cls)
    monkeypatch.setitem(result_types.RESULTS, "Contract", WithToy)


FLOORS = ("federated.", "profiles.")


def job() -> Job:
    parties = [{"name": n, "table": f"{n}.t", "keys": [["id"]]} for n in ("bank", "bureau")]
    about = {"name": "toy", "purpose": "retention", "key_bits": 2048}
    return Job.load({"job": about, "party": parties, "align": {"minimum_overlap": 20}})


def test_a_kind_that_is_new_runs_in_a_whole_job(
    added: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draft(**fields: Any) -> Contract:
        bank, bureau = fields.pop("parties")
        parties = bank, replace(bureau, features=("loans",))
        return WithToy(**fields, parties=parties, toy=(ToyTerms("bureau", "loans"),))

    monkeypatch.setattr("profiles.proposal.Contract", draft)
    monkeypatch.setattr(ToyStep, "counts", [])
    ids = [f"c{number}" for number in range(ROWS)]
    tables = {
        "bank.t": pa.table({"id": ids}),
        "bureau.t": pa.table({"id": ids[:50], "loans": np.arange(50) % 7}),
    }
    result = run_job(job(), tables, tmp_path / "out")
    assert ToyStep.counts == [7, 7]
    signed = result.federation.contract
    assert isinstance(signed, WithToy)
    assert "bureau counts the values of loans" in "\n".join(in_words(signed))
    (told,) = [one for one in signed.disclosures if one.step == "toy"]
    for party in ("bank", "bureau"):
        ledger = (tmp_path / "out" / "parties" / party / "ledger.jsonl").read_text()
        assert told.learns in ledger
    assert "toy" in {release.step for release in Toy().releases(signed, "bureau")}
    spoilt = signed.to_bytes().replace(b'"column":"loans"', b'"column":"loans","z":1')
    assert spoilt != signed.to_bytes()
    with pytest.raises(PeerError):
        WithToy.from_bytes(spoilt)
