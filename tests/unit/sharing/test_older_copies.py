"""Whoever comes back from an older copy of its disk, and a peer that says other things then."""

from __future__ import annotations

import secrets
from copy import deepcopy
from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np

from federated.sharing.bin_holder import BinHolder
from federated.sharing.kept import Index, IndexKeys, ValueKeys, batch_nonce
from federated.sharing.kept import Values as Kept
from federated.sharing.messages import Challenged, Values, Zeroed
from federated.sharing.transcript import Transcript
from federated.sharing.value_holder import ValueHolder
from psi.protocol import MemoryStore, Pair, decode, encode
from psi.protocol.codec import peek
from psi.protocol.envelope import Envelope
from tests.unit.sharing.test_roles import context, world
from tests.unit.sharing.test_transfers import connection

ROWS, DEPTH = 128, 4


def links() -> tuple[IndexKeys, ValueKeys]:
    """Both sides' keys of one direction."""
    one, other = connection()
    return (
        IndexKeys(one.seeds.tobytes(), one.coin),
        ValueKeys(other.seeds.tobytes(), other.bits, other.coin),
    )


def bins(seed: int) -> Any:
    return np.random.default_rng(seed).integers(0, 1 << DEPTH, ROWS).astype(np.uint16)


def numbers(rows: Any) -> Any:
    """Each row's number, of choices of the side beside its path on each level."""
    flat = np.unpackbits(rows.view(np.uint8), bitorder="little")[: ROWS * DEPTH]
    return (flat.reshape(DEPTH, ROWS) << np.arange(DEPTH)[:, None]).sum(axis=0)


def test_trees_asked_for_again_from_an_older_copy_tell_no_difference_of_bins() -> None:
    """The peer says something else the second time, so that the party has other bins. Were both
    requests under the same streams, their sum would be that of the choices, and with the turns the
    difference of every row's bins."""
    own, peer = links()
    before = Transcript.begin(secrets.token_bytes, b"older copy")
    seen = []
    for said, held in ((b"one", bins(1)), (b"two", bins(2))):
        heard, index = before.hear(sha256(said).digest()), Index(MemoryStore(), own)
        values = Kept(MemoryStore(), peer)
        asked = index.ask(heard, 0, held, DEPTH)
        corrected = values.answered(heard, asked, ROWS, DEPTH)
        zeroed = values.zeroed(index.corrected(heard, corrected), DEPTH)
        seen.append((asked.rows.reshape(32, -1), index.turned(zeroed, held).turns))
    told = seen[0][0] ^ seen[1][0]
    assert len(np.unique(told, axis=0)) == len(told)  # no two groups' streams cancel
    for group in told:
        guess = numbers(group) ^ seen[0][1] ^ seen[1][1]
        assert (guess == (bins(1) ^ bins(2))).mean() < 0.5  # 1/16 in the mean, sd .021


def test_a_check_is_no_batch_of_zeros_under_the_nonce_of_another() -> None:
    """The peer has had a batch, and asks the older copy to prove its trees under that nonce: pads
    alone would come back."""
    own, peer = links()
    transcript = Transcript.begin(secrets.token_bytes, b"older copy")
    index, stores = Index(MemoryStore(), own), [MemoryStore()]
    values = Kept(stores[0], peer)
    asked = index.ask(transcript, 0, bins(1), DEPTH)
    corrected = values.answered(transcript, asked, ROWS, DEPTH)
    older = Kept(deepcopy(stores[0]), peer)
    zeroed = values.zeroed(index.corrected(transcript, corrected), DEPTH)
    values.turn(index.turned(zeroed, bins(1)), DEPTH)
    private = np.random.default_rng(3).integers(0, 2**64, (ROWS, 1), dtype=np.uint64)
    nonce = batch_nonce(transcript, "sums", private)
    padded, _ = values.summed(0, DEPTH, nonce, private)
    pads = older.zeroed(Challenged(0, nonce), DEPTH).lane
    assert not (padded[:, 0] - pads == private[:, 0]).any()


def test_a_value_holder_s_older_copy_opens_no_value_by_its_check() -> None:
    """The same, of whole roles: messages of the product alone."""
    held, private = world(64, [4], 1)
    store = MemoryStore()

    def made(kept: Any) -> ValueHolder:
        where = replace(context("bureau"), store=kept)
        return ValueHolder(where, "bank", 64, 1, lambda low, high: private[low:high], columns=1)

    run = Pair(BinHolder(context("bank"), "bureau", held, [4], 1), made(store))
    for name, role in run.roles.items():
        run._take(name, role.start())
    while peek(decode(run._queue[0], Envelope).payload) is not Challenged:
        run.deliver()
    saved, kept = run.roles["bureau"].save(), deepcopy(store)
    challenged = decode(run._queue[0], Envelope)
    while run._queue:
        run.deliver()
    (sent,) = (decode(e.payload, Values) for e in run.sent if peek(e.payload) is Values)
    again = made(kept)
    again.restore(saved)
    lie = replace(challenged, payload=encode(Challenged(sent.place, sent.nonce)))
    (told,) = again.receive(lie).messages
    assert not (sent.lanes - decode(told.payload, Zeroed).lane == private[:, 0]).any()


def test_batches_of_other_types_or_sizes_have_other_nonces() -> None:
    """The same bytes as lanes of another width, or cut elsewhere, are other values."""
    transcript = Transcript.begin(secrets.token_bytes, b"older copy")
    flat = np.arange(16, dtype=np.uint32)
    cases: list[Any] = [
        (flat,),
        (flat.view(np.uint64),),
        (flat.view(np.uint16),),
        (flat.view(np.uint8),),
        (flat[:8], flat[8:]),
        (flat[:4], flat[4:]),
        (flat[:4], flat[4:8], flat[8:]),
    ]
    nonces = [batch_nonce(transcript, "lanes", *each) for each in cases]
    assert len(set(nonces)) == len(cases)
    assert batch_nonce(transcript, "lanes", flat.copy()) == nonces[0]
