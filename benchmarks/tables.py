"""Tables of a page from rows, so that nobody copies figures by hand.

A page names them where they stand, the file from the page's own folder:

    <!-- rows: ../benchmarks/results/psi-vole-sweep.json walls -->
    …
    <!-- end of rows -->
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.networks import LOOPBACK, rate_of
from benchmarks.plots import races, seconds_over
from benchmarks.rows import Row, load
from federated.store.files import write_atomic
from psi.protocol import InputError

__all__ = ["TABLES", "rewrite", "rewritten"]

_MARK = re.compile(r"(<!-- rows: (\S+) (\w+) -->\n)(.*?)(<!-- end of rows -->)", re.DOTALL)
_PEERS = {
    "ours-vole": "spu-rr22",
    "ours-vole-malicious": "spu-rr22-malicious",
    "ours-ecdh": "spu-ecdh",
}
"""Whom each subject of ours is measured by."""

BY_SHARE = "rows-by-bits-told"
"""The attack whose rows have a table of their own."""

Cells = list[list[str]]


def _sizes(rows: Sequence[Row]) -> list[int]:
    return sorted({row.case["size_b"] for row in rows})


def _subjects(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row.subject for row in rows))


def _number(value: float) -> str:
    """Three figures: 0.0123, 1.23, 12.3, 1,234."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _wall(rows: Sequence[Row], subject: str, size: int) -> float | None:
    found = (r for r in rows if (r.subject, r.case["size_b"]) == (subject, size))
    return next((float(row.metrics["wall_s"]) for row in found), None)


def _walls(rows: Sequence[Row]) -> Cells:
    """Seconds by the clock: a line a size, a column a subject."""
    found, subjects = races(rows, LOOPBACK), _subjects(rows)
    lines = [["items a side", *subjects]]
    for size in _sizes(found):
        walls = [_wall(found, subject, size) for subject in subjects]
        lines.append([f"{size:,}", *("" if wall is None else _number(wall) for wall in walls)])
    return lines


def _ratios(rows: Sequence[Row]) -> Cells:
    """Our time over the peer's."""
    found = races(rows, LOOPBACK)
    pairs = [(ours, peer) for ours, peer in _PEERS.items() if ours in _subjects(found)]
    lines = [["items a side", *(f"{ours} / {peer}" for ours, peer in pairs)]]
    for size in _sizes(found):
        cells = []
        for pair in pairs:
            mine, its = (_wall(found, subject, size) for subject in pair)
            cells.append("" if mine is None or its is None else f"{mine / its:.2f}")
        lines.append([f"{size:,}", *cells])
    return lines


def _costs(rows: Sequence[Row]) -> Cells:
    """Processor time, bytes and memory of every race, receiver and sender."""
    lines = [["items a side", "subject", "wall", "processor time", "wire", "peak a party"]]
    for row in sorted(races(rows, LOOPBACK), key=lambda row: row.case["size_b"]):
        cpu = " + ".join(_number(value) for value in row.metrics["cpu_s"])
        peak = ", ".join(f"{value:,.0f}" for value in row.metrics["peak_mb"])
        lines.append([
            f"{row.case['size_b']:,}", row.subject, f"{_number(row.metrics['wall_s'])} s",
            f"{cpu} s", f"{_number(row.metrics['wire_bytes'] / 1e6)} MB", f"{peak} MB",
        ])  # fmt: skip
    return lines


def _networks(rows: Sequence[Row]) -> Cells:
    """What was computed for a network beside what was measured over a cable of its rate."""
    found = races(rows)
    at_home = {(row.subject, row.case["size_b"]): row for row in found if row.network == LOOPBACK}
    lines = [["network", "items a side", "subject", "computed", "measured", "measured / computed"]]
    shaped = [row for row in found if row.network != LOOPBACK]
    for row in sorted(shaped, key=lambda row: (rate_of(row.network), row.case["size_b"])):
        home = at_home.get((row.subject, row.case["size_b"]))
        if home is not None:
            told, took = seconds_over(home, rate_of(row.network)), row.metrics["wall_s"]
            lines.append([
                row.network, f"{row.case['size_b']:,}", row.subject,
                f"{_number(told)} s", f"{_number(took)} s", f"{took / told:.2f}",
            ])  # fmt: skip
    return lines


def _operations(rows: Sequence[Row]) -> Cells:
    """Microseconds of processor time a value, and of what the multiply-adds alone would take."""
    lines = [["operation", "bits", "processor time", "floor"]]
    for row in rows:
        if row.suite == "paillier" and "cpu_us" in row.metrics:
            operation, floor = row.case["operation"], row.metrics.get("floor_us")
            packed = ", packed" if row.case["packed"] else ""
            cells = [_number(row.metrics["cpu_us"]), "" if floor is None else _number(floor)]
            lines.append([operation + packed, str(row.case["bits"]), *cells])
    return lines


def _trainings(rows: Sequence[Row]) -> Cells:
    """Every training: processor time and peak memory are the label party's and the partner's."""
    head = ["network", "set", "rows x columns", "subject", "wall", "processor time", "wire"]
    lines = [[*head, "rounds", "peak a party", "AUC"]]
    for row in (row for row in rows if row.suite == "train"):
        case, metrics = row.case, row.metrics
        size = f"{case['rows']:,} x ({case['own']} + {case['partner']})"
        about = [row.network, case["data"], size, row.subject]
        if row.error:
            lines.append([*about, row.error, *[""] * 5])
            continue
        cpu = " + ".join(_number(value) for value in metrics["cpu_s"])
        peak = ", ".join(f"{value:,.0f}" for value in metrics["peak_mb"])
        of = "" if metrics["scored_folds"] > 1 else ", one fold"
        lines.append([
            *about, f"{_number(metrics['wall_s'])} s", f"{cpu} s",
            f"{_number(metrics['wire_bytes'] / 1e6)} MB", str(metrics.get("rounds", "")),
            f"{peak} MB", f"{metrics['auc']:.4f}{of}",
        ])  # fmt: skip
    return lines


def _attacks(rows: Sequence[Row]) -> Cells:
    """What an attacker gets, and would get without the protocol; shares of bits by themselves."""
    lines = [["protocol", "data", "who", "what", "gets", "without", "bar"]]
    for row in rows:
        if row.suite == "attack" and row.subject != BY_SHARE:
            metrics = row.metrics
            told = _share(metrics.get("figure"))
            refused = metrics.get("refused") or row.error
            bar = metrics.get("bar")
            verdict = "" if bar is None else f"+{bar:g}: {'holds' if metrics['held'] else 'broken'}"
            lines.append([
                row.case["protocol"], row.case["data"], row.case["who"], row.case["what"],
                f"refused: {refused}" if refused else told, _share(metrics.get("baseline")),
                verdict,
            ])  # fmt: skip
    return [[cell.replace("|", "/") for cell in line] for line in lines]


def _insider(rows: Sequence[Row]) -> Cells:
    """Whole rows that an insider decodes, by the share of the bits that is told."""
    found = [row for row in rows if row.subject == BY_SHARE]
    families = list(dict.fromkeys(row.metrics["family"] for row in found))
    lines = [["data", "bits held", "share told", "bits left", *families, "most frequent row"]]
    for data, share in dict.fromkeys((r.case["data"], r.metrics["share"]) for r in found):
        these = {
            row.metrics["family"]: row.metrics
            for row in found
            if (row.case["data"], row.metrics["share"]) == (data, share)
        }
        one = next(iter(these.values()))
        held, told = one["bits_held"], one["bits_told"]
        cells = [_share(these[name]["figure"]) if name in these else "" for name in families]
        left = f"{held - told:.1f}"
        lines.append([data, f"{held:.2f}", f"{share:g}", left, *cells, _share(one["baseline"])])
    return lines


def _share(value: float | None) -> str:
    if value is None:
        return ""
    return f"{round(value, 4) + 0.0:.4f}".rstrip("0").rstrip(".")  # no -0


TABLES: dict[str, Callable[[Sequence[Row]], Cells]] = {
    "attacks": _attacks,
    "insider": _insider,
    "walls": _walls,
    "ratios": _ratios,
    "costs": _costs,
    "networks": _networks,
    "operations": _operations,
    "trainings": _trainings,
}


def _markdown(cells: Cells) -> str:
    head, *body = cells
    lines = [head, ["---"] * len(head), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def rewritten(text: str, folder: Path) -> str:
    """A page's text with the tables that its rows make. Raises `InputError` naming the mark."""

    def table(found: re.Match[str]) -> str:
        begin, file, kind, _, end = found.groups()
        if kind not in TABLES:
            raise InputError(f"table {kind!r} found, {', '.join(TABLES)} allowed")
        return f"{begin}{_markdown(TABLES[kind](load(folder / file)))}{end}"

    return _MARK.sub(table, text)


def rewrite(page: Path) -> list[str]:
    """Write the tables of a page anew; what was done, a line each."""
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{page}: {error.strerror}") from None
    after = rewritten(text, page.parent)
    write_atomic(page, after)
    marks = [(found[2], found[3]) for found in _MARK.finditer(after)]
    return [f"{kind} from {file}" for file, kind in marks] or [f"{page} names no rows"]
