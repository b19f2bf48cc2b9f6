"""An account of a job: one party's ledger, and whether it is whole in itself.

That is: chained and signed by its owner from the first line on; a contract that everybody has
signed; frames numbered without a gap; and heads of the other parties that they have signed.
Of a contract that another version wrote the bytes and signatures are held, its terms are not read.
`compare` sets two accounts against each other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from federated.contract.completion import complete
from federated.contract.negotiation import derived
from federated.contract.terms import VERSION, Contract, signing_bytes, verify_signatures
from federated.keys.identity_file import read_identity
from federated.keys.officers import OfficerList, check_word
from federated.keys.party_keys import Identity
from federated.ledger.lines import READ, START, Head, check_head, line_digest, parse_lines
from federated.scoring.release import check_release
from federated.store.plain import OtherFields, canonical, from_canonical
from psi.protocol import FedprofileError, InputError, PeerError

__all__ = ["Account", "Finding", "Line", "read_account", "verify_ledger"]

Line = Mapping[str, Any]
UNKNOWN = Identity("", b"", b"")
AFTER = ("ended", "forgotten", "outputs", "purged", "resumed")
"""What may be said of a job that has come to its end: what was made of it, and done with it."""
ONCE = ("opened", "handshake", "approved", "contract", "result", "disclosure", "finished")


@dataclass(frozen=True)
class Finding:
    """What is wrong, and where: the line's number in its file, from 1.

    `open`: an honest party may be the reason, for the job broke off, or a party came back too
    late, while a frame was under way or before a line could be written. `put_back`: so has the
    ledger of a party that was put back to an older copy.
    """

    file: str
    line: int
    text: str
    open: bool = False
    put_back: bool = False

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.text}"


@dataclass(kw_only=True)
class Account:
    """One party's ledger of a job, and what was found in it alone.

    `parties` are the keys that its owner had pinned; the sealing halves are left empty.
    `other_version` is that of a contract or draft whose terms cannot be read here, else 0.
    """

    file: str
    owner: Identity
    lines: list[dict[str, Any]]
    session: bytes = b""
    parties: dict[str, Identity] = field(default_factory=dict)
    contract: Contract | None = None
    other_version: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The owner's."""
        return self.owner.name

    @property
    def finished(self) -> bool:
        """Whether the owner says that the job came to its end."""
        return any(line["kind"] == "finished" for line in self.lines)

    @property
    def unheard(self) -> list[str]:
        """Parties whose last frame its owner missed: it came back after they had ended."""
        return [
            str(name) for _, line in self.of_kind("finished") for name in line["body"]["unheard"]
        ]

    def of_kind(self, *kinds: str) -> Iterator[tuple[int, Line]]:
        """Lines of these kinds with their numbers in the file."""
        for number, line in enumerate(self.lines, start=1):
            if line["kind"] in kinds:
                yield number, line

    def note(self, line: int, text: str) -> None:
        """Add a finding."""
        self.findings.append(Finding(self.file, line, text))

    def signed_by(self, owner: Identity) -> None:
        """Check the signatures of an account that was read without its owner's key."""
        self.owner = owner
        if not self.findings:
            _check_chain(self)


def verify_ledger(path: str | Path, owner: Identity | str | Path) -> int:
    """How many lines a ledger has, all whole, in order and signed.

    Args:
        path: a party's `ledger.jsonl`.
        owner: that party's public keys, or the `identity.json` with them that lies beside it.

    Raises:
        InputError: the first thing that is wrong, with its line; a file that is not there.
    """
    keys = owner if isinstance(owner, Identity) else read_identity(Path(owner))
    account = read_account(Path(path), keys)
    for finding in account.findings:
        raise InputError(str(finding))
    return len(account.lines)


def read_account(path: Path, owner: Identity | None = None, name: str = "") -> Account:
    """The account in a ledger file, with all that is wrong with it by itself.

    Without `owner` its signatures are still to be checked, by `signed_by`. Findings call the
    file `name`.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"ledger {path.name}: {error.strerror}") from None
    account = Account(file=name or path.name, owner=owner or UNKNOWN, lines=[])
    try:
        account.lines = parse_lines(account.file, data)
    except InputError as error:
        where, _, text = error.message.removeprefix(f"{account.file}, line ").partition(": ")
        account.note(int(where), text)
        return account
    whole = (_check_opening, _check_chain, _check_bodies, _check_facts)
    for check in (*whole, _check_contract, _check_words, _check_heads):
        if not account.findings:
            check(account)
    return account


def _check_opening(account: Account) -> None:
    first = account.lines[0] if account.lines else None
    if first is None or first["kind"] != "opened":
        account.note(1, "the first line does not open a ledger")
        return
    form = first["body"].get("format")
    if form not in READ:
        found, read = form if type(form) is int else "unknown", " and ".join(map(str, READ))
        account.note(1, f"format {found} of ledgers found, {read} are read here")
        return
    try:
        account.session = bytes.fromhex(first["body"]["session"])
        account.parties = {
            name: Identity(name, bytes.fromhex(keys["organisation"]), b"")
            for name, keys in first["body"]["parties"].items()
        }
    except (KeyError, ValueError, TypeError, AttributeError):
        account.note(1, "the first line does not name session and parties")
        return
    if account.owner == UNKNOWN:
        account.owner = Identity(first["party"], b"", b"")
    known = account.name in account.parties or (not account.parties and not any(account.session))
    if first["party"] != account.name or not known:  # a node's own ledger has no job, no parties
        account.note(1, f"the ledger is {first['party']}'s, not {account.name}'s")


def _check_chain(account: Account) -> None:
    """Up to the first broken link: what follows it says nothing."""
    last = START
    for number, line in enumerate(account.lines, start=1):
        head = Head(number - 1, line["hash"], line["signature"])
        if line["number"] != number - 1 or line["previous"] != last:
            account.note(number, "a line before it is missing or was moved")
        elif line["hash"] != line_digest(line):
            account.note(number, "the line was altered")
        elif line["party"] != account.name:
            account.note(number, f"a line of {line['party']} in the ledger of {account.name}")
        elif account.owner.organisation and not _signs(account.owner, head, account.session):
            account.note(number, f"not signed by {account.name}")
        else:
            last = line["hash"]
            continue
        return


def _signs(owner: Identity, head: Head, session: bytes) -> bool:
    try:
        check_head(head, owner, session)
    except PeerError:
        return False
    return True


def _check_bodies(account: Account) -> None:
    """Whether lines have what is read of them later, and frames are numbered without a gap."""
    expected: dict[tuple[str, str], int] = {}
    for number, line in account.of_kind("sent", "received", "farewell", "finished"):
        kind, body = line["kind"], line["body"]
        try:
            if kind == "finished":
                _ = [(int(at), str(digest)) for at, digest in body["heads"].values()]
                _ = list(body["unheard"])
            if kind in {"received", "farewell"}:
                _head(body)
            if kind in {"sent", "received"}:
                way, found = (kind, str(body["peer"])), int(body["frame"])
                due, expected[way] = expected.get(way, 0), found + 1
                if found != due:
                    account.note(number, f"frame {found} of {way[1]} noted where {due} is due")
        except (KeyError, ValueError, TypeError, AttributeError):
            account.note(number, f"a line of kind {kind} that lacks what such a line has")


def _check_facts(account: Account) -> None:
    """What is said once is there once, and nothing is said after the end."""
    told: set[tuple[str, str]] = set()
    for number, line in account.of_kind(*ONCE):
        fact = line["kind"], json.dumps(line["body"], sort_keys=True)
        if fact in told or (line["kind"] == "opened" and number > 1):
            account.note(number, f"a line of kind {line['kind']} that was there before")
        told.add(fact)
    for end, _ in account.of_kind("finished"):
        for number, line in enumerate(account.lines[end:], start=end + 1):
            if line["kind"] not in AFTER:
                account.note(number, "a line after the end")


def _check_contract(account: Account) -> None:
    """The contract's own bytes, everybody's signatures, and the keys that the owner had pinned."""
    for number, line in account.of_kind("contract"):
        body = line["body"]
        try:
            data = canonical(body["terms"])
            if hashlib.sha256(data).hexdigest() != body["digest"]:
                raise PeerError("its hash is another")
            signatures = {name: bytes.fromhex(text) for name, text in body["signatures"].items()}
            contract = _read(account, body["terms"])
            if contract is None:
                _check_pinned(account, data, signatures)
                continue
            verify_signatures(contract, signatures)
            keys = {p.name: p.identity.organisation for p in contract.parties}
            if keys != {name: p.organisation for name, p in account.parties.items()}:
                raise PeerError("it names other keys than the first line")
            account.contract = contract
        except (FedprofileError, KeyError, ValueError, TypeError, AttributeError) as error:
            why = error.message if isinstance(error, FedprofileError) else "malformed"
            account.note(number, f"the contract does not hold: {why}")


def _read(account: Account, terms: Line) -> Contract | None:
    """A contract or a draft; None for one of another version, which is noted."""
    try:
        return from_canonical(Contract, canonical(terms))
    except PeerError as error:
        found = terms.get("version")
        if type(found) is not int or (found == VERSION and not isinstance(error, OtherFields)):
            raise
        account.other_version = found
        return None


def _check_pinned(account: Account, data: bytes, signatures: Mapping[str, bytes]) -> None:
    """Everybody's signatures on a contract's bytes alone, by the keys of the first line."""
    if signatures.keys() != account.parties.keys():
        raise PeerError("signatures of other parties than the first line names")
    for name, party in account.parties.items():
        party.check_organisation(signatures[name], signing_bytes(data), "contract")


def _check_words(account: Account) -> None:
    """Officers' own signatures, by keys that the owner's list names, on what the contract asks."""
    for number, line in account.of_kind("approved", "refused"):
        body = line["body"]
        try:
            if "words" in body:
                _check_signed_words(account, body, line["kind"] == "approved")
            _check_releases(account, body)
        except (FedprofileError, KeyError, ValueError, TypeError, AttributeError) as error:
            why = error.message if isinstance(error, FedprofileError) else "malformed"
            account.note(number, f"the officers' words do not hold: {why}")


def _check_signed_words(account: Account, body: Line, approved: bool) -> None:
    listed = OfficerList.from_plain(body["officers"], account.parties[account.name])
    voices = [check_word(word, listed).key for word in body["words"]]
    if not voices or len(set(voices)) < len(voices):
        raise PeerError("one officer speaks twice, or none does")
    if any(word["approved"] is not approved for word in body["words"]):
        raise PeerError("the line says another thing than its officers")
    draft = _read(account, body["draft"])
    if draft is None:  # what it asked is derived from its terms
        return
    if any(word["asked"] != draft.asked.hex() for word in body["words"]):
        raise PeerError("they are on another question than the draft's")
    signed = account.contract
    if approved and signed and derived(draft, signed, complete) != signed:
        raise PeerError("the contract is not what the draft comes to")


def _check_releases(account: Account, body: Line) -> None:
    """Of the models that the contract scores by: each by an officer whom the list names."""
    if "releases" not in body:
        return
    listed = OfficerList.from_plain(body["officers"], account.parties[account.name])
    signed = account.contract
    for release in body["releases"]:
        check_release(release, listed)
        if signed is None:
            continue
        mine = signed.party(account.name).parts
        parts = dict(zip((t.model for t in signed.score), mine, strict=False))
        if parts.get(release["model"]) != release["digest"]:
            raise PeerError("a release is of another model than the contract scores by")


def _check_heads(account: Account) -> None:
    """The heads kept of others are signed by them, and none falls behind an earlier one."""
    before: dict[str, Head] = {}
    for number, line in account.of_kind("received", "farewell"):
        peer, head = line["body"]["peer"], _head(line["body"])
        owner, last = account.parties.get(peer), before.get(peer)
        if owner is None or not _signs(owner, head, account.session):
            account.note(number, f"the head it keeps was not signed by {peer}")
        elif last and head.number <= last.number and head.digest != last.digest:
            account.note(number, f"the head it keeps of {peer} falls behind an earlier one")
        before[peer] = head


def _head(body: Line) -> Head:
    number, digest, signature = body["head"]
    return Head(int(number), str(digest), str(signature))
