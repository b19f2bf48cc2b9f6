"""Set intersection by VOLE, with checks: against parties that cheat, for large sets.

    receiver                                            sender
      Opening (size, committed coin, point)   ──►
                                              ◄──       Answer (size, coin, points)
      Rows (that each row hides one input)    ──►
      Extension (its coin; inputs, masked)    ──►
                                              ◄──       Trees (level sums, masked)
      Challenge (the trees' weights)          ──►
      Encoded (its store plus A, in parts)    ──►
                                              ◄──       Proof (of its trees)
                                              ◄──       Tags (of its items, ascending)
      Evidence, Report (reveal = "both")      ──►

The protocol of `psi.vole` with Masny and Rindal's base transfers, a proof beside each extension,
one of the trees before the first tag, evidence that reported matches are held, more noise and
longer tags; no round more.

| reveal | receiver learns | sender learns |
|---|---|---|
| receiver | which of its items the sender has; the sender's size | the receiver's size |
| both | the same, first | the size; what the report names |

Adversary: malicious, with abort. What a receiver put into its store is fixed before it sees a tag,
at most some 2.5 times its stated size; a sender that guesses about the receiver's noise is stopped
where it errs. Neither is bound to true items, and the receiver may leave matches out of its report.
Arguments, bounds and sources: docs/protocols/vole_psi_malicious.md, docs/PARAMETERS.md.
"""

from psi.vole import REVEALS
from psi.vole_malicious.receiver import Receiver
from psi.vole_malicious.sender import Sender

__all__ = ["REVEALS", "Receiver", "Sender"]
