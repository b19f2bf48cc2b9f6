"""Changes of a party's list of officers: signed, written, and noted in the node's own ledger."""

from __future__ import annotations

import time
from collections.abc import Callable

from federated.keys.officers import OfficerList, Person, load_officers, write_officers
from federated.keys.party_keys import PartyKeys
from federated.node.home import NodeHome
from federated.node.own_ledger import last_officers
from federated.node.purge import note
from psi.protocol import InputError

__all__ = ["change_officers"]

People = tuple[Person, ...]


def change_officers(
    home: NodeHome, keys: PartyKeys, change: Callable[[People], People]
) -> OfficerList:
    """Write the next list; its line is in the node's ledger before it counts.

    Args:
        home: the node's folder.
        keys: the party's, whose organisation key signs list and line.
        change: who is to be listed, of those who are.

    A list that was damaged, or is another's, is put right first: by the last one in the node's own
    ledger.

    Raises:
        InputError: neither is signed by the party.
    """
    try:
        listed = load_officers(home.path, keys.identity)
    except InputError:
        listed = OfficerList.from_plain(last_officers(home) or {}, keys.identity)
    listed = listed or OfficerList(home.name, 0, ())
    after = listed.changed(change(listed.people), keys)
    note(home, keys, time.time, "officers", **after.plain())
    write_officers(home.path, after)
    return after
