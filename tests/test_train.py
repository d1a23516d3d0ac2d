"""The loop on a toy of one weight: schedules, patience, phases, signals, the guard against NaN."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from arrayse.checkpoint import read_training_state
from arrayse.data import Item
from arrayse.files import read_json_lines
from arrayse.objectives import Batch, Objective
from arrayse.training.loop import fit
from arrayse.training.settings import FitSettings, Phase
from arrayse.training.stop import StoppedBySignal

# --- a toy: scenes are single numbers, the student is one weight, the loss is their product


@dataclass(frozen=True)
class ToyScene:
    id: str


@dataclass
class ToyReader:
    """``n_scenes`` scenes of the value 1, or NaN for those in ``bad``; notes what was read."""

    n_scenes: int = 6
    bad: frozenset[str] = frozenset()
    seed: int = 0
    read_ids: list[str] = field(default_factory=list)

    def entries(self) -> list[ToyScene]:
        return [ToyScene(f"s{number}") for number in range(self.n_scenes)]

    def draw_of(self, epoch: int) -> int:
        return epoch

    def read(self, entry: ToyScene, draw: int) -> Item:
        self.read_ids.append(entry.id)
        value = np.full((1, 4), np.nan if entry.id in self.bad else 1.0, dtype=np.float32)
        return Item(value, value, 0.0, entry.id)


class Student(nn.Module):
    """One weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0]))


class Toy(Objective):
    """loss = weight · mean of the batch; validation losses are given, one an epoch, the last for all that follow."""

    def __init__(self, student: Student, valid: Sequence[float]) -> None:
        super().__init__(student, nn.Identity())
        self.valid, self.epochs, self.weights = list(valid), 0, []

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        self.weights.append(float(self.student.weight.detach()))
        loss = self.student.weight.sum() * batch.noisy.mean()
        return {"loss": loss, "twice": 2 * loss}

    def validate(self, batch: Batch) -> dict[str, Tensor]:
        loss = self.valid[min(self.epochs, len(self.valid) - 1)]
        self.epochs += 1  # one validation batch an epoch
        return {"loss": torch.tensor(loss * len(batch.ids)), "si_sdr_gain": torch.tensor(0.0)}


def run_toy(
    run: Path,
    phases: list[Phase],
    reader: ToyReader | None = None,
    on_step: Callable[[str], None] = lambda title: None,
    **settings: Any,
) -> list[dict[str, Any]]:
    """Trains and returns the lines of metrics.jsonl."""
    chosen = FitSettings(**{"batch_size": 2, "precision": "float32", "learning_rate": 0.1, **settings})
    readers: Any = (reader or ToyReader(), ToyReader(2))
    fit(run, phases, *readers, chosen, lambda title, *told: on_step(title))
    return list(read_json_lines(run / "metrics.jsonl"))


def toy(valid: Sequence[float] = (1.0,), epochs: int = 1, patience: int | None = None) -> Phase:
    return Phase("toy", Toy(Student(), valid), epochs, patience)


# --- schedules and phases


def test_adam_steps_down_the_gradient(tmp_path: Path) -> None:
    phase = toy()
    (row,) = run_toy(tmp_path, [phase], schedule="constant")
    objective: Any = phase.objective
    assert objective.weights == pytest.approx([1.0, 0.9, 0.8])  # Adam moves a constant gradient by the rate
    assert row["train"] == pytest.approx({"loss": 0.9, "twice": 1.8})
    assert row["valid"] == {"loss": 1.0, "si_sdr_gain": 0.0}
    assert float(load_file(tmp_path / "model.safetensors")["weight"]) == pytest.approx(0.7)


def test_the_cosine_rate_of_each_step_is_used(tmp_path: Path) -> None:
    phase = toy([1.0, 0.9], epochs=2)
    rows = run_toy(tmp_path, [phase], schedule="cosine")
    rates = [0.1 * (0.01 + 0.99 * (1 + math.cos(math.pi * done / 6)) / 2) for done in range(6)]
    objective: Any = phase.objective
    steps = [a - b for a, b in zip(objective.weights[:-1], objective.weights[1:], strict=True)]
    assert steps == pytest.approx(rates[:5], rel=1e-4)
    assert [row["learning_rate"] for row in rows] == pytest.approx([rates[2], rates[5]])


def test_an_epoch_has_as_many_steps_as_it_is_told(tmp_path: Path) -> None:
    """Two of three, at the rate of a schedule of four, on scenes that differ from epoch to epoch."""
    reader, phase = ToyReader(), toy(epochs=2)
    run_toy(tmp_path, [phase], reader, epoch_steps=2)
    objective: Any = phase.objective
    rates = [0.1 * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * k / 4))) for k in range(3)]
    assert objective.weights == pytest.approx([1 - sum(rates[:k]) for k in range(4)])
    assert len(reader.read_ids) == 8
    assert set(reader.read_ids[:4]) != set(reader.read_ids[4:])


def test_plateau_lowers_the_rate_after_its_patience(tmp_path: Path) -> None:
    valid = [1.0, 0.9, 0.9, 0.95, 0.8, 0.8, 0.8, 0.8, 0.8]
    rows = run_toy(tmp_path, [toy(valid, 9)], schedule="plateau", plateau_patience=2, plateau_factor=0.5)
    expected = [0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025]
    assert [row["learning_rate"] for row in rows] == pytest.approx(expected)


@pytest.mark.parametrize(("patience", "n_epochs"), [(1, 3), (2, 6), (3, 7), (None, 9)])
def test_patience_ends_a_phase(patience: int | None, n_epochs: int, tmp_path: Path) -> None:
    valid = [1.0, 0.9, 0.95, 0.8, 0.85, 0.81, 0.8, 0.9, 0.9]
    assert len(run_toy(tmp_path, [toy(valid, 9, patience)])) == n_epochs
    assert read_training_state(tmp_path)["best"] == pytest.approx(0.9 if patience == 1 else 0.8)


def test_a_phase_starts_from_the_last_weights_with_a_full_rate_and_the_run_ends_with_the_best(tmp_path: Path) -> None:
    student = Student()
    first, second = Toy(student, [0.5, 0.3, 0.4]), Toy(student, [0.35])
    phases = [Phase("one", first, 9, patience=1), Phase("two", second, 2)]
    rows = run_toy(tmp_path, phases, schedule="plateau", plateau_patience=1)
    last = 1.0 - 9 * 0.1  # after three epochs of three steps, although the second was the best
    assert second.weights[0] == pytest.approx(last, abs=1e-6)
    assert second.weights[1] == pytest.approx(last - 0.1, abs=1e-6)  # a fresh optimiser: no momentum, no lowered rate
    assert float(student.weight.detach()) == pytest.approx(last - 3 * 0.1, abs=1e-6)  # first epoch of the second
    assert [row["phase"] for row in rows] == ["one", "one", "one", "two", "two"]
    assert [row["epoch"] for row in rows] == [1, 2, 3, 1, 2]
    assert [row["learning_rate"] for row in rows] == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.1])


def test_the_gradient_is_clipped(tmp_path: Path) -> None:
    clipped, whole = toy(epochs=1), toy(epochs=1)
    run_toy(tmp_path / "a", [clipped], gradient_clip=1e-9, schedule="constant")
    run_toy(tmp_path / "b", [whole], schedule="constant")
    assert float(clipped.objective.student.weight.detach()) > 1 - 0.1 * 0.2 * 3  # Adam's epsilon rules so small a one
    assert float(whole.objective.student.weight.detach()) == pytest.approx(0.7)


def test_progress_is_told(tmp_path: Path) -> None:
    titles: list[str] = []
    run_toy(tmp_path, [toy(epochs=2)], on_step=titles.append)
    assert titles == [
        *(["toy epoch 1/2"] * 3),
        "validation",
        "toy epoch 1/2",
        *(["toy epoch 2/2"] * 3),
        "validation",
        "toy epoch 2/2",
    ]


def test_tensorboard_files_are_written(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run_toy(tmp_path, [toy()], tensorboard=True)
    assert list((tmp_path / "tensorboard").glob("events*"))


# --- NaN


def test_a_batch_with_nan_changes_nothing_and_is_named(tmp_path: Path) -> None:
    phase, reader = toy([1.0, 0.9], epochs=2), ToyReader(bad=frozenset({"s2"}))
    rows = run_toy(tmp_path, [phase], reader, schedule="constant")
    objective: Any = phase.objective
    told = [row for row in rows if row["event"] == "not_finite"]
    assert [(row["phase"], row["epoch"]) for row in told] == [("toy", 1), ("toy", 2)]
    assert all("s2" in row["ids"] and len(row["ids"]) == 2 for row in told)
    for epoch, row in enumerate(told):
        step = 3 * epoch + row["step"]
        after = objective.weights[step + 1] if step < 5 else float(objective.student.weight.detach())
        assert after == objective.weights[step]  # bit-equal
        assert row["ids"] == reader.read_ids[2 * step : 2 * step + 2]
    seen_twice = sum(3 * epoch + row["step"] < 5 for epoch, row in enumerate(told))
    assert len({round(weight, 3) for weight in objective.weights}) == 6 - seen_twice
    epochs = [row for row in rows if row["event"] == "epoch"]
    good = [w for step, w in enumerate(objective.weights[:3]) if step != told[0]["step"]]
    assert epochs[0]["train"]["loss"] == pytest.approx(sum(good) / 2)  # the mean is that of the good steps


def test_three_bad_steps_in_a_row_stop_the_training(tmp_path: Path) -> None:
    phase, everything = toy(), frozenset(f"s{number}" for number in range(6))
    with pytest.raises(RuntimeError, match="training: expected finite losses, got 3 steps in a row that are not"):
        run_toy(tmp_path, [phase], ToyReader(bad=everything))
    rows = list(read_json_lines(tmp_path / "metrics.jsonl"))
    assert [row["event"] for row in rows] == ["not_finite"] * 3
    assert float(phase.objective.student.weight.detach()) == 1.0


def test_bad_steps_with_good_ones_between_do_not_stop_the_training(tmp_path: Path) -> None:
    rows = run_toy(tmp_path, [toy(epochs=5)], ToyReader(16, bad=frozenset({"s0"})))
    bad = [row["step"] for row in rows if row["event"] == "not_finite"]
    assert len(bad) > 3
    assert sum(row["event"] == "epoch" for row in rows) == 5


def test_a_gradient_that_is_not_finite_changes_nothing(tmp_path: Path) -> None:
    class Vertical(Toy):
        """A finite loss with an infinite slope."""

        def forward(self, batch: Batch) -> dict[str, Tensor]:
            return {"loss": (0 * self.student.weight).sqrt().sum()}

    student = Student()
    with pytest.raises(RuntimeError, match="3 steps in a row"):
        run_toy(tmp_path, [Phase("p", Vertical(student, [1.0]), 1)])
    assert float(student.weight.detach()) == 1.0


def test_a_batch_with_nan_leaves_no_trace_in_running_statistics(tmp_path: Path) -> None:
    """Batch norms average what they hear, losses count what they see: also that is nothing of a refused step."""

    class Averaging(Toy):
        """The student remembers the sum of all batches."""

        def forward(self, batch: Batch) -> dict[str, Tensor]:
            self.student.heard += batch.noisy.mean()
            return super().forward(batch)

    student = Student()
    student.register_buffer("heard", torch.zeros(1))
    run_toy(tmp_path, [Phase("p", Averaging(student, [1.0, 0.9]), 2)], ToyReader(bad=frozenset({"s2"})))
    assert load_file(tmp_path / "model.safetensors")["heard"].tolist() == [4.0]  # good steps, two an epoch


def test_a_validation_that_is_not_finite_stops_the_training(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="validation: expected a finite loss, got nan"):
        run_toy(tmp_path, [toy([math.nan])])


# --- signals


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("title", ["toy epoch 1/1", "validation"])
def test_a_signal_stops_after_the_step_or_the_validation(
    title: str, number: signal.Signals, code: int, tmp_path: Path
) -> None:
    def on_step(now: str) -> None:
        if now == title:
            signal.raise_signal(number)

    with pytest.raises(StoppedBySignal) as stopped:
        run_toy(tmp_path, [toy()], on_step=on_step)
    assert stopped.value.exit_code == code
    state = read_training_state(tmp_path)
    assert (state["step"], state["finished"]) == ((1, False) if title != "validation" else (0, True))


# --- what does not fit


def test_settings_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"epoch_steps: expected at most 3 \(batches of 6 scenes\), got 4"):
        run_toy(tmp_path, [toy()], epoch_steps=4)
    with pytest.raises(ValueError, match=r"batch_size: expected at most 6 \(the scenes\), got 7"):
        run_toy(tmp_path, [toy()], batch_size=7)
    with pytest.raises(ValueError, match="phases: expected one student, got 2 phases"):
        run_toy(tmp_path, [toy(), toy()])
    with pytest.raises(ValueError, match="phases: expected one student, got 0 phases"):
        run_toy(tmp_path, [])
    assert list(tmp_path.iterdir()) == []
