"""The contract that a job of this node has, from the job's ledger, or from its journal at rest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from federated.contract.terms import Contract
from federated.ledger.lines import read_ledger
from federated.session import journal
from federated.store.files import of_another_version
from federated.store.plain import from_plain
from psi.protocol import InputError, PeerError, Random

if TYPE_CHECKING:
    from federated.node.home import NodeHome

__all__ = ["contract_at_rest", "signed_contract"]


def contract_at_rest(folder: Path, session: bytes, random: Random) -> Contract | None:
    """What a job's folder was left under; None where nothing was signed, or nothing is at rest.

    Raises:
        EnvironmentFailed: it was begun by another version.
    """
    signed = journal.signed_contract(folder, session, random)
    try:
        return Contract.from_bytes(signed) if signed else None
    except PeerError as error:
        raise of_another_version(error) from None


def signed_contract(place: NodeHome, session: bytes) -> Contract | None:
    """What every party of the job has signed; None where nobody has, or who runs this cannot look.

    Args:
        place: the node's folder.
        session: of the job.

    Raises:
        InputError: a ledger that is damaged, or another version's.
    """
    path = place.job(session) / "ledger.jsonl"
    try:
        with path.open("rb"):
            pass
    except OSError:  # an officer may be another user than the node's
        return None
    body = next((line["body"] for line in read_ledger(path) if line["kind"] == "contract"), None)
    if body is None:
        return None
    try:
        contract = from_plain(Contract, body.get("terms"))
        contract.check()
    except PeerError as error:
        raise InputError(f"{path.name} of {session.hex()[:8]}: {error.message}") from None
    if contract.digest.hex() != body.get("digest"):
        raise InputError(f"{path.name} of {session.hex()[:8]}: not the contract that was signed")
    return contract
