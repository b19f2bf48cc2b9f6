"""What the sections of a job file say: one class a section, checked where they are read."""

from __future__ import annotations

from dataclasses import dataclass

from federated.aggregate import Amount
from federated.contract.kinds.train import TrainAsked
from federated.contract.parts import FeatureTerms
from psi.align import AlignSettings

__all__ = [
    "AlignSpec",
    "CampaignSpec",
    "JoinSumSpec",
    "PartySpec",
    "ProfileSpec",
    "ScoreSpec",
    "TargetSpec",
    "TrainSpec",
]


@dataclass(frozen=True)
class PartySpec:
    """One `[[party]]`; `viewed` are those of its features that `view:NAME` stands for."""

    name: str
    table: str
    keys: tuple[tuple[str, ...], ...]
    features: tuple[str, ...]
    viewed: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AlignSpec(AlignSettings):
    """`[align]`; with `auto` row counts and policies decide on the protocol."""

    protocol: str = "auto"
    kinds: tuple[tuple[str, ...], ...] = ()
    minimum_overlap: int = 100
    largest_set: int = 10_000_000
    keep_tags_days: int = 0
    keep_tags_items: int = 0


@dataclass(frozen=True, kw_only=True)
class JoinSumSpec:
    """One `[[join_sum]]`, split by partner."""

    partner: str
    measures: tuple[tuple[str, str], ...]
    minimum_group: int
    epsilon: int
    ranges: tuple[Amount, ...]
    protocol: str = "paillier"
    open: bool = False


@dataclass(frozen=True, kw_only=True)
class TrainSpec(TrainAsked):
    """`[train]`, or one of `[[train]]`."""

    label_party: str
    test_table: str


@dataclass(frozen=True, kw_only=True)
class ScoreSpec:
    """One `[[score]]`: the `model` that was trained for a `task`."""

    task: str
    model: str
    score_bits: int
    row_bits: int
    trees: int = 0
    depth: int = 0
    features: tuple[FeatureTerms, ...] = ()


@dataclass(frozen=True)
class ProfileSpec:
    """`[profile]`; `branches` is the column that says which branch a customer belongs to, "" for
    no folders of branches."""

    segments: int = 6
    facts: tuple[str, ...] = ()
    branches: str = ""


@dataclass(frozen=True)
class CampaignSpec:
    """`[campaign]`: `control` of all people are held back from its lists for so many days."""

    name: str
    control: float = 0.1
    days: int = 365


@dataclass(frozen=True, kw_only=True)
class TargetSpec:
    """One `[[target]]`; `task` is the training by whose score it ranks.

    `branch` are columns that a lead and its manager share, `relationship` the column with the
    manager who knows the entity; None: what is called so. `managers_columns` says how the managers'
    table calls them. `channel`: only who may be reached by it, as the table of bases says.
    `history` is the receiver's table of earlier leads, by whose columns `learn_by` assignment
    learns; for `explore` of the leads managers are tried. Offers are chosen by `choose`,
    within a `budget` and the places of `channels`; `effects` is the receiver's table of what being
    listed has changed, by group. `tells`: "scores", or "list" where a partner
    tells of each row one bit, whether it is on the list, and with `score_bits` the score of those
    on it. `unit` is the currency and time of its offers; whoever is on one of the lists that it
    comes `after` is not on this one.
    """

    product: str
    task: str
    top: int
    managers: str
    name: str
    columns: tuple[str, ...] = ()
    leave_out: str = "positive"
    branch: tuple[str, ...] | None = None
    relationship: str | None = None
    managers_columns: tuple[tuple[str, str], ...] = ()
    channel: str = ""
    history: str = ""
    learn_by: tuple[str, ...] = ()
    explore: float = 0.2
    choose: str = "rule"
    budget: float | None = None
    channels: tuple[tuple[str, int], ...] = ()
    effects: str = ""
    tells: str = "scores"
    score_bits: int = 0
    unit: str = ""
    after: tuple[str, ...] = ()
