"""A bank's transactions at size: typing, map, leaks, breaks and feature views, stage by stage.

The bank is invented: a year of rows, one account an entity, four of five of them consumers; texts
are the taxonomy's own examples with numbers or names behind them, in 165,000 spellings; wages come
monthly from one of many payers; a tenth of the texts says nothing.
"""

from __future__ import annotations

import datetime as dt
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.rows import Row, median_row

__all__ = ["STAGES", "make", "measure"]

STAGES = ("type", "map", "leaks", "breaks", "views")
_LOOKED_AT = (
    "id", "account", "entity", "kind", "branch", "way", "minor", "day", "second",
    "counterparty_account", "counterparty_name", "type", "known", "purpose",
)  # fmt: skip
_CHUNK = 1 << 17
_YEAR = np.datetime64("2025-01-01")
_NAMES = 200_000
_SPELLINGS = {"C": 120_000, "B": 35_000, "G": 10_000}
_SCHEMA = pa.schema(
    [("id", pa.int64()), ("day", pa.date32()), ("amount", pa.float64()), ("dc", pa.string())]
    + [(name, pa.string()) for name in ("account", "name", "other", "mcc", "text")]
)
_TABLES = """
[bank.tx]
path = "tx.parquet"
[bank.accounts]
path = "accounts.parquet"
[bank.balances]
path = "balances.parquet"
[flows.bank]
[flows.bank.accounts]
table = "bank.accounts"
account = "account"
entity = "entity"
kind = "kind"
opened = "opened"
[flows.bank.balances]
table = "bank.balances"
account = "account"
day = "day"
amount = "amount"
product = "product"
[flows.bank.contribution]
fee = 0.0038
scheme = 0.003
terminal = 20
deposit = 0.012
[[flows.bank.source]]
table = "bank.tx"
id = "id"
account = "account"
time = "day"
amount = "amount"
direction = "dc"
in = ["C"]
out = ["D"]
counterparty_name = "name"
counterparty_account = "other"
merchant_code = "mcc"
text = "text"
"""


def make(folder: Path, rows: int, entities: int) -> Path:
    """Write the bank into a folder; its tables file."""
    rng = np.random.default_rng(22)
    kinds = np.arange(entities) % 10  # the ninth is a company, one of five tenths a public body
    kinds = np.where(kinds < 8, 0, np.where((kinds == 9) & (np.arange(entities) % 50 == 9), 2, 1))
    number = np.char.add("62", np.arange(10**9, 10**9 + entities).astype(str))
    opened = (_YEAR - rng.integers(30, 3000, entities)).astype("datetime64[D]")
    of = np.array(list(_SPELLINGS), object)[kinds]
    accounts = pa.table({"account": number, "entity": number, "kind": of, "opened": opened})
    pq.write_table(accounts, folder / "accounts.parquet")
    _balances(folder / "balances.parquet", rng, number)
    said = _spellings(rng)
    names = pa.array(np.char.add("商户及个人", np.arange(_NAMES).astype(str)))
    with pq.ParquetWriter(folder / "tx.parquet", _SCHEMA) as writer:
        for start in range(0, rows, _CHUNK):
            count = min(_CHUNK, rows - start)
            writer.write_table(_chunk(rng, start, count, kinds, pa.array(number), names, said))
    (folder / "tables.toml").write_text(_TABLES, "utf-8")
    return folder / "tables.toml"


def _spellings(rng: np.random.Generator) -> tuple[pa.Array, np.ndarray, pa.Array]:
    """Texts, kind after kind, whether each comes in, and a merchant code beside some."""
    from profiles.flows.taxonomy import Taxonomy

    dull = [("TRN", "in"), ("转", "out"), ("REF", "out"), ("备注", "in")]
    texts, ways = list[str](), list[bool]()
    for kind, count in _SPELLINGS.items():
        known = [(t, o.ways[0]) for o in Taxonomy.load() if o.kind == kind for t in o.match]
        pool = known + dull * (1 + len(known) // 36)
        for i, tail in zip(
            rng.integers(0, len(pool), count), rng.integers(0, 10**6, count), strict=True
        ):
            text, way = pool[i]
            name = "".join(chr(0x4E00 + tail // 7**k % 3000) for k in range(3))
            texts.append(f"{text} {tail if tail % 2 else name}")
            ways.append(way == "in")
    codes = np.array(["", "", "", "5411", "5812", "4121", "5541"], object)
    mccs = codes[rng.integers(0, len(codes), len(texts))]
    return pa.array(texts), np.array(ways), pa.array(mccs)


def _chunk(
    rng: np.random.Generator, start: int, count: int, kinds: np.ndarray, held: pa.Array,
    names: pa.Array, said: tuple[pa.Array, np.ndarray, pa.Array],
) -> pa.Table:  # fmt: skip
    texts, ways, mccs = said
    entities, sizes = len(kinds), np.array(list(_SPELLINGS.values()))
    owner = rng.integers(0, entities, count)
    kind = kinds[owner]
    text = (np.cumsum(sizes) - sizes)[kind] + (rng.random(count) * sizes[kind]).astype(int)
    wage = (rng.random(count) < 0.15) & (kind == 0)
    day = _YEAR + rng.integers(0, 365, count)
    month = day.astype("datetime64[M]").astype("datetime64[D]")
    day = np.where(wage, month + 9, day).astype("datetime64[D]")
    payer = owner % 20_000
    other = np.where(wage, payer, rng.integers(0, 3 * entities, count))
    here = wage | ((other < entities) & (rng.random(count) < 0.5))
    paid, at = pa.array(wage), pa.array(text)
    wages = pa.array(np.char.add("代发工资 ", (text % 12 + 1).astype(str)))
    account = held.take(pa.array(np.where(wage, payer * 10 + 9, other) % entities))
    return pa.table(
        {
            "id": np.arange(start, start + count),
            "day": day,
            "amount": np.round(np.exp(rng.normal(5, 1.5, count)) + 0.01, 2),
            "dc": np.where(wage | ways[text], "C", "D"),
            "account": held.take(pa.array(owner)),
            "name": names.take(pa.array(other % _NAMES)),
            "other": pc.if_else(pa.array(here), account, ""),
            "mcc": pc.if_else(paid, "", mccs.take(at)),
            "text": pc.if_else(paid, wages, texts.take(at)),
        },
        schema=_SCHEMA,
    )


def _balances(path: Path, rng: np.random.Generator, number: np.ndarray) -> None:
    """A deposit at the year's begin and every quarter, wealth at a tenth."""
    parts = []
    for quarter in range(4):
        day = np.full(len(number), _YEAR + 91 * quarter)
        for product, take in (("deposit", slice(None)), ("wealth", slice(quarter, None, 10))):
            of = number[take]
            parts.append(
                pa.table({
                    "account": of, "day": day[: len(of)],
                    "amount": np.round(np.exp(rng.normal(9, 1.5, len(of))), 2),
                    "product": np.full(len(of), product),
                })
            )  # fmt: skip
    pq.write_table(pa.concat_tables(parts), path)


def measure(
    stages: Sequence[str], *, rows: int, entities: int, threads: int, memory: str,
    folder: Path | None,
    told: Callable[[str], None],
) -> list[Row]:  # fmt: skip
    """Each stage once, one after the other in this process; the bank is made where it is not."""
    with tempfile.TemporaryDirectory() as fresh:
        at = folder or Path(fresh)
        at.mkdir(parents=True, exist_ok=True)
        if not (at / "tables.toml").exists():
            told(f"making {rows:,} rows of {entities:,} entities")
            # in a process of its own: what that leaves behind is no memory of the flows
            maker = get_context("spawn").Process(target=make, args=(at, rows, entities))
            maker.start()
            maker.join()
            if maker.exitcode:
                raise RuntimeError("the bank could not be made")
        return _stages(at / "tables.toml", stages, rows, entities, threads, memory, told)


def _stages(
    tables: Path, stages: Sequence[str], rows: int, entities: int, threads: int, memory: str,
    told: Callable[[str], None],
) -> list[Row]:  # fmt: skip
    from profiles.flows.flows import Flows
    from profiles.flows.summary import type_table
    from profiles.views.frame import LOOKED_AT

    flows = Flows.load(tables, threads=threads, memory=memory)
    found, case = [], {"rows": rows, "entities": entities}
    typed: Any = None
    for stage in ("type", *(s for s in stages if s != "type")):
        wall, cpu = time.perf_counter(), time.process_time()
        if stage == "views":  # typing has a stage of its own
            flows.before(dt.date(2026, 1, 1)).kept(*LOOKED_AT)
            wall, cpu = time.perf_counter(), time.process_time()
        if stage == "type":
            typed = flows.kept(*_LOOKED_AT)
            types = flows.stored(type_table(typed), "types")
            count = int(types.count().to_pyarrow().as_py())
        else:
            count = _stage(flows, typed, stage)
        took = {
            "wall_s": time.perf_counter() - wall,
            "cpu_s": time.process_time() - cpu,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "out": count,
        }
        told(f"{stage}: {took['wall_s']:.1f} s, {took['cpu_s']:.1f} s of processor time")
        found.append(median_row("flows", f"ours-{stage}", case, [took], "none"))
    return found


def _stage(flows: Any, typed: Any, stage: str) -> int:
    from profiles.flows.breaks import breaks
    from profiles.flows.leaks import leaks
    from profiles.flows.map import flow_map

    end = dt.date(2025, 12, 31)
    if stage == "views":
        from profiles.views import VIEWS, feature_frame

        count, cut = 0, end + dt.timedelta(days=1)
        for kind in ("C", "B", "G"):
            frame = feature_frame(flows, list(VIEWS), cut, kind)
            with flows.scratch() as keep:
                count += int(keep(frame, f"views_{kind}").count().to_pyarrow().as_py())
        return count
    with flows.scratch() as keep:
        table = {
            "map": lambda: flow_map(typed, flows.taxonomy, flows.base.accounts),
            "leaks": lambda: leaks(typed, flows.taxonomy),
            "breaks": lambda: breaks(flows.base, typed, flows.taxonomy, end, keep=keep),
        }[stage]()
        return int(keep(table, stage).count().to_pyarrow().as_py())
