"""Per-utterance scores: a metric of an :class:`Utterance` is one number or a reason.

The packages behind some scores answer bad input in their own ways: exceptions, -7, 1e-5, NaN, a plausible number for
unequal lengths, a crash of the process; and formulas have 180 dB. Here every such case is a :class:`Score` with a
reason and no value, so that a table counts failures and never averages them.

``METRICS`` has what an evaluation can ask for by name; the functions behind are for waves at hand. Errors of binaural
cues need two channels and are functions alone.
"""

from __future__ import annotations

from arrayse.metrics.binaural import ild_error_db, itd_error_us
from arrayse.metrics.distortion import sdr, si_sdr, si_sdr_improvement
from arrayse.metrics.intelligibility import estoi, stoi
from arrayse.metrics.limit import limited
from arrayse.metrics.pesq import pesq_nb, pesq_wb
from arrayse.metrics.registry import DEFAULT_METRICS, METRICS, Metric, implementation, score
from arrayse.metrics.spectral import log_spectral_distance
from arrayse.metrics.stems import noise_reduction, speech_distortion
from arrayse.metrics.utterance import Score, Stems, Utterance

__all__ = [
    "DEFAULT_METRICS",
    "METRICS",
    "Metric",
    "Score",
    "Stems",
    "Utterance",
    "estoi",
    "ild_error_db",
    "implementation",
    "itd_error_us",
    "limited",
    "log_spectral_distance",
    "noise_reduction",
    "pesq_nb",
    "pesq_wb",
    "score",
    "sdr",
    "si_sdr",
    "si_sdr_improvement",
    "speech_distortion",
    "stoi",
]
