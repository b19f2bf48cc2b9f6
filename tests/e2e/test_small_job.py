"""One small job end to end: what comes out, and that it comes out the same again."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from federated.approval.decision import AutoDecider
from federated.contract.terms import Contract
from federated.keys.identity_file import read_identity
from federated.ledger.account import verify_ledger
from federated.ledger.lines import read_ledger
from profiles.job import Job
from profiles.plan_text import describe
from profiles.run import JobResult, run_job
from profiles.tables import open_tables
from psi.protocol import Refused
from tests.e2e.ledgers import assert_agree


def run(folder: Path, out: str, **options: Any) -> JobResult:
    job, tables = Job.load(folder / "job.toml"), open_tables(folder / "tables.toml")
    return run_job(job, tables, folder / out, **options)


def test_outputs_ledgers_and_repeatability(small: Path) -> None:
    first = run(small, "first", baseline=True)
    second = run(small, "second")
    folder = small / "first"
    wanted = {"profiles.parquet", "targets.parquet", "targets.csv", "metrics.json", "report.html"}
    wanted |= {"held_out.parquet", "dictionary.csv"}
    wanted |= {"targets.xlsx"} if find_spec("xlsxwriter") else set()
    assert wanted | {"parties"} == {path.name for path in folder.iterdir()}
    _check_profiles(small, folder)
    _check_ledgers(folder)
    _check_aggregates(small, folder)
    metrics = json.loads((folder / "metrics.json").read_text())
    again = json.loads((small / "second" / "metrics.json").read_text())
    run_block, _ = metrics.pop("run"), again.pop("run")
    models = [m.pop("models")["churn"]["scores"]["joined"]["mean_auc"] for m in (metrics, again)]
    assert models[0] == pytest.approx(models[1], abs=0.2)  # noise and folds are drawn anew
    assert metrics == again
    leakage = metrics["leakage"]["bureau"]
    assert leakage["columns"] == 4
    assert leakage["bits_of_a_row"] > 0
    assert leakage["bits_of_a_row_before"] is None  # nothing is kept in one process
    assert leakage["bits_a_row_holds"] == 7.78  # log2 of 220 rows that differ
    assert leakage["thresholds_of_a_column"] == 3
    assert "How much was told" in (folder / "report.html").read_text("utf-8")
    check = run_block["plaintext_baseline"][0]
    assert check["score_difference"] < 0.2  # with the noise of `score_bits`
    assert check["model_difference"] < 5e-4
    assert check["coefficient_difference"] < 0.15
    assert abs(check["fold_auc_difference"]) < 0.03
    contracts = [r.federation.contract for r in (first, second)]
    assert contracts[0].nonce != contracts[1].nonce
    assert contracts[0].parties[0].snapshot != contracts[1].parties[0].snapshot


def _check_profiles(small: Path, folder: Path) -> None:
    bank = pd.read_csv(small / "bank.csv")
    bureau = pd.read_csv(small / "bureau.csv")
    profiles = pd.read_parquet(folder / "profiles.parquet")
    assert profiles.entity.tolist() == bank.id.tolist()
    shared = bank.id.isin(bureau.id_no)
    assert profiles.score_churn.between(0, 1).all()
    partner = [any("partner bureau" in text for text in row) for row in profiles.reasons_churn]
    assert not (np.array(partner) & ~shared.to_numpy()).any()
    assert np.array(partner)[shared.to_numpy()].mean() > 0.9
    targets = pd.read_parquet(folder / "targets.parquet")
    still = profiles[profiles.entity.isin(bank.id[bank.churned != 1])]
    best = still.sort_values("score_churn", ascending=False).entity[:20]
    assert set(targets.entity) == set(best)
    html = (folder / "report.html").read_text()
    assert "small churn" in html.lower()


def _check_aggregates(small: Path, folder: Path) -> None:
    bank, bureau = pd.read_csv(small / "bank.csv"), pd.read_csv(small / "bureau.csv")
    groups = bank.merge(bureau, left_on="id", right_on="id_no").groupby("segment")
    told = json.loads((folder / "metrics.json").read_text())["aggregates"][0]
    table = pd.DataFrame(told["table"])
    table = table.set_index("group")
    assert table.rows.tolist() == groups.size().tolist()
    for name, wanted in {
        "loans:mean": groups.loans.mean(),
        "loans:variance": groups.loans.var(),
        "usage:share>0.5": groups.usage.agg(lambda usage: (usage > 0.5).mean()),
        "overdue: 0 to 1": groups.overdue.agg(lambda x: ((x >= 0) & (x < 1)).sum()),
    }.items():
        assert table[name].tolist() == pytest.approx(wanted.tolist(), abs=1e-5)
    html = (folder / "report.html").read_text()
    assert "share above 0.5 of usage" in html
    assert "How overdue is spread within each segment" in html


def checked(secret: Path, file: Path) -> str:
    """By the lines of shell that docs/LEDGER.md has."""
    text = (Path(__file__).parents[2] / "docs" / "LEDGER.md").read_text()
    lines = text.split("<!-- outputs -->\n```\n")[1].split("\n```")[0]
    given = {"SECRET": str(secret), "FILE": file.name, "PATH": os.environ["PATH"]}
    done = subprocess.run(
        ["sh", "-c", lines], env=given, cwd=file.parent, capture_output=True, check=True, text=True
    )
    return done.stdout.split()[0]


def _check_ledgers(folder: Path) -> None:
    heads = {}
    for party in ("bank", "bureau"):
        place = folder / "parties" / party
        owner = read_identity(place / "identity.json")
        count = verify_ledger(place / "ledger.jsonl", owner)
        lines = read_ledger(place / "ledger.jsonl")
        assert count == len(lines)
        kinds = {line["kind"] for line in lines}
        assert {"handshake", "contract", "sent", "received", "disclosure", "finished"} <= kinds
        heads[party] = lines
        text = (place / "ledger.jsonl").read_text()
        assert "planted" not in text
        assert "id00001" not in text
        assert not list(place.glob("journal"))
    kept = heads["bank"][-2]["body"]["heads"]["bureau"]
    assert heads["bureau"][kept[0]]["hash"] == kept[1]
    written = heads["bank"][-1]["body"]["files"]
    assert written.keys() == {path.name for path in folder.iterdir() if path.is_file()}
    for name, digest in written.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() not in str(heads)
        secret = place.parent / "bank" / "outputs.secret"
        assert checked(secret, folder / name) == digest
        assert secret.read_text() not in str(heads)
    first = next(line for line in heads["bank"] if line["kind"] == "disclosure")
    assert "which of its own records bureau has" in first["body"]["learns"]


@pytest.mark.parametrize("reveal", ["receiver", "cardinality"])
def test_jobs_that_only_align(small: Path, reveal: str) -> None:
    text = (small / "job.toml").read_text().split("[align]")[0]
    text = text.replace('features = ["loans", "overdue", "usage", "queries"]', "")
    (small / "job.toml").write_text(text + f'[align]\nreveal = "{reveal}"\n')
    result = run(small, "out")
    assert result.federation.outcome.alignments["bureau"].matched == 220
    assert result.outputs.profiles is not None
    assert set(result.outputs.profiles.column("segment").to_pylist()) > {1, 2}
    assert result.outputs.report.matched == 220
    partner = result.federation.outcomes["bureau"].alignments["bank"]
    assert partner.matched == -1
    assert len(partner.rows) == 0


@pytest.mark.parametrize("accepts", [("ecdh", "vole", "vole-malicious"), ("ecdh", "vole")])
def test_auto_takes_vole_with_checks_where_every_party_accepts_it(
    small: Path, accepts: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Careful(AutoDecider):
        def check(self, contract: Contract) -> None:
            if self._name == "bureau" and contract.align[0].protocol not in accepts:
                raise Refused("protocol vole-malicious asked, ecdh allowed by policy")
            super().check(contract)

    monkeypatch.setattr("psi.align.protocols.LARGE", 200)
    monkeypatch.setattr("federated.node.participant.AutoDecider", Careful)
    text = (small / "job.toml").read_text().split("[[aggregate]]")[0]
    text = text.replace('features = ["loans", "overdue", "usage", "queries"]', "")
    (small / "job.toml").write_text(text)
    plan = describe(Job.load(small / "job.toml"), open_tables(small / "tables.toml"), 0)
    assert "set intersection by vole-malicious: large sets of about equal size" in plan
    result = run(small, "out")
    contract = result.federation.contract
    taken = "vole-malicious" if "vole-malicious" in accepts else "ecdh"
    assert contract.align[0].protocol == taken
    assert contract.suites.align.startswith(taken)
    assert result.federation.outcome.alignments["bureau"].matched == 220
    rows = [outcome.rows for outcome in result.federation.outcomes.values()]
    ids = [pd.read_csv(small / f"{name}.csv").iloc[:, 0] for name in result.federation.outcomes]
    assert ids[0][rows[0]].tolist() == ids[1][rows[1]].tolist()


JOIN_SUM = """
[align]
reveal = "cardinality"
minimum_overlap = 210
minimum_checked_by = "partner"

[[join_sum]]
measures = ["bureau.loans", "bureau.usage:mean", "bureau.rare:count"]
noise = "none"
"""


def test_sums_over_records_that_nobody_learns(small: Path) -> None:
    bureau = pd.read_csv(small / "bureau.csv").assign(rare=np.nan)
    bureau.loc[:18, "rare"] = 1.0
    bank = pd.read_csv(small / "bank.csv").set_index("id")
    bureau["called"] = bank.name[bureau.id_no].to_numpy()
    strangers = bureau[:3].assign(id_no=["x1", "x2", bureau.id_no[39]], called=["y1", "y2", "y3"])
    bureau.loc[:29, "id_no"] = None  # found by name
    bureau = pd.concat([bureau, strangers])
    bureau.to_csv(small / "bureau.csv", index=False)
    text = (small / "job.toml").read_text().split("[align]")[0]
    text = text.replace('[["id"]]', '[["id"], ["name"]]')
    text = text.replace('["id_no"]', '["id_no"], ["called"]')
    text = text.replace('features = ["loans", "overdue", "usage", "queries"]', "")
    (small / "job.toml").write_text(text + JOIN_SUM)
    result = run(small, "out")
    (terms, found), *_ = result.federation.outcome.join_sums
    assert_agree(small / "out")
    shared = bureau[:220]
    assert found.shared == 220
    assert found.values[:2] == pytest.approx([shared.loans.sum(), shared.usage.mean()], abs=1e-4)
    assert found.kept.tolist() == [True, True, False]
    partner = result.federation.outcomes["bureau"]
    assert len(partner.rows) == len(result.federation.outcome.rows) == 0
    html = (small / "out" / "report.html").read_text()
    assert "over all shared consumers" in html
    assert "sum of loans" in html
    (summed,) = json.loads((small / "out" / "metrics.json").read_text())["join_sums"]
    assert (summed["partner"], summed["shared"]) == ("bureau", 220)
    assert next(iter(summed["values"].values())) == pytest.approx(shared.loans.sum())
    assert list(summed["values"].values())[2] is None
    lines = read_ledger(small / "out" / "parties" / "bureau" / "ledger.jsonl")
    told = [line["body"] for line in lines if line["kind"] == "disclosure"]
    assert [t["to"] for t in told if t["step"] == "join_sum bureau"] == ["bank", "bureau"]
    alike = [t["to"] for t in told if "how many of their keys are the same" in t["learns"]]
    assert alike == ["bureau", "bank"]
    assert terms.minimum_group == 20


def test_a_job_of_branches_names_no_entity(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    tables = {}
    for name in ("north", "south"):
        x = rng.normal(size=(400, 2))
        bad = (rng.random(400) < 1 / (1 + np.exp(-x @ [1.0, -1.0]))).astype(int)
        tables[f"{name}.t"] = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "bad": bad})
    parties = [{"name": n, "table": f"{n}.t", "features": ["a", "b"]} for n in ("north", "south")]
    train = {"task": "t", "split": "horizontal", "label": "bad", "folds": 2, "row_bits": 50}
    job = {"job": {"name": "n", "purpose": "p"}, "party": parties, "train": train}
    run_job(Job.load(job), open_tables(tables), tmp_path / "out")
    assert_agree(tmp_path / "out")
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["entity"] is None
    assert len(metrics["fold_aucs"]) == 2
