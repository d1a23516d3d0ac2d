"""From scene to stems against slow convolution: levels, delays, sums, and sources that are silent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from arrayse.geometry import SPEED_OF_SOUND, circular
from arrayse.mixture import Mixture, mean_power, open_dataset, snr_db
from simulate.corpus import load_corpus
from simulate.excerpts import Excerpt, read_excerpt
from simulate.recipe import Recipe
from simulate.render import render
from simulate.rir import early_part, room_responses
from simulate.room import Room
from simulate.scene import Scene, World, draw_scene
from tests.tiny_scenes import placed, power_db

RATE = 16000
GEOMETRY = replace(circular(), ref_mic=2)


@pytest.fixture(scope="module")
def scene(tiny_corpus: Path, tiny_recipe: Recipe) -> Scene:
    speech, noise = (load_corpus(str(tiny_corpus), kind, RATE) for kind in ("speech", "noise"))
    recipe = replace(tiny_recipe, seconds=0.3, n_interferers=[2, 2])
    return draw_scene(World(recipe, GEOMETRY, speech, noise, 0), "train", 0)


@pytest.fixture(scope="module")
def mixture(scene: Scene) -> Mixture:
    return render(scene, GEOMETRY)[0]


def slow_images(scene: Scene, early_ms: float | None = None) -> list[np.ndarray]:
    """Every source convolved with its responses by numpy, mic by mic: (n_mics, n_samples) each."""
    place = placed(scene)
    room = Room(np.array(place.room_dim), place.rt60, place.acoustics)
    sources, mics = np.array(place.source_positions), np.array(place.mic_positions)
    response = room_responses(room, sources, mics, scene.sample_rate)
    responses = response.full if early_ms is None else early_part(response, early_ms, scene.sample_rate)
    images = []
    for excerpt, source in zip(scene.source_excerpts, responses, strict=True):
        dry = read_excerpt(excerpt, scene.sample_rate, scene.n_samples).astype(np.float64)
        waves = [np.convolve(dry, mic)[response.lead :][: scene.n_samples] for mic in source]
        images.append(np.stack(waves))
    return images


# --- stems --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("early_ms", [0.0, 10.0])
def test_speech_and_target_are_the_convolved_voice(scene: Scene, early_ms: float) -> None:
    mixture, measured = render(replace(scene, early_ms=early_ms), GEOMETRY)
    assert measured["engine"] == "ism"
    assert measured["rt60_measured"] == pytest.approx(placed(scene).rt60, rel=0.02)
    speech, target = slow_images(scene)[0], slow_images(scene, early_ms)[0]
    level = 10 ** (scene.level_dbfs / 20) / np.sqrt(mean_power(speech[2]))
    for wave, expected in ((mixture.speech, speech), (mixture.target, target)):
        assert wave.dtype == np.float32
        np.testing.assert_allclose(wave, level * expected, atol=1e-6 * np.abs(level * expected).max())
    assert power_db(mixture.speech[2]) == pytest.approx(scene.level_dbfs, abs=1e-4)


def test_the_snr_is_that_of_the_scene(scene: Scene) -> None:
    for wanted in (-7.0, 12.0):
        mixture, measured = render(replace(scene, snr_db=wanted), GEOMETRY)
        assert mixture.ref_mic == 2
        assert snr_db(mixture.speech[2], mixture.noise[2]) == pytest.approx(wanted, abs=1e-4)
        assert measured["snr_db_measured"] == pytest.approx(wanted, abs=1e-5)


def test_interferers_have_their_levels(scene: Scene) -> None:
    """With other noise 200 dB down, the noise is the weighted sum of the interferers' images."""
    mixture, _ = render(replace(scene, diffuse_db=-200.0, sensor_db=-200.0), GEOMETRY)
    expected = np.zeros_like(mixture.noise, dtype=np.float64)
    for image, level_db in zip(slow_images(scene)[1:], scene.source_levels_db[1:], strict=True):
        expected += 10 ** (level_db / 20) * image / np.sqrt(mean_power(image[2]))
    expected *= np.sqrt(mean_power(mixture.noise[2]) / mean_power(expected[2]))
    np.testing.assert_allclose(mixture.noise, expected, atol=1e-5 * np.abs(expected).max())


def test_diffuse_and_sensor_noise_have_their_levels(scene: Scene) -> None:
    """Each kind alone (the others 200 dB down) tells its share of the whole by least squares."""

    def noise(interferers_db: float, diffuse_db: float, sensor_db: float) -> np.ndarray:
        levels = {"diffuse_db": diffuse_db - interferers_db, "sensor_db": sensor_db}
        return render(replace(scene, **levels), GEOMETRY)[0].noise.astype(np.float64).ravel()

    parts = np.stack([noise(0, -200, -200), noise(-200, 0, -200), noise(0, 0, 200)])
    whole = noise(0, -3, -10)
    gains, residual, *_ = np.linalg.lstsq(parts.T, whole, rcond=None)
    assert residual[0] < 1e-8 * np.sum(whole**2)
    ref = np.array([power_db(gain * part.reshape(5, -1)[2]) for gain, part in zip(gains, parts, strict=True)])
    assert ref[1] - ref[0] == pytest.approx(-3, abs=1e-3)
    before = sum(gain * part for gain, part in zip(gains[:2], parts[:2], strict=True))
    assert ref[2] - power_db(before.reshape(5, -1)[2]) == pytest.approx(-10, abs=1e-3)


def test_before_the_first_reflection_speech_is_the_target(scene: Scene, mixture: Mixture) -> None:
    room, source = np.array(placed(scene).room_dim), np.array(placed(scene).source_positions[0])
    walls = [np.where(axis, 2 * wall * room - source, source) for axis in np.eye(3) for wall in (0, 1)]
    for mic, place in enumerate(np.array(placed(scene).mic_positions)):
        direct = np.linalg.norm(source - place) / SPEED_OF_SOUND * RATE
        reflected = min(np.linalg.norm(wall - place) for wall in walls) / SPEED_OF_SOUND * RATE
        assert reflected > direct
        rest = mixture.speech[mic] - mixture.target[mic]
        quiet = rest[: int(reflected) - 40]  # 40 samples: the interpolation filter of the first reflection
        assert np.abs(quiet).max() < 1e-4 * np.abs(rest).max()
        assert mean_power(rest[int(reflected) :]) > 0.01 * mean_power(mixture.speech[mic])


def test_stems_add_up_on_disk(tiny_dataset: Path) -> None:
    """What is stored in 16 bits is what is rendered, to half a step of each stem."""
    dataset = open_dataset(tiny_dataset)
    for split in ("train", "test"):
        for entry in dataset.entries(split)[:2]:
            stored = dataset.read(entry)
            rendered, measured = render(Scene.from_dict(entry.numbers), dataset.geometry)
            assert {name: entry.numbers[name] for name in measured} == measured
            for stem, scale in (("speech", "speech"), ("target", "speech"), ("noise", "noise")):
                step = entry.numbers[f"{scale}_scale"] / 32768
                error = np.abs(getattr(stored, stem) - getattr(rendered, stem)).max()
                assert error < 0.51 * step
            assert np.array_equal(stored.noisy, stored.speech + stored.noise)
            assert snr_db(stored.speech[0], stored.noise[0]) == pytest.approx(
                entry.numbers["snr_db_measured"], abs=1e-3
            )


# --- repeatable ---------------------------------------------------------------------------------------------


def test_rendering_twice_gives_the_same_bytes(scene: Scene, mixture: Mixture) -> None:
    again = render(scene, GEOMETRY)[0]
    for name in ("speech", "target", "noise"):
        assert getattr(again, name).tobytes() == getattr(mixture, name).tobytes()
    other = render(replace(scene, seed=[0, 0, 1]), GEOMETRY)[0]
    assert np.array_equal(other.speech, mixture.speech)
    assert not np.array_equal(other.noise, mixture.noise)


# --- what cannot be rendered --------------------------------------------------------------------------------


def silent(path: Path) -> Excerpt:
    soundfile.write(path, np.zeros(RATE), RATE, "PCM_16")
    return Excerpt([{"path": str(path), "sha256": "", "start": 0, "n_samples": RATE}], "nobody")


def test_silent_sources(scene: Scene, tmp_path: Path) -> None:
    nothing = silent(tmp_path / "nothing.wav")
    target, first, _ = scene.source_excerpts
    with pytest.raises(ValueError, match=r"target: expected sound, got silence from .*nothing\.wav"):
        render(replace(scene, source_excerpts=[nothing, first, first]), GEOMETRY)
    with pytest.raises(ValueError, match=r"interferer: expected sound, got silence from .*nothing\.wav"):
        render(replace(scene, source_excerpts=[target, first, nothing]), GEOMETRY)
    with pytest.raises(ValueError, match="sources: expected sound in each of 1, got silence"):
        render(replace(scene, diffuse_excerpts=[[nothing]]), GEOMETRY)


def test_a_source_outside_the_room_and_a_file_that_is_gone(scene: Scene, tmp_path: Path) -> None:
    first, _, third = placed(scene).source_positions
    outside = replace(placed(scene), source_positions=[first, [99.0, 1.0, 1.0], third])
    with pytest.raises(ValueError, match=r"source: expected a place inside the room .*, got \[99\.0, 1\.0"):
        render(replace(scene, place=outside), GEOMETRY)
    gone = silent(tmp_path / "gone.wav")
    (tmp_path / "gone.wav").unlink()
    with pytest.raises(ValueError, match=r"gone\.wav: expected an audio file, got none there"):
        render(replace(scene, source_excerpts=[gone, *scene.source_excerpts[1:]]), GEOMETRY)


# --- the real pack ------------------------------------------------------------------------------------------


@pytest.mark.real
def test_a_scene_of_real_speech(real_data: Path) -> None:
    speech, noise = (load_corpus(str(real_data), kind, RATE) for kind in ("speech", "noise"))
    scene = draw_scene(World(Recipe(seconds=2.0, rt60=[0.2, 0.2]), GEOMETRY, speech, noise, 0), "valid", 0)
    mixture, measured = render(scene, GEOMETRY)
    assert measured["rt60_measured"] == pytest.approx(0.2, rel=0.05)
    assert measured["snr_db_measured"] == pytest.approx(scene.snr_db)
    assert np.corrcoef(mixture.speech[2], mixture.target[2])[0, 1] > 0.5
