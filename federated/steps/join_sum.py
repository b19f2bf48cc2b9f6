"""The join and sum step at one party: its role from the contract's terms and the intersection."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from federated.contract.noise import noising_of, summed_columns
from federated.contract.terms import JoinSumTerms
from federated.join_sum import JoinSumResult, SumReceiver, SumSender, place_values
from federated.paillier import PrivateKey
from federated.tables.matrix import numeric_matrix
from psi.align import Alignment
from psi.protocol import Context, Role

__all__ = ["receiving", "sending"]


def receiving(
    context: Context, terms: JoinSumTerms, found: Alignment, *, records: bool
) -> Role[JoinSumResult]:
    """The receiver's role; `records`: keys have several levels, so places are of records."""
    statistics = [(m.column, m.statistic) for m in terms.measures]
    return SumReceiver(
        context, terms.partner, found.places, found.size_sender, summed_columns(terms), statistics,
        records=records, key_bits=terms.key_bits, noising=noising_of(terms),
    )  # fmt: skip


def sending(
    context: Context,
    terms: JoinSumTerms,
    found: Alignment,
    table: pa.Table,
    key: PrivateKey,
    *,
    receiver: str,
    duplicates: str,
    where: str,
) -> Role[np.ndarray]:
    """The partner's role over its `table`, whose logical name is `where`."""
    columns = summed_columns(terms)
    values = numeric_matrix(table, columns, where=where)
    placed = place_values(values, found.places, columns, duplicates=duplicates)
    asked = {m.column for m in terms.measures if m.statistic != "count"}
    return SumSender(
        context, receiver, key, placed, terms.minimum_group,
        summed=[column in asked for column in columns], noising=noising_of(terms),
    )  # fmt: skip
