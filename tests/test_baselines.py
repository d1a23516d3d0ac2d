"""Baselines: what leaves fixed beamformers in closed form, that they look where the target is, and who is told what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from arrayse.evaluation import baselines as module
from arrayse.evaluation.baselines import (
    BEAMFORMERS,
    FIXED,
    LOADING,
    baseline,
    beamform,
    describe,
    design_filters,
    filter_and_sum,
    target_direction,
)
from arrayse.frontend import spatial
from arrayse.geometry import SPEED_OF_SOUND, ArrayGeometry, circular, compact_diamond, direction, linear, phone
from arrayse.manifest import SceneEntry
from arrayse.metrics import si_sdr
from arrayse.mixture import Dataset, Mixture, open_dataset
from simulate.recipe import Motion, Recipe
from simulate.scene import draw_scene
from tests.tiny_scenes import RATE, Corpora, tiny_world

CROSS = [[0.05, 0, 0.01], [0, 0.05, -0.03], [-0.05, 0, 0.04], [0, -0.05, 0]]
BESIDE = ArrayGeometry(np.add(CROSS, [0.3, 0.2, -0.1]), ref_mic=2)
"""An array with height, whose origin is not among its microphones."""


def entry_of(corpora: Corpora, recipe: Recipe, geometry: ArrayGeometry, index: int = 0) -> SceneEntry:
    """A scene that is drawn and never rendered."""
    return SceneEntry(Path(), draw_scene(tiny_world(corpora, recipe, geometry), "train", index).to_dict())


@pytest.fixture
def large_rooms(recipe: Recipe) -> Recipe:
    """Targets all around, high and low, at a distance."""
    rooms = replace(recipe, room_min=[6.0, 6.0, 3.5], room_max=[6.5, 6.5, 4.0], rt60=[0.3, 0.4], height=[0.8, 2.5])
    return replace(rooms, target_distance=[1.7, 2.2], target_azimuth_deg=[-180.0, 180.0])


@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize("geometry", [circular(), compact_diamond(), linear(), phone(), BESIDE], ids=lambda g: g.name)
def test_a_plane_wave_from_the_look_direction_is_unchanged(name: str, geometry: ArrayGeometry) -> None:
    rng = np.random.default_rng(0)
    hertz, phase = rng.uniform(100, 7500, (100, 1)), rng.uniform(0, 2 * np.pi, (100, 1))
    early = geometry.positions @ direction(130.0, 20.0) / SPEED_OF_SOUND  # seconds before the origin has it
    time = np.arange(RATE // 2) / RATE
    heard = np.stack([np.sin(2 * np.pi * hertz * (time + seconds) + phase).sum(axis=0) for seconds in early])
    got = filter_and_sum(design_filters(name, geometry, 130.0, 20.0, RATE), heard)
    inner = slice(512, -512)  # the wave has been there for ever
    error = (got - heard[geometry.ref_mic])[inner]
    assert np.sqrt(np.mean(error**2)) < 1e-4 * np.sqrt(np.mean(heard[0, inner] ** 2))


@pytest.mark.parametrize("sample_rate", [8000, 16000, 44100])
def test_filters_respond_as_the_weights_say_between_their_frequencies_too(sample_rate: int) -> None:
    geometry = circular()
    hertz = torch.linspace(150, 0.45 * sample_rate, 50, dtype=torch.float64)
    steering = spatial.steering_vector(geometry, -70.0, 0.0, hertz)
    expected = spatial.superdirective(steering, spatial.diffuse_coherence(geometry, hertz), LOADING).numpy().conj()
    filters = design_filters("superdirective", geometry, -70.0, 0.0, sample_rate)
    seconds = (np.arange(filters.shape[1]) - filters.shape[1] // 2) / sample_rate
    got = np.exp(-2j * np.pi * hertz.numpy()[:, None] * seconds) @ filters.T
    np.testing.assert_allclose(got, expected, atol=2e-3)
    assert np.abs(expected).max() > 0.5


@pytest.mark.parametrize("geometry", [circular(), BESIDE], ids=["centred", "beside"])
def test_the_direction_is_where_the_sound_comes_from(
    corpora: Corpora, large_rooms: Recipe, geometry: ArrayGeometry
) -> None:
    """Against the ways from the target to the microphones of the turned array, which know no angles."""
    for index in range(12):
        entry = entry_of(corpora, large_rooms, geometry, index)
        place = entry.numbers["place"]
        ways = np.linalg.norm(np.subtract(place["mic_positions"], place["source_positions"][0]), axis=1)
        towards = geometry.positions @ direction(*target_direction(entry, geometry))
        expected = ways - ways[geometry.ref_mic]
        np.testing.assert_allclose(towards[geometry.ref_mic] - towards, expected, atol=0.004)  # of up to 0.1 m
        if geometry is not BESIDE:
            azimuth, manifest = target_direction(entry, geometry)[0], place["source_azimuths_deg"][0]
            assert (azimuth - manifest + 180) % 360 == pytest.approx(180)


def gain_of_direction(name: str, dataset: Dataset, entry: SceneEntry, stem: str) -> list[float]:
    """SI-SDR in dB against the target: towards it, minus 90 degrees to either side of it, and minus not at all."""
    mixture, geometry = dataset.read(entry, wanted_snr_db=0.0), dataset.geometry
    recorded, target = getattr(mixture, stem), mixture.target[geometry.ref_mic]
    azimuth, elevation = target_direction(entry, geometry)
    turned = (design_filters(name, geometry, azimuth + turn, elevation, RATE) for turn in (-90.0, 90.0))
    waves = [
        beamform(name, recorded, entry, geometry, RATE),
        *(filter_and_sum(filters, recorded) for filters in turned),
        recorded[geometry.ref_mic],
    ]
    true, *others = (si_sdr(wave, target, RATE).value for wave in waves)
    assert true is not None
    return [true - (np.inf if other is None else other) for other in others]


def test_delay_and_sum_takes_the_direct_sound_of_every_scene_from_its_direction(tiny_dataset: Path) -> None:
    dataset = open_dataset(tiny_dataset)
    for entry in dataset.entries("train"):
        left, right, _ = gain_of_direction("delay_and_sum", dataset, entry, "target")
        assert min(left, right) > 10


@pytest.mark.parametrize("name", FIXED)
def test_the_true_direction_brings_noisy_scenes_closer_to_the_target(name: str, tiny_dataset: Path) -> None:
    dataset = open_dataset(tiny_dataset)
    entries = dataset.entries("train")
    left, right, untouched = np.mean([gain_of_direction(name, dataset, entry, "noisy") for entry in entries], axis=0)
    assert min(left, right) > 1
    assert untouched > 0.5


def test_one_microphone_is_left_as_it_is() -> None:
    alone = ArrayGeometry(np.zeros((1, 3)))
    noisy = np.random.default_rng(0).standard_normal((1, 3000))
    for name in FIXED:
        np.testing.assert_allclose(filter_and_sum(design_filters(name, alone, 30, 0, RATE), noisy), noisy[0], atol=1e-6)


def test_what_moves_is_counted_and_steered_to_its_start(corpora: Corpora, recipe: Recipe) -> None:
    walking = replace(recipe, motion=Motion(target_share=1.0, speed=[0.1, 0.2]))
    turning = replace(recipe, motion=Motion(turn_share=1.0))
    others = replace(recipe, motion=Motion(interferer_share=1.0, speed=[0.1, 0.2]))
    still, *moved = (entry_of(corpora, of, circular()) for of in (recipe, walking, turning, others))
    assert describe("delay_and_sum", [still, still]).endswith("oracle: steered to the true direction of the target")
    at_start = "target, in 2 of 4 scenes, where target or array moves, to that at the start"
    assert describe("superdirective", [still, *moved]).endswith(at_start)
    assert [target_direction(entry, circular()) for entry in moved] == [target_direction(still, circular())] * 3


def test_errors(corpora: Corpora, recipe: Recipe) -> None:
    entry = entry_of(corpora, recipe, circular())
    measured = SceneEntry(Path(), entry.numbers | {"place": None, "measured": {"responses": []}})
    with pytest.raises(ValueError, match=r"beamformers: .* known direction, got train-000000, .* measured room"):
        target_direction(measured, circular())
    with pytest.raises(ValueError, match=r"fixed beamformers: .* delay_and_sum, superdirective, got mvdr_oracle"):
        design_filters("mvdr_oracle", circular(), 0.0, 0.0, RATE)
    with pytest.raises(ValueError, match=r"noisy: expected shape \(5, n_samples\), got \(4, 100\)"):
        beamform("delay_and_sum", np.zeros((4, 100)), entry, circular(), RATE)
    stems = np.zeros((4, 100), dtype=np.float32)
    with pytest.raises(ValueError, match=r"beamformers: expected some of delay_and_sum, .*, cirm_oracle, got mvdr"):
        baseline("mvdr", Mixture(stems, stems, stems), entry, circular(), RATE)
    for name in BEAMFORMERS:
        with pytest.raises(ValueError, match="mixture: expected 5 microphones, got 4"):
            baseline(name, Mixture(stems, stems, stems), entry, circular(), RATE)


# --- baselines that follow from spectra ----------------------------------------------------------------------


STEERED = [name for name, about in BEAMFORMERS.items() if about.steered]
TOLD = [name for name, about in BEAMFORMERS.items() if not about.steered]


@pytest.fixture
def scene(tiny_dataset: Path) -> tuple[Mixture, SceneEntry, ArrayGeometry]:
    dataset = open_dataset(tiny_dataset)
    entry = dataset.entries("train")[1]
    return dataset.read(entry, wanted_snr_db=0.0), entry, dataset.geometry


def test_fixed_ones_are_the_beamformers_on_the_recording(scene: tuple[Mixture, SceneEntry, ArrayGeometry]) -> None:
    mixture, entry, geometry = scene
    for name in FIXED:
        expected = beamform(name, mixture.noisy, entry, geometry, RATE)
        assert np.array_equal(baseline(name, mixture, entry, geometry, RATE), expected)


def test_what_is_told_more_comes_closer_to_the_target(tiny_dataset: Path) -> None:
    dataset = open_dataset(tiny_dataset)
    ref, means = dataset.geometry.ref_mic, dict.fromkeys(["noisy", *BEAMFORMERS], 0.0)
    entries = dataset.entries("train")
    for entry in entries:
        mixture = dataset.read(entry, wanted_snr_db=0.0)
        waves = {name: baseline(name, mixture, entry, dataset.geometry, RATE) for name in BEAMFORMERS}
        for name, wave in ({"noisy": mixture.noisy[ref]} | waves).items():
            assert (wave.dtype, wave.shape) == (np.float32, mixture.noisy[ref].shape)
            got = si_sdr(wave, mixture.target[ref], RATE).value
            assert got is not None
            means[name] += got / len(entries)
        delayed, filtered = (
            si_sdr(waves[name], mixture.target[ref], RATE).value for name in ("delay_and_sum", "mvdr_oracle")
        )
        assert delayed is not None
        assert filtered is not None
        assert filtered > delayed + 3
    assert means["mwf_oracle"] > means["mvdr_oracle"] > means["mvdr_estimated"] > means["noisy"] + 1
    assert means["mwf_estimated"] > means["noisy"] + 1
    assert means["cirm_oracle"] > means["psm_oracle"] > means["wiener_oracle"] > means["noisy"] + 3
    assert means["irm_oracle"] > means["noisy"] + 3


def test_the_wiener_filter_has_the_least_error(scene: tuple[Mixture, SceneEntry, ArrayGeometry]) -> None:
    mixture, entry, geometry = scene
    target = mixture.target[geometry.ref_mic]
    errors = {name: np.mean((baseline(name, mixture, entry, geometry, RATE) - target) ** 2) for name in BEAMFORMERS}
    assert errors["mwf_oracle"] < min(errors[name] for name in (*STEERED, "mvdr_oracle"))


@pytest.mark.parametrize("name", STEERED)
def test_what_is_steered_hears_the_recording_alone(name: str, scene: tuple[Mixture, SceneEntry, ArrayGeometry]) -> None:
    mixture, entry, geometry = scene
    other = replace(mixture, speech=mixture.speech + mixture.noise, target=0 * mixture.target, noise=0 * mixture.noise)
    expected, got = (baseline(name, stems, entry, geometry, RATE) for stems in (mixture, other))
    assert np.array_equal(other.noisy, mixture.noisy)
    assert np.array_equal(got, expected)


@pytest.mark.parametrize("name", TOLD)
def test_what_is_told_the_stems_needs_no_direction_and_masks_one_microphone(
    name: str, scene: tuple[Mixture, SceneEntry, ArrayGeometry]
) -> None:
    mixture, entry, geometry = scene
    measured = SceneEntry(Path(), entry.numbers | {"place": None})
    expected = baseline(name, mixture, entry, geometry, RATE)
    assert np.array_equal(baseline(name, mixture, measured, geometry, RATE), expected)
    changed = mixture.noise.copy()
    changed[(geometry.ref_mic + 1) % geometry.n_mics] *= 2
    got = baseline(name, replace(mixture, noise=changed), entry, geometry, RATE)
    assert np.array_equal(got, expected) == BEAMFORMERS[name].one_mic


@pytest.mark.parametrize("name", BEAMFORMERS)
def test_causal_ones_do_not_hear_what_comes_later(name: str, scene: tuple[Mixture, SceneEntry, ArrayGeometry]) -> None:
    mixture, entry, geometry = scene
    changed = mixture.noise.copy()
    changed[:, 12000:] *= -2
    other = replace(mixture, noise=changed)
    expected, got = (baseline(name, stems, entry, geometry, RATE) for stems in (mixture, other))
    same = np.allclose(got[: 12000 - 512], expected[: 12000 - 512], atol=1e-6)
    assert same == BEAMFORMERS[name].causal


def test_blocks_change_nothing(
    scene: tuple[Mixture, SceneEntry, ArrayGeometry], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = baseline("mwf_estimated", *scene, RATE)
    monkeypatch.setattr(module, "BLOCK_FRAMES", 7)
    np.testing.assert_allclose(baseline("mwf_estimated", *scene, RATE), expected, atol=1e-6)


@pytest.mark.parametrize("name", BEAMFORMERS)
def test_silence_and_one_microphone_are_no_trouble(name: str, scene: tuple[Mixture, SceneEntry, ArrayGeometry]) -> None:
    mixture, entry, geometry = scene
    silence = np.zeros_like(mixture.noise)
    got = baseline(name, Mixture(silence, silence, silence, geometry.ref_mic), entry, geometry, RATE)
    assert np.array_equal(got, silence[0])
    alone = ArrayGeometry(geometry.positions[:1])
    first = Mixture(mixture.speech[:1], mixture.target[:1], mixture.noise[:1])
    got = baseline(name, first, entry, alone, RATE)
    assert np.isfinite(got).all()
    if name in {*FIXED, "mvdr_oracle", "mvdr_estimated"}:  # distortionless
        np.testing.assert_allclose(got, first.noisy[0], atol=1e-5)


def test_descriptions_say_what_is_told(corpora: Corpora, recipe: Recipe) -> None:
    entries = [entry_of(corpora, recipe, circular())]
    for name in STEERED:
        assert describe(name, entries).endswith(", oracle: steered to the true direction of the target")
    measured = [SceneEntry(Path(), entries[0].numbers | {"place": None})]
    for name in TOLD:
        assert "oracle: told" in describe(name, measured)
        assert "\n" not in describe(name, measured)
