"""Two accounts of one job, set against each other: do both parties tell the same story?

Every frame that one notes as sent must be noted by the other, with the same step, kind, size and
hash; every head that one keeps of the other must be the other's line; contract and disclosures of
common steps must be equal; and both must go on to the job's end.

What cannot be seen: what a party wrote after the last frame that it sent to anybody stands on its
own word, but for frames, contract and disclosures, which the other has lines of too. In a job that
came to its end that is the order and time of the last round's lines.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from federated.contract.disclosures import parties_of
from federated.ledger.account import Account, Finding, Line
from federated.text import plain

__all__ = ["compare"]

MOST = 3
"""Findings of one kind that are told one by one."""

_OWN = ("own_rows", "peer_items")
"""Counts of one side: rows of its own that have a key, items that came from the other."""

_FRAME = ("step", "message", "bytes", "sha256")


def compare(one: Account, other: Account) -> list[Finding]:
    """All in which two accounts differ; only what is wrong with one alone, if there is that.

    Each is checked against the key that the other had pinned for its owner.
    """
    pairs = ((one, other), (other, one))
    for mine, theirs in pairs:
        _check_pinned(mine, theirs)
    alone = [*one.findings, *other.findings]
    if alone:
        return alone
    if one.session != other.session:
        text = f"session {one.session.hex()[:8]}, but {other.file} is of {other.session.hex()[:8]}"
        return [Finding(one.file, 1, f"another job: {text}")]
    found: list[Finding] = []
    for mine, theirs in pairs:
        found += _heads(mine, theirs)
    for mine, theirs in pairs:
        found += _frames(mine, theirs)
    for mine, theirs in pairs:
        found += _missing(mine, theirs, "contract", _contract_text)
        found += _missing(mine, theirs, "disclosure", _disclosure_text)
        found += _ending(mine, theirs)
    return found


def _check_pinned(mine: Account, theirs: Account) -> None:
    """The other's ledger is signed by the key that this party had pinned for it."""
    if not mine.parties or not theirs.name:
        return  # one of them cannot be read
    key = mine.parties.get(theirs.name)
    if key is None:
        mine.note(1, f"{theirs.name} is not among the parties of this job")
    elif not theirs.owner.organisation:
        theirs.signed_by(key)
    elif key.organisation != theirs.owner.organisation:
        mine.note(1, f"it names another key of {theirs.name} than {theirs.file} is signed by")


def _heads(mine: Account, theirs: Account) -> Iterator[Finding]:
    """Every head that this party keeps of the other is the other's line of that number."""
    rewritten, cut = [], []
    for number, line in mine.of_kind("received", "farewell", "finished"):
        if line["kind"] == "finished":
            kept = line["body"]["heads"].get(theirs.name)
        else:
            kept = line["body"]["head"] if line["body"]["peer"] == theirs.name else None
        if kept is None:
            continue
        if kept[0] >= len(theirs.lines):
            cut.append((kept[0], number))
        elif theirs.lines[kept[0]]["hash"] != kept[1]:
            rewritten.append((kept[0], number))
    if rewritten:
        at, number = min(rewritten)
        yield Finding(
            theirs.file,
            at + 1,
            f"this or an earlier line was rewritten: it is not the one that {theirs.name} signed "
            f"during the job ({mine.file}, line {number}, keeps the signature)",
            put_back=True,
        )
    if cut:
        at, number = max(cut)
        yield Finding(
            theirs.file,
            len(theirs.lines) + 1,
            f"lines were cut off here: {theirs.name} had signed {at + 1} of them during the job "
            f"({mine.file}, line {number}, keeps the signature)",
            put_back=True,
        )


def _frames(mine: Account, theirs: Account) -> Iterator[Finding]:
    """What this party notes as sent to the other, beside what the other notes as received."""
    sent, come = _numbered(mine, "sent", theirs.name), _numbered(theirs, "received", mine.name)
    over = (mine.finished or theirs.finished) and mine.name not in theirs.unheard
    unsent = [come[number] for number in come.keys() - sent.keys()]
    lost = [sent[number] for number in sent.keys() - come.keys()]
    for number, line in _few(unsent):
        text = f"{_frame(line)} from {mine.name}, which {mine.file} does not note as sent"
        yield Finding(theirs.file, number, text)
    for number, line in _few(lost):
        text = f"{_frame(line)} to {theirs.name}, which {theirs.file} does not note as received"
        yield Finding(mine.file, number, text, open=not over)
    yield from _more(mine.file, unsent + lost)
    differing = [
        (sent[number], come[number])
        for number in sorted(sent.keys() & come.keys())
        if any(sent[number][1]["body"].get(k) != come[number][1]["body"].get(k) for k in _FRAME)
    ]
    for (number, line), (place, other) in differing[:MOST]:
        ways = [(key, line["body"].get(key), other["body"].get(key)) for key in _FRAME]
        words = [plain(f"{key} {a} here, {b} there") for key, a, b in ways if a != b]
        text = f"frame {line['body']['frame']} to {theirs.name} is another in {theirs.file}, line "
        yield Finding(mine.file, number, f"{text}{place}: {'; '.join(words)}")
    yield from _more(mine.file, [pair[0] for pair in differing])


def _numbered(account: Account, way: str, peer: str) -> dict[int, tuple[int, Line]]:
    lines = account.of_kind(way)
    return {line["body"]["frame"]: (n, line) for n, line in lines if line["body"]["peer"] == peer}


def _few(lines: list[tuple[int, Line]]) -> list[tuple[int, Line]]:
    return sorted(lines, key=lambda entry: entry[0])[:MOST]


def _more(file: str, lines: list[tuple[int, Line]]) -> Iterator[Finding]:
    if len(lines) > MOST:
        last = max(number for number, _ in lines)
        yield Finding(file, last, f"and {len(lines) - MOST} more frames like these up to here")


def _missing(
    mine: Account, theirs: Account, kind: str, words: Callable[[Line], str]
) -> Iterator[Finding]:
    """Lines of a kind that both must have, and only this party has."""
    others = [line["body"] for _, line in theirs.of_kind(kind)]
    spelled = {_spelled(body) for body in others}
    for number, line in mine.of_kind(kind):
        body = line["body"]
        if kind == "disclosure" and not _concerns(mine, theirs, str(body.get("step"))):
            continue
        if _spelled(body) in spelled or any(_agree(body, other) for other in others):
            continue
        otherwise = any(_same_thing(kind, body, other) for other in others)
        verb = "notes otherwise" if otherwise else "does not note"
        unfinished = not theirs.finished and not otherwise
        text = f"{words(line)}, which {theirs.file} {verb}"
        yield Finding(mine.file, number, text, open=unfinished)


def _concerns(mine: Account, theirs: Account, step: str) -> bool:
    """Whether both take part in a step, by the contract that either holds."""
    contract = mine.contract or theirs.contract
    return contract is not None and {mine.name, theirs.name} <= parties_of(contract, step)


def _agree(one: Line, other: Line) -> bool:
    """Equal but for what each counts for itself, and counts hidden from one of the two (-1)."""
    return one.keys() == other.keys() and all(
        one[key] == other[key]
        or key in _OWN
        or (type(one[key]) is int and -1 in (one[key], other[key]))
        for key in one
    )


def _same_thing(kind: str, one: Line, other: Line) -> bool:
    keys = ("step", "to", "learns") if kind == "disclosure" else ()
    return all(one.get(key) == other.get(key) for key in keys)


def _ending(mine: Account, theirs: Account) -> Iterator[Finding]:
    if mine.finished and not theirs.finished:
        text = f"the account breaks off here, {mine.file} goes on to the job's end"
        yield Finding(theirs.file, len(theirs.lines) + 1, text)


def _spelled(body: Line) -> str:
    return json.dumps(body, sort_keys=True)


def _frame(line: Line) -> str:
    body = line["body"]
    text = f"{body.get('step')}: {body.get('message')} of {body.get('bytes')} bytes"
    return f"frame {body['frame']} ({plain(text)})"


def _contract_text(line: Line) -> str:
    return f"contract {str(line['body'].get('digest'))[:16]}"


def _disclosure_text(line: Line) -> str:
    body = line["body"]
    counts = [f"{key} {value}" for key, value in body.items() if type(value) is int]
    what = f"{body.get('step')}: {body.get('to')} learns {body.get('learns')}"
    return plain(f"{what} ({', '.join(counts)})", 300)
