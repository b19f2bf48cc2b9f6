"""The parties of `aggregate_parties` with private sums in place of ciphertexts."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np

from federated.aggregate.cells import Grouping
from federated.aggregate.lane_rows import LaneRows
from federated.aggregate.rows import Asking
from federated.aggregate.share_measure import ShareMeasureParty
from federated.aggregate.share_segment import ShareSegmentParty
from federated.sharing.bin_holder import BinHolder
from federated.sharing.value_holder import ValueHolder
from psi.protocol import Pair
from tests.unit.aggregate_parties import Parties


class SharedParties(Parties):
    """The same sections by private sums; `bank` and `bureau` make the roles of one."""

    bank: Any = ShareSegmentParty
    bureau: Any = ShareMeasureParty

    def row_roles(self) -> tuple[Any, Any]:
        raise AssertionError("there are no rows under encryption")

    def rows_of(self, number: int) -> LaneRows:
        asking = Asking(self.sections, len(self.values))
        own = [asking.columns.index(c) for c in self.sections[number].columns]
        bound = int.from_bytes(secrets.token_bytes(8), "little") | 1
        rows = LaneRows(
            asking, number, self.values[:, own], self.counted[number], bound, seed=b"q" * 32
        )
        self.bound, self.asking = bound, asking
        return rows

    def shared(self, number: int, bins: np.ndarray, size: int, rows: LaneRows) -> dict[str, Any]:
        count, lanes = len(self.values), rows.lanes.lanes
        step = f"sums/{number}"
        one = BinHolder(self.context("bank", step), "bureau", [bins], [size], lanes)
        other = ValueHolder(
            self.context("bureau", step), "bank", count, lanes, rows.give, columns=1
        )
        link = Pair(one, other, wire=self.wire)
        found = link.run()
        self.sent += link.sent
        return {name: each[0] for name, each in found.items()}

    def roles(self, number: int, before: list[dict[str, Any]]) -> tuple[Any, Any]:
        grouping = self.groupings[number]
        told, earlier = self.told(number, before)
        cells, into = grouping.told(told)
        bins, rows = into[grouping.place], self.rows_of(number)
        shares = self.shared(number, bins, max(2, len(cells)), rows)
        return (
            self.bank(
                self.context("bank", "aggregate"), "bureau", rows.lanes, groups=grouping.groups,
                cells=cells, sizes=np.bincount(bins, minlength=len(cells)),
                rows=self.sizes(grouping), shares=shares["bank"][: len(cells)],
            ),
            self.bureau(
                self.context("bureau", "aggregate"), rows.lanes, bound=self.bound,
                shares=shares["bureau"], asking=self.asking, counted=self.counted[number],
                history=self.history, earlier=earlier,
            ),
        )  # fmt: skip

    def sizes(self, grouping: Grouping) -> np.ndarray:
        known = grouping.codes[grouping.codes >= 0]
        return np.bincount(known, minlength=len(grouping.groups)).astype(np.int64)

    def run_all(self) -> list[dict[str, Any]]:
        found = list[dict[str, Any]]()
        for number in range(len(self.sections)):
            link = Pair(*self.roles(number, found), wire=self.wire)
            found.append(link.run())
            self.sent += link.sent
        return found
