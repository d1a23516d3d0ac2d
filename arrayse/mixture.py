"""Mixtures kept as stems, the one definition of SNR, and the dataset on disk.

A dataset is a folder::

    dataset.json                     array, sample rate, scenes per split, what made it
    train/shard-00000/manifest.jsonl one line per scene: every number of the scene
    train/shard-00000/train-000000.wav   16-bit, 3 x n_mics channels: speech, target, noise
    valid/...  test/...

A shard folder exists only when it is whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from arrayse.audio import read_audio
from arrayse.files import read_json, read_json_lines
from arrayse.geometry import ArrayGeometry

SPLITS = ("train", "valid", "test")
STEMS = ("speech", "target", "noise")


def mean_power(wave: np.ndarray) -> float:
    """Mean of the squared samples."""
    return float(np.mean(np.square(wave, dtype=np.float64)))


def snr_db(speech: np.ndarray, noise: np.ndarray) -> float:
    """Signal-to-noise ratio in dB: mean power of ``speech`` over mean power of ``noise``, whole length."""
    return float(10 * np.log10(mean_power(speech) / mean_power(noise)))


def snr_gain(speech: np.ndarray, noise: np.ndarray, wanted_snr_db: float) -> float:
    """Gain for ``noise`` that makes :func:`snr_db` equal ``wanted_snr_db``.

    Raises:
        ValueError: one of the two is silent, so that no gain reaches a finite SNR.
    """
    speech_power, noise_power = mean_power(speech), mean_power(noise)
    for name, power in (("speech", speech_power), ("noise", noise_power)):
        if power == 0:
            raise ValueError(f"{name}: expected a signal with power, got silence: no gain reaches a finite SNR")
    return float(np.sqrt(speech_power / noise_power * 10 ** (-wanted_snr_db / 10)))


@dataclass(frozen=True)
class Mixture:
    """The stems of one scene, each (n_mics, n_samples).

    Attributes:
        speech: reverberant image of the target talker at the microphones.
        target: its direct path (or early part): what a network is asked to give.
        noise: everything else: interferers, diffuse noise, sensor noise.
        ref_mic: the microphone at which SNR is defined.
    """

    speech: np.ndarray
    target: np.ndarray
    noise: np.ndarray
    ref_mic: int = 0

    @property
    def noisy(self) -> np.ndarray:
        """What the microphones record: speech + noise, (n_mics, n_samples)."""
        return self.speech + self.noise

    def at_snr(self, wanted_snr_db: float) -> Mixture:
        """The same scene with the noise scaled to an SNR in dB (reverberant speech over noise at ``ref_mic``)."""
        gain = snr_gain(self.speech[self.ref_mic], self.noise[self.ref_mic], wanted_snr_db)
        return replace(self, noise=np.float32(gain) * self.noise)


@dataclass(frozen=True)
class SceneEntry:
    """One line of a manifest and the folder that its audio lies in."""

    folder: Path
    numbers: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.numbers["id"])

    @property
    def n_samples(self) -> int:
        return int(self.numbers["n_samples"])


@dataclass(frozen=True)
class Dataset:
    """An opened dataset folder.

    Attributes:
        folder: where it lies.
        geometry: the array that it was simulated for.
        sample_rate: Hz.
        label: what kind of speech it holds, shown beside every result.
        n_scenes: scenes by split that it is to hold.
    """

    folder: Path
    geometry: ArrayGeometry
    sample_rate: int
    label: str
    n_scenes: dict[str, int]

    def entries(self, split: str) -> list[SceneEntry]:
        """The scenes of one split in order.

        Raises:
            ValueError: an unknown, an empty or an unfinished split.
        """
        if split not in SPLITS:
            raise ValueError(f"split: expected one of {', '.join(SPLITS)}, got {split}")
        shards = sorted((self.folder / split).glob("shard-*"))
        entries = [SceneEntry(s, row) for s in shards for row in read_json_lines(s / "manifest.jsonl")]
        if not entries:
            raise ValueError(f"{self.folder / split}: expected simulated scenes, got an empty split")
        if len(entries) != self.n_scenes[split]:
            raise ValueError(
                f"{self.folder / split}: expected {self.n_scenes[split]} scenes, got {len(entries)}: "
                "run the same simulate command again to finish it"
            )
        return entries

    def read(
        self, entry: SceneEntry, start: int = 0, n_samples: int | None = None, wanted_snr_db: float | None = None
    ) -> Mixture:
        """Reads the stems of a scene, or a part of them.

        Args:
            entry: the scene.
            start: first sample.
            n_samples: how many; None reads to the end.
            wanted_snr_db: SNR in dB that the whole scene is brought to; None keeps the stored one.

        Raises:
            ValueError: a file that is missing, truncated, or has another number of channels than the array needs.
        """
        path = entry.folder / Path(entry.numbers["file"]).name
        wave = read_audio(path, self.sample_rate, start, n_samples)
        n_mics = self.geometry.n_mics
        if len(wave) != len(STEMS) * n_mics:
            raise ValueError(f"{path}: expected {len(STEMS) * n_mics} channels, got {len(wave)}")
        clean, noise = np.float32(entry.numbers["speech_scale"]), np.float32(entry.numbers["noise_scale"])
        speech, target, rest = wave.reshape(len(STEMS), n_mics, -1)
        if wanted_snr_db is not None:  # the manifest knows the SNR of the whole scene, also when a part is read
            noise *= np.float32(10 ** ((entry.numbers["snr_db_measured"] - wanted_snr_db) / 20))
        return Mixture(speech * clean, target * clean, rest * noise, self.geometry.ref_mic)


def open_dataset(folder: Path) -> Dataset:
    """Opens a dataset folder.

    Raises:
        ValueError: there is none.
    """
    numbers = read_json(folder / "dataset.json", "dataset")
    return Dataset(folder, ArrayGeometry(**numbers["array"]), numbers["sample_rate"], numbers["label"], numbers["n_scenes"])
