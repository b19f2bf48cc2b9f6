"""What stands in place of a value: a public list, so that advice may show it."""

from __future__ import annotations

__all__ = ["FILLERS", "WORDS"]

WORDS = (
    *("NULL", "null", "NA", "N/A", "n/a", "#N/A", "#NULL!", "NaN", "nan", "-nan", "None"),
    *("\\N", "<NA>"),
)
"""Words for nothing that programs write."""
FILLERS = (
    *WORDS, "NAN", "Nan",
    "Null", "none", "nil", "(null)", "na", "n.a.", "N.A.", "k.A.", "ND", "n/d", "-", "--",
    "---", "—", "－", "/", "\\", "?", ".", "..", "…", "*", "#", "x", "#VALUE!", "#REF!", "#DIV/0!",
    "#NAME?", "unknown", "Unknown", "UNKNOWN", "missing", "not available", "none given",
    "0000-00-00", "无", "暂无", "未知", "不详", "空", "未提供",
)  # fmt: skip
"""Words and marks that people write for nothing: pointed out, never taken so by themselves."""
