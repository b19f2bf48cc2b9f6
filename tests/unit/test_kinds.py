"""What every kind of step promises, whichever it is."""

from __future__ import annotations

import re
import time
from dataclasses import fields, replace
from typing import Any

import pytest

from federated.approval.policy import STEPS as RULES
from federated.approval.policy import Limits
from federated.contract.columns import USES
from federated.contract.completion import complete
from federated.contract.cost import AlignRates
from federated.contract.disclosures import disclosures, parties_of
from federated.contract.kinds import KINDS, Kind
from federated.contract.release import planned
from federated.contract.summary import in_words
from federated.contract.terms import Contract
from federated.keys.party_keys import PartyKeys
from federated.steps.byte_limits import step_limit
from federated.steps.runner import STEPS
from federated.store.plain import canonical, from_canonical
from profiles.job import Job
from profiles.proposal import draft
from psi.protocol import PeerError

HEAD = """
[job]
name = "all"
purpose = "test"
key_bits = 2048
[[party]]
name = "bank"
table = "bank.people"
keys = [["id"]]
features = ["a"]
[[party]]
name = "bureau"
table = "bureau.people"
keys = [["id"]]
features = ["b", "c"]
"""
JOINED = """
[align]
minimum_overlap = 20
[[aggregate]]
by = "bank.segment"
measures = ["bureau.loans:mean", "bureau.loans:share>2"]
[[aggregate]]
by = ["bank.segment", "bureau.trade"]
categories = ["x", "y"]
measures = ["bank.balance:sum[0,50]"]
epsilon = 0.5
[[train]]
task = "churn"
label = "bank.churned"
"""
BOOSTED = """
[align]
minimum_overlap = 20
[[train]]
task = "churn"
label = "bank.churned"
model = "trees"
"""
SILENT = BOOSTED + 'tells = "nothing"\n'
HIDDEN = """
[align]
reveal = "cardinality"
[[join_sum]]
measures = ["bureau.loans:mean[0,9]"]
"""
HIDDEN_SHARED = HIDDEN + 'protocol = "sums"\n'
SHARED = """
[align]
minimum_overlap = 20
[[aggregate]]
by = "bank.segment"
measures = ["bureau.loans:mean", "bureau.loans:share>2"]
protocol = "sums"
[[aggregate]]
by = ["bank.segment", "bureau.trade"]
categories = ["x", "y"]
measures = ["bank.balance:sum[0,50]"]
epsilon = 0.5
protocol = "sums"
[[binning]]
label = "bank.churned"
columns = ["bureau.loans", "bureau.trade"]
"""
NUMBERS = """
[align]
minimum_overlap = 20
[[train]]
task = "calls"
model = "poisson"
label = "bank.calls"
weight = "bank.sampled"
offset = "bank.log_months"
[[train]]
task = "spending"
model = "linear"
label = "bank.spent"
[[train]]
task = "churn"
label = "bank.churned"
class_weight = "balanced"
"""
POOLED = """
[[train]]
task = "default"
split = "horizontal"
label = "bad"
"""
COUNTED = """
[align]
minimum_overlap = 20
[[train]]
task = "churn"
label = "bank.churned"
score_bits = 0
time = "bank.since"
validate_from = "2025-10-01"
"""
TELECOM = """
[[party]]
name = "telecom"
table = "telecom.people"
keys = [["id"]]
features = ["d"]
[align]
minimum_overlap = 20
[[train]]
task = "churn"
label = "bank.churned"
"""
SCORED = """
[align]
minimum_overlap = 20
[[score]]
task = "churn"
model = "00112233445566aa"
[[score]]
task = "leaving"
model = "00112233445566ab"
row_bits = 4
[[score]]
task = "buying"
model = "00112233445566ac"
score_bits = 5
trees = 20
depth = 4
"""
JOBS = {
    "joined": HEAD + JOINED,
    "three": HEAD + TELECOM,
    "shared": re.sub(r"features = .*\n", "", HEAD) + SHARED,
    "hidden shared": re.sub(r"features = .*\n", "", HEAD) + HIDDEN_SHARED,
    "hidden": re.sub(r"features = .*\n", "", HEAD) + HIDDEN,
    "counted": HEAD + COUNTED,
    "boosted": HEAD + BOOSTED,
    "silent": HEAD + SILENT,
    "scored": HEAD + SCORED,
    "numbers": HEAD + NUMBERS,
    "pooled": re.sub(r"keys = .*\n", "", HEAD).replace('["b", "c"]', '["a"]') + POOLED,
}


class Rates:
    """A machine on which everything takes a microsecond."""

    def align(self) -> AlignRates:
        return AlignRates(1e-6, 1e-6, 1e-6, 1e-6)

    def product(self, bits: int) -> float:
        return 1e-6

    def block(self) -> float:
        return 1e-6


def contract(name: str) -> Contract:
    identities = {n: PartyKeys.generate(n).identity for n in ("bank", "bureau", "telecom")}
    made = draft(Job.load(JOBS[name]), identities, bytes(32), time.time())
    columns, rows = (3,) * len(made.train), 20_000 if name in ("silent", "numbers") else 5000
    parties = [
        replace(p, rows=rows, design_columns=columns, protocols=("ecdh",)) for p in made.parties
    ]
    made = complete(replace(made, parties=tuple(parties)))
    made = replace(made, disclosures=disclosures(made))
    made.check()
    return made


NAMES = {"bank", "bureau", "telecom"}
CONTRACTS = {name: contract(name) for name in JOBS}


SEVERAL_WAYS = ("BySegment", "ByCategory", "JoinSum", "TrainVertical")
"""Kinds that are added up by encryption or by private sums, or fit several models."""


def each() -> list[Any]:
    """Every kind, with a contract that has terms of it."""
    found = []
    for kind in KINDS:
        made = {name: c for name, c in CONTRACTS.items() if kind.terms(c)}
        assert made, f"no job here has a step of the kind {type(kind).__name__}"
        if len(made) > 1 and type(kind).__name__ not in SEVERAL_WAYS:
            made = dict([next(iter(made.items()))])
        for name, one in made.items():
            found.append(pytest.param(kind, one, id=f"{type(kind).__name__}-{name}"))
    return found


def test_every_kind_has_its_running_side_and_a_name_for_rules() -> None:
    assert [step.__name__ for step in STEPS] == [type(kind).__name__ for kind in KINDS]
    assert {kind.name for kind in KINDS} == set(RULES)
    assert {kind.name for kind in KINDS} <= {field.name for field in fields(Contract)}


@pytest.mark.parametrize(("kind", "made"), each())
def test_what_it_says_of_itself(kind: Kind[Any], made: Contract) -> None:
    told = list(kind.disclosures(made))
    assert told, "who learns what"
    assert all(entry.learns and entry.line for entry in told)
    assert {entry.to for entry in told} <= NAMES | {"every party"}
    assert all(parties_of(made, entry.step) <= NAMES for entry in told)
    assert list(kind.words(made))
    assert list(kind.guards(made)), "what bounds it"
    text = "\n".join(in_words(made))
    assert all(words in text for words in [*kind.words(made), *kind.guards(made)])


@pytest.mark.parametrize(("kind", "made"), each())
def test_it_names_the_columns_that_it_reads_and_tells(kind: Kind[Any], made: Contract) -> None:
    used = {name: dict(kind.used(made, name)) for name in ("bank", "bureau")}
    assert any(columns for found in used.values() for columns in found.values())
    assert all(set(found) <= set(USES) for found in used.values())
    for release in kind.releases(made, "bureau"):
        assert set(release.columns) <= {c for found in used["bureau"].values() for c in found}
        assert release in list(planned(made, "bureau"))
        assert step_limit(made, release.step) or step_limit(made, f"{release.step}/0")
    assert not list(kind.releases(made, "bank")), "nothing of the receiver's is told to itself"


@pytest.mark.parametrize(("kind", "made"), each())
def test_its_steps_are_bounded_and_no_others_are_its_own(kind: Kind[Any], made: Contract) -> None:
    found = set[str]()
    for head in ("align", "select", "known", "rows", kind.name):
        for rest in ("", "/bureau", "/0/bureau", "/bureau/0", "/churn", "/buying", "/default/0"):
            limit = kind.limit(made, head + rest)
            if limit is not None:
                assert 0 < limit < 1 << 40
                found.add(head + rest)
    assert found
    others = [other for other in KINDS if other is not kind]
    assert all(other.limit(made, step) is None for other in others for step in found)
    assert kind.limit(made, f"{kind.name}/999/nobody") is None


@pytest.mark.parametrize(("kind", "made"), each())
def test_a_party_that_takes_part_is_in_the_contract(kind: Kind[Any], made: Contract) -> None:
    for terms in kind.terms(made):
        assert set(kind.partners(terms)) <= NAMES - {"bank"}
    gone = replace(made, parties=tuple(p for p in made.parties if p.name != "bureau"))
    with pytest.raises(PeerError):
        gone.check()


@pytest.mark.parametrize(("kind", "made"), each())
def test_terms_with_an_unknown_field_are_refused(kind: Kind[Any], made: Contract) -> None:
    data = made.to_bytes()
    first = canonical(kind.terms(made)[0])
    assert first in data
    more = first[:-1] + b',"zz":1}'
    with pytest.raises(PeerError):
        from_canonical(Contract, data.replace(first, more, 1))


@pytest.mark.parametrize(("kind", "made"), each())
def test_noise_and_cost_are_told(kind: Kind[Any], made: Contract) -> None:
    for epsilon, exact in kind.unnoised(made, "bureau"):
        assert epsilon >= 0
        assert hasattr(Limits(), exact.limit)
        assert exact.asked
        assert exact.hint
    cost = list(kind.cost(made, Rates()))
    assert all(one.seconds > 0 and one.wire > 0 for one in cost)
    assert cost or kind.terms(made)[0].split == "horizontal"
