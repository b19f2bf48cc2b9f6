"""A node's calls to the hub: what it shows, how large an answer may be, what a refusal means."""

from __future__ import annotations

import datetime as dt
import email.utils
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from flwr.supercore.interceptors.http.runtime_version import RuntimeVersionHttpInterceptor
from flwr.supercore.primitives.asymmetric import public_key_to_bytes
from flwr.supernode.fleet_http_client import FleetHttpClient
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

from federated.node.lives import OlderCopy
from federated.session.reasons import ShutOut
from federated.wire.certificates import read_certificate, read_key
from federated.wire.enrolment import VERSION, hub_context, said, wrong_certificate
from federated.wire.proxy import hub_proxy
from psi.protocol import EnvironmentFailed, FedprofileError, Refused

__all__ = ["Doubted", "FleetKeys", "Stale", "Void", "called", "client_of"]

_LARGEST_ANSWER = 6 << 20

READ_SECONDS = 35.0
"""Longer than the hub holds a call: a cut that swallows packets is noticed after it."""


class FleetKeys:
    """What a node shows to the hub: its certificate, and the key that signs each call."""

    def __init__(self, certificate: Path, key: Path, authority: Path, passphrase: bytes) -> None:
        self.private = read_key(key, passphrase)
        self.public = public_key_to_bytes(self.private.public_key())
        self.context = hub_context(authority.read_text("ascii"))
        self.expires = read_certificate(certificate.read_bytes()).not_valid_after_utc
        try:
            self.context.load_cert_chain(certificate, key, passphrase)
        except (OSError, ssl.SSLError):
            raise EnvironmentFailed("certificate and key of this node do not fit") from None

    def __repr__(self) -> str:
        return "<keys to the hub>"

    def check(self) -> None:
        """Raise `EnvironmentFailed` if the certificate has expired: a hub just hangs up then."""
        if self.expires < dt.datetime.now(dt.UTC):
            raise EnvironmentFailed(
                f"this node's certificate has expired on {self.expires:%Y-%m-%d}",
                hint="ask the hub's owner for a new invite: fedprofile node init INVITE --renew",
            )


class Stale(Exception):
    """The hub does not know this process (any more): activate again."""


class Void(Exception):
    """The message that was answered is not open any more: answer another."""


class Doubted(Exception):
    """The hub is not reached, or does not take a call, for a reason that may pass by itself.

    It may be a carrier's between, of one call that was altered, or of a clock that is set anew: it
    ends no node that has been connected. `error` says what it is.
    """

    def __init__(self, error: FedprofileError) -> None:
        super().__init__(error.message)
        self.error = error


def client_of(hub: str, keys: FleetKeys, life: str) -> FleetHttpClient:
    """The fleet API of one hub; `life` is what `lives.begin` gave."""
    client = FleetHttpClient(
        f"https://{hub}",
        interceptors=[
            RuntimeVersionHttpInterceptor(component_name="SuperNode"),
            NodeAuthHttpInterceptor(keys.private, keys.private.public_key()),
        ],
        verify=keys.context,
    )
    # the connection to one hub: no redirects, and no proxy but one that is meant for it
    client._client = httpx.Client(
        proxy=hub_proxy(),
        verify=keys.context,
        timeout=httpx.Timeout(READ_SECONDS, connect=10.0),
        follow_redirects=False,
        trust_env=False,
        event_hooks={"response": [_bounded]},
        headers={
            "x-fedprofile-version": VERSION,
            "x-fedprofile-instance": os.urandom(16).hex(),
            "x-fedprofile-life": life,
        },
    )
    return client


def _bounded(response: httpx.Response) -> None:
    """Called before an answer's body is read: no answer of a hub is larger than an object."""
    size = response.headers.get("content-length", "")
    if not size.isdigit() or int(size) > _LARGEST_ANSWER:
        raise httpx.RemoteProtocolError("an answer of the hub is larger than any may be")


def called(method: Callable[[Any], Any], request: Any) -> Any:
    """What a call to the hub answers.

    Raises:
        EnvironmentFailed: a copy of this node, or another process with its keys.
        Refused: the hub takes this node no more.
        Doubted: certificates that do not hold, a wrong clock, a signature that does not.
        Stale, Void: what a node does about, and tells nobody.
        httpx.HTTPError: the hub is not reached, or fails.
    """
    try:
        return method(request)
    except httpx.HTTPStatusError as error:
        raise _understood(error) from None
    except httpx.ConnectError as error:
        if (wrong := wrong_certificate(error)) is not None:
            raise Doubted(wrong) from None
        raise
    except httpx.ReadError as error:
        if "certificate" in str(error).lower():
            raise Doubted(
                EnvironmentFailed(
                    "the hub does not take this node's certificate",
                    hint="it may have expired: ask for a new invite",
                )
            ) from None
        raise


def _understood(error: httpx.HTTPStatusError) -> Exception:
    """What an HTTP error of the hub means for this node."""
    code, text = said(error.response)
    if code == "activate":
        return Stale()
    if code == "void":
        return Void()
    if code == "replaced":
        return EnvironmentFailed(
            text, hint="stop the other process, or give each node an invite of its own"
        )
    if code == "older":
        return OlderCopy(
            "the hub has met a later state of this node than this folder: it is an older copy, "
            "or another copy of it has run",
            hint="stop the other one; its officer looks and accepts: fedprofile node accept-copy",
        )
    if code in ("revoked", "stranger"):
        return ShutOut(text or f"the hub said {code}")
    if code in ("certificate", "version", "foreign"):
        return Refused(text or f"the hub said {code}")
    if error.response.status_code == 401:
        skew = _skew(error.response)
        if abs(skew) > 60:
            return Doubted(
                EnvironmentFailed(
                    f"this machine's clock differs from the hub's by {abs(skew):.0f} s, "
                    "300 allowed",
                    hint="set the clock (timedatectl set-ntp true)",
                )
            )
        return Doubted(Refused("the hub does not accept this node's signature"))
    return error


def _skew(response: httpx.Response) -> float:
    try:
        theirs = email.utils.parsedate_to_datetime(response.headers["date"])
        return (theirs - dt.datetime.now(dt.UTC)).total_seconds()
    except (KeyError, ValueError, TypeError):
        return 0.0
