"""Find the records that the receiver and its partners share, at one party."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
import pyarrow as pa

from federated.aggregate.pairs import Pairs
from federated.contract.terms import AlignTerms, Contract
from federated.steps.kept_tags import KeptTags
from federated.steps.step import Step
from federated.steps.work import Work
from federated.tables.key_columns import cleaned_key
from psi import align
from psi.align import Alignment, Records, SelectReceiver, SelectSender
from psi.identifiers import Cleaned, combine
from psi.protocol import Refused

__all__ = ["Align"]


class Align(Step):
    """One alignment a partner; with several, the rows that all of them have."""

    def __init__(self, work: Work) -> None:
        self._work = work

    @staticmethod
    def check(contract: Contract, party: str, table: pa.Table) -> None:
        """Keys are looked at with the party's own terms (`preconditions`)."""

    def run(self) -> None:
        terms = self._work.contract.align
        for one in terms:
            if self._work.takes_part(one.partner):
                self._align(one)
        if terms and self._work.contract.known:
            self._select()

    def _align(self, terms: AlignTerms) -> None:
        work, step = self._work, f"align/{terms.partner}"
        keys = [
            combine([self._cleaned(c, k) for c, k in zip(columns, kinds, strict=True)])
            for columns, kinds in zip(work.me.keys, work.me.kinds, strict=True)
        ]
        peer = terms.partner if work.receives else work.contract.receiver
        settings = replace(terms, reveal=self._reveal(terms))
        keeper = self._keeper(terms, peer) if terms.keep_tags_days else None
        side = align.receive if work.receives else align.send
        try:
            found = self._levels(step, side(peer, keys, settings, keeper), peer)
        except Refused as error:
            error.message = f"with {peer}: {error.message}"  # one of several, it may be
            raise
        work.outcome.alignments[peer] = found
        if terms.duplicates == "join" and len(found.entry):
            work.own = Records.of(keys).of_row[found.rows]
            work.pairs = Pairs(found.entry, found.entry if work.receives else work.own)
            work.most = found.most
        work.disclosed(
            f"align {terms.partner}",
            matched=found.matched,
            own_rows=found.size_receiver if work.receives else found.size_sender,
            peer_items=found.size_sender if work.receives else found.size_receiver,
        )

    def _cleaned(self, column: str, kind: str) -> Cleaned:
        """A key column; of the rarer kinds, which take long, the progress is shown."""
        told = lambda share: self._work.session.tell("keys", share)  # noqa: E731
        return cleaned_key(self._work.table, column, kind, told)

    def _reveal(self, terms: AlignTerms) -> str:
        """A count that is to be summed over needs the places that match."""
        joined = any(join.partner == terms.partner for join in self._work.contract.join_sum)
        return "places" if joined else terms.reveal

    def _keeper(self, terms: AlignTerms, peer: str) -> KeptTags:
        session, sender = self._work.session, self._work.contract.party(terms.partner)
        told = lambda share: session.tell(f"align/{terms.partner}/tags", share)  # noqa: E731
        kept, pinned = self._work.kept, session.pinned[peer]
        return KeptTags(kept, pinned, terms, sender, session.random, session.clock, progress=told)

    def _levels(self, step: str, runs: align.Runs, peer: str) -> Alignment:
        """Drive an alignment: one protocol run a level, and one for the order."""
        try:
            name, build = next(runs)
            while True:
                level = f"{step}/{name}"
                result = self._work.run(level, build(self._work.session.context(level)), [peer])
                name, build = runs.send(result)
        except StopIteration as stop:
            return cast(Alignment, stop.value)

    def _select(self) -> None:
        """Keep the rows that every partner has; with one partner that is all of them."""
        work, several = self._work, len(self._work.contract.align) > 1
        alignments = work.outcome.alignments
        if not work.receives:
            found = alignments[work.contract.receiver]
            keep = np.arange(len(found.rows))
            if several:
                role = SelectSender(work.session.context("select"), len(found.rows))
                keep = work.run("select", role, [work.contract.receiver])
        else:
            positions = _common({name: a.rows for name, a in alignments.items()})
            if several:
                asking = SelectReceiver(work.session.context("select"), positions)
                work.session.run("select", asking)
            first = next(iter(alignments))
            found, keep = alignments[first], positions[first]
        work.outcome.rows, work.outcome.grades = found.rows[keep], found.grade[keep]
        if several:
            work.disclosed("select", matched=len(keep))


def _common(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """For each partner, which of its aligned pairs have a row that all partners share.

    One partner shares all of its pairs, however often a row is in one.
    """
    every = list(rows.values())
    if len(every) == 1:
        return {name: np.arange(len(own)) for name, own in rows.items()}
    shared = np.unique(every[0])
    for own in every[1:]:
        shared = np.intersect1d(shared, own)
    keep: dict[str, np.ndarray] = {}
    for name, own in rows.items():
        inside = np.flatnonzero(np.isin(own, shared))
        _, first = np.unique(own[inside], return_index=True)
        keep[name] = inside[np.sort(first)]
    return keep
