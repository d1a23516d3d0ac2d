"""Epochs of distillation with the teacher at work, and with its outputs read from disk."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from arrayse.benchmark.common import versions_line
from arrayse.data import SceneReader, Share, epoch_batches
from arrayse.kd import CachedViews, Distillation, LiveViews, Teacher, build_term
from arrayse.kd.cache import ViewCache
from arrayse.losses import LOSSES
from arrayse.mixture import Dataset, open_dataset
from arrayse.models import Enhancer, build_enhancer
from arrayse.objectives import Batch
from arrayse.profile.cost import one_thread
from arrayse.training.loop import uses_bfloat16
from arrayse.training.processes import keep_freed_memory
from arrayse.training.settings import FitSettings

HEADER = "| method | live (ms a step) | cached (ms a step) | ratio |\n| --- | ---: | ---: | ---: |"
TEACHER, STUDENT = (256, 128), (64, 32)
"""Units of the F-LSTM (per direction) and of the T-LSTM; both networks causal."""
MEASURED = ("mask", "lin", "lstm1", "lstm2", "fused", "gram")
N_STEPS = 4
"""Steps of the epoch that is measured."""


def benchmark_distillation(values: dict[str, Any], say: Callable[[str], None]) -> str:
    """Measures an epoch of every method; returns the table as Markdown; lines are said as they come.

    Raises:
        ValueError: no dataset, or one with too few scenes.
    """
    if values["data"] is None:
        raise ValueError("data: expected data=FOLDER, a dataset that arrayse simulate wrote, got none")
    dataset, settings = open_dataset(Path(values["data"])), FitSettings(batch_size=2, draws=1)
    reader = SceneReader(dataset, "train", settings.snr_db, settings.seconds, 0, draws=1)
    if len(reader.entries()) < N_STEPS * settings.batch_size:
        wanted = N_STEPS * settings.batch_size
        raise ValueError(f"data: expected {wanted} training scenes or more, got {len(reader.entries())}")
    rows = [HEADER]
    say(HEADER)
    with one_thread():
        keep_freed_memory()
        for method in MEASURED:
            live, cached = _epochs(method, dataset, reader, settings, values["repeats"])
            rows.append(f"| {method} | {1000 * live:.0f} | {1000 * cached:.0f} | {live / cached:.1f}x |")
            say(rows[-1])
    note = (
        f"FT-JNF (tesch, causal) {TEACHER[0]}/{TEACHER[1]} teaches {STUDENT[0]}/{STUDENT[1]}, {dataset.geometry.name}, "
        f"batches of 2 x 3 s, reading scenes and outputs included; {versions_line(values['repeats'])}"
    )
    say(note)
    return "\n".join([*rows, "", f"- {note}", ""])


def _epochs(
    method: str, dataset: Dataset, reader: SceneReader, settings: FitSettings, repeats: int
) -> tuple[float, float]:
    """Median seconds of a step, live and cached, measured in turn; the cache is filled before."""
    student, teacher = (_network(dataset, *sizes) for sizes in (STUDENT, TEACHER))
    term = build_term(method, {"name": method}, 1.0, None, student, teacher)
    live = LiveViews(teacher)
    with tempfile.TemporaryDirectory() as folder:
        sources = (live, CachedViews(live, ViewCache(Path(folder))))
        loss = LOSSES["wave_magnitude_l1"]()
        objectives = [Distillation(student, loss, [Teacher("t", source, [term])], 0.5) for source in sources]
        optimizer = torch.optim.Adam(student.parameters(), settings.learning_rate)
        seconds: list[list[float]] = [[], []]
        for repeat in range(repeats + 1):
            for objective, times in zip(objectives, seconds, strict=True):
                start = time.perf_counter()
                steps = range(N_STEPS)
                for batch in epoch_batches(reader, reader.entries(), settings.batch_size, 0, steps, Share()):
                    _step(objective, batch, optimizer, settings)
                if repeat:  # the first one warms up and fills the cache
                    times.append((time.perf_counter() - start) / N_STEPS)
    return float(np.median(seconds[0])), float(np.median(seconds[1]))


def _step(objective: Distillation, batch: Batch, optimizer: torch.optim.Optimizer, settings: FitSettings) -> None:
    with torch.autocast("cpu", torch.bfloat16, enabled=uses_bfloat16(settings)):
        loss = objective(batch)["loss"]
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def _network(dataset: Dataset, freq_hidden: int, time_hidden: int) -> Enhancer:
    net = {"name": "ft_jnf", "preset": "tesch", "freq_hidden": freq_hidden, "time_hidden": time_hidden}
    return build_enhancer(net, {}, {}, dataset.geometry.to_dict(), None, None, dataset.sample_rate)
