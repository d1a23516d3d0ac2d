"""How fast the simulator is: ratios to pyroomacoustics, scipy and soundfile, measured side by side in one process.

Absolute times say little about another machine, so every line is a ratio of medians over repeats that alternate
between the two sides. Both use one thread.
"""

from __future__ import annotations

import functools
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.signal
import soundfile

from arrayse.geometry import circular
from arrayse.mixture import snr_gain
from simulate.corpus import Corpus
from simulate.decay import measure_rt60
from simulate.excerpts import read_excerpt
from simulate.generate import write_stems
from simulate.noise import spherical_coherence
from simulate.recipe import Recipe
from simulate.reference import reference_settings
from simulate.render import render
from simulate.rir import fit_room
from simulate.room import Acoustics, Room
from simulate.scene import Place, Scene, World, draw_scene

RATE = 16000
ROOM = np.array([5.0, 4.0, 2.8])
SEED = 0


@dataclass(frozen=True)
class Line:
    """One row of the table: what was measured, the reference's and our median in ms, and what else there is to say."""

    what: str
    reference_ms: float
    ours_ms: float
    note: str = ""

    @property
    def ratio(self) -> float:
        """How many times faster we are."""
        return self.reference_ms / self.ours_ms


def medians(first: Callable[[], Any], second: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Median times in ms of two functions that are called in turn, after one call of each to warm up."""
    first(), second()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for function, spent in zip((first, second), times, strict=True):
            start = time.perf_counter()
            function()
            spent.append(1e3 * (time.perf_counter() - start))
    return float(np.median(times[0])), float(np.median(times[1]))


def response_lines(repeats: int) -> list[Line]:
    """Responses of 4 sources x 5 microphones at three RT60: all images and, at 0.5 s, the faster modes."""
    sources, mics = _places(4)
    lines = []
    for rt60 in (0.2, 0.5, 0.9):
        exact = fit_room(Room(ROOM, rt60), sources, mics, RATE)
        images = exact.full(sources, mics)
        for name, options in MODES.items():
            if options and rt60 != 0.5:
                continue
            fitted = replace(exact, room=Room(ROOM, rt60, Acoustics(**options)))  # of the same walls
            reference_ms, ours_ms = medians(
                functools.partial(pyroomacoustics_responses, rt60, sources, mics),
                functools.partial(fitted.full, sources, mics),
                repeats,
            )
            full = fitted.full(sources, mics)
            note = f"T30 {np.mean([measure_rt60(response[0], RATE) for response in full]):.3f} s"
            if options:
                difference = np.sum((full - images) ** 2) / np.sum(images**2)
                note += f", {10 * np.log10(difference):.0f} dB from all images"
            lines.append(Line(f"responses, RT60 {rt60} s, {name}", reference_ms, ours_ms, note))
    return lines


MODES: dict[str, dict[str, Any]] = {
    "all images": {},
    "threshold 1e-4": {"threshold": 1e-4},
    "threshold 3e-5": {"threshold": 3e-5},
    "tail density 8": {"tail_density": 8.0},
}


def mixture_line(speech: Corpus, noise: Corpus, repeats: int) -> Line:
    """Whole scenes of 4 s with 6 sources at RT60 0.5 s: drawn, walls fitted, rendered, written."""
    world = World(Recipe(rt60=[0.5, 0.5], n_interferers=[5, 5]), circular(), speech, noise, SEED)
    counts = {"ours": 0, "theirs": 0}
    with tempfile.TemporaryDirectory() as folder:

        def ours() -> None:
            counts["ours"] += 1
            scene = draw_scene(world, "train", counts["ours"])
            write_stems(Path(folder) / "ours.wav", render(scene, world.geometry)[0], RATE)

        def theirs() -> None:
            counts["theirs"] += 1
            scene = draw_scene(world, "train", counts["theirs"])
            stems = plain_mixture(scene, world)
            soundfile.write(Path(folder) / "theirs.wav", stems.T, RATE, "PCM_16")

        reference_ms, ours_ms = medians(theirs, ours, repeats)
    return Line("whole mixture, 6 sources, RT60 0.5 s", reference_ms, ours_ms, "ours fits the walls to RT60, too")


def memory_line() -> str:
    """Growth of the peak memory over 8 sources x 5 microphones at RT60 0.9 s, each engine in a process of its own."""
    grown = {}
    for engine in ("ism", "pyroomacoustics"):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            grown[engine] = pool.apply(memory_growth, (engine,))
    ours, theirs = grown["ism"], grown["pyroomacoustics"]
    return f"peak memory, 8 sources x 5 microphones, RT60 0.9 s: +{ours:.0f} MB (pyroomacoustics +{theirs:.0f} MB)"


def memory_growth(engine: str) -> float:
    """MB that this process needs at most while it computes, over what it has after a first small response.

    Linux alone lets the mark of the peak be put back; elsewhere the peak of the whole process counts.
    """
    sources, mics = _places(8)

    def respond(rt60: float) -> None:
        if engine == "ism":
            fit_room(Room(ROOM, rt60), sources, mics, RATE).full(sources, mics)
        else:
            pyroomacoustics_responses(rt60, sources, mics)

    respond(0.15)
    mark = Path("/proc/self/clear_refs")
    if mark.exists():
        mark.write_text("5")
    before = _peak_mb()
    respond(0.9)
    return _peak_mb() - before


def _peak_mb() -> float:
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def pyroomacoustics_responses(
    rt60: float, sources: np.ndarray, mics: np.ndarray, room_dim: np.ndarray = ROOM, direct: bool = False
) -> list[list[np.ndarray]]:
    """Responses as the documentation of pyroomacoustics computes them: Sabine's absorption and its order."""
    import pyroomacoustics

    with reference_settings():
        absorption, order = pyroomacoustics.inverse_sabine(rt60, room_dim)
        order = 0 if direct else order
        materials = pyroomacoustics.Material(absorption)
        room = pyroomacoustics.ShoeBox(room_dim, fs=RATE, materials=materials, max_order=order)
        for source in sources:
            room.add_source(source)
        room.add_microphone_array(mics.T)
        room.compute_rir()
        responses: list[list[np.ndarray]] = room.rir
        return responses


def plain_mixture(scene: Scene, world: World) -> np.ndarray:
    """Stems of a scene (3 x n_mics, n_samples) as one would write it with pyroomacoustics and scipy.

    The diffuse noise is mixed by the roots of the coherence matrices of 513 bins of a short-time transform, after
    Habets, Cohen and Gannot (2008).
    """
    place = scene.place
    assert isinstance(place, Place)
    sources, mics = np.array(place.source_positions), np.array(place.mic_positions)
    responses = pyroomacoustics_responses(place.rt60, sources, mics, np.array(place.room_dim))
    direct = pyroomacoustics_responses(place.rt60, sources[:1], mics, np.array(place.room_dim), direct=True)
    dry = [read_excerpt(excerpt, RATE, scene.n_samples) for excerpt in scene.source_excerpts]

    def image(source: int, filters: list[list[np.ndarray]]) -> np.ndarray:
        n = scene.n_samples
        return np.stack([scipy.signal.fftconvolve(dry[source], mic[source])[:n] for mic in filters])

    speech, target = image(0, responses), image(0, direct)
    noise = np.zeros_like(speech)
    for number, level in enumerate(scene.source_levels_db[1:], start=1):
        heard = image(number, responses)
        noise += 10 ** (level / 20) * heard / heard[0].std()
    rng = np.random.default_rng(SEED)
    source = read_excerpt(scene.diffuse_excerpts[0][0], RATE, scene.n_samples)
    shifted = [np.roll(source, rng.integers(len(source))) for _ in mics]
    spectra = scipy.signal.stft(shifted, RATE, nperseg=1024)[2]
    coherence = spherical_coherence(world.geometry.positions, np.fft.rfftfreq(1024, 1 / RATE))
    values, vectors = np.linalg.eigh(coherence)
    root = vectors * np.sqrt(np.maximum(values, 0))[:, None] @ vectors.swapaxes(1, 2)
    diffuse = scipy.signal.istft(np.einsum("fij,jft->ift", root, spectra), RATE, nperseg=1024)[1][:, : scene.n_samples]
    noise += snr_gain(noise[0], diffuse[0], -scene.diffuse_db) * diffuse
    noise += snr_gain(noise[0], np.ones(1), -scene.sensor_db) * rng.standard_normal(noise.shape)
    stems = np.concatenate([speech, target, snr_gain(speech[0], noise[0], scene.snr_db) * noise])
    scaled: np.ndarray = stems / np.abs(stems).max()
    return scaled


def _places(n_sources: int) -> tuple[np.ndarray, np.ndarray]:
    """Sources and a ring of five microphones in the room, in metres."""
    rng = np.random.default_rng(SEED)
    return rng.uniform(0.5, ROOM - 0.5, (n_sources, 3)), np.array([2.1, 1.7, 1.3]) + circular().positions
