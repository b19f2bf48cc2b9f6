"""The release of a model: an officer's signature that its party may score rows by its part of it.

What is signed is the part, by the hash of its file, and what the officer looked at. So it cannot be
moved to another model, to one that was trained anew or altered, or to another party, and nobody
gives it who can merely write to the party's folder. Where it lies and whose counts says
`federated.approval.released`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from federated.keys.officers import OfficerKey, OfficerList, Person, check_signed
from psi.protocol import Refused

__all__ = ["Release", "check_release", "quality_of", "signed_release"]

_USE = b"fedprofile model release v1\n"
_FIELDS: Mapping[str, type] = {
    "party": str, "model": str, "digest": str, "task": str, "quality": str, "drift": str,
    "note": str, "made": int, "until": int, "officer": str, "key": str,
}  # fmt: skip

Release = dict[str, Any]
"""Party, model, hash of the part, task; the quality and drift that were looked at, a note; when,
and to which second it holds; the officer's name, key and signature."""


def quality_of(card: Mapping[str, Any]) -> str:
    """How good a part says that its model is, in the words that are signed; "" at a partner's."""
    named = {"auc": "AUC", "rmse": "error"}
    return ", ".join(f"{word} {card[name]}" for name, word in named.items() if name in card)


def signed_release(key: OfficerKey, said: Mapping[str, Any]) -> Release:
    """A release by this officer: all of the fields but his own are `said`."""
    whole = dict(said) | {"officer": key.name, "key": key.public}
    return whole | {"signature": key.sign(_USE, _text(whole))}


def check_release(release: Mapping[str, Any], listed: OfficerList) -> Person:
    """The officer whose release it is. Raises `Refused` unless the list names him and he signed."""
    said = {name: release.get(name) for name in _FIELDS}
    whole = all(type(said[name]) is kind for name, kind in _FIELDS.items())
    if not whole or set(release) != {*_FIELDS, "signature"}:
        raise Refused("not a release")
    person = listed.find(str(said["officer"]))
    if person is None or person.key != said["key"] or said["party"] != listed.party:
        raise Refused(f"no officer of {listed.party} by this name and key")
    check_signed(person, _USE, _text(said), str(release["signature"]))
    return person


def _text(said: Mapping[str, Any]) -> bytes:
    return json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
