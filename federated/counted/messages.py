"""What two parties say to each other to count rows by score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from federated.counted.grid import BINS, MOST_POINTS, MOST_STRIDE, MOST_WIDE
from federated.counted.ring import MOST_SPAN, PLACE_BITS
from federated.sharing.keys import NONCE
from federated.sharing.messages import MOST_ROWS
from federated.trees.splitting.messages import Extension
from psi.protocol import Array, Length, Range, message

__all__ = ["ANSWER", "LIST_ROWS", "QUESTIONS", "WIDE_ANSWER", "Answered", "CountShares"]
__all__ += ["PadSeed", "Padded", "Questions", "ScoredAnswers", "Span", "Spread", "Stride"]
__all__ += ["WideAnswers", "WideScores"]

LIST_ROWS = 1 << 14
"""Rows of a chunk: their tables take some 60 MB while they are made."""
QUESTIONS = 128
ANSWER = QUESTIONS // 8
"""Bytes of a row's padded answers, a bit to each question."""
WIDE_ANSWER = (1 << PLACE_BITS) // 8
"""The same where there are several partners."""

_MOST_GROUPS = 64


@message(0x60)
@dataclass(frozen=True)
class Spread:
    """The partner: its points are 2^(`wide` / 2) apart."""

    wide: Annotated[int, Range(-MOST_WIDE, MOST_WIDE)]


@message(0x61)
@dataclass(frozen=True)
class Stride:
    """The label party: its points are so many times as far apart, and so many."""

    stride: Annotated[int, Range(1, MOST_STRIDE)]
    points: Annotated[int, Range(1, MOST_POINTS)]


@message(0x62)
@dataclass(frozen=True)
class CountShares:
    """The partner's shares, with its noise, of all counts: `uint64[groups, 2, bins]`, flat."""

    shares: Annotated[np.ndarray, Array("uint64", most=_MOST_GROUPS * 2 * BINS)]


@message(0x66)
@dataclass(frozen=True)
class Questions:
    """The receiver: a chunk of rows' choices among 128 questions each, seven transfers a row."""

    chunk: Annotated[int, Range(0, MOST_ROWS // LIST_ROWS)]
    transfers: Extension


@dataclass(frozen=True)
class AnswerChunk:
    """What all answers of a chunk's rows have; the nonce is of the keys that pad them."""

    chunk: Annotated[int, Range(0, MOST_ROWS // LIST_ROWS)]
    nonce: Annotated[bytes, Length(NONCE)]


@message(0x67)
@dataclass(frozen=True)
class Answered(AnswerChunk):
    """The partner: all answers of a chunk's rows, each padded."""

    answers: Annotated[np.ndarray, Array("uint8", width=ANSWER, most=LIST_ROWS)]


@message(0x6D)
@dataclass(frozen=True)
class ScoredAnswers(AnswerChunk):
    """The partner: as `Answered`, each answer of 16 bits, which hold a score where it is yes."""

    answers: Annotated[np.ndarray, Array("uint16", width=QUESTIONS, most=LIST_ROWS)]


@message(0x18)
@dataclass(frozen=True)
class Span:
    """The receiver, to each of several partners: a turn is 2^(`span` / 2) of score."""

    span: Annotated[int, Range(-MOST_SPAN, MOST_SPAN)]


@message(0x19)
@dataclass(frozen=True, repr=False)
class PadSeed:
    """A partner to the receiver: the seed of the pad that `Padded` has."""

    seed: Annotated[bytes, Length(32)]


@message(0x1A)
@dataclass(frozen=True, repr=False)
class Padded:
    """A partner to the last one: its part of each row's score under a pad that two know.

    `span` is what it was told, `wide` how wide its part lies, as in `Spread`, or these rows' does.
    """

    span: Annotated[int, Range(-MOST_SPAN, MOST_SPAN)]
    wide: Annotated[int, Range(-MOST_WIDE, MOST_WIDE)]
    parts: Annotated[np.ndarray, Array("uint32", most=MOST_ROWS)]


@message(0x1B)
@dataclass(frozen=True)
class WideAnswers(AnswerChunk):
    """The last of several partners: as `Answered`, to 512 questions."""

    answers: Annotated[np.ndarray, Array("uint8", width=WIDE_ANSWER, most=LIST_ROWS)]


@message(0x1E)
@dataclass(frozen=True)
class WideScores(AnswerChunk):
    """The last of several partners: as `ScoredAnswers`, to 512 questions."""

    answers: Annotated[np.ndarray, Array("uint16", width=1 << PLACE_BITS, most=LIST_ROWS)]
