"""What counts as a usable audio file, and what is said about every other one."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from arrayse import audio
from arrayse.audio import audio_info, check_rate, read_audio, write_audio

RATE = 16000


def noise(n_channels: int = 1, n_samples: int = 1000) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (n_channels, n_samples))


# --- reading and writing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "A.WAV"])
@pytest.mark.parametrize("n_channels", [1, 5])
def test_what_is_written_is_read(tmp_path: Path, name: str, n_channels: int) -> None:
    wave = noise(n_channels)
    write_audio(tmp_path / name, wave, RATE)
    info = audio_info(tmp_path / name)
    assert (info.sample_rate, info.n_channels, info.n_samples) == (RATE, n_channels, 1000)
    again = read_audio(tmp_path / name, RATE)
    assert again.dtype == np.float32
    assert again.shape == wave.shape
    assert np.abs(again - wave).max() < 1.5 / 32768  # half a step, and 32767 against 32768
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_one_channel_without_its_axis(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav", noise()[0], RATE)
    assert read_audio(tmp_path / "a.wav", RATE).shape == (1, 1000)


def test_a_part_is_a_slice(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav", noise(3), RATE)
    whole = read_audio(tmp_path / "a.wav", RATE)
    assert np.array_equal(read_audio(tmp_path / "a.wav", RATE, 100, 50), whole[:, 100:150])
    assert np.array_equal(read_audio(tmp_path / "a.wav", RATE, 999), whole[:, 999:])


@pytest.mark.parametrize(("start", "n_samples"), [(-1, 5), (0, 0), (0, 1001), (990, 11), (1000, None), (2000, 1)])
def test_a_part_that_is_not_there(tmp_path: Path, start: int, n_samples: int | None) -> None:
    write_audio(tmp_path / "a.wav", noise(), RATE)
    asked = rf"a\.wav: expected .*samples from number {start} on, got a file of 1000"
    with pytest.raises(ValueError, match=asked):
        read_audio(tmp_path / "a.wav", RATE, start, n_samples)


def test_full_scale_does_not_wrap(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav", np.array([1.0, -1.0]), RATE)
    assert np.abs(read_audio(tmp_path / "a.wav", RATE)[0] - [1, -1]).max() < 1e-4


@pytest.mark.parametrize(
    ("name", "wave", "message"),
    [
        ("a.wav", np.array([0.0, 1.01]), r"expected samples within \[-1, 1\], got a peak of 1\.01"),
        ("a.wav", np.array([np.nan, 0.0, np.inf]), r"expected finite samples, got 2 NaN or infinite ones"),
        ("a.wav", np.zeros((5, 0)), r"expected samples to write, got an array of shape \(5, 0\)"),
        ("a.mp3", np.zeros(5), r"expected a name ending in \.wav or \.flac, got \.mp3"),
        ("a", np.zeros(5), r"expected a name ending in \.wav or \.flac, got no ending"),
    ],
)
def test_what_is_not_written(tmp_path: Path, name: str, wave: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=rf"{name}: {message}"):
        write_audio(tmp_path / name, wave, RATE)
    assert list(tmp_path.iterdir()) == []


# --- bad files ----------------------------------------------------------------------------------------------


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "a.wav", tmp_path):
        with pytest.raises(ValueError, match="expected an audio file, got none there"):
            audio_info(path)


def test_empty_files(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    with pytest.raises(ValueError, match=r"a\.wav: expected audio, got an empty file"):
        audio_info(tmp_path / "a.wav")
    soundfile.write(tmp_path / "b.wav", np.zeros(0), RATE)
    with pytest.raises(ValueError, match=r"b\.wav: expected audio, got no samples"):
        audio_info(tmp_path / "b.wav")


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.raw", "a"])
def test_not_audio(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("hello, this is text\n" * 50)
    with pytest.raises(ValueError, match=f"{name}: expected an audio file, got ") as error:
        audio_info(tmp_path / name)
    assert "\n" not in str(error.value)
    assert str(error.value).count(str(tmp_path / name)) == 1


def test_another_rate(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav", noise(), 44100)
    with pytest.raises(ValueError, match=r"a\.wav: expected 16000 Hz, got 44100 Hz: resample it first"):
        read_audio(tmp_path / "a.wav", RATE)
    check_rate(RATE, RATE, "wave")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers(tmp_path: Path, bad: float) -> None:
    wave = noise()[0]
    wave[500] = bad
    soundfile.write(tmp_path / "a.wav", wave, RATE, "FLOAT")
    with pytest.raises(ValueError, match=r"a\.wav: expected finite samples, got 1 NaN"):
        read_audio(tmp_path / "a.wav", RATE)


def test_float_files_keep_their_level(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", 3 * noise()[0], RATE, "FLOAT")
    assert np.array_equal(read_audio(tmp_path / "a.wav", RATE), np.float32(3 * noise()))


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "FLAC"])
@pytest.mark.parametrize("kept", [0.2, 0.5, 0.99])
def test_a_truncated_file(tmp_path: Path, kind: str, kept: float) -> None:
    path = tmp_path / f"a.{kind.lower()}"
    soundfile.write(path, noise(n_samples=20000).T, RATE, "PCM_16", format=kind)
    content = path.read_bytes()
    read_audio(path, RATE)
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ValueError, match=f"{path.name}: expected "):
        read_audio(path, RATE)


def test_a_stream_of_unknown_length_is_no_truncated_file(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise().T, RATE, "PCM_16")
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"  # what a program writes into a pipe
    (tmp_path / "a.wav").write_bytes(content)
    assert read_audio(tmp_path / "a.wav", RATE).shape == (1, 1000)


def test_chunks_around_the_samples_are_passed_over(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise().T, RATE, "PCM_16")
    content = (tmp_path / "a.wav").read_bytes()
    chunk = b"LIST" + (5).to_bytes(4, "little") + b"hello\0"
    (tmp_path / "a.wav").write_bytes(content[:36] + chunk + content[36:] + chunk)
    assert read_audio(tmp_path / "a.wav", RATE).shape == (1, 1000)
    (tmp_path / "a.wav").write_bytes(content[:36] + chunk + content[36:-2])
    with pytest.raises(ValueError, match="expected 2000 bytes of samples, got 1998: the file is truncated"):
        read_audio(tmp_path / "a.wav", RATE)


def test_a_file_that_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio, "MAX_SAMPLES", 99_999)
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros((50_000, 2)), RATE, "PCM_16", format="FLAC")
    (tmp_path / "a.flac").write_bytes(buffer.getvalue())
    assert len(buffer.getvalue()) < 2000
    with pytest.raises(ValueError, match="expected at most 99999 samples to read at once, got 50000 frames x 2"):
        read_audio(tmp_path / "a.flac", RATE)
    assert read_audio(tmp_path / "a.flac", RATE, 0, 10).shape == (2, 10)
