"""Short-time objective intelligibility, plain (STOI) and extended (ESTOI), in whole arrays.

Equal to the package ``pystoi`` up to rounding: its resampling, its dropping of silent frames, its frames and bands.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from arrayse.metrics.resample import RATE, to_10_khz
from arrayse.metrics.utterance import Score, as_float, in_range, unfit

STOI_MIN_SECONDS = 0.4
"""30 frames at 10 kHz; lower rates would leave the upper bands empty."""

FRAME, HOP, N_FFT = 256, 128, 512
"""In samples at 10 kHz."""

SEGMENT = 30
"""Frames of which the envelopes are compared."""

N_BANDS, LOWEST_HZ = 15, 150
"""Third-octave bands and the centre of the lowest."""

DYNAMIC_RANGE_DB = 40
"""Frames in which the target is further below its loudest frame are silent."""

SDR_BOUND_DB = -15
"""STOI: an envelope may lie above the target's as much as in noise of this ratio."""

BLOCK = 32
"""Frames transformed at once: the system would map and clear the memory of larger spectra anew each time."""

EPS = float(np.finfo(np.float64).eps)
WINDOW = np.hanning(FRAME + 2)[1:-1]


def stoi(estimate: np.ndarray, target: np.ndarray, sample_rate: int) -> Score:
    """Short-time objective intelligibility (Taal et al. 2011), at most 1.

    Args:
        estimate: (n_samples,) real waveform.
        target: (n_samples,) real waveform, at least ``STOI_MIN_SECONDS`` of active speech.
        sample_rate: in Hz, at least 10 kHz.

    Returns:
        The score, or the reason why there is none.
    """
    return _score("stoi", _clipped_correlation, estimate, target, sample_rate)


def estoi(estimate: np.ndarray, target: np.ndarray, sample_rate: int) -> Score:
    """Extended short-time objective intelligibility (Jensen & Taal 2016), at most 1.

    The definition divides by zero where an estimate has digital silence. There ``pystoi`` dithers; so is it done here,
    with the dither that ``np.random.seed(0)`` gives it: equal signals have bit-equal scores. At the borders of such
    silence the score hangs on rounding all the same, by about 1e-4, in the package as here.

    Args:
        estimate: (n_samples,) real waveform.
        target: (n_samples,) real waveform, at least ``STOI_MIN_SECONDS`` of active speech.
        sample_rate: in Hz, at least 10 kHz.

    Returns:
        The score, or the reason why there is none.
    """
    return _score("estoi", _normalised_correlation, estimate, target, sample_rate)


def _score(
    name: str,
    correlation: Callable[[np.ndarray, np.ndarray], float],
    estimate: np.ndarray,
    target: np.ndarray,
    sample_rate: int,
) -> Score:
    if problem := unfit(sample_rate, {"estimate": estimate, "target": target}):
        return Score(None, problem)
    if sample_rate < RATE:
        return Score(None, f"{name}: expected a sample rate from {RATE} Hz up, got {sample_rate}")
    seconds = np.size(target) / sample_rate
    if seconds < STOI_MIN_SECONDS:
        return Score(None, f"{name}: expected {STOI_MIN_SECONDS:g} s or more, got {seconds:.3f} s")
    waves = to_10_khz([as_float(target), as_float(estimate)], int(sample_rate))
    envelopes = _envelopes(_without_silence(waves))
    if envelopes.shape[2] < SEGMENT:
        return Score(None, f"{name}: expected {STOI_MIN_SECONDS:g} s of active target, got less")
    target_segments, segments = sliding_window_view(envelopes, SEGMENT, axis=2)  # each: band segment frame
    return in_range(name, correlation(target_segments, segments), -1.0, 1.0)


def _frames(waves: np.ndarray) -> np.ndarray:
    """(n_waves, n_samples) → views (n_waves, frame, sample); like ``pystoi``, none that ends with the signal."""
    n_frames = max(0, -(-(waves.shape[1] - FRAME) // HOP))
    return sliding_window_view(waves, FRAME, axis=1)[:, ::HOP][:, :n_frames]


def _without_silence(waves: np.ndarray) -> np.ndarray:
    """Both waves (2, n_samples), target first, without the frames in which the target is silent."""
    energies = np.einsum("fs,s->f", _frames(waves[:1] ** 2)[0], WINDOW**2)
    levels_db = 20 * np.log10(np.sqrt(energies) + EPS)
    frames = _frames(waves)[:, levels_db.max() - DYNAMIC_RANGE_DB - levels_db < 0]
    frames *= WINDOW
    joined = np.zeros((2, frames.shape[1] + 1, HOP))  # overlap-add: a frame is two hops
    joined[:, :-1] = frames[..., :HOP]
    joined[:, 1:] += frames[..., HOP:]
    return joined.reshape(2, -1)


def _envelopes(waves: np.ndarray) -> np.ndarray:
    """(2, n_samples) → (2, band, frame): root of the energy in third-octave bands."""
    frames, edges = _frames(waves), _band_edges()
    energies = np.empty((*frames.shape[:2], N_BANDS))
    for start in range(0, frames.shape[1], BLOCK):
        some = slice(start, start + BLOCK)
        spectrum = np.fft.rfft(frames[:, some] * WINDOW, N_FFT)[..., : edges[-1], None].view(np.float64)
        power = np.einsum("wfkc,wfkc->wfk", spectrum, spectrum)
        np.add.reduceat(power, edges[:-1], axis=2, out=energies[:, some])
    return np.ascontiguousarray(np.sqrt(energies).transpose(0, 2, 1))  # segments are views of it


@functools.cache
def _band_edges() -> np.ndarray:
    """(N_BANDS + 1,) bins of the transform closest to the edges of the bands."""
    edges_hz = LOWEST_HZ * 2 ** ((2 * np.arange(N_BANDS + 1) - 1) / 6)
    return np.abs(np.arange(N_FFT // 2 + 1)[:, None] * RATE / N_FFT - edges_hz).argmin(axis=0)


def _clipped_correlation(target: np.ndarray, estimate: np.ndarray) -> float:
    """STOI of segments (band, segment, frame): the estimate at the target's level, clipped; mean correlation."""
    gain = _norm(target, 2) / (_norm(estimate, 2) + EPS)
    clipped = estimate * gain
    np.minimum(clipped, target * (1 + 10 ** (-SDR_BOUND_DB / 20)), out=clipped)
    clipped -= clipped.mean(axis=2, keepdims=True)
    centred = target - target.mean(axis=2, keepdims=True)
    product = np.einsum("bsf,bsf->bs", clipped, centred)[..., None]
    return float(np.mean(product / ((_norm(clipped, 2) + EPS) * (_norm(centred, 2) + EPS))))


def _normalised_correlation(target: np.ndarray, estimate: np.ndarray) -> float:
    """ESTOI of segments (band, segment, frame): mean over frames of the correlation over bands."""
    n_bands, n_segments, n_frames = target.shape
    dither = _dither(4 * target.size).reshape(2, 2, n_segments, n_bands, n_frames).swapaxes(2, 3)
    wanted, found = _normalised(target, *dither[0]), _normalised(estimate, *dither[1])
    product = np.einsum("bsf,bsf->sf", wanted, found)
    return float(np.mean(product / (_norm(wanted, 0) * _norm(found, 0))[0]))


def _normalised(segments: np.ndarray, band_dither: np.ndarray, frame_dither: np.ndarray) -> np.ndarray:
    """Bands with mean 0 and norm 1 over a segment's frames; then frames with mean 0 over the bands."""
    normalised = segments + band_dither
    normalised -= normalised.mean(axis=2, keepdims=True)
    normalised /= _norm(normalised, 2)
    normalised += frame_dither
    normalised -= normalised.mean(axis=0, keepdims=True)
    return normalised


def _norm(segments: np.ndarray, axis: int) -> np.ndarray:
    """Euclidean norm over one axis (0: bands, 2: frames), which is kept with length 1."""
    kept = "sf" if axis == 0 else "bs"
    return np.expand_dims(np.sqrt(np.einsum(f"bsf,bsf->{kept}", segments, segments)), axis)


def _dither(n: int) -> np.ndarray:
    """The first n values of the dither: of a cached stream, because drawing it takes longer than all the rest."""
    return _stream(1 << max(19, (n - 1).bit_length()))[:n]


@functools.lru_cache(maxsize=2)
def _stream(n: int) -> np.ndarray:
    return EPS * np.random.RandomState(0).standard_normal(n)
