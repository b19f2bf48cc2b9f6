from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from federated.cli import ledger_views
from federated.contract.terms import VERSION, signing_bytes
from federated.keys.identity_file import read_identity, write_identity
from federated.keys.party_keys import PartyKeys
from federated.ledger import lines
from federated.ledger.account import verify_ledger
from federated.ledger.lines import Head, Ledger, check_head, read_ledger
from federated.store.files import write_atomic
from federated.store.plain import canonical
from psi.protocol import EnvironmentFailed, InputError, MisuseError, PeerError

KEYS = PartyKeys.generate("bank")
SESSION = bytes(range(32))


def ledger(path: Path, count: int = 5) -> Ledger:
    made = Ledger(path, KEYS, lambda: 1.0, SESSION, {"bank": KEYS.identity})
    for number in range(count):
        made.write("round", step="train", message="sums", bytes=number)
    return made


def test_a_ledger_verifies_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger(path).close()
    ledger(path, 2).close()
    assert verify_ledger(path, KEYS.identity) == 8
    assert path.stat().st_mode & 0o777 == 0o600


def test_lines_without_salt_of_an_earlier_version_are_read_and_go_on(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "FORMAT", 2)
        append, last = Ledger._append, lines.START

        def unsalted(self: Ledger, data: bytes) -> None:
            nonlocal last
            line = {k: v for k, v in json.loads(data).items() if k not in ("salt", "signature")}
            line["previous"], line["hash"] = last, ""
            last = line["hash"] = lines.line_digest(line)
            head = lines._signed(SESSION, Head(line["number"], last, ""))
            line["signature"] = KEYS.sign_organisation(head).hex()
            append(self, lines._text(line).encode() + b"\n")

        patch.setattr(Ledger, "_append", unsalted)
        ledger(path, 2).close()
    assert all("salt" not in line for line in read_ledger(path))
    ledger(path, 2).close()
    assert verify_ledger(path, KEYS.identity) == 5
    assert len({line["salt"] for line in read_ledger(path)[3:]}) == 2


@pytest.mark.parametrize("spoilt", ["", "terms", "signature"])
def test_a_contract_of_another_version_is_held_by_its_bytes(tmp_path: Path, spoilt: str) -> None:
    """Its fields are not known here; what everybody has signed is."""
    path, terms = tmp_path / "ledger.jsonl", {"version": VERSION - 1, "gone": "a field"}
    data = canonical(terms)
    signed = KEYS.sign_organisation(signing_bytes(data + b" " * (spoilt == "signature")))
    said = terms | ({"gone": "altered"} if spoilt == "terms" else {})
    made = ledger(path, 1)
    made.write(
        "contract",
        terms=said,
        digest=hashlib.sha256(data).hexdigest(),
        signatures={"bank": signed.hex()},
    )
    made.close()
    if spoilt:
        with pytest.raises(
            InputError, match=r"the contract does not hold: (its hash|contract: not)"
        ):
            verify_ledger(path, KEYS.identity)
        return
    told = list[str]()
    assert ledger_views.verify(path, KEYS.identity, None, told.append) == 0
    assert f"of version {VERSION - 1}, {VERSION} is read here: its signatures hold" in told[-1]


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("how", ["drop", "alter", "swap", "resign"])
def test_any_change_is_found(tmp_path: Path, number: int, how: str) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger(path, 5).close()
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
    check_head(head, KEYS.identity, SESSION)
    assert Head.from_bytes(head.to_bytes()) == head
    with pytest.raises(PeerError):
        check_head(head, PartyKeys.generate("bank").identity, SESSION)
    with pytest.raises(PeerError):
        check_head(head, KEYS.identity, bytes(32))
    for wrong in (replace(head, number=head.number + 1), replace(head, digest="00" * 32)):
        with pytest.raises(PeerError):
            check_head(wrong, KEYS.identity, SESSION)
    for data in (b"", head.to_bytes()[:-1], head.to_bytes() + b"x"):
        with pytest.raises(PeerError, match="bytes found, 104 expected"):
            Head.from_bytes(data)


def test_lines_read_back(tmp_path: Path) -> None:
    ledger(tmp_path / "l", 2).close()
    assert [line["body"].get("bytes") for line in read_ledger(tmp_path / "l")] == [None, 0, 1]
    (tmp_path / "l").write_text("nonsense\n")
    with pytest.raises(InputError, match="line 1: not a ledger line"):
        read_ledger(tmp_path / "l")


def test_a_half_written_last_line_is_cut_off_and_an_altered_one_is_not_continued(
    tmp_path: Path,
) -> None:
    path = tmp_path / "l"
    ledger(path, 3).close()
    with path.open("a") as file:
        file.write('{"body":{"by')
    with pytest.raises(InputError, match="line 5: the line breaks off"):
        read_ledger(path)
    ledger(path, 1).close()
    assert verify_ledger(path, KEYS.identity) == 5
    path.write_text(path.read_text().replace('"bytes":1', '"bytes":7'))
    with pytest.raises(InputError, match="line 3: the line was altered"):
        ledger(path)


def test_a_ledger_is_of_one_session(tmp_path: Path) -> None:
    ledger(tmp_path / "l").close()
    with pytest.raises(InputError, match="of another session"):
        Ledger(tmp_path / "l", KEYS, lambda: 1.0, bytes(32), {})


def test_a_party_that_comes_back_notes_facts_and_frames_once(tmp_path: Path) -> None:
    path, head = tmp_path / "l", Head(3, "ab" * 32, "cd" * 64)
    for _ in range(2):
        book = ledger(path, 0)
        book.once("disclosure", step="align bureau", matched=3)
        for number in range(2):
            book.frame("sent", "bureau", number, sha256="", step="align", bytes=5)
            book.frame("received", "bureau", number, sha256="", step="align", head=head.plain())
        assert book.frames == {("sent", "bureau"): 2, ("received", "bureau"): 2}
        assert book.heads == {"bureau": head}
        book.close()
    kinds = [line["kind"] for line in read_ledger(path)]
    assert kinds == ["opened", "disclosure", *["sent", "received"] * 2]


def test_a_full_disk_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = ledger(tmp_path / "l", 2)
    write = os.write
    monkeypatch.setattr("os.write", lambda file, data: write(file, data[:20]))
    with pytest.raises(EnvironmentFailed, match="/l: No space left"):
        book.write("ended", error="x")
    monkeypatch.undo()
    book.write("ended", error="y")
    book.close()
    assert verify_ledger(tmp_path / "l", KEYS.identity) == 4


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
    with pytest.raises(EnvironmentFailed, match=r"cannot write .*/out: No space left"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_ledger_is_written_by_one_life_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes that play one job would use numbers of sealed frames twice."""
    monkeypatch.setattr(lines, "HELD_WITHIN", 0.1)
    book = ledger(tmp_path / "l", 1)
    with pytest.raises(MisuseError, match="another process writes this ledger"):
        ledger(tmp_path / "l", 1)
    holds = (
        "import fcntl, sys, time; f = open(sys.argv[1]); fcntl.flock(f, 2); print(1, flush=True)"
    )
    book.close()
    words = [sys.executable, "-c", f"{holds}; time.sleep(60)", str(tmp_path / "l")]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(MisuseError, match="another process writes this ledger"):
            ledger(tmp_path / "l", 1)
        other.kill()
    monkeypatch.setattr(lines, "HELD_WITHIN", 5.0)
    ledger(tmp_path / "l", 1).close()  # one that was killed has let go
