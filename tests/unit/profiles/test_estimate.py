"""What `plan` says an alignment takes, against what it then takes."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.codes import credit_codes
from federated.contract.cost import align_estimate, vole_estimate
from profiles import rates
from profiles.federation import federate
from profiles.job import Job
from profiles.plan import planned
from profiles.plan_text import describe, in_text
from profiles.tables import open_tables
from psi.kernels.simd import threads
from psi.protocol import FedprofileError

JOB = """
[job]
name = "companies we share"
purpose = "count"
entity = "company"

[[party]]
name = "bank"
table = "bank.companies"
keys = [["code"]]

[[party]]
name = "registry"
table = "registry.companies"
keys = [["code"]]

[align]
kinds = [["credit_code"]]
protocol = "PROTOCOL"
"""
ESTIMATES = {"ecdh": align_estimate, "vole": vole_estimate}
# Rates are read in a moment in which others may use the cores: once three times 1.36 to 1.67 beside
# another run of tests, alone .9 to 1.1. By VOLE memory decides, of which no rate tells
WITHIN = {"ecdh": (0.6, 2.0), "vole": (0.5, 2.0)}


def write_world(folder: Path, receiver: int, sender: int, protocol: str = "ecdh") -> None:
    case = {"size_a": receiver, "size_b": sender, "matched": min(receiver, sender) // 2}
    bound = ""
    for role, name in (("receiver", "bank"), ("sender", "registry")):
        codes = pa.array(credit_codes(role, case))
        pq.write_table(pa.table({"code": codes}), folder / f"{name}.parquet")
        bound += f'[{name}.companies]\npath = "{name}.parquet"\n'
    (folder / "tables.toml").write_text(bound)
    (folder / "job.toml").write_text(JOB.replace("PROTOCOL", protocol))


def aligned(folder: Path, out: str) -> int:
    job, tables = Job.load(folder / "job.toml"), open_tables(folder / "tables.toml")
    found = federate(job, {party.name: tables for party in job.parties}, folder / out)
    return found.outcome.alignments["registry"].matched


@pytest.mark.slow
@pytest.mark.timing
@pytest.mark.parametrize(
    ("protocol", "sizes"),
    [
        ("ecdh", (100_000, 100_000)),
        ("ecdh", (30_000, 120_000)),
        ("vole", (300_000, 300_000)),  # less is over before one would ask how long it takes
        ("vole", (100_000, 400_000)),
    ],
)
def test_an_alignment_takes_what_was_estimated(
    protocol: str, sizes: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In processor time, which other load on the machine hardly changes."""

    def clock() -> float:
        return time.process_time() / threads()

    write_world(tmp_path, 300, 300, protocol)
    aligned(tmp_path, "warm")  # compiled kernels are loaded
    write_world(tmp_path, *sizes, protocol)
    monkeypatch.setattr(rates, "_clock", clock)
    ratios = []
    for attempt in range(3):  # both are read off a machine that others may be using
        rates.align_rates.cache_clear()
        expected = ESTIMATES[protocol](rates.MeasuredRates(), *sizes).seconds
        rates.align_rates.cache_clear()
        begun = clock()
        matched = aligned(tmp_path, f"out{attempt}")
        ratios.append(expected / (clock() - begun))
        assert matched == min(sizes) // 2
        low, high = WITHIN[protocol]
        if low < ratios[-1] < high:
            return
    pytest.fail(f"estimated over taken: {ratios}")


def test_a_plan_tells_what_the_job_will_take(tmp_path: Path) -> None:
    write_world(tmp_path, 200, 300)
    job, tables = Job.load(tmp_path / "job.toml"), open_tables(tmp_path / "tables.toml")
    text = describe(job, tables, 0)
    assert "all parties on this machine" in text
    assert "MB on the wire" in text
    found = planned(job, tables, 0)
    assert in_text(found).splitlines()[:4] == text.splitlines()[:4]
    data = json.loads(json.dumps(found.as_dict()))
    assert data["contract"]["receiver"] == "bank"
    assert data["tables"]["registry.companies"]["rows"] == 300
    assert data["cost"]["wire"] == found.cost.wire
    assert (data["rows"], planned(job, None, 150).as_dict()["rows"]) == (None, 150)


def test_a_plan_with_one_partys_tables_says_what_it_takes_the_others_for(tmp_path: Path) -> None:
    write_world(tmp_path, 200, 300)
    job, file = Job.load(tmp_path / "job.toml"), tmp_path / "tables.toml"
    whole = file.read_text()
    at = whole.index("[registry.")
    file.write_text(whole[:at])
    found = planned(job, open_tables(file))
    assert (found.elsewhere, found.rows) == (("registry",), 200)
    assert {party.name: party.rows for party in found.contract.parties} == {
        "bank": 200, "registry": 200,
    }  # fmt: skip
    assert planned(job, open_tables(file), 5000).contract.party("registry").rows == 5000
    text = in_text(found)
    assert "bank.companies, 200 rows" in text
    assert "The tables of registry are not here: 200 rows of numbers are taken for each" in text
    file.write_text(whole.replace("[registry.companies]", "[registry.firms]"))
    with pytest.raises(FedprofileError, match=r"no table .registry\.companies"):
        planned(job, open_tables(file))
