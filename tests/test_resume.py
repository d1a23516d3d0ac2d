"""A training that was stopped, crashed or killed anywhere ends as one that was not: same bytes (CPU)."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from arrayse import files
from arrayse.checkpoint import read_training_state
from arrayse.config import ConfigError, read_config
from arrayse.files import read_json, read_json_lines
from arrayse.training import loop
from arrayse.verbs.nets import run_train
from tests.train_program import FILES, N_STEPS, train

ROOT = Path(__file__).parents[1]


class Crash(BaseException):
    """The process is gone: nothing that still wants to save may run."""


def crash_at(wanted: int) -> Callable[[int], None]:
    def on_step(step: int) -> None:
        if step == wanted:
            raise Crash

    return on_step


def content(run: Path) -> dict[str, bytes]:
    """Every file of a run, hidden ones too."""
    return {path.name: path.read_bytes() for path in run.iterdir()}


def program(*arguments: object) -> subprocess.Popen[str]:
    """The training as a program of its own, with pipes."""
    command = [sys.executable, "-m", "tests.train_program", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env=environment, **pipes)  # type: ignore[call-overload]


@pytest.fixture(scope="module")
def undisturbed(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a run of the two-step plan leaves."""
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    train(tiny_dataset, run, "two_step")
    assert set(content(run)) == set(FILES)
    return content(run)


@pytest.mark.parametrize("step", range(1, 4 * N_STEPS + 1))
def test_crashed_after_any_step(step: int, tiny_dataset: Path, tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    with pytest.raises(Crash):
        train(tiny_dataset, tmp_path, "two_step", crash_at(step))
    train(tiny_dataset, tmp_path, "two_step")
    assert content(tmp_path) == undisturbed


def test_three_steps_crashed_again_and_again(tiny_dataset: Path, tmp_path: Path) -> None:
    """Every second step is the last of a process, through three phases of which the first ends early."""
    train(tiny_dataset, tmp_path / "undisturbed", "three_step")
    phases = [row["phase"] for row in read_json_lines(tmp_path / "undisturbed" / "metrics.jsonl")]
    n_first = phases.count("distillation")
    assert n_first < 9
    assert phases == ["distillation"] * n_first + ["both"] * 2 + ["supervised"] * 2
    run, crashes = tmp_path / "run", 0
    while True:
        try:
            train(tiny_dataset, run, "three_step", crash_at(3))
        except Crash:
            crashes += 1
            continue
        break
    assert crashes >= n_first + 3
    assert content(run) == content(tmp_path / "undisturbed")


@pytest.mark.parametrize("late", [False, True])
def test_crashed_in_any_write(
    late: bool, tiny_dataset: Path, tmp_path: Path, undisturbed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Crashes at the first write, goes on to crash at the second, and so on until a run gets through."""
    replace, writes, allowed, crashed = os.replace, itertools.count(1), 0, True

    def counting(source: str, destination: str) -> None:
        last = next(writes) > allowed
        if not last or late:
            replace(source, destination)
        if last:
            raise Crash

    monkeypatch.setattr(files.os, "replace", counting)
    while crashed:
        allowed, writes, crashed = allowed + 1, itertools.count(1), False
        try:
            train(tiny_dataset, tmp_path, "two_step")
        except Crash:
            crashed = True
    assert allowed >= 4
    assert content(tmp_path) == undisturbed


def test_a_crash_between_two_phases_does_not_spoil_the_second(
    tiny_dataset: Path, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    """The second phase starts from the last weights with a fresh optimiser, also in a resumed run."""
    with pytest.raises(Crash):
        train(tiny_dataset, tmp_path, "two_step", crash_at(2 * N_STEPS + 1))
    assert read_training_state(tmp_path)["phase"] == 0
    train(tiny_dataset, tmp_path, "two_step")
    assert content(tmp_path) == undisturbed


@pytest.mark.parametrize("step", [2, 2 * N_STEPS + 1])
def test_stopped_by_sigterm(step: int, tiny_dataset: Path, tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    with program(tiny_dataset, tmp_path, "two_step", "wait", step) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        assert child.stdout.readline() == "there\n"
        child.terminate()
        child.stdin.write("\n")
        child.stdin.close()
        assert child.wait() == 143
    state = read_training_state(tmp_path)
    assert (state["phase"] * 2 + state["epoch"]) * N_STEPS + state["step"] == step
    train(tiny_dataset, tmp_path, "two_step")
    assert content(tmp_path) == undisturbed


@pytest.mark.parametrize("write", [1, 6])
def test_killed_in_a_write(write: int, tiny_dataset: Path, tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    with program(tiny_dataset, tmp_path, "two_step", "kill", write) as child:
        assert child.wait() == -9
    assert any(name.endswith(".tmp") for name in content(tmp_path))
    train(tiny_dataset, tmp_path, "two_step")
    assert content(tmp_path) == undisturbed


def test_a_run_goes_on_in_the_precision_that_it_was_begun_in(
    tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine may mean another one by ``auto``: then it has to be told, and is no other config."""

    def go(run: str, precision: str, fast_bfloat16: bool, crash: bool = False) -> bytes:
        def progress(title: str, done: int, total: int, numbers: dict[str, float]) -> None:
            if crash and done == 2:
                raise Crash

        monkeypatch.setattr(loop, "has_bfloat16", lambda device_type: fast_bfloat16)
        small = ["student", "model.freq_hidden=2", "model.time_hidden=2", "fit.batch_size=2", "fit.seconds=0.2"]
        places = [f"data={tiny_dataset}", f"out={tmp_path / run}", "epochs=2", "fit.checkpoint_steps=1"]
        values = read_config("train", [*small, *places, f"fit.precision={precision}"])
        run_train(values, progress, lambda text: None)
        return (tmp_path / run / "training.safetensors").read_bytes()

    whole = go("whole", "auto", fast_bfloat16=True)
    with pytest.raises(Crash):
        go("run", "auto", fast_bfloat16=True, crash=True)
    begun = f"fit.precision: expected bfloat16 autocast, in which {tmp_path / 'run'} was begun, got float32"
    hint = ": fit.precision=bfloat16 goes on with it"
    for precision, meant in (("auto", ", which auto means here"), ("float32", "")):
        with pytest.raises(ConfigError, match=f"^{re.escape(begun + meant + hint)}$"):
            go("run", precision, fast_bfloat16=False)
    assert go("run", "bfloat16", fast_bfloat16=False) == whole
    assert go("run", "auto", fast_bfloat16=False) == whole  # nothing is left to do
    assert read_json(tmp_path / "run" / "about.json", "run")["precision"] == "bfloat16 autocast"


def test_a_finished_run_does_nothing_more(tiny_dataset: Path, tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    for name, data in undisturbed.items():
        (tmp_path / name).write_bytes(data)
    steps: list[int] = []
    phases = train(tiny_dataset, tmp_path, "two_step", steps.append)
    assert steps == []
    assert content(tmp_path) == undisturbed
    fresh = train(tiny_dataset, tmp_path / "other", "two_step")
    expected = fresh[0].objective.student.state_dict()
    assert all((value == expected[name]).all() for name, value in phases[0].objective.student.state_dict().items())


def test_metrics_tell_of_every_epoch_of_every_phase(undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(undisturbed["metrics.jsonl"])
    rows = list(read_json_lines(path))
    assert [(row["phase"], row["epoch"]) for row in rows] == [
        ("distillation", 1),
        ("distillation", 2),
        ("supervised", 1),
        ("supervised", 2),
    ]
    assert set(rows[0]["train"]) == {"loss", "supervised", "lin"}
    assert set(rows[2]["train"]) == {"loss"}
    assert all(set(row["valid"]) == {"loss", "si_sdr_gain"} for row in rows)
    assert rows[0]["train"]["loss"] == pytest.approx(rows[0]["train"]["lin"])
