"""Image sources of a shoebox room, fast and exact: a type-1 non-uniform Fourier transform in place of long filters.

The response of a room is a sum of thousands to millions of shifted copies of one band-limiting filter. Here an
image is four numbers added to a grid of three cells a sample: a Kaiser-Bessel kernel about the exact moment of
its arrival. One transform of the grid, divided by the kernel's transform and multiplied by the filter's, gives all
copies of the filter at once (Dutt and Rokhlin, SIAM J. Sci. Comput. 14, 1993; kernel after Fessler and Sutton,
IEEE Trans. Signal Process. 51, 2003). The images of a shoebox are those of Allen and Berkley, JASA 65 (1979):
squared distances and attenuations are sums and products of one table per axis.
"""

from __future__ import annotations

import functools

import numpy as np
import scipy.fft
import scipy.special

from arrayse.geometry import SPEED_OF_SOUND
from simulate.bands import band_weights, checked_centres
from simulate.deposit import LANES, STEPS_BITS, deposit
from simulate.interpolation import LEAD, filter_spectrum
from simulate.vectors import BANDS, TAPS

OVERSAMPLING = 3
"""Grid cells a sample."""

BETA = 10.5
"""Shape of the Kaiser-Bessel kernel: least error up to 7 of 8 kHz for this width and oversampling, -79 dB."""


def image_responses(
    room_dim: np.ndarray,
    reflection: np.ndarray,
    sources: np.ndarray,
    mics: np.ndarray,
    sample_rate: int,
    n_taps: int,
    threshold: float = 0.0,
    max_density: float | None = None,
    rng_seed: int = 0,
    bands: np.ndarray | None = None,
) -> np.ndarray:
    """Responses of a shoebox room: all images that arrive within ``n_taps`` samples, each of amplitude 1/distance.

    The error against the sum over the images in double precision is about -72 dB from 50 to 7000 Hz at 16 kHz.

    Args:
        room_dim: (3,) metres.
        reflection: pressure reflection coefficients of the walls x = 0, x = Lx, y = 0, y = Ly, z = 0, z = Lz:
            (6,), or (n_bands, 6) with ``bands``.
        sources: (n_sources, 3) metres, inside the room.
        mics: (n_mics, 3) metres, inside the room; fastest when close together, as an array is.
        sample_rate: Hz.
        n_taps: samples from the moment of emission on.
        threshold: an image is left out where it and all beyond it in its row are fainter than ``threshold``
            times the direct path, at every microphone.
        max_density: images per sample, at least 1. Where there are more, an image is kept at random with the
            probability p that leaves so many, and its amplitude divided by sqrt(p). The same images are kept for
            all microphones. The expected energy, its decay and its directions are those of all images where their
            energies add up: above the Schroeder frequency. Below, where they add up to modes, energy is lost, and
            so is the pressure at 0 Hz that is the sum of positive images.
        rng_seed: of that choice.
        bands: centre frequencies in Hz of the at most 8 octave bands, ascending: (n_bands,).

    Returns:
        (n_sources, n_mics, LEAD + n_taps) float32; index LEAD is the moment of emission.

    Raises:
        ValueError: shapes that do not fit each other, a place outside the room, a source in the place of a
            microphone, numbers out of range.
    """
    room_dim, sources, mics = (np.asarray(array, dtype=np.float64) for array in (room_dim, sources, mics))
    walls = _checked_walls(reflection, bands)
    _check_places(room_dim, sources, mics)
    if not 0 <= threshold < 1:
        raise ValueError(f"threshold: expected 0 to 1, got {threshold}")
    if n_taps < 1:
        raise ValueError(f"n_taps: expected at least 1, got {n_taps}")
    thin_from = np.inf if max_density is None else _thinning_distance(max_density, room_dim, sample_rate)
    cells = OVERSAMPLING * sample_rate / SPEED_OF_SOUND  # per metre
    axes = np.argsort(-room_dim, kind="stable")  # the shortest side last: its rows are the longest
    reach, centre = n_taps * SPEED_OF_SOUND / sample_rate, mics.mean(axis=0)
    listeners = np.vstack([mics, centre])
    guard = float(np.linalg.norm(mics - centre, axis=1).max()) + 1e-3  # rounding
    orders, products = _tables(walls, room_dim, axes, reach + guard)
    flat, strength = [product.ravel() for product in products], np.abs(products[2][:-LANES]).max(axis=1)
    # the weights of narrow bands ring before and after
    length = _circular_length(n_taps + (0 if bands is None else int(4 * sample_rate / min(bands))))
    weights = _spectral_weights(length, sample_rate, None if bands is None else tuple(map(float, bands)))
    n_cells, n_lanes = OVERSAMPLING * length, products[0].shape[1]
    grid = np.empty((len(mics), n_cells + int(2 * guard * cells) + 8, n_lanes), np.float32)
    responses = np.empty((len(sources), len(mics), LEAD + n_taps), np.float32)
    for number, source in enumerate(sources):
        offsets = [
            cells * (_images(source[axis], room_dim[axis], order) - listeners[:, axis, None])
            for axis, order in zip(axes, orders, strict=True)
        ]
        nearest = int(np.abs(offsets[2][-1]).argmin())
        faintest = threshold / (cells * float(np.linalg.norm(mics - source, axis=1).max()))
        lengths = (cells * reach, cells * guard, faintest, cells * thin_from)
        seed = (rng_seed * 0x9E3779B1 + number * 0x85EBCA77) & 0xFFFFFFFF
        grid[:] = 0
        peaks = _outward_peak(strength, nearest)
        deposit(grid.reshape(len(mics), -1), _kernel_table(), *offsets, *flat, peaks, nearest, *lengths, seed)
        _finish(grid[:, :n_cells], weights, responses[number])
    responses *= cells
    return responses


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


# --- tables -------------------------------------------------------------------------------------------------


def _tables(
    walls: np.ndarray, room_dim: np.ndarray, axes: np.ndarray, reach: float
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Orders of the images within ``reach`` metres along each axis, and their products of reflections."""
    counts = np.ceil(reach / (2 * room_dim[axes])).astype(int) + 1
    orders = [np.arange(-count, count + 1 + extra) for count, extra in zip(counts, (0, 0, LANES // 2), strict=True)]
    pairs = [walls[:, [2 * axis, 2 * axis + 1]] for axis in axes]
    return orders, [_products(pair, order) for pair, order in zip(pairs, orders, strict=True)]


def _images(source: float, side: float, order: np.ndarray) -> np.ndarray:
    """Places of the images of a source along one axis in metres, two of each order, ascending."""
    return np.stack([2 * side * order - source, 2 * side * order + source], axis=1).ravel()


def _products(walls: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Products of the reflections of two walls for each of the images: (n_bands, 2) → (n_images, n_lanes)."""
    low, high = walls.T
    number = order[:, None]
    mirrored = low ** np.abs(number - 1) * high ** np.abs(number)
    moved = low ** np.abs(number) * high ** np.abs(number)
    products = np.stack([mirrored, moved], axis=1).reshape(-1, len(walls))
    n_lanes = 1 if len(walls) == 1 else BANDS
    return np.pad(products, ((0, 0), (0, n_lanes - len(walls)))).astype(np.float32)


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


@functools.cache
def _kernel_table() -> np.ndarray:
    """The kernel at TAPS cells for each of the places of an image between two cells: flat float32."""
    steps = 1 << STEPS_BITS
    place = (np.arange(steps)[:, None] + 0.5) / steps
    offset = (np.arange(TAPS) - (TAPS // 2 - 1) - place) / (TAPS / 2)
    kernel = scipy.special.i0(BETA * np.sqrt(1 - offset**2)) / scipy.special.i0(BETA)
    return np.ascontiguousarray(kernel, dtype=np.float32).ravel()


# --- from the grid to responses -----------------------------------------------------------------------------


def _circular_length(n_taps: int) -> int:
    """Even number of samples of the circular response: the filter's halves before and after the taps fit in."""
    return 2 * scipy.fft.next_fast_len((n_taps + 2 * LEAD + 5) // 2, real=True)


@functools.lru_cache(maxsize=8)
def _spectral_weights(length: int, sample_rate: int, bands: tuple[float, ...] | None) -> np.ndarray:
    """Filter over kernel at the bins from 0 Hz to the sample rate, (n_bands, length + 1)."""
    frequency = np.arange(length + 1) / length  # cycles a sample
    root = np.sqrt(BETA**2 - (np.pi * TAPS * frequency / OVERSAMPLING) ** 2)
    kernel = TAPS * np.sinh(root) / (root * scipy.special.i0(BETA))
    weights = (filter_spectrum(frequency) / kernel)[None]
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


def _checked_walls(reflection: np.ndarray, bands: np.ndarray | None) -> np.ndarray:
    """Coefficients (n_bands, 6)."""
    walls = np.asarray(reflection, dtype=np.float64)
    if bands is not None and len(checked_centres(bands)) > BANDS:
        raise ValueError(f"bands: expected at most {BANDS}, got {len(bands)}")
    expected = (6,) if bands is None else (len(bands), 6)
    if walls.shape != expected or not (np.abs(walls) <= 1).all():
        raise ValueError(f"reflection: expected {expected} numbers from -1 to 1, got {walls.tolist()}")
    return np.atleast_2d(walls)


def _check_places(room_dim: np.ndarray, sources: np.ndarray, mics: np.ndarray) -> None:
    for what, places in (("sources", sources), ("mics", mics)):
        if places.ndim != 2 or places.shape[1] != 3:
            raise ValueError(f"{what}: expected shape (n, 3), got {places.shape}")
        if not ((places > 0) & (places < room_dim)).all():
            raise ValueError(f"{what}: expected places inside the room {room_dim.tolist()} m, got {places.tolist()}")
    if not np.linalg.norm(sources[:, None] - mics, axis=-1).all():
        raise ValueError("sources: expected places apart from the mics, got that of one of them")
