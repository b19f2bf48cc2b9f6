"""From `ReportData` to one HTML file that needs nothing else and reaches for nothing."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Callable
from functools import cache, partial
from importlib import resources
from itertools import groupby
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from federated.text import plain
from profiles.language import Language, language
from profiles.language.numbers import FORMS, amount, gained, number
from profiles.report import sentences
from profiles.report.data import ReportData
from profiles.report.figures import Figure, figures
from profiles.report.measured import Importance, Model

__all__ = ["page_of", "render_report"]

_BETWEEN = re.compile(r"([。：；，])\s+(?=[^\s<{])")
_TEXT_LIMIT = 2400
_SHOWN_TARGETS = 10
_SHOWN_MANAGERS = 30
_SHOWN_COLUMNS = 12


def render_report(data: ReportData, lang: str | Language = "en") -> str:
    """The whole report as HTML, about 2 MB, nearly all of it plotly.js, packed.

    Self-contained: style, script and numbers are inline, and a content security policy
    forbids every connection and every script but the two that it names by hash. Without any
    trained task plotly.js is left out. All texts are cleaned by `federated.text.plain` and
    escaped.

    Args:
        data: all that it says.
        lang: "en" or "zh", or a language with texts of its own.
    """
    t = language(lang) if isinstance(lang, str) else lang
    drawn = [figures(t, model) for model in data.models]
    plots = [figure for each in drawn for figure in each]
    scripts = [_plotly(), _asset("charts.js")] if plots else []
    packed = _packed() if plots else ""
    return page_of(
        t,
        "template.html.j2",
        data=data,
        policy=_policy(scripts),
        style=Markup(_asset("style.css")),  # noqa: S704 our own file
        charts=Markup(_asset("charts.js")),  # noqa: S704 our own file
        packed=Markup(packed),  # noqa: S704 letters, digits, plus, slash
        plots=_json([{"data": plot.data, "layout": plot.layout} for plot in plots]),
        models=_models(data, drawn),
        lede=sentences.lede(t, data),
        parties=_colours(data),
        learned=_learned(data),
        shown_targets=_SHOWN_TARGETS,
        shown_managers=_SHOWN_MANAGERS,
        sections=_sections(t, data),
    )


def page_of(t: Language, template: str, **values: Any) -> str:
    """A page of a template beside this file, its texts cleaned and escaped."""
    page = _environment(t).get_template(template).render(**values)
    # templates put a blank or a line's end between sentences: where a language has none, it goes
    return page if t.say("form.sentences") else _BETWEEN.sub(r"\1", page)


def _models(data: ReportData, drawn: list[tuple[Figure, ...]]) -> list[dict[str, Any]]:
    """Each task with its plots, numbered through the page, and its bars."""
    found, first = [], 0
    for model, plots in zip(data.models, drawn, strict=True):
        found.append(
            {
                "model": model,
                "plots": list(enumerate(plots, start=first)),
                "bars": _bars(model),
                "by_party": _by_party(model),
                "whiskers": _whiskers(model),
            }
        )
        first += len(plots)
    return found


def _bars(model: Model) -> list[tuple[Importance, float]]:
    """The strongest columns, strongest first, with their share of the strongest."""
    order = sorted(model.importance, key=lambda entry: -entry.value)[:_SHOWN_COLUMNS]
    most = order[0].value if order and order[0].value > 0 else 1.0
    return [(entry, entry.value / most) for entry in order]


def _by_party(model: Model) -> list[tuple[str, float]]:
    """Each party's share of the variance that the contributions have one by one."""
    total: dict[str, float] = {}
    for entry in model.importance:
        total[entry.party] = total.get(entry.party, 0.0) + entry.value**2
    whole = sum(total.values()) or 1.0
    return [(party, value / whole) for party, value in total.items()]


def _whiskers(model: Model) -> list[dict[str, Any]]:
    """The scores' intervals on one line, for the summary: places from 0 to 1."""
    ends = [
        (score, score.interval.low, score.interval.high)
        for score in model.scores
        if score.interval and score.interval.low == score.interval.low  # not NaN
    ]
    if not ends:
        return []
    low, high = min(e[1] for e in ends), max(e[2] for e in ends)
    span = (high - low) or 1.0
    low, span = low - 0.06 * span, 1.12 * span
    return [
        {
            "kind": "joined" if score is model.scores[-1] else "alone",
            "left": (start - low) / span,
            "width": (end - start) / span,
            "middle": (score.mean_auc - low) / span,
        }
        for score, start, end in ends
    ]


def _colours(data: ReportData) -> dict[str, str]:
    """A style class for each party: the receiver's, then one a partner."""
    others = [party.name for party in data.parties if party.name != data.receiver]
    found = {data.receiver: "receiver"} | {
        name: f"partner-{place % 4 + 1}" for place, name in enumerate(others)
    }
    for model in data.models:
        together = "receiver" if model.split == "horizontal" else "partner-1"
        found |= {e.party: together for e in model.importance if e.party not in found}
    return found


def _learned(data: ReportData) -> list[tuple[str, list[Any]]]:
    """Disclosures by the party that learns, the receiver first."""
    names = [data.receiver, *(p.name for p in data.parties if p.name != data.receiver)]
    names += [entry.to for entry in data.disclosures if entry.to not in names]
    unique = list(dict.fromkeys(names))
    ordered = sorted(data.disclosures, key=lambda entry: unique.index(entry.to))
    return [(name, list(lines)) for name, lines in groupby(ordered, key=lambda entry: entry.to)]


def _sections(t: Language, data: ReportData) -> list[tuple[str, str]]:
    """Anchors and titles of the sections that are there: what to do first, how it came after."""
    several = len(data.models) > 1
    tasks = list[tuple[str, str]]()
    for place, model in enumerate(data.models):
        tasks.append((f"task-{place}", t.named(model.task) if several else t.say("task.scores")))
        tasks += [(f"card-{place}", t.say("points.short"))] if model.card else []
    there = [
        ("targets", "targets.title", data.targets),
        ("segments", "segments.title", data.segments),
        ("task", "", tasks),
        ("aggregates", "aggregates.title", data.aggregates),
        ("binning", "binning.short", data.binnings),
        ("categories", "categories.short", data.categories),
        ("funnel", "funnel.title", data.funnel and data.entities),
        ("match", "match.title" if data.matches else "match.parties", not data.branch),
        ("disclosures", "disclosures.title", data.disclosures),
        ("leakage", "leakage.title", data.leakage),
        ("run", "run.title", data.run or (data.contract and not data.branch)),
    ]
    found = [tasks if not key else [(name, t.say(key))] for name, key, shown in there if shown]
    if data.change is not None:
        title = t.say("change.title", since=data.change.since)
        found.insert(sum(bool(shown) for _, _, shown in there[:2]), [("change", title)])
    return [entry for entries in found for entry in entries]


def _policy(scripts: list[str]) -> str:
    """The content security policy. Plotly writes style elements, so those are allowed."""
    hashes = " ".join(_hash(script) for script in scripts) or "'none'"
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _json(value: Any) -> Markup:
    """JSON that cannot end its script element, whatever the texts in it."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 holds no markup any more


@cache
def _asset(name: str) -> str:
    return resources.files("profiles.report").joinpath(name).read_text("utf-8")


@cache
def _plotly() -> str:
    """plotly.js as the plotly package brings it; no line ending that a browser would change."""
    from plotly.offline import get_plotlyjs

    script = str(get_plotlyjs()).replace("\r\n", "\n").replace("\r", "\n")
    if re.search(r"</script|<!--", script, re.IGNORECASE):
        script = re.sub(r"<(?=/script|!--)", r"\\x3c", script, flags=re.IGNORECASE)
    return script


@cache
def _packed() -> str:
    """plotly.js by gzip, in base64: the page unpacks it, and the policy knows its hash."""
    return base64.b64encode(gzip.compress(_plotly().encode("utf-8"), 9, mtime=0)).decode("ascii")


@cache
def _parted(code: str) -> Markup:
    """A name in code that may break behind its dots and underscores, and nowhere else."""
    parts = re.split(r"(?<=[._])", plain(code, _TEXT_LIMIT))
    return Markup("<wbr>").join(parts)  # each is escaped


@cache
def _environment(t: Language) -> Environment:
    """Autoescape always; every text is made plain before it is escaped.

    One a language: a run writes many pages, and their templates are compiled once.
    """
    environment = Environment(
        loader=PackageLoader("profiles.report", "."),
        autoescape=True,
        finalize=_clean,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {name: partial(t.form, name) for name in FORMS if name != "list"}
    environment.filters |= {
        "amount": amount,
        "listed": partial(t.form, "list"),
        "sentence": _sentence,
        "named": t.named,
        "told": t.told,
        "parted": _parted,
        "width": _width,
    }
    helpers: tuple[Callable[..., Any], ...] = (
        sentences.interval_words,
        sentences.leakage_words,
        sentences.managed_words,
        sentences.match_words,
        sentences.money_words,
        sentences.moves,
        sentences.net_head,
        sentences.pairs,
        sentences.party_shares,
        sentences.reason_words,
        sentences.reasons_for,
        sentences.unit_words,
    )
    environment.globals |= {function.__name__: function for function in helpers}
    environment.globals |= {"t": t, "decimal": number, "gained": gained}
    return environment


def _sentence(text: str) -> str:
    """ "on held-out folds" -> "On held-out folds."; nothing stays nothing."""
    text = text.strip()
    stopped = text if not text or text[-1] in ".!?。" else f"{text}."
    return stopped[:1].upper() + stopped[1:]


def _clean(value: Any) -> Any:
    if isinstance(value, str) and not isinstance(value, Markup):
        return plain(value, _TEXT_LIMIT)
    return value


def _width(share: float) -> str:
    """A share as the width of a bar."""
    return f"{100 * min(1.0, max(0.0, share)):.2f}%"
