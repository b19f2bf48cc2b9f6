"""The report's plots, as plain Plotly figures in JSON.

Colours are tokens such as "@joined": the page replaces them by its style sheet's values, so
that plots follow light, dark and print. Each plot comes with a sentence for those who cannot
see it and a table of the same numbers.

Plotly reads a small HTML in labels; `label` escapes what came from others.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import numpy as np

from federated.evaluation import Calibration
from federated.text import plain
from profiles.language import Language
from profiles.report.measured import Model, Scored

__all__ = ["Figure", "figures", "label"]

_COLOURS = ("@joined", "@third", "@fourth", "@fifth")
_POINTS = (0.01, 0.05, 0.10, 0.20, 0.50)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One plot: Plotly data and layout, and the same in words and as a table."""

    kind: str
    title: str
    caption: str
    description: str
    data: tuple[dict[str, Any], ...]
    layout: dict[str, Any]
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def figures(t: Language, model: Model) -> tuple[Figure, ...]:
    """ROC, KS, lift and calibration of one task; calibration where scores are probabilities."""
    if not model.scores:
        return ()
    found = [_roc(t, model), _ks(t, model), _lift(t, model)]
    if any(score.calibration for score in model.scores):
        found.append(_calibration(t, model))
    return tuple(found)


def label(text: str) -> str:
    """A text from anywhere as a Plotly label: shown as it is, never as markup."""
    return html.escape(plain(text, 60), quote=False)


def _said(t: Language, name: str) -> str:
    return t.told(name, "score")


def _name(t: Language, model: Model, place: int) -> str:
    return label(_said(t, model.scores[place].name))


def _hover(t: Language, plot: str, **values: str) -> str:
    """What Plotly shows at a point; the values are its own places."""
    return t.say(f"plot.{plot}_hover", **values) + "<extra>%{fullData.name}</extra>"


def colour(model: Model, place: int) -> str:
    """Grey for the score to compare with, the accent for the last, others between."""
    if len(model.scores) == 1:
        return _COLOURS[0]
    if place == 0:
        return "@alone"
    return _COLOURS[(len(model.scores) - 1 - place) % len(_COLOURS)]


def _width(model: Model, place: int) -> float:
    return 2.75 if place == len(model.scores) - 1 else 2.0


def _line(t: Language, x: Any, y: Any, model: Model, place: int, hover: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": _rounded(x),
        "y": _rounded(y),
        "name": _name(t, model, place),
        "line": {"color": colour(model, place), "width": _width(model, place)},
        "hovertemplate": hover,
    }


def _reference(x: list[float], y: list[float]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y,
        "line": {"color": "@quiet", "width": 1, "dash": "dot"},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _axis(title: str, **more: Any) -> dict[str, Any]:
    return {"title": {"text": title}, "fixedrange": True, **more}


def _percent(title: str, **more: Any) -> dict[str, Any]:
    settings = {"tickformat": ".0%", "range": [0, 1.005], "dtick": 0.25}
    return _axis(title, **(settings | more))


def _roc(t: Language, model: Model) -> Figure:
    hover = _hover(t, "roc", x="%{x:.1%}", y="%{y:.1%}")
    data = [
        _line(t, s.roc.false_positive, s.roc.true_positive, model, place, hover)
        for place, s in enumerate(model.scores)
    ]
    rows = [(f"{point:.0%}", *(f"{_at(s, point):.1%}" for s in model.scores)) for point in _POINTS]
    rows.append(("AUC", *(f"{s.auc:.4f}" for s in model.scores)))
    said = "; ".join(t.say("plot.roc_each", name=s.name, auc=s.auc) for s in model.scores)
    return Figure(
        kind="roc",
        title=t.say("plot.roc"),
        caption=t.say("plot.roc_caption"),
        description=t.say("plot.roc_said", said=said),
        data=(_reference([0, 1], [0, 1]), *data),
        layout={
            "xaxis": _percent(t.say("plot.roc_x")),
            "yaxis": _percent(t.say("plot.roc_y")),
        },
        head=(t.say("plot.roc_head"), *(_said(t, s.name) for s in model.scores)),
        rows=tuple(rows),
    )


def _at(score: Scored, share: float) -> float:
    """Positives found at a share of false alarms: the upper point where the curve is steep."""
    return float(np.interp(share + 1e-12, score.roc.false_positive, score.roc.true_positive))


def _ks(t: Language, model: Model) -> Figure:
    hover = _hover(t, "ks", x="%{x:.0%}", y="%{y:.1%}")
    data, rows, peaks, lowest = [], [], [], 0.0
    for place, score in enumerate(model.scores):
        gap = score.roc.true_positive - score.roc.false_positive
        top = int(np.argmax(np.abs(gap)))
        lowest = min(lowest, float(gap.min()))  # where false alarms come first
        data.append(_line(t, score.roc.share, gap, model, place, hover))
        peaks.append(
            {
                "type": "scatter",
                "mode": "markers+text",
                "x": _rounded([score.roc.share[top]]),
                "y": _rounded([gap[top]]),
                "text": [f"{score.ks:.1%}"],
                "textposition": "top center",
                "textfont": {"color": colour(model, place)},
                "marker": {"size": 9, "color": colour(model, place)},
                "hoverinfo": "skip",
                "showlegend": False,
                "cliponaxis": False,
            }
        )
        reached = t.say("plot.top", x=f"{score.roc.share[top]:.0%}")
        rows.append((_said(t, score.name), f"{score.ks:.1%}", reached))
    said = "; ".join(t.say("plot.ks_each", name=s.name, ks=s.ks) for s in model.scores)
    most = max(s.ks for s in model.scores)
    return Figure(
        kind="ks",
        title=t.say("plot.ks"),
        caption=t.say("plot.ks_caption"),
        description=t.say("plot.ks_said", said=said),
        data=(*data, *peaks),
        layout={
            "xaxis": _percent(t.say("plot.ks_x")),
            "yaxis": _percent(t.say("plot.ks_y"), range=[lowest * 1.22, most * 1.22])
            | {"dtick": None, "nticks": 5},
        },
        head=(t.say("plot.score"), "KS", t.say("plot.reached")),
        rows=tuple(rows),
    )


def _lift(t: Language, model: Model) -> Figure:
    bins = len(model.scores[0].lift.lift)
    names = list(range(1, bins + 1))
    hover = _hover(t, "lift", y="%{y:.2f}", captured="%{customdata:.0%}")
    data = [
        {
            "type": "bar",
            "x": names,
            "y": _rounded(score.lift.lift),
            "name": _name(t, model, place),
            "marker": {"color": colour(model, place), "line": {"width": 0}},
            "customdata": _rounded(score.lift.captured),
            "hovertemplate": hover,
        }
        for place, score in enumerate(model.scores)
    ]
    head = [t.say("plot.decile" if bins == 10 else "plot.group")]
    for score in model.scores:
        rate = t.say("plot.rate", name=score.name)
        head += [rate, t.say("plot.lift_head"), t.say("plot.so_far")]
    rows = []
    for place in range(bins):
        row = [str(place + 1)]
        for score in model.scores:
            found = score.lift
            row += [f"{found.rate[place]:.1%}", f"{found.lift[place]:.2f}"]
            row += [f"{found.captured[place]:.0%}"]
        rows.append(tuple(row))
    said = "; ".join(t.say("plot.lift_each", name=s.name, n=s.lift.lift[0]) for s in model.scores)
    return Figure(
        kind="lift",
        title=t.say("plot.lift"),
        caption=t.say("plot.lift_caption"),
        description=t.say("plot.lift_said", said=said),
        data=(_reference([0.4, bins + 0.6], [1, 1]), *data),
        layout={
            "barmode": "group",
            "bargap": 0.28,
            "bargroupgap": 0.06,
            "xaxis": _axis(t.say("plot.lift_x"), dtick=1, showgrid=False)
            | {"range": [0.4, bins + 0.6]},
            "yaxis": _axis(t.say("plot.lift_y"), rangemode="tozero", nticks=6),
        },
        head=tuple(head),
        rows=tuple(rows),
    )


def _calibration(t: Language, model: Model) -> Figure:
    drawn = [(place, s.calibration) for place, s in enumerate(model.scores) if s.calibration]
    data = [_calibrated(t, model, place, found) for place, found in drawn]
    most = max(float(max(found.high.max(), found.predicted.max())) for _, found in drawn)
    most = min(1.0, most * 1.06)
    rows = []
    for place, found in drawn:
        for mean, rate, low, high, count in zip(
            found.predicted, found.observed, found.low, found.high, found.rows, strict=True
        ):
            interval = t.say("form.between", low=f"{low:.1%}", high=f"{high:.1%}")
            name = _said(t, model.scores[place].name)
            rows.append((name, f"{count:,}", f"{mean:.1%}", f"{rate:.1%}", interval))
    said = "; ".join(
        t.say("plot.calibration_each", name=model.scores[place].name, error=f"{found.error:.1%}")
        for place, found in drawn
    )
    side = {"range": [0, most], "dtick": None, "nticks": 6}
    return Figure(
        kind="calibration",
        title=t.say("plot.calibration"),
        caption=t.say("plot.calibration_caption"),
        description=t.say("plot.calibration_said", said=said),
        data=(_reference([0, most], [0, most]), *data),
        layout={
            "xaxis": _percent(t.say("plot.predicted"), **side),
            "yaxis": _percent(t.say("plot.observed"), **side),
        },
        head=tuple(
            t.say(f"plot.{key}") for key in ("score", "rows", "predicted", "observed", "interval")
        ),
        rows=tuple(rows),
    )


def _calibrated(t: Language, model: Model, place: int, found: Calibration) -> dict[str, Any]:
    shown = colour(model, place)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": _rounded(found.predicted),
        "y": _rounded(found.observed),
        "name": _name(t, model, place),
        "line": {"color": shown, "width": 1.5},
        "marker": {"color": shown, "size": 7 if place == len(model.scores) - 1 else 5},
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": _rounded(found.high - found.observed),
            "arrayminus": _rounded(found.observed - found.low),
            "color": shown,
            "thickness": 1,
            "width": 0,
        },
        "customdata": [int(count) for count in found.rows],
        "hovertemplate": _hover(
            t, "calibration", x="%{x:.1%}", y="%{y:.1%}", rows="%{customdata:,}"
        ),
    }


def _rounded(values: Any) -> list[float]:
    """Five significant places: a plot shows three, and the file stays small."""
    return [float(f"{value:.5g}") for value in np.asarray(values, np.float64).tolist()]
