"""Imperfections of real microphone devices: tolerances, self-noise, wiring errors, clocks and converters.

From sound to samples, in this order::

    place      tolerance of the positions (place_mics); two channels wired to each other's place
    capsule    gain, low-frequency corner (phase mismatch), high-pass; a dead capsule gives nothing
    sampling   the channel's own clock
    noise      of capsule and amplifier (self_noise): white, so it may come after sampling
    converter  clipping, quantisation (arrayse.converter)

:func:`record` is the linear part down to sampling: it acts on every stem alike, and stems still add up. The converter
acts on their sum. Gain, phase and clock are counted from channel ``ref_mic``, which has none of these deviations: the
target there is what an ideal channel with the device's high-pass gives for the sound at its place.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le, Len
from scipy.optimize import brentq
from scipy.signal import sosfilt

from arrayse.converter import MAX_BITS, MIN_BITS, Converter, offset_rate

CORNER_HZ = 30.0
"""Low-frequency corner that capsules deviate from, as common MEMS microphones have it."""

LIMITS = {"gains_db": 100.0, "phases_deg": 60.0, "clocks_ppm": 10_000.0}
"""Largest deviation of a channel either way; a corner cannot turn the phase by more than 90 degrees."""


@dataclass(frozen=True)
class DeviceRecipe:
    """What devices are drawn from; the defaults are an ideal device.

    Every microphone deviates independently, ``ref_mic`` too, from which gains, phases and clocks are then counted: two
    microphones differ by sqrt(2) x the standard deviation. Gaussian gain and phase follow S. Doclo and M. Moonen,
    "Superdirective beamforming robust against microphone mismatch", IEEE TASLP 15 (2007).

    Attributes:
        gain_db: standard deviation of the gain of a microphone.
        phase_deg: standard deviation of its phase: rms over log frequency, 100 to 8000 Hz. Low-frequency corners (the
            vent of a capsule) deviate, so it falls as 1 / frequency: 3 degrees are 8.5 at 100 Hz and 0.9 at 1 kHz,
            with 0.4 dB at 100 Hz. Phase that grows with frequency comes from ``position_mm``.
        position_mm: standard deviation of each coordinate of a microphone.
        self_noise_dba: equivalent noise level of each microphone in dB(A) SPL; None: no self-noise.
        speech_spl_db: range of the level in dB SPL of the reverberant speech at ``ref_mic``.
        high_pass_hz: corner (-3 dB) of a first-order high-pass of all microphones; None: none.
        clip_dbfs: level in dB of full scale at which the converter clips; None: see :class:`Converter`.
        bits: of the converter; None: not quantised.
        dead_share: probability that one microphone, never ``ref_mic``, gives only its self-noise.
        swap_share: probability that two channels, ``ref_mic`` as likely as any, are wired to each other's place.
        clock_ppm: standard deviation in parts per million of the sample rate of a channel.

    Raises:
        ValueError: a range of levels whose ends are the wrong way round.
    """

    gain_db: Annotated[float, Ge(0), Le(20)] = 0.0
    phase_deg: Annotated[float, Ge(0), Le(15)] = 0.0
    position_mm: Annotated[float, Ge(0), Le(20)] = 0.0
    self_noise_dba: Annotated[float, Ge(0), Le(100)] | None = None
    speech_spl_db: Annotated[list[float], Len(2, 2)] = field(default_factory=lambda: [55.0, 70.0])
    high_pass_hz: Annotated[float, Gt(0), Le(1000)] | None = None
    clip_dbfs: Annotated[float, Ge(-60), Le(0)] | None = None
    bits: Annotated[int, Ge(MIN_BITS), Le(MAX_BITS)] | None = None
    dead_share: Annotated[float, Ge(0), Le(1)] = 0.0
    swap_share: Annotated[float, Ge(0), Le(1)] = 0.0
    clock_ppm: Annotated[float, Ge(0), Le(200)] = 0.0

    def __post_init__(self) -> None:
        if self.speech_spl_db[0] > self.speech_spl_db[1]:
            raise ValueError(f"speech_spl_db: expected [lowest, highest], got {self.speech_spl_db}")


@dataclass(frozen=True)
class Device:
    """One device as plain numbers; lists have an item per channel.

    Attributes:
        position_offsets: of the places of the array, n_mics x 3 in metres.
        places: which place each channel hears.
        gains_db: of the channels, from ``ref_mic``.
        phases_deg: rms phase, see :class:`DeviceRecipe`; positive leads.
        clocks_ppm: sample rates from that of ``ref_mic``; positive is faster.
        high_pass_hz, self_noise_dba, clip_dbfs, bits: see :class:`DeviceRecipe`.
        speech_spl_db: level that the reverberant speech at ``ref_mic`` stands for.
        dead_mic: the channel without a signal.

    Raises:
        ValueError: lists of different lengths, deviations beyond :data:`LIMITS`, channels that do not exist.
    """

    position_offsets: list[list[float]]
    places: list[int]
    gains_db: list[float]
    phases_deg: list[float]
    clocks_ppm: list[float]
    high_pass_hz: float | None
    self_noise_dba: float | None
    speech_spl_db: float
    dead_mic: int | None
    clip_dbfs: float | None
    bits: int | None

    def __post_init__(self) -> None:
        shape = np.shape(self.position_offsets)
        if shape != (self.n_mics, 3):
            raise ValueError(f"position_offsets: expected shape {(self.n_mics, 3)}, got {shape}")
        for name, limit in LIMITS.items():
            values = getattr(self, name)
            if len(values) != self.n_mics or not all(abs(value) <= limit for value in values):
                raise ValueError(f"{name}: expected {self.n_mics} numbers from -{limit:g} to {limit:g}, got {values}")
        if sorted(self.places) != list(range(self.n_mics)):
            raise ValueError(f"places: expected each of 0 to {self.n_mics - 1} once, got {self.places}")
        if self.dead_mic is not None and self.dead_mic not in self.places:
            raise ValueError(f"dead_mic: expected 0 to {self.n_mics - 1}, got {self.dead_mic}")

    @property
    def n_mics(self) -> int:
        """Number of channels."""
        return len(self.gains_db)

    @property
    def converter(self) -> Converter:
        """Clipping and quantisation of the noisy sum."""
        return Converter.from_dbfs(self.clip_dbfs, self.bits)


def draw_device(recipe: DeviceRecipe, n_mics: int, ref_mic: int, rng: np.random.Generator) -> Device:
    """Draws a device.

    All draws are made whatever the recipe says, so devices of two recipes and one seed differ only in what the
    recipes differ in.

    Raises:
        ValueError: no such reference.
    """
    if not 0 <= ref_mic < n_mics:
        raise ValueError(f"ref_mic: expected 0 to {n_mics - 1}, got {ref_mic}")
    deviations = rng.standard_normal((3, n_mics))
    gains, phases, clocks = deviations - deviations[:, [ref_mic]]
    offsets = rng.standard_normal((n_mics, 3))
    speech_spl_db = float(rng.uniform(recipe.speech_spl_db[0], recipe.speech_spl_db[1]))
    dies, is_swapped = rng.random(2) < (recipe.dead_share, recipe.swap_share)
    mortal = rng.permutation([mic for mic in range(n_mics) if mic != ref_mic]).tolist()
    pair = rng.permutation(n_mics)[:2]
    places = np.arange(n_mics)
    if is_swapped:
        places[pair] = pair[::-1]
    limit = LIMITS["phases_deg"]
    return Device(  # + 0.0 turns the -0 of an ideal device into 0
        position_offsets=(recipe.position_mm / 1000 * offsets + 0.0).tolist(),
        places=places.tolist(),
        gains_db=(recipe.gain_db * gains + 0.0).tolist(),
        phases_deg=(np.clip(recipe.phase_deg * phases, -limit, limit) + 0.0).tolist(),
        clocks_ppm=(recipe.clock_ppm * clocks + 0.0).tolist(),
        high_pass_hz=recipe.high_pass_hz,
        self_noise_dba=recipe.self_noise_dba,
        speech_spl_db=speech_spl_db,
        dead_mic=mortal[0] if dies and mortal else None,
        clip_dbfs=recipe.clip_dbfs,
        bits=recipe.bits,
    )


def place_mics(positions: np.ndarray, device: Device) -> np.ndarray:
    """Where the microphones really are: (n_mics, 3) in metres, in any frame, to the same.

    Raises:
        ValueError: another number of microphones.
    """
    if positions.shape != (device.n_mics, 3):
        raise ValueError(f"positions: expected shape {(device.n_mics, 3)}, got {positions.shape}")
    return positions + np.array(device.position_offsets)


def record(wave: np.ndarray, device: Device, sample_rate: int) -> np.ndarray:
    """What the channels of a device give for the sound at the places of its microphones.

    Args:
        wave: (..., n_mics, n_samples), silent before and after.
        device: the device.
        sample_rate: Hz.

    Returns:
        The same shape in float32; ``wave`` itself if nothing here is to be done.

    Raises:
        ValueError: another number of channels, a high-pass beyond the Nyquist frequency.
    """
    if wave.ndim < 2 or wave.shape[-2] != device.n_mics:
        raise ValueError(f"wave: expected shape (..., {device.n_mics}, n_samples), got {wave.shape}")
    if device.high_pass_hz is not None and not 0 < device.high_pass_hz < sample_rate / 2:
        raise ValueError(f"high_pass_hz: expected above 0 and below {sample_rate / 2:g} Hz, got {device.high_pass_hz}")
    is_filtered = device.high_pass_hz is not None or np.any([device.gains_db, device.phases_deg, device.clocks_ppm])
    if not is_filtered and device.dead_mic is None and device.places == sorted(device.places):
        return wave
    recorded = np.zeros(wave.shape, np.float32)
    for mic, place in enumerate(device.places):
        if mic != device.dead_mic:
            capsule = _capsule(wave[..., place, :], device, mic, sample_rate)
            recorded[..., mic, :] = offset_rate(capsule, device.clocks_ppm[mic])
    return recorded


def _capsule(wave: np.ndarray, device: Device, mic: int, sample_rate: int) -> np.ndarray:
    """Gain and filters of one channel, (..., n_samples)."""
    wave = 10 ** (device.gains_db[mic] / 20) * wave
    sections = []
    if device.phases_deg[mic] != 0:
        ratio = _corner_ratio(device.phases_deg[mic])
        sections.append(_section(CORNER_HZ / ratio, CORNER_HZ * ratio, sample_rate))
    if device.high_pass_hz is not None:
        sections.append(_section(0.0, device.high_pass_hz, sample_rate))
    return sosfilt(np.array(sections), wave) if sections else wave


def _section(zero_hz: float, pole_hz: float, sample_rate: int) -> list[float]:
    """(s + zero) / (s + pole) through the bilinear transform, both frequencies kept."""
    zero, pole = np.tan(np.pi * np.array([zero_hz, pole_hz]) / sample_rate)
    return [(1 + zero) / (1 + pole), (zero - 1) / (1 + pole), 0.0, 1.0, (pole - 1) / (1 + pole), 0.0]


@functools.lru_cache(maxsize=64)
def _corner_ratio(phase_deg: float) -> float:
    """The r for which the pole at r x 30 Hz and the zero at 30 Hz / r have this rms phase; 1 / r gives its negative."""
    hertz = 100 * 80 ** ((np.arange(200) + 0.5) / 200)  # the octaves from 100 to 8000 Hz

    def excess(log_ratio: float) -> float:
        phase = np.arctan(CORNER_HZ * np.exp(log_ratio) / hertz) - np.arctan(CORNER_HZ * np.exp(-log_ratio) / hertz)
        return float(np.sqrt(np.mean(phase**2)) - np.deg2rad(abs(phase_deg)))

    return float(np.exp(np.sign(phase_deg) * brentq(excess, 0.0, 8.0, xtol=1e-9)))


def self_noise(device: Device, n_samples: int, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """White Gaussian noise of every channel, dead ones too, in units in which the speech at ``ref_mic`` has power 1.

    Its A-weighted power below the Nyquist frequency is ``self_noise_dba - speech_spl_db`` in dB.

    Returns:
        (n_mics, n_samples); zeros for a device without self-noise.
    """
    if device.self_noise_dba is None:
        return np.zeros((device.n_mics, n_samples))
    frequencies = sample_rate / 2 * (np.arange(4096) + 0.5) / 4096
    power = 10 ** ((device.self_noise_dba - device.speech_spl_db) / 10) / np.mean(a_weighting(frequencies))
    return np.sqrt(power) * rng.standard_normal((device.n_mics, n_samples))


def a_weighting(frequencies: np.ndarray) -> np.ndarray:
    """Power gain of the A-weighting at frequencies in Hz, 1 at 1 kHz (IEC 61672-1:2013, annex E)."""
    square = np.append(frequencies, 1000.0) ** 2
    poles = (square + 20.598997**2) * np.sqrt((square + 107.65265**2) * (square + 737.86223**2))
    gain = square**2 / (poles * (square + 12194.217**2))
    return (gain[:-1] / gain[-1]) ** 2
