"""Scores of networks and beamformers over SNR, paired over the same scenes: one row per system, scene and SNR."""

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
from arrayse.beamform import BEAMFORMERS, baseline, describe, target_direction
from arrayse.checkpoint import MODEL, WEIGHTS, load_enhancer
from arrayse.files import (
    append_json_lines,
    check_new_folder,
    read_json,
    read_json_lines,
    sha256_of,
    write_json,
    write_json_lines,
)
from arrayse.metrics import METRICS, Stems, score
from arrayse.mixture import Dataset, Mixture, SceneEntry, open_dataset
from arrayse.models import Enhancer, SpectralEnhancer
from arrayse.parallel import run_tasks
from arrayse.processes import keep_freed_memory
from arrayse.provenance import ABOUT
from arrayse.summary import NOISY, Request, summarise_rows

TARGET = "target"
LIMIT_SECONDS = 60.0
"""Of a score that is computed in C and cannot be stopped otherwise."""
ROWS, REQUEST = "rows.jsonl", "request.json"


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
        ValueError: a run that was trained for another array or rate, an unknown baseline, too few scenes, a beamformer
            in scenes without a known direction, or a folder that holds something else.
    """
    dataset = open_dataset(request.data)
    entries = _wanted_entries(request, dataset)
    enhancers = {name: load_enhancer(run) for name, run in request.runs.items()}
    abouts = {name: read_json(run / ABOUT, "run") for name, run in request.runs.items()}
    for name, enhancer in enhancers.items():
        check_fits(name, enhancer, dataset)
    names = _checked_names(request)
    beamformers = {name: describe(name, entries) for name in request.beamformers}
    _claim(out, request)
    n_rows = (len(names) + len(noisy_mics(enhancers, dataset))) * len(request.snr_db)
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
    noisy = dict.fromkeys(beamformers, NOISY)
    noisy |= {name: noisy_name(enhancer.ref_mic, dataset) for name, enhancer in enhancers.items()}
    summary = summarise_rows(request, dataset, entries, enhancers, beamformers, noisy, abouts, rows, about)
    write_json(out / "summary.json", summary)
    return summary


def _wanted_entries(request: Request, dataset: Dataset) -> list[SceneEntry]:
    """The scenes to score, in all of which the target has a direction if there are beamformers that are told it."""
    entries = dataset.entries(request.split)
    if request.n_scenes is not None and request.n_scenes > len(entries):
        raise ValueError(f"n_scenes: expected at most {len(entries)} (split {request.split}), got {request.n_scenes}")
    entries = entries[: request.n_scenes]
    steered = any(BEAMFORMERS[name].steered for name in request.beamformers)
    for entry in entries if steered else []:
        target_direction(entry, dataset.geometry)
    return entries


def _checked_names(request: Request) -> list[str]:
    """Beamformers and runs; raises ValueError for names that stand for something else, and for an unknown baseline."""
    reserved = {NOISY, TARGET, *request.beamformers} & set(request.runs)
    if reserved:
        raise ValueError(
            f"runs: expected other names than {NOISY}, {TARGET} and those of beamformers, got {', '.join(reserved)}"
        )
    names = [*request.beamformers, *request.runs]
    if request.baseline is not None and request.baseline not in names:
        raise ValueError(f"baseline: expected one of {', '.join(names)}, got {request.baseline}")
    return names


def check_fits(name: str, enhancer: Enhancer, dataset: Dataset) -> None:
    """Raises ValueError unless the dataset has the array and rate that the enhancer was made for."""
    if enhancer.sample_rate != dataset.sample_rate:
        raise ValueError(
            f"{name} sample_rate: expected {dataset.sample_rate} Hz as the data, got {enhancer.sample_rate}"
        )
    if enhancer.geometry.positions.tolist() != dataset.geometry.positions.tolist():
        raise ValueError(
            f"{name} array: expected data of {enhancer.geometry.name} ({enhancer.geometry.n_mics} mics), which it was "
            f"trained for, got data of {dataset.geometry.name} ({dataset.geometry.n_mics} mics)"
        )


def score_scene(task: SceneTask) -> list[dict[str, Any]]:
    """The rows of one scene: the noisy reference microphones, beamformers and networks, at every SNR.

    Every row is scored against the target at its own microphone.
    """
    if multiprocessing.parent_process() is not None:  # a worker shares the machine with the others
        torch.set_num_threads(1)
        keep_freed_memory()
    request, rows = task.request, []
    dataset = open_dataset(request.data)
    enhancers = {name: _enhancer(run) for name, run in request.runs.items()}
    mics = noisy_mics(enhancers, dataset)
    for snr_db in request.snr_db:
        mixture = dataset.read(task.entry, wanted_snr_db=snr_db)
        noisy = mixture.noisy
        pairs = [(noisy_name(mic, dataset), noisy[mic], mic) for mic in mics]
        for name, wave in _beamformed(request, task.entry, dataset, mixture).items():
            pairs.append((name, wave, dataset.geometry.ref_mic))
        for name, enhancer in enhancers.items():
            pairs.append((name, enhancer.enhance(noisy, dataset.sample_rate), enhancer.ref_mic))
        for name, estimate, mic in pairs:
            stems = _stems(request, enhancers.get(name), mixture)
            given = (estimate, mixture.target[mic], dataset.sample_rate, request.metrics, noisy[mic], stems)
            scores = score(*given, limit_s=LIMIT_SECONDS)
            values = {metric: got.value for metric, got in scores.items()}
            reasons = {metric: got.reason for metric, got in scores.items() if got.value is None}
            rows.append({"system": name, "scene": task.entry.id, "snr_db": snr_db, **values, "reasons": reasons})
    return rows


def _stems(request: Request, enhancer: Enhancer | None, mixture: Mixture) -> Stems | None:
    """Target and all else through the masks of a network, where a metric asks for them and there are masks."""
    if not isinstance(enhancer, SpectralEnhancer) or not any(
        "stems" in METRICS[name].needs for name in request.metrics
    ):
        return None
    noisy, mic = mixture.noisy, enhancer.ref_mic
    parts = (mixture.target, noisy - mixture.target)
    return Stems(parts[0][mic], parts[1][mic], *(enhancer.shadow(noisy, part) for part in parts))


def _beamformed(request: Request, entry: SceneEntry, dataset: Dataset, mixture: Mixture) -> dict[str, np.ndarray]:
    """What the beamformers make of a scene, by name."""
    rate, geometry = dataset.sample_rate, dataset.geometry
    return {name: baseline(name, mixture, entry, geometry, rate) for name in request.beamformers}


def noisy_mics(enhancers: dict[str, Enhancer], dataset: Dataset) -> list[int]:
    """The microphones whose noisy signal is scored: the array's reference, and those that systems estimate."""
    others = {enhancer.ref_mic for enhancer in enhancers.values()} - {dataset.geometry.ref_mic}
    return [dataset.geometry.ref_mic, *sorted(others)]


def noisy_name(mic: int, dataset: Dataset) -> str:
    """``noisy``, or ``noisy mic N`` for a microphone that is not the array's reference."""
    return NOISY if mic == dataset.geometry.ref_mic else f"{NOISY} mic {mic}"


@functools.cache
def _enhancer(run: Path) -> Enhancer:
    return load_enhancer(run)


def _claim(out: Path, request: Request) -> None:
    """Notes what is evaluated in ``out``, or checks that it is the same as what was begun there."""
    wanted = {
        "runs": {name: sha256_of(run / WEIGHTS) for name, run in request.runs.items()},
        "models": {name: sha256_of(run / MODEL) for name, run in request.runs.items()},
        "data": sha256_of(request.data / "dataset.json"),
        "split": request.split,
        "snr_db": request.snr_db,
        "n_scenes": request.n_scenes,
        "metrics": request.metrics,
        "beamformers": request.beamformers,
    }
    path = out / REQUEST
    if path.is_file():
        there = {"beamformers": []} | read_json(path, "evaluation")  # evaluations had none once
        other = [name for name in wanted if there.get(name) != wanted[name]]
        if other:
            raise ValueError(
                f"{out}: expected an empty folder or the same evaluation, got one with other {', '.join(other)}"
            )
        return
    check_new_folder(out, "an evaluation")
    write_json(path, wanted)


def _complete_rows(path: Path, entries: list[SceneEntry], n_rows: int) -> list[dict[str, Any]]:
    """The rows of the scenes that are complete; a scene cut short by a kill is scored again."""
    by_scene: dict[str, list[dict[str, Any]]] = {entry.id: [] for entry in entries}
    if path.is_file():
        for row in read_json_lines(path):
            if row["scene"] not in by_scene:
                raise ValueError(f"{path}: expected scenes of this evaluation, got {row['scene']}")
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
        waves = {NOISY: noisy[ref], TARGET: mixture.target[ref]}
        waves.update(_beamformed(request, entry, dataset, mixture))
        waves.update({name: enhancer.enhance(noisy, dataset.sample_rate) for name, enhancer in enhancers.items()})
        gain = min(1.0, 0.99 / max(float(np.abs(wave).max()) for wave in waves.values()))  # one gain: levels compare
        files = {}
        for number, (name, wave) in enumerate(waves.items()):
            files[name] = f"audio/{entry.id}-{number}.wav"
            write_audio(out / files[name], gain * wave, dataset.sample_rate)
        kinds = ", ".join(excerpt["group"] for excerpt in entry.numbers["source_excerpts"][1:])
        title = f"{entry.id}: {kinds}, RT60 {entry.numbers['rt60_measured']:.2f} s"
        examples.append({"scene": entry.id, "snr_db": snr_db, "title": title, "waves": files})
    write_json(out / "examples.json", examples)
