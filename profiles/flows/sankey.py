"""The flow map as a picture: a Sankey diagram in one HTML file that needs nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from federated.store.files import write_atomic

__all__ = ["write_sankey"]

_NAMES = {
    "C": "consumers", "B": "companies", "G": "government", "product": "products here",
    "inside": "own accounts here", "elsewhere": "own accounts and products elsewhere",
    "outside": "outside",
}  # fmt: skip


def write_sankey(rows: list[dict[str, Any]], digits: int, currency: str, path: Path) -> None:
    """Write the sums of `by_month` over all months as an HTML page with Plotly inside.

    Args:
        rows: month, source, target, minor.
        digits: decimal digits of the currency.
    """
    import plotly.graph_objects as go

    sums: dict[tuple[str, str], int] = {}
    for row in rows:
        pair = (row["source"], row["target"])
        sums[pair] = sums.get(pair, 0) + int(row["minor"])
    # a place stands on the left as a source, on the right as a target: no circle
    left = list(dict.fromkeys(source for source, _ in sums))
    right = list(dict.fromkeys(target for _, target in sums))
    labels = [_NAMES[one] for one in [*left, *right]]
    link = {
        "source": [left.index(source) for source, _ in sums],
        "target": [len(left) + right.index(target) for _, target in sums],
        "value": [minor / 10**digits for minor in sums.values()],
    }
    picture = go.Figure(go.Sankey(node={"label": labels}, link=link, valuesuffix=f" {currency}"))
    picture.update_layout(title_text=f"Where money comes from and goes, {currency}")
    write_atomic(path, picture.to_html(include_plotlyjs=True, full_html=True))
