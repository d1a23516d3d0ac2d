"""Tasks over a dask cluster: the same results as in one process, whoever is killed, and plain errors."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from arrayse import cluster as module
from arrayse.cluster import run_on_cluster
from arrayse.parallel import run_tasks
from tests.test_parallel import (
    ROOT,
    Place,
    begin,
    die_at_three,
    fail_at_three,
    n_begun,
    places,
    square,
    threads_and_process,
)
from tests.test_parallel_signals import INTERRUPTED, run_script

distributed = pytest.importorskip("distributed", reason="needs the extra: pip install 'arrayse[scale]'")


@pytest.fixture(scope="module")
def there() -> Iterator[Any]:
    """A cluster of two workers that runs already; its scheduler gives a task up when two workers died of it."""
    with module._local_cluster(2) as local:
        local.scheduler.allowed_failures = 1
        yield local


def die_once_at_three(place: Place) -> int:
    if begin(place) == 1 and place[1] == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return place[1] ** 2


def wait_for_go(place: Place) -> int:
    """Task 0 ends at once, the others when there is a file that says so."""
    folder, number = place
    begin(place)
    until(lambda: number == 0 or (folder / "go").exists())
    return number


def answer_all(server: socket.socket, answer: bytes) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = server.accept()
            connection.sendall(answer)


def until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.01)


# --- results ------------------------------------------------------------------------------------------------


def test_a_cluster_gives_what_one_process_gives(there: Any) -> None:
    results = list(run_tasks(square, range(9), 1, there.scheduler_address))
    assert sorted(results) == list(run_tasks(square, range(9), 1))


def test_nothing_to_do_needs_no_cluster() -> None:
    assert list(run_on_cluster(square, [], "tcp://127.0.0.1:1", 2)) == []


def test_a_local_cluster_is_other_processes_with_one_thread_that_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    before = dict(os.environ)
    results = list(run_tasks(threads_and_process, range(4), 2, "local"))
    assert [threads for threads, _ in results] == ["1"] * 4
    assert dict(os.environ) == before
    assert os.getpid() not in {process for _, process in results}
    for _, process in results:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_a_local_cluster_listens_on_loopback_only(there: Any) -> None:
    psutil = pytest.importorskip("psutil")
    assert there.scheduler_address.startswith("tcp://127.0.0.1:")
    me = psutil.Process()
    listening = [
        c.laddr.ip for p in [me, *me.children(recursive=True)] for c in p.net_connections() if c.status == "LISTEN"
    ]
    assert len(listening) >= 3  # the scheduler and two workers
    assert set(listening) == {"127.0.0.1"}


# --- killed workers -----------------------------------------------------------------------------------------


def test_a_killed_worker_loses_nothing(there: Any, tmp_path: Path) -> None:
    results = list(run_on_cluster(die_once_at_three, places(tmp_path), there.scheduler_address, 2))
    assert sorted(results) == [square(number) for number in range(6)]
    assert n_begun(tmp_path, 3) == 2


def test_a_task_that_kills_every_worker_is_named(there: Any, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="task 4 of 6: expected a worker that survives it, got 2 that were killed"):
        list(run_on_cluster(die_at_three, places(tmp_path), there.scheduler_address, 2))
    assert n_begun(tmp_path, 3) == 2


# --- the end ------------------------------------------------------------------------------------------------


def test_a_caller_that_stops_cancels_what_is_pending(there: Any, tmp_path: Path) -> None:
    until(lambda: len(there.scheduler.workers) == 2)
    results = run_on_cluster(wait_for_go, places(tmp_path), there.scheduler_address, 2)
    assert next(results) == 0
    results.close()  # type: ignore[attr-defined]
    until(lambda: not there.scheduler.tasks)
    (tmp_path / "go").touch()
    list(run_on_cluster(square, range(4), there.scheduler_address, 2))  # the workers are free again
    assert sum(n_begun(tmp_path, number) for number in range(6)) <= 3  # the first, and one more on each worker


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", -signal.SIGTERM), ("SIGINT", 130)])
def test_a_local_cluster_ends_with_its_parent(tmp_path: Path, name: str, code: int) -> None:
    returned, output = run_script(INTERRUPTED, tmp_path, name, "0", "local")
    assert returned == code
    assert "Traceback" not in output


# --- errors -------------------------------------------------------------------------------------------------


def test_an_error_of_a_task_comes_out(there: Any) -> None:
    with pytest.raises(ValueError, match="number: expected anything but 3, got 3"):
        list(run_on_cluster(fail_at_three, range(6), there.scheduler_address, 2))


@pytest.mark.parametrize(
    "address", ["", "slurm", "localhost:8786", "http://localhost:8786", "tcp://localhost", "tcp://:1"]
)
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(ValueError, match=f"cluster: expected local or tcp://host:port, got {address}"):
        list(run_tasks(square, range(3), 2, address))


def test_no_scheduler_at_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECT_S", 0.1)
    with pytest.raises(RuntimeError, match=r"expected a dask scheduler at tcp://127\.0\.0\.1:1, got none: .*refused"):
        list(run_on_cluster(square, range(3), "tcp://127.0.0.1:1", 2))


@pytest.mark.parametrize(
    ("scheme", "answer", "reason"),
    [
        ("tcp", b"", "none: timed out"),
        ("tcp", b"HTTP/1.1 400 Bad Request", "MemoryError"),
        ("tls", b"", "TypeError: TLS"),
    ],
)
def test_no_scheduler_but_something_else(
    monkeypatch: pytest.MonkeyPatch, scheme: str, answer: bytes, reason: str
) -> None:
    """A wedged process, a web server, and keys that are not configured."""
    monkeypatch.setattr(module, "CONNECT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"{scheme}://127.0.0.1:{server.getsockname()[1]}"
        if answer:
            threading.Thread(target=answer_all, args=(server, answer), daemon=True).start()
        with pytest.raises(RuntimeError, match=f"cluster: expected a dask scheduler at {address}, got {reason}"):
            list(run_on_cluster(square, range(3), address, 2))


def test_a_scheduler_without_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WORKERS_S", 0.1)
    with module._local_cluster(0) as empty:
        start = f"dask worker --nthreads 1 {empty.scheduler_address}"
        with pytest.raises(RuntimeError, match=f"cluster: expected workers at .*, got none: start some with: {start}"):
            list(run_on_cluster(square, range(3), empty.scheduler_address, 2))


SCHEDULER = """
import time
from arrayse.cluster import _local_cluster

if __name__ == "__main__":
    with _local_cluster(2) as local:
        print(local.scheduler_address, flush=True)
        time.sleep(3600)
"""


def test_a_scheduler_that_goes_away(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "CONNECT_S", 2.0)
    (tmp_path / "main.py").write_text(SCHEDULER)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "main.py")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
    )
    with process:
        assert process.stdout is not None
        results = run_on_cluster(wait_for_go, places(tmp_path), process.stdout.readline().strip(), 2)
        assert next(results) == 0
        process.kill()
        with pytest.raises(RuntimeError, match="to stay, got a broken connection"):
            list(results)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(RuntimeError, match=r"cluster: expected the package distributed, got none: .*arrayse\[scale\]"):
        list(run_on_cluster(square, range(3), "local", 2))
