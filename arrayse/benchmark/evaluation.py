"""How evaluation scales: utterances a second with one process and with two."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from arrayse.benchmark.common import versions_line
from arrayse.checkpoint import save_description, save_weights
from arrayse.evaluation.lineup import line_up, load_runs
from arrayse.evaluation.scoring import SceneTask, score_scene
from arrayse.evaluation.sources import Source, open_source
from arrayse.evaluation.summary import Request
from arrayse.metrics import DEFAULT_METRICS
from arrayse.models import build_enhancer
from arrayse.parallel import run_tasks

HEADER = "| processes | utterances/s | ratio |\n| ---: | ---: | ---: |"
PROCESSES = (1, 2)
SNR_DB = (0.0, 10.0)
SPLIT = "test"
MOST_SCENES = 40
STUDENT = (64, 32)
"""Units of the F-LSTM (per direction) and of the T-LSTM of the network that is scored, untrained."""


def benchmark_evaluation(values: dict[str, Any], say: Callable[[str], None]) -> str:
    """Scores the same scenes with one process and with two; returns the table as Markdown; lines are said as they come.

    An utterance is a scene at an SNR through one system, in three metrics. What counts is the rate once every process
    is at work: starting one takes seconds.

    Raises:
        ValueError: no dataset, or one with too few test scenes.
    """
    if values["data"] is None:
        raise ValueError("data: expected data=FOLDER, a dataset that arrayse simulate wrote, got none")
    source = open_source("dataset", Path(values["data"]), SPLIT)
    least = 2 * max(PROCESSES)
    if len(source.scenes) < least:
        raise ValueError(f"data: expected {least} test scenes or more, got {len(source.scenes)}")
    rates: dict[int, list[float]] = {workers: [] for workers in PROCESSES}
    with tempfile.TemporaryDirectory() as folder:
        tasks = _tasks(source, Path(folder), Path(values["data"]))
        for _ in range(values["repeats"]):
            for workers, found in rates.items():
                found.append(_rate(tasks, workers))
    medians = {workers: float(np.median(found)) for workers, found in rates.items()}
    rows = [HEADER]
    rows += [f"| {workers} | {rate:.1f} | {rate / medians[1]:.2f}x |" for workers, rate in medians.items()]
    for row in rows:
        say(row)
    note = (
        f"{len(tasks)} scenes at {len(SNR_DB)} SNRs, noisy and FT-JNF (tesch, causal) {STUDENT[0]}/{STUDENT[1]}, "
        f"{', '.join(DEFAULT_METRICS)}; starting the processes not counted; {versions_line(values['repeats'])}"
    )
    say(note)
    return "\n".join([*rows, "", f"- {note}", ""])


def _tasks(source: Source, folder: Path, data: Path) -> list[SceneTask]:
    run = _network(source, folder / "network")
    request = Request({"network": run}, data, SPLIT, list(SNR_DB), None, list(DEFAULT_METRICS), None, 0, 0)
    lineup = line_up(request, source, load_runs(request.runs))
    scenes = source.scenes[:MOST_SCENES]
    names = set(lineup.names)
    return [SceneTask(names, lineup, scene, source.sample_rate, [*SNR_DB], list(DEFAULT_METRICS)) for scene in scenes]


def _rate(tasks: list[SceneTask], workers: int) -> float:
    """Utterances a second from the time on when as many scenes are done as there are processes."""
    done = [(time.perf_counter(), len(rows)) for rows in run_tasks(score_scene, tasks, workers)]
    counted = done[workers:]
    return sum(n for _, n in counted) / (counted[-1][0] - done[workers - 1][0])


def _network(source: Source, run: Path) -> Path:
    assert source.geometry is not None
    net = {"name": "ft_jnf", "preset": "tesch", "freq_hidden": STUDENT[0], "time_hidden": STUDENT[1]}
    description: dict[str, Any] = {"net": net, "stft": {}, "features": {}, "array": source.geometry.to_dict()}
    description |= {"mics": None, "ref_mic": None, "sample_rate": source.sample_rate}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        enhancer = build_enhancer(**description)
    save_description(run, description)
    save_weights(run, enhancer)
    return run
