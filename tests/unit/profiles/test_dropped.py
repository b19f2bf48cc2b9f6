"""A column that no model takes in is told beside the measures, not in the report alone."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from federated.tables.encoding import Encoder
from federated.trees.binning import Binning
from profiles.model_metrics import model_metrics
from profiles.report.measured import Model


def test_columns_that_are_in_no_model_are_in_the_metrics() -> None:
    rows = pa.table({"x": np.arange(90) / 7, "few": pa.array([1.0, 2.0] + [None] * 88)})
    for notes in (Encoder.fit(rows, ["x", "few"]).notes, Binning.fit(rows, ["x", "few"]).notes):
        model = Model(task="t", model="m", scores=(), rows=90, positives=45, notes=notes)
        (told,) = model_metrics(model)["dropped"]
        assert told.startswith("few: ")
