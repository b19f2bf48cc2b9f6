"""Before a step discloses something of a party's columns: reserve it, or refuse.

What the steps of a contract disclose of a party's columns is derived from the contract alone
(`release.planned`), so that the first step can look ahead at all of them. `foresee` looks at the
whole contract before it is signed: what can be refused without knowing which records will be joined
is refused before anything is disclosed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from federated.contract.completion import foreseen
from federated.contract.release import given, planned, towards
from federated.contract.terms import Contract, PartyTerms
from federated.releases.book import Level
from federated.releases.budget import OverBudget
from federated.releases.holdings import Holdings
from federated.releases.label_bits import few_rows
from federated.releases.likeness import Alike, Likeness, apart
from federated.releases.memory import Releases
from federated.releases.told_scores import ToldScores
from federated.session.session import Session
from federated.tables.snapshot import snapshot_hash
from federated.tables.source import Source
from psi.identifiers import clean, combine
from psi.protocol import PeerError, Refused

__all__ = ["ReleaseGuard", "foresee"]


def foresee(
    contract: Contract, party: str, source: Source, releases: Releases | None, *, draft: bool
) -> None:
    """Raise `OverBudget` where this party's book says no to a contract, whatever is joined.

    The columns of a `draft` are looked at one by one. It does not say how many rows there are: they
    are counted where this party's label would be told with noise of many rows, and not of few.
    """
    me, asked = contract.party(party), [r for r in planned(contract, party) if r.columns]
    if releases is None:
        return
    alike = apart if draft else Likeness(source, me)
    if party == contract.receiver:
        _foresee_given(contract, me, releases, alike)
        if draft and not me.rows:
            _foresee_few(contract, me, source, releases, alike)
    if not asked:
        return
    releases.foresee(contract, me, asked, Holdings(source, me), alike)


def _foresee_given(contract: Contract, me: PartyTerms, releases: Releases, alike: Alike) -> None:
    for partner in contract.partners():
        told = [release for name, release in given(contract) if name == partner]
        if told:
            releases.foresee(towards(contract, partner), me, told, alike=alike)


def _foresee_few(
    draft: Contract, me: PartyTerms, source: Source, releases: Releases, alike: Alike
) -> None:
    """A table of few rows bears no noise on what is told of its label, whatever partners have."""
    few = few_rows(draft)
    if few.train == draft.train:
        return
    try:
        _foresee_given(few, me, releases, alike)
    except OverBudget:
        keys = [column for level in me.keys for column in level]
        rows = len(source.load(me.table, keys[:1], keys=keys))
        known = foreseen(draft.with_party(replace(me, rows=rows)))
        _foresee_given(known, me, releases, alike)


class ReleaseGuard:
    """One party's guard in one job; without `releases` nothing is kept or refused."""

    def __init__(
        self,
        session: Session,
        contract: Contract,
        source: Source,
        salt: bytes,
        table: pa.Table,
        releases: Releases | None,
    ) -> None:
        self._session, self._contract, self._source = session, contract, source
        self._salt, self._table, self._releases = salt, table, releases
        self._me = contract.party(session.name)
        self._planned = [r for r in planned(contract, session.name) if r.columns]
        self._holds = Holdings(source, self._me, table)
        self._alike = Likeness(source, self._me, table)

    def before(
        self,
        step: str,
        rows: np.ndarray | None,
        stands: np.ndarray | None = None,
        times: int = 1,
        scores: ToldScores | None = None,
    ) -> None:
        """Reserve the disclosure of a step over these rows; None where they are hidden.

        `stands` says which of them counts for each of the receiver's, if rows repeat; of a record
        all that is told row by row is told so many `times`; of `scores` what was told before is not
        told again. Raises `Refused`, noted in the ledger,
        where this party's limits say no.
        """
        asked = next((release for release in self._planned if release.step == step), None)
        if self._releases is None or asked is None:
            return
        ahead = self._planned[self._planned.index(asked) + 1 :]
        if times > 1:
            asked, *ahead = (
                replace(one, bits=one.bits * times) if one.vectors else one
                for one in (asked, *ahead)
            )
        joined = None if rows is None else lambda levels: self.keys(levels, rows)
        try:
            self._releases.reserve(
                self._contract, self._me, asked, joined, ahead, self._holds, stands, self._alike,
                scores,
            )  # fmt: skip
        except Refused as error:
            self._session.ledger.write("refused", by="guard", why=error.message, step=step)
            raise
        self._session.ledger.once("reserved", step=step, columns=list(asked.columns))

    def gives(self, step: str, partner: str) -> None:
        """Reserve what a step tells a partner of this receiver's own columns.

        Raises `Refused`, noted in the ledger, where this party's limits say no.
        """
        found = [one for name, one in given(self._contract) if (name, one.step) == (partner, step)]
        if self._releases is None or not found:
            return
        try:
            told = towards(self._contract, partner)
            self._releases.reserve(
                told, self._me, found[0], None, holds=self._holds, alike=self._alike
            )
        except Refused as error:
            self._session.ledger.write("refused", by="guard", why=error.message, step=step)
            raise
        self._session.ledger.once("reserved", step=step, columns=list(found[0].columns))

    def keys(self, levels: Sequence[Level], rows: np.ndarray) -> list[pa.Array]:
        """What names the joined records, by columns that may not be those of this contract."""
        table = self._table
        more = {c for level in levels for c in level.columns} - set(table.column_names)
        if more:
            own = [column for level in self._me.keys for column in level]
            wanted = [*table.column_names, *sorted(more)]
            table = self._source.load(self._me.table, wanted, keys=[*own, *sorted(more)])
            same = table.select(self._table.column_names)
            if snapshot_hash(same, salt=self._salt) != self._me.snapshot:
                raise PeerError("the table changed after the contract was signed", step="tables")
        chosen = table.take(pa.array(rows))
        return [
            combine(
                [
                    clean(chosen.column(column), kind)
                    for column, kind in zip(level.columns, level.kinds, strict=True)
                ]
            )
            for level in levels
        ]
