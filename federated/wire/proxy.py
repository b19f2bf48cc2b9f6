"""Proxies in the environment, where a hub is not reached: advice names them.

An invite is used as the environment says, like any request to a site. The lasting connection to the
hub is direct: a proxy meant for web pages ends it. Whoever runs the machine has to hear which.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

__all__ = ["not_reached_hint"]

_NAMES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")


def not_reached_hint(hub: str = "", environment: Mapping[str, str] | None = None) -> str:
    """What to look at where a hub is not reached; names of variables only, never their values.

    `hub` is its host where the connection went through a proxy that is set, "" where it is direct.
    """
    given = os.environ if environment is None else environment
    hint = "is it running, and does a firewall let this machine out to it?"
    for name in _NAMES:
        if given.get(name) and hub:
            return f"{name} is set here: set no_proxy={hub} to reach the hub without that proxy"
        if given.get(name):
            return f"{hint} ({name} is set here: the hub is reached directly, not through it)"
    return hint
