"""What the commands print: one progress bar a job, headings, byte counts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from federated.party.session import Progress

__all__ = ["human_bytes", "progress_bar"]


def human_bytes(count: float) -> str:
    """1234567 -> '1.2 MB'."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError


@contextmanager
def progress_bar(steps: list[str], party: str) -> Iterator[Progress]:
    """A bar over the steps of one party, with the present step's rate and the time it still takes.

    Safe to call from every party's thread.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.progress import TimeElapsedColumn as Elapsed
    from rich.text import Text

    from profiles.cli.pace import Pace
    from psi.kernels.cache import compiling

    lock, pace = threading.Lock(), Pace()

    class Speed(ProgressColumn):
        """Rate and time left, counted down between reports."""

        def render(self, task: Task) -> Text:
            with lock:
                return Text("" if task.finished else pace.words(), style="dim")

    columns = (TextColumn("{task.description:<34}"), BarColumn(), Elapsed(), Speed())
    console = Console(stderr=True)
    if compiling():
        console.print(compiling(), style="dim", highlight=False, markup=False)
    with Progress(*columns, console=console, transient=not console.is_terminal) as bar:
        task = bar.add_task("starting", total=len(steps))

        def report(who: str, step: str, share: float) -> None:
            if who != party or step not in steps:
                return
            with lock:
                pace.note(step, share)
            bar.update(task, description=step, completed=steps.index(step) + share)

        yield report
        bar.update(task, description="done", completed=len(steps))
