"""A key of fewer or more bits than the contract says is refused by whoever receives it."""

from __future__ import annotations

import secrets
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from federated import aggregate, join_sum
from federated.contract.terms import AmountTerms, CategoryTerms, JoinSumTerms, Measure
from federated.paillier import generate_keypair
from federated.steps import by_category as category
from federated.steps import join_sum as join_sum_step
from federated.steps.categories_told import NothingTold
from federated.steps.sections_told import SectionsTold
from psi.protocol import Context, Envelope, PeerError, Role, encode
from tests.unit.test_contract import contract

SMALLER = generate_keypair(2048).public.to_bytes()
LARGER = b"\xff" * 512
CONTEXT = Context(b"session", "step", "me", secrets.token_bytes)
TABLE = pa.table({"segment": ["x", "y"], "a": [1.0, 2.0]})


def by_segment(public: bytes) -> tuple[Role[Any], Any]:
    made = contract()
    assert made.aggregate[0].key_bits == 3072
    table = pa.table({made.aggregate[0].by: ["x", "y"]})
    history = aggregate.history.history_of(np.array([1, 2], np.uint64), (), 0)
    role = SectionsTold(made).adding(CONTEXT, "bureau", table, history)
    return role, aggregate.messages.Key(public, 2, 1)


def by_category(public: bytes) -> tuple[Role[Any], Any]:
    amounts = (AmountTerms("balance", 0, 100),)
    terms = CategoryTerms(
        partner="bureau",
        category="segment",
        categories=("x", "y"),
        segment="",
        amounts=amounts,
        noise="laplace",
        epsilon=1000,
        minimum_group=20,
        key_bits=3072,
    )
    role = category.giving(CONTEXT, terms, TABLE, np.arange(2), NothingTold())
    return role, aggregate.messages.Key(public, 2, 1)


def joined(public: bytes) -> tuple[Role[Any], Any]:
    terms = JoinSumTerms(
        partner="bureau", measures=(Measure("a", "sum"),), minimum_group=20, key_bits=3072
    )
    found: Any = SimpleNamespace(places=np.array([0]), size_sender=2)
    role = join_sum_step.receiving(CONTEXT, terms, found, records=False)
    return role, join_sum.messages.Key(public, 2, 1)


@pytest.mark.parametrize("made", [by_segment, by_category, joined])
@pytest.mark.parametrize(("public", "bits"), [(SMALLER, 2048), (LARGER, 4096)])
def test_a_key_of_another_size_than_the_contract_says_is_refused(
    made: Any, public: bytes, bits: int
) -> None:
    """A shorter one is worth less; a longer one costs whoever computes with it, many times."""
    role, key = made(public)
    role.start()
    with pytest.raises(PeerError, match=f"modulus of {bits} bits; allowed are 3072"):
        role.receive(Envelope(b"session", "step", "bureau", "me", 0, encode(key)))
