"""What `plan` says where the run would do otherwise, or what nobody can know yet."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from federated.keys.party_keys import PartyKeys
from federated.node.home import NodeHome
from profiles.cli import app
from profiles.job import Job
from profiles.plan_text import describe
from psi.protocol import Declined

JOB = """
[job]
name = "segments"
purpose = "retention"
key_bits = 2048

[[party]]
name = "bank"
table = "bank.people"
keys = [["id"]]

[[party]]
name = "telecom"
table = "telecom.people"
keys = [["id"]]

[align]
kinds = [["text"]]
minimum_overlap = 20

[[aggregate]]
by = "bank.segment"
measures = ["telecom.usage:mean"]
"""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A job's files, the bank's table alone, and its node, which knows the telecom."""
    rows = "".join(f"{i},{'AB'[i % 2]}\n" for i in range(60))
    (tmp_path / "people.csv").write_text(f"id,segment\n{rows}")
    bound = '[bank.people]\npath = "people.csv"\nentity = "consumer"\n'
    (tmp_path / "tables.toml").write_text(bound)
    (tmp_path / "job.toml").write_text(JOB)
    home = tmp_path / "node"
    home.mkdir()
    (home / "node.toml").write_text('version = 1\nname = "bank"\nhub = "nowhere:1"\n')
    known = {name: PartyKeys.generate(name).identity for name in ("bank", "telecom")}
    monkeypatch.setattr(NodeHome, "pinned", lambda self: known)
    return tmp_path


def asked(world: Path, *more: str) -> Result:
    given = [str(world / "job.toml"), "--tables", str(world / "tables.toml"), *more]
    return CliRunner().invoke(app, ["plan", *given])


def policy(world: Path, limits: str) -> None:
    (world / "node/policy.toml").write_text(f"[limits]\n{limits}\n")


def test_over_a_hub_it_is_the_plan_of_what_the_run_proposes(world: Path) -> None:
    done = asked(world)
    here = done.output
    assert not done.exception, repr(done.exception)
    assert "sends its values encrypted" in here, here
    assert "over a hub the receiver proposes private sums" in here
    policy(world, 'basis = "none"\naggregate_protocols = ["sums"]')
    there = asked(world, "--hub", str(world / "node")).output
    assert "encrypted under" not in there
    assert "under pads of which bank can take sums only" in there
    assert "plan --hub" not in there, "nothing is left open"


def test_what_the_job_file_settles_is_not_called_open(world: Path) -> None:
    named = JOB.replace('by = "bank.segment"', 'by = "bank.segment"\nprotocol = "paillier"')
    (world / "job.toml").write_text(named)
    assert "plan --hub" not in asked(world).output


def test_its_own_policy_is_asked_as_the_run_asks_it(world: Path) -> None:
    policy(world, 'basis = "every"\naggregate_protocols = ["sums"]')
    done = asked(world, "--hub", str(world / "node"))
    assert isinstance(done.exception, Declined)
    assert "states no lawful basis" in str(done.exception)


CARD = """
[[train]]
task = "t"
label = "bank.y"
model = "scorecard"
"""


def test_what_its_own_book_lets_not_be_told_of_a_label_ends_the_plan(world: Path) -> None:
    """All had said yes before the receiver refused what its own rows had settled."""
    parties, _ = JOB.split("[[aggregate]]")
    named = parties.replace('keys = [["id"]]', 'keys = [["id"]]\nfeatures = ["a"]')
    (world / "job.toml").write_text(named + CARD)
    ids = "".join(f"k{n},{n % 7},{n % 2}\n" for n in range(200))
    (world / "people.csv").write_text(f"id,a,y\n{ids}")
    bound = '[bank.people]\npath = "people.csv"\nentity = "consumer"\nkeys = ["id"]\n'
    (world / "tables.toml").write_text(bound + '[bank.people.permissions]\na = "feature"\n')
    (world / "node/policy.toml").write_text("[releases]\nlabel_bits = 1.0\n")
    done = asked(world, "--hub", str(world / "node"))
    assert isinstance(done.exception, Declined), done.output
    assert "1.16 bits of one record's label asked" in str(done.exception)
    assert "Nobody else has been asked yet" in done.exception.hint
    assert not (world / "node/releases").exists(), "a plan leaves nothing"
    assert "a node with this limit refuses the job" in " ".join(asked(world).output.split())
    (world / "node/policy.toml").write_text("[releases]\nlabel_bits = 1.17\n")
    done = asked(world, "--hub", str(world / "node"))
    assert not done.exception, repr(done.exception)
    assert "1.17 may be told of it to one partner" in " ".join(done.output.split())
    assert "refuses the job" not in done.output


def test_what_nobody_has_looked_at_is_not_said_of_a_table(world: Path) -> None:
    said = asked(world).output
    (line,) = [text for text in said.splitlines() if text.startswith("  telecom (telecom.people")]
    assert "60 rows assumed" in line
    assert "no lawful basis" not in line
    assert "what basis its rows have is asked when the job is proposed" in line
    nothing = describe(Job.load(world / "job.toml"), None, 500)
    assert "no lawful basis" not in nothing


def test_it_says_what_its_seconds_count(world: Path) -> None:
    assert "of the steps between them; reading tables, own models" in asked(world).output
