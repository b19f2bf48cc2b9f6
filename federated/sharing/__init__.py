"""Private sums: one party's numbers, added up by another party's bins, as shares of both.

The chapter is docs/protocols/private_sums.md.
"""

from __future__ import annotations

from federated.sharing.bin_holder import BinHolder
from federated.sharing.messages import MOST_LANES
from federated.sharing.value_holder import ValueHolder

__all__ = ["MOST_LANES", "SUITE", "BinHolder", "ValueHolder"]

SUITE = "half-tree-sums-v3"
"""What contracts name."""
