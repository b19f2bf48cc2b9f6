"""A partner holds the heads of an account: what stands in a line between two of them, it may try.

It knows all of such a line but a small number: how many rows of the other party have no lawful
basis, or a count in the reason why its guard has refused.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from federated.keys.party_keys import PartyKeys
from federated.ledger.lines import Ledger, read_ledger

KEYS = PartyKeys.generate("bank")
LEFT_OUT = {"no consent": 0, "withdrawn": 37}


def tried(line: dict[str, Any], before: str, after: str) -> list[int]:
    """Which counts make the line whose hash is told, by all else that is in it."""
    found = []
    for count in range(200):
        body = {"table": "people", "rows": 1000, "left_out": {**LEFT_OUT, "withdrawn": count}}
        guess = {**line, "body": body, "previous": before}
        guess = {key: guess[key] for key in sorted(guess) if key not in ("hash", "signature")}
        text = json.dumps(guess, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        if hashlib.sha256(text.encode()).hexdigest() == after:
            found.append(count)
    return found


def test_a_partner_finds_no_count_between_two_heads(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path, KEYS, lambda: 1.0, bytes(32), {"bank": KEYS.identity})
    before = ledger.head().digest
    ledger.write("admitted", table="people", rows=1000, left_out=LEFT_OUT)
    after = ledger.head().digest
    ledger.close()
    line = read_ledger(path)[-1]
    assert tried(line, before, after) == [37]  # it is this very hash: who has the salt finds it
    public = {key: line[key] for key in ("number", "time", "party", "kind")}
    assert tried(public, before, after) == []
    for salt in (bytes(16), bytes.fromhex(read_ledger(path)[0]["salt"])):
        assert tried({**public, "salt": salt.hex()}, before, after) == []
