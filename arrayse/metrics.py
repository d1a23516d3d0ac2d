"""Per-utterance scores: ``f(estimate, target, sample_rate)`` gives one number or a reason.

The packages behind the scores answer bad input in their own ways: exceptions, -7, 1e-5, NaN, 180 dB, a
plausible number for unequal lengths, a crash of the process. Here every such case is a :class:`Score` with a
reason and no value, so that a table counts failures and never averages them.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np

SILENCE_RMS = 1e-7
"""Signals whose root mean square around their mean is below this are silent: -140 dBFS, one 24-bit step."""

SI_SDR_LIMIT_DB = 100.0
"""Beyond ±100 dB a ratio tells of rounding, not of enhancement: 16-bit samples themselves end at 98 dB."""

PESQ_MIN_SECONDS, PESQ_MAX_SECONDS = 0.25, 19.0
"""Durations that the package handles. Its tables hold 50 utterances and it writes past them unchecked
(corrupt numbers, then a segmentation fault). Its speech detector gives an utterance with its pause 0.388 s
at least, and 50 of them do not fit into 19 s."""

ESTOI_MIN_SECONDS, ESTOI_MIN_RATE = 0.4, 10_000
"""ESTOI works on 30 frames at 10 kHz (Hz); at lower rates its upper bands would be empty."""


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


Metric = Callable[[np.ndarray, np.ndarray, int], Score]
"""``metric(estimate, target, sample_rate)``: waveforms of shape (n_samples,), sample rate in Hz."""


def si_sdr(estimate: np.ndarray, target: np.ndarray, sample_rate: int) -> Score:
    """Scale-invariant signal-to-distortion ratio in dB, zero-mean, in closed form (Le Roux et al. 2019).

    With e and t the signals without their means and a = <e,t>/<t,t>: ``10 log10(|a t|^2 / |e - a t|^2)``.
    A result beyond ±``SI_SDR_LIMIT_DB`` is no value: up to rounding the estimate is the scaled target itself,
    or has nothing of it, and one such number would rule any mean it enters.

    Args:
        estimate: (n_samples,) real waveform.
        target: (n_samples,) real waveform.
        sample_rate: in Hz; checked, but the ratio does not depend on it.

    Returns:
        The ratio in dB, or the reason why there is none.
    """
    if problem := _problem(estimate, target, sample_rate):
        return Score(None, problem)
    estimate, target = _centred(estimate), _centred(target)
    # Sums of products and no np.dot: its last bits depend on the number of threads.
    wanted = target * (np.sum(estimate * target) / np.sum(target**2))
    wanted_energy, error_energy = float(np.sum(wanted**2)), float(np.sum((estimate - wanted) ** 2))
    limit = 10 ** (SI_SDR_LIMIT_DB / 10)
    if error_energy * limit <= wanted_energy:
        return Score(None, f"si_sdr: above {SI_SDR_LIMIT_DB:g} dB, the scaled target itself up to rounding")
    if wanted_energy * limit <= error_energy:
        return Score(None, f"si_sdr: below -{SI_SDR_LIMIT_DB:g} dB, nothing of the target in the estimate")
    return Score(10 * math.log10(wanted_energy / error_energy))


def pesq_wb(estimate: np.ndarray, target: np.ndarray, sample_rate: int) -> Score:
    """Wide-band PESQ (ITU-T P.862.2) by the ``pesq`` package, as MOS-LQO from about 1 to 4.64.

    The package lacks corrigendum 2 of P.862 (see :func:`implementation`). It holds the GIL: use processes.

    Args:
        estimate: (n_samples,) real waveform.
        target: (n_samples,) real waveform, from ``PESQ_MIN_SECONDS`` to ``PESQ_MAX_SECONDS``.
        sample_rate: in Hz; only 16000 has a score.

    Returns:
        The MOS-LQO, or the reason why there is none.
    """
    if sample_rate != 16_000:
        return Score(None, f"pesq_wb: expected a sample rate of 16000 Hz, got {sample_rate}")
    if problem := _problem(estimate, target, sample_rate):
        return Score(None, problem)
    seconds = np.size(target) / sample_rate
    if not PESQ_MIN_SECONDS <= seconds <= PESQ_MAX_SECONDS:
        limits = f"{PESQ_MIN_SECONDS:g} to {PESQ_MAX_SECONDS:g} s"
        return Score(None, f"pesq_wb: expected {limits}, got {seconds:.3f} s")
    from pesq import pesq

    try:
        value = float(pesq(sample_rate, _as_float(target), _as_float(estimate), "wb"))
    except (RuntimeError, ValueError) as error:  # PesqError is a RuntimeError whose text is bytes
        text = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        return Score(None, f"pesq_wb: the package failed: {text}")
    # Error codes are negative; the mapping to MOS-LQO goes from 0.999 to 4.644 for a perfect signal.
    return _in_range("pesq_wb", value, 0.999, 4.65)


def estoi(estimate: np.ndarray, target: np.ndarray, sample_rate: int) -> Score:
    """Extended short-time objective intelligibility (Jensen & Taal 2016) by ``pystoi``, at most 1.

    The package dithers from numpy's global generator, which shows where an estimate has digital silence. The
    dither is fixed here and the generator given back as it was: equal signals have bit-equal scores.

    Args:
        estimate: (n_samples,) real waveform.
        target: (n_samples,) real waveform, at least ``ESTOI_MIN_SECONDS`` of active speech.
        sample_rate: in Hz, at least ``ESTOI_MIN_RATE``.

    Returns:
        The score, or the reason why there is none.
    """
    if problem := _problem(estimate, target, sample_rate):
        return Score(None, problem)
    if sample_rate < ESTOI_MIN_RATE:
        return Score(None, f"estoi: expected a sample rate from {ESTOI_MIN_RATE} Hz up, got {sample_rate}")
    seconds = np.size(target) / sample_rate
    if seconds < ESTOI_MIN_SECONDS:
        return Score(None, f"estoi: expected {ESTOI_MIN_SECONDS:g} s or more, got {seconds:.3f} s")
    from pystoi import stoi

    state = np.random.get_state()
    np.random.seed(0)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Not enough STFT frames")  # told by the value below
            value = float(stoi(_as_float(target), _as_float(estimate), sample_rate, extended=True))
    finally:
        np.random.set_state(state)
    if value == 1e-5:  # the package's mark for fewer than 30 frames after it has dropped the silent ones
        return Score(None, f"estoi: expected {ESTOI_MIN_SECONDS:g} s of active target, got less")
    return _in_range("estoi", value, -1.0, 1.0)


METRICS: dict[str, Metric] = {"pesq_wb": pesq_wb, "estoi": estoi, "si_sdr": si_sdr}


def score(estimate: np.ndarray, target: np.ndarray, sample_rate: int, names: Sequence[str]) -> dict[str, Score]:
    """Scores of one utterance, one per name, in the order of ``names``.

    Args:
        estimate: (n_samples,) real waveform.
        target: (n_samples,) real waveform.
        sample_rate: in Hz.
        names: keys of ``METRICS``.

    Raises:
        ValueError: an unknown name. Bad audio never raises: it gives reasons.
    """
    _check_names(names)
    return {name: METRICS[name](estimate, target, sample_rate) for name in names}


def implementation(name: str) -> str:
    """What computed a metric, with version and caveats: one line to print under every table that shows it.

    Raises:
        ValueError: an unknown name.
    """
    _check_names([name])
    return {
        "pesq_wb": f"pesq_wb: ITU-T P.862.2 by pesq {version('pesq')}, without P.862 corrigendum 2: "
        "not comparable with scores that have it",
        "estoi": f"estoi: extended STOI by pystoi {version('pystoi')}, dither fixed",
        "si_sdr": f"si_sdr: zero-mean, in dB, by arrayse on numpy {np.__version__}; "
        f"beyond ±{SI_SDR_LIMIT_DB:g} dB counted as failed",
    }[name]


def _check_names(names: Sequence[str]) -> None:
    if unknown := [name for name in names if name not in METRICS]:
        raise ValueError(f"metric: expected one of {', '.join(METRICS)}, got {', '.join(map(str, unknown))}")


def _problem(estimate: np.ndarray, target: np.ndarray, sample_rate: int) -> str:
    """What makes this pair unfit for any metric, or an empty string."""
    if not isinstance(sample_rate, (int, np.integer)) or sample_rate <= 0:
        return f"sample_rate: expected a positive whole number of Hz, got {sample_rate!r}"
    for what, wave in (("estimate", np.asarray(estimate)), ("target", np.asarray(target))):
        if wave.ndim != 1 or wave.size == 0 or wave.dtype.kind not in "fiu":
            return f"{what}: expected real samples of shape (n_samples,), got {wave.dtype} {wave.shape}"
        # One comparison for NaN, infinity, and numbers whose squares would overflow.
        if not np.all(np.abs(_as_float(wave)) <= np.finfo(np.float32).max):
            return f"{what}: expected finite samples, got NaN, infinity or a value beyond 32-bit floats"
        if np.sqrt(np.mean(_centred(wave) ** 2)) < SILENCE_RMS:
            return f"{what}: expected a signal, got silence (less than {SILENCE_RMS:g} rms around its mean)"
    if np.shape(estimate) != np.shape(target):
        return f"estimate: expected {np.size(target)} samples like the target, got {np.size(estimate)}"
    return ""


def _as_float(wave: np.ndarray) -> np.ndarray:
    return np.asarray(wave, dtype=np.float64)


def _centred(wave: np.ndarray) -> np.ndarray:
    wave = _as_float(wave)
    return wave - wave.mean()


def _in_range(name: str, value: float, low: float, high: float) -> Score:
    """``value`` as a score unless it is NaN or outside [low, high], apart from rounding."""
    if not low - 1e-6 <= value <= high + 1e-6:
        return Score(None, f"{name}: expected a value from {low:g} to {high:g}, got {value!r}")
    return Score(value)
