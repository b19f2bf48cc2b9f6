"""A training or a scoring that tells who is on a list: one bit a record, and counts to find its
end by.

Its terms are `listed` of `TrainTerms` and `ScoreTerms`, the length of the list, 0 for none: rows
have no score then.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from federated.contract.kinds.train import AUTO, TrainTerms
from federated.contract.parts import Disclosure
from federated.contract.rows import FLOOR
from federated.counted import (
    A_QUESTION,
    A_SCORE,
    FINEST_LISTED,
    MOST_RANGES,
    answer_bits,
    list_noise,
)
from federated.regression import counted_bits, told_bits
from psi.protocol import PeerError

if TYPE_CHECKING:
    from federated.contract.terms import Contract

__all__ = [
    "Listing",
    "check_listed",
    "list_bits",
    "list_guard",
    "list_limit",
    "listed_end",
    "listed_words",
]
__all__ += ["instead_of_list", "noise_of_list"]


class Listing(Protocol):
    """Terms of a training, or of a scoring."""

    @property
    def task(self) -> str: ...
    @property
    def partners(self) -> tuple[str, ...]: ...
    @property
    def listed(self) -> int: ...
    @property
    def listed_bits(self) -> int: ...


def check_listed(terms: Listing) -> None:
    """Raise `PeerError` for a list of several partners, or scores told too finely."""
    if terms.listed and len(terms.partners) > 1:
        raise PeerError("a list told by a bit a record, of several partners")
    if terms.listed_bits > FINEST_LISTED:
        raise PeerError(f"scores of a list with more than {FINEST_LISTED} score_bits")
    if terms.listed_bits and not terms.listed:
        raise PeerError("scores of those on a list that there is not")


def noise_of_list(terms: Listing) -> float:
    """The standard deviation of the noise on each count that the threshold is found by."""
    noise = terms.noise if isinstance(terms, TrainTerms) else AUTO
    return list_noise(0.0 if noise == AUTO else float(noise), terms.listed)


def list_bits(terms: Listing) -> float:
    """The most that is told of one record: its answer, at whatever threshold, and the counts."""
    if not terms.listed:
        return 0.0
    return answer_bits(terms.listed_bits) + counted_bits(noise_of_list(terms))


def instead_of_list(terms: Listing, counts: float) -> Iterator[tuple[str, float]]:
    """What would tell fewer bits of a record, and how many; `counts` are those of its training."""
    others = counts + counted_bits(noise_of_list(terms))
    for bits in range(terms.listed_bits - 1, -1, -1):
        yield f"[[target]] score_bits = {bits}", answer_bits(bits) + others
    yield 'score_bits = 1 and tells = "scores"', told_bits(1)


def listed_end(terms: Listing) -> str:
    """What the words of a training, or of a scoring, end with."""
    if not terms.listed:
        return ""
    scores = f", with a score of {terms.listed_bits} bits of these alone" * bool(terms.listed_bits)
    return f", and one bit a row says who is on a list of {terms.listed}{scores}"


def listed_words(contract: Contract, terms: Listing) -> Disclosure:
    """What the receiver learns."""
    (partner,), me = terms.partners, contract.receiver
    kind = "train" if isinstance(terms, TrainTerms) else "score"
    return Disclosure(
        f"{kind} {terms.task}",
        me,
        f"of each shared record that {me} asks about ONE BIT: whether its final score reaches a "
        f"threshold, for a list of {terms.listed}{_scores(terms)}; how many of them lie in each of "
        f"up to {MOST_RANGES} ranges of the final score, each count with noise of {partner}'s of "
        f"{noise_of_list(terms):g} ({list_bits(terms):.2g} bits a record at most)",
        f"{kind}.list",
    )


def _scores(terms: Listing) -> str:
    """What is told of those on the list."""
    if not terms.listed_bits:
        return ""
    (partner,) = terms.partners
    return (
        f"; of those that reach it {partner}'s part of the score, with noise of 2^-"
        f"{terms.listed_bits} of its standard deviation"
    )


def list_guard(contract: Contract, terms: Listing) -> str:
    """What the partner's officer is told of it."""
    (partner,), me = terms.partners, contract.receiver
    gets = "one bit"
    if terms.listed_bits:
        most = answer_bits(terms.listed_bits)
        gets = f"{most:.2g} bits (at a low one the score of every record)"
    return (
        f"{me} chooses the threshold of the list of '{terms.task}': {partner} sees neither it nor "
        "whom it asks about, who is listed, nor how many. A receiver that does not run this "
        f"software as it is may choose another one for each record, and gets {gets} of "
        f"{partner}'s part of its score all the same; another list, of another training or job, is "
        "another answer, and is booked by itself"
    )


def list_limit(terms: Listing, step: str, rows: int, a_counted_row: int) -> int | None:
    """Bytes of a step of the list; None where it is none of them."""
    head = f"listed/{terms.task}"
    if not terms.listed:
        return None
    if step == f"{head}/open":
        return FLOOR
    if step == f"{head}/counts":
        return FLOOR + rows * a_counted_row
    row = A_QUESTION + A_SCORE * bool(terms.listed_bits)
    return FLOOR + rows * row if step == f"{head}/told" else None
