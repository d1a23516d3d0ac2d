"""A dataset checked against its manifests: every kind of damage is named, and mending gives back the same bytes."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from arrayse.files import sha256_of
from arrayse.mixture import open_dataset
from simulate.generate import MANIFEST_HASH
from simulate.recipe import Recipe
from simulate.verify import Finding, repair, verify
from tests.tiny_scenes import Corpora, hashes, make

SHARD = "train/shard-00001"
WAVE = "train-000020.wav"
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def undamaged(corpora: Corpora, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """26 scenes in four shards; the damaged one has two."""
    out = tmp_path_factory.mktemp("undamaged") / "data"
    make(out, corpora, recipe)
    return out


@pytest.fixture
def data(undamaged: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(undamaged, tmp_path / "data"))


def problems(folder: Path, workers: int = 1) -> list[str]:
    return [finding.problem for finding in verify(folder, workers)[0]]


def change_manifest(shard: Path, change: Callable[[Rows], object]) -> None:
    """Lets ``change`` edit the lines of a manifest."""
    path = shard / "manifest.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    change(rows)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def change_bytes(path: Path, change: Callable[[bytearray], object]) -> None:
    content = bytearray(path.read_bytes())
    change(content)
    path.write_bytes(content)


def flip(place: int) -> Callable[[bytearray], None]:
    def change(content: bytearray) -> None:
        content[place] ^= 1

    return change


def told(**numbers: Any) -> Callable[[Path], None]:
    """Other numbers in the line of the first scene; functions are given the old ones, ``...`` takes them out."""

    def change(rows: Rows) -> None:
        for name, value in numbers.items():
            rows[0][name] = value(rows[0][name]) if callable(value) else value
            if value is ...:
                del rows[0][name]

    return lambda shard: change_manifest(shard, change)


def text(edit: Callable[[str], str]) -> Callable[[Path], None]:
    """Another text of the manifest."""
    return lambda shard: (shard / "manifest.jsonl").write_text(edit((shard / "manifest.jsonl").read_text()))  # type: ignore[return-value]


WRONG_HASH = rf"expected {WAVE} with SHA-256 [0-9a-f]{{12}}…, got [0-9a-f]{{12}}…"
DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a bit of audio": (lambda shard: change_bytes(shard / WAVE, flip(20_000)), WRONG_HASH),
    "a bit of the header": (lambda shard: change_bytes(shard / WAVE, flip(22)), WRONG_HASH),
    "truncated": (lambda shard: change_bytes(shard / WAVE, lambda content: content.pop()), WRONG_HASH),
    "empty": (lambda shard: (shard / WAVE).write_bytes(b""), WRONG_HASH),
    "another scene": (lambda shard: shutil.copy(shard / "train-000021.wav", shard / WAVE), WRONG_HASH),
    "no file": (lambda shard: (shard / WAVE).unlink(), f"expected a file {WAVE}, got none"),
    "no shard": (shutil.rmtree, "expected a shard folder, got none"),
    "no split": (lambda shard: shutil.rmtree(shard.parent), "expected a shard folder, got none"),
    "no manifest": (lambda shard: (shard / "manifest.jsonl").unlink(), "expected a file of JSON lines, got none"),
    "no line": (
        lambda shard: change_manifest(shard, lambda rows: rows.pop(0)),
        "expected scene train-000020, got none",
    ),
    "half a line": (text(lambda lines: lines[:-2]), "expected scene train-000021, got none"),
    "garbage": (text(lambda lines: lines.replace('{"id"', "{id", 1)), r"manifest\.jsonl line 1: expected JSON"),
    "no line of ours": (text(lambda lines: "5\n" + lines), "not subscriptable"),
    "no id": (told(id=...), "expected a value for 'id', got none"),
    "other SNR": (told(snr_db_measured=lambda snr: snr + 0.05), r"expected an SNR of \S+ dB in train-000020, got"),
    "NaN": (told(snr_db_measured=math.nan), "expected an SNR of nan dB"),
    "other scale": (told(speech_scale=lambda scale: 1.01 * scale), r"expected an SNR of \S+ dB in train-000020, got"),
    "no scale": (told(noise_scale=0.0), "noise: expected a signal with power, got silence"),
    "a word": (told(speech_scale="loud"), "could not convert string to float: 'loud'"),
    "other hash": (told(sha256=64 * "0"), WRONG_HASH),
    "other length": (told(n_samples=lambda n_samples: n_samples - 1), r"expected \(16000, 15, 3999\)"),
    "endless": (told(n_samples=math.inf), "cannot convert float infinity"),
    "no rate": (told(sample_rate=0), "division by zero"),
    "other rt60": (told(rt60_measured=math.inf), "expected finite numbers in the manifest line of train-000020"),
    "no device": (told(device=...), "scene train-000020: expected a value for 'device', got none"),
    "a scene more": (
        lambda shard: change_manifest(shard, lambda rows: rows.append({**rows[0], "id": "train-000022"})),
        "expected scenes train-000020 to train-000021, each once in order",
    ),
    "a line twice": (lambda shard: change_manifest(shard, lambda rows: rows.append(rows[1])), "each once in order"),
    "other order": (lambda shard: change_manifest(shard, lambda rows: rows.reverse()), "each once in order"),
}


def test_a_good_dataset_has_no_findings_and_the_numbers_of_its_manifests(undamaged: Path) -> None:
    seen: list[tuple[int, int]] = []
    findings, statistics = verify(undamaged, 1, lambda done, total: seen.append((done, total)))
    assert findings == []
    assert seen == [(0, 26), (20, 26), (22, 26), (24, 26), (26, 26)]
    rows = [json.loads(line) for path in undamaged.rglob("*.jsonl") for line in path.read_text().splitlines()]
    columns = {
        "seconds": [0.25] * 26,
        "SNR (dB)": [row["snr_db"] for row in rows],
        "RT60 (s)": [row["rt60_measured"] for row in rows],
        "RT60 measured / asked": [row["rt60_measured"] / row["place"]["rt60"] for row in rows],
        "sources, talker included": [2] * 26,
    }
    assert statistics.n_scenes == 26
    assert statistics.ranges.keys() == columns.keys()
    for name, column in columns.items():
        assert statistics.ranges[name] == pytest.approx((min(column), np.mean(column), max(column)), rel=1e-6)


@pytest.mark.parametrize("unknown", [None, 0.0])
def test_what_is_not_known_of_a_measured_room_does_not_count(
    unknown: float | None, undamaged: Path, data: Path
) -> None:
    def ranges_with(change: Callable[[Rows], object]) -> dict[str, tuple[float, float, float]]:
        for shard in data.glob("*/shard-*"):
            change_manifest(shard, change)
            (shard / MANIFEST_HASH).write_text(f"{sha256_of(shard / 'manifest.jsonl')}  manifest.jsonl\n")
        findings, statistics = verify(data, 1)
        assert (findings, statistics.n_scenes) == ([], 26)
        return statistics.ranges

    before = verify(undamaged, 1)[1].ranges
    measured = ranges_with(lambda rows: rows[0].update(rt60_measured=unknown, place=None))
    for name in ("RT60 (s)", "RT60 measured / asked"):
        assert before[name][0] <= measured[name][0] <= measured[name][2] <= before[name][2]
    assert list(ranges_with(lambda rows: [row.update(place=None) for row in rows])) == [
        *("seconds", "SNR (dB)", "sources, talker included", "RT60 (s)")
    ]
    none = ranges_with(lambda rows: [row.update(rt60_measured=unknown) for row in rows])
    assert list(none) == ["seconds", "SNR (dB)", "sources, talker included"]


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_named_and_mended_to_the_byte(damage: str, undamaged: Path, data: Path) -> None:
    spoil, expected = DAMAGE[damage]
    spoil(data / SHARD)
    findings, _ = verify(data, 1)
    told = [finding.problem for finding in findings if finding.folder == data / SHARD]
    assert all(problem.startswith(f"{SHARD}: ") for problem in told)
    assert any(re.search(expected, problem) for problem in told), told
    assert len(findings) == len(told) or damage == "no split"
    assert repair(data, findings, 1) == []
    assert hashes(data) == hashes(undamaged)
    assert problems(data) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_two_shards_at_once_and_any_number_of_workers(workers: int, undamaged: Path, data: Path) -> None:
    (data / SHARD / WAVE).unlink()
    shutil.rmtree(data / "valid" / "shard-00000")
    change_manifest(data / "test" / "shard-00000", lambda rows: rows[1].update(snr_db_measured=99.0))
    findings, statistics = verify(data, workers)
    assert [str(finding.folder.relative_to(data)) for finding in findings] == [
        "test/shard-00000",
        SHARD,
        "valid/shard-00000",
    ]
    assert statistics.n_scenes == 20 + 1 + 1
    assert statistics.ranges["SNR (dB)"][2] < 99
    repair(data, findings, workers)
    assert hashes(data) == hashes(undamaged)


def test_only_broken_shards_are_made_again(data: Path) -> None:
    (data / SHARD / WAVE).unlink()
    kept = {path: path.stat().st_mtime_ns for path in data.rglob("*.wav") if path.parent != data / SHARD}
    seen: list[tuple[int, int]] = []
    repair(data, verify(data, 1)[0], 1, lambda done, total: seen.append((done, total)))
    assert seen == [(24, 26), (26, 26)]
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_what_a_killed_run_left_is_no_damage_and_goes_with_the_next_repair(undamaged: Path, data: Path) -> None:
    leftover = data / "train" / f".shard-00001.{32 * 'a'}.tmp"
    shutil.copytree(data / SHARD, leftover)
    assert problems(data) == []
    shutil.rmtree(data / SHARD)
    assert problems(data) == [f"{SHARD}: expected a shard folder, got none"]
    repair(data, verify(data, 1)[0], 1)
    assert hashes(data) == hashes(undamaged)
    assert not leftover.exists()


def test_other_files_beside_the_scenes_do_no_harm_and_are_left_alone(data: Path) -> None:
    (data / SHARD / "notes.txt").write_text("listened to")
    (data / "notes.txt").write_text("mine")
    assert problems(data) == []
    (data / "valid" / "shard-00000" / "manifest.jsonl").unlink()
    repair(data, verify(data, 1)[0], 1)
    assert (data / SHARD / "notes.txt").read_text() == "listened to"
    assert (data / "notes.txt").read_text() == "mine"


def test_a_shard_too_many_is_named_and_stays(data: Path) -> None:
    """It would be read as part of the split; it may be somebody's copy, so it is not removed."""
    copy = shutil.copytree(data / SHARD, data / "train" / "shard-00001.bak")
    with pytest.raises(ValueError, match="expected 22 scenes, got 24"):
        open_dataset(data).entries("train")
    findings, statistics = verify(data, 1)
    wanted = "train/shard-00001.bak: expected 2 shards in train, got this one too: move it elsewhere"
    assert findings == [Finding(copy, wanted)]
    assert statistics.n_scenes == 26
    repair(data, findings, 1)
    assert problems(data) == [wanted]


def test_what_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected a folder that arrayse simulate wrote, got .* without"):
        verify(tmp_path, 1)
    with pytest.raises(ValueError, match=r"dataset: expected a file .*nowhere/dataset\.json, got none"):
        verify(tmp_path / "nowhere", 1)
    (tmp_path / "dataset.json").write_text("{}")
    with pytest.raises(ValueError, match=r"expected array, sample_rate, label and n_scenes in .*dataset\.json"):
        verify(tmp_path, 1)


def test_no_hash_of_a_manifest(undamaged: Path, data: Path) -> None:
    (data / SHARD / "manifest.sha256").unlink()
    assert problems(data) == [f"{SHARD}: expected a file manifest.sha256, got none"]
    assert repair(data, verify(data, 1)[0], 1) == []
    assert hashes(data) == hashes(undamaged)


def test_a_number_that_no_check_knows(undamaged: Path, data: Path) -> None:
    change_manifest(data / SHARD, lambda rows: rows[0].update(seed=[1, 2, 3]))
    findings, _ = verify(data, 1)
    assert [finding.problem for finding in findings] == [
        f"{SHARD}: expected a manifest with the hash in manifest.sha256, got another: it was changed"
    ]
    repair(data, findings, 1)
    assert hashes(data) == hashes(undamaged)
