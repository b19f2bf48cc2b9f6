"""A scorecard's part: points against their evidence are pointed at, a file of it has numbers."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from federated.binning import EvidenceEncoder, PointScale, against_evidence, own_worth
from federated.models import CARD, LinearPart
from federated.scoring.card import card
from federated.scoring.model_file import FEATURE, LABEL, ModelPart
from federated.scoring.store import ModelStore
from profiles.cli import app
from profiles.language import language
from tests.unit.scoring.parts import part

ROWS = 2000
SCALE = {"points": 600, "odds": 50, "double": 20, "high": "negative"}


def coded() -> tuple[pa.Table, EvidenceEncoder]:
    rng = np.random.default_rng(3)
    a, c = rng.normal(size=ROWS), rng.choice(["x", "y"], ROWS)
    label = (rng.random(ROWS) < 1 / (1 + np.exp(1 - a - (c == "x")))).astype(np.int8)
    table = pa.table({"a": a, "c": c})
    worths = [
        own_worth(table, name, label, most=5, group=20, least=20, monotone=False)
        for name in table.column_names
    ]
    return table, EvidenceEncoder.fit(worths, table)


def carded(weights: tuple[float, float], side: str = LABEL) -> ModelPart:
    linear = LinearPart(np.array(weights), -1.25 if side == LABEL else 0.0)
    kept = {"rows": ROWS, **SCALE}
    return part(side=side, model=CARD.name, encoder=coded()[1], linear=linear, card=kept)


def test_points_against_their_own_evidence_are_pointed_at() -> None:
    encoder, scale = coded()[1], PointScale(600, 50, 20)
    assert against_evidence(encoder, [0.6, 0.4], scale) == ""
    assert against_evidence(encoder, [0.6, -0.001], scale) == "", "points of 0"
    said = against_evidence(encoder, [0.6, -0.4], scale)
    assert said.startswith("Points go against the weights of evidence of c: ")
    assert dict(card(carded((0.6, -0.4))))["look at"] == said
    assert "look at" not in dict(card(carded((0.6, 0.4))))
    assert "方向相反" in language("zh").told(said, "note")


@pytest.mark.parametrize("side", [LABEL, FEATURE])
def test_a_file_of_a_scorecard_gives_its_scores(tmp_path: Path, side: str) -> None:
    """Base and exact points of JSON and CSV add up to every record's log odds."""
    one = carded((0.6, 0.4), side)
    ModelStore(tmp_path / "models").write(one)
    for name in ("m.json", "m.csv"):
        given = ["--models", str(tmp_path / "models"), "--out", str(tmp_path / name)]
        assert CliRunner().invoke(app, ["model", "export", "churn", *given]).exit_code == 0
    whole = json.loads((tmp_path / "m.json").read_text())
    with (tmp_path / "m.csv").open() as file:
        read = csv.DictReader(file)
        lines: list[dict[str, Any]] = [{**line, "exact": float(line["exact"])} for line in read]
    assert "bins" not in whole
    assert whole["drift"]["bins"]
    assert whole["scale"]["factor"] == pytest.approx(28.854, abs=1e-3)
    table, encoder = coded()
    matrix, linear = encoder.transform(table)[0], one.linear
    assert linear is not None
    scale = PointScale(600, 50, 20)
    expected = scale.moved(matrix @ linear.coefficients)
    if side == LABEL:
        expected = expected + scale.of(np.array(linear.intercept))
    for rows in (whole["numbers"], lines):
        total = np.zeros(ROWS)
        for each in rows:
            total += each["exact"] if each["bin"] == "the average record" else 0.0
        for column in encoder.columns:
            points = np.array([each["exact"] for each in rows if each["column"] == column.name])
            total += points[column.groups(table)]
        np.testing.assert_allclose(total, expected, atol=1e-3)
    numbers = [each for each in whole["numbers"] if each["column"]]
    assert sum(each["positives"] + each["negatives"] for each in numbers) == 2 * ROWS
    assert all(isinstance(each["rows"], int) for each in numbers)
