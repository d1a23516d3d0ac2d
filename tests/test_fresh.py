"""Fresh scenes: a function of seed, split, number and epoch, as the stored road would give them; exact resume."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from arrayse import fresh as module
from arrayse.config import ConfigError, read_config
from arrayse.data import SceneReader
from arrayse.files import read_json_lines
from arrayse.fresh import FreshReader
from arrayse.mixture import open_dataset, snr_db
from arrayse.verbs.balance import balanced_weights, read_student
from arrayse.verbs.nets import run_train
from simulate.corpus import load_corpus
from simulate.description import open_world
from simulate.devices import DeviceRecipe
from simulate.generate import generate
from simulate.recipe import Recipe
from simulate.render import render
from simulate.scene import draw_scene
from tests.test_evaluate import make_run
from tests.tiny_scenes import RATE, Corpora, tiny_world

N_SCENES = {"train": 3, "valid": 2, "test": 1}
RUN = ("model.safetensors", "training.safetensors", "metrics.jsonl")


@pytest.fixture(scope="module")
def data(corpora: Corpora, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes of a quarter of a second whose converter clips and quantises."""
    out = tmp_path_factory.mktemp("fresh") / "data"
    device = DeviceRecipe(gain_db=1.0, self_noise_dba=30.0, clip_dbfs=-12.0, bits=12)
    generate(out, tiny_world(corpora, replace(recipe, device=device)), N_SCENES, 1)
    return out


@pytest.fixture
def reader(data: Path) -> FreshReader:
    return build(data)


def build(data: Path, snr: tuple[float, float] = (-5.0, 15.0), seconds: float = 0.1, seed: int = 1) -> FreshReader:
    return FreshReader(open_dataset(data), "train", list(snr), seconds, seed, world=open_world(data)[0], n_scenes=6)


def read(reader: SceneReader, number: int, epoch: int) -> np.ndarray:
    """Noisy and target, (2, n_mics, n_samples)."""
    return np.stack(reader.read(reader.entries()[number], epoch)[:2])


# --- what is read -------------------------------------------------------------------------------------------


def test_shapes_types_and_names(reader: FreshReader) -> None:
    noisy, target, *_ = reader.read(reader.entries()[0], 0)
    assert noisy.shape == target.shape == (5, 1600)
    assert noisy.dtype == target.dtype == np.float32
    assert [entry.id for entry in reader.entries()] == [f"train-fresh-{number:06d}" for number in range(6)]
    assert read(replace(reader, seconds=9.0), 0, 0).shape == (2, 5, 4000)


def test_a_read_depends_on_nothing_but_seed_split_number_and_epoch(data: Path, reader: FreshReader) -> None:
    wanted = {(number, epoch): read(reader, number, epoch) for number in range(3) for epoch in range(2)}
    again = build(data)
    for (number, epoch), both in reversed(wanted.items()):
        assert np.array_equal(read(again, number, epoch), both)
    assert len({both.tobytes() for both in wanted.values()}) == 6
    first = wanted[0, 0]
    assert not np.array_equal(read(build(data, seed=2), 0, 0), first)
    assert not np.array_equal(read(replace(reader, split="valid"), 0, 0), first)
    assert not np.array_equal(read(replace(reader, world=replace(reader.world, seed=6)), 0, 0), first)


def test_the_seed_of_the_training_chooses_crop_and_snr_but_not_the_scene(data: Path) -> None:
    one, other = (read(build(data, (3.0, 3.0), 9.0, seed), 0, 0) for seed in (1, 2))
    assert np.array_equal(one, other)
    crops = [read(build(data, (3.0, 3.0), 0.1, seed), 0, epoch) for seed in (1, 2) for epoch in (0, 1)]
    starts = []
    for epoch, crop in zip((0, 1, 0, 1), crops, strict=True):
        all_ = read(build(data, (3.0, 3.0), 9.0), 0, epoch)
        places = [k for k in range(2401) if np.array_equal(all_[..., k : k + 1600], crop)]
        assert len(places) == 1
        starts += places
    assert len(set(starts)) == 4


def test_fresh_scenes_are_not_the_stored_ones_nor_each_others(data: Path, reader: FreshReader) -> None:
    stored = [entry.numbers["place"]["room_dim"] for entry in open_dataset(data).entries("train")]
    drawn = [draw_scene(reader.world, "train", number, epoch).place for number in range(3) for epoch in range(3)]
    rooms = stored + [place.room_dim for place in drawn if place is not None]
    assert len({tuple(room) for room in rooms}) == 3 + 9


@pytest.mark.parametrize(("lowest", "highest"), [(4.0, 4.0), (-20.0, 20.0)])
def test_the_snr_is_the_one_that_was_drawn(
    corpora: Corpora, recipe: Recipe, data: Path, lowest: float, highest: float
) -> None:
    """Without a converter, which changes the sum of the stems."""
    world, found = tiny_world(corpora, recipe), []
    reader = replace(build(data, (lowest, highest), 9.0), world=world)
    ref = world.geometry.ref_mic
    for number in range(6):
        scene = draw_scene(world, "train", number, 2)
        speech = render(scene, world.geometry)[0].speech
        noisy = read(reader, number, 2)[0]
        found.append(snr_db(speech[ref], noisy[ref] - speech[ref]))
        *_, drawn = reader.draw_crop(scene.n_samples, np.random.default_rng([reader.seed, 2, *scene.seed]))
        assert found[-1] == pytest.approx(drawn, abs=1e-3)
        assert lowest - 1e-3 <= drawn <= highest + 1e-3
    assert max(found) - min(found) > 0.3 * (highest - lowest) or lowest == highest


def test_a_scene_is_read_as_if_it_had_been_stored(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same scene over the disk, whose 16 bits may change a sample by a step of the converter."""
    monkeypatch.setattr(module, "draw_scene", lambda world, split, index, epoch: draw_scene(world, split, index))
    for seconds in (0.1, 9.0):
        fresh = build(data, seconds=seconds)
        stored = SceneReader(fresh.dataset, "train", fresh.snr_db, seconds, fresh.seed)
        for number in range(3):
            now, then = read(fresh, number, 5), read(stored, number, 5)
            step = 2 * 10 ** (-12 / 20) / 2**12
            assert np.abs(now[0] - then[0]).max() <= 1.01 * step
            np.testing.assert_allclose(now[1], then[1], atol=1e-5)


# --- training on them ---------------------------------------------------------------------------------------


SMALL = ["teacher", "model.freq_hidden=2", "model.time_hidden=2", "epochs=2", "fit.batch_size=2", "fit.seconds=0.2"]
N_STEPS = 4


class Crash(BaseException):
    """The process is gone."""


def arguments(data: Path, run: Path, *more: str) -> list[str]:
    return [*SMALL, "fit.checkpoint_steps=1", "fresh=8", f"data={data}", f"out={run}", *more]


def train(data: Path, run: Path, *more: str, crash_at: int = 0) -> dict[str, bytes]:
    """Trains with one thread and gives the files of the run; a crash comes after a number of steps."""
    torch.set_num_threads(1)
    steps = 0

    def progress(title: str, done: int, total: int, numbers: dict[str, float]) -> None:
        nonlocal steps
        steps += title != "validation" and "validation loss" not in numbers
        if crash_at and steps == crash_at:
            raise Crash

    run_train(read_config("train", arguments(data, run, *more)), progress, lambda text: None)
    return {name: (run / name).read_bytes() for name in RUN}


@pytest.fixture(scope="module")
def undisturbed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return train(data, tmp_path_factory.mktemp("undisturbed") / "run")


def test_every_epoch_hears_all_its_scenes(undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_bytes(undisturbed["metrics.jsonl"])
    rows = list(read_json_lines(tmp_path / "metrics.jsonl"))
    assert [row["epoch"] for row in rows] == [1, 2]
    assert all(np.isfinite(row["train"]["loss"]) and np.isfinite(row["valid"]["loss"]) for row in rows)


@pytest.mark.parametrize("step", [1, 3, N_STEPS, N_STEPS + 1, 2 * N_STEPS - 1])
def test_an_interrupted_training_ends_with_the_same_bytes(
    step: int, data: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    with pytest.raises(Crash):
        train(data, tmp_path / "run", crash_at=step)
    assert train(data, tmp_path / "run") == undisturbed


def test_stored_training_scenes_are_not_needed(data: Path, undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    copy = Path(shutil.copytree(data, tmp_path / "data"))
    shutil.rmtree(copy / "train")
    assert train(copy, tmp_path / "run") == undisturbed


def test_a_dataset_without_training_scenes(
    data: Path, undisturbed: dict[str, bytes], corpora: Corpora, tmp_path: Path
) -> None:
    world = replace(open_world(data)[0], speech=corpora[0], noise=corpora[1])
    generate(tmp_path / "data", world, {"train": 0, "valid": 2, "test": 0}, 1)
    assert train(tmp_path / "data", tmp_path / "run") == undisturbed
    with pytest.raises(ConfigError, match=r"^data: expected training scenes in .*data, got none: fresh=2000 simulates"):
        train(tmp_path / "data", tmp_path / "other", "fresh=0")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("config", ["lin_one_step", "clskd_one_step"])
def test_a_student_learns_without_stored_training_scenes(config: str, data: Path, tmp_path: Path) -> None:
    """Terms, and the weights that make them alike, are tried on scenes as long as those of the recipe."""
    geometry, fresh = open_dataset(data).geometry, ["fresh=4", "fit.batch_size=2", "fit.seconds=9"]
    teacher = f"teacher={make_run(tmp_path / 'teacher', geometry)}"
    valid_only = Path(shutil.copytree(data, tmp_path / "data"))
    shutil.rmtree(valid_only / "train")
    weights, balanced = [], []
    for folder, name in ((data, "a"), (valid_only, "b")):
        plain = read_config(
            "train", ["student", *SMALL[1:3], *fresh, "epochs=1", f"data={folder}", f"out={tmp_path / name}0"]
        )
        run_train(plain, lambda *progress: None, lambda text: None)
        values = read_config(
            "distill",
            ["student", config, *SMALL[1:3], teacher, *fresh, "epochs=1", f"data={folder}", f"out={tmp_path / name}"],
        )
        run_train(values, lambda *progress: None, lambda text: None)
        weights.append((tmp_path / name / "model.safetensors").read_bytes())
        balanced.append(balanced_weights(read_student(tmp_path / f"{name}0", [config, teacher]), tmp_path / f"{name}0"))
    assert weights[0] == weights[1]
    assert balanced[0] == balanced[1]


def test_validation_scenes_come_from_the_disk(data: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(data, tmp_path / "data"))
    shutil.rmtree(copy / "valid")
    with pytest.raises(ValueError, match="valid: expected 2 scenes, got 0"):
        train(copy, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_fresh_and_stored_scenes_are_different_trainings(data: Path, tmp_path: Path) -> None:
    with pytest.raises(Crash):
        train(data, tmp_path / "run", crash_at=2)
    for other, was in (("fresh=0", "0"), ("fresh=6", "6")):
        with pytest.raises(ConfigError, match=rf"with fresh 8 \(now {was}\)"):
            train(data, tmp_path / "run", "fit.batch_size=2", other)


def test_fewer_fresh_scenes_than_a_batch(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"batch_size: expected at most 1 \(the scenes\), got 2"):
        train(data, tmp_path / "run", "fresh=1")
    assert not (tmp_path / "run").exists()


def test_corpora_that_have_changed_are_refused(
    tiny_corpus: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = Path(shutil.copytree(tiny_corpus, tmp_path / "corpus"))
    speech, noise = (load_corpus(str(corpus), kind, RATE) for kind in ("speech", "noise"))
    generate(tmp_path / "data", tiny_world((speech, noise), recipe), {"valid": 2}, 1)
    with pytest.raises(Crash):
        train(tmp_path / "data", tmp_path / "run", crash_at=3)
    wave = corpus / "speech" / "bob_1.wav"
    whole = wave.read_bytes()
    wave.write_bytes(whole[:-2] + bytes([whole[-2] ^ 1, whole[-1]]))
    message = "expected the corpora that it was made from, got other speech_files"
    for run in (tmp_path / "run", tmp_path / "new"):
        with pytest.raises(ValueError, match=message):
            train(tmp_path / "data", run)
    assert not (tmp_path / "new").exists()
    wave.write_bytes(whole)
    train(tmp_path / "data", tmp_path / "run")
