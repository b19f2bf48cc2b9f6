"""Every optional package that is missing is told in one sentence, with the extra that has it."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from federated.aggregate.noise import discrete_laplace
from federated.readers import of_database
from federated.tables.bindings import TablesFile
from profiles.export import export
from profiles.flows.engine import open_engine
from psi.identifiers import clean
from psi.protocol import EnvironmentFailed

EXTRAS = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))[
    "project"
]["optional-dependencies"]


def read(folder: Path, url: str) -> object:
    """A table is bound to a database, and its columns are asked for."""
    return of_database("bank.t", url, "t", folder).columns()


def flows(folder: Path, url: str) -> object:
    """Flows have their tables in a database."""
    (folder / "tables.toml").write_text(f'[bank.t]\nconnection = "{url}"\ntable = "t"\n')
    return open_engine(TablesFile.load(folder / "tables.toml").tables, ["bank.t"])


def copied(folder: Path, to: str) -> object:
    """A run is copied to a workbook or a database."""
    (folder / "out").mkdir()
    pq.write_table(pa.table({"a": [1]}), folder / "out" / "profiles.parquet")
    return export(folder / "out", to)


POSTGRES, SPARK = "postgres://x@127.0.0.1:1/x", "pyspark://local"
USES: list[tuple[str, str, str, Callable[[Path], object]]] = [
    # an extra, a module of it, and what needs it
    ("noise", "opendp.prelude", "noise needs OpenDP", lambda at: discrete_laplace([1])),
    ("identifiers", "stdnum", "python-stdnum", lambda at: clean(pa.array(["x"]), "stdnum:iban")),
    ("identifiers", "phonenumbers", "phonenumbers", lambda at: clean(pa.array(["x"]), "phone:DE")),
    ("postgres", "psycopg", "bank.t: postgres needs", lambda at: read(at, POSTGRES)),
    ("postgres", "psycopg", "postgres needs", lambda at: flows(at, POSTGRES)),
    ("postgres", "psycopg", "PostgreSQL needs", lambda at: copied(at, POSTGRES)),
    ("spark", "pyspark", "bank.t: pyspark needs", lambda at: read(at, SPARK)),
    ("spark", "pyspark", "pyspark needs", lambda at: flows(at, SPARK)),
    ("spreadsheet", "xlsxwriter", "XlsxWriter", lambda at: copied(at, str(at / "run.xlsx"))),
]


def test_every_extra_is_asked_for() -> None:
    assert {extra for extra, *_ in USES} == EXTRAS.keys() - {"test"}


@pytest.mark.parametrize("place", range(len(USES)))
def test_one_that_is_missing_is_named_with_its_extra(
    place: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra, module, said, use = USES[place]
    monkeypatch.setitem(sys.modules, module, None)
    for name in [name for name in sys.modules if name.startswith("ibis.backends.postgres")]:
        monkeypatch.delitem(sys.modules, name)  # it has its driver already
    with pytest.raises(EnvironmentFailed, match="which is not installed") as caught:
        use(tmp_path)
    assert said in caught.value.message
    assert caught.value.hint == f"pip install 'fedprofile[{extra}]'"
    assert caught.value.exit_code == 7
