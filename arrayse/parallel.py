"""Many independent tasks over the processes of one machine or over a cluster; a killed worker loses none of them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from typing import TypeVar

from arrayse.cluster import deaf_to_interrupts, died_too_often, one_thread_each, run_on_cluster

Task = TypeVar("Task")
Result = TypeVar("Result")

MOST_DEATHS = 3
"""Workers that may die of a task before it is given up."""
END_S = 5.0
"""How long a worker may take to clean up when it is told to end."""


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_tasks(
    function: Callable[[Task], Result], tasks: Sequence[Task], workers: int, cluster: str | None = None
) -> Generator[Result, None, None]:
    """Yields ``function(task)`` for every task in the order in which they finish, each exactly once.

    With one worker and no cluster everything happens in this process. Several workers are fresh processes that compute
    with one thread each, import the main module anew (so a script guards its start by ``__name__ == "__main__"``)
    and end with this process, however it ends. The task of a worker that is killed runs again in a fresh one, when
    all others have begun: tasks are repeatable, half-done ones included.

    Args:
        function: of a module, so that a worker can import it.
        tasks: the arguments, one call each.
        workers: how many processes.
        cluster: where workers are: None for plain processes of this machine, else as for :func:`run_on_cluster`.

    Raises:
        ValueError: less than one worker, not a cluster.
        RuntimeError: a task whose workers were killed three times; it tells the task's place in ``tasks``. What
            :func:`run_on_cluster` raises. What ``function`` raises comes out as it is, at once.
    """
    if workers < 1:
        raise ValueError(f"workers: expected 1 or more, got {workers}")
    if cluster is not None:
        yield from run_on_cluster(function, tasks, cluster, workers)
    elif workers == 1 or len(tasks) <= 1:
        for task in tasks:
            yield function(task)
    else:
        yield from _run_on_processes(function, tasks, min(workers, len(tasks)))


@dataclass(frozen=True)
class _Worker:
    """A process and our end of the pipe to it. No pipe is shared, so a death blocks and loses nobody else's work."""

    process: BaseProcess
    pipe: Connection

    @classmethod
    def start(cls) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs,), daemon=True)
        with one_thread_each(), deaf_to_interrupts():
            process.start()
        theirs.close()  # only the worker holds it: its death closes the pipe
        return cls(process, ours)


def _run_on_processes(function: Callable[[Task], Result], tasks: Sequence[Task], workers: int) -> Iterator[Result]:
    started: list[_Worker] = []
    busy: dict[Connection, tuple[_Worker, int]] = {}
    waiting, deaths = deque(range(len(tasks))), Counter[int]()
    results: list[Result] = []
    try:
        while len(started) < workers:
            started.append(_Worker.start())
        idle = list(started)
        while waiting or busy:
            while waiting and idle:
                worker, number = idle.pop(), waiting.popleft()
                busy[worker.pipe] = worker, number
                with suppress(ConnectionError):  # it was killed, which is seen below
                    worker.pipe.send((function, tasks[number]))
            yield from results  # only now, so that no worker waits for what the caller does with them
            results = []
            ready = wait(list(busy))
            for pipe in [pipe for pipe in busy if pipe in ready]:
                worker, number = busy.pop(pipe)
                try:
                    result, error = pipe.recv()
                except (EOFError, OSError):
                    deaths[number] += 1
                    if deaths[number] == MOST_DEATHS:
                        raise died_too_often(number, len(tasks), MOST_DEATHS) from None
                    waiting.append(number)
                    worker = _Worker.start()
                    started.append(worker)
                else:
                    if error is not None:
                        raise error
                    results.append(result)
                idle.append(worker)
        yield from results
    finally:
        _end(started)


def _end(workers: list[_Worker]) -> None:
    """Ends processes, at first in a way that lets them remove their temporary files."""
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        worker.process.join(END_S)
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()


def _work(pipe: Connection) -> None:
    """What a worker does: calls come in, results or errors go out."""
    _end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where deaf_to_interrupts can do nothing
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with suppress(ConnectionError):  # the parent is gone
        while True:
            try:
                function, task = pipe.recv()
                pipe.send((function(task), None))
            except Exception as error:
                pipe.send((None, _sendable(error)))


def _sendable(error: Exception) -> Exception:
    """The error, or one that says the same where it does not survive pickling, with a note of where it was raised."""
    note = f"In a worker:\n{traceback.format_exc()}"
    try:
        ForkingPickler.loads(ForkingPickler.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(note)
    return error


def _end_with_parent() -> None:
    """Lets this worker end when its parent does: after a kill it would wait for work for ever."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
