"""A training that tells who is on a list: one bit a record, and counts to find its end by.

Its terms are `TrainTerms.listed`, the length of the list, 0 for none: rows have no score then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from federated.contract.kinds.train import AUTO, TrainTerms
from federated.contract.parts import Disclosure
from federated.contract.rows import FLOOR
from federated.counted import A_QUESTION, MOST_RANGES, list_noise
from federated.regression import counted_bits

if TYPE_CHECKING:
    from federated.contract.terms import Contract

__all__ = ["list_bits", "list_guard", "list_limit", "listed_words", "noise_of_list"]


def noise_of_list(terms: TrainTerms) -> float:
    """The standard deviation of the noise on each count that the threshold is found by."""
    return list_noise(0.0 if terms.noise == AUTO else float(terms.noise), terms.listed)


def list_bits(terms: TrainTerms) -> float:
    """The most that is told of one record: its bit, whatever its threshold, and the counts."""
    return 1.0 + counted_bits(noise_of_list(terms)) if terms.listed else 0.0


def listed_words(contract: Contract, terms: TrainTerms) -> Disclosure:
    """What the receiver learns."""
    (partner,), me = terms.partners, contract.receiver
    return Disclosure(
        f"train {terms.task}",
        me,
        f"of each shared record that {me} asks about ONE BIT: whether its final score reaches a "
        f"threshold, for a list of {terms.listed}; how many of them lie in each of up to "
        f"{MOST_RANGES} ranges of the final score, each count with noise of {partner}'s of "
        f"{noise_of_list(terms):g} ({list_bits(terms):.2g} bits a record at most)",
        "train.list",
    )


def list_guard(contract: Contract, terms: TrainTerms) -> str:
    """What the partner's officer is told of it."""
    (partner,), me = terms.partners, contract.receiver
    return (
        f"{me} chooses the threshold of the list of '{terms.task}': {partner} sees neither it nor "
        "whom it asks about, who is listed, nor how many. A receiver that does not run this "
        f"software as it is may choose another one for each record, and gets one bit of "
        f"{partner}'s part of its score all the same; another list of other trainings is another "
        "bit, and is booked by itself"
    )


def list_limit(terms: TrainTerms, step: str, rows: int, a_counted_row: int) -> int | None:
    """Bytes of a step of the list; None where it is none of them."""
    head = f"listed/{terms.task}"
    if not terms.listed:
        return None
    if step == f"{head}/open":
        return FLOOR
    if step == f"{head}/counts":
        return FLOOR + rows * a_counted_row
    return FLOOR + rows * A_QUESTION if step == f"{head}/told" else None
