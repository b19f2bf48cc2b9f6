"""Set intersection by Diffie-Hellman on Curve25519, semi-honest.

    receiver                                        sender
      Blinded (chunk of 8E(x) + R)        ──►
                                          ◄──       Reply (8k times each, in order; its next tags;
                                                           its public key)
      More                                ──►
                                          ◄──       Reply (what is left)
      Report (reveal = "both")            ──►

The sender's tags, 128 bits an own item, go along with its replies in a secret order. The
receiver finalises, hashes to tags and looks them up. Chunks have 2^17 items, four are in
flight, and everything is worked on a chunk at a time: points are made when they are sent, tags
spread over the buckets of the store at once, and memory holds a few chunks, the items, and one
bucket (see `buckets`). With `cardinality` and `places` the sender keeps its points until it can
shuffle them all together, and gives them out afterwards.

| reveal | blind | tags hash | replies | receiver learns | sender learns |
|---|---|---|---|---|---|
| receiver | one an item | session, item, u | in order | which of its items the sender has | sizes |
| both | one an item | session, item, u | in order | the same, first | what the report names |
| cardinality | one a job | session, u | shuffled, at the end | how many match | sizes |
| places | one a job | session, u | shuffled, at the end | which sender's places match | sizes |

With `places` both sides may go on to attach something to the sender's tags, in the secret order
that the sender's result holds: what the receiver sees is what it sees in `cardinality`.

The sender trusts the report. Blinds and keys are fresh for each run. Tags have 128 bits: a
chance match has probability below n_r · n_s · 2^-127, so 2^-40 is kept up to sets of 2^43.
Adversary: semi-honest; a receiver that lies about its set learns membership of what it asks, at
most `largest` items, and one that lies in its report misleads the sender. Sources: Meadows
1986; Huberman, Franklin and Hogg 1999; Jarecki and Liu 2010; see `oprf`.
"""

from psi.ecdh.items import Held, Items, Matches, Prepared
from psi.ecdh.messages import CHUNK, LARGEST, SHUFFLED
from psi.ecdh.prepared import TagReceiver, TagSender, prepare
from psi.ecdh.receiver import Receiver
from psi.ecdh.sender import Sender

__all__ = [
    "CHUNK",
    "LARGEST",
    "SHUFFLED",
    "Held",
    "Items",
    "Matches",
    "Prepared",
    "Receiver",
    "Sender",
    "TagReceiver",
    "TagSender",
    "prepare",
]
