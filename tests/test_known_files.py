"""The cache of headers and hashes: nothing is read twice, and nothing that it holds is believed without reason."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from arrayse.audio import audio_info
from arrayse.files import sha256_of
from simulate import known_files as module
from simulate.corpus import Corpus, load_corpus
from simulate.known_files import LEAST_BYTES, known_files
from simulate.measured import load_rooms
from tests.test_corpus import RATE, tone

LONG_AGO = 1_600_000_000_000_000_000


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache in which every file is kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "LEAST_BYTES", 1)
    return tmp_path / "cache" / "arrayse" / "files-v1"


@pytest.fixture
def corpus(tiny_corpus: Path, tmp_path: Path) -> Path:
    """A corpus of one's own that was recorded long ago."""
    folder = Path(shutil.copytree(tiny_corpus, tmp_path / "corpus"))
    for path in folder.rglob("*.wav"):
        os.utime(path, ns=(LONG_AGO, LONG_AGO))
    return folder


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """The files that were read from now on."""
    paths: list[Path] = []

    def note(path: Path) -> str:
        paths.append(path)
        return sha256_of(path)

    monkeypatch.setattr(module, "sha256_of", note)
    return paths


def load(corpus: Path, kind: str = "speech") -> Corpus:
    return load_corpus(str(corpus), kind, RATE)


def names(paths: list[Path]) -> list[str]:
    told = [path.name for path in paths]
    paths.clear()
    return told


def test_the_second_start_opens_no_file(corpus: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(corpus), load(corpus, "noise")
    assert len(names(read)) == 14 + 7
    monkeypatch.setattr(module, "audio_info", None)
    assert (load(corpus), load(corpus, "noise")) == first
    monkeypatch.chdir(corpus.parent)
    assert load(Path("corpus")).fingerprint() == first[0].fingerprint()
    assert read == []


def test_responses_of_rooms_are_kept_too(tmp_path: Path, read: list[Path]) -> None:
    for k in range(3):
        os.utime(tone(tmp_path / "rooms" / f"{k}.wav"), ns=(LONG_AGO, LONG_AGO))
    seen: list[tuple[int, int]] = []
    first = load_rooms(str(tmp_path / "rooms"), RATE, 1, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert len(names(read)) == 3
    assert load_rooms(str(tmp_path / "rooms"), RATE, 1) == first
    assert read == []


def test_what_has_another_size_time_or_place_is_read_again(corpus: Path, read: list[Path]) -> None:
    load(corpus)
    names(read)
    ann, bob, eve = (corpus / "speech" / f"{name}_0.wav" for name in ("ann", "bob", "eve"))
    os.utime(ann, ns=(LONG_AGO, LONG_AGO + 1))
    shutil.copy(corpus / "speech" / "bob_1.wav", bob)
    os.utime(bob, ns=(LONG_AGO, LONG_AGO))
    shutil.copy(corpus / "speech" / "eve_1.wav", eve)  # just now: it is read every time for a while
    digests = {file.path: file.sha256 for files in load(corpus).splits.values() for file in files}
    assert names(read) == [ann.name, bob.name, eve.name]
    assert digests == {path: sha256_of(path) for path in digests}
    load(corpus)
    assert names(read) == [eve.name]
    corpus.rename(corpus.parent / "moved")
    load(corpus.parent / "moved")
    assert len(names(read)) == 14


def test_an_error_keeps_what_was_read_and_files_that_are_gone_are_forgotten(
    corpus: Path, read: list[Path], cache: Path
) -> None:
    bad = corpus / "speech" / "cat_1.wav"
    whole = bad.read_bytes()
    bad.write_bytes(whole[:-10])
    with pytest.raises(ValueError, match="the file is truncated"):
        load(corpus)
    assert len(names(read)) == 5
    bad.write_bytes(whole)
    load(corpus)
    assert len(names(read)) == 14 - 5
    (kept,) = cache.iterdir()
    rows = (corpus / "MANIFEST.csv").read_text().splitlines(keepends=True)
    (corpus / "MANIFEST.csv").write_text("".join(row for row in rows if "ann_0" not in row))
    os.utime(bad, ns=(LONG_AGO, LONG_AGO))
    load(corpus)
    assert "ann_1" in kept.read_text()
    assert "ann_0" not in kept.read_text()


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: b"",
        lambda text: text[: len(text) // 2],
        lambda text: text.replace(b"16000", b"16001"),
        lambda text: b"0" + text[1:],
        lambda text: text.partition(b"\n")[2],
        lambda text: b"\xff\xfe" + text,
    ],
)
def test_a_damaged_cache_is_none(damage: object, corpus: Path, read: list[Path], cache: Path) -> None:
    first = load(corpus)
    names(read)
    (kept,) = cache.iterdir()
    kept.write_bytes(damage(kept.read_bytes()))  # type: ignore[operator]
    assert load(corpus) == first
    assert len(names(read)) == 14
    assert load(corpus) == first
    assert names(read) == []


def test_a_cache_that_cannot_be_written_is_none(corpus: Path, read: list[Path], cache: Path) -> None:
    cache.parent.parent.mkdir()
    cache.parent.write_text("a file in its place")
    assert load(corpus) == load(corpus)
    assert len(read) == 28


def test_many_at_once_leave_a_whole_cache(corpus: Path, read: list[Path], cache: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        loaded = list(pool.map(load, [corpus] * 16))
    assert all(one == loaded[0] for one in loaded)
    assert len(list(cache.iterdir())) == 1
    names(read)
    assert load(corpus) == loaded[0]
    assert read == []


def test_small_corpora_leave_nothing_behind(corpus: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_BYTES", LEAST_BYTES)
    load(corpus)
    assert not cache.exists()


def test_a_file_that_goes_is_told(corpus: Path) -> None:
    path = corpus / "speech" / "ann_0.wav"
    for _ in range(2):
        with known_files(corpus, "speech") as look:
            assert look(path) == (audio_info(path), sha256_of(path))
    path.unlink()
    with known_files(corpus, "speech") as look, pytest.raises(ValueError, match="expected an audio file, got none"):
        look(path)
