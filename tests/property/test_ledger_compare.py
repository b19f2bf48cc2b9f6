"""Whatever is done to one of two ledgers of a job, setting one against the other finds it.

Two kinds of hands: somebody without keys, who alters the file, and the owner, who writes its
account anew, chained and signed again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from federated.cli import ledger_views
from federated.cli.ledger_views import DIFFER
from federated.keys.identity_file import read_identity, write_identity
from federated.keys.party_keys import PartyKeys
from federated.ledger.account import Finding, read_account
from federated.ledger.compare import compare
from federated.ledger.lines import Head, line_digest
from federated.node.home import NodeHome
from federated.tables.source import MemorySource
from profiles import federation
from profiles.cli import app
from profiles.federation import federate
from profiles.job import Job
from psi.protocol import MisuseError

JOB = """
[job]
name = "counts"
purpose = "test"
entity = "consumer"

[[party]]
name = "bank"
table = "bank.people"
keys = [["id"]]

[[party]]
name = "bureau"
table = "bureau.people"
keys = [["id"]]

[align]
reveal = "both"
minimum_overlap = 5

[[aggregate]]
by = "bank.segment"
measures = ["bureau.loans:mean"]
minimum_group = 3
"""
NAMES = ("bank", "bureau")
WIDE = {"COLUMNS": "220"}
Lines = list[dict[str, Any]]
quick = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class World:
    """A job's two ledgers, and the keys of their owners."""

    def __init__(self, folder: Path, keys: dict[str, PartyKeys]) -> None:
        self.folder, self.keys = folder, keys
        self.texts = {n: (folder / n / "ledger.jsonl").read_bytes() for n in NAMES}

    def lines(self, name: str) -> Lines:
        return [json.loads(text) for text in self.texts[name].splitlines()]

    def findings(self, victim: str, data: bytes) -> list[Finding]:
        """What one finds that holds the other ledger, checked by its owner's identity."""
        altered = self.folder / "altered.jsonl"
        altered.write_bytes(data)
        holder = NAMES[victim == NAMES[0]]
        mine = read_account(
            self.folder / holder / "ledger.jsonl", self.keys[holder].identity, holder
        )
        return compare(mine, read_account(altered, name=victim))

    def resigned(self, victim: str, lines: Lines, session: bytes = b"") -> bytes:
        """The owner's own hand: numbers, chain and signatures made anew."""
        last, out = "0" * 64, list[str]()
        session = session or bytes.fromhex(self.lines(victim)[0]["body"]["session"])
        for number, line in enumerate(lines):
            line |= {"number": number, "previous": last}
            last = line["hash"] = line_digest(line)
            signed = b"fedprofile ledger v2\n" + session + number.to_bytes(8, "big")
            signature = self.keys[victim].sign_organisation(signed + bytes.fromhex(last))
            line["signature"] = signature.hex()
            out.append(json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
        return "".join(text + "\n" for text in out).encode()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("ledgers")
    (folder / "job.toml").write_text(JOB)
    ids = np.array([f"p{i:03d}" for i in range(40)])
    bank = pa.table({"id": ids[:30], "segment": ["a", "b"] * 15})
    bureau = pa.table({"id": ids[5:], "loans": np.arange(35.0)})
    sources = {
        "bank": MemorySource({"bank.people": bank}),
        "bureau": MemorySource({"bureau.people": bureau}),
    }
    keys: dict[str, PartyKeys] = {}

    class Noted(PartyKeys):
        @classmethod
        def generate(cls, name: str) -> PartyKeys:
            keys[name] = PartyKeys.generate(name)
            return keys[name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(federation, "PartyKeys", Noted)
        federate(Job.load(folder / "job.toml"), sources, folder)
    for name in NAMES:
        assert read_identity(folder / name / "identity.json") == keys[name].identity
    return World(folder, keys)


def test_honest_accounts_agree(world: World) -> None:
    for victim in NAMES:
        assert world.findings(victim, world.texts[victim]) == []
        again = world.resigned(victim, world.lines(victim))
        assert again == world.texts[victim]
    kinds = {line["kind"] for name in NAMES for line in world.lines(name)}
    assert kinds == {
        "opened", "handshake", "approved", "contract", "sent", "received", "result",
        "disclosure", "finished",
    }  # fmt: skip


@quick
@given(st.sampled_from(NAMES), st.data())
def test_any_changed_byte_is_found(world: World, victim: str, data: st.DataObject) -> None:
    text = bytearray(world.texts[victim])
    at = data.draw(st.integers(0, len(text) - 1))
    how = data.draw(st.sampled_from(["change", "drop", "insert"]))
    byte = data.draw(st.integers(0, 255))
    if how == "drop":
        del text[at]
    elif how == "insert":
        text.insert(at, byte)
    else:
        assume(text[at] != byte)
        text[at] = byte
    assume(bytes(text) != world.texts[victim])
    assert world.findings(victim, bytes(text))


@quick
@given(st.sampled_from(NAMES), st.data())
def test_dropped_swapped_repeated_and_cut_lines_are_found(
    world: World, victim: str, data: st.DataObject
) -> None:
    lines = world.texts[victim].splitlines(keepends=True)
    at = data.draw(st.integers(0, len(lines) - 1))
    other = data.draw(st.integers(0, len(lines) - 1))
    how = data.draw(st.sampled_from(["drop", "swap", "repeat", "cut", "behead", "empty"]))
    changed = list(lines)
    if how == "drop":
        del changed[at]
    elif how == "swap":
        assume(at != other)
        changed[at], changed[other] = changed[other], changed[at]
    elif how == "repeat":
        changed.insert(other, lines[at])
    elif how == "cut":
        changed = lines[:at]
    elif how == "behead":
        changed = lines[at + 1 :]
    else:
        changed.insert(at, b"\n")
    assert world.findings(victim, b"".join(changed))


def _drop(lines: Lines, at: int, other: int) -> None:
    del lines[at]


def _swap(lines: Lines, at: int, other: int) -> None:
    lines[at], lines[other] = lines[other], lines[at]


def _repeat(lines: Lines, at: int, other: int) -> None:
    lines.insert(other, dict(lines[at]))


def _cut(lines: Lines, at: int, other: int) -> None:
    del lines[at:]


def _alter(lines: Lines, at: int, other: int) -> None:
    body = lines[at]["body"] = dict(lines[at]["body"])
    key = sorted(body)[other % len(body)]
    value = body[key]
    if isinstance(value, int):
        body[key] = value + 1
    elif isinstance(value, str):
        body[key] = value + "x" if value else "x"
    else:
        del body[key]


def _rename(lines: Lines, at: int, other: int) -> None:
    lines[at]["kind"] = "note"


@settings(quick, max_examples=100)
@given(
    st.sampled_from(NAMES),
    st.sampled_from([_drop, _swap, _repeat, _cut, _alter, _rename]),
    st.data(),
)
def test_an_owner_who_writes_its_account_anew_is_found(
    world: World, victim: str, change: Callable[[Lines, int, int], None], data: st.DataObject
) -> None:
    lines = world.lines(victim)
    at = data.draw(st.integers(0, len(lines) - 1))
    other = data.draw(st.integers(0, len(lines) - 1))
    # the last line's own texts stand on the owner's word: nobody heard of it before it ended
    assume(change is not _alter or at < len(lines) - 1)
    last = {at, other} <= {len(lines) - 2, len(lines) - 3}  # which came first, nobody else knows
    assume(change is not _swap or not (at == other or last))
    change(lines, at, other)
    assert world.findings(victim, world.resigned(victim, lines))


def test_findings_name_file_and_line(world: World) -> None:
    lines = world.lines("bureau")
    at = next(i for i, line in enumerate(lines) if line["kind"] == "disclosure")
    lines[at]["body"]["matched"] = 31
    found = world.findings("bureau", world.resigned("bureau", lines))
    assert f"bureau, line {at + 1}: " in "\n".join(map(str, found))
    assert any("rewritten" in finding.text for finding in found)
    assert any("matched 31" in finding.text for finding in found)
    cut = world.findings("bureau", world.resigned("bureau", world.lines("bureau")[:20]))
    assert any(
        finding.line == 21 and "lines were cut off here: bureau had signed" in finding.text
        for finding in cut
        if finding.put_back
    )
    assert not any(finding.put_back for finding in found if "matched 31" in finding.text)
    told, bank = list[str](), world.folder / "bank" / "ledger.jsonl"
    shorter = world.folder / "altered.jsonl"
    ledger_views.verify(bank, world.keys["bank"].identity, shorter, told.append)
    assert "was put back to an older copy" in told[-1]


def test_a_ledger_of_another_job_or_key_is_told(world: World) -> None:
    lines = world.lines("bureau")
    lines[0]["body"]["session"] = "00" * 32
    found = world.findings("bureau", world.resigned("bureau", lines))
    assert "was not signed by bank" in found[0].text
    found = world.findings("bureau", world.resigned("bureau", lines[:2], bytes(32)))
    assert "another job" in found[0].text
    stranger = World(world.folder, {**world.keys, "bureau": PartyKeys.generate("bureau")})
    found = world.findings("bureau", stranger.resigned("bureau", world.lines("bureau")))
    assert "not signed by bureau" in found[0].text


def test_invented_heads_are_found(world: World) -> None:
    """A party that blames another cannot make its signature."""
    lines = world.lines("bureau")
    for line in lines:
        if line["kind"] == "received":
            head = Head(*line["body"]["head"])
            line["body"]["head"] = [head.number, "ab" * 32, head.signature]
    found = world.findings("bureau", world.resigned("bureau", lines))
    assert "was not signed by bank" in found[0].text


def test_the_command_verifies_against_another_ledger(world: World) -> None:
    bank, bureau = (world.folder / name for name in NAMES)
    words = ["ledger", "verify", str(bank / "ledger.jsonl"), "--identity"]
    words += [str(bank / "identity.json"), "--against"]
    done = CliRunner().invoke(app, [*words, str(bureau / "ledger.jsonl")])
    assert (done.exit_code, "the two accounts agree" in done.output) == (0, True)
    short = world.folder / "short.jsonl"
    short.write_bytes(world.resigned("bureau", world.lines("bureau")[:-1]))
    done = CliRunner().invoke(app, [*words, str(short)])
    assert done.exit_code == DIFFER
    assert f"line {len(world.lines('bureau'))}: the account breaks off here" in done.output
    shown = CliRunner().invoke(app, ["ledger", "show", str(bureau / "ledger.jsonl")], env=WIDE)
    assert '"counts" for "test", signed by bank, bureau' in shown.output
    assert "message Draft" in shown.output


@pytest.fixture(scope="module")
def node(world: World) -> Path:
    """A bureau's node that holds the job's ledger."""
    home = NodeHome.create(world.folder / "node", "bureau", "localhost:1")
    write_identity(home.path / "identity.json", world.keys["bureau"].identity)
    session = bytes.fromhex(world.lines("bureau")[0]["body"]["session"])
    home.job(session).mkdir()
    (home.job(session) / "ledger.jsonl").write_bytes(world.texts["bureau"])
    return home.path


def test_a_node_lists_shows_and_verifies_its_ledgers(world: World, node: Path) -> None:
    job = world.lines("bureau")[0]["body"]["session"][:8]
    home = ["--home", str(node)]

    def run(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["node", "ledger", *words, *home], env=WIDE)
        return done.exit_code, done.output

    assert run()[1].count(job) == 1
    assert "finished" in run("show")[1]
    assert run(job) == run("show", job)
    assert "message Draft" in run(job)[1]
    assert "message" not in run(job, "--disclosures")[1]
    assert run("verify")[0] == run("verify", job)[0] == 0
    theirs = str(world.folder / "bank" / "ledger.jsonl")
    assert "the two accounts agree" in run("verify", job, "--against", theirs)[1]
    assert run("show", "ffffffff")[0] == 1


def test_exported_events_are_flat_and_timed(world: World, node: Path) -> None:
    out = world.folder / "events.jsonl"
    words = ["node", "ledger", "export", "--home", str(node), "--out", str(out)]
    assert CliRunner().invoke(app, words).exit_code == 0
    events = [json.loads(text) for text in out.read_text().splitlines()]
    assert [event["line"] for event in events] == list(range(1, len(world.lines("bureau")) + 1))
    for event in events:
        assert all(isinstance(value, str | int) for value in event.values()), event
        assert {"time", "product", "format", "party", "session", "event", "hash"} <= event.keys()
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", event["time"])
    kinds = {event["event"]: event for event in events}
    assert kinds["contract"]["signed_by"] == "bank,bureau"
    assert kinds["disclosure"]["count_rows"] == 25
    assert kinds["received"]["peer_line"] > 1
    documented = (Path(__file__).parents[2] / "docs" / "LEDGER.md").read_text()
    for name in {key for event in events for key in event if not key.startswith("count_")}:
        assert f"`{name}`" in documented, name
    late = CliRunner().invoke(app, [*words, "--since", "2999-01-01"])
    assert late.exit_code == 0
    assert out.read_text() == ""
    with pytest.raises(MisuseError, match="a time like"):
        ledger_views.export([], None, "yesterday", "jsonl")
    with pytest.raises(MisuseError, match="jsonl allowed"):
        ledger_views.export([], None, "", "cef")
