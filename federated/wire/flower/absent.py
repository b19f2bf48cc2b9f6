"""What a party says of a job that none of its processes plays."""

from __future__ import annotations

from pathlib import Path

from federated.session.journal import can_resume, was_interrupted
from federated.session.last_word import last_word
from federated.session.over import told_over
from federated.wire.parcels import Kind, Parcel, Refusal, notice

__all__ = ["ended", "forgotten", "nobody_plays", "not_now", "taken_up"]


def nobody_plays(parcel: Parcel, place: Path) -> Parcel | None:
    """The answer: ended; away, where whoever runs the job may start it again; None for none.

    Args:
        parcel: what came.
        place: the job's folder at this party.
    """
    word, gone = ended(parcel, place), forgotten(parcel, place) or bool(told_over(place))
    if word.data or gone or (parcel.kind == Kind.PART and not was_interrupted(place)):
        return word  # one that only waits asks by signs of life
    back = (parcel.job, parcel.receiver, parcel.sender)
    return notice(Kind.AWAY, *back, parcel.step) if parcel.kind == Kind.PART else None


def forgotten(parcel: Parcel, place: Path) -> bool:
    """Whether the sender has taken parts of this party's in a job that has no folder here: it was
    purged after its end, or the party was put back to a copy from before the job."""
    return parcel.kind <= Kind.TAKEN and parcel.taken > 0 and not place.exists()


def ended(parcel: Parcel, place: Path) -> Parcel:
    """That the job is over here, with the sealed word that this party has left for the sender."""
    back = (parcel.job, parcel.receiver, parcel.sender)
    word = last_word(place, parcel.sender)
    return notice(Kind.REFUSED, *back, Refusal.ENDED, word)


def not_now(parcel: Parcel, place: Path) -> Parcel:
    """To a call while this party's policy cannot be read: a job that is at rest here is called
    again until it can, any other is refused."""
    back = (parcel.job, parcel.receiver, parcel.sender)
    if can_resume(place):
        return notice(Kind.AWAY, *back, parcel.step)
    return notice(Kind.REFUSED, *back, Refusal.CLOSED)


def taken_up(place: Path) -> bool:
    """Whether a process for jobs that starts now goes on with the job in this folder.

    It may where nothing is here yet, for its call may come; a run of this party's own it does not.
    """
    return not place.exists() or ((place / "call").exists() and was_interrupted(place))
