"""How a contract comes about: filled in, derived again, signed by all, or refused."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace

import pytest

from federated.contract.disclosures import disclosures
from federated.contract.negotiation import Agreed, Approver, Proposer
from federated.contract.terms import (
    Contract,
    PartyTerms,
    verify_signatures,
)
from federated.keys.party_keys import Identity, PartyKeys
from psi.protocol import Context, Pair, PeerError, Refused
from tests.unit.test_contract import KEYS, VOLE, by, changed_to, contract


def unfilled(*names: str) -> Contract:
    """A draft: nothing in it that is derived later."""
    made = contract(*names)
    made = replace(made, train=tuple(replace(t, grid_bits=0, column_bits=0) for t in made.train))
    return replace(made, disclosures=disclosures(made))


def negotiate(
    pinned: dict[str, Identity] | None = None,
    approve: object = None,
    complete: object = None,
    draft: Contract | None = None,
    session: bytes = b"",
    derive: object = None,
) -> dict[str, Agreed]:
    draft = draft or unfilled("bank", "bureau", "registry")
    known = pinned or {name: keys.identity for name, keys in KEYS.items()}

    def context(name: str) -> Context:
        here = session or bytes.fromhex(draft.nonce)
        return Context(here, "contract", name, secrets.token_bytes)

    def facts_at(name: str) -> Callable[[Contract], PartyTerms]:
        told = {"rows": 5, "snapshot": "ab", "design_columns": (2,), "protocols": ("ecdh",)}
        return lambda draft: replace(draft.party(name), **told)  # type: ignore[arg-type]

    proposer = Proposer(
        context("bank"),
        KEYS["bank"],
        draft,
        complete or (lambda made: made),  # type: ignore[arg-type]
    )
    approvers = [
        Approver(
            context(name),
            KEYS[name],
            known,
            facts_at(name),
            approve or (lambda made: None),  # type: ignore[arg-type]
            derive or (lambda made: made),  # type: ignore[arg-type]
        )
        for name in ("bureau", "registry")
    ]
    return Pair(*approvers, proposer).run()


def test_negotiation_ends_with_the_same_signed_contract_everywhere() -> None:
    results = negotiate()
    assert len({agreed.contract.to_bytes() for agreed in results.values()}) == 1
    agreed = results["bureau"]
    assert agreed.contract.party("registry").rows == 5
    verify_signatures(agreed.contract, agreed.signatures)


def test_a_swapped_key_is_noticed_by_the_approver() -> None:
    pinned = {name: keys.identity for name, keys in KEYS.items()}
    pinned["registry"] = PartyKeys.generate("registry").identity
    with pytest.raises(PeerError, match="not the pinned one"):
        negotiate(pinned)


def test_a_policy_that_says_no_ends_the_negotiation() -> None:
    def no(made: Contract) -> None:
        raise Refused("purpose not allowed")

    with pytest.raises(Refused):
        negotiate(approve=no)


def test_a_proposer_that_changes_the_purpose_after_the_draft_is_caught() -> None:
    with pytest.raises(PeerError, match="not what its draft comes to"):
        negotiate(complete=lambda made: replace(made, purpose="churn"))


def test_a_contract_that_was_signed_in_an_earlier_job_is_not_signed_again() -> None:
    draft = unfilled("bank", "bureau", "registry")
    earlier = negotiate(draft=draft)["bureau"].contract
    with pytest.raises(PeerError, match="of another session"):
        negotiate(draft=draft, session=secrets.token_bytes(32))
    fresh = replace(draft, nonce=secrets.token_hex(32))
    with pytest.raises(PeerError, match="of another session"):
        negotiate(draft=fresh, complete=lambda made: earlier)


def test_a_proposer_that_changes_anothers_facts_is_caught() -> None:
    def lie(made: Contract) -> Contract:
        return made.with_party(replace(made.party("bureau"), rows=6))

    with pytest.raises(PeerError, match="own terms"):
        negotiate(complete=lie)


def test_a_choice_of_protocol_is_settled_before_anyone_signs() -> None:
    left_open = changed_to(
        "ecdh", unfilled("bank", "bureau", "registry"), {"alternative": "vole-malicious"}
    )

    def settle(made: Contract) -> Contract:
        told = [terms.protocols for terms in made.parties]
        assert told == [(), ("ecdh",), ("ecdh",)]
        return replace(made, align=by("ecdh").align)

    for final in (
        settle,
        lambda made: replace(made, align=by("vole-malicious").align, suites=VOLE),
    ):
        with pytest.raises(PeerError, match="not what its draft comes to"):
            negotiate(draft=left_open, complete=final)
    found = negotiate(draft=left_open, complete=settle, derive=settle)
    assert found["bureau"].contract.align[0].alternative == ""


def test_a_draft_that_comes_to_nothing_is_not_signed() -> None:
    def none(made: Contract) -> Contract:
        raise Refused("too few columns")

    with pytest.raises(PeerError, match="comes to no contract: too few columns"):
        negotiate(derive=none)
