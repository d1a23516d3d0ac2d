"""Progress bars for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from arrayse.training.loop import ProgressCallback


@contextmanager
def count_bar(console: Console, title: str, transient: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A bar for (done, total) that appears with the first call and ends when all is done; a transient one vanishes."""
    bars = _bars(console, transient)
    task = bars.add_task(title, total=None)

    def progress(done: int, total: int) -> None:
        bars.start()
        bars.update(task, completed=done, total=total)
        if done >= total:
            bars.stop()

    try:
        yield progress
    finally:
        bars.stop()


@contextmanager
def training_bars(console: Console) -> Iterator[ProgressCallback]:
    """A bar for the running epoch and one for its validation; a line for each epoch that is done."""
    with _bars(console) as bars:
        tasks: dict[str, TaskID] = {}

        def progress(title: str, done: int, total: int, numbers: dict[str, float]) -> None:
            if title not in tasks:
                tasks[title] = bars.add_task(title, total=total)
            told = "  ".join(f"{name} {value:.4g}" for name, value in numbers.items())
            bars.update(tasks[title], completed=done, total=total, description=f"{title}  {told}".rstrip())
            if done == total and (title == "validation" or len(numbers) > 1):
                bars.remove_task(tasks.pop(title))
            if len(numbers) > 1:  # the epoch is done and validated
                bars.console.print(f"{title}  {told}", highlight=False, soft_wrap=True)

        yield progress


def _bars(console: Console, transient: bool = False) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=transient)
