"""From a scene to the stems of its mixture."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.fft

from arrayse.geometry import ArrayGeometry
from arrayse.mixture import Mixture, mean_power, snr_db, snr_gain
from simulate.corpus import read_excerpt
from simulate.noise import diffuse_noise, sensor_noise
from simulate.rir import early_part, room_responses
from simulate.scene import Scene


def render(scene: Scene, geometry: ArrayGeometry) -> tuple[Mixture, dict[str, Any]]:
    """Simulates a scene.

    Args:
        scene: what is where and plays what.
        geometry: the array that stands at ``scene.mic_positions``.

    Returns:
        The mixture at the scene's own SNR and level, and what was measured on the way: ``rt60_measured``,
        ``snr_db_measured``, ``engine``.

    Raises:
        ValueError: see :func:`simulate.rir.room_responses`; a source that is silent, a file that cannot be
            read.
    """
    rng = np.random.default_rng([*scene.seed, 1])  # the scene's own draws used the seed without the 1
    response = room_responses(
        np.array(scene.room_dim),
        scene.rt60,
        np.array(scene.source_positions),
        np.array(scene.mic_positions),
        scene.sample_rate,
    )
    dry = np.stack([read_excerpt(e, scene.sample_rate, scene.n_samples) for e in scene.source_excerpts])
    early = early_part(response, scene.early_ms, scene.sample_rate)
    speech, target = convolve(np.stack([dry[0], dry[0]]), np.stack([response.full[0], early[0]]))
    images = convolve(dry[1:], response.full[1:])
    noise = _mix_noise(scene, geometry, images, rng)

    ref = geometry.ref_mic
    if mean_power(speech[ref]) == 0:
        silent = scene.source_excerpts[0].pieces[0]["path"]
        raise ValueError(f"target: expected sound, got silence from {silent}")
    level = 10 ** (scene.level_dbfs / 20) / np.sqrt(mean_power(speech[ref]))
    speech, target = level * speech, level * target
    noise = snr_gain(speech[ref], noise[ref], scene.snr_db) * noise
    measured = {
        "rt60_measured": response.rt60,
        "snr_db_measured": snr_db(speech[ref], noise[ref]),
        "engine": response.engine,
    }
    mixture = Mixture(speech.astype(np.float32), target.astype(np.float32), noise.astype(np.float32), ref)
    return mixture, measured


def convolve(dry: np.ndarray, responses: np.ndarray) -> np.ndarray:
    """Linear convolution of each source with its responses, cut to the length of the source.

    Args:
        dry: (n_sources, n_samples).
        responses: (n_sources, n_mics, n_taps).

    Returns:
        (n_sources, n_mics, n_samples).
    """
    n_samples = dry.shape[-1]
    n_fft = scipy.fft.next_fast_len(n_samples + responses.shape[-1] - 1, real=True)
    spectra = scipy.fft.rfft(dry, n_fft)[:, None] * scipy.fft.rfft(responses, n_fft)
    return scipy.fft.irfft(spectra, n_fft)[..., :n_samples]


def _mix_noise(scene: Scene, geometry: ArrayGeometry, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Interferer images (n_sources, n_mics, n_samples) + diffuse + sensor noise at their relative levels."""
    ref = geometry.ref_mic
    power = np.array([mean_power(image[ref]) for image in images])
    if not power.all():
        silent = scene.source_excerpts[1 + int(np.argmin(power))].pieces[0]["path"]
        raise ValueError(f"interferer: expected sound, got silence from {silent}")
    gains = np.sqrt(10 ** (np.array(scene.source_levels_db[1:]) / 10) / power)
    noise = np.einsum("s,smn->mn", gains, images)
    source = read_excerpt(scene.diffuse_excerpt, scene.sample_rate, scene.n_samples)
    diffuse = diffuse_noise(source, geometry, scene.sample_rate, rng)
    noise = noise + snr_gain(noise[ref], diffuse[ref], -scene.diffuse_db) * diffuse
    sensors = sensor_noise(geometry.n_mics, scene.n_samples, rng)
    return noise + snr_gain(noise[ref], sensors[ref], -scene.sensor_db) * sensors
