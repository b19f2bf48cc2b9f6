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
ENDED = ("refused", "failed", "denied", "expired", "interrupted")
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

    from federated.node.job_rows import job_rows
    from federated.text import plain

    inbox, place = inbox_of(home, lists=True)
    rows = job_rows(inbox, place, live_jobs(place.path) or {})
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    if inbox.paused is not None:
        typer.echo(f"paused by {inbox.paused['by']}: {plain(str(inbox.paused['why']))}")
    for row in rows:
        step = f" {row['step']}" if row["state"] == "running" else ""
        what = f'"{plain(row["job"], 60)}" for "{plain(row["purpose"], 40)}"' if row["job"] else ""
        told = row["why"] and (row["state"] in ENDED or not row["live"])
        why = f": {plain(row['why'], 200)}" if told else ""
        what += f", directly with {plain(', '.join(row['direct']))}" if row["direct"] else ""
        since = _day(row["changed"] or row["received"])
        line = f"{row['id']}  {row['state'] + step:<16} {since}  {row['proposer']:<16} {what}"
        line = line.rstrip()
        typer.echo(line + why)
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

    from federated.node.row_bits import row_bits_of
    from federated.store.plain import to_plain

    inbox, place = inbox_of(home)
    if not as_json and _without_officer(job, home):
        return
    entry = inbox.find(job)
    if as_json:
        contract = to_plain(entry.request.contract)
        row = next(row for row in _rows(home) if row["session"] == entry.request.session.hex())
        bits, _ = row_bits_of(entry.request, place)
        more = {"contract": contract, "row_bits": asdict(bits) if bits else None}
        typer.echo(json.dumps(row | more, indent=1, ensure_ascii=True))
        return
    typer.echo("\n".join(_described(entry, place)))


def approve(
    job: Job, home: Home = HOME, key: Key = None, passphrase_file: KeyPassphrase = None
) -> None:
    """Approve a proposal: signed by your key (--key), or in the name of the user who runs this.

    What is approved is what `show` says, and nothing else: if the final contract asks anything
    more, the node does not sign it. A job that this party itself proposes is approved by another
    officer than its proposer (policy: four_eyes). Who cannot read a proposal cannot approve it.
    """
    inbox, place = inbox_of(home)
    entry = inbox.find(job)
    before = _state_of(home, entry)
    officer = _key_of(place, key, passphrase_file)
    _described(entry, place)  # nobody approves what he cannot read
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
    word = inbox.decide(entry, False, plain(why, 200), _key_of(place, key, passphrase_file))
    typer.echo(f"{entry.request.id} is denied by {word.by}")


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
    marked = not row["live"] and _mark_to_end(place.jobs / row["session"])
    try:
        stopped = ask(home / "node.sock", op="stop", job=row["session"])["stopped"]
    except EnvironmentFailed:
        if not marked:
            raise
        stopped = False
    if stopped:
        typer.echo(f"{job} is stopped")
    elif marked:
        typer.echo(f"{job} is stopped: the others are told once the node runs")
    else:
        own = row["proposer"] == place.name
        raise InputError(
            f"{job} does not run at this node: it is {plain(row['state'])}",
            hint=f"this party's own run: fedprofile job stop {row['id']} --hub" if own else "",
        )


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
    """The desk and the home; who only `lists` can do so while policy.toml is wrong."""
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
    return Inbox(place.desk, counts(policy, load_officers(home))), place


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
    from federated.node.job_rows import job_rows

    inbox, place = inbox_of(home)
    return job_rows(inbox, place, live_jobs(place.path) or {})


def live_jobs(home: Path) -> dict[str, dict[str, Any]] | None:
    """What the running node plays, by session; None where no node runs here."""
    from federated.wire.local import ask
    from psi.protocol import EnvironmentFailed

    try:
        return {job["session"]: job for job in ask(home / "node.sock", op="status")["jobs"]}
    except EnvironmentFailed:
        return None


def _without_officer(job: str, home: Path) -> bool:
    """Whether `job` ended before an officer was asked, or is another version's; then says how."""
    from federated.node.job_rows import OTHER_VERSION
    from federated.text import plain

    found = [row for row in _rows(home) if row["session"].startswith(job.lower())]
    if len(found) != 1 or found[0].get("ends") or found[0]["state"] not in ENDED:
        return False
    row = found[0]
    what = f' "{plain(row["job"])}" for "{plain(row["purpose"])}"' if row["job"] else ""
    typer.echo(f"{row['proposer']} proposed {row['id']}{what}")
    when = "" if row["why"] == OTHER_VERSION else " before an officer was asked"
    typer.echo(f"{row['state']}{when}: {plain(row['why'], 200)}")
    typer.echo(f"  fedprofile node ledger {row['id']} --home {home}")
    return True


def _described(entry: Any, place: Any) -> list[str]:
    from datetime import UTC, datetime

    from federated.node.proposal import proposal_shown
    from federated.releases.label_bits import label_words
    from federated.releases.row_bits import row_words
    from federated.text import plain

    def when(seconds: float) -> str:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")

    from federated.keys.officers import load_officers

    request, contract = entry.request, entry.request.contract
    shown = proposal_shown(entry, place)
    lines = [
        f"{contract.proposer} proposes {request.id}, {when(request.received)}",
        f'  job "{plain(contract.job)}", purpose '
        f'"{plain(contract.purpose)}" ({contract.purpose_class or "class not stated"})',
        f"  about: {plain(contract.entity)}; the receiver may keep the outputs for "
        f"{contract.retention_days} days",
        "",
        f"What it asks of {request.me}",
        *(f"  {line}" for line in shown.asked),
        *(f"  - {plain(line, 1000)}" for line in shown.missed),
        "",
        *shown.words,
    ]
    if shown.bits is not None:
        told = [*row_words(shown.bits), *shown.unknown]
        lines += ["", "Bits of a row", *(f"  {plain(text, 2000)}" for text in told)]
    if shown.labels:
        told = [line for one in shown.labels for line in label_words(one)]
        lines += ["", "Bits of a label", *(f"  {plain(text, 2000)}" for text in told)]
    lines += ["", "Keys"]
    for key in shown.keys:
        how = "this party" if key.own else key.confirmed or "NOT CONFIRMED"
        lines.append(f"  {key.party}: {key.fingerprint} ({plain(how)})")
    if shown.odd:
        lines += ["", "Look twice"]
        lines += [f"  {plain(odd.what)}: {odd.why}" for odd in shown.odd]
    lines.append("")
    for word in entry.words:
        said = "approved" if word.approved else "denied"
        mark = ", signed by his key" if word.signed else ""
        why = f": {plain(word.why, 200)}" if word.why else ""
        lines.append(f"{said} by {plain(word.by)}, {when(word.made)}{mark}{why}")
    lines += [plain(text, 2000) for text in shown.series]
    if entry.rule:
        lines.append(f"approved by {plain(entry.rule)}, {when(request.received)}")
    elif entry.word is None:
        lines.append(f"waits for an officer until {when(entry.ends)}:")
        lines.append(f"  fedprofile node rehearse {request.id} --home {place.path}")
        signed = " --key FILE" * bool(load_officers(place.path))
        lines.append(f"  fedprofile node approve {request.id}{signed} --home {place.path}")
        lines.append(
            f"  fedprofile node deny {request.id} --why REASON{signed} --home {place.path}"
        )
    return lines


def _what_next(home: Path, entry: Any, before: str) -> str:
    """What an approval sets going: it depends on whether somebody still waits for it."""
    import os

    row = _row_of(home, entry)
    if row["live"]:
        return "it goes on by itself" if entry.own else "the node goes on by itself"
    own = "the word counts once, when the same job is run again"
    if os.geteuid() not in (0, home.stat().st_uid):  # another user does not see what runs
        who, away = ("it", own) if entry.own else ("the node", "the word counts once it does")
        return f"{who} goes on by itself if it runs; otherwise {away}"
    if entry.own:
        return f"nobody runs it at present: {own}"
    if live_jobs(home) is None and before != "left":
        return "no node runs here: the word counts once it does"
    return (
        f"{entry.request.contract.proposer} has gone: the word counts once, for its next proposal "
        "that asks exactly the same"
    )


def _row_of(home: Path, entry: Any) -> dict[str, Any]:
    session = entry.request.session.hex()
    return next(row for row in _rows(home) if row["session"] == session)


def _state_of(home: Path, entry: Any) -> str:
    return str(_row_of(home, entry)["state"])


def _day(seconds: int) -> str:
    from datetime import datetime

    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
