"""What a job will take: seconds, memory and bytes on the wire, before it starts.

Counts of operations times the seconds of one operation, which whoever asks has measured (`Rates`).
Alignment by ECDH is within 30% of what then happens where the machine's load stays what it is;
alignment by VOLE, training and aggregation are within a factor of two. Round trips are those of a
run without interruption.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from federated.hidden_trees import HiddenPlan
from federated.regression import RegressionPlan
from federated.trees import TreesPlan

__all__ = ["AlignRates", "Estimate", "Rates"]
__all__ += ["aggregate_estimate", "align_estimate", "hidden_estimate", "join_sum_estimate"]
__all__ += ["regression_estimate", "sums_estimate", "trees_estimate", "vole_estimate"]

HANDLING = 10
"""What a row costs beside the curve, in tag hashes: reading, cleaning, distinct keys, buckets,
sealing, journal. Counted on one thread with the curve's calls taken out of jobs of 10⁵ to 4·10⁵
rows in all: 7 to 13, the median 11; so it is a tenth of a job or less."""
VOLE_OWN, VOLE_THEIRS = 7.6, 3.3
"""What an item of the receiver's and one of the sender's cost by VOLE with all of their handling,
in tag hashes: fitted, as the next one, to jobs of 10³ to 10⁶ items a side on an idle machine."""
VOLE_START = 0.1
VOLE_BYTES, VOLE_CHECKED_BYTES = 3.4e6, 6.6e6
"""A chunk's fixed part: seconds once, bytes a chunk."""
SUMS_HANDLING = 8
"""What a row of private sums costs beside its trees, in tag hashes: transfers, pads, messages."""
REGRESSION_RANK = 8
"""Numbers that a lookup takes of a row, as scores' ranges mostly are."""
REGRESSION_HANDLING = 1
REGRESSION_ROUNDS = 4.0
"""Round trips of an evaluation: trees of the lookup, made, checked, turned; answers and sums."""
REGRESSION_START = 5.0
"""Round trips before the first evaluation and after the last."""
TREES_COUNTED = 68
"""Bytes of a candidate for each bit of a count of rows: a transfer, two gates."""
HIDDEN_HANDLING = 60
"""What a row of a tree that tells no side takes beside blocks and columns, in tag hashes."""
TREES_CANDIDATE = 60
"""What a candidate of a node costs both parties, in tag hashes."""
TREES_CANDIDATES, TREES_DEPTH = 45, 5
"""Splits of a column, and levels of its trees of seeds, of 32 bins."""
ENCRYPTION_PRODUCTS = 330
MASK_BITS = 40


@dataclass(frozen=True)
class AlignRates:
    """Seconds an item on all cores: at the receiver, and at the sender for items of each side.

    `tag` is the hash of one tag, which stands for the memory and ordinary arithmetic of the
    machine.
    """

    receiver: float
    answer: float
    own: float
    tag: float


class Rates(Protocol):
    """How fast a machine is."""

    def align(self) -> AlignRates:
        """Of set intersection."""

    def product(self, bits: int) -> float:
        """Seconds a product modulo the square of a number of `bits`, on all cores."""

    def block(self) -> float:
        """Seconds a block of AES in trees of private sums, on one core."""


@dataclass(frozen=True)
class Estimate:
    """Seconds, peak bytes of memory at one party, bytes on the wire in all, and round trips.

    A round trip is what a party waits for the other's answer to what it has just learned; it counts
    on a link with latency. Pieces of one message are not counted.
    """

    seconds: float
    memory: float
    wire: float
    rounds: float = 0.0

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(
            self.seconds + other.seconds,
            max(self.memory, other.memory),
            self.wire + other.wire,
            self.rounds + other.rounds,
        )


def align_estimate(rates: Rates, receiver: int, sender: int) -> Estimate:
    """One ECDH intersection with both parties on this machine.

    Memory is the items and their row numbers; tags lie on disk.
    """
    item = rates.align()
    seconds = receiver * (item.receiver + item.answer) + sender * item.own
    seconds += (2 * receiver + sender + HANDLING * (receiver + sender)) * item.tag
    return Estimate(seconds, 40.0 * (receiver + sender), 64.0 * receiver + 16.0 * sender, 1.5)


def vole_estimate(rates: Rates, receiver: int, sender: int, *, checks: bool = False) -> Estimate:
    """One VOLE intersection with both parties on this machine; memory is items and one chunk.

    Checks against parties that cheat take more noise and longer tags.
    """
    items = VOLE_OWN * receiver + VOLE_THEIRS * sender
    seconds = VOLE_START + items * rates.align().tag
    start, tag = (VOLE_CHECKED_BYTES, 10.2) if checks else (VOLE_BYTES, 8.2)
    wire = start * max(1.0, receiver / 2**20) + 21.0 * receiver + tag * sender
    return Estimate(seconds, 2.5e8 + 60.0 * (receiver + sender), wire, 3.5)


def aggregate_estimate(
    rates: Rates, rows: int, groups: int, ciphers: int, bits: int, sections: int = 1
) -> Estimate:
    """Packed ciphertexts a row, a product each and a few powers a group for each section.

    Rows are encrypted once; memory is chunks.
    """
    products = ciphers * (
        rows * (ENCRYPTION_PRODUCTS / 2 + sections) + sections * groups * 8 * bits
    )
    wire = rows * ciphers * bits / 4
    return Estimate(products * rates.product(bits) + 0.5, 3e8, wire, 0.5 + 2 * sections)


def sums_estimate(rates: Rates, rows: int, groups: int, lanes: int) -> Estimate:
    """One section by private sums: trees of so many leaves a row, made, checked and used once.

    Both parties work at the same time; memory is chunks.
    """
    depth = max(1, (groups - 1).bit_length())
    blocks = (4 + -(-lanes // 2)) << depth
    seconds = rows * (blocks * rates.block() + SUMS_HANDLING * rates.align().tag)
    wire = rows * (4.0 * depth + 16 * (depth - 1) + 10 + 8 * lanes)
    return Estimate(seconds + 0.1, 3e8 + 16.0 * rows, wire, 4.5)


def join_sum_estimate(rates: Rates, places: int, ciphertexts: int, bits: int) -> Estimate:
    """Packed ciphertexts a place, a product and a half each; memory is chunks and tables."""
    products = places * ciphertexts * (ENCRYPTION_PRODUCTS / 2 + 1.5)
    wire = places * ciphertexts * bits / 4
    return Estimate(products * rates.product(bits) + 0.5, 3e8, wire, 1.5)


def regression_estimate(rates: Rates, rows: int, features: int, plan: RegressionPlan) -> Estimate:
    """A tree a row for each feature of all, or two, which serve every vector, and a fresh one for
    each partner's score in each model; of several partners all but the last one's lookup gives
    several numbers, each made of all its leaves.

    All parties work at the same time. A category is one feature, whatever its columns.
    """
    fine = plan.column_bits > 8
    trees, depth = features * (2 if fine else 1), 7 if fine else plan.column_bits
    models = plan.evaluations + plan.folds * plan.fold_evaluations
    vectors = models + max(0, plan.folds - 1)
    before, rank = plan.partners - 1, REGRESSION_RANK
    looked = (4 + rank / 2) + before * (4 + rank * (1 + rank / 2))
    blocks = trees * (6 + vectors / 2) * 2**depth + models * looked * 2**plan.grid_bits
    handled = trees + vectors + models * plan.partners
    seconds = rows * (blocks * rates.block() + REGRESSION_HANDLING * handled * rates.align().tag)
    wire = trees * (20 * depth - 16 + 7 * vectors)
    wire += models * plan.partners * (20 * plan.grid_bits - 16 + 7 * rank)
    wire += models * before * 8 * (rank + 1)
    memory = 2e8 + 16.0 * depth * trees * min(rows, 1 << 16) + 100.0 * rows
    rounds = REGRESSION_START + (REGRESSION_ROUNDS + min(1, before) + before) * (
        plan.evaluations + plan.fold_evaluations
    )
    return Estimate(seconds + 0.2, memory, float(rows) * wire, rounds)


def trees_estimate(
    rates: Rates, rows: int, columns: int, plan: TreesPlan, partner: int = 0
) -> Estimate:
    """Boosted trees with so many `columns` of a partner's, each of 32 bins, all levels grown.

    Per row and column a tree of seeds once, and on each of the partner's levels pads for the lanes
    of all nodes, with one partner but the other one of each pair. The parties work in turns for the
    most part. Of the levels that are asked for about every second one tells a bit, until these are
    spent; sides are asked for on all of them.
    """
    asked = plan.levels_of(partner)
    levels = min(asked, 2 * plan.row_bits)
    trees = levels / plan.depth
    pairs = [plan.summed_nodes(depth) for depth in range(plan.depth)]
    nodes, lanes = (1 << plan.depth) - 1, plan.lanes * sum(pairs)
    drawn = sum(-(-plan.lanes * each // 4) for each in pairs)
    blocks = columns * (6 + trees * drawn) * 2**TREES_DEPTH
    handled = columns * (SUMS_HANDLING + trees * lanes / 2)
    tag, candidates = rates.align().tag, trees * nodes * columns * TREES_CANDIDATES
    seconds = rows * (blocks * rates.block() + handled * tag) + TREES_CANDIDATE * tag * candidates
    wire = rows * columns * (94.0 + 4 * trees * lanes)
    each = 2400.0 + TREES_COUNTED * rows.bit_length() * (plan.lanes > 2)
    wire += rows * levels * (2.0 * plan.depth + 5) + candidates * each
    memory = 2e8 + rows * columns * 16.0 * (TREES_DEPTH + 1) + 200.0 * rows
    return Estimate(seconds + 0.5, memory, wire, 4.0 + 4.0 * levels)


def hidden_estimate(rates: Rates, rows: int, columns: int, plan: HiddenPlan) -> Estimate:
    """Trees that tell no row's side, with so many `columns` of both parties together.

    As `trees_estimate`, of all columns and levels; besides, of each row and tree a table of 64
    entries twice, and a transfer a node of each level and a leaf.
    """
    pairs = [max(1, (1 << depth) // 2) for depth in range(plan.depth)]
    nodes, lanes = (1 << plan.depth) - 1, sum(pairs)
    blocks = columns * (6 + plan.trees * sum(-(-each // 2) for each in pairs)) * 2**TREES_DEPTH
    blocks += plan.trees * (2 * 64 + 10 * 2**plan.depth)
    handled = columns * (SUMS_HANDLING + plan.trees * lanes) + plan.trees * HIDDEN_HANDLING
    tag, candidates = rates.align().tag, plan.trees * nodes * columns * TREES_CANDIDATES
    seconds = rows * (blocks * rates.block() + handled * tag) + TREES_CANDIDATE * tag * candidates
    a_tree = 8.0 * 64 + 8 * lanes * columns + 12.0 * nodes + 8.0 * 2**plan.depth
    wire = rows * (94.0 * columns + plan.trees * a_tree) + candidates * 2400.0
    memory = 3e8 + rows * (columns * 16.0 * (TREES_DEPTH + 1) + 4000.0)
    return Estimate(seconds + 0.5, memory, wire, 4.0 + plan.trees * (5.0 * plan.depth + 3.0))


def hidden_score_estimate(rates: Rates, rows: int, leaves: int, rounding: int) -> Estimate:
    """A scoring by trees that tell no row's side: a transfer a row and group of leaves, a circuit.

    About half of all leaves are told apart by the partner's splits. rounding: bytes of a row's
    circuit and its transfers.
    """
    groups = leaves / 2
    seconds = rows * (groups * 0.4 * rates.align().tag + 0.3 * rounding * rates.block())
    wire = rows * (8.0 * groups + rounding)
    memory = 2e8 + rows * (40.0 + 16.0 * min(groups, 32.0))
    return Estimate(seconds + 0.1, memory, wire, 6.0)
