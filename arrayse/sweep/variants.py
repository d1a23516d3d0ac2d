"""The scenes of a dataset at every value of a sweep: drawn, checked, rendered into a dataset for each value."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arrayse.files import check_free_space, check_new_folder, read_json, remove_leftovers, write_json
from arrayse.geometry import ArrayGeometry
from arrayse.mixture import STEMS
from arrayse.parallel import run_tasks
from arrayse.sweep.conditions import CONDITIONS, Value, label_of
from simulate.generate import Shard, is_whole, shards_of, write_shard
from simulate.scene import Scene, World, draw_scene


@dataclass(frozen=True)
class Variant:
    """The scenes of one value.

    Attributes:
        label: of the value.
        geometry: the array.
        scenes: in the order of the split.
    """

    label: str
    geometry: ArrayGeometry
    scenes: list[Scene]

    @property
    def folder(self) -> str:
        """A name that any file system takes."""
        return re.sub(r"[^\w.+-]+", "_", self.label)


@dataclass(frozen=True)
class _RenderTask:
    """The scenes of one shard."""

    shard: Shard
    geometry: ArrayGeometry
    scenes: list[Scene]


def draw_variants(name: str, values: Sequence[Value], world: World, split: str, n_scenes: int) -> list[Variant]:
    """Draws the first scenes of a split at every value; nothing is rendered yet.

    Args:
        name: of the condition.
        values: from :func:`arrayse.sweep.check_values`.
        world: what the scenes of the dataset were drawn from.
        split: train, valid or test.
        n_scenes: how many.

    Raises:
        ValueError: a condition that measured rooms cannot have, a scene that cannot have a value, see
            :func:`simulate.scene.draw_scene`.
    """
    condition = CONDITIONS[name]
    if world.rooms is not None and condition.in_place:
        raise ValueError(
            f"condition: expected one that measured rooms can have, got {name}: they are as they were measured "
            f"({world.rooms.source})"
        )
    variants = []
    for value in values:
        changed = condition.world(world, value, values)
        scenes = []
        for index in range(n_scenes):
            try:
                scene = draw_scene(changed, split, index)
                scenes.append(condition.scene(scene, changed.geometry, value))
            except ValueError as error:
                raise ValueError(f"values: {name} {label_of(value)} in scene {split}-{index:06d}: {error}") from None
        variants.append(Variant(label_of(value), changed.geometry, scenes))
    return variants


def count_paired(variants: Sequence[Variant]) -> int:
    """Scenes whose sources play the same from the same places at all values, as far as there are so many sources."""
    rows = zip(*(variant.scenes for variant in variants), strict=True)
    return sum(all(_same(scene, scenes[0]) for scene in scenes) for scenes in rows)


def _same(scene: Scene, other: Scene) -> bool:
    n = min(len(scene.source_excerpts), len(other.source_excerpts))
    places = [[] if each.place is None else each.place.source_positions[:n] for each in (scene, other)]
    return scene.source_excerpts[:n] == other.source_excerpts[:n] and places[0] == places[1]


def render_variant(
    variant: Variant,
    folder: Path,
    about: dict[str, Any],
    split: str,
    workers: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Renders a variant into a dataset folder; what is there is kept.

    Args:
        variant: the scenes of one value.
        folder: of the dataset.
        about: what is the same for all values, noted in ``dataset.json``: ``label``, ``sample_rate`` and ``sweep``.
        split: of the scenes.
        workers: processes.
        progress: called with scenes rendered and scenes in all.

    Raises:
        ValueError: another sweep in the folder, a disk that cannot hold the scenes, see
            :func:`simulate.render.render`.
    """
    _claim(folder, variant, about, split)
    remove_leftovers(folder / split)
    shards = [shard for shard in shards_of(folder, split, len(variant.scenes)) if not is_whole(shard)]
    tasks = [_RenderTask(shard, variant.geometry, variant.scenes[shard.first : shard.last]) for shard in shards]
    check_free_space(folder, sum(map(_n_bytes, tasks)))
    done = len(variant.scenes) - sum(len(task.scenes) for task in tasks)
    progress(done, len(variant.scenes))
    for n_made in run_tasks(_render_shard, tasks, workers):
        done += n_made
        progress(done, len(variant.scenes))


def _claim(folder: Path, variant: Variant, about: dict[str, Any], split: str) -> None:
    """Writes ``dataset.json``, or checks that it tells of the same scenes."""
    wanted = {
        **about,
        "array": variant.geometry.to_dict(),
        "n_scenes": {split: len(variant.scenes)},
        "sweep": {**about["sweep"], "value": variant.label},
    }
    path = folder / "dataset.json"
    if path.is_file():
        there = read_json(path, "dataset of a sweep")
        other = sorted(key for key in wanted if there.get(key) != wanted[key])
        if other:
            told = ", ".join(other)
            raise ValueError(f"{folder}: expected an empty folder or the same sweep, got one with other {told}")
    else:
        check_new_folder(folder, "a dataset of a sweep")
        write_json(path, wanted)
    (folder / split).mkdir(exist_ok=True)


def _n_bytes(task: _RenderTask) -> int:
    return sum(2 * len(STEMS) * task.geometry.n_mics * scene.n_samples for scene in task.scenes)


def _render_shard(task: _RenderTask) -> int:
    """Renders the scenes of one shard into its folder and returns how many."""
    try:
        write_shard(task.shard.path, task.scenes, task.geometry)
    except ValueError as error:
        raise ValueError(f"{task.shard.folder.name}, {error}") from None
    return len(task.scenes)
