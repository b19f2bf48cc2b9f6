"""The job file: what an analyst writes. Logical tables only, never a path or a credential.

`Job.load(path)` validates everything that can be known from the file alone;
docs/JOB_FILE.md documents every key.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from federated.contract.parts import ENTITIES
from federated.contract.purposes import PURPOSE_CLASSES, class_of
from federated.contract.series import SeriesTerms
from federated.toml_sections import TomlSection, parse_toml
from profiles.aggregate_section import (
    AggregateSpec,
    CategorySpec,
    read_aggregates,
    settled,
)
from profiles.binning_section import BinningSpec, of_scorecards, read_binnings
from profiles.exclusion.rule import ExcludeSpec, read_exclude
from profiles.extends import KEY, extended
from profiles.job_checks import check_job
from profiles.job_sections import (
    is_horizontal,
    read_align,
    read_campaign,
    read_join_sums,
    read_party,
    read_profile,
    read_series,
    read_target,
)
from profiles.label_section import LabelSpec, read_label
from profiles.language import LANGUAGES, Language, language
from profiles.offers.spec import OfferSpec, read_offer
from profiles.rule_sections import RuleSpec, read_rules
from profiles.score_section import read_score
from profiles.specs import (
    AlignSpec,
    CampaignSpec,
    JoinSumSpec,
    PartySpec,
    ProfileSpec,
    ScoreSpec,
    TargetSpec,
    TrainSpec,
)
from profiles.train_section import read_train
from psi.align import ALTERNATIVE, PROTOCOLS
from psi.protocol import JobError

__all__ = [
    "AggregateSpec",
    "AlignSpec",
    "BinningSpec",
    "CampaignSpec",
    "ExcludeSpec",
    "Job",
    "JoinSumSpec",
    "LabelSpec",
    "OfferSpec",
    "PartySpec",
    "ProfileSpec",
    "ScoreSpec",
    "TargetSpec",
    "TrainSpec",
]

KEY_BITS = (2048, 8192)
UNNAMED = "job"
"""Stands for a job file that is none."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A whole job file, checked. Make one by `Job.load`.

    `file` is where it came from; `name`, `purpose`, `purpose_class`, `entity`, `seed`, `key_bits`,
    `receiver`, `valid_hours`, `retention_days`, `lang` and `titles` are what `[job]` says;
    `parties`, `align`, `aggregates`, `categories`, `join_sums`, `binnings`, `trains`, `scores`,
    `series`, `profile`, `targets`, `excludes`, `offers`, `label` and `campaign` the other sections,
    `segment_rules` and `stage_rules` those called segment and stage, each as docs/JOB_FILE.md has
    it; `origins` says of each key in which file it stands.
    """

    file: str
    name: str
    purpose: str
    purpose_class: str
    entity: str
    seed: int
    key_bits: int
    receiver: str
    valid_hours: int
    retention_days: int
    lang: str
    parties: tuple[PartySpec, ...]
    align: AlignSpec | None
    aggregates: tuple[AggregateSpec, ...]
    categories: tuple[CategorySpec, ...]
    join_sums: tuple[JoinSumSpec, ...]
    binnings: tuple[BinningSpec, ...]
    trains: tuple[TrainSpec, ...]
    profile: ProfileSpec
    targets: tuple[TargetSpec, ...]
    campaign: CampaignSpec | None = None
    excludes: tuple[ExcludeSpec, ...] = ()
    segment_rules: tuple[RuleSpec, ...] = ()
    stage_rules: tuple[RuleSpec, ...] = ()
    offers: tuple[OfferSpec, ...] = ()
    scores: tuple[ScoreSpec, ...] = ()
    label: LabelSpec | None = None
    series: SeriesTerms | None = None
    titles: Mapping[str, str] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def spoken(self) -> Language:
        """The language of pages and of tables for people, with the job's titles."""
        return language(self.lang, self.titles)

    @classmethod
    def load(cls, job: str | Path | Mapping[str, Any]) -> Job:
        """Read and validate a job.

        Args:
            job: the path of a job file; its text, of several lines; or what the text parses to.

        Raises:
            JobError: naming the file (`job`, where there is none), the key, what was found and
                what is allowed.

        >>> names = ("bank", "bureau")
        >>> parties = [{"name": n, "table": f"{n}.people", "keys": [["id"]]} for n in names]
        >>> about = {"name": "shared", "purpose": "retention"}
        >>> job = Job.load({"job": about, "party": parties, "align": {}})
        >>> job.receiver, job.key_bits
        ('bank', 3072)
        """
        if isinstance(job, Mapping):
            return _job(TomlSection(UNNAMED, "", dict(job)))
        if isinstance(job, str) and "\n" in job:
            return _job(TomlSection(UNNAMED, "", parse_toml(job, UNNAMED)))
        data, origins = extended(Path(job))
        return replace(_job(TomlSection(str(job), "", data)), origins=origins)

    def party(self, name: str) -> PartySpec:
        """The party of that name."""
        return next(party for party in self.parties if party.name == name)

    @property
    def open_protocol(self) -> bool:
        """Whether more than one protocol can do what `[align]` asks and leaves open."""
        spec = self.align
        if spec is None or spec.protocol != "auto":
            return False
        counted = spec.keep_tags_days or spec.minimum_checked_by == "partner"
        return spec.reveal in PROTOCOLS[ALTERNATIVE].reveals and not counted

    def adding(self, allowed: Collection[str]) -> Job:
        """The job with private sums wherever its file leaves open what adds statistics up.

        Only where `allowed`, the ways that all known policies list, lacks Paillier and has sums.
        """
        if "paillier" in allowed or "sums" not in allowed:
            return self

        def by_sums(asked: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(replace(a, protocol="sums") if a.open else a for a in asked)

        return replace(
            self,
            aggregates=by_sums(self.aggregates),
            categories=by_sums(self.categories),
            join_sums=by_sums(self.join_sums),
        )

    @property
    def encrypts_unasked(self) -> bool:
        """Whether statistics are encrypted where its file leaves open what adds them up."""
        kinds: tuple[tuple[AggregateSpec | CategorySpec | JoinSumSpec, ...], ...]
        kinds = self.aggregates, self.categories, self.join_sums
        return any(a.open and a.protocol == "paillier" for asked in kinds for a in asked)

    def partners(self) -> list[str]:
        """All parties but the receiver."""
        return [party.name for party in self.parties if party.name != self.receiver]

    def features(self, train: TrainSpec | ScoreSpec, party: str) -> tuple[str, ...]:
        """The columns that one party brings to a training or scoring."""
        chosen = {found.party: found.columns for found in train.features}
        return chosen.get(party, ()) if chosen else self.party(party).features

    def train(self, task: str) -> TrainSpec:
        """The training of that name."""
        return next(train for train in self.trains if train.task == task)

    @property
    def horizontal(self) -> bool:
        """Whether rows, not columns, are at different parties."""
        return any(train.split == "horizontal" for train in self.trains)


def _job(root: TomlSection) -> Job:
    if root.has(KEY):
        raise JobError(f"{root.file}: {KEY}: a job file extends another, a text or table cannot")
    root.table("final")  # what files below may not change: read where files are put together
    head = root.table("job")
    if head is None:
        raise JobError(f"{root.file}: [job]: missing", hint="every job file begins with [job]")
    name, purpose = head.text("name"), head.text("purpose")
    purpose_class = _purpose_class(head, purpose)
    entity = head.text("entity", "consumer", ENTITIES)
    seed = head.integer("seed", 7, 0, 2**31 - 1)
    key_bits = head.integer("key_bits", 3072, *KEY_BITS)
    if key_bits % 1024:
        raise head.fail("key_bits", str(key_bits), "a multiple of 1024")
    horizontal = is_horizontal(root)
    parties = tuple(read_party(s, horizontal, entity) for s in root.tables("party"))
    names = [party.name for party in parties]
    if len(parties) < 2 or len(set(names)) != len(names):
        raise JobError(
            f"{root.file}: [[party]]: {len(parties)} found, two or more with different names needed"
        )
    receiver = head.text("receiver", names[0], names)
    valid = head.integer("valid_hours", 24, 1, 24 * 366)
    retention = head.integer("retention_days", 30, 0, 3650)
    lang, titles = head.text("lang", LANGUAGES[0], LANGUAGES), head.renames("titles")
    head.done()
    align = read_align(root.table("align"), root.file, parties, horizontal)
    asked = [a for s in root.tables("aggregate") for a in read_aggregates(s, names, receiver)]
    aggregates = settled([a for a in asked if isinstance(a, AggregateSpec)])
    categories = tuple(a for a in asked if isinstance(a, CategorySpec))
    sums = tuple(j for s in root.tables("join_sum") for j in read_join_sums(s, names, receiver))
    binnings = tuple(
        b for s in root.tables("binning") for b in read_binnings(s, parties, receiver, entity)
    )
    section = root.table("label")
    label = read_label(section, receiver, entity) if section else None
    trains = tuple(
        read_train(s, parties, receiver, entity, label) for s in root.one_or_several("train")
    )
    binnings += tuple(of_scorecards(trains, binnings, parties, receiver))
    scores = tuple(read_score(s, parties, entity) for s in root.tables("score"))
    profile = read_profile(root.table("profile"))
    targets = tuple(read_target(s, trains, scores, receiver) for s in root.tables("target"))
    campaign = read_campaign(root.table("campaign"), targets)
    products = [target.product for target in targets]
    offers = tuple(read_offer(s, products) for s in root.tables("offer"))
    excludes = tuple(read_exclude(s, products, receiver) for s in root.tables("exclude"))
    series = read_series(root.table("series"))
    rules = {key: read_rules(root.tables(key), key) for key in ("segment", "stage")}
    root.done()
    job = Job(
        file=root.file,
        name=name,
        purpose=purpose,
        purpose_class=purpose_class,
        entity=entity,
        seed=seed,
        key_bits=key_bits,
        receiver=receiver,
        valid_hours=valid,
        retention_days=retention,
        lang=lang,
        titles=titles,
        parties=parties,
        align=align,
        aggregates=aggregates,
        categories=categories,
        join_sums=sums,
        binnings=binnings,
        trains=trains,
        scores=scores,
        profile=profile,
        targets=targets,
        campaign=campaign,
        excludes=excludes,
        segment_rules=rules["segment"],
        stage_rules=rules["stage"],
        offers=offers,
        label=label,
        series=series,
    )
    check_job(job)
    return job


def _purpose_class(head: TomlSection, purpose: str) -> str:
    """The class of a listed purpose; of another what the file says, or "" where it says nothing."""
    listed = class_of(purpose)
    if not head.has("purpose_class"):
        return listed
    said = head.text("purpose_class", None, PURPOSE_CLASSES)
    if listed not in ("", said):
        raise head.fail("purpose_class", said, f"{listed} for the purpose {purpose!r}")
    return said
