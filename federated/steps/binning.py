"""What a partner's columns are worth for the receiver's label, at one party."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from federated.binning import (
    LABEL_LANES,
    VALUE_SCALE,
    ColumnParty,
    ColumnWorth,
    LabelParty,
    NumberBins,
    Worths,
    binned_column,
    blurred,
    drift_of,
    label_lanes,
    noise_scale,
    rounded,
    told,
    values_of,
    worth_of,
)
from federated.contract.terms import BinningTerms, Contract
from federated.sharing import BinHolder, ValueHolder
from federated.steps.outcome import Binned
from federated.steps.scorecard import counted_label
from federated.steps.step import Step
from federated.steps.work import Work
from federated.store.files import disk_failed, make_folder, write_atomic
from federated.tables.matrix import known_labels
from psi.protocol import InputError, MisuseError, Refused

__all__ = ["CLASS_ROWS", "Binning", "KeptBins"]

CLASS_ROWS = 20
"""The fewest positives, and negatives: of all rows, and of a group of bins after merging."""
VERSION = 1


class Binning(Step):
    """Each section is a step."""

    def __init__(self, work: Work) -> None:
        self._work = work

    @staticmethod
    def check(contract: Contract, party: str, table: pa.Table) -> None:
        where = contract.party(party).table
        for terms in contract.binning:
            if contract.receiver == party:
                label = known_labels(table, terms.label, positive=terms.positive, where=where)
                _check_classes(label, f"{where}: label {terms.label!r}")
            for column in terms.columns if terms.partner == party else ():
                values_of(table, column, where)

    def run(self) -> None:
        for number, terms in enumerate(self._work.contract.binning):
            which = f"{number}/{terms.partner}"
            if self._work.receives:
                self._label_party(terms, which)
            elif self._work.session.name == terms.partner:
                self._column_party(terms, which)

    def _label_party(self, terms: BinningTerms, which: str) -> None:
        work, peer, step = self._work, [terms.partner], f"binning/{which}"
        label = counted_label(work, terms, work.aligned())
        _check_classes(label, f"label {terms.label!r} of the shared records")
        work.guard.gives(step, terms.partner)
        lanes, context = label_lanes(label), work.session.context
        values = ValueHolder(
            context(f"sums/b{which}"), terms.partner, len(lanes), LABEL_LANES,
            lambda start, stop: lanes[start:stop], columns=len(terms.columns),
        )  # fmt: skip
        shares = work.run(f"sums/b{which}", values, peer)
        scale = noise_scale(len(terms.columns), terms.epsilon)
        opening = LabelParty(context(step), terms.partner, shares, scale)
        found = rounded(terms.columns, work.run(step, opening, peer))
        work.outcome.binned.append(Binned(terms=terms, label=label, told=found))
        work.disclosed(f"binning {terms.partner}", rows=len(label), columns=len(terms.columns))

    def _column_party(self, terms: BinningTerms, which: str) -> None:
        work, step = self._work, f"binning/{which}"
        receiver, context = work.contract.receiver, work.session.context
        work.reserve(step)
        table, least = work.aligned(), terms.minimum_group
        found = [binned_column(table, c, terms.bins, least) for c in terms.columns]
        codes = [code for _, code in found]
        sizes = [max(2, bins.count) for bins, _ in found]
        holder = BinHolder(context(f"sums/b{which}"), receiver, codes, sizes, LABEL_LANES)
        shares = work.run(f"sums/b{which}", holder, [receiver])
        rows = [np.bincount(code, minlength=bins.count) for bins, code in found]
        scale = noise_scale(len(terms.columns), terms.epsilon)
        kept = KeptBins(work, terms)
        drifts = [kept.drift(table, column) for column in terms.columns]

        def judged(opened: list[np.ndarray], scale: int) -> list[ColumnWorth]:
            return [
                worth_of(
                    column, bins, row.tolist(), counts,
                    least=CLASS_ROWS, monotone=terms.monotone, scale=scale, drift=drift,
                )
                for column, (bins, _), row, counts, drift in zip(
                    terms.columns, found, rows, opened, drifts, strict=True
                )
            ]  # fmt: skip

        def judge(opened: list[np.ndarray]) -> Worths:
            _check_counts(opened)
            return told(judged(blurred(opened), max(scale, VALUE_SCALE)))

        role = ColumnParty(context(step), receiver, shares, rows, scale, judge)
        counts: list[np.ndarray] = work.run(step, role, [receiver])
        worths = judged(counts, scale)
        work.outcome.worths.append(worths)
        kept.keep(worths)
        work.disclosed(f"binning {terms.partner}", rows=len(table), columns=len(terms.columns))


def _check_classes(label: np.ndarray, where: str) -> None:
    rarer = min(int(np.count_nonzero(label == value)) for value in (0, 1))
    if rarer < CLASS_ROWS:
        raise Refused(
            f"{where}: {rarer:,} rows of its rarer class, at least {CLASS_ROWS} are needed",
            hint="more rows with a label are needed",
        )


def _check_counts(opened: Sequence[np.ndarray]) -> None:
    """Of all columns together, so that noise counts less. Said without the counts."""
    sums = np.mean([counts.sum(axis=0) for counts in opened], axis=0)
    if min(sums[0], sums[1] - sums[0]) < CLASS_ROWS:
        raise Refused(
            f"a label with fewer than {CLASS_ROWS} positives or negatives, with its noise",
            hint="more rows with a label are needed",
        )


class KeptBins:
    """The owner's own file of what its columns were worth in the last job, with their bins.

    It holds edges, names of categories and counts, no row; drift is measured against it.
    """

    def __init__(self, work: Work, terms: BinningTerms) -> None:
        self._path: Path | None = None
        if work.kept is not None:
            about = [work.me.table, work.contract.receiver, terms.label, terms.positive]
            name = hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]
            self._path = work.kept / f"bins-{name}.json"
        self._about = {
            "table": work.me.table, "receiver": work.contract.receiver, "label": terms.label,
            "contract": work.contract.digest.hex(), "epsilon": terms.epsilon / 1000,
        }  # fmt: skip
        self._before = {worth.column: worth for worth in self._read()}

    def __repr__(self) -> str:
        return f"<kept bins of {len(self._before)} columns>"

    def drift(self, table: pa.Table, column: str) -> float | None:
        """How far rows have moved between the bins of the last job, under noise; None without."""
        before = self._before.get(column)
        if before is None:
            return None
        values = values_of(table, column)
        if isinstance(values, np.ndarray) != isinstance(before.bins, NumberBins):
            return None  # it was taken for something else
        now = np.bincount(before.bins.codes(values), minlength=before.bins.count)
        return drift_of(np.array(before.rows, np.int64), now)

    def keep(self, worths: Sequence[ColumnWorth]) -> None:
        """Those of this job, in place of the last one's; other columns' stay."""
        if self._path is None:
            return
        every = self._before | {worth.column: worth for worth in worths}
        whole = {
            "format": "fedprofile bins",
            "version": VERSION,
            **self._about,
            "columns": [worth.plain() | {"table": worth.table()} for worth in every.values()],
        }
        try:
            make_folder(self._path.parent)
            text = json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False)
            write_atomic(self._path, text + "\n")
        except OSError as error:
            raise disk_failed(f"cannot write {self._path}", error) from None

    def _read(self) -> list[ColumnWorth]:
        if self._path is None or not self._path.exists():
            return []
        try:
            whole = json.loads(self._path.read_text("utf-8"))
            if whole["version"] != VERSION:
                raise InputError(
                    f"{self._path.name}: bins of version {whole['version']!r} found, {VERSION} "
                    "allowed",
                    hint="run the version that wrote it, or remove it: drift begins anew",
                )
            return [ColumnWorth.from_plain(one) for one in whole["columns"]]
        except (OSError, ValueError, KeyError, TypeError, MisuseError):
            raise InputError(
                f"{self._path.name}: the bins of the last job cannot be read",
                hint="restore or remove it: drift begins anew",
            ) from None
