"""Attacks that were measured, by the kind of step they are on: those an assessment quotes.

Figures are those of `python -m benchmarks attack` (docs/ATTACKS.md, "What attacks recover");
a test holds every one against its results. None stands for an attack that is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from federated.contract.kinds.train import TREES, boosted, hidden
from federated.contract.terms import Contract, TrainTerms

__all__ = ["ATTACKS", "Attack", "attacks_on", "splits_of"]

HIDDEN, LIST = "hidden", "list"
"""Trees that tell no side; scores of which a list by one bit a row is all that is told."""


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One row: on which `kind` of step, `what` is tried (English, Chinese), and what comes of it.

    `case` is the beginning of the measured row's data, who and what, `on` that of its protocol;
    `split` is what a training has to have, one of `splits_of`, or "".
    """

    kind: str
    what: tuple[str, str]
    case: tuple[str, str, str]
    gets: float | None
    without: float
    split: str = ""
    on: str = ""


_READ = "values of single people read: "
_WHOLE = "whole rows of the partner recovered"
_INSIDER = f"{_WHOLE}, by an insider;"
_LABELS = "AUC of labels it does not know, with 50 known: all it sees beyond its own"
_TWO = (
    "read one person's value from the same question asked in two jobs, one person fewer",
    "在两次作业中提出同一问题而仅少一人，以读取该人的数值",
)
ATTACKS = (
    Attack(
        kind="align",
        what=(
            "read the other's whole set by plain vole, which a new node's policy never takes",
            "通过普通 vole 协议读取对方全部集合（新节点的策略从不采用）",
        ),
        case=("invented, 5,000 records", "receiver, lies", "of the sender's records"),
        gets=1.0,
        without=0.0,
    ),
    Attack(
        kind="aggregate",
        what=_TWO,
        case=("credit_default, 400 rows", "bank, semi-honest", f"{_READ}the same mean in two"),
        gets=None,
        without=0.0,
    ),
    Attack(
        kind="aggregate",
        what=(
            "read a group's values from a threshold at each value",
            "对每个取值设置阈值以读取整组数值",
        ),
        case=("credit_default, a group of 20", "bank, semi-honest", "values of the group read"),
        gets=None,
        without=0.0,
    ),
    Attack(
        kind="join_sum",
        what=(
            "read one person's value from two jobs that differ by one key",
            "以仅差一个标识的两次作业读取该人的数值",
        ),
        case=("credit_default, 400 rows", "bank, semi-honest", f"{_READ}two jobs that differ"),
        gets=0.0,
        without=0.0,
    ),
    Attack(
        kind="category",
        what=(
            "tell people's categories from noised tables of 24 jobs (share that is right)",
            "在 24 次作业中利用加噪汇总表推断个人类别（正确比例）",
        ),
        case=("bank_marketing, 200 people", "bank", "category right: 1 tables of epsilon 1 a"),
        gets=0.425,
        without=0.57,
    ),
    Attack(
        kind="train",
        split="vertical",
        what=(
            "decode whole rows of the partner at 5 bits, more than a new node allows, as an "
            "insider who knows them all (share)",
            "在每行披露 5 比特（超过新节点所允许）时，"
            "作为掌握全部可能取值的内部人还原合作方整行数据（比例）",
        ),
        case=(
            "bank_marketing, 45,211 rows",
            "receiver, semi-honest",
            f"{_WHOLE}; a new node refuses it, 3.2 bits allowed, by an insider",
        ),
        gets=0.083,
        without=0.0059,
    ),
    Attack(
        kind="train",
        split="vertical",
        what=(
            "the same of a table of 682 rows, which a new node refuses to train on",
            "同上，针对 682 行的小表（新节点拒绝在其上训练）",
        ),
        case=("berka, 682 rows", "receiver, semi-honest", f"{_WHOLE}; a new node refuses it"),
        gets=0.113,
        without=0.0015,
    ),
    Attack(
        kind="train",
        split="vertical",
        what=(
            "tell labels that it does not know, as a partner who knows 50 of them (AUC)",
            "合作方已知 50 个标签，推断其余标签（AUC）",
        ),
        case=("credit_default, 30,000 rows", "partner", f"{_LABELS} columns and final"),
        gets=0.7141,
        without=0.7127,
    ),
    Attack(
        kind="train",
        split=TREES,
        what=(
            "decode whole rows of the partner by as many splits as a new node lets be told, as an "
            "insider who knows them all (share)",
            "在新节点允许披露的分裂次数内，作为掌握全部可能取值的内部人还原合作方整行数据（比例）",
        ),
        case=("bank_marketing, 45,211 rows", "receiver", f"{_INSIDER} row_bits"),
        gets=0.007,
        without=0.0059,
    ),
    Attack(
        kind="train",
        split=TREES,
        what=(
            "tell labels that it does not know, as a partner who knows 50 of them (AUC)",
            "合作方已知 50 个标签，推断其余标签（AUC）",
        ),
        on="trees, one partner",
        case=("credit_default, 30,000 rows", "partner", f"{_LABELS} columns and its part"),
        gets=0.7345,
        without=0.7222,
    ),
    Attack(
        kind="train",
        split=HIDDEN,
        what=(
            "decode whole rows of the partner from scores in steps of 5 bits, as an insider who "
            "knows them all and every split (share)",
            "利用 5 比特精度的评分，"
            "作为掌握全部可能取值及每次分裂的内部人还原合作方整行数据（比例）",
        ),
        on="trees that tell nothing",
        case=("credit_default, 30,000 rows", "receiver", f"{_INSIDER} score_bits = 5"),
        gets=0.003,
        without=0.001,
    ),
    Attack(
        kind="train",
        split=HIDDEN,
        what=(
            "tell labels that it does not know, as a partner who knows 50 of them (AUC)",
            "合作方已知 50 个标签，推断其余标签（AUC）",
        ),
        on="trees that tell nothing",
        case=("credit_default, 30,000 rows", "partner", f"{_LABELS} columns and its part"),
        gets=0.7355,
        without=0.7274,
    ),
    Attack(
        kind="train",
        split=LIST,
        what=(
            "decode whole rows of the partner from as many lists, of one bit a row, as a new node "
            "lets be told, as an insider who lies about whom it asks for (share)",
            "在新节点允许的名单次数内（每行 1 比特），"
            "作为谎报询问条件的内部人还原合作方整行数据（比例）",
        ),
        case=("credit_default, 30,000 rows", "receiver, lies: edges", f"{_INSIDER} 3 lists"),
        gets=0.003,
        without=0.001,
    ),
    Attack(
        kind="train",
        split="horizontal",
        what=(
            "read a row by a model that no training has, as a receiver that lies",
            "违反协议的接收方以伪造模型读取单行数据",
        ),
        case=("credit_default, 10,000 rows", "receiver, lies: a steep", "columns of one row read"),
        gets=None,
        without=0.0,
    ),
)  # fmt: skip


def attacks_on(contract: Contract) -> Iterator[Attack]:
    """Those on a step that the contract has."""
    splits = {split for terms in contract.train for split in splits_of(terms)}
    for attack in ATTACKS:
        if getattr(contract, attack.kind) and attack.split in ("", *splits):
            yield attack


def splits_of(terms: TrainTerms) -> tuple[str, ...]:
    """What attacks are on a training: how its columns or rows are split, and whether it lists."""
    if hidden(terms):
        return (HIDDEN,)
    how = TREES if boosted(terms) else terms.split
    return (how, LIST) if terms.listed else (how,)
