"""The built-in corpus: a manifest, disjoint splits, speech at the right level, the same bytes every time."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from simulate import synthetic
from simulate.corpus import load_corpus
from simulate.espeak_worker import SENTENCES, VOICES, Voice
from simulate.synthetic import active_power, builtin_corpus, clean_speech
from simulate.synthetic_noise import NOISE_TYPES, SAMPLE_RATE, long_term_spectrum

needs_espeak = pytest.mark.skipif(
    importlib.util.find_spec("espeakng_loader") is None, reason="needs the extra demo (espeakng_loader)"
)
TONE_HZ = {"train": 500.0, "valid": 1000.0, "test": 2000.0}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return builtin_corpus(tmp_path_factory.mktemp("cache") / "small", "small")


@pytest.fixture
def toned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Voices that are tones, another for each split: no library is needed, a leak between splits shows."""

    def speak(voice: Voice, texts: list[str]) -> list[np.ndarray]:
        split = next(split for split, voices in VOICES.items() if voice in voices)
        wave = 0.05 * np.sin(2 * np.pi * TONE_HZ[split] * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
        return [wave for _ in texts]

    monkeypatch.setattr(synthetic, "_speak", speak)
    monkeypatch.setattr(synthetic.importlib.util, "find_spec", lambda name: object())


@pytest.fixture
def unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A corpus without files, for what concerns only the folder."""
    monkeypatch.setattr(synthetic, "_render", lambda folder, size: None)
    monkeypatch.setattr(synthetic.importlib.util, "find_spec", lambda name: object())


def manifest(folder: Path) -> list[dict[str, str]]:
    with open(folder / "MANIFEST.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def hashes(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def read(folder: Path, row: dict[str, str]) -> np.ndarray:
    wave, sample_rate = soundfile.read(folder / row["path"])
    assert sample_rate == SAMPLE_RATE
    return wave


def decibels(power: float) -> float:
    return 10 * np.log10(power)


def shape(wave: np.ndarray) -> np.ndarray:
    """Long-term spectrum in dB over 24 bands of 250 Hz up to 6 kHz, without the level."""
    bands = decibels(long_term_spectrum(wave)[:192].reshape(24, 8).mean(axis=1))
    return bands - bands.mean()


def pitch_hz(wave: np.ndarray) -> float:
    """Median over loud frames of 40 ms of the lag (60 to 400 Hz) where the autocorrelation peaks."""
    frames = np.lib.stride_tricks.sliding_window_view(wave, 640)[::160] * np.hanning(640)
    frames = frames[np.mean(frames**2, axis=1) > np.mean(frames**2)]
    correlation = np.fft.irfft(np.abs(np.fft.rfft(frames, 2048)) ** 2)[:, :640]
    window = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(640), 2048)) ** 2)[:640]
    lags = 40 + np.argmax((correlation / window)[:, 40:267], axis=1)
    return float(SAMPLE_RATE / np.median(lags))


# the tables


def test_voices_and_sentences_are_many_and_shared_by_no_two_splits() -> None:
    voices = [voice for split in VOICES.values() for voice in split]
    assert len(voices) >= 20
    assert len({voice.name for voice in voices}) == len({voice.variant for voice in voices}) == len(voices)
    texts = [text for split in SENTENCES.values() for text in split.splitlines()]
    assert len(set(texts)) == len(texts) >= 60
    for size in synthetic.SIZES.values():
        for split, n_voices, n_utterances in zip(VOICES, size.n_voices, size.n_utterances, strict=True):
            assert n_voices <= len(VOICES[split])
            assert n_utterances <= len(SENTENCES[split].splitlines())
    assert synthetic.SIZES["full"].n_voices == tuple(len(split) for split in VOICES.values())


# the corpus with real voices


@needs_espeak
def test_manifest_names_every_file_and_no_other(corpus: Path) -> None:
    rows = manifest(corpus)
    assert tuple(rows[0]) == synthetic.COLUMNS
    assert {row["path"] for row in rows} == {str(path.relative_to(corpus)) for path in corpus.rglob("*.flac")}
    for row in rows:
        assert (corpus / row["path"]).resolve().is_relative_to(corpus.resolve())
        assert row["license"] == "synthetic"
        assert row["source"].startswith("built-in: ")
    assert len({row["speaker_or_type"] for row in rows if row["kind"] == "speech"}) >= 12


@needs_espeak
def test_splits_share_no_speaker_and_no_content(corpus: Path) -> None:
    rows = manifest(corpus)
    speakers = {(row["speaker_or_type"], row["split"]) for row in rows if row["kind"] == "speech"}
    assert len(speakers) == len({name for name, _ in speakers})
    assert len({hashlib.sha256((corpus / row["path"]).read_bytes()).digest() for row in rows}) == len(rows)
    for split in VOICES:
        types = {row["speaker_or_type"] for row in rows if row["split"] == split and row["kind"] == "noise"}
        assert types == set(NOISE_TYPES)


@needs_espeak
def test_audio_is_mono_finite_unclipped_and_at_the_level(corpus: Path) -> None:
    for row in manifest(corpus):
        wave = read(corpus, row)
        assert wave.ndim == int(row["channels"]) == 1
        assert float(row["seconds"]) == pytest.approx(len(wave) / SAMPLE_RATE, abs=1e-3)
        assert np.isfinite(wave).all()
        assert np.abs(wave).max() < 0.9
        power = active_power(wave) if row["kind"] == "speech" else float(np.mean(wave**2))
        assert decibels(power) == pytest.approx(-26, abs=0.05)


@needs_espeak
def test_speech_is_speech(corpus: Path) -> None:
    for row in manifest(corpus):
        if row["kind"] != "speech":
            continue
        wave = read(corpus, row)
        assert 3 < len(wave) / SAMPLE_RATE < 7.5
        assert 60 < pitch_hz(wave) < 300
        ends = [np.mean(end**2) for end in (wave[:1600], wave[-1600:])]
        assert min(ends) > 1e-6 * active_power(wave)  # no silence left at either end
        frames = wave[: len(wave) // 320 * 320].reshape(-1, 320)
        level = decibels(np.mean(frames**2, axis=1) + 1e-7)
        # Syllables: the level of 20 ms frames moves by many dB, most of it slower than 10 changes a second.
        assert level.std() > 6
        motion = np.abs(np.fft.rfft(level - level.mean())) ** 2
        hertz = np.fft.rfftfreq(len(level), 0.02)
        assert motion[(hertz > 1) & (hertz < 10)].sum() > 0.5 * motion.sum()


@needs_espeak
def test_voices_are_told_apart_by_pitch_and_spectrum(corpus: Path) -> None:
    rows = [row for row in manifest(corpus) if row["kind"] == "speech"]
    waves = [read(corpus, row) for row in rows]
    names = [row["speaker_or_type"] for row in rows]
    traits = [np.append(shape(wave), 36 * np.log2(pitch_hz(wave) / 100)) for wave in waves]
    distance = np.array([[np.linalg.norm(one - other) for other in traits] for one in traits])
    np.fill_diagonal(distance, np.inf)
    found = [names[nearest] == name for nearest, name in zip(distance.argmin(axis=1), names, strict=True)]
    assert np.mean(found) > 0.9  # one in twelve by chance


@needs_espeak
def test_same_bytes_from_two_processes_at_once(corpus: Path, tmp_path: Path) -> None:
    target = tmp_path / "both"
    code = "import pathlib, sys, simulate.synthetic as s; s.builtin_corpus(pathlib.Path(sys.argv[1]), 'small')"
    command = [sys.executable, "-c", code, str(target)]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    errors = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    assert hashes(target) == hashes(corpus)
    assert list(tmp_path.iterdir()) == [target]


@needs_espeak
def test_the_ordinary_reader_reads_it_and_calls_it_synthetic(corpus: Path) -> None:
    speech = load_corpus(str(corpus), "speech", SAMPLE_RATE)
    assert speech.synthetic
    assert {split: len(files) for split, files in speech.splits.items()} == {
        "train": 12,
        "valid": 6,
        "test": 6,
    }
    assert len(load_corpus(str(corpus), "noise", SAMPLE_RATE).splits["test"]) == len(NOISE_TYPES)


@needs_espeak
def test_second_call_renders_nothing_and_needs_no_library(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.stat().st_mtime_ns for path in corpus.rglob("*")}
    monkeypatch.setattr(synthetic.importlib.util, "find_spec", lambda name: None)
    assert builtin_corpus(corpus, "small") == corpus
    assert {path: path.stat().st_mtime_ns for path in corpus.rglob("*")} == before


@needs_espeak
def test_the_library_stays_out_of_our_process(corpus: Path) -> None:
    assert (corpus / "MANIFEST.csv").is_file()
    assert "espeakng_loader" not in sys.modules
    if Path("/proc/self/maps").exists():
        assert "espeak-ng" not in Path("/proc/self/maps").read_text()


@needs_espeak
@pytest.mark.parametrize(
    ("voice", "said"),
    [(Voice("en-us", "nobody", 50, 50, 165), "nobody"), (Voice("xx", "m1", 50, 50, 165), "xx")],
)
def test_a_voice_that_fails_is_named_and_leaves_nothing(
    voice: Voice, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(synthetic.VOICES, "train", (voice,))
    with pytest.raises(ValueError, match=f"built-in voice {voice.name}: expected speech, got exit status 1: .*{said}"):
        builtin_corpus(tmp_path / "corpus", "small")
    assert list(tmp_path.iterdir()) == []


def test_cleaning_cuts_silence_at_the_ends_only_and_changes_the_rate() -> None:
    """A tone of 300 Hz with a weak onset (-40 dB) and a pause, at 22.05 kHz, in silence and faint hiss."""
    tone = 0.4 * np.sin(2 * np.pi * 300 * np.arange(22050) / 22050)
    hiss = 1e-4 * np.random.default_rng(9).standard_normal(11025)
    parts = [np.zeros(22050), 0.01 * tone[:6615], tone, hiss, tone, hiss]
    speech = clean_speech(np.concatenate(parts), 22050)
    assert len(speech) / SAMPLE_RATE == pytest.approx(2.8, abs=0.07)
    assert np.argmax(long_term_spectrum(speech, 4096)) * SAMPLE_RATE / 4096 == pytest.approx(300, abs=4)
    loud = speech[8000:20000]  # onset and pause do not count for the level
    assert decibels(np.mean(loud**2)) == pytest.approx(-26, abs=0.2)


# without the library


def test_missing_package_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic.importlib.util, "find_spec", lambda name: None)
    expected = r"^built-in voices: expected the package espeakng_loader, got none: install arrayse\[demo\]$"
    with pytest.raises(ValueError, match=expected):
        builtin_corpus(tmp_path / "corpus", "small")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("toned")
def test_noise_of_a_split_is_made_from_its_own_voices(tmp_path: Path) -> None:
    folder = builtin_corpus(tmp_path / "corpus", "small")
    for row in manifest(folder):
        if row["speaker_or_type"] in {"babble", "speech_shaped"}:
            power = long_term_spectrum(read(folder, row))
            hertz = np.linspace(0, SAMPLE_RATE / 2, len(power))
            tone = TONE_HZ[row["split"]]
            inside = (hertz > tone / 1.4) & (hertz < tone * 1.4)
            assert power[inside].sum() > 0.99 * power.sum(), row["path"]


@pytest.mark.usefixtures("unrendered")
def test_default_folder_carries_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert builtin_corpus(size="small") == tmp_path / "arrayse" / "builtin-v1-small"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert builtin_corpus(size="small") == tmp_path / "home" / ".cache" / "arrayse" / "builtin-v1-small"


@pytest.mark.usefixtures("unrendered")
def test_another_recipe_or_a_folder_of_someone_else_is_refused(tmp_path: Path) -> None:
    folder = builtin_corpus(tmp_path / "corpus", "small")
    with pytest.raises(ValueError, match=r"expected builtin-v1 or nothing .* got builtin-v1-small"):
        builtin_corpus(folder)
    other = tmp_path / "mine"
    other.mkdir()
    builtin_corpus(other, "small")  # an empty folder is taken
    (tmp_path / "notes.txt").write_text("mine")
    for occupied in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(ValueError, match=r"expected builtin-v1-small or nothing .* got no RECIPE"):
            builtin_corpus(occupied, "small")
    with pytest.raises(ValueError, match="size: expected one of full, small, got huge"):
        builtin_corpus(tmp_path / "huge", "huge")  # type: ignore[arg-type]


@pytest.mark.parametrize("samples", [np.zeros(22050), np.zeros(0), np.ones(10)])
def test_cleaning_tells_of_silence(samples: np.ndarray) -> None:
    with pytest.raises(ValueError, match=f"speech: expected sound, got {len(samples)} samples of silence"):
        clean_speech(samples, 22050)
