"""Types held against the truth, by numbers that can be counted on paper."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from federated.readers import arrow_expression, duckdb_connection
from profiles.flows.score import score_types
from psi.protocol.errors import InputError
from tests.unit.profiles.flows.test_commands import bank, said


def test_shares_are_of_the_rows_that_both_have() -> None:
    # 60 a: 45 found, 10 missed, 5 called b; 50 b, all found; 4 c, called b; 10 undecidable
    given = [("a", "a")] * 45 + [("a", "")] * 10 + [("a", "b")] * 5 + [("b", "b")] * 50
    given += [("c", "b")] * 4 + [("", "")] * 9 + [("", "a")]
    connection = duckdb_connection()
    ids = [str(i) for i in range(len(given))]
    truth = pa.table({"id": [*ids, "gone"], "type": [*(one for one, _ in given), "a"]})
    typed = pa.table({"id": ids, "type": [one for _, one in given]})
    found = score_types(
        arrow_expression(connection, "typed", typed), arrow_expression(connection, "truth", truth)
    )
    assert (found.rows, found.unknown) == (124, 1)
    assert found.types["a"] == pytest.approx((60, 1.0, 0.75, 2 * 0.75 / 1.75))
    assert found.types["b"] == pytest.approx((50, 50 / 59, 1.0, 100 / 109))
    assert found.types["c"] == (4, 0.0, 0.0, 0.0)
    assert found.macro == pytest.approx((2 * 0.75 / 1.75 + 100 / 109) / 2)
    assert found.precision == pytest.approx(95 / 104)
    assert found.undecided == pytest.approx(0.9)


def test_the_command_reads_a_truth_beside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = bank(tmp_path, "1,A,2024-01-10,5,D,CNY,BANK FEE\n2,A,2024-01-12,6,D,CNY,zzz\n")
    (tmp_path / "truth.csv").write_text("id,type\n1,C.fee\n2,\n3,C.fee\n")
    text = said(capsys, "flows", "score", str(tmp_path / "truth.csv"), "--tables", file)
    assert "C.fee" in text
    assert "mean F1 over types with 50 rows or more in the truth: no type has them" in text
    assert "precision of typed rows: 1.000" in text
    assert "undecidable rows left untyped: 1.000" in text
    assert "compared: 2; not compared, since no readable row has their id: 1" in text
    for lines, wrong in (
        ("7,C.fee\n8,\n", "none of 2 is the id of a readable row .ids"),
        ("01,C.fee\n8,\n", "none of 2 is .*, 1 are but for case, width, leading zeros"),
        ("1,\n1,\n", "1 ids stand in"),
    ):
        (tmp_path / "truth.csv").write_text(f"id,type\n{lines}")
        with pytest.raises(InputError, match=rf"truth\.csv: id: {wrong}"):
            said(capsys, "flows", "score", str(tmp_path / "truth.csv"), "--tables", file)
    (tmp_path / "truth.csv").write_text("id,type\n1,C.feee\n")
    with pytest.raises(InputError, match=r"truth\.csv: no type 'C\.feee'") as found:
        said(capsys, "flows", "score", str(tmp_path / "truth.csv"), "--tables", file)
    assert found.value.hint == "did you mean C.fee?"
    with pytest.raises(InputError, match=r"truht\.csv: no file of what is true of types") as found:
        said(capsys, "flows", "score", str(tmp_path / "truht.csv"), "--tables", file)
    assert found.value.hint is not None
    assert str(Path.cwd()) in found.value.hint, "not relative to another file"
