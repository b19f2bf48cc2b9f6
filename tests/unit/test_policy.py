"""A policy says no to whatever it does not allow, and its file is read strictly."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pyarrow as pa
import pytest

from federated.approval.policy import STEPS, Limits, Policy, Proposals, Rule
from federated.approval.policy_file import NEW_POLICY, load_policy
from federated.approval.policy_words import doubts, in_words
from federated.contract.completion import complete
from federated.contract.terms import CategoryTerms, Contract, Measure, PartyTerms
from federated.keys.party_keys import PartyKeys
from federated.releases.limits import NEW_LABEL_BITS, ReleaseLimits
from federated.tables.bindings import TablesFile
from federated.tables.source import FileSource, MemorySource
from profiles.job import Job
from profiles.proposal import draft
from psi.protocol import Declined, JobError
from tests.e2e.conftest import JOB

IDS = {name: PartyKeys.generate(name).identity for name in ("bank", "bureau")}
NOON = dt.datetime(2026, 11, 25, 12, 0)  # a Wednesday
PEOPLE = pa.table({name: ["1"] for name in ("id_no", "loans", "overdue", "usage", "queries")})


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    path = tmp_path_factory.mktemp("job") / "job.toml"
    path.write_text(JOB)
    return draft(Job.load(path), IDS, bytes(range(32)), time.time())


def source(**permissions: str) -> MemorySource:
    return MemorySource({"bureau.people": PEOPLE}, {"bureau.people": permissions})


Change = Callable[[Contract], Contract]


def _align(**changes: object) -> Change:
    return lambda c: replace(c, align=tuple(replace(a, **changes) for a in c.align))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("policy", "change", "said"),
    [
        (Policy(proposals=Proposals(parties=("registry",))), None, "proposer 'bank' asked"),
        (Policy(proposals=Proposals(purposes=("fraud",))), None, "purpose 'retention' asked"),
        (Policy(proposals=Proposals(entities=("company",))), None, "entity 'consumer' asked"),
        (Policy(proposals=Proposals(receivers=("bureau",))), None, "receiver 'bank' asked"),
        (Policy(proposals=Proposals(valid_hours=2)), None, "validity in hours: 24 asked"),
        (Policy(proposals=Proposals(retention_days=7)), None, "retention in days: 30 asked"),
        (Policy(limits=Limits(reveal=("receiver",))), None, "reveal 'both' asked"),
        (
            Policy(limits=Limits(duplicates=("collapse",))),
            _align(duplicates="join"),
            "duplicates 'join' asked, collapse allowed",
        ),
        (Policy(limits=Limits(protocols=("none",))), None, "protocol 'ecdh' asked"),
        (Policy(limits=Limits(suites=("ed25519",))), None, "suite 'ecdh-curve25519"),
        (
            Policy(limits=Limits(protocols=("ecdh", "vole"))),
            _align(protocol="vole-malicious", alternative=""),
            "protocol 'vole-malicious' asked",
        ),
        (Policy(limits=Limits(minimum_overlap=51)), None, "a minimum overlap of 50 asked"),
        (Policy(limits=Limits(minimum_group=11)), None, "groups of 10 asked, at least 11"),
        (Policy(limits=Limits(minimum_checked_by="partner")), None, "by the partner allowed"),
        (Policy(limits=Limits(largest_set=99)), None, "largest set: 10000000 asked, at most 99"),
        (Policy(limits=Limits(keep_tags_days=1)), _align(keep_tags_days=2), "days of kept tags"),
        (Policy(limits=Limits(key_bits=3072)), None, "key of 2048 bits asked, at least 3072"),
        (Policy(unlisted="never"), None, "asked as aggregate, never allowed"),
        (Policy(unlisted="aggregate"), None, "asked as feature, aggregate allowed"),
        (Policy(columns={"bureau.people": {"usage": "never"}}), None, "'usage' of bureau.people"),
        (Policy(columns={"bureau.people": {"id_no": "never"}}), None, "'id_no' .* asked as key"),
    ],
)  # fmt: skip
def test_what_a_policy_refuses(
    contract: Contract, policy: Policy, change: Change | None, said: str
) -> None:
    asked = change(contract) if change else contract
    with pytest.raises(Declined, match=said):
        policy.approve(asked, asked.party("bureau"), source())


def test_the_floors_allow_an_ordinary_job(contract: Contract) -> None:
    Policy().approve(contract, contract.party("bureau"), source())


def test_who_may_propose_does_not_bind_this_partys_own_jobs(contract: Contract) -> None:
    policy = Policy(proposals=Proposals(parties=("registry",)))
    policy.approve(contract, contract.party("bank"), MemorySource({"bank.consumers": PEOPLE}))


def test_a_policy_narrows_what_the_table_allows_and_never_widens_it() -> None:
    policy = Policy(columns={"t": {"a": "label", "*": "aggregate"}}, unlisted="never")
    assert policy.permission("t", "a", "feature") == "feature"
    assert policy.permission("t", "b", "feature") == "aggregate"
    assert policy.permission("t", "b", "") == "aggregate"
    assert policy.permission("u", "b", "") == "never"


def test_keys_that_the_owner_named_are_the_only_ones(contract: Contract, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id_no,loans,overdue,usage,queries\n1,1,1,1,1\n")
    (tmp_path / "tables.toml").write_text(
        '[bureau.people]\npath = "t.csv"\nkeys = ["id_no"]\npermissions = { id_no = "never" }\n'
    )
    tables, me = FileSource(TablesFile.load(tmp_path / "tables.toml")), contract.party("bureau")
    Policy().approve(contract, me, tables)  # a key is for matching, whatever else it is not for
    probing = replace(me, keys=(("loans",),))
    with pytest.raises(Declined, match=r"'loans' .* asked as key, no such key allowed"):
        Policy().approve(contract.with_party(probing), probing, tables)


def test_every_column_that_is_refused_is_named_at_once(contract: Contract) -> None:
    me = replace(contract.party("bureau"), features=("loans", "overdue", "usage", "queries"))
    section = replace(contract.aggregate[0], measures=(Measure("secret", "mean"),))
    asked = replace(contract, aggregate=(section,))
    asked = asked.with_party(replace(me, measures=("secret",)))
    tables = source(loans="aggregate", usage="aggregate", queries="never", secret="never")
    with pytest.raises(Declined) as said:
        Policy().approve(asked, asked.party("bureau"), tables)
    assert said.value.message == (
        "column 'secret' of bureau.people asked as aggregate, never allowed by its owner; "
        "columns 'loans', 'usage' of bureau.people asked as feature, aggregate allowed by its "
        "owner; column 'queries' of bureau.people asked as feature, never allowed by its owner"
    )
    many = replace(asked.party("bureau"), features=tuple(f"c{n}" for n in range(7)))
    with pytest.raises(Declined, match=r"columns 'c0', .*'c4' and 2 more of bureau.people"):
        Policy(unlisted="never").approve(asked.with_party(many), many, tables)


def _trained(contract: Contract, rows: int, columns: int, **terms: object) -> Contract:
    """Whole, with a training of such terms between tables of so many rows."""
    train = tuple(replace(t, **terms) for t in contract.train)  # type: ignore[arg-type]
    made = replace(contract, train=train)
    for party in made.parties:
        facts = replace(party, rows=rows, design_columns=(columns,), protocols=("ecdh",))
        made = made.with_party(facts)
    return complete(made)


def test_a_training_opens_as_much_as_policy_lets(contract: Contract) -> None:
    asked = {"evaluations": 10, "folds": 5, "fold_evaluations": 0}
    many, few = _trained(contract, 20_000, 4, **asked), _trained(contract, 900, 60, **asked)
    assert (many.train[0].noise, few.train[0].noise) == ("1", "0")
    policy, me = Policy(limits=Limits(train_noise=1.0, sums_a_row=1.0)), contract.party("bureau")
    policy.approve(contract, me, source())  # a draft leaves it open
    policy.approve(many, me, source())
    with pytest.raises(Declined, match=r"noise of 0.5 asked, at least 1 .* from 16,384 rows on"):
        policy.approve(_trained(contract, 20_000, 4, noise="0.5"), me, source())
    policy.approve(_trained(contract, 900, 60, noise="0.5", **asked), me, source())
    with pytest.raises(Declined, match=r"opens [\d,]+ sums without noise to one side, at most 900"):
        policy.approve(few, me, source())
    Policy().approve(few, me, source())
    policy.approve(_trained(contract, 2000, 60, **asked), me, source())


def test_a_key_is_for_matching_unless_its_owner_says_more(contract: Contract) -> None:
    section = replace(contract.aggregate[0], measures=(Measure("id_no", "mean"),))
    me = replace(contract.party("bureau"), measures=("id_no",))
    asked = replace(contract.with_party(me), aggregate=(section,))
    asked.check()
    for said in ({}, {"id_no": "never"}):
        with pytest.raises(Declined, match=r"'id_no' .* asked as aggregate, never"):
            Policy().approve(asked, me, source(**said))
    Policy().approve(asked, me, source(id_no="aggregate"))
    named = Policy(columns={"bureau.people": {"id_no": "aggregate"}})
    named.approve(asked, me, source())


KEYS = ("id_no",)
"""What the owner of a table has named as keys."""


def test_a_rule_speaks_for_the_columns_that_steps_use(contract: Contract) -> None:
    """One for others would sign a category that nobody has looked at."""
    rule = Rule(name="loans", columns=("loans", "usage", "overdue", "queries"))
    me = contract.party("bureau")
    assert Policy(rules=(rule,)).rule(contract, me, KEYS) == rule
    trade = CategoryTerms(
        partner="bureau",
        category="trade",
        categories=("steel",),
        segment="",
        amounts=(),
        noise="laplace",
        epsilon=100,
        minimum_group=20,
        key_bits=3072,
    )
    asked = replace(contract, category=(trade,))
    assert Policy(rules=(rule,)).rule(asked, me, KEYS) is None
    mine = asked.party("bank")
    assert (
        Policy(rules=(replace(rule, columns=("balance", "tenure")),)).rule(asked, mine, KEYS)
        is None
    )


@pytest.mark.parametrize("table", ["bureau.../../etc/passwd", 'bureau.people"; drop table x', "no"])
def test_tables_with_paths_or_sql_in_their_names_are_not_there(
    contract: Contract, tmp_path: Path, table: str
) -> None:
    (tmp_path / "tables.toml").write_text('[bureau.people]\npath = "t.csv"\n')
    tables = FileSource(TablesFile.load(tmp_path / "tables.toml"))
    me: PartyTerms = replace(contract.party("bureau"), table=table)
    with pytest.raises(Declined, match="is not bound at this party"):
        Policy().approve(contract.with_party(me), me, tables)


def test_who_may_call_and_when() -> None:
    policy = Policy(
        proposals=Proposals(
            parties=("bank",), days=("wed",), hours=(9 * 60, 17 * 60),
            fingerprints=(IDS["bank"].fingerprint.upper(), IDS["bureau"].fingerprint),
        )
    )  # fmt: skip
    both = list(IDS.values())
    policy.admit("bank", both, NOON)
    for proposer, parties, now, said in (
        ("bureau", both, NOON, "proposer 'bureau' asked, bank allowed"),
        ("bank", both, NOON + dt.timedelta(days=1), "at this hour"),
        ("bank", both, NOON.replace(hour=17), "at this hour"),
        ("bank", [*both, PartyKeys.generate("bank").identity], NOON, "the key of bank"),
    ):
        with pytest.raises(Declined, match=said):
            policy.admit(proposer, parties, now)


def test_rules_match_all_their_conditions(contract: Contract) -> None:
    me = contract.party("bureau")
    full = Rule(
        name="churn", parties=("bank",), purposes=("retention",), tables=("bureau.people",),
        columns=("loans", "overdue", "usage", "queries"), steps=STEPS, reveal=("both",),
    )  # fmt: skip
    assert Policy(rules=(full,)).rule(contract, me, KEYS) == full
    for other in (
        replace(full, parties=("registry",)),
        replace(full, purposes=("fraud",)),
        replace(full, tables=("bureau.other",)),
        replace(full, columns=("loans",)),
        replace(full, steps=("align",)),
        replace(full, reveal=("receiver",)),
        replace(full, largest_set=10),
    ):
        assert Policy(rules=(other,)).rule(contract, me, KEYS) is None
    assert Policy().rule(contract, me, KEYS) is None


def test_every_kind_of_step_is_known_to_the_policy() -> None:
    empty = {f.name for f in fields(Contract) if "Terms" in str(f.type)} - {"parties", "series"}
    assert empty == set(STEPS)


def test_the_policy_of_a_new_node(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(NEW_POLICY)
    policy = load_policy(tmp_path / "policy.toml")
    assert policy.rules == ()
    assert policy.unlisted == "never"
    assert policy.officers.four_eyes
    assert policy.limits.key_bits == 3072
    assert policy.limits.duplicates == ("collapse",)
    assert load_policy(tmp_path / "none.toml").rules == ()
    assert "no rule approves anything by itself" in in_words(policy)
    said = "\n".join(in_words(policy))
    assert "at most 40% of the bits that a row holds, and all but 7 of them" in said
    assert "noised answers on one column of epsilon 1 together for all purposes" in said
    assert "at most 4 numbers a record" in said
    assert "20 distinct thresholds" in said
    lines = [line.removeprefix("# ") for line in NEW_POLICY.splitlines()]

    whole = "\n".join(lines[4:])  # the examples in comments hold too
    (tmp_path / "policy.toml").write_text(whole)
    loaded = load_policy(tmp_path / "policy.toml")
    assert loaded.rules[0].columns == ("open_loans", "overdue_12m")
    assert doubts(loaded, {}) == ["[columns] bureau.repayment: no such table in tables.toml"]


def test_a_new_node_sets_every_budget_tighter_than_the_floors_or_as_tight(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(NEW_POLICY)
    new, floor, text = load_policy(tmp_path / "policy.toml"), Policy(), NEW_POLICY
    budgets = {
        "releases": {f.name for f in fields(ReleaseLimits)} - {"purposes", "epsilon"},
        "limits": {
            "score_vectors",
            "largest_epsilon",
            "keep_tags_days",
            "keep_tags_items",
            "sums_a_row",
        },
        "proposals": {"rows_a_day", "jobs_a_day", "open", "retention_days"},
    }
    for section, names in budgets.items():
        for name in names:
            assert f"\n{name} = " in text
            given = getattr(getattr(new, section), name)
            assert given <= getattr(getattr(floor, section), name)
    assert new.releases == ReleaseLimits(
        epsilon_per_column=1.0, thresholds_per_column=20, label_bits=NEW_LABEL_BITS
    )
    assert (new.limits.score_vectors, new.limits.largest_epsilon) == (4, 1000)
    assert (new.limits.train_noise, floor.limits.train_noise) == (1.0, 0.0)
    assert doubts(replace(new, releases=ReleaseLimits(row_share=1.0)), {}) == [
        "[releases] row_share: whole rows may be told"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[proposal]\n", r"policy.toml:  proposal: unknown key"),
        ("[proposals]\nfrm = []\n", r"\[proposals\] frm: unknown key"),
        ("[proposals]\nfrom = 'bank'\n", r"\[proposals\] from: 'bank' found, a list of texts"),
        ("[proposals]\nhours = '9-17'\n", r"hours: '9-17' found, \"HH:MM-HH:MM\""),
        ("[proposals]\nhours = '18:00-08:00'\n", "within one day"),
        ("[proposals]\ndays = ['monday']\n", "days: 'monday' found, mon or tue"),
        ("[proposals]\nfingerprints = ['abc']\n", "40 hexadecimal digits"),
        ("[proposals]\njobs_a_day = -1\n", "jobs_a_day: -1 found, 0 to"),
        ("[limits]\nkey_bits = 1024\n", "key_bits: 1024 found, 2048 to 8192"),
        ("[limits]\nminimum_group = 2\n", "minimum_group: 2 found, 3 to"),
        ("[limits]\nreveal = ['all']\n", "reveal: 'all' found, both or receiver"),
        ("[limits]\nprotocols = ['hash']\n", "protocols: 'hash' found"),
        ("[officers]\nfour_eyes = 'no'\n", "four_eyes: 'no' found, true or false"),
        ("[columns]\nunlisted = 'some'\n", "unlisted: 'some' found, never or"),
        ("[columns]\n'b.t' = {a = 'all'}\n", "b.t.a: 'all' found, never or"),
        ("[columns]\n'b.t' = 'never'\n", "b.t: 'never' found, a table"),
        ("[[approve]]\nfrom = []\n", "name: missing"),
        ("[[approve]]\nname = 'a'\n[[approve]]\nname = 'a'\n", "used twice"),
        ("[[approve]]\nname = 'a'\njobs = 0\n", "jobs: 0 found, 1 to"),
        ("[[approve]]\nname = 'a'\nuntil = 'soon'\n", "until: 'soon' found, a day as 2027-11-30"),
        ("[[approve]]\nname='a'\njobs=1\n[retention]\nrequests_days=90\n", "365 needed"),
        ("[[approve]]\nname='a'\njobs=1\n[retention]\njobs_days=90\n", "jobs_days = 90 found"),
        ("[approve]\nname = 'a'\n", r"write \[\[approve\]\]"),
        ("[proposals\n", "not TOML"),
    ],
)
def test_mistakes_in_the_file_are_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "policy.toml").write_text(text)
    with pytest.raises(JobError, match=said):
        load_policy(tmp_path / "policy.toml")
