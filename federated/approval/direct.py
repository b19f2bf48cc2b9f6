"""`[direct]` of policy.toml: whether this party talks to others of a job without the hub.

It is read by itself as well: a node's lasting process needs it, and nothing else of the policy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from federated.toml_sections import TomlSection, load_toml
from psi.protocol import FedprofileError, InputError

__all__ = ["Direct", "load_direct", "read_address", "read_direct"]

_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]{1,253}):([0-9]{1,5})")
_HOW = "host:port, or [2001:db8::1]:port for IPv6"


@dataclass(frozen=True)
class Direct:
    """Where this party hears others of its jobs (`listen`), how they get there (`advertise`, told
    to nobody else), and where it may call whom (`dial`, by party). All empty: everything goes over
    the hub."""

    listen: str = ""
    advertise: str = ""
    dial: Mapping[str, str] = field(default_factory=dict)

    @property
    def on(self) -> bool:
        """Whether any direct way can come about."""
        return bool(self.advertise or self.dial)


def read_address(text: str) -> tuple[str, int]:
    """Host and port of "host:port", "192.0.2.1:port" or "[2001:db8::1]:port".

    Raises:
        InputError: it is none of these.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None or not 0 < int(found[2]) < 1 << 16:
        raise InputError("not an address", hint=_HOW)
    return found[1].strip("[]"), int(found[2])


def read_direct(section: TomlSection | None) -> Direct:
    """The section; raises `JobError` with file, key, found and allowed."""
    if section is None:
        return Direct()
    found = Direct(
        section.text("listen", ""), section.text("advertise", ""), section.renames("dial")
    )
    section.done()
    places = {"listen": found.listen, "advertise": found.advertise}
    places |= {f"dial {name}": place for name, place in found.dial.items()}
    for key, place in places.items():
        try:
            if place:
                read_address(place)
        except InputError:
            raise section.fail(key, place, _HOW) from None
    if bool(found.listen) != bool(found.advertise):
        key, other = ("listen", "advertise") if found.advertise else ("advertise", "listen")
        raise section.fail(
            key,
            "",
            f"an address beside {other}",
            "listen is where this machine hears, advertise "
            "how others get there through the firewall",
        )
    return found


def load_direct(policy: Path) -> Direct:
    """`[direct]` of a policy file; of one that is not there, or cannot be read now, nothing."""
    try:
        root = TomlSection(policy.name, "", load_toml(policy))
        return read_direct(root.table("direct"))
    except FedprofileError:
        return Direct()
