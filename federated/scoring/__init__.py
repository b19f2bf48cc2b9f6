"""Models that were trained are kept, and rows are scored by them.

Each party keeps its own part (`store`, `model_file`). Scoring a regression takes one message of
each partner (`sums`), in whole numbers (`fixed`); trees take a transfer for each level on which a
partner splits (`paths`). See docs/protocols/scoring.md.
"""

from __future__ import annotations
