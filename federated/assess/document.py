"""The impact assessment of one contract at one party: a document of paragraphs and tables."""

from __future__ import annotations

from dataclasses import dataclass

from federated.approval.policy import ANY, Policy
from federated.assess.attacks import attacks_on
from federated.assess.words import LANGUAGES, learns, say
from federated.contract.columns import columns_used
from federated.contract.completion import foreseen
from federated.contract.kinds import KINDS
from federated.contract.kinds.train import AUTO
from federated.contract.parts import Disclosure
from federated.contract.terms import Contract, PartyTerms
from federated.releases.row_bits import RowBits
from federated.text import compared

__all__ = ["Document", "Section", "Table", "assessment"]


@dataclass(frozen=True)
class Table:
    """A table: what its columns are called, and rows of texts."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """A heading, and what stands below it in order."""

    title: str
    parts: tuple[str | Table, ...]


@dataclass(frozen=True)
class Document:
    """What is filed. `lang` is that of all but the contract's own words."""

    lang: str
    title: str
    preface: str
    sections: tuple[Section, ...]


class _Say:
    def __init__(self, lang: str) -> None:
        self.lang = lang
        self.zh = lang == LANGUAGES[1]

    def __call__(self, key: str, /, **values: object) -> str:
        return say(key, self.lang, **values)

    def list(self, names: tuple[str, ...] | list[str]) -> str:
        return ("、" if self.zh else ", ").join(names)

    def classed(self, name: str) -> str:
        return self(f"class.{name}")


def assessment(
    contract: Contract,
    me: str,
    policy: Policy,
    bits: RowBits | None,
    lang: str = "en",
    *,
    signed: bool = True,
) -> Document:
    """The assessment of a contract by one of its parties.

    Args:
        contract: a draft, or as it was signed.
        me: the party that files it.
        policy: of that party.
        bits: what the contract tells of a row of the party's, from `row_bits`; None for nothing.
        lang: "en" or "zh".
        signed: whether every party has signed it; a draft's facts are not told yet.

    Raises:
        PeerError: the contract has no such party.
    """
    contract.party(me)
    t, digest = _Say(lang), contract.digest.hex()[:16]
    contract = foreseen(contract)
    sections = [
        Section(t("h.job"), _job(contract, t)),
        Section(t("h.basis"), _basis(contract, t)),
        Section(t("h.data"), _data(contract, t)),
        Section(t("h.learn"), _learn(contract, me, bits, t, signed)),
        Section(t("h.need"), (t("need.columns"), t("need.ask"), t("need.automated"))),
        Section(t("h.risk"), _risks(contract, t)),
        Section(t("h.guard"), _guards(contract, policy, t)),
        Section(t("h.keep"), _keep(contract, policy, t)),
        Section(
            t("h.right"),
            tuple(t(f"right.{key}") for key in ("know", "withdraw", "object", "explain", "ask")),
        ),
        Section(
            t("h.left"), tuple(t(f"left.{k}") for k in ("partner", "blinded", "review", "decision"))
        ),
    ]
    source = t("from.contract" if signed else "from.draft", digest=digest)
    preface = t("preface", source=source, me=me)
    return Document(lang, t("title", job=contract.job), preface, tuple(sections))


def _job(contract: Contract, t: _Say) -> tuple[str | Table, ...]:
    steps = [t(f"step.{k.name}") for k in KINDS if any(True for _ in k.terms(contract))]
    rows = (
        (t("job.purpose"), contract.purpose),
        (t("job.class"), t.classed(contract.purpose_class)),
        (t("job.entity"), t(f"entity.{contract.entity}")),
        (t("job.proposer"), contract.proposer),
        (t("job.receiver"), contract.receiver),
        (t("job.partners"), t.list(contract.partners())),
        (t("job.steps"), t.list(list(dict.fromkeys(steps)))),
    )
    return Table((t("c.what"), t("c.value")), rows), t("job.place")


def _basis(contract: Contract, t: _Say) -> tuple[str | Table, ...]:
    rows = tuple((terms.name, _rule(contract, terms, t)) for terms in contract.parties)
    return Table((t("c.party"), t("c.rule")), rows), t("basis.when"), t("basis.ask")


def _rule(contract: Contract, terms: PartyTerms, t: _Say) -> str:
    if not terms.basis:
        return t("basis.none" if terms.rows else "basis.untold")
    spared = bool(terms.legal_entities) and contract.entity != "consumer"
    return t("basis.rule", table=terms.basis) + t("basis.legal") * spared


def _data(contract: Contract, t: _Say) -> tuple[str | Table, ...]:
    rows = []
    for terms in contract.parties:
        classes = t.list([t(f"data.{name}") for name in terms.data_classes])
        classes = classes or t("data.none" if terms.rows else "data.rows")
        count = f"{terms.rows:,}" if terms.rows else t("data.rows")
        for use, columns in columns_used(contract, terms.name).items():
            if columns:
                listed = t.list(list(columns))
                rows.append((terms.name, terms.table, count, t(f"use.{use}"), listed, classes))
    head = ("c.party", "c.table", "c.rows", "c.use", "c.columns", "c.class")
    return (Table(tuple(t(key) for key in head), tuple(rows)),)


def _learn(
    contract: Contract, me: str, bits: RowBits | None, t: _Say, signed: bool
) -> tuple[str | Table, ...]:
    rows = tuple((e.to, learns(_line(contract, e), t.lang), e.learns) for e in contract.disclosures)
    head = (t("c.who"), t("c.learns"), t("c.words" if signed else "c.draft"))
    parts: list[str | Table] = [Table(head, rows)]
    parts += [t("learn.all"), *_bits(me, bits, t)]
    least = max((align.minimum_overlap for align in contract.align), default=0)
    groups = [
        group
        for kind in KINDS
        for terms in kind.terms(contract)
        if (group := getattr(terms, "minimum_group", 0))
    ]
    epsilons = [terms.epsilon for terms in contract.category if terms.epsilon]
    parts += [t("count.overlap", n=f"{least:,}")] if least else []
    parts += [t("count.group", n=f"{min(groups):,}")] if groups else []
    parts += [t("count.epsilon", n=f"{max(epsilons) / 1000:g}")] if epsilons else []
    return tuple(parts)


def _line(contract: Contract, entry: Disclosure) -> str:
    """The line of an entry, and whether what it tells has noise: none if any of it has none."""
    if entry.line == "train.noise":
        noise = {f"train {terms.task}": terms.noise for terms in contract.train}[entry.step]
        return entry.line + {"0": ".none", AUTO: ".open"}.get(noise, "")
    exact = entry.line == "binning.epsilon" and any(
        not terms.epsilon for terms in contract.binning if terms.partner == entry.to
    )
    return entry.line + ".none" * exact


def _bits(me: str, bits: RowBits | None, t: _Say) -> list[str]:
    if bits is None:
        return [t("bits.none", me=me)]
    figures = compared(bits.total, bits.allowed or 0.0, bits.asked, bits.told or 0.0)
    asked = t("bits.asked", me=me, asked=figures[2], columns=len(bits.columns))
    found = [asked, *([t("bits.before", told=figures[3])] if bits.told else [])]
    if bits.held is not None and bits.allowed is not None and bits.share is not None:
        held, share = f"{bits.held:.1f}", f"{bits.share:.1%}"
        allowed = held if bits.allowed >= bits.held else figures[1]  # whole rows
        found.append(t("bits.held", held=held, allowed=allowed, share=share))
    return found


def _risks(contract: Contract, t: _Say) -> tuple[str | Table, ...]:
    place = LANGUAGES.index(t.lang)
    refused = ("refused", "被拒绝")[place]
    rows = tuple(
        (
            attack.what[place],
            attack.case[0],
            refused if attack.gets is None else f"{attack.gets:g}",
            f"{attack.without:g}",
        )
        for attack in attacks_on(contract)
    )
    table = Table(tuple(t(f"c.{key}") for key in ("attack", "data", "gets", "without")), rows)
    figures: tuple[str | Table, ...] = (t("risk.figures"), table) if rows else (t("risk.none"),)
    return (t("risk.model"), *figures, t("risk.ask"))


def _guards(contract: Contract, policy: Policy, t: _Say) -> tuple[str | Table, ...]:
    parts = [
        t("guard.suites", used=t.list(_suites(contract, t))),
        t("guard.keys"),
        t("guard.four" if policy.officers.four_eyes else "guard.two"),
    ]
    for name, classes in policy.data.items():
        if classes != ANY:
            data, served = t(f"data.{name}"), t.list([t.classed(one) for one in classes])
            key = "guard.data" if served else "guard.nothing"
            parts.append(t(key, data=data, classes=served))
    return (*parts, t("guard.book"), t("guard.ledger"))


def _suites(contract: Contract, t: _Say) -> list[str]:
    """Those that a step of the contract uses, or every message."""
    suites = contract.suites
    encrypted = any(not terms.shared for terms in contract.summed)
    used = {
        "align": suites.align * bool(contract.align),
        "aggregate": suites.aggregate * encrypted,
        "sums": suites.sums,
        "train": suites.train,
        "trees": suites.trees,
        "seal": suites.seal,
        "sign": suites.sign,
    }
    return [t(f"suite.{key}", suite=suite) for key, suite in used.items() if suite]


def _keep(contract: Contract, policy: Policy, t: _Say) -> tuple[str | Table, ...]:
    parts = [t("keep.outputs", days=contract.retention_days)]
    parts += [] if policy.retention.by_timer else [t("keep.manual")]
    parts += [
        t("keep.tags", partner=align.partner, days=align.keep_tags_days)
        for align in contract.align
        if align.keep_tags_days
    ]
    days, admitted = policy.releases.keep_days, policy.retention.admitted_days
    return (*parts, t("keep.book", days=days, admitted=admitted), t("keep.assessment"))
