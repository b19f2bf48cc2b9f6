"""docs/DEPLOYMENT.md as written: two organisations, from a hub's first command to an approved job.

Its code blocks are read from the document and run, command by command, each organisation in a
folder of its own; its TOML blocks are the files that they say. What stands for something of the
reader's is replaced: the hub's name and port, the data file, fingerprints that are read out, the
job's id. A block of commands that is neither run nor named here as one that cannot be fails the
test.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from federated.keys.identity_file import read_identity
from federated.ledger.account import verify_ledger
from federated.ledger.lines import read_ledger
from federated.wire.local import ask
from profiles.cli import app
from profiles.demo.people import identity_numbers
from psi.protocol import EnvironmentFailed
from tests.e2e.hub_world import free_port

DOCUMENT = Path(__file__).parents[2] / "docs" / "DEPLOYMENT.md"
LEFT_OUT = {
    "──►": "a drawing",
    "pip install": "what CI does anyway",
    "pip download": "needs a registry",
    "--every month": "tests/e2e/test_templates.py",
    "job serve": "tests/e2e/test_registry_asks.py",
    "postgres://": "needs a database: tests/unit/test_table_commands.py",
}
"""Blocks that hold this text are not run, and why."""
ENDED = ("fedprofile job stop", "fedprofile job resume")
"""For a run that is under way: tests/e2e/test_hub_faults.py."""
STAY = ("hub start", "node start", "fedprofile run")
"""Commands that the document lets run on, in a terminal of their own."""
PATIENCE = 180.0
WATCH = """
import sys
def note(event, values):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        where = values[1] if event == "socket.connect" else values[0]
        if not isinstance(where, (str, bytes)) or event != "socket.connect":
            with open({log!r}, "a") as file:
                print(where[0] if isinstance(where, tuple) else where, file=file)
sys.addaudithook(note)
"""
"""Runs first in a process, and notes whom it connects to and which names it looks up."""


def fenced(language: str) -> list[str]:
    """The document's code blocks in a language, "" for none."""
    text = DOCUMENT.read_text("utf-8")
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [block for named, block in found if named == language]


def blocks() -> list[str]:
    """The document's commands that can be run here, block by block, in its order."""
    found = fenced("")
    for text in LEFT_OUT:
        assert any(text in block for block in found), f"nothing holds {text!r} any more"
    return [block for block in found if not any(text in block for text in LEFT_OUT)]


def commands(block: str) -> list[str]:
    """Its lines, continued ones joined."""
    return [line for line in block.replace("\\\n", " ").splitlines() if line.strip()]


class Two:
    """The folders of two organisations on one machine, and what they have running."""

    def __init__(self, folder: Path) -> None:
        self.bank, self.bureau = folder / "bank", folder / "bureau"
        self.port, self.job = free_port(), ""
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        for place in (self.bank, self.bureau):
            place.mkdir()
        self._tables()

    def _tables(self) -> None:
        rng, n = np.random.default_rng(4), 300
        people = pd.DataFrame({
            "identity_number": identity_numbers(rng, n),
            "phone": [f"138{i:08d}" for i in range(n)],
            "name": [f"name {chr(97 + i % 26)}" for i in range(n)],
            "segment": rng.choice(["gold", "basic"], n),
        })  # fmt: skip
        people.to_csv(self.bank / "consumers.csv", index=False)
        for block in fenced("toml"):  # each says in its first line which file it is
            name = block.splitlines()[0].removeprefix("# ")
            (self.bank / name).write_text(block)
        theirs = people.iloc[40:].rename(columns={"identity_number": "id_no", "phone": "mobile"})
        theirs = theirs.drop(columns="segment").assign(
            open_loans=rng.integers(0, 5, n - 40), overdue_12m=rng.integers(0, 3, n - 40)
        )
        theirs.to_parquet(self.bureau / "repayment.parquet", index=False)
        self.somebody = theirs["id_no"].iloc[3]
        consents = theirs[["id_no"]].assign(purpose="credit risk")
        consents.to_parquet(self.bureau / "consents.parquet", index=False)
        ours = consents.rename(columns={"id_no": "identity_number"})
        ours.to_csv(self.bank / "consents.csv", index=False)

    def place(self, command: str, block: str) -> Path:
        """Where a command is given: the hub's folder is at the bank, the node's at the bureau.

        One that names neither is given where the rest of its block is.
        """
        text = command if "fedprofile" in command else block
        return self.bank if re.search(r"--(home|hub) hub|job\.toml", text) else self.bureau

    def real(self, command: str) -> str:
        """The command with the reader's own in the place of the document's examples."""
        command = command.replace("hub.bank.example --port 8443", f"localhost --port {self.port}")
        command = command.replace("/data/", f"{self.bureau}/")
        command = re.sub(r"\b(3fa9c1d2|3f9a01c2)\b", self.job or "0000", command)
        if "peers confirm" in command:
            who = self.bank / "hub" / "party" if " bank " in command else self.bureau / "node"
            print_ = read_identity(who / "identity.json").fingerprint
            command = re.sub(r"(confirm \w+) .* (--home)", rf"\1 {print_} \2", command)
        return command

    def run(self, command: str, block: str) -> str:
        """Give a command of a block as written; what it says."""
        command, where = self.real(command), self.place(command, block)
        os.chdir(where)
        if not command.startswith(("fedprofile", "sudo fedprofile")):
            subprocess.run(["sh", "-ec", command], check=True, cwd=where)
            return ""
        words = shlex.split(command.removeprefix("sudo "), comments=True)[1:]
        if any(text in command for text in STAY):
            return self._stays(" ".join(words[:2]), words, where)
        done = CliRunner().invoke(app, words, catch_exceptions=False)
        assert done.exit_code == 0, f"{command}: {done.output}"
        return done.output

    def _stays(self, name: str, words: list[str], where: Path) -> str:
        file = where / f"{name.replace(' ', '-')}.log"
        watch = self.watched(name)
        watch.parent.mkdir()
        (watch.parent / "sitecustomize.py").write_text(WATCH.format(log=str(watch)))
        paths = f"{watch.parent}{os.pathsep}{DOCUMENT.parents[1]}"
        with file.open("wb") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", "profiles", *words], cwd=where, stdout=log, stderr=log,
                env=os.environ | {"PYTHONPATH": paths}, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        return ""

    def watched(self, name: str) -> Path:
        """The file with the hosts that a running command connects to or looks up."""
        return self.bank.parent / name.replace(" ", "-") / "hosts"

    def wait(self, true: Callable[[], object], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not true():
            logs = "\n".join(path.read_text() for path in self.bank.parent.glob("*/*.log"))
            ended = [name for name, process in self.running.items() if process.poll()]
            assert not ended, f"{ended} ended: {what}\n{logs}"
            assert time.monotonic() < end, f"{what}\n{logs}"
            time.sleep(0.1)

    def status(self, socket: Path) -> dict[str, object]:
        try:
            return ask(socket, op="status")
        except EnvironmentFailed:
            return {}

    def waiting(self, home: Path) -> str:
        """The id of the proposal that waits for this party's officer."""

        def ids() -> list[str]:
            done = CliRunner().invoke(app, ["node", "jobs", "--json", "--home", str(home)])
            rows = json.loads(done.output or "[]")
            return [r["id"] for r in rows if r["state"] == "waiting" and r["job"]]

        self.wait(ids, "nothing waits for an officer")
        return ids()[0]

    def stop(self) -> None:
        for process in self.running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.running.values():
            process.wait(30)


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Two]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FEDPROFILE_PASSPHRASE_FILE", raising=False)
    both = Two(tmp_path)
    try:
        yield both
    finally:
        both.stop()


def before(two: Two, command: str) -> None:
    """What people do between the commands, as the text around the blocks says."""
    hub, node = two.bank / "hub", two.bureau / "node"
    if "hub invite" in command:
        two.wait(lambda: two.status(hub / "hub.sock"), "the hub does not start")
    if "peers add identity-of-bureau" in command:  # each hands its file to the other
        (two.bank / "identity-of-bureau.json").write_bytes((node / "identity.json").read_bytes())
        party = (hub / "party" / "identity.json").read_bytes()
        (two.bureau / "identity-of-bank.json").write_bytes(party)
    if "letter.txt" in command:  # somebody in the bureau's table asks
        (two.bureau / "letter.txt").write_text(f"{two.somebody}\n")
    if "fedprofile run" in command:
        two.wait(lambda: two.status(node / "node.sock").get("connected"), "no connection")
    if command.startswith("sudo"):
        two.job = two.waiting(hub / "party")
        another_user(hub / "party")
    if command.startswith("fedprofile node jobs"):
        two.job = two.waiting(node)
    if command.startswith("fedprofile job ls"):
        assert two.running["run job.toml"].wait(PATIENCE) == 0


def another_user(party: Path) -> None:
    """Let the proposal be another user's than the one who runs this test."""
    if os.geteuid() == 0:
        (request,) = (party / "desk").glob("*.request")
        os.chown(request, 65534, 65534)
    else:
        policy = party / "policy.toml"
        policy.write_text(policy.read_text().replace("four_eyes = true", "four_eyes = false"))


def after(command: str, said: str, two: Two) -> None:
    if "hub invite" in command:
        os.replace(two.bank / "bureau.invite", two.bureau / "bureau.invite")
    if "node doctor" in command:
        assert "BAD" not in said
    if "node show" in command:
        assert "bank learns mean of open_loans, mean of overdue_12m" in said
    if "node answer" in command:
        assert '"open loans by segment" for "credit risk" (risk), with bank' in said
        assert "you were found at the partners" in said
        assert "as aggregate: open_loans, overdue_12m" in said
    if "node year" in command:
        assert "1 jobs, 260 rows, 260 distinct; 260 found there" in said
    if "fedprofile forget" in command:
        assert "the record of who was in 1 jobs is without the person" in said
    if "node rehearse" in command:
        assert "Ended after its last step" in said


@pytest.mark.slow
def test_from_a_hub_to_an_approved_job_by_the_document_alone(two: Two) -> None:
    run = [(line, block) for block in blocks() for line in commands(block)]
    assert len(run) > 20
    for line, block in run:
        if not line.startswith(ENDED):
            before(two, line)
            after(line, two.run(line, block), two)
    assert (two.bank / "out" / "report.html").exists()
    (ledger,) = (two.bureau / "node" / "jobs").glob("*/ledger.jsonl")
    mine = two.bank / "out" / "parties" / "bank" / "ledger.jsonl"
    (told,) = (e["body"] for e in read_ledger(mine) if e["kind"] == "admitted")
    assert told == {"table": "bank.consumers", "rows": 260, "left_out": {"no basis": 40}}
    assert "no basis" not in ledger.read_text()  # nobody else learns how many, or why
    owner = read_identity(two.bureau / "node" / "identity.json")
    assert verify_ledger(ledger, owner) > 10
    # "Every connection": the node goes to the hub, and the hub and the proposer go nowhere
    assert set(two.watched("node start").read_text().split()) <= {"localhost", "127.0.0.1", "::1"}
    for name in ("hub start", "run job.toml"):
        assert not two.watched(name).exists()
