"""Perceptual evaluation of speech quality (PESQ) by the ``pesq`` package.

The package is C code that holds the GIL: threads wait for one another (use processes), and no signal handler of Python
stops it (see :mod:`arrayse.metrics.limit`).
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from arrayse.metrics.utterance import Score, as_float, in_range, unfit

PESQ_MIN_SECONDS, PESQ_MAX_SECONDS = 0.25, 19.0
"""Durations that the package handles. Its tables hold 50 utterances and it writes past them unchecked
(corrupt numbers, then a segmentation fault). Its speech detector gives an utterance with its pause 0.388 s
at least, and 50 of them do not fit into 19 s."""


def pesq_wb(estimate: np.ndarray, target: np.ndarray, sample_rate: int) -> Score:
    """Wide-band PESQ (ITU-T P.862.2) as MOS-LQO from about 1 to 4.64.

    The package lacks corrigendum 2 of P.862 (see :func:`arrayse.metrics.implementation`).

    Args:
        estimate: (n_samples,) real waveform.
        target: (n_samples,) real waveform, from ``PESQ_MIN_SECONDS`` to ``PESQ_MAX_SECONDS``.
        sample_rate: in Hz; only 16000 has a score.

    Returns:
        The MOS-LQO, or the reason why there is none.
    """
    if sample_rate != 16_000:
        return Score(None, f"pesq_wb: expected a sample rate of 16000 Hz, got {sample_rate}")
    # The mapping to MOS-LQO goes from 0.999 to 4.644 for a perfect signal.
    return _pesq("pesq_wb", "wb", 4.65, estimate, target, sample_rate)


def pesq_nb(estimate: np.ndarray, target: np.ndarray, sample_rate: int) -> Score:
    """Narrow-band PESQ (ITU-T P.862 mapped by P.862.1) as MOS-LQO from about 1 to 4.55.

    At both rates it hears the telephone band alone; the scores of the two differ by the resampling.

    Args:
        estimate: (n_samples,) real waveform.
        target: (n_samples,) real waveform, from ``PESQ_MIN_SECONDS`` to ``PESQ_MAX_SECONDS``.
        sample_rate: in Hz; 8000 and 16000 have a score.

    Returns:
        The MOS-LQO, or the reason why there is none.
    """
    if sample_rate not in (8_000, 16_000):
        return Score(None, f"pesq_nb: expected a sample rate of 8000 or 16000 Hz, got {sample_rate}")
    # The mapping to MOS-LQO goes from 0.999 to 4.549 for a perfect signal.
    return _pesq("pesq_nb", "nb", 4.56, estimate, target, sample_rate)


def _pesq(
    name: str, mode: Literal["wb", "nb"], highest: float, estimate: np.ndarray, target: np.ndarray, sample_rate: int
) -> Score:
    if problem := unfit(sample_rate, {"estimate": estimate, "target": target}):
        return Score(None, problem)
    seconds = np.size(target) / sample_rate
    if not PESQ_MIN_SECONDS <= seconds <= PESQ_MAX_SECONDS:
        limits = f"{PESQ_MIN_SECONDS:g} to {PESQ_MAX_SECONDS:g} s"
        return Score(None, f"{name}: expected {limits}, got {seconds:.3f} s")
    from pesq import pesq

    try:
        value = float(pesq(sample_rate, as_float(target), as_float(estimate), mode))
    except (RuntimeError, ValueError) as error:  # PesqError is a RuntimeError whose text is bytes
        text = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        return Score(None, f"{name}: the package failed: {text}")
    return in_range(name, value, 0.999, highest)  # the package's error codes are negative
