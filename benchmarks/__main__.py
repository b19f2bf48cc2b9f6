"""`python -m benchmarks SUITE`: measure fedprofile beside its peers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import rows as files
from benchmarks import show
from benchmarks.subjects import peers
from psi.protocol import FedprofileError

app = typer.Typer(
    help=f"Measure fedprofile beside the field. Peers: {', '.join(peers())}.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Json = Annotated[Path | None, typer.Option("--json", help="Write the rows here.")]
Plot = Annotated[Path | None, typer.Option("--plot", help="Write a drawing (SVG) here.")]


def _told(text: str) -> None:
    typer.echo(text, err=True)


def _numbers(text: str) -> list[int]:
    try:
        return [int(float(part)) for part in text.split(",") if part]
    except ValueError:
        raise typer.BadParameter(f"{text!r} found, numbers such as 1e5,1e6 allowed") from None


def _largest(text: str) -> dict[str, int]:
    pairs = [part.partition("=") for part in _names(text)]
    return {name: _numbers(size)[0] if size else 0 for name, _, size in pairs}


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


@app.command()
def psi(
    sizes: Annotated[str, typer.Option(help="Items a party, such as 1e5,1e6.")] = "1e5",
    receiver: Annotated[
        str, typer.Option(help="Items of the receiver where they differ: one number a size.")
    ] = "",
    subjects: Annotated[str, typer.Option(help="Our subjects.")] = "ours-ecdh",
    against: Annotated[str, typer.Option(help="Peers, such as spu-ecdh,openmined.")] = "",
    mode: Annotated[str, typer.Option(help="receiver, both or cardinality.")] = "receiver",
    source: Annotated[str, typer.Option(help="memory or parquet.")] = "memory",
    runs: Annotated[int, typer.Option(min=1, help="Runs; medians are told.")] = 3,
    timeout: Annotated[float, typer.Option(help="Seconds after which a run has hung.")] = 300.0,
    network: Annotated[
        str,
        typer.Option(help="loopback, or cables between namespaces: 100mbit,1gbit,100mbit-10ms."),
    ] = "loopback",
    largest: Annotated[
        str, typer.Option(help="Leave subjects out of larger sizes: ours-ecdh=1e6,spu-ecdh=1e5.")
    ] = "",
    json: Json = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep other rows that the file of --json has.")
    ] = False,
    plot: Plot = None,
) -> None:
    """Private set intersection: two processes, half of the items shared.

    With --json a plot of time against size is written beside the rows, unless --plot names another.
    """
    from benchmarks.plots import plot_sizes, races
    from benchmarks.psi import measure

    senders = _numbers(sizes)
    receivers = _numbers(receiver) or senders
    if len(receivers) != len(senders):
        raise typer.BadParameter(f"{len(receivers)} receivers found, {len(senders)} allowed")
    found = measure(
        list(zip(receivers, senders, strict=True)),
        _names(subjects) + _names(against),
        mode=mode, source=source, runs=runs, told=_told, timeout=timeout,
        networks=_names(network), largest=_largest(largest),
    )  # fmt: skip
    show.print_table(found)
    if json is not None:
        if keep and json.exists():
            found = files.merged(files.load(json), found)
        files.save(json, found)
    if plot is None and json is not None:
        plot = json.with_suffix(".svg")
    if plot is not None and races(found, "loopback"):
        plot_sizes(found, plot)


@app.command()
def paillier(
    bits: Annotated[str, typer.Option(help="Key sizes, such as 2048,3072.")] = "2048",
    subjects: Annotated[
        str, typer.Option(help="Our subjects: ours, ours-gmpy2, ours-constant-time, ours-portable.")
    ] = "ours,ours-gmpy2",
    against: Annotated[str, typer.Option(help="Peers: phe,sf-heu,ipcl,tenseal.")] = "",
    cores: Annotated[int, typer.Option(min=1, help="Cores a subject may use.")] = 1,
    values: Annotated[int, typer.Option(min=512, help="Values encrypted at once.")] = 32768,
    runs: Annotated[int, typer.Option(min=1, help="Runs; medians are told.")] = 3,
    json: Json = None,
) -> None:
    """Paillier's operations in microseconds a value; obfuscators are made inside the timing."""
    from benchmarks.paillier import measure

    found = measure(
        _numbers(bits), _names(subjects) + _names(against),
        cores=cores, values=values, runs=runs, told=_told,
    )  # fmt: skip
    found.sort(key=lambda row: (row.case["bits"], row.case["packed"], row.case["operation"]))
    show.print_table(found)
    if json is not None:
        files.save(json, found)


@app.command()
def aggregate(
    directions: Annotated[str, typer.Option(help="segment, category and join_sum.")] = (
        "segment,category,join_sum"
    ),
    bits: Annotated[str, typer.Option(help="Key sizes, such as 2048,3072.")] = "2048,3072",
    rows: Annotated[int, typer.Option(min=1, help="Aligned rows.")] = 1_000_000,
    groups: Annotated[int, typer.Option(min=1, help="Groups.")] = 100,
    measures: Annotated[int, typer.Option(min=1, help="Columns of the partner's.")] = 5,
    sections: Annotated[int, typer.Option(min=1, help="Segments, in `segment`.")] = 1,
    protocols: Annotated[
        str, typer.Option(help="paillier at each key size, and sums where a direction has them.")
    ] = "paillier",
    runs: Annotated[int, typer.Option(min=1, help="Runs; medians are told.")] = 1,
    json: Json = None,
) -> None:
    """Aggregation after alignment, encrypted or by private sums: two processes over loopback."""
    from benchmarks.aggregate import DIRECTIONS, PROTOCOLS, measure

    wanted = _names(directions)
    if not set(wanted) <= set(DIRECTIONS):
        raise typer.BadParameter(f"{directions!r} found, {', '.join(DIRECTIONS)} allowed")
    if not set(_names(protocols)) <= set(PROTOCOLS):
        raise typer.BadParameter(f"{protocols!r} found, {', '.join(PROTOCOLS)} allowed")
    found = measure(
        wanted, _numbers(bits), protocols=_names(protocols),
        rows=rows, groups=groups, measures=measures, sections=sections, runs=runs, told=_told,
    )  # fmt: skip
    show.print_table(found)
    if json is not None:
        files.save(json, found)


@app.command()
def train(
    data: Annotated[
        str, typer.Option(help="Sets of the examples, or invented-1e6: 20 + 20 normal columns.")
    ] = "bank_marketing,credit_default",
    model: Annotated[str, typer.Option(help="logistic, trees or hidden.")] = "logistic",
    subjects: Annotated[str, typer.Option(help="Ours: ours, ours-hub, ours-direct.")] = "ours",
    against: Annotated[
        str, typer.Option(help="Peers: secretflow, secretflow-dealer, sklearn, xgboost.")
    ] = "",
    network: Annotated[
        str, typer.Option(help="loopback, or rates and a delay each way: 100mbit-10ms.")
    ] = "loopback",
    runs: Annotated[int, typer.Option(min=1, help="Runs; medians are told.")] = 1,
    timeout: Annotated[float, typer.Option(help="Seconds after which a run has hung.")] = 900.0,
    json: Json = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep other rows that the file of --json has.")
    ] = False,
) -> None:
    """One model over two parties' columns: time, bytes, rounds, memory and AUC."""
    from benchmarks.train import measure

    found = measure(
        _names(data), _names(subjects) + _names(against), model=model, runs=runs, told=_told,
        timeout=timeout, networks=_names(network),
    )  # fmt: skip
    show.print_table(found)
    if json is not None:
        if keep and json.exists():
            found = files.merged(files.load(json), found)
        files.save(json, found)


@app.command()
def wire(
    tasks: Annotated[
        str, typer.Option(help="What to measure.")
    ] = "roundtrip,direct,rounds,relay,align,demo",
    items: Annotated[str, typer.Option(help="Items a side in align.")] = "1e5,1e6",
    rounds: Annotated[int, typer.Option(min=1, help="Messages in roundtrip and rounds.")] = 200,
    megabytes: Annotated[int, typer.Option(min=32, help="Relayed in relay.")] = 640,
    runs: Annotated[int, typer.Option(min=1, help="Runs; medians are told.")] = 1,
    json: Json = None,
) -> None:
    """Hub and nodes as processes over mutual TLS, beside plain sockets and one process."""
    from benchmarks.wire import BARS, measure

    found = []
    for task in _names(tasks):
        new = measure(
            task, items=_numbers(items), rounds=rounds, megabytes=megabytes, runs=runs, told=_told
        )
        found += new
        show.print_table(new)
        _told(f"bar: {BARS[task]:g}\n")
        if json is not None:
            files.save(json, found)


@app.command()
def flows(
    stages: Annotated[str, typer.Option(help="What to measure, after typing.")] = (
        "type,map,leaks,breaks,views"
    ),
    rows: Annotated[str, typer.Option(help="Transactions, such as 1e6.")] = "1e6",
    entities: Annotated[str, typer.Option(help="Accounts, each of an entity of its own.")] = "1e5",
    threads: Annotated[int, typer.Option(min=1, help="Of the embedded DuckDB.")] = 2,
    memory: Annotated[str, typer.Option(help="What the process may take.")] = "4GB",
    folder: Annotated[
        Path | None, typer.Option(help="Keep the invented bank here, and use it again.")
    ] = None,
    json: Json = None,
) -> None:
    """Typing, map, leaks, breaks and feature views over an invented bank's year of rows."""
    from benchmarks.flows import STAGES, measure

    wanted = _names(stages)
    if not set(wanted) <= set(STAGES):
        raise typer.BadParameter(f"{stages!r} found, {', '.join(STAGES)} allowed")
    found = measure(
        wanted, rows=_numbers(rows)[0], entities=_numbers(entities)[0], threads=threads,
        memory=memory, folder=folder, told=_told,
    )  # fmt: skip
    show.print_table(found)
    if json is not None:
        files.save(json, found)


@app.command()
def attack(
    only: Annotated[str, typer.Option(help="Attacks by name, all if none is given.")] = "",
    size: Annotated[str, typer.Option(help="tiny, quick or full.")] = "quick",
    full: Annotated[bool, typer.Option("--full", help="The same as --size full.")] = False,
    sets: Annotated[str, typer.Option(help="Data sets, the size's if none is given.")] = "",
    json: Json = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep other rows that the file of --json has.")
    ] = False,
) -> None:
    """What each party recovers from the product as it is, over real data ($FEDPROFILE_DATA)."""
    from benchmarks.attack import registry

    if size not in registry.SCALES:
        raise typer.BadParameter(f"{size!r} found, {', '.join(registry.SCALES)} allowed")
    scale = registry.SCALES["full" if full else size]
    if sets:
        scale = replace(scale, sets=tuple(_names(sets)))
    found = list(registry.measure(_names(only), scale, _told))
    registry.print_findings(found)
    if json is not None:
        if keep and json.exists():
            found = files.merged(files.load(json), found)
        files.save(json, found)


@app.command("show")
def show_file(path: Path) -> None:
    """Print the rows of a file that an earlier run wrote."""
    show.print_table(files.load(path))


@app.command("plot")
def plot_file(
    path: Path,
    out: Annotated[Path, typer.Argument(help="The drawing (SVG) to write.")],
    bandwidth: Annotated[
        bool, typer.Option(help="Time against bandwidth, computed, instead of against size.")
    ] = False,
    size: Annotated[
        str, typer.Option(help="Items a side with --bandwidth; what was raced over networks.")
    ] = "0",
) -> None:
    """Draw the rows of set intersection that an earlier run wrote."""
    from benchmarks import plots

    rows = files.load(path)
    if bandwidth:
        plots.plot_bandwidth(rows, out, _numbers(size)[0])
    else:
        plots.plot_sizes(rows, out)


@app.command("tables")
def tables_file(
    document: Annotated[Path, typer.Argument(help="A page with <!-- rows: … --> marks.")],
) -> None:
    """Write the tables of a page anew from the rows that its marks name."""
    from benchmarks import tables

    for line in tables.rewrite(document):
        _told(line)


def main() -> None:
    """Run; a known error is one line."""
    try:
        app()
    except FedprofileError as error:
        typer.echo(f"error: {error.message}", err=True)
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    main()
