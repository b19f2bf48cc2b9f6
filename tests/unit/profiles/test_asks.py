"""Analysts on accounts of their own: whose ask counts, and that nobody else's does."""

from __future__ import annotations

import json
import secrets
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from federated.keys.officers import ANALYST, OfficerKey, OfficerList, Person
from federated.keys.party_keys import PartyKeys
from profiles.asks import asks_in, find_ask, put_ask, read_ask, share
from profiles.cli import app
from psi.protocol import InputError, JobError, MisuseError, Refused
from tests.e2e.conftest import JOB

KEYS = PartyKeys.generate("bank")
SECRET = b"correct horse"


def made_key(folder: Path, name: str) -> OfficerKey:
    return OfficerKey.make(name, folder / f"{name}.key", SECRET, secrets.token_bytes)


@pytest.fixture
def asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("federated.keys.keyfile._COST", 2)
    (tmp_path / "job.toml").write_text(JOB)
    (tmp_path / "asks").mkdir()
    return tmp_path / "asks"


def listed(*keys: OfficerKey, role: str = ANALYST) -> OfficerList:
    people = tuple(Person(key.name, key.public, role) for key in keys)
    return OfficerList("bank", 0, ()).changed(people, KEYS)


def test_who_is_listed_asks(tmp_path: Path, asks: Path) -> None:
    ben, eve = made_key(tmp_path, "ben"), made_key(tmp_path, "eve")
    made = put_ask(asks, tmp_path / "job.toml", ben)
    found = read_ask(made.file, listed(ben))
    assert found.asker is not None
    assert (found.asker.name, found.said["job"]) == ("ben", JOB)
    assert find_ask(asks, made.id[:6]).id == made.id
    with pytest.raises(MisuseError, match="0 asks begin"):
        find_ask(asks, "zz")
    with pytest.raises(Refused, match="not listed"):
        read_ask(made.file, listed(eve))
    again = OfficerKey.make("ben", tmp_path / "other.key", SECRET, secrets.token_bytes)
    with pytest.raises(Refused, match="not listed"):
        read_ask(made.file, listed(again))
    (tmp_path / "wrong.toml").write_text("[job]")
    with pytest.raises(JobError):
        put_ask(asks, tmp_path / "wrong.toml", ben)
    with pytest.raises(InputError, match="no folder of asks"):
        put_ask(tmp_path / "nowhere", tmp_path / "job.toml", ben)


def test_an_ask_that_was_altered_moved_or_kept_is_none(tmp_path: Path, asks: Path) -> None:
    ben = made_key(tmp_path, "ben")
    made = put_ask(asks, tmp_path / "job.toml", ben)
    said, whose = json.loads(made.file.read_text()), listed(ben)
    for change in ({"job": JOB.replace("retention", "fraud")}, {"made": said["made"] + 1}):
        made.file.write_text(json.dumps(said | change))
        with pytest.raises(Refused, match="not signed by ben"):
            read_ask(made.file, whose)
    made.file.write_text(json.dumps(said | {"party": "bureau"}))
    with pytest.raises(Refused):
        read_ask(made.file, whose)
    made.file.write_text(json.dumps(said))
    moved = asks / f"{secrets.token_hex(8)}.ask"
    moved.write_text(json.dumps(said))
    with pytest.raises(InputError, match="not an ask"):
        read_ask(moved, whose)
    assert len(asks_in(asks)) == 1  # what cannot be read hides no other
    later = time.time() + 8 * 24 * 3600
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: later)
        with pytest.raises(Refused, match="too old"):
            read_ask(made.file, whose)
        assert read_ask(made.file, whose, new=False).asker  # one that began in time goes on


def test_the_group_reads_what_came_of_it(tmp_path: Path, asks: Path) -> None:
    made = put_ask(asks, tmp_path / "job.toml", made_key(tmp_path, "ben"))
    assert made.state["state"] == "asked"
    (made.folder / "out").mkdir(parents=True)
    (made.folder / "out" / "report.html").write_text("")
    made.becomes("failed", "bureau says no", 6)
    share(made.folder)
    assert made.state == {"state": "failed", "why": "bureau says no", "code": 6}
    assert (made.folder / "out").stat().st_mode & 0o777 == 0o750
    assert (made.folder / "out" / "report.html").stat().st_mode & 0o777 == 0o640


def test_of_a_run_that_failed_its_error_is_shown(tmp_path: Path, asks: Path) -> None:
    made = put_ask(asks, tmp_path / "job.toml", made_key(tmp_path, "ben"))
    made.folder.mkdir()
    (made.folder / "log").write_text("bank: contract\nerror: not released\nhint: ask\n")
    shown = CliRunner().invoke(app, ["job", "asks", "--asks", str(asks)])
    assert "error: not released" in shown.output
    (made.folder / "log").write_text("the end of a table\n")
    made.becomes("done")
    shown = CliRunner().invoke(app, ["job", "asks", "--asks", str(asks)])
    assert f"see {made.id}/out/report.html" in shown.output


def test_a_month_goes_by_the_last_one_that_the_service_made(tmp_path: Path, asks: Path) -> None:
    ben = made_key(tmp_path, "ben")
    first, second = (put_ask(asks, tmp_path / "job.toml", ben) for _ in range(2))

    def before() -> str:
        found = second.before
        return "" if found is None else found.id

    assert before() == "", "nothing has been made"
    first.folder.mkdir(mode=0o750)
    first.becomes("running")
    assert before() == ""
    first.becomes("done")
    assert before() == first.id
    assert first.before is None, "not by itself"
    (tmp_path / "job.toml").write_text(JOB.replace("churn", "leaves"))
    assert put_ask(asks, tmp_path / "job.toml", ben).before is None, "another job"
    first.folder.chmod(0o770)
    assert before() == "", "what others may write to is no run of the service's"
    moved = first.folder.rename(tmp_path / "elsewhere")
    moved.chmod(0o750)
    first.folder.symlink_to(moved)
    assert before() == ""
