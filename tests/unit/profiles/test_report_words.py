"""What a report says of its numbers: gains and losses, noise, chance."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from federated.evaluation import Interval
from profiles.language import language, numbers
from profiles.report import (
    ReportData,
    scored,
)
from profiles.report import sentences as said
from profiles.report.figures import figures
from profiles.report.grouped import Binning, Valued
from profiles.report.render import _sentence
from tests.unit.profiles.sample import model, sample
from tests.unit.profiles.test_report import EN


def test_no_clear_difference_is_said() -> None:
    unclear = replace(model(), gain=Interval(0.001, 0.01, -0.01, 0.012, 5))
    data: ReportData = replace(sample(), models=(unclear,))
    assert "no clear difference" in " ".join(said.lede(EN, data))


def test_a_gain_is_judged_by_the_interval_over_held_out_rows() -> None:
    folds, rows = Interval(0.18, 0.07, -0.002, 0.365, 3), Interval(0.18, 0.03, 0.126, 0.238, 600)
    few = replace(model(), gain=folds)
    assert few.judged == folds
    assert replace(few, gain_rows=rows).judged == rows
    assert replace(few, gain=None, gain_rows=rows).judged is None  # no row was held out
    for one, unclear in ((few, True), (replace(few, gain_rows=rows), False)):
        data: ReportData = replace(sample(), models=(one,))
        assert ("no clear difference" in " ".join(said.lede(EN, data))) == unclear


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(-0.03, -0.01, "does not make up"), (-0.01, 0.02, "no clear gain"), (0.01, 0.03, "raises")],
)
def test_a_clear_loss_of_a_predicted_number_is_told_as_one(
    low: float, high: float, words: str
) -> None:
    both = (SimpleNamespace(mean_explained=0.3), SimpleNamespace(mean_explained=0.3 + low + high))
    gain = Interval((low + high) / 2, 0.01, low, high, 5)
    found = replace(model(), numbers=both, gain=gain)  # type: ignore[arg-type]
    assert words in said._model_words(EN, found)


def test_numbers_in_words() -> None:
    assert [
        numbers.percent(v) for v in (0, 0.0043, 0.097, 0.0999, 0.617, 0.99, 0.9906, 0.99996, 1)
    ] == [
        "0%",
        "0.4%",
        "9.7%",
        "10%",
        "62%",
        "99%",
        "99.1%",
        "99.9%",
        "100%",
    ]
    assert [numbers.number(v) for v in (None, float("nan"), 4, 0.8731, 123.456, 12345.6)] == [
        "–",
        "–",
        "4",
        "0.873",
        "123.5",
        "12,346",
    ]
    assert [EN.form("size", v) for v in (12, 1204, 5_310_222, 7e9)] == [
        "12 bytes",
        "1.2 kB",
        "5.3 MB",
        "7.0 GB",
    ]
    assert [EN.form("duration", v) for v in (0.84, 41.3, 75.2, 3725)] == [
        "0.8 s",
        "41 s",
        "1 min 15 s",
        "1 h 2 min",
    ]
    assert EN.form("list", ["a"]) == "a"
    assert [_sentence(v) for v in ("on folds", "Done.", "")] == ["On folds.", "Done.", ""]
    assert numbers.signed(-0.05) == "−0.050"


def test_a_curve_that_falls_below_nothing_is_in_its_picture() -> None:
    """Of a score that finds false alarms first, or of counts under noise."""
    random = np.random.default_rng(3)
    truth = (random.random(800) < 0.4).astype(np.int8)
    worse = scored("joined", truth, 0.5 - 0.2 * truth + 0.3 * random.random(800))
    found = next(f for f in figures(EN, replace(model(), scores=(worse,))) if f.kind == "ks")
    low, high = found.layout["yaxis"]["range"]
    drawn = [value for line in found.data for value in line["y"]]
    assert low <= min(drawn) < 0 < max(worse.ks, *drawn) <= high


@pytest.mark.parametrize("code", ["en", "zh"])
def test_a_model_no_better_than_chance_is_called_so_first(code: str) -> None:
    good = sample()
    first = said.lede(language(code), good)[0]
    random = np.random.default_rng(4)
    label, folds = (random.random(600) < 0.2).astype(np.int8), np.arange(600) % 5
    nothing = scored("joined", label, random.random(600), folds)
    bad = replace(good, models=(replace(model(), scores=(nothing,)),))
    assert nothing.interval is not None
    assert nothing.interval.low < 0.5
    told = said.lede(language(code), bad)
    assert ("no better than chance" if code == "en" else "看不出优于随机") in told[0]
    assert told[1] == first


def test_a_part_held_out_has_an_interval_over_its_rows() -> None:
    random = np.random.default_rng(4)
    label = (random.random(2_000) < 0.2).astype(np.int8)
    score = label + random.normal(size=2_000)
    assert scored("joined", label, score).interval is None
    found = scored("joined", label, score, by_rows=True)
    assert found.interval is not None
    assert found.interval.mean == pytest.approx(found.auc)
    assert 0.02 < found.interval.high - found.interval.low < 0.08


def test_a_line_of_a_contract_breaks_behind_dots_and_underscores_only() -> None:
    from profiles.report.render import _parted

    assert _parted("align.row_<b") == "align.<wbr>row_<wbr>&lt;b"


def test_a_terminal_says_the_noise_of_a_value_that_has_some() -> None:
    own = Valued(party="bank", column="x", value=0.3, step=0, chance=0.01, bins=5)
    theirs = replace(own, party="shop", chance=0.04)
    exact = replace(own, party="bureau")
    found = Binning(
        label="left",
        positives=9,
        negatives=9,
        epsilon=(("shop", 0.5), ("bureau", 0.0)),
        columns=(own, theirs, exact),
    )
    said = [found.noise_words(line) for line in found.columns]
    assert said == ["", " (noise of epsilon 0.5; 0.040 by chance alone)", ""]


def test_a_column_that_may_be_the_outcome_or_has_one_bin_says_so() -> None:
    one = Valued(party="bank", column="x", value=9.2, step=0, chance=0.01, bins=2)
    found = Binning(
        label="left",
        positives=99,
        negatives=99,
        epsilon=(("shop", 1.0),),
        columns=(one, replace(one, value=0.88), replace(one, column="y", value=0.0, bins=1)),
    )
    assert [line.state for line in found.columns] == ["outcome", "", "one_bin"]
    assert found.of_state("one_bin") == ("bank.y",)
    for code in ("en", "zh"):
        said = language(code)("binning.state_outcome", columns=found.of_state("outcome"))
        assert "bank.x" in said
