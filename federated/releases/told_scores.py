"""What a scoring told of each record, kept so that the same number told again costs nothing.

A refusal must tell nothing of scores that it does not hand out: whether a scoring is refused is
decided as if all of its records had changed. What is booked afterwards is what has: the receiver
sees that itself, number by number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from federated.releases.differencing import Tags
from federated.releases.tags import LARGEST
from psi.protocol import Array, Length, message

__all__ = ["ToldScores", "unchanged"]


@message(0xDE)
@dataclass(frozen=True, repr=False)
class ToldScores:
    """By a model, in steps of one width (`about`, 32 bytes that name both): each row's number.

    In a book `tags` says whose each is.
    """

    about: Annotated[bytes, Length(32)]
    levels: Annotated[np.ndarray, Array("int64", most=LARGEST)]
    tags: Annotated[np.ndarray, Array("uint64", most=LARGEST)] = field(
        default_factory=lambda: np.zeros(0, np.uint64)
    )


def unchanged(tags: Tags, told: ToldScores, before: Sequence[ToldScores]) -> np.ndarray:
    """`bool[rows]`: which rows were told this number when they were last told one.

    A number that was told, changed and is told again says that it has changed back, so it counts.

    Args:
        tags: whose each row is; 0 for nobody.
        told: what is about to be told of them.
        before: what earlier jobs told, the last one last.
    """
    same = np.zeros(len(tags), bool)
    for one in before:
        if one.about != told.about or not len(one.tags):
            continue
        order = np.argsort(one.tags, kind="stable")
        place = np.searchsorted(one.tags, tags, sorter=order)
        found = order[np.minimum(place, len(order) - 1)]
        known = (one.tags[found] == tags) & (tags != 0)
        same = np.where(known, one.levels[found] == told.levels, same)
    return same
