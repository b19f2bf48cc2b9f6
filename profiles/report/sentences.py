"""The report's sentences and numbers, in one place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isfinite

from federated.evaluation import Interval
from profiles.offers.chosen import Money
from profiles.report.data import Leakage, Match, ReportData
from profiles.report.listed import TargetSummary
from profiles.report.measured import Model

__all__ = [
    "amount",
    "count",
    "duration",
    "entities",
    "gain_words",
    "interval_words",
    "leakage_words",
    "lede",
    "listed",
    "match_words",
    "megabytes",
    "money_words",
    "number",
    "percent",
    "reason_words",
    "reveal_words",
    "sentence",
    "signed",
    "three",
]

_ENTITIES = {"consumer": "consumers", "company": "companies", "government": "government bodies"}
_REVEAL = {
    "both": "both sides know which records they share",
    "receiver": "only the receiver knows which records are shared",
    "cardinality": "nobody knows which records are shared, only how many",
}


def count(value: float) -> str:
    """12345 -> "12,345"."""
    return f"{value:,.0f}"


def three(value: float) -> str:
    """0.76432 -> "0.764"."""
    return f"{value:.3f}"


def signed(value: float) -> str:
    """0.0623 -> "+0.062", with a true minus sign."""
    return f"{value:+.3f}".replace("-", "−")


def percent(value: float) -> str:
    """0.617 -> "62%"; below 10% with one decimal; never 0 or 100% for a part of a whole."""
    if 0.9995 <= value < 1:
        return "99.9%"
    near_an_end = 0 < value < 0.0995 or 0.99 < value < 1
    return f"{100 * value:.1f}%" if near_an_end else f"{100 * value:.0f}%"


def number(value: float | None) -> str:
    """A measure of unknown size, in about four significant places."""
    if value is None or not isfinite(value):
        return "–"
    if value == int(value) and abs(value) < 1e15:
        return f"{value:,.0f}"
    size = abs(value)
    return f"{value:,.0f}" if size >= 1e4 else f"{value:,.1f}" if size >= 100 else f"{value:.3g}"


def amount(value: float | None) -> str:
    """Money of one record: 49 -> "49.00", so that a column of amounts reads alike."""
    return "–" if value is None or not isfinite(value) else f"{value:,.2f}"


def megabytes(value: float) -> str:
    """1234567 -> "1.2 MB"."""
    for unit in ("bytes", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def duration(seconds: float) -> str:
    """75.2 -> "1 min 15 s"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def sentence(text: str) -> str:
    """ "on held-out folds" -> "On held-out folds."; nothing stays nothing."""
    text = text.strip()
    stopped = text if not text or text[-1] in ".!?" else f"{text}."
    return stopped[:1].upper() + stopped[1:]


def listed(names: Sequence[str]) -> str:
    """["a", "b", "c"] -> "a, b and c"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def entities(entity: str) -> str:
    """The plural of the job's entity."""
    return _ENTITIES.get(entity, "entities")


def interval_words(interval: Interval | None) -> str:
    """ "0.752 to 0.771", or nothing where there is no interval."""
    if interval is None or not isfinite(interval.low):
        return ""
    return f"{interval.low:.3f} to {interval.high:.3f}"


def gain_words(interval: Interval | None) -> str:
    """ "+0.052 to +0.071", or nothing."""
    if interval is None or not isfinite(interval.low):
        return ""
    return f"{signed(interval.low)} to {signed(interval.high)}"


def reason_words(reason: str) -> str:
    """ "age low (-0.18)" -> "age low ↓": which way it moves the score; its size is in the list."""
    found = re.fullmatch(r"(.*) \(([+-])\d+\.\d\d\)", reason, re.DOTALL)
    return reason if found is None else f"{found[1]} {'↑' if found[2] == '+' else '↓'}"


def reveal_words(reveal: str) -> str:
    """Who knows the shared records."""
    return _REVEAL.get(reveal, reveal)


def match_words(match: Match, receiver: str) -> str:
    """One alignment in a sentence, for those who cannot see the bars."""
    if match.matched < 0:
        shared = "how many they share is not disclosed"
    else:
        shared = f"they share {count(match.matched)}"
    return (
        f"{receiver} brought {count(match.receiver_rows)} records and {match.partner} "
        f"{count(match.partner_rows)}; {shared}."
    )


def lede(data: ReportData) -> list[str]:
    """The report in a few sentences: whom to approach, then what that rests on."""
    told = [_target_words(target, data.entity) for target in data.targets if target.total]
    others = [party.name for party in data.parties if party.name != data.receiver]
    if data.matched is not None and data.entities and others:
        told.append(
            f"Of its {count(data.entities)} {entities(data.entity)} {data.receiver} shares "
            f"{count(data.matched)} with {listed(others)}."
        )
    elif others and data.models:
        told.append(f"{listed([party.name for party in data.parties])} trained together.")
    return told + [sentence for model in data.models for sentence in _model_words(model)]


def _target_words(target: TargetSummary, entity: str) -> str:
    whom = f"{count(target.total)} {entities(entity)} are listed for {target.product}"
    if target.money is not None:
        return f"{whom}. {money_words(target.money)}"
    if target.mean is None or target.average is None:
        return f"{whom}."
    return (
        f"{whom}: their score for {target.score} is {percent(target.mean)} on average, against "
        f"{percent(target.average)} of all."
    )


def money_words(money: Money) -> str:
    """What a list's offers come to, and by what it is expected."""
    value, cost = round(money.value), round(money.cost)  # whole, and what is left is of these
    left = count(value - cost)
    if money.expected is None:
        return (
            f"Worth {count(value)} in all; the offers cost {count(cost)}, which leaves {left}. "
            "Offers go by published tiers, not by a score."
        )
    by = {
        "uplift": "the effect that a control group has shown, times the value, less the cost",
        "score": "how likely the outcome is, times the value, less the cost: who would have come "
        "about it anyway counts too, until a control group has shown what an offer changes",
    }
    return (
        f"Expected: {count(money.expected)}, by {by[money.by]}. If every offer works, they are "
        f"worth {count(value)}, less a cost of {count(cost)}: {left}."
    )


def _model_words(model: Model) -> list[str]:
    if model.numbers:
        return [_number_words(model)]
    if not model.scores:
        return []
    last = model.scores[-1]
    if len(model.scores) == 1:
        return [f"For {model.task}, the model ranks with an AUC of {three(last.mean_auc)}."]
    first = model.scores[0]
    change = last.mean_auc - first.mean_auc
    if model.gain is not None and model.gain.low <= 0 <= model.gain.high:
        return [
            f"For {model.task}, AUC is {three(first.mean_auc)} for {first.name} and "
            f"{three(last.mean_auc)} for {last.name}: no clear difference."
        ]
    if change <= 0:
        return [
            f"For {model.task}, AUC is {three(first.mean_auc)} for {first.name} and "
            f"{three(last.mean_auc)} for {last.name}: what the partners know does not make up for "
            "the model."
        ]
    return [
        f"For {model.task}, what the partners know raises the AUC from "
        f"{three(first.mean_auc)} to {three(last.mean_auc)}."
    ]


def _number_words(model: Model) -> str:
    """What a model of numbers explains more with the partners' columns."""
    first, last = model.numbers[0], model.numbers[-1]
    shares = f"{three(first.mean_explained)} to {three(last.mean_explained)}"
    clear = model.gain is None or not model.gain.low <= 0 <= model.gain.high
    if clear and last.mean_explained > first.mean_explained:
        return (
            f"For {model.task}, what the partners know raises the share of the label that is "
            f"explained from {shares}."
        )
    return f"For {model.task}, the share explained goes from {shares}: no clear gain."


def leakage_words(entry: Leakage) -> list[str]:
    """Sentences on how much of a partner's columns was told, by this run and before."""
    row, lines = entry.row, list[str]()
    if row is not None:
        where = f"in {len(row.columns)} column{'s' * (len(row.columns) > 1)}"
        lines.append(f"This run told {row.asked:.1f} bits of a row, in the mean of rows, {where}.")
        if row.told is None:
            lines.append("Of earlier runs nothing is kept where all parties run in one process.")
        else:
            lines.append(
                f"Earlier runs told up to {row.told:.1f} bits of a row that was in all of them: "
                f"{row.total:.1f} with this one."
            )
        if row.held is None:
            lines.append(f"How many a row holds is known to {entry.partner} alone.")
        else:
            lines.append(f"A row holds {row.held:.1f} bits in them.")
        if row.share is not None:
            lines.append(
                f"Somebody who knows which rows {entry.partner} has, and some of them in full, "
                f"reads {percent(row.share)} of whole rows from that, by what was "
                "measured on one table."
            )
    if entry.epsilon:
        lines.append(f"Noised tables spent epsilon {entry.epsilon:g} of a column.")
    sums = f"A column was in {entry.releases} answer{'s' * (entry.releases > 1)}"
    edges = (
        f", with {entry.thresholds} threshold{'s' * (entry.thresholds > 1)}"
        if entry.thresholds
        else ""
    )
    return [*lines, f"{sums}{edges}."]
