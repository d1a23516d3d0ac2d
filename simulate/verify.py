"""A dataset checked against its own manifests: every file, hash and statistic; and mended where it is broken."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from arrayse.audio import audio_info
from arrayse.files import read_json, read_json_lines, sha256_of
from arrayse.manifest import SceneEntry
from arrayse.mixture import SPLITS, STEMS, Dataset, open_dataset, snr_db
from arrayse.parallel import run_tasks
from simulate.description import FORMAT, open_world, read_description, stored_world, write_files
from simulate.generate import MANIFEST_HASH, generate, shards_of

SNR_TOLERANCE_DB = 0.02
"""What 16 bits may change the SNR of a scene by."""

DAMAGE = (ValueError, KeyError, TypeError, ArithmeticError, OSError)
"""What comes up where a manifest or a file is not what was written."""

NO_SHARD = "expected a shard folder, got none"
"""What a dataset lacks whose simulation was interrupted."""


@dataclass(frozen=True)
class ShardCheck:
    """One task: the folder of a shard and the scenes that it is to hold."""

    dataset: Dataset
    folder: Path
    ids: list[str]


@dataclass(frozen=True)
class Finding:
    """What is wrong with a shard, or with the dataset as a whole: which folder, and what in words."""

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
    """Checks the description of a dataset and all its shards.

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
    findings = _check_description(folder) + _unknown_shards(dataset)
    checks = [check for split, n in dataset.n_scenes.items() for check in _checks(dataset, split, n)]
    total, done = sum(len(check.ids) for check in checks), 0
    numbers: list[dict[str, float]] = []
    progress(done, total)
    for n_scenes, found, told in run_tasks(check_shard, checks, workers):
        findings, numbers, done = findings + found, numbers + told, done + n_scenes
        progress(done, total)
    names = dict.fromkeys(name for row in numbers for name in row)
    columns = {name: np.array([row[name] for row in numbers if name in row]) for name in names}
    ranges = {name: (float(c.min()), float(c.mean()), float(c.max())) for name, c in columns.items()}
    return sorted(findings, key=lambda finding: str(finding.folder)), Statistics(len(numbers), ranges)


def repair(
    folder: Path,
    findings: list[Finding],
    workers: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Finding]:
    """Makes the shards with findings again; they come out with the bytes that they should have had.

    Other versions of libraries, or another type of CPU, may round otherwise: what is made is compared with the hashes
    that are known of what was there. Shards that the dataset should not have stay where they are: they may be
    somebody's copy.

    Returns:
        What came out whole, but with other bytes than before; nothing will tell of that later.

    Raises:
        ValueError: a dataset of another version of the simulator, corpora that are gone or have changed, a disk that
            is full; see :func:`simulate.generate.generate`. Nothing has been removed then.
    """
    world, n_scenes = open_world(folder)
    broken = frozenset(finding.folder.absolute() for finding in findings)
    shards = [shard.path for split, n in n_scenes.items() for shard in shards_of(folder.absolute(), split, n)]
    before = {shard: _known_hashes(shard) for shard in shards if shard in broken}
    generate(folder, world, n_scenes, workers, progress, broken=broken)
    if folder.absolute() in broken:
        write_files(folder, world)
    return [finding for shard, known in before.items() for finding in _other_bytes(folder, shard, known)]


def _known_hashes(shard: Path) -> dict[str, str]:
    """SHA-256 that the files of a damaged shard had when they were made, as far as anything still vouches for it.

    That is the hash beside the manifest, for all lines; or a file that has the SHA-256 of its line.
    """
    known: dict[str, str] = {}
    with suppress(*DAMAGE):
        as_written = _manifest_problem(shard) is None
        for row in read_json_lines(shard / "manifest.jsonl"):
            file = SceneEntry(shard, row).path  # a line may name any file of the machine
            if as_written or (file.is_file() and sha256_of(file) == row["sha256"]):
                known[file.name] = row["sha256"]
    return known


def _other_bytes(folder: Path, shard: Path, known: dict[str, str]) -> list[Finding]:
    """The files of a new shard whose bytes are not those that are ``known``."""
    made = {row["file"]: row["sha256"] for row in read_json_lines(shard / "manifest.jsonl")}
    other = [name for name, sha256 in known.items() if made.get(name) != sha256]
    if not other:
        return []
    what = f"{shard.relative_to(folder.absolute()).as_posix()}: expected the bytes that {', '.join(other)} had before"
    return [Finding(shard, f"{what}, got others: another type of CPU or other versions of libraries made them")]


def check_shard(check: ShardCheck) -> tuple[int, list[Finding], list[dict[str, float]]]:
    """Scenes looked at, what is wrong, and the statistics of the scenes in which nothing is."""
    problems: list[str] = []
    numbers = []
    try:
        rows = [SceneEntry(check.folder, row) for row in read_json_lines(check.folder / "manifest.jsonl")]
        ids = [entry.id for entry in rows]
        entries = {entry.id: entry for entry in rows if entry.id in check.ids}
    except DAMAGE as error:
        entries, problems = {}, [_told(error) if check.folder.is_dir() else NO_SHARD]
    else:
        problems += [f"expected scene {id_}, got none" for id_ in check.ids if id_ not in entries]
        if not problems and ids != check.ids:
            problems.append(f"expected scenes {check.ids[0]} to {check.ids[-1]}, each once in order, got others")
    for entry in entries.values():
        problem = _problem(check.dataset, entry)
        if problem:
            problems.append(problem)
        else:
            numbers.append(_statistics(entry))
    changed = None if problems else _manifest_problem(check.folder)
    problems += [changed] if changed else []
    name = check.folder.relative_to(check.dataset.folder).as_posix()
    return len(check.ids), [Finding(check.folder, f"{name}: {problem}") for problem in problems], numbers


def _manifest_problem(shard: Path) -> str | None:
    """What is wrong with a manifest if it has not the hash that was written with it, or None."""
    told = shard / MANIFEST_HASH
    if not told.is_file():
        return f"expected a file {MANIFEST_HASH}, got none"
    if told.read_text(errors="replace").split(" ")[0] != sha256_of(shard / "manifest.jsonl"):
        return f"expected a manifest with the hash in {MANIFEST_HASH}, got another: it was changed"
    return None


def _check_description(folder: Path) -> list[Finding]:
    """What is wrong with ``dataset.json`` or ``corpora.json``.

    One of another version of the simulator is told when something has to be made again. What ``arrayse sweep`` wrote
    has no recipe: its scenes are those of another dataset.
    """
    description = read_json(folder / "dataset.json", "dataset")
    if isinstance(description, dict) and "sweep" in description:
        return []
    try:
        if read_description(folder).get("format") == FORMAT:
            stored_world(folder)
    except ValueError as error:
        return [Finding(folder, str(error))]
    return []


def _checks(dataset: Dataset, split: str, n_scenes: int) -> list[ShardCheck]:
    return [
        ShardCheck(dataset, shard.path, [f"{split}-{index:06d}" for index in range(shard.first, shard.last)])
        for shard in shards_of(dataset.folder, split, n_scenes)
    ]


def _unknown_shards(dataset: Dataset) -> list[Finding]:
    """Folders that would be read as shards, but are none of the dataset's."""
    findings = []
    for split in SPLITS:
        wanted = {shard.path for shard in shards_of(dataset.folder, split, dataset.n_scenes.get(split, 0))}
        for folder in set((dataset.folder / split).glob("shard-*")) - wanted:
            problem = f"expected {len(wanted)} shards in {split}, got this one too: move it elsewhere"
            findings.append(Finding(folder, f"{split}/{folder.name}: {problem}"))
    return findings


def _problem(dataset: Dataset, entry: SceneEntry) -> str | None:
    """What is wrong with a scene, or None."""
    id_ = entry.id
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
    except DAMAGE as error:
        return f"scene {id_}: {_told(error)}"
    return None


def _told(error: Exception) -> str:
    return f"expected a value for {error}, got none" if isinstance(error, KeyError) else str(error)


def _statistics(entry: SceneEntry) -> dict[str, float]:
    """Numbers of a scene; of one whose RT60 is not known none of it, and nothing asked of one in a measured room."""
    numbers = entry.numbers
    told = {"seconds": entry.n_samples / numbers["sample_rate"], "SNR (dB)": numbers["snr_db_measured"]}
    told["sources, talker included"] = len(numbers["source_levels_db"])
    rt60 = numbers["rt60_measured"]
    if rt60:  # measured rooms without a usable decay have none; 0 in older datasets
        told["RT60 (s)"] = rt60
        if numbers["place"] is not None:
            told["RT60 measured / asked"] = rt60 / numbers["place"]["rt60"]
    return told
