"""What an officer reads of a contract, and what no contract may say to deceive him."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from federated.approval.inbox import Inbox
from federated.cli.node import app
from federated.contract.completion import complete
from federated.contract.negotiation import check_draft, derived
from federated.contract.summary import asked_of, in_words, look_twice
from federated.contract.terms import AmountTerms, CategoryTerms, Contract
from federated.store.plain import canonical, to_plain
from psi.protocol import PeerError
from tests.unit.test_officer import contract, desk, request

TRADE = CategoryTerms(
    partner="bureau",
    category="trade",
    categories=("retail",),
    segment="segment",
    amounts=(AmountTerms("balance", 0, 9),),
    noise="laplace",
    epsilon=100,
    minimum_group=3,
    key_bits=2048,
)


def with_trade(made: Contract) -> Contract:
    """The same with a table by a category of the bureau's."""
    made = replace(made, category=(TRADE,))
    for name, column in (("bank", "balance"), ("bureau", "trade")):
        mine = made.party(name)
        made = made.with_party(replace(mine, measures=(*mine.measures, column)))
    return made


@pytest.mark.parametrize(
    "change",
    [
        lambda c: replace(c, purpose="fraud"),
        lambda c: replace(c, receiver="bureau"),
        lambda c: replace(c, retention_days=3650),
        lambda c: replace(c, align=tuple(replace(a, minimum_overlap=0) for a in c.align)),
        lambda c: replace(c, aggregate=tuple(replace(a, minimum_group=3) for a in c.aggregate)),
        lambda c: replace(c, train=tuple(replace(t, evaluations=9) for t in c.train)),
        lambda c: replace(c, train=tuple(replace(t, noise="1") for t in c.train)),
        lambda c: replace(c, train=tuple(replace(t, folds=20) for t in c.train)),
        lambda c: replace(c, train=tuple(replace(t, folds=0, fold_evaluations=0) for t in c.train)),
        lambda c: replace(c, train=(*c.train, *c.train)),
        lambda c: c.with_party(replace(c.party("bank"), features=("balance",))),
        lambda c: replace(c, expires=c.expires + 1),
        lambda c: replace(c, seed=8),
        lambda c: replace(c, disclosures=c.disclosures[1:]),
    ],
)
def test_a_final_contract_is_the_one_that_follows_from_its_draft(
    tmp_path: Path, change: Callable[[Contract], Contract]
) -> None:
    asked = contract(tmp_path)
    check_draft(asked)
    filled = asked
    for terms in asked.parties:
        filled = filled.with_party(
            replace(terms, rows=200, snapshot="ab", design_columns=(4,) * len(filled.train))
        )
    made = derived(asked, filled, complete)
    assert made == derived(asked, made, complete)
    assert made.train[0].noise == "0"
    final = change(made)
    assert final != derived(asked, final, complete)


@pytest.mark.parametrize(
    "text",
    ["a\x1b[2Jb", "a\nPurpose: fraud", "a\u202eb", "a\x00", "a\u200bb", "e\u0301", "x" * 201],
)
def test_texts_that_would_deceive_an_officer_are_no_contract(tmp_path: Path, text: str) -> None:
    made = contract(tmp_path)
    column = replace(made.party("bureau"), features=(text,))
    for bad in (replace(made, purpose=text), replace(made, job=text)):
        with pytest.raises(PeerError):
            Contract.from_bytes(bad.to_bytes())
    if len(text) < 200:
        with pytest.raises(PeerError):
            Contract.from_bytes(made.with_party(column).to_bytes())


def spoiled(value: Any, text: str) -> Iterator[Any]:
    """`value` with one of its texts replaced, for each of them."""
    if isinstance(value, str):
        yield text
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from (value | {key: other} for other in spoiled(entry, text))
    elif isinstance(value, list):
        for place, entry in enumerate(value):
            for other in spoiled(entry, text):
                yield [*value[:place], other, *value[place + 1 :]]


def test_no_text_of_a_contract_may_hold_what_a_terminal_obeys(tmp_path: Path) -> None:
    whole = with_trade(contract(tmp_path))
    assert Contract.from_bytes(whole.to_bytes()) == whole
    tried = list(spoiled(to_plain(whole), "a\x1b[2Jb"))
    assert len(tried) > 60
    for bad in tried:
        with pytest.raises(PeerError):
            Contract.from_bytes(canonical(bad))


def test_names_with_markup_are_shown_as_they_are_and_pointed_out(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text('version = 1\nname = "bureau"\nhub = "nowhere:1"\n')
    made = contract(tmp_path)
    columns = ("<script>alert(1)</script>", "loans, overdue")
    hostile = replace(made.party("bureau"), features=columns)
    made = made.with_party(replace(made.party("bank"), labels=("`id`",)))
    made = replace(made, train=tuple(replace(t, label="`id`") for t in made.train))
    desk(tmp_path)
    Inbox(tmp_path / "desk").put(request(made.with_party(hostile)), time.time() + 60)
    home = ["--home", str(tmp_path)]
    shown = CliRunner().invoke(app, ["show", "0101", *home]).output
    assert "for training: <script>alert(1)</script>, loans, overdue" in shown
    twice = shown.split("Look twice")[1]
    assert "column <script>alert(1)</script>: looks like markup" in twice
    assert "column loans, overdue: one name that reads like more than a name" in twice
    assert "column `id`: looks like markup" in twice
    assert shown.isascii()
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("held", "said"),
    [("RETAIL", "none of 3 values are among the job's 1 categories"), ("retail", "")],
)
def test_an_officer_is_told_where_his_categories_are_written_otherwise(
    tmp_path: Path, held: str, said: str
) -> None:
    """All rows counted as (other), and nobody but the analyst of another party was told why."""
    (tmp_path / "node.toml").write_text('version = 1\nname = "bureau"\nhub = "nowhere:1"\n')
    (tmp_path / "tables.toml").write_text('[bureau.people]\npath = "people.csv"\n')
    (tmp_path / "people.csv").write_text(f"id_no,trade\n1,{held}\n2,{held}\n3,\n4,{held}\n")
    desk(tmp_path)
    made = with_trade(contract(tmp_path))
    Inbox(tmp_path / "desk").put(request(made), time.time() + 60)
    shown = CliRunner().invoke(app, ["show", "0101", "--home", str(tmp_path)]).output
    assert shown.count("categories, all others count as (other)") == bool(said)
    assert said in shown
    (tmp_path / "people.csv").unlink()  # or a user who may not read it
    shown = CliRunner().invoke(app, ["show", "0101", "--home", str(tmp_path)]).output
    assert "What it asks of bureau" in shown
    assert "among the job's" not in shown


def test_what_an_officer_reads(tmp_path: Path) -> None:
    made = contract(tmp_path)
    lines = asked_of(made, "bureau")
    assert lines[0] == "table bureau.people"
    assert "  to match by: id_no (text)" in lines
    assert "  for training: loans, overdue, usage, queries" in lines
    text = "\n".join(in_words(made))
    assert "bank learns which of its own records bureau has" in text
    assert "rows not told yet" in text
    assert look_twice(made) == []
    columns = ("[red]x[/]", "..", "a; drop table")
    odd = replace(made, purpose="<b>none</b>", job="ret\u0435ntion")
    odd = odd.with_party(replace(made.party("bureau"), features=columns))
    found = "\n".join(f"{one.what}: {one.why}" for one in look_twice(odd))
    for what in ("purpose", "column [red]x[/]", "column ..", "column a; drop table"):
        assert f"{what}: looks like" in found
    assert "job: letters of Cyrillic and Latin" in found
