"""What a report shows, as frozen data: every section is there or is left out.

Texts may come from anywhere; rendering makes them safe.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from federated.contract.terms import Disclosure
from federated.releases.label_bits import LabelBits
from federated.releases.row_bits import RowBits
from profiles.report.change import Change
from profiles.report.grouped import Aggregated, Binning, CategoryTable
from profiles.report.listed import SegmentLine, TargetSummary
from profiles.report.measured import Model

__all__ = [
    "Leakage",
    "Match",
    "PartyLine",
    "ReportData",
    "RunFacts",
    "Stage",
    "StepFacts",
]


@dataclass(frozen=True)
class PartyLine:
    """One party: its role in words, its rows, and what its columns are for, in words.

    Attributes:
        name: the party's.
    """

    name: str
    role: str
    rows: int
    columns: str = ""


@dataclass(frozen=True, kw_only=True)
class Match:
    """One alignment. `matched` is -1 where even the count stays hidden from the receiver.

    `grades` are (key in words, matches by it) in the order they were tried; `left_out` are
    (why, rows) of the receiver's own rows that could not match.

    Attributes:
        partner: its name.
        receiver_rows: that had a key.
        partner_rows: that had a key.
        reveal: who learnt what, as in the contract.
    """

    partner: str
    receiver_rows: int
    partner_rows: int
    matched: int
    reveal: str = "both"
    grades: tuple[tuple[str, int], ...] = ()
    left_out: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Leakage:
    """How much of one partner's columns a run told. `row`: bits of a row, None if there are none.

    `epsilon` is the largest of a column, `releases` and `thresholds` are the most of one. `labels`
    is what it told the partner of the receiver's labels.
    """

    partner: str
    row: RowBits | None
    releases: int
    thresholds: int
    epsilon: float
    labels: tuple[LabelBits, ...] = ()


@dataclass(frozen=True)
class StepFacts:
    """One step of the run, at the receiver.

    Attributes:
        name: of the step.
        seconds: that it took.
        sent: bytes.
        received: bytes.
        messages: both ways.
    """

    name: str
    seconds: float
    sent: int = 0
    received: int = 0
    messages: int = 0


@dataclass(frozen=True)
class RunFacts:
    """How the job ran. `facts` are further (name, value) pairs: suites, versions, machine.

    Attributes:
        key_bits: bits of n of the Paillier key.
        protocol: of set intersection.
        kernel: which of this machine's instructions it used.
        seconds: of the whole job.
        steps: one each, in their order.
    """

    key_bits: int = 0
    protocol: str = ""
    kernel: str = ""
    seconds: float = 0.0
    steps: tuple[StepFacts, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Stage:
    """One line of how the counts go together: a message of the catalogue's group `funnel`.

    Attributes:
        key: of the message.
        rows: the receiver's entities.
        name: of the task or the product that it is about.
    """

    key: str
    rows: int
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """The whole report. `created` is a day with its time in UTC, or a text; the caller has the
    clock. `keep_until` is the last day on which the contract lets the receiver keep it, None where
    none is known.

    `matched` counts the receiver's entities that all partners share, `entities` all of them;
    None where the job joins no rows. `disclosures` are those of the contract, `leakage` says how
    much they come to.

    Attributes:
        purpose: as in the contract.
        entity: what a row is about.
        parties: the receiver first.
        synthetic: the data are made up.
        ruled: segments are by the job's rules, and no clusters.
        funnel: how the counts go together, from all entities to lists.
        matches: an alignment each.
        models: a task each.
        aggregates: a section each.
        categories: tables by a partner's category.
        binnings: what columns are worth, a label each.
        segments: of the receiver's entities.
        kept_numbers: tasks of kept models whose scores are numbers, no chances.
        targets: a list each.
        run: how the job ran; None leaves it out.
        notes: sentences at the end.
        looks: sentences before everything else: what to look at before anybody acts on the rest.
        change: since an earlier run, None where none is compared.
        branch: whose customers alone the page is about, "" for all.
    """

    job: str
    purpose: str
    entity: str
    receiver: str
    created: date | str
    parties: tuple[PartyLine, ...]
    synthetic: bool = False
    ruled: bool = False
    keep_until: date | None = None
    contract: str = ""
    entities: int | None = None
    matched: int | None = None
    funnel: tuple[Stage, ...] = ()
    matches: tuple[Match, ...] = ()
    models: tuple[Model, ...] = ()
    aggregates: tuple[Aggregated, ...] = ()
    categories: tuple[CategoryTable, ...] = ()
    binnings: tuple[Binning, ...] = ()
    segments: tuple[SegmentLine, ...] = ()
    kept_numbers: tuple[str, ...] = ()
    targets: tuple[TargetSummary, ...] = ()
    disclosures: tuple[Disclosure, ...] = ()
    leakage: tuple[Leakage, ...] = ()
    run: RunFacts | None = None
    notes: tuple[str, ...] = ()
    looks: tuple[str, ...] = ()
    change: Change | None = None
    branch: str = ""
