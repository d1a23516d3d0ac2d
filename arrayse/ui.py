"""How far long work has come, for people: bars on a terminal, elsewhere a plain line now and then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic

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

LINE_SECONDS = 30.0
"""Between two plain lines, at least."""


@contextmanager
def count_bar(console: Console, title: str, transient: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A bar for (done, total) that appears with the first call and ends when all is done; a transient one vanishes.

    Where the console cannot show one there are plain lines on stderr, the last one when all is done, unless transient.
    """
    if not console.is_interactive:
        yield _plain_count(console, title, transient)
        return
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
    """A bar for the running epoch and one for its validation; a line for each epoch that is done.

    Where the console cannot show bars there are plain lines on stderr instead.
    """
    if not console.is_interactive:
        yield _plain_training(console)
        return
    with _bars(console) as bars:
        tasks: dict[str, TaskID] = {}

        def progress(title: str, done: int, total: int, numbers: dict[str, float]) -> None:
            if title not in tasks:
                tasks[title] = bars.add_task(title, total=total)
            bars.update(tasks[title], completed=done, total=total, description=_told(title, numbers))
            if done == total and (title == "validation" or len(numbers) > 1):
                bars.remove_task(tasks.pop(title))
            if len(numbers) > 1:
                _print_epoch(console, title, numbers)

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


class _Lines:
    """Lines on stderr, not more often than people want to read; none where the console is quiet."""

    def __init__(self, console: Console) -> None:
        self.console = Console(stderr=True, quiet=console.quiet)
        self.last = monotonic()

    def tell(self, line: str, at_once: bool = False) -> None:
        if at_once or monotonic() - self.last >= LINE_SECONDS:
            self.last = monotonic()
            self.console.print(line, highlight=False, soft_wrap=True, markup=False)


def _plain_count(console: Console, title: str, transient: bool) -> Callable[[int, int], None]:
    lines, begun = _Lines(console), dict[str, float]()

    def progress(done: int, total: int) -> None:
        begun.setdefault("done", done)  # by an earlier run
        seconds = monotonic() - begun.setdefault("at", monotonic())
        left = _left(done - int(begun["done"]), total - done, seconds)
        lines.tell(f"{title}: {done} of {total} after {_clock(seconds)}{left}", done >= total and not transient)

    return progress


def _left(made: int, missing: int, seconds: float) -> str:
    """How long the rest will take at the pace so far, in words; nothing where that is not known."""
    return f", about {_clock(seconds * missing / made)} left" if made > 0 and missing > 0 else ""


def _plain_training(console: Console) -> ProgressCallback:
    lines, begun = _Lines(console), dict[str, tuple[int, float]]()

    def progress(title: str, done: int, total: int, numbers: dict[str, float]) -> None:
        first, since = begun.setdefault(title, (done, monotonic()))
        if len(numbers) > 1:
            _print_epoch(console, title, numbers)
            begun.clear()
        else:
            left = _left(done - first, total - done, monotonic() - since)
            lines.tell(_told(f"{title}: {done} of {total}{left}", numbers))

    return progress


def _print_epoch(console: Console, title: str, numbers: dict[str, float]) -> None:
    """An epoch that is done and validated; the only call with several numbers."""
    console.print(_told(title, numbers), highlight=False, soft_wrap=True)


def _told(title: str, numbers: dict[str, float]) -> str:
    return "  ".join([title, *(f"{name} {value:.4g}" for name, value in numbers.items())])


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
