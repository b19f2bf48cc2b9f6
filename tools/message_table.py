"""Writes docs/protocols/messages.md: the number of every message and state, and where it is.

    python tools/message_table.py

A number stands in the second byte of whatever is encoded; the codec refuses a second class of one
number when it is imported. `tests/unit/test_architecture.py` compares the page with the code.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import federated
import psi
from psi.protocol.codec import registered

PAGE = Path(__file__).parents[1] / "docs" / "protocols" / "messages.md"
RANGES = {
    (0x01, 0x0F): "envelope and roles",
    (
        0x10,
        0x3F,
    ): "set intersection (`vole_malicious` 0x10 on, `ecdh` and order 0x20 on, `vole` 0x34 on); "
    "0x16 to 0x1E counts of rows by score of several partners",
    (0x40, 0x5F): "aggregation (0x50 on: join and sum; 0x59 on: categories by private sums)",
    (0x60, 0x6F): "counts of rows by score, and who is on a list (0x66 on); 0x6F hidden trees",
    (0x70, 0x7A): "scoring (0x7A by hidden trees)",
    (0x7B, 0x7F): "binning; 0x7F a scoring by hidden trees",
    (0x80, 0x8F): "private sums",
    (0x90, 0x94): "horizontal training",
    (0x95, 0x9F): "statistics by private sums",
    (0xA0, 0xBF): "party and wire",
    (0xC0, 0xCF): "private trees, and hidden ones (0xC6, 0xC7, 0xCB on, 0xF9 on)",
    (0xD0, 0xDF): "party and wire",
    (0xE0, 0xEF): "private regression",
    (
        0xF0,
        0xFF,
    ): "splits of private trees, and hidden trees (0xF9, 0xFD on); the others are for tests",
}
HEAD = """# Numbers of messages

Made by `python tools/message_table.py`; a test compares it with the code.

"""


def table() -> str:
    """The page, from the classes that all modules of `psi` and `federated` register."""
    for package in (psi, federated):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(found.name)
    lines = [f"- 0x{low:02X} to 0x{high:02X}: {what}" for (low, high), what in RANGES.items()]
    lines += ["", "| number | class | module |", "|---|---|---|"]
    for number, cls in registered().items():
        if cls.__module__.split(".")[0] not in ("psi", "federated"):
            continue
        if not any(low <= number <= high for low, high in RANGES):
            raise ValueError(f"{cls.__qualname__}: 0x{number:02X} is in no range")
        lines.append(f"| 0x{number:02X} | `{cls.__qualname__}` | `{cls.__module__}` |")
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(table(), "utf-8")
