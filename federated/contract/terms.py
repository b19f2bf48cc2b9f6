"""The contract: what one job may do, in bytes that every party signs.

A contract names the parties and their keys, the purpose, each party's table with row count
and snapshot hash, the columns and what they are for, the steps with their limits, every
disclosure, suites, validity and retention, and a nonce that is used once. Parties run the
steps of the contract they signed and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from federated.contract.columns import check_columns
from federated.contract.kinds import KINDS
from federated.contract.kinds.align import AlignTerms
from federated.contract.kinds.binning import BinningTerms
from federated.contract.kinds.by_category import CategoryTerms
from federated.contract.kinds.by_segment import AggregateTerms
from federated.contract.kinds.join_sum import JoinSumTerms
from federated.contract.kinds.score import ScoreTerms
from federated.contract.kinds.train import TrainTerms, boosted, hidden, private
from federated.contract.parts import AmountTerms, Disclosure, FeatureTerms, Measure
from federated.contract.purposes import PURPOSE_CLASSES, class_of
from federated.contract.series import SeriesTerms, SeriesTold
from federated.contract.summed import Summed
from federated.hidden_trees import SUITE as HIDDEN_TREES
from federated.keys.party_keys import Identity, PartyKeys
from federated.regression import SUITE as REGRESSION
from federated.sharing import SUITE as SUMS
from federated.store.plain import OtherFields, canonical, from_canonical
from federated.tables.about import DATA_CLASSES
from federated.trees import SUITE as TREES
from psi.align import PROTOCOLS
from psi.protocol import PeerError, Refused

__all__ = [
    "AggregateTerms",
    "AlignTerms",
    "AmountTerms",
    "BinningTerms",
    "CategoryTerms",
    "Contract",
    "Disclosure",
    "FeatureTerms",
    "JoinSumTerms",
    "Measure",
    "OtherVersion",
    "PartyTerms",
    "ScoreTerms",
    "SeriesTerms",
    "SeriesTold",
    "Suites",
    "TrainTerms",
    "signing_bytes",
    "suites_for",
    "verify_signatures",
]

VERSION = 11
LONGEST = 200
"""Characters of a text that a person chose: what a screen shows whole."""


class OtherVersion(PeerError):
    """Two versions that do not go together. Names versions and suites only, so it is told."""


@dataclass(frozen=True, kw_only=True)
class PartyTerms:
    """One party: who it is, which table it brings, which columns and what each is for.

    `protocols` are those of set intersection that it accepts, told where the draft leaves a choice.
    `design_columns` are how many columns its features come to in each training: by Newton steps
    independent ones, else all.
    `basis` is the table by which it admits only rows with a lawful basis, "" for none stated;
    `legal_entities` is "admit" where companies and government bodies need no row in it.
    `data_classes` are those of the data that it brings, as its owner calls them.
    `parts` are the hashes of its parts of the models that rows are scored by, in the contract's
    order; "" where it has no part.
    `series` is what its earlier contracts of the contract's series tell, where it is one of a
    series and the party keeps count; all parties read it.
    """

    name: str
    organisation: str
    sealing: str
    table: str
    keys: tuple[tuple[str, ...], ...]
    kinds: tuple[tuple[str, ...], ...]
    features: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    rows: int = 0
    snapshot: str = ""
    protocols: tuple[str, ...] = ()
    design_columns: tuple[int, ...] = ()
    basis: str = ""
    legal_entities: str = ""
    data_classes: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    series: tuple[SeriesTold, ...] = ()

    @property
    def identity(self) -> Identity:
        """The public keys as bytes."""
        try:
            keys = bytes.fromhex(self.organisation), bytes.fromhex(self.sealing)
        except ValueError:
            raise PeerError("a public key in the contract is not hexadecimal") from None
        return Identity(self.name, *keys)


@dataclass(frozen=True, kw_only=True)
class Suites:
    """Names and versions of the cryptography that this contract allows.

    `train`, `trees` and `sums` if a step has it: a regression of columns, boosted trees, statistics
    by private sums.
    """

    align: str = PROTOCOLS["ecdh"].suite
    seal: str = "x25519+mlkem768-chacha20poly1305-v1"
    sign: str = "ed25519"
    aggregate: str = "paillier-djn-v4"
    train: str = ""
    trees: str = ""
    sums: str = ""


def suites_for(
    align: tuple[AlignTerms, ...],
    summed: Sequence[Summed] = (),
    train: Sequence[TrainTerms] = (),
    score: Sequence[ScoreTerms] = (),
) -> Suites:
    """This version's suites for alignments, all by one protocol, for sums, trainings and scores."""
    names = {terms.protocol for terms in align} or {"ecdh"}
    if len(names) > 1 or not names <= set(PROTOCOLS):
        raise PeerError("the contract names several protocols of set intersection, or none")
    shared = any(terms.shared for terms in summed)
    return Suites(
        align=PROTOCOLS[names.pop()].suite,
        train=REGRESSION * any(private(terms) for terms in train),
        trees=_trees_suite(train, score),
        sums=SUMS * shared,
    )


def _trees_suite(train: Sequence[TrainTerms], score: Sequence[ScoreTerms]) -> str:
    """Of trees that tell nothing another; a contract has one kind of them."""
    if any(hidden(terms) for terms in train) or any(terms.trees for terms in score):
        return HIDDEN_TREES
    return TREES * any(boosted(terms) for terms in train)


@dataclass(frozen=True, kw_only=True)
class Contract:
    """All terms of one job. `seed` drives the receiver's clusters, and nothing that others see.

    `purpose_class` is one of `PURPOSE_CLASSES`, "" where nobody has said which.
    `series` is that which the job is one of, or none.
    """

    version: int
    nonce: str
    job: str
    purpose: str
    entity: str
    proposer: str
    receiver: str
    not_before: int
    expires: int
    retention_days: int
    seed: int
    parties: tuple[PartyTerms, ...]
    align: tuple[AlignTerms, ...]
    aggregate: tuple[AggregateTerms, ...]
    train: tuple[TrainTerms, ...]
    join_sum: tuple[JoinSumTerms, ...] = ()
    category: tuple[CategoryTerms, ...] = ()
    binning: tuple[BinningTerms, ...] = ()
    score: tuple[ScoreTerms, ...] = ()
    series: tuple[SeriesTerms, ...] = ()
    purpose_class: str = ""
    disclosures: tuple[Disclosure, ...] = ()
    suites: Suites = field(default_factory=Suites)

    def to_bytes(self) -> bytes:
        """The canonical bytes that are signed."""
        return canonical(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Contract:
        """A contract from another party: canonical, of this version, with clean texts."""
        try:
            contract = from_canonical(cls, data)
        except PeerError as error:
            _check_version(_version_in(data))  # another version's has other fields
            if isinstance(error, OtherFields):  # one between two numbers too
                raise _other_version(
                    f"a contract of version {VERSION} with other fields: {error.message}"
                ) from None
            raise
        contract.check()
        return contract

    @property
    def digest(self) -> bytes:
        """SHA-256 of the canonical bytes: 32 bytes that name the contract."""
        return hashlib.sha256(self.to_bytes()).digest()

    def party(self, name: str) -> PartyTerms:
        """The terms of one party; raises `PeerError` if it is none."""
        for terms in self.parties:
            if terms.name == name:
                return terms
        raise PeerError("the contract names a party that it does not list")

    @property
    def summed(self) -> tuple[Summed, ...]:
        """Steps that are added up by encryption or by private sums."""
        return (*self.aggregate, *self.category, *self.join_sum, *self.binning)

    def joins(self, partner: str) -> bool:
        """Whether rows with one key are all joined with this partner's, so that steps see pairs."""
        found = [a for a in self.align if a.partner == partner and a.reveal == "both"]
        return any(align.duplicates == "join" for align in found)

    @property
    def known(self) -> bool:
        """Whether every alignment tells both sides which records they share."""
        return all(terms.reveal == "both" for terms in self.align)

    def partners(self) -> list[str]:
        """All parties but the receiver, in the contract's order."""
        return [terms.name for terms in self.parties if terms.name != self.receiver]

    def features(self, terms: TrainTerms, party: str) -> tuple[str, ...]:
        """The columns that one party brings to a training."""
        chosen = {found.party: found.columns for found in terms.features}
        return chosen.get(party, ()) if chosen else self.party(party).features

    def design_columns(self, terms: TrainTerms, party: str) -> int:
        """How many columns they come to, as that party says; 0 as long as it does not.

        Trainings are told apart by their tasks, so that terms which are being completed count too.
        """
        stated = self.party(party).design_columns
        told = dict(zip((train.task for train in self.train), stated, strict=False))
        return told.get(terms.task, 0)

    def earlier_sections(self, terms: AggregateTerms) -> list[AggregateTerms]:
        """The sections before this one that ask the same partner for one of the same columns."""
        before = self.aggregate[: self.aggregate.index(terms)]
        columns = set(terms.columns)
        return [t for t in before if t.partner == terms.partner and columns & set(t.columns)]

    def with_party(self, terms: PartyTerms) -> Contract:
        """The same contract with one party's terms replaced."""
        parties = tuple(terms if p.name == terms.name else p for p in self.parties)
        return replace(self, parties=parties)

    def check(self) -> None:
        """Raise `PeerError` unless the contract is whole and consistent in itself."""
        _check_version(self.version)
        own = asdict(suites_for(self.align, self.summed, self.train, self.score))
        unlike = [kind for kind, name in asdict(self.suites).items() if name != own[kind]]
        if unlike:
            here = ", ".join(own[kind] or "none" for kind in unlike)
            raise OtherVersion(
                f"the contract asks for a suite that this version does not have ({here} is here)",
                hint="all parties of a job need versions with the same suites",
            )
        names = [terms.name for terms in self.parties]
        if len(set(names)) != len(names) or len(names) < 2:
            raise PeerError("a contract needs two parties or more, each with its own name")
        asked = [(kind, terms) for kind in KINDS for terms in kind.terms(self)]
        partners = [name for kind, terms in asked for name in kind.partners(terms)]
        for name in (self.receiver, self.proposer, *partners):
            self.party(name)
        if self.receiver in partners:
            raise PeerError("the contract aligns a party twice, or the receiver with itself")
        if min(_numbers(self), default=0) < 0:
            raise PeerError("the contract has a negative number where none can be")
        for terms in self.parties:
            if [len(level) for level in terms.keys] != [len(level) for level in terms.kinds]:
                raise PeerError("the contract names another number of kinds than of key columns")
            if terms.design_columns and len(terms.design_columns) != len(self.train):
                raise PeerError("a party states columns of other trainings than the contract has")
            if terms.legal_entities not in ("", "admit") or len(terms.basis) > LONGEST:
                raise PeerError("the contract has a rule of admission that is none")
            if len(terms.series) > len(self.series):
                raise PeerError("a party counts a series that the contract does not name")
            if not set(terms.data_classes) <= set(DATA_CLASSES):
                raise PeerError("the contract names a class of data that this version has not")
        if self.purpose_class not in ("", *PURPOSE_CLASSES):
            raise PeerError("the contract's purpose is of a class that this version has not")
        if class_of(self.purpose) not in ("", self.purpose_class):
            raise PeerError("the contract's purpose is listed under another class than it says")
        if len(self.nonce) != 64 or not 0 < self.not_before < self.expires:
            raise PeerError("the contract's nonce or validity is malformed")
        if len(self.series) > 1:
            raise PeerError("the contract is one of several series")
        for series in self.series:
            series.check()
        for kind in KINDS:
            kind.check(self)
        for text in _texts(self):
            if text != unicodedata.normalize("NFC", text) or not text.isprintable():
                raise PeerError("the contract holds control characters")
        if (
            max(
                len(text)
                for text in (*names, *(s.name for s in self.series), self.job, self.purpose)
            )
            > LONGEST
        ):
            raise PeerError(f"a name or purpose of more than {LONGEST} characters")
        self._check_steps()
        check_columns(self)

    def _check_steps(self) -> None:
        """Steps are told apart, and stand on rows that both sides know where they need them."""
        for same in (self.aggregate, self.category, self.join_sum, self.binning, self.score):
            if len(set(same)) < len(same):
                raise PeerError("the contract asks the same twice")
        tasks = [terms.task for terms in self.train]
        if len(set(tasks)) != len(tasks) or not all(tasks) or "/" in "".join(tasks):
            raise PeerError("each task needs a name of its own, without a slash")
        stand = [(kind, terms) for kind in KINDS if kind.joined for terms in kind.terms(self)]
        joined = {name for kind, terms in stand for name in kind.partners(terms)}
        told = {terms.partner for terms in self.align if terms.reveal == "both"}
        if joined and (not joined <= told or len(told) < len(self.align)):
            raise PeerError("a step over joined rows, which not every alignment tells both sides")

    def check_time(self, now: float) -> None:
        """Raise `Refused` outside the validity."""
        if now < self.not_before:
            raise Refused("the contract is not valid yet", hint="check this machine's clock")
        if now > self.expires:
            raise Refused("the contract has expired", hint="propose the job again")

    @property
    def asked(self) -> bytes:
        """32 bytes that name what is asked, whatever the nonce and the day it is asked on."""
        parties = tuple(
            replace(
                p,
                rows=0,
                snapshot="",
                protocols=(),
                design_columns=(),
                basis="",
                legal_entities="",
                data_classes=(),
                parts=(),
                series=(),
            )
            for p in self.parties
        )
        undated = replace(
            self,
            parties=parties,
            nonce="",
            not_before=0,
            expires=self.expires - self.not_before,
            disclosures=(),
            suites=Suites(),
        )
        return hashlib.sha256(undated.to_bytes()).digest()


def _numbers(value: object) -> list[int]:
    """All whole numbers but those that may be negative: the seed and the ranges of amounts."""
    if isinstance(value, int):
        return [value]
    if isinstance(value, tuple | list):
        return [number for entry in value for number in _numbers(entry)]
    names = getattr(value, "__dataclass_fields__", ())
    counted = [name for name in names if name not in ("seed", "low", "high")]
    return [number for name in counted for number in _numbers(getattr(value, name))]


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, tuple | list):
        return [text for entry in value for text in _texts(entry)]
    if hasattr(value, "__dataclass_fields__"):
        return [
            text for name in value.__dataclass_fields__ for text in _texts(getattr(value, name))
        ]
    return []


def signing_bytes(contract: bytes) -> bytes:
    """What the organisation keys sign: the canonical bytes under a label of their own."""
    return b"fedprofile contract v1\n" + contract


def sign(keys: PartyKeys, contract: bytes) -> bytes:
    """One party's signature (64 bytes) over a contract's canonical bytes."""
    return keys.sign_organisation(signing_bytes(contract))


def verify_signatures(contract: Contract, signatures: Mapping[str, bytes]) -> None:
    """Raise `PeerError` unless every party, the receiver too, has signed these bytes."""
    data = signing_bytes(contract.to_bytes())
    expected = sorted(terms.name for terms in contract.parties)
    if sorted(signatures) != expected:
        missing = sorted(set(expected) - set(signatures))
        raise PeerError(f"signatures missing: {', '.join(missing) or 'none'}", step="contract")
    for terms in contract.parties:
        terms.identity.check_organisation(signatures[terms.name], data, "contract")


def _check_version(found: int) -> None:
    if found != VERSION:
        raise _other_version(f"contract version {found} found, {VERSION} allowed")


def _other_version(found: str) -> OtherVersion:
    hint = "all parties of a job need versions of this software that go together"
    return OtherVersion(found, hint=hint)


def _version_in(data: bytes) -> int:
    """The version that bytes name which are no contract of this one; this one where they do not."""
    try:
        found = json.loads(data.decode("utf-8"))["version"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return VERSION
    return found if type(found) is int and 0 < found < 1 << 16 else VERSION
