"""A recipe, a scene and what is odd about it in words, for the preview page."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayse.mixture import Mixture, mean_power
from arrayse.report.text import decibels, listing, number, percent
from simulate.devices import Device, DeviceRecipe, self_noise
from simulate.recipe import Recipe
from simulate.room import Room
from simulate.scene import Scene, World

RT60_TOLERANCE = 0.05
"""Relative error from which on a reverberation time is worth a look."""

CLIPPED_SHARE = 1e-3
"""Share of samples from which on clipping is worth a look."""

SOURCES = {
    "stationary": "stationary noise with the spectrum of a recording",
    "recordings": "different recordings mixed to the coherence of the field",
    "babble": "babble of {n} voices for each microphone mixed to the coherence of the field",
}


def span(limits: list[float], unit: str = "") -> str:
    """A range: ``0.2 to 0.5 s``."""
    low, high = (decibels(value) for value in limits)
    return f"{low if low == high else f'{low} to {high}'}{unit}"


# --- the recipe ---------------------------------------------------------------------------------------------


def recipe_words(world: World) -> tuple[tuple[str, str], ...]:
    """Names and sentences of what scenes are drawn from."""
    recipe = world.recipe
    early = f", with reflections up to {recipe.early_ms:g} ms after it" if recipe.early_ms else ""
    where = f", {span(recipe.target_distance, ' m')} away at azimuths of {span(recipe.target_azimuth_deg, '°')}"
    others = (
        f", {span(recipe.interferer_distance, ' m')} away, at least {recipe.interferer_angle_deg:g}° from the target"
    )
    is_simulated = world.rooms is None
    words = [
        ("Scenes", f"{recipe.seconds:g} s at {world.speech.sample_rate / 1000:g} kHz, seed {world.seed}"),
        ("Rooms", _rooms(recipe) if world.rooms is None else world.rooms.describe()),
        ("Target", f"one talker{where if is_simulated else ''}; asked for is its direct sound{early}"),
        (
            "Interferers",
            f"{_count(recipe.n_interferers)}{others if is_simulated else ''}; {span(recipe.interferer_db, ' dB')} each",
        ),
        ("Diffuse noise", _background(recipe)),
        ("Microphone noise", f"{span(recipe.sensor_db, ' dB')} re all other noise"),
        (
            "SNR",
            f"{span(recipe.snr_db, ' dB')}, reverberant speech of {span(recipe.level_dbfs, ' dBFS')} over all noise",
        ),
    ]
    if is_simulated:
        words += [("Motion", _motion(recipe)), ("Carrier", _carrier(recipe))]
    return (*words, ("Device", _device_recipe(recipe.device)))


def _count(n_interferers: list[int]) -> str:
    return span([float(n) for n in n_interferers])


def _rooms(recipe: Recipe) -> str:
    acoustics = recipe.acoustics
    if acoustics.floor_plan is not None:
        height = span([recipe.room_min[2], recipe.room_max[2]], " m")
        shape = f"one floor plan of {len(acoustics.floor_plan)} corners, {height} high"
    else:
        sides = [span([low, high]) for low, high in zip(recipe.room_min, recipe.room_max, strict=True)]
        shape = f"shoeboxes of {' × '.join(sides)} m"
    parts = [f"{shape}, RT60 {span(recipe.rt60, ' s')}"]
    if acoustics.band_rt60:
        parts.append(f"RT60 by octave {_bands(acoustics.band_rt60)}")
    if len(set(acoustics.walls)) > 1:
        parts.append("walls of different absorption")
    if acoustics.directivity != "omnidirectional":
        parts.append(f"{acoustics.directivity.replace('_', ' ')} sources")
    engine = "fast image sources" if acoustics.engine == "ism" else "pyroomacoustics"
    return "; ".join([*parts, f"{engine}{' and ray tracing' if acoustics.ray_tracing else ''}"])


def _bands(band_rt60: list[list[float]]) -> str:
    return ", ".join(f"×{factor:g} at {band:g} Hz" for band, factor in band_rt60)


def _background(recipe: Recipe) -> str:
    background = recipe.background
    source = SOURCES[background.source].format(n=background.n_voices)
    words = f"{background.coherence} field, {source}, {span(recipe.diffuse_db, ' dB')} re the interferers"
    if background.wind_db is None:
        return words
    speed, level = span(background.wind_speed, " m/s"), span(background.wind_db, " dB")
    return f"{words}; wind of {speed}, {level} re all other noise"


def _motion(recipe: Recipe) -> str:
    motion, parts = recipe.motion, []
    walking = [("the target", motion.target_share), ("an interferer", motion.interferer_share)]
    parts = [f"{who} walks with probability {percent(share)}" for who, share in walking if share > 0]
    if parts:
        parts = [f"{listing(parts)}, at {span(motion.speed, ' m/s')}"]
    if motion.turn_share > 0:
        parts.append(f"the array turns with probability {percent(motion.turn_share)}, by {span(motion.turn_deg, '°')}")
    return "; ".join(parts) or "nothing moves"


def _carrier(recipe: Recipe) -> str:
    if recipe.carrier.sphere_radius is not None:
        return f"a rigid sphere of {1000 * recipe.carrier.sphere_radius:g} mm radius"
    return "none, microphones in free air" if recipe.carrier.sofa is None else f"measured body {recipe.carrier.sofa}"


def _device_recipe(recipe: DeviceRecipe) -> str:
    values = {
        "gain ±{:g} dB": recipe.gain_db,
        "phase ±{:g}°": recipe.phase_deg,
        "positions ±{:g} mm": recipe.position_mm,
        "clocks ±{:g} ppm": recipe.clock_ppm,
        "self-noise {:g} dB(A)": recipe.self_noise_dba,
        "high-pass {:g} Hz": recipe.high_pass_hz,
        "{:g} bits": recipe.bits,
    }
    parts = [text.format(value) for text, value in values.items() if value]
    parts += [] if recipe.clip_dbfs is None else [f"clips at {decibels(recipe.clip_dbfs)} dBFS"]
    shares = {"a dead microphone": recipe.dead_share, "two channels swapped": recipe.swap_share}
    parts += [f"{what} with probability {percent(share)}" for what, share in shares.items() if share > 0]
    return ", ".join(parts) or "ideal"


# --- one scene ----------------------------------------------------------------------------------------------


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
    facts = [("RT60", f"{asked}{f'measured {rt60:.3f} s' if rt60 else 'no decay measured'}")]
    if scene.place is not None:
        facts = [("Room", _room(Room(np.array(scene.place.room_dim), scene.place.rt60, scene.place.acoustics))), *facts]
        if scene.place.acoustics.band_rt60:
            facts.append(("RT60 by octave", _bands(scene.place.acoustics.band_rt60)))
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
    if scene.place is None and rt60 == 0:
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
