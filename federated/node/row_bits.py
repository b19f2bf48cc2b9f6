"""Bits of a row, and of a label, for an officer: from table and book, if its user may read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from federated.approval.decision import Request
    from federated.node.home import NodeHome
    from federated.releases.label_bits import LabelBits
    from federated.releases.row_bits import RowBits

__all__ = ["label_bits_of", "row_bits_of"]


def row_bits_of(request: Request, place: NodeHome) -> tuple[RowBits | None, list[str]]:
    """What a proposal tells of a row of this party's table, and what is not known of that here.

    An officer may be another user than the node's, who may read neither book nor table. What this
    job itself has told by now is not what was told before.
    """
    import secrets
    import time

    from federated.releases.holdings import Holdings
    from federated.releases.limits import load_release_limits
    from federated.releases.memory import Releases
    from federated.releases.row_bits import row_bits
    from federated.tables.bindings import TablesFile
    from federated.tables.source import FileSource
    from psi.protocol import FedprofileError

    contract, me = request.contract, request.contract.party(request.me)
    row, unknown = row_bits(contract, request.me), list[str]()
    if row is None:
        return None, []
    limits, told, held = load_release_limits(place.policy), None, None
    try:
        if place.releases.exists():
            book = Releases(place.releases, limits, secrets.token_bytes, time.time)
            told = book.told(me.table, contract.receiver, frozenset(row.columns), contract.nonce)
        else:
            told = 0.0
    except (FedprofileError, OSError):
        unknown.append("what was told before is in a book that this user cannot read")
    try:
        source = FileSource(TablesFile.load(place.tables))
        held = Holdings(source, me)(row.columns)
    except (FedprofileError, OSError):
        unknown.append("what a row holds is in a table that this user cannot read")
    return row_bits(contract, request.me, told=told, held=held, limits=limits), unknown


def label_bits_of(request: Request, place: NodeHome) -> tuple[LabelBits, ...]:
    """What a job of this party's own tells partners of its labels; () where it is another's.

    What was told before is left open where this user cannot read the node's book.
    """
    import secrets
    import time

    from federated.releases.label_bits import label_bits
    from federated.releases.limits import load_release_limits
    from federated.releases.memory import Releases
    from psi.protocol import FedprofileError

    if request.me != request.contract.receiver:
        return ()
    limits = load_release_limits(place.policy)
    try:
        book = Releases(place.releases, limits, secrets.token_bytes, time.time)
        return label_bits(request.contract, book=book)
    except (FedprofileError, OSError):
        return label_bits(request.contract, allowed=limits.label_bits)
