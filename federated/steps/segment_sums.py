"""The step "a partner's measures by the receiver's segment" by private sums, at one party.

What is asked, what counts and what was told before is `segments`; here are the roles that add up
and open shares. Each section has sums of its own, for each has lanes and bins of its own.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from federated.aggregate import AggregateResult, Asking, Grouping, History, MeasureResult
from federated.aggregate.lane_rows import LaneRows
from federated.aggregate.lanes import SectionLanes, lanes_of
from federated.aggregate.share_kinds import KindsReceiver, KindsSender
from federated.aggregate.share_measure import ShareMeasureParty
from federated.aggregate.share_messages import LaneKinds
from federated.aggregate.share_segment import ShareSegmentParty
from federated.aggregate.squares import SEED
from federated.contract.kinds.by_segment import section_of
from federated.contract.terms import AggregateTerms, Contract, PartyTerms
from federated.sharing import MOST_LANES, BinHolder, ValueHolder
from federated.steps.sections_told import SectionsTold
from federated.steps.work import Work
from psi.protocol import Context, MisuseError, Refused

__all__ = ["PartnerSums", "ReceiverSums", "SharedSections"]

Shares = list[np.ndarray]


class ReceiverSums:
    """The receiver's roles towards one partner."""

    def __init__(
        self,
        contract: Contract,
        segments: SectionsTold,
        partner: str,
        table: pa.Table,
        history: History,
    ) -> None:
        segments.group(partner, table, history)
        self._segments, self._partner = segments, partner
        self._exact = not contract.joins(partner)
        towards = [terms for terms in contract.aggregate if terms.partner == partner]
        self._sections = [section_of(terms) for terms in towards]
        self._records = len(segments.grouping(towards[0]).codes)
        self._kinds: LaneKinds | None = None

    def hearing(self, context: Context) -> KindsReceiver:
        """Before the first section."""
        return KindsReceiver(context, self._sections)

    def heard(self, kinds: LaneKinds) -> None:
        """What `hearing` came to."""
        self._kinds = kinds

    def _lanes(self, terms: AggregateTerms) -> SectionLanes:
        if self._kinds is None:
            raise MisuseError("a section before its columns' kinds were told")
        number = self._segments.place(terms)
        own = [bool(each) for each in self._kinds.own[number]]
        lanes = lanes_of(self._segments.asking(self._partner, self._records), number, own)
        return _fitting(terms, lanes)

    def _bins(self, terms: AggregateTerms) -> tuple[Grouping, np.ndarray, np.ndarray]:
        """The section's grouping, its cells, and each record's cell."""
        grouping = self._segments.grouping(terms)
        if not grouping.groups:
            raise Refused("no group has a shared record")
        cells, into = grouping.told(self._segments.told(terms))
        return grouping, cells, into[grouping.place]

    def adding(self, context: Context, terms: AggregateTerms) -> BinHolder:
        """The role that adds a section up."""
        _, cells, bins = self._bins(terms)
        size = max(2, len(cells))
        return BinHolder(context, self._partner, [bins], [size], self._lanes(terms).lanes)

    def opening(self, context: Context, terms: AggregateTerms, shares: Shares) -> ShareSegmentParty:
        """The role that opens what it came to."""
        grouping, cells, bins = self._bins(terms)
        known = grouping.codes[grouping.codes >= 0]
        return ShareSegmentParty(
            context, self._partner, self._lanes(terms), groups=grouping.groups, cells=cells,
            sizes=np.bincount(bins, minlength=len(cells)),
            rows=np.bincount(known, minlength=len(grouping.groups)).astype(np.int64),
            shares=shares[0][: len(cells)], exact=self._exact,
        )  # fmt: skip


class PartnerSums:
    """The partner's roles. `bound` gives a section's secret odd number, the same at each call;
    `seed` is secret and stays so."""

    def __init__(
        self,
        contract: Contract,
        segments: SectionsTold,
        me: PartyTerms,
        table: pa.Table,
        history: History,
        bound: Callable[[int], int],
        seed: bytes,
    ) -> None:
        self._segments, self._receiver, self._history = segments, contract.receiver, history
        self._bound = bound
        self._asking, values, self._counted, at = segments.counting(me, table, history)
        towards = [terms for terms in contract.aggregate if terms.partner == me.name]
        self._rows = [
            LaneRows(
                self._asking, number, values[:, _columns(self._asking, number)],
                self._counted[number], bound(number), at=at, seed=seed,
            )
            for number in range(len(towards))
        ]  # fmt: skip
        for terms, rows in zip(towards, self._rows, strict=True):
            _fitting(terms, rows.lanes)

    def telling(self, context: Context) -> KindsSender:
        """Before the first section."""
        return KindsSender(context, self._receiver, [rows.lanes.own for rows in self._rows])

    def adding(self, context: Context, terms: AggregateTerms) -> ValueHolder:
        """The role that adds a section up."""
        rows = self._rows[self._segments.place(terms)]
        return ValueHolder(
            context, self._receiver, self._asking.rows, rows.lanes.lanes, rows.give, columns=1
        )

    def opening(self, context: Context, terms: AggregateTerms, shares: Shares) -> ShareMeasureParty:
        """The role that opens what it came to."""
        number = self._segments.place(terms)
        return ShareMeasureParty(
            context, self._rows[number].lanes, bound=self._bound(number), shares=shares[0],
            asking=self._asking, counted=self._counted[number], history=self._history,
            earlier=self._segments.audited(terms, self._history),
        )  # fmt: skip


class SharedSections:
    """Runs sections by private sums at one party, three steps each.

    `lanes/PARTNER` once, then `sums/NUMBER/PARTNER` and `aggregate/NUMBER/PARTNER`.
    """

    def __init__(self, work: Work, segments: SectionsTold) -> None:
        self._work, self._segments = work, segments
        self._asking: dict[str, ReceiverSums] = {}
        self._giving: PartnerSums | None = None

    def ask(self, terms: AggregateTerms, table: pa.Table, history: History) -> AggregateResult:
        """The receiver's part in a section, over its aligned table."""
        peer, context = terms.partner, self._work.session.context
        if peer not in self._asking:
            made = ReceiverSums(self._work.contract, self._segments, peer, table, history)
            step = f"lanes/{peer}"
            made.heard(self._work.run(step, made.hearing(context(step)), [peer]))
            self._asking[peer] = made
        asking = self._asking[peer]
        sums, step = self._steps(terms)
        shares = self._work.run(sums, asking.adding(context(sums), terms), [peer])
        return self._work.run(step, asking.opening(context(step), terms, shares), [peer])

    def answer(self, terms: AggregateTerms, table: pa.Table, history: History) -> MeasureResult:
        """The partner's part."""
        work, peer = self._work, [self._work.contract.receiver]
        context = work.session.context
        if self._giving is None:
            session = work.session
            seed = session.keep("squares", lambda: session.random(SEED))
            made = PartnerSums(
                work.contract, self._segments, work.me, table, history, bound=self._bound, seed=seed
            )
            step = f"lanes/{work.me.name}"
            work.run(step, made.telling(context(step)), peer)
            self._giving = made
        giving = self._giving
        sums, step = self._steps(terms)
        shares = work.run(sums, giving.adding(context(sums), terms), peer)
        return work.run(step, giving.opening(context(step), terms, shares), peer)

    def _steps(self, terms: AggregateTerms) -> tuple[str, str]:
        which = f"{self._work.contract.aggregate.index(terms)}/{terms.partner}"
        return f"sums/{which}", f"aggregate/{which}"

    def _bound(self, number: int) -> int:
        """A secret odd number for each section: the peer learns it when the section is opened."""
        session = self._work.session
        kept = session.keep(f"bound-{number}", lambda: session.random(8))
        return int.from_bytes(kept, "little") | 1


def _columns(asking: Asking, number: int) -> list[int]:
    return [asking.columns.index(column) for column in asking.sections[number].columns]


def _fitting(terms: AggregateTerms, lanes: SectionLanes) -> SectionLanes:
    """Raise `Refused` where earlier jobs' thresholds make it more lanes than there may be."""
    if lanes.lanes > MOST_LANES:
        raise Refused(
            f"by {terms.by}: {lanes.lanes} numbers a row found, {MOST_LANES} allowed by private "
            "sums: earlier jobs' thresholds count too",
            hint='ask fewer thresholds, or protocol = "paillier"',
        )
    return lanes
