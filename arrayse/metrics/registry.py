"""All metrics by name, with what they need and what computes them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

import numpy as np

from arrayse.metrics.distortion import sdr, si_sdr, si_sdr_improvement
from arrayse.metrics.dnsmos import Scale, rating
from arrayse.metrics.intelligibility import estoi, stoi
from arrayse.metrics.limit import limited
from arrayse.metrics.pesq import pesq_nb, pesq_wb
from arrayse.metrics.spectral import DYNAMIC_RANGE_DB, FRAME_SECONDS, log_spectral_distance
from arrayse.metrics.stems import noise_reduction, speech_distortion
from arrayse.metrics.utterance import RATIO_LIMIT_DB, Score, Stems, Utterance
from arrayse.provenance import installed

Need = Literal["target", "noisy", "stems"]


@dataclass(frozen=True)
class Metric:
    """A score of an utterance: ``metric(utterance)``.

    Attributes:
        name: in tables and configurations.
        compute: the score of an utterance that has what the metric needs. Bad audio never raises: it gives reasons.
        about: what computes it, with version and caveats.
        needs: attributes of the utterance without which there is no value.
        unit: may be empty.
        higher_is_better: whether more is better.
        in_c: computed by a package that nothing in Python can stop (see :func:`arrayse.metrics.limited`).
    """

    name: str
    compute: Callable[[Utterance], Score]
    about: Callable[[], str]
    needs: tuple[Need, ...] = ("target",)
    unit: str = ""
    higher_is_better: bool = True
    in_c: bool = False

    def __call__(self, utterance: Utterance) -> Score:
        for need in self.needs:
            if getattr(utterance, need) is None:
                return Score(None, f"{self.name}: expected an utterance with {need}, got one without")
        return self.compute(utterance)


def score(
    estimate: np.ndarray,
    target: np.ndarray | None,
    sample_rate: int,
    names: Sequence[str],
    noisy: np.ndarray | None = None,
    stems: Stems | None = None,
    limit_s: float | None = None,
) -> dict[str, Score]:
    """Scores of one utterance, one per name, in the order of ``names``.

    Args:
        estimate: (n_samples,) real waveform.
        target: (n_samples,) real waveform; None: metrics that need one have no value.
        sample_rate: in Hz.
        names: keys of ``METRICS``.
        noisy: (n_samples,) what the system was given.
        stems: speech and noise through the system.
        limit_s: seconds after which a metric that is computed in C is given up; None: never. It then runs in a process
            of its own, so that a crash is a reason as well.

    Raises:
        ValueError: an unknown name, a limit where the system has none. Bad audio never raises: it gives reasons.
    """
    _check_names(names)
    utterance = Utterance(estimate, sample_rate, target, noisy, stems)
    scores = {}
    for name in names:
        metric = METRICS[name]
        compute = functools.partial(metric, utterance)
        scores[name] = limited(name, compute, limit_s) if metric.in_c and limit_s is not None else compute()
    return scores


def implementation(name: str) -> str:
    """What computed a metric, with version and caveats: one line to print under every table that shows it.

    Raises:
        ValueError: an unknown name.
    """
    _check_names([name])
    return f"{name}: {METRICS[name].about()}"


def _check_names(names: Sequence[str]) -> None:
    if unknown := [name for name in names if name not in METRICS]:
        raise ValueError(f"metric: expected one of {', '.join(METRICS)}, got {', '.join(map(str, unknown))}")


def _of(function: Callable[..., Score], *names: str) -> Callable[[Utterance], Score]:
    """A function of some attributes of an utterance and its sample rate as one of the utterance."""

    def compute(utterance: Utterance) -> Score:
        return function(*(getattr(utterance, name) for name in names), utterance.sample_rate)

    return compute


def _of_pair(function: Callable[[np.ndarray, np.ndarray, int], Score]) -> Callable[[Utterance], Score]:
    return _of(function, "estimate", "target")


def _pesq(recommendation: str, caveat: str) -> str:
    return f"ITU-T {recommendation} by pesq {version('pesq')}, without P.862 corrigendum 2{caveat}"


def _own(text: str) -> Callable[[], str]:
    return lambda: f"{text}, by arrayse on numpy {np.__version__}"


def _ratio(text: str) -> Callable[[], str]:
    own = _own(text)
    return lambda: f"{own()}; beyond ±{RATIO_LIMIT_DB:g} dB counted as failed"


def _rating(scale: Scale) -> Metric:
    def about() -> str:
        package = f"speechmos {installed('speechmos') or '(not installed)'}"
        return f"DNSMOS P.835 {scale.upper()}, model of {package}; no target, clips repeated to 9.01 s"

    return Metric(f"dnsmos_{scale}", functools.partial(rating, scale), about, needs=())


_LSD = (
    f"log-spectral distance in dB, frames of {1000 * FRAME_SECONDS:g} ms, levels down to {DYNAMIC_RANGE_DB:g} dB "
    "below the highest"
)

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "pesq_wb",
            _of_pair(pesq_wb),
            lambda: _pesq("P.862.2", ": not comparable with scores that have it"),
            in_c=True,
        ),
        Metric("pesq_nb", _of_pair(pesq_nb), lambda: _pesq("P.862.1", ""), in_c=True),
        Metric("stoi", _of_pair(stoi), _own("STOI, equal to pystoi 0.4")),
        Metric("estoi", _of_pair(estoi), _own("extended STOI, equal to pystoi 0.4 with its dither fixed")),
        Metric("si_sdr", _of_pair(si_sdr), _ratio("zero-mean, in dB"), unit="dB"),
        Metric(
            "si_sdr_improvement",
            _of(si_sdr_improvement, "estimate", "target", "noisy"),
            _ratio("SI-SDR less that of the noisy input, in dB"),
            needs=("target", "noisy"),
            unit="dB",
        ),
        Metric("sdr", _of_pair(sdr), _ratio("target over difference to it, in dB, not that of BSS Eval"), unit="dB"),
        Metric("log_spectral_distance", _of_pair(log_spectral_distance), _own(_LSD), unit="dB", higher_is_better=False),
        Metric(
            "noise_reduction",
            _of(noise_reduction, "stems"),
            _ratio("noise before over noise after the system, in dB, shadow-filtered"),
            needs=("stems",),
            unit="dB",
        ),
        Metric(
            "speech_distortion",
            _of(speech_distortion, "stems"),
            _ratio("speech-distortion index in dB, shadow-filtered, gain not forgiven"),
            needs=("stems",),
            unit="dB",
            higher_is_better=False,
        ),
        _rating("sig"),
        _rating("bak"),
        _rating("ovrl"),
    )
}

DEFAULT_METRICS = ("pesq_wb", "estoi", "si_sdr")
"""What an evaluation scores unless it is told otherwise."""
