"""What this party made of jobs that it received, where it lies, and until when it may be kept.

A run notes its folder in `jobs/SESSION/run.json`, and the names and hashes of its files in the
job's ledger when they are written. The contract's `retention_days` count from that line.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from federated.ledger.lines import read_ledger
from federated.node.home import NodeHome
from psi.protocol import FedprofileError

__all__ = ["KeptOutputs", "kept_outputs", "output_folders"]

DAY = 24 * 3600


@dataclass(frozen=True)
class KeptOutputs:
    """The outputs of one job: `files`, and folders of them, are there still. `until` is in seconds
    since 1970."""

    session: str
    folder: Path
    files: tuple[str, ...]
    until: int

    def remove(self) -> None:
        """Remove the files, and the folder where nothing else is left in it."""
        for name in self.files:
            if (self.folder / name).is_dir():
                shutil.rmtree(self.folder / name)
            else:
                (self.folder / name).unlink(missing_ok=True)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()


def kept_outputs(home: NodeHome) -> Iterator[KeptOutputs]:
    """All outputs of this node's runs that are still where they were put.

    A folder that a later run has written into is that run's: its metrics.json names the contract.
    """
    for run in sorted(home.jobs.glob("*/run.json")):
        try:
            folder = Path(json.loads(run.read_text("utf-8"))["started"]["out"])
            lines = read_ledger(run.parent / "ledger.jsonl")
        except (FedprofileError, OSError, ValueError, KeyError, TypeError):
            continue
        contract = _last(lines, "contract")
        noted = _last(lines, "outputs")
        if contract is None or noted is None or not folder.is_dir():
            continue
        if _contract_of(folder) not in ("", contract["body"]["digest"]):
            continue
        names = [Path(name).name for name in noted["body"]["files"]]
        files = tuple(name for name in names if name and (folder / name).exists())
        days = int(contract["body"]["terms"]["retention_days"])
        if files:
            until = int(noted["time"]) + days * DAY
            yield KeptOutputs(run.parent.name, folder, files, until)


def output_folders(home: NodeHome) -> list[Path]:
    """The folders that this node's runs have written to, whatever is left in them, each once."""
    found = []
    for run in sorted(home.jobs.glob("*/run.json")):
        try:
            folder = Path(json.loads(run.read_text("utf-8"))["started"]["out"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        found += [folder] if folder.is_dir() else []
    return list(dict.fromkeys(found))


def _last(lines: list[dict[str, Any]], kind: str) -> dict[str, Any] | None:
    return next((line for line in reversed(lines) if line["kind"] == kind), None)


def _contract_of(folder: Path) -> str:
    """The digest in metrics.json; "" where it is gone already."""
    try:
        return str(json.loads((folder / "metrics.json").read_text("utf-8"))["run"]["contract"])
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, KeyError, TypeError):
        return "unknown"
