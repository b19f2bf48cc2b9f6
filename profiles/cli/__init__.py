"""The command line: `fedprofile`. One command, or one group of commands, a file.

Commands import what they need when they run, so that `--help` stays quick.
"""

from __future__ import annotations

import os

# read when numpy is loaded: a job's matrices are small, and threads of BLAS wait for each other
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from federated.cli import hub, model, node
from federated.cli.group import Group
from federated.cli.rehearse import rehearse
from profiles.cli import (
    branch,
    demo,
    export,
    flows,
    forget,
    job,
    leads,
    ledger,
    model_segments,
    new,
    plan,
    preflight,
    profile,
    run,
    score,
    selftest,
    uplift,
)
from psi.protocol.errors import EnvironmentFailed, FedprofileError

if TYPE_CHECKING:
    from federated.contract.terms import Contract

__all__ = ["app", "main"]

ORDER = (
    *("demo", "new", "plan", "preflight", "run", "score", "branch", "export"),
    *("leads", "uplift", "profile", "forget", "model", "flows", "ledger", "job", "hub", "node"),
    "selftest",
)
"""From a first look over a job and what becomes of it to parties that run for years."""


class _Root(Group):
    def list_commands(self, ctx: Any) -> list[str]:
        """In the order in which somebody who is new comes to them."""
        return sorted(super().list_commands(ctx), key=ORDER.index)


app = typer.Typer(
    cls=_Root,
    name="fedprofile",
    help="Know shared customers better without sharing them: private set intersection, "
    "encrypted aggregates and federated training between organisations.",
    epilog="Start with: fedprofile demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
INTERRUPTED = 130
OF_THE_ANALYST = frozenset(
    {"sklearn", "threadpoolctl", "scipy", "pandas", "ibis", "duckdb", "jinja2", "plotly"}
)
"""Modules of packages that `fedprofile` requires and `fedprofile-node` does not."""

LONGEST_LINE = 2000


def _installed_version() -> str:
    from importlib.metadata import entry_points

    # by the command: a node's package has a name of its own, an editable install lists no modules
    for command in entry_points(group="console_scripts", name="fedprofile"):
        if command.dist:
            return command.dist.version
    return "(a source tree that is not installed)"


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fedprofile {_installed_version()}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    del version


def _asked(job_file: Path) -> Contract:
    from profiles.job import Job
    from profiles.proposal import nameless_draft

    return nameless_draft(Job.load(job_file))


model.BELOW.append(model_segments.segments_shown)
node.app.command("rehearse")(rehearse(_asked))
app.command("demo")(demo.demo)
app.command("plan")(plan.plan)
app.command("preflight")(preflight.preflight)
app.command("run")(run.run)
app.command("score")(score.score)
app.command("branch")(branch.branch)
app.command("export")(export.export)
app.command("forget")(forget.forget)
app.command("uplift")(uplift.uplift)
app.command("selftest")(selftest.selftest)
app.add_typer(job.app, name="job")
app.add_typer(profile.app, name="profile")
app.add_typer(new.app, name="new")
app.add_typer(leads.app, name="leads")
app.add_typer(ledger.app, name="ledger")
app.add_typer(flows.app, name="flows")
app.add_typer(model.app, name="model")
app.add_typer(hub.app, name="hub")
app.add_typer(node.app, name="node")


def _called() -> int:
    """The exit code. Raises `EnvironmentFailed` of a command that a node's package cannot run."""
    try:
        return int(app(standalone_mode=False) or 0)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in OF_THE_ANALYST:
            raise
        raise EnvironmentFailed(
            f"this command needs the whole of fedprofile: {package} is not installed",
            hint="this is the node's package; `pip install fedprofile`, in an environment of its "
            "own, has this command",
        ) from None


def _say(text: str) -> None:
    """On stderr, in one line that no name from elsewhere can break."""
    from federated.text import plain  # loads pyarrow, which `--help` does without

    typer.echo(plain(text, LONGEST_LINE), err=True)


def main() -> None:
    """Run the command line; every known error is one line, with what to do, and its number."""
    import click

    try:
        code = _called()
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        sys.exit(code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except FedprofileError as error:
        where = f"{error.step}: " if error.step else ""
        _say(f"error: {where}{error.message}")
        if error.hint:
            _say(f"hint: {error.hint}")
        sys.exit(error.exit_code)
    except OSError as error:
        if not error.strerror or not isinstance(error.filename, str):
            raise
        _say(f"error: {error.filename}: {error.strerror}")
        sys.exit(EnvironmentFailed.exit_code)
    except (KeyboardInterrupt, click.Abort) as error:
        typer.echo("interrupted: earlier outputs are as they were", err=True)
        if error.args and error.args[0]:
            typer.echo(f"hint: {error.args[0]}", err=True)
        sys.stdout.flush()
        # a party's thread may still be in a kernel, which an orderly exit would wait for
        os._exit(INTERRUPTED)
