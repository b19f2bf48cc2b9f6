"""A branch's job: what it overrides, where values stand, and what it cannot loosen."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from profiles.extends import extended, whole_text
from profiles.job import Job
from psi.protocol.errors import JobError

HEAD = """
[job]
name = "churn"
purpose = "retention"

[[party]]
name = "bank"
table = "bank.people"
keys = [["id"]]
features = ["x"]

[[party]]
name = "shop"
table = "shop.people"
keys = [["id"]]
features = ["y", "z"]

[align]
minimum_overlap = 500

[train]
task = "churn"
label = "bank.left"

[[target]]
product = "call"
top = 100

[[exclude]]
reason = "staff"
column = "staff"
is = "yes"

[campaign]
name = "spring"
control = 0.2

[final]
keys = ["align.minimum_overlap"]
"""
BRANCH = """
extends = "head.toml"
[[party]]
name = "bank"
table = "bank.harbour"
[[target]]
product = "call"
top = 20
name = "full \\"name\\" 名"
[[target]]
product = "visit"
leave_out = "none"
[[exclude]]
reason = "moved away"
column = "zone"
is = ["far", "gone"]
"""


def written(folder: Path, branch: str, head: str = HEAD) -> Path:
    (folder / "head.toml").write_text(head, "utf-8")
    (folder / "branch.toml").write_text(branch, "utf-8")
    return folder / "branch.toml"


def test_a_branch_overrides_by_key_and_every_value_has_its_file(tmp_path: Path) -> None:
    job = Job.load(written(tmp_path, BRANCH))
    assert [party.table for party in job.parties] == ["bank.harbour", "shop.people"]
    assert job.party("bank").features == ("x",)
    assert [(t.product, t.top) for t in job.targets] == [("call", 20), ("visit", 100)]
    assert [rule.reason for rule in job.excludes] == ["staff", "moved away"]
    told = {key: job.origins[key] for key in ("party[bank].table", "party[bank].keys")}
    assert told == {"party[bank].table": "branch.toml", "party[bank].keys": "head.toml"}
    assert job.origins["exclude[staff].is"] == "head.toml"


@pytest.mark.parametrize("task", ['task = "churn"', ""])
@pytest.mark.parametrize(("above", "mine"), [("[train]", "[[train]]"), ("[[train]]", "[train]")])
def test_a_training_and_a_list_are_put_together_however_they_are_spelled(
    tmp_path: Path, above: str, mine: str, task: str
) -> None:
    if not task and mine == "[[train]]":
        return  # entries of an array say what they are called
    head = HEAD.replace("[train]", above)
    branch = f'extends = "head.toml"\n{mine}\n{task}\nscore_bits = 2\n[target]\ntop = 20\n'
    job = Job.load(written(tmp_path, branch, head))
    assert [(t.task, t.label, t.score_bits) for t in job.trains] == [("churn", "left", 2)]
    assert [(t.product, t.top) for t in job.targets] == [("call", 20)]
    told = {key: job.origins[key] for key in job.origins if key.startswith("train")}
    assert told == {
        "train[churn].task": "branch.toml" if task else told["train[churn].task"],
        "train[churn].label": "head.toml",
        "train[churn].score_bits": "branch.toml",
    }


def test_another_spelling_does_not_loosen_what_is_final(tmp_path: Path) -> None:
    head = HEAD.replace("[[target]]", "[target]").replace("top = 100", 'leave_out = "staff"')
    branch = 'extends = "head.toml"\n[[target]]\nproduct = "call"\nleave_out = "none"\n'
    with pytest.raises(JobError, match="has the last word on it"):
        extended(written(tmp_path, branch, head))


def test_what_is_kept_of_it_is_one_file_that_says_the_same(tmp_path: Path) -> None:
    file = written(tmp_path, BRANCH)
    text = whole_text(file)
    assert tomllib.loads(text.decode()) == extended(file)[0]
    (tmp_path / "kept.toml").write_bytes(text)
    assert Job.load(tmp_path / "kept.toml").targets == Job.load(file).targets
    assert whole_text(tmp_path / "head.toml") == (tmp_path / "head.toml").read_bytes()


LOOSER = [
    ('[job]\npurpose = "research"', "job.purpose"),
    ("[campaign]\ncontrol = 0.01", "campaign.control"),
    ("campaign = 3", "campaign"),
    ('[[exclude]]\nreason = "staff"\nis = "nobody"', r"exclude\[staff\].is"),
    ('[[exclude]]\nreason = "staff"\nlists = ["call"]', r"exclude\[staff\].lists"),
    ("exclude = []", "exclude"),
    ('exclude = ["none"]', "exclude"),
    ('[[target]]\nproduct = "call"\nleave_out = "none"', r"target\[call\].leave_out"),
    ("[align]\nminimum_overlap = 3", "align.minimum_overlap"),
    ("[final]\nkeys = []", "final.keys"),
]


@pytest.mark.parametrize(("change", "key"), LOOSER)
def test_what_head_office_holds_cannot_be_loosened(change: str, key: str, tmp_path: Path) -> None:
    file = written(tmp_path, f'extends = "head.toml"\n{change}\n')
    with pytest.raises(JobError, match=rf"{key}: found, and head.toml has the last word"):
        Job.load(file)


def test_a_region_between_them_cannot_either(tmp_path: Path) -> None:
    written(tmp_path, 'extends = "head.toml"\n[job]\nname = "north"\n')
    low = tmp_path / "low.toml"
    low.write_text('extends = "branch.toml"\n[job]\nname = "harbour"\n')
    job = Job.load(low)
    assert (job.name, job.origins["job.name"]) == ("harbour", "low.toml")
    low.write_text('extends = "branch.toml"\n[align]\nminimum_overlap = 1\n')
    with pytest.raises(JobError, match=r"align\.minimum_overlap"):
        Job.load(low)


@pytest.mark.parametrize(
    ("branch", "head", "told"),
    [
        ('extends = "branch.toml"', HEAD, "files extend each other: branch.toml -> branch.toml"),
        ('extends = "head.toml"', 'extends = "branch.toml"', "files extend each other"),
        ('extends = "none.toml"', HEAD, "none.toml: no such file"),
        ("extends = 3", HEAD, "extends: the path of a job file needed"),
        ('extends = "head.toml"', HEAD.replace('keys = ["al', 'key = ["al'), "keys, a list of"),
    ],
)
def test_files_that_do_not_go_together_are_told(
    branch: str, head: str, told: str, tmp_path: Path
) -> None:
    with pytest.raises(JobError, match=told):
        Job.load(written(tmp_path, branch + "\n", head))


def test_a_text_extends_nothing() -> None:
    with pytest.raises(JobError, match="a text or table cannot"):
        Job.load({"extends": "head.toml", "job": {"name": "n", "purpose": "p"}})
