"""Bodies that carry the microphones and scatter the sound: a head as a rigid sphere, or nothing.

A body answers with the pressure at each microphone over the pressure that the plane wave would have at the array's
origin without the body. Sign convention, as in :mod:`arrayse.frontend.spatial`: a delay is ``exp(-j 2 pi f delay)``,
so a microphone nearer to the source by ``d`` metres has the phase ``+k d`` with ``k = 2 pi f / c``.
"""

from __future__ import annotations

import functools
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import spherical_jn, spherical_yn

from arrayse.geometry import SPEED_OF_SOUND, ArrayGeometry

SURFACE_TOLERANCE = 1e-6
"""Metres by which a microphone may lie inside a sphere, as rounded numbers put it there."""


class Body(Protocol):
    """What :mod:`simulate.scattering` and :mod:`simulate.noise` need to know of a body.

    Bodies that are equal and have one hash answer alike: what is computed from one is kept for the others.

    Attributes:
        n_mics: channels that it answers for.
        duration: seconds before or after the arrival at the origin by which its impulse responses have ended.
        reach: metres from the origin within which its microphones lie, and what scatters the sound to them.
    """

    @property
    def n_mics(self) -> int: ...

    @property
    def duration(self) -> float: ...

    @property
    def reach(self) -> float: ...

    def __hash__(self) -> int: ...

    def transfer(self, directions: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
        """Pressure at each microphone over the free-field pressure at the array's origin, for plane waves.

        Args:
            directions: (n_directions, 3) unit vectors from the origin towards the source, in the array's frame.
            frequencies: (n_freqs,) Hz.

        Returns:
            (n_directions, n_mics, n_freqs) complex64.

        Raises:
            ValueError: directions that are no unit vectors, frequencies that are negative or not finite.
        """
        ...


class FreeField:
    """Microphones without a body: ``exp(j k u · p)``.

    Args:
        positions: (n_mics, 3) metres from the array's origin.
    """

    def __init__(self, positions: ArrayLike) -> None:
        self.positions = ArrayGeometry(positions).positions

    @property
    def n_mics(self) -> int:
        """Number of microphones."""
        return len(self.positions)

    @property
    def duration(self) -> float:
        """Seconds from the origin to the furthest microphone."""
        return self.reach / SPEED_OF_SOUND

    @property
    def reach(self) -> float:
        """Metres from the origin to the furthest microphone."""
        return float(np.linalg.norm(self.positions, axis=1).max())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FreeField) and np.array_equal(self.positions, other.positions)

    def __hash__(self) -> int:
        return hash(self.positions.tobytes())

    def transfer(self, directions: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
        """See :meth:`Body.transfer`."""
        check_waves(directions, frequencies)
        return plane_wave(directions @ self.positions.T, frequencies)


class RigidSphere:
    """Microphones on or outside a rigid sphere, the plainest model of a head.

    The pressure at distance ``r`` from the centre of a sphere of radius ``a``, at an angle ``theta`` from the source,
    is the sum over ``n`` of ``(2 n + 1) j^n [j_n(k r) - h_n(k r) j_n'(k a) / h_n'(k a)] P_n(cos theta)`` with the
    spherical Hankel functions of the second kind: Rayleigh's solution, as in Duda and Martens, "Range dependence of
    the response of a spherical head model", JASA 104 (1998).

    Args:
        radius: metres; 0.0875 is the usual head.
        positions: (n_mics, 3) metres from the array's origin.
        centre: (3,) of the sphere, in metres from the array's origin.

    Raises:
        ValueError: a radius that is not positive, a microphone inside the sphere.
    """

    def __init__(self, radius: float, positions: ArrayLike, centre: ArrayLike = (0.0, 0.0, 0.0)) -> None:
        if not 0 < radius < np.inf:
            raise ValueError(f"radius: expected metres above 0, got {radius:g}")
        self.radius = float(radius)
        self.centre = np.array(centre, dtype=np.float64)
        if self.centre.shape != (3,) or not np.isfinite(self.centre).all():
            raise ValueError(f"centre: expected 3 numbers in metres, got {centre!r}")
        offsets = ArrayGeometry(positions).positions - self.centre
        distances = np.linalg.norm(offsets, axis=1)
        inside = np.flatnonzero(distances < self.radius - SURFACE_TOLERANCE)
        if len(inside):
            places = ", ".join(f"{mic} at {distances[mic] * 1e3:.1f} mm" for mic in inside)
            raise ValueError(
                f"positions: expected microphones on or outside the sphere, {self.radius * 1e3:.1f} mm or more "
                f"from its centre, got {places}"
            )
        self._towards = offsets / distances[:, None]
        self._distances = np.maximum(distances, self.radius)
        self._numbers = self.radius, self.centre.tobytes(), offsets.tobytes()

    @property
    def n_mics(self) -> int:
        """Number of microphones."""
        return len(self._distances)

    @property
    def duration(self) -> float:
        """Seconds: the way past the sphere, and what creeps around it until it has lost 100 dB."""
        return (self.reach + 20 * self.radius) / SPEED_OF_SOUND

    @property
    def reach(self) -> float:
        """Metres from the origin within which the sphere and its microphones lie."""
        return float(np.linalg.norm(self.centre) + self._distances.max())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RigidSphere) and self._numbers == other._numbers

    def __hash__(self) -> int:
        return hash(self._numbers)

    def transfer(self, directions: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
        """See :meth:`Body.transfer`."""
        check_waves(directions, frequencies)
        radii, which = np.unique(self._distances.round(9), return_inverse=True)
        wave_numbers = 2 * np.pi * np.asarray(frequencies, dtype=np.float64) / SPEED_OF_SOUND
        terms = _radial_terms(self.radius, tuple(radii.tolist()), wave_numbers.tobytes())
        legendre = _legendre(directions @ self._towards.T, terms.shape[1])
        pressure = np.empty((len(directions), self.n_mics, len(frequencies)), dtype=np.complex64)
        for mic, radius in enumerate(which):
            # complex numbers as pairs of real ones: a product with real numbers costs half
            pressure[:, mic] = (legendre[:, mic] @ terms[radius].view(np.float32)).view(np.complex64)
        if self.centre.any():
            pressure *= plane_wave(directions @ self.centre, frequencies)[:, None]
        return pressure


def isotropic_covariance(body: Body, frequencies: np.ndarray, field: str = "spherical") -> np.ndarray:
    """Covariance of the microphones of a body in an isotropic field: the mean of ``H_m conj(H_n)`` over directions.

    Directions are as many as a path of twice the body's reach needs: equal steps around, Gauss-Legendre in height,
    which is exact for spherical harmonics up to the order of that path. Against the closed form for a rigid sphere
    of 8.75 cm the error is under 1e-6 at any frequency.

    Args:
        body: what the microphones are on.
        frequencies: (n_freqs,) Hz.
        field: ``spherical``: waves from all directions alike; ``cylindrical``: from those of the horizontal plane.

    Returns:
        (n_freqs, n_mics, n_mics) complex128, Hermitian, in units of the power of a microphone in free air.

    Raises:
        ValueError: see :meth:`Body.transfer`; no such field.
    """
    if field not in ("spherical", "cylindrical"):
        raise ValueError(f"field: expected spherical or cylindrical, got {field}")
    path = 2 * np.pi * float(np.max(frequencies, initial=0)) / SPEED_OF_SOUND * 2 * body.reach
    degree = int(np.ceil(path + 5 * np.cbrt(path) + 5))
    heights, weights = np.zeros(1), np.full(1, 2.0)
    if field == "spherical":
        heights, weights = np.polynomial.legendre.leggauss(degree // 2 + 1)
    azimuth = 2 * np.pi * np.arange(degree + 1) / (degree + 1)
    around = np.stack([np.cos(azimuth), np.sin(azimuth)], axis=1)
    covariance = np.zeros((len(frequencies), body.n_mics, body.n_mics), dtype=np.complex128)
    for height, weight in zip(heights, weights / 2, strict=True):
        ring = np.insert(np.sqrt(1 - height**2) * around, 2, height, axis=1)
        pressure = np.ascontiguousarray(body.transfer(ring, frequencies).transpose(2, 1, 0))  # f m u
        covariance += weight / len(ring) * (pressure @ pressure.conj().transpose(0, 2, 1))
    return covariance


def plane_wave(ahead: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """Free field of plane waves at places that lie ``ahead`` (...) metres towards the source: (..., n_freqs)."""
    phase = ((2 * np.pi / SPEED_OF_SOUND * ahead[..., None]) * frequencies).astype(np.float32)
    wave = np.empty(phase.shape, dtype=np.complex64)
    wave.real, wave.imag = np.cos(phase), np.sin(phase)  # ten times as fast as a complex exponential
    return wave


def check_waves(directions: np.ndarray, frequencies: np.ndarray) -> None:
    """Raises ValueError unless ``directions`` are unit vectors (n, 3) and ``frequencies`` (n,) are in Hz."""
    if directions.ndim != 2 or directions.shape[1] != 3:
        raise ValueError(f"directions: expected shape (n_directions, 3), got {directions.shape}")
    lengths = np.linalg.norm(directions, axis=1)
    if not (np.abs(lengths - 1) < 1e-6).all():
        raise ValueError(f"directions: expected unit vectors, got lengths of {lengths.min():g} to {lengths.max():g}")
    if frequencies.ndim != 1 or not ((frequencies >= 0) & (frequencies < np.inf)).all():
        raise ValueError(f"frequencies: expected a row of Hz, 0 or more, got {frequencies!r}")


@functools.lru_cache(maxsize=16)
def _radial_terms(radius: float, distances: tuple[float, ...], wave_numbers: bytes) -> np.ndarray:
    """What stands before P_n for each distance: (n_distances, n_orders, n_freqs) complex64.

    It is kept because a room asks for the same frequencies in many directions. Where the functions of the second
    kind overflow, the order no longer matters.
    """
    k = np.frombuffer(wave_numbers)
    k = np.maximum(k, 1e-6 / distances[-1])  # at 0 Hz the limit, not 0 / 0
    furthest = float(k.max(initial=0) * distances[-1])
    order = np.arange(int(np.ceil(furthest + 7 * np.cbrt(furthest) + 6)))[:, None]
    factor = (2 * order + 1) * 1j**order
    at_surface = spherical_jn(order, k * radius, derivative=True)
    with np.errstate(all="ignore"):
        slope = at_surface - 1j * spherical_yn(order, k * radius, derivative=True)
        terms = np.empty((len(distances), len(order), len(k)), dtype=np.complex64)
        for row, distance in enumerate(distances):
            incident = spherical_jn(order, k * distance)
            scattered = (incident - 1j * spherical_yn(order, k * distance)) * (at_surface / slope)
            terms[row] = factor * (incident - np.where(np.isfinite(scattered), scattered, 0))
    return terms


def _legendre(cosines: np.ndarray, n_orders: int) -> np.ndarray:
    """Legendre polynomials P_0 to P_(n_orders - 1): (n_directions, n_mics) → (n_directions, n_mics, n_orders)."""
    values = np.ones((*cosines.shape, n_orders))
    if n_orders > 1:
        values[..., 1] = cosines
    for n in range(2, n_orders):
        values[..., n] = ((2 * n - 1) * cosines * values[..., n - 1] - (n - 1) * values[..., n - 2]) / n
    return values.astype(np.float32)
