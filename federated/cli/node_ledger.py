"""`fedprofile node ledger`: what this party agreed to, sent, received and disclosed, job by job."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from federated.cli.group import Group

if TYPE_CHECKING:
    from federated.keys.party_keys import Identity
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

    All own are those of its jobs and the node's own, over all its keys; the last list of officers
    in that has to be the one that counts. A ledger from before new keys is checked with the
    identity of its time, which lies in `former`. Ends with exit code 9 and one line a finding where
    two accounts differ, with 4 where one of this node's own is not whole.
    """
    from federated.cli import ledger_views
    from federated.node.home import NodeHome
    from psi.protocol import InputError, MisuseError

    node = NodeHome.open(home)
    if against is not None and not job:
        raise MisuseError("--against needs a JOB", hint="fedprofile node ledger lists them")
    if job:
        path = _ledger(node, job)
        raise typer.Exit(ledger_views.verify(path, _owner(node, path), against, typer.echo))
    bad = 0
    for path in _ledgers(node):
        try:
            ledger_views.verify(path, _owner(node, path), None, typer.echo)
        except InputError as error:
            bad += 1
            typer.echo(f"NOT WHOLE  {error.message}")
    for wrong in _wrong_of_own(node):
        bad += 1
        typer.echo(f"NOT WHOLE  {wrong}")
    if bad:
        raise InputError(f"{bad} ledgers are not whole", hint="the lines above say where")


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
    until: Annotated[str, typer.Option("--until", help="Only lines before this UTC time.")] = "",
    decisions: Annotated[
        bool,
        typer.Option("--decisions", help="Only approvals, denials, refusals, stops, officers."),
    ] = False,
    form: Annotated[str, typer.Option("--format", help="jsonl: one flat event a line.")] = "jsonl",
) -> None:
    """Write a job's ledger, or all and the node's own, as JSON lines for a SIEM (docs/LEDGER.md).

    With --decisions, --since and --until: who said yes or no to what in a period, and why; jobs
    that an officer stopped; and who was listed to say so.
    """
    from federated.cli import ledger_views
    from federated.node.home import NodeHome
    from federated.node.own_ledger import own_paths

    node = NodeHome.open(home)
    paths = [_ledger(node, job)] if job else [*_ledgers(node), *own_paths(node)]
    kinds = ledger_views.DECISIONS if decisions else ()
    ledger_views.export(paths, out, since, form, until=until, kinds=kinds)


def _wrong_of_own(node: NodeHome) -> Iterator[str]:
    """The node's own ledger, said file by file; what is wrong with it and the list of officers."""
    from federated.node.own_ledger import check_officers, own_ledgers
    from psi.protocol import InputError

    try:
        for one in own_ledgers(node):
            if one.wrong:
                yield one.wrong
            else:
                typer.echo(f"{one.path}: {one.lines} lines, all chained and signed by {node.name}")
                typer.echo(f"  {one.owner.fingerprint}")
        if wrong := check_officers(node):
            yield wrong
    except InputError as error:
        yield error.message


def _owner(node: NodeHome, path: Path) -> Identity:
    """The identity under which a ledger was written: the present one, or one before new keys."""
    from federated.keys.identity_file import read_identity
    from federated.ledger.account import read_account

    former = sorted((node.path / "former").glob("*.json"))
    for identity in [node.identity, *map(read_identity, former)] if former else ():
        if not read_account(path, identity).findings:
            return identity
    return node.identity


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
