"""`fedprofile node ledger`: what this party agreed to, sent, received and disclosed, job by job."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from federated.cli.group import Group

if TYPE_CHECKING:
    from federated.node.home import NodeHome

HOME = Path("fedprofile-node")
Home = Annotated[Path, typer.Option("--home", help="The node's folder.")]
Job = Annotated[str, typer.Argument(help="A job: the id that `node jobs` shows, or its session.")]


class _ShowIsDefault(Group):
    """`node ledger JOB` is short for `node ledger show JOB`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("--help", "-h")):
            args = ["show", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_ShowIsDefault,
    help="Read, check and export this node's ledgers: `node ledger [JOB]`.",
)


@app.command()
def show(
    job: Job = "",
    home: Home = HOME,
    disclosures: Annotated[
        bool, typer.Option("--disclosures", help="Only what was disclosed to whom.")
    ] = False,
) -> None:
    """Print one job's ledger as a table; without JOB, the jobs there are."""
    from federated.cli import ledger_views
    from federated.node.home import NodeHome

    node = NodeHome.open(home)
    if job:
        ledger_views.show(_ledger(node, job), ["disclosure"] if disclosures else [])
    else:
        ledger_views.overview(_ledgers(node))


@app.command()
def verify(
    job: Job = "",
    home: Home = HOME,
    against: Annotated[
        Path | None,
        typer.Option("--against", help="Another party's ledger of this job: do they agree?"),
    ] = None,
) -> None:
    """Check this node's ledger of a job, and another party's against it; without JOB, all own.

    Ends with exit code 9 and one line a finding where two accounts differ.
    """
    from federated.cli import ledger_views
    from federated.node.home import NodeHome
    from psi.protocol import MisuseError

    node = NodeHome.open(home)
    if against is not None and not job:
        raise MisuseError("--against needs a JOB", hint="fedprofile node ledger lists them")
    for path in [_ledger(node, job)] if job else _ledgers(node):
        code = ledger_views.verify(path, node.identity, against, typer.echo)
    raise typer.Exit(code if job else 0)


@app.command()
def export(
    job: Job = "",
    home: Home = HOME,
    out: Annotated[
        Path | None, typer.Option("--out", help="A file to write; by default the terminal.")
    ] = None,
    since: Annotated[
        str, typer.Option("--since", help="Only lines from this UTC time on, as 2026-01-31T08:00.")
    ] = "",
    form: Annotated[str, typer.Option("--format", help="jsonl: one flat event a line.")] = "jsonl",
) -> None:
    """Write a job's ledger, or all of them, as JSON lines for a SIEM; fields in docs/LEDGER.md."""
    from federated.cli import ledger_views
    from federated.node.home import NodeHome

    node = NodeHome.open(home)
    paths = [_ledger(node, job)] if job else _ledgers(node)
    ledger_views.export(paths, out, since, form)


def _ledgers(node: NodeHome) -> list[Path]:
    """All ledgers of a node, the oldest job first."""
    return sorted(node.jobs.glob("*/ledger.jsonl"), key=lambda path: path.parent.stat().st_ctime)


def _ledger(node: NodeHome, job: str) -> Path:
    from psi.protocol import MisuseError

    found = list(_matching(node, job))
    if len(found) != 1:
        what = "no job" if not found else f"{len(found)} jobs"
        raise MisuseError(f"{what} with that id here", hint="fedprofile node ledger lists them")
    return found[0]


def _matching(node: NodeHome, job: str) -> Iterator[Path]:
    for path in _ledgers(node):
        if path.parent.name.startswith(job.lower()):
            yield path
