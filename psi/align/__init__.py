"""Entity alignment: waterfall keys over set intersections, to rows in the receiver's order.

Several levels of keys are one intersection of the keys of all levels (`waterfall`), where
duplicates are collapsed and the protocol can number records. Else each level is an intersection
of its own, among the rows that no earlier level matched. There, with `reveal = "both"`, a last
exchange puts both sides into the receiver's row order:

    receiver  Order            ──►   for each aligned row of the receiver: which match it is
              ◄──   Multiplicities   with duplicates = "join": how often the sender holds each

Both then hold the same list of pairs: ordered by the receiver's row, then by the sender's.
`collapse` lets the first row of a key stand for all with that key; `join` gives all pairs, as
SQL's inner join would. Rows whose key is null match nothing.

A minimum that protects the sender is counted first (`minimum_checked_by = "partner"`, see
`counting`): a run that tells the sender how many records are shared, by keys of any level. With a
`keeper` the sender's tags are kept for later runs (`prepared`); that takes one level of keys.

`receive` and `send` are generators: they yield (name, role builder) for each protocol run and
are sent its result, so they are as free of IO as the roles.
"""

from psi.align.call import intersect
from psi.align.order import SelectReceiver, SelectSender
from psi.align.protocols import ALTERNATIVE, LARGE, PROTOCOLS, choose
from psi.align.runs import Alignment, AlignSettings, Runs, TagKeeper, in_one_run, receive, send
from psi.align.waterfall import Records

__all__ = [
    "ALTERNATIVE",
    "LARGE",
    "PROTOCOLS",
    "AlignSettings",
    "Alignment",
    "Records",
    "Runs",
    "SelectReceiver",
    "SelectSender",
    "TagKeeper",
    "choose",
    "in_one_run",
    "intersect",
    "receive",
    "send",
]
