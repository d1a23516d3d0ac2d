"""How far a two-channel estimate moves what the ears take from the differences between them.

Errors of interaural cues between output and target as in Van den Bogaert, Doclo, Wouters and Moonen (Journal of the
Acoustical Society of America 125, 2009): time differences below 1.5 kHz, where ears follow the phase, and level
differences in third-octave bands. Both are cues of the whole signal.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from arrayse.metrics.utterance import Score, as_float, unfit

ITD_MAX_HZ = 1500.0
ITD_MAX_SECONDS = 1e-3
"""No head of a human is larger."""

LOWEST_BAND = -9
"""Third-octave bands (IEC 61260-1) have their centres at 1000·10^(n/10) Hz; n of the lowest, about 125 Hz."""

BAND_RANGE_DB = 60.0
"""Bands in which the target is further below its strongest one are left out."""

N_REFINEMENTS = 6


def itd_error_us(estimate: np.ndarray, target: np.ndarray, sample_rate: int) -> Score:
    """Absolute difference of the interaural time differences of estimate and target, in microseconds.

    A time difference is the lag within ±1 ms at which the cross-correlation of the channels below 1.5 kHz is highest,
    found between samples.

    Args:
        estimate: (2, n_samples) real waveforms of the two ears.
        target: (2, n_samples) real waveforms.
        sample_rate: in Hz.

    Returns:
        The error in microseconds, or the reason why there is none.
    """
    if problem := _unfit_pair(estimate, target, sample_rate):
        return Score(None, problem)
    itds = [_itd_seconds(as_float(wave), sample_rate) for wave in (estimate, target)]
    return Score(1e6 * abs(itds[0] - itds[1]))


def ild_error_db(estimate: np.ndarray, target: np.ndarray, sample_rate: int) -> Score:
    """Mean over third-octave bands of the absolute difference of the interaural level differences, in dB.

    A level difference is the ratio of the channels' energies in a band. Bands go from 125 Hz to half the sample rate;
    those in which the target has less than ``BAND_RANGE_DB`` under its strongest one are left out.

    Args:
        estimate: (2, n_samples) real waveforms of the two ears.
        target: (2, n_samples) real waveforms.
        sample_rate: in Hz.

    Returns:
        The error in dB, or the reason why there is none.
    """
    if problem := _unfit_pair(estimate, target, sample_rate):
        return Score(None, problem)
    found, wanted = (_band_energies(as_float(wave), sample_rate) for wave in (estimate, target))
    if not wanted.size or not wanted.any():
        return Score(None, "ild_error_db: expected a target with energy in third-octave bands from 125 Hz up, got none")
    heard = wanted.sum(axis=0) >= wanted.sum(axis=0).max() * 10 ** (-BAND_RANGE_DB / 10)
    with np.errstate(divide="ignore", invalid="ignore"):
        ilds = [10 * np.log10(energies[0] / energies[1])[heard] for energies in (found, wanted)]
        error = float(np.mean(np.abs(ilds[0] - ilds[1])))
    if not np.isfinite(error):
        return Score(None, "ild_error_db: expected energy at both ears in all bands of the target, got none in one")
    return Score(error)


def _unfit_pair(estimate: np.ndarray, target: np.ndarray, sample_rate: int) -> str:
    for what, wave in (("estimate", estimate), ("target", target)):
        if np.ndim(wave) != 2 or len(wave) != 2:
            return f"{what}: expected two channels of shape (2, n_samples), got {np.shape(wave)}"
    pair = {"estimate": estimate, "target": target}
    return unfit(sample_rate, {f"{what}, channel {ear}": wave[ear] for what, wave in pair.items() for ear in (0, 1)})


def _itd_seconds(wave: np.ndarray, sample_rate: int) -> float:
    """By how much the second channel of (2, n_samples) is behind the first."""
    length = 2 * wave.shape[1]  # no lag wraps around
    spectra = np.fft.rfft(wave, length)
    omega = 2 * np.pi * np.fft.rfftfreq(length, 1 / sample_rate)
    cross = np.where(omega < 2 * np.pi * ITD_MAX_HZ, spectra[0].conj() * spectra[1], 0)
    lags = np.arange(-int(ITD_MAX_SECONDS * sample_rate), int(ITD_MAX_SECONDS * sample_rate) + 1)
    lag = float(lags[np.argmax(np.fft.irfft(cross, length)[lags])] / sample_rate)
    for _ in range(N_REFINEMENTS):  # Newton's steps to where the derivative of the cross-correlation is zero
        turned = cross * np.exp(1j * omega * lag)
        curvature = np.sum(omega**2 * turned.real)
        if curvature > 0:
            lag += float(np.clip(-np.sum(omega * turned.imag) / curvature, -0.5 / sample_rate, 0.5 / sample_rate))
    return float(np.clip(lag, -ITD_MAX_SECONDS, ITD_MAX_SECONDS))


def _band_energies(wave: np.ndarray, sample_rate: int) -> np.ndarray:
    """(2, n_samples) → (2, band)."""
    power = np.abs(np.fft.rfft(wave)) ** 2
    highest = int(np.floor(10 * np.log10(sample_rate / 2000) - 0.5))
    edges_hz = 1000 * 10 ** ((np.arange(LOWEST_BAND, highest + 2) - 0.5) / 10)
    bins = np.searchsorted(np.fft.rfftfreq(wave.shape[1], 1 / sample_rate), edges_hz)
    bands = [power[:, low:high].sum(axis=1) for low, high in pairwise(bins)]
    return np.stack(bands, axis=1) if bands else np.empty((2, 0))
