"""Mending: what cannot be mended stays as it is, other bytes than before are told; files beside the shards."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from arrayse.files import read_json, sha256_of, write_json, write_json_lines
from simulate import generate as module
from simulate import verify as verify_module
from simulate.corpus import load_corpus
from simulate.generate import generate, is_whole, shards_of
from simulate.recipe import Recipe
from simulate.verify import repair, verify
from tests.tiny_scenes import RATE, hashes, tiny_world

SHARD = "train/shard-00000"


@pytest.fixture
def own(tiny_corpus: Path, recipe: Recipe, tmp_path: Path) -> Path:
    """A damaged dataset beside its own corpus, which may be changed."""
    corpus = str(shutil.copytree(tiny_corpus, tmp_path / "corpus"))
    speech, noise = (load_corpus(corpus, kind, RATE) for kind in ("speech", "noise"))
    out = tmp_path / "own"
    generate(out, tiny_world((speech, noise), recipe), {"train": 2, "test": 1}, 1)
    (out / SHARD / "train-000001.wav").unlink()
    return out


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[2000] ^= 1
    path.write_bytes(content)


def not_mended(out: Path, message: str) -> None:
    """Mending is refused before anything is removed."""
    before = hashes(out)
    findings, _ = verify(out, 1)
    assert [finding.folder.name for finding in findings if finding.folder != out] == ["shard-00000"]
    with pytest.raises(ValueError, match=message):
        repair(out, findings, 1)
    assert hashes(out) == before


# --- what cannot be mended ----------------------------------------------------------------------------------


def test_corpora_that_have_changed(own: Path) -> None:
    flip(own.parent / "corpus" / "speech" / "ann_0.wav")
    not_mended(own, "own: expected the corpora that it was made from, got other speech_files$")
    flip(own.parent / "corpus" / "noise" / "train_0.wav")
    not_mended(own, "got other speech_files, noise_files$")


def test_corpora_that_are_gone(own: Path) -> None:
    (own.parent / "corpus").rename(own.parent / "elsewhere")
    not_mended(own, "own: speech corpus: expected builtin, a folder or a manifest CSV, got .*corpus: no such file")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recipe": []}, "expected the description of a dataset, got AttributeError"),
        ({"recipe": {"loudness": 3}}, r"expected the description of a dataset, got KeyError\('loudness'"),
        ({"seed": 6, "recipe": {}}, "got other recipe"),
        (
            {"format": 1},
            "expected a dataset of format 2, got format 1: it was made by another version of the simulator",
        ),
    ],
)
def test_a_description_that_is_damaged_or_of_another_version(own: Path, change: dict[str, Any], message: str) -> None:
    path = own / "dataset.json"
    write_json(path, {**read_json(path, "dataset"), **change})
    not_mended(own, message)


def test_a_disk_that_is_full(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    not_mended(own, "GB free on the disk")


def test_a_scene_that_cannot_be_rendered(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("sofa: expected the package h5py")

    monkeypatch.setattr(module, "render", fail)
    not_mended(own, "expected the package h5py")


# --- other bytes than before --------------------------------------------------------------------------------


def rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / SHARD / "manifest.jsonl").read_text().splitlines()]


def change_line(out: Path) -> None:
    """Of the second scene, whose file is gone: only the first line has a file that vouches for it."""
    path = out / SHARD / "manifest.jsonl"
    first, second = path.read_text().splitlines(keepends=True)
    path.write_text(first + second.replace('"snr_db": ', '"snr_db": 1'))


@pytest.mark.parametrize(
    ("damage", "names"),
    [
        (lambda out: None, "train-000000.wav, train-000001.wav"),
        (lambda out: flip(out / SHARD / "train-000000.wav"), "train-000000.wav, train-000001.wav"),
        (change_line, "train-000000.wav"),
        (lambda out: (out / SHARD / "manifest.sha256").unlink(), "train-000000.wav"),
        (lambda out: (change_line(out), flip(out / SHARD / "train-000000.wav")), None),
        (lambda out: (out / SHARD / "manifest.jsonl").unlink(), None),
        (lambda out: shutil.rmtree(out / SHARD), None),
    ],
)
def test_other_bytes_than_before_are_told(
    damage: Callable[[Path], Any], names: str | None, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as the hash of the manifest, or the file of a line, vouches for what they were."""
    write = module.write_stems

    def one_bit_off(path: Path, *arguments: Any) -> dict[str, float]:
        scales = write(path, *arguments)
        flip(path)
        return scales

    monkeypatch.setattr(module, "write_stems", one_bit_off)
    damage(own)
    told = [finding.problem for finding in repair(own, verify(own, 1)[0], 1)]
    assert told == (
        [
            f"{SHARD}: expected the bytes that {names} had before, got others: another type of CPU or other versions "
            "of libraries made them"
        ]
        if names
        else []
    )
    assert verify(own, 1)[0] == []
    assert all(row["sha256"] == sha256_of(own / SHARD / row["file"]) for row in rows(own))


def test_a_line_that_names_a_file_elsewhere_lets_nobody_look_there(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret, made = own.parent / "secret.wav", own / SHARD
    secret.write_bytes(b"secret")
    (made / "manifest.sha256").unlink()
    for name in (str(secret), "../../../secret.wav"):
        write_json_lines(made / "manifest.jsonl", [row | {"file": name} for row in rows(own)])
        assert not is_whole(next(shards_of(own, "train", 2)))
    hashed = Mock(wraps=sha256_of)
    monkeypatch.setattr(verify_module, "sha256_of", hashed)
    assert repair(own, verify(own, 1)[0], 1) == []
    assert secret not in {call.args[0].resolve() for call in hashed.call_args_list}
    assert verify(own, 1)[0] == []


# --- dataset.json and corpora.json --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"dataset: expected a file .*corpora\.json, got none"),
        ('{"speech', r"dataset: expected JSON in .*corpora\.json, got"),
        ("[]", r"corpora\.json: expected the files of a dataset, got TypeError"),
        (
            '{"speech": null, "noise": null, "rooms": null, "sofa": null}',
            "expected the files of a dataset, got TypeErr",
        ),
        ("{}", r"corpora\.json: expected the files of a dataset, got KeyError\('speech'\)"),
    ],
)
def test_a_list_of_files_that_is_damaged_is_told_and_mended(own: Path, content: str | None, message: str) -> None:
    repair(own, verify(own, 1)[0], 1)
    before, path = hashes(own), own / "corpora.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    findings, statistics = verify(own, 1)
    assert [finding.folder for finding in findings] == [own]
    assert statistics.n_scenes == 3
    with pytest.raises(ValueError, match=message):
        raise ValueError(findings[0].problem)
    assert repair(own, findings, 1) == []
    assert hashes(own) == before


@pytest.mark.parametrize("key", ["seed", "recipe", "speech_files", "sofa_file"])
def test_a_description_without_a_key_is_told(own: Path, key: str) -> None:
    repair(own, verify(own, 1)[0], 1)
    path = own / "dataset.json"
    numbers = read_json(path, "dataset")
    del numbers[key]
    write_json(path, numbers)
    findings, _ = verify(own, 1)
    wanted = f"{path}: expected the description of a dataset, got none of its keys {key}"
    assert [finding.problem for finding in findings] == [wanted]


def test_a_dataset_of_another_version_can_be_checked(own: Path) -> None:
    repair(own, verify(own, 1)[0], 1)
    path = own / "dataset.json"
    numbers = read_json(path, "dataset")
    del numbers["format"], numbers["machine"]
    write_json(path, numbers)
    (own / "corpora.json").unlink()
    assert verify(own, 1)[0] == []
