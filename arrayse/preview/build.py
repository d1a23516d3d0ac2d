"""From what a dataset is drawn from to its preview page."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from arrayse.geometry import ArrayGeometry, pairwise_distances
from arrayse.mixture import STEMS
from arrayse.preview.facts import critical_distance, mic_notes, scene_facts, scene_findings, scene_tags
from arrayse.preview.words import recipe_words
from arrayse.report.preview import write_preview
from arrayse.report.preview_measures import real_coherence, spread_pairs
from arrayse.report.preview_scene import (
    Preview,
    PreviewCoherence,
    PreviewResponse,
    PreviewRoom,
    PreviewScene,
    PreviewSource,
)
from simulate.bodies import Body, isotropic_covariance
from simulate.corpus import Corpus, label_of
from simulate.decay import energy_decay_db, measure_rt60
from simulate.devices import place_mics
from simulate.layout import turned
from simulate.noise import FIELDS, diffuse_noise
from simulate.render import diffuse_tracks, render
from simulate.respond import build_body, responder_of
from simulate.room import Room
from simulate.scene import Place, Scene, World, draw_scene

COHERENCE = 9
"""After the numbers of a scene: starts the generator of the noise whose coherence is measured."""

COHERENCE_SECONDS = 24.0
N_PAIRS = 3


def build_preview(
    world: World,
    n_scenes: int,
    out: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
    split: str = "train",
    dataset_scenes: dict[str, int] | None = None,
) -> Path:
    """Draws and renders the first scenes of a split and writes one HTML page about them.

    Args:
        world: what they are drawn from.
        n_scenes: how many.
        out: the page.
        progress: called with scenes done and scenes in all.
        split: train, valid or test.
        dataset_scenes: scenes by split of the dataset to come, whose size the page tells then.

    Returns:
        ``out``.

    Raises:
        ValueError: no scene asked for; see :func:`simulate.scene.draw_scene` and :func:`simulate.render.render`.
    """
    if n_scenes < 1:
        raise ValueError(f"n_scenes: expected one scene or more to preview, got {n_scenes}")
    progress(0, n_scenes)
    recipe = world.recipe
    ranges: dict[str, list[float]] = {"snr_db": recipe.snr_db}
    if world.rooms is None:
        ranges |= {"rt60": recipe.rt60, "distance": recipe.target_distance, "azimuth_deg": recipe.target_azimuth_deg}
    preview = Preview(
        title=out.name.removesuffix(".html").removesuffix(".preview"),
        label=label_of([world.speech, world.noise]),
        split=split,
        array=world.geometry,
        sizes=(*_sizes(world, dataset_scenes or {}), *_corpus_sizes(world, split)),
        recipe=recipe_words(world),
        corpora=tuple(source.describe() for source in (world.speech, world.noise, world.rooms) if source is not None),
        ranges={name: (limits[0], limits[1]) for name, limits in ranges.items()},
    )
    return write_preview(preview, _scenes(world, split, n_scenes), out, lambda done: progress(done, n_scenes))


def _scenes(world: World, split: str, n_scenes: int) -> Iterator[PreviewScene]:
    for index in range(n_scenes):
        try:
            yield preview_scene(draw_scene(world, split, index), world.geometry)
        except ValueError as error:
            raise ValueError(f"scene {split}-{index:06d}: {error}") from None


def _sizes(world: World, n_scenes: dict[str, int]) -> list[tuple[str, str]]:
    """Values and names of the sizes of the dataset to come; none if it is not known."""
    total = sum(n_scenes.values())
    if total == 0:
        return []
    seconds = world.recipe.seconds
    size = total * 2 * len(STEMS) * world.geometry.n_mics * round(seconds * world.speech.sample_rate)
    splits = ", ".join(f"{split} {n:,}" for split, n in n_scenes.items() if n)
    return [
        (f"{total:,}", f"scenes: {splits}"),
        (_hours(total * seconds), f"of audio, {seconds:g} s a scene"),
        (_bytes(size), f"on disk, {world.geometry.n_mics} × {len(STEMS)} channels of 16 bits"),
    ]


def _corpus_sizes(world: World, split: str) -> list[tuple[str, str]]:
    def told(corpus: Corpus, groups: str) -> tuple[str, str]:
        files = corpus.files(split)
        minutes = sum(file.n_samples for file in files) / corpus.sample_rate
        return _hours(minutes), f"of {corpus.kind} for {split}, {len({file.group for file in files})} {groups}"

    return [told(world.speech, "speakers"), told(world.noise, "types")]


def _hours(seconds: float) -> str:
    for limit, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * limit:
            return f"{seconds / limit:.3g} {unit}"
    return f"{seconds:.3g} s"


def _bytes(size: int) -> str:
    for limit, unit in ((1e9, "GB"), (1e6, "MB")):
        if size >= limit:
            return f"{size / limit:.3g} {unit}"
    return f"{size / 1e3:.3g} kB"


def preview_scene(scene: Scene, geometry: ArrayGeometry) -> PreviewScene:
    """Renders a scene and measures what the page shows of it."""
    mixture, measured = render(scene, geometry)
    response = _response(scene, geometry)
    stems = {"noisy": mixture.noisy, "speech": mixture.speech, "target": mixture.target, "noise": mixture.noise}
    return PreviewScene(
        id=scene.id,
        tags=scene_tags(scene),
        findings=scene_findings(scene, mixture, measured),
        facts=scene_facts(scene, measured, response.drr_db),
        sample_rate=scene.sample_rate,
        stems=stems,
        ref_mic=geometry.ref_mic,
        mic_notes=mic_notes(scene.device),
        clip_dbfs=scene.device.clip_dbfs,
        early_ms=scene.early_ms,
        snr_db=measured["snr_db_measured"],
        rt60_asked=None if scene.place is None else scene.place.rt60,
        rt60=measured["rt60_measured"] or 0.0,
        sources=tuple(_source(scene, number) for number in range(len(scene.source_excerpts))),
        room=None if scene.place is None else _room(scene.place, geometry),
        response=response,
        coherence=None if geometry.n_mics == 1 else _coherence(scene, geometry),
    )


def _source(scene: Scene, number: int) -> PreviewSource:
    excerpt, place = scene.source_excerpts[number], scene.place
    path = None
    if place is not None:
        path = np.array([place.source_positions[number], *place.source_walks[number]])
    files = tuple(str(piece["path"]) for piece in excerpt.pieces)
    return PreviewSource(excerpt.group, files, scene.source_levels_db[number], path)


def _room(place: Place, geometry: ArrayGeometry) -> PreviewRoom:
    room = Room(np.array(place.room_dim), place.rt60, place.acoustics)
    centre = np.array(place.array_centre)
    return PreviewRoom(
        corners=room.corners,
        height=float(room.dim[2]),
        walls=tuple(place.acoustics.walls),
        critical_distance=critical_distance(room),
        array_centre=centre,
        yaws_deg=np.array([place.array_yaw_deg, *place.array_turns_deg]),
        mics=np.array(place.mic_positions),
        nominal_mics=centre + turned(geometry.positions, place.array_yaw_deg),
        sphere_radius=place.carrier.sphere_radius,
    )


def _response(scene: Scene, geometry: ArrayGeometry) -> PreviewResponse:
    """What the reference channel hears at the start."""
    response = responder_of(scene, geometry).at_rest(list(range(len(scene.source_excerpts))))
    mic = scene.device.places[geometry.ref_mic]
    full, direct = response.full[:, mic], response.direct[:, mic]
    decays = np.stack([energy_decay_db(each) for each in full])
    t30 = measure_rt60(full[0], scene.sample_rate) if response.rt60 is not None else 0.0
    return PreviewResponse(full, direct, decays, t30, response.lead)


def _coherence(scene: Scene, geometry: ArrayGeometry) -> PreviewCoherence:
    """Measured on fresh draws of the scene's diffuse noise, as long as the scene each."""
    field, rate = scene.background.coherence, scene.sample_rate
    body = None if scene.place is None else build_body(scene.place.carrier, geometry)
    places = place_mics(geometry.positions, scene.device)
    flat = places * ([1, 1, 0] if field == "cylindrical" else [1, 1, 1])  # what the field depends on
    distances = pairwise_distances(flat)
    pairs = spread_pairs(distances, N_PAIRS)
    n_draws = math.ceil(COHERENCE_SECONDS * rate / scene.n_samples)
    n_fft = min(1 << round(math.log2(rate / 16)), 1 << int(math.log2(scene.n_samples)))
    frequencies = np.fft.rfftfreq(n_fft, 1 / rate)
    first, second = np.array(pairs).T
    return PreviewCoherence(
        field=field,
        seconds=n_draws * scene.n_samples / rate,
        frequencies=frequencies,
        pairs=pairs,
        distances=distances[first, second],
        measured=real_coherence(_diffuse_draws(scene, places, body, n_draws), pairs, n_fft),
        theory=_theory(places, body, field, frequencies)[:, first, second].T,
    )


def _theory(places: np.ndarray, body: Body | None, field: str, frequencies: np.ndarray) -> np.ndarray:
    """Real part of the coherence of the field, (n_freqs, n_mics, n_mics)."""
    if body is None:
        return FIELDS[field](places, frequencies)
    covariance = isotropic_covariance(body, frequencies, field)
    power = np.einsum("fmm->fm", covariance).real
    return covariance.real / np.sqrt(power[:, :, None] * power[:, None, :])


def _diffuse_draws(scene: Scene, places: np.ndarray, body: Body | None, n_draws: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng([*scene.seed, COHERENCE])
    tracks = diffuse_tracks(scene)
    for _ in range(n_draws):
        yield diffuse_noise(tracks, places, scene.sample_rate, rng, scene.background.coherence, body)
