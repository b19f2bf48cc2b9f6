from __future__ import annotations

import json
from pathlib import Path

import pytest

from federated.party.files import write_atomic
from federated.party.identity_file import read_identity, write_identity
from federated.party.keys import PartyKeys
from federated.party.ledger import Ledger, check_head, read_ledger, verify_ledger
from psi.protocol import EnvironmentFailed, InputError, PeerError

KEYS = PartyKeys.generate("bank")


def ledger(path: Path, lines: int = 5) -> Ledger:
    made = Ledger(path, KEYS, lambda: 1.0)
    for number in range(lines):
        made.write("sent", step="align", peer="bureau", bytes=number)
    return made


def test_a_ledger_verifies_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger(path).close()
    ledger(path, 2).close()
    assert verify_ledger(path, KEYS.identity) == 7
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("how", ["drop", "alter", "swap", "resign"])
def test_any_change_is_found(tmp_path: Path, number: int, how: str) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger(path, 6).close()
    lines = path.read_text().splitlines()
    if how == "drop":
        del lines[number]
    elif how == "swap":
        lines[number], lines[number + 1] = lines[number + 1], lines[number]
    else:
        line = json.loads(lines[number])
        line["body"]["bytes"] = 99
        if how == "resign":
            line["signature"] = PartyKeys.generate("bank").sign_organisation(b"x").hex()
        lines[number] = json.dumps(line)
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=r"ledger\.jsonl, line"):
        verify_ledger(path, KEYS.identity)


def test_heads_are_signed(tmp_path: Path) -> None:
    head = ledger(tmp_path / "l").head()
    check_head(head, KEYS.identity)
    with pytest.raises(PeerError):
        check_head(head, PartyKeys.generate("bank").identity)


def test_lines_read_back(tmp_path: Path) -> None:
    ledger(tmp_path / "l", 2).close()
    assert [line["body"]["bytes"] for line in read_ledger(tmp_path / "l")] == [0, 1]
    (tmp_path / "l").write_text("nonsense\n")
    with pytest.raises(InputError, match="line 1: not a ledger line"):
        read_ledger(tmp_path / "l")


def test_an_identity_file_round_trips_and_notices_changes(tmp_path: Path) -> None:
    path = tmp_path / "identity.json"
    write_identity(path, KEYS.identity)
    assert read_identity(path) == KEYS.identity
    path.write_text(path.read_text().replace('"bank"', '"bonk"'))
    with pytest.raises(InputError, match="altered"):
        read_identity(path)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: object) -> None:
    path = tmp_path / "out"
    write_atomic(path, "old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)  # type: ignore[attr-defined]
    with pytest.raises(EnvironmentFailed, match="cannot write out: No space left"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
