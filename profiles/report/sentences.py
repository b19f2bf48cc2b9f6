"""The report's sentences that depend on more than one thing: which message says it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isfinite

from federated.evaluation import Interval
from profiles.language import Language
from profiles.offers.chosen import Money
from profiles.report.data import Leakage, Match, ReportData
from profiles.report.grouped import CategoryTable
from profiles.report.listed import TargetSummary
from profiles.report.measured import Model

__all__ = [
    "interval_words",
    "leakage_words",
    "lede",
    "managed_words",
    "match_words",
    "money_words",
    "moves",
    "net_head",
    "pairs",
    "party_shares",
    "reason_words",
    "reasons_for",
    "unit_words",
]

_MOVES = re.compile(r"(.*) \(([+-])\d+\.\d\d\)", re.DOTALL)
"""A reason with how far it moves the score."""


def interval_words(t: Language, interval: Interval | None, form: str = "three") -> str:
    """ "0.752 to 0.771", or nothing where there is no interval; `form` is that of its ends."""
    if interval is None or not isfinite(interval.low):
        return ""
    low, high = (t.form(form, end) for end in (interval.low, interval.high))
    return t.say("form.between", low=low, high=high)


def reason_words(t: Language, reason: str) -> str:
    """ "age low (-0.18)" -> "age low ↓": which way it moves the score; its size is in the list."""
    found = _MOVES.fullmatch(reason)
    if found is None:
        return t.told(reason, "level")
    return f"{t.told(found[1], 'level')} {'↑' if found[2] == '+' else '↓'}"


def reasons_for(t: Language, reasons: Sequence[str]) -> list[str]:
    """What speaks for the call, in words: what raises the score, or that nothing stands out.

    >>> from profiles.language import language
    >>> reasons_for(language("en"), ["late_bills high (+0.31)", "age low (-0.10)"])
    ['late_bills high']
    """
    moves = [(_MOVES.fullmatch(one), one) for one in reasons]
    words = [found[1] for found, _ in moves if found and found[2] == "+"]
    words = words or [one for found, one in moves if found is None]
    if reasons and not words:
        return [t.say("sheet.none")]
    return [
        t.say("sheet.partner", partner=one.removeprefix("partner "))
        if one.startswith("partner ")
        else t.told(one, "level")
        for one in words
    ]


def match_words(t: Language, match: Match, receiver: str) -> str:
    """One alignment in a sentence, for those who cannot see the bars."""
    return t.say(
        "match.hidden" if match.matched < 0 else "match.words",
        receiver=receiver,
        partner=match.partner,
        mine=match.receiver_rows,
        theirs=match.partner_rows,
        n=match.matched,
    )


def lede(t: Language, data: ReportData) -> list[str]:
    """The report in a few sentences: whom to approach, then what that rests on."""
    told = []
    if data.branch:
        told.append(t.say("lede.branch", branch=data.branch, entity=data.entity))
    if data.branch not in ("", data.receiver) and data.targets:  # cut out of lists of all
        told.append(t.say("lede.branch_ranks", branch=data.branch))
    told += [_chance_words(t, model) for model in data.models if model.by_chance]
    listed = [target for target in data.targets if target.total]
    told += [_target_words(t, target, data.entity, data.receiver) for target in listed]
    others = [party.name for party in data.parties if party.name != data.receiver]
    if data.matched is not None and data.entities and others:
        told.append(
            t.say(
                "lede.shares",
                entities=data.entities,
                entity=data.entity,
                receiver=data.receiver,
                matched=data.matched,
                others=others,
            )
        )
    elif others and data.models:
        told.append(t.say("lede.trained", parties=[party.name for party in data.parties]))
    return told + [said for model in data.models if (said := _model_words(t, model))]


def _target_words(t: Language, target: TargetSummary, entity: str, receiver: str) -> str:
    whom: dict[str, object] = {"n": target.total, "entity": entity, "product": target.product}
    if target.money is not None:
        said = [t.say("lede.listed", **whom), money_words(t, target.money, target.score)]
        return t.say("form.sentences").join(said)
    if target.mean is None or target.average is None:
        return t.say("lede.listed", **whom)
    scores = {"score": target.score, "mean": target.mean, "average": target.average}
    key = "lede.listed_own" if target.own else "lede.listed_score"
    return t.say(key, **whom, **scores, receiver=receiver)


def money_words(t: Language, money: Money, task: str) -> str:
    """What a list's offers come to, and by what it is expected; `task` is that of its score."""
    key = "rule" if money.expected is None else money.by
    sums = {"value": money.value, "cost": money.cost, "left": money.left}
    unit = unit_words(t, money.unit)
    return t.say(f"money.{key}", **sums, expected=money.expected, task=task, unit=unit)


def unit_words(t: Language, unit: str) -> str:
    """In which currency and time amounts are."""
    return t.say("money.unit", unit=unit) if unit else t.say("money.no_unit")


def net_head(t: Language, unit: str) -> str:
    """The head of a column of what offers leave."""
    return t.say("targets.leaves_in", unit=unit) if unit else t.say("targets.leaves")


def _model_words(t: Language, model: Model) -> str:
    if model.numbers:
        return _number_words(t, model)
    if not model.scores:
        return ""
    first, last = model.scores[0], model.scores[-1]
    if first is last:
        return t.say("lede.auc_one", task=model.task, auc=last.mean_auc)
    if model.judged is None and model.split == "horizontal" and last.mean_auc > first.mean_auc:
        key = "auc_untold"
    elif model.judged is not None and model.judged.low <= 0 <= model.judged.high:
        key = "auc_alike"
    else:
        key = "auc_less" if last.mean_auc <= first.mean_auc else "auc_more"
        key += "_rows" if model.split == "horizontal" else ""
    names = {"task": model.task, "first": first.name, "last": last.name}
    return t.say(f"lede.{key}", **names, before=first.mean_auc, after=last.mean_auc)


def _chance_words(t: Language, model: Model) -> str:
    """That a model is no better than chance, by the interval of its quality."""
    key, found = "chance_number" if model.numbers else "chance", model.by_chance
    ends = {"low": found.low, "high": found.high} if found else {}
    return t.say(f"lede.{key}", task=model.task, **ends)


def _number_words(t: Language, model: Model) -> str:
    """What a model of numbers explains more with the partners' columns."""
    first, last = model.numbers[0].mean_explained, model.numbers[-1].mean_explained
    if last == first or (model.judged is not None and model.judged.low <= 0 <= model.judged.high):
        key = "explained_alike"
    else:
        key = "explained_more" if last > first else "explained_less"
    return t.say(f"lede.{key}", task=model.task, before=first, after=last)


def leakage_words(t: Language, entry: Leakage) -> list[str]:
    """Sentences on how much of a partner's columns was told, by this run and before."""
    row, lines = entry.row, list[str]()
    if row is not None:
        lines.append(t.say("leakage.this", bits=row.asked, n=len(row.columns)))
        if row.told is None:
            lines.append(t.say("leakage.one_process"))
        else:
            lines.append(t.say("leakage.earlier", told=row.told, total=row.total))
        if row.held is None:
            lines.append(t.say("leakage.held_unknown", partner=entry.partner))
        else:
            lines.append(t.say("leakage.held", held=row.held))
        if row.share is not None:
            lines.append(t.say("leakage.insider", partner=entry.partner, share=row.share))
    if entry.epsilon:
        lines.append(t.say("leakage.epsilon", epsilon=entry.epsilon))
    if entry.releases:
        lines.append(t.say("leakage.answers", n=entry.releases))
    if entry.thresholds:
        lines.append(t.say("leakage.thresholds", n=entry.thresholds))
    for one in entry.labels:
        names = {"partner": one.partner, "label": one.column}
        lines.append(t.say("leakage.label", **names, bits=one.asked))
        if one.number:
            lines.append(t.say("leakage.label_number", label=one.column))
        if one.told is not None:
            lines.append(t.say("leakage.label_before", told=one.told, total=one.total))
        if one.allowed is not None:
            lines.append(t.say("leakage.label_allowed", allowed=one.allowed))
    return lines


def managed_words(t: Language, target: TargetSummary) -> str:
    """How many of a list have a manager, and by what."""
    assigned, total = target.assigned or 0, target.total
    how = [t.say("targets.how", share=n / total, how=name) for name, n in target.assigned_by]
    key = "targets.managed_how" if how else "targets.managed"
    return t.say(key, n=assigned, share=assigned / total, how=how)


def moves(t: Language, table: CategoryTable) -> list[str]:
    """How far noise moves each number of a table."""
    return [t.say("categories.moves", name=m.name, n=m.noise) for m in table.measures]


def pairs(t: Language, receiver: str, partners: list[str]) -> str:
    """The receiver with each of these."""
    said = [t.say("disclosures.pair", receiver=receiver, partner=name) for name in partners]
    return t.say("form.comma").join(said)


def party_shares(t: Language, shares: list[tuple[str, float]]) -> list[str]:
    """Each party with its share."""
    return [t.say("task.party_share", party=party, share=share) for party, share in shares]
