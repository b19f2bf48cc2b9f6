"""The label party's link to one feature party: trees and sums, without what all links share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from federated.regression.columns import Columns
from federated.regression.descent import Descent, Metric
from federated.regression.growing import LINKED, Bins
from federated.regression.messages import Lanes, Layout, Ready, Sums
from federated.regression.party import Party, Words
from federated.regression.plan import RegressionPlan
from federated.regression.results import Floats
from federated.regression.schedule import Place, Places
from federated.regression.states import Fitting, Linking
from federated.sharing.kept import Values
from federated.sharing.messages import (
    Offer,
)
from federated.sharing.transcript import SEED
from psi.protocol import Context, MisuseError, Turn
from psi.protocol.store import NamedStore

__all__ = ["Line"]


class Line(Party[Any]):
    """One link; the label party is its role, and calls it with states of its own.

    Args:
        context: the label party's.
        peer: the feature party.
        x: `float64[n, a]`, the columns whose sums this link opens; a may be 0.
        plan: the contract's terms.
        number: of the link, which names what it keeps.
        known, fold: rows with a label `bool[n]`, and their folds `int8[n]`.
        most: how many columns the feature party stated; None: whatever it says.
    """

    transitions: ClassVar[Mapping[tuple[type, type], str]] = {
        (Linking, Ready): "on_ready",
        **LINKED,
    }

    def __init__(
        self,
        context: Context,
        peer: str,
        x: Floats,
        plan: RegressionPlan,
        *,
        number: int,
        known: NDArray[np.bool_],
        fold: NDArray[np.int8],
        most: int | None,
    ) -> None:
        super().__init__(
            replace(context, store=NamedStore(context.store, f"line{number}")), peer, x, plan
        )
        self._known, self._fold, self._most = known, fold, most

    @property
    def peer(self) -> str:
        """The feature party."""
        return self._peer

    @property
    def lane_bytes(self) -> int:
        """Of a lane."""
        return self._bytes

    @property
    def columns(self) -> Columns:
        """Trees of the own columns."""
        return self._columns

    @property
    def layout(self) -> Layout:
        """The own trees, which are public."""
        return self._columns.layout

    def opened_link(self, unit: int) -> tuple[Linking, Offer]:
        """The first state, and what is told of it."""
        state = self._linking(unit)
        return state, self._offer(state)

    def on_ready(self, state: Linking, sent: Ready, peer: str) -> Turn[Any]:
        """The partner's trees."""
        return Turn(self._laid_out(self._heard(state, sent, peer), sent.layout, self._most))

    def on_offer(self, state: Linking, sent: Offer, peer: str) -> Turn[Any]:
        """Choose in the partner's base transfers."""
        state, points = self._chosen(self._heard(state, sent, peer), sent)
        return Turn(state, [(peer, points)])

    def heard(self, state: Fitting, sent: Any) -> Fitting:
        """After one message more."""
        found: Fitting = self._heard(state, sent, self._peer)
        return found

    def made(self, state: Fitting) -> bool:
        """Whether all trees that may be asked for by now are there."""
        return self._made(state)

    def begun(self, state: Fitting) -> Fitting:
        """In a new evaluation."""
        return self._opened(replace(state, running=True))

    def started(self, state: Fitting) -> Fitting:
        """With the noise that stays: all trees are turned, so that no other columns ever meet it,
        and nothing that the partner says from here on changes it.
        """
        lasting = state.transcript.draw("lasting noise", SEED)
        return self._veiled(replace(state, started=True, lasting=lasting))

    def forget(self, state: Fitting) -> None:
        """The lookups of the evaluation before."""
        self._drop(state)

    def places(self, state: Fitting) -> Places:
        """Chunks of rows."""
        return self._theirs(state)

    def fixed(self, numbers: Floats, unit: int) -> Words:
        """In fixed point, in a unit of 2^`unit`."""
        return self._fixed(numbers, unit)

    def given(self, state: Fitting, chunk: int, shares: Words) -> tuple[Fitting, Lanes]:
        """This side's residuals of a chunk under the partner's trees."""
        return self._give(state, chunk, shares)

    def taken(self, state: Fitting, sent: Lanes) -> Fitting:
        """The partner's residuals of a chunk under the own trees."""
        return self._take(state, sent)

    def told_sums(self, state: Fitting, own: Floats | None) -> Sums:
        """This side's share of the partner's sums, with noise (`_told`)."""
        return self._told(state, own)

    def opened_sums(self, state: Fitting, sent: Sums) -> Floats:
        """The own sums `float64[vectors, 1 + integers]`."""
        self._due_sums(state, sent)
        return self._sums(state, sent.sums)

    def beyond(self, state: Fitting, sent: Sums) -> bool:
        """Whether there are sums that these rows cannot have."""
        return self._beyond(state, sent.sums)

    def own_noise(self, state: Fitting, back: Floats, own: Floats | None) -> Floats:
        """Of the own inner products, `float64[vectors, k]` (`_own_noise`)."""
        return self._own_noise(state, back, own)

    def own_term(self, state: Fitting, back: Floats) -> Floats:
        """Of the own gradients, `float64[vectors, k]` (`_own_term`)."""
        return self._own_term(state, back)

    def metric_of(self, state: Fitting, square: Floats, back: Floats) -> Metric:
        """The own block of the first metric (`_metric_of`)."""
        return self._metric_of(state, square, back)

    def tables(self, state: Fitting, flat: NDArray[np.int16]) -> list[Words]:
        """Each model's `uint64[2^grid_bits, ins, outs]`."""
        return self._shaped(state, flat)

    def looked_up(
        self, state: Fitting, at: tuple[int, int], nonce: bytes, values: Words, table: Words
    ) -> tuple[Words, Words]:
        """A batch for a model's and chunk's lookup padded, and this side's shares."""
        number = self._theirs(state).lookup(state.number, *at)
        return Values(self.context.store, state.peer).looked_up(number, nonce, values, table)

    def _first(self) -> tuple[Descent, ...]:
        return ()

    def _points(self, state: Fitting, place: Place) -> Bins:
        raise MisuseError("the label party's score has no grid")

    @property
    def _labelled(self) -> NDArray[np.bool_]:
        return self._known

    @property
    def _folds(self) -> NDArray[np.int8]:
        return self._fold
