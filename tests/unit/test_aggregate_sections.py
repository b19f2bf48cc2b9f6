"""Several sections of statistics over the same rows, which go once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from federated.aggregate import Section, Statistic, messages
from federated.aggregate.messages import Rows
from federated.aggregate.rows import SectionSlots
from psi.protocol import decode
from tests.unit.aggregate_parties import ASKED, EVERY, Parties

MORE = [("b", "sum"), ("c", "share>2"), ("b", "histogram[-10,0,10]"), ("c", "variance")]


def test_sections_over_the_same_rows_send_them_once_and_equal_sections_alone() -> None:
    rng = np.random.default_rng(3)
    values = np.round(rng.normal(0, 10, (60, 3)), 3)
    values[rng.random(values.shape) < 0.2] = np.nan
    one, two = rng.integers(0, 3, 60).tolist(), rng.integers(-1, 2, 60).tolist()
    both = Parties(values, one, 3, 3, ASKED, (two, 5, MORE), names="abc")
    assert [both.slots.of(number).ciphers for number in range(2)] == [[0, 1], [0, 1]]
    found = both.run_all()
    sent = [decode(e.payload, *EVERY) for e in both.sent]
    assert sum(isinstance(m, Rows) for m in sent) == 1
    alone = Parties(values, one, 3, 3, ASKED, names="abc").run()
    for mine, theirs in zip(found[0]["bank"].values, alone["bank"].values, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    frame, told = pd.DataFrame(values, columns=[*"abc"]).assign(g=two), found[1]["bank"]
    assert any(kept.any() for kept in told.kept)
    for number, (column, text) in enumerate(MORE[:2]):
        for g in np.flatnonzero(told.kept[number]).tolist():
            own = frame[frame.g == g][column].dropna()
            wanted = own.sum() if text == "sum" else (own > 2).mean()
            assert told.values[number][g] == pytest.approx(wanted, abs=1e-4)


def test_a_section_tells_neither_party_more_than_it_would_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other section's counts open as noise at the partner, its measures at the receiver."""
    counted: list[dict[Any, int]] = []
    opened: list[dict[Any, int]] = []
    real = SectionSlots.counts, SectionSlots.statistics

    def counts(self: SectionSlots, numbers: list[int]) -> Any:
        places = zip(self.whole.names, self.layout.places, strict=True)
        assert self.counted_in == [0]
        names = [name for name, place in places if place.cipher == 0]
        slots = self.layout.unpack(numbers, 0, masked_above=True)
        counted.append({n: int(s[0]) for n, s in zip(names, slots, strict=True)})
        return real[0](self, numbers)

    def statistics(self: SectionSlots, sums: Any, kept: np.ndarray) -> Any:
        opened.append({name: int(whole[0]) for name, whole in sums.items()})
        return real[1](self, sums, kept)

    monkeypatch.setattr(SectionSlots, "counts", counts)
    monkeypatch.setattr(SectionSlots, "statistics", statistics)
    mean, variance = [("a", "mean")], [("a", "variance"), ("b", "count")]
    more = ([1] * 4 + [0] * 4, 2, variance)
    Parties(np.ones((8, 2)), [0] * 4 + [1] * 4, 2, 2, mean, more).run_all()
    first, second = Section((("a", Statistic("mean")),), 2), (("a", "b"), 2)
    for number, own in enumerate([("", first.counted), ("", second)]):
        others = {name: value for name, value in counted[number].items() if name != own}
        assert len(others) == 5
        assert min(map(abs, others.values())) > 1 << 20
        assert counted[number][own] & 0xF == 4
    needed: list[set[tuple[str, Any]]] = [
        {("a", "there"), ("a", "value")},
        {("a", "there"), ("a", "value"), ("a", "square"), ("b", "there")},
    ]
    for number, names in enumerate(needed):
        told = {name: value for name, value in opened[number].items() if name in names}
        hidden = {name: value for name, value in opened[number].items() if name not in names}
        assert max(told.values()) <= 4 << 40
        assert min(map(abs, hidden.values())) > 1 << 20
        assert len(hidden) == len(opened[number]) - len(names)


def test_what_an_earlier_section_did_not_tell_does_not_part_the_cells() -> None:
    one, two = [0] * 4 + [1] * 6 + [2], [0] * 6 + [1] * 4 + [0]
    parties = Parties(np.ones((11, 1)), one, 3, 3, [("a", "sum")], (two, 3, [("a", "sum")]))
    parties.run_all()
    sent = [decode(e.payload, *EVERY) for e in parties.sent]
    cells = [m.cells.tolist() for m in sent if isinstance(m, messages.Counted)]
    assert cells[0] == [[2], [3], [4]]
    # group 2 is too small, so group 0 is not told either: their records are together now
    assert parties.groupings[1].cells.tolist() == [[2, 2], [2, 3], [2, 4], [3, 3]]
    assert cells[1] == [[2, 1], [2, 3], [3, 3]]
