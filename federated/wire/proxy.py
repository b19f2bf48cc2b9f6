"""Proxies in the environment: a hub is reached without them, and advice names them.

A hub is one address, told in an invite and pinned by its certificate: a proxy meant for web pages
neither knows it nor lets its long connections through. Where a firewall lets out by a proxy only,
whoever runs the machine has to hear that the proxy was not asked.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

__all__ = ["not_reached_hint"]

_NAMES = ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")


def not_reached_hint(environment: Mapping[str, str] | None = None) -> str:
    """What to look at where a hub is not reached; names of variables only, never their values."""
    given = os.environ if environment is None else environment
    named = [name for name in _NAMES if given.get(name)]
    hint = "is it running, and does a firewall let this machine out to it?"
    if not named:
        return hint
    return f"{hint} ({named[0]} is set here: the hub is reached directly, not through that proxy)"
