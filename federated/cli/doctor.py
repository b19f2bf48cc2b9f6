"""What `fedprofile node doctor` looks at, one finding after another."""

from __future__ import annotations

import datetime as dt
import email.utils
import errno
import shutil
import socket
import ssl
from collections.abc import Callable, Iterator
from functools import partial

import httpx
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from federated.approval.direct import load_direct, read_address
from federated.approval.policy_file import load_policy
from federated.keys.peers import Peers
from federated.node.home import MOUNTED, NodeHome
from federated.node.lives import check_is_last
from federated.node.own_ledger import check_officers
from federated.tables.bindings import TablesFile
from federated.wire.certificates import read_certificate, read_key
from federated.wire.proxy import hub_proxy, not_reached_hint
from psi.protocol import FedprofileError

__all__ = ["examine"]

SOON = dt.timedelta(days=30)
LEAST_DISK = 2 << 30
MOST_SKEW = 60.0
"""Seconds; a hub refuses calls from 300 on."""


def examine(home: NodeHome, passphrase: Callable[[], bytes]) -> Iterator[tuple[str, str]]:
    """Pairs of what was looked at and what is wrong with it, "" if nothing is."""
    outside: list[tuple[str, Callable[[], str]]] = [
        ("certificate", lambda: _certificate(home)),
        ("certificate and its key belong together", lambda: _pair(home, passphrase)),
        (f"hub {home.hub} answers over TLS", lambda: _hub(home)),
        ("clock agrees with the hub's", lambda: _clock(home)),
        ("its version goes with the hub's", lambda: _version(home)),
        ("the hub takes this node", lambda: _known(home, passphrase)),
    ]
    checks: list[tuple[str, Callable[[], str]]] = [
        ("private files can be read by their owner only", lambda: _raised(home.check)),
        ("keys open with the passphrase", lambda: _keys(home, passphrase)),
        (
            "this folder is the party's last state",
            lambda: _raised(lambda: check_is_last(home.path)),
        ),
        *(outside if home.hub != MOUNTED else []),
        *_direct(home),
        ("tables", lambda: _tables(home)),
        ("policy", lambda: _raised(lambda: load_policy(home.policy))),
        ("list of officers", lambda: _officers(home)),
        ("peers", lambda: _peers(home)),
        ("disk", lambda: _disk(home)),
    ]
    for what, check in checks:
        yield what, check()


def _raised(check: Callable[[], object]) -> str:
    try:
        check()
    except FedprofileError as error:
        return f"{error.message}{'; ' + error.hint if error.hint else ''}"
    return ""


def _keys(home: NodeHome, passphrase: Callable[[], bytes]) -> str:
    return _raised(lambda: home.load_keys(passphrase()))


def _certificate(home: NodeHome) -> str:
    try:
        ends = read_certificate(home.certificate.read_bytes()).not_valid_after_utc
    except (OSError, FedprofileError):
        return "cannot be read"
    left = ends - dt.datetime.now(dt.UTC)
    if left < dt.timedelta(0):
        return f"expired on {ends:%Y-%m-%d}; ask the hub's owner for a new invite"
    return f"expires on {ends:%Y-%m-%d}; ask for a new invite" if left < SOON else ""


def _pair(home: NodeHome, passphrase: Callable[[], bytes]) -> str:
    try:
        key = read_key(home.certificate_key, passphrase()).public_key()
        held = read_certificate(home.certificate.read_bytes()).public_key()
    except (OSError, FedprofileError):
        return "certificate or key cannot be read"
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_bytes(*form) == held.public_bytes(*form):
        return ""
    return "node.crt is of another key than node.key; put back the pair, or ask for a new invite"


def _clock(home: NodeHome) -> str:
    """What a hub says of the time in any answer."""
    try:
        theirs = email.utils.parsedate_to_datetime(_turned_away(home).headers["date"])
    except (httpx.HTTPError, OSError, KeyError, ValueError):
        return ""  # not reached: that is told already
    skew = abs((theirs - dt.datetime.now(dt.UTC)).total_seconds())
    if skew < MOST_SKEW:
        return ""
    return f"differs by {skew:.0f} s, {MOST_SKEW:.0f} allowed; timedatectl set-ntp true"


def _version(home: NodeHome) -> str:
    """The hub says so, as to the node."""
    try:
        said = _turned_away(home).json()
        return str(said["message"])[:200] if said["code"] == "version" else ""
    except (httpx.HTTPError, OSError, KeyError, ValueError, TypeError):
        return ""  # not reached: that is told already


def _known(home: NodeHome, passphrase: Callable[[], bytes]) -> str:
    """What the hub says to this node's certificate: a call of no process changes nothing there."""
    from federated.wire.enrolment import VERSION, hub_context, said

    try:
        context = hub_context(home.authority.read_text("ascii"))
        context.load_cert_chain(home.certificate, home.certificate_key, passphrase())
        headers = {"x-fedprofile-version": VERSION}
        with httpx.Client(verify=context, timeout=5, trust_env=False, proxy=hub_proxy()) as client:
            answer = client.post(f"https://{home.hub}/v1/fleet/pull-messages", headers=headers)
    except (httpx.HTTPError, OSError, FedprofileError):
        return ""  # not reached, or its files do not fit: that is told already
    code, text = said(answer)
    if code not in ("revoked", "stranger", "certificate"):
        return ""
    return f"{text}: fedprofile node init INVITE --renew, with a new one of the hub's owner"


def _turned_away(home: NodeHome) -> httpx.Response:
    """The hub's answer to an enrolment without an invite."""
    from federated.wire.enrolment import VERSION

    context = ssl.create_default_context(cafile=str(home.authority))
    proxy, said = hub_proxy(), {"x-fedprofile-version": VERSION}
    with httpx.Client(verify=context, timeout=5, trust_env=False, proxy=proxy) as client:
        return client.post(f"https://{home.hub}/v1/enrol", headers=said)


def _hub(home: NodeHome) -> str:
    host, _, port = home.hub.rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(home.authority)
        if hub_proxy():
            _turned_away(home)
            return ""
        with (
            socket.create_connection((host, int(port)), timeout=5) as link,
            context.wrap_socket(link, server_hostname=host),
        ):
            return ""
    except ssl.SSLCertVerificationError as error:
        own = "its owner: fedprofile hub renew; " if "expired" in error.verify_message else ""
        return f"its certificate does not hold ({error.verify_message}); {own}is the clock right?"
    except (OSError, ValueError, httpx.HTTPError) as error:
        return f"not reached ({type(error).__name__}); {not_reached_hint()}"


def _direct(home: NodeHome) -> list[tuple[str, Callable[[], str]]]:
    """What the policy says of ways beside the hub; nothing where it says none.

    Certificates are made for each job, so there is none to look at here.
    """
    found = load_direct(home.policy)
    checks: list[tuple[str, Callable[[], str]]] = []
    if found.listen:
        what = f"jobs of others may come in at {found.listen}"
        checks.append((what, lambda: _listens(found.listen)))
    checks += [
        (f"{peer} is reached directly at {place}", partial(_dials, home, peer, place))
        for peer, place in found.dial.items()
    ]
    return checks


def _listens(place: str) -> str:
    """Somebody hears there, this node or the hub that it is mounted in; or somebody may."""
    host, port = read_address(place)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
        return ""  # free: the node takes it when it is started
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        why = error.strerror
    try:
        if taken:
            socket.create_connection((host, port), timeout=5).close()
            return ""  # the running node hears there, or another program: its log says which
    except OSError:
        pass
    return f"cannot be heard at ({why}); policy.toml, [direct] listen"


def _dials(home: NodeHome, peer: str, place: str) -> str:
    if peer not in home.pinned():
        return "is no confirmed peer: nobody is called there; fedprofile node peers"
    try:
        socket.create_connection(read_address(place), timeout=5).close()
    except OSError as error:
        why = error.strerror or type(error).__name__
        return f"not reached ({why}): jobs go over the hub. Its node, or a firewall between"
    return ""


def _tables(home: NodeHome) -> str:
    if not home.tables.exists():
        return "none is bound; fedprofile node table add"
    return _raised(
        lambda: [table.columns() for table in TablesFile.load(home.tables).tables.values()]
    )


def _officers(home: NodeHome) -> str:
    """Where it cannot be read nobody's word counts, and every call is refused."""
    try:
        return check_officers(home)
    except FedprofileError as error:
        return error.message


def _peers(home: NodeHome) -> str:
    problem = _raised(home.pinned)
    if problem:
        return problem
    unsure = [peer.identity.name for peer in Peers(home.path).all() if not peer.confirmed]
    if unsure:
        return f"not confirmed: {', '.join(unsure)}; fedprofile node peers confirm"
    return "" if len(home.pinned()) > 1 else "none; no contract can be approved"


def _disk(home: NodeHome) -> str:
    free = shutil.disk_usage(home.path).free
    return "" if free > LEAST_DISK else f"{free >> 20} MB are free, {LEAST_DISK >> 20} wanted"
