"""The taxonomy: what the wheel brings, layers over it, and what is refused."""

from __future__ import annotations

import json
import os
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from profiles.flows.examples import check_taxonomy
from profiles.flows.taxonomy import Taxonomy
from psi.protocol.errors import JobError

TOY = """
[C.toy]
names = ["Toys", "玩具"]
way = "out"
group = "spending"
text = ["toyland"]
match = ["TOYLAND 1", "TOYLAND 2", "TOYLAND 3"]
near = ["TOY LAND", "TOYLANDER"]
"""


def layer(folder: Path, text: str, name: str = "bank.toml", version: str = "bank-1") -> Path:
    (folder / name).write_text(f'version = "{version}"\n{text}', "utf-8")
    return folder / name


def test_the_wheel_brings_enough_types_and_each_ones_own_texts_hold() -> None:
    taxonomy = Taxonomy.load()
    counts = Counter(one.kind for one in taxonomy)
    assert counts["C"] >= 70
    assert counts["B"] >= 30
    assert counts["G"] >= 20
    found = check_taxonomy(taxonomy)
    assert found.wrong == ()
    assert found.texts == 5 * len(taxonomy)
    assert all(len(one.match) >= 3 and len(one.near) >= 2 for one in taxonomy)


def test_types_are_data_beside_the_code_that_the_wheel_packs() -> None:
    names = [one.name for one in files("profiles.flows").joinpath("types").iterdir()]
    assert sorted(n for n in names if n.endswith(".toml")) == [
        "company.toml",
        "consumer.toml",
        "government.toml",
    ]


@pytest.mark.data
@pytest.mark.skipif(not os.environ.get("FEDPROFILE_DATA"), reason="needs FEDPROFILE_DATA")
def test_purposes_are_codes_of_iso_20022() -> None:
    file = Path(os.environ["FEDPROFILE_DATA"]) / "codes" / "iso20022_purpose.json"
    known = json.loads(file.read_text("utf-8"))["codes"]
    assert {one.iso for one in Taxonomy.load()} - {""} <= set(known)


def test_a_branch_lies_over_its_bank_and_the_difference_is_told(tmp_path: Path) -> None:
    layer(tmp_path, TOY + '[C.salary]\n"text+" = ["lohn"]\n')
    branch = layer(tmp_path, 'base = "bank.toml"\ndrop = ["C.lottery"]\n', "branch.toml", "br-2")
    plain, found = Taxonomy.load(), Taxonomy.load([branch])
    assert found.version == f"{plain.version}/bank-1/br-2"
    assert " lohn " in found["C.salary"].rules[0].text  # type: ignore[operator]
    assert plain.differences(found) == [
        "- C.lottery",
        "~ C.salary text: +'lohn'",
        "+ C.toy Toys",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('base = "bank.toml"\n', "a circle found"),
        ("[C.xx]\nnames = ['a', 'b']\n", "C.xx] way: missing"),
        (TOY.replace("[C.toy]", "[C.Toy]"), "lower case"),
        (TOY + TOY, "bank.toml: not TOML"),
        (TOY.replace("Toys", "Bank fee"), "is also the name of C.fee"),
        (TOY.replace('way = "out"', 'way = "up"'), "'up' found, in or out or both allowed"),
        (TOY.replace('text = ["toyland"]', ""), "no rule found"),
        (TOY.replace('text = ["toyland"]', 'mcc = ["54"]'), "four digits"),
        (TOY.replace("group", "grup"), "did you mean group"),
        (TOY.replace('"spending"', '"spendings"'), "did you mean spending?"),
        (TOY.replace('"spending"', '"sales"'), "[C.toy] group: 'sales' found, debt, "),
        ('drop = ["C.lotery"]\n', "did you mean C.lottery?"),
        ('drop = "C.lottery"\n', "drop: a list of types needed"),
        (TOY + "iso = 7\n", "four capital letters allowed"),
        (TOY.replace("text = [", "name = [") + "bare = true\n", "bare: found without text"),
        ("[[C.fee.rule]]\nbare = true\n", "bare: found without text"),
        (TOY + 'named = "yes"\n', "named: true or false allowed"),
        ("[C.salary]\npriority = 200\n", "1 to 99 allowed"),
        ('drop = ["C.no"]\n', "'C.no' found"),
        ("[X.toy]\n", "[C.NAME], [B.NAME] or [G.NAME] allowed"),
        ("[[C.fee.rule]]\nage = [9, 1]\n", "the lower first"),
        ("[[C.fee.rule]]\nid = 'none'\n", "without a condition"),
        ("[C.fee]\ntext = []\n", "text: an empty list found"),
        ("[[C.fee.rule]]\nhours = [9, 24]\n", "hours: [9, 24] found, 0 to 23 allowed"),
        ("[[C.fee.rule]]\ndays = [0, 5]\n", "1 to 31 allowed"),
        ("[[C.fee.rule]]\nregular = 0\n", "1 or more allowed"),
        ("[[C.fee.rule]]\nown = 'name'\nshare = 7.0\n", "at most 1 allowed"),
    ],
)
def test_a_wrong_layer_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(JobError) as caught:
        Taxonomy.load([layer(tmp_path, text)])
    assert said in str(caught.value)


def test_rules_that_never_fire_and_texts_that_do_not_hold_are_found(tmp_path: Path) -> None:
    dead = TOY.replace('["toyland"]', '["salary fee"]\nnot = ["fee"]\n')
    dead += '[[C.toy.rule]]\nid = "mcc"\nmcc = ["5411"]\n'
    dead += TOY.replace("toyland", "月刷卡机").replace("C.toy", "C.pos").replace("Toys", "Machines")
    dead = dead.replace("[C.pos]", "[C.pos]\npriority = 90").replace('"玩具"', '"卡机"', 1)
    wrong = check_taxonomy(Taxonomy.load([layer(tmp_path, dead)])).wrong
    assert any(line.startswith("C.toy: 'TOYLAND 1' should match") for line in wrong)
    assert any("C.toy: rule 'text' can never fire: its exceptions" in line for line in wrong)
    assert any("C.toy: rule 'mcc' can never fire: its merchant codes" in line for line in wrong)
    assert any("C.card_purchase (text) takes each of its patterns" in line for line in wrong)


def test_the_layer_in_the_documentation_is_one(tmp_path: Path) -> None:
    shown = Path("docs/FLOWS.md").read_text("utf-8").split("```toml\nversion")[1].split("```")[0]
    file = tmp_path / "bank.toml"
    file.write_text(f"version{shown}", "utf-8")
    found = Taxonomy.load([file])
    assert not check_taxonomy(found).wrong
    assert found["C.club_fee"].english == "Club fee"
    file.write_text(shown.split("\n", 1)[1], "utf-8")
    with pytest.raises(JobError, match="version: missing") as refused:
        Taxonomy.load([file])
    assert 'version = "2026-06"' in str(refused.value.hint)
