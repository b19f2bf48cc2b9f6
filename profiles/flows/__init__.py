"""What a bank's own transactions say: a base model, typed flows, a map, leaks and breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psi.lazy import handed_out, listed

if TYPE_CHECKING:
    from profiles.flows.flows import Flows
    from profiles.flows.taxonomy import Taxonomy

__all__ = ["Flows", "Taxonomy"]

__getattr__ = handed_out(
    __name__, {"Flows": "profiles.flows.flows", "Taxonomy": "profiles.flows.taxonomy"}
)
__dir__ = listed(__name__)
