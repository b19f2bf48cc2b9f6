"""A training or a scoring that tells who is on a list: one bit a record, and counts to find its
end by.

Its terms are `listed` of `TrainTerms` and `ScoreTerms`, the length of the list, 0 for none: rows
have no score then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from federated.contract.kinds.train import AUTO, TrainTerms
from federated.contract.parts import Disclosure
from federated.contract.rows import FLOOR
from federated.counted import (
    A_QUESTION,
    A_SCORE,
    A_WIDE_QUESTION,
    A_WIDE_SCORE,
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
    "joined_guard",
    "list_bits",
    "list_guard",
    "list_limit",
    "listed_end",
    "listed_words",
    "spread_words",
    "told_row",
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
    """Raise `PeerError` for scores of a list that are told too finely, or of no list."""
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
    partner, me = terms.partners[-1], contract.receiver
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
    partners, several = " and ".join(terms.partners), len(terms.partners) > 1
    return (
        f"; of those that reach it {partners}'s part of the score{' (their sum only)' * several}, "
        f"with noise of 2^-{terms.listed_bits} of its standard deviation"
    )


def list_guard(contract: Contract, terms: Listing) -> str:
    """What the partner's officer is told of it."""
    partners, me = " and ".join(terms.partners), contract.receiver
    gets, one = "one bit", len(terms.partners) == 1
    if terms.listed_bits:
        most = answer_bits(terms.listed_bits)
        gets = f"{most:.2g} bits (at a low one the score of every record)"
    sees, whose = (f"{partners} sees", "part") if one else (f"{partners} see", "parts, added up,")
    return (
        f"{me} chooses the threshold of the list of '{terms.task}': {sees} neither it nor "
        "whom it asks about, who is listed, nor how many. A receiver that does not run this "
        f"software as it is may choose another one for each record, and gets {gets} of "
        f"{partners}'s {whose} of its score all the same; another list, of another training or "
        "job, is another answer, and is booked by itself"
    )


def spread_words(contract: Contract, partners: Sequence[str], name: str) -> str:
    """What partner `name` learns of how wide parts of scores lie."""
    if len(partners) == 1:
        return f"how wide {contract.receiver}'s part of the final scores lies"
    others = " and ".join([contract.receiver, *(each for each in partners if each != name)])
    if name == partners[-1]:  # which noise on scores of the listed is measured by
        return f"how wide {others}'s parts of the final scores lie, of each"
    return f"how wide {others}'s parts of the final scores lie together, to a factor of 1.4"


def joined_guard(contract: Contract, terms: Listing) -> Iterator[str]:
    """What several partners' officers are told of who holds rows' scores between them."""
    *others, last = terms.partners
    if not others:
        return
    them, me = " and ".join(others), contract.receiver
    yield (
        f"{them} {'sends' if len(others) == 1 else 'send'} {last} a part of each record's final "
        f"score of '{terms.task}' under pads that {me} knows: of all records' scores {last} and "
        f"{me} have a random share each, and {last} adds all noise. {last} and {me} who "
        f"put together what they see read {them}'s part of the final score of every record, in "
        "full: take part only where they would not"
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
    return FLOOR + rows * told_row(terms) if step == f"{head}/told" else None


def told_row(terms: Listing) -> int:
    """Bytes of a row's question and its answers."""
    several = len(terms.partners) > 1
    row, scored = (A_WIDE_QUESTION, A_WIDE_SCORE) if several else (A_QUESTION, A_SCORE)
    return row + scored * bool(terms.listed_bits)
