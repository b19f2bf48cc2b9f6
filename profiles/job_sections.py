"""Reads each section of a job file, and refuses what no section of its kind may say."""

from __future__ import annotations

from dataclasses import replace

from federated.aggregate import Amount
from federated.contract.kinds.align import DUPLICATES, REVEALS
from federated.contract.kinds.join_sum import STATISTICS
from federated.contract.kinds.train import classes
from federated.contract.series import MOST_JOBS, SeriesTerms
from federated.counted import FINEST_LISTED
from federated.toml_sections import TomlSection
from profiles.aggregate_section import split_measure, summed_by, unknown_party
from profiles.offers.spec import CHOOSE
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
from psi.align import PROTOCOLS
from psi.identifiers import check_kind
from psi.protocol import JobError, MisuseError, PeerError

__all__ = [
    "is_horizontal",
    "read_align",
    "read_campaign",
    "read_join_sums",
    "read_party",
    "read_profile",
    "read_series",
    "read_target",
    "with_views",
]

KIND_OF = {"consumer": "C", "company": "B", "government": "G"}
"""What flows call whom a job is about."""
LEFT_OUT = ("positive", "labelled", "none")
TELLS = ("scores", "list")
"""What partners tell for a list: a score of each row, or one bit, whether it is on the list."""


def is_horizontal(root: TomlSection) -> bool:
    found = root._data.get("train")
    trains = found if isinstance(found, list) else [found]
    return any(isinstance(t, dict) and t.get("split") == "horizontal" for t in trains)


def with_views(
    section: TomlSection, features: tuple[str, ...], entity: str, before: str = ""
) -> tuple[str, ...]:
    """Features with `view:NAME` as the columns that the view has of such entities.

    `before` stands before each feature: a party's name and a dot.
    """
    mark, found = f"{before}view:", list[str]()
    for feature in features:
        if not feature.startswith(mark):
            found.append(feature)
            continue
        from profiles.views import columns_of  # an engine's library is behind it

        where = f"{section.file}: {section.name} features"
        columns = columns_of([feature.removeprefix(mark)], KIND_OF[entity], where)
        found += [before + column.name for column in columns]
    if again := next((one for one in found if found.count(one) > 1), ""):
        raise section.fail("features", again, "each column once", "a view brings it too")
    return tuple(found)


def _keys(section: TomlSection) -> tuple[tuple[str, ...], ...]:
    try:
        return section.lists("keys")
    except JobError as error:
        error.hint = error.hint or 'where rows are split, none: [train] split = "horizontal"'
        raise


def read_party(section: TomlSection, horizontal: bool, entity: str) -> PartySpec:
    name = section.text("name")
    if not name.replace("_", "").replace("-", "").isalnum() or not name.isascii() or len(name) > 40:
        raise section.fail("name", name, "up to 40 letters, digits, - and _")
    table = section.text("table")
    if table.split(".", 1)[0] != name or "." not in table:
        raise section.fail("table", table, f'"{name}.TABLE"', "tables are named party.table")
    keys = () if horizontal else _keys(section)
    written = section.texts("features", [])
    features = with_views(section, written, entity)
    section.done()
    viewed = tuple(column for column in features if column not in written)
    return PartySpec(name, table, keys, features, viewed)


def _check_vole(section: TomlSection, spec: AlignSpec) -> None:
    """What the protocol cannot do, each with the one that can."""
    hint, name = 'take protocol = "ecdh", or "auto"', spec.protocol
    if spec.reveal not in PROTOCOLS[name].reveals:
        raise section.fail("reveal", spec.reveal, f"receiver or both with protocol {name}", hint)
    if spec.minimum_checked_by == "partner":
        raise section.fail("minimum_checked_by", "partner", f"receiver with protocol {name}", hint)
    if spec.keep_tags_days:
        found = str(spec.keep_tags_days)
        raise section.fail("keep_tags_days", found, f"0 with protocol {name}", hint)


def _check_shape(file: str, one: PartySpec, other: PartySpec) -> None:
    """Raise `JobError` unless two parties' keys go together, level by level."""
    names, hint = f"{one.name} and {other.name}", "each key is compared with the one in its place"
    widths = [[len(level) for level in party.keys] for party in (one, other)]
    if len(one.keys) != len(other.keys):
        raise JobError(
            f"{file}: [[party]] keys: {names} have {len(one.keys)} and {len(other.keys)} keys, the "
            "same number allowed",
            hint=hint,
        )
    for place, (mine, theirs) in enumerate(zip(*widths, strict=True), start=1):
        if mine != theirs:
            raise JobError(
                f"{file}: [[party]] keys: key {place} of {names} has {mine} and {theirs} columns, "
                "the same number allowed",
                hint=hint,
            )


def read_align(
    section: TomlSection | None, file: str, parties: tuple[PartySpec, ...], horizontal: bool
) -> AlignSpec | None:
    if horizontal:
        if section is not None:
            raise JobError(
                f"{file}: [align]: a horizontal job joins no rows", hint="remove [align]"
            )
        return None
    section = section or TomlSection(file, "[align]", {})
    shape = [len(level) for level in parties[0].keys]
    for party in parties[1:]:
        _check_shape(file, parties[0], party)
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
        protocol=protocol,
        reveal=section.text("reveal", "both", REVEALS),
        kinds=kinds,
        minimum_overlap=section.integer("minimum_overlap", 100, 0, 10**9),
        minimum_checked_by=section.text("minimum_checked_by", "receiver", ("receiver", "partner")),
        largest_set=section.integer("largest_set", 10_000_000, 1, 10**9),
        duplicates=section.text("duplicates", "collapse", DUPLICATES),
        keep_tags_days=section.integer("keep_tags_days", 0, 0, 366),
        keep_tags_items=section.integer("keep_tags_items", 100_000, 1, 10**9),
    )
    if spec.keep_tags_days and (len(shape) > 1 or spec.reveal == "cardinality"):
        raise section.fail(
            "keep_tags_days", str(spec.keep_tags_days), "0 with several levels of keys or a count"
        )
    if protocol != "auto" and PROTOCOLS[protocol].blocks:
        _check_vole(section, spec)
    section.done()
    return spec if spec.keep_tags_days else replace(spec, keep_tags_items=0)


def read_join_sums(section: TomlSection, names: list[str], receiver: str) -> list[JoinSumSpec]:
    told = section.text("noise", _usual_noise(section), ("laplace", "none"))
    noised = told == "laplace"
    asked: dict[str, list[tuple[str, str]]] = {}
    ranges: dict[str, dict[str, Amount]] = {}
    for measure in section.texts("measures"):
        source, text = split_measure(measure)
        partner, _, column = source.partition(".")
        if partner not in names or partner == receiver or not column:
            hint = unknown_party(partner, names)
            raise section.fail("measures", measure, '"PARTNER.COLUMN:sum[LOW,HIGH]"', hint)
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
    protocol, left_open = summed_by(section)
    section.done()
    return [
        JoinSumSpec(
            partner=p,
            measures=tuple(ms),
            minimum_group=group,
            epsilon=epsilon,
            ranges=tuple(ranges[p].values()),
            protocol=protocol,
            open=left_open,
        )
        for p, ms in asked.items()
    ]


def _usual_noise(section: TomlSection) -> str:
    """Exact sums where no range is named that noise could be for, nor what it may cost."""
    summed = [m for m in section.listed("measures") if not m.endswith(":count")]
    ranged = any("[" in m for m in summed) or section.has("epsilon")
    return "laplace" if ranged or not summed else "none"


def _range(section: TomlSection, measure: str, column: str, text: str) -> Amount:
    """What values are clipped to, from "[0,5000]"."""
    try:
        return Amount.parse(column, f"sum{text}")
    except MisuseError as error:
        allowed = error.message.removesuffix(", allowed")
        hint = 'the noise is for this range; noise = "none": exact, where the partner allows it'
        raise section.fail("measures", measure, allowed, hint) from None


def read_profile(section: TomlSection | None) -> ProfileSpec:
    if section is None:
        return ProfileSpec()
    spec = ProfileSpec(
        section.integer("segments", 6, 1, 30),
        section.texts("facts", []),
        section.text("branches", ""),
    )
    section.done()
    return spec


def read_campaign(
    section: TomlSection | None, targets: tuple[TargetSpec, ...]
) -> CampaignSpec | None:
    if section is None:
        return None
    spec = CampaignSpec(
        section.text("name"),
        section.number("control", 0.1, 0.01, 0.5),
        section.integer("days", 365, 1, 3660),
    )
    if not targets:
        raise section.fail("name", spec.name, "a campaign with a [[target]] section")
    section.done()
    return spec


def read_series(section: TomlSection | None) -> SeriesTerms | None:
    """The series that the job is one of; totals of 0 are none, so the least is a tenth of a bit."""
    if section is None:
        return None
    terms = SeriesTerms(
        name=section.text("name").strip(),
        jobs=section.integer("jobs", 12, 1, MOST_JOBS),
        row_bits=round(10 * (section.bound("row_bits", 0.1, 6000.0) or 0.0)),
        epsilon=round(1000 * (section.bound("epsilon", 0.001, 1000.0) or 0.0)),
        releases=round(section.bound("releases", 1, 10**6) or 0),
        until=section.text("until", ""),
    )
    try:
        terms.check()
    except PeerError:
        raise section.fail("until", terms.until, "a day as 2027-11-30") from None
    section.done()
    return terms


def read_target(
    section: TomlSection,
    trains: tuple[TrainSpec, ...],
    scores: tuple[ScoreSpec, ...],
    receiver: str,
) -> TargetSpec:
    product, top = section.text("product"), section.integer("top", 100, 1, 10**8)
    managers, name = section.text("managers", ""), section.text("name", "")
    columns = section.texts("columns", [])
    if not trains and not scores:
        raise section.fail("product", product, "a target list with a [train] or [[score]] section")
    tasks = [*(train.task for train in trains), *(score.task for score in scores)]
    task = section.text("task", tasks[0] if len(tasks) == 1 else None, tasks)
    labelled = task in [train.task for train in trains]
    ways = [classes(train) for train in trains if train.task == task]
    default = "positive" if any(ways) else "none"  # a number is no outcome to leave out
    leave_out = section.text("leave_out", default, LEFT_OUT)
    if leave_out != "none" and not labelled:
        hint = "whom the label says something of is known where a job trains"
        raise section.fail("leave_out", leave_out, "none for a [[score]]", hint)
    if managers and managers.split(".", 1)[0] != receiver:
        raise section.fail("managers", managers, f'"{receiver}.TABLE"')
    branch = _branch(section) if section.has("branch") else None
    relationship = section.text("relationship", "") if section.has("relationship") else None
    renames = section.renames("managers_columns")
    known = ("manager", "capacity", *(branch or ("branch",)))
    for given in (key for key in renames if key not in known):
        raise section.fail("managers_columns", given, " or ".join(known))
    channel = section.text("channel", "")
    history, learn_by = _history(section, receiver, managers, columns)
    explore = section.number("explore", 0.2, 0.0, 1.0)
    choose = section.text("choose", "rule", CHOOSE)
    budget = section.bound("budget", 0, 1e15)
    effects = section.text("effects", "")
    if effects and (effects.split(".", 1)[0] != receiver or choose != "value"):
        raise section.fail("effects", effects, f'"{receiver}.TABLE", with choose = "value"')
    places, tells = section.counts("channels"), section.text("tells", "scores", TELLS)
    score_bits = section.integer("score_bits", 0, 0, FINEST_LISTED)
    unit, after = section.text("unit", ""), section.texts("after", [])
    section.done()
    return TargetSpec(
        product=product,
        task=task,
        top=top,
        managers=managers,
        name=name,
        columns=columns,
        leave_out=leave_out,
        branch=branch,
        relationship=relationship,
        managers_columns=tuple(renames.items()),
        channel=channel,
        history=history,
        learn_by=learn_by,
        explore=explore,
        choose=choose,
        budget=budget,
        channels=tuple(places.items()),
        effects=effects,
        tells=tells,
        score_bits=score_bits,
        unit=unit,
        after=after,
    )


def _history(
    section: TomlSection, receiver: str, managers: str, columns: tuple[str, ...]
) -> tuple[str, tuple[str, ...]]:
    """The table of earlier leads, and by which columns of a list to learn from it."""
    history = section.text("history", "")
    if history and (history.split(".", 1)[0] != receiver or not managers):
        raise section.fail("history", history, f'"{receiver}.TABLE", with managers')
    learn_by = section.texts("learn_by", ["segment_name"])
    own = ("segment_name", "score", *columns)
    for column in (column for column in learn_by if column not in own):
        raise section.fail(
            "learn_by", column, " or ".join(own), "what the list does not show cannot be learned by"
        )
    return history, learn_by


def _branch(section: TomlSection) -> tuple[str, ...]:
    """A column or several; an empty list: none."""
    return tuple(name for name in section.one_or_more("branch") if name)
