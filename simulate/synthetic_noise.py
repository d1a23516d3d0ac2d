"""Six kinds of synthetic noise for the built-in corpus: numpy only, every draw from the given Generator.

The noises are (n_samples,) float64 at :data:`SAMPLE_RATE`, at a level of their own: the caller normalises.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.signal import fftconvolve, resample_poly

SAMPLE_RATE = 16000
NOISE_TYPES = ("speech_shaped", "babble", "pink", "machine", "fan", "clatter")


def make_noise(
    kind: str, rng: np.random.Generator, n_samples: int, voices: Sequence[Sequence[np.ndarray]]
) -> np.ndarray:
    """Noise of one kind.

    Args:
        kind: one of :data:`NOISE_TYPES`.
        voices: for each voice its utterances, each (n,); speech_shaped and babble are made from them.

    Raises:
        ValueError: no such kind.
    """
    match kind:
        case "speech_shaped":
            return speech_shaped(rng, n_samples, voices)
        case "babble":
            return babble(rng, n_samples, voices)
        case "pink":
            return pink(rng, n_samples)
        case "machine":
            return machine(rng, n_samples)
        case "fan":
            return fan(rng, n_samples)
        case "clatter":
            return clatter(rng, n_samples)
    raise ValueError(f"noise kind: expected one of {', '.join(NOISE_TYPES)}, got {kind}")


def coloured(rng: np.random.Generator, amplitude: np.ndarray, n_samples: int) -> np.ndarray:
    """Gaussian noise with the magnitude ``amplitude`` (n_samples // 2 + 1,); it wraps without a seam."""
    return np.fft.irfft(np.fft.rfft(rng.standard_normal(n_samples)) * amplitude, n_samples)


def frequencies(n_samples: int) -> np.ndarray:
    """Frequencies (n_samples // 2 + 1,) in Hz of the bins that :func:`coloured` shapes."""
    return np.fft.rfftfreq(n_samples, 1 / SAMPLE_RATE)


def drift(rng: np.random.Generator, n_samples: int, rate_hz: float) -> np.ndarray:
    """A slow random line (n_samples,): about ``rate_hz`` independent values a second, of variance one."""
    n_points = int(np.ceil(n_samples / SAMPLE_RATE * rate_hz)) + 2
    return np.interp(np.arange(n_samples) * rate_hz / SAMPLE_RATE, np.arange(n_points), rng.standard_normal(n_points))


def long_term_spectrum(speech: np.ndarray, n_fft: int = 512) -> np.ndarray:
    """Mean power (n_fft // 2 + 1,) over Hann-windowed frames of ``speech`` (n,): one frame at least."""
    frames = np.lib.stride_tricks.sliding_window_view(speech, n_fft)[:: n_fft // 2]
    return np.mean(np.abs(np.fft.rfft(frames * np.hanning(n_fft))) ** 2, axis=0)


def speech_shaped(rng: np.random.Generator, n_samples: int, voices: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Stationary noise with the long-term spectrum of all the voices together."""
    power = long_term_spectrum(np.concatenate([utterance for voice in voices for utterance in voice]))
    bins = np.linspace(0, SAMPLE_RATE / 2, len(power))
    return coloured(rng, np.sqrt(np.interp(frequencies(n_samples), bins, power)), n_samples)


def babble(rng: np.random.Generator, n_samples: int, voices: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Six to ten talkers at once, each at an offset and a gain (up to 3 dB either way) of its own.

    Every talker is a voice made 9 to 18 % faster or slower with its pitch: no babble holds an utterance of
    the split as it is, and with few voices the same one may talk twice.
    """
    n_talkers = int(rng.integers(6, 11))
    mixture = np.zeros(n_samples)
    for index in np.resize(rng.permutation(len(voices)), n_talkers):
        utterances = voices[int(index)]
        stream = np.concatenate([utterances[k] for k in rng.permutation(len(utterances)).tolist()])
        # The slowest talker stretches by 23/20, the fastest shrinks to 17/20: take no more than is needed.
        stream = resample_poly(stream[: n_samples * 20 // 17 + 1], int(rng.choice([17, 18, 22, 23])), 20)
        talker = np.roll(np.resize(stream, n_samples), rng.integers(n_samples))
        mixture += 10 ** (rng.uniform(-3, 3) / 20) * talker
    return mixture


def pink(rng: np.random.Generator, n_samples: int) -> np.ndarray:
    """Noise whose power falls by 3 dB per octave above 20 Hz."""
    return coloured(rng, 1 / np.sqrt(np.maximum(frequencies(n_samples), 20)), n_samples)


def hum(rng: np.random.Generator, phase: np.ndarray, slope: float, n_harmonics: int) -> np.ndarray:
    """Harmonics of ``phase`` (n_samples,) in rad, falling as order**-slope, each a few dB off that line."""
    total = np.zeros(len(phase))
    for order in range(1, n_harmonics + 1):
        amplitude = order**-slope * rng.lognormal(sigma=0.5)
        total += amplitude * np.cos(order * phase + rng.uniform(0, 2 * np.pi))
    return total / np.sqrt(np.mean(total**2))


def machine(rng: np.random.Generator, n_samples: int) -> np.ndarray:
    """The hum of something that turns (30 to 160 Hz) and a band of noise that beats with it."""
    turn_hz = rng.uniform(30, 160) * (1 + 0.005 * drift(rng, n_samples, rate_hz=1.0))
    phase = 2 * np.pi * np.cumsum(turn_hz) / SAMPLE_RATE
    tone = hum(rng, phase, slope=rng.uniform(0.3, 1.0), n_harmonics=20)
    centre_hz, octaves = rng.uniform(400, 3000), rng.uniform(0.5, 1.5)
    distance = np.log2(np.maximum(frequencies(n_samples), 1) / centre_hz) / octaves
    band = coloured(rng, np.exp(-(distance**2)) + 0.03, n_samples)  # over a floor at -30 dB
    band *= 1 + rng.uniform(0.3, 0.9) * np.cos(phase / rng.integers(1, 9))
    ratio_db = rng.uniform(-10, 3)
    return tone + 10 ** (ratio_db / 20) * band / np.sqrt(np.mean(band**2))


def fan(rng: np.random.Generator, n_samples: int) -> np.ndarray:
    """Air: nearly white from 60 Hz up to a soft corner (1.5 to 6 kHz), a weak blade tone, a slow wobble."""
    hertz = frequencies(n_samples)
    amplitude = np.minimum(hertz / 60, 1) / np.sqrt(1 + (hertz / rng.uniform(1500, 6000)) ** 2)
    air = coloured(rng, amplitude, n_samples)
    phase = 2 * np.pi * rng.uniform(60, 250) * np.arange(n_samples) / SAMPLE_RATE
    blades = 10 ** (rng.uniform(-25, -12) / 20) * hum(rng, phase, slope=1.0, n_harmonics=4)
    return (air / np.sqrt(np.mean(air**2)) + blades) * (1 + 0.1 * drift(rng, n_samples, rate_hz=2.0))


def clatter(rng: np.random.Generator, n_samples: int) -> np.ndarray:
    """Things that are knocked at random moments: clicks through decaying resonances, over a faint pink floor.

    Peaks are bent softly towards eight times the effective value, so that a normalised file cannot clip.
    """
    seconds = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
    total = np.zeros(n_samples)
    for _ in range(rng.integers(3, 7)):
        response = np.zeros(len(seconds))
        for _ in range(rng.integers(4, 8)):
            hertz, decay = np.exp(rng.uniform(np.log(400), np.log(6500))), rng.uniform(0.008, 0.06)
            response += rng.uniform(0.2, 1) * np.exp(-seconds / decay) * np.sin(2 * np.pi * hertz * seconds)
        n_knocks = 1 + rng.poisson(rng.uniform(1, 4) * n_samples / SAMPLE_RATE)
        clicks = np.zeros(n_samples)
        clicks[rng.integers(n_samples, size=n_knocks)] = rng.lognormal(sigma=0.7, size=n_knocks)
        total += fftconvolve(clicks, response)[:n_samples]
    floor = pink(rng, n_samples)
    total += 0.02 * np.std(total) / np.std(floor) * floor
    limit = 8 * np.sqrt(np.mean(total**2))
    return limit * np.tanh(total / limit)
