"""What the preview page shows of scenes before a dataset is made: plain numbers and waves, whoever simulated them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arrayse.geometry import ArrayGeometry

TARGET = "T"
"""Mark of the target in drawings and tables; interferers are numbered."""


@dataclass(frozen=True, eq=False)
class PreviewSource:
    """One source, the target or an interferer.

    Attributes:
        plays: the speaker, or the type of noise.
        files: what is played, for people.
        level_db: of its image at the reference microphone, before mixing.
        path: (n_waypoints, 3) metres, at equal steps of time; None in a measured room.
    """

    plays: str
    files: tuple[str, ...]
    level_db: float
    path: np.ndarray | None


@dataclass(frozen=True, eq=False)
class PreviewRoom:
    """A simulated room and the array in it, in metres.

    Attributes:
        corners: of the floor, (n_corners, 2).
        height: of the ceiling.
        walls: relative absorption of west, east, south, north, floor, ceiling.
        critical_distance: at which direct and reverberant sound are equally loud.
        array_centre: (3,).
        yaws_deg: (n_waypoints,) to which the array turns, at equal steps of time; the first is that of the start.
        mics: (n_mics, 3) at the start.
        nominal_mics: where they would be without tolerances.
        sphere_radius: of the rigid sphere round the centre that carries them; None: there is none.
    """

    corners: np.ndarray
    height: float
    walls: tuple[float, ...]
    critical_distance: float
    array_centre: np.ndarray
    yaws_deg: np.ndarray
    mics: np.ndarray
    nominal_mics: np.ndarray
    sphere_radius: float | None


@dataclass(frozen=True, eq=False)
class PreviewResponse:
    """Responses from the sources, target first, to the reference microphone at the start of the scene.

    Attributes:
        full: (n_sources, n_taps), direct path and reflections.
        direct: (n_sources, n_taps), the direct path alone.
        decays_db: (n_sources, n_taps), the energy that is still to come re all of it.
        t30: reverberation time in seconds of the target's response; 0: none.
        lead: the sample that is the moment of emission (of the first arrival in a measured room).
    """

    full: np.ndarray
    direct: np.ndarray
    decays_db: np.ndarray
    t30: float
    lead: int

    @property
    def drr_db(self) -> float:
        """Direct-to-reverberant ratio of the target; infinite without reverberation."""
        direct, reverberant = self.direct[0], self.full[0] - self.direct[0]
        rest = float(np.sum(reverberant.astype(np.float64) ** 2))
        return 10 * float(np.log10(np.sum(direct.astype(np.float64) ** 2) / rest)) if rest > 0 else float("inf")


@dataclass(frozen=True, eq=False)
class PreviewCoherence:
    """Coherence of the diffuse noise between pairs of microphones.

    Attributes:
        field: name of the field.
        seconds: of noise that was measured.
        frequencies: (n_freqs,) Hz.
        pairs: of microphones.
        distances: (n_pairs,) metres.
        measured: (n_pairs, n_freqs), real part.
        theory: (n_pairs, n_freqs).
    """

    field: str
    seconds: float
    frequencies: np.ndarray
    pairs: tuple[tuple[int, int], ...]
    distances: np.ndarray
    measured: np.ndarray
    theory: np.ndarray


@dataclass(frozen=True, eq=False)
class PreviewScene:
    """One rendered scene.

    Attributes:
        id: its name.
        tags: what is special about it, in a word or two each.
        findings: what a person should look at before a long run, a sentence each.
        facts: names and values.
        sample_rate: Hz.
        stems: noisy, speech, target and noise, each (n_mics, n_samples).
        ref_mic: the reference microphone.
        mic_notes: what is the matter with microphones, by number.
        clip_dbfs: level at which the converter clips; None: nowhere.
        early_ms: reflections up to so many ms after the direct path belong to the target.
        snr_db: as measured on the stems.
        rt60_asked: seconds; None in a measured room.
        rt60: seconds, as measured; 0: no decay.
        sources: target first.
        room: None if it is a measured one.
        response: of the room.
        coherence: None with a single microphone.
    """

    id: str
    tags: tuple[str, ...]
    findings: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    sample_rate: int
    stems: dict[str, np.ndarray]
    ref_mic: int
    mic_notes: dict[int, str]
    clip_dbfs: float | None
    early_ms: float
    snr_db: float
    rt60_asked: float | None
    rt60: float
    sources: tuple[PreviewSource, ...]
    room: PreviewRoom | None
    response: PreviewResponse
    coherence: PreviewCoherence | None

    def distance(self, source: int) -> float | None:
        """Metres from the array at the start; None in a measured room."""
        offset = self._offset(source)
        return None if offset is None else float(np.linalg.norm(offset))

    def azimuth_deg(self, source: int) -> float | None:
        """Degrees from the array's front to the left at the start, -180 to 180; None in a measured room."""
        offset = self._offset(source)
        if offset is None or self.room is None:
            return None
        azimuth = np.rad2deg(np.arctan2(offset[1], offset[0])) - self.room.yaws_deg[0]
        return float((azimuth + 180) % 360 - 180)

    def _offset(self, source: int) -> np.ndarray | None:
        path = self.sources[source].path
        return None if self.room is None or path is None else path[0] - self.room.array_centre


@dataclass(frozen=True, eq=False)
class Preview:
    """A dataset to come, and what all of its scenes are drawn from.

    Attributes:
        title: name of the dataset.
        label: what kind of speech it holds.
        split: that the scenes on the page are of.
        array: the microphones.
        sizes: numbers of the dataset, each with its name.
        recipe: names and sentences.
        corpora: what the sounds are made of, a sentence each.
        ranges: lowest and highest of ``rt60``, ``snr_db``, ``distance`` and ``azimuth_deg`` (of the target).
    """

    title: str
    label: str
    split: str
    array: ArrayGeometry
    sizes: tuple[tuple[str, str], ...]
    recipe: tuple[tuple[str, str], ...]
    corpora: tuple[str, ...]
    ranges: dict[str, tuple[float, float]]


def mark(source: int) -> str:
    """How a source is called in drawings: T, 1, 2, ..."""
    return str(source) if source else TARGET


def source_colour(source: int) -> int:
    """Number of its colour: 1 for the target, 2 to 8 for interferers."""
    return 1 if source == 0 else 2 + (source - 1) % 7
