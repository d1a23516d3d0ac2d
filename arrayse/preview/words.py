"""What scenes are drawn from, in words."""

from __future__ import annotations

from arrayse.report.text import decibels, listing, percent
from simulate.devices import DeviceRecipe
from simulate.recipe import Recipe
from simulate.scene import World

SOURCES = {
    "stationary": "stationary noise with the spectrum of a recording",
    "recordings": "different recordings mixed to the coherence of the field",
    "babble": "babble of {n} voices for each microphone mixed to the coherence of the field",
}


def span(limits: list[float], unit: str = "") -> str:
    """A range: ``0.2 to 0.5 s``."""
    low, high = (decibels(value) for value in limits)
    return f"{low if low == high else f'{low} to {high}'}{unit}"


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
        ("Rooms", _rooms(recipe) if is_simulated else "measured ones, listed below"),
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
        parts.append(f"RT60 by octave {bands(acoustics.band_rt60)}")
    if len(set(acoustics.walls)) > 1:
        parts.append("walls of different absorption")
    if acoustics.directivity != "omnidirectional":
        parts.append(f"{acoustics.directivity.replace('_', ' ')} sources")
    engine = "fast image sources" if acoustics.engine == "ism" else "pyroomacoustics"
    return "; ".join([*parts, f"{engine}{' and ray tracing' if acoustics.ray_tracing else ''}"])


def bands(band_rt60: list[list[float]]) -> str:
    """RT60 by octave."""
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
