"""The report is whole, safe whatever the texts, and right whatever is absent."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from federated.evaluation import Interval
from federated.models import LinearPart
from profiles.goodness import Goodness
from profiles.language import language, numbers
from profiles.offers.chosen import Money
from profiles.report import (
    Match,
    importance_of,
    paired_gain,
    render_report,
    scored,
)
from profiles.report import sentences as said
from profiles.report.figures import figures, label
from psi.protocol.errors import MisuseError
from tests.unit.profiles.sample import HOSTILE, horizontal, model, sample, smallest

EN = language("en")


class Page(HTMLParser):
    """Tags with attributes, visible text, and scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.words: list[str] = []
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open == "script":
            attributes, code = self.scripts[-1]
            self.scripts[-1] = attributes, code + data
        elif self._open != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@cache
def friendly() -> tuple[str, Page]:
    html = render_report(sample())
    return html, Page(html)


@cache
def hostile() -> tuple[str, Page]:
    html = render_report(sample(HOSTILE))
    return html, Page(html)


def test_everything_is_there() -> None:
    _, page = friendly()
    for words in (
        "Synthetic data.",
        "consumer churn with bureau data",
        "Of its 12,000 consumers bank shares 6,904 with bureau and registry.",
        "2,000 consumers are listed for deposit renewal: their score for churn is 47% on average, "
        "against 11% of all.",
        "Why 9,515 others are not listed",
        "KYC has expired eligibility 311",
        "Ann Lee 1,100 48%",
        "58% of bank's consumers",
        "95% interval",
        "by identity number: 6,901",
        "not shown: fewer than 20 shared records",
        "share above 2 of open loans",
        "How open loans is spread within each segment",
        "affluent 0% 83% 17%",
        "too few",
        "registry, by industry",
        "it moves shared consumers by at most 18 and sum of balance by at most 100,000",
        "12 amounts of sum of balance were cut to their range.",
        "retail 801 7,000,000",
        "shared consumers by industry and segment",
        "1,981 (99.1%) have a manager. 19 have none: all managers are at capacity.",
        "balance trend falling ↑",
        "First of all: bank and bureau, bank and registry both know which consumers they share.",
        "3072 bits",
        "AVX-512 IFMA kernels",
        "41 s",
    ):
        assert words in page.text.replace(" ,", ","), words


def test_whom_to_approach_comes_first() -> None:
    _, page = friendly()
    places = [page.text.index(words) for words in ("Whom to approach", "Groups of like", "blinded")]
    assert places == sorted(places)
    assert page.text.index("are listed for") < page.text.index("bank shares 6,904")


def test_notes_are_spaced_and_before_the_models_in_plain_words() -> None:
    listed = replace(
        sample().targets[0],
        assigned_by=(("branch", 1900), ("capacity", 81)),
        unmatched=48,
        unknown=(("branch", "desk", 7),),
        held=None,
    )
    html = render_report(replace(sample(), targets=(listed,)))
    page = " ".join(Page(html).text.split())
    assert "have a manager: 95% by branch and 4.0% by capacity." in page
    assert (
        "at capacity. The branch of 7 is one that no manager has as desk. 48 of those listed are"
        in page
    )
    assert "own model. The two kinds of score are of two models: who is ahead" in page
    assert "log-odds" not in html.split("<main")[1].split('id="task-0"')[0]


def test_money_has_its_condition_and_unit_and_adds_up() -> None:
    paid = Money(
        value=32363.6, cost=9524.1, left=22839.5, expected=None, by="rule", offers=(), unit="CNY"
    )
    listed = replace(sample().targets[0], money=paid)
    net = "every offer works: 22,839.50, a value of 32,363.60 less a cost of 9,524.10 (in CNY)."
    page = Page(render_report(replace(sample(), targets=(listed,)))).text
    assert page.count(f"Net, if {net}") == 2, "on the first screen and with the list"
    assert "published tiers" not in page, "who is on a list may go by the score"
    assert "net 22,839.50, if every offer works" in " ".join(page.split())
    chance = replace(paid, expected=5400.0, by="score", unit="")
    page = render_report(replace(sample(), targets=(replace(listed, money=chance),)))
    text = " ".join(Page(page).text.split())
    assert "expected at most 5,400" in text
    assert "ranked by what their offers are expected to bring, then by the score" in text
    assert "as if offers did all of it: kept each who would leave" in text
    assert "(the job names no unit)" in text
    assert text.index("Expected at most: 5,400.") < text.index("32,363.60")
    assert "all 11%" not in page, "a list by tiers is not one by score"
    assert [numbers.amount(v) for v in (None, 49, 1234.5)] == ["–", "49.00", "1,234.50"]
    assert said.reason_words(EN, "age low (-0.18)") == "age low ↓"
    assert said.reason_words(EN, "no number") == "no number"
    against = ["age low (-0.18)", "partner telecom (-4.06)"]
    assert said.reasons_for(EN, against) == ["nothing stands out"]
    assert said.reasons_for(EN, [*against, "no number"]) == ["no number"]
    assert said.reasons_for(EN, []) == []


def test_headings_descend_and_every_picture_has_words() -> None:
    _, page = friendly()
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    pictures = [attributes for _, attributes in page.tags if attributes.get("role") == "img"]
    assert len(pictures) >= 7
    assert all(attributes.get("aria-label") for attributes in pictures)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert all(link and link.startswith("#") and link[1:] in ids for link in links)


@pytest.mark.parametrize("which", [friendly, hostile])
def test_nothing_is_loaded_and_only_named_scripts_run(which: Any) -> None:
    _, page = which()
    metas = [attributes for tag, attributes in page.tags if tag == "meta"]
    policy = next(m["content"] for m in metas if m.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "connect-src" not in policy  # falls back to none
    runs = [code for attributes, code in page.scripts if "type" not in attributes]
    packed = next(code for attributes, code in page.scripts if attributes.get("id") == "plotly")
    unpacked = gzip.decompress(base64.b64decode(packed)).decode()
    assert len(runs) == 1
    for code in (*runs, unpacked):
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    for tag, attributes in page.tags:
        assert tag not in {"img", "iframe", "object", "embed", "base", "form", "audio", "video"}
        assert not [name for name in attributes if name.startswith("on")]
        assert not attributes.get("src")
        assert tag != "link" or attributes["href"] == "data:,"


def test_hostile_texts_are_shown_and_do_nothing() -> None:
    html, page = hostile()
    assert "<script>alert(1)</script>" in page.text
    assert "onerror=alert(3)>" in page.text
    assert "{{ 7 * 7 }}" in page.text
    ours = html.split("<script>")[0]  # plotly.js holds such characters of its own
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]", ours
    )
    # the page has the same skeleton as a friendly one: no text became a tag
    assert [tag for tag, _ in page.tags][:40] == [tag for tag, _ in friendly()[1].tags][:40]
    assert not [1 for tag, a in page.tags if tag == "a" and not str(a["href"]).startswith("#")]


def test_plots_hold_no_markup() -> None:
    for html, page in (friendly(), hostile()):
        data = next(code for attributes, code in page.scripts if attributes.get("id") == "plots")
        assert not set("<>&") & set(data)
        plots = json.loads(data)
        assert len(plots) == 4
        for number in range(4):
            assert f'id="plot-{number}"' in html
        names = [trace.get("name", "") for plot in plots for trace in plot["data"]]
        assert not [name for name in names if "<" in name]
    assert label("<b>&lt;</b>") == "&lt;b&gt;&amp;lt;&lt;/b&gt;"


def test_plotly_accepts_the_figures() -> None:
    def drawn(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: drawn(entry) for key, entry in value.items()}
        if isinstance(value, list | tuple):
            return [drawn(entry) for entry in value]
        return "#123456" if isinstance(value, str) and value.startswith("@") else value

    for figure in figures(EN, model()):
        go.Figure(drawn(figure.data), drawn(figure.layout))  # raises on an unknown key
        assert all(len(row) == len(figure.head) for row in figure.rows)
        assert figure.description.endswith(".")


def test_every_colour_token_is_in_the_style_sheet() -> None:
    html, _ = friendly()
    style = html.split("<style>")[1].split("</style>")[0]
    for figure in figures(EN, model()):
        for token in re.findall(r'"@(\w+)"', json.dumps([figure.data, figure.layout])):
            assert style.count(f"--{token}:") == 3  # light, dark, print


def test_the_smallest_report() -> None:
    html = render_report(smallest())
    page = Page(html)
    assert len(html) < 40_000
    assert not page.scripts
    assert "script-src 'none'" in html
    assert "Synthetic" not in page.text
    assert "Who learned what" not in page.text
    assert "Targets" not in page.text
    assert page.text.count("Match") == 0


def test_a_gain_whose_chance_is_not_known_is_none() -> None:
    data = sample()
    one = replace(data.models[0], split="horizontal", gain=None)
    html = render_report(replace(data, models=(one,)))
    assert "how much of that is chance is not known here" in Page(html).text
    assert "raise the AUC" not in Page(html).text
    assert '<span class="good">' not in html.split('id="task-0"')[0]


@pytest.mark.parametrize(("low", "good"), [(-0.001, False), (0.001, True)])
def test_a_gain_is_green_only_where_its_interval_leaves_out_0(low: float, good: bool) -> None:
    gain = Interval(0.01, 0.01, low, 0.02, 5)
    of = tuple(
        Goodness(name=name, rows=9, rmse=1.0, mae=1.0, explained=0.2 + n / 100)
        for n, name in enumerate("ab")
    )
    scored = replace(model(), gain=gain)
    for one in (scored, replace(scored, scores=(), numbers=of)):
        html = render_report(replace(sample(), models=(one,)))
        assert ('<span class="good">' in html.split('id="task-0"')[0]) is good


def test_a_difference_is_that_of_the_numbers_beside_it() -> None:
    assert numbers.gained(0.6116, 0.8072) == "+0.195", "of .612 and .807"


def test_a_horizontal_report() -> None:
    page = Page(render_report(horizontal()))
    assert "north, centre and south trained together." in page.text
    assert "the model ranks with an AUC of" in page.text
    assert "trained on the rows of all parties" in page.text
    assert "The 12 strongest of 23." in page.text
    assert "every party learned" in page.text


def test_several_tasks_have_sections_of_their_own() -> None:
    data = replace(sample(), models=(model("churn"), model("default")))
    page = Page(render_report(data))
    ids = [attributes.get("id") for _, attributes in page.tags]
    assert {"task-0", "task-1", "plot-0", "plot-7"} <= set(ids)


def test_a_hidden_match() -> None:
    match = Match(
        partner="bureau", receiver_rows=100, partner_rows=200, matched=-1, reveal="cardinality"
    )
    page = Page(render_report(replace(smallest(), matches=(match,))))
    assert "how many they share is not disclosed" in page.text
    assert "nobody knows which records are shared" in page.text


def test_empty_values_do_not_break_it() -> None:
    data = sample()
    empty = replace(
        data,
        entities=0,
        matched=0,
        matches=(Match(partner="bureau", receiver_rows=0, partner_rows=0, matched=0),),
        models=(replace(data.models[0], scores=(), gain=None, importance=(), rows=0, positives=0),),
        targets=(replace(data.targets[0], total=0, assigned=0, lines=(), unassigned=()),),
        run=None,
    )
    assert "Who learned what" in Page(render_report(empty)).text


def test_scored_leaves_out_rows_without_label_or_fold() -> None:
    random = np.random.default_rng(2)
    label_, score = (random.random(300) < 0.4).astype(np.int8), random.random(300)
    folds = np.arange(300) % 3
    found = scored("x", label_, score, folds)
    more = scored(
        "x", np.append(label_, [-1, 1]), np.append(score, [np.nan] * 2), np.append(folds, [0, -1])
    )
    assert (more.auc, more.ks, more.fold_aucs) == (found.auc, found.ks, found.fold_aucs)
    assert found.mean_auc == pytest.approx(np.mean(found.fold_aucs))
    raw = scored("x", label_, score * 5)
    assert raw.calibration is None
    assert raw.interval is None
    assert raw.mean_auc == raw.auc


def test_paired_gain() -> None:
    first, second = model().scores
    gain = paired_gain(first, second)
    assert gain is not None
    assert gain.mean == pytest.approx(second.mean_auc - first.mean_auc)
    assert gain.high - gain.low < 2 * (second.interval.high - second.interval.low)  # type: ignore[union-attr]
    assert paired_gain(replace(first, fold_aucs=()), replace(second, fold_aucs=())) is None
    with pytest.raises(MisuseError):
        paired_gain(replace(first, fold_aucs=(0.5,)), second)


def test_importance_of() -> None:
    matrix = np.array([[1.0, 0], [-1, 1], [1, 0], [-1, 1]])
    part = np.array([2.0, -2, 2, -2])
    found = importance_of(
        "bank", matrix, ["a_b", "c=d"], LinearPart(np.array([-0.5, 0.4])), {"p": (part, 3)}
    )
    assert [(e.party, e.column, e.direction, e.columns) for e in found] == [
        ("bank", "a b", -1, 1),
        ("bank", "c is d", 1, 1),
        ("p", "all columns of p", 0, 3),
    ]
    assert [e.value for e in found] == pytest.approx([0.5, 0.2, 2.0])
    assert importance_of("bank", np.zeros((0, 0)), [], LinearPart(np.zeros(0))) == ()


def test_predicted_numbers_are_no_shares_anywhere() -> None:
    """A manager's mean, a segment's and what moves a score are in the label's unit."""
    plain = sample()
    numbered = replace(
        plain,
        targets=tuple(
            replace(one, chances=False, managers=(("Ann Lee", 3, 9089.2),)) for one in plain.targets
        ),
        segments=tuple(replace(one, scores=(("spent", 8953.1),)) for one in plain.segments),
        kept_numbers=("spent",),
    )
    text = Page(render_report(numbered)).text
    assert "9,089" in text
    assert "8,953" in text
    assert "908920" not in text.replace(",", "")
    assert "895310" not in text.replace(",", "")
