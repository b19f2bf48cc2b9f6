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


def figures(model: Model) -> tuple[Figure, ...]:
    """ROC, KS, lift and calibration of one task; calibration where scores are probabilities."""
    if not model.scores:
        return ()
    found = [_roc(model), _ks(model), _lift(model)]
    if any(score.calibration for score in model.scores):
        found.append(_calibration(model))
    return tuple(found)


def label(text: str) -> str:
    """A text from anywhere as a Plotly label: shown as it is, never as markup."""
    return html.escape(plain(text, 60), quote=False)


def colour(model: Model, place: int) -> str:
    """Grey for the score to compare with, the accent for the last, others between."""
    if len(model.scores) == 1:
        return _COLOURS[0]
    if place == 0:
        return "@alone"
    return _COLOURS[(len(model.scores) - 1 - place) % len(_COLOURS)]


def _width(model: Model, place: int) -> float:
    return 2.75 if place == len(model.scores) - 1 else 2.0


def _line(x: Any, y: Any, model: Model, place: int, hover: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": _rounded(x),
        "y": _rounded(y),
        "name": label(model.scores[place].name),
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


def _roc(model: Model) -> Figure:
    hover = "%{y:.1%} found at %{x:.1%} false alarms<extra>%{fullData.name}</extra>"
    data = [
        _line(s.roc.false_positive, s.roc.true_positive, model, place, hover)
        for place, s in enumerate(model.scores)
    ]
    rows = [(f"{point:.0%}", *(f"{_at(s, point):.1%}" for s in model.scores)) for point in _POINTS]
    rows.append(("AUC", *(f"{s.auc:.4f}" for s in model.scores)))
    said = "; ".join(f"{plain(s.name)}: AUC {s.auc:.3f}" for s in model.scores)
    return Figure(
        kind="roc",
        title="ROC",
        caption="How many positives are found, for each share of false alarms. The further the "
        "curve bends to the upper left, the better; the dotted diagonal is chance.",
        description=f"ROC curves. {said}.",
        data=(_reference([0, 1], [0, 1]), *data),
        layout={
            "xaxis": _percent("false alarms among negatives"),
            "yaxis": _percent("positives found"),
        },
        head=("false alarms", *(s.name for s in model.scores)),
        rows=tuple(rows),
    )


def _at(score: Scored, share: float) -> float:
    """Positives found at a share of false alarms: the upper point where the curve is steep."""
    return float(np.interp(share + 1e-12, score.roc.false_positive, score.roc.true_positive))


def _ks(model: Model) -> Figure:
    hover = "top %{x:.0%} of rows: %{y:.1%} apart<extra>%{fullData.name}</extra>"
    data, rows, peaks = [], [], []
    for place, score in enumerate(model.scores):
        gap = score.roc.true_positive - score.roc.false_positive
        top = int(np.argmax(np.abs(gap)))
        data.append(_line(score.roc.share, gap, model, place, hover))
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
        rows.append((score.name, f"{score.ks:.1%}", f"top {score.roc.share[top]:.0%}"))
    said = "; ".join(f"{plain(s.name)}: KS {s.ks:.3f}" for s in model.scores)
    most = max(s.ks for s in model.scores)
    return Figure(
        kind="ks",
        title="KS",
        caption="How far positives and negatives are apart when rows are taken from the highest "
        "score down. The peak is the Kolmogorov–Smirnov distance.",
        description=f"Distance of the two classes by share of rows. {said}.",
        data=(*data, *peaks),
        layout={
            "xaxis": _percent("rows, highest scores first"),
            "yaxis": _percent("positives found less false alarms", range=[0, most * 1.22])
            | {"dtick": None, "nticks": 5},
        },
        head=("score", "KS", "reached at"),
        rows=tuple(rows),
    )


def _lift(model: Model) -> Figure:
    bins = len(model.scores[0].lift.lift)
    names = list(range(1, bins + 1))
    data = [
        {
            "type": "bar",
            "x": names,
            "y": _rounded(score.lift.lift),
            "name": label(score.name),
            "marker": {"color": colour(model, place), "line": {"width": 0}},
            "customdata": _rounded(score.lift.captured),
            "hovertemplate": "%{y:.2f} × the average; %{customdata:.0%} of positives so far"
            "<extra>%{fullData.name}</extra>",
        }
        for place, score in enumerate(model.scores)
    ]
    head = ["decile" if bins == 10 else "group"]
    for score in model.scores:
        head += [f"{score.name}: rate", "lift", "found so far"]
    rows = []
    for place in range(bins):
        row = [str(place + 1)]
        for score in model.scores:
            found = score.lift
            row += [f"{found.rate[place]:.1%}", f"{found.lift[place]:.2f}"]
            row += [f"{found.captured[place]:.0%}"]
        rows.append(tuple(row))
    said = "; ".join(
        f"{plain(s.name)}: {s.lift.lift[0]:.2f} times the average in the first"
        for s in model.scores
    )
    return Figure(
        kind="lift",
        title="Lift",
        caption="How much more often than on average the outcome occurs, in tenths of the rows "
        "from the highest scores down. The dotted line is the average.",
        description=f"Lift by decile. {said}.",
        data=(_reference([0.4, bins + 0.6], [1, 1]), *data),
        layout={
            "barmode": "group",
            "bargap": 0.28,
            "bargroupgap": 0.06,
            "xaxis": _axis("decile, highest scores first", dtick=1, showgrid=False)
            | {"range": [0.4, bins + 0.6]},
            "yaxis": _axis("times the average rate", rangemode="tozero", nticks=6),
        },
        head=tuple(head),
        rows=tuple(rows),
    )


def _calibration(model: Model) -> Figure:
    drawn = [(place, s.calibration) for place, s in enumerate(model.scores) if s.calibration]
    data = [_calibrated(model, place, found) for place, found in drawn]
    most = max(float(max(found.high.max(), found.predicted.max())) for _, found in drawn)
    most = min(1.0, most * 1.06)
    rows = []
    for place, found in drawn:
        for mean, rate, low, high, count in zip(
            found.predicted, found.observed, found.low, found.high, found.rows, strict=True
        ):
            interval = f"{low:.1%} to {high:.1%}"
            name = model.scores[place].name
            rows.append((name, f"{count:,}", f"{mean:.1%}", f"{rate:.1%}", interval))
    said = "; ".join(
        f"{plain(model.scores[place].name)}: mean difference {found.error:.1%}"
        for place, found in drawn
    )
    side = {"range": [0, most], "dtick": None, "nticks": 6}
    return Figure(
        kind="calibration",
        title="Calibration",
        caption="Does a score of 20% mean that it happens in 20 of 100? Each point is a tenth of "
        "the rows with a 95% interval; on the dotted diagonal the score reads as a probability.",
        description=f"Predicted against observed rates. {said}.",
        data=(_reference([0, most], [0, most]), *data),
        layout={"xaxis": _percent("predicted", **side), "yaxis": _percent("observed", **side)},
        head=("score", "rows", "predicted", "observed", "95% interval"),
        rows=tuple(rows),
    )


def _calibrated(model: Model, place: int, found: Calibration) -> dict[str, Any]:
    shown = colour(model, place)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": _rounded(found.predicted),
        "y": _rounded(found.observed),
        "name": label(model.scores[place].name),
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
        "hovertemplate": "predicted %{x:.1%}, observed %{y:.1%} of %{customdata:,} rows"
        "<extra>%{fullData.name}</extra>",
    }


def _rounded(values: Any) -> list[float]:
    """Five significant places: a plot shows three, and the file stays small."""
    return [float(f"{value:.5g}") for value in np.asarray(values, np.float64).tolist()]
