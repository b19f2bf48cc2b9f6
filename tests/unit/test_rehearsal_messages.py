"""A rehearsal's messages are those of the real job, in number and size."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from federated.approval.policy import ONE_PROCESS, Policy
from federated.ledger.lines import read_ledger
from federated.ledger.listing import messages_of
from federated.rehearsal import in_lines, rehearse
from federated.rehearsal.contents import holds
from federated.tables.source import MemorySource
from profiles.federation import federate
from profiles.job import Job
from profiles.proposal import nameless_draft

WIDE = """
[job]
name = "wide"
purpose = "test"
key_bits = 2048

[[party]]
name = "bank"
table = "bank.people"
keys = [["id"], ["phone", "name"]]
features = ["balance", "tenure"]

[[party]]
name = "bureau"
table = "bureau.people"
keys = [["id_no"], ["mobile", "name"]]
features = ["loans", "usage", "queries"]

[[party]]
name = "telecom"
table = "telecom.people"
keys = [["id"], ["line", "name"]]
features = ["calls", "roaming", "spend"]

[align]
minimum_overlap = 20
kinds = [["text"], ["phone", "name"]]

[train]
task = "churn"
label = "bank.churned"
folds = 0
steps = 2
"""
COUNTED = """
[job]
name = "counted"
purpose = "test"
key_bits = 2048

[[party]]
name = "bank"
table = "bank.people"
keys = [["id"]]

[[party]]
name = "bureau"
table = "bureau.people"
keys = [["id_no"]]

[align]
reveal = "cardinality"
minimum_checked_by = "partner"
minimum_overlap = 20

[[join_sum]]
measures = ["bureau.loans:mean[-10,10]"]
minimum_group = 5
"""
CATEGORY = """
[job]
name = "category"
purpose = "test"
key_bits = 2048

[[party]]
name = "bank"
table = "bank.people"
keys = [["id"]]

[[party]]
name = "bureau"
table = "bureau.people"
keys = [["id_no"]]

[align]
minimum_overlap = 20
protocol = "vole"

[[aggregate]]
by = ["bank.segment", "bureau.trade"]
categories = ["retail", "transport"]
measures = ["bank.balance:sum[0,50]"]
epsilon = 2.5
"""
ROUNDS = """
[job]
name = "rounds"
purpose = "test"

[[party]]
name = "bank"
table = "bank.people"
features = ["balance", "tenure"]

[[party]]
name = "bureau"
table = "bureau.people"
features = ["balance", "tenure"]

[[party]]
name = "telecom"
table = "telecom.people"
features = ["balance", "tenure"]

[train]
task = "churn"
split = "horizontal"
label = "churned"
steps = 2
"""


def world() -> dict[str, pa.Table]:
    """A table for each party, with all the columns that the jobs above name."""
    rng = np.random.default_rng(3)

    def table(shift: int, *keys: str) -> pa.Table:
        who = np.arange(shift, shift + 200)
        columns: dict[str, Any] = {keys[0]: [f"planted{i}" for i in who]}
        columns |= {keys[1]: [f"138{i:08d}" for i in who], "name": [f"planted n{i}" for i in who]}
        columns |= {c: rng.normal(size=200) for c in ("tenure", "loans", "usage", "queries")}
        columns |= {c: rng.normal(size=200) for c in ("calls", "roaming", "spend")}
        columns |= {
            "segment": rng.choice(["gold", "basic"], 200),
            "balance": rng.integers(0, 50, 200),
        }
        columns |= {
            "trade": rng.choice(["retail", "mining"], 200),
            "churned": rng.integers(0, 2, 200),
        }
        return pa.table(columns)

    return {
        "bank.people": table(0, "id", "phone"),
        "bureau.people": table(20, "id_no", "mobile"),
        "telecom.people": table(40, "id", "line"),
    }


def shapes(entries: Any) -> list[tuple[str, str, str, str]]:
    """Step, way, peer and kind of each message, all rounds of one training as one."""
    rounds = re.compile("^(train/.*)/([0-9]+|model)$")
    return sorted({(rounds.sub(r"\1", step), *rest) for step, *rest in entries})


@pytest.mark.slow
@pytest.mark.parametrize("text", [WIDE, COUNTED, CATEGORY, ROUNDS])
def test_the_messages_are_those_of_the_real_job(tmp_path: Path, text: str) -> None:
    (tmp_path / "job.toml").write_text(text)
    job, tables = Job.load(tmp_path / "job.toml"), world()
    source = MemorySource(tables)
    federate(job, {party.name: source for party in job.parties}, tmp_path / "run")
    for me in ("bank", "bureau"):
        real = [
            (line["body"]["step"], line["kind"], line["body"]["peer"], kind)
            for line in read_ledger(tmp_path / "run" / me / "ledger.jsonl")
            if line["kind"] in ("sent", "received")
            for kind in messages_of(line["body"])
        ]
        mine = MemorySource({f"{me}.people": tables[f"{me}.people"]})
        found = rehearse(nameless_draft(job), me, mine, ONE_PROCESS)
        assert found.ended == ""
        rehearsed = [(e.step, e.way, e.peer, e.message) for e in found.messages]
        assert shapes(rehearsed) == shapes(real)
        assert all("of the kind" not in holds(e.step, e.message) for e in found.messages)
        assert "planted" not in "\n".join(in_lines(found, Policy()))
