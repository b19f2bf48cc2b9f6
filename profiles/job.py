"""The job file: what an analyst writes. Logical tables only, never a path or a credential.

`Job.load(path)` validates everything that can be known from the file alone;
docs/JOB_FILE.md documents every key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from federated.aggregate import Amount
from federated.party.contract import FINEST_SCORES, LONGEST_TASK, MODELS
from federated.party.sections import Section, load_toml, parse_toml
from profiles.aggregate_section import (
    AggregateSpec,
    CategorySpec,
    read_aggregates,
    split_measure,
)
from psi.align import ALTERNATIVE, PROTOCOLS
from psi.identifiers import check_kind
from psi.protocol import JobError, MisuseError

__all__ = [
    "AggregateSpec",
    "AlignSpec",
    "Job",
    "JoinSumSpec",
    "PartySpec",
    "ProfileSpec",
    "TargetSpec",
    "TrainSpec",
]

ENTITIES = ("consumer", "company", "government")
REVEALS = ("both", "receiver", "cardinality")
STATISTICS = ("count", "sum", "mean")
KEY_BITS = (2048, 8192)
UNNAMED = "job"
"""Stands for a job file that is none."""
LEFT_OUT = ("positive", "labelled", "none")


@dataclass(frozen=True)
class PartySpec:
    """One `[[party]]`."""

    name: str
    table: str
    keys: tuple[tuple[str, ...], ...]
    features: tuple[str, ...]


@dataclass(frozen=True)
class AlignSpec:
    """`[align]`; with `auto` row counts and policies decide on the protocol."""

    protocol: str = "auto"
    reveal: str = "both"
    kinds: tuple[tuple[str, ...], ...] = ()
    minimum_overlap: int = 100
    minimum_checked_by: str = "receiver"
    largest_set: int = 10_000_000
    duplicates: str = "collapse"
    keep_tags_days: int = 0
    keep_tags_items: int = 0


@dataclass(frozen=True)
class JoinSumSpec:
    """One `[[join_sum]]`, split by partner."""

    partner: str
    measures: tuple[tuple[str, str], ...]
    minimum_group: int
    epsilon: int
    ranges: tuple[Amount, ...]


@dataclass(frozen=True)
class TrainSpec:
    """`[train]`."""

    task: str
    model: str
    split: str
    label_party: str
    label: str
    positive: str
    steps: int
    folds: int
    fold_steps: int
    score_bits: int
    row_bits: int
    test_table: str


@dataclass(frozen=True)
class ProfileSpec:
    """`[profile]`."""

    segments: int = 6
    facts: tuple[str, ...] = ()


@dataclass(frozen=True)
class TargetSpec:
    """One `[[target]]`."""

    product: str
    top: int
    managers: str
    name: str
    columns: tuple[str, ...] = ()
    leave_out: str = "positive"


@dataclass(frozen=True)
class Job:
    """A whole job file."""

    file: str
    name: str
    purpose: str
    entity: str
    seed: int
    key_bits: int
    receiver: str
    valid_hours: int
    retention_days: int
    parties: tuple[PartySpec, ...]
    align: AlignSpec | None
    aggregates: tuple[AggregateSpec, ...]
    categories: tuple[CategorySpec, ...]
    join_sums: tuple[JoinSumSpec, ...]
    train: TrainSpec | None
    profile: ProfileSpec
    targets: tuple[TargetSpec, ...]

    @classmethod
    def load(cls, job: str | Path | Mapping[str, Any]) -> Job:
        """Read and validate a job.

        Args:
            job: the path of a job file; its text, of several lines; or what the text parses to.

        Raises:
            JobError: naming the file (`job`, where there is none), the key, what was found and
                what is allowed.
        """
        if isinstance(job, Mapping):
            return _job(Section(UNNAMED, "", dict(job)))
        if isinstance(job, str) and "\n" in job:
            return _job(Section(UNNAMED, "", parse_toml(job, UNNAMED)))
        return _job(Section(str(job), "", load_toml(Path(job))))

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

    def partners(self) -> list[str]:
        """All parties but the receiver."""
        return [party.name for party in self.parties if party.name != self.receiver]

    @property
    def trains(self) -> tuple[TrainSpec, ...]:
        """The trainings."""
        return () if self.train is None else (self.train,)

    @property
    def horizontal(self) -> bool:
        """Whether rows, not columns, are at different parties."""
        return self.train is not None and self.train.split == "horizontal"


def _job(root: Section) -> Job:
    head = root.table("job")
    if head is None:
        raise JobError(f"{root.file}: [job]: missing", hint="every job file begins with [job]")
    name, purpose = head.text("name"), head.text("purpose")
    entity = head.text("entity", "consumer", ENTITIES)
    seed = head.integer("seed", 7, 0, 2**31 - 1)
    key_bits = head.integer("key_bits", 3072, *KEY_BITS)
    if key_bits % 1024:
        raise head.fail("key_bits", str(key_bits), "a multiple of 1024")
    horizontal = _is_horizontal(root)
    parties = tuple(_party(s, horizontal) for s in root.tables("party"))
    names = [party.name for party in parties]
    if len(parties) < 2 or len(set(names)) != len(names):
        raise JobError(
            f"{root.file}: [[party]]: {len(parties)} found, two or more with different names needed"
        )
    receiver = head.text("receiver", names[0], names)
    valid = head.integer("valid_hours", 24, 1, 24 * 366)
    retention = head.integer("retention_days", 30, 0, 3650)
    head.done()
    align = _align(root.table("align"), root.file, parties, horizontal)
    asked = [a for s in root.tables("aggregate") for a in read_aggregates(s, names, receiver)]
    aggregates = tuple(a for a in asked if isinstance(a, AggregateSpec))
    categories = tuple(a for a in asked if isinstance(a, CategorySpec))
    sums = tuple(j for s in root.tables("join_sum") for j in _join_sums(s, names, receiver))
    train = _train(root.table("train"), names, receiver)
    profile = _profile(root.table("profile"))
    targets = tuple(_target(s, train, receiver) for s in root.tables("target"))
    root.done()
    job = Job(
        root.file,
        name,
        purpose,
        entity,
        seed,
        key_bits,
        receiver,
        valid,
        retention,
        parties,
        align,
        aggregates,
        categories,
        sums,
        train,
        profile,
        targets,
    )
    _check(job)
    return job


def _is_horizontal(root: Section) -> bool:
    train = root._data.get("train")
    return isinstance(train, dict) and train.get("split") == "horizontal"


def _party(section: Section, horizontal: bool) -> PartySpec:
    name = section.text("name")
    if not name.replace("_", "").replace("-", "").isalnum() or not name.isascii() or len(name) > 40:
        raise section.fail("name", name, "up to 40 letters, digits, - and _")
    table = section.text("table")
    if table.split(".", 1)[0] != name or "." not in table:
        raise section.fail("table", table, f'"{name}.TABLE"', "tables are named party.table")
    keys = () if horizontal else section.lists("keys")
    features = section.texts("features", [])
    section.done()
    return PartySpec(name, table, keys, features)


def _check_vole(section: Section, spec: AlignSpec) -> None:
    """What the protocol cannot do, each with the one that can."""
    hint, name = 'take protocol = "ecdh", or "auto"', spec.protocol
    if spec.reveal not in PROTOCOLS[name].reveals:
        raise section.fail("reveal", spec.reveal, f"receiver or both with protocol {name}", hint)
    if spec.minimum_checked_by == "partner":
        raise section.fail("minimum_checked_by", "partner", f"receiver with protocol {name}", hint)
    if spec.keep_tags_days:
        found = str(spec.keep_tags_days)
        raise section.fail("keep_tags_days", found, f"0 with protocol {name}", hint)


def _align(
    section: Section | None, file: str, parties: tuple[PartySpec, ...], horizontal: bool
) -> AlignSpec | None:
    if horizontal:
        if section is not None:
            raise JobError(
                f"{file}: [align]: a horizontal job joins no rows", hint="remove [align]"
            )
        return None
    section = section or Section(file, "[align]", {})
    shape = [len(level) for level in parties[0].keys]
    for party in parties[1:]:
        if [len(level) for level in party.keys] != shape:
            raise JobError(
                f"{file}: [[party]] keys: {party.name} and {parties[0].name} differ in the number "
                "of keys or of their columns",
                hint="level by level, the same number of columns in the same order",
            )
    protocol = section.text("protocol", "auto", ("auto", *PROTOCOLS))
    kinds = section.lists("kinds", [["text"] * n for n in shape])
    if [len(level) for level in kinds] != shape:
        raise section.fail("kinds", "another shape", "one kind for each key column of [[party]]")
    for kind in (kind for level in kinds for kind in level):
        try:
            check_kind(kind)
        except MisuseError as error:
            raise JobError(f"{file}: [align] kinds: {error.message}", hint=error.hint) from None
    spec = AlignSpec(
        protocol,
        section.text("reveal", "both", REVEALS),
        kinds,
        section.integer("minimum_overlap", 100, 0, 10**9),
        section.text("minimum_checked_by", "receiver", ("receiver", "partner")),
        section.integer("largest_set", 10_000_000, 1, 10**9),
        section.text("duplicates", "collapse", ("collapse", "join")),
        section.integer("keep_tags_days", 0, 0, 366),
        section.integer("keep_tags_items", 100_000, 1, 10**9),
    )
    if spec.keep_tags_days and (len(shape) > 1 or spec.reveal == "cardinality"):
        raise section.fail(
            "keep_tags_days", str(spec.keep_tags_days), "0 with several levels of keys or a count"
        )
    if protocol != "auto" and PROTOCOLS[protocol].blocks:
        _check_vole(section, spec)
    section.done()
    return spec if spec.keep_tags_days else replace(spec, keep_tags_items=0)


def _join_sums(section: Section, names: list[str], receiver: str) -> list[JoinSumSpec]:
    noised = section.text("noise", "laplace", ("laplace", "none")) == "laplace"
    asked: dict[str, list[tuple[str, str]]] = {}
    ranges: dict[str, dict[str, Amount]] = {}
    for measure in section.texts("measures"):
        source, text = split_measure(measure)
        partner, _, column = source.partition(".")
        if partner not in names or partner == receiver or not column:
            raise section.fail("measures", measure, '"PARTNER.COLUMN:sum[LOW,HIGH]"')
        statistic, bracket, limits = (text or "sum").partition("[")
        if statistic not in STATISTICS:
            raise section.fail("measures", measure, f"{', '.join(STATISTICS)} as statistic")
        asked.setdefault(partner, []).append((column, statistic))
        found = ranges.setdefault(partner, {})
        if noised and statistic != "count":
            limit = _range(section, measure, column, bracket + limits)
            if found.setdefault(column, limit) != limit:
                raise section.fail("measures", measure, f"one range for column {column!r}")
        elif bracket:
            hint = "a range is for sums and means with noise"
            raise section.fail("measures", measure, f"{statistic} without a range", hint)
    epsilon = round(1000 * section.number("epsilon", 1.0, 0.01, 20.0)) if noised else 0
    group = section.integer("minimum_group", 20, 3, 10**6)
    section.done()
    return [
        JoinSumSpec(p, tuple(ms), group, epsilon, tuple(ranges[p].values()))
        for p, ms in asked.items()
    ]


def _range(section: Section, measure: str, column: str, text: str) -> Amount:
    """What values are clipped to, from "[0,5000]"."""
    try:
        return Amount.parse(column, f"sum{text}")
    except MisuseError as error:
        allowed = error.message.removesuffix(", allowed")
        hint = 'the noise is for this range; noise = "none": exact, where the partner allows it'
        raise section.fail("measures", measure, allowed, hint) from None


def _train(section: Section | None, names: list[str], receiver: str) -> TrainSpec | None:
    if section is None:
        return None
    task = section.text("task")
    if len(task.encode()) > LONGEST_TASK:
        raise section.fail("task", task, f"at most {LONGEST_TASK} bytes of UTF-8")
    if "/" in task or not task:
        raise section.fail("task", task, "a name without a slash")
    model = section.text("model", "logistic", MODELS)
    split = section.text("split", "vertical", ("vertical", "horizontal"))
    label = section.text("label")
    party, _, column = label.partition(".")
    if split == "horizontal" and party not in names:
        party, column = "", label
    if split == "vertical" and party != receiver:
        raise section.fail("label", label, f'"{receiver}.COLUMN"', "the receiver holds the label")
    if split == "horizontal" and party:
        raise section.fail("label", label, '"COLUMN"', "every party has its own label column")
    test = section.text("test", "") if split == "horizontal" else ""
    if test and test.split(".", 1)[0] not in names:
        raise section.fail("test", test, '"PARTY.TABLE"')
    spec = TrainSpec(
        task,
        model,
        split,
        party,
        column,
        section.text("positive", ""),
        section.integer("steps", 0, 0, 20),
        section.integer("folds", 5, 0, 20),
        section.integer("fold_steps", 0, 0, 10),
        section.integer("score_bits", 4, 1, FINEST_SCORES) if split == "vertical" else 0,
        section.integer("row_bits", 16 if split == "vertical" else 1, 1, 1000),
        test,
    )
    if spec.folds == 1:
        raise section.fail("folds", "1", "0 (no cross-validation) or 2 to 20")
    section.done()
    return spec


def _profile(section: Section | None) -> ProfileSpec:
    if section is None:
        return ProfileSpec()
    spec = ProfileSpec(section.integer("segments", 6, 1, 30), section.texts("facts", []))
    section.done()
    return spec


def _target(section: Section, train: TrainSpec | None, receiver: str) -> TargetSpec:
    product, top = section.text("product"), section.integer("top", 100, 1, 10**8)
    managers, name = section.text("managers", ""), section.text("name", "")
    columns = section.texts("columns", [])
    leave_out = section.text("leave_out", "positive", LEFT_OUT)
    if train is None:
        raise section.fail("product", product, "a target list with a [train] section")
    if managers and managers.split(".", 1)[0] != receiver:
        raise section.fail("managers", managers, f'"{receiver}.TABLE"')
    section.done()
    return TargetSpec(product, top, managers, name, columns, leave_out)


def _check(job: Job) -> None:
    """What concerns several sections."""
    needs_rows = bool(job.aggregates or job.categories) or (
        job.train is not None and not job.horizontal
    )
    if job.align is not None and needs_rows and job.align.reveal != "both":
        raise JobError(
            f"{job.file}: [align] reveal: '{job.align.reveal}' found, both allowed",
            hint="aggregates and training work on rows that both sides know",
        )
    joins = job.align is not None and (job.align.reveal, job.align.duplicates) == ("both", "join")
    if joins and len(job.parties) > 2:
        raise JobError(
            f"{job.file}: [align] duplicates: 'join' found, collapse allowed with "
            f"{len(job.parties)} parties that put their shared rows together",
            hint='take duplicates = "collapse", or one job for each partner',
        )
    if joins and any(not spec.epsilon for spec in job.categories):
        raise JobError(
            f"{job.file}: [[aggregate]] noise: 'none' found, laplace allowed with "
            'duplicates = "join"',
            hint='exact counts are guarded record by record: take duplicates = "collapse"',
        )
    if job.join_sums and (job.align is None or job.align.reveal != "cardinality"):
        raise JobError(
            f"{job.file}: [align] reveal: cardinality needed for [[join_sum]]",
            hint="where both sides know the shared rows, use [[aggregate]]",
        )
    for key, specs in (
        ("aggregate", [*job.aggregates, *job.categories]),
        ("join_sum", job.join_sums),
    ):
        if len(set(specs)) < len(specs):
            raise JobError(f"{job.file}: [[{key}]]: two sections found that ask the same")
    products = [target.product for target in job.targets]
    twice = [product for product in dict.fromkeys(products) if products.count(product) > 1]
    if twice:
        raise JobError(
            f"{job.file}: [[target]] product: {twice[0]!r} found {products.count(twice[0])} times, "
            "allowed: once",
            hint="a list is known by its product: name each differently",
        )
    if job.train is not None and not job.horizontal:
        trained = [p.name for p in job.parties if p.name != job.receiver and p.features]
        if not trained:
            raise JobError(f"{job.file}: [[party]] features: no partner brings any")
    if job.horizontal and len({party.features for party in job.parties}) != 1:
        raise JobError(
            f"{job.file}: [[party]] features: a horizontal job needs the same everywhere"
        )
