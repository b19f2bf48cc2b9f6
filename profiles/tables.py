"""A `tables.toml` as the source of every party's tables, for jobs run on one machine."""

from __future__ import annotations

from pathlib import Path

from federated.party.source import FileSource
from federated.party.tables import TablesFile

__all__ = ["open_tables"]


def open_tables(path: Path) -> FileSource:
    """Parse and validate; no data file is opened yet. Raises `JobError`."""
    return FileSource(TablesFile.load(path))
