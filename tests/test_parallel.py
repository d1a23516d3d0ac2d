"""Tasks over processes: results, errors, and no worker that outlives its parent."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from arrayse.parallel import available_cores, run_tasks


def square(number: int) -> int:
    return number**2


def threads_and_process(_: int) -> tuple[str | None, int]:
    return os.environ.get("OMP_NUM_THREADS"), os.getpid()


def fail_at_three(number: int) -> int:
    if number == 3:
        raise ValueError("number: expected anything but 3, got 3")
    return number


def die_at_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.parametrize("workers", [1, 2, 9])
def test_every_task_gives_one_result(workers: int) -> None:
    assert sorted(run_tasks(square, range(5), workers)) == [0, 1, 4, 9, 16]


def test_nothing_to_do() -> None:
    assert list(run_tasks(square, [], 4)) == []


def test_one_worker_or_one_task_stay_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert list(run_tasks(threads_and_process, [0, 1], 1)) == [("7", os.getpid())] * 2
    assert list(run_tasks(threads_and_process, [0], 2)) == [("7", os.getpid())]


def test_workers_are_other_processes_with_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    for threads, process in run_tasks(threads_and_process, [0, 1], 2):
        assert threads == "1"
        assert process != os.getpid()
        assert os.environ["OMP_NUM_THREADS"] == "7"  # ours is never changed while anybody looks
        assert "MKL_NUM_THREADS" not in os.environ


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_a_task_comes_out(workers: int) -> None:
    with pytest.raises(ValueError, match="number: expected anything but 3, got 3"):
        list(run_tasks(fail_at_three, range(6), workers))


def test_a_killed_worker_is_told() -> None:
    with pytest.raises(RuntimeError, match="workers: expected all to live, got one killed"):
        list(run_tasks(die_at_three, range(6), 2))


@pytest.mark.parametrize("workers", [0, -1])
def test_no_worker_is_an_error(workers: int) -> None:
    with pytest.raises(ValueError, match=f"workers: expected 1 or more, got {workers}"):
        list(run_tasks(square, range(3), workers))


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    """A busy and an idle worker hold the other end of our pipe: it closes when both are gone."""
    script = tmp_path / "main.py"
    script.write_text(
        "import os, signal, time\n"
        "from arrayse.parallel import run_tasks\n"
        "def wait(seconds):\n"
        "    time.sleep(seconds)\n"
        "    return seconds\n"
        "if __name__ == '__main__':\n"
        "    for seconds in run_tasks(wait, [0, 3600], 2):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).resolve().parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    )
    try:
        process.communicate(timeout=600)  # far more than is needed: only a worker that stays reaches it
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL


def test_there_is_a_core() -> None:
    assert 1 <= available_cores() <= (os.cpu_count() or 1)
