"""A key of fewer bits than the contract says is refused by whoever receives it."""

from __future__ import annotations

import secrets
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from federated import aggregate, join_sum
from federated.paillier import generate_keypair
from federated.party import category
from federated.party import join_sum as join_sum_step
from federated.party.contract import AmountTerms, CategoryTerms, JoinSumTerms, Measure
from federated.party.segments import Segments
from federated.party.told import NothingTold
from psi.protocol import Context, Envelope, PeerError, Role, encode
from tests.unit.test_contract import contract

PUBLIC = generate_keypair(2048).public.to_bytes()
CONTEXT = Context(b"session", "step", "me", secrets.token_bytes)
TABLE = pa.table({"segment": ["x", "y"], "a": [1.0, 2.0]})


def by_segment() -> tuple[Role[Any], Any]:
    made = contract()
    assert made.aggregate[0].key_bits == 3072
    table = pa.table({made.aggregate[0].by: ["x", "y"]})
    history = aggregate.history.history_of(np.array([1, 2], np.uint64), (), 0)
    role = Segments(made).adding(CONTEXT, "bureau", table, history)
    return role, aggregate.messages.Key(PUBLIC, 2, 1)


def by_category() -> tuple[Role[Any], Any]:
    amounts = (AmountTerms("balance", 0, 100),)
    terms = CategoryTerms(
        "bureau", "segment", ("x", "y"), "", amounts, "laplace", 1000, 20, key_bits=3072
    )
    role = category.giving(CONTEXT, terms, TABLE, np.arange(2), NothingTold())
    return role, aggregate.messages.Key(PUBLIC, 2, 1)


def joined() -> tuple[Role[Any], Any]:
    terms = JoinSumTerms("bureau", (Measure("a", "sum"),), 20, 3072)
    found: Any = SimpleNamespace(places=np.array([0]), size_sender=2)
    role = join_sum_step.receiving(CONTEXT, terms, found, records=False)
    return role, join_sum.messages.Key(PUBLIC, 2, 1)


@pytest.mark.parametrize("made", [by_segment, by_category, joined])
def test_a_smaller_key_than_the_contract_says_is_refused(made: Any) -> None:
    role, key = made()
    role.start()
    with pytest.raises(PeerError, match="modulus of 2048 bits; allowed are 3072"):
        role.receive(Envelope(b"session", "step", "bureau", "me", 0, encode(key)))
