"""What the engine holds between questions: typed rows, and nothing that only led to an answer."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from profiles.flows.breaks import breaks
from profiles.flows.flows import Flows
from profiles.views.frame import LOOKED_AT, feature_frame
from tests.unit.profiles.flows.made import few_types, flows_of, rows_of

DAY = dt.date(2026, 3, 31)


@pytest.fixture
def flows(tmp_path: Path) -> Flows:
    layer = few_types(tmp_path, "C.salary", "C.reversal", "C.fee")
    rows = [
        *({"id": f"w{m}", "amount": 9.0, "time": dt.date(2026, m, 10), "text": "工资"}
          for m in (1, 2, 3)),
        {"id": "x", "amount": -5.0, "time": dt.date(2026, 3, 20), "text": "bank fee"},
        {"id": "y", "amount": 5.0, "time": dt.date(2026, 3, 21), "text": "冲正"},
        {"id": "z", "amount": -1.0, "time": DAY, "text": "zzz"},
    ]  # fmt: skip
    return flows_of(
        [{"account": "A", "counterparty_account": "P", **row} for row in rows], taxonomy=(layer,)
    )


def held(flows: Flows) -> list[str]:
    """What the engine keeps, without the numbers that make names new."""
    names = flows.engine.connection.list_tables()
    return sorted(n.removeprefix("flows_").rstrip("0123456789") for n in names if "flows_" in n)


def test_typing_leaves_the_rows_and_what_their_ranks_mean(flows: Flows) -> None:
    typed = flows.kept(*LOOKED_AT)
    assert held(flows) == ["meaning_", "ranked_"]
    types = dict(rows_of(typed, "id", "type"))
    assert (types["x"], types["y"], types["z"]) == ("C.reversal", "C.reversal", "")
    # a pair is in the rows themselves: no question has to look it up again
    assert "undone" not in str(flows.engine.connection.compile(typed))


def test_a_question_leaves_no_table_behind(flows: Flows) -> None:
    typed = flows.kept(*LOOKED_AT)
    with flows.scratch() as keep:
        found = breaks(flows.base, typed, flows.taxonomy, DAY, keep=keep)
        assert rows_of(found, "entity") == []
        assert len(held(flows)) > 5
    assert held(flows) == ["meaning_", "ranked_"]
    with pytest.raises(ValueError, match="planted"), flows.scratch() as keep:  # noqa: PT012
        keep(typed, "more")
        raise ValueError("planted")
    assert held(flows) == ["meaning_", "ranked_"]


def test_what_was_known_on_a_day_can_be_forgotten(flows: Flows) -> None:
    frame = feature_frame(flows, ["flow_behaviour"], DAY)
    first = flows.stored(frame, "features")
    assert "beside_" in held(flows)
    flows.forget(DAY)
    assert held(flows) == ["features_"]
    again = feature_frame(flows, ["flow_behaviour"], DAY)
    assert rows_of(again, "entity", "inflow_30d") == rows_of(first, "entity", "inflow_30d")
    flows.forget(DAY)
    flows.forget(DAY)  # twice is once
    assert held(flows) == ["features_"]
