"""What a system does to noise and to speech alone, on stems of shadow filtering."""

from __future__ import annotations

import numpy as np

from arrayse.metrics.utterance import Score, Stems, as_float, ratio_db, unfit


def noise_reduction(stems: Stems, sample_rate: int) -> Score:
    """Power of the noise before the system over that after it, in dB: the more the better.

    The noise-reduction factor of Benesty, Chen, Huang and Cohen (Noise Reduction in Speech Processing, 2009).

    Args:
        stems: speech and noise through the system.
        sample_rate: in Hz; checked, but the ratio does not depend on it.

    Returns:
        The ratio in dB, or the reason why there is none.
    """
    if problem := unfit(sample_rate, {"noise_out": stems.noise_out, "noise_in": stems.noise_in}):
        return Score(None, problem)
    meaning = "no noise left up to rounding", "the noise before the system is nothing beside that after it"
    return ratio_db("noise_reduction", _energy(stems.noise_in), _energy(stems.noise_out), *meaning)


def speech_distortion(stems: Stems, sample_rate: int) -> Score:
    """Power of what the system changes of the speech over the power of the speech, in dB: the less the better.

    The speech-distortion index of Chen, Benesty, Huang and Doclo (IEEE Transactions on Audio, Speech and Language
    Processing 14, 2006): ``10 log10(|speech_out - speech_in|^2 / |speech_in|^2)``. A gain is a distortion too
    (a half of all speech: -6 dB; silence: 0 dB), and so is a delay: the stems are aligned before.

    Args:
        stems: speech and noise through the system.
        sample_rate: in Hz; checked, but the ratio does not depend on it.

    Returns:
        The index in dB, or the reason why there is none.
    """
    if problem := unfit(sample_rate, {"speech_out": stems.speech_out, "speech_in": stems.speech_in}):
        return Score(None, problem)
    change = as_float(stems.speech_out) - as_float(stems.speech_in)
    meaning = "the speech is nothing beside its change", "the speech itself up to rounding"
    return ratio_db("speech_distortion", _energy(change), _energy(stems.speech_in), *meaning)


def _energy(wave: np.ndarray) -> float:
    return float(np.sum(as_float(wave) ** 2))
