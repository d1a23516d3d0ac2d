"""Tasks over processes: every result once whoever is killed, errors, and no worker that outlives its parent."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from arrayse import parallel
from arrayse.parallel import MOST_DEATHS, available_cores, run_tasks

ROOT = Path(__file__).resolve().parents[1]
Place = tuple[Path, int]
"""Where a task notes that it began, and its number."""
Children = Callable[[], list[BaseProcess]]


def square(number: int) -> int:
    return number**2


def threads_and_process(_: int) -> tuple[str | None, int]:
    return os.environ.get("OMP_NUM_THREADS"), os.getpid()


def fail_at_three(number: int) -> int:
    if number == 3:
        raise ValueError("number: expected anything but 3, got 3")
    return number


def n_begun(folder: Path, number: int) -> int:
    """How many times a task began."""
    path = folder / str(number)
    return len(path.read_text()) if path.is_file() else 0


def begin(place: Place) -> int:
    folder, number = place
    with (folder / str(number)).open("a") as file:
        file.write("x")
    return n_begun(folder, number)


def die_twice_at_three(place: Place) -> int:
    if begin(place) <= 2 and place[1] == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return place[1] ** 2


def die_at_three(place: Place) -> int:
    begin(place)
    if place[1] == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return place[1]


def interrupted_at_three(place: Place) -> int:
    begin(place)
    if place[1] == 3:
        os.kill(os.getpid(), signal.SIGINT)
    return place[1]


def hold_a_file(place: Place) -> int:
    """Task 0 ends at once; the others hold a file that they remove when they are ended."""
    held = place[0] / f"held-{place[1]}"
    if place[1] > 0:
        try:
            held.touch()
            time.sleep(3600)
        finally:
            held.unlink()
    return place[1]


def many_bytes(number: int) -> bytes:
    return bytes([number]) * 10_000_000  # more than a pipe holds


class UnpicklableError(Exception):
    def __init__(self, what: str, number: int) -> None:
        super().__init__(f"{what}: got {number}")


def fail_strangely(number: int) -> Any:
    if number == 1:
        raise UnpicklableError("number", number)
    return number


def local_function(number: int) -> Callable[[], int]:
    return lambda: number


def places(folder: Path, n_tasks: int = 6) -> list[Place]:
    return [(folder, number) for number in range(n_tasks)]


@pytest.fixture
def new_children() -> Children:
    """Gives the processes that were started since and still live."""
    before = set(multiprocessing.active_children())
    return lambda: [child for child in multiprocessing.active_children() if child not in before]


# --- results ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("workers", "n_tasks"), [(1, 4), (2, 4), (3, 2)])
def test_every_task_gives_one_result(workers: int, n_tasks: int) -> None:
    assert sorted(run_tasks(square, range(n_tasks), workers)) == [square(number) for number in range(n_tasks)]


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


def test_plain_processes_do_not_need_dask() -> None:
    code = "import sys, arrayse.parallel; print('dask' in sys.modules, 'distributed' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_there_is_a_core() -> None:
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


# --- killed workers -----------------------------------------------------------------------------------------


def test_a_killed_worker_loses_nothing_and_disturbs_nobody(tmp_path: Path) -> None:
    assert MOST_DEATHS == 3
    results = list(run_tasks(die_twice_at_three, places(tmp_path), 2))
    assert sorted(results) == [square(number) for number in range(6)]
    assert [n_begun(tmp_path, number) for number in range(6)] == [1, 1, 1, 3, 1, 1]


def test_a_task_that_kills_every_worker_is_named(tmp_path: Path, new_children: Children) -> None:
    with pytest.raises(RuntimeError, match="task 4 of 6: expected a worker that survives it, got 3 that were killed"):
        list(run_tasks(die_at_three, places(tmp_path), 2))
    assert n_begun(tmp_path, 3) == 3
    assert new_children() == []


def test_workers_killed_in_the_middle_of_their_answers(monkeypatch: pytest.MonkeyPatch, new_children: Children) -> None:
    """An answer of which the first bytes are there, and no others will come."""
    kills = iter([True])

    def kill_once(pipes: list[Any]) -> list[Any]:
        ready = wait(pipes)
        if next(kills, False):
            for process in new_children():
                process.kill()
                process.join()
        return ready

    monkeypatch.setattr(parallel, "wait", kill_once)
    assert sorted(run_tasks(many_bytes, [1, 2], 2)) == [many_bytes(1), many_bytes(2)]


# --- errors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_a_task_comes_out(workers: int, new_children: Children) -> None:
    with pytest.raises(ValueError, match="number: expected anything but 3, got 3") as info:
        list(run_tasks(fail_at_three, range(6), workers))
    assert str(info.value) == "number: expected anything but 3, got 3"
    assert workers == 1 or "in fail_at_three" in info.value.__notes__[0]  # the traceback of the worker
    assert new_children() == []


def test_an_error_that_cannot_be_pickled_still_tells_what_it_was() -> None:
    with pytest.raises(RuntimeError, match="UnpicklableError: number: got 1"):
        list(run_tasks(fail_strangely, range(2), 2))


def test_a_result_that_cannot_be_pickled_is_an_error() -> None:
    with pytest.raises((AttributeError, pickle.PicklingError), match="pickle"):
        list(run_tasks(local_function, range(2), 2))


def test_a_function_that_cannot_be_pickled_is_an_error(new_children: Children) -> None:
    with pytest.raises((AttributeError, pickle.PicklingError), match="pickle"):
        list(run_tasks(lambda number: number, range(2), 2))
    assert new_children() == []


@pytest.mark.parametrize("workers", [0, -1])
def test_no_worker_is_an_error(workers: int) -> None:
    with pytest.raises(ValueError, match=f"workers: expected 1 or more, got {workers}"):
        list(run_tasks(square, range(3), workers))


# --- the end ------------------------------------------------------------------------------------------------


def test_a_caller_that_stops_ends_the_workers_which_clean_up(tmp_path: Path, new_children: Children) -> None:
    results = run_tasks(hold_a_file, places(tmp_path, 3), 2)
    assert next(results) == 0
    while len(list(tmp_path.glob("held-*"))) < 2:
        time.sleep(0.01)
    results.close()  # type: ignore[attr-defined]
    assert list(tmp_path.glob("held-*")) == []
    assert new_children() == []


def test_a_worker_leaves_ctrl_c_to_its_parent(tmp_path: Path) -> None:
    assert sorted(run_tasks(interrupted_at_three, places(tmp_path), 2)) == list(range(6))
    assert n_begun(tmp_path, 3) == 1
