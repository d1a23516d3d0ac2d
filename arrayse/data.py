"""From a dataset folder to batches.

Every draw is a function of (seed, epoch, scene), so a resumed run sees the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from arrayse.mixture import Dataset, SceneEntry
from arrayse.objectives import Batch


@dataclass(frozen=True)
class SceneReader:
    """Reads scenes of one split as noisy and target.

    Attributes:
        dataset: where the scenes lie.
        split: which of them.
        snr_db: lowest and highest SNR in dB of the uniform draw.
        seconds: length of the random crop; the whole scene if it is shorter.
        seed: start of all draws.
    """

    dataset: Dataset
    split: str
    snr_db: list[float]
    seconds: float
    seed: int

    def entries(self) -> list[SceneEntry]:
        """The scenes of the split in order."""
        return self.dataset.entries(self.split)

    def read(self, entry: SceneEntry, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Noisy and target of one scene, each (n_mics, n_samples) float32."""
        rng = np.random.default_rng([self.seed, epoch, *entry.numbers["seed"]])
        mixture = self.dataset.read(entry, *self.draw_crop(entry.n_samples, rng))
        return mixture.noisy, mixture.target

    def draw_crop(self, n_samples: int, rng: np.random.Generator) -> tuple[int, int, float]:
        """First sample and length of a crop of a scene of ``n_samples``, and its SNR in dB."""
        length = min(round(self.seconds * self.dataset.sample_rate), n_samples)
        start = int(rng.integers(n_samples - length + 1))
        lowest, highest = self.snr_db
        return start, length, float(rng.uniform(lowest, highest))


@dataclass(frozen=True)
class Share:
    """Which part of every batch this process computes."""

    rank: int = 0
    world: int = 1


def epoch_batches(
    reader: SceneReader, entries: list[SceneEntry], batch_size: int, epoch: int, first: int, share: Share
) -> Iterator[Batch]:
    """Training batches of an epoch in its own random order, from batch number ``first`` on.

    A last batch that is not full is left out; its scenes differ from epoch to epoch.

    Args:
        reader: reads the scenes.
        entries: the scenes of the split.
        batch_size: items of a batch over all processes.
        epoch: decides order, crops and SNRs.
        first: batches to skip.
        share: this process takes items rank, rank + world, … of each batch.
    """
    for number in range(first, len(entries) // batch_size):
        chosen = batch_entries(reader, entries, batch_size, epoch, number)
        yield _collate(reader, chosen[share.rank :: share.world], epoch)


def batch_entries(
    reader: SceneReader, entries: list[SceneEntry], batch_size: int, epoch: int, number: int
) -> list[SceneEntry]:
    """The scenes of training batch ``number`` of an epoch, over all processes."""
    order = np.random.default_rng([reader.seed, epoch]).permutation(len(entries))
    return [entries[i] for i in order[number * batch_size : (number + 1) * batch_size]]


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
        yield _collate(reader, mine[first : first + batch_size], 0)


def _collate(reader: SceneReader, entries: list[SceneEntry], epoch: int) -> Batch:
    pairs = [reader.read(entry, epoch) for entry in entries]
    shapes = sorted({noisy.shape for noisy, _ in pairs})
    if len(shapes) > 1:
        told = " and ".join(str(shape[1]) for shape in shapes)
        raise ValueError(f"seconds: expected crops that no scene is shorter than, got {told} samples in one batch")
    noisy, target = (torch.from_numpy(np.stack(waves)) for waves in zip(*pairs, strict=True))
    return Batch(noisy, target, [entry.id for entry in entries])
