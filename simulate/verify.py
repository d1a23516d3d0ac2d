"""A dataset checked against its own manifests: every file, hash and statistic; and mended where it is broken."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from arrayse.audio import audio_info
from arrayse.files import read_json_lines, sha256_of
from arrayse.mixture import STEMS, Dataset, SceneEntry, open_dataset, snr_db
from arrayse.parallel import run_tasks
from simulate.description import open_world
from simulate.generate import SHARD_SCENES, generate

SNR_TOLERANCE_DB = 0.02
"""What 16 bits may change the SNR of a scene by."""


@dataclass(frozen=True)
class ShardCheck:
    """One task: the folder of a shard and the scenes that it is to hold."""

    dataset: Dataset
    folder: Path
    ids: list[str]


@dataclass(frozen=True)
class Finding:
    """What is wrong with a shard: where, in words."""

    folder: Path
    problem: str


@dataclass(frozen=True)
class Statistics:
    """Of all scenes that are in order: lowest, mean and highest by name, and how many there are."""

    n_scenes: int
    ranges: dict[str, tuple[float, float, float]]


def verify(
    folder: Path, workers: int, progress: Callable[[int, int], None] = lambda done, total: None
) -> tuple[list[Finding], Statistics]:
    """Checks all shards of a dataset.

    Args:
        folder: of the dataset.
        workers: processes.
        progress: called with scenes checked and scenes in all.

    Returns:
        What is wrong, and statistics of what is not.

    Raises:
        ValueError: there is no dataset.
    """
    dataset = open_dataset(folder)
    checks = [check for split, n in dataset.n_scenes.items() for check in _checks(dataset, split, n)]
    total, done = sum(len(check.ids) for check in checks), 0
    findings: list[Finding] = []
    numbers: list[dict[str, float]] = []
    progress(done, total)
    for n_scenes, found, told in run_tasks(check_shard, checks, workers):
        findings, numbers, done = findings + found, numbers + told, done + n_scenes
        progress(done, total)
    names = numbers[0] if numbers else {}
    columns = {name: np.array([row[name] for row in numbers]) for name in names}
    ranges = {name: (float(c.min()), float(c.mean()), float(c.max())) for name, c in columns.items()}
    return sorted(findings, key=lambda finding: str(finding.folder)), Statistics(len(numbers), ranges)


def repair(
    folder: Path,
    findings: list[Finding],
    workers: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Makes the shards with findings again; they come out with the bytes that they should have had.

    Raises:
        ValueError: corpora that are gone or have changed; see :func:`simulate.generate.generate`.
    """
    world, n_scenes = open_world(folder)
    for broken in {finding.folder for finding in findings}:
        shutil.rmtree(broken, ignore_errors=True)
    generate(folder, world, n_scenes, workers, progress)


def check_shard(check: ShardCheck) -> tuple[int, list[Finding], list[dict[str, float]]]:
    """Scenes looked at, what is wrong, and the statistics of the scenes in which nothing is."""
    findings, numbers = [], []
    for id_, entry in zip(check.ids, _entries(check), strict=True):
        problem = f"expected scene {id_}, got none" if entry is None else _problem(check.dataset, id_, entry)
        if problem:
            findings.append(Finding(check.folder, f"{check.folder.name}: {problem}"))
        elif entry is not None:
            numbers.append(_statistics(entry))
    return len(check.ids), findings, numbers


def _checks(dataset: Dataset, split: str, n_scenes: int) -> list[ShardCheck]:
    checks = []
    for first in range(0, n_scenes, SHARD_SCENES):
        ids = [f"{split}-{index:06d}" for index in range(first, min(first + SHARD_SCENES, n_scenes))]
        folder = dataset.folder / split / f"shard-{first // SHARD_SCENES:05d}"
        checks.append(ShardCheck(dataset, folder, ids))
    return checks


def _entries(check: ShardCheck) -> list[SceneEntry | None]:
    """The entries of the wanted scenes; None for those that the manifest does not tell of."""
    try:
        rows = [SceneEntry(check.folder, row) for row in read_json_lines(check.folder / "manifest.jsonl")]
        there = {entry.id: entry for entry in rows}
    except (ValueError, KeyError, TypeError):
        there = {}
    return [there.get(id_) for id_ in check.ids]


def _problem(dataset: Dataset, id_: str, entry: SceneEntry) -> str | None:
    """What is wrong with a scene, or None."""
    try:
        if not entry.path.is_file():
            return f"expected a file {entry.path.name}, got none"
        digest = sha256_of(entry.path)
        if digest != entry.numbers["sha256"]:
            return f"expected {entry.path.name} with SHA-256 {entry.numbers['sha256'][:12]}…, got {digest[:12]}…"
        info = audio_info(entry.path)
        wanted = (dataset.sample_rate, len(STEMS) * dataset.geometry.n_mics, entry.n_samples)
        if (info.sample_rate, info.n_channels, info.n_samples) != wanted:
            return f"expected {wanted} (Hz, channels, samples) in {entry.path.name}, got {info}"
        mixture = dataset.read(entry)
        measured = snr_db(mixture.speech[mixture.ref_mic], mixture.noise[mixture.ref_mic])
        if not abs(measured - entry.numbers["snr_db_measured"]) <= SNR_TOLERANCE_DB:
            return f"expected an SNR of {entry.numbers['snr_db_measured']:.2f} dB in {id_}, got {measured:.2f} dB"
        if not all(math.isfinite(value) for value in _statistics(entry).values()):
            return f"expected finite numbers in the manifest line of {id_}, got {_statistics(entry)}"
    except (ValueError, KeyError, TypeError) as error:
        return f"scene {id_}: {error!r}" if isinstance(error, KeyError) else f"scene {id_}: {error}"
    return None


def _statistics(entry: SceneEntry) -> dict[str, float]:
    numbers = entry.numbers
    told = {"seconds": entry.n_samples / numbers["sample_rate"], "SNR (dB)": numbers["snr_db_measured"]}
    told["RT60 (s)"] = numbers["rt60_measured"]
    asked = numbers["place"]["rt60"] if numbers["place"] is not None else numbers["rt60_measured"]
    told["RT60 measured / asked"] = numbers["rt60_measured"] / asked if asked else 1.0
    told["sources"] = len(numbers["source_levels_db"])
    return told
