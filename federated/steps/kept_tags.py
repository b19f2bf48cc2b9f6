"""Prepared tags from one job to the next: sealed files, an expiry, and a count of what was asked.

The sender's file holds the key and tags made for one receiver, of one table by certain key columns,
and a digest of the items; the receiver's holds the tags. Both end at the sender's date. The count
of items that the receiver asked is written before anything is answered.

A receiver is its organisation's key, and a table is the sender's: under another name of its own, of
its table or of its columns the same receiver finds the same tags and the same count. What it asks
by several of the sender's key columns adds up.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from federated.contract.terms import AlignTerms, PartyTerms
from federated.keys.party_keys import Identity
from federated.store.files import disk_failed, locked
from federated.store.vault import Vault
from psi.ecdh import LARGEST, Held, Items, Prepared, prepare
from psi.protocol import (
    Array,
    CodecError,
    Length,
    MisuseError,
    Random,
    Range,
    Refused,
    Share,
    decode,
    encode,
    message,
)

__all__ = ["KeptTags", "expired_tags"]

DAY = 24 * 3600
Tags = Annotated[np.ndarray, Array("uint64", width=2, most=LARGEST)]
Seconds = Annotated[int, Range(0, 2**40)]


@message(0xAD)
@dataclass(frozen=True)
class _Held:
    name: Annotated[bytes, Length(32)]
    expires: Seconds
    tags: Tags


@message(0xAE)
@dataclass(frozen=True)
class _Prepared:
    name: Annotated[bytes, Length(32)]
    key: Annotated[bytes, Length(32)]
    tag_order: Annotated[bytes, Length(32)]
    items: Annotated[bytes, Length(32)]
    expires: Seconds
    tags: Tags


@message(0xAF)
@dataclass(frozen=True)
class _Asked:
    """Items by "COLUMNS SET EXPIRES": which key columns, which set, until when they count."""

    items: Annotated[dict[str, Annotated[int, Range(0, 2**40)]], Length(1 << 12)]


class KeptTags:
    """What one party keeps for one peer (a `psi.align.TagKeeper`).

    `sender` names the table and key columns that the tags are of. Without a folder nothing
    outlives the job.
    """

    def __init__(
        self,
        folder: Path | None,
        peer: Identity,
        terms: AlignTerms,
        sender: PartyTerms,
        random: Random,
        clock: Callable[[], float],
        progress: Callable[[Share], None] = lambda share: None,
    ) -> None:
        """`progress` is told how far the making of new tags is."""
        self._place = _short((peer.organisation.hex(), sender.table))
        self._columns = _short((sender.keys, sender.kinds))
        self._file = f"{self._place}-{self._columns}"
        self._folder, self._peer = folder, peer.name
        self._terms, self._random, self._clock = terms, random, clock
        self._vault, self._progress = _vault(folder, random) if folder else None, progress
        self._present: Prepared | None = None
        self._expires = 0

    def __repr__(self) -> str:
        return f"<kept tags for {self._peer}>"

    def held(self) -> Held | None:
        """The receiver's tags, unless they have expired."""
        data = self._vault.read(f"{self._file}.held") if self._vault else None
        if data is None:
            return None
        record = decode(data, _Held)
        return Held(record.name, record.tags) if record.expires > self._clock() else None

    def keep(self, held: Held) -> None:
        """Keep the receiver's tags until the contract's date."""
        before = self.held()
        if self._vault and (before is None or before.name != held.name):
            record = _Held(held.name, self._until(), held.tags)
            self._vault.write(f"{self._file}.held", encode(record))

    def prepared(self, items: Items) -> Prepared:
        """The sender's tags of these items: those from before, or new ones under a new key."""
        with self._locked():  # one set at a time: a second job waits for the first one's
            return self._prepared(items)

    def _prepared(self, items: Items) -> Prepared:
        digest = hashlib.sha256(np.ascontiguousarray(items.offsets).data)
        digest.update(np.ascontiguousarray(items.data).data)
        data = self._vault.read(f"{self._file}.prepared") if self._vault else None
        if data is not None:
            with contextlib.suppress(CodecError):
                old = decode(data, _Prepared)
                if old.items == digest.digest() and old.expires > self._clock():
                    self._present = Prepared(old.name, old.key, old.tag_order, old.tags)
                    self._expires = old.expires
                    return self._present
        new = self._present = prepare(items, self._random, self._progress)
        self._expires = self._until()
        if self._vault:
            record = _Prepared(
                new.name, new.key, new.tag_order, digest.digest(), self._expires, new.tags
            )
            self._vault.write(f"{self._file}.prepared", encode(record))
        return new

    def spend(self, items: int) -> None:
        """Count `items` asked under the present key. Raises `Refused` beyond the contract's cap."""
        if self._present is None:
            raise MisuseError("items asked before tags were prepared")
        with self._locked():
            file, now = f"{self._place}.asked", self._clock()
            data = self._vault.read(file) if self._vault else None
            before = decode(data, _Asked).items if data is not None else {}
            counts = {key: n for key, n in before.items() if int(key.split()[2]) > now}
            mine = f"{self._columns} {self._present.name.hex()} {self._expires}"
            counts[mine] = counts.get(mine, 0) + items
            asked = counts[mine] + _by_other_columns(counts, self._columns)
            if asked > self._terms.keep_tags_items:
                raise Refused(
                    f"{asked} items asked of one set of tags, "
                    f"{self._terms.keep_tags_items} allowed by the contract",
                    hint="wait until the tags expire, or agree on more",
                )
            if self._vault:
                self._vault.write(file, encode(_Asked(counts)))

    def _until(self) -> int:
        return int(self._clock()) + self._terms.keep_tags_days * DAY

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Two jobs with one peer count one after the other."""
        if self._folder is None:
            yield
            return
        try:
            with locked(self._folder / f".{self._place}.lock"):
                yield
        except OSError as error:
            raise disk_failed(f"cannot write {self._folder / self._place}.asked", error) from None


def expired_tags(folder: Path, now: float, random: Random) -> list[Path]:
    """The files of tags whose date has passed: a receiver's, or a sender's with their key."""
    vault, found = _vault(folder, random), []
    kinds: list[tuple[str, type[_Held] | type[_Prepared]]] = [
        ("held", _Held), ("prepared", _Prepared)
    ]  # fmt: skip
    for ending, kind in kinds:
        for file in sorted(folder.glob(f"*.{ending}")):
            data = vault.read(file.name)
            if data is not None and decode(data, kind).expires <= now:
                found.append(file)
    for file in sorted(folder.glob("*.asked")):
        data = vault.read(file.name)
        if data is not None and _over(data, now):
            found.append(file)
    return found


def _over(data: bytes, now: float) -> bool:
    """Whether all that a file counts has expired; one of an older form counts nothing."""
    try:
        counts = decode(data, _Asked).items
        return all(int(key.split()[2]) <= now for key in counts)
    except (CodecError, ValueError, IndexError):
        return True


def _by_other_columns(counts: dict[str, int], own: str) -> int:
    """Items asked by other key columns; of a set that was replaced the larger count stands."""
    most: dict[str, int] = {}
    for key, items in counts.items():
        columns = key.split()[0]
        most[columns] = max(most.get(columns, 0), items)
    return sum(items for columns, items in most.items() if columns != own)


def _short(about: object) -> str:
    return hashlib.sha256(repr(about).encode()).hexdigest()[:24]


def _vault(folder: Path, random: Random) -> Vault:
    return Vault(folder, "tags.key", b"fedprofile kept tags v1", random)
