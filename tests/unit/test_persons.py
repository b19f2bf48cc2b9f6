"""Who was in which job, one person's answer, and what forgetting one person leaves behind."""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from federated.contract.completion import complete
from federated.keys.identity_file import write_identity
from federated.keys.keyfile import save_keys
from federated.keys.party_keys import PartyKeys
from federated.ledger.hashes import hash_apart
from federated.ledger.lines import read_ledger
from federated.node.forget import forget, look_up, readmit
from federated.node.home import NodeHome, person_book
from federated.node.participant import Participant
from federated.persons.book import PersonBook
from federated.persons.naming import Person
from federated.releases.files import ReleaseFiles
from federated.releases.limits import ReleaseLimits
from federated.releases.memory import Releases
from federated.session.routers import MemoryRouter
from federated.session.session import Session
from federated.steps.outcome import Outcome
from federated.tables.bindings import TablesFile
from federated.tables.source import FileSource, MemorySource
from profiles.cli import app
from profiles.copies import ROWS, note_copy
from profiles.job import Job
from profiles.proposal import draft
from profiles.without_person import take_out
from psi.protocol import InputError

JOB = """
[job]
name = "loans by segment"
purpose = "credit risk"
key_bits = 2048
[[party]]
name = "bank"
table = "bank.people"
keys = [["id"]]
[[party]]
name = "bureau"
table = "bureau.people"
keys = [["id_no"]]
[align]
minimum_overlap = 5
[[aggregate]]
by = "bank.segment"
measures = ["bureau.loans:mean"]
minimum_group = 3
"""
TABLES = """
[bureau.people]
path = "people.csv"
keys = ["id_no", "phone"]
"""
NAMES = ("bank", "bureau")
KEYS = {name: PartyKeys.generate(name) for name in NAMES}
PINNED = {name: keys.identity for name, keys in KEYS.items()}
SECRET = b"correct horse battery"
PEOPLE = [f"planted{i:03d}" for i in range(60)]
ONE = PEOPLE[7]


class World:
    """A bureau's node, and a bank that asks it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.jobs = folder, 0
        (folder / "job.toml").write_text(JOB)
        self.home = NodeHome.create(folder / "node", "bureau", "hub:1")
        save_keys(self.home.keys, KEYS["bureau"], SECRET, secrets.token_bytes)
        write_identity(self.home.path / "identity.json", KEYS["bureau"].identity)
        (folder / "passphrase").write_bytes(SECRET)
        (folder / "passphrase").chmod(0o600)
        self.home.tables.write_text(TABLES)
        people = {"id_no": PEOPLE, "phone": [f"138{i:08d}" for i in range(60)]}
        frame = pd.DataFrame(people | {"loans": np.arange(60), "cars": np.arange(60) % 3})
        frame.to_csv(self.home.path / "people.csv", index=False)
        self.book = person_book(self.home)
        self.releases = Releases(
            self.home.releases, ReleaseLimits(), secrets.token_bytes, time.time
        )

    def run(self, people: Sequence[str]) -> tuple[Outcome | None, dict[str, BaseException]]:
        self.jobs += 1
        nonce, place = secrets.token_bytes(32), self.folder / str(self.jobs)
        router, errors = MemoryRouter(list(NAMES)), dict[str, BaseException]()
        asking = {"id": list(people), "segment": ["a", "b"] * (len(people) // 2)}
        asking["segment"] += ["a"] * (len(people) % 2)
        bank = MemorySource({"bank.people": pa.table(asking)})
        found: list[Outcome] = []

        def play(name: str) -> None:
            session = Session(
                nonce, KEYS[name], PINNED, router.endpoint(name), place / name, timeout=30
            )
            try:
                if name == "bureau":
                    source = FileSource(TablesFile.load(self.home.tables))
                    Participant(
                        session, source, releases=self.releases, persons=self.book,
                        kept=self.home.tags,
                    ).join()  # fmt: skip
                    return
                asked = draft(Job.load(self.folder / "job.toml"), PINNED, nonce, time.time())
                found.append(Participant(session, bank).propose(asked, complete)[1])
            except BaseException as error:
                errors[name] = error

        threads = [threading.Thread(target=play, args=(name,), daemon=True) for name in NAMES]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        return (found[0] if found else None), errors

    def command(self, *words: str, **more: str) -> str:
        secret = ["--passphrase-file", str(self.folder / "passphrase")]
        words = (*words, "--home", str(self.home.path), *(secret if words[0] == "forget" else ()))
        done = CliRunner().invoke(app, words, catch_exceptions=False, **more)  # type: ignore[arg-type]
        assert done.exit_code == 0, done.output
        assert "planted" not in done.output
        return done.output

    def files(self) -> dict[str, str]:
        """Every file of the node but locks, by hash."""
        return {
            str(path.relative_to(self.home.path)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.home.path.rglob("*"))
            if path.is_file() and "lock" not in path.name
        }


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_party_knows_who_was_in_its_jobs_and_answers_one_person(world: World) -> None:
    outcome, errors = world.run(PEOPLE[:40])
    assert outcome is not None, errors
    (job,) = world.book.jobs()
    assert (job.rows, job.matched, job.purpose_class) == (60, 40, "risk")
    told = world.command("node", "answer", ONE)
    assert '"loans by segment" for "credit risk" (risk), with bank; bank received' in told
    assert "you were found at the partners" in told
    assert "as aggregate: loans" in told
    by_phone = world.command("node", "answer", "-", input="13800000007\n")
    assert by_phone == told
    unmatched = world.command("node", "answer", PEOPLE[50])
    assert "you were not found at all partners" in unmatched
    assert "no job that is remembered here" in world.command("node", "answer", "nobody")
    (row,) = json.loads(world.command("node", "year", "--json"))["purposes"]
    assert row == {
        "purpose": "credit risk", "class": "risk", "partner": "bank", "table": "bureau.people",
        "jobs": 1, "rows": 60, "distinct": 60, "matched": 40,
    }  # fmt: skip
    assert "1 jobs, 60 rows, 60 distinct; 40 found there" in world.command("node", "year")
    assert "no job of 2019" in world.command("node", "year", "--of", "2019")
    kept = [f for f in world.home.persons.iterdir() if f.name != ".lock"]
    assert all(b"planted" not in file.read_bytes() for file in kept)
    assert all(file.stat().st_mode & 0o077 == 0 for file in kept)


def test_digests_end_and_counts_stay(tmp_path: Path) -> None:
    made = World(tmp_path)
    source = FileSource(TablesFile.load(made.home.tables))
    table = source.load("bureau.people", ["id_no", "phone"], keys=["id_no", "phone"])
    contract = draft(Job.load(tmp_path / "job.toml"), PINNED, secrets.token_bytes(32), time.time())
    made.book.admit(contract, "bureau", source, table, np.arange(60) == 7)
    assert made.book.used(look_up(made.home, ONE)) == []
    assert [one.matched for one in made.book.used(look_up(made.home, PEOPLE[8]))] == [None]
    made.book.match(contract.nonce, np.array([8, 6]), np.arange(60) == 7)
    matched = [made.book.used(look_up(made.home, PEOPLE[i]))[0].matched for i in (6, 8, 9)]
    assert matched == [True, True, False]
    now = time.time()
    assert made.book.expired(now - 10, now - 10) == []
    for file in made.book.expired(now + 10, now - 10):
        file.unlink()
    assert made.book.used(look_up(made.home, PEOPLE[8])) == []
    (job,) = made.book.jobs()
    assert (job.rows, job.matched) == (59, 2)
    assert made.book.persons([job.session]) is None
    assert len(made.book.expired(now + 10, now + 10)) == 1


def test_a_forgotten_person_is_gone_and_still_protected(world: World) -> None:
    assert world.run(PEOPLE)[0] is not None
    before = world.files()
    said = world.command("forget", ONE, "--dry-run")
    assert "1 of bureau.people; out of all later jobs" in said
    assert world.files() == before
    said = world.command("forget", ONE)
    assert "the record of who was in 1 jobs is without the person" in said
    assert "tags in the book of releases replaced: 1" in said
    assert "signed ledgers and contracts" in said
    assert world.book.used(look_up(world.home, ONE)) == []
    line = read_ledger(world.home.path / "ledger.jsonl")[-1]
    assert line["kind"] == "withdrawn"
    assert (line["body"]["jobs"], line["body"]["releases"]) == (1, 1)
    for name in world.files().keys() - {"people.csv"}:
        assert ONE.encode() not in (world.home.path / name).read_bytes(), name
    # the answer that counted the person still stands against one that would not
    outcome, errors = world.run(PEOPLE)
    assert outcome is None
    assert "too few records apart" in str(errors["bureau"])
    (job,) = (job for job in world.book.jobs() if job.rows == 59)
    assert job.matched == -1  # it ended before
    again = world.command("forget", ONE)
    assert "the record of who was in 0 jobs" in again
    assert "replaced: 0" in again


def test_files_of_flows_beside_other_tables_are_reached_by_their_folder(world: World) -> None:
    views = world.folder / "elsewhere"
    views.mkdir()
    (views / "tables.toml").write_text("")
    pq.write_table(pa.table({"entity": [ONE, PEOPLE[8]]}), world.folder / "view.parquet")
    note_copy(views, ROWS, world.folder / "view.parquet")
    said = world.command("forget", ONE)
    assert "unless --out names their folder" in said
    assert pq.read_table(world.folder / "view.parquet").num_rows == 2
    assert "view.parquet is without the person" in world.command("forget", ONE, "--out", str(views))
    left = pq.read_table(world.folder / "view.parquet").column("entity").to_pylist()
    assert left == [PEOPLE[8]]
    # who is shown the ledger finds no content by trying: its owner's secret lies beside it
    ((name, noted),) = read_ledger(world.home.path / "ledger.jsonl")[-1]["body"]["outputs"].items()
    plain = hashlib.sha256((world.folder / "view.parquet").read_bytes()).hexdigest()
    secret = (world.home.path / "outputs.secret").read_text()
    assert len({noted, plain, hash_apart("", name, plain)}) == 3
    assert noted == hash_apart(secret, name, plain)


def test_the_next_job_has_no_row_of_the_person(world: World) -> None:
    forget(world.home, look_up(world.home, ONE), KEYS["bureau"])
    outcome, errors = world.run(PEOPLE)
    assert outcome is not None, errors
    assert outcome.contract.party("bureau").rows == 59
    assert len(outcome.rows) == 59
    assert 7 not in outcome.rows
    used = world.book.used(look_up(world.home, PEOPLE[8]))
    assert [one.matched for one in used] == [True]


def test_a_forgetting_that_was_killed_is_finished_alike(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In both jobs one number stands for the person, though a kill lay between them."""
    assert world.run(PEOPLE[:40])[0] is not None
    other = JOB.replace("bureau.loans", "bureau.cars")
    (world.folder / "job.toml").write_text(other)
    assert world.run([*PEOPLE[:20], *PEOPLE[40:]])[0] is not None
    sessions = sorted(job.session for job in world.book.jobs())

    def tags(session: str) -> set[int]:
        return set(world.releases._files.tags(session).tolist())

    shared = set.intersection(*(tags(session) for session in sessions))
    assert len(shared) == 20
    write, fails = ReleaseFiles.replace_tags, iter([False, True])

    def dies(self: ReleaseFiles, *given: object) -> bool:
        if next(fails, False):
            raise KeyboardInterrupt
        return write(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(ReleaseFiles, "replace_tags", dies)
    with pytest.raises(KeyboardInterrupt):
        forget(world.home, look_up(world.home, ONE), KEYS["bureau"])
    assert (world.home.persons / "pending").exists()
    assert ONE.encode() not in (world.home.persons / "pending").read_bytes()
    world.command("forget", ONE)
    assert not (world.home.persons / "pending").exists()
    after = set.intersection(*(tags(session) for session in sessions))
    assert len(after) == 20
    assert len(after - shared) == 1


def test_who_comes_back_waits_until_no_answer_counts_another_in_the_place(world: World) -> None:
    one = look_up(world.home, ONE)
    forget(world.home, one, KEYS["bureau"])
    assert "may be in jobs again" in world.command("forget", ONE, "--undo")
    assert readmit(world.home, one) == 0
    assert world.run(PEOPLE)[0] is not None
    forget(world.home, one, KEYS["bureau"])
    with pytest.raises(InputError, match="are remembered until"):
        readmit(world.home, one)


def test_a_word_that_names_several_is_refused_without_it(world: World) -> None:
    tables = world.home.tables
    tables.write_text(TABLES.replace('"phone"]', '"phone", "loans"]'))
    frame = pd.read_csv(world.home.path / "people.csv", dtype=str)
    frame.assign(loans="4711").to_csv(world.home.path / "people.csv", index=False)
    with pytest.raises(InputError, match="names 60 rows of several persons") as met:
        look_up(world.home, "4711")
    assert "4711" not in str(met.value)
    found = look_up(world.home, ONE, column="id_no")
    assert found.rows["bureau.people"].num_rows == 1
    assert repr(found) == "<one person>"
    with pytest.raises(InputError, match="no identifier"):
        look_up(world.home, "  ")


def test_a_person_whose_row_is_gone_already_is_forgotten_by_the_word(world: World) -> None:
    assert world.run(PEOPLE)[0] is not None
    frame = pd.read_csv(world.home.path / "people.csv", dtype=str)
    frame[frame.id_no != ONE].to_csv(world.home.path / "people.csv", index=False)
    done = forget(world.home, look_up(world.home, ONE), KEYS["bureau"])
    assert (done.jobs, done.releases, done.tables) == (1, 1, {})


def test_outputs_without_one_person(tmp_path: Path) -> None:
    profiles = pa.table({"entity": ["C1", "C2", "C3"], "name": ["A", "B & C", "D"], "x": [1, 2, 3]})
    noted = profiles.replace_schema_metadata({"description": "kept"})
    pq.write_table(noted, tmp_path / "profiles.parquet")
    reasons = pa.array([["x high (+0.31)"]] * 2, pa.list_(pa.string()))
    listed = profiles.slice(1).append_column("reasons", reasons)
    pq.write_table(listed, tmp_path / "targets.parquet")
    (tmp_path / "targets.csv").write_text("entity,name,x\nC2,B,2\nC3,D,3\n")
    pq.write_table(pa.table({"column": ["entity"]}), tmp_path / "other.parquet")
    said = {"entity": {"table": "bank.people", "column": "customer"}, "lang": "zh"}
    (tmp_path / "metrics.json").write_text(json.dumps(said))
    row = '  <tr><td>1</td><th scope="row">C2</th><td>B &amp; C</td></tr>\n'
    page = f"<table>\n{row}{row.replace('C2', 'C3')}</table>"
    (tmp_path / "report.html").write_text(page)
    rows = pa.table({"customer": ["C2"], "id": ["planted"], "name": ["B & C"]})
    person = replace(look_up_none(), word="planted", rows={"bank.people": rows})
    assert set(take_out(tmp_path, person, dry=True).values()) == {""}
    assert pq.read_table(tmp_path / "profiles.parquet").num_rows == 3
    found = take_out(tmp_path, person)
    assert set(found) == {"profiles.parquet", "targets.parquet", "targets.csv", "report.html"}
    left = pq.read_table(tmp_path / "profiles.parquet")
    assert left.column("entity").to_pylist() == ["C1", "C3"]
    assert left.schema.metadata[b"description"] == b"kept"
    assert "C2" not in (tmp_path / "targets.csv").read_text()
    assert "C3" in (tmp_path / "targets.csv").read_text()
    assert "x 高 (+0.31)" in (tmp_path / "targets.csv").read_text()
    assert (tmp_path / "report.html").read_text() == page.replace(row, "")
    assert found["report.html"] == hashlib.sha256(page.replace(row, "").encode()).hexdigest()
    assert take_out(tmp_path, person) == {}
    (tmp_path / "report.html").write_text(page + "<p>C2</p>")
    assert take_out(tmp_path, person) == {"report.html": ""}
    assert not (tmp_path / "report.html").exists()


def look_up_none() -> Person:

    return Person("", {})


@pytest.mark.slow
@pytest.mark.timing
def test_a_million_persons_in_a_job(tmp_path: Path) -> None:
    n = 10**6
    table = pa.table({"id_no": pa.array(np.arange(n).astype(str)).cast(pa.large_string())})
    text = JOB.split("[[aggregate]]", maxsplit=1)[0]
    contract = draft(Job.load(text), PINNED, secrets.token_bytes(32), time.time())
    book = PersonBook(tmp_path / "persons", secrets.token_bytes, time.time)
    begun = time.process_time()
    book.admit(contract, "bureau", MemorySource({"bureau.people": table}), table, None)
    book.match(contract.nonce, np.arange(0, n, 2), None)
    assert time.process_time() - begun < 6
    assert sum(f.stat().st_size for f in book._folder.iterdir()) < 8.2 * n
