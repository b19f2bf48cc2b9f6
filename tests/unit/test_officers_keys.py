"""Officers with keys of their own: whose word counts, for what, and what the ledger shows of it."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from federated.approval.inbox import Inbox
from federated.approval.officer import NodeDecider
from federated.cli.node import app
from federated.contract.terms import Contract
from federated.keys.identity_file import write_identity
from federated.keys.keyfile import save_keys
from federated.keys.officers import Person, load_officers, read_card
from federated.keys.party_keys import PartyKeys
from federated.keys.peers import Peers
from federated.ledger.account import read_account, verify_ledger
from federated.ledger.lines import Ledger, read_ledger
from federated.ledger.listing import selected
from federated.node.home import NodeHome
from federated.node.rotation import rotate
from federated.store.plain import to_plain
from federated.tables.source import MemorySource
from psi.protocol import FedprofileError, InputError, MisuseError, Refused
from tests.unit.test_officer import IDS, NONE, contract, request

OURS = "correct horse battery"


class Place:
    """A bureau with its keys, and people on accounts of their own."""

    def __init__(self, folder: Path, me: str = "bureau") -> None:
        self.folder, self.me = folder, me
        self.home = NodeHome.create(folder / "node", me, "hub:1")
        self.keys = PartyKeys.generate(me)
        save_keys(self.home.keys, self.keys, OURS.encode(), secrets.token_bytes)
        write_identity(self.home.path / "identity.json", self.keys.identity)
        for name, identity in IDS.items():
            if name != me:
                write_identity(self.home.peers / f"{name}.json", identity)
                Peers(self.home.path).confirm(name, identity.fingerprint, "ann")
        self.home.policy.write_text("")
        self.secret("ours", OURS)

    def secret(self, name: str, text: str) -> str:
        file = self.folder / f"{name}.passphrase"
        file.write_text(text)
        file.chmod(0o600)
        return str(file)

    def node(self, *words: str, home: bool = True) -> str:
        more = ("--home", str(self.home.path)) if home else ()
        done = CliRunner().invoke(app, [*words, *more])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.output

    def makes_key(self, name: str) -> Person:
        own = self.secret(name, f"the passphrase of {name}")
        out = str(self.folder / f"{name}.key")
        said = self.node(
            "officers", "key", name, "--out", out, "--passphrase-file", own, home=False
        )
        card = read_card(self.folder / f"{name}.card.json")
        assert card.fingerprint in said
        return card

    def lists(self, name: str, role: str = "officer", read_out: str = "") -> None:
        print_ = read_out or self.makes_key(name).fingerprint
        self.node(
            "officers", "add", str(self.folder / f"{name}.card.json"), *print_.split(),
            "--role", role, "--passphrase-file", str(self.folder / "ours.passphrase"),
        )  # fmt: skip

    def with_key(self, *words: str, key: str) -> str:
        return self.node(
            *words, "--key", str(self.folder / f"{key}.key"),
            "--passphrase-file", str(self.folder / f"{key}.passphrase"),
        )  # fmt: skip

    def puts(self, nonce: int = 1, asker: Person | None = None) -> Contract:
        made = contract(self.folder, nonce)
        Inbox(self.home.desk).put(request(made, self.me), time.time() + 3600, asker=asker)
        return made

    def decider(self) -> NodeDecider:
        return NodeDecider(name=self.me, home=self.home.path, source=MemorySource({}))


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passphrases are stretched as little as can be: a dozen of them are typed here."""
    monkeypatch.setattr("federated.keys.keyfile._COST", 2)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_word_is_a_signature_that_the_ledger_shows(place: Place) -> None:
    assert "nobody is listed" in place.node("officers")
    made = place.puts()
    assert "--key" not in place.node("show", "0101")
    place.makes_key("ann")
    with pytest.raises(MisuseError, match="lists no officers"):
        place.with_key("approve", "0101", key="ann")
    place.lists("ann", read_out=read_card(place.folder / "ann.card.json").fingerprint)
    assert "ann" in place.node("officers")
    assert " --key FILE --home" in place.node("show", "0101")
    with pytest.raises(MisuseError, match="sign with keys of their own"):
        place.node("approve", "0101")
    assert "is approved by ann" in place.with_key("approve", "0101", key="ann")
    assert "approved by ann" in place.node("show", "0101")
    assert "signed by his key" in place.node("show", "0101")
    decision = place.decider().decide(request(made), NONE)
    assert (decision.approved, decision.by) == (True, "ann")

    file, session = place.folder / "ledger.jsonl", bytes.fromhex(made.nonce)
    mine = {**IDS, "bureau": place.keys.identity}
    ledger = Ledger(file, place.keys, time.time, session, mine)
    ledger.write("approved", by="ann", why="", draft=to_plain(made), **decision.signed)
    ledger.close()
    assert verify_ledger(file, place.keys.identity) == 2
    (event,) = selected([file], kinds=["approved"])
    assert (event["by"], event["signed_by"]) == ("ann", "ann")
    assert OURS not in file.read_text()


def another_officer(line: dict[str, Any], place: Place) -> None:
    line["words"][0]["officer"] = "ben"


def another_question(line: dict[str, Any], place: Place) -> None:
    line["words"][0]["asked"] = "00" * 32


def another_draft(line: dict[str, Any], place: Place) -> None:
    line["draft"] = to_plain(contract(place.folder, 1, purpose="fraud"))


def yes_for_no(line: dict[str, Any], place: Place) -> None:
    line["words"][0]["approved"] = False


def twice(line: dict[str, Any], place: Place) -> None:
    line["words"] *= 2


def own_list(line: dict[str, Any], place: Place) -> None:
    line["officers"]["people"][0]["key"] = "11" * 32


def removed_since(line: dict[str, Any], place: Place) -> None:
    place.lists("ben")
    place.node(
        "officers", "remove", "ann", "--passphrase-file", str(place.folder / "ours.passphrase")
    )
    listed = load_officers(place.home.path)
    assert listed is not None
    line["officers"] = listed.plain()


LIES = [
    another_draft,
    another_officer,
    another_question,
    yes_for_no,
    twice,
    own_list,
    removed_since,
]


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_ledger_with_words_that_do_not_hold_is_found(
    place: Place, lie: Callable[[dict[str, Any], Place], None]
) -> None:
    """Its owner signs each line anew: what holds is the officer's own signature."""
    made = place.puts()
    place.lists("ann")
    place.with_key("approve", "0101", key="ann")
    line = json.loads(json.dumps(place.decider().decide(request(made), NONE).signed))
    lie(line, place)
    file, mine = place.folder / "ledger.jsonl", {**IDS, "bureau": place.keys.identity}
    ledger = Ledger(file, place.keys, time.time, bytes.fromhex(made.nonce), mine)
    ledger.write("approved", by="ann", why="", **({"draft": to_plain(made)} | line))
    ledger.close()
    (finding,) = read_account(file, place.keys.identity).findings
    assert finding.line == 2
    assert "officers' words do not hold" in finding.text


def test_a_word_of_a_stranger_of_another_session_or_of_a_user_is_none(place: Place) -> None:
    place.puts(1)
    place.puts(2)
    place.lists("ann")
    place.makes_key("eve")
    with pytest.raises(Refused, match="does not count here"):
        place.with_key("approve", "0101", key="eve")
    place.with_key("approve", "0101", key="ann")
    (word,) = place.home.desk.glob("01*.decision.ann")
    (place.home.desk / f"{'02' * 32}.decision.ann").write_text(word.read_text())  # moved
    data = {"approved": True, "why": "", "made": 1, "sudo": ""}
    data["asked"] = json.loads(word.read_text())["asked"]
    (place.home.desk / f"{'02' * 32}.decision.0").write_text(json.dumps(data))  # a user's
    assert _state(place, "0202") == "waiting"
    assert _state(place, "0101") == "approved"
    altered = json.loads(word.read_text()) | {"why": "another"}
    word.write_text(json.dumps(altered))
    assert _state(place, "0101") == "waiting"
    place.node(
        "officers", "remove", "ann", "--passphrase-file", str(place.folder / "ours.passphrase")
    )
    place.lists("ben")
    with pytest.raises(Refused, match="does not count here"):
        place.with_key("approve", "0202", key="ann")


def test_four_eyes_are_two_keys(tmp_path: Path) -> None:
    """Of this party's own jobs: who had it proposed, and who approves; or two who approve."""
    place = Place(tmp_path, "bank")
    place.lists("ann")
    place.lists("ben")
    place.lists("cy", role="analyst")
    place.puts(1)
    assert "waits for 1 more" in place.with_key("approve", "0101", key="ann")
    with pytest.raises(MisuseError, match="ann has approved"):
        place.with_key("approve", "0101", key="ann")
    with pytest.raises(Refused, match="does not count"):
        place.with_key("approve", "0101", key="cy")  # who proposes does not decide
    assert _state(place, "0101") == "waiting"
    place.with_key("approve", "0101", key="ben")
    decided = place.decider().decide(request(contract(tmp_path, 1), "bank"), NONE)
    assert (sorted(decided.by.split(" and ")), len(decided.words)) == (["ann", "ben"], 2)

    place.puts(2, read_card(tmp_path / "cy.card.json"))
    place.with_key("approve", "0202", key="ann")
    assert _state(place, "0202") == "approved"
    place.puts(3, read_card(tmp_path / "ann.card.json"))  # an officer had it proposed
    with pytest.raises(Refused, match="does not count"):
        place.with_key("approve", "0303", key="ann")
    place.with_key("deny", "0303", "--why", "no", key="ben")
    assert _state(place, "0303") == "denied"


def test_a_policy_may_ask_for_more_than_one(place: Place) -> None:
    place.home.policy.write_text("[officers]\napprovals = 2\n")
    place.lists("ann")
    place.lists("ben")
    place.puts()
    assert "waits for 1 more" in place.with_key("approve", "0101", key="ann")
    place.with_key("deny", "0101", "--why", "not this", key="ben")  # one no is a no
    assert _state(place, "0101") == "denied"


def test_words_go_with_the_list(place: Place) -> None:
    """Who is taken off the list, or has another key, has not approved; nor can he any more."""
    (place.home.path / "policy.toml").write_text("[officers]\napprovals = 2\n")
    made = place.puts()
    for name in ("ann", "ben", "cid"):
        place.lists(name)
    ours = ("--passphrase-file", str(place.folder / "ours.passphrase"))
    place.with_key("approve", "0101", key="ann")
    assert "approved by ann" in place.node("show", "0101")
    place.node("officers", "remove", "ann", *ours)
    assert "approved by ann" not in place.node("show", "0101")
    assert "1 more of this party's officers" in place.with_key("approve", "0101", key="ben")
    with pytest.raises(Refused, match="the word of ann does not count"):
        place.with_key("approve", "0101", key="ann")
    for file in ("ben.key", "ben.card.json"):  # its passphrase is lost: he makes another
        (place.folder / file).unlink()
    place.lists("ben")
    assert "1 more of this party's officers" in place.with_key("approve", "0101", key="cid")
    place.with_key("approve", "0101", key="ben")
    decision = place.decider().decide(request(made), NONE)
    assert (decision.approved, decision.by) == (True, "cid and ben")

    place.puts(2)
    place.with_key("approve", "0202", key="ben")
    place.with_key("deny", "0202", "--why", "not this one", key="cid")
    place.node("officers", "remove", "ben", *ours)
    assert "denied" in place.node("jobs")


def test_new_keys_of_the_party_keep_its_officers(place: Place) -> None:
    place.lists("ann")
    rotate(place.home, place.keys, OURS.encode(), secrets.token_bytes)
    listed = load_officers(place.home.path)
    assert listed is not None
    assert [person.name for person in listed.people] == ["ann"]
    lines = read_ledger(next((place.home.path / "former").glob("*.ledger.jsonl")))
    assert [line["kind"] for line in lines] == ["opened", "officers", "rotated"]
    assert lines[1]["body"]["people"][0]["name"] == "ann"


def test_what_is_not_the_partys_list_counts_for_nobody(place: Place) -> None:
    place.lists("ann")
    file = place.home.path / "officers.json"
    text = file.read_text()
    file.write_text(text.replace('"ann"', '"eve"'))
    with pytest.raises(InputError, match="not signed by bureau"):
        load_officers(place.home.path)
    assert place.decider().decide(request(place.puts()), NONE).why.endswith("cannot be read")
    file.write_text("[]")
    with pytest.raises(FedprofileError, match="not signed") as wrong:
        load_officers(place.home.path)
    assert "officers add writes it anew" in wrong.value.hint
    place.lists("ben")  # with those whom the node's own ledger has
    listed = load_officers(place.home.path, place.keys.identity)
    assert listed is not None
    assert [person.name for person in listed.people] == ["ann", "ben"]


def test_cards_and_fingerprints(place: Place, tmp_path: Path) -> None:
    ann, _ = place.makes_key("ann"), place.makes_key("eve")
    with pytest.raises(Refused, match="another was read out"):
        place.lists("eve", read_out=ann.fingerprint)
    with pytest.raises(MisuseError, match="exists"):
        place.makes_key("ann")
    assert (tmp_path / "ann.key").stat().st_mode & 0o777 == 0o600
    card = tmp_path / "ann.card.json"
    card.write_text(card.read_text().replace(ann.key, "00" * 32))
    with pytest.raises(InputError, match="not an officer's card"):
        place.lists("ann", read_out=ann.fingerprint)


def _state(place: Place, job: str) -> str:
    rows = json.loads(place.node("jobs", "--json"))
    return next(str(row["state"]) for row in rows if row["id"].startswith(job))
