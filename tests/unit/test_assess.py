"""The impact assessment: every sentence in both languages, every figure a measured one."""

from __future__ import annotations

import json
import re
import string
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from federated.approval.inbox import Inbox
from federated.approval.policy import Officers, Policy, Retention
from federated.approval.policy_file import NEW_POLICY, load_policy
from federated.assess import document
from federated.assess.attacks import ATTACKS, attacks_on
from federated.assess.document import Document, Table, assessment
from federated.assess.render import to_html, to_markdown
from federated.assess.words import LANGUAGES, learns, say, words
from federated.cli.node import app
from federated.contract.disclosures import disclosures
from federated.contract.terms import Contract
from federated.node.home import NodeHome
from federated.releases.row_bits import RowBits, row_bits
from tests.unit.test_kinds import CONTRACTS
from tests.unit.test_officer import contract as proposed
from tests.unit.test_officer import request

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "attack.json"
CHINESE = re.compile("[\u4e00-\u9fff]")


def contracts() -> dict[str, Contract]:
    """Those of all kinds, and what else an assessment speaks of."""
    made = dict(CONTRACTS)
    based = made["joined"]
    bank = replace(
        based.party("bank"), basis="bank.consents", legal_entities="admit",
        data_classes=("bureau", "sensitive"), rows=0,
    )  # fmt: skip
    more = tuple(replace(align, keep_tags_days=30) for align in based.align)
    made["company"] = replace(based.with_party(bank), align=more, entity="company")
    entities = {"risk": "government", "marketing": "consumer", "service": "consumer"}
    for name, entity in (entities | {"research": "consumer"}).items():
        made[name] = replace(based, purpose_class=name, entity=entity)
    return made


BITS = RowBits(
    party="bureau", receiver="bank", columns=("b", "c"), asked=5.2, told=1.0, held=14.3, allowed=5.7
)
NEW = NEW_POLICY


def made(contract: Contract, lang: str, tmp_path: Path) -> list[Document]:
    (tmp_path / "policy.toml").write_text(NEW)
    new = load_policy(tmp_path / "policy.toml")
    other = Policy(officers=Officers(four_eyes=False), retention=Retention(by_timer=False))
    found = [assessment(contract, "bureau", new, BITS, lang)]
    found.append(assessment(contract, "bank", other, None, lang))
    unknown = replace(BITS, held=None, allowed=None)
    return [*found, assessment(contract, "bureau", new, unknown, lang)]


def test_every_sentence_is_in_both_languages_and_says_the_same_things() -> None:
    for part in ("sentences", "learns"):
        for key, (english, chinese) in words(part).items():
            fields = [
                sorted({name for _, name, _, _ in string.Formatter().parse(text) if name})
                for text in (english, chinese)
            ]
            assert fields[0] == fields[1], key
            if key == "bits.exact":
                continue
            assert english.strip(), key
            assert not CHINESE.search(english), key
            assert CHINESE.search(chinese), key


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_sentence_is_idle_and_none_is_missing(
    lang: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = set[str]()

    def noted(key: str, lang: str, /, **values: object) -> str:
        asked.add(key)
        return say(key, lang, **values)

    monkeypatch.setattr(document, "say", noted)
    empty = replace(CONTRACTS["joined"], align=(), aggregate=(), category=(), train=())
    for contract in (*contracts().values(), empty):
        for whole in made(contract, lang, tmp_path):
            for section in whole.sections:
                assert section.parts
                for part in section.parts:
                    found = bool(CHINESE.search(part if isinstance(part, str) else part.head[0]))
                    assert found is (lang == "zh")
    assert asked == set(words("sentences"))


def test_all_that_is_told_stands_in_the_document_with_its_signed_words(tmp_path: Path) -> None:
    lines = set[str]()
    for one in contracts().values():
        told = disclosures(one)
        contract = replace(one, disclosures=told)
        for lang in LANGUAGES:
            (learn,) = (
                part
                for part in made(contract, lang, tmp_path)[0].sections[3].parts
                if isinstance(part, Table)
            )
            assert [(row[0], row[2]) for row in learn.rows] == [(e.to, e.learns) for e in told]
        lines |= {entry.line for entry in told}
    assert lines <= set(words("learns")), "a disclosure without a sentence"
    assert learns("another", "zh") == "见合同原文"


def test_figures_are_the_measured_ones() -> None:
    rows = json.loads(RESULTS.read_text())
    for attack in ATTACKS:
        data, who, what = attack.case
        found = [
            row["metrics"]
            for row in rows
            if row["case"].get("data", "").startswith(data)
            and row["case"].get("who", "").startswith(who)
            and row["case"].get("what", "").startswith(what)
        ]
        assert len(found) == 1, attack.case
        figure = found[0].get("figure")
        assert (None if figure is None else round(figure, 4)) == attack.gets
        assert round(found[0]["baseline"], 4) == attack.without
    assert {attack.kind for attack in ATTACKS} == {
        *(["align", "aggregate", "join_sum", "category", "train"])
    }
    assert [a.split for a in attacks_on(CONTRACTS["pooled"])] == ["horizontal"]


def test_bits_and_counts_are_those_of_the_contract(tmp_path: Path) -> None:
    contract = CONTRACTS["joined"]
    bits = row_bits(contract, "bureau")
    assert bits is not None
    whole = assessment(contract, "bureau", Policy(), bits)
    text = to_markdown(whole)
    assert f"learns {bits.asked:.1f} bits" in text.replace("\\", "")
    assert "Fewer than 20 shared records end the job" in text
    assert "Noise of epsilon 0.5" in text
    assert "0.091" in text
    del tmp_path


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append(tag)


def test_names_of_a_contract_format_nothing() -> None:
    bad = "<script>x</script> | **b** [l](http://x)"
    contract = replace(CONTRACTS["joined"], job=bad, purpose=bad, disclosures=())
    for lang in LANGUAGES:
        whole = assessment(contract, "bureau", Policy(), None, lang)
        tags = _Tags()
        tags.feed(to_html(whole))
        known = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "p"}
        known |= {"table", "thead", "tbody", "tr", "th", "td"}
        assert set(tags.found) <= known
        text = to_markdown(whole)
        assert "<script" not in text
        assert "\\*\\*b\\*\\* [l]\\(http" in text
        assert all(
            line.count("|") - line.count("\\|") in (0, 3, 4, 5, 7) for line in text.splitlines()
        )


def test_the_command_writes_a_file_of_either_kind(tmp_path: Path) -> None:
    home = NodeHome.create(tmp_path / "node", "bureau", "hub:1")
    asked = request(proposed(tmp_path, 1))
    Inbox(home.desk).put(asked, asked.received + 3600)

    def run(*words: str) -> str:
        given = ["assess", asked.id, "--home", str(home.path), *words]
        done = CliRunner().invoke(app, given, catch_exceptions=False)
        assert done.exit_code == 0
        return done.output

    assert run().startswith("# Impact assessment: ")
    assert "fill in what stands in [brackets]" in run("--lang", "zh", "--out", f"{tmp_path}/a.html")
    page = (tmp_path / "a.html").read_text("utf-8")
    assert '<html lang="zh-Hans">' in page
    assert "个人信息保护影响评估" in page
    assert (tmp_path / "a.html").stat().st_mode & 0o077 == 0
    for wrong in (("--lang", "fr"), ("--out", f"{tmp_path}/a.pdf")):
        given = ["assess", asked.id, "--home", str(home.path), *wrong]
        assert CliRunner().invoke(app, given).exit_code != 0
