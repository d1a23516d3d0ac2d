"""Many independent tasks over the workers of a dask cluster: a local one, or one that runs already."""

from __future__ import annotations

import gc
import itertools
import logging
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

Task = TypeVar("Task")
Result = TypeVar("Result")

LOCAL = "local"
LOOPBACK = "127.0.0.1"
CONNECT_S = 10.0
"""How long a scheduler may take to answer."""
POLL_S = 0.1
WORKERS_S = 60.0
"""How long the first worker may take to join: it may have been started together with the scheduler."""

_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def run_on_cluster(
    function: Callable[[Task], Result], tasks: Sequence[Task], cluster: str, workers: int
) -> Iterator[Result]:
    """Yields ``function(task)`` for every task in the order in which they finish, each exactly once.

    As many tasks are under way as the cluster has threads, workers that join or leave included. The task of a worker
    that dies runs again on another one, so tasks are repeatable; a task under way when the caller stops is dropped.
    All nodes need the same versions of this package and of what it imports, and the same paths: a file system that
    they share. Whoever reaches a scheduler runs code as its owner: it belongs on a trusted network, or behind
    ``tls://``, with keys from dask's configuration (``distributed.comm.tls``).

    Args:
        function: of a module that every worker can import.
        tasks: the arguments, one call each.
        cluster: ``local`` for processes of this machine, which only it can reach and which end with this call, or the
            address of a scheduler, ``tcp://host:port`` or ``tls://host:port``.
        workers: processes of a local cluster; another one has its own.

    Raises:
        ValueError: neither ``local`` nor an address.
        RuntimeError: no package ``distributed``, no scheduler at the address, a scheduler without workers or one that
            goes away, a task whose workers died again and again.
    """
    check_cluster(cluster)
    if not tasks:
        return
    if cluster != LOCAL:
        yield from _run_at(function, tasks, cluster)
    else:
        with _local_cluster(min(workers, len(tasks))) as local:
            yield from _run_at(function, tasks, local.scheduler_address)


def check_cluster(cluster: str) -> None:
    """Tells what is wrong with the name of a cluster, or that the package for it is missing; connects to nothing.

    Raises:
        ValueError: neither ``local`` nor an address.
        RuntimeError: no package ``distributed``.
    """
    if cluster != LOCAL and not re.fullmatch(r"(tcp|tls)://[^\s/]+:\d+", cluster):
        raise ValueError(f"cluster: expected {LOCAL} or tcp://host:port, got {cluster}")
    try:
        import distributed  # noqa: F401
    except ImportError:
        raise RuntimeError(
            "cluster: expected the package distributed, got none: pip install 'arrayse[scale]'"
        ) from None


def died_too_often(number: int, n_tasks: int, deaths: int) -> RuntimeError:
    """The error of a task, counted from zero, that no worker survives."""
    return RuntimeError(
        f"task {number + 1} of {n_tasks}: expected a worker that survives it, got {deaths} that were killed: "
        "if memory ran out, use fewer workers; the same command goes on from here"
    )


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Sets the environment that processes started in the block inherit; numpy reads it on import."""
    before = dict(os.environ)
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        _restore(before, _ONE_THREAD)


@contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """Processes started in the block never hear of Ctrl-C, which reaches all processes: the parent decides."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # its start would let interrupts through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run_at(function: Callable[[Task], Result], tasks: Sequence[Task], address: str) -> Iterator[Result]:
    """Runs the tasks on the cluster at an address; leaving closes the connection, which cancels what is pending."""
    from distributed import Future, KilledWorker, as_completed
    from distributed.comm.core import CommClosedError

    with _connect(address) as client:
        finished = as_completed(loop=client.loop)
        under_way: dict[Future, int] = {}
        waiting = iter(enumerate(tasks))

        def submit() -> None:
            # one task a thread: none waits on a worker, where it would be blamed for the death of the one before it
            n_threads = max(1, sum(client.nthreads().values()))
            for number, task in itertools.islice(waiting, max(0, n_threads - len(under_way))):
                future = client.submit(function, task, pure=False)
                under_way[future] = number
                finished.add(future)

        submit()
        for future in finished:
            number = under_way.pop(future)
            try:
                result = future.result()
                submit()
            except KilledWorker as error:
                raise died_too_often(number, len(tasks), error.allowed_failures + 1) from None
            except (CancelledError, CommClosedError):
                again = "the same command goes on from here when it is back"
                raise RuntimeError(f"cluster: expected {address} to stay, got a broken connection: {again}") from None
            yield result


@contextmanager
def _connect(address: str) -> Iterator[Client]:
    """A client of the scheduler at an address, which has a worker at least."""
    from distributed import Client

    _wait_for_answer(address)
    try:
        client = Client(address, set_as_default=False, timeout=CONNECT_S)
    except Exception as error:  # whatever else listens there may answer anything
        reason = f"{type(error).__name__}: {error}"
    else:
        with client:
            try:
                client.wait_for_workers(1, timeout=WORKERS_S)
            except TimeoutError:
                start = f"start some with: dask worker --nthreads 1 {address}"
                raise RuntimeError(f"cluster: expected workers at {address}, got none: {start}") from None
            yield client
        return
    gc.collect()  # a client that is half there closes here, not at a later time in a thread that it waits for
    raise RuntimeError(f"cluster: expected a dask scheduler at {address}, got {reason}")


def _wait_for_answer(address: str) -> None:
    """Waits for a scheduler, which speaks first: a client would wait for ever for one that is silent."""
    host, _, port = address.partition("://")[2].rpartition(":")
    deadline = time.monotonic() + CONNECT_S
    while True:
        try:
            with socket.create_connection((host.strip("[]"), int(port)), CONNECT_S) as connection:
                if address.startswith("tcp://"):
                    connection.recv(1)
                return
        except OSError as error:
            if time.monotonic() >= deadline:
                raise RuntimeError(f"cluster: expected a dask scheduler at {address}, got none: {error}") from None
            time.sleep(POLL_S)  # it may be starting


@contextmanager
def _local_cluster(workers: int) -> Iterator[LocalCluster]:
    """A cluster that only this machine can reach; its processes have ended when the block does."""
    from distributed import LocalCluster

    before = dict(os.environ)
    with one_thread_each(), deaf_to_interrupts():
        cluster = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host=LOOPBACK,
            dashboard_address=f"{LOOPBACK}:0",
            scheduler_kwargs={"dashboard": False},
            memory_limit=0,  # as for plain processes: a worker above its share is not paused or killed
            preload=[__name__],
            silence_logs=logging.CRITICAL,
        )
        set_by_dask = {name for name, value in os.environ.items() if before.get(name) != value}
    try:
        with cluster:
            yield cluster
    finally:
        _restore(before, set_by_dask)


def dask_setup(worker: object) -> None:
    """What dask calls in every worker of a local cluster: it is quiet, and Ctrl-C is for the process that made it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("distributed").setLevel(logging.CRITICAL)


def _restore(before: dict[str, str], names: Iterable[str]) -> None:
    """Sets these variables of the environment back to what they were."""
    for name in names:
        if name in before:
            os.environ[name] = before[name]
        else:
            os.environ.pop(name, None)
