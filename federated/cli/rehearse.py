"""`fedprofile node rehearse`: a job on this party's own tables, against invented parties."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from federated.contract.terms import Contract
    from federated.session.session import Progress

__all__ = ["rehearse"]

Home = Annotated[Path, typer.Option("--home", help="The node's folder.")]
HOME = Path("fedprofile-node")


def rehearse(from_job_file: Callable[[Path], Contract]) -> Callable[..., None]:
    """The command; `from_job_file` drafts the contract that a job file (TOML) asks for."""

    def rehearse(
        job: Annotated[
            str,
            typer.Argument(
                help="The first digits of a proposal, as `jobs` shows them; or a job file (.toml); "
                "or a contract (.json), as `show --json` prints it."
            ),
        ],
        home: Home = HOME,
        rows: Annotated[
            int,
            typer.Option(
                "--rows", min=0, help="Take at most so many rows, spread evenly; 0 takes all."
            ),
        ] = 10_000,
        as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    ) -> None:
        """Play a job on this party's own tables against invented parties; show every message.

        Nothing leaves this machine and nothing in the node's folder changes: no hub is asked, no
        passphrase is needed, no count and no earlier answer is touched. Works while the node
        runs, and while it does not.
        """
        import json
        import signal

        from federated.approval.policy_file import load_policy
        from federated.node.home import NodeHome
        from federated.rehearsal import in_lines, plain_data
        from federated.rehearsal import rehearse as play
        from federated.tables.bindings import TablesFile
        from federated.tables.source import FileSource
        from psi.protocol import InputError

        place = NodeHome.open(home)
        draft = _draft(job, home, from_job_file)
        if place.name not in [terms.name for terms in draft.parties]:
            raise InputError(f"{place.name} has no part in this job")
        policy = load_policy(place.policy)
        source = FileSource(TablesFile.load(place.tables))
        signal.signal(signal.SIGTERM, _interrupt)  # the private folder goes in any case
        with _shown() as progress:
            found = play(
                draft,
                place.name,
                source,
                policy,
                rows=rows,
                models=place.models,
                progress=progress,
            )
        if as_json:
            typer.echo(json.dumps(plain_data(found, policy), indent=1, ensure_ascii=True))
        else:
            typer.echo("\n".join(_folded(line) for line in in_lines(found, policy)))

    return rehearse


def _draft(job: str, home: Path, from_job_file: Callable[[Path], Contract]) -> Contract:
    """The contract that `job` names: a waiting proposal, or a file."""
    from federated.cli.officer import inbox_of

    path = Path(job)
    if path.suffix == ".toml":
        return from_job_file(path)
    if path.suffix == ".json":
        return _from_file(path)
    contract: Contract = inbox_of(home)[0].find(job).request.contract
    return contract


def _from_file(path: Path) -> Contract:
    import json

    from federated.contract.terms import Contract
    from federated.store.plain import from_plain
    from psi.protocol import InputError, PeerError

    try:
        found = json.loads(path.read_bytes())
        contract = from_plain(Contract, found.get("contract", found))
        contract.check()
    except OSError as error:
        raise InputError(f"{path.name}: {error.strerror}") from None
    except (ValueError, AttributeError, PeerError) as error:
        why = f": {error.message}" if isinstance(error, PeerError) else ""
        raise InputError(
            f"{path.name}: not a contract{why}", hint="fedprofile node show JOB --json makes one"
        ) from None
    return contract


@contextmanager
def _shown() -> Iterator[Progress]:
    """One line on the terminal that says which step is under way; nothing where there is none."""
    import sys

    last = [""]

    def report(party: str, step: str, share: float) -> None:
        del party
        line = f"{step} {share:.0%}"
        if sys.stderr.isatty() and line != last[0]:
            last[0] = line
            typer.echo(f"\r\x1b[K{line}", nl=False, err=True)

    yield report
    if last[0]:
        typer.echo("\r\x1b[K", nl=False, err=True)


def _folded(line: str) -> str:
    """A line for this terminal, what follows its first row further in; as it is for a file."""
    import shutil
    import sys
    import textwrap

    if not sys.stdout.isatty():
        return line
    inner = " " * (len(line) - len(line.lstrip()) + 4)
    width = max(40, shutil.get_terminal_size().columns)
    return textwrap.fill(line, width, subsequent_indent=inner, drop_whitespace=True)


def _interrupt(number: int, frame: Any) -> None:
    del number, frame
    raise KeyboardInterrupt
