"""NaN in a batch and in a teacher: the step changes nothing, its scenes are named, three in a row stop the run."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from arrayse.data import Item, SceneReader
from arrayse.files import read_json_lines
from arrayse.losses import WaveMagnitudeL1
from arrayse.manifest import SceneEntry
from arrayse.mixture import open_dataset
from arrayse.objectives import Supervised
from arrayse.training.loop import Phase, fit
from tests.stress.common import Row, World, run
from tests.tiny import enhancer
from tests.train_program import settings


@dataclass(frozen=True)
class Poisoned(SceneReader):
    """One scene has one sample that is no number."""

    scene: str
    value: float

    def read(self, entry: SceneEntry, draw: int) -> Item:
        item = super().read(entry, draw)
        if entry.id == self.scene:
            item.noisy[0, 100] = self.value
        return item


def batch(world: World, number: int, folder: Path, draw: random.Random) -> bool:
    """Trains an epoch with a poisoned scene; whether all is as promised."""
    dataset, student = open_dataset(world.data), enhancer(seed=number)
    scene = draw.choice(dataset.entries("train")).id
    bad = draw.choice((np.nan, np.inf, -np.inf))
    reader = Poisoned(dataset, "train", [-5.0, 5.0], 0.2, number, scene=scene, value=bad)
    valid = SceneReader(dataset, "valid", [-5.0, 5.0], 0.2, 0)
    fit(folder, [Phase("p", Supervised(student, WaveMagnitudeL1()), 1)], reader, valid, settings(), lambda *_: None)
    told = [row for row in read_json_lines(folder / "metrics.jsonl") if row["event"] == "not_finite"]
    named = len(told) == 1 and scene in told[0]["ids"]
    return named and all(bool(torch.isfinite(weight).all()) for weight in student.parameters())


def teacher(world: World, number: int, folder: Path, draw: random.Random) -> bool:
    """Distils from a teacher with a NaN among its weights; whether it is refused, or stops with the first weights."""
    folder.mkdir()
    shutil.copytree(world.teacher, folder / "teacher")
    path = folder / "teacher" / "model.safetensors"
    weights = load_file(path)
    name = draw.choice(sorted(weights))
    weights[name].view(-1)[draw.randrange(weights[name].numel())] = float("nan")
    save_file(weights, path)
    command = World(world.folder).distill(folder / "out")
    arguments = [part if not str(part).startswith("teacher=") else f"teacher={folder / 'teacher'}" for part in command]
    outcome = run([*arguments, f"seed={number}"], folder / "log.txt")
    stopped = outcome.code == 1 and "3 steps in a row" in outcome.output
    refused = outcome.code == 2 and "finite" in outcome.output
    return (stopped or refused) and not (folder / "out" / "model.safetensors").exists()


def check(world: World, n_times: int, folder: Path) -> Iterator[Row]:
    """Each so many times."""
    folder.mkdir(parents=True)
    draw = random.Random(0)
    for name, tried in (("in a batch", batch), ("in a teacher", teacher)):
        good = sum(tried(world, number, folder / f"{name} {number}", draw) for number in range(n_times))
        yield Row("NaN", name, n_times, n_times - good)
