"""What a party says to a part of a job that none of its processes plays."""

from __future__ import annotations

from pathlib import Path

from federated.session.journal import was_interrupted
from federated.wire.parcels import Kind, Parcel, Refusal, notice

__all__ = ["nobody_plays", "taken_up"]


def nobody_plays(parcel: Parcel, place: Path) -> Parcel:
    """The answer to a part: away, where whoever runs the job may start it again; else ended.

    Args:
        parcel: the part that came.
        place: the job's folder at this party.
    """
    back = (parcel.job, parcel.receiver, parcel.sender)
    if was_interrupted(place):
        return notice(Kind.AWAY, *back, parcel.step)
    return notice(Kind.REFUSED, *back, Refusal.ENDED)


def taken_up(place: Path) -> bool:
    """Whether a process for jobs that starts now goes on with the job in this folder.

    It may where nothing is here yet, for its call may come; a run of this party's own it does not.
    """
    return not place.exists() or ((place / "call").exists() and was_interrupted(place))
