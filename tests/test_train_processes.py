"""Several processes compute what one computes; signals and NaN in one of them are answered by all (gloo, loopback)."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from arrayse.checkpoint import read_training_state
from arrayse.data import SceneReader
from arrayse.files import read_json_lines
from arrayse.losses import WaveMagnitudeL1
from arrayse.mixture import open_dataset
from arrayse.objectives import Batch, Supervised
from arrayse.training.loop import fit
from arrayse.training.processes import Processes
from arrayse.training.settings import Phase
from tests.tiny import network
from tests.train_program import POISONED, settings, train

ROOT = Path(__file__).parents[1]
WORLD = 2


class Watched(Supervised):
    """Keeps the running statistics of the last validation."""

    statistics: dict[str, Tensor]

    def validate(self, batch: Batch) -> dict[str, Tensor]:
        named = self.student.named_buffers()
        self.statistics = {name: buffer.clone() for name, buffer in named if "running" in name}
        return super().validate(batch)


def train_dccrn(data: str, run: str) -> None:
    """One epoch of a network with batch norms; beside the run a file for each process with what it validated with."""
    torch.set_num_threads(1)
    objective, dataset = Watched(network("dccrn"), WaveMagnitudeL1()), open_dataset(Path(data))
    train_set, valid_set = (SceneReader(dataset, split, [-5.0, 5.0], 0.2, 0) for split in ("train", "valid"))
    fit(Path(run), [Phase("supervised", objective, 1)], train_set, valid_set, settings())
    save_file(objective.statistics, Path(run).parent / f"{os.environ['RANK']}.safetensors")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run_processes(*arguments: object, program: str = "tests.train_program") -> list[int]:
    """Runs a training program in two processes as torchrun would and returns their exit codes."""
    common = {"WORLD_SIZE": str(WORLD), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    command = [sys.executable, "-m", program, *map(str, arguments)]
    children = []
    for rank in map(str, range(WORLD)):
        own = {"RANK": rank, "LOCAL_RANK": rank, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
        children.append(subprocess.Popen(command, cwd=ROOT, env={**os.environ, **common, **own}))
    return [child.wait() for child in children]


def assert_close(run: Path, expected: Path) -> None:
    """Weights, epochs and refused batches of two runs agree up to the order of sums."""
    got = load_file(run / "model.safetensors")
    for name, value in load_file(expected / "model.safetensors").items():
        torch.testing.assert_close(got[name], value, rtol=0, atol=1e-5)
    ours, theirs = ([*read_json_lines(folder / "metrics.jsonl")] for folder in (run, expected))
    assert [row["event"] for row in ours] == [row["event"] for row in theirs]
    for a, b in zip(ours, theirs, strict=True):
        if a["event"] == "not_finite":
            assert a == b
        for group in ("train", "valid"):
            for name in a.get(group, {}):
                assert a[group][name] == pytest.approx(b[group][name], rel=1e-3, abs=1e-3)


@pytest.mark.skipif(torch.cuda.is_available(), reason="these processes would share one GPU")
def test_two_processes_share_a_cache(tiny_dataset: Path, tmp_path: Path) -> None:
    """Three-step distillation with the teacher's outputs on disk, filled by both."""
    assert run_processes(tiny_dataset, tmp_path / "two", "three_step") == [0, 0]
    train(tiny_dataset, tmp_path / "one", "three_step")
    assert_close(tmp_path / "two", tmp_path / "one")
    names = [sorted(path.name for path in (tmp_path / f"{run}-cache").rglob("*")) for run in ("one", "two")]
    assert names[0] == names[1]


@pytest.mark.skipif(torch.cuda.is_available(), reason="these processes would share one GPU")
def test_two_processes_equal_one(tiny_dataset: Path, tmp_path: Path) -> None:
    """Two-step distillation, stopped by a SIGTERM to the second process alone, and resumed by both."""
    assert run_processes(tiny_dataset, tmp_path / "two", "two_step", "stop", 8) == [143, 143]
    state = read_training_state(tmp_path / "two")
    assert (state["phase"], state["epoch"], state["step"]) == (1, 0, 2)
    assert run_processes(tiny_dataset, tmp_path / "two", "two_step") == [0, 0]
    train(tiny_dataset, tmp_path / "one", "two_step")
    assert_close(tmp_path / "two", tmp_path / "one")


@pytest.mark.skipif(torch.cuda.is_available(), reason="these processes would share one GPU")
def test_nan_in_one_process_is_refused_by_both(tiny_dataset: Path, tmp_path: Path) -> None:
    assert run_processes(tiny_dataset, tmp_path / "two", "poisoned") == [0, 0]
    train(tiny_dataset, tmp_path / "one", "poisoned")
    assert_close(tmp_path / "two", tmp_path / "one")
    told = [row for row in read_json_lines(tmp_path / "two" / "metrics.jsonl") if row["event"] == "not_finite"]
    assert all(len(row["ids"]) == 2 and POISONED in row["ids"] for row in told)
    assert len(told) == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="these processes would share one GPU")
def test_all_validate_with_the_running_statistics_that_the_first_one_saves(tiny_dataset: Path, tmp_path: Path) -> None:
    """Each of them had other items in the last step."""
    run = tmp_path / "run"
    assert run_processes(tiny_dataset, run, program=__name__) == [0, 0]
    seen = [load_file(tmp_path / f"{rank}.safetensors") for rank in range(WORLD)]
    saved = load_file(run / "model.safetensors")
    assert seen[0]
    assert seen[0].keys() == seen[1].keys()
    for name, value in seen[0].items():
        assert torch.equal(seen[1][name], value)
        assert torch.equal(saved[name], value)
    student = network("dccrn").state_dict()
    assert not all(torch.equal(student[name], value) for name, value in seen[0].items())


def test_one_process_needs_no_group() -> None:
    with Processes() as alone:
        assert (alone.rank, alone.world) == (0, 1)
        assert alone.sum(2.5) == alone.mean(2.5) == 2.5
        assert alone.any(True)
        assert not alone.any(False)
        alone.wait()
        value = torch.ones(2)
        alone.share([value])
        assert value.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("world", "changed", "message"),
    [
        (2, {"batch_size": 3}, "batch_size: expected a multiple of 2 processes, got 3"),
        (3, {"batch_size": 3}, "valid: expected a scene for each of 3 processes, got 2"),
    ],
)
def test_scenes_that_cannot_be_shared_are_refused(
    world: int,
    changed: dict[str, Any],
    message: str,
    tiny_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WORLD_SIZE", str(world))
    monkeypatch.setattr("torch.distributed.init_process_group", lambda backend: None)
    monkeypatch.setattr("torch.distributed.destroy_process_group", lambda: None)
    assert settings(**changed).batch_size == 3
    with pytest.raises(ValueError, match=message):
        train(tiny_dataset, tmp_path, "supervised", **changed)


if __name__ == "__main__":
    train_dccrn(*sys.argv[1:])
