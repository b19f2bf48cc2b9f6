"""Aligned rows of two parties, bound as the jobs in `examples/` bind them.

What a party holds is encoded by the product's own encoder, so that an attack meets the columns
that a training meets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from federated.tables.encoding import DEFAULT_SUPPORT, Encoder
from federated.tables.matrix import known_labels
from profiles.job import Job
from profiles.tables import open_tables
from psi.protocol import MisuseError

__all__ = ["SETS", "Bound", "Floats", "Ints", "Joined", "bound", "joined", "load"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SETS = ("credit_default", "bank_marketing", "berka", "invented")
EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclass(frozen=True, repr=False)
class Joined:
    """The aligned rows of the label party and of all partners as one.

    own: `float64[n, a]`, the label party's design columns; label: `int8[n]`, -1 for none;
    partner: `float64[n, b]`, the partners' design columns side by side; names: theirs;
    codes: `int64[n, c]`, the partners' own columns before encoding, each value by its rank.
    """

    name: str
    own: Floats
    label: NDArray[np.int8]
    partner: Floats
    names: tuple[str, ...]
    codes: Ints

    @property
    def told(self) -> str:
        """For a row: the set and its size."""
        return f"{self.name}, {len(self.label):,} rows"

    @cached_property
    def tuples(self) -> tuple[Ints, Ints, Ints]:
        """Distinct rows of the partner's columns: a row of each, which one a row has, counts."""
        _, first, which, counts = np.unique(
            self.codes, axis=0, return_index=True, return_inverse=True, return_counts=True
        )
        return first.astype(np.int64), which.reshape(-1).astype(np.int64), counts.astype(np.int64)

    @property
    def entropy(self) -> float:
        """Bits a row of the partner's columns together hold, by their frequencies here."""
        share = self.tuples[2] / len(self.label)
        return float(-(share * np.log2(share)).sum())

    @property
    def mode(self) -> float:
        """Share of whole rows that whoever knows frequencies alone gets right."""
        return float(self.tuples[2].max() / len(self.label))

    def of_rows(self, keep: Ints) -> Joined:
        """These rows only; a partner's column that stands out in fewer than 20 of them goes."""
        part = self.partner[keep]
        off = [len(keep) - np.unique(column, return_counts=True)[1].max() for column in part.T]
        wide = np.array(off) >= DEFAULT_SUPPORT
        names = tuple(name for name, kept in zip(self.names, wide, strict=True) if kept)
        return Joined(
            self.name, self.own[keep], self.label[keep], part[:, wide], names, self.codes[keep]
        )


@dataclass(frozen=True, repr=False)
class Bound:
    """The two parties' tables, one row a shared record in one order, keyed by the column `id`.

    All partners of a job count as one: columns of later ones are named PARTY.COLUMN.
    """

    name: str
    own: pa.Table
    partner: pa.Table
    label: str
    positive: str

    @property
    def features(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The label party's columns and the partner's, without key and label."""
        own, partner = (
            tuple(c for c in table.column_names if c not in ("id", self.label))
            for table in (self.own, self.partner)
        )
        return own, partner

    def take(self, rows: Ints) -> Bound:
        """These rows only."""
        at = pa.array(rows)
        return replace(self, own=self.own.take(at), partner=self.partner.take(at))


@cache
def bound(name: str) -> Bound:
    """The tables of one of `SETS` that jobs bind.

    Raises:
        MisuseError: no such set.
        JobError, InputError: $FEDPROFILE_DATA is not set, or has no such file.
    """
    if name == "invented":
        return _invented(4096)
    if name not in SETS:
        raise MisuseError(f"set {name!r} found, {', '.join(SETS)} allowed")
    job = Job.load(EXAMPLES / name / "job.toml")
    source = open_tables(EXAMPLES / name / "tables.toml")
    label, positive = next(((t.label, t.positive) for t in job.trains), ("", ""))
    parties = [job.party(name) for name in (job.receiver, *job.partners())]
    tables, keys = [], []
    for party in parties:
        key = party.keys[0][0]
        wanted = [key, *party.features, *([label] if party.name == job.receiver else [])]
        table = source.load(party.table, list(dict.fromkeys(wanted)), keys=[key])
        keys.append([str(value) for value in table.column(key).to_pylist()])
        tables.append(table.select([c for c in table.column_names if c != key]))
    places = [{key: at for at, key in enumerate(column)} for column in keys]
    shared = [key for key in places[0] if all(key in one for one in places[1:])]
    tables = [
        table.take(pa.array([one[key] for key in shared]))
        for table, one in zip(tables, places, strict=True)
    ]
    partner = tables[1]
    for party, table in zip(parties[2:], tables[2:], strict=True):
        for column in table.column_names:
            partner = partner.append_column(f"{party.name}.{column}", table.column(column))
    ids = pa.array([f"{number:08d}" for number in range(len(shared))])
    return Bound(
        name, tables[0].append_column("id", ids), partner.append_column("id", ids), label, positive
    )


def load(name: str, rows: int = 0) -> Joined:
    """The design of one of `SETS`, of a sample of `rows` if given. Raises as `bound`."""
    found = bound(name)
    if rows and rows < len(found.own):
        rng = np.random.default_rng(0)
        found = found.take(np.sort(rng.permutation(len(found.own))[:rows]))
    return joined(found)


def joined(found: Bound) -> Joined:
    """The design of these tables, by the product's encoder."""
    own, partner = found.features
    label = known_labels(found.own, found.label, positive=found.positive, where=found.name)
    matrix, names = _design(found.partner, partner)
    codes = [
        np.unique(np.array(found.partner.column(c).to_pylist(), dtype=str), return_inverse=True)[1]
        for c in partner
    ]
    return Joined(
        found.name, _design(found.own, own)[0], label.astype(np.int8), matrix, names,
        np.column_stack(codes).astype(np.int64),
    )  # fmt: skip


def _design(table: pa.Table, columns: tuple[str, ...]) -> tuple[Floats, tuple[str, ...]]:
    matrix, names = Encoder.fit(table, columns).transform(table)
    return np.asarray(matrix), tuple(names)


def _invented(rows: int) -> Bound:
    """Six columns of small integers and five of the label party's, all made up, for tests."""
    rng = np.random.default_rng(17)
    common = rng.normal(size=(rows, 1))
    spread = np.array([1.2, 0.6, 0.7, 0.6, 1.2, 0.6])
    codes = np.rint((0.5 * common + rng.normal(size=(rows, len(spread)))) * spread).astype(np.int64)
    own = 0.4 * common + rng.normal(size=(rows, 5))
    score = codes @ np.linspace(0.8, -0.5, len(spread)) + own @ np.full(5, 0.2) - 1.0
    label = (rng.random(rows) < 1 / (1 + np.exp(-score))).astype(np.int64)
    ids = pa.array([f"{number:08d}" for number in range(rows)])
    return Bound(
        "invented",
        pa.table({"id": ids, **{f"a{i}": own[:, i] for i in range(5)}, "y": label}),
        pa.table({"id": ids, **{f"b{i}": codes[:, i] for i in range(len(spread))}}),
        "y",
        "",
    )
