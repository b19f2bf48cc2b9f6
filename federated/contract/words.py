"""A contract in plain words: what `plan` says before contact, and `node show` before a decision.

The sentences about disclosures are those of the contract itself, which every party derives again
from its steps. Names come from others: they are shown by `federated.text.plain`, and what a
person chose freely (job, purpose) stands in quotation marks.
"""

from __future__ import annotations

import unicodedata

from federated.contract.columns import KEY, columns_used
from federated.contract.completion import HORIZONTAL_STEPS
from federated.contract.disclosures import bits_of_a_row, category_words, measured_words, told_words
from federated.contract.guards import guards
from federated.contract.noise import moved_by_category, noising_of
from federated.contract.terms import AlignTerms, Contract, JoinSumTerms, PartyTerms, TrainTerms
from federated.text import plain
from psi.align import PROTOCOLS

__all__ = ["asked_of", "in_words", "look_twice"]

_ASKED = {
    "feature": "for training",
    "aggregate": "for aggregates",
    "category": "as private category",
    "join and sum": "for sums over records that nobody sees",
    "amount": "as amounts",
    "segment": "as segments",
    "label": "as label",
}


def in_words(contract: Contract) -> list[str]:
    """Lines for a terminal: parties, steps, what each party learns, guards."""
    lines = ["Parties", *(f"  {_party(contract, terms)}" for terms in contract.parties)]
    lines += ["", "Steps", *(f"  {text}" for text in _steps(contract))]
    lines += ["", "What each party learns"]
    lines += [f"  {e.to} learns {e.learns}  [{e.line}]" for e in contract.disclosures]
    lines += ["", "Guards", *(f"  {text}" for text in _guards(contract))]
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
        lines += [f"  {said}: {', '.join(used[use])}"] if used[use] else []
    return [" " * (len(line) - len(line.lstrip())) + plain(line, 10_000) for line in lines]


def look_twice(contract: Contract) -> list[str]:
    """What in the texts of a contract may be meant to deceive whoever reads them."""
    found = []
    for what, text in _named(contract).items():
        scripts = {_script(c) for c in text if c.isalpha()} - {""}
        if len(scripts & {"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"}) > 1:
            mixed = " and ".join(sorted(script.title() for script in scripts))
            found.append(f"{plain(what)}: letters of {mixed} that may look alike")
        if any(c in text for c in "<>[]{}`$\\") or ".." in text or "--" in text or ";" in text:
            found.append(f"{plain(what)}: looks like markup, a path or a command")
        if '"' in text or (what.startswith("column ") and "," in text):
            found.append(f"{plain(what)}: one name that reads like more than a name")
    return found


def _named(contract: Contract) -> dict[str, str]:
    """Every name in a contract that somebody chose, by what it names."""
    texts = {"job": contract.job, "purpose": contract.purpose}
    for terms in contract.parties:
        columns = [c for found in columns_used(contract, terms.name).values() for c in found]
        texts |= {f"party {terms.name}": terms.name, f"table {terms.table}": terms.table}
        texts |= {f"column {column}": column for column in columns}
    for by in contract.category:
        texts |= {f"category {name}": name for name in by.categories}
    for train in contract.train:
        texts |= {f"task {train.task}": train.task, f"class {train.positive}": train.positive}
    return texts


def _script(character: str) -> str:
    return unicodedata.name(character, "").split(" ", 1)[0].removesuffix("WIDTH")


def _party(contract: Contract, terms: PartyTerms) -> str:
    what = "receiver, " if terms.name == contract.receiver else ""
    rows = f"{terms.rows:,} rows" if terms.rows else "rows not told yet"
    columns = f"{len(terms.features)} columns for training" if terms.features else "no features"
    measures = f", measures {', '.join(terms.measures)}" if terms.measures else ""
    return f"{terms.name} ({what}{terms.table}, {rows}): {columns}{measures}"


def _steps(contract: Contract) -> list[str]:
    me, lines = contract.receiver, []
    for align in contract.align:
        lines.append(
            f"{me} and {align.partner} find the records they share ({align.protocol}, "
            f"{contract.suites.align}{_alternative(align)}); no identifier leaves either in the "
            "clear"
        )
    for partner in dict.fromkeys(aggregate.partner for aggregate in contract.aggregate):
        sections = [a for a in contract.aggregate if a.partner == partner]
        what = "; ".join(f"by {a.by}: {measured_words(a)}" for a in sections)
        lines.append(
            f"{partner} sends its values encrypted under its own {sections[0].key_bits}-bit key, "
            f"once; {me} adds them up without reading them, {what}"
        )
    for category in contract.category:
        noise = "adds noise to every sum" if category.epsilon else "adds no noise"
        lines.append(
            f"{me} sends its amounts encrypted under its own {category.key_bits}-bit key; "
            f"{category.partner} adds them up without reading them, {noise} and sends the sums "
            f"back: {category_words(category)}"
        )
    for join in contract.join_sum:
        what = ", ".join(f"{m.statistic} of {m.column}" for m in join.measures)
        lines.append(
            f"{join.partner} sends its values in a secret order, encrypted under its own "
            f"{join.key_bits}-bit key; {me} adds up those of shared records without learning "
            f"which these are: {what}"
        )
    for train in contract.train:
        if train.split == "horizontal":
            lines.append(
                f"all parties train '{train.task}' on their own rows in "
                f"{train.steps or HORIZONTAL_STEPS} steps; {me} sees each one's sums under a mask, "
                "and their total"
            )
        else:
            chosen = "as many Newton steps as its rows and columns allow"
            steps = f"{train.steps} Newton steps" if train.steps else chosen
            in_folds = f", and {train.fold_steps or 'a few'} in each of {train.folds} folds"
            lines.append(
                f"{me} and {', '.join(train.partners)} fit '{train.task}': {steps}"
                f"{in_folds * bool(train.folds)}, on rows encrypted under {me}'s "
                f"{train.key_bits}-bit key"
            )
    return lines


def _alternative(terms: AlignTerms) -> str:
    if not terms.alternative:
        return ""
    return f"; or {terms.alternative}, if the sets are large and every party accepts it"


def _guards(contract: Contract) -> list[str]:
    me, lines = contract.receiver, []
    for align in contract.align:
        who = (
            f"counted by {align.partner} before anything is told"
            if align.minimum_checked_by == "partner"
            else f"checked by {contract.receiver}, so a promise towards {align.partner}"
        )
        lines.append(
            f"{align.partner} refuses a set of more than {align.largest_set:,} records; fewer than "
            f"{align.minimum_overlap:,} shared records end the job ({who})"
        )
        if PROTOCOLS[align.protocol].trusting:
            lines.append(
                f"{align.protocol} checks nobody: {me}, if it breaks the protocol's form in one "
                f"run, which {align.partner} does not see, can test any identifier afterwards, and "
                f"so read {align.partner}'s whole set by dictionary; {align.partner}, if it does, "
                f"may learn which records {me} has. Parties have to trust each other's software"
            )
        if align.keep_tags_days:
            lines.append(
                f"{align.partner}'s tags serve all jobs of {align.keep_tags_days} days; it counts "
                f"what {contract.receiver} asks and refuses beyond {align.keep_tags_items} records"
            )
    for terms in contract.parties:
        lines += guards(contract, terms.name)
    for aggregate in contract.aggregate:
        lines.append(
            f"{aggregate.partner} opens no group of fewer than {aggregate.minimum_group} records"
        )
    for category in contract.category:
        if category.epsilon:
            moved = [f"{m:,}" for m in moved_by_category(category)]
            named = ["a count", *(f"a sum of {a.column}" for a in category.amounts)]
            each = ", ".join(f"{n} by up to {m}" for n, m in zip(named, moved, strict=True))
            if contract.joins(category.partner):
                each += ", each times the pairs that one record is in at most"
            lines.append(
                f"{category.partner}'s noise moves {each}, in 95 of 100 cases; it hides which "
                f"category a record is in as long as {me} keeps to the ranges of its amounts"
            )
        else:
            lines.append(
                f"{category.partner} tells no category of fewer than {category.minimum_group} "
                f"records; amounts that {me} chose cleverly would tell it who is in which"
            )
    for join in contract.join_sum:
        lines.append(_hidden_noise(contract, join))
        lines.append(
            f"{join.partner} opens no sum with fewer than {join.minimum_group} values behind it, "
            f"as counted in what {contract.receiver} sends back"
        )
    for train in contract.train:
        if train.split == "vertical":
            lines += [_score_guard(train), _columns_guard(contract, train)]
        else:
            lines.append(_pooled_guard(train))
    return lines


def _hidden_noise(contract: Contract, terms: JoinSumTerms) -> str:
    noising, me = noising_of(terms), contract.receiver
    if noising is None:
        return (
            f"{terms.partner} adds no noise to its sums over records that nobody learns: with "
            f"another exact sum over the same but one, {me} would have that one's values, so its "
            "book of releases allows no other"
        )
    count, sums = noising.moves()
    each = ", ".join(
        [
            f"a count by up to {count:,.0f}",
            *(f"a sum of {column} by up to {moved:,.0f}" for column, moved in sums.items()),
        ]
    )
    return (
        f"{terms.partner}'s noise moves {each}, in 95 of 100 cases; it hides whether a record is "
        f"shared, and its values, as long as {me} keeps to the protocol"
    )


def _pooled_guard(terms: TrainTerms) -> str:
    return (
        f"every party bounds what one of its rows adds to the sums of '{terms.task}' and adds noise"
        f" in proportion: all sums together tell at most {bits_of_a_row(terms)} of a row, whatever "
        "is asked and whoever colludes; it answers nothing that fewer than 20 of its rows decide"
    )


def _score_guard(terms: TrainTerms) -> str:
    one = len(terms.partners) == 1
    adds, counts = ("adds", "counts") if one else ("add", "count")
    who, noise = ", ".join(terms.partners), f"2^-{terms.score_bits}"
    return (
        f"{who} {adds} fresh noise, {noise} of its standard deviation, to every number of a score "
        f"and {counts} them: {told_words(terms)} whatever is asked"
    )


def _columns_guard(contract: Contract, terms: TrainTerms) -> str:
    every = " and ".join([contract.receiver, *terms.partners])
    return (
        f"{every} see none of each other's columns: one that lies about its own (a column for a "
        "single record) reads one row of the others', or one label, for each such column and pass; "
        "each refuses such columns of its own, and together more than one for four labelled records"
    )
