"""New keys for a party.

former/FINGERPRINT.json           an earlier identity: its ledgers are verified by it
former/FINGERPRINT.ledger.jsonl   the node's ledger up to then; its last line names the new keys
"""

from __future__ import annotations

import time

from federated.keys.identity_file import write_identity
from federated.keys.keyfile import save_keys
from federated.keys.officers import load_officers, write_officers
from federated.keys.party_keys import Identity, PartyKeys
from federated.node.home import NodeHome
from federated.node.purge import node_ledger
from federated.session.journal import can_resume
from psi.protocol import MisuseError, Random

__all__ = ["rotate"]


def rotate(home: NodeHome, keys: PartyKeys, passphrase: bytes, random: Random) -> Identity:
    """Make new keys under the same passphrase; the earlier private keys are gone afterwards.

    Raises `MisuseError` while a job can still go on: its contract is signed by the earlier keys.
    """
    going_on = [folder.name[:8] for folder in home.jobs.glob("*") if can_resume(folder)]
    if going_on:
        raise MisuseError(
            f"jobs can still go on under the present keys: {', '.join(going_on)}",
            hint="start the node: it lets them end, tells of those that are denied, and takes up "
            "those at rest, which node stop JOB --now then ends",
        )
    new, old = PartyKeys.generate(home.name), keys.identity
    listed = load_officers(home.path, old)
    name = old.fingerprint.replace(" ", "")
    former = home.path / "former"
    write_identity(former / f"{name}.json", old)
    ledger = node_ledger(home, keys, time.time)
    ledger.write("rotated", to=new.identity.fingerprint)
    ledger.close()
    (home.path / "ledger.jsonl").rename(former / f"{name}.ledger.jsonl")
    save_keys(home.keys, new, passphrase, random)
    write_identity(home.path / "identity.json", new.identity)
    ledger = node_ledger(home, new, time.time)
    ledger.write("rotated", since=old.fingerprint)
    ledger.close()
    if listed is not None:  # whose word counts stays, under the new signature
        write_officers(home.path, listed.changed(listed.people, new))
    return new.identity
