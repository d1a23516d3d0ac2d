"""DNSMOS P.835: speech, background and overall quality as listeners would rate them, by a network and without a target.

The model comes with the package ``speechmos`` (extra ``dnsmos``). Only its file is read: the module itself wants
librosa, pandas and more, for another model.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any, Literal

import numpy as np

from arrayse.metrics.utterance import Score, Utterance, as_float, in_range, unfit

Scale = Literal["sig", "bak", "ovrl"]

DNSMOS_RATE = 16_000
DNSMOS_MIN_SECONDS = 1.0
"""Of shorter audio the network would hear repetitions alone."""

CLIP_SAMPLES, CLIP_SECONDS = 144_160, 9.01
"""What the network hears at once; shorter audio is repeated."""

POLYNOMIALS: dict[Scale, tuple[float, float, float]] = {
    "sig": (-0.08397278, 1.22083953, 0.0052439),
    "bak": (-0.13166888, 1.60915514, -0.39604546),
    "ovrl": (-0.06766283, 1.11546468, 0.04602535),
}
"""From the network's outputs to ratings, published with the model; highest power first."""

MISSING = "expected the packages speechmos and onnxruntime, got none: pip install 'arrayse[dnsmos]'"


def rating(scale: Scale, utterance: Utterance) -> Score:
    """DNSMOS P.835 (Reddy et al. 2022) of the estimate, from about 1 to 5.

    The mean over clips of 9.01 s that begin a second apart. All three scales come of one run of the network, which is
    kept until another utterance is asked for.

    Args:
        scale: ``sig`` (the speech), ``bak`` (the background) or ``ovrl`` (overall).
        utterance: its estimate is rated, which must lie within ±1; sampled at 16 kHz.

    Returns:
        The rating, or the reason why there is none, which may be that the extra ``dnsmos`` is not installed.
    """
    name = f"dnsmos_{scale}"
    if utterance.sample_rate != DNSMOS_RATE:
        return Score(None, f"{name}: expected a sample rate of {DNSMOS_RATE} Hz, got {utterance.sample_rate}")
    if problem := unfit(utterance.sample_rate, {"estimate": utterance.estimate}):
        return Score(None, problem)
    wave = as_float(utterance.estimate)
    if wave.size < DNSMOS_MIN_SECONDS * DNSMOS_RATE:
        found = f"{wave.size / DNSMOS_RATE:.3f} s"
        return Score(None, f"{name}: expected {DNSMOS_MIN_SECONDS:g} s or more, got {found}")
    if (peak := float(np.abs(wave).max())) > 1:
        return Score(None, f"{name}: expected samples from -1 to 1, got {peak:g}")
    if not installed():
        return Score(None, f"{name}: {MISSING}")
    return in_range(name, _ratings(utterance)[scale], 0.0, 5.0)


def installed() -> bool:
    """Whether the extra ``dnsmos`` is there."""
    return all(importlib.util.find_spec(package) for package in ("speechmos", "onnxruntime"))


@functools.lru_cache(maxsize=1)
def _ratings(utterance: Utterance) -> dict[Scale, float]:
    """The three ratings; utterances are told apart by identity."""
    clips = _clips(as_float(utterance.estimate))
    session = _session()
    outputs = [session.run(None, {"input_1": clip[None].astype(np.float32)})[0][0] for clip in clips]
    columns = np.asarray(outputs, dtype=np.float64).T
    return {
        scale: float(np.mean(np.polyval(polynomial, column)))
        for (scale, polynomial), column in zip(POLYNOMIALS.items(), columns, strict=True)
    }


def _clips(wave: np.ndarray) -> list[np.ndarray]:
    """Clips of ``CLIP_SAMPLES`` that begin a second apart, those that the published program takes.

    Like there, the last second and a bit may have no clip, and where the end of one is rounded down (the eighth and
    later ones) it is a sample short and left out: else the ratings of long audio would not be comparable.
    """
    while wave.size < CLIP_SAMPLES:
        wave = np.concatenate([wave, wave])
    n_clips = int(wave.size // DNSMOS_RATE - CLIP_SECONDS) + 1
    clips = [wave[n * DNSMOS_RATE : int((n + CLIP_SECONDS) * DNSMOS_RATE)] for n in range(n_clips)]
    return [clip for clip in clips if clip.size == CLIP_SAMPLES]


@functools.cache
def _session() -> Any:
    """The network, on one thread of the CPU: its last bits depend on the number of threads."""
    import onnxruntime

    spec = importlib.util.find_spec("speechmos")
    assert spec is not None  # installed() has been asked
    assert spec.submodule_search_locations is not None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model = Path(spec.submodule_search_locations[0]) / "dnsmos_models" / "sig_bak_ovr.onnx"
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
