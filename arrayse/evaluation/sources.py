"""What systems are scored on: scenes of a simulated dataset, pairs of noisy and clean files, or recordings alone.

However they are kept, scenes are read the same way: what the microphones heard and, if it is known, the speech in it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from arrayse.audio import read_audio
from arrayse.evaluation.baselines import BEAMFORMERS, baseline, describe, oracle, target_direction
from arrayse.evaluation.conditions import Conditions, conditions
from arrayse.evaluation.pairs import Clip, Clips, read_pairs, read_recordings
from arrayse.files import sha256_of
from arrayse.geometry import ArrayGeometry
from arrayse.manifest import SceneEntry
from arrayse.mixture import Dataset, Mixture, open_dataset

DATASET, PAIRS, RECORDINGS = "dataset", "pairs", "recordings"
SOURCES = (DATASET, PAIRS, RECORDINGS)
Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class Heard:
    """A scene, in float32.

    Attributes:
        noisy: (n_mics, n_samples), what the microphones recorded.
        target: (n_mics, n_samples), or (1, n_samples) where one clean signal stands for all microphones; None: unknown.
        mixture: the stems of a simulated scene.
    """

    noisy: np.ndarray
    target: np.ndarray | None
    mixture: Mixture | None = None

    def target_at(self, mic: int) -> np.ndarray | None:
        """The target (n_samples,) at a microphone."""
        return None if self.target is None else self.target[mic if len(self.target) > 1 else 0]

    @property
    def rest(self) -> np.ndarray | None:
        """All but the target, (n_mics, n_samples); None where the target is not known at every microphone."""
        return None if self.target is None or self.target.shape != self.noisy.shape else self.noisy - self.target


class Scene(Protocol):
    """One scene of a source, light enough to be sent to other processes."""

    @property
    def id(self) -> str:
        """Its name in every table."""

    @property
    def title(self) -> str:
        """For people."""

    @property
    def conditions(self) -> Conditions | None:
        """What is known of it; None for files, of which nothing is."""

    def read(self, snr_db: float | None) -> Heard:
        """What is heard at an SNR in dB; None as it was recorded."""

    def beamformed(self, name: str, heard: Heard, mic: int) -> np.ndarray:
        """What a baseline makes of it at a microphone, (n_samples,)."""


@dataclass(frozen=True)
class DatasetScene:
    """A scene of a dataset; its SNR is chosen when it is read."""

    dataset: Dataset
    entry: SceneEntry

    @property
    def id(self) -> str:
        """Split and number."""
        return self.entry.id

    @property
    def title(self) -> str:
        """Kinds of noise, and RT60 if it is known."""
        kinds = [excerpt["group"] for excerpt in self.entry.numbers["source_excerpts"][1:]]
        rt60 = self.conditions.values.get("rt60") and f"RT60 {self.entry.numbers['rt60_measured']:.2f} s"
        return f"{self.id}: {', '.join([*kinds, *([rt60] if rt60 else [])])}"

    @property
    def conditions(self) -> Conditions:
        """From the manifest."""
        return conditions(self.entry)

    def read(self, snr_db: float | None) -> Heard:
        """See :class:`Scene`."""
        mixture = self.dataset.read(self.entry, wanted_snr_db=snr_db)
        return Heard(mixture.noisy, mixture.target, mixture)

    def beamformed(self, name: str, heard: Heard, mic: int) -> np.ndarray:
        """See :class:`Scene`; ``mic`` is the reference of the array."""
        assert heard.mixture is not None
        return baseline(name, heard.mixture, self.entry, self.dataset.geometry, self.dataset.sample_rate)


@dataclass(frozen=True)
class FileScene:
    """A recording, with or without a file of the speech in it."""

    clip: Clip
    sample_rate: int
    conditions: None = None

    @property
    def id(self) -> str:
        """Of the clip."""
        return self.clip.id

    @property
    def title(self) -> str:
        """Name of the file."""
        return self.clip.path.name

    def read(self, snr_db: float | None) -> Heard:
        """See :class:`Scene`; there is no choice of an SNR."""
        noisy = read_audio(self.clip.path, self.sample_rate)
        clean = None if self.clip.clean is None else read_audio(self.clip.clean, self.sample_rate, 0, noisy.shape[1])
        return Heard(noisy, clean)

    def beamformed(self, name: str, heard: Heard, mic: int) -> np.ndarray:
        """See :class:`Scene`; of baselines that are told the target and all else."""
        target = heard.target_at(mic)
        assert target is not None
        assert heard.target is not None
        if BEAMFORMERS[name].one_mic:
            return oracle(name, heard.noisy[mic : mic + 1], target[None], 0, self.sample_rate)
        return oracle(name, heard.noisy, heard.target, mic, self.sample_rate)


@dataclass(frozen=True)
class Source:
    """Scenes to score.

    Attributes:
        kind: one of :data:`SOURCES`.
        label: what kind of sound it is, shown beside every result.
        sample_rate: Hz.
        n_mics: channels of what was recorded.
        scenes: in order.
        identity: plain values that tell it from other sources, wherever it lies.
        geometry: the array that recorded; None: not known.
        n_targets: channels of the target: ``n_mics``, 1, or 0 where there is none.
    """

    kind: str
    label: str
    sample_rate: int
    n_mics: int
    scenes: list[Scene]
    identity: dict[str, Any]
    geometry: ArrayGeometry | None
    n_targets: int

    @property
    def has_snr(self) -> bool:
        """Whether scenes can be had at any SNR, else as they were recorded alone."""
        return self.kind == DATASET

    def describe_beamformer(self, name: str) -> str:
        """What a baseline is and is told here, in one line."""
        return describe(name, [scene.entry for scene in self.scenes if isinstance(scene, DatasetScene)])

    def check_beamformers(self, names: list[str]) -> None:
        """Raises ValueError for baselines that need to know more than is known here."""
        for name in names:
            if name not in BEAMFORMERS:
                raise ValueError(f"beamformers: expected some of {', '.join(BEAMFORMERS)}, got {name}")
            steered, one_mic = BEAMFORMERS[name].steered, BEAMFORMERS[name].one_mic
            if self.kind == DATASET:
                for scene in self.scenes if steered else []:
                    assert isinstance(scene, DatasetScene)
                    target_direction(scene.entry, scene.dataset.geometry)
            elif self.n_targets == 0:
                raise ValueError(f"beamformers: expected none for recordings, of which nothing is known, got {name}")
            elif steered:
                raise ValueError(f"beamformers: expected none that is told a direction with pairs of files, got {name}")
            elif not one_mic and self.n_targets < self.n_mics:
                raise ValueError(
                    f"beamformers: expected clean files of {self.n_mics} channels for {name}, got one channel"
                )


def open_source(kind: str, folder: Path, split: str = "test", n_scenes: int | None = None) -> Source:
    """Opens what is to be scored.

    Args:
        kind: one of :data:`SOURCES`.
        folder: where it lies.
        split: of a dataset.
        n_scenes: only the first so many; None for all.

    Raises:
        ValueError: no such source, fewer scenes, or what :func:`arrayse.mixture.open_dataset`,
            :func:`arrayse.evaluation.pairs.read_pairs` and :func:`arrayse.evaluation.pairs.read_recordings` refuse.
    """
    place = folder.absolute()  # workers elsewhere may have another current folder
    if kind == DATASET:
        dataset = open_dataset(place)
        entries = _first(dataset.entries(split), n_scenes, f"split {split}")
        identity = {"data": sha256_of(place / "dataset.json"), "split": split, "n_scenes": n_scenes}
        scenes: list[Scene] = [DatasetScene(dataset, entry) for entry in entries]
        geometry = dataset.geometry
        about = (kind, dataset.label, dataset.sample_rate, geometry.n_mics, scenes, identity, geometry, geometry.n_mics)
        return Source(*about)
    if kind not in SOURCES:
        raise ValueError(f"source: expected one of {', '.join(SOURCES)}, got {kind}")
    label, read = {PAIRS: ("noisy and clean files", read_pairs), RECORDINGS: ("recordings", read_recordings)}[kind]
    found: Clips = read(place)
    clips = _first(found.clips, n_scenes, str(folder))
    identity = {"data": _content(clips), "split": None, "n_scenes": n_scenes}
    scenes = [FileScene(clip, found.sample_rate) for clip in clips]
    return Source(kind, label, found.sample_rate, found.n_mics, scenes, identity, None, found.n_clean)


def _first(items: list[Item], n_scenes: int | None, where: str) -> list[Item]:
    if n_scenes is not None and n_scenes > len(items):
        raise ValueError(f"n_scenes: expected at most {len(items)} ({where}), got {n_scenes}")
    return items[:n_scenes]


def _content(clips: list[Clip]) -> str:
    """SHA-256 of names and files."""
    content = hashlib.sha256()
    for clip in clips:
        files = [sha256_of(path) for path in (clip.path, clip.clean) if path is not None]
        content.update("\n".join([clip.id, *files, ""]).encode())
    return content.hexdigest()
