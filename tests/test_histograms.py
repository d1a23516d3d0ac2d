"""What losses count while they train: a line of metrics.jsonl an epoch, from nothing each time, also after a stop."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from arrayse.training.stop import StoppedBySignal
from tests.tiny import batch, distillation, enhancer
from tests.tiny_runs import distil, saved, values_of

N_EPOCHS, N_STEPS, BATCH_SIZE = 2, 3, 2
"""Six scenes in batches of two."""
FRAMES = 400
"""Of a crop of 0.2 s at 16 kHz, with windows of 32 samples every 8, and those that begin before it."""
DFKD = {"name": "dfkd", "n_fft": 32, "hop_length": 8, "crossover": "absolute"}
TERMS = {"t": {"loss": DFKD}, "u": {"loss": {"name": "dispatch", "inner": {**DFKD, "n_fft": 64}, "n_bins": 3}}}


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    return saved("ft_jnf", tmp_path / "teacher")


@pytest.fixture(scope="module")
def undisturbed(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The lines of a training that nothing stops."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return distil(values_of(tiny_dataset, saved("ft_jnf", folder / "teacher"), folder / "run", "ft_jnf", TERMS))


def test_every_epoch_counts_its_own_training_steps(undisturbed: list[dict[str, Any]]) -> None:
    """Neither those of other epochs, nor the validation, nor the try before the first step."""
    rows = undisturbed
    assert [row["event"] for row in rows] == ["epoch"] * N_EPOCHS
    for row in rows:
        assert {name: len(counts) for name, counts in row["histograms"].items()} == {
            "t.crossover": 17,
            "u.crossover": 33,
        }
        frames = (FRAMES + 3, FRAMES + 7)
        assert [sum(counts) for counts in row["histograms"].values()] == [N_STEPS * BATCH_SIZE * n for n in frames]
    assert rows[0]["histograms"] != rows[1]["histograms"]  # other crops


def test_phases_without_distillation_have_none(tiny_dataset: Path, teacher: Path, tmp_path: Path) -> None:
    values = values_of(tiny_dataset, teacher, tmp_path / "run", "ft_jnf", TERMS, distill={"schedule": "three_step"})
    rows = distil(values)
    told = [(row["phase"], "histograms" in row) for row in rows]
    assert told == [(phase, phase != "supervised") for phase in ("distillation", "both", "supervised") for _ in (1, 2)]
    assert len({sum(row["histograms"]["t.crossover"]) for row in rows if "histograms" in row}) == 1


def test_losses_that_count_nothing_tell_nothing(tiny_dataset: Path, teacher: Path, tmp_path: Path) -> None:
    terms = {"t": {"loss": {"name": "magnitude"}}}
    rows = distil(values_of(tiny_dataset, teacher, tmp_path / "run", "ft_jnf", terms))
    assert not any("histograms" in row for row in rows)


@pytest.mark.parametrize(("stop", "crash"), [(1, False), (N_STEPS, False), (5, False), (1, True), (3, True), (5, True)])
def test_a_stopped_training_goes_on_counting(
    stop: int, crash: bool, tiny_dataset: Path, teacher: Path, tmp_path: Path, undisturbed: list[dict[str, Any]]
) -> None:
    """After any step, also the last of an epoch, with a checkpoint at the stop or without: the same lines."""

    def on_step(step: int) -> None:
        if step == stop and crash:
            raise KeyError("crash")
        if step == stop:
            signal.raise_signal(signal.SIGTERM)

    values = values_of(tiny_dataset, teacher, tmp_path / "run", "ft_jnf", TERMS)
    with pytest.raises(KeyError if crash else StoppedBySignal):
        distil(values, on_step)
    assert distil(values) == undisturbed


def test_counts_are_saved_and_not_trained() -> None:
    objective = distillation(enhancer(), enhancer(seed=1), "dfkd").train()
    objective(batch())
    counts = objective.histograms()["dfkd.crossover"]
    assert sum(counts) > 0
    fresh = distillation(enhancer(), enhancer(seed=1), "dfkd")
    fresh.load_state_dict(objective.state_dict())
    assert fresh.histograms() == {"dfkd.crossover": counts}
    fresh.eval()(batch())
    assert fresh.histograms() == {"dfkd.crossover": counts}
    fresh.reset_histograms()
    assert not any(fresh.histograms()["dfkd.crossover"])
