"""Excerpts: of one speaker or file, as long as asked, audible, and the same for the same seed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from arrayse.mixture import SPLITS, mean_power
from simulate.corpus import Corpus, CorpusFile, load_corpus
from simulate.excerpts import GAP_SECONDS, MIN_ACTIVE_POWER, draw_excerpt, read_excerpt
from tests.test_corpus import small_manifest, tone

RATE = 16000


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.sampled_from(SPLITS), st.integers(100, 5 * RATE), st.sampled_from(["speech", "noise"]))
def test_an_excerpt_is_one_speaker_or_file_and_sounds(
    tiny_corpus: Path, seed: int, split: str, n_samples: int, kind: str
) -> None:
    corpus = load_corpus(str(tiny_corpus), kind, RATE)
    excerpt = draw_excerpt(corpus, split, n_samples, np.random.default_rng(seed))
    wave = read_excerpt(excerpt, RATE, n_samples)
    assert wave.shape == (n_samples,)
    assert mean_power(wave) > MIN_ACTIVE_POWER
    paths = [Path(str(piece["path"])) for piece in excerpt.pieces]
    assert len(set(paths)) == len(paths)
    listed = {file.path: file for file in corpus.files(split)}
    assert {listed[path].group for path in paths} == {excerpt.group}
    for path, piece in zip(paths, excerpt.pieces, strict=True):
        assert piece["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert 0 < int(piece["n_samples"]) <= n_samples
        assert int(piece["start"]) + int(piece["n_samples"]) <= listed[path].n_samples
    assert kind == "speech" or len(paths) == 1
    again = draw_excerpt(corpus, split, n_samples, np.random.default_rng(seed))
    assert again == excerpt


def test_pieces_are_joined_with_pauses_and_repeated(tiny_corpus: Path) -> None:
    corpus = load_corpus(str(tiny_corpus), "speech", RATE)
    n_samples, gap = 6 * RATE, round(GAP_SECONDS * RATE)
    excerpt = draw_excerpt(corpus, "valid", n_samples, np.random.default_rng(0))
    assert len(excerpt.pieces) == 2  # all that the speaker says: 2.8 s
    waves = [soundfile.read(str(piece["path"]), dtype="float32")[0] for piece in excerpt.pieces]
    period = np.concatenate([waves[0], np.zeros(gap), waves[1], np.zeros(gap)])
    expected = np.concatenate([period] * 3)[:n_samples]
    assert np.array_equal(read_excerpt(excerpt, RATE, n_samples), expected)


def test_a_group_with_many_files_is_not_heard_more_often(tiny_corpus: Path) -> None:
    corpus = load_corpus(str(tiny_corpus), "noise", RATE)
    first, second, _ = corpus.files("train")
    crowd = [replace(first, group="crowd") for _ in range(9)]
    corpus = Corpus("a", "noise", {"train": [*crowd, second]}, RATE, False)
    rng = np.random.default_rng(0)
    drawn = [draw_excerpt(corpus, "train", 160, rng).group for _ in range(200)]
    assert 70 < drawn.count("crowd") < 130


def test_groups_may_be_left_out(tiny_corpus: Path) -> None:
    """The others come up as often as ever."""
    corpus = load_corpus(str(tiny_corpus), "speech", RATE)
    rng = np.random.default_rng(0)
    drawn = [draw_excerpt(corpus, "train", 160, rng, frozenset({"bob", "nobody"})).group for _ in range(200)]
    assert set(drawn) == {"ann", "cat"}
    assert 70 < drawn.count("ann") < 130
    with pytest.raises(ValueError, match=r"speech corpus .*: expected other speakers than dan, eve in split valid"):
        draw_excerpt(corpus, "valid", 160, rng, frozenset({"eve", "dan"}))
    noise = load_corpus(str(tiny_corpus), "noise", RATE)
    with pytest.raises(ValueError, match="expected other types of noise than hiss0, hiss1 in split test, got none"):
        draw_excerpt(noise, "test", 160, rng, frozenset({"hiss0", "hiss1"}))


def test_a_noise_takes_three_draws(tiny_corpus: Path) -> None:
    corpus = load_corpus(str(tiny_corpus), "noise", RATE)
    for seed in range(20):
        drawn, rng = draw_excerpt(corpus, "train", 1000, np.random.default_rng(seed)), np.random.default_rng(seed)
        file, _ = corpus.files("train")[rng.integers(3)], rng.integers(1)  # each file is a type of its own
        start = int(rng.integers(file.n_samples - 1000 + 1))
        assert drawn.pieces == [{"path": str(file.path), "sha256": file.sha256, "start": start, "n_samples": 1000}]


def test_a_draw_looks_at_the_files_of_its_group_only(tiny_corpus: Path) -> None:
    class Counted(list[CorpusFile]):
        n_read = 0

        def __iter__(self) -> Iterator[CorpusFile]:
            self.n_read += 1
            return super().__iter__()

    corpus = load_corpus(str(tiny_corpus), "speech", RATE)
    files = Counted(corpus.files("train"))
    corpus = replace(corpus, splits={**corpus.splits, "train": files})
    draw_excerpt(corpus, "train", 160, np.random.default_rng(0))
    once = files.n_read
    for seed in range(20):
        draw_excerpt(corpus, "train", 160, np.random.default_rng(seed))
    assert files.n_read == once > 0


def test_silence_is_passed_over_and_told_when_there_is_nothing_else(tmp_path: Path) -> None:
    tone(tmp_path / "silent.wav", level=0)
    rows = "silent.wav,train,noise,b,\n"
    corpus = load_corpus(str(small_manifest(tmp_path, rows)), "noise", RATE)
    with pytest.raises(ValueError, match=r"noise corpus .*: expected sound in split train, got silence .*silent\.wav"):
        draw_excerpt(corpus, "train", 1000, np.random.default_rng(0))
    tone(tmp_path / "loud.wav")
    corpus = load_corpus(str(small_manifest(tmp_path, rows + "loud.wav,train,noise,a,\n")), "noise", RATE)
    for seed in range(20):
        excerpt = draw_excerpt(corpus, "train", 1000, np.random.default_rng(seed))
        assert str(excerpt.pieces[0]["path"]).endswith("loud.wav")


def test_nan_is_told_when_it_is_drawn(tmp_path: Path) -> None:
    wave = np.ones(1000, dtype=np.float32)
    wave[10] = np.nan
    soundfile.write(tmp_path / "a.wav", wave, RATE, "FLOAT")
    corpus = load_corpus(str(tmp_path), "noise", RATE)
    with pytest.raises(ValueError, match=r"a\.wav: expected finite samples, got 1 NaN"):
        draw_excerpt(corpus, "train", 1000, np.random.default_rng(0))


def test_a_file_that_changes_is_read_anew(tmp_path: Path) -> None:
    path = tone(tmp_path / "a.wav")
    excerpt = draw_excerpt(load_corpus(str(tmp_path), "noise", RATE), "train", 1000, np.random.default_rng(0))
    before = read_excerpt(excerpt, RATE, 1000)
    soundfile.write(path, np.full(4000, 0.25), RATE, "PCM_16")
    assert not np.array_equal(read_excerpt(excerpt, RATE, 1000), before)
