"""What a report says has changed since an earlier run of the same job."""

from __future__ import annotations

from dataclasses import dataclass

from profiles.drift import Drift

__all__ = ["Change", "Listed"]


@dataclass(frozen=True)
class Listed:
    """One list: how many are on it `again`, `anew`, and `no_longer`."""

    product: str
    again: int
    anew: int
    no_longer: int


@dataclass(frozen=True, kw_only=True)
class Change:
    """Since a run of `since`. Why it could not be compared is in `failed`, "" where it was.

    Attributes:
        came: entities that are new.
        went: that are not there any more.
        stayed: that are in both.
        moved: of these, that are in another segment.
        moves: (segment before, after, entities), the most first.
        drifts: columns that are spread otherwise, the most first.
        quality: task, AUC before and now.
        lists: a list each.
    """

    since: str
    failed: str = ""
    came: int = 0
    went: int = 0
    stayed: int = 0
    moved: int = 0
    moves: tuple[tuple[str, str, int], ...] = ()
    drifts: tuple[Drift, ...] = ()
    quality: tuple[tuple[str, float, float], ...] = ()
    lists: tuple[Listed, ...] = ()
