"""What this party made of jobs that it received, where it lies, and until when it may be kept.

A run notes its folder in `jobs/SESSION/run.json`, and the names and hashes of its files in the
job's ledger when they are written. The contract's `retention_days` count from that line. What a
party makes of its own rows by the model of a horizontal job stands in `jobs/SESSION/rows.json`, a
folder a month, and is kept for as long from its own day.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from federated.ledger.lines import read_ledger
from federated.node.home import NodeHome
from federated.store.files import write_atomic
from psi.protocol import FedprofileError

__all__ = ["KeptOutputs", "kept_outputs", "note_rows", "output_folders"]

DAY = 24 * 3600
_ROWS = "rows.json"


@dataclass(frozen=True)
class _Rows:
    """Outputs of own rows: their folder, what is in it, and when they were made."""

    folder: str
    files: tuple[str, ...]
    made: int


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
    yield from _kept_rows(home)


def note_rows(
    home: NodeHome, contract: str, folder: Path, files: Iterable[str], now: float
) -> bool:
    """Note what was made of own rows by a horizontal job's model; False where no such job is here.

    Args:
        contract: its digest.
        folder: where the files were put.
        files: their paths in it.
        now: in seconds since 1970.
    """
    job = _job_of(home, contract)
    if job is None:
        return False
    own = _Rows(str(folder.absolute()), tuple(sorted({Path(f).parts[0] for f in files})), int(now))
    others = (one for one in _rows_in(job) if one.folder != own.folder)
    write_atomic(job / _ROWS, json.dumps([asdict(one) for one in (*others, own)], indent=1) + "\n")
    return True


def _kept_rows(home: NodeHome) -> Iterator[KeptOutputs]:
    for file in sorted(home.jobs.glob(f"*/{_ROWS}")):
        contract = _contract_line(file.parent)
        for one in _rows_in(file.parent) if contract else ():
            folder = Path(one.folder)
            if not folder.is_dir() or _contract_of(folder) not in ("", contract["digest"]):
                continue
            files = tuple(name for name in one.files if (folder / name).exists())
            if files:
                until = one.made + int(contract["terms"]["retention_days"]) * DAY
                yield KeptOutputs(file.parent.name, folder, files, until)


def _rows_in(job: Path) -> list[_Rows]:
    """What was made of own rows; what cannot be read is not there."""
    try:
        said = json.loads((job / _ROWS).read_text("utf-8"))
        return [_Rows(str(o["folder"]), tuple(map(str, o["files"])), int(o["made"])) for o in said]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _job_of(home: NodeHome, contract: str) -> Path | None:
    folders = (file.parent for file in sorted(home.jobs.glob("*/ledger.jsonl")))
    return next((f for f in folders if _contract_line(f).get("digest") == contract), None)


def _contract_line(job: Path) -> dict[str, Any]:
    """What a job's ledger says of its contract; empty where there is none."""
    try:
        line = _last(read_ledger(job / "ledger.jsonl"), "contract")
    except (FedprofileError, OSError, ValueError):
        return {}
    return {} if line is None else dict(line["body"])


def output_folders(home: NodeHome) -> list[Path]:
    """The folders that this node's runs have written to, whatever is left in them, each once."""
    found = []
    for run in sorted(home.jobs.glob("*/run.json")):
        try:
            folder = Path(json.loads(run.read_text("utf-8"))["started"]["out"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        found += [folder] if folder.is_dir() else []
    for file in sorted(home.jobs.glob(f"*/{_ROWS}")):
        found += [folder for one in _rows_in(file.parent) if (folder := Path(one.folder)).is_dir()]
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
