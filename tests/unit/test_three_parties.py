"""Three parties: the label party aligns with each partner, and tells each what all share."""

from __future__ import annotations

from pathlib import Path

import pytest

from federated.contract.terms import Contract
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
