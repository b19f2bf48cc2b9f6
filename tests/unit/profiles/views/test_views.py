"""Feature views: figures by hand, and nothing from after the cut-off, in any table."""

from __future__ import annotations

import datetime as dt
import math
import runpy
from pathlib import Path
from typing import Any

import pytest

from profiles import views
from profiles.flows.flows import Flows
from psi.protocol.errors import JobError, MisuseError
from tests.unit.profiles.flows.made import few_types, flows_of
from tests.unit.profiles.views.world import CUT, write

ROOT = Path(__file__).parents[4]
Frames = dict[tuple[str, str], dict[str, dict[str, Any]]]


def frames(flows: Flows, cut_off: dt.date = CUT, kinds: str = "CB") -> Frames:
    """(view, kind) to entity to columns."""
    found: Frames = {}
    for kind in kinds:
        whole = views.feature_frame(flows, list(views.VIEWS), cut_off, kind)
        rows = {row["entity"]: row for row in whole.to_pyarrow().to_pylist()}
        for name, view in views.VIEWS.items():
            columns = [column.name for column in view.of(kind)]
            found[name, kind] = {e: {c: row[c] for c in columns} for e, row in rows.items()}
    return found


@pytest.fixture(scope="module")
def flows(tmp_path_factory: pytest.TempPathFactory) -> Flows:
    return Flows.load(write(tmp_path_factory.mktemp("plain"), planted=False))


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Flows:
    return Flows.load(write(tmp_path_factory.mktemp("planted"), planted=True))


@pytest.fixture(scope="module")
def plain(flows: Flows) -> Frames:
    return frames(flows)


@pytest.fixture(scope="module")
def with_plants(planted: Flows) -> Frames:
    return frames(planted)


@pytest.mark.parametrize("kind", ["C", "B"])
@pytest.mark.parametrize("view", list(views.VIEWS))
def test_rows_after_the_cut_off_change_nothing(
    plain: Frames, with_plants: Frames, view: str, kind: str
) -> None:
    assert plain[view, kind]
    found, wanted = with_plants[view, kind], plain[view, kind]
    assert found.keys() == wanted.keys()
    for entity, row in wanted.items():  # a variance is summed in any order: its last bit may move
        mine, theirs = (
            {name: math.inf if value is None else value for name, value in one.items()}
            for one in (found[entity], row)
        )
        assert mine == pytest.approx(theirs, rel=1e-12, abs=0), entity


def test_the_same_rows_change_every_view_once_they_are_known(flows: Flows, planted: Flows) -> None:
    later = CUT + dt.timedelta(days=40)
    before, after = (frames(one, later, "C") for one in (flows, planted))
    for view in views.VIEWS:
        assert before[view, "C"] != after[view, "C"], view


def test_contribution_is_what_a_merchant_brings_in_a_month(plain: Frames) -> None:
    firm = plain["contribution", "B"]["firm"]
    assert firm == pytest.approx({
        "card_takings": 200_000, "contribution_fee": 760, "contribution_scheme": -600,
        "contribution_terminal": -20, "contribution_balances": 40, "contribution": 180,
    })  # fmt: skip
    assert set(plain["contribution", "B"]["other"].values()) == {0}


def test_facts_products_and_links_by_hand(plain: Frames) -> None:
    assert plain["basic_facts", "C"]["p0"] == {
        "age": 46, "customer_days": 2341, "history_days": 172, "accounts_open": 1,
        "accounts_opened_360d": 0, "accounts_closed_360d": 1,
    }  # fmt: skip
    assert plain["basic_facts", "C"]["p2"]["age"] == 35  # a day short of 36
    held = plain["products", "C"]["p0"]
    assert (held["deposit"], held["wealth"], held["products_held"]) == (700, 300, 2)
    assert held["deposit_mean_90d"] == pytest.approx((29 * 100 + 61 * 700) / 90)
    assert held["wealth_mean_90d"] == pytest.approx(30 * 300 / 90)
    near, far = 29 * 100 + 61 * 700 + 30 * 300, 90 * 100
    assert held["assets_change_90d"] == pytest.approx((near - far) / (near + far))
    assert plain["products", "C"]["p1"]["loan"] == 900
    assert plain["links", "C"]["p0"] == {
        "paid_by_payroll": 1, "payroll_staff": 5, "payer_is_customer": 1, "payees_here_360d": 0,
        "payers_here_360d": 1, "paid_here_share_360d": 0,
        "received_here_share_360d": pytest.approx(54_000 / 54_150),
    }  # fmt: skip
    firm = plain["links", "B"]["firm"]
    assert (firm["staff_here"], firm["payroll_4m"], firm["payees_here_360d"]) == (5, 180_000, 6)
    assert plain["links", "B"]["other"]["staff_here"] == 0


def test_behaviour_by_hand(plain: Frames) -> None:
    one = plain["flow_behaviour", "C"]["p0"]
    assert (one["inflow_30d"], one["inflow_90d"], one["inflow_360d"]) == (9000, 27100, 54150)
    assert (one["outflow_30d"], one["inflow_count_90d"]) == (4000, 5)
    assert one["inflow_size_90d"] == pytest.approx(27100 / 5)
    assert (one["days_since_inflow"], one["days_since_outflow"]) == (21, 19)
    assert one["inflow_change_90d"] == pytest.approx((27100 - 27050) / 54150)
    assert (one["inflow_blocks"], one["payers_360d"], one["payees_360d"]) == (6, 2, 2)
    assert one["largest_payer_share_360d"] == pytest.approx(54000 / 54150)
    assert one["income_share_in_360d"] == pytest.approx(54000 / 54150)
    assert one["housing_share_out_360d"] == pytest.approx(15000 / 19000)
    # 4,000 left two days after the third pay; the rents of April and May used up 6,000 of the first
    assert one["leak_ratio_90d"] == 0
    assert plain["flow_behaviour", "C"]["p4"]["breaks_180d"] == 1  # the rent of June


def test_months_by_hand(plain: Frames) -> None:
    one = plain["monthly_flows", "C"]["p0"]
    assert one == pytest.approx({
        "months_seen": 6, "inflow_month": 54_150 / 6, "inflow_spread": 25 / 9025,
        "outflow_month": 19_000 / 6, "outflow_spread": (5 / 36) ** 0.5 * 1000 / (19_000 / 6),
        "income_month": 9000, "income_spread": 0, "deficit_months_share": 0,
        "net_share_360d": (54_150 - 19_000) / 73_150, "cash_share_in_360d": 0,
        "cash_share_out_360d": 0, "interest_month": 0, "penalties_360d": 0,
    })  # fmt: skip
    assert one["income_spread"] == 0  # the same each month: on every engine, to the last bit
    assert "penalties_360d" not in plain["monthly_flows", "B"]["firm"]


def test_a_month_without_money_counts_and_cash_and_penalties_are_told(tmp_path: Path) -> None:
    codes = ("C.cash_in", "C.cash_out", "C.interest", "C.penalty_interest")
    rows: list[dict[str, Any]] = [
        {"time": CUT - dt.timedelta(days=ago), "amount": amount, "text": text}
        for ago, amount, text in (
            (1, -500, "ATM取款"), (30, -10, "贷款罚息"), (31, 400, "xyz"), (95, 300, "现金存款"),
            (95, -90, "xyz"), (100, 20, "利息"),
        )
    ]  # fmt: skip
    made = [{"id": str(i), "account": "A", **row} for i, row in enumerate(rows)]
    flows = flows_of(made, taxonomy=(few_types(tmp_path, *codes),))
    found = views.feature_frame(flows, ["monthly_flows"], CUT).to_pyarrow().to_pylist()
    # came: 0, 400, 0, 320; went: 510, 0, 0, 90
    assert [{k: v for k, v in row.items() if k != "entity"} for row in found] == [pytest.approx({
        "months_seen": 4, "inflow_month": 180, "inflow_spread": 33_200**0.5 / 180,
        "outflow_month": 150, "outflow_spread": (44_550.0) ** 0.5 / 150,
        "income_month": 5, "income_spread": 3**0.5, "deficit_months_share": 0.25,
        "net_share_360d": 120 / 1320, "cash_share_in_360d": 300 / 720,
        "cash_share_out_360d": 500 / 600, "interest_month": 5, "penalties_360d": 1,
    })]  # fmt: skip


def test_who_had_nothing_has_zeros_and_what_cannot_be_said_is_missing(plain: Frames) -> None:
    found = plain["flow_behaviour", "B"]["other"]  # its one row is of December
    assert found == {c.name: c.empty for c in views.VIEWS["flow_behaviour"].of("B")}
    assert found["inflow_360d"] == 0
    assert found["days_since_inflow"] is None


def test_what_is_refused(flows: Flows) -> None:
    with pytest.raises(JobError, match="did you mean links"):
        views.named("link")
    with pytest.raises(JobError, match="links@1 allowed"):
        views.named("links@2")
    assert views.named("links@1").name == "links"
    with pytest.raises(MisuseError, match="the data end on 2026-12-31"):
        views.feature_frame(flows, ["links"], dt.date(2027, 1, 2))
    bare = flows_of([{"id": "1", "account": "A", "amount": 5.0, "time": CUT}])
    with pytest.raises(JobError, match=r"view products needs \[flows.given.balances\]"):
        views.feature_frame(bare, ["products"], CUT)


def test_columns_are_data_and_the_page_is_made_from_them() -> None:
    for kind in "CBG":
        names = [column.name for column in views.columns_of(list(views.VIEWS), kind)]
        assert len(names) == len(set(names))
    for view in views.VIEWS.values():
        for column in view.columns:
            assert column.unit, column
            assert column.window, column
            assert column.meaning, column
    page = runpy.run_path(str(ROOT / "tools" / "features_page.py"))["page"]()
    assert (ROOT / "docs" / "FEATURES.md").read_text("utf-8") == page
