"""Files and messages of another version are refused with both versions' numbers, never misread."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from federated.approval.policy import Policy
from federated.approval.policy_file import load_policy
from federated.contract.terms import VERSION as CONTRACT
from federated.contract.terms import Contract, OtherVersion
from federated.keys.party_keys import Identity, PartyKeys
from federated.ledger.account import verify_ledger
from federated.ledger.lines import FORMAT, Ledger
from federated.models import MODELS
from federated.models.saved import VERSION as SAVED
from federated.models.saved import load_part
from federated.node.home import LAYOUT, NodeHome
from federated.node.signed_contract import contract_at_rest
from federated.releases.book import VERSION as BOOK
from federated.releases.book import Book, read_book
from federated.session.journal import CONTRACT as SIGNED
from federated.session.journal import Journal
from federated.store.plain import canonical
from federated.store.vault import Vault
from federated.tables.kept_tables import Extract, KeptTables
from federated.tables.source import MemorySource
from federated.wire.hub_home import HubHome
from psi.protocol import EnvironmentFailed, FedprofileError, InputError, JobError, decode, encode
from psi.protocol.codec import VERSION as CODEC

KEYS = PartyKeys.generate("bank")


def message(version: int, folder: Path) -> None:
    data = bytearray(encode(KEYS.identity))
    data[0] = version
    decode(bytes(data), Identity)


def contract(version: int, folder: Path) -> None:
    """With a field that this version does not have, as a later one's would."""
    Contract.from_bytes(canonical({"version": version, "job": "churn", "z": 1}))


def book(version: int, folder: Path) -> None:
    read_book(json.dumps(json.loads(Book().to_bytes()) | {"version": version, "z": 1}).encode())


def saved_model(version: int, folder: Path) -> None:
    whole = {"format": "fedprofile model", "version": version, "z": 1}
    load_part(json.dumps(whole).encode(), MODELS)


def node(version: int, folder: Path) -> None:
    home = NodeHome.create(folder / "node", "bank", "hub:1")
    file = home.path / "node.toml"
    file.write_text(file.read_text().replace(f"version = {LAYOUT}", f"version = {version}"))
    NodeHome.open(home.path)


def hub(version: int, folder: Path) -> None:
    HubHome.create(folder / "hub", ["localhost"], 1, "127.0.0.1")
    file = folder / "hub" / "hub.toml"
    file.write_text(file.read_text().replace(f"version = {LAYOUT}", f"version = {version}"))
    HubHome(folder / "hub")


def ledger(version: int, folder: Path) -> None:
    folder.mkdir()
    file = folder / "ledger.jsonl"
    made = Ledger(file, KEYS, lambda: 1.0, bytes(32), {"bank": KEYS.identity})
    made.close()
    text = file.read_text()
    file.write_text(text.replace(f'"format":{FORMAT}', f'"format":{version}'))
    assert file.read_text() != text
    verify_ledger(file, KEYS.identity)


def journal(version: int, folder: Path) -> None:
    """The point of a job at rest, as a later codec would have written it."""
    made = Journal(folder, bytes(32), os.urandom, {})
    made.save("align", b"role", bytes(32), {})
    made.close()
    vault = Vault(folder / "journal", "key", b"fedprofile journal v1" + bytes(32), os.urandom)
    vault.write("point", bytes([version]) + (vault.read("point") or b"")[1:])
    Journal(folder, bytes(32), os.urandom, {})


def kept_table(version: int, folder: Path) -> None:
    """A job's copy of its table, of which a later version notes more."""
    source = MemorySource({"bank.people": pa.table({"id": ["a"]})})
    made = KeptTables(source, folder, bytes(32), os.urandom)
    made.keep([Extract("bank.people", ("id",))])
    vault = Vault(folder, "key", b"fedprofile kept table v1" + bytes(32), os.urandom)
    (name,) = (f.name for f in folder.glob("table-*") if f.name.count("-") == 1)
    noted = json.loads(vault.read(name, b"bank.people") or b"") | {"version": version}
    vault.write(name, canonical(noted), b"bank.people")
    made.load("bank.people", ["id"])


def signed(version: int, folder: Path) -> None:
    """The contract of a job at rest, which a later version has signed."""
    made = Journal(folder, bytes(32), os.urandom, {})
    made.save("align", b"role", bytes(32), {})
    made.keep(SIGNED, canonical({"version": version, "job": "churn", "z": 1}))
    made.close()
    contract_at_rest(folder, bytes(32), os.urandom)


@pytest.mark.parametrize("read", [journal, kept_table, signed], ids=lambda one: one.__name__)
def test_a_job_of_another_version_stays_for_it(
    read: Callable[[int, Path], None], tmp_path: Path
) -> None:
    """It is not misread, and not thrown away: the version that began it can go on."""
    with pytest.raises(EnvironmentFailed, match="begun by another version") as met:
        read(CODEC + 1, tmp_path / "job")
    assert "go on with the version that began it" in met.value.hint
    assert list((tmp_path / "job").rglob("key"))


@pytest.mark.parametrize(
    ("read", "here", "sentence"),
    [
        (message, CODEC, "version {other} found, {here} allowed"),
        (contract, CONTRACT, "contract version {other} found, {here} allowed"),
        (book, BOOK, "the book of releases is of version {other}, {here} and before are read here"),
        (saved_model, SAVED, "saved model of version {other} found, {here} is read here"),
        (node, LAYOUT, "version {other} found, {here} is read here"),
        (hub, LAYOUT, "version {other} found, {here} is read here"),
        (ledger, FORMAT, "format {other} of ledgers found, 2 and {here} are read here"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_another_version_is_refused(
    read: Callable[[int, Path], None], here: int, sentence: str, tmp_path: Path
) -> None:
    # the book and the ledger before are read: test_budget.py, test_ledger.py
    for other in (here + 1,) if read in (book, ledger) else (here - 1, here + 1):
        with pytest.raises(FedprofileError) as met:
            read(other, tmp_path / str(other))
        assert sentence.format(other=other, here=here) in met.value.message
        if read is contract:
            assert isinstance(met.value, OtherVersion)
            assert "go together" in met.value.hint


def test_a_contract_with_other_fields_is_another_versions() -> None:
    """Two builds between two numbers: what is told is that they do not go together, not a fault."""
    fields = dict.fromkeys(Contract.__dataclass_fields__, 0) | {"version": CONTRACT}
    for other in (fields | {"of_later": 1}, {k: v for k, v in fields.items() if k != "train"}):
        with pytest.raises(OtherVersion, match="with other fields") as met:
            Contract.from_bytes(canonical(other))
        assert "of_later" not in met.value.message
        assert "go together" in met.value.hint


def test_a_book_with_other_fields_is_not_begun_anew() -> None:
    whole = json.loads(Book().to_bytes())
    for other in (whole | {"of_later": 1}, {k: v for k, v in whole.items() if k != "names"}):
        with pytest.raises(EnvironmentFailed, match="of another version") as met:
            read_book(canonical(other))
        assert "that wrote it" in met.value.hint


def test_a_policy_that_says_more_than_this_version_knows_is_refused(tmp_path: Path) -> None:
    """A policy has no number: what an older one lacks is at its default, and nothing is ignored."""
    file = tmp_path / "policy.toml"
    for text, key in (
        ("[tomorrow]\nx = 1\n", "tomorrow"),
        ("[limits]\nof_later = 1\n", "of_later"),
    ):
        file.write_text(text)
        with pytest.raises(JobError, match=f"{key}: unknown key"):
            load_policy(file)
    file.write_text("")
    assert load_policy(file) == Policy()


def test_what_names_no_version_is_no_file_of_this_one(tmp_path: Path) -> None:
    NodeHome.create(tmp_path, "bank", "hub:1")
    (tmp_path / "node.toml").write_text('name = "bank"\nhub = "hub:1"\n')
    with pytest.raises(InputError, match="malformed"):
        NodeHome.open(tmp_path)


def test_the_chapter_on_upgrades_has_the_numbers_of_today() -> None:
    chapter = (Path(__file__).parents[2] / "docs" / "DEPLOYMENT.md").read_text("utf-8")
    assert f"the contract's version ({CONTRACT})" in chapter
    assert f"formats of ledgers ({FORMAT};" in chapter
    assert f"the book of releases ({BOOK};" in chapter
