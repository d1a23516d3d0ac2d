"""From a dataset folder to batches.

Every draw is a function of (seed, epoch, scene), or of (draw, scene) where draws are repeated, so a resumed run sees
the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from arrayse.manifest import SceneEntry
from arrayse.mixture import Dataset
from arrayse.objectives import Batch


class Item(NamedTuple):
    """A crop of a scene at an SNR.

    Attributes:
        noisy: (n_mics, n_samples) float32.
        target: likewise.
        snr_db: of the whole scene.
        key: what it is in words; items of a dataset with equal keys are equal.
    """

    noisy: np.ndarray
    target: np.ndarray
    snr_db: float
    key: str


@dataclass(frozen=True)
class SceneReader:
    """Reads scenes of one split as noisy and target.

    Attributes:
        dataset: where the scenes lie.
        split: which of them.
        snr_db: lowest and highest SNR in dB of the uniform draw.
        seconds: length of the random crop; the whole scene if it is shorter.
        seed: start of all draws; of the order alone where draws are repeated.
        draws: how many different crops and SNRs a scene has, the same whatever the seed; None: new ones in every epoch.
    """

    dataset: Dataset
    split: str
    snr_db: list[float]
    seconds: float
    seed: int
    draws: int | None = field(default=None, kw_only=True)

    def entries(self) -> list[SceneEntry]:
        """The scenes of the split in order."""
        return self.dataset.entries(self.split)

    def read(self, entry: SceneEntry, draw: int) -> Item:
        """Draw number ``draw`` of one scene."""
        entry = entry.loaded()
        start, length, snr_db = self.draw_crop(entry.n_samples, self.generator(draw, entry.numbers["seed"]))
        mixture = self.dataset.read(entry, start, length, snr_db)
        return Item(mixture.noisy, mixture.target, snr_db, item_key(entry.id, start, length, snr_db))

    def crops(self) -> dict[str, tuple[int, float]]:
        """Key, length in samples and SNR in dB of all items that repeated draws give."""
        crops = {}
        for entry in map(SceneEntry.loaded, self.entries()):
            for draw in range(self.draws or 0):
                start, length, snr_db = self.draw_crop(entry.n_samples, self.generator(draw, entry.numbers["seed"]))
                crops[item_key(entry.id, start, length, snr_db)] = length, snr_db
        return crops

    def generator(self, draw: int, scene_seed: list[int]) -> np.random.Generator:
        """What crop and SNR of a scene are drawn from."""
        return np.random.default_rng([self.seed if self.draws is None else 0, draw, *scene_seed])

    def draw_of(self, epoch: int) -> int:
        """The number of the draw that an epoch hears."""
        return epoch if self.draws is None else epoch % self.draws

    def draw_crop(self, n_samples: int, rng: np.random.Generator) -> tuple[int, int, float]:
        """First sample and length of a crop of a scene of ``n_samples``, and its SNR in dB."""
        length = min(round(self.seconds * self.dataset.sample_rate), n_samples)
        start = int(rng.integers(n_samples - length + 1))
        lowest, highest = self.snr_db
        return start, length, float(rng.uniform(lowest, highest))


def item_key(scene: str, start: int, length: int, snr_db: float) -> str:
    """What a crop of a scene is in words, fit for a file name; ``start`` and ``length`` in samples."""
    return f"{scene}_{start}_{length}_{snr_db:.9f}dB"


@dataclass(frozen=True)
class Share:
    """Which part of every batch this process computes."""

    rank: int = 0
    world: int = 1


def epoch_batches(
    reader: SceneReader,
    entries: list[SceneEntry],
    batch_size: int,
    epoch: int,
    steps: range,
    share: Share,
) -> Iterator[Batch]:
    """Training batches of an epoch in its own random order.

    Args:
        reader: reads the scenes.
        entries: the scenes of the split.
        batch_size: items of a batch over all processes.
        epoch: decides order, crops and SNRs.
        steps: numbers of the batches, below len(entries) // batch_size: every batch is full.
        share: this process takes items rank, rank + world, … of each batch.
    """
    order = epoch_order(reader, entries, epoch)
    for number in steps:
        chosen = order[number * batch_size : (number + 1) * batch_size][share.rank :: share.world]
        yield collate(reader, [entries[i] for i in chosen], reader.draw_of(epoch))


def batch_entries(
    reader: SceneReader, entries: list[SceneEntry], batch_size: int, epoch: int, number: int
) -> list[SceneEntry]:
    """The scenes of training batch ``number`` of an epoch, over all processes."""
    return [entries[i] for i in epoch_order(reader, entries, epoch)[number * batch_size : (number + 1) * batch_size]]


def epoch_order(reader: SceneReader, entries: list[SceneEntry], epoch: int) -> np.ndarray:
    """The places in ``entries`` in the order in which an epoch hears them, (n_scenes,)."""
    return np.random.default_rng([reader.seed, epoch]).permutation(len(entries))


def valid_batches(reader: SceneReader, entries: list[SceneEntry], batch_size: int, share: Share) -> Iterator[Batch]:
    """Validation batches: all scenes, the same crops and SNRs every time.

    Args:
        reader: reads the scenes.
        entries: the scenes of the split.
        batch_size: items of a batch of this process.
        share: this process takes scenes rank, rank + world, … of the split.
    """
    mine = entries[share.rank :: share.world]
    for first in range(0, len(mine), batch_size):
        yield collate(reader, mine[first : first + batch_size], 0)


def collate(reader: SceneReader, entries: list[SceneEntry], draw: int) -> Batch:
    """Draw number ``draw`` of scenes as one batch.

    Raises:
        ValueError: crops of different lengths.
    """
    items = [reader.read(entry, draw) for entry in entries]
    shapes = sorted({item.noisy.shape for item in items})
    if len(shapes) > 1:
        told = " and ".join(str(shape[1]) for shape in shapes)
        raise ValueError(f"seconds: expected crops that no scene is shorter than, got {told} samples in one batch")
    noisy, target = (torch.from_numpy(np.stack([item[k] for item in items])) for k in (0, 1))
    snr_db = torch.tensor([item.snr_db for item in items], dtype=torch.float64)  # as exact as the ranges of teachers
    return Batch(noisy, target, [entry.id for entry in entries], snr_db, [item.key for item in items])
