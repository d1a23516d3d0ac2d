"""A dataset is the same bytes with any number of workers and after any kill, and bad input writes nothing."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import soundfile

from arrayse.geometry import circular
from arrayse.mixture import open_dataset
from simulate import generate as module
from simulate.generate import generate
from simulate.recipe import Recipe
from simulate.scene import draw_scene
from tests.tiny_scenes import N_SCENES, RATE, Corpora, hashes, make, tiny_world


@pytest.fixture(scope="module")
def undisturbed(corpora: Corpora, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Hashes of the dataset that one process makes in one go."""
    out = tmp_path_factory.mktemp("undisturbed") / "data"
    generate(out, tiny_world(corpora, recipe), N_SCENES, 1)
    return hashes(out)


# --- the same bytes -----------------------------------------------------------------------------------------


def test_what_lies_in_the_folder(undisturbed: dict[str, str]) -> None:
    folders = {str(Path(name).parent) for name in undisturbed} - {"."}
    assert folders == {"train/shard-00000", "train/shard-00001", "valid/shard-00000", "test/shard-00000"}
    assert sum(name.endswith(".wav") for name in undisturbed) == sum(N_SCENES.values())
    assert len(set(undisturbed.values())) == len(undisturbed)  # no two scenes are the same
    assert {name for name in undisturbed if "/" not in name} == {"dataset.json", "corpora.json"}


@pytest.mark.parametrize("workers", [2, 4])
def test_workers_do_not_change_a_byte(
    undisturbed: dict[str, str], corpora: Corpora, recipe: Recipe, tmp_path: Path, workers: int
) -> None:
    make(tmp_path / "data", corpora, recipe, workers)
    assert hashes(tmp_path / "data") == undisturbed


def test_more_scenes_leave_the_others_as_they_are(
    undisturbed: dict[str, str], corpora: Corpora, recipe: Recipe, tmp_path: Path
) -> None:
    generate(tmp_path / "data", tiny_world(corpora, recipe), {"train": 3, "test": 2}, 1)
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
            for excerpt in [*entry.numbers["source_excerpts"], *entry.numbers["diffuse_excerpts"][0]]:
                for piece in excerpt["pieces"]:
                    content = Path(piece["path"]).read_bytes()
                    assert piece["sha256"] == hashlib.sha256(content).hexdigest()
            assert entry.numbers["engine"] == "ism"
            place = entry.numbers["place"]
            assert abs(entry.numbers["rt60_measured"] / place["rt60"] - 1) < 0.02
            assert entry.numbers["snr_db_measured"] == pytest.approx(entry.numbers["snr_db"], abs=1e-5)
            rooms.add(tuple(place["room_dim"]))
    assert len(rooms) == 10  # no room is in two splits


def test_scenes_are_written_as_one_shard_or_not_at_all(
    corpora: Corpora, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = tiny_world(corpora, recipe)
    generate(tmp_path / "data", world, {"train": 2}, 1)
    scenes = [draw_scene(world, "train", index) for index in range(2)]
    module.write_shard(tmp_path / "alone", scenes, world.geometry)
    assert hashes(tmp_path / "alone") == hashes(tmp_path / "data" / "train" / "shard-00000")
    monkeypatch.setattr(module, "render", Mock(side_effect=ValueError("too loud")))
    with pytest.raises(ValueError, match=r"^scene train-000000: too loud$"):
        module.write_shard(tmp_path / "none", scenes, world.geometry)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone", "data"]


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
    arguments.write_bytes(pickle.dumps((tiny_world(corpora, recipe), N_SCENES)))
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
    generate(out, tiny_world(corpora, recipe), {"train": 1}, 1)
    wave = "train/shard-00000/train-000000.wav"
    beside = {"train/shard-00000/manifest.jsonl", "train/shard-00000/manifest.sha256"}
    assert hashes(out).keys() == {wave, *beside, "dataset.json", "corpora.json"}
    assert hashes(out)[wave] == undisturbed[wave]


def test_a_scene_that_fails_leaves_no_half_shard(
    corpora: Corpora, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = module.write_stems

    def full(path: Path, *arguments: object) -> dict[str, float]:
        if path.name == "train-000021.wav":
            raise OSError(28, "No space left on device")
        return write(path, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "write_stems", full)
    with pytest.raises(OSError, match="No space left"):
        make(tmp_path / "data", corpora, recipe)
    assert [path.name for path in (tmp_path / "data" / "train").iterdir()] == ["shard-00000"]


@pytest.mark.parametrize("where", ["audio", "manifest", "flush"])
def test_a_disk_that_fills_up_leaves_whole_shards_only(
    where: str,
    undisturbed: dict[str, str],
    corpora: Corpora,
    recipe: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, limit = tmp_path / "data", resource.getrlimit(resource.RLIMIT_FSIZE)
    make(out, corpora, recipe)
    shutil.rmtree(out / "train" / "shard-00001")
    whole, ignored = hashes(out), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    no_space = Mock(side_effect=OSError(errno.ENOSPC, "No space left on device"))

    def fill(done: int, total: int) -> None:
        if where == "audio":  # the system cuts files off at 100 kB; a scene has 120 kB
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limit[1]))
        if where == "manifest":
            monkeypatch.setattr(module, "write_json_lines", no_space)
        if where == "flush":
            monkeypatch.setattr(os, "fsync", no_space)

    try:
        with pytest.raises(OSError, match=r"Is the disk full\?" if where == "audio" else "No space left"):
            make(out, corpora, recipe, progress=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)
        monkeypatch.undo()
    assert hashes(out) == whole
    assert not list(out.rglob(".*"))
    make(out, corpora, recipe)
    assert hashes(out) == undisturbed
