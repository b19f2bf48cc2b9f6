"""Feature views: what a bank's flows and balances say of an entity, as of a cut-off.

from profiles import Flows, views

views.feature_frame(Flows.load("tables.toml"), ["flow_behaviour", "products"], date(2026, 7, 1))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psi.lazy import handed_out

if TYPE_CHECKING:
    from profiles.views.frame import VIEWS, columns_of, feature_frame, named
    from profiles.views.view import Column, View

__all__ = ["VIEWS", "Column", "View", "columns_of", "feature_frame", "named"]

__getattr__ = handed_out(
    __name__,
    {
        "VIEWS": "profiles.views.frame",
        "Column": "profiles.views.view",
        "View": "profiles.views.view",
        "columns_of": "profiles.views.frame",
        "feature_frame": "profiles.views.frame",
        "named": "profiles.views.frame",
    },
)
