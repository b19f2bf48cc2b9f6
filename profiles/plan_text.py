"""A plan as text for a terminal: what `fedprofile plan` prints."""

from __future__ import annotations

import math

from federated.contract.purposes import classed
from federated.contract.summary import in_words
from federated.releases.label_bits import label_words
from federated.releases.limits import ReleaseLimits
from federated.releases.row_bits import row_words
from federated.tables.basis import left_out_words
from federated.tables.column_report import in_lines
from federated.tables.source import Source
from federated.text import plain
from profiles.job import Job
from profiles.plan import KEPT, PATHS, Plan, planned

__all__ = ["describe", "in_text"]

ENOUGH = 24_000
"""Rows times `row_bits` from which on noise takes nothing from a model of rows at several parties
(`docs/protocols/horizontal.md`)."""


def describe(job: Job, source: Source | None, rows: int = 0) -> str:
    """What a job will tell whom, and what it costs, before anybody is asked: the plan as text.

    Args:
        job: from `Job.load`.
        source, rows: as in `planned`.

    Raises:
        FedprofileError: what the contract or a table does not allow.

    >>> names = ("bank", "bureau")
    >>> parties = [{"name": n, "table": f"{n}.people", "keys": [["id"]]} for n in names]
    >>> asked = {"job": {"name": "shared", "purpose": "retention"}, "party": parties, "align": {}}
    >>> print(describe(Job.load(asked), None, 10_000))  # doctest: +ELLIPSIS
    shared
    purpose: retention (marketing); about: consumer
    ...
    What each party learns
      bank learns which of its own records bureau has [align.reveal]
    ...
    """
    return in_text(planned(job, source, rows))


def in_text(plan: Plan) -> str:
    """The whole plan, section by section."""
    contract, cost = plan.contract, plan.cost
    lines = [
        plan.job,
        f"purpose: {classed(plan.purpose, contract.purpose_class)}; about: {plan.entity}",
        "",
        *in_words(contract, unseen=plan.elsewhere),
    ]
    lines += _few_rows(plan)
    lines += _told(plan)
    lines += _labels(plan)
    if plan.protocol:
        lines += ["", f"set intersection by {plan.protocol}: {plan.why}"]
    lines += [
        "",
        f"Expected with all parties on this machine, as it is now ({PATHS[plan.path]} kernels), of "
        "the steps between them; reading tables, own models, profiles and the report come on top",
        f"  about {_seconds(cost.seconds)}, {cost.memory / 1e6 + 400:.0f} MB of memory a party, "
        f"{cost.wire / 1e6:.0f} MB on the wire in {math.ceil(cost.rounds)} round trips",
    ]
    lines += _sums_instead(plan)
    if plan.kept is not None:
        lines.append(f"  of which {_seconds(plan.kept)} are not spent again {KEPT}")
    lines += _columns(plan)
    lines += _rules(plan)
    lines += _lists(plan)
    lines += _origins(plan)
    if plan.rows is not None:
        lines += ["", *_not_seen(plan)]
    return "\n".join(lines)


def _sums_instead(plan: Plan) -> list[str]:
    """What private sums would save, where statistics are encrypted."""
    if plan.instead is None:
        return []
    now, then = plan.instead
    lines = [
        f"  of which statistics {_seconds(now.seconds)} and {now.wire / 1e6:.0f} MB; by "
        f'private sums (protocol = "sums", where all policies name it) {_seconds(then.seconds)} '
        f"and {then.wire / 1e6:.0f} MB"
    ]
    if plan.open:
        lines.append(
            "  the job leaves open what adds them up: a run on this machine encrypts; over a hub "
            "the receiver proposes private sums where its policy lists them alone, as a new "
            "node's does (plan --hub FOLDER)"
        )
    return lines


def _few_rows(plan: Plan) -> list[str]:
    """Where rows are split and so few that the noise of `row_bits` may cost the model."""
    rows = sum(party.rows for party in plan.contract.parties)
    return [
        f"  row_bits = {train.row_bits} over {rows:,} rows: the noise may cost AUC, which differs "
        f"from run to run; row_bits = {4 * train.row_bits} has half of it, and may tell four times "
        "as much of a row"
        for train in plan.contract.train
        if train.split == "horizontal" and rows * train.row_bits < ENOUGH
    ]


def _told(plan: Plan) -> list[str]:
    """Bits of a row, of each partner; what a row holds where its table is at hand."""
    lines = [line for row in plan.told for line in row_words(row)]
    if not lines:
        return []
    new = ReleaseLimits()
    if plan.elsewhere:
        lines.append(
            "how many a row holds is known with --tables, and to the partner: a new node lets "
            f"{new.row_share:.0%} of them be told in all, and {new.row_left:g} stay untold at least"
        )
    elif any(row.allowed is not None for row in plan.told):
        lines.append("what may be told is what a new node allows; a partner's own policy decides")
    return ["", "Bits of a row", *(f"  {plain(line, 2000)}" for line in lines)]


def _labels(plan: Plan) -> list[str]:
    """Bits of labels, to each partner."""
    lines = [line for one in plan.labels for line in label_words(one)]
    if not lines:
        return []
    lines.append(
        "that is what a new node's policy lets be told within 400 days; the receiver's own decides"
    )
    return ["", "Bits of a label", *(f"  {plain(line, 2000)}" for line in lines)]


def _columns(plan: Plan) -> list[str]:
    """What every column that the job names is taken for."""
    if not plan.tables:
        return []
    lines = ["", "What the columns are taken for"]
    left = plan.left_out.items()
    lines += [f"  {plain(left_out_words(table, counts), 1000)}" for table, counts in left]
    for found in plan.tables:
        twice = f", {found.repeats:,} of which repeat a key: the first stands for all"
        lines.append(f"  {found.table}, {found.rows:,} rows{twice * bool(found.repeats)}")
        lines += [f"    {plain(line, 1000)}" for line in in_lines(found.taken)]
    return lines


def _origins(plan: Plan) -> list[str]:
    """In which file each value stands, where a job extends another."""
    lines = ["", "Where values come from"] if plan.origins else []
    return lines + [f"  {plain(key)}: {plain(file)}" for key, file in plan.origins.items()]


def _rules(plan: Plan) -> list[str]:
    """How many rows each rule of segments and stages has."""
    table = plan.contract.party(plan.contract.receiver).table
    lines = ["", "Rows by rules, as the table is today"] if plan.rules else []
    for one in plan.rules:
        lines.append(f"  {one.kind} {plain(one.name)}: {one.rows:,}")
        lines += [f"    - {plain(said, 400)}"] if (said := one.words(table)) else []
    return lines


def _lists(plan: Plan) -> list[str]:
    """Who may be on each list today, and why others may not."""
    if not plan.lists:
        return []
    lines = ["", "Who may be on a list, as the tables are today"]
    if any(train.split == "horizontal" for train in plan.contract.train):
        lines.append(
            "  of the receiver's own rows: each party's `fedprofile branch` writes its lists"
        )
    for product, may, reasons in plan.lists:
        lines.append(f"  {plain(product)}: {may:,}")
        lines += [f"    not, {r.stage}: {plain(r.words, 200)}  {r.people:,}" for r in reasons]
        lines.append(f"    still to come off: {_to_come_off(plan)}")
        lines += [f"    {line}" for line in _shows(*plan.held.get(product, (0, 0)))]
        if product in plan.unnamed:
            lines.append(f"    - {plain(plan.unnamed[product], 600)}")
    if plan.several:
        lines.append(
            f"  {plan.several:,} may be on several of these; "
            'after = ["LIST"] in [[target]] leaves whoever is on LIST off the later list'
        )
    lines += [
        f"  capacity in {plain(table)} is of all lists together, earlier ones of the job file first"
        for table in plan.capacities
    ]
    return lines + [f"  - {plain(said, 600)}" for one in plan.nobody if (said := one.words())]


def _shows(listed: int, held: int) -> list[str]:
    """The smallest effect that a list with a control group will show."""
    if not listed:
        return []
    from profiles.campaign.effects import smallest_share  # SciPy is behind it

    beside = f"about {held:,} of them are held back beside {listed:,} on the list: "
    half, tenth = (100 * smallest_share(listed, held, share) for share in (0.5, 0.1))
    if held < 2:
        return [f"{beside}too few to show an effect"]
    return [
        f"{beside}what it changes shows, in 80 of 100 cases, from {half:.1f} percentage points on "
        f"where half have the outcome, from {tenth:.1f} on where a tenth has it"
    ]


def _to_come_off(plan: Plan) -> str:
    """What a plan cannot count yet."""
    held = f"a control group of {plan.control:.3g} of them, by chance; " if plan.control else ""
    again = "all rows of a person but one; " * any(found.repeats for found in plan.tables)
    return f"{held}{again}who has no score; who comes after the list is full"


def _not_seen(plan: Plan) -> list[str]:
    """Which tables were not looked at, what they are taken for, and who looks at them."""
    if not plan.tables:
        return [f"taking {plan.rows:,} rows a table; give --tables to use the real ones"]
    whose = " and ".join(plan.elsewhere)
    return [
        f"The tables of {whose} are not here: {plan.rows:,} rows of numbers are taken for each "
        "(--rows says how many).",
        f"What is in their columns only they can look at: fedprofile preflight at {whose}.",
    ]


def _seconds(value: float) -> str:
    return f"{value:.0f} s" if value < 90 else f"{value / 60:.0f} min"
