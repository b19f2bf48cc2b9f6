"""`fedprofile uplift`: tables of people, outcomes and contacts as people have them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from profiles.assignment import history
from profiles.campaign import Measured, Sums, effect, from_sums, outcomes, uplift
from profiles.cli import app
from profiles.cli.uplift import _lines
from profiles.language import language
from psi.protocol.errors import InputError

PEOPLE = 4000


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A campaign with an effect of 10 points on the reached, and numbers with leading zeros."""
    rng = np.random.default_rng(3)
    names = [f"{n:08d}" for n in range(PEOPLE)]
    listed = rng.random(PEOPLE) < 0.8
    reached = listed & (rng.random(PEOPLE) < 0.5)
    bought = rng.random(PEOPLE) < 0.05 + 0.1 * reached
    people = pd.DataFrame({"entity": names, "arm": np.where(listed, "listed", "control")})
    people["region"] = np.where(rng.random(PEOPLE) < 0.5, "north", "south")
    people.to_csv(tmp_path / "campaign.csv", index=False)
    sales = pd.DataFrame({"entity": np.array(names)[bought], "bought": 1, "day": "2026-07-02"})
    sales.to_csv(tmp_path / "sales.csv", index=False)
    calls = pd.DataFrame({"entity": np.array(names)[reached]})
    calls.to_csv(tmp_path / "calls.csv", index=False)
    return tmp_path


def called(folder: Path, *words: str) -> Any:
    spelled = [str(folder / w) if w.endswith((".csv", ".parquet")) else w for w in words]
    return CliRunner().invoke(app, ["uplift", str(folder / "campaign.csv"), *spelled])


SALES = ("--outcomes", "sales.csv", "--outcome", "bought", "--absent-is-zero")


def test_effects_of_being_listed_and_on_the_reached(files: Path) -> None:
    shown = called(files, *SALES, "--contacts", "calls.csv", "--by", "region", "--json")
    assert shown.exit_code == 0, shown.output
    whole, north, south = json.loads(shown.output)["effects"]
    assert (whole["group"], north["group"], south["group"]) == ("", "region north", "region south")
    assert north["listed"] + south["listed"] == whole["listed"]
    assert whole["listed"] + whole["control"] == PEOPLE
    assert whole["reached_share"] == pytest.approx(0.5, abs=0.05)
    assert whole["reached_low"] <= 0.1 <= whole["reached_high"]
    assert whole["low"] <= 0.05 <= whole["high"]
    assert whole["verdict"] == "more"


def test_a_table_of_effects_is_written_and_what_cannot_be_told_is_said(files: Path) -> None:
    people = pd.read_csv(files / "campaign.csv", dtype=str)
    people.head(60).to_csv(files / "campaign.csv", index=False)
    shown = called(files, *SALES, "--out", "effects.csv")
    assert shown.exit_code == 0, shown.output
    assert "cannot tell" in shown.output
    assert "the smallest effect that this list can show" in shown.output
    assert "rows of the outcomes about nobody in the campaign" in shown.output
    assert pd.read_csv(files / "effects.csv").loc[0, "verdict"] == "cannot tell"


def test_a_group_without_a_control_group_is_told_in_words(files: Path) -> None:
    people = pd.read_csv(files / "campaign.csv", dtype=str)
    held = people.arm == "control"
    people.loc[held, "region"] = "north"
    people.loc[people.index[held][0], "region"] = "east"
    people.loc[people.index[~held][:40], "region"] = "east"
    people.to_csv(files / "campaign.csv", index=False)
    shown = called(files, *SALES, "--contacts", "calls.csv", "--by", "region").output
    south = next(line for line in shown.splitlines() if "region south" in line)
    assert south.startswith("bought, listed, region south: cannot tell; ")
    assert south.endswith(" listed, nobody in the control group")
    assert "or any other: too few people for an interval" in shown
    assert " nan" not in shown.replace("+nan", " nan")
    assert "inf" not in shown


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        (((60, 8), (3, 0)), None),
        (((1000, 62), (1000, 40)), "among several groups one differs as much by chance (p 0.025"),
    ],
)
def test_why_nothing_is_told_though_an_interval_leaves_out_0(
    arms: tuple[tuple[int, int], tuple[int, int]], said: str | None
) -> None:
    (n, x), (m, y) = arms
    of = effect(Sums(n, x, x), Sums(m, y, y))
    one = Measured(outcome="o", arm="listed", group="g 1", effect=of, verdict="cannot tell")
    text = "\n".join(_lines(one, language("en")))
    assert ("leaves out 0" in text) == (said is not None) == (not of.low <= 0 <= of.high)
    assert (said or "") in text


def test_somebody_on_two_lists_counts_once(files: Path) -> None:
    words = (*SALES, "--by", "product", "--json")
    people = pd.read_csv(files / "campaign.csv", dtype=str)
    people.assign(product="loan").to_csv(files / "campaign.csv", index=False)
    once = json.loads(called(files, *words).output)["effects"]
    both = pd.concat([people.assign(product="loan"), people.assign(product="card")])
    both.to_csv(files / "campaign.csv", index=False)
    whole, card, loan = json.loads(called(files, *words).output)["effects"]
    assert whole == once[0]
    assert [one["listed"] for one in (card, loan)] == [whole["listed"]] * 2
    said = f"{PEOPLE:,} people are in several groups of product and count in each"
    assert said in called(files, *words[:-1]).output
    told = called(files, *words[:-1], "--lang", "zh").output
    assert f"{PEOPLE:,} 人同时属于 product 的多个组" in told
    assert "\nbought，列入名单，名单“loan”：有提高；" in told


def test_several_rows_of_a_person_add_up_and_early_ones_do_not_count(files: Path) -> None:
    sales = pd.read_csv(files / "sales.csv", dtype=str)
    early = sales.assign(day="2026-06-30")
    pd.concat([sales, sales, early]).to_csv(files / "sales.csv", index=False)
    shown = called(files, *SALES, "--date", "day", "--since", "2026-07-01", "--json")
    found = json.loads(shown.output)
    twice = found["effects"][0]
    assert found["left_out"] == {"rows of the outcomes from before the campaign": len(sales)}
    assert twice["mean_control"] == pytest.approx(0.1, abs=0.04)


@pytest.mark.parametrize(
    ("change", "words", "said"),
    [
        ("", SALES[:-1], "says nothing of"),
        ("", (*SALES[:-3], "--outcome", "sold", "--absent-is-zero"), "no column"),
        ("", (*SALES, "--control", "held"), "'held' is needed"),
        ("", (*SALES, "--date", "day"), "--date and --since go together"),
        ("", (*SALES, "--date", "bought", "--since", "2026-07-01"), "are no days"),
        ("", (*SALES, "--out", "effects.doc"), ".csv or .parquet needed"),
        ("both arms", SALES, "1 people are in more than one arm"),
        ("one arm", SALES, "nobody was listed"),
        ("zeros", SALES, "sales.csv: none of "),
        ("zeros", ("--outcome", "sold", "--contacts", "calls.csv"), "calls.csv: none of "),
    ],
)
def test_what_does_not_fit_is_refused_with_what_to_do(
    files: Path, change: str, words: tuple[str, ...], said: str
) -> None:
    people = pd.read_csv(files / "campaign.csv", dtype=str)
    if change == "both arms":
        first = people.head(1).assign(arm=lambda t: {"listed": "control"}.get(t.arm[0], "listed"))
        people = pd.concat([people, first])
    elif change == "one arm":
        people["arm"] = "control"
    elif change == "zeros":  # as a spreadsheet leaves them, all of other letters here
        people = people.assign(entity="x" + people.entity.str.lstrip("0"), sold="1")
    people.to_csv(files / "campaign.csv", index=False)
    shown = called(files, *words)
    assert shown.exit_code, shown.output
    assert said in str(shown.exception)


def test_effects_are_told_in_chinese(files: Path) -> None:
    shown = called(
        files, *SALES, "--contacts", "calls.csv", "--by", "region", "--lang", "zh"
    ).output
    assert shown.startswith("bought，列入名单：有提高；名单上 ")
    assert "列入名单的效果 +" in shown
    assert "  名单上被联系到的比对照组多 " in shown
    assert " 个百分点 [+" in shown
    assert called(files, *SALES, "--lang", "fr").exit_code


@pytest.mark.parametrize("module", [history, outcomes, uplift])
def test_whatever_is_left_out_has_its_chinese(module: ModuleType) -> None:
    found = re.findall(r'lost\[f?"([^"]+)"\]', Path(str(module.__file__)).read_text("utf-8"))
    assert found
    for why in found:
        assert re.search("[\u4e00-\u9fff]", language("zh").told(why, "set_aside")), why


def test_a_folder_of_outputs_is_told_which_file_of_it_is_meant(files: Path) -> None:
    (files / "campaign.csv").rename(files / "campaign.parquet")
    (files / "campaign.csv").mkdir()
    (files / "campaign.parquet").rename(files / "campaign.csv" / "campaign.parquet")
    shown = called(files, *SALES)
    assert isinstance(shown.exception, InputError)
    assert shown.exception.hint == f"name {files}/campaign.csv/campaign.parquet"


def test_arms_in_several_spellings_are_one_and_blank_ones_are_counted(files: Path) -> None:
    once = json.loads(called(files, *SALES, "--json").output)
    people = pd.read_csv(files / "campaign.csv", dtype=str)
    other = np.arange(PEOPLE) % 7
    people.loc[other == 1, "arm"] = people.arm.str.capitalize() + " "
    people.loc[other == 2, "arm"] = people.arm.replace(
        {"listed": "ｌｉｓｔｅｄ", "control": "CONTROL"}
    )
    blank = pd.DataFrame({"entity": ["x1", "x2"], "arm": [None, " "]})
    pd.concat([people, blank]).to_csv(files / "campaign.csv", index=False)
    found = json.loads(called(files, *SALES, "--json").output)
    assert found["effects"] == once["effects"]
    assert found["left_out"] == {"rows of the campaign without an arm": 2}
    (note,) = found["notes"]
    assert note.startswith(f"{int((other == 1).sum() + (other == 2).sum()):,} rows of the campaign")
    assert "spell an arm in another way" in called(files, *SALES).output


def test_numbers_that_stand_for_nothing_are_pointed_out(files: Path) -> None:
    sales = pd.read_csv(files / "sales.csv", dtype=str)
    sales.loc[:11, "bought"] = "-999"
    sales.to_csv(files / "sales.csv", index=False)
    told = "bought: 12 rows hold -999, apart from all others"
    people = pd.read_csv(files / "campaign.csv", dtype=str)
    people["bought"] = np.where(np.arange(PEOPLE) < 12, "-999", "0")
    people.loc[PEOPLE - 9 :, "bought"] = "1"
    assert told in called(files, *SALES).output
    people.to_csv(files / "campaign.csv", index=False)
    assert told in called(files, "--outcome", "bought").output


def test_points_that_may_part_thousands_are_pointed_out(files: Path) -> None:
    sales = pd.read_csv(files / "sales.csv", dtype=str)
    sales["bought"] = [
        f"{1 + i % 9}.{100 + i % 800}" if i % 2 else "950" for i in range(len(sales))
    ]
    sales.to_csv(files / "sales.csv", index=False)
    assert "bought: its points may part thousands" in called(files, *SALES).output
    assert (
        "bought：小数点可能是千分位（1.234 与 950 并存）"
        in called(files, *SALES, "--lang", "zh").output
    )


def test_people_who_lost_their_zeros_in_most_rows_are_refused(files: Path) -> None:
    sales = pd.read_csv(files / "sales.csv", dtype=str)
    sales.loc[3:, "entity"] = sales.entity.str.lstrip("0")
    sales.to_csv(files / "sales.csv", index=False)
    shown = called(files, *SALES)
    assert shown.exit_code
    assert "do but for case, width, leading zeros" in str(shown.exception)


def test_a_few_who_lost_their_zeros_are_counted(files: Path) -> None:
    for name in ("sales", "calls"):
        rows = pd.read_csv(files / f"{name}.csv", dtype=str)
        rows.loc[: len(rows) // 3, "entity"] = rows.entity.str.lstrip("0")
        rows.to_csv(files / f"{name}.csv", index=False)
    shown = called(files, *SALES, "--contacts", "calls.csv", "--json")
    notes = json.loads(shown.output)["notes"]
    assert [note.split(":")[0] for note in notes] == ["sales.csv", "calls.csv"]
    assert all("rows name nobody in the campaign as they are written" in note for note in notes)
    assert "只是写法不同" in called(files, *SALES, "--lang", "zh").output


def test_a_campaign_with_outcomes_of_its_own_counts_a_person_once(files: Path) -> None:
    people = pd.read_csv(files / "campaign.csv", dtype=str)
    people["bought"] = np.where(np.arange(PEOPLE) % 5 == 0, "1", "0")
    words = ("--outcome", "bought", "--json")
    people.to_csv(files / "campaign.csv", index=False)
    once = json.loads(called(files, *words).output)
    pd.concat([people, people]).to_csv(files / "campaign.csv", index=False)
    assert json.loads(called(files, *words).output) == once
    other = people.head(9).assign(bought="2")
    pd.concat([people, other]).to_csv(files / "campaign.csv", index=False)
    assert "9 people have several rows with other outcomes" in str(called(files, *words).exception)
    both = people.head(9).assign(
        arm=lambda t: t.arm.replace({"listed": "control", "control": "listed"})
    )
    pd.concat([people, both]).to_csv(files / "campaign.csv", index=False)
    assert "9 people are in more than one arm" in str(called(files, *words).exception)
    people.drop(columns="entity").to_csv(files / "campaign.csv", index=False)
    assert json.loads(called(files, *words).output) == once


def test_means_and_variances_of_a_partner_say_what_people_say() -> None:
    rng = np.random.default_rng(4)
    values = {"listed": rng.gamma(1, 5, 300), "control": rng.gamma(1, 4, 200)}
    told = (
        [float(v.mean()) for v in values.values()],
        [float(v.var(ddof=1)) for v in values.values()],
        None,
    )
    (found,) = from_sums(["listed", "control"], [300, 200], {"spend": told}).effects
    assert found.effect.difference == pytest.approx(
        values["listed"].mean() - values["control"].mean()
    )
    assert found.effect.listed.variance == pytest.approx(values["listed"].var(ddof=1))
