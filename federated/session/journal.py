"""What a killed party needs to go on: where it stands, finished results, and what it sent.

    journal/point, point-2   the step it is in, the role at rest, its channels: before every send
    journal/result-N         the result of the Nth finished step
    journal/value-NAME       what was made outside of roles: keys, salts
    journal/sent-PEER        every frame that went to a peer, as it went
    journal/spool-…/         large arrays of the present step
    journal/ahead            frames that came before their step, sealed by their senders
    journal/table-…          the job's own copy of the tables (see `kept_tables`)

All but the frames, which are sealed for their peers already, is sealed under a key of this
party's own (0600). A point counts the results and bytes of frames that it stands on, and the lines
of the ledger; what a kill left beyond it is redone. Point, frames and ledger go to the disk at once
and before anything is sent: where a power failure came among them, and the newer point stands on
what is not there, the one before counts, for nothing was sent from the newer.

Only where frames are many megabytes does nobody wait for the disk to have them (`AT_ONCE`): a job
would take as long as the disk, and most journals are gone before they need to be written. A kill
loses nothing of them. After a power failure they may be missing, as large arrays may. Frames may
have been sent from that point all the same, so no earlier one counts in its place: the job ends.
The folder is removed, key first, at the job's end.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from federated.ledger.lines import Ledger
from federated.session.over import abandon, goes_on, halt, why_over
from federated.session.reached import PutBack, Reached
from federated.session.sealing import SealedFrame
from federated.session.shelf import Shelf
from federated.store.files import (
    disk_failed,
    make_folder,
    of_another_version,
    private_file,
    sync_folder,
)
from federated.store.records import pack, unpack
from federated.store.slots import Slots
from federated.store.spool import Spool
from federated.store.syncing import Syncing
from federated.store.vault import Vault
from psi.protocol import (
    InputError,
    Length,
    PeerError,
    Random,
    Range,
    Text,
    decode,
    encode,
    message,
)
from psi.protocol.codec import peek

__all__ = [
    "ANEW",
    "AT_ONCE",
    "CONTRACT",
    "DRAFT",
    "ENDED",
    "HANDSHAKE",
    "Journal",
    "Point",
    "abandon",
    "can_begin",
    "can_resume",
    "has_signed",
    "left_value",
    "signed_contract",
    "stop_file",
    "sweep",
    "was_interrupted",
]

CONTRACT = "contract"
"""The value that holds the signed contract's bytes."""

DRAFT = "draft"
"""The value that holds the draft of a party that proposes."""

ENDED = "ended"
"""The mark of a job whose last step is done."""

HANDSHAKE = "handshake-"
"""Begins the names of the values that hold a handshake each."""

ANEW = "stop the job and have it proposed anew"
"""What to do where a party cannot go on from what it keeps."""

AT_ONCE = 1 << 20
"""Bytes of frames to one peer that a turn waits for the disk to have."""

_POINTS = ("point", "point-2")
_SENT = "sent-"
_SIZE = 8


@dataclass(frozen=True)
class Tail:
    """Frames at the end of a log since the last point that waited for the disk to have all of it.

    `size` in bytes; `names` is a hash of what stands for them; `waited`: whether this point did.
    """

    size: Annotated[int, Range(0, 2**50)]
    names: Annotated[bytes, Length(32)]
    waited: bool


@message(0xA8)
@dataclass(frozen=True, kw_only=True)
class Point:
    """A party at rest: finished steps, the present one ("": none) with its role, the channels.

    `turn` counts points. `frames[peer]` counts the bytes of the log of frames to that peer, of
    which `tails[peer]` are the last. `head` is the hash of the ledger's last line, `lines` their
    number.
    """

    turn: Annotated[int, Range(1, 2**50)]
    lines: Annotated[int, Range(0, 2**50)]
    head: Annotated[str, Text(64)]
    finished: Annotated[int, Range(0, 1 << 20)]
    step: Annotated[str, Text(128)]
    role: Annotated[bytes, Length(1 << 31)]
    contract: Annotated[bytes, Length(32)]
    channels: Annotated[dict[str, Annotated[bytes, Length(1 << 28)]], Length(64)]
    frames: Annotated[dict[str, Annotated[int, Range(0, 2**50)]], Length(64)]
    tails: Annotated[dict[str, Tail], Length(64)]

    def __repr__(self) -> str:
        return f"<point at {self.step or 'rest'} after {self.finished} steps>"


class Journal:
    """One party's journal of one job, in `home/journal`, beside its ledger of it, if it has one.

    `reached` notes outside of `home` how far the job has come; None where `home` is all there is.
    Raises `EnvironmentFailed` where the journal stands before that.
    """

    def __init__(
        self,
        home: Path,
        session: bytes,
        random: Random,
        classes: Mapping[str, type],
        ledger: Ledger | None = None,
        reached: Reached | None = None,
    ) -> None:
        self.folder = home / "journal"
        self._random, self._classes, self._ledger = random, classes, ledger
        self._vault = _vault(home, session, random)
        self._slots, self._syncing = Slots(self.folder, _POINTS, self._vault), Syncing()
        self._fresh: dict[str, Any] = {}
        self._logs: dict[str, Any] = {}
        self._ends: dict[str, int] = {}
        self._firm: dict[str, int] = {}
        self._spools: list[Spool] = []
        self._shelves: list[Shelf] = []
        self._steps: list[str] = []
        self._reached = reached
        self.point = self._last_point()
        if reached is not None:
            if (self.folder / "key").exists():
                reached.check(self.point.turn if self.point else 0)
            else:
                reached.begin()
        for log in self.folder.glob(f"{_SENT}*"):
            peer = log.name.removeprefix(_SENT)
            self._cut(peer, self.point.frames.get(peer, 0) if self.point else 0)

    def __repr__(self) -> str:
        return f"<journal with {self.point}>"

    # results and values

    def result(self, step: str) -> Any:
        """The result of the next finished step, which must be `step`; raises `LookupError`."""
        number = len(self._steps)
        if self.point is None or number >= self.point.finished:
            raise LookupError
        data = self._vault.read(f"result-{number}", step.encode())
        if data is None:
            raise InputError(f"the result of {step} is missing", hint="run the job again")
        self._steps.append(step)
        return unpack(data, self._classes)

    def finish(self, step: str, result: Any) -> None:
        """Keep a result; it counts from the next point on."""
        number = len(self._steps)
        self._vault.write(f"result-{number}", pack(result, self._classes), step.encode())
        self._steps.append(step)
        while self._spools:
            self._spools.pop().clear()

    def keep(self, name: str, value: bytes) -> None:
        """Keep a value that was made outside of roles."""
        self._vault.write(f"value-{name}", value, name.encode())

    def kept(self, name: str) -> bytes | None:
        """That value, None if there is none."""
        return self._vault.read(f"value-{name}", name.encode())

    def spool(self, step: str) -> Spool:
        """Room for a step's large arrays."""
        name = step.encode().hex() if len(step.encode()) < 60 else str(len(self._steps))
        spool = Spool(self.folder / f"spool-{name}", self._random)
        self._spools.append(spool)
        return spool

    def shelf(self) -> Shelf:
        """Room for frames that come before their step."""
        self._shelves.append(Shelf(self.folder / "ahead"))
        return self._shelves[-1]

    # frames and points

    def log(self, peer: str, frame: bytes, known: SealedFrame | None = None) -> None:
        """Keep a frame that will be sent; `known` is what these bytes hold."""
        try:
            if peer not in self._logs:
                make_folder(self.folder)
                self._logs[peer] = private_file(self._path(peer), "ab")
                self._ends[peer] = self._firm[peer] = self._logs[peer].tell()
                sync_folder(self.folder)
            self._logs[peer].write(len(frame).to_bytes(_SIZE, "little"))
            self._logs[peer].write(frame)  # before its digest, which another thread may be at
            self._fresh.setdefault(peer, hashlib.sha256()).update(_name(frame, known))
        except OSError as error:
            raise disk_failed(f"journal {self.folder}", error) from None
        self._ends[peer] += _SIZE + len(frame)

    def begin(self) -> None:
        """Begin to have large arrays on the disk, while frames are sealed; `save` waits for it."""
        for spool in self._spools:
            spool.begin_flush()

    def save(self, step: str, role: bytes, contract: bytes, channels: dict[str, bytes]) -> None:
        """Everything so far becomes the point to go on from, and the ledger is on the disk too."""
        for spool in self._spools:
            spool.flush()
        turn, fresh = self.point.turn if self.point else 0, self._fresh
        sizes = {peer: self._ends[peer] - self._firm[peer] for peer in fresh}
        short = [peer for peer, size in sizes.items() if size <= AT_ONCE]
        lines, head = self._ledger.at if self._ledger else (0, "")
        point = Point(
            turn=turn + 1,
            lines=lines,
            head=head,
            finished=len(self._steps),
            step=step,
            role=role,
            contract=contract,
            channels=channels,
            frames=dict(self._ends),
            tails={
                peer: Tail(sizes[peer], names.digest(), peer in short)
                for peer, names in fresh.items()
            },
        )
        try:
            for peer in fresh:
                self._logs[peer].flush()
            files = [self._logs[peer].fileno() for peer in short]
            files += [self._ledger.fileno()] if self._ledger else []
            files.append(self._slots.write(point.turn % len(_POINTS), encode(point)))
            files += [self._reached.handle] if self._reached else []
            self._syncing.all(files)
            if self._reached:
                self._reached.note(point.turn)
        except OSError as error:
            raise disk_failed(f"journal {self.folder}", error) from None
        for peer in short:
            self._firm[peer] = self._ends[peer]
            del fresh[peer]
        self.point = point

    def frames(self, peer: str, first: int) -> Iterator[bytes]:
        """The frames that went to `peer`, from number `first` on."""
        if peer in self._logs:
            self._logs[peer].flush()
        path = self._path(peer)
        if not path.exists():
            return
        end = self._ends.get(peer, 0)
        with path.open("rb") as file:
            number = 0
            while file.tell() < end:
                size = int.from_bytes(file.read(_SIZE), "little")
                if number >= first:
                    yield file.read(size)
                else:
                    file.seek(size, os.SEEK_CUR)
                number += 1

    def destroy(self) -> None:
        """Remove it all, the key first."""
        self._vault.destroy()
        self.close()
        if self._reached:
            self._reached.remove()
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Close the files; everything up to the last point stays."""
        for spool in self._spools:
            spool.rest()
        for file in self._logs.values():
            with contextlib.suppress(OSError):  # a full disk: what is lost was never sent
                file.close()
        self._logs = {}
        self._slots.close()
        self._syncing.close()
        if self._reached:
            self._reached.close()
        while self._shelves:
            self._shelves.pop().close()

    def _last_point(self) -> Point | None:
        """The newest point that all it stands on is there for."""
        try:
            found = [decode(data, Point) for data in self._slots.read().values()]
        except PeerError as error:
            raise of_another_version(error) from None
        points = sorted(found, key=lambda point: point.turn, reverse=True)
        for point in points:
            if self._ledger is not None and not self._ledger.has(point.lines, point.head):
                continue
            lost = [peer for peer in point.frames if not self._there(point, peer)]
            if not lost:
                return point
            if not any(_tail(point, peer).waited for peer in lost):
                raise InputError(
                    f"journal {self.folder}: frames that may have been sent are missing since the "
                    "machine failed",
                    hint=ANEW,
                )
        if points and points[0].turn > 1:
            raise InputError(f"journal {self.folder}: what it stands on is missing", hint=ANEW)
        return None  # the first one: nothing was sent

    def _there(self, point: Point, peer: str) -> bool:
        """Whether the frames to a peer that a point stands on are as they were."""
        path, end, tail = self._path(peer), point.frames[peer], _tail(point, peer)
        if not path.exists() or path.stat().st_size < end:
            return False
        names = hashlib.sha256()
        with path.open("rb") as file:
            file.seek(end - tail.size)
            while file.tell() < end:
                size = int.from_bytes(file.read(_SIZE), "little")
                if not 0 < size <= end - file.tell():
                    return False
                names.update(_name(file.read(size)))
        return names.digest() == tail.names

    def _cut(self, peer: str, end: int) -> None:
        """Forget frames that were logged after the last point: they were never sent.

        The disk has all others from here on, however many.
        """
        try:
            with self._path(peer).open("r+b") as file:
                file.truncate(end)
                os.fdatasync(file.fileno())
        except OSError as error:
            raise disk_failed(f"journal {self.folder}", error) from None
        self._ends[peer] = end

    def _path(self, peer: str) -> Path:
        return self.folder / f"{_SENT}{peer}"


def _tail(point: Point, peer: str) -> Tail:
    return point.tails.get(peer, Tail(0, hashlib.sha256().digest(), waited=True))


def _name(frame: bytes, known: SealedFrame | None = None) -> bytes:
    """What stands for a frame's bytes: of a sealed one the digest that its sender has anyway."""
    if known is None and peek(frame) is SealedFrame:
        try:
            known = decode(frame, SealedFrame)
        except PeerError:
            known = None  # half of it is there
    if known is None:
        return hashlib.sha256(frame).digest()
    return hashlib.sha256(encode(replace(known, sealed=b"", head=b""))).digest() + known.digest


def signed_contract(home: Path, session: bytes, random: Random) -> bytes | None:
    """The canonical bytes of the contract that a job's folder was left under, if any."""
    return left_value(home, session, CONTRACT, random) if can_resume(home) else None


def left_value(home: Path, session: bytes, name: str, random: Random) -> bytes | None:
    """A value that a journal holds, which a process may be writing to; None if there is none."""
    if not (home / "journal" / "key").exists():
        return None
    return _vault(home, session, random).read(f"value-{name}", name.encode())


def _vault(home: Path, session: bytes, random: Random) -> Vault:
    return Vault(home / "journal", "key", b"fedprofile journal v1" + session, random)


@contextlib.contextmanager
def halting(home: Path) -> Iterator[None]:
    """Where what is at rest in `home` does not open, and never will, that is noted for lists."""
    rests = can_resume(home)
    try:
        yield
    except (PutBack, InputError) as error:
        if rests:
            halt(home, error.message)
        raise
    goes_on(home)


def stop_file(home: Path) -> Path:
    """Its being there asks whoever plays the job in this folder, or takes it up again, to end it.

    It outlives the process that made it: a job at rest is ended once somebody can tell the others.
    """
    return home / "stop"


def sweep(home: Path) -> None:
    """Remove what a party left that died before its job had a point to go on from."""
    if not can_resume(home):
        abandon(home)


def can_resume(home: Path) -> bool:
    """Whether a job's folder holds a point to go on from, or a handshake that was begun.

    Not without their key: a kill came while they were removed.
    """
    folder = home / "journal"
    if not (folder / "key").exists():
        return False
    points = any((folder / name).exists() for name in _POINTS)
    return points or any(folder.glob(f"value-{HANDSHAKE}*"))


def has_signed(home: Path) -> bool:
    """Whether a job at rest has a signed contract, also where its ledger's line found no room."""
    return any((home / "journal").glob(f"value-{CONTRACT}*"))


def can_begin(home: Path) -> bool:
    """Whether a job's folder is of a party that has said nothing to the others yet.

    It may begin under the same session, as if it had never been there.
    """
    said = set(_first_kinds(home))
    return not can_resume(home) and said <= {"opened", "ended"} and not why_over(home)


def was_interrupted(home: Path) -> bool:
    """Whether a party stopped here without an end: it can go on, or has said nothing yet."""
    return can_resume(home) or (set(_first_kinds(home)) <= {"opened"} and not why_over(home))


def _first_kinds(home: Path) -> list[str]:
    """Kinds of a ledger's first lines: a party that has ended without a word has two."""
    try:
        with (home / "ledger.jsonl").open("rb") as file:
            return [str(json.loads(line)["kind"]) for line in itertools.islice(file, 3)]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError):
        return ["unknown"]
