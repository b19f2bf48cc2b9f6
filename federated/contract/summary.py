"""A contract in plain words: what `plan` says before contact, and `node show` before a decision.

The sentences about disclosures are those of the contract itself, which every party derives again
from its steps; of a draft they are what its row counts come to, as far as these are told. Names
come from others: they are shown by `federated.text.plain`, and what a person chose freely (job,
purpose) stands in quotation marks.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass

from federated.contract.columns import KEY, columns_used
from federated.contract.completion import foreseen
from federated.contract.guards import guards
from federated.contract.kinds import KINDS
from federated.contract.series import series_words, told_words
from federated.contract.terms import Contract, PartyTerms
from federated.text import plain

__all__ = ["Odd", "asked_of", "in_words", "look_twice"]

_ASKED = {
    "feature": "for training",
    "aggregate": "for aggregates",
    "category": "as private category",
    "join and sum": "for sums over records that nobody sees",
    "amount": "as amounts",
    "binning": "in bins, to tell what they are worth for a label",
    "segment": "as segments",
    "label": "as label",
    "time": "as time",
    "weight": "as weight or offset of rows",
}


def in_words(contract: Contract, unseen: Collection[str] = ()) -> list[str]:
    """Lines for a terminal: parties, steps, what each party learns, guards.

    Of parties that are `unseen` nobody has looked at the table: what is known of it is a guess.
    """
    contract = foreseen(contract)
    lines = ["Parties", *(f"  {_party(contract, t, t.name in unseen)}" for t in contract.parties)]
    for series in contract.series:
        lines += ["", "Series", f"  {series_words(series)}"]
        for terms in contract.parties:
            lines += [f"  {terms.name}: {told_words(told)}" for told in terms.series]
    steps = [text for kind in KINDS for text in kind.words(contract)]
    lines += ["", "Steps", *(f"  {text}" for text in steps)]
    lines += ["", "What each party learns"]
    lines += [f"  {e.to} learns {e.learns}  [{e.line}]" for e in contract.disclosures]
    bounds = [text for terms in contract.parties for text in guards(contract, terms.name)]
    bounds += [text for kind in KINDS for text in kind.guards(contract)]
    lines += ["", "Guards", *(f"  {text}" for text in bounds)]
    return [" " * (len(line) - len(line.lstrip())) + plain(line, 2000) for line in lines]


def asked_of(contract: Contract, name: str) -> list[str]:
    """Which table and columns of one party the contract names, and what for."""
    terms = contract.party(name)
    levels = zip(terms.keys, terms.kinds, strict=False)
    keys = [
        " + ".join(f"{column} ({kind})" for column, kind in zip(*level, strict=False))
        for level in levels
    ]
    used = columns_used(contract, name)
    lines = [f"table {terms.table}"]
    lines += [f"  to match by: {', then '.join(keys)}"] if used[KEY] else []
    for use, said in _ASKED.items():
        why = _for_models(contract) if use == "feature" else said
        lines += [f"  {why}: {', '.join(used[use])}"] if used[use] else []
    return [" " * (len(line) - len(line.lstrip())) + plain(line, 10_000) for line in lines]


def _for_models(contract: Contract) -> str:
    if not contract.score:
        return _ASKED["feature"]
    return "for training and scores" if contract.train else "for scores"


@dataclass(frozen=True)
class Odd:
    """A text of a contract, as "column balance", and why to look at it twice."""

    what: str
    why: str


def look_twice(contract: Contract) -> list[Odd]:
    """What in the texts of a contract may be meant to deceive whoever reads them.

    `what` is as the proposer wrote it: it is to be cleaned before it is shown.
    """
    found = []
    for what, text in _named(contract).items():
        scripts = {_script(c) for c in text if c.isalpha()} - {""}
        if len(scripts & {"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"}) > 1:
            mixed = " and ".join(sorted(script.title() for script in scripts))
            found.append(Odd(what, f"letters of {mixed} that may look alike"))
        if any(c in text for c in "<>[]{}`$\\") or ".." in text or "--" in text or ";" in text:
            found.append(Odd(what, "looks like markup, a path or a command"))
        if '"' in text or (what.startswith("column ") and "," in text):
            found.append(Odd(what, "one name that reads like more than a name"))
    return found


def _named(contract: Contract) -> dict[str, str]:
    """Every name in a contract that somebody chose, by what it names."""
    texts = {"job": contract.job, "purpose": contract.purpose}
    texts |= {f"series {series.name}": series.name for series in contract.series}
    for terms in contract.parties:
        columns = [c for found in columns_used(contract, terms.name).values() for c in found]
        texts |= {f"party {terms.name}": terms.name, f"table {terms.table}": terms.table}
        texts |= {f"column {column}": column for column in columns}
    for by in contract.category:
        texts |= {f"category {name}": name for name in by.categories}
    for score in contract.score:
        texts |= {f"task {score.task}": score.task}
    for train in contract.train:
        texts |= {f"task {train.task}": train.task, f"class {train.positive}": train.positive}
    return texts


def _script(character: str) -> str:
    return unicodedata.name(character, "").split(" ", 1)[0].removesuffix("WIDTH")


def _party(contract: Contract, terms: PartyTerms, unseen: bool) -> str:
    what = "receiver, " if terms.name == contract.receiver else ""
    rows = f"{terms.rows:,} rows" if terms.rows else "rows not told yet"
    rows += " assumed" if unseen else ""
    use = "training" if contract.train else "scores"
    columns = f"{len(terms.features)} columns for {use}" if terms.features else "no features"
    measures = f", measures {', '.join(terms.measures)}" if terms.measures else ""
    admits = f"; {_basis(contract, terms)}" if terms.rows and not unseen else ""
    admits += "; what basis its rows have is asked when the job is proposed" if unseen else ""
    admits += f"; {' and '.join(terms.data_classes)} data" if terms.data_classes else ""
    return f"{terms.name} ({what}{terms.table}, {rows}): {columns}{measures}{admits}"


def _basis(contract: Contract, terms: PartyTerms) -> str:
    """By what rule a party's rows are in the job."""
    if not terms.basis:
        return "states no lawful basis for its rows"
    who = ""
    if terms.legal_entities:
        who = "; companies and government bodies need none"
        if contract.entity == "consumer":
            who = ""
    return (
        f"only rows with a basis for '{contract.purpose}' towards the parties that learn of them, "
        f"on the day of the run, by {terms.basis}{who}"
    )
