"""Join and sum: statistics of a partner's columns over an intersection that nobody learns.

    sender (values, key holder)                     receiver (which places match)
      Opened key, first chunks of rows        ──►
                                              ◄──   Next, one a chunk
      Rows (the next chunk)                   ──►
                                              ◄──   Summed: re-randomised, sums masked, counts not
      Opened: counts; sums of large columns, still masked ──►

Before it both ran a set intersection with `reveal = "places"`: the sender knows which of its keys
stands at each place of a secret order, the receiver which places match, but not whom. Here the
sender encrypts, place after place, its values, for each a flag that it is there, and a one; the
receiver adds the matching places up without reading them. The sums come back under masks that
are 64 bits longer than any sum can be; the counts come back bare, and the sender, having read
them from the very ciphertext that it is to open, opens no column with fewer than `minimum`
values behind it. To all that it opens it adds noise, by default (`noising`): two jobs that differ
by one key would otherwise tell that key's values.

The receiver learns how many keys are shared, and count, sum or mean of each column that is large
enough; the sender learns the counts. Chunks have 2^13 ciphertexts, four are in flight: memory
does not grow with the sets. The receiver adds up the places that do not match as well, into a
sum that it throws away, so that the time it takes a chunk says nothing of how many matched.

Semi-honest. The minimum rests on what the receiver sends: one that lies may add up other places
than those that match, one place alone, or add to the counts what it likes, and opens one linear
combination of its choosing. Sources: Ion et al., "On deploying secure computing: private
intersection-sum-with-cardinality" (2020); Paillier 1999; Damgård, Jurik and Nielsen 2010.
"""

from __future__ import annotations

from federated.join_sum.call import join_and_sum
from federated.join_sum.layout import Layout
from federated.join_sum.noising import Noising
from federated.join_sum.placed import Placed, place_values
from federated.join_sum.receiver import JoinSumResult, SumReceiver
from federated.join_sum.sender import SumSender

__all__ = [
    "JoinSumResult",
    "Layout",
    "Noising",
    "Placed",
    "SumReceiver",
    "SumSender",
    "join_and_sum",
    "place_values",
]
