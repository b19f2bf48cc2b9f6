"""By which channel the entities of a table may be reached, and who is in the job at all."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.tables.basis import ANY, Admission
from federated.tables.kept_tables import KeptTables
from federated.tables.source import Source
from psi.protocol.errors import JobError

if TYPE_CHECKING:
    from profiles.job import Job

__all__ = ["admission_of", "channels_of", "check_channel", "reached"]


def admission_of(tables: Source, table: str) -> Admission | None:
    """Who of a table is in the job; None where nothing is said of bases, or no job has a copy."""
    return tables.admission(table) if isinstance(tables, KeptTables) else None


def check_channel(job: Job, place: str, channel: str, source: Source) -> None:
    """Raise `JobError` where no basis names the channel: its list would be of nobody's choosing."""
    table = job.party(job.receiver).table
    basis = source.basis(table)
    if basis is None:
        raise JobError(
            f"{job.file}: {place} channel: {channel!r} found, but nothing "
            f"says by which channels the entities of {table} may be reached",
            hint=f"name its table of bases: [{table}] basis in tables.toml",
        )
    if "channel" not in basis.columns:
        return
    column = basis.columns["channel"]
    named = pc.unique(source.load(basis.table, [column], keys=[column]).column(column))
    known = sorted({text.strip() for text in named.to_pylist() if text and text.strip()})
    if channel not in known:
        close = get_close_matches(channel.lower(), known, n=1)
        there = " or ".join(known)
        raise JobError(
            f"{job.file}: {place} channel: {channel!r} found, {there} named by {basis.table}",
            hint=f"did you mean {close[0]!r}?" if close else "",
        )


def reached(admission: Admission, channel: str) -> np.ndarray:
    """Rows that may be reached by a channel; by "" all that are in."""
    if not channel:
        return admission.rows
    nobody = np.zeros(len(admission.rows), bool)
    return admission.channels.get(channel, admission.channels.get(ANY, nobody))


def channels_of(admission: Admission | None) -> pa.Array | None:
    """`list<string>[rows]`: by which channels a basis lets each row be reached; None where nothing
    is said of bases, or none names a channel."""
    named = [] if admission is None else [name for name in admission.channels if name != ANY]
    if admission is None or not named:
        return None
    open_to = np.column_stack([admission.channels[name] for name in named])
    ends = np.concatenate([[0], np.cumsum(open_to.sum(axis=1))]).astype(np.int32)
    said = pa.array(named, pa.string()).take(pa.array(np.nonzero(open_to)[1]))
    return pa.ListArray.from_arrays(pa.array(ends), said)
