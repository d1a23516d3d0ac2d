"""Measured bodies: impulse responses by direction from a SOFA file (AES69), which is HDF5 and not to be trusted.

Sizes and kinds are looked at before anything is read, and nothing outside the file is followed. What cannot be used is
a ValueError that names the file.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from arrayse.files import one_line
from simulate.bodies import check_waves

MAX_VALUES = 1 << 26
"""Most numbers of one variable that are read: half a gigabyte."""

LARGEST = 1e12
"""Largest number that can be meant, whatever the variable."""

LONGEST_TEXT = 1000
"""Bytes of an attribute that is read."""

MAX_SECONDS = 0.1
"""Longest responses, with their delays: a head rings for some milliseconds, what lasts longer is a room."""

BEYOND_NYQUIST = 1.12
"""Frequencies asked for over half of the file's sample rate, at most: interpolation filters reach a little beyond."""

HEAD_REACH = 0.15
"""Metres: a head with ears, some way off the origin. The directions of most files are too few for larger bodies."""

DELAY_BAND = (200.0, 2000.0)
"""Hz in which the delay of a response is read off its phase: below, rooms are loud; above, heads cast shadows."""


@dataclass(frozen=True, eq=False)
class Measurements:
    """What a SOFA file says.

    Attributes:
        taps: (n_measured, n_mics, n_taps).
        delays: (n_measured, n_mics), by which the taps are late, in samples.
        directions: (n_measured, 3) unit vectors towards the source, in the listener's frame (x front, y left, z up).
        sample_rate: Hz.
    """

    taps: np.ndarray
    delays: np.ndarray
    directions: np.ndarray
    sample_rate: float


class SofaBody:
    """Measured responses; every direction is answered by the nearest measured one.

    The receivers of the file are the channels. The file's own sample rate is no matter: responses are evaluated at
    the frequencies asked for. Levels are those of the file.

    Files do not say when the wave passed the place of the listener, and most begin some milliseconds before. Unless it
    is told, that common delay is fitted: delays of all measurements as ``predelay - u · p / c`` with an unknown
    place ``p`` for every receiver.

    Args:
        path: a SOFA file of data type FIR (SimpleFreeFieldHRIR, GeneralFIR, SingleRoomSRIR and the like).
        n_mics: channels that it must have; None takes any number.
        predelay: seconds from the start of the responses until the wave passes the listener; None: fitted.

    Raises:
        ImportError: h5py is not installed.
        ValueError: see :func:`read_sofa`; another number of receivers.
    """

    def __init__(self, path: Path, n_mics: int | None = None, predelay: float | None = None) -> None:
        self.path = Path(path)
        self.measured = read_sofa(self.path)
        if n_mics not in (None, self.n_mics):
            raise ValueError(f"{path}: expected {n_mics} receivers (Data.IR), got {self.n_mics}")
        self.predelay = _fitted_predelay(self.measured) if predelay is None else float(predelay)
        if not abs(self.predelay) <= MAX_SECONDS:
            raise ValueError(f"predelay: expected at most {MAX_SECONDS:g} s, got {self.predelay:g} s for {path}")

    @property
    def n_mics(self) -> int:
        """Number of receivers."""
        return int(self.measured.taps.shape[1])

    @property
    def duration(self) -> float:
        """Seconds from the arrival at the listener to the first or the last tap."""
        first = self.measured.delays.min() / self.measured.sample_rate
        last = (self.measured.delays.max() + self.measured.taps.shape[2]) / self.measured.sample_rate
        return float(max(self.predelay - first, last - self.predelay))

    @property
    def reach(self) -> float:
        """Metres from the listener to what scatters: a head, whatever the file; it does not say."""
        return HEAD_REACH

    def transfer(self, directions: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
        """See :meth:`simulate.bodies.Body.transfer`; ValueError too for frequencies that the file does not reach."""
        check_waves(directions, frequencies)
        frequencies = np.asarray(frequencies, dtype=np.float64)
        nearest = np.argmax(directions @ self.measured.directions.T, axis=1)
        taps, delays = self.measured.taps[nearest], self.measured.delays[nearest]
        rate = self.measured.sample_rate
        if frequencies.max(initial=0) > BEYOND_NYQUIST * rate / 2:
            highest = f"{frequencies.max():g} Hz"
            raise ValueError(f"{self.path}: expected a Data.SamplingRate for sound up to {highest}, got {rate:g} Hz")
        basis = _fourier_basis(taps.shape[2], rate, self.predelay, frequencies.tobytes())
        spectra = (taps.reshape(-1, taps.shape[2]) @ basis).view(np.complex64)
        spectra = spectra.reshape(len(directions), self.n_mics, len(frequencies))
        if delays.any():
            spectra *= np.exp(-2j * np.pi / rate * delays[..., None] * frequencies)
        return spectra


def read_sofa(path: Path) -> Measurements:
    """Reads and checks a SOFA file.

    Raises:
        ImportError: h5py is not installed.
        ValueError: no such file, not HDF5, not SOFA of data type FIR; variables that are missing, of a wrong shape
            or kind, too large, linked to other files, or not finite; silence; a source in the listener's place.
    """
    with _opened(path) as file:
        for name, expected in (("Conventions", "SOFA"), ("DataType", "FIR")):
            if (got := _text(path, file, name)) != expected:
                raise ValueError(f"{path}: expected {name} {expected}, got {got or 'none'}")
        taps = _variable(path, file, "Data.IR", n_axes=3).astype(np.float32)
        rates = np.unique(_variable(path, file, "Data.SamplingRate"))
        delays = np.zeros((1, 1))
        if "Data.Delay" in file:
            delays = _variable(path, file, "Data.Delay", n_axes=2)
        directions = _directions(path, file, len(taps))
    _check(path, taps, delays, rates)
    return Measurements(taps, np.broadcast_to(delays, taps.shape[:2]), directions, float(rates[0]))


def _check(path: Path, taps: np.ndarray, delays: np.ndarray, rates: np.ndarray) -> None:
    """Raises ValueError unless responses, delays and sample rate belong together and can be a body's."""
    n_measured, n_mics, n_taps = taps.shape
    if len(rates) != 1 or not rates[0] > 0:
        raise ValueError(f"{path}: expected one Data.SamplingRate above 0 Hz, got {rates[:5].tolist()}")
    if delays.shape[0] not in (1, n_measured) or delays.shape[1] not in (1, n_mics):
        raise ValueError(f"{path}: expected Data.Delay for {n_measured} x {n_mics} responses, got shape {delays.shape}")
    longest = (n_taps + np.abs(delays).max()) / rates[0]
    if longest > MAX_SECONDS:
        raise ValueError(
            f"{path}: expected responses of a body, at most {MAX_SECONDS:g} s, got {longest:.3g} s: of a room?"
        )
    silent = np.argwhere(~taps.any(axis=2))
    if len(silent):
        measurement, receiver = silent[0].tolist()
        raise ValueError(
            f"{path}: expected sound in every Data.IR, got silence at receiver {receiver} of measurement {measurement}"
        )


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The HDF5 file; what the library finds wrong, then or later, is a ValueError with the path."""
    try:
        import h5py
    except ImportError:
        raise ImportError(f"{path}: expected h5py to read SOFA files, got none: pip install 'arrayse[sofa]'") from None
    if not path.is_file():
        raise ValueError(f"{path}: expected a SOFA file, got none there")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        if str(error).startswith(f"{path}: expected"):  # ours
            raise
        raise ValueError(f"{path}: expected a readable SOFA file (HDF5), got {one_line(error)}") from None


def _text(path: Path, node: Any, name: str) -> str:
    """An attribute as text; empty if there is none.

    Text of variable length, which SOFA does not use, is refused: damaged, it makes the library hang or crash.
    """
    if name not in node.attrs:
        return ""
    kind = node.attrs.get_id(name)
    if kind.dtype.kind != "S" or kind.dtype.itemsize > LONGEST_TEXT or kind.shape not in ((), (1,)):
        raise ValueError(f"{path}: expected text of fixed length in {name}, got {kind.dtype} of shape {kind.shape}")
    return bytes(np.ravel(node.attrs[name])[0]).decode("utf-8", "replace")


def _variable(path: Path, file: Any, name: str, n_axes: int | None = None) -> np.ndarray:
    """A variable in double precision, looked at before it is read."""
    import h5py

    if not isinstance(file.get(name, getlink=True), h5py.HardLink) or not isinstance(file[name], h5py.Dataset):
        raise ValueError(f"{path}: expected the variable {name} in the file, got none")
    dataset = file[name]
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{path}: expected {name} inside the file, got one whose numbers are in another file")
    if dataset.dtype.kind not in "fiu" or n_axes not in (None, dataset.ndim) or dataset.size == 0:
        axes = "" if n_axes is None else f" with {n_axes} axes"
        raise ValueError(f"{path}: expected numbers{axes} in {name}, got {dataset.dtype} of shape {dataset.shape}")
    if max(dataset.size, math.prod(dataset.chunks or ())) > MAX_VALUES:  # a chunk is unpacked whole
        raise ValueError(
            f"{path}: expected at most {MAX_VALUES} numbers in {name}, got shape {dataset.shape} "
            f"in chunks of {dataset.chunks}"
        )
    values = np.asarray(dataset[()], dtype=np.float64)
    n_bad = int((~(np.abs(values) <= LARGEST)).sum())
    if n_bad:
        raise ValueError(f"{path}: expected finite numbers in {name}, got {n_bad} NaN, infinite or beyond {LARGEST:g}")
    return values


def _directions(path: Path, file: Any, n_measured: int) -> np.ndarray:
    """Unit vectors from the listener to the source in the listener's frame, (n_measured, 3)."""
    away = _points(path, file, "SourcePosition", n_measured)
    if "ListenerPosition" in file:
        away = away - _points(path, file, "ListenerPosition", n_measured)
    away = _unit(path, "SourcePosition", away)
    if "ListenerView" not in file:
        return away
    front = _unit(path, "ListenerView", _points(path, file, "ListenerView", n_measured))
    up = np.array([[0.0, 0.0, 1.0]])
    if "ListenerUp" in file:  # it has no type of its own
        up = _points(path, file, "ListenerUp", n_measured, typed="ListenerView")
    left = _unit(path, "ListenerUp", np.cross(up, front))
    axes = np.stack(np.broadcast_arrays(front, left, np.cross(front, left)), axis=1)  # measurement, axis, 3
    return np.einsum("max,mx->ma", axes, away)


def _points(path: Path, file: Any, name: str, n_measured: int, typed: str | None = None) -> np.ndarray:
    """Cartesian coordinates (n_measured, 3) of a variable, written as the attributes of ``typed`` (itself) say."""
    points = _variable(path, file, name, n_axes=2)
    if points.shape[0] not in (1, n_measured) or points.shape[1] != 3:
        raise ValueError(f"{path}: expected {name} of shape ({n_measured}, 3) or (1, 3), got {points.shape}")
    kind, units = (_text(path, file[typed or name], attribute).strip().lower() for attribute in ("Type", "Units"))
    if kind == "spherical" and units.startswith("degree"):
        azimuth, elevation, radius = np.deg2rad(points[:, 0]), np.deg2rad(points[:, 1]), points[:, 2]
        level = radius * np.cos(elevation)
        points = np.stack([level * np.cos(azimuth), level * np.sin(azimuth), radius * np.sin(elevation)], axis=1)
    elif kind != "cartesian":
        got = f"Type {kind or 'none'}, Units {units or 'none'}"
        raise ValueError(f"{path}: expected {name} of Type cartesian, or spherical in degrees, got {got}")
    return np.broadcast_to(points, (n_measured, 3))


def _unit(path: Path, name: str, vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not lengths.all():
        raise ValueError(f"{path}: expected {name} to give a direction, got none in row {int(np.argmin(lengths))}")
    return vectors / lengths


def _fitted_predelay(measured: Measurements) -> float:
    """Seconds by which all responses are late, after the part that goes with the direction is taken out.

    The delay of a response is the mean of its group delay over DELAY_BAND, weighted with the energy. Directions in
    one plane leave the part across it open; it counts as nought.
    """
    samples = np.arange(measured.taps.shape[2])
    frequencies = np.linspace(*DELAY_BAND, 32)
    basis = np.exp(-2j * np.pi / measured.sample_rate * samples[:, None] * frequencies).astype(np.complex64)
    spectra, slopes = measured.taps @ basis, (measured.taps * samples.astype(np.float32)) @ basis
    energy = np.maximum(np.sum(np.abs(spectra) ** 2, axis=-1), np.finfo(np.float32).tiny)
    late = np.sum(np.real(np.conj(spectra) * slopes), axis=-1) / energy + measured.delays
    mean = measured.directions.mean(axis=0)
    places = np.linalg.lstsq(measured.directions - mean, late - late.mean(axis=0), rcond=1e-6)[0]
    return float(np.mean(late.mean(axis=0) - mean @ places)) / measured.sample_rate


@functools.lru_cache(maxsize=4)
def _fourier_basis(n_taps: int, rate: float, predelay: float, frequencies: bytes) -> np.ndarray:
    """Spectrum of each tap alone, real and imaginary parts in turn: (n_taps, 2 n_freqs) float32.

    It is kept because a room asks for the same frequencies in many directions.
    """
    seconds = np.arange(n_taps) / rate - predelay
    phase = (-2 * np.pi * (seconds[:, None] * np.frombuffer(frequencies) % 1)).astype(np.float32)
    return np.stack([np.cos(phase), np.sin(phase)], axis=-1).reshape(n_taps, -1)
