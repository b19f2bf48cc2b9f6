"""Profiles of two dates: who came, went and moved, and what drifted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from profiles.cli import app
from profiles.drift import difference
from psi.protocol.errors import InputError


def written(folder: Path, **changes: Any) -> tuple[Path, Path]:
    rng = np.random.default_rng(1)
    n = 1000
    old = pd.DataFrame(
        {
            "entity": [f"c{row:04d}" for row in range(n)],
            "balance": rng.normal(size=n),
            "zone": rng.choice(["a", "b"], n),
            "score_churn": rng.random(n),
            "segment_name": ["low"] * 600 + ["high"] * 400,
        }
    )
    new = old.iloc[::-1].iloc[50:].copy()  # 50 went, in another order
    more = pd.DataFrame({"entity": ["d1", "d2"], "segment_name": ["low", "low"]})
    new.loc[new.entity < "c0030", "segment_name"] = "high"
    for name, value in changes.items():
        new[name] = value(new) if callable(value) else value
    paths = folder / "old.parquet", folder / "new.parquet"
    old.to_parquet(paths[0], index=False)
    pd.concat([new, more]).to_parquet(paths[1], index=False)
    return paths


def test_who_came_went_and_moved_is_counted(tmp_path: Path) -> None:
    found = difference(*written(tmp_path))
    assert (found.came, found.went, found.stayed) == (2, 50, 950)
    assert found.moves == (("low", "high", 30),)
    assert max(drift.index for drift in found.drifts) < 0.1
    assert {drift.column: drift.moved for drift in found.drifts} == {
        "balance": 0,
        "zone": 0,
        "score_churn": 0,
        "segment_name": 30,
    }


def test_a_column_that_drifted_is_first(tmp_path: Path) -> None:
    files = written(tmp_path, balance=lambda new: new.balance + 1, zone="a", fresh=1)
    found = difference(*files)
    first, second, *_ = found.drifts
    assert {first.column, second.column} == {"balance", "zone"}
    balance = next(drift for drift in found.drifts if drift.column == "balance")
    assert balance.index > 0.25
    assert balance.after - balance.before == pytest.approx(1)
    assert balance.moved == 950
    assert found.left_out == ("fresh",)


def test_the_command_says_it_in_lines_and_whole_as_json(tmp_path: Path) -> None:
    words = ["profile", "diff", *map(str, written(tmp_path, zone="a"))]
    said = CliRunner().invoke(app, words).output
    assert said.startswith("in both 950, came 2, went 50\n30 moved from 'low' to 'high'\n")
    assert "zone: much drift" in said
    (tmp_path / "metrics.json").write_text('{"lang": "zh", "titles": {"zone": "区域"}}')
    said = CliRunner().invoke(app, [*words, "--lang", "zh"]).output
    assert said.startswith("两次都有 950，新增 2，减少 50\n30 名从“low”移到“high”\n")
    assert "\n区域：变化很大（" in said
    told = json.loads(CliRunner().invoke(app, [*words, "--json"]).output)
    assert told["stayed"] == 950
    assert told["drifts"][0]["before"] is None


def test_scores_that_only_one_date_has_are_counted_and_no_drift(tmp_path: Path) -> None:
    def fewer(column: str) -> Any:
        return lambda new: new[column].where(new.entity < "c0800")

    files = written(tmp_path, score_churn=fewer("score_churn"), balance=fewer("balance"))
    there = {drift.column: drift for drift in difference(*files).drifts}
    score, balance = there["score_churn"], there["balance"]
    assert (score.index, score.moved, score.before) == (0, 0, score.after)
    assert (score.lost, score.gained, balance.lost) == (150, 0, 150)
    assert balance.index > 0.25  # of a column that is no score a missing value is news
    back = {drift.column: drift for drift in difference(*reversed(files)).drifts}
    assert (back["score_churn"].lost, back["score_churn"].gained) == (0, 150)
    said = CliRunner().invoke(app, ["profile", "diff", *map(str, files)]).output
    assert "score_churn: little drift (0.000)" in said
    assert "0 have another value, 150 have no score now" in said
    pd.read_parquet(files[1]).assign(score_churn=np.nan).to_parquet(files[1])
    assert (
        "950 have no score now"
        in CliRunner().invoke(app, ["profile", "diff", *map(str, files)]).output
    )


def test_what_are_no_profiles_is_told(tmp_path: Path) -> None:
    old, new = written(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        difference(tmp_path / "none", new)
    pd.DataFrame({"entity": ["a", "a", None]}).to_parquet(tmp_path / "twice.parquet")
    with pytest.raises(InputError, match="1 of 3 rows repeat an entity, 1 have none"):
        difference(tmp_path / "twice.parquet", new)
    pd.DataFrame({"entity": ["z"]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(InputError, match="nobody of"):
        difference(old, tmp_path / "other.parquet")


def test_people_whose_names_lost_their_zeros_are_pointed_out(tmp_path: Path) -> None:
    files = tmp_path / "old.parquet", tmp_path / "new.parquet"
    pd.DataFrame({"entity": [f"00{i}" for i in range(1, 9)] + ["9"]}).to_parquet(files[0])
    pd.DataFrame({"entity": [str(i) for i in range(1, 10)]}).to_parquet(files[1])
    with pytest.raises(InputError, match=r"8 entities .* leading zeros.* 1 as they are") as error:
        difference(*files)
    assert "types" in error.value.hint
