"""The runs that this party has proposed over a hub: one folder each, beside its journal.

    jobs/SESSION/run.json   what it was started with, where it stands, who waits for whom
    jobs/SESSION/job.toml   the job file as it was then
    jobs/SESSION/lock       held by the process that runs it
    jobs/SESSION/stop       asks that process to end the job

A run whose lock nobody holds is not running, whatever its file says. Nothing here is another
party's data: names of steps and shares of them, as those parties told.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from federated.node.own_runs import GONE, waits_for
from federated.session.journal import can_resume, stop_file
from federated.session.over import why_halted, why_over
from federated.store.files import disk_failed, make_folder, private_file, write_atomic
from profiles.extends import whole_text
from psi.protocol import InputError, JobError, MisuseError

__all__ = ["Run", "RunFolder", "Started", "find_run", "runs_in"]

EVERY = 1.0
"""Seconds between two writes while only shares of a step change."""


@dataclass(frozen=True)
class Started:
    """With what a run was started: enough to go on with it. `job` is the job file, as named."""

    tables: str
    out: str
    overwrite: bool
    job: str = ""


@dataclass(kw_only=True)
class Run:
    """One run. `state` is running, done, failed, refused (by a rule or a person) or stopped, as its
    process said last: what it is for every screen says `federated.node.states`. `at` holds step and
    share by party, `since` when that step began, `direct` whom it reaches without the hub now."""

    session: str
    job: str
    purpose: str
    me: str
    parties: list[str]
    started: Started
    began: int
    state: str = "running"
    error: str = ""
    hint: str = ""
    at: dict[str, tuple[str, float]] = field(default_factory=dict)
    since: dict[str, int] = field(default_factory=dict)
    direct: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The name that commands use for it."""
        return self.session[:8]

    @property
    def step(self) -> str:
        """This party's own step."""
        return self.at.get(self.me, ("", 0.0))[0]

    def waits_for(self) -> list[str]:
        """Whom everybody waits for, in words; empty if all of them are at work."""
        if self.state != "running":
            return []
        at = {name: step for name, (step, _) in self.at.items()}
        return list(waits_for(self.parties, at).values())


class RunFolder:
    """The folder of one run of this party."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._run: Run | None = None
        self._written = 0.0

    def __repr__(self) -> str:
        return f"<run in {self.path.name[:8]}>"

    @property
    def job_file(self) -> Path:
        """The job file as it was when the run began."""
        return self.path / "job.toml"

    def begin(self, run: Run, job_file: Path) -> None:
        """A new run, or one that goes on, which began when it did."""
        self.stop_file.unlink(missing_ok=True)
        with contextlib.suppress(InputError):
            run.began = self._read().began
        if not self.job_file.exists():
            write_atomic(self.job_file, whole_text(job_file), private=True)
        self._run = run
        self._write()

    def note(self, party: str, step: str, share: float) -> None:
        """A party's progress; safe to call from any thread."""
        with self._lock:
            if self._run is None:
                return
            before = self._run.at.get(party, ("", 0.0))[0]
            self._run.at[party] = (step, round(share, 3))
            if step != before:
                self._run.since[party] = int(time.time())
            if step == before and time.monotonic() - self._written < EVERY:
                return
            self._write()

    def reaches(self, peers: Collection[str]) -> None:
        """Who is reached without the hub now."""
        with self._lock:
            if self._run is not None and self._run.direct != sorted(peers):
                self._run.direct = sorted(peers)
                self._write()

    def end(self, state: str, error: str = "", hint: str = "") -> None:
        """The run has ended."""
        with self._lock:
            if self._run is not None:
                self._run.state, self._run.error, self._run.hint = state, error, hint
                self._write()

    def _write(self) -> None:
        self._written = time.monotonic()
        text = json.dumps(asdict(self._run), indent=1) + "\n" if self._run else ""
        write_atomic(self.path / "run.json", text, private=True, sync=False)

    def load(self) -> Run:
        """What the folder says; raises `InputError` if it is no run."""
        run = self._read()
        if run.state == "running" and not self.alive():
            run.state, run.error = "failed", why_over(self.path) or GONE
        return run

    def _read(self) -> Run:
        try:
            data: dict[str, Any] = json.loads((self.path / "run.json").read_text("utf-8"))
            data["started"] = Started(**data["started"])
            data["at"] = {name: (str(s), float(share)) for name, (s, share) in data["at"].items()}
            return Run(**data)
        except (OSError, ValueError, KeyError, TypeError):
            raise InputError(f"{self.path.name[:8]}: not a run of this party") from None

    @property
    def stop_file(self) -> Path:
        """Its being there asks the run's process to stop."""
        return stop_file(self.path)

    @property
    def resumable(self) -> bool:
        """Whether there is a journal to go on from, which opens as far as is known."""
        return can_resume(self.path) and not why_halted(self.path)

    @property
    def halted(self) -> str:
        """Why what is left here does not go on, and is to be stopped; "" where it does."""
        return why_halted(self.path) if can_resume(self.path) else ""

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock; raises `MisuseError` if a process holds it."""
        try:
            make_folder(self.path)
            file = private_file(self.path / "lock", "w")
        except OSError as error:
            raise disk_failed(f"cannot write into {self.path}", error) from None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise MisuseError(
                    f"run {self.path.name[:8]} is running", hint="fedprofile job show says where"
                ) from None
            yield

    def alive(self) -> bool:
        """Whether a process runs it."""
        try:
            with self.held():
                return False
        except MisuseError:
            return True

    def of_job(self, file: Path) -> bool:
        """Whether it is a run of this very job file."""
        try:
            return _digest(self.job_file) == hashlib.sha256(whole_text(file)).hexdigest()
        except (OSError, JobError):
            return False


def runs_in(jobs: Path) -> list[RunFolder]:
    """This party's runs, the last one first."""
    files = sorted(jobs.glob("*/run.json"), key=lambda file: file.stat().st_mtime, reverse=True)
    return [RunFolder(file.parent) for file in files]


def find_run(jobs: Path, name: str) -> RunFolder:
    """The run whose session begins with `name`; raises `MisuseError` unless there is one."""
    if not name or set(name) - set("0123456789abcdef"):
        raise MisuseError(f"{name!r} found, the id that `fedprofile job ls` shows allowed")
    found = [folder for folder in runs_in(jobs) if folder.path.name.startswith(name)]
    if len(found) != 1:
        raise MisuseError(
            f"{len(found)} runs begin with {name}", hint="fedprofile job ls shows all of them"
        )
    return found[0]


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
