"""A small training on the tiny dataset, in this process or as a program that is stopped, killed or one of several."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from arrayse.data import Item, SceneReader
from arrayse.kd import CachedViews, Distillation, LiveViews, Teacher
from arrayse.kd.cache import ViewCache
from arrayse.losses import WaveMagnitudeL1
from arrayse.manifest import SceneEntry
from arrayse.mixture import open_dataset
from arrayse.objectives import Supervised
from arrayse.training.loop import fit
from arrayse.training.settings import FitSettings, Phase
from arrayse.training.stop import StoppedBySignal
from tests.tiny import distillation, enhancer

FILES = ("model.safetensors", "training.safetensors", "metrics.jsonl")
POISONED = "train-000003"
PLANS = ("supervised", "two_step", "three_step", "poisoned")
N_STEPS = 3
"""Steps of an epoch: six scenes in batches of two."""


@dataclass(frozen=True)
class PoisonedReader(SceneReader):
    """One scene has a NaN in it."""

    def read(self, entry: SceneEntry, draw: int) -> Item:
        item = super().read(entry, draw)
        if entry.id == POISONED:
            item.noisy[0, 100] = np.nan
        return item


def settings(**changed: Any) -> FitSettings:
    """Batches of two crops of 0.2 s, a checkpoint every second step, a rate that depends on what was before."""
    values = {"batch_size": 2, "seconds": 0.2, "learning_rate": 3e-3, "schedule": "plateau", "plateau_patience": 1}
    return FitSettings(**{**values, "checkpoint_steps": 2, "precision": "float32", **changed})


def phases_of(plan: str, cache: Path) -> list[Phase]:
    """Supervised training for two epochs; before it distillation with an adapter for two.

    Of three steps the first ends early, and the teacher's outputs are read from disk.
    """
    student = enhancer(mics=[0, 2], preset="metzger")
    supervised = Phase("supervised", Supervised(student, WaveMagnitudeL1()), 2)
    if plan not in ("two_step", "three_step"):
        return [supervised]
    teacher = enhancer(seed=1, preset="metzger")
    with torch.random.fork_rng():
        torch.manual_seed(2)  # the adapter is drawn here
        alone = distillation(student, teacher, "lin", supervised_weight=0.0)
    if plan == "two_step":
        return [Phase("distillation", alone, 2), supervised]
    with torch.no_grad():
        teacher.net.linear.weight.mul_(20.0)  # a bad example: the validation loss grows at once
    cached = [Teacher("teacher", CachedViews(LiveViews(teacher), ViewCache(cache)), alone.teachers[0].terms)]
    alone, both = (Distillation(student, WaveMagnitudeL1(), cached, weight) for weight in (0.0, 0.5))
    return [Phase("distillation", alone, 9, patience=1), Phase("both", both, 2), supervised]


def train(
    data: Path, run: Path, plan: str, on_step: Callable[[int], None] = lambda step: None, **changed: Any
) -> list[Phase]:
    """Trains with one thread; ``on_step`` is told how many steps this call has made."""
    torch.set_num_threads(1)
    phases, fitted, steps = phases_of(plan, run.with_name(run.name + "-cache")), settings(**changed), 0

    def progress(title: str, done: int, total: int, numbers: dict[str, float]) -> None:
        nonlocal steps
        if title != "validation" and "validation loss" not in numbers:  # the latter ends an epoch
            steps += 1
            on_step(steps)

    kind = PoisonedReader if plan == "poisoned" else SceneReader
    draws = 2 if plan == "three_step" else None
    splits = ("train", "valid")
    train_set, valid_set = (kind(open_dataset(data), split, [-5.0, 5.0], 0.2, 0, draws=draws) for split in splits)
    fit(run, phases, train_set, valid_set, fitted, progress)
    return phases


def stop_at(wanted: int) -> Callable[[int], None]:
    """SIGTERM to this process, if its rank is the last, after a number of steps."""

    def on_step(step: int) -> None:
        if step == wanted and os.environ.get("RANK", "0") == str(int(os.environ.get("WORLD_SIZE", "1")) - 1):
            signal.raise_signal(signal.SIGTERM)

    return on_step


def wait_at(wanted: int) -> Callable[[int], None]:
    """Tells the parent that a number of steps is done and waits for its answer."""

    def on_step(step: int) -> None:
        if step == wanted:
            print("there", flush=True)
            sys.stdin.readline()

    return on_step


def kill_at_write(wanted: int) -> None:
    """SIGKILL in the middle of a write, the new file written but not yet in place."""
    replace, writes = os.replace, 0

    def counting(source: Any, destination: Any) -> None:
        nonlocal writes
        writes += 1
        if writes == wanted:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, destination)

    os.replace = counting  # type: ignore[assignment]


def main(data: str, run: str, plan: str, event: str = "none", number: str = "0") -> None:
    """Trains; ``event`` is ``none``, ``stop``, ``wait`` or ``kill``, and happens at ``number``."""
    if event == "kill":
        kill_at_write(int(number))
    on_step = {"stop": stop_at, "wait": wait_at}.get(event, lambda wanted: lambda step: None)(int(number))
    try:
        train(Path(data), Path(run), plan, on_step)
    except StoppedBySignal as stopped:
        sys.exit(stopped.exit_code)


if __name__ == "__main__":
    main(*sys.argv[1:])
