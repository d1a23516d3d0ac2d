"""The loop over shards: scenes in, a dataset folder out; resumable, the same bytes for any number of workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from arrayse.files import read_json, remove_leftovers, sha256_of, whole_folder, write_json, write_json_lines
from arrayse.geometry import ArrayGeometry
from arrayse.mixture import SPLITS, Mixture
from arrayse.parallel import run_tasks
from simulate.corpus import Corpus, label_of
from simulate.render import render
from simulate.scene import Recipe, draw_scene

SHARD_SCENES = 20
FULL_SCALE = 32767


@dataclass(frozen=True)
class Shard:
    """One task: scenes ``first`` to ``last`` (exclusive) of a split."""

    folder: Path
    split: str
    first: int
    last: int
    seed: int
    recipe: Recipe
    geometry: ArrayGeometry
    speech: Corpus
    noise: Corpus

    @property
    def path(self) -> Path:
        return self.folder / self.split / f"shard-{self.first // SHARD_SCENES:05d}"


def generate(
    out: Path,
    recipe: Recipe,
    geometry: ArrayGeometry,
    speech: Corpus,
    noise: Corpus,
    n_scenes: dict[str, int],
    seed: int,
    workers: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Simulates a dataset into ``out``; what is already there is kept, what is missing is made.

    Args:
        out: the dataset folder.
        n_scenes: scenes per split; 0 leaves a split out.
        seed: with the scene's number it decides everything.
        workers: processes.
        progress: called with scenes done and scenes in all.

    Raises:
        ValueError: ``out`` holds a dataset of another recipe, a corpus has no files in a split, or a scene that
            cannot be drawn.
    """
    splits = {split: n_scenes[split] for split in SPLITS if n_scenes.get(split, 0) > 0}
    for split in splits:
        speech.files(split)
        noise.files(split)
    write_description(out, recipe, geometry, speech, noise, splits, seed)
    shards = [shard for split, n in splits.items() for shard in _shards(out, split, n, seed, recipe, geometry, speech, noise)]
    for split in splits:
        (out / split).mkdir(exist_ok=True)
        remove_leftovers(out / split)
    total = sum(splits.values())
    missing = [shard for shard in shards if not shard.path.is_dir()]
    done = total - sum(shard.last - shard.first for shard in missing)
    progress(done, total)
    for n_made in run_tasks(make_shard, missing, workers):
        done += n_made
        progress(done, total)


def write_description(
    out: Path,
    recipe: Recipe,
    geometry: ArrayGeometry,
    speech: Corpus,
    noise: Corpus,
    n_scenes: dict[str, int],
    seed: int,
) -> None:
    """Writes ``dataset.json``, or checks that the one there tells of the same dataset."""
    wanted: dict[str, Any] = {
        "label": label_of([speech, noise]),
        "sample_rate": speech.sample_rate,
        "array": geometry.to_dict(),
        "speech": speech.source,
        "noise": noise.source,
        "n_scenes": n_scenes,
        "seed": seed,
        "recipe": asdict(recipe),
    }
    path = out / "dataset.json"
    if path.is_file():
        there = read_json(path, "dataset")
        other = [name for name in wanted if there.get(name) != wanted[name]]
        if other:
            raise ValueError(f"{out}: expected an empty folder or the same dataset, got one with other {', '.join(other)}")
        return
    if out.is_dir() and any(out.iterdir()):
        raise ValueError(f"{out}: expected an empty folder or a dataset, got a folder with other files")
    write_json(path, wanted)


def make_shard(shard: Shard) -> int:
    """Renders the scenes of one shard into its folder and returns how many they are."""
    with whole_folder(shard.path) as folder:
        rows = [_make_scene(shard, index, folder) for index in range(shard.first, shard.last)]
        write_json_lines(folder / "manifest.jsonl", rows)
    return shard.last - shard.first


def _make_scene(shard: Shard, index: int, folder: Path) -> dict[str, Any]:
    scene = draw_scene(shard.recipe, shard.geometry, shard.speech, shard.noise, shard.split, index, shard.seed)
    try:
        mixture, measured = render(scene, shard.geometry)
    except ValueError as error:
        raise ValueError(f"scene {scene.id}: {error}") from None
    file = folder / f"{scene.id}.wav"
    scales = _write_stems(file, mixture, scene.sample_rate)
    return {**scene.to_dict(), **measured, **scales, "file": file.name, "sha256": sha256_of(file)}


def _write_stems(path: Path, mixture: Mixture, sample_rate: int) -> dict[str, float]:
    """Writes 3 x n_mics channels of 16 bits, each group scaled to use them; the scales bring the levels back."""
    clean = np.concatenate([mixture.speech, mixture.target])
    scales = {}
    stored = []
    for name, stems in (("speech_scale", clean), ("noise_scale", mixture.noise)):
        scale = float(np.float32(np.abs(stems).max() * (FULL_SCALE + 1) / FULL_SCALE))
        stored.append(np.round(stems / scale * (FULL_SCALE + 1)).astype(np.int16))
        scales[name] = scale
    soundfile.write(str(path), np.concatenate(stored).T, sample_rate, "PCM_16", format="WAV")
    return scales


def _shards(
    out: Path,
    split: str,
    n_scenes: int,
    seed: int,
    recipe: Recipe,
    geometry: ArrayGeometry,
    speech: Corpus,
    noise: Corpus,
) -> Iterator[Shard]:
    for first in range(0, n_scenes, SHARD_SCENES):
        last = min(first + SHARD_SCENES, n_scenes)
        yield Shard(out, split, first, last, seed, recipe, geometry, speech, noise)
