"""Models that officers release: whose signature counts, for what, and what is refused without."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from federated.approval.decision import Decision
from federated.approval.released import Subject, standing
from federated.contract.terms import Contract
from federated.keys.officers import Person, load_officers, read_card
from federated.ledger.account import read_account
from federated.ledger.lines import Ledger
from federated.ledger.listing import releases_of
from federated.scoring.model_file import FEATURE, LABEL, ModelPart
from federated.scoring.store import ModelStore
from federated.store.plain import to_plain
from federated.toml_sections import parse_toml
from profiles.cli import app
from profiles.job import Job
from profiles.language import language
from profiles.proposal import draft
from profiles.score_job import job_text
from profiles.score_outputs import release_note
from psi.protocol import Declined, FedprofileError, InputError, MisuseError, Refused
from tests.unit.scoring.parts import part as made_part
from tests.unit.test_officer import IDS, NONE, request
from tests.unit.test_officers_keys import Place

DAY = 24 * 3600
RULE = '[models]\nreleased = true\n[[approve]]\nname = "monthly"\n'


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("federated.keys.keyfile._COST", 2)


class Scored(Place):
    """A party that keeps its part of a model, and whose officers are Ann and Ben."""

    def __init__(self, folder: Path, me: str, **card: Any) -> None:
        super().__init__(folder, me)
        side = LABEL if me == "bank" else FEATURE
        self.part: ModelPart = made_part(side=side, card={"rows": 400, "held_out_rows": 80, **card})
        self.store = ModelStore(self.home.models)
        self.store.write(self.part)
        self.people = {name: self.makes_key(name) for name in ("ann", "ben")}
        for name, person in self.people.items():
            self.lists(name, read_out=person.fingerprint)
        self.home.policy.write_text(RULE)

    def trained(self, asker: Person | None = None, proposer: str = "bank") -> None:
        """Writes the ledger of the training."""
        folder = self.home.job(bytes.fromhex(self.part.run))
        folder.mkdir(parents=True)
        session = bytes.fromhex(self.part.run)
        ledger = Ledger(folder / "ledger.jsonl", self.keys, time.time, session, IDS)
        signed = {"asker": asdict(asker)} if asker else {}
        ledger.write("approved", by="ann", why="", proposer=proposer, **signed)
        ledger.close()

    def releases(self, by: str, *words: str, model: str = "churn") -> str:
        return self.model(
            "release", model, "--note", "AUC by branch", "--key", str(self.folder / f"{by}.key"),
            "--passphrase-file", str(self.folder / f"{by}.passphrase"), *words,
        )  # fmt: skip

    def model(self, *words: str) -> str:
        done = CliRunner().invoke(app, ["model", *words, "--home", str(self.home.path)])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.output

    def scoring(self, nonce: int = 1) -> Contract:
        asked = Job.load(parse_toml(job_text(made_part()), "job"))
        return draft(asked, IDS, bytes([nonce] * 32), time.time())

    def answer(self, nonce: int = 1) -> Decision:
        return self.decider().decide(request(self.scoring(nonce), self.me), NONE)


@pytest.fixture
def bureau(tmp_path: Path) -> Scored:
    made = Scored(tmp_path, "bureau")
    made.trained()
    return made


def test_a_partner_refuses_to_score_by_what_its_officers_have_not_released(bureau: Scored) -> None:
    no = bureau.answer()
    assert (no.approved, no.by) == (False, "policy")
    assert no.why == f"model {bureau.part.id} of 'churn' is not released by bureau's officers"
    assert "no: trained by bank, 1 of bureau's officers to release it" in bureau.model(
        "show", "churn"
    )
    said = bureau.releases("ann", "--drift", "0.08", "--until", "2099-11-30")
    assert "by ann, " in said
    assert "until 2099-11-30: drift 0.08; AUC by branch" in said
    assert "AUC by branch" in bureau.model("show", "churn")

    yes, asked = bureau.answer(2), bureau.scoring(2)
    assert (yes.approved, yes.by) == (True, "rule monthly")
    bureau.decider().check(asked)
    session, file = bytes.fromhex(asked.nonce), bureau.folder / "ledger.jsonl"
    mine = {**IDS, "bureau": bureau.keys.identity}
    ledger = Ledger(file, bureau.keys, time.time, session, mine)
    ledger.write("approved", by=yes.by, why="", draft=to_plain(asked), **yes.signed)
    ledger.close()
    assert not read_account(file, bureau.keys.identity).findings
    (told,) = releases_of(file, bureau.part.id)
    by = [{"by": told["officer"], "until": "2099-11-30"}]
    text = release_note("churn", {"model": told["model"], "released": by})
    assert text == f"churn: ann released model {bureau.part.id}, until 2099-11-30."
    assert language("zh").told(text, "note").startswith(f"churn：模型 {bureau.part.id} 已由 ann")
    assert release_note("churn", {"model": "x"}) == ""

    yes.noted["releases"][0]["note"] = "another"
    other = bureau.folder / "other.jsonl"
    ledger = Ledger(other, bureau.keys, time.time, session, mine)
    ledger.write("approved", by=yes.by, why="", **yes.signed)
    ledger.close()
    assert "not signed by ann" in str(read_account(other, bureau.keys.identity).findings[0])

    assert "1 releases taken back" in bureau.model("release", "churn", "--withdraw")
    with pytest.raises(Declined, match="is not released"):
        bureau.decider().check(asked)
    bureau.home.policy.write_text(RULE.replace("true", "false"))
    assert bureau.answer(3).approved, "a policy that does not ask for it"


def test_who_had_it_trained_does_not_release_it(tmp_path: Path) -> None:
    bank = Scored(tmp_path, "bank", auc=0.8123)
    bank.trained(asker=bank.people["ann"])
    with pytest.raises(Refused, match=r"ann had model .* trained: another officer"):
        bank.releases("ann")
    assert not [*bank.home.desk.glob("*.release.*")]
    assert "trained by ann, 1 of bank's officers" in bank.model("show", "churn")
    assert "AUC 0.8123; AUC by branch" in bank.releases("ben")
    assert state(bank).released


def test_where_nobody_signed_for_the_training_two_officers_release_it(tmp_path: Path) -> None:
    bank = Scored(tmp_path, "bank")
    assert "1 of bank's officers to release it" in bank.releases("ann"), "no ledger of it is left"
    assert bank.releases("ann") == bank.releases("ann"), "one voice, however often"
    bank.trained()
    assert not state(bank).released
    bank.releases("ben")
    assert state(bank).released


def altered(place: Scored, **changes: Any) -> None:
    (file,) = place.home.desk.glob("*.release.*")
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def another_part(place: Scored) -> None:
    place.store.remove(place.part.id)
    place.store.write(replace(place.part, salt="11" * 32))


SPOILT: dict[str, tuple[Callable[[Scored], Any], str]] = {
    "note": (lambda place: altered(place, note="x"), "not signed by ann"),
    "day": (lambda place: altered(place, until=2**33), "not signed by ann"),
    "field": (lambda place: altered(place, more=1), "not a release"),
    "type": (lambda place: altered(place, until="never"), "not a release"),
    "model": (another_part, "of another part of it"),
    "list": (
        lambda place: place.node(
            "officers", "remove", "ann", "--passphrase-file", str(place.folder / "ours.passphrase")
        ),
        "no officer of bureau by this name",
    ),
    "nonsense": (
        lambda place: next(place.home.desk.glob("*.release.*")).write_text("{"), "malformed",
    ),
}  # fmt: skip


def test_what_was_altered_since_does_not_count(bureau: Scored) -> None:
    bureau.releases("ann")
    (file,) = bureau.home.desk.glob("*.release.*")
    whole = (file, bureau.home.models / bureau.part.id, bureau.home.path / "officers.json")
    kept = [one.read_bytes() for one in whole]
    for how, (change, why) in SPOILT.items():
        for one, data in zip(whole, kept, strict=True):
            one.write_bytes(data)
        assert state(bureau).released, how
        change(bureau)
        assert not state(bureau).released, how
        assert why in state(bureau).words, how
        with pytest.raises(Declined, match="is not released"):
            bureau.decider().check(bureau.scoring())


def test_a_release_ends_and_goes_with_its_model(bureau: Scored) -> None:
    bureau.releases("ann")
    assert state(bureau, 365 * DAY).released
    assert "ended on" in state(bureau, 367 * DAY).words
    file = next(bureau.home.desk.glob("*.release.*"))
    text = file.read_text()
    assert "removed" in bureau.model("rm", "churn")
    assert not file.exists()
    bureau.store.write(replace(bureau.part, salt="11" * 32))
    file.write_text(text)
    assert not state(bureau).released, "a desk of an older copy beside a model trained anew"


def test_an_officer_who_may_not_read_models_releases_what_was_exported(tmp_path: Path) -> None:
    bank = Scored(tmp_path, "bank", auc=0.61)
    bank.trained(asker=Person("eve", "00" * 32))
    out = tmp_path / "churn.json"
    bank.model("export", "churn", "--out", str(out))
    whole = json.loads(out.read_text())
    out.write_text(json.dumps(whole | {"measured": whole["measured"] | {"auc": 0.99}}))
    assert "the quality looked at is not what the part says" not in bank.releases(
        "ann", model=str(out)
    )
    assert "not what the part says" in state(bank).words, "the file was doctored for her"
    out.write_text(json.dumps(whole))
    bank.releases("ann", model=str(out))
    assert state(bank).released
    out.write_text(json.dumps(whole | {"party": "bureau"}))
    with pytest.raises(MisuseError, match="a part of bureau found"):
        bank.releases("ann", model=str(out))
    out.write_text("[]")
    with pytest.raises(InputError, match="not what fedprofile model export writes"):
        bank.releases("ann", model=str(out))


def test_what_a_release_needs_is_said(bureau: Scored) -> None:
    key = ("--key", str(bureau.folder / "ann.key"))
    for words, why in (
        (("--note", "x"), "signed by your key"),
        (key, "says what you looked at"),
        ((*key, "--note", "x", "--until", "2020-01-01"), "a day to come"),
        ((*key, "--note", "x", "--until", "soon"), "a day as"),
    ):
        with pytest.raises(FedprofileError, match=why):
            bureau.model("release", "churn", *words)
    (bureau.home.path / "officers.json").unlink()
    with pytest.raises(MisuseError, match="lists no officers"):
        bureau.releases("ann")
    assert read_card(bureau.folder / "ann.card.json").name == "ann"
    assert not bureau.answer().approved


def state(place: Scored, later: float = 0.0) -> Any:
    part = place.store.read(place.part.id)
    listed = load_officers(place.home.path)
    return standing(place.home.path, Subject.of(part), listed, time.time() + later)


def test_the_ledger_names_who_signed_for_a_job(bureau: Scored) -> None:
    ann = bureau.people["ann"]
    bureau.home.policy.write_text(RULE.replace("true", "false"))
    assert bureau.answer().signed == {}
    signed = replace(bureau.decider(), asker=ann).decide(request(bureau.scoring(2), "bureau"), NONE)
    assert signed.signed == {"asker": asdict(ann)}
