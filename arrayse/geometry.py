"""Microphone arrays: positions in metres, a reference microphone, and the presets that people build.

An :class:`ArrayGeometry` is frozen and knows no room. Coordinates: x points to the front (azimuth 0 degrees),
y to the left (azimuth 90 degrees), z up.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Annotated, SupportsIndex

import numpy as np
from annotated_types import Ge, Gt
from numpy.typing import ArrayLike

SPEED_OF_SOUND = 343.0
"""Speed of sound in m/s used everywhere: steering vectors, delays, coherence, image sources."""

MAX_EXTENT = 2.0
"""Largest aperture in metres of a compact array; beyond it the file is likely in millimetres."""

MIN_SPACING = 5e-4
"""Two microphones closer than this (metres) are a duplicate, or the file is in kilometres."""


@dataclass(frozen=True, eq=False, init=False)
class ArrayGeometry:
    """Positions of the microphones of one array.

    Attributes:
        positions: (n_mics, 3) in metres, relative to an origin of the array's own choice.
        ref_mic: index of the microphone at which speech is to be estimated.
        name: shown in reports.

    Raises:
        ValueError: wrong shape (also the transposed one), non-finite numbers, duplicates, positions that are
            not in metres, a reference that does not exist.
    """

    positions: np.ndarray
    ref_mic: int
    name: str

    def __init__(self, positions: ArrayLike, ref_mic: SupportsIndex = 0, name: str = "array") -> None:
        places = _checked_positions(positions)
        reference = _index(ref_mic, "ref_mic")
        if not 0 <= reference < len(places):
            raise ValueError(f"ref_mic: expected 0 to {len(places) - 1}, got {reference}")
        for field, value in (("positions", places), ("ref_mic", reference), ("name", name)):
            object.__setattr__(self, field, value)  # the class is frozen

    @property
    def n_mics(self) -> int:
        """Number of microphones."""
        return len(self.positions)

    @property
    def aperture(self) -> float:
        """Largest distance between two microphones, in metres."""
        return float(pairwise_distances(self.positions).max())

    @property
    def aliasing_hz(self) -> float:
        """Frequency in Hz above which the closest pair undersamples a wave along its axis: c / (2 d).

        It is the highest such frequency of all pairs: a pair further apart aliases from a lower one on. An
        array with one close pair and a wide aperture (earbuds: 14 mm within a bud, 175 mm between the ears)
        is free of aliasing up to this frequency only along the close pair; between the ears it is not above
        c / (2 x aperture). Infinite for a single microphone.
        """
        if self.n_mics == 1:
            return float("inf")
        first, second = np.triu_indices(self.n_mics, k=1)
        return float(SPEED_OF_SOUND / (2 * pairwise_distances(self.positions)[first, second].min()))

    def subset(self, mics: list[int], ref_mic: int | None = None) -> ArrayGeometry:
        """The array with only the channels ``mics``, in that order.

        Args:
            mics: indices into this array.
            ref_mic: index into this array of the new reference; the present one if it is kept, else the
                first of ``mics``.

        Raises:
            ValueError: ``mics`` are not distinct channels of this array, or ``ref_mic`` is none of them.
        """
        check_mics(mics, self.n_mics)
        if ref_mic is None:
            ref_mic = self.ref_mic if self.ref_mic in mics else mics[0]
        if ref_mic not in mics:
            raise ValueError(f"ref_mic: expected one of mics {mics}, got {ref_mic}")
        name = f"{self.name}[{','.join(map(str, mics))}]"
        return ArrayGeometry(self.positions[mics], mics.index(ref_mic), name)

    def to_dict(self) -> dict[str, object]:
        """Plain numbers for JSON and YAML; ``ArrayGeometry(**geometry.to_dict())`` gives the array back."""
        return {"positions": self.positions.tolist(), "ref_mic": self.ref_mic, "name": self.name}


def pairwise_distances(positions: np.ndarray) -> np.ndarray:
    """Distances in metres between all microphones: (n_mics, 3) → (n_mics, n_mics)."""
    return np.linalg.norm(positions[:, None, :] - positions[None, :, :], axis=-1)


def _checked_positions(positions: ArrayLike) -> np.ndarray:
    """A read-only copy (n_mics, 3) in float64, or the ValueErrors of :class:`ArrayGeometry`."""
    try:
        places = np.array(positions, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"positions: expected numbers of shape (n_mics, 3), got {positions!r}") from None
    if places.ndim != 2 or places.shape[1] != 3:
        hint = ": transpose it" if places.ndim == 2 and places.shape[0] == 3 else ""
        raise ValueError(f"positions: expected shape (n_mics, 3), got {places.shape}{hint}")
    if len(places) == 0:
        raise ValueError("positions: expected at least one microphone, got none")
    if not np.isfinite(places).all():
        raise ValueError(f"positions: expected finite numbers, got {places.tolist()}")
    distances = pairwise_distances(places)
    if distances.max() > MAX_EXTENT:
        raise ValueError(
            f"positions: expected metres (microphones at most {MAX_EXTENT} m apart), "
            f"got {distances.max():g} m: are these millimetres or centimetres?"
        )
    first, second = np.triu_indices(len(places), k=1)
    too_close = distances[first, second] < MIN_SPACING
    if too_close.any():
        pairs = ", ".join(f"{a} and {b}" for a, b in zip(first[too_close], second[too_close], strict=True))
        raise ValueError(
            f"positions: expected microphones at least {MIN_SPACING * 1e3:g} mm apart, got the same place for {pairs}"
        )
    places.setflags(write=False)
    return places


def _index(value: SupportsIndex, what: str) -> int:
    """A plain int; a bool counts as a mistake, and so does 1.0."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise ValueError(f"{what}: expected a whole number, got {value!r}")
    return number


def check_mics(mics: list[int], n_mics: int) -> None:
    """Raises ValueError unless ``mics`` are distinct indices of an array of ``n_mics``."""
    numbers = [_index(mic, "mics") for mic in mics]
    if not mics or len(set(numbers)) != len(numbers) or not all(0 <= mic < n_mics for mic in numbers):
        raise ValueError(f"mics: expected distinct channel numbers from 0 to {n_mics - 1}, got {mics}")


def direction(azimuth_deg: float, elevation_deg: float = 0.0) -> np.ndarray:
    """Unit vector (3,) from the array towards a direction given in degrees."""
    azimuth, elevation = np.deg2rad(azimuth_deg), np.deg2rad(elevation_deg)
    return np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])


# --- presets: each signature is what the YAML file may set --------------------------------------------------


def compact_diamond(length: Annotated[float, Gt(0)] = 0.012, width: Annotated[float, Gt(0)] = 0.007) -> ArrayGeometry:
    """Five microphones of a hearing device: centre, two along x, two along y (Metzger et al. 2025)."""
    x, y = length / 2, width / 2
    points = [[0, 0, 0], [x, 0, 0], [-x, 0, 0], [0, y, 0], [0, -y, 0]]
    return ArrayGeometry(np.array(points), name="compact_diamond")


def circular(n_mics: Annotated[int, Ge(2)] = 5, radius: Annotated[float, Gt(0)] = 0.05) -> ArrayGeometry:
    """A ring in the horizontal plane; microphone 0 points to the front."""
    angle = 2 * np.pi * np.arange(n_mics) / n_mics
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.zeros(n_mics)], axis=1)
    return ArrayGeometry(points, name="circular")


def linear(n_mics: Annotated[int, Ge(1)] = 4, spacing: Annotated[float, Gt(0)] = 0.035) -> ArrayGeometry:
    """A line along y, centred: broadside looks to the front."""
    y = (np.arange(n_mics) - (n_mics - 1) / 2) * spacing
    return ArrayGeometry(np.stack([0 * y, y, 0 * y], axis=1), name="linear")


def phone(n_mics: Annotated[int, Ge(2)] = 2, height: Annotated[float, Gt(0)] = 0.145) -> ArrayGeometry:
    """A phone held upright: bottom and top microphone, and as a third the one beside the rear camera."""
    if n_mics not in (2, 3):
        raise ValueError(f"n_mics: expected 2 or 3 for a phone, got {n_mics}")
    points = [[0, 0.01, -height / 2], [0, -0.01, height / 2], [-0.008, 0.02, height / 2 - 0.015]]
    return ArrayGeometry(np.array(points[:n_mics]), name=f"phone{n_mics}")


def earbuds(ear_distance: Annotated[float, Gt(0)] = 0.175, spacing: Annotated[float, Gt(0)] = 0.014) -> ArrayGeometry:
    """Two earbuds of two microphones: left front, left rear, right front, right rear."""
    x, y = spacing / 2, ear_distance / 2
    return ArrayGeometry(np.array([[x, y, 0], [-x, y, 0], [x, -y, 0], [-x, -y, 0]]), name="earbuds")


def glasses(width: Annotated[float, Gt(0)] = 0.14, temple: Annotated[float, Gt(0)] = 0.06) -> ArrayGeometry:
    """Smart glasses: nose bridge, left and right hinge, left and right temple (``temple`` metres behind)."""
    y = width / 2
    hinge, end = -0.015, -0.015 - temple
    points = [[0.0, 0, 0.005], [hinge, y, 0], [hinge, -y, 0], [end, y, -0.005], [end, -y, -0.005]]
    return ArrayGeometry(np.array(points), name="glasses")


PRESETS = {
    "compact_diamond": compact_diamond,
    "circular": circular,
    "linear": linear,
    "phone": phone,
    "earbuds": earbuds,
    "glasses": glasses,
}
