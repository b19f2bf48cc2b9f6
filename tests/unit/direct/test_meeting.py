"""Ways between two nodes beside the hub: who is called, and what the policy says of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from federated.approval.direct import Direct, load_direct, read_address
from federated.approval.policy_file import NEW_POLICY, load_policy
from federated.wire.direct.meeting import MOST_HEARD, MOST_OFFERS, Meeting
from federated.wire.direct.offer import KNOCK, Offer, read_offer
from psi.protocol import InputError, JobError, PeerError
from tests.unit.direct.world import PLACE


def meeting(me: str, peer: str, hears: str = "", dial: str = "") -> Meeting:
    return Meeting(me, peer, me.encode(), hears, dial, os.urandom)


def test_only_what_the_own_policy_has_is_called() -> None:
    """A peer that advertises somebody else's address has nobody connect there."""
    bank = meeting("bank", "telecom", dial="telecom.example:9443")
    for place in ("10.0.0.5:6379", "telecom.example:22", "TELECOM.example:9443", "localhost:9443"):
        assert bank.heard(Offer(b"t", place, bytes(KNOCK)), 0.0) is None
        assert bank.refused == place
    call = bank.heard(Offer(b"t", "telecom.example:9443", bytes(KNOCK)), 0.0)
    assert call is not None
    assert (call.address, call.certificate) == ("telecom.example:9443", b"t")
    nobody = meeting("bank", "telecom")
    assert nobody.heard(Offer(b"t", PLACE, bytes(KNOCK)), 0.0) is None


def test_offers_end_where_nobody_comes_and_begin_again_after_a_loss() -> None:
    telecom = meeting("telecom", "bank", hears=PLACE)
    now, knocks = 0.0, set()
    for _ in range(MOST_OFFERS):
        offer = telecom.offer(now)
        assert offer is not None
        knocks.add(offer.knock)
        assert telecom.offer(now + 1.0) is None, "not before a pause"
        now += 100.0
    assert telecom.offer(now) is None
    assert len(knocks) == MOST_OFFERS, "no knock twice"
    telecom.opened()
    assert telecom.met
    telecom.lost(now)
    assert telecom.offer(now + 1.0) is None
    assert telecom.offer(now + 3.0) is not None


def test_a_peer_that_was_restarted_is_told_anew() -> None:
    telecom = meeting("telecom", "bank", hears=PLACE)
    telecom.heard(Offer(b"first life", "", b""), 0.0)
    assert telecom.offer(0.0) is not None
    telecom.opened()
    assert telecom.offer(1000.0) is None
    telecom.heard(Offer(b"second life", "", b""), 1000.0)
    assert telecom.offer(1000.0) is not None


def test_an_offer_that_a_hub_brings_again_ends_no_way_and_is_not_called() -> None:
    """Offers stand outside of the count of frames: the hub may keep one and bring it any time."""
    bank = meeting("bank", "bureau", dial="b.example:1")
    old = Offer(b"first life", "b.example:1", b"o" * 32)
    new = Offer(b"second life", "b.example:1", b"n" * 32)
    assert bank.heard(old, 0.0)
    assert bank.heard(new, 1.0)
    bank.opened()
    for _ in range(2 * MOST_HEARD):
        assert bank.heard(old, 2.0) is None
        assert bank.heard(new, 2.0) is None
    assert (bank.met, bank.theirs) == (True, b"second life")
    bank.lost(3.0)
    assert bank.heard(Offer(b"second life", "b.example:1", b"m" * 32), 4.0)


def test_one_peer_cannot_make_this_party_call_for_ever() -> None:
    bank = meeting("bank", "telecom", dial=PLACE)
    knocks = [number.to_bytes(KNOCK, "little") for number in range(2 * MOST_HEARD)]
    calls = [bank.heard(Offer(b"t", PLACE, knock), 0.0) for knock in knocks]
    assert sum(call is not None for call in calls) == MOST_HEARD


@pytest.mark.parametrize(
    "offer",
    [
        Offer(b"", "", b""),
        Offer(b"c", PLACE, b"short"),
        Offer(b"c", "", bytes(KNOCK)),
        Offer(b"c", "no port", bytes(KNOCK)),
        Offer(b"c", "a:70000", bytes(KNOCK)),
        Offer(b"c", "a b:1", bytes(KNOCK)),
        Offer(b"c", "http://a:1", bytes(KNOCK)),
    ],
)
def test_malformed_offers_are_refused(offer: Offer) -> None:
    with pytest.raises(PeerError):
        read_offer(offer.to_bytes())


# the policy


def test_nothing_is_direct_until_the_policy_says_so(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    assert not load_direct(file).on
    file.write_text(NEW_POLICY)
    assert load_policy(file).direct == load_direct(file) == Direct()
    file.write_text('[direct]\ndial = { telecom = "telecom.example:9443" }\n')
    assert load_policy(file).direct == load_direct(file)
    assert load_direct(file).dial == {"telecom": "telecom.example:9443"}
    file.write_text("[direct\n")
    assert not load_direct(file).on


@pytest.mark.parametrize(
    "text", ['listen = "0.0.0.0:9443"', 'advertise = "a:1"', 'dial = { b = "c" }', "port = 1"]
)
def test_mistakes_in_the_section_are_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(f"[direct]\n{text}\n")
    with pytest.raises(JobError, match=r"policy.toml: \[direct\]"):
        load_policy(file)


def test_addresses() -> None:
    assert read_address("[2001:db8::1]:9443") == ("2001:db8::1", 9443)
    with pytest.raises(InputError):
        read_address("a:0")
