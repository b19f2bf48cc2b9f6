"""How many bytes each step may bring from one peer: bounds from the contract, generous ones.

They are there so that a party that sends gigabytes where kilobytes are due is cut off at the
first part of the frame, not to measure anything. A step that the contract does not have may bring
nothing: each name that a party made up would have bytes of its own.
"""

from __future__ import annotations

from federated.aggregate import MeasureSlots
from federated.join_sum import Layout
from federated.party import category
from federated.party.contract import Contract
from federated.party.notes import NOTES
from federated.party.segments import section_of
from federated.wire.routers import FAREWELL
from psi.align.counting import MOST

__all__ = ["BEFORE_CONTRACT", "ciphertexts", "step_limit"]

BEFORE_CONTRACT = 8 << 20
"""Bytes of handshake, contract, finish and abort from one peer."""

_FLOOR = 16 << 20
_ALWAYS = ("handshake", "contract", "finish", FAREWELL, NOTES, "")
_RUNS = ("count", "tags", "order")


def step_limit(contract: Contract | None, step: str) -> int:
    """The most bytes that one peer may send in `step`; `contract` is None until it is signed."""
    kind = step.split("/", maxsplit=1)[0]
    if contract is None or step in _ALWAYS:
        return BEFORE_CONTRACT
    if not _has(contract, step):
        return 0
    rows = [terms.rows for terms in contract.parties]
    most, total = max(rows, default=0), sum(rows)
    if kind == "align":
        # points, tags and orders of both sides, over all their chunks and levels; groups of a count
        levels = len(contract.party(contract.receiver).keys)
        return _FLOOR + max(512, 64 * MOST) * levels * total
    if kind == "known":
        # where each record stood, now aligned or not any more, in each of many earlier jobs
        return _FLOOR + 512 * total
    if kind == "select":
        return _FLOOR + 64 * total
    bits = [t.key_bits for t in contract.aggregate] + [t.key_bits for t in contract.train]
    key = max(bits, default=3072) // 4
    if kind in ("rows", "aggregate"):
        ciphers = max(ciphertexts(contract, name, most) for name in contract.partners())
        return _FLOOR + (key + 64) * 2 * most * ciphers
    if kind == "category":
        sizes = [
            terms.key_bits // 4 * category.ciphertexts(terms, most) for terms in contract.category
        ]
        return _FLOOR + 2 * most * max(sizes, default=0)
    if kind == "join_sum":
        plans = [Layout(len(t.measures), most, t.key_bits) for t in contract.join_sum]
        return _FLOOR + max((p.key_bits // 4 * p.ciphertexts * most for p in plans), default=0)
    if kind == "train":
        columns = sum(terms.design_columns for terms in contract.parties) + 1
        steps = max([t.steps + t.folds * t.fold_steps for t in contract.train], default=1) + 2
        return _FLOOR + (key + 64) * most * steps * 2 + key * columns * columns * steps
    return 0


def _has(contract: Contract, step: str) -> bool:
    """Whether the contract has this step, as `steps` names it."""
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
        tasks = {f"train/{terms.task}" for terms in contract.train}
        front, _, last = step.rpartition("/")
        several = front in tasks and (last == "model" or (last.isdecimal() and len(last) < 5))
        return step in tasks or several
    return step == "select"


def ciphertexts(contract: Contract, partner: str, rows: int) -> int:
    """Ciphertexts that each of so many rows takes for all sections that ask this partner."""
    asked = [terms for terms in contract.aggregate if terms.partner == partner]
    if not asked:
        return 0
    sections = [section_of(terms) for terms in asked]
    return MeasureSlots(sections, rows, asked[0].key_bits).layout.ciphers
