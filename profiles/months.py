"""A job that runs once a month: a folder for each month, and what has changed since the last one.

    OUT/2026-10   OUT/2026-11   each a whole run's outputs; OUT/.lock while one is running

A timer may call at any time and as often as it likes: a month that is there is not run again, so no
partner is asked twice, and one that was interrupted over a hub goes on.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from federated.store.files import disk_failed, locked, make_folder
from profiles.drift import LITTLE, difference
from profiles.report.change import Change, Listed
from psi.protocol.errors import FedprofileError

__all__ = ["Month", "change_metrics", "change_since", "month_of"]

_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


@dataclass(frozen=True, kw_only=True)
class Month:
    """This month's run: its folder, whether it is `done`, and the `last` one before it, if any."""

    folder: Path
    done: bool
    last: Path | None


@contextlib.contextmanager
def month_of(out: Path, today: date) -> Iterator[Month]:
    """The month that `today` is in, while nobody else runs the job.

    Raises:
        EnvironmentFailed: `out` cannot be written to.
        MisuseError: another process is running it.
    """
    try:
        make_folder(out)
        names = sorted(each.name for each in out.iterdir() if _MONTH.fullmatch(each.name))
    except OSError as error:
        raise disk_failed(f"cannot write to {out}", error) from None
    this = f"{today:%Y-%m}"
    with locked(out / ".lock", taken=f"{out}: this month's run is under way"):
        earlier = [name for name in names if name < this and _whole(out / name)]
        yield Month(
            folder=out / this,
            done=_whole(out / this),
            last=out / earlier[-1] if earlier else None,
        )


def _whole(folder: Path) -> bool:
    """Outputs are put in place all or none."""
    return (folder / "metrics.json").is_file()


def change_since(earlier: Path, now: Path, metrics: Mapping[str, Any]) -> Change:
    """What the outputs in `now`, whose metrics these are, say otherwise than those of `earlier`.

    Outputs that cannot be compared are no reason to fail: the job has run, and was told.
    """
    try:
        found = difference(earlier, now)
        was = json.loads((earlier / "metrics.json").read_text("utf-8"))
        models = {task: _quality(model) for task, model in was["models"].items()}
        lists = _lists(earlier, now)
    except FedprofileError as error:
        return Change(since=earlier.name, failed=error.message)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Change(since=earlier.name, failed="its files are not those of a run")
    both = {task: (models.get(task), _quality(model)) for task, model in metrics["models"].items()}
    return Change(
        since=earlier.name,
        came=found.came,
        went=found.went,
        stayed=found.stayed,
        moved=sum(people for _, _, people in found.moves),
        moves=found.moves,
        drifts=tuple(one for one in found.drifts if one.index > LITTLE),
        quality=tuple((task, a, b) for task, (a, b) in both.items() if a is not None and b),
        lists=lists,
    )


def change_metrics(change: Change) -> dict[str, Any]:
    """The same for metrics.json; of moves only how many."""
    if change.failed:
        return {"run": change.since, "failed": change.failed}
    return {
        "run": change.since,
        "came": change.came,
        "went": change.went,
        "stayed": change.stayed,
        "moved": change.moved,
        "drift": {one.column: round(one.index, 4) for one in change.drifts},
        "lists": {each.product: asdict(each) for each in change.lists},
    }


def _quality(model: Mapping[str, Any]) -> float | None:
    """The mean AUC of the last score, the joined one; None of a model of numbers."""
    scores = list(model["scores"].values())
    return None if not scores else scores[-1]["mean_auc"]


def _lists(earlier: Path, now: Path) -> tuple[Listed, ...]:
    """By product who is listed again, anew, and no longer."""
    files = [folder / "targets.parquet" for folder in (earlier, now)]
    if not all(file.is_file() for file in files):
        return ()
    old, new = (pq.read_table(file, columns=["product", "entity"]) for file in files)
    found = []
    for product in pc.unique(new.column("product")).to_pylist():
        was, here = (
            set(
                table.filter(pc.equal(table.column("product"), product))
                .column("entity")
                .to_pylist()
            )
            for table in (old, new)
        )
        found.append(Listed(product, len(was & here), len(here - was), len(was - here)))
    return tuple(found)
