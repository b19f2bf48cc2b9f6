"""A party that was killed is back, or lacks a frame: it asks for what came after those it has.

    any party -> any other   Again   how many frames of the other's it has opened

Nothing seals a question, for who asks may have no channel yet. It brings nobody more than was sent
before, sealed as it was; who makes one up can have frames carried again, and no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from federated.session.sealing import NotOpened
from psi.protocol import PeerError, Range, Text, decode, message

__all__ = ["Again", "question"]


@message(0xA6)
@dataclass(frozen=True)
class Again:
    """The other sends its frames again from `received` on.

    With `asks` it is to say what it has received too.
    """

    sender: Annotated[str, Text(64)]
    receiver: Annotated[str, Text(64)]
    received: Annotated[int, Range(0, 2**40)]
    asks: Annotated[int, Range(0, 1)]


def question(data: bytes, sender: str, me: str) -> Again:
    """What `sender` asks of `me`. Raises `NotOpened` for anything else."""
    try:
        asked = decode(data, Again)
    except PeerError as error:
        raise NotOpened(error.message) from None
    if asked.sender != sender or asked.receiver != me:
        raise NotOpened("a question in another's name")
    return asked
