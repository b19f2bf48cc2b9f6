"""Set intersection by vector oblivious linear evaluation (VOLE), semi-honest, for large sets.

    receiver                                            sender
      Opening (size, committed coin, point)   ──►
                                              ◄──       Answer (size, coin, points)
      Extension (its coin; transfers' and     ──►
        products' inputs, masked)             ◄──       Trees (level sums, masked)
      Encoded (its store plus A, in parts)    ──►
                                              ◄──       Tags (of its items, ascending)
      Report (reveal = "both")                ──►

Both hash their items under a coin that neither chose and that is tossed once both sizes are
fixed. The receiver solves a key-value store P with P(x) = h(x) for its items. The two make a
correlation C = B + A·Δ of vectors over the field of 2^128 elements: the sender has a secret Δ
and B, the receiver A and C. The receiver sends P + A; the sender adds Δ times that to B, and
reads from the result, at its own item y, the value C(y) + Δ·(P(y) + h(y)), which is C(y) exactly
where the receiver has y. Tags are hashes of these values and of the item's digest. Stores of
more than 2^20 items have a correlation for each chunk of 32 bins; all tags go at the end, sorted
over all chunks, so that their order and number a chunk tell nothing.

| reveal | receiver learns | sender learns |
|---|---|---|
| receiver | which of its items the sender has; the sender's size | the receiver's size |
| both | the same, first | the size; what the report names |

Adversary: semi-honest. The receiver's set is hidden by dual learning parity with noise with an
expand-convolute code and regular noise (A looks uniform); the sender's by Δ and a random oracle,
and by computational Diffie-Hellman under the base transfers. Sizes: `parameters`, derived in
docs/PARAMETERS.md. Sources: Raghuraman and Rindal 2022 (eprint 2022/320); Rindal and
Schoppmann 2021 (eprint 2021/266); those of the parts are in their modules.
"""

from psi.vole.limits import LARGEST_PORTABLE, REVEALS, runs_here
from psi.vole.receiver import Receiver
from psi.vole.sender import Sender

__all__ = ["LARGEST_PORTABLE", "REVEALS", "Receiver", "Sender", "runs_here"]
