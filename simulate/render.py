"""From a scene to the stems of its mixture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from arrayse.geometry import ArrayGeometry
from arrayse.mixture import Mixture, mean_power, snr_db, snr_gain
from simulate.convolution import convolve, mix_images
from simulate.devices import place_mics, record, self_noise
from simulate.excerpts import read_excerpt
from simulate.interpolation import LEAD
from simulate.motion import convolve_moving
from simulate.noise import babble, diffuse_noise, sensor_noise
from simulate.respond import PlaceResponder, Responder, responder_of
from simulate.rir import RoomResponse, early_part
from simulate.scene import Part, Scene
from simulate.wind import wind_noise


def render(scene: Scene, geometry: ArrayGeometry) -> tuple[Mixture, dict[str, Any]]:
    """Simulates a scene.

    Args:
        scene: what is where and plays what.
        geometry: the array as it was drawn.

    Returns:
        The mixture at the scene's own SNR and level, and what was measured on the way: ``rt60_measured``,
        ``snr_db_measured``, ``engine``.

    Raises:
        ValueError: see :class:`simulate.respond.PlaceResponder`; a source that is silent, a file that cannot be
            read.
    """
    rng = np.random.default_rng([*scene.seed, Part.RENDER.value])
    responder = responder_of(scene, geometry)
    dry = _dry(scene)
    speech, target, measured = _voice(scene, responder, dry[0])
    noise = _noise(scene, geometry, responder, dry, rng)

    ref = geometry.ref_mic
    speech, target, noise = (record(stem, scene.device, scene.sample_rate) for stem in (speech, target, noise))
    noise = _with_sensors(scene, noise, ref, rng)
    level = np.float32(10 ** (scene.level_dbfs / 20) / np.sqrt(mean_power(speech[ref])))
    speech, target = level * speech, level * target
    noise = np.float32(snr_gain(speech[ref], noise[ref], scene.snr_db)) * noise
    measured["snr_db_measured"] = snr_db(speech[ref], noise[ref])
    return Mixture(speech, target, noise, ref, scene.device.converter), measured


def _dry(scene: Scene) -> np.ndarray:
    """What the sources play, (n_sources, n_samples)."""
    waves = [read_excerpt(excerpt, scene.sample_rate, scene.n_samples) for excerpt in scene.source_excerpts]
    for number, (wave, excerpt) in enumerate(zip(waves, scene.source_excerpts, strict=True)):
        if not wave.any():
            what = "interferer" if number else "target"
            raise ValueError(f"{what}: expected sound, got silence from {excerpt.pieces[0]['path']}")
    return np.stack(waves)


def _voice(scene: Scene, responder: Responder, dry: np.ndarray) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Reverberant and direct (or early) image of the target, (n_mics, n_samples) each, and facts of its room."""

    def both(response: RoomResponse) -> np.ndarray:
        early = early_part(response, scene.early_ms, scene.sample_rate)
        return np.concatenate([response.full, early], axis=1)  # side by side: their dry signal is transformed once

    if isinstance(responder, PlaceResponder) and responder.moves(0):
        images = _moving_image(responder, 0, dry, both)
    else:
        response = responder.at_rest([0])
        images = convolve(dry[None], both(response), response.lead)[0]
    speech, target = np.split(images, 2)
    if isinstance(responder, PlaceResponder):
        return speech, target, responder.fitted.measured
    return speech, target, {"rt60_measured": response.rt60, "engine": response.engine}


def _moving_image(
    responder: PlaceResponder, source: int, dry: np.ndarray, part: Callable[[RoomResponse], np.ndarray]
) -> np.ndarray:
    """Image of a source that moves, through a part of its responses: (n_mics of the part, n_samples)."""
    blocks = (part(block) for block in responder.on_the_way(source))
    return convolve_moving(dry, blocks, responder.n_points(source), LEAD, responder.switch_at(source))


def _noise(
    scene: Scene, geometry: ArrayGeometry, responder: Responder, dry: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Interferers, diffuse noise and wind at their relative levels, (n_mics, n_samples)."""
    ref = geometry.ref_mic
    noise = _interferers(scene, responder, dry, ref)
    places = place_mics(geometry.positions, scene.device)
    tracks = diffuse_tracks(scene)
    if len(places) == 1 and scene.background.source != "stationary":
        diffuse = tracks  # one microphone needs no coherence
    else:
        diffuse = diffuse_noise(tracks, places, scene.sample_rate, rng, scene.background.coherence, responder.body)
    if len(dry) > 1:
        noise = noise + np.float32(snr_gain(noise[ref], diffuse[ref], -scene.diffuse_db)) * diffuse
    else:
        noise = diffuse
    if scene.wind_db is None or scene.wind_speed is None:
        return noise
    azimuth = float(rng.uniform(-180, 180))
    wind = wind_noise(places, scene.n_samples, scene.sample_rate, rng, scene.wind_speed, azimuth)
    return noise + np.float32(snr_gain(noise[ref], wind[ref], -scene.wind_db)) * wind


def _interferers(scene: Scene, responder: Responder, dry: np.ndarray, ref: int) -> np.ndarray:
    """Sum of the interferers' images, each at its level at the reference microphone."""
    numbers = range(1, len(dry))
    resting = [number for number in numbers if not responder.moves(number)]
    noise = np.zeros((0,), np.float32)
    if resting:
        response = responder.at_rest(resting)
        levels = [scene.source_levels_db[number] for number in resting]
        try:
            noise, _ = mix_images(dry[resting], response.full, ref, levels, response.lead)
        except ValueError as error:
            heard = ", ".join(str(scene.source_excerpts[number].pieces[0]["path"]) for number in resting)
            raise ValueError(f"interferer: {error} (of {heard})") from None
    for number in sorted(set(numbers) - set(resting)):
        assert isinstance(responder, PlaceResponder)
        image = _moving_image(responder, number, dry[number], lambda block: block.full)
        if mean_power(image[ref]) == 0:
            heard = str(scene.source_excerpts[number].pieces[0]["path"])
            raise ValueError(f"interferer: expected sound at the reference microphone, got silence from {heard}")
        gain = 10 ** (scene.source_levels_db[number] / 20) / np.sqrt(mean_power(image[ref]))
        noise = np.float32(gain) * image + (noise if noise.size else 0)
    return noise


def diffuse_tracks(scene: Scene) -> np.ndarray:
    """What the diffuse noise is made of: a noise recording or the babble of several voices each, (n, n_samples)."""
    tracks = []
    for voices in scene.diffuse_excerpts:
        waves = np.stack([read_excerpt(voice, scene.sample_rate, scene.n_samples) for voice in voices])
        tracks.append(babble(waves) if len(waves) > 1 else waves[0])
    return np.stack(tracks)


def _with_sensors(scene: Scene, noise: np.ndarray, ref: int, rng: np.random.Generator) -> np.ndarray:
    """Noise (n_mics, n_samples) with what microphones and amplifiers add, whose self-noise is relative to the speech.

    Where the self-noise alone is louder than the SNR allows, nothing else is left, and it will be lowered to the SNR.
    """
    if scene.device.self_noise_dba is None:
        sensors = sensor_noise(len(noise), scene.n_samples, rng)
        return noise + np.float32(snr_gain(noise[ref], sensors[ref], -scene.sensor_db)) * sensors
    own = self_noise(scene.device, scene.n_samples, scene.sample_rate, rng)  # re speech of unit power
    rest = max(10 ** (-scene.snr_db / 10) - mean_power(own[ref]), 0.0)
    return (np.sqrt(rest / mean_power(noise[ref])) * noise + own).astype(np.float32)
