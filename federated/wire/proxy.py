"""Proxies between a node and its hub: the one that is meant for it, and advice on others.

An invite is used as the environment says, like any request to a site. The lasting connection to the
hub is direct, for a proxy meant for web pages ends it, unless FEDPROFILE_PROXY names an HTTP proxy
that lets it through (CONNECT): TLS is the hub's and the node's own through it, both certificates
included, so the proxy sees host, sizes and times. Whoever runs the machine has to hear which.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from psi.protocol import MisuseError

__all__ = ["PROXY", "hub_proxy", "not_reached_hint"]

PROXY = "FEDPROFILE_PROXY"

_NAMES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")


def hub_proxy(environment: Mapping[str, str] | None = None) -> str | None:
    """The proxy to the hub, None for none. Raises `MisuseError` where it is no HTTP proxy."""
    found = (os.environ if environment is None else environment).get(PROXY, "")
    if found and not re.fullmatch(r"https?://[^\s/]+/?", found):
        raise MisuseError(f"{PROXY}: an address like http://proxy.example:3128 is needed")
    return found or None


def not_reached_hint(hub: str = "", environment: Mapping[str, str] | None = None) -> str:
    """What to look at where a hub is not reached; names of variables only, never their values.

    `hub` is its host where the connection went through a proxy that is set, "" where it is direct.
    """
    given = os.environ if environment is None else environment
    hint = "is it running, and does a firewall let this machine out to it?"
    if given.get(PROXY):
        return f"{hint} ({PROXY} is set here: does that proxy let CONNECT through to the hub?)"
    for name in _NAMES:
        if given.get(name) and hub:
            return f"{name} is set here: set no_proxy={hub} to reach the hub without that proxy"
        if given.get(name):
            return f"{hint} ({name} is set here: the hub is reached directly, not through it)"
    return hint
