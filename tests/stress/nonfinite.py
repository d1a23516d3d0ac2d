"""NaN in a batch, a gradient or a teacher: the step changes nothing, its scenes are named, three in a row end it."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from arrayse.data import Item, SceneReader
from arrayse.files import read_json_lines
from arrayse.losses import WaveMagnitudeL1
from arrayse.manifest import SceneEntry
from arrayse.mixture import open_dataset
from arrayse.objectives import Batch, Supervised
from arrayse.training.loop import fit
from arrayse.training.settings import Phase
from tests.stress.common import Row, World, run
from tests.tiny import enhancer
from tests.train_program import settings


@dataclass(frozen=True)
class Poisoned(SceneReader):
    """Some scenes have one sample that is no number."""

    scenes: frozenset[str]
    value: float

    def read(self, entry: SceneEntry, draw: int) -> Item:
        item = super().read(entry, draw)
        if entry.id in self.scenes:
            item.noisy[0, 100] = self.value
        return item


class Watched(Supervised):
    """Keeps the weights that every step began with; of one scene the loss is finite but its gradient is not."""

    def __init__(self, number: int, steep: str = "") -> None:
        super().__init__(enhancer(seed=number), WaveMagnitudeL1())
        self.weights: list[Tensor] = []
        self.steep = steep

    def now(self) -> Tensor:
        """All weights."""
        return torch.cat([weight.detach().flatten() for weight in self.student.parameters()])

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        self.weights.append(self.now())
        terms = super().forward(batch)
        if self.steep in batch.ids:
            terms["loss"] = terms["loss"] + (0 * next(self.student.parameters())).sqrt().sum()
        return terms


def _fit(world: World, number: int, folder: Path, objective: Watched, scenes: frozenset[str], value: float) -> None:
    dataset = open_dataset(world.data)
    reader = Poisoned(dataset, "train", [-5.0, 5.0], 0.2, number, scenes=scenes, value=value)
    valid = SceneReader(dataset, "valid", [-5.0, 5.0], 0.2, 0)
    fit(folder, [Phase("p", objective, 1)], reader, valid, settings(), lambda *_: None)


def _refused(folder: Path) -> list[dict[str, object]]:
    return [row for row in read_json_lines(folder / "metrics.jsonl") if row["event"] == "not_finite"]


def _scene_and_value(world: World, draw: random.Random) -> tuple[str, float]:
    scene = draw.choice(open_dataset(world.data).entries("train")).id
    return scene, draw.choice((np.nan, np.inf, -np.inf))


def _one_step_changed_nothing(objective: Watched, folder: Path, scene: str) -> bool:
    """Whether the step with the scene is named and left the weights bit for bit, and every other one changed them."""
    told = _refused(folder)
    kept = [torch.equal(before, after) for before, after in pairwise([*objective.weights, objective.now()])]
    named = len(told) == 1 and scene in str(told[0]["ids"])
    return named and [step for step, same in enumerate(kept) if same] == [told[0]["step"]]


def batch(world: World, number: int, folder: Path, draw: random.Random) -> bool:
    """Trains an epoch with a poisoned scene; whether all is as promised."""
    (scene, value), objective = _scene_and_value(world, draw), Watched(number)
    _fit(world, number, folder, objective, frozenset({scene}), value)
    return _one_step_changed_nothing(objective, folder, scene)


def gradient(world: World, number: int, folder: Path, draw: random.Random) -> bool:
    """Trains an epoch with a scene whose gradient is not finite; whether all is as promised."""
    scene, _ = _scene_and_value(world, draw)
    objective = Watched(number, scene)
    _fit(world, number, folder, objective, frozenset(), 0.0)
    return _one_step_changed_nothing(objective, folder, scene)


def every_batch(world: World, number: int, folder: Path, draw: random.Random) -> bool:
    """Trains with poisoned scenes alone; whether the third step stops it, with the first weights."""
    (_, value), objective = _scene_and_value(world, draw), Watched(number)
    first, scenes = objective.now(), frozenset(entry.id for entry in open_dataset(world.data).entries("train"))
    try:
        _fit(world, number, folder, objective, scenes, value)
    except RuntimeError as error:
        stopped = "3 steps in a row" in str(error)
        return stopped and len(_refused(folder)) == 3 and torch.equal(objective.now(), first)
    return False


def teacher(world: World, number: int, folder: Path, draw: random.Random) -> bool:
    """Distils from a teacher with a NaN among its weights; whether it is refused, or stops with nothing learnt."""
    folder.mkdir()
    shutil.copytree(world.teacher, folder / "teacher")
    path = folder / "teacher" / "model.safetensors"
    weights = load_file(path)
    name = draw.choice(sorted(weights))
    weights[name].view(-1)[draw.randrange(weights[name].numel())] = float("nan")
    save_file(weights, path)
    command = world.distill(folder / "out")
    arguments = [part if not str(part).startswith("teacher=") else f"teacher={folder / 'teacher'}" for part in command]
    outcome = run([*arguments, f"seed={number}"], folder / "log.txt")
    stopped = outcome.code == 1 and "3 steps in a row" in outcome.output
    refused = outcome.code == 2 and "finite" in outcome.output
    return (stopped or refused) and not (folder / "out" / "model.safetensors").exists()


KINDS = {
    "NaN or infinity in a batch: refused, named, nothing changed": batch,
    "NaN in a gradient: refused, named, nothing changed": gradient,
    "NaN in every batch: stopped after three": every_batch,
    "NaN in a teacher: refused": teacher,
}


def check(world: World, n_times: int, folder: Path) -> Iterator[Row]:
    """Each so many times."""
    draw = random.Random(0)
    for place, (name, tried) in enumerate(KINDS.items()):
        good = sum(tried(world, number, folder / f"{place}-{number}", draw) for number in range(n_times))
        yield Row("not finite", name, n_times, n_times - good, "trainings with other weights, scenes and values")
