"""Every documented key of job files, tables and policies: misspelt, of a wrong type, all values.

What is walked stands in the documents' own tables, so that a key that comes is walked too.
`test_job_file_doc` has what is known, with its defaults, ranges and examples.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from federated.approval.policy_file import load_policy
from federated.tables.bindings import TablesFile
from profiles.job import Job
from psi.protocol import JobError
from tests.unit.test_job_file_doc import BY_CATEGORY, DOC, ROWS, Row, cells, job_with, value

POLICY = (Path(__file__).parents[2] / "docs" / "POLICY.md").read_text("utf-8")
EXAMPLES = [row for row in ROWS if row.example]
CHOICES = [
    row for row in EXAMPLES
    if re.match("`[^`\"]+`(, `|$)", row.kind) and row.key != "split"
]  # fmt: skip


def example(row: Row) -> Any:
    return value(row.example.strip("`"))


def named(row: Row) -> str:
    return f"{row.section} {row.key}"


def misspelt(key: str) -> str:
    """With two letters in the other order, or one twice."""
    at = len(key) // 2
    turned = key[: at - 1] + key[at] + key[at - 1] + key[at + 1 :]
    return turned if turned != key else f"{key}{key[-1]}"


def wrongs(given: Any) -> list[Any]:
    """Values of types that a key with such an example does not take."""
    if isinstance(given, bool):
        return ["yes", 1, []]
    if isinstance(given, int | float):
        return [str(given), True, [given]]
    if isinstance(given, dict):
        return [7, "x", [given], {"a": []}]
    if isinstance(given, list):
        return [7, True, {"a": 1}, [7], [None]]
    return [7, True, {"a": 1}, [7]]


MANY_TYPES = ("is", "is_not", "class_weight")
"""Keys that take values of several types."""


def renamed(held: Any, key: str, other: str) -> Any:
    """The same job with every key of this name under the other."""
    if isinstance(held, dict):
        return {other if k == key else k: renamed(v, key, other) for k, v in held.items()}
    return [renamed(v, key, other) for v in held] if isinstance(held, list) else held


def refused(load: Callable[[], object], *said: str) -> JobError:
    with pytest.raises(JobError) as caught:
        load()
    for text in said:
        assert text in str(caught.value)
    return caught.value


def head(row: Row) -> str:
    """How errors call the section; a training has one head or the other."""
    return {"[train]": "[train]]", BY_CATEGORY: "[[aggregate]"}.get(row.section, row.section)[1:-1]


def section_of(row: Row, job: dict[str, Any]) -> dict[str, Any]:
    name = row.section.split("]", maxsplit=1)[0].strip("[]")
    held = job[name]
    return held[0] if isinstance(held, list) else held  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    # without `split` parties miss their keys first, and the error names `split`
    "row",
    [row for row in EXAMPLES if row.key != "split"],
    ids=named,
)
def test_a_misspelt_key_of_a_job_is_refused_with_what_is_meant(row: Row) -> None:
    job = deepcopy(job_with(row, example(row)))
    held = section_of(row, job)
    if row.key not in held:  # of another section of this name
        held[row.key] = example(row)
    held[misspelt(row.key)] = held.pop(row.key)
    error = refused(lambda: Job.load(job), "job: ", head(row))
    assert misspelt(row.key) in str(error)
    assert row.key in error.hint.replace(misspelt(row.key), ""), error


@pytest.mark.parametrize("row", [row for row in EXAMPLES if row.key not in MANY_TYPES], ids=named)
def test_a_value_of_another_type_in_a_job_is_refused_by_file_and_key(row: Row) -> None:
    for wrong in wrongs(example(row)):
        one_or_more = "or a list" in row.kind
        if one_or_more and isinstance(wrong, list):
            continue
        job = job_with(row, wrong)
        error = refused(partial(Job.load, job), "job: ")
        assert row.key in str(error), (wrong, str(error))


@pytest.mark.parametrize("row", CHOICES, ids=named)
def test_every_documented_choice_is_taken_and_no_other(row: Row) -> None:
    error = refused(lambda: Job.load(job_with(row, "nonsense")), "job: ", row.key)
    for choice in re.findall(r"`([^`]+)`", row.kind):
        if choice not in ("true", "false"):
            assert choice in str(error), choice


def tables_rows() -> Iterator[tuple[str, str]]:
    """Keys of tables.toml with an example each."""
    part = DOC.split("## tables.toml", 1)[1].split("\n### ", 1)[0]
    for line in part.splitlines():
        if line.startswith("| `"):
            key, _, shown = cells(line)
            keys, examples = re.findall(r"`([^`]+)`", key), re.findall(r"`([^`]+)`", shown)
            for at, name in enumerate(keys):
                if name != "table":  # its cell's example is the connection
                    yield name, examples[at if len(keys) == len(examples) else 0]


def load_tables(folder: Path, body: str) -> object:
    if not re.search(r"^(path|connection) =", body, re.MULTILINE):
        body = f'path = "t.csv"\n{body}'
    body += '\ntable = "t"' * bool(re.search(r"^connection =", body, re.MULTILINE))
    others = "[bank.consents]\npath = 'consents.csv'\n"
    (folder / "tables.toml").write_text(f"{others}[bank.t]\n{body}\n", "utf-8")
    return TablesFile.load(folder / "tables.toml")


@pytest.mark.parametrize(("key", "shown"), list(tables_rows()))
def test_keys_of_tables_misspelt_or_of_another_type(key: str, shown: str, tmp_path: Path) -> None:
    load_tables(tmp_path, f"{key} = {shown}")
    error = refused(
        lambda: load_tables(tmp_path, f"{misspelt(key)} = {shown}"),
        f"tables.toml: [bank.t] {misspelt(key)}: unknown key",
    )
    assert f"did you mean {key}?" in error.hint
    for wrong in ("7", "true", "[7]", "[[]]", "{ x = 7 }"):
        if key == "connection" or (key == "keys" and wrong == "[]") or wrong == shown:
            continue
        refused(partial(load_tables, tmp_path, f"{key} = {wrong}"), "[bank.t]", key)


def policy_rows() -> Iterator[tuple[str, str, str]]:
    section = ""
    for line in POLICY.splitlines():
        if line.startswith("### ["):
            section = line[4:].split(" (")[0]
        elif line.startswith("## "):
            section = ""
        elif section and line.startswith("| `"):
            key, *_, last = cells(line)
            shown = re.findall(r"`([^`]+)`", last)
            yield section, key.strip("`"), shown[0] if shown else ""


POLICY_EXAMPLES = {
    ("[proposals]", "fingerprints"): f'["{"1f3a9c42" * 5}"]',  # shortened there
    ("[limits]", "suites"): '["x"]', ("[retention]", "requests_days"): "365",
    ("[retention]", "jobs_days"): "3650", ("[retention]", "admitted_days"): "1096",
    ("[retention]", "by_timer"): "true",
}  # fmt: skip
BESIDE = {
    ("[direct]", "listen"): 'advertise = "bureau.example:9443"',
    ("[direct]", "advertise"): 'listen = "0.0.0.0:9443"',
    ("[[approve]]", "series"): "jobs = 3",
    ("[[approve]]", "own"): "jobs = 3",
}


def load(folder: Path, section: str, key: str, shown: str, under: str = "") -> object:
    lines = [section, f"{under or key} = {shown}", BESIDE.get((section, key), "")]
    if section == "[[approve]]" and key != "name":
        lines.append('name = "n"')
    (folder / "policy.toml").write_text("\n".join(lines), "utf-8")
    return load_policy(folder / "policy.toml")


@pytest.mark.parametrize(("section", "key", "shown"), list(policy_rows()))
def test_keys_of_a_policy_as_documented_misspelt_or_of_another_type(
    section: str, key: str, shown: str, tmp_path: Path
) -> None:
    shown = POLICY_EXAMPLES.get((section, key), shown)
    load(tmp_path, section, key, shown)
    error = refused(
        lambda: load(tmp_path, section, key, shown, under=misspelt(key)), "policy.toml: "
    )
    assert misspelt(key) in str(error)
    assert key in str(error).replace(misspelt(key), ""), str(error)
    for wrong in ("{ a = 1.5 }", "[[1]]", "1979-05-27"):
        if key == "epsilon_per_column" and wrong.startswith("{"):
            continue  # by purpose
        refused(partial(load, tmp_path, section, key, wrong), "policy.toml: ", key)
