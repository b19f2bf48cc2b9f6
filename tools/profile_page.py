"""Writes docs/PROFILE.md: the columns of a run's tables, from the notes that they carry.

    python -m tools.profile_page

`tests/unit/profiles/test_ruled.py` compares the page with the code.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from profiles.dictionary import campaign_notes, list_notes, origin_of, profile_notes
from profiles.held_out import held_out_notes
from profiles.job import Job

PAGE = Path(__file__).parents[1] / "docs" / "PROFILE.md"
HEAD = """# Profiles

Made by `python -m tools.profile_page`; a test compares it with the code.

A run's `profiles.parquet` has one row an entity of the receiver's. Its columns: `entity`; the
[facts](JOB_FILE.md#profile-optional) and features of the job, as they were read, among them those
of [feature views](FEATURES.md), which say what a customer has, does and contributes, and with whom
it is linked; then what the job made, below. Each field of a Parquet file has its meaning
(`description`), and where they are known its `unit`, `source` and `party`; `dictionary.csv` has the
same for all tables of a run, and `fedprofile export` takes the meaning along. `fedprofile profile
diff BEFORE AFTER` says of two runs who moved between segments, and which columns drifted.

What a run has of these hangs on its job: `score_`, `points_`, `listed_` and `reasons_` are there
for each training or model with such, `stage` where the job has
[rules](JOB_FILE.md#segment-and-stage-any-number) for it, `channels` where the table's
[basis](JOB_FILE.md#who-may-be-in-a-job) names any. Below is a job of a bank and a bureau that
trains a model, a scorecard, and a model whose list is told by one bit a row.
"""
JOB = {
    "job": {"name": "page", "purpose": "retention"},
    "party": [
        {"name": "bank", "table": "bank.consumers", "keys": [["id_no"]], "features": ["age"]},
        {"name": "bureau", "table": "bureau.repayment", "keys": [["id_no"]], "features": ["loans"]},
    ],
    "train": [
        {"task": "churn", "label": "bank.churned"},
        {"task": "default", "label": "bank.defaulted", "model": "scorecard"},
        {"task": "buys", "label": "bank.bought", "score_bits": 0},
    ],
    "target": [
        {"product": "card", "task": "buys", "tells": "list"},
        {"product": "loan", "task": "churn"},
    ],
    "profile": {"facts": ["customer"]},
}


def page() -> str:
    """The whole page."""
    job = Job.load(JOB)
    origin = origin_of(job)
    lines = [HEAD, "## profiles.parquet", "", "| column | unit | source | party | what it is |"]
    lines.append("|---|---|---|---|---|")
    for name, note in profile_notes(job).items():
        unit, source, party = origin(name)
        lines.append(f"| `{name}` | {unit} | {source} | {party} | {note} |")
    others = {
        "targets.parquet": list_notes(job),
        "campaign.parquet": campaign_notes(job),
        "held_out.parquet": held_out_notes(job),
    }
    for file, notes in others.items():
        lines += ["", f"## {file}", "", *_table(notes)]
    return "\n".join(lines) + "\n"


def _table(notes: Mapping[str, str]) -> list[str]:
    rows = [f"| `{name}` | {note} |" for name, note in notes.items()]
    return ["| column | what it is |", "|---|---|", *rows]


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
