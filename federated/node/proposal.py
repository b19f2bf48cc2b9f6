"""What an officer sees of a proposal before a decision: data, for a terminal or another screen."""

from __future__ import annotations

from dataclasses import dataclass

from federated.approval.decision import Request
from federated.approval.policy_file import load_policy
from federated.approval.series import series_lines
from federated.approval.words import Waiting
from federated.contract.summary import Odd, asked_of, in_words, look_twice
from federated.keys.peers import Peers
from federated.node.home import NodeHome
from federated.node.row_bits import label_bits_of, row_bits_of
from federated.releases.label_bits import LabelBits
from federated.releases.row_bits import RowBits
from federated.tables.bindings import TablesFile
from federated.tables.category_names import names_missed
from federated.tables.source import FileSource
from psi.protocol import FedprofileError

__all__ = ["KeyShown", "ProposalShown", "proposal_shown"]


@dataclass(frozen=True)
class KeyShown:
    """A party of the contract, its keys' fingerprint, and how it was confirmed, "" if it was not.

    `own` is this party's.
    """

    party: str
    fingerprint: str
    confirmed: str
    own: bool


@dataclass(frozen=True, kw_only=True)
class ProposalShown:
    """A proposal and all that this node derives from its contract.

    `asked` are lines on this party's table and columns, `words` on the whole contract; `bits` what
    it tells of a row of this party's, None for nothing, `unknown` what this user cannot read of
    that; `labels` what it tells partners of this party's labels; `missed` where this party's table
    and the job pass each other by; `series` what is left of the
    rule's that approved it, or why none that matches did; `odd` texts that may be meant to deceive.
    """

    entry: Waiting
    asked: tuple[str, ...]
    words: tuple[str, ...]
    bits: RowBits | None
    labels: tuple[LabelBits, ...]
    unknown: tuple[str, ...]
    missed: tuple[str, ...]
    series: tuple[str, ...]
    keys: tuple[KeyShown, ...]
    odd: tuple[Odd, ...]


def proposal_shown(entry: Waiting, place: NodeHome) -> ProposalShown:
    """What is to be shown of a proposal.

    Args:
        entry: from the node's inbox.
        place: the node's folder.

    Raises:
        FedprofileError: the policy or the pinned keys cannot be read.
    """
    request, contract = entry.request, entry.request.contract
    known = {peer.identity.fingerprint: peer.confirmed for peer in Peers(place.path).all()}
    bits, unknown = row_bits_of(request, place)
    keys = [
        KeyShown(
            terms.name,
            terms.identity.fingerprint,
            known.get(terms.identity.fingerprint) or "",
            terms.name == request.me,
        )
        for terms in contract.parties
    ]
    return ProposalShown(
        entry=entry,
        asked=tuple(asked_of(contract, request.me)),
        words=tuple(in_words(contract)),
        bits=bits,
        labels=label_bits_of(request, place),
        unknown=tuple(unknown),
        missed=tuple(_missed(request, place)),
        series=tuple(_series(entry, place)),
        keys=tuple(keys),
        odd=tuple(look_twice(contract)),
    )


def _missed(request: Request, place: NodeHome) -> list[str]:
    """Category columns of this party's that hold few of the contract's names."""
    me, found = request.contract.party(request.me), list[str]()
    for terms in request.contract.category:
        if terms.partner == request.me:
            try:
                source = FileSource(TablesFile.load(place.tables))
                table = source.load(me.table, [terms.category])
            except (FedprofileError, OSError):  # this user cannot look; the node says what is amiss
                continue
            missed = names_missed(table, terms.category, terms.categories)
            found += [f"{terms.category}: {missed}"] if missed else []
    return list(dict.fromkeys(found))


def _series(entry: Waiting, place: NodeHome) -> list[str]:
    table = entry.request.contract.party(entry.request.me).table
    try:
        named = FileSource(TablesFile.load(place.tables)).keys(table)
    except (FedprofileError, OSError):  # this user cannot look, or it is bound no more
        named = ()
    return series_lines(place.path, load_policy(place.policy), entry=entry, named=named)
