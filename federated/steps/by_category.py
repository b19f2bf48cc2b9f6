"""The step "amounts by a partner's category" at one party: its role from the contract's terms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.aggregate import AmountParty, CategoryParty, CategoryResult
from federated.aggregate.amounts import MOST_PARTS, AmountSlots
from federated.aggregate.audit import Told
from federated.aggregate.categories import with_other
from federated.aggregate.pairs import Pairs
from federated.contract.noise import amounts_of
from federated.contract.terms import CategoryTerms
from federated.paillier import PrivateKey
from federated.steps.categories_told import subject_of, tell
from federated.tables.matrix import categorical, numeric_matrix
from psi.protocol import Context, Role

__all__ = ["ciphertexts", "giving", "receiving"]

Grouped = Callable[[pa.ChunkedArray], tuple[list[str], np.ndarray]]


def ciphertexts(terms: CategoryTerms, rows: int) -> int:
    """Ciphertexts that each of so many rows takes, at most."""
    parts = MOST_PARTS if terms.segment else 1
    return AmountSlots(amounts_of(terms), parts, rows, terms.key_bits, terms.epsilon).layout.ciphers


def receiving(
    context: Context,
    terms: CategoryTerms,
    table: pa.Table,
    key: PrivateKey,
    grouped: Grouped,
    *,
    where: str,
    most: int = 1,
) -> Role[CategoryResult]:
    """The receiver's role over its aligned `table`, whose logical name is `where`.

    One record is in `most` pairs at most.
    """
    amounts = amounts_of(terms)
    values = numeric_matrix(table, [a.column for a in amounts], where=where)
    segments, codes = [""], np.zeros(len(table), np.int64)
    if terms.segment:
        segments, codes = grouped(table.column(terms.segment))
    return AmountParty(
        context, terms.partner, key, amounts, values, with_other(terms.categories),
        epsilon=terms.epsilon, segments=segments, codes=codes, most=most,
    )  # fmt: skip


def giving(
    context: Context,
    terms: CategoryTerms,
    table: pa.Table,
    rows: np.ndarray,
    before: Told,
    pairs: Pairs | None = None,
    most: int = 1,
) -> Role[np.ndarray]:
    """The partner's role over its aligned `table`, which are these `rows` of its own.

    Exact counts are audited together with what was told `before`, and kept there ahead of telling.
    One record counts with `most` of its pairs at most.
    """
    names, values = with_other(terms.categories), categorical(table, terms.category)
    kept = None
    if not terms.epsilon:
        subject = subject_of(terms.partner, terms.category, rows, values)
        earlier = before.earlier(subject)
        kept, told = tell(values, terms.categories, terms.minimum_group, earlier)
        before.add(subject, told)
    found = pc.index_in(values, pa.array(names, pa.large_string()))
    codes = found.fill_null(len(names) - 1).to_numpy(zero_copy_only=False).astype(np.int64)
    if pairs is not None:  # by several keys a record may be in more pairs than by one
        codes[~pairs.within(most)] = -1
    return CategoryParty(
        context, codes, len(names), amounts_of(terms), epsilon=terms.epsilon,
        minimum_group=terms.minimum_group, parts=None if terms.segment else 1,
        kept=kept, key_bits=terms.key_bits, most=most,
    )  # fmt: skip
