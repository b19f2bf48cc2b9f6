"""The segments that a training left beside its model, for `fedprofile model show`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from federated.scoring.store import ModelStore

__all__ = ["segments_shown"]


def segments_shown(
    store: ModelStore, model: str
) -> tuple[Sequence[str], list[Sequence[str]]] | None:
    """Heads, and a row a segment, into which scorings by this model put their rows; None: it has
    none, and scorings cut anew."""
    from profiles.model_outputs import ModelOutputs

    found = ModelOutputs.read(store, model)
    if found is None or found.cut is None:
        return None
    heads = ("segment", "what sets it apart")
    return heads, [(str(one.number), one.name) for one in found.cut.segments]
