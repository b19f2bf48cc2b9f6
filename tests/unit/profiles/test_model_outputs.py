"""What a training leaves to scorings: its segments, by number and name, and its language."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from federated.scoring.store import ModelStore
from federated.tables.encoding import Encoder
from profiles.cli import app
from profiles.job import Job
from profiles.language import language
from profiles.model_outputs import NONE_KEPT, KeptCut, ModelOutputs, segments_of_models
from profiles.score_job import job_text
from profiles.segments import segments
from psi.protocol import InputError
from tests.unit.scoring.parts import part

ROWS = 600
FEATURES = ("balance", "age", "city")


def people(seed: int = 1) -> pa.Table:
    rng = np.random.default_rng(seed)
    rich = rng.random(ROWS) < 0.3
    return pa.table(
        {
            "balance": np.where(rich, 900.0, 100.0) + rng.normal(0, 30, ROWS),
            "age": rng.normal(np.where(rich, 60, 30), 4),
            "city": pa.array(np.where(rng.random(ROWS) < 0.5, "north", "south")),
        }
    )


PEOPLE = people()
ENCODER = Encoder.fit(PEOPLE, FEATURES)
FOUND = segments(*((m := ENCODER.transform(PEOPLE))[0], 4, 7), m[1])
KEPT = KeptCut.of(FOUND, ENCODER)


def stored(folder: Path, outputs: ModelOutputs) -> ModelStore:
    store = ModelStore(folder)
    store.write(part())
    outputs.keep(store, [part().id, "0" * 16])
    return store


def test_rows_of_the_training_are_in_the_segments_that_it_made(tmp_path: Path) -> None:
    store = stored(tmp_path, ModelOutputs(lang="zh", cut=KEPT, titles={"age": "年龄"}))
    read = ModelOutputs.read(store, part().id)
    assert read is not None
    assert read.cut is not None
    assert (read.lang, read.titles) == ("zh", {"age": "年龄"})
    said = job_text(part(), titles=read.titles)
    assert Job.load(said).titles == read.titles
    again = read.cut.cut(PEOPLE)
    assert np.array_equal(again.number, FOUND.number)
    assert (again.descriptions, again.numbers, again.sizes) == (
        FOUND.descriptions,
        FOUND.numbers,
        FOUND.sizes,
    )


def test_few_rows_of_one_kind_keep_their_numbers(tmp_path: Path) -> None:
    """k-means of these rows alone would cut them into four, numbered by size."""
    assert KEPT is not None
    last = FOUND.numbers[-1]
    rows = np.flatnonzero(FOUND.number == last)[:30]
    few = KEPT.cut(PEOPLE.take(pa.array(rows)))
    assert set(few.number) == {last}
    assert few.sizes == (0, 0, 0, 30)
    assert KEPT.cut(PEOPLE.slice(0, 0)).sizes == (0, 0, 0, 0)


def test_what_is_missing_or_far_is_taken_as_in_training() -> None:
    assert KEPT is not None
    odd = pa.table({"balance": [None, 1e12], "age": [30.0, 60.0], "city": ["nowhere", "north"]})
    numbers = KEPT.cut(odd).number
    assert set(numbers) <= set(FOUND.numbers)
    rich = FOUND.number[int(np.argmax(PEOPLE.column("balance").to_numpy()))]
    assert FOUND.centres[FOUND.numbers.index(numbers[1])][0] > 0
    assert FOUND.centres[FOUND.numbers.index(int(rich))][0] > 0


def test_nothing_is_kept_of_a_segment_of_few() -> None:
    far = pa.table({"balance": [9e4] * 7, "age": [99.0] * 7, "city": ["north"] * 7})
    more = pa.concat_tables([PEOPLE, far])
    encoder = Encoder.fit(more, FEATURES)
    matrix, names = encoder.transform(more)
    found = segments(matrix, 6, 7, names)
    assert 7 in found.sizes
    kept = KeptCut.of(found, encoder)
    assert kept is not None
    assert len(kept.segments) == len(found.sizes) - 1
    small = found.numbers[found.sizes.index(7)]
    assert small not in [one.number for one in kept.segments]


class _Asked:
    """As much of a job as is looked at."""

    receiver = "bank"

    def __init__(self) -> None:
        from types import SimpleNamespace

        self.scores = [SimpleNamespace(model=part().id)]
        self.party = lambda name: SimpleNamespace(table=f"{name}.people")


@pytest.mark.parametrize(
    "table",
    [
        PEOPLE.drop_columns(["age"]),
        PEOPLE.set_column(0, "balance", pa.array(["high", "low"] * (ROWS // 2))),
    ],
)
def test_other_columns_are_told_and_cut_anew(tmp_path: Path, table: pa.Table) -> None:
    store = stored(tmp_path, ModelOutputs(lang="en", cut=KEPT))
    found, notes = segments_of_models(_Asked(), store, table)  # type: ignore[arg-type]
    assert found is None
    (note,) = notes
    assert "balance, age, city" in note
    assert "重新划分" in language("zh").told(note, "note")


def test_models_of_earlier_versions_leave_nothing_which_is_told_and_so_is_damage(
    tmp_path: Path,
) -> None:
    store = ModelStore(tmp_path)
    store.write(part())
    none = (None, [NONE_KEPT])
    asked = _Asked()
    asked.scores = []
    assert segments_of_models(asked, store, PEOPLE) == (None, [])  # type: ignore[arg-type]
    assert segments_of_models(_Asked(), store, PEOPLE) == none  # type: ignore[arg-type]
    kept = stored(tmp_path, ModelOutputs(lang="en", cut=None))
    assert segments_of_models(_Asked(), kept, PEOPLE) == none  # type: ignore[arg-type]
    whole = {"format": "fedprofile model outputs", "version": 1, "lang": "en", "segments": None}
    spoilt: list[dict[str, object]] = [{"version": 2}, {"segments": {}}, {"format": "x"}]
    for wrong in spoilt:
        store.write_note(part().id, "outputs", json.dumps(whole | wrong).encode())
        with pytest.raises(InputError, match="another version or cannot be read"):
            ModelOutputs.read(store, part().id)
    (tmp_path / f"{part().id}.outputs").write_bytes(b"x" * 40)
    with pytest.raises(InputError, match="altered"):
        ModelOutputs.read(store, part().id)


def test_it_goes_with_the_model_and_is_no_model(tmp_path: Path) -> None:
    store = stored(tmp_path, ModelOutputs(lang="en", cut=KEPT))
    assert store.ids() == [part().id]
    assert (tmp_path / f"{part().id}.outputs").stat().st_mode & 0o777 == 0o600
    assert b"balance" not in (tmp_path / f"{part().id}.outputs").read_bytes()
    store.remove(part().id)
    assert [file.name for file in tmp_path.iterdir()] == ["key"]


def test_the_job_file_of_a_scoring_has_the_language_of_the_training() -> None:
    assert 'lang = "zh"' in job_text(part(), lang="zh")
    assert "lang" not in job_text(part(), lang="en")


def test_model_show_lists_the_segments(tmp_path: Path) -> None:
    stored(tmp_path, ModelOutputs(lang="en", cut=KEPT))
    shown = CliRunner().invoke(app, ["model", "show", part().id, "--models", str(tmp_path)])
    assert shown.exit_code == 0, shown.output
    lines = shown.output.split("what sets it apart\n")[1].splitlines()
    assert [line.split(maxsplit=1) for line in lines] == [
        [str(number), name] for number, name in zip(FOUND.numbers, FOUND.descriptions, strict=True)
    ]
