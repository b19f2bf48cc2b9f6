"""Classes of purposes, classes of data, and what a new node's policy makes of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from federated.approval.policy import Policy
from federated.approval.policy_file import NEW_POLICY, load_policy
from federated.approval.policy_words import doubts, in_words
from federated.contract.purposes import PURPOSE_CLASSES, PURPOSES, class_of
from federated.contract.terms import Contract
from federated.tables.about import EVERY, About, read_about, unmarked
from federated.tables.basis import Basis
from federated.tables.bindings import table_of
from federated.tables.source import MemorySource
from profiles.federation import federate
from profiles.job import Job
from profiles.proposal import nameless_draft
from psi.protocol import Declined, JobError, PeerError

JOB = """
[job]
name = "loans"
purpose = "PURPOSE"
[[party]]
name = "bank"
table = "bank.people"
keys = [["id"]]
[[party]]
name = "bureau"
table = "bureau.people"
keys = [["id"]]
[align]
reveal = "receiver"
minimum_overlap = 100
"""
BASIS = {"bureau.people": Basis(table="bureau.consents", of="id", columns={"purpose": "purpose"})}
BUREAU = {"bureau.people": About("consumer", {EVERY: "bureau"})}


class Unread(MemorySource):
    """A source whose tables must not be read."""

    def load(self, table: str, columns: Sequence[str], *, keys: Sequence[str] = ()) -> pa.Table:
        raise AssertionError(f"{table} was read")

    def keys(self, table: str) -> tuple[str, ...]:
        return ("id",)


def unread(
    about: Mapping[str, About] | None = None, bases: Mapping[str, Basis] | None = None
) -> Unread:
    return Unread({}, bases=bases, about=about)


def drafted(purpose: str, more: str = "", entity: str = "consumer") -> Contract:
    text = JOB.replace("PURPOSE", purpose).replace("[[party]]", f"{more}\n[[party]]", 1)
    return replace(nameless_draft(Job.load(text)), entity=entity)


@pytest.fixture
def new(tmp_path: Path) -> Policy:
    (tmp_path / "policy.toml").write_text(NEW_POLICY)
    return load_policy(tmp_path / "policy.toml")


def refused(policy: Policy, contract: Contract, source: MemorySource, me: str = "bureau") -> str:
    try:
        policy.approve(contract, contract.party(me), source)
    except Declined as no:
        return no.message
    return ""


def test_every_listed_purpose_has_one_class_and_is_found_whatever_its_case() -> None:
    listed = [purpose for names in PURPOSES.values() for purpose in names]
    assert tuple(PURPOSES) == PURPOSE_CLASSES
    assert len(listed) == len(set(listed))
    assert class_of("  Credit   RISK ") == "risk"
    assert class_of("something else") == class_of("合规") == ""
    assert (class_of("信用风险"), class_of("营销")) == ("risk", "marketing")


def test_a_job_says_the_class_of_a_purpose_that_is_not_listed() -> None:
    assert drafted("retention").purpose_class == "marketing"
    assert drafted("lunch").purpose_class == ""
    assert drafted("lunch", 'purpose_class = "service"').purpose_class == "service"
    with pytest.raises(JobError, match=r"purpose_class: .risk. found, marketing for the purpose"):
        drafted("retention", 'purpose_class = "risk"')
    with pytest.raises(JobError, match="purpose_class"):
        drafted("lunch", 'purpose_class = "fun"')


def test_no_contract_calls_a_listed_purpose_otherwise() -> None:
    made = drafted("retention")
    made.check()
    for wrong in ("risk", "", "fun"):
        with pytest.raises(PeerError, match="purpose is "):
            replace(made, purpose_class=wrong).check()
    bureau = replace(made.party("bureau"), data_classes=("gossip",))
    with pytest.raises(PeerError, match="class of data"):
        made.with_party(bureau).check()


def test_bureau_data_serve_no_marketing_at_a_new_node(new: Policy) -> None:
    """And none whose class nobody has said; no table is read for it."""
    source = unread(BUREAU, BASIS)
    for purpose in ("retention", "Churn", "service planning", "lunch"):
        said = refused(new, drafted(purpose), source)
        assert "bureau data of bureau asked for" in said
        assert "risk allowed by policy" in said
    assert refused(new, drafted("credit risk"), source) == ""
    other = replace(new, data={"bureau": ("risk", "service")})
    assert refused(other, drafted("service planning"), source) == ""
    sensitive = {"bureau.people": About("consumer", {"id": "sensitive"})}
    assert "no purpose allowed" in refused(new, drafted("credit risk"), unread(sensitive, BASIS))


def test_another_partys_bureau_data_count_as_well(new: Policy) -> None:
    bases = {"bank.people": replace(BASIS["bureau.people"], table="bank.consents")}
    made = drafted("retention")
    mixed = made.with_party(replace(made.party("bureau"), data_classes=("bureau",)))
    assert refused(new, made, unread(bases=bases), "bank") == ""
    assert "bureau data of bureau" in refused(new, mixed, unread(bases=bases), "bank")


def test_a_job_on_persons_without_a_basis_is_refused_before_a_table_is_read(new: Policy) -> None:
    said = refused(new, drafted("credit risk"), unread())
    assert said == "table bureau.people states no lawful basis for its rows, one needed by policy"
    companies = {"bureau.people": About("company")}
    assert refused(new, drafted("credit risk", entity="company"), unread(companies)) == ""
    # the proposer's word on whom a job is about spares nobody the rule for persons
    assert "no lawful basis" in refused(new, drafted("credit risk", entity="company"), unread())
    said = refused(new, drafted("credit risk"), unread(companies))
    assert said == "a job about consumer asked, bureau.people is about company"
    persons = {"bureau.people": About("consumer")}
    assert "is about consumer" in refused(new, drafted("risk", entity="company"), unread(persons))


def test_a_whole_job_without_a_basis_ends_unread(new: Policy, tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text(JOB.replace("PURPOSE", "credit risk"))
    table = pa.table({"id": [str(i) for i in range(200)]})
    sources = {"bank": MemorySource({"bank.people": table}), "bureau": unread()}
    with pytest.raises(Declined, match=r"table bureau\.people states no lawful basis"):
        federate(
            Job.load(tmp_path / "job.toml"), sources, tmp_path / "home", policies={"bureau": new}
        )


def test_the_keys_of_a_table_and_their_mistakes() -> None:
    path = Path("tables.toml")
    found = table_of("b.t", {"path": "x", "entity": "company", "data_class": "bureau"}, path)
    assert found.about == About("company", {EVERY: "bureau"})
    assert table_of("b.t", {"path": "x", "synthetic": True}, path).about == About(synthetic=True)
    columns = read_about("here", None, {"x": "bureau", "y": "sensitive"})
    assert columns.persons
    assert columns.data_classes(["x", "z"]) == ("bureau",)
    assert columns.data_classes(["y", "x"]) == ("bureau", "sensitive")
    for entry, said in (
        ({"entity": "person"}, "entity: 'person' found, consumer or company or government"),
        ({"data_class": "secret"}, "data_class: 'secret' found, bureau or sensitive allowed"),
        ({"data_class": {"x": "secret"}}, r"data_class\.x: 'secret' found"),
        ({"data_class": 3}, "a text, or a table"),
        ({"synthetic": "yes"}, "synthetic: 'yes' found, true or false allowed"),
    ):
        with pytest.raises(JobError, match=said):
            table_of("b.t", {"path": "x", **entry}, path)


def test_a_policy_says_it_in_words_and_doubts_tables_that_do_not(new: Policy) -> None:
    said = "\n".join(in_words(new))
    assert "rows about natural persons are in a job by a lawful basis only" in said
    assert "bureau data serve risk purposes only; sensitive data serve no purposes" in said
    columns = {"permissions": {"overdue_12m": "feature", "征信分": "feature", "age": "feature"}}
    table = table_of("b.t", {"path": "x", **columns}, Path("tables.toml"))
    assert unmarked(table.about, table.permissions) == ["overdue_12m", "征信分"]
    assert any("may be credit-reporting data" in line for line in doubts(new, {"b.t": table}))
    assert unmarked(About("", {EVERY: "bureau"}), table.permissions) == []
