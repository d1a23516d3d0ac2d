"""Sources: scenes read the same way however they are kept, what tells them apart, and what is light enough to send."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from arrayse.evaluation.sources import DatasetScene, Heard, open_source
from arrayse.manifest import SceneEntry
from arrayse.mixture import open_dataset


def test_a_scene_of_a_dataset_is_its_mixture_at_the_snr(tiny_dataset: Path) -> None:
    source = open_source("dataset", tiny_dataset, "valid", 1)
    dataset = open_dataset(tiny_dataset)
    (entry,) = dataset.entries("valid")[:1]
    (scene,) = source.scenes
    for snr_db in (None, 7.0):
        mixture, heard = dataset.read(entry, wanted_snr_db=snr_db), scene.read(snr_db)
        assert np.array_equal(heard.noisy, mixture.noisy)
        assert heard.target is not None
        assert np.array_equal(heard.target, mixture.target)
        assert np.array_equal(heard.rest, mixture.noisy - mixture.target)
    assert (source.kind, source.label, source.has_snr) == ("dataset", dataset.label, True)
    assert (source.n_mics, source.n_targets, source.sample_rate) == (5, 5, 16000)
    assert source.geometry is not None
    assert source.geometry.to_dict() == dataset.geometry.to_dict()
    assert (source.identity["split"], source.identity["n_scenes"]) == ("valid", 1)


def test_the_title_says_what_is_known(tiny_dataset: Path) -> None:
    scene = open_source("dataset", tiny_dataset).scenes[0]
    assert isinstance(scene, DatasetScene)
    kinds = ", ".join(excerpt["group"] for excerpt in scene.entry.numbers["source_excerpts"][1:])
    rt60 = scene.entry.numbers["rt60_measured"]
    assert scene.title == f"test-000000: {kinds}, RT60 {rt60:.2f} s"
    unknown = SceneEntry(scene.entry.folder, scene.entry.numbers | {"rt60_measured": None})
    assert replace(scene, entry=unknown).title == f"test-000000: {kinds}"


def test_one_clean_channel_stands_for_all_microphones() -> None:
    noisy, clean = np.arange(6.0).reshape(3, 2), np.ones((3, 2))
    clean[1] = 2
    whole, one, none = Heard(noisy, clean), Heard(noisy, clean[:1]), Heard(noisy, None)
    assert [list(heard) for heard in (whole.target_at(1), one.target_at(1))] == [[2, 2], [1, 1]]  # type: ignore[arg-type]
    assert whole.rest is not None
    assert whole.rest.tolist() == [[-1, 0], [0, 1], [3, 4]]
    assert (one.rest, none.rest, none.target_at(0)) == (None, None, None)


def test_a_scene_is_sent_without_its_neighbours(tiny_dataset: Path) -> None:
    source = open_source("dataset", tiny_dataset, "train")
    assert len(pickle.dumps(source.scenes[0])) < 2000  # its line in the manifest alone is as long
    scene = pickle.loads(pickle.dumps(source.scenes[2]))
    assert np.array_equal(scene.read(3.0).noisy, source.scenes[2].read(3.0).noisy)


def test_a_pair_that_changed_its_length_is_named(tmp_path: Path) -> None:
    for kind in ("noisy", "clean"):
        (tmp_path / kind).mkdir()
        soundfile.write(tmp_path / kind / "a.wav", 0.1 * np.ones(800), 16000)
    (scene,) = open_source("pairs", tmp_path).scenes
    soundfile.write(tmp_path / "clean" / "a.wav", 0.1 * np.ones(700), 16000)
    with pytest.raises(ValueError, match=r"clean/a\.wav: expected 800 samples from number 0 on, got a file of 700"):
        scene.read(None)


def test_an_unknown_source_and_too_many_scenes(tiny_dataset: Path) -> None:
    with pytest.raises(ValueError, match="source: expected one of dataset, pairs, recordings, got folder"):
        open_source("folder", tiny_dataset)
    with pytest.raises(ValueError, match=r"n_scenes: expected at most 6 \(split train\), got 7"):
        open_source("dataset", tiny_dataset, "train", 7)
