"""The benchmark compares what it says it does: both sides make the same scene, and medians are medians."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from arrayse.benchmark import distillation, evaluation
from arrayse.cli import app
from arrayse.geometry import circular
from arrayse.kd import METHODS
from arrayse.mixture import snr_db
from arrayse.objectives import Batch
from simulate import benchmark
from simulate.benchmark import Line, medians, memory_growth, plain_mixture, pyroomacoustics_responses
from simulate.recipe import Recipe
from simulate.render import render
from simulate.rir import fit_room
from simulate.room import Room
from simulate.scene import World, draw_scene
from tests.tiny_scenes import Corpora


def test_medians_are_of_calls_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, calls = [0.0], []

    def takes(name: str, spent: list[float]) -> None:
        calls.append(name)
        clock[0] += spent[calls.count(name) - 1]

    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    slow, fast = [9.0, 0.3, 0.1, 0.2], [9.0, 0.01, 0.03, 0.02]
    assert medians(lambda: takes("slow", slow), lambda: takes("fast", fast), 3) == pytest.approx((200, 20))
    assert calls == ["slow", "fast"] * 4
    assert Line("a", 200.0, 20.0).ratio == 10


def test_the_plain_mixture_is_the_same_scene(corpora: Corpora, tiny_recipe: Recipe) -> None:
    world = World(replace(tiny_recipe, rt60=[0.2, 0.2]), circular(), *corpora, 3)
    scene = draw_scene(world, "train", 0)
    speech, target, noise = plain_mixture(scene, world).reshape(3, 5, scene.n_samples)
    ours = render(scene, world.geometry)[0]
    late = 40  # its responses begin so many samples later
    for theirs, mine, least in ((target, ours.target, 0.98), (speech, ours.speech, 0.9)):
        for mic in range(5):
            assert np.corrcoef(theirs[mic, late:], mine[mic, :-late])[0, 1] > least
    assert snr_db(speech[0], noise[0]) == pytest.approx(scene.snr_db, abs=1e-3)


def test_both_sides_compute_the_same_room() -> None:
    sources, mics = benchmark._places(2)
    theirs = pyroomacoustics_responses(0.2, sources, mics)
    ours = fit_room(Room(benchmark.ROOM, 0.2), sources, mics, benchmark.RATE).full(sources, mics)
    assert (len(theirs[0]), len(theirs)) == ours.shape[:2]
    arrivals = [[int(np.abs(theirs[mic][source]).argmax()) for mic in range(5)] for source in range(2)]
    assert np.abs(np.array(arrivals) - np.abs(ours).argmax(axis=-1)).max() <= 1


def test_memory_is_that_of_the_responses_and_not_of_all_images() -> None:
    assert 0 <= memory_growth("ism") < 100


def test_what_there_is_to_measure_is_told() -> None:
    result = CliRunner().invoke(app, ["benchmark", "speed"])
    assert str(result.exception) == "benchmark: expected one of simulator, distillation, metrics, evaluation, got speed"


def test_distillation_is_measured_live_and_cached(tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The teacher is asked in every live epoch, and once for each item of the cached ones."""
    asked: list[int] = []
    plain = distillation.LiveViews.__call__

    def counting(self: distillation.LiveViews, batch: Batch, wanted: list[tuple[str, str]]) -> Any:
        asked.append(len(batch.ids))
        return plain(self, batch, wanted)

    monkeypatch.setattr(distillation.LiveViews, "__call__", counting)
    for name, value in {"MEASURED": ("lin",), "N_STEPS": 2, "TEACHER": (3, 2), "STUDENT": (2, 2)}.items():
        monkeypatch.setattr(distillation, name, value)
    said: list[str] = []
    table = distillation.benchmark_distillation({"data": str(tiny_dataset), "repeats": 2}, said.append)
    assert asked == [2, 2] + [1] * 4 + [2, 2] * 2  # the first epochs fill the cache
    assert re.search(r"\| lin \| \d+ \| \d+ \| \d+\.\dx \|", table)
    assert "FT-JNF (tesch, causal) 3/2 teaches 2/2" in table
    assert all(line in table for line in said)


def test_the_distillation_benchmark_needs_scenes(tiny_dataset: Path) -> None:
    for values, message in (
        ({"data": None}, "data: expected data=FOLDER"),
        ({"data": str(tiny_dataset)}, "expected 8"),
    ):
        with pytest.raises(ValueError, match=message):
            distillation.benchmark_distillation({**values, "repeats": 1}, print)


def test_evaluation_is_measured_once_all_processes_are_at_work(
    tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of six scenes of a second each, after four seconds to start each process."""
    clock, began = [0.0], []

    def run_slowly(function: Any, tasks: list[Any], workers: int) -> Iterator[Any]:
        began.append(workers)
        clock[0] += 4.0 * workers
        for number, task in enumerate(tasks):
            rows = function(task)
            clock[0] += 1.0 if number < workers else 1.0 / workers
            yield rows

    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    small = {"run_tasks": run_slowly, "SPLIT": "train", "DEFAULT_METRICS": ("si_sdr",), "STUDENT": (2, 2)}
    for name, value in small.items():
        monkeypatch.setattr(evaluation, name, value)
    said: list[str] = []
    table = evaluation.benchmark_evaluation({"data": str(tiny_dataset), "repeats": 2}, said.append)
    assert began == [1, 2, 1, 2]
    assert "| 1 | 4.0 | 1.00x |\n| 2 | 8.0 | 2.00x |" in table  # two systems at two SNRs
    assert "6 scenes at 2 SNRs, noisy and FT-JNF (tesch, causal) 2/2, si_sdr" in table
    assert all(line in table for line in said)


def test_the_evaluation_benchmark_needs_scenes(tiny_dataset: Path) -> None:
    for data, message in (
        (None, "data: expected data=FOLDER"),
        (str(tiny_dataset), "expected 4 test scenes or more, got 2"),
    ):
        with pytest.raises(ValueError, match=message):
            evaluation.benchmark_evaluation({"data": data, "repeats": 1}, print)


def test_every_method_is_listed_with_its_paper() -> None:
    result = CliRunner().invoke(app, ["distill", "--list"])
    assert result.exit_code == 0
    for name, method in METHODS.items():
        assert name in result.output
        assert method.paper.split(",")[0] in result.output
