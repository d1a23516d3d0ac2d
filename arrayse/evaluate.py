"""Scores of trained networks over SNR, paired over the same scenes: one row per system, scene and SNR, then a table."""

from __future__ import annotations

import functools
import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from arrayse.audio import write_audio
from arrayse.checkpoint import MODEL, load_enhancer
from arrayse.files import (
    append_json_lines,
    read_json,
    read_json_lines,
    sha256_of,
    write_json,
    write_json_lines,
)
from arrayse.metrics import score
from arrayse.mixture import Dataset, SceneEntry, open_dataset
from arrayse.models import Enhancer
from arrayse.parallel import run_tasks
from arrayse.processes import keep_freed_memory
from arrayse.summary import summarise_rows

NOISY = "noisy"
ROWS, REQUEST = "rows.jsonl", "request.json"


@dataclass(frozen=True)
class Request:
    """What is to be evaluated.

    Attributes:
        runs: run folders by the name shown.
        data: the dataset folder.
        split: its split.
        snr_db: SNRs in dB, every scene at each of them.
        n_scenes: only the first so many scenes; None for all.
        metrics: names of :data:`arrayse.metrics.METRICS`.
        baseline: system that paired differences are taken to; None: the noisy input.
        n_examples: scenes whose audio is kept, at the SNR closest to 0 dB.
        seed: of the bootstrap.
    """

    runs: dict[str, Path]
    data: Path
    split: str
    snr_db: list[float]
    n_scenes: int | None
    metrics: list[str]
    baseline: str | None
    n_examples: int
    seed: int


@dataclass(frozen=True)
class SceneTask:
    """All systems on one scene at all SNRs."""

    request: Request
    entry: SceneEntry


def evaluate(
    request: Request,
    out: Path,
    workers: int,
    about: dict[str, Any],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Scores every scene, goes on from the rows that are there, and writes ``summary.json`` and example audio.

    Returns:
        The summary.

    Raises:
        ValueError: a run that was trained for another array or rate, an unknown baseline, or a folder that holds
            another evaluation.
    """
    dataset = open_dataset(request.data)
    entries = dataset.entries(request.split)[: request.n_scenes]
    enhancers = {name: load_enhancer(run) for name, run in request.runs.items()}
    for name, enhancer in enhancers.items():
        check_fits(name, enhancer, dataset)
    if request.baseline is not None and request.baseline not in enhancers:
        raise ValueError(f"baseline: expected one of {', '.join(enhancers)}, got {request.baseline}")
    _claim(out, request)
    n_rows = (1 + len(enhancers)) * len(request.snr_db)
    rows = _complete_rows(out / ROWS, entries, n_rows)
    write_json_lines(out / ROWS, rows)
    finished = {row["scene"] for row in rows}
    tasks = [SceneTask(request, entry) for entry in entries if entry.id not in finished]
    progress(len(finished), len(entries))
    for done, scene_rows in enumerate(run_tasks(score_scene, tasks, workers), start=len(finished) + 1):
        append_json_lines(out / ROWS, scene_rows)
        rows += scene_rows
        progress(done, len(entries))
    order = {entry.id: number for number, entry in enumerate(entries)}
    rows.sort(key=lambda row: order[row["scene"]])  # workers finish in any order; sort is stable within a scene
    write_json_lines(out / ROWS, rows)
    _write_examples(out, request, dataset, entries[: request.n_examples], enhancers)
    summary = summarise_rows(request, dataset, len(entries), enhancers, rows, about)
    write_json(out / "summary.json", summary)
    return summary


def check_fits(name: str, enhancer: Enhancer, dataset: Dataset) -> None:
    """Raises ValueError unless the dataset has the array and rate that the enhancer was made for."""
    if enhancer.sample_rate != dataset.sample_rate:
        raise ValueError(
            f"{name} sample_rate: expected {dataset.sample_rate} Hz as the data, got {enhancer.sample_rate}"
        )
    if enhancer.geometry.positions.tolist() != dataset.geometry.positions.tolist():
        raise ValueError(
            f"{name} array: expected {dataset.geometry.name} ({dataset.geometry.n_mics} mics) as the data, "
            f"got {enhancer.geometry.name} ({enhancer.geometry.n_mics} mics)"
        )


def score_scene(task: SceneTask) -> list[dict[str, Any]]:
    """The rows of one scene: the noisy reference microphone and every system, at every SNR."""
    if multiprocessing.parent_process() is not None:  # a worker shares the machine with the others
        torch.set_num_threads(1)
        keep_freed_memory()
    request, rows = task.request, []
    dataset = open_dataset(request.data)
    for snr_db in request.snr_db:
        mixture = dataset.read(task.entry, wanted_snr_db=snr_db)
        ref = dataset.geometry.ref_mic
        noisy = mixture.noisy
        pairs = [(NOISY, noisy[ref], mixture.target[ref])]
        for name, run in request.runs.items():
            enhancer = _enhancer(run)
            pairs.append((name, enhancer.enhance(noisy, dataset.sample_rate), mixture.target[enhancer.ref_mic]))
        for name, estimate, target in pairs:
            scores = score(estimate, target, dataset.sample_rate, request.metrics)
            values = {metric: got.value for metric, got in scores.items()}
            reasons = {metric: got.reason for metric, got in scores.items() if got.value is None}
            rows.append({"system": name, "scene": task.entry.id, "snr_db": snr_db, **values, "reasons": reasons})
    return rows


@functools.lru_cache(maxsize=64)
def _enhancer(run: Path) -> Enhancer:
    return load_enhancer(run)


def _claim(out: Path, request: Request) -> None:
    """Notes what is evaluated in ``out``, or checks that it is the same as what was begun there."""
    wanted = {
        "runs": {name: sha256_of(run / "model.safetensors") for name, run in request.runs.items()},
        "models": {name: sha256_of(run / MODEL) for name, run in request.runs.items()},
        "data": sha256_of(request.data / "dataset.json"),
        "split": request.split,
        "snr_db": request.snr_db,
        "n_scenes": request.n_scenes,
        "metrics": request.metrics,
    }
    path = out / REQUEST
    if path.is_file():
        there = read_json(path, "evaluation")
        other = [name for name in wanted if there.get(name) != wanted[name]]
        if other:
            raise ValueError(
                f"{out}: expected an empty folder or the same evaluation, got one with other {', '.join(other)}"
            )
        return
    write_json(path, wanted)


def _complete_rows(path: Path, entries: list[SceneEntry], n_rows: int) -> list[dict[str, Any]]:
    """The rows of the scenes that are complete; a scene cut short by a kill is scored again."""
    by_scene: dict[str, list[dict[str, Any]]] = {entry.id: [] for entry in entries}
    if path.is_file():
        for row in read_json_lines(path):
            by_scene[row["scene"]].append(row)
    return [row for rows in by_scene.values() if len(rows) == n_rows for row in rows]


def _write_examples(
    out: Path, request: Request, dataset: Dataset, entries: list[SceneEntry], enhancers: dict[str, Enhancer]
) -> None:
    snr_db = min(request.snr_db, key=abs)
    examples = []
    for entry in entries:
        mixture = dataset.read(entry, wanted_snr_db=snr_db)
        ref, noisy = dataset.geometry.ref_mic, mixture.noisy
        waves = {NOISY: noisy[ref], "target": mixture.target[ref]}
        waves.update({name: enhancer.enhance(noisy, dataset.sample_rate) for name, enhancer in enhancers.items()})
        gain = min(1.0, 0.99 / max(float(np.abs(wave).max()) for wave in waves.values()))  # one gain: levels compare
        files = {}
        for number, (name, wave) in enumerate(waves.items()):
            files[name] = f"audio/{entry.id}-{number}.wav"
            write_audio(out / files[name], gain * wave, dataset.sample_rate)
        kinds = ", ".join(excerpt["group"] for excerpt in entry.numbers["source_excerpts"][1:])
        title = f"{entry.id}: {kinds} at {snr_db:g} dB, RT60 {entry.numbers['rt60_measured']:.2f} s"
        examples.append({"scene": entry.id, "snr_db": snr_db, "title": title, "waves": files})
    write_json(out / "examples.json", examples)
