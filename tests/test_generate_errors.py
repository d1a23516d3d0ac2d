"""Bad input of the dataset loop: told in one line, and nothing is written."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from arrayse.geometry import linear
from arrayse.mixture import open_dataset
from simulate.corpus import load_corpus
from simulate.generate import generate
from simulate.measured import load_rooms
from simulate.recipe import Carrier, Recipe
from simulate.scene import draw_scene
from tests.tiny_scenes import N_SCENES, RATE, Corpora, hashes, make, tiny_world


def test_a_shard_that_lost_a_file_is_told_and_made_again(corpora: Corpora, recipe: Recipe, tmp_path: Path) -> None:
    out = tmp_path / "data"
    generate(out, tiny_world(corpora, recipe), {"train": 2}, 1)
    before = hashes(out)
    lost = open_dataset(out).entries("train")[1].path
    lost.unlink()
    with pytest.raises(
        ValueError, match=r"train-000001\.wav: expected the stems of a scene, got no file: run the same"
    ):
        open_dataset(out).entries("train")
    generate(out, tiny_world(corpora, recipe), {"train": 2}, 1)
    assert hashes(out) == before


@pytest.mark.parametrize(
    "lines", ["{first}", "{first}{first}{second}", "{first}{{broken\n", "5\n5\n", "{{}}\n{{}}\n", ""]
)
def test_a_shard_with_another_manifest_is_made_again(
    lines: str, corpora: Corpora, recipe: Recipe, tmp_path: Path
) -> None:
    out = tmp_path / "data"
    generate(out, tiny_world(corpora, recipe), {"train": 2}, 1)
    before, manifest = hashes(out), out / "train" / "shard-00000" / "manifest.jsonl"
    first, second = manifest.read_text().splitlines(keepends=True)
    manifest.write_text(lines.format(first=first, second=second))
    with pytest.raises((ValueError, TypeError, KeyError)):
        open_dataset(out).entries("train")
    generate(out, tiny_world(corpora, recipe), {"train": 2}, 1)
    assert hashes(out) == before


def test_another_dataset_in_the_folder(corpora: Corpora, recipe: Recipe, tmp_path: Path) -> None:
    out = tmp_path / "data"
    generate(out, tiny_world(corpora, recipe), {"train": 1}, 1)
    before = hashes(out)
    other = replace(recipe, rt60=[0.1, 0.12], seconds=0.3)
    one_noise_less = replace(corpora[1], splits={**corpora[1].splits, "train": corpora[1].files("train")[1:]})
    first, *others = corpora[1].files("train")
    changed = replace(corpora[1], splits={**corpora[1].splits, "train": [replace(first, sha256="0"), *others]})
    message = "expected an empty folder or the same dataset, got one with other "
    for arguments, names in (
        ((tiny_world(corpora, other), {"train": 1}), r"recipe\.seconds, recipe\.rt60"),
        ((tiny_world(corpora, recipe, linear(2)), {"train": 1}), r"array\.positions, array\.name"),
        ((tiny_world(corpora, recipe), {"train": 1, "test": 1}), r"n_scenes\.test"),
        ((tiny_world(corpora, recipe, seed=6), {"train": 1}), "seed"),
        ((tiny_world((corpora[0], one_noise_less), recipe), {"train": 1}), "noise_files"),
        ((tiny_world((corpora[0], changed), recipe), {"train": 1}), "noise_files"),
    ):
        with pytest.raises(ValueError, match=rf"data: {message}{names}$"):
            generate(out, *arguments, 1)
    same = replace(recipe, rt60=(0.1, 0.11))  # type: ignore[arg-type]  # a tuple is a list to JSON
    moved = replace(corpora[0], source="the same files under another name")
    generate(out, tiny_world((moved, corpora[1]), same), {"train": 1}, 1)
    assert hashes(out) == before


def test_a_folder_with_other_files_and_a_file(corpora: Corpora, recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ValueError, match="expected an empty folder or a dataset, got a folder with other"):
        make(tmp_path, corpora, recipe)
    with pytest.raises(ValueError, match=r"thesis\.tex: expected a folder, got a file"):
        make(tmp_path / "thesis.tex", corpora, recipe)
    assert hashes(tmp_path).keys() == {"thesis.tex"}


def test_what_cannot_be_drawn_writes_nothing(corpora: Corpora, recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="rt60: expected a range that rooms"):
        make(tmp_path / "data", corpora, replace(recipe, rt60=[0.01, 0.02]))
    with pytest.raises(ValueError, match="source: expected places"):
        make(tmp_path / "data", corpora, replace(recipe, target_distance=[9.0, 9.0]))
    assert not (tmp_path / "data").exists()


def test_an_empty_split_writes_nothing(corpora: Corpora, recipe: Recipe, tmp_path: Path) -> None:
    speech, noise = corpora
    empty = replace(speech, splits={**speech.splits, "valid": []})
    with pytest.raises(ValueError, match=r"speech corpus .*: expected files in split valid, got none"):
        make(tmp_path / "data", (empty, noise), recipe)
    assert not (tmp_path / "data").exists()
    generate(tmp_path / "data", tiny_world((empty, noise), recipe), {"train": 1, "valid": 0}, 1)


@pytest.mark.parametrize("n_scenes", [{}, {"train": 0}, {"train": -1}, {"train": 1, "test": -2}])
def test_no_scenes(corpora: Corpora, recipe: Recipe, tmp_path: Path, n_scenes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="n_scenes: expected one scene or more, got"):
        generate(tmp_path / "data", tiny_world(corpora, recipe), n_scenes, 1)
    with pytest.raises(ValueError, match="n_scenes: expected splits of train, valid, test, got dev"):
        generate(tmp_path / "data", tiny_world(corpora, recipe), {**n_scenes, "dev": 3}, 1)
    assert not (tmp_path / "data").exists()


def test_a_disk_that_cannot_hold_it(
    corpora: Corpora, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = json.dumps(draw_scene(tiny_world(corpora, recipe), "test", 0).to_dict())
    needed = sum(N_SCENES.values()) * (2 * 15 * 4000 + 2 * len(line))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=needed - 1))
    with pytest.raises(ValueError, match="GB free on the disk, got"):
        make(tmp_path / "data", corpora, recipe)
    assert not (tmp_path / "data").exists()


def test_bad_audio_is_told_with_its_scene(recipe: Recipe, tmp_path: Path) -> None:
    rng, rows = np.random.default_rng(0), ["path,split,kind,speaker_or_type"]
    for name, kind in (("a", "speech"), ("b", "noise")):
        soundfile.write(tmp_path / f"{name}.wav", rng.uniform(-1, 1, 8000), RATE, "FLOAT")
        rows.append(f"{name}.wav,train,{kind},{name}")
    (tmp_path / "MANIFEST.csv").write_text("\n".join(rows))
    speech, noise = (load_corpus(str(tmp_path), kind, RATE) for kind in ("speech", "noise"))
    generate(tmp_path / "whole", tiny_world((speech, noise), recipe), {"train": 2}, 1)
    soundfile.write(tmp_path / "a.wav", np.tile([0.1, 0.2, np.nan, 0.3, 0.4], 1600), RATE, "FLOAT")
    with pytest.raises(ValueError, match=r"a\.wav: expected finite samples, got 800 NaN"):
        generate(tmp_path / "data", tiny_world((speech, noise), recipe), {"train": 2}, 1)
    assert not (tmp_path / "data").exists()


# --- told before the first file -----------------------------------------------------------------------------


def test_what_cannot_be_rendered_writes_nothing(corpora: Corpora, recipe: Recipe, tmp_path: Path) -> None:
    pytest.importorskip("h5py", reason="needs the extra: pip install 'arrayse[sofa]'")
    (tmp_path / "head.sofa").write_bytes(b"no SOFA file")
    inside, corrupt = Carrier(sphere_radius=0.3), Carrier(sofa=str(tmp_path / "head.sofa"))
    for carrier, message in ((inside, "sphere"), (corrupt, r"head\.sofa: expected a readable SOFA file")):
        with pytest.raises(ValueError, match=message):
            make(tmp_path / "data", corpora, replace(recipe, carrier=carrier))
    assert not (tmp_path / "data").exists()
    make(tmp_path / "data", corpora, recipe)  # no other dataset is in the way


def test_bad_responses_of_any_split_write_nothing(corpora: Corpora, recipe: Recipe, tmp_path: Path) -> None:
    rng, rows = np.random.default_rng(0), ["path,split,kind,speaker_or_type"]
    for split in ("train", "valid"):
        for k in range(2):
            wave = rng.standard_normal((4000, 5)) * np.exp(-np.arange(4000) / 200)[:, None]
            soundfile.write(tmp_path / f"{split}_{k}.wav", 0.1 * wave * (split == "train"), RATE, "FLOAT")
            rows.append(f"{split}_{k}.wav,{split},rir,{split}")
    (tmp_path / "MANIFEST.csv").write_text("\n".join(rows))
    world = replace(tiny_world(corpora, recipe), rooms=load_rooms(str(tmp_path), RATE, 5))
    with pytest.raises(ValueError, match=r"valid_\d\.wav channel 0: expected an impulse response, got silence"):
        generate(tmp_path / "data", world, {"train": 1, "valid": 1}, 1)
    assert not (tmp_path / "data").exists()
    generate(tmp_path / "data", world, {"train": 1}, 1)


@pytest.mark.parametrize("cluster", ["locl", "tcp://here", "127.0.0.1:8786", ""])
def test_what_is_no_cluster_writes_nothing(cluster: str, corpora: Corpora, recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cluster: expected local or tcp://host:port, got"):
        generate(tmp_path / "data", tiny_world(corpora, recipe), {"train": 1}, 1, cluster=cluster)
    assert not (tmp_path / "data").exists()


def test_shards_that_are_called_broken_are_made_again(corpora: Corpora, recipe: Recipe, tmp_path: Path) -> None:
    out, world = tmp_path / "data", tiny_world(corpora, recipe)
    generate(out, world, {"train": 2, "valid": 1}, 1)
    before, seen = hashes(out), []
    path = out / "train" / "shard-00000" / "train-000001.wav"
    path.write_bytes(b"something else")
    told = frozenset({out / "train" / "shard-00000", out / "test" / "shard-00000"})
    generate(out, world, {"train": 2, "valid": 1}, 1, lambda done, total: seen.append((done, total)), broken=told)
    assert seen == [(1, 3), (3, 3)]
    assert hashes(out) == before
