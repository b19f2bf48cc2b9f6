"""Writes a template: the job as it lies in `files`, its tables, a policy, a page and the answer."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd

from federated.approval.policy_file import NEW_POLICY
from federated.store.files import make_folder, write_atomic
from profiles.job import Job
from profiles.language import LANGUAGES
from profiles.templates.answer import answer
from profiles.templates.chinese import LANG, chinese_frame, chinese_job, chinese_page, said_of
from profiles.templates.world import BRANCHES, CUSTOMERS, SHARED, customers, records
from psi.protocol.errors import MisuseError

__all__ = ["TEMPLATES", "write_template"]

TEMPLATES = (
    "consumer-churn",
    "credit-risk",
    "payroll-company",
    "merchant-fee-relief",
    "government-unit",
    "company-supply-chain",
)
_MEASURED = {"government-unit": ["budget", "tenders_12m", "delay_days"]}
_BINDS = """Binds the job's logical tables to these files; each party would keep its own.
# They are invented, and reports say so: your own tables have no `synthetic`."""
_ABOUT = """What {partner} could put into its policy.toml for this job alone (docs/POLICY.md).
# Without [[approve]] an officer is asked each time: that is how to begin."""
POLICY = """\
# {about}
[proposals]
purposes = ["{purpose}"]

{limits}[columns]
unlisted = "never"
"{table}" = {{ {columns} }}
"""


def write_template(name: str, folder: Path, lang: str = LANGUAGES[0]) -> None:
    """Leave a template's files in a folder that is made.

    Args:
        name: one of `TEMPLATES`.
        folder: must not be there, or be empty.
        lang: one of `LANGUAGES`, of everything that people read; keys, columns and codes are the
            same.

    Raises:
        MisuseError: no such template, or a folder with something in it.
    """
    if name not in TEMPLATES:
        raise MisuseError(f"no template {name!r}", hint=f"there are: {', '.join(TEMPLATES)}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise MisuseError(f"{folder} exists", hint="give another --out")
    text, page = (
        resources.files("profiles.templates").joinpath("files", f"{name}{end}").read_text("utf-8")
        for end in (".toml", ".md")
    )
    make_folder(folder)
    job, chinese = Job.load(text), lang == LANG
    tables = _tables(name, job)
    if chinese:
        job = Job.load(text := chinese_job(text))
        tables = {table: chinese_frame(frame, job) for table, frame in tables.items()}
        page = chinese_page(name, job)
    write_atomic(folder / "job.toml", text)
    for table, frame in tables.items():
        write_atomic(folder / f"{table.replace('.', '_')}.csv", frame.to_csv(index=False))
    about = "synthetic = true\n"
    about += "" if job.entity == "consumer" else f'entity = "{job.entity}"\n'
    keys = {
        p.table: "".join(f"keys = {json.dumps(level)}\n" for level in p.keys) for p in job.parties
    }
    shown = {table: text + about for table, text in keys.items()}
    shown[job.parties[1].table] += _class(name)
    write_atomic(
        folder / "tables.toml",
        f"# {said_of('tables', job.parties[1].name) if chinese else _BINDS}\n"
        + "".join(
            f'\n[{table}]\npath = "{table.replace(".", "_")}.csv"\n{shown.get(table, "")}'
            for table in tables
        ),
    )
    about = said_of("policy", job.parties[1].name) if chinese else _ABOUT
    write_atomic(folder / "policy.toml", _policy(name, job, about))
    write_atomic(folder / "README.md", page)
    found = answer(job, tables)
    write_atomic(folder / "answer.json", json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def _class(name: str) -> str:
    return 'data_class = "bureau"\n' if name == "credit-risk" else ""


def _tables(name: str, job: Job) -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng([20, TEMPLATES.index(name)])
    bank, partner = job.parties
    columns = list(dict.fromkeys([*partner.features, *_MEASURED.get(name, [])]))
    known = records(job.entity, columns, rng)
    label = job.trains[0].label if job.trains else ""
    own = customers(job.entity, list(bank.features), label, known, rng)
    there = np.sort(rng.permutation(CUSTOMERS)[:SHARED])
    theirs = known.iloc[np.concatenate([there, np.arange(CUSTOMERS, len(known))])]
    found = {bank.table: own, partner.table: theirs}
    if any(rule.table for rule in job.excludes):
        who = rng.permutation(CUSTOMERS)[:60]
        found["bank.applications"] = pd.DataFrame(
            {
                "customer": own.customer.to_numpy()[who],
                "product": np.where(np.arange(60) < 40, job.targets[0].product, "another"),
                "state": np.where(np.arange(60) % 2, "pending", "declined"),
            }
        )
    if job.targets:
        found["bank.managers"] = pd.DataFrame(
            {"manager": [f"{b} desk" for b in BRANCHES], "branch": BRANCHES, "capacity": 400}
        )
    return found


def _policy(name: str, job: Job, about: str) -> str:
    partner = job.parties[1]
    use = dict.fromkeys(_MEASURED.get(name, []), "aggregate")
    use |= dict.fromkeys((c for a in job.aggregates for c, _ in a.measures), "aggregate")
    use |= dict.fromkeys(partner.features, "feature")
    columns = ", ".join(f'{column} = "{allowed}"' for column, allowed in use.items())
    return POLICY.format(
        about=about.format(partner=partner.name),
        purpose=job.purpose,
        table=partner.table,
        columns=columns,
        limits=NEW_POLICY[NEW_POLICY.index("[limits]") : NEW_POLICY.index("[columns]")],
    )
