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

from arrayse.train import ProgressCallback


@contextmanager
def count_bar(console: Console, title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for (done, total)."""
    with _bars(console) as bars:
        task = bars.add_task(title, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


@contextmanager
def training_bars(console: Console) -> Iterator[ProgressCallback]:
    """A bar per epoch, and one for validation that comes and goes."""
    with _bars(console) as bars:
        tasks: dict[str, TaskID] = {}

        def progress(title: str, done: int, total: int, numbers: dict[str, float]) -> None:
            if title not in tasks:
                tasks[title] = bars.add_task(title, total=total)
            told = "  ".join(f"{name} {value:.4f}" for name, value in numbers.items())
            bars.update(tasks[title], completed=done, total=total, description=f"{title}  {told}".rstrip())
            if title == "validation" and done == total:
                bars.remove_task(tasks.pop(title))

        yield progress


def _bars(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console)
