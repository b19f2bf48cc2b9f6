"""What a job may be for: four classes of purposes, and the purposes whose class everybody knows.

A purpose is a name that the job's parties agree on. Its class is what policies and rules on data
look at: credit-reporting data may serve risk and no marketing, whatever the marketing is called.
The class of a listed purpose is the one listed here; of another it is what the proposer says, and
"" where nothing is said, which no rule on classes takes for any of them.
"""

from __future__ import annotations

__all__ = ["PURPOSES", "PURPOSE_CLASSES", "class_of", "classed"]

PURPOSE_CLASSES = ("risk", "marketing", "service", "research")

PURPOSES = {
    "risk": (
        "credit risk", "credit", "default", "lending", "early warning", "collections", "fraud",
        "anti-money laundering", "insurance risk",
        "信用风险", "信贷", "信贷风险", "违约", "贷款", "授信", "风险预警",
        "催收", "反欺诈", "反洗钱", "保险风险",
    ),
    "marketing": (
        "marketing", "retention", "churn", "acquisition", "cross-selling", "propensity",
        "advertising", "win-back",
        "营销", "市场营销", "精准营销", "客户留存", "客户挽留", "客户流失",
        "获客", "交叉销售", "广告",
    ),
    "service": (
        "service", "service planning", "customer service", "benefits", "onboarding",
        "服务", "客户服务", "服务规划", "福利", "开户",
    ),
    "research": (
        "research", "statistics", "economic statistics", "public health",
        "研究", "统计", "经济统计", "公共卫生",
    ),
}  # fmt: skip
"""The listed purposes of each class, in small letters; English, and the usual Chinese ones."""

_CLASS = {purpose: name for name, listed in PURPOSES.items() for purpose in listed}


def class_of(purpose: str) -> str:
    """The class of a listed purpose, whatever its case; "" of another."""
    return _CLASS.get(" ".join(purpose.split()).casefold(), "")


def classed(purpose: str, purpose_class: str) -> str:
    """A purpose with its class, for people."""
    return f"{purpose} ({purpose_class or 'class not stated'})"
