"""Three parties: the label party aligns with each partner, and tells each what all share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from federated.contract.terms import Contract
from federated.models import LinearPart
from profiles.federation import federate
from profiles.job import Job
from profiles.tables import open_tables
from psi.protocol import JobError, Refused

PARTIES = ("bank", "bureau", "telco")
HEAD = """
[job]
name = "who we share"
purpose = "count"
"""
PARTY = """
[[party]]
name = "NAME"
table = "NAME.people"
keys = [["id"], ["tel"]]
"""
ALIGN = """
[align]
minimum_overlap = 1
"""
ROWS: dict[str, list[tuple[str | None, str | None]]] = {
    # tel 2 of the bank's row 2 is that of the bureau's row 0, which row 0 of the bank has by its id
    "bank": [("a", "1"), ("b", None), (None, "2"), ("d", "4"), ("e", "5"), (None, None)],
    "bureau": [("a", "2"), ("x", "5"), ("d", "9"), ("b", "0")],
    "telco": [("e", "0"), ("q", "4"), ("a", "7"), ("z", "2")],
}


def write(folder: Path, align: str = ALIGN) -> Path:
    text = HEAD + "".join(PARTY.replace("NAME", name) for name in PARTIES) + align
    (folder / "job.toml").write_text(text)
    tables = ""
    for name in PARTIES:
        lines = [f"{one or ''},{tel or ''}\n" for one, tel in ROWS[name]]
        (folder / f"{name}.csv").write_text("id,tel\n" + "".join(lines))
        tables += f'[{name}.people]\npath = "{name}.csv"\n'
    (folder / "tables.toml").write_text(tables)
    return folder / "job.toml"


def learned(contract: Contract, party: str) -> list[tuple[str, str]]:
    return [(d.step, d.learns) for d in contract.disclosures if d.to == party]


def test_each_intersection_is_listed_and_rows_follow_the_label_party(tmp_path: Path) -> None:
    job, tables = Job.load(write(tmp_path)), open_tables(tmp_path / "tables.toml")
    found = federate(job, dict.fromkeys(PARTIES, tables), tmp_path / "out")
    alone = found.outcome.alignments
    # a record is paired once, by its best key: row 2 of the bank finds the bureau's row 0 taken
    assert alone["bureau"].rows.tolist() == [0, 1, 3, 4]
    assert alone["bureau"].grade.tolist() == [0, 0, 0, 1]
    assert alone["telco"].rows.tolist() == [0, 2, 3, 4]
    assert alone["telco"].grade.tolist() == [0, 1, 1, 0]
    assert found.outcome.rows.tolist() == [0, 3, 4]
    assert found.outcomes["bureau"].rows.tolist() == [0, 2, 1]
    assert found.outcomes["telco"].rows.tolist() == [2, 1, 0]
    for partner, other in (("bureau", "telco"), ("telco", "bureau")):
        told = learned(found.contract, partner)
        assert (f"align {partner}", "which of its own records bank has") in told
        assert ("select", "which of its shared records all parties of the job have") in told
        assert not any(other in f"{step} {what}" for step, what in told)
        mine = (f"align {partner}", f"which of its own records {partner} has")
        assert mine in learned(found.contract, "bank")


def test_joined_duplicates_of_several_partners_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, ALIGN + 'duplicates = "join"\n')
    with pytest.raises(JobError, match="'join' found, collapse allowed with 3 parties"):
        Job.load(path)
    write(tmp_path, ALIGN + 'duplicates = "join"\nreveal = "receiver"\n')
    assert Job.load(path).align is not None


def test_the_partner_that_shares_too_few_is_named(tmp_path: Path) -> None:
    job, tables = Job.load(write(tmp_path)), open_tables(tmp_path / "tables.toml")
    (tmp_path / "telco.csv").write_text("id,tel\nn,77\nm,78\n")
    with pytest.raises(Refused, match="with telco: 0 shared records found, at least 1 needed"):
        federate(job, dict.fromkeys(PARTIES, tables), tmp_path / "out")


def test_a_training_with_two_partners_is_scikit_learns(tmp_path: Path) -> None:
    """A whole job in memory; over the router it is in tests/e2e/test_hub_four_parties.py."""
    rng, rows = np.random.default_rng(5), 400
    x = rng.normal(size=(rows, 5))
    label = (rng.random(rows) < 1 / (1 + np.exp(-x @ [0.8, -0.7, 0.6, 0.5, -0.4]))).astype(int)
    held = {"bank": [0], "bureau": [1, 2], "telco": [3, 4]}
    text = HEAD + "key_bits = 2048\n"
    for name, columns in held.items():
        features = [f"x{at}" for at in columns]
        text += PARTY.replace("NAME", name).replace('[["id"], ["tel"]]', '[["id"]]')
        text += f"features = {features}\n".replace("'", '"')
        order = rng.permutation(rows)
        lines = [",".join(["id", *features, *["y"] * (name == "bank")])]
        for row in order:
            values = [f"{x[row, at]:.12f}" for at in columns]
            lines.append(",".join([f"p{row}", *values, *[str(label[row])] * (name == "bank")]))
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    text += ALIGN + '[train]\ntask = "leaves"\nlabel = "bank.y"\nfolds = 0\nnoise = 0\n'
    (tmp_path / "job.toml").write_text(text)
    tables = "".join(f'[{name}.people]\npath = "{name}.csv"\n' for name in PARTIES)
    (tmp_path / "tables.toml").write_text(tables)
    job, found = Job.load(tmp_path / "job.toml"), open_tables(tmp_path / "tables.toml")
    done = federate(job, dict.fromkeys(PARTIES, found), tmp_path / "out")
    parts = [done.outcome.trained[0].part, *(done.outcomes[p].parts["leaves"] for p in PARTIES[1:])]
    assert all(isinstance(part, LinearPart) for part in parts)
    got = np.concatenate([part.coefficients for part in parts if isinstance(part, LinearPart)])
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    wanted = LogisticRegression(C=1.0, tol=1e-10, max_iter=5000).fit(scaled, label).coef_[0]
    assert np.abs(got - wanted).max() < 0.02
    (told,) = (d for d in done.contract.disclosures if d.line == "train.score_bits")
    assert "(their sum only)" in told.learns
