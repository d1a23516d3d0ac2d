"""What the evaluation of runs does not say: files for ONNX Runtime, their speed, their scores in 8 bits."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from arrayse.checkpoint import load_enhancer
from arrayse.export.build import default_form, export
from arrayse.files import append_json_lines, read_json_lines, write_json, write_json_lines
from arrayse.metrics import score
from arrayse.mixture import open_dataset
from arrayse.parallel import run_tasks
from arrayse.profile.cost import one_thread
from arrayse.stream import Backend, Streamer, TorchBackend
from arrayse.stream.onnx_backend import OnnxBackend
from arrayse.ui import count_bar

N_BLOCKS = 400
"""Timed in turns, so that all networks see the same machine; the first tenth warms up."""


@dataclass(frozen=True)
class Task:
    """Networks in 8 bits on one scene.

    Attributes:
        runs: their folders.
        data: the dataset.
        split, scene: which scene.
        snr_db: SNRs in dB.
        metrics: what to score.
    """

    runs: tuple[Path, ...]
    data: Path
    split: str
    scene: str
    snr_db: tuple[float, ...]
    metrics: tuple[str, ...]


def exported(run: Path, int8: bool) -> Path:
    """The ONNX file of a run, beside its weights."""
    return run / ("int8.onnx" if int8 else "float.onnx")


def export_runs(runs: list[Path]) -> None:
    """Writes what is not there yet, in 32 and 8 bits."""
    for run in runs:
        for int8 in (False, True):
            if not exported(run, int8).is_file():
                enhancer = load_enhancer(run)
                export(enhancer, exported(run, int8), default_form(enhancer), int8)


def measure_speed(runs: list[Path], path: Path) -> None:
    """Writes real-time factors: CPU time of one thread for a block over its length, median, transforms included."""
    backends: dict[tuple[str, str], Backend] = {}
    for run in runs:
        backends[run.name, "torch"] = TorchBackend(load_enhancer(run))
        backends[run.name, "onnx"] = OnnxBackend(exported(run, False))
        backends[run.name, "int8"] = OnnxBackend(exported(run, True))
    states, rng = {key: backend.start() for key, backend in backends.items()}, np.random.default_rng(0)
    times: dict[tuple[str, str], list[float]] = {key: [] for key in backends}
    with one_thread():
        for _ in range(N_BLOCKS):
            for key, backend in backends.items():
                block = 0.1 * rng.standard_normal((len(backend.mics), backend.block_samples), np.float32)
                start = time.thread_time()
                _, states[key] = backend.push(block, states[key])
                times[key].append((time.thread_time() - start) * backend.sample_rate / backend.block_samples)
    factors: dict[str, dict[str, float]] = {run.name: {} for run in runs}
    for (name, kind), each in times.items():
        factors[name][kind] = float(np.median(each[N_BLOCKS // 10 :]))
    write_json(path, factors)


def score_int8(runs: list[Path], data: Path, like: Any, path: Path, workers: int) -> None:
    """Scores the networks in 8 bits as streams; what is scored already is not scored again.

    Args:
        runs: folders of the networks.
        data: the dataset.
        like: summary of the evaluation whose split, SNRs and metrics are taken.
        path: of the rows.
        workers: processes.
    """
    split, snr_db, metrics = like["split"], tuple(like["snr_db"]), tuple(like["metrics"])
    scenes = [entry.id for entry in open_dataset(data).entries(split)]
    rows: list[dict[str, Any]] = list(read_json_lines(path)) if path.is_file() else []
    found = Counter(row["scene"] for row in rows)
    left = [scene for scene in scenes if found[scene] < len(runs) * len(snr_db)]
    write_json_lines(path, [row for row in rows if row["scene"] not in left])
    tasks = [Task(tuple(runs), data, split, scene, snr_db, metrics) for scene in left]
    with count_bar(Console(), "8 bits: test scenes") as progress:
        progress(len(scenes) - len(left), len(scenes))
        for done, more in enumerate(run_tasks(score_scene, tasks, workers), start=len(scenes) - len(left) + 1):
            append_json_lines(path, more)
            progress(done, len(scenes))


def score_scene(task: Task) -> list[dict[str, Any]]:
    """The rows of a scene: every network at every SNR."""
    dataset, rows = open_dataset(task.data), []
    (entry,) = (entry for entry in dataset.entries(task.split) if entry.id == task.scene)
    for snr_db in task.snr_db:
        mixture = dataset.read(entry, wanted_snr_db=snr_db)
        target = mixture.target[dataset.geometry.ref_mic]
        for run in task.runs:
            estimate = enhanced(exported(run, int8=True), mixture.noisy)
            scores = score(estimate, target, dataset.sample_rate, task.metrics)
            values = {metric: got.value for metric, got in scores.items()}
            rows.append({"system": int8_name(run.name), "scene": task.scene, "snr_db": snr_db, **values})
    return rows


def int8_name(name: str) -> str:
    """Of a network in 8 bits, in the rows."""
    return f"{name} int8"


def enhanced(path: Path, noisy: np.ndarray) -> np.ndarray:
    """A whole recording through a stream, (n_samples,)."""
    stream = Streamer(_backend(path))
    given = np.concatenate([stream.push(noisy), stream.flush()])
    return given[stream.delay_samples :][: noisy.shape[1]]


@cache
def _backend(path: Path) -> OnnxBackend:
    return OnnxBackend(path)
