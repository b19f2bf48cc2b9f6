"""A policy in plain words, and what in it is probably not meant so."""

from __future__ import annotations

from collections.abc import Mapping

from federated.approval.direct import Direct
from federated.approval.policy import ANY, Policy, Rule
from federated.contract.summed import TRUSTING
from federated.regression import MANY_ROWS
from federated.tables.about import unmarked
from federated.tables.bindings import Table
from psi.align import PROTOCOLS
from psi.protocol import FedprofileError

__all__ = ["doubts", "in_words"]


def in_words(policy: Policy, over: Mapping[str, str] | None = None) -> list[str]:
    """What it allows, in the order in which a proposal meets it.

    Args:
        policy: a party's.
        over: why those of its rules that approve no more do not, by name.
    """
    asks, limits, officers = policy.proposals, policy.limits, policy.officers
    begins, ends = (f"{minute // 60:02}:{minute % 60:02}" for minute in asks.hours)
    lines = [
        f"{_any(asks.parties, 'any confirmed party')} may propose, for "
        f"{_any(asks.purposes, 'any purpose')}{_classes(asks.purpose_classes)}, on "
        f"{', '.join(asks.days)} from {begins} to {ends}",
        f"at most {asks.jobs_a_day} jobs and {asks.rows_a_day:,} rows a day of one proposer, "
        f"{asks.open} of its proposals waiting",
        f"results go to {_any(asks.receivers, 'any party')}, kept for at most "
        f"{asks.retention_days} days",
        f"reveal {' or '.join(limits.reveal)}; duplicates {' or '.join(limits.duplicates)}",
        f"statistics added up by {' or '.join(limits.aggregate_protocols) or 'nothing'}",
        f"at least {limits.minimum_overlap:,} shared records, groups of {limits.minimum_group}; "
        f"sets of at most {limits.largest_set:,}; keys of {limits.key_bits} bits",
        f"trainings of a contract tell at most {limits.score_vectors} numbers a record; tags serve "
        f"later jobs for at most {limits.keep_tags_days} days and {limits.keep_tags_items:,} "
        "records",
        *_data(policy),
        f"sums that a training of columns opens: noise of {limits.train_noise:g} at least "
        f"from {MANY_ROWS:,} rows on; without noise {limits.sums_a_row:g} for each row at most",
        *_releases(policy),
        f"columns that nothing is said about: {policy.unlisted}",
        "rows are scored by "
        + (
            "models that this party's officers have released, others than who had them trained"
            if policy.models.released
            else "any model that is kept here, whether its maker alone has looked at it or others"
        ),
    ]
    lines += [_rule(rule, (over or {}).get(rule.name, "")) for rule in policy.rules] or [
        "no rule approves anything by itself"
    ]
    who = ", ".join(officers.users) or "whoever may write to the desk"
    lines.append(f"officers, while none is listed: {who}")
    lines.append(
        f"a proposal waits for {officers.wait_hours} hours; {officers.approvals} must approve it"
    )
    eyes = "another person than its proposer" if officers.four_eyes else "its proposer alone"
    lines.append(f"a job of this party's own is approved by {eyes}")
    return [*lines, *_direct(policy.direct)]


def _direct(direct: Direct) -> list[str]:
    """Which ways there are beside the hub."""
    hears = f"it is heard at {direct.listen}, told as {direct.advertise}" * bool(direct.advertise)
    calls = [f"it calls {peer} at {place}" for peer, place in direct.dial.items()]
    said = "; ".join([*[hears] * bool(hears), *calls])
    return [f"parties of a signed contract may be reached without the hub: {said}"] * direct.on


def doubts(policy: Policy, tables: Mapping[str, Table]) -> list[str]:
    """Sentences on what protects nothing or approves everything."""
    found = []
    for rule in policy.rules:
        if not (rule.parties and rule.purposes and rule.tables and rule.columns):
            missing = [
                name
                for name, value in (
                    ("from", rule.parties),
                    ("purposes", rule.purposes),
                    ("tables", rule.tables),
                    ("columns", rule.columns),
                )
                if not value
            ]
            found.append(f'rule "{rule.name}" says nothing of {", ".join(missing)}: any will do')
    if policy.releases.row_share >= 1:
        found.append("[releases] row_share: whole rows may be told")
    trusting = [name for name in policy.limits.protocols if _trusts(name)]
    found += [f"by {name} a party that lies can read the other's whole set" for name in trusting]
    adding = [name for name in policy.limits.aggregate_protocols if name in TRUSTING]
    found += [
        f"by {name} a receiver that lies reads single rows behind statistics" for name in adding
    ]
    if policy.unlisted != "never":
        found.append(f"columns that nothing is said about may be used as {policy.unlisted}")
    for name, table in tables.items():
        like = unmarked(table.about, table.permissions)
        if like and policy.data.get("bureau", ANY) != ANY:
            found.append(
                f"{name}: {', '.join(like)} may be credit-reporting data; tables.toml does not say "
                f'so ([{name}] data_class = "bureau")'
            )
    for name, columns in policy.columns.items():
        if name not in tables:
            found.append(f"[columns] {name}: no such table in tables.toml")
            continue
        try:
            known = tables[name].columns()
        except FedprofileError:
            found.append(f"[columns] {name}: the table does not open now")
            continue
        for column in columns:
            if column not in (*known, "*"):
                found.append(f"[columns] {name}: no column {column!r}")
    return found


def _classes(classes: tuple[str, ...]) -> str:
    return "" if classes == ANY else f" of class {' or '.join(classes) or 'none'}"


def _data(policy: Policy) -> list[str]:
    """What is asked of rows and their data before a table is read."""
    whose = {
        "none": "",
        "persons": "this party's rows about natural persons are in a job by a lawful basis only",
        "own": "this party's rows are in a job by a lawful basis only",
        "every": "every party's rows are in a job by a lawful basis only",
    }[policy.limits.basis]
    served = [
        f"{name} data serve {' or '.join(classes) or 'no'} purposes{' only' if classes else ''}"
        for name, classes in policy.data.items()
        if classes != ANY
    ]
    return [line for line in (whose, "; ".join(served)) if line]


def _releases(policy: Policy) -> list[str]:
    told, by = policy.releases, "each purpose" if policy.releases.purposes else "all purposes"
    noised = [e for e in (told.epsilon, told.epsilon_per_column) if e is not None]
    exact = ", and no exact ones" if told.epsilon is not None else ""
    rows = f"learns at most {told.row_share:.0%} of the bits that a row holds, and all but "
    rows += f"{told.row_left:g} of them"
    rows = rows if told.row_share < 1 else "may learn whole rows"
    return [
        f"in {told.keep_days} days one receiver {rows}, in the columns it asks for and in all "
        "together",
        f"of one column at most {told.releases_per_column} answers to one receiver, any two apart "
        f"by {told.minimum_difference} entities; {told.thresholds_per_column} distinct thresholds",
        f"noised answers on one column of epsilon {min(noised):g} together for {by}{exact}; tables "
        f"by a category of epsilon {policy.limits.largest_epsilon / 1000:g} at most",
        f"of a record's label of this party's one partner learns at most {told.label_bits:g} bits "
        "by the sums of one of its columns, in all trainings and binnings of that label",
    ]


def _trusts(protocol: str) -> bool:
    return protocol in PROTOCOLS and PROTOCOLS[protocol].trusting


def _any(names: tuple[str, ...], otherwise: str) -> str:
    return otherwise if names == ANY else " or ".join(names) or "nobody"


def _rule(rule: Rule, over: str) -> str:
    conditions = {
        "from": rule.parties,
        "for": rule.purposes,
        "of class": rule.purpose_classes,
        "on": rule.tables,
        "columns": rule.columns,
        "steps": rule.steps,
        "reveal": rule.reveal,
        "of series": rule.series,
    }
    said = "; ".join(f"{word} {', '.join(names)}" for word, names in conditions.items() if names)
    lasts = f"; {rule.lasts}" * bool(rule.lasts)
    own = "this party's own jobs that an analyst asks for; " * rule.own
    said = own + (said or "everything within the limits")
    if over:
        return f'rule "{rule.name}" approves no more: {over} ({said}{lasts})'
    return f'rule "{rule.name}" approves by itself: {said}{lasts}'
