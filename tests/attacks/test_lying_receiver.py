"""A receiver that returns sums of its own making: by Paillier it reads a row, by private sums none.

Under encryption counts are opened first and sums later, and nothing ties the one to the other. By
private sums the partner's own share of a bin has each of the bin's rows once, whatever the receiver
does with its own: so what opens are sums of distinct rows, as many as the bound says.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federated.aggregate.messages import Returned
from federated.aggregate.messages import Rows as RowsMessage
from federated.aggregate.segment_party import SegmentParty
from federated.aggregate.share_segment import ShareSegmentParty
from federated.paillier import EncryptedVector
from psi.protocol import PeerError, decode
from psi.protocol.codec import peek
from tests.unit import aggregate_parties
from tests.unit.aggregate_parties import EVERY, KEY, Parties
from tests.unit.aggregate_shares import SharedParties

ROWS, LEAST, AIM = 60, 20, 7
VALUES = np.random.default_rng(4).normal(size=(ROWS, 1)).round(3)
CODES = [0] * 30 + [1] * 30
SUM = [("a", "sum")]


def test_by_paillier_it_reads_one_row_of_a_told_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its counts are honest; what it sends back is one row that it kept. The chapter says so."""
    parties = Parties(VALUES, CODES, 2, LEAST, SUM)

    class Liar(SegmentParty):
        def on_kept(self, state: Any, found: Any, peer: str) -> Any:
            sent = [e.payload for e in parties.sent if peek(e.payload) is RowsMessage]
            rows: Any = decode(sent[0], *EVERY)
            size = KEY.public.ciphertext_bytes
            one = rows.data[AIM * size : (AIM + 1) * size]
            row = EncryptedVector.from_bytes(KEY.public, one, 1, bound_bits=KEY.bits // 2)
            told = EncryptedVector.concatenate([row, row])
            masked, masks = told.mask_uniform(self.context.random)
            back = masked.rerandomise(for_key_holder=True, random=self.context.random)
            turn = super().on_kept(state, found, peer)
            after: Any = replace(turn.state, masks=masks.to_bytes())
            return type(turn)(after, [(peer, Returned(back.to_bytes()))])

    monkeypatch.setattr(aggregate_parties, "SegmentParty", Liar)
    found = parties.run()["bank"]
    assert found.values[0] == pytest.approx([VALUES[AIM, 0]] * 2, abs=1e-5)


@pytest.mark.parametrize("times", [1, 2, 20])
def test_by_private_sums_a_row_counted_again_ends_the_job(times: int) -> None:
    """It adds its share of a row's leaf once more, or many times: the bound does not fit."""

    class Again(ShareSegmentParty):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            leaf = np.random.default_rng(1).integers(0, 1 << 63, self._shares.shape[1])
            self._shares = self._shares.copy()
            self._shares[0] += np.uint64(times) * leaf.astype(np.uint64)  # pads, to this party

        def on_bound(self, state: Any, sent: Any, peer: str) -> Any:
            self._exact, self._sizes = False, np.full(len(self._sizes), -1)
            return super().on_bound(state, sent, peer)

    parties = SharedParties(VALUES, CODES, 2, LEAST, SUM, names="a")
    parties.bank = Again
    with pytest.raises(PeerError, match="counts"):
        parties.run_all()


def test_by_private_sums_a_group_of_one_stays_closed() -> None:
    """Each row is in one leaf: the receiver can put it alone in a group, which is not told."""
    alone = [2 if row == AIM else code for row, code in enumerate(CODES)]
    honest = SharedParties(VALUES, alone, 3, LEAST, SUM, names="a").run_all()[0]["bank"]
    assert not honest.kept[0][2]
    assert np.isnan(honest.values[0][2])
