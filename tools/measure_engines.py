"""The flows of an invented bank on one engine after another: times, and whether they say the same.

python tools/measure_engines.py 1e6 1e5 --spark "local[2]" --postgres "host=/tmp/pg user=postgres"

Types, map, leaks, breaks and all feature views, on DuckDB first. Counts and money must be equal,
floats to 1e-9. Processor time is of this process and of Spark's, and of PostgreSQL's server where
`--server` gives the number of its first process. Spark is a process of this one, in local mode;
PostgreSQL is one that runs.
"""

from __future__ import annotations

import argparse
import datetime as dt
import io
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from pyarrow import csv

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.flows import make
from federated.readers import arrow_expression, duckdb_connection
from profiles.flows.breaks import breaks
from profiles.flows.engine import Engine
from profiles.flows.flows import Flows
from profiles.flows.leaks import leaks
from profiles.flows.map import flow_map
from profiles.flows.summary import type_table
from profiles.views import VIEWS, feature_frame
from profiles.views.frame import LOOKED_AT

END = dt.date(2025, 12, 31)
TABLES = ("tx", "accounts", "balances")
_SERVERS: set[int] = set()


@contextmanager
def _engine(name: str, folder: Path, where: str) -> Iterator[Engine]:
    """The bank's tables on an engine."""
    files = {one: folder / f"{one}.parquet" for one in TABLES}
    if name == "duckdb":
        connection = duckdb_connection()
        connection.raw_sql("SET threads = 2")
        held = {n: arrow_expression(connection, n, pq.read_table(f)) for n, f in files.items()}
    elif name == "spark":
        from pyspark.sql import SparkSession

        builder = SparkSession.builder.master(where).config("spark.driver.memory", "4g")
        for key, value in (
            ("spark.ui.enabled", "false"), ("spark.driver.host", "127.0.0.1"),
            ("spark.ui.showConsoleProgress", "false"), ("spark.sql.shuffle.partitions", "4"),
            ("spark.sql.execution.arrow.pyspark.enabled", "true"),
        ):  # fmt: skip
            builder = builder.config(key, value)
        session = builder.getOrCreate()
        connection = ibis.pyspark.connect(session)
        for n, file in files.items():
            session.read.parquet(str(file)).createTempView(f"bank_{n}")
        held = {n: connection.table(f"bank_{n}") for n in files}
    else:
        import psycopg

        options = dict(one.split("=", 1) for one in where.split())
        connection = ibis.postgres.connect(**{"database": "postgres", **options})
        for n, file in files.items():
            connection.create_table(n, schema=ibis.memtable(pq.read_table(file)).schema())
            with psycopg.connect(dbname="postgres", **options) as own, own.cursor() as cursor:
                with cursor.copy(f"copy {n} from stdin (format csv)") as copy:
                    for batch in pq.ParquetFile(file).iter_batches(1 << 16):
                        sink = io.BytesIO()
                        csv.write_csv(batch, sink, csv.WriteOptions(include_header=False))
                        copy.write(sink.getvalue())
                cursor.execute(f"analyze {n}")
        held = {n: connection.table(n) for n in files}
    try:
        yield Engine(connection, {f"bank.{n}": table for n, table in held.items()})
    finally:
        if name == "spark":
            connection.disconnect()


def _spent() -> float:
    """Processor seconds of this process, of the server, and of what they began and still runs."""
    found, parents = time.process_time(), {os.getpid(), *_SERVERS}
    for one in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = one.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) in parents or int(one.parent.name) in _SERVERS:
            # a server's own line also has what its ended children took
            last = 15 if int(one.parent.name) in _SERVERS else 13
            found += sum(map(int, fields[11:last])) / os.sysconf("SC_CLK_TCK")
    return found


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _answers(flows: Flows, name: str) -> dict[str, pd.DataFrame]:
    found = dict[str, pd.DataFrame]()
    then = flows.before(END + dt.timedelta(days=1))

    def timed(stage: str, table: Any) -> None:
        wall, cpu = time.perf_counter(), _spent()
        found[stage] = table().to_pandas()
        wall, cpu = time.perf_counter() - wall, _spent() - cpu
        rows = len(found[stage])
        told = f"{name} {stage}: {wall:.1f} s, {cpu:.1f} s of processor time, {rows:,} rows out"
        _say(told)

    typed: Any = None

    def types() -> Any:
        nonlocal typed
        typed = then.kept(*LOOKED_AT)
        return type_table(typed)

    def sums(table: Any, *keys: str) -> Any:
        return table.group_by(keys).agg(rows=table.count(), minor=table.minor.sum().cast("int64"))

    timed("type", types)
    timed(
        "map",
        lambda: flow_map(typed.mutate(branch=ibis.literal("")), then.taxonomy, then.base.accounts),
    )
    timed(
        "leaks",
        lambda: sums(leaks(typed, then.taxonomy), "month", "inflow_type", "outflow_type", "lag"),
    )
    timed(
        "breaks",
        lambda: sums(
            breaks(then.base, typed, then.taxonomy, END, keep=then.stored), "month", "type",
            "change", "entity",
        ),
    )  # fmt: skip
    for kind in "CB":
        timed(f"views {kind}", lambda kind=kind: feature_frame(
            flows, list(VIEWS), END + dt.timedelta(days=1), kind))  # fmt: skip
    return found


def _differ(one: pd.DataFrame, other: pd.DataFrame) -> str:
    """What is not the same, "" where all is."""
    keys = [c for c in one.columns if not pd.api.types.is_float_dtype(one[c])]
    one, other = (t.sort_values(keys).reset_index(drop=True) for t in (one, other))
    if len(one) != len(other):
        return f"{len(one):,} and {len(other):,} rows"
    for column in one.columns:
        a, b = one[column].to_numpy(), other[column].to_numpy()
        if column in keys:
            wrong = a != b
        else:
            wrong = ~np.isclose(a.astype(float), b.astype(float), 1e-9, 1e-9, equal_nan=True)
        if wrong.any():
            return f"{column}: {int(wrong.sum()):,} of {len(one):,}"
    return ""


def main() -> None:
    """Measure and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=float)
    parser.add_argument("entities", type=float)
    parser.add_argument("--spark", default="")
    parser.add_argument("--postgres", default="")
    parser.add_argument("--server", type=int, action="append", default=[])
    asked = parser.parse_args()
    _SERVERS.update(asked.server)
    with tempfile.TemporaryDirectory() as fresh:
        tables = make(Path(fresh), int(asked.rows), int(asked.entities))
        first: dict[str, pd.DataFrame] = {}
        settings = Flows.load(tables).settings
        for name, where in (("duckdb", "-"), ("spark", asked.spark), ("postgres", asked.postgres)):
            if not where:
                continue
            with _engine(name, Path(fresh), where) as engine:
                found = _answers(Flows(settings, engine), name)
            for stage, table in found.items() if first else ():
                told = _differ(first[stage], table) or "the same"
                _say(f"{name} {stage}: {told}")
            first = first or found


if __name__ == "__main__":
    main()
