"""Evaluation over processes and over a cluster: what one undisturbed process gives, whoever is killed."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from arrayse.evaluation.loop import evaluate
from arrayse.evaluation.summary import Request
from arrayse.geometry import circular
from tests.test_evaluate import make_run

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def request_for(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Request:
    run = make_run(tmp_path_factory.mktemp("runs") / "net", circular())
    return Request({"net": run}, tiny_dataset, "train", [0.0, 10.0], None, ["si_sdr"], None, 1, 0, ["superdirective"])


@pytest.fixture(scope="module")
def undisturbed(request_for: Request, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one process writes in one go."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    evaluate(request_for, out, 1, {})
    return contents(out)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_killed_worker_loses_nothing(request_for: Request, undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    killed = []

    def kill(done: int, total: int) -> None:
        """One of the two, each of which has a scene by then."""
        if done == 1:
            child = multiprocessing.active_children()[0]
            os.kill(child.pid or 0, signal.SIGKILL)
            killed.append(child.pid)

    evaluate(request_for, tmp_path / "out", 2, {}, kill)
    assert len(killed) == 1
    assert contents(tmp_path / "out") == undisturbed


EVALUATION = """
import sys
from pathlib import Path
from arrayse.evaluation.loop import evaluate
from arrayse.evaluation.summary import Request

def tell(done, total):
    print(done, flush=True)

if __name__ == "__main__":
    run, data, out = map(Path, sys.argv[1:])
    wanted = Request({"net": run}, data, "train", [0.0, 10.0], None, ["si_sdr"], None, 1, 0, ["superdirective"])
    evaluate(wanted, out, 1, {}, tell)
"""


def test_an_evaluation_that_is_killed_goes_on(
    request_for: Request, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    script = tmp_path / "main.py"
    script.write_text(EVALUATION)
    command = [sys.executable, str(script), str(request_for.runs["net"]), str(request_for.data), str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line == "3\n":
                child.kill()
                break
    there = contents(tmp_path / "out")
    assert "summary.json" not in there
    told: list[int] = []
    evaluate(request_for, tmp_path / "out", 1, {}, lambda done, total: told.append(done))
    assert told[0] >= 2
    assert contents(tmp_path / "out") == undisturbed


def test_a_cluster_gives_what_one_process_gives(
    request_for: Request, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    pytest.importorskip("distributed", reason="needs the extra: pip install 'arrayse[scale]'")
    psutil = pytest.importorskip("psutil", reason="comes with distributed")
    killed: list[Any] = []

    def kill(done: int, total: int) -> None:
        if done == 1 and not killed:
            workers = [p for p in psutil.Process().children(recursive=True) if "spawn_main" in " ".join(p.cmdline())]
            killed.append(workers[-1])
            workers[-1].kill()

    evaluate(request_for, tmp_path / "out", 2, {}, kill, cluster="local")
    assert len(killed) == 1
    assert contents(tmp_path / "out") == undisturbed


def test_a_cluster_that_is_none_is_told_before_anything_is_written(request_for: Request, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cluster: expected local or tcp://host:port, got here"):
        evaluate(request_for, tmp_path / "out", 2, {}, cluster="here")
    assert not (tmp_path / "out").exists()


def test_what_a_worker_says_is_wrong_comes_out(request_for: Request, tiny_dataset: Path, tmp_path: Path) -> None:
    """A stem that was cut short after the scenes were counted."""
    data = Path(shutil.copytree(tiny_dataset, tmp_path / "data"))
    path = data / "train" / "shard-00000" / "train-000004.wav"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"train-000004\.wav"):
        evaluate(replace(request_for, data=data), tmp_path / "out", 1, {})
    shutil.copy(tiny_dataset / "train" / "shard-00000" / "train-000004.wav", path)
    told: list[int] = []
    evaluate(replace(request_for, data=data), tmp_path / "out", 1, {}, lambda done, total: told.append(done))
    assert told[0] == 4  # what was scored before the error is kept
