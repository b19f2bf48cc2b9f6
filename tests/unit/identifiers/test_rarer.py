"""Kinds that python-stdnum and phonenumbers check, over distinct values."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import pytest

from federated.tables.bindings import TablesFile
from federated.tables.preflight import preflight
from psi.identifiers import check_kind, clean
from psi.protocol import EnvironmentFailed, JobError, MisuseError, Share


@pytest.mark.parametrize(
    ("kind", "spelling", "expected"),
    [
        ("stdnum:iban", "gr16 0110 1050 0000 1054 7023 795", "GR1601101050000010547023795"),
        ("stdnum:iban", "ＧＲ16 0110 1050 0000 1054 7023 795", "GR1601101050000010547023795"),
        ("stdnum:de.idnr", "36 574 261 809", "36574261809"),
        ("stdnum:fr.siren", "552 008 443", "552008443"),
        ("stdnum:br.cpf", "390.533.447-05", "39053344705"),
        ("phone:DE", "030 123456", "+4930123456"),
        ("phone:DE", "+86 138 0013 8000", "+8613800138000"),
        ("phone:IT", "06 12345678", "+390612345678"),
    ],
)
def test_spellings_meet(kind: str, spelling: str, expected: str) -> None:
    found = clean(pa.array([spelling, None, spelling]), kind)
    assert found.values.to_pylist() == [expected, None, expected]
    assert found.reasons == {"null": 1}
    assert found.changed == 2
    again = clean(found.values, kind)
    assert (again.values, again.changed) == (found.values, 0)


@pytest.mark.parametrize(
    ("kind", "spelling", "reason"),
    [
        ("stdnum:iban", "GR1601101050000010547023796", "wrong checksum"),
        ("stdnum:de.idnr", "3657426180", "wrong length"),
        ("stdnum:de.idnr", "3657426180X", "wrong format"),
        ("stdnum:fr.siren", "552*08443", "masked"),
        ("stdnum:fr.siren", "  ", "empty"),
        ("phone:DE", "0301234567890123456", "wrong length"),
        ("phone:DE", "abc", "bad character"),
        ("phone:DE", "+999 123 4567", "unknown prefix"),
        ("phone:DE", "030 123456 ext. 12", "bad character"),
    ],
)
def test_refused_with_a_reason(kind: str, spelling: str, reason: str) -> None:
    found = clean(pa.array([spelling]), kind)
    assert found.values.to_pylist() == [None]
    assert dict(found.reasons) == {reason: 1}


def test_each_distinct_value_is_checked_once_and_progress_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from stdnum.fr import siren

    asked: list[str] = []
    real = siren.validate

    def counted(text: str) -> str:
        asked.append(text)
        return str(real(text))

    monkeypatch.setattr(siren, "validate", counted)
    told: list[Share] = []
    column = pa.chunked_array([["552008443", "x"] * 5000, ["552008443"], []])
    found = clean(column, "stdnum:fr.siren", progress=told.append)
    assert sorted(asked) == ["552008443", "x"]
    assert (found.usable, found.invalid) == (5001, 5000)
    assert [(float(share), share.items) for share in told] == [(0.0, 2)]


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        ("stdnum:de.idrn", "stdnum:de.idnr"),
        ("stdnum:ibann", "stdnum:iban"),
        ("stdnum:de", ""),
        ("stdnum:util", ""),
        ("stdnum:exceptions", ""),
        ("stdnum:os.path", ""),
        ("stdnum:..os", ""),
        ("stdnum:", ""),
        ("phone:XX", "region"),
        ("phone:", "region"),
        ("fone", "phone"),
    ],
)
def test_what_is_no_kind_is_refused(kind: str, hint: str) -> None:
    with pytest.raises(MisuseError, match="found identifier kind") as caught:
        check_kind(kind)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("package", "kind"), [("stdnum", "stdnum:iban"), ("phonenumbers", "phone:DE")]
)
def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, package: str, kind: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EnvironmentFailed, match="not installed") as caught:
        clean(pa.array(["x"]), kind)
    assert "fedprofile[identifiers]" in caught.value.hint


def test_preflight_and_tables_know_them(tmp_path: Path) -> None:
    told: list[str] = []
    table = pa.table({"tax": ["36574261809", "36574261808", "36 574 261 809"]})
    report = preflight(
        table, [["tax"]], {"tax": "stdnum:de.idnr"}, progress=lambda name, _: told.append(name)
    )
    assert told == ["tax"]
    assert "tax (stdnum:de.idnr): 2 usable" in report.to_text()
    assert "36574261809" not in report.to_text()
    file = tmp_path / "tables.toml"
    file.write_text('[a.b]\npath = "x.csv"\nkinds = { tax = "stdnum:de.idnr" }\n')
    assert "a.b" in TablesFile.load(file)
    file.write_text('[a.b]\npath = "x.csv"\nkinds = { tax = "stdnum:de.idn" }\n')
    with pytest.raises(JobError, match=r"kinds.tax: found identifier kind 'stdnum:de.idn'"):
        TablesFile.load(file)
