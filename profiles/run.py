"""Run a whole job on one machine, from tables to report.

Everything is made in a folder of its own and put in place at the end, all or nothing: a failed
or interrupted run leaves an earlier one's outputs as they were.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_limits

from federated.contract.kinds.train_horizontal import HORIZONTAL_STEPS
from federated.horizontal import Plan
from federated.ledger.hashes import hash_apart
from federated.session.session import Progress
from federated.store.files import disk_failed, make_folder
from federated.tables.frozen import FrozenColumns
from federated.tables.source import Source
from profiles.campaign.control import ControlGroup
from profiles.copies import carry_copies
from profiles.federation import Federation, federate
from profiles.folder_names import hash_of
from profiles.job import Job
from profiles.kept_segments import SegmentsFile
from profiles.outputs import Outputs, write_outputs
from profiles.own_table import check_own, check_types
from profiles.tables import open_tables
from psi.align import PROTOCOLS, in_one_run
from psi.identifiers import KINDS
from psi.protocol import MisuseError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["JobResult", "run_job", "steps_of"]


@dataclass(frozen=True, repr=False)
class JobResult:
    """Where the outputs are, and what they say: `profiles`, `targets` and `metrics`.

    `out` is their folder; `outputs` holds them as Arrow tables, with numbers and report;
    `federation` what came out at each party, and the contract. `columns_noted`: false where what
    columns were taken for could not be written; `segments_noted` where the segments could not.
    """

    out: Path
    outputs: Outputs
    federation: Federation
    columns_noted: bool = True
    segments_noted: bool = True

    @property
    def profiles(self) -> pd.DataFrame | None:
        """One row an entity of the receiver; None for a horizontal job."""
        found = self.outputs.profiles
        return None if found is None else found.to_pandas()

    @property
    def targets(self) -> pd.DataFrame | None:
        """The target lists, best first in each; None where the job asks for none."""
        found = self.outputs.targets
        return None if found is None else found.to_pandas()

    @property
    def metrics(self) -> dict[str, Any]:
        """The numbers of metrics.json."""
        return self.outputs.metrics

    def report(self) -> Path:
        """The report for people: one HTML file that needs nothing else."""
        return self.out / "report.html"

    def __repr__(self) -> str:
        """The same for a terminal: no row, no name and no score."""
        said = ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in self._shown())
        return f"<JobResult {said}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: what came out, in a few rows."""
        rows = [(name.replace("_", " "), value) for name, value in self._shown()]
        cells = "".join(
            f"<tr><th>{escape(str(a))}</th><td>{escape(str(b))}</td></tr>" for a, b in rows
        )
        return f"<table>{cells}</table>"

    def _shown(self) -> Iterator[tuple[str, Any]]:
        metrics = self.metrics
        yield "job", metrics["job"]
        yield "entities", metrics["entities"]
        yield "matched", metrics["matched_entities"]
        for task, model in metrics["models"].items():
            for name, score in model["scores"].items():
                yield f"AUC {task}, {name}", score["mean_auc"]
        yield from ((f"list {product}", rows) for product, rows in metrics["targets"].items())
        yield "report", self.report()


def steps_of(job: Job) -> list[str]:
    """The receiver's steps in order, for a progress bar."""
    levels = _runs(job)
    if job.horizontal:
        (train,) = job.trains
        rounds = Plan(0, train.folds, train.steps or HORIZONTAL_STEPS).rounds
        task = f"train/{train.task}"
        return ["contract", *(f"{task}/{n}" for n in range(rounds)), f"{task}/model", "finish"]
    steps = ["contract"]
    if job.align and any(k not in KINDS for level in job.align.kinds for k in level):
        steps.append("keys")  # kinds that take long
    for partner in job.partners() if job.align else []:
        steps += [f"align/{partner}/{run}" for run in _before(job)]
        steps += [f"align/{partner}/{level}" for level in range(levels)]
        steps += [f"align/{partner}/order"]
    steps += ["select"] * (len(job.partners()) > 1)
    begun: set[str] = set()
    for i, asked in enumerate(job.aggregates):
        if asked.partner not in begun:
            steps += [f"known/{asked.partner}", f"rows/{asked.partner}"]
        begun.add(asked.partner)
        steps.append(f"aggregate/{i}/{asked.partner}")
    steps += [f"category/{i}/{c.partner}" for i, c in enumerate(job.categories)]
    steps += [f"join_sum/{i}/{j.partner}" for i, j in enumerate(job.join_sums)]
    steps += [f"binning/{i}/{b.partner}" for i, b in enumerate(job.binnings)]
    steps += [f"train/{train.task}" for train in job.trains]
    for score in job.scores:
        told = score.score_bits or score.row_bits
        steps.append(f"score/{score.task}" if told else f"listed/{score.task}/told")
    return [*steps, "finish"]


def _before(job: Job) -> list[str]:
    """Runs that come before the shared records are found."""
    spec = job.align
    counted, kept = spec and spec.minimum_checked_by == "partner", spec and spec.keep_tags_days
    return ["count"] * bool(counted) + ["tags"] * bool(kept)


def _runs(job: Job) -> int:
    """Protocol runs that find the shared records."""
    levels = len(job.parties[0].keys)
    if job.align is None or job.align.protocol not in PROTOCOLS:
        return levels  # at most: with "auto" the sizes of the tables decide
    return 1 if in_one_run(job.align, levels) else levels


def run_job(
    job: Job,
    sources: Source | Mapping[str, Any],
    out: str | Path,
    *,
    overwrite: bool = False,
    baseline: bool = False,
    synthetic: bool = False,
    progress: AbstractContextManager[Progress] | None = None,
    over: Callable[[Job, Mapping[str, Source], Path, Progress], Federation] | None = None,
    resumed: bool = False,
    frozen: FrozenColumns | str | Path | None = None,
    campaigns: str | Path | None = None,
    models: str | Path | None = None,
    segments: str | Path | None = None,
    earlier: str | Path | None = None,
) -> JobResult:
    """Run `job` with all parties in this process and write its outputs to `out`.

    Args:
        job: from `Job.load`.
        sources: one source of all parties' tables, from `open_tables`; or the tables themselves by
            logical name (`"bank.people"`), as it takes them; or one source each by party.
        out: a folder, which is made; it must be empty unless `overwrite`.
        overwrite: replace what is in `out`.
        baseline: also fit the model on the joined columns in one process, and compare.
        synthetic: the report says that the data are made up; it does too where a table says so.
        progress: a context that is told (party, step, share).
        over: runs the federation instead, over a hub say.
        resumed: the job goes on and has its own copy of the tables: the live ones are not looked
            at again.
        frozen: a file with what columns were taken for in the last run, to which this one is held;
            made if it is not there.
        campaigns: a folder of the receiver's with the keys of its control groups, made if it is not
            there; needed where the job has a campaign.
        models: a folder in which each party keeps its part of what is trained, in a folder of its
            own, and finds it when the job scores; None: nothing is kept. A party with a hub or
            node has its own.
        segments: a file with the last run's segments, so that their numbers and names stay; made if
            it is not there. None: they are numbered anew.
        earlier: outputs of an earlier run: the report says what has changed since.

    Raises:
        FedprofileError: whatever any party raised; `out` is then as it was.

    >>> ids = [f"p{number}" for number in range(99)]
    >>> bank = pd.DataFrame({"id": ids[:60], "balance": range(60)})
    >>> bureau = pd.DataFrame({"id": ids[30:], "loans": range(69)})
    >>> names = ("bank", "bureau")
    >>> parties = [{"name": n, "table": f"{n}.people", "keys": [["id"]]} for n in names]
    >>> about = {"name": "shared", "purpose": "retention"}
    >>> job = Job.load({"job": about, "party": parties, "align": {"minimum_overlap": 20}})
    >>> with TemporaryDirectory() as folder:
    ...     found = run_job(job, {"bank.people": bank, "bureau.people": bureau}, f"{folder}/out")
    >>> found.metrics["matched"]
    30
    """
    out = Path(out)
    campaigns, models, segments, earlier = map(_path, (campaigns, models, segments, earlier))
    if isinstance(frozen, str | Path):
        frozen = FrozenColumns(Path(frozen), time.time, how="without its line there it is taken so")
    if out.exists() and not overwrite and (not out.is_dir() or any(out.iterdir())):
        raise MisuseError(
            f"{out} exists",
            hint="give another out, or overwrite=True; in a terminal another --out, or --overwrite",
        )
    by_name = _by_party(job, sources)
    if not resumed:
        check_own(job, by_name[job.receiver], frozen)
    group = _control_group(job, campaigns, resumed)
    kept = None if segments is None else SegmentsFile(segments)
    with _small_matrices(), _staged(out) as staging:
        with progress or nullcontext(_quiet) as report:
            run = over or partial(_here, frozen=frozen, models=models)
            federation = run(job, by_name, staging / "parties", report)
        with _noting(federation):
            outputs = write_outputs(
                job,
                federation,
                staging,
                baseline=baseline,
                synthetic=synthetic or _synthetic(job, federation.tables),
                campaign=group,
                segments_file=kept,
                earlier=earlier,
            )
            if resumed and not job.horizontal:  # the copy is what was looked at when the job began
                check_types(job, federation.tables[job.receiver], frozen)
            federation.wrote(partial(_hashes, staging))
            _replace(staging, out)
    federation.settle()
    noted = frozen is None or frozen.note()
    numbered = kept is None or kept.note()
    return JobResult(out, outputs, federation, columns_noted=noted, segments_noted=numbered)


@contextlib.contextmanager
def _noting(federation: Federation) -> Iterator[None]:
    """What keeps the outputs from being made is noted with the run, which may go on."""
    try:
        yield
    except BaseException as error:
        federation.failed(error)
        raise


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given)


def _small_matrices() -> AbstractContextManager[Any]:
    """One thread for BLAS: a fit's matrices are small, and more threads mostly wait for each other.

    Whoever has set a number for all of the process keeps it.
    """
    given = {"OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"} & set(os.environ)
    return nullcontext() if given else threadpool_limits(1, user_api="blas")


def _control_group(job: Job, campaigns: Path | None, resumed: bool) -> ControlGroup | None:
    """Who is held back: drawn before a step is run, so that a slip is told before a disclosure."""
    if job.campaign is None:
        return None
    if campaigns is None:
        raise MisuseError(
            f"{job.file}: [campaign]: a folder is needed for the key of its control group",
            hint="give campaigns = a folder that lasts: the next list holds back the same people",
        )
    today = datetime.now().astimezone().date()
    return ControlGroup.kept(campaigns, job.campaign, today, job.file, begun=resumed)


def _by_party(job: Job, sources: Source | Mapping[str, Any]) -> Mapping[str, Source]:
    names = [party.name for party in job.parties]
    if not isinstance(sources, Mapping):
        return dict.fromkeys(names, sources)
    if any("." in name for name in sources):
        return dict.fromkeys(names, open_tables(sources))
    missing = [name for name in names if name not in sources]
    if missing:
        raise MisuseError(
            f"no tables for the party {missing[0]!r}: found {', '.join(sources) or 'none'}",
            hint="give a source for each party, or the tables by name: {'bank.people': frame}",
        )
    return sources


def _synthetic(job: Job, tables: Mapping[str, Source]) -> bool:
    """Whether a table of a party that is played here is said to be made up."""
    here = [party for party in job.parties if party.name in tables]
    return any(tables[party.name].about(party.table).synthetic for party in here)


def _here(
    job: Job,
    sources: Mapping[str, Source],
    home: Path,
    progress: Progress,
    *,
    frozen: FrozenColumns | None = None,
    models: Path | None = None,
) -> Federation:
    return federate(job, sources, home, progress=progress, hold=True, frozen=frozen, models=models)


def _hashes(folder: Path, secret: str) -> dict[str, str]:
    """A hash of every output file, by name; of a folder of many, one of all that is in it: whose
    names these are is nobody's to read in a ledger. Files are small: who is shown the ledger could
    try what they may hold, so each is hashed with its name and a secret."""
    places = sorted(path for path in folder.iterdir() if path.name != "parties")
    return {path.name: hash_apart(secret, path.name, hash_of(path)) for path in places}


def _quiet(party: str, step: str, share: float) -> None:
    """No progress is shown."""


@contextlib.contextmanager
def _staged(out: Path) -> Iterator[Path]:
    """A folder beside `out`; after a failure only the ledgers stay, in `out`.failed."""
    try:
        make_folder(out.parent)
        staging = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise disk_failed(f"cannot write beside {out}", error) from None
    try:
        yield staging
    except BaseException:
        failed = out.with_name(f"{out.name}.failed")
        with contextlib.suppress(OSError):
            shutil.rmtree(failed, ignore_errors=True)
            for journal in (staging / "parties").glob("*/journal"):
                shutil.rmtree(journal)  # this run's keys are gone, so nothing can go on from it
            if (staging / "parties").exists():
                (staging / "parties").rename(failed)
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _replace(staging: Path, out: Path) -> None:
    """Put the new folder in the old one's place by two renames."""
    old = out.with_name(f".{out.name}-old")
    try:
        shutil.rmtree(old, ignore_errors=True)
        if out.exists():
            carry_copies(out, staging)
            out.rename(old)
        staging.rename(out)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        if old.exists() and not out.exists():
            old.rename(out)
        raise disk_failed(f"cannot put outputs into {out}", error) from None
