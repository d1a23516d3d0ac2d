"""Reverberation time: measured on a response, and foretold from the walls of a shoebox."""

from __future__ import annotations

import numpy as np

from arrayse.geometry import SPEED_OF_SOUND

N_DIRECTIONS = 256
N_TIMES = 96


def energy_decay_db(response: np.ndarray) -> np.ndarray:
    """Energy that is still to come at every sample, in dB re all of it: (n_taps,) → (n_taps,), after Schroeder.

    Raises:
        ValueError: a response without energy.
    """
    if not response.any():
        raise ValueError("response: expected an impulse response, got silence")
    energy = np.cumsum(np.square(response[::-1], dtype=np.float64))[::-1]
    return 10 * np.log10(np.maximum(energy / energy[0], 1e-30))


def measure_rt60(response: np.ndarray, sample_rate: int) -> float:
    """Reverberation time T30 in seconds from one response (n_taps,).

    It is 60 dB over the slope of the backward-integrated energy from -5 to -35 dB, after Schroeder, "New
    method of measuring reverberation time", JASA 37 (1965), and ISO 3382-1. An anechoic response drops at
    once: 0.

    Raises:
        ValueError: a response without energy.
    """
    return _t30(energy_decay_db(response), 1 / sample_rate)


def shoebox_rt60(room_dim: np.ndarray, walls: np.ndarray) -> float:
    """T30 in seconds that image sources have in the mean, where walls of weight 1 let exp(-1) of the energy pass.

    A wave with direction cosines u hits the walls across axis i ``c t |u_i| / L_i`` times in a time t, both in
    turn, so that with weights w its energy falls as exp(-s(u) t), s = c sum_i |u_i| (w_i0 + w_i1) / (2 L_i); the
    density of images is that of directions (Lehmann and Johansson, "Prediction of energy decay in room impulse
    responses simulated with an image-source model", JASA 124 (2008)). With all weights times k it is 1/k as long.

    Args:
        room_dim: (3,) metres.
        walls: (6,) weights, pairs by axis.
    """
    number = np.arange(N_DIRECTIONS) + 0.5
    height = number / N_DIRECTIONS  # an octant of a Fibonacci sphere: the others are its mirrors
    angle = np.pi / 2 * np.modf(number * (np.sqrt(5) - 1) / 2)[0]
    ground = np.sqrt(1 - height**2)
    directions = np.stack([ground * np.cos(angle), ground * np.sin(angle), height], axis=1)
    rates = SPEED_OF_SOUND * directions @ (walls.reshape(3, 2).mean(axis=1) / room_dim)
    times = np.linspace(0, 9 / rates.min(), N_TIMES)  # slower than any direction decays: -35 dB lies within
    left = (np.exp(-times[:, None] * rates) / rates).sum(axis=1)
    decay_db = 10 * np.log10(left / left[0])
    fine = np.linspace(0, times[-1], 40 * N_TIMES)
    return _t30(np.interp(fine, times, decay_db), fine[1])


def _t30(decay_db: np.ndarray, step: float) -> float:
    """60 dB over the slope of the line through a decay (n,) with ``step`` seconds between, -5 to -35 dB; else 0."""
    start, stop = (int(np.argmax(decay_db <= level)) for level in (-5.0, -35.0))
    if stop - start < 2:  # no decay to fit
        return 0.0
    seconds = step * (np.arange(stop - start) - (stop - start - 1) / 2)
    slope = seconds @ decay_db[start:stop] / (seconds @ seconds)
    return float(-60.0 / slope)
