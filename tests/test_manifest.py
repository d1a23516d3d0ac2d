"""Manifests: lines are read when asked for, and are what they were when the dataset was opened."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from arrayse.files import read_json_lines
from arrayse.manifest import MANIFEST, StoredEntry, lost_files, scan_manifest
from arrayse.mixture import open_dataset


def shard(folder: Path, *lines: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / MANIFEST).write_text("".join(lines), encoding="utf-8")
    return folder


def line(name: str, **numbers: object) -> str:
    return json.dumps({"id": name, "n_samples": 5, **numbers} | {"file": numbers.get("file", f"{name}.wav")}) + "\n"


def test_entries_have_the_numbers_of_their_lines(tiny_dataset: Path) -> None:
    shards = sorted((tiny_dataset / "train").glob("shard-*"))
    rows = [row for place in shards for row in read_json_lines(place / MANIFEST)]
    entries = open_dataset(tiny_dataset).entries("train")
    assert [entry.numbers for entry in entries] == rows
    assert [(entry.id, entry.path.name) for entry in entries] == [(row["id"], row["file"]) for row in rows]
    assert all(entry.path.is_file() for entry in entries)


def test_an_entry_travels_to_another_process_without_its_line(tiny_dataset: Path) -> None:
    entry = open_dataset(tiny_dataset).entries("test")[1]
    packed = pickle.dumps(entry)
    assert len(packed) < 1000
    unpacked = pickle.loads(packed)
    assert unpacked.numbers == entry.numbers
    assert (unpacked.id, unpacked.path) == (entry.id, entry.path)


SHA256 = "0" * 64
VOICE = {"file": "/x/voice.wav", "sha256": SHA256}


def test_lines_in_another_order_or_spacing_are_read_too(tmp_path: Path) -> None:
    place = shard(tmp_path / "s", line("train-0"), '{ "file" : "x.wav",  "id":"train-1" }\n', line("train-2", a="é"))
    entries = list(scan_manifest(place))
    assert [(entry.id, entry.path.name) for entry in entries] == [
        ("train-0", "train-0.wav"),
        ("train-1", "x.wav"),
        ("train-2", "train-2.wav"),
    ]
    assert entries[2].numbers["a"] == "é"


@pytest.mark.parametrize(
    "text",
    [
        line("train-0", source_excerpts=[VOICE], file="own.wav", sha256=SHA256),
        line("train-0", source_excerpts=[VOICE], file="own.wav"),
        line("train-0", file="own.wav", sha256=SHA256, source_excerpts=[VOICE]),
        line("train-0", file="own.wav", sha256=SHA256, voice=VOICE),
        line("train-0", a=', "file": "b.wav", "sha256": "', file="own.wav", sha256=SHA256),
        line("train-0", file="a.wav", sha256=SHA256)[:-2] + f', "file": "own.wav", "sha256": "{SHA256}"}}\n',
        line("train-0", file="éä/own.wav", sha256=SHA256),
        line("train-0", file="../" + "a" * 500 + "/own.wav", sha256=SHA256),
        line("train-0", file="own.wav", sha256=SHA256)[:-1] + "\r\n",
    ],
)
def test_the_file_of_a_scene_is_no_other_that_its_line_names(text: str, tmp_path: Path) -> None:
    (entry,) = scan_manifest(shard(tmp_path / "s", text))
    assert entry.path == tmp_path / "s" / "own.wav"
    assert entry.numbers == json.loads(text)


def test_lines_of_the_simulator_are_not_parsed(tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are a hundredth of what a line of a large dataset holds."""
    monkeypatch.setattr(json, "loads", None)
    assert len([*scan_manifest(tiny_dataset / "train" / "shard-00000")]) == 6


def test_a_half_written_last_line_is_left_out(tmp_path: Path) -> None:
    place = shard(tmp_path / "s", line("train-0"), line("train-1")[:-1])
    assert [entry.id for entry in scan_manifest(place)] == ["train-0"]


@pytest.mark.parametrize("bad", ["[1]\n", "{}\n", '{"id": 3, "file": "x"}\n', "nonsense\n", "[" * 100_000 + "\n"])
def test_a_line_that_is_no_scene_is_named(bad: str, tmp_path: Path) -> None:
    place = shard(tmp_path / "s", line("train-0"), bad)
    with pytest.raises(ValueError, match=r"manifest\.jsonl line 2: expected"):
        list(scan_manifest(place))


def test_a_line_that_is_broken_inside_is_found_when_it_is_read(tmp_path: Path) -> None:
    place = shard(tmp_path / "s", line("train-0", n_samples="BAD", file="a.wav", sha256=SHA256).replace('"BAD"', "5,,"))
    (entry,) = scan_manifest(place)
    with pytest.raises(ValueError, match=r"manifest\.jsonl byte 0: expected JSON"):
        entry.numbers  # noqa: B018


@pytest.mark.parametrize(
    "now", [line("train-1") + line("train-0"), line("train-0", file="train-1.wav") + line("train-1")]
)
def test_a_manifest_that_changes_while_it_is_used_is_found(now: str, tmp_path: Path) -> None:
    place = shard(tmp_path / "s", line("train-0"), line("train-1"))
    entry = next(iter(scan_manifest(place)))
    assert entry.n_samples == 5
    shard(place, now)
    with pytest.raises(ValueError, match=r"expected train-0 with train-0\.wav, got another line: it was changed"):
        entry.numbers  # noqa: B018


def test_other_numbers_of_a_scene_are_those_that_are_read(tmp_path: Path) -> None:
    place = shard(tmp_path / "s", line("train-0"))
    (entry,) = scan_manifest(place)
    assert entry.n_samples == 5
    shard(place, line("train-0", n_samples=6))
    assert entry.n_samples == 6


def test_nobody_can_spoil_the_numbers_of_others(tmp_path: Path) -> None:
    (entry,) = scan_manifest(shard(tmp_path / "s", line("train-0", seed=[1, 2])))
    entry.numbers["seed"].append(3)
    entry.loaded().numbers["n_samples"] = 1
    assert entry.numbers == {"id": "train-0", "n_samples": 5, "seed": [1, 2], "file": "train-0.wav"}


def test_a_loaded_entry_has_its_line_in_memory(tmp_path: Path) -> None:
    place = shard(tmp_path / "s", line("train-0"))
    (entry,) = scan_manifest(place)
    loaded = entry.loaded()
    (place / MANIFEST).unlink()
    assert (loaded.id, loaded.path, loaded.n_samples) == (entry.id, entry.path, 5)
    assert loaded.loaded().numbers == loaded.numbers


def test_entries_can_be_kept_in_sets(tmp_path: Path) -> None:
    (entry,) = scan_manifest(shard(tmp_path / "s", line("train-0")))
    assert len({entry, entry.loaded(), entry}) == 2


def test_lost_files_are_named(tmp_path: Path) -> None:
    place = shard(tmp_path / "s", line("train-0"), line("train-1"))
    (place / "train-1.wav").touch()
    assert list(lost_files(list(scan_manifest(place)))) == [place / "train-0.wav"]


def test_no_file_elsewhere_can_be_named(tmp_path: Path) -> None:
    entry = StoredEntry(tmp_path, 0, "a", "../../etc/passwd")
    assert entry.path == tmp_path / "passwd"
