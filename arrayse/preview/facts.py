"""One scene in words: what is special about it, its numbers, and what a person should look at."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayse.mixture import Mixture, mean_power
from arrayse.preview.words import bands
from arrayse.report.text import decibels, listing, number, percent
from simulate.devices import Device, self_noise
from simulate.room import Room
from simulate.scene import Scene

RT60_TOLERANCE = 0.05
"""Relative error from which on a reverberation time is worth a look."""

CLIPPED_SHARE = 1e-3
"""Share of samples from which on clipping is worth a look."""


def scene_tags(scene: Scene) -> tuple[str, ...]:
    """What is special about a scene, in a word or two each."""
    device, background, place = scene.device, scene.background, scene.place
    tags = [] if scene.measured is None else [f"measured room {scene.measured['responses'][0]['room']}"]
    if place is not None:
        tags += [
            f"{'target' if not source else f'interferer {source}'} walks"
            for source, walk in enumerate(place.source_walks)
            if walk
        ]
        tags += ["array turns"] if place.array_turns_deg else []
        tags += [] if place.moves else ["nothing moves"]
        tags += ["rigid sphere"] if place.carrier.sphere_radius is not None else []
        tags += ["measured body"] if place.carrier.sofa is not None else []
        tags += ["floor plan"] if place.acoustics.floor_plan is not None else []
    tags += [f"{background.coherence} {background.source if background.source == 'babble' else 'noise'}"]
    tags += [] if scene.wind_speed is None else [f"wind {scene.wind_speed:.1f} m/s"]
    return (*tags, *_device_tags(device))


def _device_tags(device: Device) -> list[str]:
    tags = [] if device.dead_mic is None else [f"microphone {device.dead_mic} dead"]
    swapped = [str(mic) for mic, place in enumerate(device.places) if mic != place]
    return [*tags, *([f"microphones {listing(swapped)} swapped"] if swapped else [])]


def mic_notes(device: Device) -> dict[int, str]:
    """What is the matter with microphones, by number."""
    notes = {mic: f"at {place}" for mic, place in enumerate(device.places) if mic != place}
    return notes if device.dead_mic is None else {**notes, device.dead_mic: "dead"}


def scene_facts(scene: Scene, measured: dict[str, Any], drr_db: float) -> tuple[tuple[str, str], ...]:
    """Names and values of a scene."""
    rt60 = measured["rt60_measured"]
    asked = "" if scene.place is None else f"asked {scene.place.rt60:.3f} s, "
    told = f"measured {rt60:.3f} s" if rt60 else "no decay measured"
    octaves = [] if scene.place is None else scene.place.acoustics.band_rt60
    facts = [("RT60", f"{asked}{told}{', mean of the octaves over their factors' if octaves else ''}")]
    if scene.place is not None:
        facts = [("Room", _room(Room(np.array(scene.place.room_dim), scene.place.rt60, scene.place.acoustics))), *facts]
        facts += [("Factors", bands(octaves))] if octaves else []
    ratio = f"{number(drr_db, 1)} dB, target" if np.isfinite(drr_db) else "no reverberation"
    facts += [
        ("Direct to reverberant", ratio),
        ("SNR", f"{number(measured['snr_db_measured'], 1)} dB, speech at {number(scene.level_dbfs, 1)} dBFS"),
        ("Diffuse noise", f"{number(scene.diffuse_db, 1)} dB re interferers, {_tracks(scene)}"),
        ("Microphone noise", f"{number(scene.sensor_db, 1)} dB re other noise"),
    ]
    if scene.wind_db is not None and scene.wind_speed is not None:
        facts.append(("Wind", f"{scene.wind_speed:.1f} m/s, {number(scene.wind_db, 1)} dB re other noise"))
    if scene.place is not None and scene.place.array_turns_deg:
        turn = scene.place.array_turns_deg[-1] - scene.place.array_yaw_deg
        facts.append(("Array turns", f"{abs(turn):.0f}° to the {'left' if turn > 0 else 'right'}"))
    facts += _device_facts(scene.device)
    return (*facts, ("Computed by", measured["engine"]), ("Seed", ", ".join(map(str, scene.seed))))


def _room(room: Room) -> str:
    sides = " × ".join(f"{side:.2f}" for side in room.dim)
    corners = "" if room.acoustics.floor_plan is None else f"{len(room.corners)} corners in "
    return f"{corners}{sides} m, {room.volume:.0f} m³"


def critical_distance(room: Room) -> float:
    """Metres at which direct and reverberant sound of a source are equally loud: 0.057 sqrt(volume / RT60)."""
    return float(0.057 * np.sqrt(room.volume / room.rt60))


def _tracks(scene: Scene) -> str:
    groups = list(dict.fromkeys(voice.group for track in scene.diffuse_excerpts for voice in track))
    kind = {"stationary": "spectrum of ", "recordings": "", "babble": f"{len(groups)} speakers: "}[
        scene.background.source
    ]
    return kind + ", ".join(groups[:6]) + (", …" if len(groups) > 6 else "")


def _device_facts(device: Device) -> list[tuple[str, str]]:
    """What is not ideal, by channel where channels differ."""
    facts = []
    for name, values, digits, unit in (
        ("Gains", device.gains_db, 1, "dB"),
        ("Phases", device.phases_deg, 1, "° rms"),
        ("Clocks", device.clocks_ppm, 0, "ppm"),
    ):
        if any(values):
            told = ", ".join(number(value, digits, signed=True) for value in values)
            facts.append((name, f"{told}{'' if unit.startswith('°') else ' '}{unit}"))
    offsets = np.linalg.norm(device.position_offsets, axis=1)
    if offsets.any():
        facts.append(("Off their places", f"{', '.join(f'{1e3 * offset:.1f}' for offset in offsets)} mm"))
    if device.self_noise_dba is not None:
        level = f"{device.self_noise_dba:g} dB(A), speech at {device.speech_spl_db:.0f} dB SPL"
        facts.append(("Self-noise", level))
    parts = [] if device.high_pass_hz is None else [f"high-pass {device.high_pass_hz:g} Hz"]
    parts += [] if device.clip_dbfs is None else [f"clips at {decibels(device.clip_dbfs)} dBFS"]
    parts += [] if device.bits is None else [f"{device.bits} bits"]
    return [*facts, *([("Converter", ", ".join(parts))] if parts else [])]


def scene_findings(scene: Scene, mixture: Mixture, measured: dict[str, Any]) -> tuple[str, ...]:
    """What a person should look at before a long run, a sentence each."""
    found, rt60 = [], measured["rt60_measured"]
    if scene.place is not None and abs(rt60 / scene.place.rt60 - 1) > RT60_TOLERANCE:
        found.append(f"RT60 is {rt60:.2f} s where {scene.place.rt60:.2f} s was asked.")
    if rt60 is None:
        found.append("The room has no decay that could be measured: it is dry, or the recording is too noisy.")
    clip = mixture.converter.clip
    if clip is not None:
        shares = np.mean(np.abs(mixture.speech + mixture.noise) >= clip, axis=1)
        if shares.max() > CLIPPED_SHARE:
            found.append(f"{percent(float(shares.max()))} of the samples clip at microphone {int(shares.argmax())}.")
    own = self_noise(scene.device, scene.n_samples, scene.sample_rate, np.random.default_rng(scene.seed))
    if mean_power(own[mixture.ref_mic]) >= 10 ** (-scene.snr_db / 10):
        found.append("Self-noise alone is louder than the SNR allows: nothing else is left of the noise.")
    return tuple(found)
