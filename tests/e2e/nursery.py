"""Processes of the command line that begin loaded: forked from one that has imported everything.

A test of a deployment starts dozens of processes, and each would spend most of its life on imports.
One from here has a pid, files, signals and an end of its own like any other, runs the same `main`,
and is killed like any other; only its way from nothing to loaded is left out. That way is walked by
`test_hub.py` (a hub, a node and a run, each a new Python) and by `test_deployment_doc.py`, and each
command's imports by `tests/unit/test_startup.py` and `test_node_install.py`.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO

__all__ = ["Process", "die_with_parent", "run"]

ROOT = Path(__file__).parents[2]
FIRST, LATE = "profiles.cli", ("sklearn.linear_model", "sklearn.ensemble", "ibis", "uvicorn")
"""The command line says how many threads BLAS has. Then what functions import; not DuckDB, which
begins a thread."""
LARGEST = 1 << 18
"""Of what is asked for: words and an environment."""
_LIBC = ctypes.CDLL(None)
_PDEATHSIG = 1


def die_with_parent() -> None:
    """In a process that has just begun: it ends with its parent's thread, however that ends."""
    _LIBC.prctl(_PDEATHSIG, signal.SIGKILL)


class Process:
    """A process with these words, as `subprocess.Popen` has one; output goes to a file."""

    def __init__(
        self,
        words: Sequence[str],
        env: Mapping[str, str],
        out: IO[bytes],
        err: IO[bytes],
        cwd: Path | None = None,
    ) -> None:
        self.args = list(words)
        self.returncode: int | None = None
        mine, theirs = os.pipe()
        self._told, said = os.fdopen(mine, "rb", buffering=0), b""
        order = json.dumps({"words": list(words), "env": dict(env), "cwd": str(cwd or Path.cwd())})
        with open(os.devnull, "rb") as nothing:
            fds = [nothing.fileno(), out.fileno(), err.fileno(), theirs]
            socket.send_fds(_nursery(), [order.encode()], fds)
        os.close(theirs)
        while not said.endswith(b"\n"):
            said += self._told.read(1) or b"\n"
        self.pid = int(said)

    def poll(self) -> int | None:
        """The exit code, less than 0 for a signal; None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises `subprocess.TimeoutExpired`."""
        if self.returncode is None:
            if not select.select([self._told], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            self.returncode = int(self._told.read(16))
            self._told.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


def run(
    words: Sequence[str], env: Mapping[str, str], timeout: float, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, and take what it says."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = Process(words, env, out, err, cwd)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            raise
        for file in (out, err):
            file.seek(0)
        return subprocess.CompletedProcess(words, code, out.read().decode(), err.read().decode())


@cache
def _nursery() -> socket.socket:
    """The way to the process that forks, which ends when this one does."""
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    mine.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST)
    subprocess.Popen(
        [sys.executable, "-m", __name__, str(theirs.fileno())],
        pass_fds=[theirs.fileno()], cwd=ROOT, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    theirs.close()
    return mine


def _load() -> dict[str, str]:
    """Import everything; what that has set in the environment."""
    before = dict(os.environ)
    importlib.import_module(FIRST)
    for name in ("psi", "federated", "profiles"):
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    for name in LATE:
        importlib.import_module(name)
    threads = [file.read_text().strip() for file in Path("/proc/self/task").glob("*/comm")]
    if {*threads[1:]} - {"jemalloc_bg_thd"}:  # that one begins anew by itself
        raise RuntimeError(f"{threads}: a fork would lose all but one")
    gc.collect()
    gc.freeze()  # a collection in a forked process would touch, and so copy, all of it
    return {name: value for name, value in os.environ.items() if before.get(name) != value}


def _serve(control: socket.socket) -> list[str]:
    """Fork at each order; returns in the new process, with its words."""
    more, told = _load(), dict[int, int]()
    ended, wake = os.pipe()
    for end in (ended, wake):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: it is the tests' business
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    while True:
        ready = select.select([control.fileno(), ended], [], [])[0]
        if ended in ready:
            os.read(ended, 4096)
            _tell_ends(told)
        if control.fileno() not in ready:
            continue
        order, fds, _, _ = socket.recv_fds(control, LARGEST, 4)
        if not order:
            os._exit(0)
        pid = os.fork()
        if pid == 0:
            die_with_parent()
            return _become(json.loads(order), fds, more)
        os.write(fds[3], f"{pid}\n".encode())
        told[pid] = fds.pop()
        for fd in fds:
            os.close(fd)


def _tell_ends(told: dict[int, int]) -> None:
    while told:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        fd = told.pop(pid)
        with contextlib.suppress(BrokenPipeError):  # where nobody asks
            os.write(fd, f"{os.waitstatus_to_exitcode(status)}".encode())
        os.close(fd)


def _become(order: dict[str, object], fds: list[int], more: dict[str, str]) -> list[str]:
    """Take the order's files, environment and place, and no signal's handler from before."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, fd in enumerate(fds[:3]):
        os.dup2(fd, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    env, words = order["env"], order["words"]
    assert isinstance(env, dict)
    assert isinstance(words, list)
    os.environ.clear()
    os.environ.update(env | more)
    os.chdir(str(order["cwd"]))
    return words


def _end(code: object) -> None:
    """As Python ends, but that it lets go of everything, which would copy what was forked."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    sys.argv[1:] = _serve(socket.socket(fileno=int(sys.argv[1])))
    from profiles.cli import main

    try:
        main()
    except SystemExit as end:
        _end(end.code)
    except BaseException:
        traceback.print_exc()
        _end(1)
    _end(0)
