"""The suite `attack` at a tiny size: its emulation is the protocol, and its attacks work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.attack import insider, lattice
from benchmarks.attack.data import Joined, load
from benchmarks.attack.finding import Finding, Scale, found_by
from benchmarks.attack.folds import labels_of
from benchmarks.attack.plain import fitted
from benchmarks.attack.registry import ATTACKS, SCALES, measure, verdict
from benchmarks.rows import load as load_rows
from benchmarks.tables import TABLES
from federated.evaluation import auc
from psi.protocol import MisuseError, Refused
from tests.every import EVERY_JOB

QUICK = (
    "labels-from-coefficients",
    "labels-from-own-columns",
    "rows-by-bits-told",
    "rows-from-own-columns",
    "steep-model",
)


def test_a_fit_holds_what_each_side_saw() -> None:
    found = load("invented", 400)
    fit = fitted(found, folds=2, score_bits=12, noise=0.0)  # noise hides no difference
    assert np.isfinite(fit.held).all()
    # at most twelve over all rows, which ends where nothing is left, and six in the folds
    assert len(fit.bank) == len(fit.partner)
    assert 8 <= len(fit.bank) <= 18
    assert fit.models.shape == (3, found.partner.shape[1])
    told = fit.models[np.where(fit.fold >= 0, fit.fold + 1, 0)]
    score = ((found.partner - found.partner[fit.labelled].mean(axis=0)) * told).sum(axis=1)
    assert np.abs(fit.held - score).max() < 0.01
    first, y = fit.partner[0], found.label[fit.labelled]
    own = found.partner[fit.labelled] - found.partner[fit.labelled].mean(axis=0)
    assert not first.weights[0].any()
    share = np.abs(own.T @ (y.mean() - y) - first.gradients[0])  # the bank's part is in it too
    assert share.max() < 0.5 * len(y)


def test_an_insider_decodes_what_is_told_and_little_of_what_is_not() -> None:
    found = load("invented", 1500)
    rng = np.random.default_rng(1)
    directions = insider.unrelated(found, 3, rng)
    assert insider.decoded(found, directions, 16, rng) > 0.99
    few = insider.decoded(found, directions[:, :1], 1, rng)
    assert found.mode / 3 < few < 0.05
    assert insider.score_bits_for(insider.bits_of(4)) == pytest.approx(4)


def test_the_lattice_recovers_columns_and_noise_stops_it() -> None:
    pytest.importorskip("fpylll.fplll.lll", exc_type=ImportError)
    found = load("invented", 1500)
    rng = np.random.default_rng(2)
    told = found.partner @ insider.unrelated(found, 4, rng)
    assert lattice.decoded_blind(told, found.partner) > 0.99
    noise = told.std(axis=0) * 2.0**-4 * rng.normal(size=told.shape)
    assert lattice.decoded_blind(told + noise, found.partner) < 0.05


def _by_class(label: np.ndarray, folds: int, order: np.ndarray) -> np.ndarray:
    """Zeros are dealt round and round in this order, then ones."""
    found = np.empty(len(label), dtype=np.int64)
    places = np.concatenate([order[label[order] == value] for value in (0, 1)])
    found[places] = np.arange(len(label)) % folds
    return found


def test_folds_of_a_known_order_are_labels_and_others_are_not() -> None:
    label = (np.random.default_rng(3).random(1500) < 0.3).astype(np.int8)
    order = np.argsort(np.random.PCG64(7).random_raw(len(label)), kind="stable")
    prior = np.full(len(label), 0.3)
    assert auc(label, labels_of(_by_class(label, 5, order), 5, 7, prior)) > 0.85
    secret = _by_class(label, 5, np.random.default_rng(4).permutation(len(label)))
    assert abs(auc(label, labels_of(secret, 5, 7, prior)) - 0.5) < 0.06


def test_a_finding_says_whether_its_bar_holds() -> None:
    held = Finding(
        attack="a", protocol="p", data="d", who="w", what="x", figure=0.71, baseline=0.70, bar=0.02
    )
    assert held.held
    assert not Finding(
        attack="a", protocol="p", data="d", who="w", what="x", figure=0.75, baseline=0.70, bar=0.02
    ).held
    assert Finding(
        attack="a", protocol="p", data="d", who="w", what="x", bar=0.02, refused="no"
    ).held
    assert (
        Finding(
            attack="a", protocol="p", data="d", who="w", what="x", figure=0.75, baseline=0.70
        ).held
        is None
    )
    assert verdict(held.row(0.0)) == "holds"


def test_a_figure_just_below_nothing_is_nothing_in_a_table() -> None:
    found = Finding(attack="a", protocol="p", data="d", who="w", what="x", figure=-2e-5)
    assert TABLES["attacks"]([found.row(0.0)])[1][4] == "0"


def test_what_is_refused_or_missing_is_a_row() -> None:
    def refuses(scale: Scale) -> Iterator[Finding]:
        raise Refused(f"too few rows: {scale.rows}")

    (row,) = found_by("name", refuses, SCALES["tiny"])
    assert row.subject == "name"
    assert row.error == "Refused: too few rows: 1500"


@pytest.mark.parametrize("name", [pytest.param(QUICK[0], marks=EVERY_JOB), *QUICK[1:]])
def test_an_attack_gives_rows(name: str) -> None:
    rows = list(measure([name], SCALES["tiny"], lambda text: None))
    assert rows
    for row in rows:
        assert not row.error
        assert row.subject == name
        assert 0 <= row.metrics.get("figure", 0) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(ATTACKS) - set(QUICK)))
def test_an_attack_by_whole_jobs_gives_rows(name: str) -> None:
    rows = list(measure([name], SCALES["tiny"], lambda text: None))
    assert rows
    missing = ("fpylll", "cysignals")  # optional: rows of the lattice say so without them
    assert not [e for e in (row.error for row in rows) if e and not any(m in e for m in missing)]


def test_the_command_writes_rows(tmp_path: Path) -> None:
    out = tmp_path / "attack.json"
    found = CliRunner().invoke(
        app, ["attack", "--size", "tiny", "--only", "rows-by-bits-told", "--json", str(out)]
    )
    assert found.exit_code == 0, found.output
    assert {row.subject for row in load_rows(out)} == {"rows-by-bits-told"}


def test_an_unknown_attack_is_named() -> None:
    with pytest.raises(MisuseError, match="'nothing' found, labels-from-folds"):
        list(measure(["nothing"], SCALES["tiny"], lambda text: None))


def test_rows_of_a_set_are_a_sample() -> None:
    found: Joined = load("invented", 200)
    assert found.partner.shape == (200, 6)
    assert found.told == "invented, 200 rows"
    assert 0 < found.entropy <= np.log2(200)
