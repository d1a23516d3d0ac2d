"""The loop over shards: scenes in, a dataset folder out; resumable, the same bytes with any workers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from arrayse.cluster import check_cluster
from arrayse.files import (
    check_free_space,
    one_line,
    read_json_lines,
    remove_leftovers,
    sha256_of,
    whole_folder,
    write_json_lines,
    write_text,
)
from arrayse.geometry import ArrayGeometry
from arrayse.manifest import MANIFEST, SceneEntry
from arrayse.mixture import STEMS, Mixture
from arrayse.parallel import run_tasks
from simulate.description import (
    stored_world,
    wanted_splits,
    warn_of_other_machine,
    write_description,
    write_files,
)
from simulate.render import render
from simulate.scene import Scene, World, draw_scene

SHARD_SCENES = 20
"""Scenes of a shard: what a killed run loses at most, for each worker."""

MANIFEST_HASH = "manifest.sha256"
"""Beside the manifest, in the form of sha256sum; the manifest has the hashes of the audio."""

FULL_SCALE = 32767


@dataclass(frozen=True)
class Shard:
    """One task: scenes ``first`` to ``last`` (exclusive) of a split."""

    folder: Path
    split: str
    first: int
    last: int

    @property
    def path(self) -> Path:
        """The folder that appears when the shard is whole."""
        return self.folder / self.split / f"shard-{self.first // SHARD_SCENES:05d}"


def generate(
    out: Path,
    world: World,
    n_scenes: dict[str, int],
    workers: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
    cluster: str | None = None,
    broken: frozenset[Path] = frozenset(),
) -> None:
    """Simulates a dataset into ``out``; what is already there is kept, what is missing is made.

    With other versions of numpy, numba and the like, or another type of CPU, than the dataset was begun with, the last
    bits of samples may differ: then it warns.

    Args:
        out: the dataset folder.
        world: what scenes are drawn from.
        n_scenes: scenes per split; 0 leaves a split out.
        workers: processes.
        progress: called with scenes done and scenes in all.
        cluster: None for processes of this machine; else see :func:`arrayse.cluster.run_on_cluster`.
        broken: folders of shards that are made again though nothing is missing there.

    Raises:
        ValueError: ``out`` holds a dataset of another recipe or corpus, a corpus has no files in a split, a scene
            that cannot be drawn or rendered, no scenes to make, a disk that cannot hold them, not a cluster.
        RuntimeError: see :func:`arrayse.parallel.run_tasks`.
    """
    out, splits = out.absolute(), wanted_splits(n_scenes)  # workers of a cluster may stand in other folders
    broken = frozenset(folder.absolute() for folder in broken)
    missing = [
        shard
        for split, n in splits.items()
        for shard in shards_of(out, split, n)
        if shard.path in broken or not is_whole(shard)
    ]
    total, n_missing = sum(splits.values()), sum(shard.last - shard.first for shard in missing)
    # whatever cannot be made is told before anything is written or removed
    if cluster is not None:
        check_cluster(cluster)
    check_free_space(out, n_missing * _scene_bytes(world, splits, {shard.split for shard in missing}))
    write_description(out, world, splits)
    if missing:
        warn_of_other_machine(out)
        write_files(out, world)
    for split in splits:
        (out / split).mkdir(exist_ok=True)
        remove_leftovers(out / split)
    for shard in missing:
        if shard.path.is_dir():  # broken, or someone took files out of it
            shutil.rmtree(shard.path)
    done = total - n_missing
    progress(done, total)
    try:
        with closing(run_tasks(make_shard, missing, workers, cluster)) as finished:  # its workers end first
            for n_made in finished:
                done += n_made
                progress(done, total)
    finally:
        for split in splits:
            remove_leftovers(out / split)  # of workers that were killed
    lost = [shard.path for shard in missing if not is_whole(shard)]
    if lost:
        raise RuntimeError(f"{lost[0]}: expected the shard that a worker made, got none: is the file system shared?")


def _scene_bytes(world: World, splits: Iterable[str], to_make: set[str]) -> int:
    """What the largest of the first scenes takes on the disk; those of splits ``to_make`` are rendered, as a trial."""
    needed = 0
    for split in splits:
        example = draw_scene(world, split, 0)
        if split in to_make:
            render(example, world.geometry)
        line_bytes = 2 * len(json.dumps(example.to_dict()))  # twice: others may take more pieces of files
        needed = max(needed, 2 * len(STEMS) * world.geometry.n_mics * example.n_samples + line_bytes)
    return needed


def make_shard(shard: Shard) -> int:
    """Renders the scenes of one shard into its folder and returns how many they are."""
    world = stored_world(shard.folder)
    write_shard(shard.path, _drawn(world, shard), world.geometry)
    return shard.last - shard.first


def write_shard(path: Path, scenes: Iterable[Scene], geometry: ArrayGeometry) -> None:
    """Renders scenes into the folder of a shard: their stems, the manifest and its hash; all of them or none.

    Raises:
        ValueError: a scene that cannot be rendered; it names the scene.
    """
    with whole_folder(path) as folder:
        rows = [_write_scene(scene, geometry, folder) for scene in scenes]
        write_json_lines(folder / MANIFEST, rows)
        write_text(folder / MANIFEST_HASH, f"{sha256_of(folder / MANIFEST)}  {MANIFEST}\n")


def is_whole(shard: Shard) -> bool:
    """Whether its folder is there, with a line of the manifest for every scene and every file that they name."""
    try:
        files = [SceneEntry(shard.path, row).path for row in read_json_lines(shard.path / MANIFEST)]
    except (ValueError, KeyError, TypeError):  # no manifest, or not one that was written here
        return False
    return len(files) == shard.last - shard.first and all(file.is_file() for file in files)


def _drawn(world: World, shard: Shard) -> Iterator[Scene]:
    """The scenes of a shard, one after the other."""
    for index in range(shard.first, shard.last):
        try:
            yield draw_scene(world, shard.split, index)
        except ValueError as error:
            raise ValueError(f"scene {shard.split}-{index:06d}: {error}") from None


def _write_scene(scene: Scene, geometry: ArrayGeometry, folder: Path) -> dict[str, Any]:
    """Renders and writes one scene and returns its line of the manifest."""
    try:
        mixture, measured = render(scene, geometry)
    except ValueError as error:
        raise ValueError(f"scene {scene.id}: {error}") from None
    file = folder / f"{scene.id}.wav"
    scales = write_stems(file, mixture, scene.sample_rate)
    return {**scene.to_dict(), **measured, **scales, "file": file.name, "sha256": sha256_of(file)}


def write_stems(path: Path, mixture: Mixture, sample_rate: int) -> dict[str, float]:
    """Writes 3 x n_mics channels of 16 bits that use the full scale; the scales bring the levels back.

    Speech and target share a scale, so that they stay comparable to the last bit.
    """
    clean = np.concatenate([mixture.speech, mixture.target])
    scales = {}
    stored = []
    for name, stems in (("speech_scale", clean), ("noise_scale", mixture.noise)):
        scale = float(np.float32(np.abs(stems).max() * (FULL_SCALE + 1) / FULL_SCALE))
        stored.append(np.round(stems / scale * (FULL_SCALE + 1)).astype(np.int16))
        scales[name] = scale
    try:
        soundfile.write(str(path), np.concatenate(stored).T, sample_rate, "PCM_16", format="WAV")
    except soundfile.LibsndfileError as error:
        # libsndfile does not tell why
        raise OSError(f"{path}: expected to be written, got {one_line(error)} Is the disk full?") from None
    return scales


def shards_of(out: Path, split: str, n_scenes: int) -> Iterator[Shard]:
    """The shards of a split in order."""
    for first in range(0, n_scenes, SHARD_SCENES):
        yield Shard(out, split, first, min(first + SHARD_SCENES, n_scenes))
