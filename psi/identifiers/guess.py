"""Guess the kind of a key column, for suggestions only: nothing is ever cleaned by a guess."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from psi.identifiers.clean import clean
from psi.protocol.errors import InputError, MisuseError

__all__ = ["guess_kind"]

_NAMES = {
    "credit_code": r"uscc|usci|credit_?code|social_?credit|统一社会信用|信用代码|tyshxy",
    "identity_number": r"identity|id_?(no|num|number|card)\b|sfz|身份证|证件号|cert_?no|resident",
    "lei": r"(^|_)lei(_|$)|legal_?entity_?id",
    "phone": r"phone|mobile|cell|(^|_)tel|手机|电话|联系方式|sjh",
    "email": r"e-?mail|邮箱|邮件",
    "date": r"birth|dob|born|出生|生日|(^|_)date(_|$)",
    "name": r"name|姓名|名称|企业名|客户名",
    "number": r"(^|_)(id|no|num|number|code|key|account|loan)(_|$)|编号|账号|号码",
}
# Kinds whose check digit or form makes a chance hit unlikely, strictest first.
_BY_FORM = ("lei", "credit_code", "identity_number", "email", "phone", "date", "number")
_ENOUGH = 0.6


def guess_kind(column_name: str, sample: pa.Array | pa.ChunkedArray | Sequence[Any]) -> str | None:
    """The most likely kind of a column from its name and some of its values, or None.

    Args:
        column_name: as the table has it.
        sample: some of its values, as strings: an Arrow array, a Series or a list.

    The name counts only if at least some values pass; without a telling name, most values
    must pass a kind that has a form of its own. `number` comes last: digits pass it whatever
    else they are.

    >>> guess_kind("customer_phone", pa.array(["13800138000", "+86 138 0013 8000"]))
    'phone'
    """
    lowered = column_name.lower()
    named = [kind for kind, pattern in _NAMES.items() if re.search(pattern, lowered)]
    wanted = [(kind, 0.2) for kind in named if kind != "number"]
    wanted += [(kind, _ENOUGH) for kind in _BY_FORM]
    wanted += [("number", 0.2)] * ("number" in named)
    return next((kind for kind, least in wanted if _share(sample, kind) >= least), None)


def _share(sample: pa.Array | pa.ChunkedArray | Sequence[Any], kind: str) -> float:
    """Share of the filled rows that are usable as `kind`."""
    try:
        cleaned = clean(sample, kind, threads=1)
    except (MisuseError, InputError):
        return 0.0
    filled = cleaned.usable + cleaned.invalid
    return cleaned.usable / filled if filled else 0.0
