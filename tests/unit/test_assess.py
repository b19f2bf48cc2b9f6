"""The impact assessment: every sentence in both languages, every figure a measured one."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import string
import time
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
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
from federated.contract.completion import complete, foreseen
from federated.contract.disclosures import disclosures
from federated.contract.kinds.train import AUTO
from federated.contract.release import planned
from federated.contract.summary import in_words
from federated.contract.terms import Contract
from federated.keys.party_keys import PartyKeys
from federated.ledger.lines import Ledger
from federated.node.home import NodeHome
from federated.regression import MANY_ROWS
from federated.releases.limits import ReleaseLimits
from federated.releases.memory import Releases
from federated.releases.row_bits import RowBits, row_bits
from federated.store.plain import to_plain
from profiles.job import Job
from profiles.proposal import draft
from psi.protocol import InputError
from tests.unit.test_kinds import CONTRACTS, JOBS, NAMES
from tests.unit.test_officer import contract as proposed
from tests.unit.test_officer import request

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "attack.json"
IDENTITIES = {name: PartyKeys.generate(name).identity for name in NAMES}
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
    made["untold"] = based.with_party(replace(based.party("bureau"), rows=0))
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
    found = [assessment(contract, "bureau", new, BITS, lang, signed=False)]
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
    empty = replace(
        CONTRACTS["joined"], align=(), aggregate=(), category=(), train=(), disclosures=()
    )
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
    assert learns("another", "zh") == "见合约原文"


def test_figures_are_the_measured_ones() -> None:
    rows = json.loads(RESULTS.read_text())
    for attack in ATTACKS:
        data, who, what = attack.case
        found = [
            row["metrics"]
            for row in rows
            if row["case"].get("data", "").startswith(data)
            and row["case"].get("who", "").startswith(who)
            and row["case"].get("protocol", "").startswith(attack.on)
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
    assert {a.split for a in attacks_on(CONTRACTS["silent"])} >= {"hidden"}
    counted = CONTRACTS["counted"]
    listed = replace(counted, train=(replace(counted.train[0], listed=300),))
    told = [{a.split for a in attacks_on(each)} for each in (counted, listed)]
    assert told[1] - told[0] == {"list"}


def test_bits_and_counts_are_those_of_the_contract(tmp_path: Path) -> None:
    contract = CONTRACTS["joined"]
    bits = row_bits(contract, "bureau")
    assert bits is not None
    whole = assessment(contract, "bureau", Policy(), bits)
    text = to_markdown(whole)
    assert f"learns {bits.asked:.1f} bits" in text.replace("\\", "")
    assert "Fewer than 20 shared records end the job" in text
    assert "Noise of epsilon 0.5" in text
    assert "0.083" in text
    del tmp_path


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append(tag)


def drafted(**rows: int) -> Contract:
    """The draft of a training of three parties, of which some have told how many rows they have."""
    made = draft(Job.load(JOBS["three"]), IDENTITIES, bytes(32), time.time())
    for name, count in rows.items():
        made = made.with_party(replace(made.party(name), rows=count))
    assert made.train[0].noise == AUTO
    return made


def told(contract: Contract, *, signed: bool = False, bits: RowBits | None = None) -> str:
    return to_markdown(assessment(contract, "bureau", Policy(), bits, signed=signed)).replace(
        "\\", ""
    )


def test_a_basis_that_is_not_told_yet_is_not_said_to_be_none() -> None:
    contract = drafted(bank=5000)
    text = told(contract)
    assert "| telecom | not told by the draft" in text
    assert "| bank | states no lawful basis" in text
    whole = CONTRACTS["three"]
    telecom = replace(whole.party("telecom"), basis="telecom.consents")
    text = told(whole.with_party(telecom), signed=True)
    assert "| telecom | only rows with a basis" in text
    assert "not told" not in text


def test_noise_of_a_training_is_what_its_rows_bear() -> None:
    few, many = MANY_ROWS - 1, MANY_ROWS
    bare, noised = "and coefficients, WITHOUT noise |", "and coefficients, WITH noise |"
    for rows in ({"bank": few}, {"telecom": few, "bank": many}):
        text, shown = told(drafted(**rows)), "\n".join(in_words(drafted(**rows)))
        assert bare in text
        assert noised not in text
        assert "its own columns, WITHOUT noise" in shown
        assert "that record: in full" in shown
        assert "about a bit" not in shown
        assert "with noise" not in shown.replace("with noise of their own where sums have any", "")
    text, shown = told(drafted(bank=many)), "\n".join(in_words(drafted(bank=many)))
    assert "the draft does not tell yet which" in text
    assert f"from {many:,} rows on, WITHOUT noise below" in shown
    every = drafted(bank=many, bureau=many, telecom=many)
    assert noised in told(every)
    assert bare not in told(every)
    assert "of 1 times the most" in "\n".join(in_words(every))
    assert bare in told(CONTRACTS["three"], signed=True)


def test_what_is_shown_of_a_draft_is_what_it_comes_to() -> None:
    for rows in (5000, 3 * MANY_ROWS):
        known = drafted(bank=rows, bureau=rows, telecom=rows)
        for name in ("bank", "bureau", "telecom"):
            known = known.with_party(
                replace(known.party(name), design_columns=(3,), protocols=("ecdh",))
            )
        assert foreseen(known).train[0].noise == complete(known).train[0].noise
    one = drafted()  # another has another time
    assert foreseen(one) == one


def test_no_cryptography_stands_there_that_no_step_uses() -> None:
    used = {
        "joined": ("encrypted sums paillier", "training half-tree"),
        "three": ("training half-tree",),
        "shared": ("private sums half-tree",),
        "pooled": (),
    }
    every = {part for parts in used.values() for part in parts}
    for name, parts in used.items():
        text = told(CONTRACTS[name])
        assert {part for part in every if part in text} == set(parts), name
        assert ("set intersection " in text) is bool(CONTRACTS[name].align)
        assert "sealed channels x25519" in text


def test_classes_of_data_read_as_sentences(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(NEW)
    policy = load_policy(tmp_path / "policy.toml")
    text = to_markdown(assessment(CONTRACTS["joined"], "bureau", policy, None))
    assert "policy credit reporting data may serve purposes of these classes only: risk." in text
    assert "policy sensitive personal data may serve no purpose." in text
    assert "data data" not in text


def test_a_job_is_assessed_by_its_signed_contract_and_not_against_its_own_bits(
    tmp_path: Path,
) -> None:
    home = NodeHome.create(tmp_path / "node", "bureau", "hub:1")
    asked = request(drafted(bank=5000))
    Inbox(home.desk).put(asked, asked.received + 3600)
    given = ["assess", asked.id, "--home", str(home.path)]

    def run() -> str:
        done = CliRunner().invoke(app, given, catch_exceptions=False)
        return done.output.replace("\\", "")

    def noted() -> Ledger:
        path, keys = home.job(asked.session) / "ledger.jsonl", PartyKeys.generate("bureau")
        path.parent.mkdir(parents=True)
        return Ledger(path, keys, time.time, asked.session, {})

    assert f"from the draft {asked.contract.digest.hex()[:16]}" in run()
    whole = replace(CONTRACTS["three"], nonce=asked.contract.nonce)
    whole = whole.with_party(replace(whole.party("telecom"), basis="telecom.consents"))
    ledger = noted()
    ledger.once("contract", digest=whole.digest.hex(), terms=to_plain(whole), signatures={})
    text = run()
    assert f"from the signed contract {whole.digest.hex()[:16]}" in text
    assert "by the table telecom.consents" in text
    book = Releases(home.releases, ReleaseLimits(), secrets.token_bytes, time.time)
    me = whole.party("bureau")
    (release,) = planned(whole, "bureau")

    def reserve(contract: Contract, people: int) -> None:
        keys = pa.array([str(number) for number in range(people)])
        joined = partial(lambda keys, levels: [keys] * len(levels), keys)
        book.reserve(contract, me, release, joined, holds=lambda columns: 40.0)

    reserve(whole, 500)
    assert "Other contracts have told" not in run()
    assert book.told(me.table, "bank") == pytest.approx(release.bits, abs=1e-5)
    reserve(replace(whole, nonce="ab" * 32), 5000)
    assert f"Other contracts have told {release.bits:.1f} bits" in run()
    wrong = replace(whole, retention_days=whole.retention_days + 1)
    shutil.rmtree(home.job(asked.session))
    ledger = noted()
    ledger.once("contract", digest=whole.digest.hex(), terms=to_plain(wrong), signatures={})
    with pytest.raises(InputError, match="not the contract that was signed"):
        run()


def test_names_of_a_contract_format_nothing() -> None:
    bad = "<script>x</script> | **b** [l](http://x)"
    contract = replace(CONTRACTS["joined"], job=bad, purpose=bad, disclosures=())
    for lang in LANGUAGES:
        whole = assessment(contract, "bureau", Policy(), None, lang)
        tags = _Tags()
        tags.feed(to_html(whole))
        known = {"html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "p"}
        known |= {"table", "thead", "tbody", "tr", "th", "td"}
        assert set(tags.found) <= known
        text = to_markdown(whole)
        assert "<script" not in text
        assert "\\*\\*b\\*\\* [l]\\(http" in text
        assert all(
            line.count("|") - line.count("\\|") in (0, 3, 4, 5, 7) for line in text.splitlines()
        )


def test_chinese_has_the_marks_of_chinese() -> None:
    said = [text for part in ("sentences", "learns") for _, text in words(part).values()]
    said += [attack.what[1] for attack in ATTACKS]
    narrow = re.compile("[\u4e00-\u9fff][,:;(]|[,:;)][\u4e00-\u9fff]")
    assert [text for text in said if narrow.search(text)] == []


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
