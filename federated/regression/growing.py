"""Trees of seeds of a regression's link: of columns once, of lookups in each evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from federated.regression.columns import depths
from federated.regression.linking import Linked
from federated.regression.messages import Layout
from federated.regression.schedule import Evaluation, Place, Places, schedule
from federated.regression.states import Fitting, Linking
from federated.sharing.chunks import window_of
from federated.sharing.kept import Index, Values
from federated.sharing.making import OwnTrees, TheirTrees
from federated.sharing.messages import (
    Asked,
    Challenged,
    Corrected,
    Offer,
    Points,
    Seeds,
    Turned,
    Zeroed,
)
from psi.protocol import Turn

__all__ = ["LINKED", "Bins", "Growing"]

R = TypeVar("R")
Bins = NDArray[np.uint16]

WINDOW = 8
"""Whole chunks of trees under way at a time."""


LINKED: Mapping[tuple[type, type], str] = {
    (Linking, Offer): "on_offer",
    (Linking, Points): "on_points",
    (Linking, Seeds): "on_seeds",
    (Fitting, Asked): "on_asked",
    (Fitting, Corrected): "on_corrected",
    (Fitting, Challenged): "on_challenged",
    (Fitting, Zeroed): "on_zeroed",
    (Fitting, Turned): "on_turned",
}
"""What both sides of a link hear alike."""


class Growing(Linked[R]):
    """One side, whose trees are made."""

    holds_scores = False
    """Whether lookups are of this side's score."""

    def _planned(self, state: Fitting) -> tuple[Evaluation, ...]:
        return schedule(self._plan, state.last)

    @property
    def _looks(self) -> bool:
        """Whether residuals take a lookup."""
        return self._plan.link != "linear"

    def _lookups(self, state: Fitting) -> tuple[int, ...]:
        if not self._looks:
            return ()
        return tuple(len(each.models) for each in self._planned(state))

    def _own(self, state: Fitting) -> Places:
        lookups = self._lookups(state) if self.holds_scores else ()
        return Places(self._rows, len(self._columns.layout.trees), lookups)

    def _theirs(self, state: Fitting) -> Places:
        lookups = () if self.holds_scores else self._lookups(state)
        return Places(self._rows, len(state.layout.trees), lookups)

    def _due(self, state: Fitting, places: Places) -> int:
        """How many of a direction's numbers may be asked for by now."""
        if not state.running or not places.lookups:
            return places.kept
        return places.until(state.number + 1)

    def _made(self, state: Fitting) -> bool:
        """Whether all trees that may be asked for by now are there."""
        own, theirs = self._due(state, self._own(state)), self._due(state, self._theirs(state))
        return state.turned == own and state.given == theirs

    def _depth(self, place: Place, layout: Layout) -> int:
        return self._plan.grid_bits if place.tree < 0 else depths(layout)[place.tree]

    def _numbers(self, state: Fitting, place: Place) -> Bins:
        """Own bins of a place's rows, filled up."""
        own = self._columns.numbers[place.tree] if place.tree >= 0 else self._points(state, place)
        found = np.zeros(place.rows, np.uint16)
        found[: place.high - place.low] = own[place.low : place.high]
        return found

    def _points(self, state: Fitting, place: Place) -> Bins:
        """Of each row the grid point of a model's score."""
        raise NotImplementedError

    def _begun(self, state: Fitting) -> Turn[R]:
        fitting, asked = self._ask(state)
        return Turn(fitting, [(self._peer, each) for each in asked], progress=0.0)

    def _ask(self, state: Fitting) -> tuple[Fitting, list[Asked]]:
        """Transfers for the trees that may be under way."""
        last = state.turned + window_of(self._rows, WINDOW)
        return self._own_trees(state).ask(min(self._due(state, self._own(state)), last))

    def on_asked(self, state: Fitting, sent: Asked, peer: str) -> Turn[R]:
        """Make trees, and send what corrects the other side's."""
        state = self._heard(state, sent, peer)
        due = self._due(state, self._theirs(state))
        state, told = self._their_trees(state).answered(sent, due)
        return Turn(state, [(peer, told)])

    def on_corrected(self, state: Fitting, sent: Corrected, peer: str) -> Turn[R]:
        """Keep trees; ask for zeros."""
        state, told = self._own_trees(self._heard(state, sent, peer)).corrected(sent)
        return Turn(state, [(peer, told)])

    def on_challenged(self, state: Fitting, sent: Challenged, peer: str) -> Turn[R]:
        """Zeros under the other side's nonce."""
        state, told = self._their_trees(self._heard(state, sent, peer)).proved(sent)
        return Turn(state, [(peer, told)])

    def on_zeroed(self, state: Fitting, sent: Zeroed, peer: str) -> Turn[R]:
        """Check trees, turn them to the bins, and ask for the next ones."""
        state, told = self._own_trees(self._heard(state, sent, peer)).turned(sent)
        state, asked = self._ask(state)
        return self._went_on(state, [(peer, each) for each in (told, *asked)])

    def on_turned(self, state: Fitting, sent: Turned, peer: str) -> Turn[R]:
        """Keep the other side's turns."""
        return self._went_on(self._their_trees(self._heard(state, sent, peer)).given(sent), [])

    def _went_on(self, state: Fitting, messages: list[tuple[str, Any]]) -> Turn[R]:
        """After a tree more: what follows once all are there."""
        return Turn(state, messages)

    def _own_trees(self, state: Fitting) -> OwnTrees:
        places, layout = self._own(state), self._columns.layout
        return OwnTrees(
            self.context.store,
            state,
            bins=lambda number: self._numbers(state, places.of(number)),
            depth=lambda number: self._depth(places.of(number), layout),
        )

    def _their_trees(self, state: Fitting) -> TheirTrees:
        places = self._theirs(state)
        return TheirTrees(
            self.context.store,
            state,
            rows=lambda number: places.of(number).rows,
            depth=lambda number: self._depth(places.of(number), state.layout),
        )

    def _drop(self, state: Fitting) -> None:
        """Forget the lookups of the evaluation before: a state that is past them is saved."""
        if not self._looks or not state.number:
            return
        places = self._own(state) if self.holds_scores else self._theirs(state)
        side = Index(self.context.store, state.keys) if self.holds_scores else None
        for number in range(places.until(state.number - 1), places.until(state.number)):
            if side is not None:
                side.drop(number)
            else:
                Values(self.context.store, state.peer).drop(number)
