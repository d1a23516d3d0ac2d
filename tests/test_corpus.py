"""Corpora: three forms, disjoint splits, excerpts that sound, and what is said about bad files."""

from __future__ import annotations

import csv
import hashlib
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from arrayse.mixture import SPLITS, mean_power
from simulate import synthetic
from simulate.corpus import Corpus, label_of, load_corpus
from simulate.excerpts import MIN_ACTIVE_POWER, draw_excerpt, read_excerpt

RATE = 16000
HEADER = "path,split,kind,speaker_or_type,license\n"


def tone(path: Path, seconds: float = 0.2, level: float = 0.1) -> Path:
    """A short tone of its own pitch."""
    hertz = 200 + int(hashlib.sha256(path.name.encode()).hexdigest(), 16) % 3000
    wave = level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, RATE, "PCM_16")
    return path


def small_manifest(folder: Path, rows: str, **options: str) -> Path:
    path = folder / "MANIFEST.csv"
    path.write_text(HEADER + rows, **{"encoding": "utf-8", **options})
    return path


def assert_disjoint(speech: Corpus, noise: Corpus) -> None:
    speakers = [{file.group for file in speech.files(split)} for split in SPLITS]
    files = [{file.path for file in noise.files(split)} for split in SPLITS]
    contents = [{file.path.read_bytes() for file in noise.files(split)} for split in SPLITS]
    for sets in (speakers, files, contents):
        assert all(sets)
        assert len(set.union(*sets)) == sum(map(len, sets))


# --- three forms --------------------------------------------------------------------------------------------


def test_a_manifest_is_taken_as_it_is(tiny_corpus: Path) -> None:
    speech, noise = (load_corpus(str(tiny_corpus), kind, RATE) for kind in ("speech", "noise"))
    assert_disjoint(speech, noise)
    with (tiny_corpus / "MANIFEST.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for corpus in (speech, noise):
        listed = {
            (str(tiny_corpus / row["path"]), row["split"], row["speaker_or_type"], int(float(row["seconds"]) * RATE))
            for row in rows
            if row["kind"] == corpus.kind
        }
        found = {(str(f.path), split, f.group, f.n_samples) for split, files in corpus.splits.items() for f in files}
        assert found == listed
        assert corpus.synthetic
    same = load_corpus(str(tiny_corpus / "MANIFEST.csv"), "speech", RATE)
    assert same.splits == speech.splits


def test_a_folder_is_split_by_speaker_and_by_noise_file(tmp_path: Path) -> None:
    for speaker in range(12):
        for k in range(2):
            tone(tmp_path / "speech" / f"s{speaker}" / "book" / f"{speaker}_{k}.wav")
    for k in range(15):
        tone(tmp_path / "noise" / "street" / f"{k}.wav")
    tone(tmp_path / "noise" / "hum.WAV")
    (tmp_path / "noise" / "street" / "._0.wav").write_text("what a file manager leaves")
    (tmp_path / "noise" / "street" / "notes.txt").write_text("no audio")
    (tmp_path / "noise" / "odd.wav").mkdir()
    speech, noise = (load_corpus(str(tmp_path / kind), kind, RATE) for kind in ("speech", "noise"))
    assert_disjoint(speech, noise)
    assert [len(speech.files(split)) for split in SPLITS] == [20, 2, 2]
    assert [len(noise.files(split)) for split in SPLITS] == [12, 2, 2]
    assert {file.group for file in noise.files("train")} <= {"street", "hum.WAV"}
    assert not speech.synthetic
    moved = tmp_path / "elsewhere"
    shutil.move(tmp_path / "noise", moved)
    again = load_corpus(str(moved), "noise", RATE)
    for split in SPLITS:  # the split depends on names within the folder alone
        before = [file.path.relative_to(tmp_path / "noise") for file in noise.files(split)]
        assert [file.path.relative_to(moved) for file in again.files(split)] == before


def test_files_without_folders_are_speakers_of_their_own(tmp_path: Path) -> None:
    for k in range(5):
        tone(tmp_path / f"{k}.wav")
    corpus = load_corpus(str(tmp_path), "speech", RATE)
    assert sorted(len(files) for files in corpus.splits.values()) == [1, 1, 3]


def test_the_builtin_form(tiny_corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "builtin_corpus", lambda: tiny_corpus)
    speech, noise = (load_corpus("builtin", kind, RATE) for kind in ("speech", "noise"))
    assert_disjoint(speech, noise)
    assert speech.source == "builtin"


def test_what_results_are_called() -> None:
    made = Corpus("a", "speech", {}, RATE, synthetic=True)
    spoken = Corpus("b", "speech", {}, RATE, synthetic=False)
    hiss = Corpus("c", "noise", {}, RATE, synthetic=True)
    assert label_of([made, hiss]) == "synthetic speech"
    assert label_of([spoken, hiss]) == "recorded speech"


def test_one_synthetic_file_makes_speech_synthetic(tmp_path: Path) -> None:
    rows = "a.wav,train,speech,a,synthetic\nb.wav,train,speech,b,CC0\n"
    for name in ("a.wav", "b.wav"):
        tone(tmp_path / name)
    assert load_corpus(str(small_manifest(tmp_path, rows)), "speech", RATE).synthetic


def test_a_manifest_from_a_spreadsheet(tmp_path: Path) -> None:
    tone(tmp_path / "é.wav")
    path = small_manifest(tmp_path, "é.wav,train,speech,a,\n", encoding="utf-8-sig")
    assert len(load_corpus(str(path), "speech", RATE).files("train")) == 1


def test_progress_is_told_file_by_file(tiny_corpus: Path) -> None:
    seen: list[tuple[int, int]] = []
    load_corpus(str(tiny_corpus), "noise", RATE, lambda done, total: seen.append((done, total)))
    assert seen == [(done, 7) for done in range(1, 8)]


def test_the_groups_of_a_split(tiny_corpus: Path) -> None:
    corpus = load_corpus(str(tiny_corpus), "speech", RATE)
    for split in SPLITS:
        groups, files = corpus.groups(split), corpus.files(split)
        assert list(groups) == sorted({file.group for file in files})
        assert groups == {name: [file for file in files if file.group == name] for name in groups}
    less = replace(corpus, splits={**corpus.splits, "train": corpus.files("train")[:2]})
    assert list(less.groups("train")) == ["ann"]  # nothing is remembered of another corpus
    assert pickle.loads(pickle.dumps(corpus)) == corpus
    with pytest.raises(ValueError, match="expected files in split test, got none"):
        replace(corpus, splits={**corpus.splits, "test": []}).groups("test")


# --- bad corpora --------------------------------------------------------------------------------------------


def test_a_missing_corpus(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"speech corpus: expected builtin, a folder or a manifest CSV, got .*/no"):
        load_corpus(str(tmp_path / "no"), "speech", RATE)
    with pytest.raises(ValueError, match=r"noise corpus: expected audio files in .*, got none"):
        load_corpus(str(tmp_path), "noise", RATE)
    with pytest.raises(ValueError, match="kind: expected one of speech, noise, got music"):
        load_corpus(str(tmp_path), "music", RATE)


def test_an_empty_split(tmp_path: Path) -> None:
    for name in ("a", "b"):
        tone(tmp_path / name / "c.wav")
    corpus = load_corpus(str(tmp_path), "speech", RATE)
    assert len(corpus.files("train")) == 2
    with pytest.raises(ValueError, match=r"speech corpus .*: expected files in split valid, got none of .*'train': 2"):
        corpus.files("valid")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("../out.wav,train,speech,a,", r"row 2: expected a path inside .*, got \.\./out\.wav"),
        ("in/../../out.wav,train,speech,a,", "row 2: expected a path inside"),
        ("/etc/hostname,train,speech,a,", "row 2: expected a path inside .*, got /etc/hostname"),
        ("link.wav,train,speech,a,", r"row 2: expected a path inside .*, got link\.wav"),
        ("a.wav,dev,speech,a,", "row 2: expected a split of train, valid, test, got dev"),
        ("a.wav", "expected audio files"),  # a row that stops early is of no kind
        ("no.wav,train,speech,a,", r"no\.wav: expected an audio file, got none there"),
        (",train,speech,a,", "expected an audio file, got none there"),
        ("a.wav,train,speech,a,\nb.wav,test,speech,a,", "expected every speaker in one split, got a in train and test"),
        ("a.wav,train,noise,a,\nsub/../a.wav,test,noise,a,", r"every noise file in one split, got .*a\.wav in train"),
    ],
)
def test_a_bad_row(tmp_path: Path, row: str, message: str) -> None:
    folder = tmp_path / "corpus"
    for path in (tmp_path / "out.wav", folder / "a.wav", folder / "b.wav", folder / "sub" / "c.wav"):
        tone(path)
    (folder / "link.wav").symlink_to(tmp_path / "out.wav")
    small_manifest(folder, row + "\n")
    with pytest.raises(ValueError, match=message):
        load_corpus(str(folder), "noise" if "noise" in row else "speech", RATE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"path,kind\na.wav,speech\n", "expected the columns speaker_or_type, split, got path, kind"),
        (b"", "expected the columns kind, path, speaker_or_type, split, got none"),
        (b"path,split\n\xff\xfe", "expected a CSV file in UTF-8"),
        (b"path,split,kind,speaker_or_type\n" + b"a" * 200_000, "expected a CSV file in UTF-8, got field larger"),
    ],
)
def test_a_file_that_is_no_manifest(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "m.csv").write_bytes(content)
    with pytest.raises(ValueError, match=rf"m\.csv: {message}"):
        load_corpus(str(tmp_path / "m.csv"), "speech", RATE)


def test_bad_audio_is_told_with_its_path(tmp_path: Path) -> None:
    path = tone(tmp_path / "a.wav")
    good = path.read_bytes()

    def error() -> str:
        with pytest.raises(ValueError, match=r"a\.wav: expected ") as caught:
            load_corpus(str(tmp_path), "noise", RATE)
        return str(caught.value)

    soundfile.write(path, np.ones((100, 2)) / 2, RATE)
    assert error().endswith("expected 1 channel (dry mono), got 2")
    soundfile.write(path, np.ones(100) / 2, 8000)
    assert "expected 16000 Hz, got 8000 Hz" in error()
    path.write_bytes(b"")
    assert error().endswith("got an empty file")
    path.write_bytes(good[:-100])
    assert error().endswith("the file is truncated")
    path.write_bytes(b"no audio" * 20)
    assert "expected an audio file, got" in error()


# --- the real pack ------------------------------------------------------------------------------------------


@pytest.mark.real
def test_the_real_pack_is_disjoint(real_data: Path) -> None:
    speech, noise = (load_corpus(str(real_data), kind, RATE) for kind in ("speech", "noise"))
    assert_disjoint(speech, noise)
    assert not speech.synthetic
    excerpt = draw_excerpt(speech, "test", 4 * RATE, np.random.default_rng(0))
    assert mean_power(read_excerpt(excerpt, RATE, 4 * RATE)) > MIN_ACTIVE_POWER
