"""A link of a regression before its first tree: terms, layouts, base transfers of both directions.

Of the two directions each party is the bin holder of its own columns' trees, and the value holder
of the other's. A message of trees comes from one side of a direction only, so its sender says which
direction it belongs to.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from federated.regression.columns import Columns, check_layout, depths
from federated.regression.descent import Descent
from federated.regression.messages import Layout
from federated.regression.plan import RegressionPlan
from federated.regression.results import Floats
from federated.regression.schedule import farthest_bits, lane_bytes, scale_bits
from federated.regression.states import Fitting, Linking
from federated.sharing.chunks import name_of
from federated.sharing.linking import chosen, given, linked, offered
from federated.sharing.messages import Offer, Points, Seeds
from psi.protocol import Context, MisuseError, PeerError, Role, Turn

__all__ = ["Linked"]

R = TypeVar("R")


class Linked(Role[R]):
    """One side; `x: float64[n, p]` are the columns that trees are made of."""

    def __init__(self, context: Context, peer: str, x: Floats, plan: RegressionPlan) -> None:
        super().__init__(context)
        if len(x) > plan.rows:
            raise MisuseError(f"{len(x)} rows found, at most {plan.rows} planned")
        self._peer, self._plan, self._rows = peer, plan, len(x)
        self._raw = x
        self._scale, self._bytes = scale_bits(plan), lane_bytes(plan)
        self._farthest = farthest_bits(plan)

    def _linking(self, unit: int) -> Linking:
        return Linking(**offered(self.context), unit=unit)

    def _offer(self, state: Linking) -> Offer:
        return Offer(state.point, self._rows, depths(self._columns.layout))

    def _laid_out(self, state: Linking, layout: Layout, most: int | None) -> Linking:
        """With the other side's trees."""
        if state.layout is not None:
            raise PeerError("a layout that was told before")
        check_layout(layout, self._plan.column_bits)
        if most is not None and layout.columns > most:
            raise PeerError(f"{layout.columns} columns found, {most} stated in the contract")
        return replace(state, layout=layout)

    def _heard(self, state: Any, sent: Any, peer: str) -> Any:
        if peer != self._peer:
            raise PeerError("a message that only the other party of the regression may send")
        return replace(state, transcript=state.transcript.hear(self.incoming))

    def _chosen(self, state: Linking, sent: Offer) -> tuple[Linking, Points]:
        """Choose in the other side's base transfers by the bits of a secret."""
        if state.layout is None or state.said:
            raise PeerError("an offer that is not due")
        if sent.rows != self._rows:
            raise PeerError(f"{sent.rows} rows at the other party, {self._rows} here")
        if sent.depths != depths(state.layout):
            raise PeerError("an offer of other trees than the layout's")
        return chosen(state, sent.point, self._name(self._peer, sent.depths))

    def on_points(self, state: Linking, sent: Points, peer: str) -> Turn[R]:
        """The keys of the base transfers, and trees of seeds."""
        name = self._name(self.context.party, depths(self._columns.layout))
        state, seeds = given(self._heard(state, sent, peer), sent, name)
        return Turn(state, [(peer, seeds)])

    def on_seeds(self, state: Linking, sent: Seeds, peer: str) -> Turn[R]:
        """All seeds but one a group."""
        state = self._heard(state, sent, peer)
        if state.own is None or state.layout is None:
            raise PeerError("seeds that are not due")
        own, other = linked(state, sent, self._name(self._peer, depths(state.layout)))
        none = np.zeros(0)
        fitting = Fitting(
            transcript=state.transcript,
            keys=own,
            peer=other,
            layout=state.layout,
            unit=state.unit,
            scale=state.scale,
            own=np.zeros(0, np.uint64),
            theirs=np.zeros(0, np.uint64),
            gradients=none,
            noise=none,
            limits=none,
            told=none,
            ranges=np.zeros((0, 2), np.int64),
            models=self._first(),
            last=self._plan.evaluations - 1,
        )
        return self._begun(fitting)

    def _begun(self, state: Fitting) -> Turn[R]:
        """Both directions are there: the first trees."""
        raise NotImplementedError

    def _first(self) -> tuple[Descent, ...]:
        """The full model's start."""
        raise NotImplementedError

    def _name(self, holder: str, levels: tuple[int, ...]) -> bytes:
        step = f"{self.context.step}/trees of {holder}"
        return name_of(self.context.session, step, self._rows, levels)

    @cached_property
    def _columns(self) -> Columns:
        return Columns.of(self._raw, self._plan.column_bits)
