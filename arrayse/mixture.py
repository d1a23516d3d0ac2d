"""Mixtures kept as stems, the one definition of SNR, and the dataset on disk.

A dataset is a folder::

    dataset.json                     array, sample rate, scenes per split, what made it
    train/shard-00000/manifest.jsonl one line per scene: every number of the scene
    train/shard-00000/train-000000.wav   16-bit, 3 x n_mics channels: speech, target, noise
    valid/...  test/...

A shard folder exists only when it is whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from arrayse.audio import read_audio
from arrayse.converter import Converter
from arrayse.files import read_json
from arrayse.geometry import ArrayGeometry
from arrayse.manifest import SceneEntry, lost_files, scan_manifest

SPLITS = ("train", "valid", "test")
STEMS = ("speech", "target", "noise")


def mean_power(wave: np.ndarray) -> float:
    """Mean of the squared samples."""
    return float(np.mean(np.square(wave, dtype=np.float64)))


def snr_db(speech: np.ndarray, noise: np.ndarray) -> float:
    """Signal-to-noise ratio in dB: mean power of ``speech`` over mean power of ``noise``, whole length.

    Raises:
        ValueError: one of the two is silent or not finite, so that there is no finite ratio.
    """
    return float(10 * np.log10(_power_ratio(speech, noise)))


def snr_gain(speech: np.ndarray, noise: np.ndarray, wanted_snr_db: float) -> float:
    """Gain for ``noise`` that makes :func:`snr_db` equal ``wanted_snr_db``.

    Raises:
        ValueError: one of the two is silent or not finite, so that no gain reaches a finite SNR; or the SNR
            itself is not finite.
    """
    if not math.isfinite(wanted_snr_db):
        raise ValueError(f"wanted_snr_db: expected a finite number of dB, got {wanted_snr_db}")
    return float(np.sqrt(_power_ratio(speech, noise) * 10 ** (-wanted_snr_db / 10)))


def _power_ratio(speech: np.ndarray, noise: np.ndarray) -> float:
    powers = {"speech": mean_power(speech), "noise": mean_power(noise)}
    for name, power in powers.items():
        if power == 0:
            raise ValueError(f"{name}: expected a signal with power, got silence: no gain reaches a finite SNR")
        if not math.isfinite(power):
            raise ValueError(f"{name}: expected finite samples, got a mean power of {power}")
    return powers["speech"] / powers["noise"]


@dataclass(frozen=True, eq=False)
class Mixture:
    """The stems of one scene, each (n_mics, n_samples).

    Attributes:
        speech: reverberant image of the target talker at the microphones.
        target: its direct path (or early part): what a network is asked to give.
        noise: everything else: interferers, diffuse noise, sensor noise.
        ref_mic: the microphone at which SNR is defined.
        converter: clips and quantises the sum of the stems.

    Raises:
        ValueError: stems of different shapes, or no such microphone.
    """

    speech: np.ndarray
    target: np.ndarray
    noise: np.ndarray
    ref_mic: int = 0
    converter: Converter = Converter()  # noqa: RUF009

    def __post_init__(self) -> None:
        shapes = {name: getattr(self, name).shape for name in STEMS}
        if self.speech.ndim != 2 or len(set(shapes.values())) != 1:
            raise ValueError(f"stems: expected one shape (n_mics, n_samples), got {shapes}")
        if not 0 <= self.ref_mic < len(self.speech):
            raise ValueError(f"ref_mic: expected 0 to {len(self.speech) - 1}, got {self.ref_mic}")

    @property
    def noisy(self) -> np.ndarray:
        """What the microphones record: speech + noise through the converter, (n_mics, n_samples)."""
        return self.converter(self.speech + self.noise)

    def at_snr(self, wanted_snr_db: float) -> Mixture:
        """The same scene with the noise scaled to an SNR in dB: reverberant speech over noise at ``ref_mic``.

        Raises:
            ValueError: see :func:`snr_gain`.
        """
        gain = snr_gain(self.speech[self.ref_mic], self.noise[self.ref_mic], wanted_snr_db)
        return replace(self, noise=np.float32(gain) * self.noise)


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
        n_expected = self.n_scenes.get(split, 0)
        if n_expected == 0:
            raise ValueError(f"{self.folder / split}: expected simulated scenes, got an empty split")
        shards = sorted((self.folder / split).glob("shard-*"))
        entries = [entry for shard in shards for entry in scan_manifest(shard)]
        if len(entries) < n_expected:
            raise ValueError(
                f"{self.folder / split}: expected {n_expected} scenes, got {len(entries)}: "
                "run the same simulate command again to finish it"
            )
        if len(entries) > n_expected:
            raise ValueError(f"{self.folder / split}: expected {n_expected} scenes, got {len(entries)}")
        for path in lost_files(entries):
            raise ValueError(f"{path}: expected the stems of a scene, got no file: run the same simulate command again")
        return list(entries)

    def read(
        self,
        entry: SceneEntry,
        start: int = 0,
        n_samples: int | None = None,
        wanted_snr_db: float | None = None,
    ) -> Mixture:
        """Reads the stems of a scene, or a part of them.

        Args:
            entry: the scene.
            start: first sample.
            n_samples: how many; None reads to the end.
            wanted_snr_db: SNR in dB that the whole scene is brought to; None keeps the stored one.

        Returns:
            The stems in float32.

        Raises:
            ValueError: a file that is missing, truncated, or has another number of channels than the array
                needs; an SNR that is not finite.
        """
        if wanted_snr_db is not None and not math.isfinite(wanted_snr_db):
            raise ValueError(f"wanted_snr_db: expected a finite number of dB, got {wanted_snr_db}")
        path, entry = entry.path, entry.loaded()
        # the length is asked for, not taken from the file: else a shortened file would go unnoticed
        wanted = entry.n_samples - start if n_samples is None else n_samples
        wave = read_audio(path, self.sample_rate, start, wanted)
        n_mics = self.geometry.n_mics
        if len(wave) != len(STEMS) * n_mics:
            raise ValueError(f"{path}: expected {len(STEMS) * n_mics} channels, got {len(wave)}")
        clean, noise = np.float32(entry.numbers["speech_scale"]), np.float32(entry.numbers["noise_scale"])
        speech, target, rest = wave.reshape(len(STEMS), n_mics, -1)
        if wanted_snr_db is not None:
            # the manifest knows the SNR of the whole scene, also when a part is read
            noise *= np.float32(10 ** ((entry.numbers["snr_db_measured"] - wanted_snr_db) / 20))
        return Mixture(speech * clean, target * clean, rest * noise, self.geometry.ref_mic, entry.converter)


def open_dataset(folder: Path) -> Dataset:
    """Opens a dataset folder.

    Raises:
        ValueError: there is none, or ``dataset.json`` does not tell of one.
    """
    path = folder / "dataset.json"
    if folder.is_dir() and not path.is_file():
        raise ValueError(f"dataset: expected a folder that arrayse simulate wrote, got {folder} without dataset.json")
    numbers = read_json(path, "dataset")
    try:
        geometry = ArrayGeometry(**numbers["array"])
        return Dataset(folder, geometry, numbers["sample_rate"], numbers["label"], numbers["n_scenes"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"dataset: expected array, sample_rate, label and n_scenes in {path}, got {error!r}") from None
