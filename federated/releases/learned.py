"""What a receiver has been told of partners' rows by its earlier jobs: for its own reports.

Kept in one file of this party's own (0600), written before a job's first step, so that a job that
breaks off counts as well. It knows jobs and not which records they were about: sums are the most
that was told of a row. The partner's own book is the one that counts (`memory`); this one binds
nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from federated.contract.release import planned
from federated.contract.terms import Contract
from federated.releases.book import MICRO, micro
from federated.store.files import disk_failed, locked, write_atomic
from federated.store.plain import canonical, from_canonical
from psi.protocol import InputError, PeerError

__all__ = ["note_learned"]


@dataclass(frozen=True)
class _Line:
    session: str
    partner: str
    table: str
    columns: tuple[str, ...]
    bits: int  # of a row, in millionths


@dataclass(frozen=True)
class _Learned:
    lines: tuple[_Line, ...] = ()


def note_learned(path: Path, contract: Contract) -> dict[str, float]:
    """Note what `contract` will tell of each partner's rows; returns what was told before.

    That is in bits of a row, by partner, by earlier jobs on a column that this contract asks for.
    Raises `InputError` where the file cannot be read, `EnvironmentFailed` where it cannot be
    written.
    """
    fresh = [
        _Line(contract.nonce, name, contract.party(name).table, r.columns, micro(r.bits))
        for name in contract.partners()
        for r in planned(contract, name)
        if r.bits > 0
    ]
    if not fresh:
        return {}
    try:
        with locked(path.with_name(f".{path.name}.lock")):
            found = _read(path)
            others = tuple(line for line in found.lines if line.session != contract.nonce)
            write_atomic(path, canonical(replace(found, lines=(*others, *fresh))))
    except OSError as error:
        raise disk_failed(f"cannot write {path}", error) from None
    before = dict.fromkeys((line.partner for line in fresh), 0)
    for name in before:
        columns = {c for line in fresh if line.partner == name for c in line.columns}
        table = contract.party(name).table
        before[name] = sum(
            line.bits
            for line in others
            if (line.partner, line.table) == (name, table) and columns.intersection(line.columns)
        )
    return {name: bits / MICRO for name, bits in before.items()}


def _read(path: Path) -> _Learned:
    try:
        return from_canonical(_Learned, path.read_bytes())
    except FileNotFoundError:
        return _Learned()
    except PeerError:
        raise InputError(
            f"{path.name}: what was told before cannot be read", hint="restore or remove it"
        ) from None
