"""The contract: what one job may do, in bytes that every party signs.

A contract names the parties and their keys, the purpose, each party's table with row count
and snapshot hash, the columns and what they are for, the steps with their limits, every
disclosure, suites, validity and retention, and a nonce that is used once. Parties run the
steps of the contract they signed and nothing else.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from federated.aggregate import Amount, Statistic
from federated.contract.columns import check_columns
from federated.keys.party_keys import Identity, PartyKeys
from federated.store.plain import canonical, from_canonical
from federated.vertical import told_bits
from psi.align import ALTERNATIVE, PROTOCOLS
from psi.protocol import MisuseError, PeerError, Refused

__all__ = [
    "LONGEST_TASK",
    "AggregateTerms",
    "AlignTerms",
    "AmountTerms",
    "CategoryTerms",
    "Contract",
    "Disclosure",
    "JoinSumTerms",
    "Measure",
    "OtherVersion",
    "PartyTerms",
    "Suites",
    "TrainTerms",
    "signing_bytes",
    "suites_for",
    "verify_signatures",
]

VERSION = 3
MODELS = ("logistic",)
"""What `TrainTerms.model` may ask for."""
FINEST_SCORES = 12
"""The most `score_bits` of a vector."""
MOST_CATEGORIES = 1000
MOST_ROUNDS = 20
"""Steps, and folds, of a training whose rows are split."""
LONGEST = 200
"""Characters of a text that a person chose: what a screen shows whole."""
LONGEST_TASK = 64
"""UTF-8 bytes of a task's name, which is part of its step's."""


class OtherVersion(PeerError):
    """Two versions that do not go together. Names versions and suites only, so it is told."""


@dataclass(frozen=True)
class PartyTerms:
    """One party: who it is, which table it brings, which columns and what each is for.

    `protocols` are those of set intersection that it accepts, told where the draft leaves a choice.
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
    rows: int = 0
    snapshot: str = ""
    protocols: tuple[str, ...] = ()
    design_columns: int = 0

    @property
    def identity(self) -> Identity:
        """The public keys as bytes."""
        try:
            keys = bytes.fromhex(self.organisation), bytes.fromhex(self.sealing)
        except ValueError:
            raise PeerError("a public key in the contract is not hexadecimal") from None
        return Identity(self.name, *keys)


@dataclass(frozen=True)
class AlignTerms:
    """Find the shared entities of the receiver and one partner.

    `minimum_checked_by` is "receiver" (a promise to the partner) or "partner" (counted first).
    With `keep_tags_days` the partner's tags serve all runs of so many days, for at most
    `keep_tags_items` of the receiver's items in all; 0: fresh ones for each run. A draft may name
    an `alternative` protocol, taken if all parties accept it and the sets suit it.
    """

    partner: str
    protocol: str
    reveal: str
    minimum_overlap: int
    minimum_checked_by: str
    largest_set: int
    duplicates: str
    keep_tags_days: int
    keep_tags_items: int
    alternative: str = ""


@dataclass(frozen=True)
class Measure:
    """A column of the partner's and the statistic asked of it, as `Statistic` spells it."""

    column: str
    statistic: str


@dataclass(frozen=True)
class AggregateTerms:
    """Statistics of the partner's columns by the receiver's segment."""

    partner: str
    by: str
    measures: tuple[Measure, ...]
    minimum_group: int
    key_bits: int

    @property
    def columns(self) -> list[str]:
        """The partner's columns, once each, in the order of the measures."""
        return list(dict.fromkeys(measure.column for measure in self.measures))


@dataclass(frozen=True)
class AmountTerms:
    """A column, and the whole numbers `low` to `high` to which its values are clipped."""

    column: str
    low: int
    high: int


@dataclass(frozen=True)
class CategoryTerms:
    """Counts, and sums of the receiver's amounts, by a partner's private category.

    `categories` is a public list of names. `segment` is a column of the receiver's for a two-way
    table, "" for none. `noise` is "laplace" with `epsilon` thousandths for the whole release, or
    "none" with 0: then categories of fewer than `minimum_group` records are not told.
    """

    partner: str
    category: str
    categories: tuple[str, ...]
    segment: str
    amounts: tuple[AmountTerms, ...]
    noise: str
    epsilon: int
    minimum_group: int
    key_bits: int


@dataclass(frozen=True)
class JoinSumTerms:
    """Statistics of the partner's columns over an intersection whose records nobody learns.

    `epsilon`, in thousandths, is of the partner's noise on all numbers of the release; `ranges`
    has one for each column that is summed, to which its values are clipped. 0 and none: exact
    numbers.
    """

    partner: str
    measures: tuple[Measure, ...]
    minimum_group: int
    key_bits: int
    epsilon: int = 0
    ranges: tuple[AmountTerms, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TrainTerms:
    """One model across the label party and the feature parties.

    `split` is "vertical" (columns at different parties) or "horizontal" (rows at different
    parties). `score_vectors` is the most numbers a row that the label party may learn of the
    other parties' part of the score; each of them is told with noise of 2^-`score_bits` of its
    standard deviation, and `row_bits` is the most that all of them together may tell of a row,
    in bits, in the mean of rows. Where rows are split there are no score vectors, and `row_bits` is
    the most that all sums of one party tell of any of its rows, whatever the receiver asks.
    """

    task: str
    model: str
    split: str
    label: str
    positive: str
    partners: tuple[str, ...]
    steps: int
    folds: int
    fold_steps: int
    score_vectors: int
    score_bits: int
    row_bits: int
    key_bits: int


@dataclass(frozen=True)
class Disclosure:
    """What one party learns of another's data by design, and which term allows it."""

    step: str
    to: str
    learns: str
    line: str


@dataclass(frozen=True)
class Suites:
    """Names and versions of the cryptography that this contract allows."""

    align: str = PROTOCOLS["ecdh"].suite
    seal: str = "x25519+mlkem768-chacha20poly1305-v1"
    sign: str = "ed25519"
    aggregate: str = "paillier-djn-v3"
    train: str = "newton-subspace-v2"


def suites_for(align: tuple[AlignTerms, ...]) -> Suites:
    """This version's suites for these alignments, which are all by one protocol."""
    names = {terms.protocol for terms in align} or {"ecdh"}
    if len(names) > 1 or not names <= set(PROTOCOLS):
        raise PeerError("the contract names several protocols of set intersection, or none")
    return Suites(align=PROTOCOLS[names.pop()].suite)


@dataclass(frozen=True)
class Contract:
    """All terms of one job. `seed` drives the receiver's clusters, and nothing that others see."""

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
    disclosures: tuple[Disclosure, ...] = ()
    suites: Suites = field(default_factory=Suites)

    def to_bytes(self) -> bytes:
        """The canonical bytes that are signed."""
        return canonical(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Contract:
        """A contract from another party: canonical, of this version, with clean texts."""
        contract = from_canonical(cls, data)
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

    def joins(self, partner: str) -> bool:
        """Whether rows with one key are all joined with this partner's, so that steps see pairs."""
        found = [a for a in self.align if a.partner == partner and a.reveal == "both"]
        return any(align.duplicates == "join" for align in found)

    def partners(self) -> list[str]:
        """All parties but the receiver, in the contract's order."""
        return [terms.name for terms in self.parties if terms.name != self.receiver]

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
        if self.version != VERSION:
            raise OtherVersion(f"contract version {self.version} found, {VERSION} allowed")
        own = asdict(suites_for(self.align))
        unlike = [kind for kind, name in asdict(self.suites).items() if name != own[kind]]
        if unlike:
            here = ", ".join(own[kind] for kind in unlike)
            raise OtherVersion(
                f"the contract asks for a suite that this version does not have ({here} is here)",
                hint="all parties of a job need versions with the same suites",
            )
        names = [terms.name for terms in self.parties]
        if len(set(names)) != len(names) or len(names) < 2:
            raise PeerError("a contract needs two parties or more, each with its own name")
        for name in (self.receiver, self.proposer, *self._partners_of_steps()):
            self.party(name)
        self._check_shapes()
        if len(self.nonce) != 64 or not 0 < self.not_before < self.expires:
            raise PeerError("the contract's nonce or validity is malformed")
        for align in self.align:
            kept = align.keep_tags_days > 0
            single = all(len(p.keys) == 1 for p in self.parties)
            if kept and (not single or align.reveal == "cardinality"):
                raise PeerError("tags are kept for one level of keys, and never for a count only")
            found = PROTOCOLS.get(align.protocol)
            if found is None or align.reveal not in found.reveals or align.reveal == "places":
                raise PeerError("the contract names a protocol that cannot do what it asks")
            other = align.alternative
            if other and (other != ALTERNATIVE or align.protocol != "ecdh"):
                raise PeerError(f"{other!r} found as alternative, {ALTERNATIVE} to ecdh allowed")
            if other and align.reveal not in PROTOCOLS[other].reveals:
                raise PeerError("the contract names a protocol that cannot do what it asks")
            counted = kept or align.minimum_checked_by == "partner"
            if counted and {align.protocol, align.alternative} - {"ecdh", ""}:
                raise PeerError("kept tags and a minimum that is counted need the protocol ecdh")
            joined = align.reveal == "both" and align.duplicates == "join"
            if joined and len(self.align) > 1:
                raise PeerError("rows of several partners are put together with one pair for each")
            if align.minimum_checked_by not in ("receiver", "partner"):
                raise PeerError("the contract names nobody who checks the minimum")
        for join in self.join_sum:
            _check_join_sum(join)
            hidden = [a.protocol for a in self.align if _counts(a, join.partner)]
            if not hidden or "places" not in PROTOCOLS[hidden[0]].reveals:
                raise PeerError("a join and sum needs a cardinality intersection with its partner")
        for category in self.category:
            _check_category(category)
            if category.noise == "none" and self.joins(category.partner):
                raise PeerError("exact counts by category need duplicates = collapse")
        for terms in self.aggregate:
            first = next(t for t in self.aggregate if t.partner == terms.partner)
            if terms.key_bits != first.key_bits:
                raise PeerError("sections over one partner's rows need keys of one size")
        for measure in (m for terms in self.aggregate for m in terms.measures):
            if not _spelled(measure.statistic):
                raise PeerError("the contract asks for a statistic that this version does not have")
        for text in _texts(self):
            if text != unicodedata.normalize("NFC", text) or not text.isprintable():
                raise PeerError("the contract holds control characters")
        if max(len(text) for text in (*names, self.job, self.purpose)) > LONGEST:
            raise PeerError(f"a name or purpose of more than {LONGEST} characters")
        self._check_steps()
        check_columns(self)

    def _check_shapes(self) -> None:
        """What steps take for granted of keys, partners and numbers."""
        partners = [terms.partner for terms in self.align]
        if len(set(partners)) != len(partners) or self.receiver in self._partners_of_steps():
            raise PeerError("the contract aligns a party twice, or the receiver with itself")
        for terms in self.parties:
            if [len(level) for level in terms.keys] != [len(level) for level in terms.kinds]:
                raise PeerError("the contract names another number of kinds than of key columns")
        aligned = [self.party(name) for name in (self.receiver, *partners) if partners]
        levels = {len(terms.keys) for terms in aligned}
        if aligned and (len(levels) != 1 or not all(all(terms.keys) for terms in aligned)):
            raise PeerError("the contract's parties have different levels of keys")
        if aligned and (0 in levels or len({terms.kinds for terms in aligned}) != 1):
            raise PeerError("the contract's parties have no keys, or keys of different kinds")
        for align in self.align:
            if align.duplicates not in ("collapse", "join"):
                raise PeerError("the contract names an unknown way with duplicates")
        for train in self.train:
            _check_train(train)
        if min(_numbers(self), default=0) < 0:
            raise PeerError("the contract has a negative number where none can be")

    def _check_steps(self) -> None:
        """Steps are told apart, and stand on rows that both sides know where they need them."""
        if any(len(set(same)) < len(same) for same in (self.aggregate, self.category)):
            raise PeerError("the contract asks the same twice")
        if len(set(self.join_sum)) < len(self.join_sum):
            raise PeerError("the contract asks the same twice")
        tasks = [terms.task for terms in self.train]
        if len(set(tasks)) != len(tasks) or not all(tasks) or "/" in "".join(tasks):
            raise PeerError("each task needs a name of its own, without a slash")
        joined = [terms.partner for terms in self.aggregate]
        joined += [terms.partner for terms in self.category]
        joined += [name for t in self.train if t.split == "vertical" for name in t.partners]
        known = {terms.partner for terms in self.align if terms.reveal == "both"}
        if joined and (not set(joined) <= known or len(known) < len(self.align)):
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
            replace(p, rows=0, snapshot="", protocols=(), design_columns=0) for p in self.parties
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

    def _partners_of_steps(self) -> list[str]:
        trained = [name for terms in self.train for name in terms.partners]
        aligned = [terms.partner for terms in self.align]
        summed = [terms.partner for terms in self.join_sum]
        summed += [terms.partner for terms in self.category]
        return aligned + [terms.partner for terms in self.aggregate] + summed + trained


def _counts(align: AlignTerms, partner: str) -> bool:
    return align.partner == partner and align.reveal == "cardinality"


def _check_join_sum(terms: JoinSumTerms) -> None:
    if not terms.measures or {m.statistic for m in terms.measures} - {"count", "sum", "mean"}:
        raise PeerError("the contract asks for a statistic that this version does not have")
    summed = {m.column for m in terms.measures if m.statistic != "count"}
    if sorted(r.column for r in terms.ranges) != sorted(summed if terms.epsilon else ()):
        raise PeerError("a sum with noise needs one range for each column, others have none")
    if not all(Amount(r.column, r.low, r.high).valid for r in terms.ranges):
        raise PeerError("the contract has a range that is empty or too wide")


def _check_category(terms: CategoryTerms) -> None:
    names = terms.categories
    noised = terms.noise == "laplace" and terms.epsilon > 0
    bare = terms.noise == "none" and terms.epsilon == 0 and not terms.segment
    if not (noised or bare):
        raise PeerError("the contract asks for a noise that this version does not have")
    if not 0 < len(names) <= MOST_CATEGORIES or len(set(names)) != len(names):
        raise PeerError("the contract's list of categories is empty, too long or has repeats")
    if not all(Amount(a.column, a.low, a.high).valid for a in terms.amounts):
        raise PeerError("the contract has an amount without a range")


def _check_train(terms: TrainTerms) -> None:
    if terms.split not in ("vertical", "horizontal"):
        raise PeerError("the contract names an unknown way to split")
    if terms.model not in MODELS:
        raise PeerError("the contract asks for a model that this version does not have")
    if len(terms.task.encode("utf-8", "replace")) > LONGEST_TASK:
        raise PeerError(f"a task's name of more than {LONGEST_TASK} bytes")
    if terms.split == "vertical" and not 1 <= terms.score_bits <= FINEST_SCORES:
        raise PeerError(
            f"scores of {terms.score_bits} bits in the contract, 1 to {FINEST_SCORES} allowed"
        )
    if terms.split == "horizontal" and max(terms.steps, terms.folds) > MOST_ROUNDS:
        raise PeerError(f"more than {MOST_ROUNDS} steps or folds of a training in the contract")
    if terms.row_bits < 1:
        raise PeerError("the contract does not say how many bits of a row a training may tell")
    if terms.split == "vertical" and told_bits(terms.score_vectors, terms.score_bits) > (
        terms.row_bits
    ):
        raise PeerError(
            f"{terms.score_vectors} numbers of {terms.score_bits} bits in the contract, "
            f"{terms.row_bits} bits of a row allowed by it"
        )


def _spelled(statistic: str) -> bool:
    try:
        return Statistic.parse(statistic).text == statistic
    except MisuseError:
        return False


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
