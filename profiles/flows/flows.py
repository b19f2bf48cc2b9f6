"""A bank's flows: the door for Python.

from profiles import Flows, Taxonomy

flows = Flows.load("tables.toml")          # or Flows.of(frame, account="acct", ...)
flows.typed()                               # an Ibis table, nothing read yet
flows.map().to_pandas()
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from federated.readers import arrow_expression, duckdb_connection
from profiles.flows.base import Base, base_model
from profiles.flows.classify import TOLD, classify, pairs_of, ranked, told
from profiles.flows.engine import Engine, Keep, open_engine
from profiles.flows.settings import FIELDS, Bound, FlowSettings, Source, load_settings
from profiles.flows.taxonomy import Taxonomy
from psi.protocol.errors import InputError, JobError, MisuseError

__all__ = ["Flows"]

_PAIRING = ("id", "account", "way", "minor", "day", "rank")
"""What reversals meet their pairs by."""


class Flows:
    """The transactions of one `[flows.NAME]` on the engine that holds them. Make one by `load`.

    Args:
        settings: what the section says.
        engine: where its tables are.
    """

    def __init__(self, settings: FlowSettings, engine: Engine) -> None:
        self.settings, self.engine = settings, engine
        self._before: dict[dt.date, Flows] = {}
        self._kept: dict[tuple[str, ...], Any] = {}
        self._stored: list[Any] = []

    def __repr__(self) -> str:
        return f"<flows {self.settings.name}: {len(self.settings.sources)} tables>"

    @classmethod
    def load(
        cls, tables: str | Path, name: str = "", *, threads: int = 0, memory: str = ""
    ) -> Flows:
        """The flow of a tables file; the only one, where none is named.

        Args:
            tables: the file.
            name: of its `[flows.NAME]`.
            threads: of an embedded DuckDB, such as 2.
            memory: that the process may take, such as "4GB"; an embedded DuckDB gets five eighths
                of it, all but 1.5 GB of more than 4, and writes what is over to its folder.

        Raises:
            JobError: the file is wrong, or has several flows and none is named.
            InputError: a table that is not there.
        """
        bound, flows = load_settings(tables)
        if not name and len(flows) > 1:
            raise JobError(f"{Path(tables).name}: several flows", hint=f"one of {', '.join(flows)}")
        name = name or next(iter(flows))
        if name not in flows:
            raise JobError(f"{Path(tables).name}: no flows {name!r}", hint=f"{', '.join(flows)}")
        settings = flows[name]
        beside = [settings.accounts, settings.orders, settings.rates, settings.balances]
        wanted = [s.table for s in settings.sources] + [b.table for b in beside if b]
        return cls(settings, open_engine(bound, wanted, threads=threads, memory=memory))

    @classmethod
    def of(
        cls,
        transactions: Any,
        *,
        accounts: Any = None,
        name: str = "given",
        currency: str = "CNY",
        zone: str = "Asia/Shanghai",
        inward: tuple[str, ...] = (),
        outward: tuple[str, ...] = (),
        taxonomy: tuple[str | Path, ...] = (),
        columns: Mapping[str, str] | None = None,
    ) -> Flows:
        """Flows of a table at hand.

        Args:
            transactions: a pandas DataFrame, an Arrow table or an Ibis table.
            accounts: one of the same kind with account, entity, kind, name, branch, opened, closed,
                died, born, as far as they are known.
            name: of whose money it is, for pages and errors.
            columns: what the columns of transactions are called where not as in the base model.
            inward, outward: codes of direction; without them the amount's sign says it.
            currency, zone: in which totals are told and days are counted.
            taxonomy: layers of types over those of the wheel.

        Raises:
            MisuseError: something that is no table.
        """
        names = dict(columns or {})
        connection = _connection(transactions)
        given = {"given.transactions": _table(connection, "transactions", transactions)}
        there = [str(c) for c in given["given.transactions"].columns]
        mapped = {f: names.get(f, f) for f in FIELDS if f in names or f in there}
        source = Source(
            where="transactions", table="given.transactions", columns=mapped, inward=inward,
            outward=outward, stored_zone=zone,
        )  # fmt: skip
        bound = None
        if accounts is not None:
            given["given.accounts"] = _table(connection, "accounts", accounts)
            held = {str(c): str(c) for c in given["given.accounts"].columns}
            bound = Bound(where="accounts", table="given.accounts", columns=held)
        settings = FlowSettings(
            name=name,
            file=Path("given"),
            currency=currency,
            zone=zone,
            sources=(source,),
            accounts=bound,
            taxonomy=tuple(Path(one) for one in taxonomy),
        )
        return cls(settings, Engine(connection, given))

    @cached_property
    def taxonomy(self) -> Taxonomy:
        """The taxonomy under the layers that the flow names."""
        return Taxonomy.load(self.settings.taxonomy)

    @cached_property
    def base(self) -> Base:
        """The base model, refused rows included."""
        return base_model(self.settings, self.engine)

    def typed(self, taxonomy: Taxonomy | None = None) -> Any:
        """The readable rows, each with its type: an Ibis table."""
        return classify(self.base, taxonomy or self.taxonomy)

    def kept(self, *columns: str) -> Any:
        """The typed rows, computed once and kept on the engine while the connection lasts.

        Args:
            columns: of them, all by default. Fewer take less memory.
        """
        if columns in self._kept:
            return self._kept[columns]
        # what texts and names say is needed until each row has its rank
        with self.engine.scratch() as keep, self.engine.streaming():
            rows = ranked(self.base, self.taxonomy, keep)
            names = list(columns) or [*rows.drop("rank").columns, *TOLD]
            there = [name for name in rows.columns if name in {*names, *_PAIRING}]
            rows = self.stored(rows.select(*there), "ranked")
        with self.engine.scratch() as keep:
            pairs = keep(pairs_of(rows, self.taxonomy, keep), "pairs")
            if int(pairs.count().to_pyarrow().as_py()):
                same = ("id", "undone")
                rows = self.engine.updated(rows, "rank", pairs, "undone_as", same)
        self._kept[columns] = told(rows, self.taxonomy, self.stored).select(*names)
        return self._kept[columns]

    def stored(self, table: Any, name: str) -> Any:
        """`table` computed once and kept on the engine while the connection lasts."""
        found = self.engine.stored(table, name)
        self._stored.append(found)
        return found

    def scratch(self) -> AbstractContextManager[Keep]:
        """Gives what keeps tables until the block's end only: see `Engine.scratch`."""
        return self.engine.scratch()

    def forget(self, cut_off: dt.date) -> None:
        """Drop all that `before(cut_off)` keeps on the engine, if anything: nothing made of it is
        read any more."""
        then = self._before.pop(cut_off, None)
        if then is not None:
            self.engine.drop(then._stored)

    def before(self, cut_off: dt.date) -> Flows:
        """The same flows as they were known at the begin of a day; kept for the next time.

        Raises:
            InputError: no row can be read.
            MisuseError: no row is of an earlier day, or the last one is of more than a day before:
                the silence would be the data's.
        """
        if cut_off in self._before:
            return self._before[cut_off]
        if self.days is None:
            raise InputError(
                f"{self.settings.where}: no row can be read", hint="fedprofile flows check says why"
            )
        first, last = self.days
        if cut_off > last + dt.timedelta(days=1):
            raise MisuseError(
                f"{self.settings.where}: cut-off {cut_off}: the data end on {last}",
                hint=f"{last + dt.timedelta(days=1)}, the day after the last row, at the latest; "
                "or the first day of a month before",
            )
        if cut_off <= first:
            raise MisuseError(
                f"{self.settings.where}: cut-off {cut_off}: the data begin on {first}",
                hint="the day after it at the earliest",
            )
        found = Flows(self.settings, self.engine)
        found.taxonomy = self.taxonomy
        base = base_model(self.settings, self.engine, cut_off)
        # small beside the rows, and looked at again and again
        kept = {
            name: found.stored(table, name)
            for name in ("accounts", "balances")
            if (table := getattr(base, name)) is not None
        }
        found.base = replace(base, **kept)
        self._before[cut_off] = found
        return found

    @cached_property
    def _reasons(self) -> list[dict[str, Any]]:
        """Rows, first and last day by why they are left out ("": they are read): one pass."""
        rows = self.base.rows
        found: list[dict[str, Any]] = (
            rows.group_by("refused")
            .agg(rows=rows.count(), first=rows.day.min(), last=rows.day.max())
            .to_pyarrow()
            .to_pylist()
        )
        return found

    @property
    def days(self) -> tuple[dt.date, dt.date] | None:
        """The days of the first and the last readable row; None where there is none."""
        read = (one for one in self._reasons if not one["refused"])
        return next(((one["first"], one["last"]) for one in read), None)

    @property
    def left_out(self) -> dict[str, int]:
        """How many rows are not read, by the reason, the largest first."""
        lost = [(one["refused"], int(one["rows"])) for one in self._reasons if one["refused"]]
        return dict(sorted(lost, key=lambda one: (-one[1], one[0])))

    @property
    def last_day(self) -> dt.date | None:
        """The day of the last readable row; None where there is none."""
        return None if self.days is None else self.days[1]

    @property
    def given(self) -> int:
        """How many rows the tables of transactions have, those that cannot be read among them."""
        tables = [self.engine.columns_of(source) for source in self.settings.sources]
        return sum(int(table.count().to_pyarrow().as_py()) for table in tables)

    def with_taxonomy(self, *layers: str | Path) -> Flows:
        """The same flows under other layers."""
        paths = tuple(Path(one) for one in layers)
        return Flows(replace(self.settings, taxonomy=paths), self.engine)


def _connection(table: Any) -> Any:
    if type(table).__module__.split(".")[0] == "ibis":
        import ibis

        return ibis.get_backend(table)
    return duckdb_connection()


def _table(connection: Any, name: str, table: Any) -> Any:
    import pyarrow as pa

    module = type(table).__module__.split(".")[0]
    if module == "ibis":
        return table
    if module == "pandas":
        return arrow_expression(connection, name, pa.Table.from_pandas(table, preserve_index=False))
    if hasattr(table, "__arrow_c_stream__"):
        return arrow_expression(connection, name, pa.table(table))
    raise MisuseError(
        f"{name}: found {type(table).__name__}, a DataFrame, an Arrow table or an Ibis table needed"
    )
