from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federated.keys.party_keys import PartyKeys
from federated.ledger.lines import Ledger
from federated.session.journal import AT_ONCE, Journal
from federated.session.sealing import SealedFrame
from federated.store.files import write_atomic
from federated.store.records import pack, unpack
from federated.store.vault import Vault
from psi.protocol import EnvironmentFailed, InputError, MisuseError, encode

SESSION = b"s" * 32
KEYS = PartyKeys.generate("bank")
POINTS = ("point", "point-2")


@dataclass(frozen=True)
class Result:
    rows: np.ndarray
    name: str
    parts: tuple[float, ...]


KNOWN = {"Result": Result}


def journal(home: Path) -> Journal:
    return Journal(home, SESSION, secrets.token_bytes, KNOWN)


def test_a_point_holds_results_frames_and_values(tmp_path: Path) -> None:
    first = journal(tmp_path)
    first.keep("salt", b"planted salt")
    first.log("bureau", b"frame 0")
    first.finish("align", Result(np.arange(3), "x", (0.5, float("nan"))))
    first.save("", b"", bytes(32), {"bureau": b"planted keys"})
    first.log("bureau", b"frame 1")
    first.save("train", b"planted role", bytes(32), {"bureau": b"keys"})
    first.log("bureau", b"never sent")
    first.close()
    again = journal(tmp_path)
    assert again.point is not None
    assert (again.point.step, again.point.role) == ("train", b"planted role")
    found = again.result("align")
    assert found.rows.tolist() == [0, 1, 2]
    assert found.parts[0] == 0.5
    assert np.isnan(found.parts[1])
    with pytest.raises(LookupError):
        again.result("train")
    assert list(again.frames("bureau", 0)) == [b"frame 0", b"frame 1"]
    assert list(again.frames("bureau", 1)) == [b"frame 1"]
    again.log("bureau", b"frame 2")
    again.save("train", b"role", bytes(32), {})
    assert list(again.frames("bureau", 2)) == [b"frame 2"]
    assert again.kept("salt") == b"planted salt"
    for path in (tmp_path / "journal").iterdir():
        assert b"planted" not in path.read_bytes()
    again.destroy()
    assert not (tmp_path / "journal").exists()


class Job:
    """A party's ledger and journal, two points old: a frame went at each."""

    def __init__(self, home: Path) -> None:
        self.home, self.folder = home, home / "journal"
        with self.opened() as begun:
            for number in range(2):
                begun.ledger_line(number)
                begun.log("bureau", b"frame %d" % number)
                begun.save("train", b"role %d" % number, bytes(32), {})

    @contextlib.contextmanager
    def opened(self) -> Iterator[Held]:
        ledger = Ledger(self.home / "ledger.jsonl", KEYS, lambda: 1.0, SESSION, {})
        held = Held(self.home, SESSION, secrets.token_bytes, KNOWN, ledger)
        try:
            yield held
        finally:
            held.close()
            ledger.close()

    def role(self) -> bytes | None:
        """Where it goes on."""
        with self.opened() as found:
            return found.point.role if found.point else None

    def newer(self) -> Path:
        return max(
            (self.folder / name for name in POINTS), key=lambda file: file.stat().st_mtime_ns
        )


class Held(Journal):
    def ledger_line(self, number: int) -> None:
        assert self._ledger is not None
        self._ledger.write("reserved", step="train", columns=[str(number)])


def test_where_the_newest_point_was_not_all_written_the_one_before_counts(tmp_path: Path) -> None:
    """Its frames were not sent: a power failure came before point, frames and ledger were there."""

    def torn(job: Job) -> None:
        os.truncate(job.newer(), job.newer().stat().st_size - 1)

    def blank(job: Job) -> None:
        job.newer().write_bytes(job.newer().read_bytes()[:48] + bytes(job.newer().stat().st_size))

    def zeros(job: Job) -> None:
        job.newer().write_bytes(bytes(job.newer().stat().st_size))

    def no_line(job: Job) -> None:
        file = job.home / "ledger.jsonl"
        file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-1]))

    def no_frame(job: Job) -> None:
        os.truncate(job.folder / "sent-bureau", 8 + 7)

    def other_frame(job: Job) -> None:
        log = job.folder / "sent-bureau"
        log.write_bytes(log.read_bytes()[:-1] + b"?")

    for number, lost in enumerate((torn, blank, zeros, no_line, no_frame, other_frame)):
        job = Job(tmp_path / str(number))
        assert job.role() == b"role 1"
        lost(job)
        with job.opened() as again:
            assert again.point is not None
            assert again.point.role == b"role 0", lost.__name__
            assert list(again.frames("bureau", 0)) == [b"frame 0"]
            again.log("bureau", b"frame 1 anew")
            again.save("train", b"role 1 anew", bytes(32), {})
        assert job.role() == b"role 1 anew"


def sealed(number: int, size: int) -> SealedFrame:
    return SealedFrame(
        session=SESSION, step="train", sender="bank", receiver="bureau", sequence=number,
        counter=number, sealed=secrets.token_bytes(size), head=b"head",
    )  # fmt: skip


def test_after_frames_that_no_turn_waited_for_no_earlier_point_counts(tmp_path: Path) -> None:
    """They may have been sent: under their numbers nothing else may be sealed, in no turn."""

    def torn(log: Path, at: int) -> None:
        os.truncate(log, at)

    def zeros(log: Path, at: int) -> None:
        data = log.read_bytes()
        log.write_bytes(data[:at] + bytes(len(data) - at))

    def hole(log: Path, at: int) -> None:
        data = log.read_bytes()
        log.write_bytes(data[: at + 500] + bytes(100) + data[at + 600 :])

    for number, lost in enumerate((torn, zeros, hole)):
        job = Job(tmp_path / str(number))
        log = job.folder / "sent-bureau"
        at = log.stat().st_size
        with job.opened() as begun:
            for turn, size in ((2, AT_ONCE + 1), (3, 10)):  # nor for what comes after them
                begun.ledger_line(turn)
                frame = sealed(turn, size)
                begun.log("bureau", encode(frame), frame)
                begun.save("train", b"role %d" % turn, bytes(32), {})
        assert job.role() == b"role 3"
        lost(log, at)
        for _ in range(2):
            with pytest.raises(InputError, match="since the machine failed"):
                job.role()


def test_a_kill_loses_nothing_of_frames_that_no_turn_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes back has the disk keep them, and then waits for small ones again."""
    job, synced = Job(tmp_path), list[str]()
    real = os.fdatasync

    def note(handle: int) -> None:
        real(handle)
        synced.append(Path(f"/proc/self/fd/{handle}").readlink().name)

    monkeypatch.setattr(os, "fdatasync", note)
    frames = [sealed(2, AT_ONCE + 1), sealed(3, 10), sealed(4, 10)]
    for turn in (2, 3):
        with job.opened() as held:
            assert synced.count("sent-bureau") == 1
            held.ledger_line(turn)
            held.log("bureau", encode(frames[turn - 2]), frames[turn - 2])
            synced.clear()
            held.save("train", b"role %d" % turn, bytes(32), {})
            assert ("sent-bureau" in synced) == (turn == 3)
            synced.clear()
    with job.opened() as held:
        assert list(held.frames("bureau", 2)) == [encode(each) for each in frames[:2]]
        held.ledger_line(4)
        held.log("bureau", encode(frames[2]), frames[2])
        held.save("train", b"role 4", bytes(32), {})
    # one that was waited for and is not there was not sent
    log = job.folder / "sent-bureau"
    os.truncate(log, log.stat().st_size - 1)
    assert job.role() == b"role 3"


def test_a_point_whose_ledger_is_gone_is_no_point_to_go_on_from(tmp_path: Path) -> None:
    job = Job(tmp_path)
    file = tmp_path / "ledger.jsonl"
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:1]))
    with pytest.raises(InputError, match="what it stands on is missing"):
        job.role()


def test_frames_that_no_point_counts_are_not_sent_again(tmp_path: Path) -> None:
    first = journal(tmp_path)
    first.save("", b"", bytes(32), {})
    first.log("bureau", b"killed before its point")
    first.close()
    again = journal(tmp_path)
    again.log("bureau", b"frame 0")
    again.save("train", b"role", bytes(32), {})
    assert list(journal(tmp_path).frames("bureau", 0)) == [b"frame 0"]


def test_a_point_is_on_the_disk_with_all_it_stands_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before what it says is sent. Files that are there already are neither made nor renamed."""
    job = Job(tmp_path)
    synced = set[str]()

    def note(real: Callable[[int], None]) -> Callable[[int], None]:
        def sync(handle: int) -> None:
            real(handle)
            synced.add(Path(f"/proc/self/fd/{handle}").readlink().name)

        return sync

    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, note(getattr(os, name)))
    with job.opened() as again:
        for number in range(2, 4):
            again.ledger_line(number)
            again.log("bureau", b"frame %d" % number)
            point = ("point", "point-2")[again.point is not None and (again.point.turn + 1) % 2]
            synced.clear()
            again.save("train", b"role %d" % number, bytes(32), {})
            assert synced == {point, "sent-bureau", "ledger.jsonl"}


def test_what_replaces_a_file_stays_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that was not synced comes back as it was: a book of releases forgot an answer."""
    synced = list[tuple[str, bytes]]()
    sync = os.fsync

    def note(handle: int) -> None:
        sync(handle)
        place = Path(f"/proc/self/fd/{handle}").readlink()
        synced.append((place.name, (tmp_path / "book").read_bytes()))

    write_atomic(tmp_path / "book", b"old")
    monkeypatch.setattr(os, "fsync", note)
    write_atomic(tmp_path / "book", b"new")
    assert synced[-1] == (tmp_path.name, b"new")


def test_a_result_after_the_last_point_is_made_again(tmp_path: Path) -> None:
    first = journal(tmp_path)
    first.save("align", b"role", bytes(32), {})
    first.finish("align", True)
    with pytest.raises(LookupError):
        journal(tmp_path).result("align")


def test_altered_files_and_other_sessions_do_not_open(tmp_path: Path) -> None:
    journal(tmp_path).save("align", b"role", bytes(32), {})
    with pytest.raises(InputError, match="altered"):
        Journal(tmp_path, b"t" * 32, secrets.token_bytes, KNOWN)
    (tmp_path / "journal" / "key").chmod(0o644)
    with pytest.raises(EnvironmentFailed, match="can be read by others"):
        journal(tmp_path)


def test_vault_files_are_bound(tmp_path: Path) -> None:
    vault = Vault(tmp_path, "key", b"label", secrets.token_bytes)
    vault.write("file", b"data", b"contract a")
    assert vault.read("file", b"contract a") == b"data"
    with pytest.raises(InputError):
        vault.read("file", b"contract b")
    with pytest.raises(InputError):
        Vault(tmp_path, "key", b"other label", secrets.token_bytes).read("file", b"contract a")
    vault.destroy()
    with pytest.raises(InputError):
        vault.read("file", b"contract a")


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    | st.lists(inner, max_size=3).map(tuple),
    max_leaves=12,
)  # fmt: skip


@given(plain)
def test_records_round_trip(value: Any) -> None:
    found = unpack(pack(value, KNOWN), KNOWN)
    assert found == value
    assert type(found) is type(value)


@given(st.binary(max_size=60))
def test_no_bytes_make_a_record_fail_otherwise(data: bytes) -> None:
    with contextlib.suppress(InputError):
        unpack(data, KNOWN)


def test_only_known_classes_are_kept() -> None:
    class Stranger:
        pass

    with pytest.raises(MisuseError, match="Stranger cannot be kept"):
        pack(Stranger(), KNOWN)
    with pytest.raises(MisuseError, match="cannot be kept"):
        pack(np.array([object()]), KNOWN)
