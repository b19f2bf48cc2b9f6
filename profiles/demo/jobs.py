"""The demo's jobs: who leaves, with a telecom; who defaults, with a credit bureau; companies and
public bodies, with the registry."""

from __future__ import annotations

import io
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from federated.session.session import Progress
from federated.store.files import write_atomic
from federated.tables.about import EVERY, About
from federated.tables.basis import read_basis
from federated.tables.source import MemorySource
from profiles.demo.world import World, build
from profiles.job import Job
from profiles.language import LANGUAGES
from profiles.run import JobResult, run_job, steps_of

__all__ = ["JOBS", "run_demo", "show_money", "write_world"]

CHURN = """\
# Which consumers will leave? The bank asks a telecom, and neither sees the other's rows.
[job]
name = "consumer churn with telecom data"
purpose = "retention"
entity = "consumer"
seed = 7

[[party]]
name = "bank"
table = "bank.consumers"
keys = [["identity_number"], ["phone", "name"]]
features = ["age", "tenure_months", "balance", "turnover", "inflow", "leakage", "half_year_change"]

[[party]]
name = "telecom"
table = "telecom.usage"
keys = [["id_no"], ["mobile", "full_name"]]
features = ["lines", "late_bills_12m", "plan_used", "moves_6m", "data_mb", "usage_trend"]

[align]
kinds = [["identity_number"], ["phone", "name"]]
minimum_overlap = 1000

[[aggregate]]
by = "bank.segment"
measures = [
    "telecom.lines:mean", "telecom.plan_used:share>0.6", "telecom.data_mb:mean",
    "telecom.late_bills_12m:histogram[1,2,3]",
]
minimum_group = 20

[train]
task = "churn"
label = "bank.churned"
folds = 3
evaluations = 6  # of up to 12: what these leave is far less than folds differ by

[profile]
segments = 6
facts = ["customer", "name", "branch"]

[[target]]
product = "retention offer"
top = 300
managers = "bank.managers"
name = "name"
"""

DEFAULT = """\
# Which consumers will fail to repay? A bureau's data serve risk, and no retention offer.
[job]
name = "consumer default with bureau data"
purpose = "credit risk"
entity = "consumer"
seed = 7

[[party]]
name = "bank"
table = "bank.consumers"
keys = [["identity_number"], ["phone", "name"]]
features = ["age", "tenure_months", "balance", "inflow", "half_year_change"]

[[party]]
name = "bureau"
table = "bureau.repayment"
keys = [["id_no"], ["mobile", "full_name"]]
features = ["open_loans", "overdue_12m", "utilisation", "inquiries_6m"]

[align]
kinds = [["identity_number"], ["phone", "name"]]
minimum_overlap = 1000

[train]
task = "default"
label = "bank.defaulted"
folds = 3
evaluations = 6  # of up to 12: what these leave is far less than folds differ by

[profile]
segments = 4
facts = ["customer", "name", "branch"]

[[target]]
product = "early help with repayment"
top = 100
managers = "bank.managers"
name = "name"
"""

COMPANIES = """\
# Which companies will take a credit line? The bank asks the business registry.
[job]
name = "company credit line with registry data"
purpose = "marketing"
entity = "company"
seed = 7

[[party]]
name = "bank"
table = "bank.companies"
keys = [["credit_code"]]
features = ["balance", "turnover", "inflow", "leakage", "half_year_change"]

[[party]]
name = "registry"
table = "registry.companies"
keys = [["uscc"]]
features = [
    "registered_capital", "years_since_founding", "employees_change",
    "legal_cases", "tax_credit_score", "patents",
]

[align]
kinds = [["credit_code"]]
minimum_overlap = 500

[[aggregate]]
by = "bank.segment"
measures = ["registry.registered_capital:mean", "registry.legal_cases:mean"]
minimum_group = 20

[train]
task = "credit line"
label = "bank.took_credit_line"
folds = 3
evaluations = 6  # of up to 12: what these leave is far less than folds differ by

[profile]
segments = 4
facts = ["customer", "name", "branch"]

[[target]]
product = "credit line"
top = 120
managers = "bank.managers"
name = "name"
"""

GOVERNMENTS = """\
# What do our government customers look like in the registry? Nothing is predicted here.
[job]
name = "government bodies with registry data"
purpose = "service planning"
entity = "government"
seed = 7

[[party]]
name = "bank"
table = "bank.governments"
keys = [["credit_code"]]
features = ["balance", "turnover", "inflow", "leakage", "half_year_change"]

[[party]]
name = "registry"
table = "registry.public_bodies"
keys = [["uscc"]]

[align]
kinds = [["credit_code"]]
minimum_overlap = 100

[[aggregate]]
by = "bank.segment"
measures = [
    "registry.annual_budget:mean", "registry.tenders_12m:mean", "registry.payment_delay_days:mean",
]
minimum_group = 10

[profile]
segments = 3
facts = ["customer", "name", "branch"]
"""

JOBS = {
    "churn": CHURN,
    "default": DEFAULT,
    "companies": COMPANIES,
    "governments": GOVERNMENTS,
}
TABLES = """\
# Binds the jobs' logical tables to these files. Each party would keep a file of its own.
[bank.consumers]
path = "bank_consumers.csv"
synthetic = true
encoding = "gbk"

# Only whose consent is valid on the day is in a job: for its purpose, towards its partner.
[bank.consumers.basis]
table = "bank.consents"
of = "customer"
purpose = "purpose"
recipient = "given_to"
from = "since"
until = "until"
withdrawn = "withdrawn"

[bank.consents]
path = "bank_consents.csv"

[bank.companies]
path = "bank_companies.parquet"
synthetic = true
entity = "company"

[bank.governments]
path = "bank_governments.csv"
synthetic = true
entity = "government"

[bank.transactions]
path = "bank_transactions.parquet"

[bank.accounts]
path = "bank_accounts.csv"

[bank.managers]
path = "bank_managers.csv"

[telecom.usage]
path = "telecom_usage.csv"
synthetic = true

[bureau.repayment]
path = "bureau_repayment.csv"
synthetic = true
data_class = "bureau"

[registry.companies]
path = "registry_companies.csv"
synthetic = true
entity = "company"

[registry.public_bodies]
path = "registry_public_bodies.csv"
synthetic = true
entity = "government"

# What the bank's own transactions say: fedprofile flows report --tables tables.toml
[flows.bank.accounts]
table = "bank.accounts"
account = "account"
entity = "customer"
kind = "kind"
name = "name"
branch = "branch"

[[flows.bank.source]]
table = "bank.transactions"
id = "serial"
account = "account"
time = "time"
amount = "amount"
direction = "direction"
in = ["贷"]
out = ["借"]
counterparty_name = "counterparty"
counterparty_account = "counterparty_account"
text = "remark"
"""

ABOUT = {
    "bureau.repayment": About("consumer", {EVERY: "bureau"}),
    **{f"{party}.companies": About("company") for party in ("bank", "registry")},
    "bank.governments": About("government"),
    "registry.public_bodies": About("government"),
}
"""The same of the tables in memory."""
_BASIS = read_basis("demo", tomllib.loads(TABLES)["bank"]["consumers"]["basis"])
BASES = {"bank.consumers": _BASIS} if _BASIS else {}


def run_demo(
    out: Path,
    *,
    overwrite: bool = True,
    progress: Callable[[list[str], str], AbstractContextManager[Progress]] | None = None,
    lang: str = "",
) -> Iterator[JobResult]:
    """Run the jobs on the world in memory, one after another; outputs go to `out`/JOB.

    Args:
        overwrite: replace what is in the outputs' folders.
        progress: gives, of a job's steps and its name, what `run_job` takes as progress.
        lang: of the reports; "" for English.
    """
    source = MemorySource(_world().tables, bases=BASES, about=ABOUT)
    for name, text in JOBS.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{name}.toml"
            path.write_text(text, encoding="utf-8")
            job = replace(Job.load(path), lang=lang or LANGUAGES[0])
        bar = progress(steps_of(job), job.receiver) if progress else None
        yield run_job(job, source, out / name, overwrite=overwrite, synthetic=True, progress=bar)


def show_money(out: Path, *, lang: str = "") -> Path:
    """What the bank's own transactions say, as a page; its path.

    Args:
        out: the demo's folder.
        lang: of the page; "" for English.
    """
    from profiles.flows.engine import seldom_collected
    from profiles.flows.flows import Flows
    from profiles.flows.page import flow_page, write_flow_page

    tables, page = _world().tables, out / "flows" / "report.html"
    source = tomllib.loads(TABLES)["flows"]["bank"]["source"][0]
    accounts = tables["bank.accounts"]
    flows = Flows.of(
        tables["bank.transactions"],
        accounts=accounts.rename_columns({"customer": "entity"}),
        name="bank",
        inward=tuple(source["in"]),
        outward=tuple(source["out"]),
        columns={key: source[key] for key in ("id", "counterparty_name", "text")},
    )
    with seldom_collected():
        told = flow_page(flows)
    write_flow_page(told, page, lang or LANGUAGES[0], synthetic=True)
    return page


@cache
def _world() -> World:
    return build()


def write_world(folder: Path) -> None:
    """Leave the world as files, with `tables.toml` and a job file for each job.

    Args:
        folder: is made; files in it are replaced.
    """
    tables = _world().tables
    for line in TABLES.splitlines():
        if line.startswith("[flows."):
            break
        if line.startswith("[") and not line.endswith(".basis]"):
            name = line.strip("[]")
        elif line.startswith("path"):
            file = folder / line.split('"')[1]
            encoding = "gbk" if name == "bank.consumers" else "utf-8"
            write_atomic(file, _file_bytes(tables[name], file.suffix, encoding))
    write_atomic(folder / "tables.toml", TABLES)
    write_atomic(folder / "job.toml", CHURN)
    for name in JOBS.keys() - {"churn"}:
        write_atomic(folder / f"{name}.toml", JOBS[name])


def _file_bytes(table: pa.Table, suffix: str, encoding: str) -> bytes:
    buffer = io.BytesIO()
    if suffix == ".parquet":
        pq.write_table(table, buffer)
        return buffer.getvalue()
    pa_csv.write_csv(table, buffer)
    return buffer.getvalue().decode("utf-8").encode(encoding)
