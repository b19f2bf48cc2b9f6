"""A rehearsal as lines for an officer, and as plain data for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from federated.approval.policy import Policy
from federated.rehearsal.contents import holds
from federated.rehearsal.run import Exchange, Rehearsal
from federated.text import plain, sized

__all__ = ["in_lines", "plain_data"]

_UNLIKE = (
    "the other parties' rows are invented: how many records are really shared, and every sum, "
    "coefficient and score, is another",
    "this party's officer and its counts of jobs a day were not asked, nor the other parties' "
    "policies; its limits of releases were, as if nothing had been told before this job",
    "no hub was there: a call with all parties' names and public keys goes through it before, and "
    "reports of progress (names of steps, shares done) beside the messages",
)


def in_lines(found: Rehearsal, policy: Policy) -> list[str]:
    """What to read before deciding.

    Args:
        found: a rehearsal.
        policy: this party's policy: what it allows.
    """
    contract = found.contract
    lines = [
        f'Rehearsal of "{plain(contract.job)}" for "{plain(contract.purpose)}", at {found.me}',
        f"  real: {_table(found)}, its policy, every step and message",
        f"  invented: {_others(found)}",
        "  nothing has left this machine, and nothing is kept of it",
        "",
        f"Policy: {_answer(found, policy)}",
    ]
    told = list[str]()
    for step in dict.fromkeys(entry.step for entry in found.messages):
        lines += ["", step]
        lines += [_line(entry) for entry in found.messages if entry.step == step]
        learns = [line for line in _learned(found, step) if line not in told]
        told += learns
        lines += learns
    lines += [
        "",
        f"In all {sized(found.amount('sent'))} would leave and {sized(found.amount('received'))} "
        f"come in, and {sized(found.around)} of handshakes and envelopes; all of it is sealed",
        f"Ended {'early: ' + found.ended if found.ended else 'after its last step'}, in "
        f"{found.seconds:.1f} s with all parties on this machine",
        "",
        "What is not like the real run",
        *(f"  {text}" for text in _unlike(found)),
    ]
    return [" " * (len(line) - len(line.lstrip())) + plain(line, 2000) for line in lines]


def plain_data(found: Rehearsal, policy: Policy) -> dict[str, Any]:
    """The same for programs.

    Args:
        found: a rehearsal.
        policy: this party's policy: what it allows.
    """
    contract = found.contract
    return {
        "job": contract.job,
        "purpose": contract.purpose,
        "party": found.me,
        "rows": found.rows,
        "rows_of_table": found.of,
        "invented_rows": found.others,
        "invented_overlap": found.shared,
        "policy": _answer(found, policy),
        "ended": found.ended,
        "seconds": round(found.seconds, 3),
        "bytes_around": found.around,
        "messages": [
            asdict(entry) | {"holds": holds(entry.step, entry.message)} for entry in found.messages
        ],
        "learned": [asdict(entry) for entry in contract.disclosures],
        "unlike_the_real_run": _unlike(found),
    }


def _unlike(found: Rehearsal) -> list[str]:
    """What an officer must not take from it."""
    lines = list(_UNLIKE)
    if found.rows < found.of:
        lines.append(
            f"only {found.rows:,} of {found.of:,} rows were taken, spread evenly: sizes and times "
            "grow with the rows, and limits that depend on them may decide otherwise (--rows 0 "
            "takes all)"
        )
    if found.either:
        lines.append(
            "the draft leaves the protocol of set intersection open: large sets may be matched by "
            "the other one, with other messages"
        )
    if found.contract.score:
        lines.append(
            "this party's parts of models are real, the others' are invented: a hash of theirs is "
            "another, and so is how many splits of trees stand on a level, but not on how many"
        )
    return lines


def _answer(found: Rehearsal, policy: Policy) -> str:
    """What this party's policy says of the contract, as far as the rehearsal came."""
    contract, me = found.contract, found.contract.party(found.me)
    if found.refused:
        return f"refuses: {found.refused}"
    if contract.proposer == found.me:
        eyes = "another user's word" if policy.officers.four_eyes else "nobody else's word"
        return f"allows it; as this party's own proposal it needs {eyes}"
    rule = policy.rule(contract, me, found.named)
    if rule is not None:
        lasts = f" ({rule.lasts})" * bool(rule.lasts)
        return f'allows it, and the rule "{rule.name}" approves it without an officer{lasts}'
    return "allows it; it waits for an officer"


def _table(found: Rehearsal) -> str:
    table = found.contract.party(found.me).table
    if found.rows == found.of:
        return f"all {found.rows:,} rows of {table}"
    return f"{found.rows:,} of the {found.of:,} rows of {table}"


def _others(found: Rehearsal) -> str:
    listed = ", ".join(f"{name} with {rows:,} rows" for name, rows in found.others.items())
    if not found.shared:
        return f"{listed}; every figure of theirs is made up"
    return f"{listed}, {found.shared:,} of them with keys of this party's rows, so that some match"


def _line(entry: Exchange) -> str:
    way = f"to {entry.peer}" if entry.way == "sent" else f"from {entry.peer}"
    times = f"{entry.count} messages" if entry.count > 1 else "1 message"
    return f"  {way}: {holds(entry.step, entry.message)} ({times}, {sized(entry.bytes)})"


def _learned(found: Rehearsal, step: str) -> list[str]:
    """The contract's sentences on what a step tells by design."""
    kind, *rest = step.split("/")
    names = {kind, *(f"{kind} {part}" for part in (*rest, "/".join(rest)))}
    return [
        f"  so {entry.to} learns {entry.learns}  [{entry.line}]"
        for entry in found.contract.disclosures
        if entry.step in names
    ]
