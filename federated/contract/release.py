"""What one step of a contract tells of a party's columns: derived from the contract alone.

Every budget counts these: bits of a row, epsilon, thresholds, releases, numbers a row. So the first
step can look ahead at all of them, a policy can add them up before a signature, and an officer
reads the sums.

Bits a row, in the mean of rows: a training of columns tells a row's final score (`told_bits`), of
several partners their sum, which tells no more of any; where rows are split each party's noise
keeps all sums to `row_bits`, of any row. Sums that a training opens over all rows count as 0. A
table by a noised category tells at most epsilon log2 e (the log-likelihood of no row moves by
more). A table without noise, over amounts of the receiver's choosing, tells the whole category.
Sums by segment count as 0: the mean of a group of 20 tells somebody who knows none of the others
.04 bits of one (1/2 log2(20/19), for normal values); their budgets are releases, thresholds and
minimum groups.

What is given to partners is of the receiver's label, in bits of it (`kinds.label`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

from federated.contract.kinds import KINDS
from federated.contract.parts import Release
from federated.contract.terms import Contract

__all__ = ["Release", "given", "planned", "towards"]


def given(contract: Contract) -> Iterator[tuple[str, Release]]:
    """What the steps of a contract tell partners of the receiver's columns, in order."""
    for kind in KINDS:
        yield from kind.given(contract)


def planned(contract: Contract, party: str) -> Iterator[Release]:
    """What the steps of a contract tell the receiver of a partner's columns, in order."""
    for kind in KINDS:
        yield from kind.releases(contract, party)


def towards(contract: Contract, partner: str) -> Contract:
    """The contract as a book of the receiver's has it: with the partner as who is told.

    Each partner of a job has an entry of its own, so the nonce is another.
    """
    nonce = hashlib.sha256(bytes.fromhex(contract.nonce) + partner.encode()).hexdigest()
    return replace(contract, receiver=partner, nonce=nonce)
