"""How a node comes to a hub: by an invite, for a certificate; over TLS 1.3 to the hub it names."""

from __future__ import annotations

import ssl
from typing import Any

import httpx

from federated.wire.certificates import request_certificate
from federated.wire.hub_home import Invite
from federated.wire.proxy import hub_proxy, not_reached_hint
from psi.protocol import EnvironmentFailed, PeerError, Refused

__all__ = ["VERSION", "enrol", "hub_context", "said", "wrong_certificate"]

VERSION = "1"
"""Of what a node and a hub say to each other."""


def enrol(invite: Invite, key: Any) -> bytes:
    """Use an invite: this node's certificate in PEM, for the key it made."""
    body = {
        "name": invite.name,
        "token": invite.token,
        "request": request_certificate(key, invite.name).decode(),
    }
    try:
        context, proxy = hub_context(invite.authority), hub_proxy()
        with httpx.Client(verify=context, timeout=30.0, proxy=proxy) as client:
            response = client.post(
                f"https://{invite.hub}/v1/enrol",
                json=body,
                headers={"x-fedprofile-version": VERSION},
            )
    except httpx.HTTPError as error:
        raise wrong_certificate(error) or EnvironmentFailed(
            f"the hub at {invite.hub} is not reached ({type(error).__name__})",
            hint=not_reached_hint(invite.hub.rpartition(":")[0]),
        ) from None
    if response.status_code != 200:
        code, text = said(response)
        raise Refused(text or f"the hub answered {response.status_code} {code}")
    try:
        return str(response.json()["certificate"]).encode("ascii")
    except (ValueError, KeyError, TypeError):
        raise PeerError("the hub's answer to the invite is malformed") from None


def hub_context(authority: str) -> ssl.SSLContext:
    """Takes a hub whose certificate is of this authority, in PEM, and no other."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_verify_locations(cadata=authority)
    except ssl.SSLError:
        raise EnvironmentFailed("the hub's authority certificate is malformed") from None
    return context


def wrong_certificate(error: httpx.HTTPError) -> EnvironmentFailed | None:
    """What to tell of a connection that failed because of the hub's certificate, if it did."""
    if "certificate has expired" in str(error):
        return EnvironmentFailed(
            "the hub's certificate has expired",
            hint="its owner makes it for longer: fedprofile hub renew; is this clock right?",
        )
    if "certificate verify failed" in str(error):
        return EnvironmentFailed(
            "the hub's certificate does not hold",
            hint="is this machine's clock right, is this the hub you know?",
        )
    return None


def said(response: httpx.Response) -> tuple[str, str]:
    """Code and text of a hub's refusal, cut to what may be shown; "" where there is none."""
    try:
        data = response.json()
        text = "".join(c for c in str(data["message"])[:300] if c.isprintable())
        return str(data["code"])[:32], text
    except (ValueError, KeyError, TypeError):
        return "", ""
