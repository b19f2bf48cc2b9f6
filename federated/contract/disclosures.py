"""Who learns what: one pure function from a contract's steps to its list of disclosures.

Every party derives the list again and refuses a contract whose list differs, so the words an
officer reads are the words that the steps imply.
"""

from __future__ import annotations

from federated.aggregate import Statistic
from federated.contract.completion import HORIZONTAL_STEPS
from federated.contract.terms import (
    AggregateTerms,
    AlignTerms,
    CategoryTerms,
    Contract,
    Disclosure,
    JoinSumTerms,
    TrainTerms,
)
from federated.vertical import told_bits
from psi.align import AlignSettings, in_one_run
from psi.protocol import PeerError

__all__ = [
    "category_words",
    "check_disclosures",
    "disclosures",
    "measured_words",
    "parties_of",
    "told_words",
]


def disclosures(contract: Contract) -> tuple[Disclosure, ...]:
    """All that any party learns of another's data by design, in the order of the steps."""
    found: list[Disclosure] = []
    for align in contract.align:
        found += _align(contract, align)
    if len(contract.align) > 1:
        found += _select(contract)
    for aggregate in contract.aggregate:
        found += _aggregate(contract, aggregate)
    for join in contract.join_sum:
        found += _join_sum(contract, join)
    for category in contract.category:
        found += _category(contract, category)
    for train in contract.train:
        found += _vertical(contract, train) if train.split == "vertical" else _horizontal(train)
    return tuple(found)


def check_disclosures(contract: Contract) -> None:
    """Raise `PeerError` if the contract's list is not the one its steps imply."""
    if contract.disclosures != disclosures(contract):
        raise PeerError("the contract's list of disclosures is not what its steps imply")


def parties_of(contract: Contract, step: str) -> set[str]:
    """Who takes part in a step, by its name in the list of disclosures ("align bureau")."""
    every = {terms.name for terms in contract.parties}
    kind, _, what = step.partition(" ")
    for train in contract.train:
        if kind == "train" and what == train.task and train.split == "vertical":
            return {contract.receiver, *train.partners}
    return {contract.receiver, what} if kind != "train" and what in every else every


def _align(contract: Contract, terms: AlignTerms) -> list[Disclosure]:
    step, me, line = f"align {terms.partner}", contract.receiver, "align.reveal"
    several = len(contract.party(me).keys) > 1
    alike = ", and how many of their keys are the same, but not which records" * several
    sizes = [
        Disclosure(step, me, f"how many records {terms.partner} brings", line),
        Disclosure(step, terms.partner, f"how many records {me} brings", line),
    ]
    if terms.minimum_checked_by == "partner":
        before = f"how many records it shares with {me}{alike}, before anything else is told"
        sizes.append(Disclosure(step, terms.partner, before, "align.minimum_checked_by"))
    if terms.keep_tags_days:
        asked = (
            f"for {terms.keep_tags_days} days, under one key and over several jobs, which of at "
            f"most {terms.keep_tags_items} records it asks {terms.partner} has; whether that set "
            "has changed, and so which of the records that it asks again are new in it or gone"
        )
        sizes.append(Disclosure(step, me, asked, "align.keep_tags_days"))
    if terms.reveal == "cardinality":
        count = f"how many records it shares with {terms.partner}{alike or ', not which'}"
        return [*sizes, Disclosure(step, me, count, line)]
    found = [Disclosure(step, me, f"which of its own records {terms.partner} has", line), *sizes]
    if terms.reveal == "both":
        which = f"which of its own records {me} has"
        found.insert(1, Disclosure(step, terms.partner, which, line))
    if several:
        found += _keys_of_levels(contract, terms, step, line)
    if terms.duplicates == "join" and terms.reveal == "both":
        often = "how often the other holds each shared record"
        found += [Disclosure(step, name, often, "align.duplicates") for name in (me, terms.partner)]
    return found


def _keys_of_levels(
    contract: Contract, terms: AlignTerms, step: str, line: str
) -> list[Disclosure]:
    """What several levels of keys tell beyond which records are shared."""
    me, settings = contract.receiver, AlignSettings(terms.protocol, terms.reveal, terms.duplicates)
    grade = "by which key each shared record was found"
    found = [Disclosure(step, me, grade, line)]
    if not in_one_run(settings, len(contract.party(me).keys)):
        return [*found, Disclosure(step, terms.partner, grade, line)]
    tied = f"which of its keys are keys of one record of {terms.partner}, where both have them"
    found.append(Disclosure(step, me, tied, line))
    if terms.reveal == "both":
        found.append(Disclosure(step, terms.partner, grade, line))
    return found


def _select(contract: Contract) -> list[Disclosure]:
    common = "which of its shared records all parties of the job have"
    return [Disclosure("select", name, common, "party") for name in contract.partners()]


def _aggregate(contract: Contract, terms: AggregateTerms) -> list[Disclosure]:
    step, line, me = f"aggregate {terms.partner}", "aggregate", contract.receiver
    least, joined = terms.minimum_group, contract.joins(terms.partner)
    over, one = (", over all pairs of rows", f" of one row at {me}") if joined else ("", "")
    groups = (
        f"{measured_words(terms)} for each of its segments of at least {least} shared records{one} "
        f"with a value{over}{_ranges(terms)}"
    )
    alike = [t for t in contract.aggregate if t.partner == terms.partner]
    cut = any(_ranges(t, set(terms.columns)) for t in alike)
    within = f", or in each range between thresholds that at least {least} are in" * cut
    sizes = (
        f"how many shared records{one} each segment of {me} has, and how many of these have a "
        f"value in each column that at least {least} of them have and {least} lack{within}"
    )
    past = (
        f"the same for each combination of a segment of {me} with those that earlier jobs told of "
        f"the same columns, and in ranges between these jobs' thresholds, among at least {least} "
        "records that were in the same jobs"
    )
    stood = (
        "which rows of earlier jobs on the same columns are one record of "
        f"{terms.partner}'s, where at least {least} were in the same jobs"
    )
    found = [Disclosure(step, me, groups, line), Disclosure(step, terms.partner, sizes, line)]
    found += [Disclosure(step, terms.partner, past, line), Disclosure(step, me, stood, line)]
    earlier = dict.fromkeys(t.by for t in contract.earlier_sections(terms) if t.by != terms.by)
    if earlier:
        crossed = f"the same for each combination of a segment by {terms.by} with those by "
        crossed += " and ".join(earlier)
        found.append(Disclosure(step, terms.partner, crossed, line))
    return found


def _ranges(terms: AggregateTerms, columns: set[str] | None = None) -> str:
    """What holds for shares and histograms of these columns, if any is asked."""
    asked = [m for m in terms.measures if columns is None or m.column in columns]
    if not any(Statistic.parse(m.statistic).edges for m in asked):
        return ""
    least = terms.minimum_group
    return f", with no range between thresholds told apart that holds some but fewer than {least}"


def measured_words(terms: AggregateTerms) -> str:
    """The measures for people: "mean of open_loans, share above 0.8 of utilisation"."""
    return ", ".join(f"{Statistic.parse(m.statistic).words} of {m.column}" for m in terms.measures)


def _join_sum(contract: Contract, terms: JoinSumTerms) -> list[Disclosure]:
    step, line, me = f"join_sum {terms.partner}", "join_sum", contract.receiver
    ranges = {r.column: f" ({r.low} to {r.high})" for r in terms.ranges}
    what = ", ".join(
        f"{m.statistic} of {m.column}{ranges.get(m.column, '') * (m.statistic != 'count')}"
        for m in terms.measures
    )
    behind = f"over the records it shares with {terms.partner}, not which, for columns with a value"
    sums = f"{what} {behind} in at least {terms.minimum_group} of them; in how many"
    if terms.epsilon:
        sums += (
            "; each number with noise of its own (discrete Laplace, epsilon "
            f"{terms.epsilon / 1000:g} in all)"
        )
    else:
        sums += "; exact numbers"
    counts = f"how many records it shares with {me}, and how many of these have a value, by column"
    return [Disclosure(step, me, sums, line), Disclosure(step, terms.partner, counts, line)]


def category_words(terms: CategoryTerms) -> str:
    """What is told of each cell: "how many shared records it has and their sum of balance"."""
    sums = " and ".join(f"their sum of {a.column} ({a.low} to {a.high})" for a in terms.amounts)
    by = f" and segment by {terms.segment}" if terms.segment else ""
    return f"by {terms.category}{by}, how many shared records{' and ' + sums if sums else ''}"


def _category(contract: Contract, terms: CategoryTerms) -> list[Disclosure]:
    step, line, me = f"category {terms.partner}", "category.noise", contract.receiver
    told = f"{category_words(terms)}, for {len(terms.categories)} categories that the contract "
    told += "names and all else together"
    if terms.noise == "none":
        exact = f"{told}, where {terms.minimum_group} or more, or none, are in one; exact numbers"
        chosen = f"category membership of entities of {me}'s choosing: it chooses the amounts"
        return [Disclosure(step, me, exact, line), Disclosure(step, me, chosen, line)]
    every = ", for all pairs of rows of a record together" * contract.joins(terms.partner)
    noised = f"{told}, each with noise of its own (discrete Laplace, epsilon "
    found = [Disclosure(step, me, f"{noised}{terms.epsilon / 1000:g} in all{every})", line)]
    if terms.segment:
        found.append(Disclosure(step, terms.partner, f"how many segments {me} has", line))
    return found


def _vertical(contract: Contract, terms: TrainTerms) -> list[Disclosure]:
    step, line, me = f"train {terms.task}", "train", contract.receiver
    others = " and ".join(terms.partners)
    summed = " (their sum only)" if len(terms.partners) > 1 else ""
    found = [
        Disclosure(
            step,
            me,
            f"for each shared record {told_words(terms)} of the score part of {others}{summed}, "
            "the final score among them",
            "train.score_vectors",
        ),
        Disclosure(
            step,
            me,
            f"sums over the training rows of {others}'s columns, in bases that only they know "
            "and that are new wherever products of columns are summed; how many independent "
            "columns they have",
            line,
        ),
    ]
    if len(terms.partners) > 1:
        canonical = "how far the partners' columns are correlated with each other"
        found.append(Disclosure(step, me, canonical, line))
    for name in terms.partners:
        own = f"the coefficients of its own columns after every step, and how many columns {me} has"
        found.append(Disclosure(step, name, own, line))
        fold = "which shared records have a label, and their validation fold"
        found.append(Disclosure(step, name, fold, "train.folds"))
    return found


def told_words(terms: TrainTerms) -> str:
    """How much a training tells of a record: "2 numbers of 4 bits, 8.1 bits in all at most,"."""
    each = f"of {terms.score_bits} bits"
    if not terms.score_vectors:
        return f"some numbers {each}, {terms.row_bits} bits a record at most in the mean,"
    told = told_bits(terms.score_vectors, terms.score_bits)
    return f"{terms.score_vectors} numbers {each}, {told:.1f} bits a record at most in the mean,"


def _horizontal(terms: TrainTerms) -> list[Disclosure]:
    steps = terms.steps or HORIZONTAL_STEPS
    told = (
        "the model, and sums over all parties' rows (positives, values, squares, products, scores "
        f"by label, and gradients in each of {steps} steps), each under noise of every party's "
        f"own: together at most {bits_of_a_row(terms)} of any row, also to a receiver that asks "
        "what it likes; how many rows have a label"
    )
    return [Disclosure(f"train {terms.task}", "every party", told, "train.row_bits")]


def bits_of_a_row(terms: TrainTerms) -> str:
    """ "1 bit", "4 bits": the most that all sums of a training whose rows are split tell."""
    return f"{terms.row_bits} {'bit' if terms.row_bits == 1 else 'bits'}"
