"""A dataset is the same bytes with any number of workers and after any kill, and bad input writes nothing."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from arrayse.geometry import circular, linear
from arrayse.mixture import open_dataset
from simulate import generate as module
from simulate.corpus import Corpus, load_corpus
from simulate.generate import SHARD_SCENES, generate
from simulate.scene import Recipe

Corpora = tuple[Corpus, Corpus]
RATE = 16000
N_SCENES = {"train": SHARD_SCENES + 2, "valid": 2, "test": 2}


@pytest.fixture(scope="module")
def corpora(tiny_corpus: Path) -> Corpora:
    speech, noise = (load_corpus(str(tiny_corpus), kind, RATE) for kind in ("speech", "noise"))
    return speech, noise


@pytest.fixture(scope="module")
def recipe(tiny_recipe: Recipe) -> Recipe:
    """A few milliseconds of work a scene."""
    return replace(tiny_recipe, seconds=0.25, rt60=[0.1, 0.11], n_interferers=[1, 1])


@pytest.fixture(scope="module")
def undisturbed(corpora: Corpora, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Hashes of the dataset that one process makes in one go."""
    out = tmp_path_factory.mktemp("undisturbed") / "data"
    generate(out, recipe, circular(), *corpora, N_SCENES, 5, 1)
    return hashes(out)


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file, hidden ones and manifests included."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def make(
    out: Path,
    corpora: Corpora,
    recipe: Recipe,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    generate(out, recipe, circular(), *corpora, N_SCENES, 5, workers, progress)


# --- the same bytes -----------------------------------------------------------------------------------------


def test_what_lies_in_the_folder(undisturbed: dict[str, str]) -> None:
    folders = {str(Path(name).parent) for name in undisturbed} - {"."}
    assert folders == {"train/shard-00000", "train/shard-00001", "valid/shard-00000", "test/shard-00000"}
    assert sum(name.endswith(".wav") for name in undisturbed) == sum(N_SCENES.values())
    assert len(set(undisturbed.values())) == len(undisturbed)  # no two scenes are the same
    assert {name for name in undisturbed if "/" not in name} == {"dataset.json"}


@pytest.mark.parametrize("workers", [2, 4])
def test_workers_do_not_change_a_byte(
    undisturbed: dict[str, str], corpora: Corpora, recipe: Recipe, tmp_path: Path, workers: int
) -> None:
    make(tmp_path / "data", corpora, recipe, workers)
    assert hashes(tmp_path / "data") == undisturbed


def test_more_scenes_leave_the_others_as_they_are(
    undisturbed: dict[str, str], corpora: Corpora, recipe: Recipe, tmp_path: Path
) -> None:
    generate(tmp_path / "data", recipe, circular(), *corpora, {"train": 3, "test": 2}, 5, 1)
    made = {name: digest for name, digest in hashes(tmp_path / "data").items() if name.endswith(".wav")}
    assert len(made) == 5
    assert made.items() <= undisturbed.items()


def test_the_manifest_tells_all(tiny_dataset: Path) -> None:
    dataset = open_dataset(tiny_dataset)
    assert dataset.label == "synthetic speech"
    assert dataset.n_scenes == {"train": 6, "valid": 2, "test": 2}
    assert np.array_equal(dataset.geometry.positions, circular().positions)
    rooms = set()
    for split in dataset.n_scenes:
        for entry in dataset.entries(split):
            file = entry.folder / entry.numbers["file"]
            assert entry.numbers["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
            header = soundfile.info(file)
            assert (header.channels, header.frames, header.subtype) == (15, RATE, "PCM_16")
            stored = np.abs(soundfile.read(file, dtype="int16")[0].astype(int))
            assert stored[:, :10].max() == stored[:, 10:].max() == 32767  # full scale, nothing wraps
            for excerpt in [*entry.numbers["source_excerpts"], entry.numbers["diffuse_excerpt"]]:
                for piece in excerpt["pieces"]:
                    content = Path(piece["path"]).read_bytes()
                    assert piece["sha256"] == hashlib.sha256(content).hexdigest()
            assert entry.numbers["engine"].startswith("pyroomacoustics 0.")
            assert abs(entry.numbers["rt60_measured"] / entry.numbers["rt60"] - 1) < 0.05
            assert entry.numbers["snr_db_measured"] == pytest.approx(entry.numbers["snr_db"])
            assert len(json.dumps(entry.numbers)) < module.MANIFEST_BYTES
            rooms.add(tuple(entry.numbers["room_dim"]))
    assert len(rooms) == 10  # no room is in two splits


# --- resume -------------------------------------------------------------------------------------------------


def test_a_missing_shard_is_made_again_and_the_others_are_kept(
    undisturbed: dict[str, str], corpora: Corpora, recipe: Recipe, tmp_path: Path
) -> None:
    out = tmp_path / "data"
    make(out, corpora, recipe)
    shutil.rmtree(out / "train" / "shard-00001")
    kept = {path: path.stat().st_mtime_ns for path in out.rglob("*.wav")}
    told: list[int] = []
    make(out, corpora, recipe, progress=lambda done, total: told.extend([done, total]))
    assert told == [24, 26, 26, 26]
    assert hashes(out) == undisturbed
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    make(out, corpora, recipe, progress=lambda done, total: told.extend([done, total]))
    assert told[4:] == [26, 26]


KILLED = """
import os, pickle, signal, sys
from pathlib import Path
from simulate import generate as module

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def progress(done, total):
    if done > 0 and workers > 1:  # one shard is whole, the other worker is busy with the next
        die()
    if done > 0:
        module.write_json_lines = die  # in the next shard, when all its audio is written

if __name__ == "__main__":
    workers = int(sys.argv[3])
    module.generate(Path(sys.argv[1]), *pickle.loads(Path(sys.argv[2]).read_bytes()), workers, progress)
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_run_is_finished_by_the_next(
    undisturbed: dict[str, str], corpora: Corpora, recipe: Recipe, tmp_path: Path, workers: int
) -> None:
    out, script, arguments = tmp_path / "data", tmp_path / "main.py", tmp_path / "arguments"
    script.write_text(KILLED)
    arguments.write_bytes(pickle.dumps((recipe, circular(), *corpora, N_SCENES, 5)))
    root = str(Path(__file__).resolve().parents[1])
    result = subprocess.run(
        [sys.executable, str(script), str(out), str(arguments), str(workers)],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,  # comes to its end when the workers have ended too
        timeout=600,
    )
    assert result.returncode == -signal.SIGKILL, result.stderr.decode()
    shards = list(out.rglob("shard-*"))
    assert 1 <= len(shards) < 4
    for shard in shards:  # what has its name is whole
        rows = [json.loads(line) for line in (shard / "manifest.jsonl").read_text().splitlines()]
        assert len(rows) == len(list(shard.glob("*.wav")))
    if workers == 1:
        assert len(list((out / "train").glob(".shard-00001.*.tmp"))) == 1
    with pytest.raises(ValueError, match="run the same simulate command again to finish it"):
        open_dataset(out).entries("test")
    make(out, corpora, recipe, workers)
    assert hashes(out) == undisturbed
    assert not list(out.rglob(".*"))


def test_a_run_that_was_killed_at_its_first_file(
    undisturbed: dict[str, str], corpora: Corpora, recipe: Recipe, tmp_path: Path
) -> None:
    out = tmp_path / "data"
    out.mkdir()
    (out / f".dataset.json.{32 * 'a'}.tmp").write_text('{"label"')
    generate(out, recipe, circular(), *corpora, {"train": 1}, 5, 1)
    wave = "train/shard-00000/train-000000.wav"
    assert hashes(out).keys() == {wave, "train/shard-00000/manifest.jsonl", "dataset.json"}
    assert hashes(out)[wave] == undisturbed[wave]


def test_a_scene_that_fails_leaves_no_half_shard(
    corpora: Corpora, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = module._write_stems

    def full(path: Path, *arguments: object) -> dict[str, float]:
        if path.name == "train-000021.wav":
            raise OSError(28, "No space left on device")
        return write(path, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_write_stems", full)
    with pytest.raises(OSError, match="No space left"):
        make(tmp_path / "data", corpora, recipe)
    assert [path.name for path in (tmp_path / "data" / "train").iterdir()] == ["shard-00000"]


# --- bad input ----------------------------------------------------------------------------------------------


def test_a_shard_that_lost_a_file_is_told_and_made_again(corpora: Corpora, recipe: Recipe, tmp_path: Path) -> None:
    out = tmp_path / "data"
    generate(out, recipe, circular(), *corpora, {"train": 2}, 5, 1)
    before = hashes(out)
    lost = open_dataset(out).entries("train")[1].path
    lost.unlink()
    with pytest.raises(
        ValueError, match=r"train-000001\.wav: expected the stems of a scene, got no file: run the same"
    ):
        open_dataset(out).entries("train")
    generate(out, recipe, circular(), *corpora, {"train": 2}, 5, 1)
    assert hashes(out) == before


def test_another_dataset_in_the_folder(corpora: Corpora, recipe: Recipe, tmp_path: Path) -> None:
    out = tmp_path / "data"
    generate(out, recipe, circular(), *corpora, {"train": 1}, 5, 1)
    before = hashes(out)
    other = replace(recipe, rt60=[0.1, 0.12], seconds=0.3)
    one_noise_less = replace(corpora[1], splits={**corpora[1].splits, "train": corpora[1].files("train")[1:]})
    message = "expected an empty folder or the same dataset, got one with other "
    for arguments, names in (
        ((other, circular(), *corpora, {"train": 1}, 5), r"recipe\.seconds, recipe\.rt60"),
        ((recipe, linear(2), *corpora, {"train": 1}, 5), r"array\.positions, array\.name"),
        ((recipe, circular(), *corpora, {"train": 1, "test": 1}, 5), r"n_scenes\.test"),
        ((recipe, circular(), *corpora, {"train": 1}, 6), "seed"),
        ((recipe, circular(), corpora[0], one_noise_less, {"train": 1}, 5), "noise_files"),
    ):
        with pytest.raises(ValueError, match=rf"data: {message}{names}$"):
            generate(out, *arguments, 1)
    same = replace(recipe, rt60=(0.1, 0.11))  # type: ignore[arg-type]  # a tuple is a list to JSON
    moved = replace(corpora[0], source="the same files under another name")
    generate(out, same, circular(), moved, corpora[1], {"train": 1}, 5, 1)
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
    generate(tmp_path / "data", recipe, circular(), empty, noise, {"train": 1, "valid": 0}, 5, 1)


@pytest.mark.parametrize("n_scenes", [{}, {"train": 0}, {"train": -1}, {"train": 1, "test": -2}])
def test_no_scenes(corpora: Corpora, recipe: Recipe, tmp_path: Path, n_scenes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="n_scenes: expected one scene or more, got"):
        generate(tmp_path / "data", recipe, circular(), *corpora, n_scenes, 5, 1)
    with pytest.raises(ValueError, match="n_scenes: expected splits of train, valid, test, got dev"):
        generate(tmp_path / "data", recipe, circular(), *corpora, {**n_scenes, "dev": 3}, 5, 1)
    assert not (tmp_path / "data").exists()


def test_a_disk_that_cannot_hold_it(
    corpora: Corpora, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = sum(N_SCENES.values()) * (2 * 15 * 4000 + module.MANIFEST_BYTES)
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
    generate(tmp_path / "whole", recipe, circular(), speech, noise, {"train": 2}, 0, 1)
    soundfile.write(tmp_path / "a.wav", np.tile([0.1, 0.2, np.nan, 0.3, 0.4], 1600), RATE, "FLOAT")
    with pytest.raises(ValueError, match=r"a\.wav: expected finite samples, got 800 NaN"):
        generate(tmp_path / "data", recipe, circular(), speech, noise, {"train": 2}, 0, 1)
    assert not (tmp_path / "data").exists()
