"""A session: one party's part of one job, from handshake to the last signed ledger heads.

It drives one role after another: hands it what comes, keeps what comes of it in the journal and the
ledger, sends what it wants sent (see `frames`). It is the only place where protocol meets disk and
clock. It runs only the steps it is told to by the party (`federated.steps`), which takes them from
the signed contract.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TypeVar

from federated.contract.negotiation import Agreed
from federated.keys.party_keys import Identity, PartyKeys
from federated.ledger.ending import RULE
from federated.ledger.hashes import secret_beside
from federated.ledger.lines import Ledger
from federated.session.beside import Beside
from federated.session.farewell import farewell, may_go_on
from federated.session.frames import NEGOTIATION, Frames, Progress, StepRecord
from federated.session.journal import CONTRACT, ENDED, Journal, halting
from federated.session.last_round import Finish
from federated.session.last_word import FINISH, keep_last_word
from federated.session.over import note_end
from federated.session.progress import NOTES, Note, NotesOut
from federated.session.reached import Reached
from federated.session.reasons import ShutOut, Stopped
from federated.session.result_types import RESULTS
from federated.session.routers import Endpoint
from federated.store.files import of_another_version, write_atomic
from federated.store.plain import to_plain
from federated.store.records import pack
from federated.tables.kept_tables import KeptTables
from federated.tables.source import Source
from federated.text import plain
from psi.protocol import (
    Context,
    FedprofileError,
    Outgoing,
    PeerError,
    PeerGone,
    Random,
    Refused,
    Role,
    encode,
)

__all__ = ["Progress", "Session", "StepRecord", "together"]

R = TypeVar("R")

TIMEOUT = 3600.0

_NAMING = "naming"
_RESULTS_KEY = b"fedprofile result key v1\n"


class Session:
    """One party in one job. `session` is the job's 32-byte nonce, known to all parties.

    Where `home` holds the journal of this session, the party was killed: `connect` and `run`
    go on from its last point instead of beginning. `watchers` are parties that are told of
    this one's progress. With `hold` the journal stays until `forget`, so that a party that is
    killed between the job's end and its outputs loses nothing. `beside` may find shorter ways to
    peers once the contract is signed. `reached` is a file outside of `home` that says how far
    the job has come, so that an older copy of `home` does not go on.
    """

    def __init__(
        self,
        session: bytes,
        keys: PartyKeys,
        pinned: dict[str, Identity],
        endpoint: Endpoint,
        home: Path,
        *,
        random: Random = secrets.token_bytes,
        clock: Callable[[], float] = time.time,
        progress: Progress | None = None,
        timeout: float = TIMEOUT,
        watchers: Collection[str] = (),
        hold: bool = False,
        beside: Beside | None = None,
        reached: Path | None = None,
    ) -> None:
        self.id, self.keys, self.pinned = session, keys, pinned
        self.name = keys.identity.name
        self.peers = [name for name in pinned if name != self.name]
        self._home = home
        self.records: list[StepRecord] = []
        self.clock, self.random = clock, random
        self._endpoint = endpoint
        mark = Reached(reached) if reached else None
        with halting(home):
            self.ledger = Ledger(home / "ledger.jsonl", keys, clock, session, pinned)
            try:
                self._journal = Journal(home, session, random, RESULTS, self.ledger, mark)
            except BaseException:
                self.ledger.close()  # another try is not held up by this one
                raise
        self._progress = progress or (lambda party, step, share: None)
        self._watchers, self._hold = watchers, hold
        self._notes = NotesOut(self._send_note, clock)
        self._frames = Frames(
            session, keys, pinned, endpoint, self._journal, self.ledger,
            random=random, timeout=timeout, progress=self._progress,
        )  # fmt: skip
        self._beside = beside
        if beside is not None:
            self._frames.on_aside = beside.heard
        self._point = self._journal.point
        self._back = self.resumable

    def __repr__(self) -> str:
        return f"<session of {self.name} with {', '.join(self.peers)}>"

    @property
    def resumable(self) -> bool:
        """Whether a later session could go on from here."""
        return self._journal.point is not None or self._frames.begun

    @property
    def resumed(self) -> bool:
        """Whether this session goes on from an earlier one's journal."""
        return self._back

    @property
    def unanswered(self) -> set[str]:
        """After `connect` of a session that goes on: peers that have not said where they are."""
        return set(self._frames.unanswered)

    def tell(self, step: str, share: float) -> None:
        """Show this party's progress here and, now and then, to those who watch."""
        self._progress(self.name, step, share)
        if self._watchers and self._frames.channels:
            self._notes.tell(step, share)

    def _send_note(self, note: Note) -> None:
        for peer in self._watchers:
            self._frames.send_aside(peer, NOTES, encode(note))

    def connect(self) -> None:
        """Handshake with every peer, or go on. Raises `PeerError` on a wrong key."""
        if self._point is not None:
            self._frames.restore(self._point)
            self._note_back(self._point.step, self._point.finished)
        else:
            if self._back:
                self._note_back("handshake", 0)
            self._frames.shake_hands()
            prints = {peer: self.pinned[peer].fingerprint for peer in self.peers}
            self.ledger.once("handshake", peers=prints)
            self._save("", b"")  # a proposal may wait for an officer for days from here on
        if self._back and self._journal.kept(ENDED) is None:
            self._frames.reconnect()

    @contextlib.contextmanager
    def listening(self, gone: Callable[[FedprofileError], None]) -> Iterator[None]:
        """While this party waits for a person: peers that come back are answered.

        `gone` is called with the error if one leaves for good, or this party is to end.
        """
        if not self._frames.channels:
            yield
            return
        over = threading.Event()
        ear = threading.Thread(target=self._frames.listen, args=(over, gone), daemon=True)
        ear.start()
        try:
            yield
        finally:
            over.set()
            ear.join()

    def context(self, step: str) -> Context:
        """What a role of this session is built with."""
        naming = self.keep(_NAMING, lambda: self.random(32))
        return Context(self.id, step, self.name, self.random, self._journal.spool(step), naming)

    def tables(self, source: Source) -> KeptTables:
        """This job's own copy of the tables of `source`: in its journal, and gone with it."""
        return KeptTables(source, self._journal.folder, self.id, self.random)

    def keep(self, name: str, make: Callable[[], bytes]) -> bytes:
        """A value that must be the same after a restart: kept, or made now and kept."""
        value = self._journal.kept(name)
        if value is None:
            value = make()
            self._journal.keep(name, value)
        return value

    def bind(self, agreed: Agreed) -> None:
        """From now on every frame is bound to this contract. Raises `Refused` if it has expired."""
        if self._journal.kept(ENDED) is None:
            agreed.contract.check_time(self.clock())
            if self._beside is not None:
                self._beside.begin(lambda peer, data: self._frames.send_aside(peer, NOTES, data))
        if self._frames.contract == agreed.contract.digest:
            return  # bound before it was killed
        self._journal.keep(CONTRACT, agreed.contract.to_bytes())
        self._frames.bind(agreed.contract.digest)
        self.ledger.once(
            "contract",
            digest=agreed.contract.digest.hex(),
            terms=to_plain(agreed.contract),
            signatures={name: sig.hex() for name, sig in agreed.signatures.items()},
        )

    def shared_secret(self, peer: str, label: str) -> bytes:
        """32 bytes known to this party and `peer` only, bound to the contract and `label`."""
        return self._frames.channels[peer].export(label)

    def run(self, step: str, role: Role[R], peers: Collection[str] | None = None) -> R:
        """Drive one role to its result; a step that was finished before gives it at once.

        Only `peers` have a part in the step, by default all: `PeerError` where another speaks.
        """
        record, begun = StepRecord(step), time.monotonic()
        self.records.append(record)
        try:
            kept: R = self._journal.result(step)
            self._note_result(step, kept)
            self.tell(step, 1.0)
            return kept
        except LookupError:
            pass
        self.tell(step, 0.0)
        if self._point is not None and self._point.step == step:
            try:
                role.restore(self._point.role)
            except PeerError as error:
                raise of_another_version(error) from None
            turn: Outgoing[R] = Outgoing()
        else:
            turn = role.start()
        self._point = None
        self._emit(step, role, turn, record)
        while turn.result is None:
            role.ahead()
            envelopes = self._frames.next(step, record)
            if not envelopes:
                continue
            sender = envelopes[0].sender
            if peers is not None and sender not in peers:
                raise PeerError(f"{sender} has no part in this step", step=step)
            turn = together([role.receive(envelope) for envelope in envelopes])
            self._emit(step, role, turn, record)
        record.seconds = time.monotonic() - begun
        self.tell(step, 1.0)
        return turn.result

    def finish(self) -> None:
        """Hear the others' last heads, note what is held of each, remove the journal.

        A party that comes back after the others have ended has all results, and of them the
        heads of the frames that it has read.
        """
        role, unheard = Finish(self.context(FINISH), self.peers), list[str]()
        if self.peers:
            try:
                self.run(FINISH, role)
            except PeerGone:
                if not self.resumed:
                    raise
                unheard = role.unheard
        self._note_ways()
        heads = {peer: [head.number, head.digest] for peer, head in self.ledger.heads.items()}
        for peer in set(self.peers).difference(unheard):  # who was heard lacks nothing but this
            keep_last_word(self._home, peer, self._frames.last(peer))
        self.ledger.once("finished", heads=heads, unheard=unheard)
        if self._hold:
            self._journal.keep(ENDED, b"")
        self.close()
        if not self._hold:
            self.forget()

    def note_outputs(self, hashes: Callable[[str], dict[str, str]]) -> None:
        """After the end: what was made of the results, by name, each with a hash under a secret.

        `hashes` gives them for it: 64 hexadecimal digits, which stay beside the ledger.
        """
        secret = secret_beside(self._home, self.random)
        ledger = Ledger(self.ledger_file, self.keys, self.clock, self.id, self.pinned)
        ledger.once("outputs", files=hashes(secret))
        ledger.close()

    @property
    def ledger_file(self) -> Path:
        """Where this party's account of the job is."""
        return self._home / "ledger.jsonl"

    def leave(self, name: str, text: str) -> None:
        """Write a file into the job's folder, which is kept as long as its ledger."""
        write_atomic(self._home / name, text)

    def forget(self) -> None:
        """Remove the journal: nothing can go on from here any more."""
        self._journal.destroy()

    def abort(self, error: BaseException) -> None:
        """Tell the peers that this party ends, by class and code only; note it; close.

        The words of the error stay at this party. The journal stays where nobody is to blame: the
        job can go on later.
        """
        with contextlib.suppress(FedprofileError):  # a full disk: the others are told all the same
            self._note_ways()
            self._note_end(error)
            self.ledger.sync()
        said = self._frames.part(farewell(error, over=self._frames.final))
        with contextlib.suppress(FedprofileError):
            self.close()
        if self._frames.final or not may_go_on(error) or not self.resumable:
            for peer, frame in said.items():
                keep_last_word(self._home, peer, frame)
            self.forget()

    def close(self) -> None:
        """Close ledger, journal and endpoint."""
        self._notes.close()
        try:
            self.ledger.close()
        finally:
            self._journal.close()
            self._endpoint.close()
            if self._beside is not None:
                self._beside.close()

    def _emit(self, step: str, role: Role[R], turn: Outgoing[R], record: StepRecord) -> None:
        """Keep what came of a turn, then send it: a kill in between sends it again."""
        if turn.progress is not None:
            self.tell(step, turn.progress)
        if turn.messages and turn.result is None:
            self._journal.begin()
        sealed = self._frames.seal(turn.messages)
        if turn.result is not None:
            self._journal.finish(step, turn.result)
        if sealed or turn.result is not None:
            self._save(*(("", b"") if turn.result is not None else (step, role.save())))
        self._frames.send(sealed, record)
        if turn.result is not None:
            self._note_result(step, turn.result)

    def _save(self, step: str, role: bytes) -> None:
        self._journal.save(step, role, self._frames.contract, self._frames.save())

    def _note_ways(self) -> None:
        """Which way this process's bytes went, where there could be more than the hub.

        Not of a life that came after the end: it had nothing to carry.
        """
        ways = self._beside.figures() if self._beside is not None else {}
        if ways and not self.ledger.over:
            self.ledger.once("ways", bytes=ways)

    def _note_end(self, error: BaseException) -> None:
        """Why it ends here, in words: in the ledger if they are about the job, else beside it.

        What is wrong with this party's own files, disk or settings names them, and an officer
        sends a ledger to others. A rule's no has its line, whichever step met it.
        """
        why = plain(error.message, 400) if isinstance(error, FedprofileError) else ""
        why = "" if isinstance(error, Stopped | ShutOut) else why  # the class says it all
        shared = bool(why) and isinstance(error, Refused | PeerError | PeerGone)
        if why and isinstance(error, Refused) and self.records and not self.ledger.says("refused"):
            self.ledger.write("refused", by=RULE, why=why, step=self.records[-1].step)
        self.ledger.write("ended", error=type(error).__name__, **({"why": why} if shared else {}))
        if why and not shared:
            note_end(self._home, why)

    def _note_back(self, step: str, finished: int) -> None:
        self.ledger.write("resumed", step=step, finished=finished)

    def _note_result(self, step: str, result: object) -> None:
        """A hash of a step's result that only this party can make again."""
        if step not in (FINISH, NEGOTIATION):
            key = hashlib.sha256(self.keys.sign_organisation(_RESULTS_KEY + self.id)).digest()
            found = hmac.digest(key, pack(result, RESULTS), "sha256")
            self.ledger.once("result", step=step, hmac=found.hex())


def together(turns: list[Outgoing[R]]) -> Outgoing[R]:
    """What a role wants done after all messages of a frame; the last may bring a result."""
    return Outgoing(
        tuple(message for turn in turns for message in turn.messages),
        turns[-1].result,
        next((turn.progress for turn in reversed(turns) if turn.progress is not None), None),
    )
