"""Ratios of the wanted energy to that of the error, on waveforms."""

from __future__ import annotations

import numpy as np

from arrayse.metrics.utterance import Score, as_float, centred, ratio_db, unfit


def si_sdr(estimate: np.ndarray, target: np.ndarray, sample_rate: int) -> Score:
    """Scale-invariant signal-to-distortion ratio in dB, zero-mean, in closed form (Le Roux et al. 2019).

    With e and t the signals without their means and a = <e,t>/<t,t>: ``10 log10(|a t|^2 / |e - a t|^2)``.
    A result beyond ±``RATIO_LIMIT_DB`` is no value: up to rounding the estimate is the scaled target itself,
    or has nothing of it, and one such number would rule any mean it enters.

    Args:
        estimate: (n_samples,) real waveform.
        target: (n_samples,) real waveform.
        sample_rate: in Hz; checked, but the ratio does not depend on it.

    Returns:
        The ratio in dB, or the reason why there is none.
    """
    if problem := unfit(sample_rate, {"estimate": estimate, "target": target}):
        return Score(None, problem)
    return _si_sdr(estimate, target)


def si_sdr_improvement(estimate: np.ndarray, target: np.ndarray, noisy: np.ndarray, sample_rate: int) -> Score:
    """SI-SDR of the estimate less that of the noisy input, in dB: see :func:`si_sdr`.

    Args:
        estimate: (n_samples,) real waveform.
        target: (n_samples,) real waveform.
        noisy: (n_samples,) the input, at the microphone of the target.
        sample_rate: in Hz.

    Returns:
        The difference in dB, or the reason why there is none: also where one of the two has none.
    """
    if problem := unfit(sample_rate, {"estimate": estimate, "noisy": noisy, "target": target}):
        return Score(None, problem)
    after, before = _si_sdr(estimate, target), _si_sdr(noisy, target)
    if after.value is None:
        return Score(None, f"si_sdr_improvement: {after.reason}")
    if before.value is None:
        return Score(None, f"si_sdr_improvement: noisy: {before.reason}")
    return Score(after.value - before.value)


def sdr(estimate: np.ndarray, target: np.ndarray, sample_rate: int) -> Score:
    """Signal-to-distortion ratio in dB: ``10 log10(|t|^2 / |e - t|^2)``, any difference to the target being error.

    That is the SNR of Le Roux et al. 2019 (section 1) and the SDR of the Music Demixing Challenge (Mitsufuji et al.
    2022). It knows the gain and the mean; it is not the SDR of BSS Eval, which forgives a filter of 512 taps.

    Args:
        estimate: (n_samples,) real waveform.
        target: (n_samples,) real waveform.
        sample_rate: in Hz; checked, but the ratio does not depend on it.

    Returns:
        The ratio in dB, or the reason why there is none, which is also a ratio beyond ±``RATIO_LIMIT_DB``.
    """
    if problem := unfit(sample_rate, {"estimate": estimate, "target": target}):
        return Score(None, problem)
    wanted, error = as_float(target), as_float(estimate) - as_float(target)
    meaning = "the target itself up to rounding", "nothing but error"
    return ratio_db("sdr", float(np.sum(wanted**2)), float(np.sum(error**2)), *meaning)


def _si_sdr(estimate: np.ndarray, target: np.ndarray) -> Score:
    estimate, target = centred(estimate), centred(target)
    # Sums of products and no np.dot: its last bits depend on the number of threads.
    wanted = target * (np.sum(estimate * target) / np.sum(target**2))
    wanted_energy, error_energy = float(np.sum(wanted**2)), float(np.sum((estimate - wanted) ** 2))
    meaning = "the scaled target itself up to rounding", "nothing of the target in the estimate"
    return ratio_db("si_sdr", wanted_energy, error_energy, *meaning)
