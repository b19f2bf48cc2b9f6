"""Catalogues: both languages say the same, and no sentence of a report goes past them."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from profiles.campaign.people import Held
from profiles.drift import Drift
from profiles.language import LANGUAGES, Language, language
from profiles.language.catalogue import PARAMETER, Message, catalogue
from profiles.language.numbers import FORMS
from profiles.language.recognised import LISTS, recognised
from profiles.model_outputs import NONE_KEPT
from profiles.offers.chosen import Money
from profiles.report import ReportData, render_report
from profiles.report.change import Change, Listed
from profiles.report.data import RunFacts, Stage, StepFacts
from profiles.report_data import NO_BASIS, _step_name
from tests.unit.profiles.sample import horizontal, sample
from tests.unit.profiles.test_report import Page
from tests.unit.test_kinds import CONTRACTS, HEAD, JOBS, contract

ZH = language("zh")


def marked() -> Language:
    """English in brackets: what has none did not come from the catalogue."""
    pairs = {
        group: {
            key: replace(m, text=f"⟦{m.text}⟧", one=m.one and f"⟦{m.one}⟧")
            for key, m in messages.items()
        }
        for group, messages in catalogue("en").items()
    }
    for key in ("comma", "and", "months", "sentences", "also"):
        pairs["form"][key] = catalogue("en")["form"][key]
    return Language("marked", pairs)


def test_both_have_the_same_messages_with_the_same_parameters() -> None:
    english, chinese = (catalogue(code) for code in LANGUAGES)
    assert {g: set(m) for g, m in english.items()} == {g: set(m) for g, m in chinese.items()}
    for group, messages in english.items():
        for key, message in messages.items():
            both = (m.parameters for m in (message, chinese[group][key]))
            mine, theirs = (
                {(name, form.lower()) for name, form in one if form != "unit"} for one in both
            )
            assert mine == theirs, f"{group}.{key}"
            forms = {form for _, form in message.parameters if form}
            assert forms <= {*FORMS, *LISTS, *english}, f"{group}.{key}"


def test_chinese_is_chinese() -> None:
    own = {"form", "lede", "fact", "names", "columns", "why", "reveal"}
    for group, messages in catalogue("zh").items():
        for key, message in messages.items():
            words = re.sub(r"<[^>]*>", "", PARAMETER.sub("", message.text))
            if group not in own and words.strip(" ：:()-–→*，,；[]") not in (
                "",
                "AUC",
                "KS",
                "Paillier",
            ):
                assert re.search("[\u4e00-\u9fff]", words), f"{group}.{key}"
            assert not re.search(r"[a-z]{3,} [a-z]{3,}", words), f"{group}.{key}"


DATA = (
    "bank|bureau|registry|churn|deposit renewal|retention|consumer churn with bureau data|segment|"
    "segment|affluent|mass|private|young|staff|industry|retail|transport|\\(other\\)|Li Wei|"
    "M. Okafor|S. Lindqvist|Ann Lee|Bo Wu|Wang Xiaoming|李娜|José Núñez|Siobhán O’Brien|"
    "Anna Schmidt|targets.csv|balance trend|age|"
    "identity number|phone and name|phone|name|open loans|overdue 12m|balance|AUC|KS|Brier|"
    "ECDH on Curve25519 .*|AVX-512 IFMA kernels|X25519 with ML-KEM-768, ChaCha20-Poly1305|"
    "2026-10|fedprofile|Sealing|[a-z]+\\.[a-z_]+|aggregate|train|party|join_sum|north|centre|south|"
    "default|credit risk|[0-9a-f]{16,64}|[\\d.]+ [kM]B|north, centre and south|"
    "card default across branches|relief|KYC has expired|desk|branch|none of ours|kB|MB|x\\d+"
)


def outside(page: str) -> list[str]:
    """Texts of a page that are in no message, by what is left of them."""
    while "⟦" in page:
        shorter = re.sub(r"⟦[^⟦⟧]*⟧", "", page)
        if shorter == page:
            break
        page = shorter
    seen = Page(page.replace("<wbr>", ""))  # a name in code may break there
    spoken = [attributes.get(name) for _, attributes in seen.tags for name in ("aria-label",)]
    said = [*seen.words, *(text for text in spoken if text)]
    left = (re.sub(rf"^({DATA})$", "", text.strip()) for text in said)
    return [text for text in left if re.search(r"[A-Za-z]{2}", text)]


def whole() -> ReportData:
    """The sample with all that it lacks."""
    data = sample()
    listed = replace(
        data.targets[0],
        assigned_by=(("branch", 1900), ("capacity", 81)),
        unmatched=48,
        unknown=(("branch", "desk", 7),),
        held=Held(300, 0.024),
        money=Money(
            value=32363.6,
            cost=9524.1,
            left=22839.5,
            expected=5400.0,
            by="score",
            offers=(("relief", 12),),
        ),
    )
    told = replace(listed, money=None, told=True)
    first = ("everybody", "admitted", "matched", "labelled", "scored")
    stages = (*first, "own_scored", "listed_scored", "may", "listed")
    return replace(
        data,
        change=Change(
            since="2026-10",
            moves=(("age low", "age very high", 3),),
            drifts=(
                Drift(column="balance", index=0.31, before=12.0, after=float("nan"), moved=40),
            ),
            quality=(("churn", 0.7, 0.72),),
            lists=(Listed("deposit renewal", 5, 4, 3),),
        ),
        created=datetime(2026, 11, 30, 9, 5, tzinfo=UTC),
        keep_until=date(2026, 12, 30),
        targets=(listed, told, replace(told, own=True)),
        funnel=tuple(Stage(key, 12_000 - place, "churn") for place, key in enumerate(stages)),
        notes=("bank.x: dropped, no value in the training rows",),
        models=(
            replace(
                data.models[0],
                model="logistic regression",
                evaluation="on held-out folds",
                importance=tuple(
                    replace(i, column=f"x{place}") if i.party == "bank" else i
                    for place, i in enumerate(data.models[0].importance)
                ),
            ),
        ),
        parties=tuple(replace(p, columns="3 columns for training") for p in data.parties),
        disclosures=CONTRACTS["joined"].disclosures,
        run=replace(
            data.run or RunFacts(),
            steps=(StepFacts("align with bureau, key 1", 0.84, 8, 1_204, 9),),
            facts=(("signatures", "ECDH on Curve25519 x"),),
        ),
    )


def alike() -> ReportData:
    """Rows at several parties."""
    data = horizontal()
    one = replace(data.models[0], model="boosted trees", evaluation="on bank's own rows")
    lines = (replace(data.disclosures[0], learns=CONTRACTS["pooled"].disclosures[0].learns),)
    return replace(data, models=(one,), disclosures=lines, created=date(2026, 11, 30))


@pytest.mark.parametrize("data", [whole(), alike()], ids=["whole", "horizontal"])
def test_every_sentence_comes_from_the_catalogue(data: ReportData) -> None:
    assert outside(render_report(data, marked())) == []


def test_the_check_would_see_a_sentence_that_is_not_in_it() -> None:
    data = replace(whole(), notes=("nobody has written this down",))
    assert outside(render_report(data, marked())) == ["nobody has written this down"]


def test_a_page_in_chinese() -> None:
    page = render_report(whole(), "zh")
    text = Page(page).text
    assert '<html lang="zh-Hans">' in page
    for words in (
        "“deposit renewal”名单共 2,000 名个人客户。",
        "2026年11月30日 09:05 UTC",
        "按合约最迟保存至2026年12月30日。",
        "另有 300 名为活动的对照组",
        "2.4 个百分点及以上的效果，100 次中有 80 次能够看出。",
        "仅 bank alone",
        "bureau 提供多少条记录",
        "balance trend 下降 ↑",
    ):
        expected = words.replace("仅 bank alone", "仅 bank")
        assert expected in text, expected
    assert not re.search(r"[。；，]\s+[^\s<{]", page), "no blank between sentences"


MODELS = ("linear", "poisson", "scorecard")


@pytest.mark.parametrize("name", [*CONTRACTS, *MODELS])
def test_every_line_of_a_contract_has_its_words(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 'task = "churn"\nlabel = "bank.churned"'
    joined = f'{HEAD}[align]\nminimum_overlap = 20\n[[train]]\n{asked}\nmodel = "{name}"\n'
    monkeypatch.setitem(JOBS, name, JOBS.get(name, joined))
    for entry in contract(name).disclosures:
        found = recognised(entry.learns, "learns")
        assert found is not None, entry.learns
        assert language("en").say(found[0], **found[1]) == entry.learns
        said = ZH.told(entry.learns, "learns")
        assert not re.search(r"\b(the|which|how|each|with)\b", said), said
        assert recognised(entry.step, "step"), entry.step


@pytest.mark.parametrize(
    ("group", "text"),
    [
        (
            "note",
            "churn is scored by model 0123456789abcdef: 1,200 shared records, and no column has "
            "moved much since its training.",
        ),
        (
            "note",
            "churn is scored by model 0123456789abcdef: 1,200 shared records. Moved since its "
            "training (population stability of .25 or more): balance and score. Look before the "
            "scores are used.",
        ),
        ("note", "churn is scored by the common model of north and south, from 1,200 rows."),
        ("note", "12 rows have no score: a value of the model's columns is missing."),
        ("note", "bureau: dropped, at least 2 of 3 columns; only their owner knows which"),
        ("note", NONE_KEPT),
        ("described", "prediction of spent by bank's own model"),
        (
            "described",
            "probability of the task; of x by bank's own columns; of y by the joined model, with "
            "noise",
        ),
        ("note", NO_BASIS.format(table="b.t")),
        ("units", "; how much bank's row that counts most does, to a power of two"),
        ("units", "; how large bank's largest spend, times its weight, is, to a power of two"),
        (
            "note",
            "12 values of own columns lie beyond 8 standard deviations: in gradients they counted "
            "as that far, in scores as they are.",
        ),
    ],
)
def test_what_is_said_in_some_jobs_only(group: str, text: str) -> None:
    assert not re.search(r"[a-z]{3,} [a-z]{3,}", ZH.told(text, group))


def test_texts_of_a_contract_are_data() -> None:
    said = ZH.told("how many records <b>{n} brings", "learns")
    assert said == "<b>{n} 提供多少条记录"
    assert ZH("disclosures.learned", name="<b>{n}") == "&lt;b&gt;{n} 得知"
    assert ZH.told("nobody has written this down", "learns") == "nobody has written this down"


def test_one_and_several() -> None:
    english = Language("en", {"a": {"b": Message("{n} answers", "one answer")}})
    assert [english.say("a.b", n=n) for n in (1, 2)] == ["one answer", "2 answers"]
    with pytest.raises(KeyError):
        english.say("a.c")
    with pytest.raises(KeyError):
        english.say("a.b")
    with pytest.raises(KeyError):
        language("xx")


def test_lists_of_measures_keep_their_commas() -> None:
    said = ZH.told("histogram over 1, 2 of x, mean of y", "measures")
    assert said == "x 以 1, 2 为界的分布、y 的均值"


@pytest.mark.parametrize(
    "step", ["contract", "align/b/0", "align/b/order", "known/b", "rows/b", "score/c", "finish"]
)
def test_every_step_of_the_run_has_its_chinese(step: str) -> None:
    said = _step_name(step)
    assert re.search("[\u4e00-\u9fff]", ZH.told(said, "step")), said
    assert language("en").told(said, "step") == said


def test_bins_put_together_are_told_each() -> None:
    """A range beside missing values read as a range up to them."""
    assert ZH.told("from 1 to below 2 or missing", "bins") == "1 至 2 以下、缺失"
    assert ZH.told("uni or all others or no value", "bins") == "uni、其余类别、无取值"
    assert language("en").told("from 1 to below 2 or missing", "bins").endswith("or missing")


def test_a_list_has_no_blank_between_chinese_characters() -> None:
    t = language("zh")
    how = [t.say("targets.how", share=0.8, how="branch, by results"), "20% 按 branch"]
    said = t.say("targets.managed_how", n=50, share=1.0, how=how)
    assert "及以往成效和 20% 按 branch。" in said
