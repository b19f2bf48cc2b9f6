"""A folder for each month, and what a report says has changed since the last."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from profiles.language import language
from profiles.months import change_metrics, change_since, month_of
from profiles.report.change import Listed
from psi.protocol.errors import MisuseError


def outputs(folder: Path, names: range, *, auc: float = 0.7, shift: float = 0.0) -> dict[str, Any]:
    folder.mkdir(parents=True)
    entity = [f"C{n}" for n in names]
    table: dict[str, Any] = {
        "entity": entity,
        "balance": [n % 50 + shift for n in names],
        "segment_name": ["x high" if n % 3 else "x low" for n in names],
    }
    if shift:
        table["segment_name"][0] = "x very high"
    pq.write_table(pa.table(table), folder / "profiles.parquet")
    leads = {"product": ["relief"] * 10, "entity": entity[:10]}
    pq.write_table(pa.table(leads), folder / "targets.parquet")
    models = {
        "churn": {"scores": {"alone": {"mean_auc": 0.6}, "joined": {"mean_auc": auc}}},
        "spent": {"scores": {}},
    }
    (folder / "metrics.json").write_text(json.dumps({"models": models}))
    return {"models": models}


def test_what_has_changed_is_told(tmp_path: Path) -> None:
    outputs(tmp_path / "2026-10", range(200))
    metrics = outputs(tmp_path / "2026-11", range(5, 220), auc=0.72, shift=25.0)
    found = change_since(tmp_path / "2026-10", tmp_path / "2026-11", metrics)
    assert (found.since, found.failed) == ("2026-10", "")
    assert (found.came, found.went, found.stayed, found.moved) == (20, 5, 195, 1)
    assert [one.column for one in found.drifts] == ["balance"]
    assert found.quality == (("churn", 0.7, 0.72),)
    assert found.lists == (Listed("relief", 5, 5, 5),)
    told = change_metrics(found)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert "2026-10" in language("zh").say("change.title", since=found.since)


def test_what_cannot_be_compared_fails_nothing(tmp_path: Path) -> None:
    metrics = outputs(tmp_path / "2026-11", range(20))
    outputs(tmp_path / "2026-09", range(300, 320))
    strangers = change_since(tmp_path / "2026-09", tmp_path / "2026-11", metrics)
    assert "nobody of" in strangers.failed
    assert set(change_metrics(strangers)) == {"run", "failed"}
    outputs(tmp_path / "2026-10", range(20))
    (tmp_path / "2026-10" / "metrics.json").write_text("{}")
    assert change_since(tmp_path / "2026-10", tmp_path / "2026-11", metrics).failed


def test_a_month_is_run_once_and_compared_with_the_last_that_is_whole(tmp_path: Path) -> None:
    out, today = tmp_path / "out", date(2026, 11, 30)
    with month_of(out, today) as month:
        assert (month.folder, month.done, month.last) == (out / "2026-11", False, None)
    for name in ("2026-08", "2026-09", "2026-12", "2026-13", "notes"):
        outputs(out / name, range(20))
    (out / "2026-10").mkdir()  # nothing in it
    with month_of(out, today) as month:
        assert (month.done, month.last) == (False, out / "2026-09")
        outputs(month.folder, range(20))
    with month_of(out, today) as month:
        assert month.done
        with (
            pytest.raises(MisuseError, match="this month's run is under way"),
            month_of(out, today),
        ):
            pass
    with month_of(out, date(2027, 1, 1)) as month:
        assert (month.folder.name, month.last) == ("2027-01", out / "2026-12")
