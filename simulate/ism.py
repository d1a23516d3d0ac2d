"""Image sources of a shoebox room, fast and exact: a type-1 non-uniform Fourier transform in place of long filters.

The response of a room is a sum of thousands to millions of shifted copies of one band-limiting filter. Here an
image is four numbers added to a grid of three cells a sample (:mod:`simulate.kernel`) from tables of images along
each axis (:mod:`simulate.images`). One transform of the grid, divided by the kernel's transform and multiplied by
the filter's, gives all copies of the filter at once. The error against the sum in double precision is -73 dB from 50 to
7000 Hz at 16 kHz.

A tail may be thinned (``max_density``): where there are more images a sample, each is kept at random with the
probability p that leaves so many, and its amplitude divided by sqrt(p). All microphones hear the same choice. The
expected energy, its decay and its directions are those of all images where their energies add up: above the Schroeder
frequency. Below, where they add up to modes, energy is lost, and so is the pressure at 0 Hz that is the sum of positive
images.
"""

from __future__ import annotations

import functools

import numpy as np
import scipy.fft

from arrayse.geometry import SPEED_OF_SOUND
from simulate.bands import band_weights
from simulate.compiled.deposit import deposit
from simulate.compiled.rows import LANES, STEPS_BITS
from simulate.compiled.vectors import BANDS, TAPS
from simulate.images import check_places, checked_walls, image_orders, image_places, image_products
from simulate.interpolation import LEAD, filter_spectrum
from simulate.kernel import Kernel

OVERSAMPLING = 3
KERNEL = Kernel(TAPS, OVERSAMPLING, 10.5, STEPS_BITS)
"""Least error up to 7 of 8 kHz of all shapes of this width, -79 dB; the table adds -76 dB."""


def image_responses(
    room_dim: np.ndarray,
    reflection: np.ndarray,
    sources: np.ndarray,
    mics: np.ndarray,
    sample_rate: int,
    n_taps: int,
    threshold: float = 0.0,
    max_density: float | None = None,
    bands: np.ndarray | None = None,
) -> np.ndarray:
    """Responses of all images within ``n_taps`` samples, each of amplitude 1/distance.

    Args:
        room_dim: (3,) metres.
        reflection: pressure reflection coefficients of the walls x = 0, x = Lx, y = 0, y = Ly, z = 0, z = Lz:
            (6,), or (n_bands, 6) with ``bands``.
        sources, mics: (n, 3) metres, inside the room; fastest with mics close together, as an array has them.
        sample_rate: Hz.
        n_taps: samples from the moment of emission on.
        threshold: an image is left out where it and all beyond it in its row are fainter than ``threshold`` times
            the direct path, at every microphone.
        max_density: most images a sample, at least 1; None: all.
        bands: (n_bands,) centre frequencies in Hz of the at most 8 octave bands, ascending.

    Returns:
        (n_sources, n_mics, LEAD + n_taps) float32; index LEAD is the moment of emission.

    Raises:
        ValueError: shapes that do not fit, numbers out of range, a place outside, a source in the place of a mic.
    """
    room_dim, sources, mics = (np.asarray(array, dtype=np.float64) for array in (room_dim, sources, mics))
    walls = checked_walls(reflection, bands)
    _check(room_dim, len(walls), sources, mics, n_taps, threshold)
    thin_from = np.inf if max_density is None else _thinning_distance(max_density, room_dim, sample_rate)
    heard = _Heard(room_dim, walls, mics, sample_rate, n_taps)
    return heard.responses(sources, threshold, thin_from, None if bands is None else tuple(map(float, bands)))


def direct_responses(sources: np.ndarray, mics: np.ndarray, sample_rate: int, n_taps: int) -> np.ndarray:
    """The direct path alone, of the same shape and through the same filter as in :func:`image_responses`."""
    sources, mics = np.asarray(sources, dtype=np.float64), np.asarray(mics, dtype=np.float64)
    distance = np.linalg.norm(sources[:, None] - mics, axis=-1)
    delay = distance * sample_rate / SPEED_OF_SOUND
    first = np.floor(delay).astype(int)
    index = first[..., None] + np.arange(2 * LEAD + 2)  # from LEAD before the arrival to LEAD after it
    offset = index - LEAD - delay[..., None]
    window = np.where(np.abs(offset) < LEAD, 0.5 + 0.5 * np.cos(np.pi * offset / LEAD), 0.0)
    inside = (index < LEAD + n_taps) & (delay <= n_taps)[..., None]
    wave = np.where(inside, np.sinc(offset) * window / distance[..., None], 0.0)
    responses = np.zeros((*distance.shape, LEAD + n_taps + 1), dtype=np.float32)
    np.put_along_axis(responses, np.minimum(index, LEAD + n_taps), wave.astype(np.float32), axis=-1)
    return responses[..., :-1]


# --- images -------------------------------------------------------------------------------------------------


class _Heard:
    """The images of a room as an array hears them.

    Args:
        room_dim: (3,) metres.
        walls: (n_bands, 6).
        mics: (n_mics, 3) metres.
        sample_rate: Hz.
        n_taps: samples within which images are heard.
    """

    def __init__(
        self, room_dim: np.ndarray, walls: np.ndarray, mics: np.ndarray, sample_rate: int, n_taps: int
    ) -> None:
        self.mics, self.sample_rate, self.n_taps, centre = mics, sample_rate, n_taps, mics.mean(axis=0)
        self.cells = OVERSAMPLING * sample_rate / SPEED_OF_SOUND  # per metre
        self.reach = n_taps * SPEED_OF_SOUND / sample_rate
        self.guard = float(np.linalg.norm(mics - centre, axis=1).max()) + 1e-3  # rounding
        self.axes = np.argsort(-room_dim, kind="stable")  # the shortest side last: its rows are the longest
        self.sides, self.listeners = room_dim[self.axes], np.vstack([mics, centre]).T[self.axes, :, None]
        self.orders = [image_orders(side, self.reach + self.guard) for side in self.sides]
        self.orders[2] = np.append(self.orders[2], self.orders[2][-1] + np.arange(1, LANES // 2 + 1))
        pairs = walls.reshape(-1, 3, 2)[:, self.axes].swapaxes(0, 1)
        products = [image_products(pair, order) for pair, order in zip(pairs, self.orders, strict=True)]
        self.strength = np.abs(products[2][:-LANES]).max(axis=1)
        self.n_lanes = 1 if len(walls) == 1 else BANDS
        if self.n_lanes > len(walls):
            products = [np.pad(product, ((0, 0), (0, self.n_lanes - len(walls)))) for product in products]
        self.products = tuple(product.ravel() for product in products)

    def responses(
        self, sources: np.ndarray, threshold: float, thin_from: float, bands: tuple[float, ...] | None
    ) -> np.ndarray:
        """(n_sources, n_mics, LEAD + n_taps) float32."""
        # the weights of narrow bands ring before and after
        length = _circular_length(self.n_taps + (0 if bands is None else int(4 * self.sample_rate / min(bands))))
        weights, n_cells = _spectral_weights(length, self.sample_rate, bands), OVERSAMPLING * length
        room_beyond = int(2 * self.guard * self.cells) + 8
        grid = np.empty((len(self.mics), n_cells + room_beyond, self.n_lanes), np.float32)
        responses = np.empty((len(sources), len(self.mics), LEAD + self.n_taps), np.float32)
        for number, source in enumerate(sources):
            grid[:] = 0
            self._deposit(grid.reshape(len(grid), -1), source, threshold, thin_from, number)
            _finish(grid[:, :n_cells], weights, responses[number])
        responses *= self.cells
        return responses

    def _deposit(self, grid: np.ndarray, source: np.ndarray, threshold: float, thin_from: float, number: int) -> None:
        """Adds the images of a source to flat grids (n_mics, n_cells x n_lanes); lengths become cells."""
        tables = zip(source[self.axes], self.sides, self.orders, self.listeners, strict=True)
        offsets = tuple(self.cells * (image_places(*along) - heard) for *along, heard in tables)
        nearest = int(np.abs(offsets[2][-1]).argmin())
        peaks = _outward_peak(self.strength, nearest)
        faintest = threshold / (self.cells * float(np.linalg.norm(self.mics - source, axis=1).max()))
        lengths = self.cells * self.reach, self.cells * self.guard, faintest, self.cells * thin_from
        seed = number * 0x85EBCA77 & 0xFFFFFFFF  # every source has its own draw
        deposit(grid, KERNEL.table, offsets, self.products, peaks, nearest, *lengths, seed)


def _thinning_distance(max_density: float, room_dim: np.ndarray, sample_rate: int) -> float:
    """Distance in metres at which there are ``max_density`` images per sample: 4 pi c distance² / (volume rate)."""
    if not max_density >= 1:
        raise ValueError(f"max_density: expected at least 1 image per sample, got {max_density}")
    return float(np.sqrt(max_density * np.prod(room_dim) * sample_rate / (4 * np.pi * SPEED_OF_SOUND)))


def _outward_peak(strength: np.ndarray, nearest: int) -> np.ndarray:
    """The largest of the ``strength`` of an image and all beyond it, as seen from the ``nearest`` one."""
    peak = strength.copy()
    peak[:nearest] = np.maximum.accumulate(strength[:nearest])
    peak[nearest + 1 :] = np.maximum.accumulate(strength[:nearest:-1])[::-1]
    peak[nearest] = strength.max()
    return peak


# --- from the grid to responses -----------------------------------------------------------------------------


def _circular_length(n_taps: int) -> int:
    """Even number of samples of the circular response: the filter's halves before and after the taps fit in."""
    return 2 * scipy.fft.next_fast_len((n_taps + 2 * LEAD + 5) // 2, real=True)


@functools.lru_cache(maxsize=8)
def _spectral_weights(length: int, sample_rate: int, bands: tuple[float, ...] | None) -> np.ndarray:
    """Filter over kernel at the bins from 0 Hz to the sample rate, (n_bands, length + 1)."""
    frequency = np.arange(length + 1) / length  # cycles a sample
    weights = (filter_spectrum(frequency) / KERNEL.spectrum(frequency))[None]
    if bands is not None:
        weights = weights * band_weights(frequency * sample_rate, np.array(bands))
    return weights.astype(np.float32)


def _finish(grid: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
    """Grids (n_mics, n_cells, n_lanes) of one source → responses (n_mics, LEAD + n_taps)."""
    length = grid.shape[1] // OVERSAMPLING
    spectra = scipy.fft.rfft(grid.swapaxes(1, 2)[:, : len(weights)])[..., : length + 1]
    spectrum = np.einsum("mbf,bf->mf", spectra, weights)
    half = length // 2
    folded = spectrum[:, : half + 1] + np.conj(spectrum[:, : half - 1 : -1])  # what lies above half the rate aliases
    wave = scipy.fft.irfft(folded, length)  # one sample late: the grid begins a sample before the emission
    out[:, : LEAD - 1] = wave[:, 1 - LEAD :]
    out[:, LEAD - 1 :] = wave[:, : out.shape[1] - LEAD + 1]


# --- checks -------------------------------------------------------------------------------------------------


def _check(
    room_dim: np.ndarray, n_bands: int, sources: np.ndarray, mics: np.ndarray, n_taps: int, threshold: float
) -> None:
    if n_bands > BANDS:
        raise ValueError(f"bands: expected at most {BANDS}, got {n_bands}")
    check_places("sources", sources, room_dim)
    check_places("mics", mics, room_dim)
    if not np.linalg.norm(sources[:, None] - mics, axis=-1).all():
        raise ValueError("sources: expected places apart from the mics, got that of one of them")
    if not 0 <= threshold < 1:
        raise ValueError(f"threshold: expected 0 to 1, got {threshold}")
    if n_taps < 1:
        raise ValueError(f"n_taps: expected at least 1, got {n_taps}")
