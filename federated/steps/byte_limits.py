"""How many bytes each step may bring from one peer: bounds from the contract, generous ones.

They are there so that a party that sends gigabytes where kilobytes are due is cut off at the
first part of the frame, not to measure anything. A step that the contract does not have may bring
nothing: each name that a party made up would have bytes of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from federated.aggregate import MeasureSlots
from federated.contract.terms import Contract, TrainTerms
from federated.horizontal import Plan
from federated.horizontal.plan import BINS
from federated.join_sum import Layout
from federated.session.progress import NOTES
from federated.session.routers import FAREWELL
from federated.steps import by_category as category
from federated.steps.by_segment import section_of
from federated.vertical.messages import MOST_COLUMNS
from psi.align.counting import MOST

__all__ = ["BEFORE_CONTRACT", "REPEATED", "ciphertexts", "step_limit"]

BEFORE_CONTRACT = 8 << 20
"""Bytes of handshake, contract, finish and abort from one peer."""

REPEATED = 16
"""How many rows a key has at most in the mean where `duplicates = "join"` pairs them all."""

_FLOOR = 16 << 20
_ALWAYS = ("handshake", "contract", "finish", FAREWELL, NOTES, "")
_RUNS = ("count", "tags", "order")


def step_limit(contract: Contract | None, step: str) -> int:
    """The most bytes that one peer may send in `step`; `contract` is None until it is signed.

    A row count is a party's own word, and so is a number of columns: `largest_set` and what the
    vertical roles take bound them, and over joined rows the smaller side does.
    """
    kind, *rest = step.split("/")
    if contract is None or step in _ALWAYS:
        return BEFORE_CONTRACT
    if not _has(contract, step):
        return 0
    rows = _rows(contract)
    total = sum(rows.values())
    if kind == "align":
        # points, tags and orders of both sides, over all their chunks and levels; groups of a count
        levels = len(contract.party(contract.receiver).keys)
        pair = rows[contract.receiver] + rows[rest[0]]
        return _FLOOR + max(512, 64 * MOST) * levels * pair
    if kind == "known":
        # where each record stood, now aligned or not any more, in each of many earlier jobs
        return _FLOOR + 512 * (rows[contract.receiver] + rows[rest[0]])
    if kind == "select":
        return _FLOOR + 64 * total
    if kind in ("rows", "aggregate"):
        bits = max(t.key_bits for t in contract.aggregate) // 4
        joined = _joined(contract, [rest[-1]], rows)
        return _FLOOR + (bits + 64) * 2 * joined * ciphertexts(contract, rest[-1], joined)
    if kind == "category":
        terms = contract.category[int(rest[0])]
        joined = _joined(contract, [terms.partner], rows)
        return _FLOOR + 2 * joined * (terms.key_bits // 4) * category.ciphertexts(terms, joined)
    if kind == "join_sum":
        sums = contract.join_sum[int(rest[0])]
        plan = Layout(len(sums.measures), rows[sums.partner], sums.key_bits)
        return _FLOOR + plan.key_bits // 4 * plan.ciphertexts * rows[sums.partner]
    return _trained(contract, rest[0], rows)


def _trained(contract: Contract, task: str, rows: dict[str, int]) -> int:
    terms = next(terms for terms in contract.train if terms.task == task)
    if terms.split == "horizontal":
        width = max(len(party.features) for party in contract.parties) + 2
        return _FLOOR + 16 * (terms.folds + 1) * (width * width + 2 * BINS)
    names, key = [contract.receiver, *terms.partners], terms.key_bits // 4
    columns = sum(min(contract.party(name).design_columns, MOST_COLUMNS) for name in names) + 1
    steps = terms.steps + terms.folds * terms.fold_steps + 2
    joined = _joined(contract, terms.partners, rows)
    return _FLOOR + (key + 64) * joined * steps * 2 + key * columns * columns * steps


def _rows(contract: Contract) -> dict[str, int]:
    """What each party may have at most of what it says that it has."""
    most = [a.largest_set * (REPEATED if a.duplicates == "join" else 1) for a in contract.align]
    return {terms.name: min(terms.rows, max(most, default=0)) for terms in contract.parties}


def _joined(contract: Contract, partners: Sequence[str], rows: dict[str, int]) -> int:
    """Rows that these partners and the receiver can share: no more than the smallest has."""
    found = [rows[contract.receiver], *(rows[name] for name in partners)]
    repeated = any(a.duplicates == "join" for a in contract.align)
    return max(found) if repeated else min(found)


def _has(contract: Contract, step: str) -> bool:
    """Whether the contract has this step, as `runner` names it."""
    kind, *rest = step.split("/")
    if kind in ("aggregate", "category", "join_sum") and len(rest) == 2:
        partners = [terms.partner for terms in getattr(contract, kind)]
        return any(rest == [f"{number}", name] for number, name in enumerate(partners))
    if kind == "align" and len(rest) == 2:
        levels = len(contract.party(contract.receiver).keys)
        runs = [*_RUNS, *(f"{level}" for level in range(levels))]
        return rest[1] in runs and any(terms.partner == rest[0] for terms in contract.align)
    if kind in ("known", "rows"):
        return any([terms.partner] == rest for terms in contract.aggregate)
    if kind == "train":
        return any(_is_train(terms, step) for terms in contract.train)
    return step == "select"


def _is_train(terms: TrainTerms, step: str) -> bool:
    if terms.split != "horizontal":
        return step == f"train/{terms.task}"
    front, _, last = step.rpartition("/")
    rounds = Plan(0, terms.folds, terms.steps).rounds
    one = last == "model" or last in {f"{number}" for number in range(rounds)}
    return front == f"train/{terms.task}" and one


def ciphertexts(contract: Contract, partner: str, rows: int) -> int:
    """Ciphertexts that each of so many rows takes for all sections that ask this partner."""
    asked = [terms for terms in contract.aggregate if terms.partner == partner]
    if not asked:
        return 0
    sections = [section_of(terms) for terms in asked]
    return MeasureSlots(sections, rows, asked[0].key_bits).layout.ciphers
