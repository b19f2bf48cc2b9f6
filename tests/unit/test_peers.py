"""A peer's key counts once it is confirmed: by an officer, or by a named authority."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from federated.keys.identity_file import write_identity
from federated.keys.party_keys import Identity, PartyKeys
from federated.keys.peers import Peers, check_fingerprint, vouch
from federated.node.home import NodeHome
from psi.protocol import InputError, MisuseError

KEYS = {name: PartyKeys.generate(name) for name in ("bank", "bureau", "chamber")}
IDS = {name: keys.identity for name, keys in KEYS.items()}


def file_of(tmp_path: Path, identity: Identity) -> Path:
    path = tmp_path / f"handed-over-{identity.name}.json"
    write_identity(path, identity)
    return path


def home(tmp_path: Path) -> NodeHome:
    made = NodeHome.create(tmp_path / "node", "bureau", "hub:1")
    write_identity(made.path / "identity.json", IDS["bureau"])
    return made


def test_a_file_counts_once_its_fingerprint_is_confirmed(tmp_path: Path) -> None:
    place = home(tmp_path)
    peers = Peers(place.path)
    assert peers.add(file_of(tmp_path, IDS["bank"]), IDS["bureau"]).confirmed == ""
    assert place.pinned() == {"bureau": IDS["bureau"]}
    with pytest.raises(MisuseError, match="not the fingerprint"):
        peers.confirm("bank", IDS["chamber"].fingerprint, "ann")
    peers.confirm("bank", IDS["bank"].fingerprint.replace(" ", "").upper(), "ann")
    assert place.pinned() == {"bureau": IDS["bureau"], "bank": IDS["bank"]}
    assert peers.all()[0].confirmed == "fingerprint compared by ann"


def test_a_replaced_file_is_a_claim_again(tmp_path: Path) -> None:
    place = home(tmp_path)
    peers = Peers(place.path)
    peers.add(file_of(tmp_path, IDS["bank"]), IDS["bureau"])
    peers.confirm("bank", IDS["bank"].fingerprint, "ann")
    swapped = PartyKeys.generate("bank").identity
    write_identity(place.peers / "bank.json", swapped)
    assert "bank" not in place.pinned()
    write_identity(place.peers / "other.json", IDS["bank"])  # the confirmed one counts, both there
    assert place.pinned()["bank"] == IDS["bank"]
    peers.remove("bank")
    assert list(place.peers.iterdir()) == []
    with pytest.raises(InputError, match="no identity of bank"):
        peers.remove("bank")


def test_an_authority_that_this_party_named_confirms(tmp_path: Path) -> None:
    place, voucher = home(tmp_path), tmp_path / "bank.voucher"
    peers = Peers(place.path)
    vouch(KEYS["chamber"], IDS["bank"], voucher)
    assert peers.add(voucher, IDS["bureau"]).confirmed == ""
    chamber = file_of(tmp_path, IDS["chamber"])
    with pytest.raises(MisuseError, match="not the fingerprint"):
        peers.name_authority(chamber, IDS["bank"].fingerprint)
    peers.name_authority(chamber, IDS["chamber"].fingerprint)
    assert peers.add(voucher, IDS["bureau"]).confirmed == "signed by chamber"
    assert place.pinned()["bank"] == IDS["bank"]
    data = json.loads(voucher.read_text())
    for signature in (KEYS["bank"].sign_organisation(b"x").hex(), "zz", None, 5):
        voucher.write_text(json.dumps(data | {"voucher": signature}))
        assert peers.add(voucher, IDS["bureau"]).confirmed == ""
    stranger = PartyKeys.generate("chamber")
    vouch(stranger, IDS["bank"], voucher)
    assert peers.add(voucher, IDS["bureau"]).confirmed == ""


@pytest.mark.parametrize(
    "name", ["../../authorized", "a/b", "", ".hidden", "a b", "x" * 41, "\x1b[2J"]
)
def test_names_that_are_no_names(tmp_path: Path, name: str) -> None:
    bad = PartyKeys.generate("x").identity
    write_identity(tmp_path / "bad.json", Identity(name, bad.organisation, bad.sealing))
    with pytest.raises(InputError, match="not an identity file"):
        Peers(home(tmp_path).path).add(tmp_path / "bad.json", IDS["bureau"])


def test_a_party_is_not_its_own_peer(tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match="own name"):
        Peers(home(tmp_path).path).add(file_of(tmp_path, IDS["bureau"]), IDS["bureau"])


@pytest.mark.parametrize("part", ["", "1f3a 9c02", "zz" * 20])
def test_a_part_of_a_fingerprint_is_no_alarm(part: str) -> None:
    identity = PartyKeys.generate("bureau").identity
    check_fingerprint(identity, identity.fingerprint.upper())
    with pytest.raises(MisuseError, match="of a fingerprint found, 40 hex digits needed"):
        check_fingerprint(identity, part)
    other = PartyKeys.generate("bureau").identity.fingerprint
    with pytest.raises(MisuseError, match="not the fingerprint of the key of bureau"):
        check_fingerprint(identity, other)
