"""A party's book of releases: what a prober gets, what a kill leaves, what lies on the disk."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from federated.contract.release import Release
from federated.contract.terms import Contract, PartyTerms
from federated.keys.party_keys import PartyKeys
from federated.ledger.account import verify_ledger
from federated.ledger.lines import Ledger, read_ledger
from federated.node.home import NodeHome
from federated.releases.book import Level
from federated.releases.limits import ReleaseLimits, load_release_limits
from federated.releases.memory import Releases
from federated.releases.tags import level_key, tags_of
from profiles.cli import app
from psi.protocol import EnvironmentFailed, InputError, JobError, Refused

DAY = 24 * 3600.0
LOANS = Release(step="aggregate/0/bureau", columns=("loans",))
PEOPLE = [f"planted{i:05d}" for i in range(1000)]


class Clock:
    def __init__(self) -> None:
        self.now = 1e9

    def __call__(self) -> float:
        return self.now


def party(name: str, **more: object) -> PartyTerms:
    terms = PartyTerms(
        name=name,
        organisation="ab" * 32,
        sealing="cd" * 32,
        table=f"{name}.people",
        keys=(("id",),),
        kinds=(("text",),),
    )
    return replace(terms, **more)  # type: ignore[arg-type]


def contract(receiver: str = "bank", purpose: str = "retention", **mine: object) -> Contract:
    return Contract(
        version=1,
        nonce=secrets.token_hex(32),
        job="job",
        purpose=purpose,
        entity="consumer",
        proposer=receiver,
        receiver=receiver,
        not_before=1,
        expires=2,
        retention_days=30,
        seed=0,
        parties=(party(receiver), party("bureau", **mine)),
        align=(),
        aggregate=(),
        train=(),
    )


def by_id(people: Sequence[str | None]) -> Callable[[Sequence[Level]], list[pa.Array]]:
    def joined(levels: Sequence[Level]) -> list[pa.Array]:
        assert [level.columns for level in levels] == [("id",)]
        return [pa.array(people, pa.large_string())]

    return joined


class Bureau:
    """The exposed party: asked about people, it answers or refuses."""

    def __init__(self, folder: Path, clock: Clock | None = None, **limits: object) -> None:
        self.folder, self.clock = folder, clock or Clock()
        self.limits = replace(ReleaseLimits(), **limits)  # type: ignore[arg-type]
        self.told = ""

    @property
    def book(self) -> Releases:
        return Releases(self.folder, self.limits, secrets.token_bytes, self.clock)

    def asked(
        self, people: Sequence[str | None], release: Release = LOANS, job: Contract | None = None
    ) -> bool:
        job = job or contract()
        try:
            self.book.reserve(job, job.party("bureau"), release, by_id(people))
        except Refused as error:
            self.told = str(error)
            return False
        return True


def test_one_person_by_two_jobs_and_by_a_repeat(tmp_path: Path) -> None:
    bureau = Bureau(tmp_path)
    assert bureau.asked(PEOPLE)
    assert not bureau.asked(PEOPLE[:-1])
    assert not bureau.asked(PEOPLE)  # the same people in other groups would tell them apart
    assert not bureau.asked(PEOPLE[:-9])
    assert bureau.asked(PEOPLE[:-10])
    assert not bureau.asked([*PEOPLE[:-10], "one more"])
    assert "planted" not in bureau.told
    assert len(bureau.book.lines()) == 2  # refusals leave nothing


def test_a_refusal_is_what_the_asker_could_have_worked_out(tmp_path: Path) -> None:
    """The same answer whether the probed person is there or not: it depends on sets alone."""
    texts = []
    for probe in ("planted00007", "somebody else"):
        bureau = Bureau(tmp_path / probe)
        assert bureau.asked(PEOPLE)
        assert not bureau.asked([p for p in PEOPLE if p != probe])
        texts.append(bureau.told.split("(job")[0])
    assert texts[0] == texts[1]


def test_one_person_by_a_union_of_small_jobs_and_by_inclusion_and_exclusion(
    tmp_path: Path,
) -> None:
    union = Bureau(tmp_path / "union")
    assert union.asked(PEOPLE[:300])
    assert union.asked(PEOPLE[300:600])
    assert not union.asked(PEOPLE[:601])
    assert union.asked(PEOPLE[:700])
    both = Bureau(tmp_path / "both")
    assert both.asked(PEOPLE[:600])
    assert both.asked(PEOPLE[400:])
    assert both.asked(PEOPLE[400:600])
    assert not both.asked(PEOPLE[1:])


def test_few_people_are_refused_at_once(tmp_path: Path) -> None:
    assert not Bureau(tmp_path).asked(PEOPLE[:9])
    assert Bureau(tmp_path).asked(PEOPLE[:10])


def test_other_columns_tables_and_receivers_are_apart(tmp_path: Path) -> None:
    bureau = Bureau(tmp_path)
    assert bureau.asked(PEOPLE, Release(step="aggregate/0/bureau", columns=("loans", "overdue")))
    assert bureau.asked(PEOPLE, Release(step="aggregate/0/bureau", columns=("usage",)))
    assert not bureau.asked(PEOPLE, Release(step="train/churn", columns=("usage", "queries")))
    assert bureau.asked(PEOPLE, job=contract("telecom"))
    assert bureau.asked(PEOPLE, job=contract(table="bureau.firms"))
    assert not bureau.asked(PEOPLE, job=contract(purpose="marketing"))


def test_two_receivers_that_pool_read_what_one_may_not(tmp_path: Path) -> None:
    """What stands in the chapter: each has a budget of its own. The sums of the two differ by what
    one person has, and neither job is refused; for one receiver the second one is."""
    bureau = Bureau(tmp_path)
    assert bureau.asked(PEOPLE, job=contract("bank"))
    assert bureau.asked(PEOPLE[:-1], job=contract("telecom"))
    assert not bureau.asked(PEOPLE[:-1], job=contract("bank"))
    assert {line["receiver"] for line in bureau.book.lines()} == {"bank", "telecom"}


def test_all_steps_of_a_job_are_looked_at_first_and_counted_one_by_one(tmp_path: Path) -> None:
    bureau = Bureau(tmp_path, releases_per_column=2)
    ahead = [
        Release(step="aggregate/1/bureau", columns=("usage",)),
        Release(step="train/churn", columns=("loans",)),
    ]
    job = contract()
    for step in (LOANS, *ahead):
        bureau.book.reserve(job, job.party("bureau"), step, by_id(PEOPLE), ahead)
    assert [line["step"] for line in bureau.book.lines()] == [LOANS.step, *(r.step for r in ahead)]
    other = contract()
    first, late = (
        Release(step="aggregate/0/bureau", columns=("queries",)),
        Release(step="train/x", columns=("loans",)),
    )
    with pytest.raises(Refused, match=r"'loans' of bureau.people: 3 releases asked within 400"):
        bureau.book.reserve(other, other.party("bureau"), first, by_id(PEOPLE[:500]), [late])
    assert len(bureau.book.lines()) == 3


def test_a_job_that_goes_on_pays_once_and_a_kill_gives_nothing_back(tmp_path: Path) -> None:
    bureau = Bureau(tmp_path, releases_per_column=1)
    job = contract()
    for _ in range(3):  # each time a new process after a kill
        assert bureau.asked(PEOPLE, job=job)
    assert len(bureau.book.lines()) == 1
    assert not bureau.asked(PEOPLE[:500])


class Killed(BaseException):
    pass


@pytest.mark.parametrize("fatal", [1, 2, 3, 4])
def test_killed_at_every_write_it_never_gives_a_release_for_free(
    tmp_path: Path, fatal: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was answered is in the book; what is not in the book was not answered."""
    bureau, left = Bureau(tmp_path), [fatal]
    write = Path.replace

    def dying(self: Path, target: Path) -> Path:
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        return write(self, target)

    monkeypatch.setattr(Path, "replace", dying)
    answered = 0
    with contextlib.suppress(Killed):
        answered += bureau.asked(PEOPLE)
    monkeypatch.undo()
    assert len(bureau.book.lines()) == answered
    assert bureau.asked(PEOPLE[:-1]) != bool(answered)


def test_two_jobs_at_once_do_not_pass_each_other(tmp_path: Path) -> None:
    bureau = Bureau(tmp_path)
    answers: list[bool] = []
    threads = [
        threading.Thread(target=lambda i=i: answers.append(bureau.asked(PEOPLE[i:])))
        for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [False, False, False, True]


def test_entries_expire_with_their_tags_and_key(tmp_path: Path) -> None:
    clock = Clock()
    bureau = Bureau(tmp_path, clock, keep_days=30)
    assert bureau.asked(PEOPLE)
    clock.now += 20 * DAY
    assert bureau.asked(PEOPLE[:500])
    assert len(list(tmp_path.glob("tags-*"))) == 2
    clock.now += 11 * DAY
    assert len(bureau.book.lines()) == 1
    assert len(list(tmp_path.glob("tags-*"))) == 1
    assert bureau.asked(PEOPLE)
    clock.now += 31 * DAY
    assert bureau.book.lines() == []
    assert not list(tmp_path.glob("tags-*"))


def test_an_officer_can_forget_a_job(tmp_path: Path) -> None:
    bureau, job = Bureau(tmp_path), contract()
    assert bureau.asked(PEOPLE, job=job)
    assert bureau.book.forget(bytes.fromhex(job.nonce))
    assert not bureau.book.forget(bytes.fromhex(job.nonce))
    assert bureau.asked(PEOPLE)


def test_what_lies_on_the_disk_says_nothing_without_the_key(tmp_path: Path) -> None:
    bureau = Bureau(tmp_path)
    assert bureau.asked(PEOPLE)
    names = {path.name.split("-")[0] for path in tmp_path.iterdir()}
    assert names == {"book", "key", "tags", ".lock"}
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o077 == 0
        data = path.read_bytes()
        for word in (b"planted", b"loans", b"bank", b"retention"):
            assert word not in data
    (tmp_path / "key").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError):
        bureau.asked(PEOPLE[:100])
    (tmp_path / "elsewhere").rename(tmp_path / "key")
    next(tmp_path.glob("tags-*")).unlink()
    with pytest.raises(EnvironmentFailed, match=r"tags of job .* are missing"):
        bureau.asked(PEOPLE[:100])


def test_tags_differ_between_parties_receivers_and_levels(tmp_path: Path) -> None:
    level, people = Level(("id",), ("text",)), [pa.array(PEOPLE[:3], pa.large_string())]
    keys = {
        level_key(secret, place, level)
        for secret in (bytes(32), b"x" * 32)
        for place in (("t", "bank"), ("t", "telecom"), ("u", "bank"))
    }
    assert len(keys) == 6
    found = np.concatenate([tags_of(people, [key]) for key in keys])
    assert len(np.unique(found)) == 18
    with_null = [pa.array(["a", None, "c"]), pa.array(["x", "y", "a"])]
    first, second = keys.pop(), keys.pop()
    assert len(tags_of(with_null, [first, second])) == 3


def test_asking_by_another_key_does_not_make_old_records_new(tmp_path: Path) -> None:
    bureau, phones = Bureau(tmp_path), [f"phone{i}" for i in range(1000)]
    assert bureau.asked(PEOPLE)
    seen: list[tuple[Level, ...]] = []

    def joined(levels: Sequence[Level]) -> list[pa.Array]:
        seen.append(tuple(levels))
        columns = {"id": PEOPLE[1:], "mobile": phones[1:]}
        return [pa.array(columns[level.columns[0]], pa.large_string()) for level in levels]

    job = contract(keys=(("mobile",),), kinds=(("phone",),))
    with pytest.raises(Refused):
        bureau.book.reserve(job, job.party("bureau"), LOANS, joined)
    assert [level.columns for level in seen[0]] == [("id",), ("mobile",)]


def test_noise_is_counted_by_column_and_purpose(tmp_path: Path) -> None:
    bureau = Bureau(tmp_path, epsilon=1.0, purposes=("retention", "marketing"))
    noised = Release(step="aggregate/0/bureau", columns=("loans",), epsilon=0.4)
    assert bureau.asked(PEOPLE, noised)
    assert bureau.asked(PEOPLE, noised)  # the same people again: noise is what protects them
    assert not bureau.asked(PEOPLE, noised)
    assert bureau.asked(PEOPLE, replace(noised, epsilon=0.2))
    assert not bureau.asked(PEOPLE, replace(noised, epsilon=1e-6))
    assert bureau.asked(PEOPLE, noised, contract(purpose="marketing"))
    assert bureau.asked(PEOPLE, replace(noised, columns=("usage",)))
    assert not bureau.asked(PEOPLE[:500])  # without noise
    assert sum(int(line["micro_epsilon"]) for line in bureau.book.lines()) == 1_800_000


def test_without_a_budget_noised_answers_are_compared_too(tmp_path: Path) -> None:
    bureau = Bureau(tmp_path)
    noised = Release(step="aggregate/0/bureau", columns=("loans",), epsilon=0.4)
    assert bureau.asked(PEOPLE, noised)
    assert not bureau.asked(PEOPLE, noised)


def test_where_records_are_hidden_only_the_number_counts(tmp_path: Path) -> None:
    bureau = Bureau(tmp_path, releases_per_column=2)
    for _ in range(2):
        job = contract()
        bureau.book.reserve(job, job.party("bureau"), LOANS, None)
    job = contract()
    with pytest.raises(Refused, match="3 releases asked"):
        bureau.book.reserve(job, job.party("bureau"), LOANS, None)


def test_a_policy_may_leave_comparison_out(tmp_path: Path) -> None:
    bureau = Bureau(tmp_path, minimum_difference=0, releases_per_column=3)
    assert [bureau.asked(PEOPLE) for _ in range(4)] == [True, True, True, False]
    assert not list(tmp_path.glob("tags-*"))


def test_limits_come_from_the_policy_file(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    assert load_release_limits(file) == ReleaseLimits()
    file.write_text("[releases]\nminimum_difference = 20\nepsilon = 2\n")
    assert load_release_limits(file) == ReleaseLimits(
        minimum_difference=20, releases_per_column=24, epsilon=2.0, keep_days=400
    )
    for wrong in ("epsilon = -1", "epsilon = true", "minimum_difference = 0.5", "mininum = 3"):
        file.write_text(f"[releases]\n{wrong}\n")
        with pytest.raises(JobError, match=r"policy.toml: \[releases\]"):
            load_release_limits(file)


def test_an_officer_lists_the_book_and_forgets_a_job_in_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, keys = (
        NodeHome.create(tmp_path / "node", "bureau", "localhost:1"),
        PartyKeys.generate("b"),
    )
    monkeypatch.setattr(NodeHome, "load_keys", lambda self, secret: keys)
    monkeypatch.setattr("federated.cli.passphrase.passphrase", lambda *args, **more: b"")
    job = contract()
    session = bytes.fromhex(job.nonce)
    path = home.job(session) / "ledger.jsonl"
    Ledger(path, keys, lambda: 1.0, session, {"b": keys.identity}).close()
    bureau = Bureau(home.releases)
    bureau.clock.now = time.time()
    assert bureau.asked(PEOPLE, job=job)
    words = ["node", "releases", "--home", str(home.path)]
    listed = CliRunner().invoke(app, words, env={"COLUMNS": "200"}).output
    for text in (job.nonce[:8], "bank", "retention", "bureau.people", "loans", "exact"):
        assert text in listed
    done = CliRunner().invoke(app, [*words, "--forget", job.nonce[:8], "--why", "it broke off"])
    assert (done.exit_code, bureau.book.lines()) == (0, [])
    assert verify_ledger(path, keys.identity) == 2
    assert read_ledger(path)[1]["body"] == {"by": "officer", "why": "it broke off"}
    assert CliRunner().invoke(app, [*words, "--forget", "ffff"]).exit_code == 1
