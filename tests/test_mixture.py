"""Stems, the one SNR, and the dataset on disk as it is read."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from arrayse.geometry import linear
from arrayse.manifest import SceneEntry
from arrayse.mixture import Dataset, Mixture, mean_power, open_dataset, snr_db, snr_gain

RATE = 16000
seeds = st.integers(0, 2**32 - 1)
decibels = st.floats(-60, 60)


def signals(seed: int, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Two float32 signals of random colour, level and length of silence."""
    rng = np.random.default_rng(seed)
    pair = []
    for _ in range(2):
        wave = rng.standard_normal(shape) ** int(rng.choice([1, 3]))
        wave[..., : rng.integers(shape[-1])] *= rng.choice([0, 0.1])
        pair.append(np.float32(10 ** rng.uniform(-4, 4) * wave))
    return pair[0], pair[1]


def independent_snr_db(speech: np.ndarray, noise: np.ndarray) -> float:
    """From energies, sample by sample in Python's own numbers."""
    energies = [sum(float(sample) ** 2 for sample in wave) for wave in (speech, noise)]
    return float(10 * np.log10(energies[0] / energies[1]))


# --- SNR ----------------------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(seeds, decibels, st.integers(1, 5), st.integers(2, 300), st.data())
def test_at_snr_is_exact(seed: int, wanted: float, n_mics: int, n_samples: int, data: st.DataObject) -> None:
    speech, noise = signals(seed, (n_mics, n_samples))
    ref_mic = data.draw(st.integers(0, n_mics - 1))
    mixture = Mixture(speech, 0.5 * speech, noise, ref_mic).at_snr(wanted)
    assert independent_snr_db(mixture.speech[ref_mic], mixture.noise[ref_mic]) == pytest.approx(wanted, abs=1e-4)
    assert mixture.noise.dtype == np.float32
    assert np.array_equal(mixture.speech, speech)
    assert np.array_equal(mixture.target, 0.5 * speech)
    assert np.array_equal(mixture.noisy, mixture.speech + mixture.noise)
    gains = mixture.noise / np.where(noise == 0, 1, noise)
    np.testing.assert_allclose(gains[noise != 0], gains[noise != 0][0], rtol=1e-5)  # one gain for all mics


@given(seeds, decibels)
def test_the_gain_and_the_measure_agree(seed: int, wanted: float) -> None:
    speech, noise = signals(seed, (50,))
    assert snr_db(speech, snr_gain(speech, noise, wanted) * noise) == pytest.approx(wanted, abs=1e-6)
    assert snr_db(speech, noise) == pytest.approx(independent_snr_db(speech, noise), abs=1e-6)


def test_known_values() -> None:
    ones = np.ones(4, dtype=np.float32)
    assert mean_power(np.array([3, 4, 0, 0], dtype=np.int16) * ones) == 6.25
    assert mean_power(np.full(4, 300, dtype=np.float32) ** 8) > 1e38  # in double precision
    assert snr_db(10 * ones, ones) == pytest.approx(20)
    assert snr_gain(ones, ones, -20) == pytest.approx(10)


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
def test_what_has_no_snr(bad: float) -> None:
    good, wave = np.ones((1, 8), dtype=np.float32), np.full((1, 8), bad, dtype=np.float32)
    text = "got silence" if bad == 0 else "expected finite samples"
    for function in (snr_db, lambda speech, noise: snr_gain(speech, noise, 0.0)):
        with pytest.raises(ValueError, match=f"noise: .*{text}"):
            function(good, wave)
        with pytest.raises(ValueError, match=f"speech: .*{text}"):
            function(wave, good)
    with pytest.raises(ValueError, match=f"noise: .*{text}"):
        Mixture(good, good, wave).at_snr(0.0)
    if bad != 0:
        with pytest.raises(ValueError, match="wanted_snr_db: expected a finite number of dB"):
            Mixture(good, good, good).at_snr(bad)


def test_stems_have_one_shape_and_a_reference() -> None:
    stem = np.ones((2, 8), dtype=np.float32)
    for stems in ((stem, stem, stem[:1]), (stem[0], stem[0], stem[0]), (stem, stem[:, :7], stem)):
        with pytest.raises(ValueError, match=r"stems: expected one shape \(n_mics, n_samples\)"):
            Mixture(*stems)
    with pytest.raises(ValueError, match="ref_mic: expected 0 to 1, got 2"):
        Mixture(stem, stem, stem, 2)


# --- a dataset written by hand, as the format is described ---------------------------------------------------


def hand_made(folder: Path, seed: int, n_mics: int = 2, n_samples: int = 400) -> Dataset:
    """One scene of random stems; what the 16 bits hold decides the SNR in the manifest."""
    rng = np.random.default_rng(seed)
    stems = [np.round(wave / np.abs(wave).max() * 32767) for wave in signals(seed, (n_mics, n_samples))]
    speech_scale, noise_scale = (float(np.float32(10 ** rng.uniform(-3, 1))) for _ in range(2))
    stored = np.concatenate([stems[0], np.round(0.5 * stems[0]), stems[1]]).astype(np.int16)
    shard = folder / "train" / "shard-00000"
    shard.mkdir(parents=True)
    soundfile.write(shard / "train-000000.wav", stored.T, RATE, "PCM_16")
    row = {
        "id": "train-000000",
        "file": "train-000000.wav",
        "n_samples": n_samples,
        "speech_scale": speech_scale,
        "noise_scale": noise_scale,
        "snr_db_measured": snr_db(speech_scale * stems[0][1], noise_scale * stems[1][1]),
        "device": {"clip_dbfs": None, "bits": None},
    }
    (shard / "manifest.jsonl").write_text(json.dumps(row) + "\n")
    array = replace(linear(n_mics), ref_mic=1).to_dict()
    about = {"array": array, "sample_rate": RATE, "label": "noise", "n_scenes": {"train": 1}}
    (folder / "dataset.json").write_text(json.dumps(about))
    return open_dataset(folder)


@settings(max_examples=25)
@given(seeds, decibels, st.integers(0, 399), st.data())
def test_reading_at_an_snr_is_exact_over_the_whole_scene(
    tmp_path_factory: pytest.TempPathFactory, seed: int, wanted: float, start: int, data: st.DataObject
) -> None:
    dataset = hand_made(tmp_path_factory.mktemp("hand"), seed)
    (entry,) = dataset.entries("train")
    mixture = dataset.read(entry, wanted_snr_db=wanted)
    assert mixture.ref_mic == 1
    assert independent_snr_db(mixture.speech[1], mixture.noise[1]) == pytest.approx(wanted, abs=1e-4)
    n_samples = data.draw(st.integers(1, 400 - start))
    part = dataset.read(entry, start, n_samples, wanted)  # same gain, whatever the SNR of the part is
    for name in ("speech", "target", "noise"):
        assert np.array_equal(getattr(part, name), getattr(mixture, name)[:, start : start + n_samples])


def test_stored_levels_come_back(tmp_path: Path) -> None:
    dataset = hand_made(tmp_path, 3)
    (entry,) = dataset.entries("train")
    stored = soundfile.read(entry.folder / "train-000000.wav", dtype="int16")[0].T.reshape(3, 2, 400)
    mixture = dataset.read(entry)
    assert mixture.speech.dtype == mixture.target.dtype == mixture.noise.dtype == np.float32
    for stem, name, scale in zip(stored, ("speech", "target", "noise"), ("speech", "speech", "noise"), strict=True):
        expected = stem / 32768 * entry.numbers[f"{scale}_scale"]
        np.testing.assert_allclose(getattr(mixture, name), expected, rtol=1e-6)


def test_a_manifest_cannot_name_files_elsewhere(tmp_path: Path) -> None:
    dataset = hand_made(tmp_path / "data", 3)
    (entry,) = dataset.entries("train")
    outside = SceneEntry(entry.folder, {**entry.numbers, "file": "../../../secret.wav"})
    shutil.copy(entry.folder / "train-000000.wav", tmp_path / "secret.wav")
    with pytest.raises(ValueError, match=r"shard-00000/secret\.wav: expected an audio file, got none there"):
        dataset.read(outside)


# --- a simulated dataset ------------------------------------------------------------------------------------


@settings(max_examples=10)
@given(st.integers(0, 5), st.floats(-10, 20))
def test_a_simulated_scene_at_an_snr(tiny_dataset: Path, number: int, wanted: float) -> None:
    dataset = open_dataset(tiny_dataset)
    entry = dataset.entries("train")[number]
    stored = dataset.read(entry)
    ref = dataset.geometry.ref_mic
    assert independent_snr_db(stored.speech[ref], stored.noise[ref]) == pytest.approx(
        entry.numbers["snr_db"], abs=2e-3
    )  # 16 bits
    mixture = dataset.read(entry, wanted_snr_db=wanted)
    assert independent_snr_db(mixture.speech[ref], mixture.noise[ref]) == pytest.approx(wanted, abs=2e-3)


def test_entries_are_in_order_and_told_apart(tiny_dataset: Path) -> None:
    dataset = open_dataset(tiny_dataset)
    assert [entry.id for entry in dataset.entries("train")] == [f"train-{k:06d}" for k in range(6)]
    assert {entry.n_samples for entry in dataset.entries("test")} == {RATE}
    with pytest.raises(ValueError, match="split: expected one of train, valid, test, got dev"):
        dataset.entries("dev")


# --- bad datasets -------------------------------------------------------------------------------------------


def test_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"dataset: expected a folder that arrayse simulate wrote, got .* without"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("content", ["{}", "[1]", "3", '{"array": {"mics": 3}}', '{"array": [1]}'])
def test_a_description_of_something_else(tmp_path: Path, content: str) -> None:
    (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(ValueError, match=r"dataset: expected array, sample_rate, label and n_scenes in"):
        open_dataset(tmp_path)


def test_an_empty_split(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="valid: expected simulated scenes, got an empty split"):
        hand_made(tmp_path, 0).entries("valid")


def test_an_unfinished_and_an_overfull_split(tmp_path: Path) -> None:
    dataset = hand_made(tmp_path, 0)
    with pytest.raises(ValueError, match="train: expected 2 scenes, got 1: run the same simulate command"):
        replace(dataset, n_scenes={"train": 2}).entries("train")
    shutil.copytree(tmp_path / "train" / "shard-00000", tmp_path / "train" / "shard-00001")
    with pytest.raises(ValueError, match=r"train: expected 1 scenes, got 2$"):
        dataset.entries("train")
    shutil.rmtree(tmp_path / "train")
    with pytest.raises(ValueError, match="train: expected 1 scenes, got 0: run the same simulate command"):
        dataset.entries("train")


def test_bad_audio_in_a_dataset(tmp_path: Path) -> None:
    dataset = hand_made(tmp_path, 0)
    (entry,) = dataset.entries("train")
    file = entry.folder / "train-000000.wav"
    wave = soundfile.read(file, dtype="int16")[0]
    with pytest.raises(ValueError, match="wanted_snr_db: expected a finite number of dB, got nan"):
        dataset.read(entry, wanted_snr_db=float("nan"))
    soundfile.write(file, wave[:, :5], RATE, "PCM_16")
    with pytest.raises(ValueError, match=r"train-000000\.wav: expected 6 channels, got 5"):
        dataset.read(entry)
    soundfile.write(file, wave[:300], RATE, "PCM_16")  # whole by its header, but not the scene
    with pytest.raises(ValueError, match="expected 400 samples from number 0 on, got a file of 300"):
        dataset.read(entry)
    soundfile.write(file, wave, 8000, "PCM_16")
    with pytest.raises(ValueError, match="expected 16000 Hz, got 8000 Hz"):
        dataset.read(entry)
    file.unlink()
    with pytest.raises(ValueError, match="expected an audio file, got none there"):
        dataset.read(entry)
