"""How a contract comes about: the roles of proposer and approver.

    proposer -> approver   Draft       the contract without tables' facts
    approver -> proposer   Facts       its rows, snapshot hash and number of design columns
    proposer -> approver   Final       the contract whole, with the proposer's signature
    approver -> proposer   Signed      the approver's signature over the same bytes
    proposer -> approver   Complete    all signatures

An approver fills in only its own terms. It derives the final contract itself, from the draft that
it has kept and everybody's facts, and signs that one alone, if its policy agrees; nobody starts
before it holds and has verified every signature. The contract's nonce is the session's: one that
was signed before is of another session.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated

from federated.contract.disclosures import check_disclosures, disclosures
from federated.contract.terms import Contract, PartyTerms, sign, verify_signatures
from federated.keys.party_keys import Identity, PartyKeys
from federated.store.plain import canonical, from_canonical
from psi.protocol import (
    Context,
    Done,
    FedprofileError,
    Idle,
    Length,
    PeerError,
    Role,
    Turn,
    message,
)

__all__ = ["Agreed", "Approver", "Proposer", "check_draft", "derived"]

Contracted = Annotated[bytes, Length(1 << 20)]
Complete = Callable[[Contract], Contract]
Approve = Callable[[Contract], None]


@dataclass(frozen=True)
class Agreed:
    """A contract with every party's signature."""

    contract: Contract
    signatures: dict[str, bytes]


@message(0xB0)
@dataclass(frozen=True)
class _Draft:
    contract: Contracted


@message(0xB1)
@dataclass(frozen=True)
class _Facts:
    terms: Contracted


@message(0xB2)
@dataclass(frozen=True)
class _Final:
    contract: Contracted
    signature: Annotated[bytes, Length(64)]


@message(0xB3)
@dataclass(frozen=True)
class _Signed:
    signature: Annotated[bytes, Length(64)]


@message(0xB4)
@dataclass(frozen=True)
class _Complete:
    signatures: Annotated[dict[str, Annotated[bytes, Length(64)]], Length(64)]


@message(0xB5)
@dataclass(frozen=True)
class _Collecting:
    facts: Annotated[dict[str, Contracted], Length(64)]


@message(0xB6)
@dataclass(frozen=True)
class _Signing:
    contract: Contracted
    signatures: Annotated[dict[str, Annotated[bytes, Length(64)]], Length(64)]


@message(0xB7)
@dataclass(frozen=True)
class _Waiting:
    contract: Contracted


class Proposer(Role[Agreed]):
    """Drafts, collects every table's facts, signs first, collects all signatures.

    `complete` turns the draft with everyone's facts into the final contract (it may fix
    limits that depend on row counts, such as the number of score vectors).
    """

    transitions = {  # noqa: RUF012
        (_Collecting, _Facts): "on_facts",
        (_Signing, _Signed): "on_signed",
    }

    def __init__(
        self, context: Context, keys: PartyKeys, draft: Contract, complete: Complete
    ) -> None:
        super().__init__(context)
        self._keys, self._draft, self._complete = keys, draft, complete
        self._others = [p.name for p in draft.parties if p.name != context.party]

    def begin(self) -> Turn[Agreed]:
        message = _Draft(self._draft.to_bytes())
        return Turn(_Collecting({}), [(name, message) for name in self._others])

    def on_facts(self, state: _Collecting, message: _Facts, peer: str) -> Turn[Agreed]:
        facts = state.facts | {peer: message.terms}
        if len(facts) < len(self._others):
            return Turn(_Collecting(facts))
        contract = self._draft
        for name, data in facts.items():
            contract = contract.with_party(_own_facts(contract.party(name), data))
        contract = self._complete(contract)
        contract = replace(contract, disclosures=disclosures(contract))
        contract.check()
        data, mine = contract.to_bytes(), sign(self._keys, contract.to_bytes())
        signing = _Signing(data, {self.context.party: mine})
        return Turn(signing, [(name, _Final(data, mine)) for name in self._others])

    def on_signed(self, state: _Signing, message: _Signed, peer: str) -> Turn[Agreed]:
        signatures = state.signatures | {peer: message.signature}
        if len(signatures) < len(self._others) + 1:
            return Turn(_Signing(state.contract, signatures))
        contract = Contract.from_bytes(state.contract)
        verify_signatures(contract, signatures)
        complete = [(name, _Complete(signatures)) for name in self._others]
        return Turn(Done(), complete, Agreed(contract, signatures))


def _own_facts(drafted: PartyTerms, data: bytes) -> PartyTerms:
    terms = from_canonical(PartyTerms, data)
    if _with_facts(drafted, terms) != terms:
        raise PeerError("a party changed more than its own table's facts")
    return terms


def _with_facts(terms: PartyTerms, told: PartyTerms) -> PartyTerms:
    """The same terms with the facts that `told` has."""
    return replace(
        terms,
        rows=told.rows,
        snapshot=told.snapshot,
        design_columns=told.design_columns,
        protocols=told.protocols,
        basis=told.basis,
        legal_entities=told.legal_entities,
        data_classes=told.data_classes,
        parts=told.parts,
        series=told.series,
    )


_BARE = PartyTerms(name="", organisation="", sealing="", table="", keys=(), kinds=())
"""Terms without facts."""


def derived(draft: Contract, final: Contract, complete: Complete) -> Contract:
    """The contract that `draft` comes to with the facts that `final` states of all tables.

    Raises `PeerError` where there is none.
    """
    made = draft
    for terms in final.parties:
        drafted = draft.party(terms.name)
        stated = _with_facts(drafted, terms)
        if (
            terms.name == draft.proposer
        ):  # its rule of admission, and whose data, is what the officer has read
            stated = replace(
                stated,
                basis=drafted.basis,
                legal_entities=drafted.legal_entities,
                data_classes=drafted.data_classes,
                parts=drafted.parts,
                series=drafted.series,
            )
        made = made.with_party(stated)
    try:
        made = complete(made)
    except FedprofileError as error:
        raise PeerError(f"the draft comes to no contract: {error.message}") from None
    return replace(made, disclosures=disclosures(made))


def check_draft(draft: Contract) -> None:
    """Raise `PeerError` if a draft says what is told or derived later only, or lists what it likes.

    An officer reads it: what the final contract does not hold to must not be there.
    """
    for terms in draft.parties:
        if terms.name != draft.proposer and terms != _with_facts(terms, _BARE):
            raise PeerError("the draft states facts of another party's table")
    if any(terms.grid_bits or terms.column_bits for terms in draft.train):
        raise PeerError("the draft states numbers of a training that follow from its terms")
    check_disclosures(draft)


class Approver(Role[Agreed]):
    """States its table's facts, checks and signs the contract, and waits for all signatures.

    `complete` is what a proposer has: it derives the final contract from a draft with all facts.
    `consider` sees the draft before this party has said anything, and may wait for an officer;
    `facts` fills in this party's own terms; `approve` sees the final contract. The first and the
    last raise `Refused` where policy or officer say no.
    """

    transitions = {  # noqa: RUF012
        (Idle, _Draft): "on_draft",
        (_Waiting, _Draft): "on_draft",
        (_Waiting, _Final): "on_final",
        (_Signing, _Complete): "on_complete",
    }

    def __init__(
        self,
        context: Context,
        keys: PartyKeys,
        pinned: dict[str, Identity],
        facts: Callable[[Contract], PartyTerms],
        approve: Approve,
        complete: Complete,
        consider: Approve = lambda draft: None,
    ) -> None:
        super().__init__(context)
        self._keys, self._pinned, self._facts, self._approve = keys, pinned, facts, approve
        self._complete, self._consider = complete, consider

    def begin(self) -> Turn[Agreed]:
        return Turn(_Waiting(b""))

    def on_draft(self, state: _Waiting, message: _Draft, peer: str) -> Turn[Agreed]:
        if state.contract:
            raise PeerError("a second draft in one session")
        draft = Contract.from_bytes(message.contract)
        self._check(draft, peer)
        check_draft(draft)
        self._consider(draft)
        mine = self._facts(draft)
        filled = draft.with_party(mine)
        return Turn(_Waiting(filled.to_bytes()), [(peer, _Facts(canonical(mine)))])

    def on_final(self, state: _Waiting, message: _Final, peer: str) -> Turn[Agreed]:
        contract = Contract.from_bytes(message.contract)
        self._check(contract, peer)
        filled = Contract.from_bytes(state.contract)
        if contract.party(self.context.party) != filled.party(self.context.party):
            raise PeerError("the final contract changes this party's own terms")
        if contract != derived(filled, contract, self._complete):
            raise PeerError("the final contract is not what its draft comes to")
        self._approve(contract)
        mine = sign(self._keys, message.contract)
        signatures = {peer: message.signature, self.context.party: mine}
        return Turn(_Signing(message.contract, signatures), [(peer, _Signed(mine))])

    def on_complete(self, state: _Signing, message: _Complete, peer: str) -> Turn[Agreed]:
        del peer
        contract = Contract.from_bytes(state.contract)
        verify_signatures(contract, message.signatures)
        return Turn(Done(), result=Agreed(contract, dict(message.signatures)))

    def _check(self, contract: Contract, peer: str) -> None:
        if contract.nonce != self.context.session.hex():
            # what is counted and reserved is counted under the nonce: an earlier one would be free
            raise PeerError("the contract is of another session", hint="propose the job again")
        if contract.proposer != peer:
            raise PeerError("the contract was proposed by another than its sender")
        for terms in contract.parties:
            known = self._pinned.get(terms.name)
            if known is None or known != terms.identity:
                raise PeerError(
                    "the contract names a key that is not the pinned one",
                    hint="compare the fingerprints out of band",
                )
