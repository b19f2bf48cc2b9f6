"""A ledger as flat events for a SIEM: one JSON object a line, no nesting, stable names.

docs/LEDGER.md lists the fields. Texts that others chose come without control characters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from federated.text import plain

__all__ = ["EXPORT", "Event", "events"]

EXPORT = 1
"""Version of the fields' names; a field may be added without a new one."""

_NAMES = ("job", "purpose", "proposer")

Event = dict[str, str | int]


def events(lines: Iterable[Mapping[str, Any]]) -> Iterator[Event]:
    """One event a ledger line, in order. Times are RFC 3339 in UTC.

    A step's no, and the end, are of the job that lines before them name.
    """
    session, named = "", Event()
    for line in lines:
        body = line["body"]
        session = str(body.get("session", session))
        event: Event = {
            "time": _time(line["time"]),
            "product": "fedprofile",
            "format": EXPORT,
            "party": plain(line["party"]),
            "session": session,
            "line": line["number"] + 1,
            "event": plain(line["kind"]),
        }
        own = _BODIES.get(line["kind"], _known)(body)
        if line["kind"] in ("approved", "refused", "contract"):
            named |= {key: own[key] for key in _NAMES if key in own}
        if line["kind"] in ("refused", "ended"):
            own = own | named
        yield event | own | {"hash": line["hash"]}


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _known(body: Mapping[str, Any]) -> Event:
    """Numbers and texts by their own names; a list of texts is joined by commas."""
    found: Event = {}
    for key, value in body.items():
        if isinstance(value, int):
            found[key] = int(value)
        elif isinstance(value, str):
            found[key] = plain(value, 500)
        elif isinstance(value, list) and all(isinstance(one, str) for one in value):
            found[key] = _joined(value)
    return found


def _joined(names: Iterable[str]) -> str:
    return ",".join(plain(name) for name in names)


def _opened(body: Mapping[str, Any]) -> Event:
    return {"parties": _joined(body["parties"]), "ledger_format": body["format"]}


def _handshake(body: Mapping[str, Any]) -> Event:
    return {"peers": _joined(body["peers"])}


def _ways(body: Mapping[str, Any]) -> Event:
    met = [peer for peer, ways in body["bytes"].items() if ways.get("direct")]
    return {"direct": _joined(met)}


def _contract(body: Mapping[str, Any]) -> Event:
    terms = body["terms"]
    return {
        "contract": body["digest"],
        "job": plain(terms["job"]),
        "purpose": plain(terms["purpose"]),
        "proposer": plain(terms["proposer"]),
        "receiver": plain(terms["receiver"]),
        "expires": _time(terms["expires"]),
        "signed_by": _joined(body["signatures"]),
    }


def _received(body: Mapping[str, Any]) -> Event:
    return _known(body) | {"peer_line": body["head"][0] + 1}


def _disclosure(body: Mapping[str, Any]) -> Event:
    texts = {"step": body["step"], "to": body["to"], "learns": body["learns"], "term": body["line"]}
    counts = {f"count_{key}": n for key, n in body.items() if isinstance(n, int)}
    return {key: plain(text, 500) for key, text in texts.items()} | counts


def _outputs(body: Mapping[str, Any]) -> Event:
    return {"files": _joined(f"{name} {digest}" for name, digest in body["files"].items())}


def _decided(body: Mapping[str, Any]) -> Event:
    """Who signed with keys of their own; the whole words are in the ledger."""
    words = body.get("words")
    signed = {"signed_by": _joined(word["officer"] for word in words)} if words else {}
    return _known({key: value for key, value in body.items() if key != "words"}) | signed


def _officers(body: Mapping[str, Any]) -> Event:
    people = _joined(f"{one['name']} ({one['role']})" for one in body["people"])
    return {"number": body["number"], "people": people}


_BODIES: dict[str, Callable[[Mapping[str, Any]], Event]] = {
    "opened": _opened,
    "approved": _decided,
    "refused": _decided,
    "handshake": _handshake,
    "ways": _ways,
    "contract": _contract,
    "received": _received,
    "farewell": _received,
    "disclosure": _disclosure,
    "outputs": _outputs,
    "officers": _officers,
}
