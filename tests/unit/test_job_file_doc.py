"""docs/JOB_FILE.md against the reader, row by row: keys, defaults, ranges, choices and examples."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from federated.releases.limits import ReleaseLimits
from federated.toml_sections import TomlSection
from profiles.job import Job
from psi.protocol import JobError

DOC = (Path(__file__).parents[2] / "docs" / "JOB_FILE.md").read_text("utf-8")
HEADS = {
    "[job]": "[job]", "[[party]]": "[[party]]", "[align]": "[align]",
    "[[aggregate]]": "[[aggregate]]", "[[join_sum]]": "[[join_sum]]", "[[binning]]": "[[binning]]",
    "[train]": "[train]", "[[score]]": "[[score]]", "[label]": "[label]",
    "[profile]": "[profile]", "[[target]]": "[[target]]", "[campaign]": "[campaign]",
    "[[exclude]]": "[[exclude]]",
    "[[offer]]": "[[offer]]",
    "[[segment]]": "[[segment]]",
    "[series]": "[series]",
}  # fmt: skip
BY_CATEGORY = "[[aggregate]] by category"
WEIGHED = {"weight": "bank.w", "offset": "bank.o", "class_weight": "balanced"}
LATER = {"time": "bank.cut_off", "validate_from": "2025-10-01"}

LABELLED = {("[label]", "arrears"): "default", ("[label]", "product"): "bought"}


@dataclass(frozen=True)
class Row:
    """One row of a table: what it says of one key."""

    section: str
    key: str
    kind: str
    default: str
    example: str


def cells(line: str) -> list[str]:
    """The cells of a row; a bar inside a code span is text."""
    marked = re.sub(r"`[^`]*`", lambda found: found.group().replace("|", "\0"), line)
    return [cell.strip().replace("\0", "|") for cell in marked.strip().strip("|").split("|")]


def rows() -> Iterator[Row]:
    section, headed = "", False
    for line in DOC.splitlines():
        if line.startswith("## "):
            name = line[3:].split(" ")[0].rstrip(",")
            section, headed = HEADS.get(name, name), False
        if not line.startswith("|"):
            headed = False
            continue
        if line.startswith("| key | type |"):
            headed = True
            if section == "[[aggregate]]" and any(r == section for r in seen):
                section = BY_CATEGORY
            seen.append(section)
        elif headed and not line.startswith("|---"):
            key, kind, default, _, example = cells(line)
            for name in re.findall(r"`([^`]+)`", key):
                yield Row(section, name, kind, default, example)


seen: list[str] = []
ROWS = list(rows())
PARTIES = [
    {"name": "bank", "table": "bank.people", "keys": [["id"]], "features": ["x"]},
    {"name": "bureau", "table": "bureau.people", "keys": [["id"]], "features": ["y"]},
    {"name": "registry", "table": "registry.people", "keys": [["id"]]},
    {"name": "north", "table": "north.people", "keys": [["id"]]},
]
TRAIN = {"task": "churn", "label": "bank.churned"}
POOLED = ("split", "test", "steps", "row_bits")
"""Keys of a training whose rows are split."""
BOOSTED = (
    "trees", "depth", "learning_rate", "penalty", "least_weight", "least_rows",
    "subsample", "early_stop",
)  # fmt: skip
"""Keys of a training that grows trees."""
SHAPE = {"trees": 2, "depth": 2}
"""Keys of a scoring by trees that tell nothing, which go together."""
CARDED = ("points", "odds", "double", "high")
"""Keys of a scorecard."""


def base(section: str) -> dict[str, Any]:
    """A whole job with one of `section`, in which its documented examples stand."""
    job: dict[str, Any] = {
        "job": {"name": "n", "purpose": "p"},
        "party": [dict(party) for party in PARTIES],
        "align": {},
    }
    by = {"by": "registry.industry", "categories": ["a"], "measures": ["bank.balance:sum[0,9]"]}
    more: dict[str, dict[str, Any]] = {
        "[[aggregate]]": {"aggregate": [{"by": "bank.segment", "measures": ["bureau.a"]}]},
        BY_CATEGORY: {"aggregate": [by]},
        "[[join_sum]]": {
            "align": {"reveal": "cardinality"},
            "join_sum": [{"measures": ["bureau.debt:sum[0,9]"]}],
        },
        "[[binning]]": {"binning": [{"label": "bank.churned"}]},
        "[train]": {"train": [dict(TRAIN)]},
        "[[score]]": {"score": [{"task": "churn", "model": "0123456789abcdef"}]},
        "[label]": {
            "party": [PARTIES[0] | {"features": ["view:products"]}, *PARTIES[1:]],
            "label": {
                "task": "churn",
                "cut_offs": ["2026-01-01"],
                "of": "bank.a",
                "by": "b",
                "counted": "bank.c",
            },
            "train": [{"task": "t", "label": "task:churn"}],
        },
        "[profile]": {"profile": {}},
        "[[target]]": {
            "train": [dict(TRAIN)],
            "target": [{"product": "p", "managers": "bank.managers", "columns": ["industry"]}],
        },
        "[[offer]]": {
            "train": [dict(TRAIN)],
            "target": [{"product": "p"}],
            "offer": [{"name": "o", "channel": "call", "value": 2}],
        },
        "[[exclude]]": {
            "train": [dict(TRAIN)],
            "target": [{"product": "p"}],
            "exclude": [{"reason": "r", "table": "bank.calls"}],
        },
        "[campaign]": {
            "train": [dict(TRAIN)],
            "target": [{"product": "p"}],
            "campaign": {"name": "c"},
        },
        "[[segment]]": {"segment": [{"name": "s"}]},
        "[series]": {"series": {"name": "s"}},
    }
    return job | more.get(section, {})


def place(job: dict[str, Any], section: str) -> dict[str, Any]:
    """The table of `section` in such a job."""
    name = section.split("]", maxsplit=1)[0].strip("[]")
    found = job[name]
    return found[0] if isinstance(found, list) else found  # type: ignore[no-any-return]


@dataclass
class Asked:
    """What the reader asked of one section: its keys, with default and bounds."""

    keys: set[str] = field(default_factory=set)
    default: dict[str, Any] = field(default_factory=dict)
    bounds: dict[str, tuple[float, float]] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Asked]:
    """Reads jobs from now on, and keeps what was asked by section."""
    found: dict[str, Asked] = {}

    def of(section: TomlSection) -> Asked:
        return found.setdefault(re.sub(r" \d+$", "", section.name), Asked())

    whole = {
        name: getattr(TomlSection, name) for name in ("_take", "integer", "number", "text", "done")
    }

    def take(self: TomlSection, key: str, default: Any, needed: str) -> Any:
        of(self).keys.add(key)
        of(self).default[key] = default
        return whole["_take"](self, key, default, needed)

    def bounded(name: str) -> Any:
        def read(self: TomlSection, key: str, default: Any, low: float, high: float) -> Any:
            of(self).bounds[key] = (low, high)
            return whole[name](self, key, default, low, high)

        return read

    def text(self: TomlSection, key: str, default: Any = None, one_of: Any = ()) -> str:
        of(self).choices[key] = list(one_of)
        return whole["text"](self, key, default, one_of)  # type: ignore[no-any-return]

    def done(self: TomlSection) -> None:
        of(self).keys |= set(self._known)
        whole["done"](self)

    monkeypatch.setattr(TomlSection, "_take", take)
    for name in ("integer", "number"):
        monkeypatch.setattr(TomlSection, name, bounded(name))
    monkeypatch.setattr(TomlSection, "text", text)
    monkeypatch.setattr(TomlSection, "done", done)
    return found


def reader(section: str) -> str:
    """What the reader calls a section of the document."""
    return {"[train]": "[[train]]", BY_CATEGORY: "[[aggregate]]"}.get(section, section)


def of(section: str) -> list[Row]:
    return [row for row in ROWS if row.section == section]


SECTIONS = [*HEADS.values(), BY_CATEGORY]


@pytest.mark.parametrize("section", SECTIONS)
def test_the_reader_knows_the_documented_keys_and_no_others(
    section: str, asked: dict[str, Asked]
) -> None:
    Job.load(base(section))
    job = base(section)
    if section == "[job]":  # asked for where it is there only
        place(job, section)["purpose_class"] = "service"
    if section == "[[target]]":  # asked for where they are there only
        place(job, section).update({"branch": "b", "relationship": "r"})
    if section == "[[binning]]":  # asked for where it is there only
        place(job, section)["columns"] = ["bureau.y"]
    if section == "[[score]]":  # asked for where they are there only
        place(job, section)["features"] = ["bank.x", "bureau.y"]
        Job.load(job)
        place(job, section)["row_bits"] = 4
    if section == "[train]":
        place(job, section)["features"] = ["bank.x", "bureau.y"]  # where they are there only
        place(job, section)["noise"] = 1
        place(job, section).update(LATER | WEIGHED)
        Job.load(horizontal())  # asks for more
        Job.load(boosted())
        Job.load(boosted(tells="nothing"))
        Job.load(boosted(model="scorecard"))
    Job.load(job)
    known = set(asked[reader(section)].keys)
    if section == "[train]":
        known |= asked["[train]"].keys
    documented = {row.key for row in of(section)}
    assert len(documented) == len(of(section)), "a key stands twice"
    assert known == documented


def read_by(section: str, asked: dict[str, Asked]) -> Asked:
    """What jobs with such a section asked of it, that of split rows last."""
    Job.load(base(section))
    found = asked[reader(section)]
    if section == "[[score]]":
        job = base(section)
        place(job, section)["row_bits"] = 4
        Job.load(job)
        job = base(section)
        place(job, section).update(SHAPE)
        Job.load(job)
        for key in ("row_bits", *SHAPE):
            del found.default[key]  # none: the key is not there
    if section == "[series]":
        job = base(section)
        place(job, section).update({"row_bits": 5, "epsilon": 1, "releases": 9})
        Job.load(job)
        for key in ("row_bits", "epsilon", "releases"):
            del found.default[key]  # none: the key is not there
    if section == "[train]":
        job = base(section)
        place(job, section)["noise"] = 1
        Job.load(job)
        Job.load(horizontal())
        del asked["[[train]]"]
        Job.load(boosted())
        found.default |= {key: asked["[[train]]"].default[key] for key in (*BOOSTED, "tells")}
        found.bounds |= {key: asked["[[train]]"].bounds[key] for key in BOOSTED}
        del asked["[[train]]"]
        Job.load(boosted(model="scorecard"))
        found.default |= {key: asked["[[train]]"].default[key] for key in CARDED}
        found.bounds |= {key: asked["[[train]]"].bounds[key] for key in CARDED[:3]}
        pooled = asked["[train]"]
        found.default |= {key: pooled.default[key] for key in POOLED if key in pooled.default}
        found.bounds |= {key: pooled.bounds[key] for key in POOLED if key in pooled.bounds}
    return found


def horizontal(**train: Any) -> dict[str, Any]:
    parties = [{k: v for k, v in p.items() if k != "keys"} | {"features": ["x"]} for p in PARTIES]
    settings = {"task": "t", "label": "y", "split": "horizontal", **train}
    return {"job": base("")["job"], "party": parties, "train": settings}


def boosted(**train: Any) -> dict[str, Any]:
    job = base("[train]")
    place(job, "[train]").update({"model": "trees", **train})
    return job


POWERS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


def number(text: str) -> float:
    """2³¹−1, 10⁹, .5"""
    power = re.fullmatch(r"(\d+)([⁰¹²³⁴⁵⁶⁷⁸⁹]+)(?:−(\d+))?", text)
    if power:
        return float(int(power[1]) ** int(power[2].translate(POWERS)) - int(power[3] or 0))
    return float(text)


def bounds(kind: str) -> tuple[float, float] | None:
    """The range of a type cell: "0, 2 to 20" is from 0."""
    digits = r"[\d.]+[⁰¹²³⁴⁵⁶⁷⁸⁹]*(?:−\d+)?"
    found = re.match(rf"(?:({digits}), )?({digits}) to ({digits})", kind)
    return (number(found[1] or found[2]), number(found[3])) if found else None


@pytest.mark.parametrize("section", SECTIONS)
def test_ranges_and_choices_are_what_the_reader_takes(
    section: str, asked: dict[str, Asked]
) -> None:
    found = read_by(section, asked)
    for row in of(section):
        if row.key in found.bounds:
            assert bounds(row.kind) == found.bounds[row.key], row
        else:
            assert bounds(row.kind) is None, row
        choices = found.choices.get(row.key)
        if choices and row.key not in ("receiver", "task"):  # a party's name, a training's
            assert set(re.findall(r"`([^`]+)`", row.kind)) == set(choices), row


SPECIAL: dict[tuple[str, str], Any] = {
    ("[job]", "receiver"): "bank",  # the first party
    ("[align]", "kinds"): [["text"]],  # all text
    ("[[target]]", "task"): "churn",  # the only one
    ("[[target]]", "managers_columns"): {},  # the same names
    ("[[target]]", "channels"): {},  # no caps
    ("[train]", "noise"): None,  # by rows
}


@pytest.mark.parametrize("section", SECTIONS)
def test_defaults_are_what_the_reader_takes(section: str, asked: dict[str, Asked]) -> None:
    found = read_by(section, asked).default
    for row in of(section):
        if row.key not in found:
            assert re.match(r"`\w+`, where there is one|none|needed", row.default), row
        elif (section, row.key) in SPECIAL:
            assert found[row.key] == SPECIAL[section, row.key], row
        elif row.default.startswith("needed"):
            assert found[row.key] is None, row
        elif row.default.startswith(("none", "known")):
            assert found[row.key] == "", row
        else:
            shown = re.match(r"`([^`]*)`", row.default)
            assert shown, row
            assert found[row.key] == value(shown[1]), row


def value(text: str) -> Any:
    """What a cell's code stands for in TOML; a bare word is a text."""
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        return text


def job_with(row: Row, given: Any) -> dict[str, Any]:
    """A whole job in which this key has this value, and beside it what it goes with."""
    if row.section == "[train]" and row.key in POOLED:
        return horizontal(**{row.key: given})
    if row.section == "[train]" and row.key in (*BOOSTED, "rising", "falling", "tells"):
        return boosted(**{row.key: given})
    if row.section == "[train]" and row.key in CARDED:
        return boosted(**{"model": "scorecard", row.key: given})
    job = base(row.section)
    if row.key == "keys":
        for party in job["party"]:
            party["keys"] = given
    elif row.key == "kinds":
        place(job, row.section)["kinds"] = given
    elif (row.section, row.key) == ("[[party]]", "name"):
        job["party"][0] |= {"name": "agency", "table": "agency.t"}
        job["party"][1] |= {"name": given}
    elif (row.section, row.key) == ("[[party]]", "table"):
        job["party"][1]["table"] = given
    else:
        target = place(job, row.section)
        if row.section in ("[train]", "[[score]]") and row.key == "features":
            for party, columns in zip(job["party"], (["balance"], ["open_loans"]), strict=False):
                party["features"] = columns
        if row.key in LATER:
            target.update(LATER)
        if row.section == "[[score]]" and row.key in SHAPE:
            target.update(SHAPE)
        if row.key == "duplicates":  # of two parties
            del job["party"][2:]
        if row.key == "by" and row.section == BY_CATEGORY:
            target["categories"] = ["a", "b"]
        if row.key == "noise" and row.section not in ("[train]", "[[binning]]"):
            measures = target["measures"] if row.section == BY_CATEGORY else ["bureau.debt:sum"]
            target["measures"] = measures
        if row.section == "[[offer]]" and row.key in ("column", "from", "below"):
            target |= {"column": "c", "from": 1}
        if row.key in ("choose", "budget", "channels", "effects"):
            job["offer"] = [{"name": "o", "channel": "call", "value": 2}]
            target["choose"] = "value"
        if row.section == "[[exclude]]":  # a condition, and what it is on
            target |= {"column": "c", "is": "x"} if row.key == "column" else {"column": "c"}
            if row.key not in ("is", "is_not", "below", "above", "within_days", "before_days"):
                target["missing"] = True
        if (row.section, row.key) in LABELLED:
            target["task"] = LABELLED[row.section, row.key]
            job["train"][0]["label"] = f"task:{target['task']}"
        if row.key == "tells" or (row.section, row.key) == ("[[target]]", "score_bits"):
            job["train"][0]["score_bits"], target["tells"] = 0, "list"
        if row.key == "managers_columns":
            target["branch"] = ["branch"]
        if row.key == "after" and isinstance(given, list):
            job["target"].insert(0, {**target, "product": str(given[0])})
        target[row.key] = given
    return job


@pytest.mark.parametrize(
    "row", [r for r in ROWS if r.example], ids=lambda row: f"{row.section} {row.key}"
)
def test_examples_are_read(row: Row) -> None:
    Job.load(job_with(row, value(row.example.strip("`"))))


def test_the_list_of_keys_by_section_has_them_all() -> None:
    listed = DOC.split("### Keys, by section")[1].split("\n## ")[0]
    for section in {section.removesuffix(" by category") for section in SECTIONS}:
        name = section.strip("[]")
        found = re.search(rf"\n\| \[`[^`]*\b{name}\b[^`]*`\].* \| (.*) \|\n", listed)
        assert found, section
        wanted = {r.key for r in ROWS if r.section.removesuffix(" by category") == section}
        assert set(re.findall(r"`([^`]+)`", found[1])) == wanted, section


def test_the_first_example_and_that_of_several_trainings_are_jobs() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", DOC, re.DOTALL)
    first = next(block for block in blocks if block.startswith("[job]"))
    job = Job.load(first)
    assert [party.name for party in job.parties] == ["bank", "bureau"]
    several = next(block for block in blocks if "[[train]]" in block)
    whole = first[: first.index("[train]")] + several
    assert [train.task for train in Job.load(whole).trains] == ["churn", "will borrow"]


def test_the_trees_of_the_example_pass_at_a_new_node() -> None:
    found = re.search(r"\nrow_bits = (\d+) .* a new node's most of ([\d,]+) rows", DOC)
    assert found
    holds, new = math.log2(int(found[2].replace(",", ""))), ReleaseLimits()
    assert int(found[1]) == int(min(new.row_share * holds, holds - new.row_left))


def test_a_key_out_of_its_range_is_refused_by_name() -> None:
    """Both ends of every documented range hold, and the next value does not."""
    for row in ROWS:
        limits = bounds(row.kind)
        if limits is None or row.section == "[[join_sum]]":
            continue
        low, high = limits
        for given in (low - 1, high + 1):
            job = base(row.section)
            wrong = given if row.key == "epsilon" else int(given)
            place(job, row.section)[row.key] = wrong
            with pytest.raises(JobError, match=row.key):
                Job.load(job)


def test_an_unknown_key_is_refused_with_those_that_are_known() -> None:
    for section in SECTIONS:
        job = base(section)
        place(job, section)["nonsense_key"] = 1
        with pytest.raises(JobError, match="nonsense_key: unknown key"):
            Job.load(job)
