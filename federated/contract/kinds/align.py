"""Find the records that the receiver and a partner share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from federated.contract.cost import Estimate, Rates, align_estimate, vole_estimate
from federated.contract.few_rows import check_overlap
from federated.contract.kinds.kind import Kind
from federated.contract.parts import Disclosure
from federated.contract.rows import FLOOR, most_rows
from psi.align import ALTERNATIVE, PROTOCOLS, AlignSettings, choose, in_one_run
from psi.align.counting import MOST
from psi.protocol import PeerError

if TYPE_CHECKING:
    from federated.contract.terms import Contract

__all__ = ["DUPLICATES", "REVEALS", "Align", "AlignTerms", "chosen_protocol", "tagging"]

REVEALS = ("both", "receiver", "cardinality")
"""What a job may ask to reveal of who is shared."""
DUPLICATES = ("collapse", "join")
_RUNS = ("count", "tags", "order")


@dataclass(frozen=True, kw_only=True)
class AlignTerms(AlignSettings):
    """Find the shared entities of the receiver and one partner, by settings that both agree on.

    With `keep_tags_days` the partner's tags serve all runs of so many days, for at most
    `keep_tags_items` of the receiver's items in all; 0: fresh ones for each run. A draft may name
    an `alternative` protocol, taken if all parties accept it and the sets suit it.
    """

    partner: str
    keep_tags_days: int
    keep_tags_items: int
    alternative: str = ""


class Align(Kind[AlignTerms]):
    """One alignment a partner; with several partners, the rows that all of them have."""

    name = "align"

    def terms(self, contract: Contract) -> Sequence[AlignTerms]:
        return contract.align

    def partners(self, terms: AlignTerms) -> Sequence[str]:
        return [terms.partner]

    def check(self, contract: Contract) -> None:
        partners = [terms.partner for terms in contract.align]
        if len(set(partners)) != len(partners):
            raise PeerError("the contract aligns a party twice, or the receiver with itself")
        _check_keys(contract)
        for terms in contract.align:
            _check(contract, terms)

    def used(self, contract: Contract, party: str) -> Iterator[tuple[str, Sequence[str]]]:
        if any(party in (contract.receiver, terms.partner) for terms in contract.align):
            yield "key", [column for level in contract.party(party).keys for column in level]

    def completed(self, contract: Contract) -> Contract:
        check_overlap(contract)
        name, _ = chosen_protocol(contract)
        fixed = [replace(t, protocol=name or t.protocol, alternative="") for t in contract.align]
        return replace(contract, align=tuple(fixed))

    def disclosures(self, contract: Contract) -> Iterator[Disclosure]:
        for terms in contract.align:
            yield from _align(contract, terms)
        if len(contract.align) > 1:
            yield from _select(contract)

    def words(self, contract: Contract) -> Iterator[str]:
        for terms in contract.align:
            yield (
                f"{contract.receiver} and {terms.partner} find the records they share "
                f"({terms.protocol}, {contract.suites.align}{_alternative(terms)}); no identifier "
                "leaves either in the clear"
            )

    def guards(self, contract: Contract) -> Iterator[str]:
        me = contract.receiver
        for terms in contract.align:
            who = (
                f"counted by {terms.partner} before anything is told"
                if terms.minimum_checked_by == "partner"
                else f"checked by {me}, so a promise towards {terms.partner}"
            )
            yield (
                f"{terms.partner} refuses a set of more than {terms.largest_set:,} records; fewer "
                f"than {terms.minimum_overlap:,} shared records end the job ({who})"
            )
            if terms.reveal == "cardinality":
                yield _counted_guard(contract, terms)
            if PROTOCOLS[terms.protocol].trusting:
                yield (
                    f"{terms.protocol} checks nobody: {me}, if it breaks the protocol's form in "
                    f"one run, which {terms.partner} does not see, can test any identifier "
                    f"afterwards, and so read {terms.partner}'s whole set by dictionary; "
                    f"{terms.partner}, if it does, may learn which records {me} has. Parties have "
                    "to trust each other's software"
                )
            if terms.keep_tags_days:
                yield (
                    f"{terms.partner}'s tags serve all jobs of {terms.keep_tags_days} days; it "
                    f"counts what {me} asks and refuses beyond {terms.keep_tags_items} records"
                )

    def limit(self, contract: Contract, step: str) -> int | None:
        if step == "select":
            return FLOOR + 64 * sum(most_rows(contract).values())
        kind, *rest = step.split("/")
        levels = len(contract.party(contract.receiver).keys)
        runs = [*_RUNS, *(f"{level}" for level in range(levels))]
        if kind != "align" or len(rest) != 2 or rest[1] not in runs:
            return None
        if all(terms.partner != rest[0] for terms in contract.align):
            return None
        # points, tags and orders of both sides, over all their chunks and levels; groups of a count
        rows = most_rows(contract)
        return FLOOR + max(512, 64 * MOST) * levels * (rows[contract.receiver] + rows[rest[0]])

    def cost(self, contract: Contract, rates: Rates) -> Iterator[Estimate]:
        rows = {party.name: party.rows for party in contract.parties}
        me, levels = rows[contract.receiver], len(contract.party(contract.receiver).keys)
        for terms in contract.align:
            keys = levels if in_one_run(terms, levels) else 1
            theirs = rows[terms.partner]
            sizes = me * keys, theirs * keys
            if PROTOCOLS[terms.protocol].blocks:
                yield vole_estimate(rates, *sizes, checks=terms.protocol == "vole-malicious")
            else:
                yield align_estimate(rates, *sizes)
            if terms.minimum_checked_by == "partner":
                yield align_estimate(rates, theirs * levels, me * levels)


def _counted_guard(contract: Contract, terms: AlignTerms) -> str:
    """An exact count says which records it counts to who asks it of well chosen sets."""
    me, partner = contract.receiver, terms.partner
    several = len(contract.party(me).keys) > 1
    told = terms.minimum_checked_by == "partner" or any(
        each.partner == partner for each in contract.join_sum
    )
    turned = f", and learns the like of {me} by two sets of its own" * told
    shown = (
        "; so does one count, of a record whose levels of keys no other of its set has" * several
    )
    return (
        f"how many records are shared is counted exactly: by two sets that differ in one record, "
        f"or one of records that it knows {partner} to have and one more, {me} learns whether "
        f"{partner} has that one{shown}; {partner} sees neither{turned}"
    )


def tagging(contract: Contract, rates: Rates) -> float:
    """Seconds that the partners take to tag their items, which kept tags spare."""
    rows = {party.name: party.rows for party in contract.parties}
    return sum(align_estimate(rates, 0, rows[terms.partner]).seconds for terms in contract.align)


def _check_keys(contract: Contract) -> None:
    names = [contract.receiver, *(terms.partner for terms in contract.align)]
    aligned = [contract.party(name) for name in names if contract.align]
    levels = {len(terms.keys) for terms in aligned}
    if aligned and (len(levels) != 1 or not all(all(terms.keys) for terms in aligned)):
        raise PeerError("the contract's parties have different levels of keys")
    if aligned and (0 in levels or len({terms.kinds for terms in aligned}) != 1):
        raise PeerError("the contract's parties have no keys, or keys of different kinds")


def _check(contract: Contract, terms: AlignTerms) -> None:
    if terms.duplicates not in DUPLICATES:
        raise PeerError("the contract names an unknown way with duplicates")
    kept = terms.keep_tags_days > 0
    single = all(len(p.keys) == 1 for p in contract.parties)
    if kept and (not single or terms.reveal == "cardinality"):
        raise PeerError("tags are kept for one level of keys, and never for a count only")
    found = PROTOCOLS.get(terms.protocol)
    if found is None or terms.reveal not in found.reveals or terms.reveal == "places":
        raise PeerError("the contract names a protocol that cannot do what it asks")
    other = terms.alternative
    if other and (other != ALTERNATIVE or terms.protocol != "ecdh"):
        raise PeerError(f"{other!r} found as alternative, {ALTERNATIVE} to ecdh allowed")
    if other and terms.reveal not in PROTOCOLS[other].reveals:
        raise PeerError("the contract names a protocol that cannot do what it asks")
    counted = kept or terms.minimum_checked_by == "partner"
    if counted and {terms.protocol, terms.alternative} - {"ecdh", ""}:
        raise PeerError("kept tags and a minimum that is counted need the protocol ecdh")
    joined = terms.reveal == "both" and terms.duplicates == "join"
    if joined and len(contract.align) > 1:
        raise PeerError("rows of several partners are put together with one pair for each")
    if terms.minimum_checked_by not in ("receiver", "partner"):
        raise PeerError("the contract names nobody who checks the minimum")


def _align(contract: Contract, terms: AlignTerms) -> list[Disclosure]:
    step, me, line = f"align {terms.partner}", contract.receiver, "align.reveal"
    several = len(contract.party(me).keys) > 1
    alike = ", and how many of their keys are the same, but not which records" * several
    sizes = [
        Disclosure(step, me, f"how many records {terms.partner} brings", line),
        Disclosure(step, terms.partner, f"how many records {me} brings", line),
    ]
    if terms.minimum_checked_by == "partner":
        before = f"how many records it shares with {me}{alike}, before anything else is told"
        sizes.append(Disclosure(step, terms.partner, before, "align.minimum_checked_by"))
    if terms.keep_tags_days:
        asked = (
            f"for {terms.keep_tags_days} days, under one key and over several jobs, which of at "
            f"most {terms.keep_tags_items} records it asks {terms.partner} has; whether that set "
            "has changed, and so which of the records that it asks again are new in it or gone"
        )
        sizes.append(Disclosure(step, me, asked, "align.keep_tags_days"))
    if terms.reveal == "cardinality":
        count = f"how many records it shares with {terms.partner}{alike or ', not which'}"
        return [*sizes, Disclosure(step, me, count, line)]
    found = [Disclosure(step, me, f"which of its own records {terms.partner} has", line), *sizes]
    if terms.reveal == "both":
        which = f"which of its own records {me} has"
        found.insert(1, Disclosure(step, terms.partner, which, line))
    if several:
        found += _keys_of_levels(contract, terms, step, line)
    if terms.duplicates == "join" and terms.reveal == "both":
        often = "how often the other holds each shared record"
        found += [Disclosure(step, name, often, "align.duplicates") for name in (me, terms.partner)]
    return found


def _keys_of_levels(
    contract: Contract, terms: AlignTerms, step: str, line: str
) -> list[Disclosure]:
    """What several levels of keys tell beyond which records are shared."""
    me = contract.receiver
    grade = "by which key each shared record was found"
    found = [Disclosure(step, me, grade, line)]
    if not in_one_run(terms, len(contract.party(me).keys)):
        return [*found, Disclosure(step, terms.partner, grade, line)]
    tied = f"which of its keys are keys of one record of {terms.partner}, where both have them"
    found.append(Disclosure(step, me, tied, line))
    if terms.reveal == "both":
        found.append(Disclosure(step, terms.partner, grade, line))
    return found


def _select(contract: Contract) -> list[Disclosure]:
    common = "which of its shared records all parties of the job have"
    return [Disclosure("select", name, common, "party") for name in contract.partners()]


def _alternative(terms: AlignTerms) -> str:
    if not terms.alternative:
        return ""
    return f"; or {terms.alternative}, if the sets are large and every party accepts it"


def chosen_protocol(contract: Contract) -> tuple[str, str]:
    """Which protocol this draft comes to with its parties' facts, and why; empty if it is fixed."""
    if not any(terms.alternative for terms in contract.align):
        return "", ""
    receiver = contract.party(contract.receiver)
    partners = [contract.party(terms.partner) for terms in contract.align]
    allowed = set(receiver.protocols).intersection(*(p.protocols for p in partners))
    return choose([(receiver.rows, partner.rows) for partner in partners], allowed)
