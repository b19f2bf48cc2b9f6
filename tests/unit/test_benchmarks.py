"""The benchmarks' one schema, its subjects, and a small race of our own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import aggregate, paillier, rows, wire
from benchmarks.codes import credit_codes
from benchmarks.psi import measure
from benchmarks.subjects import find, peers
from psi.identifiers import clean
from psi.protocol import InputError, MisuseError

CASE = {"size_a": 300, "size_b": 500, "mode": "receiver", "source": "memory", "matched": 100}
RUNS = [
    {"version": "1", "wall_s": wall, "cpu_s": [wall, 2 * wall], "wire_bytes": 10}
    for wall in (3.0, 1.0, 2.0)
]


def test_medians_number_by_number() -> None:
    row = rows.median_row("psi", "ours-ecdh", CASE, RUNS, "loopback")
    assert row.metrics == {"wall_s": 2.0, "cpu_s": [2.0, 4.0], "wire_bytes": 10, "runs": 3}
    assert row.version == "1"


def test_a_failed_run_is_told_not_hidden() -> None:
    row = rows.median_row("psi", "spu-ecdh", CASE, [{"error": "no such wheel"}], "loopback")
    assert row.error == "no such wheel"


def test_rows_survive_their_file(tmp_path: Path) -> None:
    row = rows.median_row("psi", "ours-ecdh", CASE, RUNS, "loopback")
    rows.save(tmp_path / "rows.json", [row])
    assert rows.load(tmp_path / "rows.json") == [row]
    rows.save(tmp_path / "rows.json", [replace(row, cores="2")])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="row 0: cores: str found, int allowed"):
        rows.load(tmp_path / "rows.json")
    (tmp_path / "rows.json").write_text('[{"suite": "psi"}]')
    with pytest.raises(InputError, match="row 0"):
        rows.load(tmp_path / "rows.json")


def test_every_peer_is_pinned() -> None:
    folder = Path(rows.__file__).parent / "peers"
    assert {"openmined", "spu"} <= set(peers())
    for peer in peers():
        lines = (folder / peer / "requirements.txt").read_text(encoding="utf-8").splitlines()
        pins = [line for line in lines if line and not line.startswith("#")]
        assert pins
        assert all("==" in pin for pin in pins)


def test_unknown_subjects_are_named() -> None:
    with pytest.raises(MisuseError, match="'nobody' found"):
        find("nobody", "psi")
    assert find("ours-ecdh-portable", "psi").environment == {"FEDPROFILE_KERNELS": "portable"}


def test_credit_codes_are_valid_and_shared() -> None:
    import pyarrow as pa

    found = [clean(pa.array(credit_codes(role, CASE)), "credit_code") for role in ("receiver", "s")]
    mine, theirs = (set(side.values.to_pylist()) for side in found)
    assert found[0].usable == 300
    assert found[1].usable == 500
    assert len(mine & theirs) == 100


def test_paillier_tells_every_operation_and_every_failure() -> None:
    found = paillier.measure([2048], ["ours"], cores=1, values=512, runs=1, told=lambda _: None)
    operations = {(row.case["operation"], row.case["packed"]) for row in found}
    plain = ("encrypt", "encrypt_private", "add", "mul_plain", "segment_sum", "decrypt")
    assert operations >= {(name, False) for name in (*plain, "rerandomise")}
    assert operations >= {("encrypt", True), ("add", True), ("decrypt", True)}
    assert all(row.metrics["per_value_us"] > 0 for row in found)
    (missing,) = paillier.measure([2048], ["nobody"], cores=1, values=512, runs=1, told=print)
    assert "'nobody' found" in missing.error


@pytest.mark.parametrize("source", ["memory", "parquet"])
def test_a_race_of_two_processes(source: str) -> None:
    (row,) = measure(
        [(300, 500)], ["ours-ecdh"], mode="receiver", source=source, runs=1, told=lambda _: None
    )
    assert row.error == ""
    assert row.metrics["wall_s"] > 0
    assert 40 * 500 < row.metrics["wire_bytes"] < 80 * 500 + 2000
    assert len(row.metrics["cpu_s"]) == 2


@pytest.mark.slow
def test_aggregations_of_two_processes() -> None:
    found = aggregate.measure(
        aggregate.DIRECTIONS, [2048],
        rows=300, groups=3, measures=2, runs=1, told=lambda _: None,
    )  # fmt: skip
    for row in found:
        assert row.error == ""
        assert row.suite == "aggregate"
        # a ciphertext a row of 512 bytes, and little else
        assert 512 * 300 < row.metrics["wire_bytes"] < 512 * 300 + 20_000


def test_every_task_of_the_wire_has_a_bar() -> None:
    assert set(wire.TASKS) == set(wire.BARS)
    with pytest.raises(MisuseError, match="task 'speed' found, roundtrip, direct, turns"):
        wire.measure("speed", items=[1], rounds=1, megabytes=32, runs=1, told=print)


@pytest.mark.slow
def test_vole_races_too() -> None:
    (row,) = measure(
        [(300, 500)], ["ours-vole"], mode="receiver", source="memory", runs=1, told=lambda _: None
    )
    assert row.error == ""
    assert row.metrics["wire_bytes"] > 2048 * 1321
