"""Many independent tasks over the processes of one machine."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_tasks(function: Callable[[Task], Result], tasks: Sequence[Task], workers: int) -> Iterator[Result]:
    """Yields ``function(task)`` for every task in the order in which they finish.

    With one worker everything happens in this process. Several workers are fresh processes that compute with
    one thread each, import the main module anew (so a script guards its start by ``__name__ == "__main__"``)
    and end with this process, however it ends.

    Args:
        function: of a module, so that a worker can import it.
        tasks: the arguments, one call each.
        workers: how many processes.

    Raises:
        ValueError: less than one worker.
        RuntimeError: a worker was killed. Tasks that were not yielded are lost: callers make them repeatable.
    """
    if workers < 1:
        raise ValueError(f"workers: expected 1 or more, got {workers}")
    if workers == 1 or len(tasks) <= 1:
        for task in tasks:
            yield function(task)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(tasks)), context, _end_with_parent) as pool:
        with _one_thread_each():
            pending = [pool.submit(function, task) for task in tasks]
        try:
            for future in as_completed(pending):
                yield future.result()
        except BrokenProcessPool:
            raise RuntimeError(
                "workers: expected all to live, got one killed (out of memory?): run the same command again, it resumes"
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Sets the environment that workers inherit when ``submit`` starts them; numpy reads it on import."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _end_with_parent() -> None:
    """Lets this worker end when its parent does: after a kill it would wait for work for ever."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
