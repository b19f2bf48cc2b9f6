"""New keys for a party.

keys.next                         the new keys, until all else is written under them
former/FINGERPRINT.json           an earlier identity: its ledgers are verified by it
former/FINGERPRINT.ledger.jsonl   the node's ledger up to then; its last line names the new keys

A rotation that was killed is finished by the next one: until then nothing opens the party's keys.
"""

from __future__ import annotations

import time

from federated.keys.identity_file import write_identity
from federated.keys.keyfile import load_keys, save_keys
from federated.keys.officers import OfficerList, load_officers, write_officers
from federated.keys.party_keys import Identity, PartyKeys
from federated.node.home import NodeHome
from federated.node.purge import node_ledger
from federated.session.journal import can_resume
from federated.store.files import sync_folder
from psi.protocol import InputError, MisuseError, Random

__all__ = ["rotate"]

CALLED = (
    "start the node: it lets others' jobs end, tells of those that are denied, and takes up those "
    "at rest, which node stop JOB --now then ends"
)


def rotate(home: NodeHome, keys: PartyKeys, passphrase: bytes, random: Random) -> Identity:
    """Make new keys under the same passphrase; the earlier private keys are gone afterwards.

    Args:
        home: the node's folder.
        keys: those in its file `keys`, also where an earlier rotation was killed.
        passphrase: seals the new ones.
        random: salt and nonce of their file.

    Raises:
        MisuseError: a job can still go on; its contract is signed by the earlier keys.
    """
    going_on = [folder for folder in home.jobs.glob("*") if can_resume(folder)]
    if going_on:
        called = [(folder / "call").exists() for folder in going_on]
        hints = ["this party's own end by fedprofile job stop"] * (not all(called))
        hints += [CALLED] * any(called)
        raise MisuseError(
            "jobs can still go on under the present keys: "
            + ", ".join(folder.name[:8] for folder in going_on),
            hint="; ".join(hints),
        )
    if not home.next_keys.exists():
        save_keys(home.next_keys, PartyKeys.generate(home.name), passphrase, random)
    new, old = load_keys(home.next_keys, passphrase), keys.identity
    listed = _listed(home, old, new.identity)
    name = old.fingerprint.replace(" ", "")
    former, own_ledger = home.path / "former", home.path / "ledger.jsonl"
    write_identity(former / f"{name}.json", old)
    if not (former / f"{name}.ledger.jsonl").exists():
        ledger = node_ledger(home, keys, time.time)
        ledger.once("rotated", to=new.identity.fingerprint)
        ledger.close()
        own_ledger.rename(former / f"{name}.ledger.jsonl")
    own_ledger.unlink(missing_ok=True)  # begun by a rotation that was killed
    ledger = node_ledger(home, new, time.time)
    ledger.write("rotated", since=old.fingerprint)
    if listed is not None:  # whose word counts stays, under the new signature
        listed = listed.changed(listed.people, new)
        ledger.write("officers", **listed.plain())
        write_officers(home.path, listed)
    ledger.close()
    write_identity(home.path / "identity.json", new.identity)
    home.next_keys.replace(home.keys)
    sync_folder(home.path)
    return new.identity


def _listed(home: NodeHome, old: Identity, new: Identity) -> OfficerList | None:
    """The list of officers, whichever keys have signed it: a rotation may have been killed."""
    try:
        return load_officers(home.path, old)
    except InputError:
        return load_officers(home.path, new)
