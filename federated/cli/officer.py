"""What a data officer does at a node: jobs, show, approve, deny, pause, unpause, stop.

These work on files in the node's folder, so they work while the node is down too. All that others
wrote is cleaned before it is shown.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["approve", "deny", "jobs", "pause", "show", "stop", "unpause"]

Home = Annotated[
    Path,
    typer.Option("--home", help="The node's folder.", readable=False),  # 0710 for officers
]
HOME = Path("fedprofile-node")
Job = Annotated[str, typer.Argument(help="The first digits of the job, as `jobs` shows them.")]
Key = Annotated[
    Path | None,
    typer.Option(
        "--key",
        envvar="FEDPROFILE_OFFICER_KEY",
        help="Your own key, where officers have keys (`node officers`).",
    ),
]
KeyPassphrase = Annotated[
    Path | None, typer.Option("--passphrase-file", help="Opens your own key.")
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


def jobs(home: Home = HOME, as_json: AsJson = False) -> None:
    """List proposals and jobs, this party's own too: since when, who asks, what has become of it.

    called: a party calls, its proposal is not here yet. waiting: an officer is to decide. approved,
    denied, expired: decided. left: its proposer has gone. running, interrupted (it goes on where it
    stopped), done, failed; refused: by a rule, the guard or an officer. Look closer with `show`.
    """
    import json

    from federated.cli.job_words import cells_of, width_of
    from federated.cli.jobs_here import running_at
    from federated.cli.lists import padded
    from federated.node.job_rows import UNACCEPTED, job_rows
    from federated.node.lives import waits_for_word
    from federated.text import plain

    inbox, place = inbox_of(home, lists=True)
    live = running_at(place.path)
    rows = job_rows(inbox, place, live)
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    if waits_for_word(place.path):
        typer.echo(f"{UNACCEPTED}: fedprofile node accept-copy --home {home}", err=True)
    if live is not None and live.away:
        typer.echo(f"{plain(live.away, 200)}; jobs go on by themselves once it is", err=True)
    if inbox.paused is not None:
        typer.echo(f"paused by {inbox.paused['by']}: {plain(str(inbox.paused['why']))}")
    cells = [cells_of(row) for row in rows]
    wide = [max([16, *map(width_of, column)]) for column in zip(*cells, strict=True)]
    for row, (state, who, what) in zip(rows, cells, strict=True):
        since = _day(row["changed"] or row["received"])
        line = f"{row['id']}  {padded(state, wide[0])} {since}  {padded(who, wide[1])} {what}"
        typer.echo(line.rstrip())
    told_of = {row["session"] for row in rows}  # of a job that is listed its ledger says more
    unread = [file for file in inbox.unread() if file.stem not in told_of]
    for file in unread:
        typer.echo(f"{file.name[:8]}  {'unreadable':<16} {_day(int(file.lstat().st_mtime))}")
        typer.echo(
            f"{file.name[:8]} is another version's, or damaged: nobody can decide on it, its job "
            f"is proposed anew. Purged in time (node purge), or remove {file}",
            err=True,
        )
    if not rows and not unread:
        typer.echo("no job has been proposed")


def show(job: Job, home: Home = HOME, as_json: AsJson = False) -> None:
    """Say in plain words what a proposal asks of this party, and what everybody would learn.

    The list of what is learned is not the proposer's: this node derives it from the steps, and
    refuses a contract whose list differs.
    """
    import json
    from dataclasses import asdict

    from federated.cli.job_words import bare, described
    from federated.node.row_bits import row_bits_of
    from federated.store.plain import to_plain

    inbox, place = inbox_of(home)
    found = [row for row in _rows(home) if row["session"].startswith(job.lower())]
    if len(found) == 1 and not found[0]["ends"]:  # no proposal of it that can be read is on file
        none = found[0] | {"contract": None, "row_bits": None}
        typer.echo(json.dumps(none, indent=1) if as_json else "\n".join(bare(found[0], home)))
        return
    entry = inbox.find(job)
    row = _row_of(home, entry)
    if as_json:
        contract = to_plain(entry.request.contract)
        bits, _ = row_bits_of(entry.request, place)
        more = {"contract": contract, "row_bits": asdict(bits) if bits else None}
        typer.echo(json.dumps(row | more, indent=1, ensure_ascii=True))
        return
    typer.echo("\n".join(described(entry, place, row)))


def approve(
    job: Job, home: Home = HOME, key: Key = None, passphrase_file: KeyPassphrase = None
) -> None:
    """Approve a proposal: signed by your key (--key), or in the name of the user who runs this.

    What is approved is what `show` says, and nothing else: if the final contract asks anything
    more, the node does not sign it. A job that this party itself proposes is approved by another
    officer than its proposer (policy: four_eyes). Who cannot read a proposal cannot approve it.
    """
    from federated.cli.job_words import described

    inbox, place = inbox_of(home)
    entry = inbox.find(job)
    before = _open_for_a_word(home, entry)
    officer = _key_of(place, key, passphrase_file)
    described(entry, place, _row_of(home, entry))  # nobody approves what he cannot read
    word = inbox.decide(entry, True, key=officer)
    entry = inbox.find(job)
    typer.echo(f"{entry.request.id} is approved by {word.by}")
    if entry.word is None:
        missing = entry.needed - len({said.voice for said in entry.words})
        typer.echo(f"it waits for {missing} more of this party's officers", err=True)
        return
    typer.echo(_what_next(home, entry, before), err=True)


def deny(
    job: Job,
    why: Annotated[str, typer.Option("--why", help="The reason: the proposer is told.")],
    home: Home = HOME,
    key: Key = None,
    passphrase_file: KeyPassphrase = None,
) -> None:
    """Deny a proposal; the proposer is told why."""
    from federated.text import plain

    inbox, place = inbox_of(home)
    entry = inbox.find(job)
    before = _open_for_a_word(home, entry)
    word = inbox.decide(entry, False, plain(why, 200), _key_of(place, key, passphrase_file))
    typer.echo(f"{entry.request.id} is denied by {word.by}")
    typer.echo(_what_next(home, entry, before, "its proposer is told"), err=True)


def pause(
    why: Annotated[str, typer.Option("--why", help="For the other officers.")] = "",
    home: Home = HOME,
) -> None:
    """Take no new jobs from now on; running ones go on (`stop` ends one)."""
    from federated.text import plain

    inbox_of(home)[0].pause(plain(why, 200))
    typer.echo("paused: proposals are refused; fedprofile node unpause ends this")


def unpause(home: Home = HOME) -> None:
    """Take new jobs again."""
    was = inbox_of(home)[0].unpause()
    typer.echo("proposals are heard again" if was else "it was not paused")


def stop(
    job: Job,
    now: Annotated[bool, typer.Option("--now", help="Yes, at once: the job is lost.")] = False,
    home: Home = HOME,
) -> None:
    """End a job at once; the others are told, and it cannot go on afterwards.

    One that is at rest too, whether the node runs or not: it is not taken up again but to tell the
    others, once the node runs. What was disclosed until then stays disclosed: the job's ledger says
    what.
    """
    from federated.node.home import NodeHome
    from federated.text import plain
    from federated.wire.local import ask
    from psi.protocol import EnvironmentFailed, InputError, MisuseError

    if not now:
        raise MisuseError("stop ends the job for all parties", hint=f"stop {job} --now, if so")
    found = [row for row in _rows(home) if row["session"].startswith(job.lower())]
    if len(found) != 1:
        raise InputError(f"{len(found)} jobs begin with {job[:64]!r}", hint="fedprofile node jobs")
    row, place = found[0], NodeHome.open(home)
    taken = _take_back(inbox_of(home)[0], row["session"])
    marked = not row["live"] and _mark_to_end(place.jobs / row["session"])
    try:
        stopped = ask(home / "node.sock", op="stop", job=row["session"])["stopped"]
    except EnvironmentFailed:
        if not marked and not taken:
            raise
        stopped = False
    if stopped:
        typer.echo(f"{job} is stopped")
    elif marked:
        typer.echo(f"{job} is stopped: the others are told once the node runs")
    elif taken:
        typer.echo(f"{job} is stopped: the yes to it counts no more")
    else:
        own = row["proposer"] == place.name
        raise InputError(
            f"{job} does not run at this node: it is {plain(row['state'])}",
            hint=f"this party's own run: fedprofile job stop {row['id']} --hub" if own else "",
        )


def _take_back(inbox: Any, session: str) -> bool:
    """Void an approval that has not taken effect: what is asked anew is decided anew."""
    try:
        return bool(inbox.take_back(bytes.fromhex(session)))
    except OSError:  # an officer who is another user: a node that runs does it
        return False


def _mark_to_end(folder: Path) -> bool:
    """Ask whoever takes up another party's job that is at rest here to end it; if it is one."""
    from federated.session.journal import can_resume, stop_file
    from psi.protocol import MisuseError

    try:
        if not (folder / "call").exists() or not can_resume(folder):
            return False
        stop_file(folder).touch(mode=0o600)
    except PermissionError:
        raise MisuseError(
            "jobs are the node's own: only its user ends one", hint="sudo -u its user"
        ) from None
    return True


def inbox_of(home: Path, *, lists: bool = False) -> tuple[Any, Any]:
    """The desk and the home; who only `lists` can do so while policy or officers are wrong."""
    from federated.approval.inbox import Inbox
    from federated.approval.officer import counts
    from federated.approval.policy import Policy
    from federated.approval.policy_file import load_policy
    from federated.keys.officers import load_officers
    from federated.node.home import NodeHome
    from psi.protocol import FedprofileError

    place = NodeHome.open(home)
    try:
        policy = load_policy(place.policy)
    except FedprofileError as error:
        if not lists:
            raise
        typer.echo(f"{error.message}; until it is mended new proposals are refused", err=True)
        policy = Policy()
    try:
        officers = load_officers(home)
    except FedprofileError as error:
        if not lists:
            raise
        typer.echo(f"{error.message}; until it is put back no call is heard, no word counts and "
                   "what officers signed is not shown", err=True)  # fmt: skip
        officers = None
    return Inbox(place.desk, counts(policy, officers)), place


def _key_of(place: Any, file: Path | None, passphrase_file: Path | None) -> Any:
    """The key that signs a word; None where users of the machine decide."""
    from federated.cli.passphrase import passphrase
    from federated.keys.officers import OfficerKey, load_officers
    from psi.protocol import MisuseError

    if load_officers(place.path) is None:
        if file is None:
            return None
        raise MisuseError(
            f"{place.name} lists no officers, so no key is asked for",
            hint="fedprofile node officers add lists one; or leave --key out",
        )
    if file is None:
        raise MisuseError(
            f"officers of {place.name} sign with keys of their own",
            hint=f"add --key FILE; fedprofile node officers --home {place.path} lists them",
        )
    return OfficerKey.load(file, passphrase(passphrase_file))


def _rows(home: Path) -> list[dict[str, Any]]:
    from federated.cli.jobs_here import running_at
    from federated.node.job_rows import job_rows

    inbox, place = inbox_of(home)
    return job_rows(inbox, place, running_at(place.path))


def _open_for_a_word(home: Path, entry: Any) -> str:
    """The state of a proposal that a word of an officer can still change; raises `MisuseError`."""
    from federated.text import plain
    from psi.protocol import MisuseError

    row = _row_of(home, entry)
    if row["state"] not in ("waiting", "left"):
        why = f": {plain(row['why'], 200)}" if row["why"] else ""
        name, ends = row["id"], row["state"] in ("approved", "running", "interrupted")
        stop = f"job stop {name} --hub" if entry.own else f"node stop {name} --now"
        raise MisuseError(
            f"{name} is {row['state']} already{why}",
            hint=f"fedprofile {stop} takes the yes back and ends it for good" if ends else "",
        )
    return str(row["state"])


def _what_next(home: Path, entry: Any, before: str, goes_on: str = "") -> str:
    """What a word sets going: it depends on whether somebody still waits for it.

    `goes_on` is what happens if somebody does, where it was no approval.
    """
    import os

    from federated.cli.jobs_here import running_at
    from federated.node.job_rows import UNACCEPTED
    from federated.node.lives import waits_for_word

    row = _row_of(home, entry)
    if waits_for_word(home):
        return (
            f"{UNACCEPTED}: fedprofile node accept-copy --home {home} first. Accepted as one that "
            "may have forgotten, it makes this word void"
        )
    if row["live"]:
        return goes_on or ("it goes on by itself" if entry.own else "the node goes on by itself")
    own = "the word counts once, when the same job is run again"
    if os.geteuid() not in (0, home.stat().st_uid):  # another user does not see what runs
        who, away = ("it", own) if entry.own else ("the node", "the word counts once it does")
        return f"{goes_on or who + ' goes on by itself'} if it runs; otherwise {away}"
    if entry.own:
        return f"nobody runs it at present: {own}"
    if running_at(home) is None and before != "left":
        return "no node runs here: the word counts once it does"
    return (
        f"{entry.request.contract.proposer} has gone: the word counts once, for its next proposal "
        "that asks exactly the same"
    )


def _row_of(home: Path, entry: Any) -> dict[str, Any]:
    session = entry.request.session.hex()
    return next(row for row in _rows(home) if row["session"] == session)


def _day(seconds: int) -> str:
    from datetime import datetime

    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
