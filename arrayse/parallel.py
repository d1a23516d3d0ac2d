"""Many independent tasks over the processes of one machine."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_tasks(function: Callable[[Task], Result], tasks: Sequence[Task], workers: int) -> Iterator[Result]:
    """Yields ``function(task)`` for every task in the order in which they finish.

    With one worker everything happens in this process. Several workers are fresh processes that compute with one
    thread each.

    Raises:
        RuntimeError: a worker was killed. Tasks that were not yielded are lost: callers make them repeatable.
    """
    if workers <= 1 or len(tasks) <= 1:
        for task in tasks:
            yield function(task)
        return
    context = multiprocessing.get_context("spawn")
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))  # inherited by the workers, read when they import numpy
    try:
        with ProcessPoolExecutor(min(workers, len(tasks)), mp_context=context) as pool:
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
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
