"""A whole report's data, and the smallest; with friendly and with hostile texts."""

from __future__ import annotations

import numpy as np

from federated.contract.terms import Disclosure
from federated.releases.row_bits import RowBits
from profiles.exclusion import Reason
from profiles.report import (
    Aggregated,
    CategoryMeasure,
    CategoryTable,
    GroupRow,
    Histogram,
    HistogramRow,
    Importance,
    Leakage,
    Match,
    Model,
    PartyLine,
    ReportData,
    RunFacts,
    SegmentLine,
    StepFacts,
    TargetLine,
    TargetSummary,
    paired_gain,
    scored,
)

HOSTILE = (
    "<script>alert(1)</script>",
    "javascript:alert(2)",
    '"><img src=x onerror=alert(3)>',
    "</script><script>alert(4)</script>",
    "pay\u202etxt.exe",
    "\x1b[31mred\x07\x00",
    '<a href="https://evil.example/">here</a>',
    "{{ 7 * 7 }}{% raw %}",
    "<!--<script>",
    "%{x} $x^2$ &amp; '\"",
)


def model(
    task: str = "churn",
    partner: str = "bureau",
    rows: int = 6000,
    first: str = "bank alone",
    feature: str = "balance trend",
) -> Model:
    """Two scores of which the second knows more."""
    random = np.random.default_rng(11)
    own, theirs = random.normal(size=rows), random.normal(size=rows)
    truth = 1 / (1 + np.exp(2.2 - 0.8 * own - 0.7 * theirs))
    label = (random.random(rows) < truth).astype(np.int8)
    folds = np.arange(rows) % 5
    alone = scored(first, label, 1 / (1 + np.exp(2.0 - 0.8 * own)), folds)
    joined = scored("joined", label, truth, folds)
    importance = [
        Importance("bank", feature, 0.61, -1),
        Importance("bank", "months since last salary", 0.44, 1),
        Importance("bank", "outflow to other banks", 0.31, 1),
        Importance("bank", "age", 0.22, -1),
        Importance("bank", "card payments a month", 0.12, -1),
        Importance("bank", "channel is branch", 0.06, 1),
        Importance(partner, f"all columns of {partner}", 0.72, 0, 3),
    ]
    return Model(
        task=task,
        model="Logistic regression",
        scores=(alone, joined),
        rows=rows,
        positives=int(label.sum()),
        evaluation="Scores are from five-fold cross-validation: no row was scored by a model "
        "that saw it.",
        importance=tuple(importance),
        gain=paired_gain(alone, joined),
    )


def sample(texts: tuple[str, ...] = ()) -> ReportData:
    """A job with everything; `texts` are put wherever another party's text may stand."""

    def text(place: int, friendly: str) -> str:
        return texts[place % len(texts)] if texts else friendly

    partner, other = text(0, "bureau"), text(1, "registry")
    reasons = ("balance trend falling (+0.61)", f"partner {partner} (+0.52)", "age low (+0.18)")
    people = ("Wang Xiaoming", "李娜", "José Núñez", "Siobhán O’Brien", "Anna Schmidt")
    lines = tuple(
        TargetLine(
            rank=place,
            entity=f"C{10482 + 917 * place}",
            score=0.93 - 0.011 * place,
            reasons=tuple(text(place, reason) for reason in reasons),
            manager=""
            if place == 7
            else text(place, ("Li Wei", "M. Okafor", "S. Lindqvist")[place % 3]),
            name=text(place, people[place % 5]),
            segment="segment 1",
            unassigned="all managers are at capacity" if place == 7 else "",
        )
        for place in range(1, 26)
    )
    return ReportData(
        job=text(2, "consumer churn with bureau data"),
        purpose=text(3, "retention"),
        entity="consumer",
        receiver="bank",
        created=text(4, "23 November 2026, 14:05 UTC"),
        parties=(
            PartyLine("bank", "receiver, holds the label", 12_000, "11 columns for training"),
            PartyLine(
                partner, "feature party", 9_400, text(5, "3 columns for training, 2 measures")
            ),
            PartyLine(other, "feature party", 15_250, "2 columns for training"),
        ),
        synthetic=True,
        contract="4fd0c1d87f0f9e2a" * 4,
        entities=12_000,
        matched=6_904,
        matches=(
            Match(
                partner=partner,
                receiver_rows=12_000,
                partner_rows=9_400,
                matched=7_412,
                grades=((text(6, "identity number"), 6_901), ("phone and name", 511)),
                left_out=((text(7, "key null or invalid"), 233), ("duplicate rows", 61)),
            ),
            Match(
                partner=other,
                receiver_rows=12_000,
                partner_rows=15_250,
                matched=9_870,
                grades=(("identity number", 9_870),),
            ),
        ),
        models=(
            model(
                text(8, "churn"),
                partner,
                first=text(6, "bank alone"),
                feature=text(2, "balance trend"),
            ),
        ),
        aggregates=(
            Aggregated(
                partner=partner,
                by=text(9, "segment"),
                measures=(text(0, "mean of overdue 12m"), "share above 2 of open loans"),
                rows=(
                    GroupRow(text(1, "affluent"), 1204, (0.214, 0.162)),
                    GroupRow("mass", 4311, (0.873, None)),
                    GroupRow("private", None, suppressed="fewer than 20 shared records"),
                    GroupRow("young", 1385, (1.127, 0.094)),
                    GroupRow("staff", None, suppressed="would give away a smaller group"),
                ),
                minimum_group=20,
                key_bits=3072,
                kinds=("mean", "share"),
                histograms=(
                    Histogram(
                        text(1, "open loans"),
                        ("below 0", "0 to 2", "2 and more"),
                        (
                            HistogramRow(text(1, "affluent"), (0, 1002, 202), 1204),
                            HistogramRow("young", (0, None, None), 1385),
                        ),
                    ),
                ),
            ),
        ),
        categories=(
            CategoryTable(
                partner=other,
                category=text(3, "industry"),
                categories=(text(1, "retail"), "transport", "(other)"),
                segment="",
                segments=("",),
                measures=(
                    CategoryMeasure("shared consumers", ((801.0,), (322.0,), (-3.0,)), 18.0),
                    CategoryMeasure(text(9, "sum of balance"), ((7e6,), (2e6,), (9e3,)), 1e5, 12),
                ),
                epsilon=1.0,
                minimum_group=20,
            ),
            CategoryTable(
                partner=other,
                category="industry",
                categories=("retail", "(other)"),
                segment=text(4, "segment"),
                segments=(text(1, "affluent"), "young"),
                measures=(CategoryMeasure("shared consumers", ((400.0, 12.0), (7.0, 55.0)), 18.0),),
                epsilon=0.5,
                minimum_group=20,
            ),
        ),
        segments=(
            SegmentLine(
                "segment 1",
                text(2, "balance trend falling fast, age low"),
                2310,
                0.193,
                (("churn", 0.241),),
            ),
            SegmentLine(
                "segment 2",
                "balance very high, mostly channel is branch",
                4120,
                0.343,
                (("churn", 0.148),),
            ),
            SegmentLine(
                "segment 3", "card payments a month high", 3570, 0.297, (("churn", 0.112),)
            ),
            SegmentLine(
                "segment 4", "close to the average in everything", 2000, 0.167, (("churn", 0.097),)
            ),
        ),
        targets=(
            TargetSummary(
                product=text(3, "deposit renewal"),
                score="churn",
                total=2000,
                lines=lines,
                assigned=1981,
                unassigned=((text(4, "all managers are at capacity"), 19),),
                mean=0.472,
                average=0.113,
                managers=((text(5, "Ann Lee"), 1100, 0.481), (text(6, "Bo Wu"), 881, 0.46)),
                left_out=(
                    Reason("eligibility", text(6, "KYC has expired"), 311),
                    Reason("rank", "beyond the list's length", 9204),
                ),
            ),
        ),
        disclosures=(
            Disclosure(
                f"align {partner}",
                "bank",
                f"which of its own records {partner} has",
                "align.reveal",
            ),
            Disclosure(
                f"align {partner}", partner, "which of its own records bank has", "align.reveal"
            ),
            Disclosure(
                f"align {partner}", "bank", f"how many records {partner} brings", "align.reveal"
            ),
            Disclosure(f"align {partner}", partner, "how many records bank brings", "align.reveal"),
            Disclosure(
                "select", other, "which of its shared records all parties of the job have", "party"
            ),
            Disclosure(
                f"aggregate {partner}",
                "bank",
                "mean of overdue_12m, mean of open_loans for each of its segments of at least 20 "
                "shared records",
                "aggregate",
            ),
            Disclosure(
                f"aggregate {partner}",
                partner,
                "how many shared records each segment of bank has",
                "aggregate",
            ),
            Disclosure(
                "train churn",
                "bank",
                f"for each shared record one number, the final one of {partner} and {other}'s part "
                "of the score (their sum only)",
                "train.score_bits",
            ),
            Disclosure(
                "train churn",
                partner,
                "the coefficients of its own columns, with the sums they are computed from",
                "train",
            ),
        ),
        leakage=(
            Leakage(
                partner,
                RowBits(
                    party=partner,
                    receiver="bank",
                    columns=("a", "b"),
                    asked=8.0,
                    told=4.0,
                    held=14.3,
                ),
                2,
                4,
                0.5,
            ),
            Leakage(other, None, 1, 0, 0.0),
        ),
        run=RunFacts(
            3072,
            "ECDH on Curve25519 (ecdh-curve25519-elligator2-sha512-v3)",
            "AVX-512 IFMA kernels",
            41.3,
            (
                StepFacts(f"align/{partner}", 0.84, 812_000, 1_204_511, 9),
                StepFacts(f"aggregate/0/{partner}", 3.2, 21_000, 5_310_222, 12),
                StepFacts("train/churn", 35.1, 48_310_224, 1_902_201, 44),
            ),
            (("Sealing", "X25519 with ML-KEM-768, ChaCha20-Poly1305"), ("fedprofile", "0.1.0")),
        ),
        notes=(text(5, "bank.balance: no indicator for fewer than 20 missing values"),)
        if texts
        else (),
    )


def smallest() -> ReportData:
    """A job without anything but its parties."""
    return ReportData(
        job="count only",
        purpose="fraud",
        entity="company",
        receiver="bank",
        created="today",
        parties=(PartyLine("bank", "receiver", 5),),
    )


def horizontal() -> ReportData:
    """Three branches, one score, no rows joined."""
    one = model("default")
    together = Model(
        task="default",
        model=one.model,
        scores=(one.scores[1],),
        rows=one.rows,
        positives=one.positives,
        split="horizontal",
        importance=tuple(
            Importance("every party", f"x{n}", 0.5 / n, 1 - 2 * (n % 2)) for n in range(1, 24)
        ),
    )
    parties = tuple(PartyLine(name, "branch", 8000) for name in ("north", "centre", "south"))
    lines = (
        Disclosure(
            "train default", "every party", "the model, and sums over all parties' rows", "train"
        ),
    )
    return ReportData(
        job="card default across branches",
        purpose="credit risk",
        entity="consumer",
        receiver="north",
        created="today",
        parties=parties,
        models=(together,),
        disclosures=lines,
    )
