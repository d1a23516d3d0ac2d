"""What a metric sees, what it answers, and what makes waves unfit for any metric."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

SILENCE_RMS = 1e-7
"""Signals whose root mean square around their mean is below this are silent: -140 dBFS, one 24-bit step."""

RATIO_LIMIT_DB = 100.0
"""Beyond ±100 dB a ratio tells of rounding, not of enhancement: 16-bit samples themselves end at 98 dB."""


@dataclass(frozen=True)
class Score:
    """One metric of one utterance: a finite value, or the reason why there is none.

    Attributes:
        value: the number in the unit of its metric; None where the metric could not be computed.
        reason: why there is no value; empty where there is one.

    Raises:
        ValueError: both or neither of value and reason, or a value that is not finite.
    """

    value: float | None
    reason: str = ""

    def __post_init__(self) -> None:
        if (self.value is None) != bool(self.reason):
            raise ValueError(f"Score: expected a value or a reason, got {self.value!r} and {self.reason!r}")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"Score: expected a finite value, got {self.value!r}")


@dataclass(frozen=True, eq=False)
class Stems:
    """Speech and noise of one mixture, each through the same system (shadow filtering), aligned in time.

    The system works on the mixture; what it does there (its masks, its filters) is done to speech and noise alone, so
    that ``speech_out + noise_out`` is the estimate.

    Attributes:
        speech_in: (n_samples,) the target in the mixture.
        noise_in: (n_samples,) the rest of the mixture.
        speech_out: (n_samples,) what the system makes of ``speech_in``.
        noise_out: (n_samples,) what it makes of ``noise_in``.
    """

    speech_in: np.ndarray
    noise_in: np.ndarray
    speech_out: np.ndarray
    noise_out: np.ndarray


@dataclass(frozen=True, eq=False)
class Utterance:
    """Everything that a metric may see of one utterance; each one is equal to itself alone.

    Attributes:
        estimate: (n_samples,) real waveform, what the system gave.
        sample_rate: in Hz.
        target: (n_samples,) what it should have given.
        noisy: (n_samples,) what it was given, at the microphone of the target.
        stems: speech and noise through the system.
    """

    estimate: np.ndarray
    sample_rate: int
    target: np.ndarray | None = None
    noisy: np.ndarray | None = None
    stems: Stems | None = None


def unfit(sample_rate: int, waves: Mapping[str, np.ndarray]) -> str:
    """What makes these waves unfit for any metric, or an empty string.

    Args:
        sample_rate: in Hz.
        waves: by the names that a reason tells; all as long as the last one.
    """
    if not isinstance(sample_rate, (int, np.integer)) or sample_rate <= 0:
        return f"sample_rate: expected a positive whole number of Hz, got {sample_rate!r}"
    for what, given in waves.items():
        wave = np.asarray(given)
        if wave.ndim != 1 or wave.size == 0 or wave.dtype.kind not in "fiu":
            return f"{what}: expected real samples of shape (n_samples,), got {wave.dtype} {wave.shape}"
        # One comparison for NaN, infinity, and numbers whose squares would overflow.
        if not np.all(np.abs(as_float(wave)) <= np.finfo(np.float32).max):
            return f"{what}: expected finite samples, got NaN, infinity or a value beyond 32-bit floats"
        if np.sqrt(np.mean(centred(wave) ** 2)) < SILENCE_RMS:
            return f"{what}: expected a signal, got silence (less than {SILENCE_RMS:g} rms around its mean)"
    last = list(waves)[-1]
    for what, wave in waves.items():
        if np.size(wave) != np.size(waves[last]):
            return f"{what}: expected {np.size(waves[last])} samples like the {last}, got {np.size(wave)}"
    return ""


def as_float(wave: np.ndarray) -> np.ndarray:
    """The samples as 64-bit floats."""
    return np.asarray(wave, dtype=np.float64)


def centred(wave: np.ndarray) -> np.ndarray:
    """The samples without their mean, as 64-bit floats."""
    wave = as_float(wave)
    return wave - wave.mean()


def in_range(name: str, value: float, low: float, high: float) -> Score:
    """``value`` as a score unless it is NaN or outside [low, high], apart from rounding."""
    if not low - 1e-6 <= value <= high + 1e-6:
        return Score(None, f"{name}: expected a value from {low:g} to {high:g}, got {value!r}")
    return Score(value)


def ratio_db(name: str, upper: float, lower: float, if_above: str, if_below: str) -> Score:
    """``10 log10(upper / lower)`` of two energies; beyond ±``RATIO_LIMIT_DB`` what that means instead."""
    limit = 10 ** (RATIO_LIMIT_DB / 10)
    if lower * limit <= upper:
        return Score(None, f"{name}: above {RATIO_LIMIT_DB:g} dB, {if_above}")
    if upper * limit <= lower:
        return Score(None, f"{name}: below -{RATIO_LIMIT_DB:g} dB, {if_below}")
    return Score(10 * math.log10(upper / lower))
