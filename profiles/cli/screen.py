"""What the commands print: one progress bar a job."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

from federated.session.progress import APPROVAL, AWAY, CALLED, OFFLINE
from federated.session.session import Progress

__all__ = ["STANDS", "column_bars", "progress_bar"]

STANDS = {
    CALLED: "has not answered yet",
    APPROVAL: "waits for approval there",
    AWAY: "is not connected to the hub",
    OFFLINE: "does not reach the hub; goes on when it is back",
    "connected": "is there",
    "finish": "done",
}
"""What a party's place is called where it is no step of the job."""


@contextmanager
def progress_bar(steps: list[str], party: str) -> Iterator[Progress]:
    """A bar over the steps of one party, with the present step's rate and the time it still takes,
    and a line for each other party that is heard of. Where there is no terminal, a line of the log
    for each step of the party, and for whom it waits.

    Safe to call from every party's thread.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.progress import TimeElapsedColumn as Elapsed
    from rich.text import Text

    from profiles.cli.pace import Pace
    from psi.kernels.cache import compiling

    lock, pace = threading.Lock(), Pace()
    adding, others = threading.Lock(), dict[Any, Any]()

    class Speed(ProgressColumn):
        """Rate and time left of the party's own step, counted down between reports."""

        def render(self, task: Task) -> Text:
            with lock:
                own = task.fields.get("own") and not task.finished
                return Text(pace.words() if own else "", style="dim")

    columns = (TextColumn("{task.description:<34}", markup=False), BarColumn(), Elapsed(), Speed())
    console = Console(stderr=True)
    if compiling():
        console.print(compiling(), style="dim", highlight=False, markup=False)
    if not console.is_terminal:
        yield _log_lines(steps, party)
        return
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("starting", total=len(steps), own=True)

        def report(who: str, step: str, share: float) -> None:
            if who != party:
                with adding:
                    _beside(bar, others, who, step, share)
                return
            if step == OFFLINE:
                words = f"{STANDS[OFFLINE]} (since {time.strftime('%H:%M')})"
                bar.update(task, description=words)
                return
            if step not in steps:
                return
            with lock:
                pace.note(step, share)
            bar.update(task, description=step, completed=steps.index(step) + share)

        yield report
        bar.update(task, description="done", completed=len(steps))


def _log_lines(steps: list[str], party: str) -> Progress:
    """Prints each new step of the party, and where another one waits or is waited for."""
    lock, last = threading.Lock(), dict[str, str]()

    def report(who: str, step: str, share: float) -> None:
        del share
        with lock:
            before, last[who] = last.get(who), step
            if before == step or not (step in STANDS or (who == party and step in steps)):
                return
            now = time.strftime("%H:%M:%S")
            typer.echo(f"{now} {who}: {STANDS.get(step, step)}", err=True)

    return report


@contextmanager
def column_bars() -> Iterator[Callable[[str, float], None]]:
    """A bar for each key column that takes long to check, on a terminal only."""
    from rich.console import Console
    from rich.progress import Progress

    console, tasks = Console(stderr=True), dict[str, Any]()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:

        def report(column: str, share: float) -> None:
            if column not in tasks:
                tasks[column] = bar.add_task(column, total=1.0)
            bar.update(tasks[column], completed=share)

        yield report


def _beside(bar: Any, tasks: dict[Any, Any], who: str, step: str, share: float) -> None:
    """Another party's line: its step and share, or what it waits for."""
    if who not in tasks:
        tasks[who] = bar.add_task(who, total=1.0)
        tasks[who, "at"] = ""
    share = 1.0 if step == "finish" else share
    if tasks[who, "at"] != step:  # whoever waits sees since when
        tasks[who, "at"], tasks[who, "since"] = step, time.strftime("%H:%M")
    waits = step in STANDS and step not in ("finish", "connected")
    since = f" (since {tasks[who, 'since']})" if waits else ""
    bar.update(tasks[who], description=f"{who}: {STANDS.get(step, step)}{since}", completed=share)
