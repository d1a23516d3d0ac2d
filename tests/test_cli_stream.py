"""The command stream as people meet it: files block by block, live sound with a fake device."""

from __future__ import annotations

import io
import itertools
import re
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from rich.console import Console

from arrayse.audio import write_audio
from arrayse.checkpoint import load_enhancer, save_description, save_weights
from arrayse.cli.stream import _meters
from arrayse.stream import Streamer
from arrayse.stream.live import Reading
from tests.fake_sound import FakeSound
from tests.test_cli import arrayse, fails
from tests.test_stream import RATE, noise
from tests.tiny import network, network_description
from tests.tiny_runs import saved

N_SAMPLES = 3001


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved("ft_jnf", tmp_path_factory.mktemp("runs") / "student")


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    write_audio(tmp_path / "in.wav", noise(N_SAMPLES), RATE)
    return tmp_path / "in.wav"


def steps(path: Path) -> np.ndarray:
    """Samples as they stand in a 16-bit file."""
    return soundfile.read(path, dtype="int16")[0].astype(int)


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


# --- files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "blocks"),
    [
        ([], "blocks of 16 samples, latency 3 ms"),
        (["block=1"], "blocks of 1 samples, latency 3 ms"),
        (["block=4"], "blocks of 4 samples, latency 3 ms"),
        (["block=100"], "blocks of 100 samples, latency 9 ms"),
        (["block=9999"], "blocks of 9999 samples, latency 627.875 ms"),
    ],
)
def test_a_stream_is_what_enhance_makes(
    arguments: list[str],
    blocks: str,
    run: Path,
    recording: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = recording.parent / "sub" / "out.wav"
    assert arrayse(monkeypatch, "stream", str(run), str(recording), str(out), *arguments) == 0
    output = told(capsys)
    assert blocks + " (taken off), 0 muted blocks" in output
    assert re.search(r"real-time factor [\d.e-]+ \(wall time, one thread\), ", output)
    assert soundfile.info(out).subtype == "PCM_16"
    expected = load_enhancer(run).enhance(soundfile.read(recording, dtype="float32")[0].T, RATE)
    assert len(steps(out)) == N_SAMPLES
    assert np.abs(steps(out) - expected * 2**15).max() <= 1.01
    assert np.abs(steps(out)).max() > 100


def test_a_gain_and_flac(
    run: Path, recording: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = ["stream", str(run), str(recording)]
    plain, quiet, loud = (recording.parent / name for name in ("plain.flac", "quiet.flac", "loud.flac"))
    assert arrayse(monkeypatch, *stream, str(plain)) == arrayse(monkeypatch, *stream, str(quiet), "gain_db=-20") == 0
    assert np.abs(steps(plain) / 10 - steps(quiet)).max() <= 1
    fails(monkeypatch, capsys, "dB above: gain_db=", *stream, str(loud), "gain_db=60")
    assert not loud.exists()


@pytest.mark.parametrize("block", [16, 9999])
def test_the_real_time_factor_counts_the_zeros_that_fill_the_last_block(
    block: int, run: Path, recording: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By a clock that every push takes a second of."""
    clock = SimpleNamespace(perf_counter=itertools.count().__next__)
    monkeypatch.setattr("arrayse.verbs.stream.time", clock)
    out = str(recording.parent / "out.wav")
    assert arrayse(monkeypatch, "stream", str(run), str(recording), out, f"block={block}") == 0
    assert f"real-time factor {RATE / block:.3g} " in told(capsys)


def test_a_file_is_never_read_whole(run: Path, recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, asked = soundfile.SoundFile.read, []

    def watched(self: Any, frames: int = -1, *arguments: Any, **options: Any) -> Any:
        asked.append(frames)
        return read(self, frames, *arguments, **options)

    monkeypatch.setattr(soundfile.SoundFile, "read", watched)
    assert arrayse(monkeypatch, "stream", str(run), str(recording), str(recording.parent / "o.wav"), "block=50") == 0
    assert asked == [50] * 61


def test_bad_samples_are_muted_and_counted(
    run: Path, recording: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wave, out = noise(N_SAMPLES), recording.parent / "out.wav"
    wave[0, 100], wave[4, 2000] = np.nan, np.inf
    soundfile.write(recording, wave.T, RATE, "FLOAT")
    assert arrayse(monkeypatch, "stream", str(run), str(recording), str(out)) == 0
    assert " 2 muted blocks" in told(capsys)
    wave[:, 96:112] = wave[:, 2000:2016] = 0
    assert np.abs(steps(out) - load_enhancer(run).enhance(wave, RATE) * 2**15).max() <= 1.01


def test_only_the_microphones_that_are_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_description(tmp_path / "run", network_description("ft_jnf", [3, 1], 1))
    save_weights(tmp_path / "run", network("ft_jnf", [3, 1], 1))
    for name, wave in (("all", noise(500)), ("heard", noise(500)[[3, 1]])):
        write_audio(tmp_path / f"{name}.wav", wave, RATE)
        stream = ["stream", str(tmp_path / "run"), str(tmp_path / f"{name}.wav"), str(tmp_path / f"{name}_out.wav")]
        assert arrayse(monkeypatch, *stream) == 0
    np.testing.assert_array_equal(steps(tmp_path / "all_out.wav"), steps(tmp_path / "heard_out.wav"))


def test_what_cannot_be_streamed_is_told(
    run: Path, recording: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = recording.parent
    monkeypatch.chdir(folder)
    write_audio(folder / "rate.wav", noise(99), 8000)
    write_audio(folder / "mono.wav", noise(99)[0], RATE)
    write_audio(folder / "silent.wav", 0 * noise(99), RATE)
    soundfile.write(folder / "empty.wav", noise(0).T, RATE)
    soundfile.write(folder / "nan.wav", np.nan * noise(99).T, RATE, subtype="FLOAT")
    (folder / "cut.wav").write_bytes(recording.read_bytes()[:5000])
    (folder / "text.wav").write_text("no audio")
    both_ways = saved("ft_jnf both ways", folder / "both_ways")
    before = sorted(folder.rglob("*"))
    for expected, arguments in [
        ("rate.wav: expected 16000 Hz, got 8000 Hz", [run, "rate.wav", "out.wav"]),
        ("mono.wav: expected 5 channels for the array circular, got 1", [run, "mono.wav", "out.wav"]),
        ("silent.wav: expected sound, got silence", [run, "silent.wav", "out.wav"]),
        ("nan.wav: expected sound, got silence", [run, "nan.wav", "out.wav"]),
        ("empty.wav: expected audio, got no samples", [run, "empty.wav", "out.wav"]),
        ("cut.wav: expected 30010 bytes of samples, got ", [run, "cut.wav", "out.wav"]),
        ("text.wav: expected an audio file, got ", [run, "text.wav", "out.wav"]),
        ("none.wav: expected an audio file, got none there", [run, "none.wav", "out.wav"]),
        ("in.wav: expected another file than the recording", [run, "in.wav", "in.wav"]),
        ("out.mp3: expected a name ending in .wav or .flac, got .mp3", [run, "in.wav", "out.mp3"]),
        ("destination: expected a name for the result, got none", [run, "in.wav"]),
        ("blok: expected a known key, got an unknown one: did you mean block?", [run, "in.wav", "out.wav", "blok=3"]),
        ("block: expected a value greater than or equal to 1, got 0", [run, "in.wav", "out.wav", "block=0"]),
        ("input: expected a known key", [run, "in.wav", "out.wav", "input=3"]),
        ("backend: expected one of torch, onnx, got tflite", [run, "in.wav", "out.wav", "backend=tflite"]),
        ("stream: expected a causal network", [both_ways, "in.wav", "out.wav"]),
        ("got nowhere without model.json", ["nowhere", "in.wav", "out.wav"]),
        ("backend: expected onnx for an exported file, got torch for a.onnx", ["a.onnx", "i", "o", "backend=torch"]),
        ("expected a file ending in .onnx for onnx, got ", [run, "in.wav", "out.wav", "backend=onnx"]),
        ("student.onnx makes one", [run, "in.wav", "out.wav", "backend=onnx"]),
    ]:
        fails(monkeypatch, capsys, expected, "stream", *map(str, arguments))
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("form", ["frame", "wave"])
def test_an_exported_network_streams_as_the_run_does(
    form: str, run: Path, recording: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    wave = noise(N_SAMPLES)
    wave[0, 100] = np.nan
    soundfile.write(recording, wave.T, RATE, "FLOAT")
    folder, told_of = recording.parent, []
    exported = folder / "student.onnx"
    assert arrayse(monkeypatch, "export", str(run), str(exported), f"form={form}") == 0
    for each, out in ((run, "torch.wav"), (exported, "onnx.wav")):
        capsys.readouterr()
        assert arrayse(monkeypatch, "stream", str(each), str(recording), str(folder / out), "block=40") == 0
        told_of.append(told(capsys).partition("blocks of")[2].partition("enhanced")[0])
    assert told_of[0] == told_of[1] == " 40 samples, latency 5 ms (taken off), 1 muted blocks "
    assert np.abs(steps(folder / "torch.wav") - steps(folder / "onnx.wav")).max() <= 1


def test_an_interrupted_stream_leaves_nothing(
    run: Path, recording: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read, count = soundfile.SoundFile.read, 0

    def interrupted(self: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal count
        count += 1
        if count == 20:
            signal.raise_signal(signal.SIGINT)
        return read(self, *arguments, **options)

    monkeypatch.setattr(soundfile.SoundFile, "read", interrupted)
    assert arrayse(monkeypatch, "stream", str(run), str(recording), str(recording.parent / "out.wav")) == 130
    assert list(recording.parent.iterdir()) == [recording]


# --- live ---------------------------------------------------------------------------------------------------


def test_live_sound_ends_with_a_summary(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wave = noise(16 * 100)
    wave[0, 100] = np.nan
    sound = FakeSound(wave, {3: "input_overflow"})
    monkeypatch.setattr("arrayse.stream.live.load_sound", lambda: sound)
    assert arrayse(monkeypatch, "stream", str(run), "live", "input=array", "output=1", "seconds=0.1") == 0
    output = told(capsys)
    assert "5 channels of USB Array → Speaker, blocks of 16 samples, latency 3 ms" in output
    assert "latency of the devices, as they say: 8 ms in, 10 ms out" in output
    assert re.search(r"0\.1 s, load \d+% \(worst block \d+%\), 1 dropped blocks, 1 muted", output)
    assert (sound.opened["blocksize"], len(sound.played)) == (16, 100)


def test_ctrl_c_is_the_usual_end_of_live_sound(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = FakeSound(noise(4 * 10), then=lambda: signal.raise_signal(signal.SIGINT))
    monkeypatch.setattr("arrayse.stream.live.load_sound", lambda: sound)
    assert arrayse(monkeypatch, "stream", str(run), "live", "input=2", "block=4", "gain_db=-3") == 0
    captured = capsys.readouterr()
    assert "0 dropped blocks, 0 muted" in captured.out
    assert captured.err == ""


def test_an_error_of_live_sound_is_told_after_ctrl_c_too(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(self: Streamer, block: np.ndarray) -> np.ndarray:
        raise RuntimeError("the network broke")

    sound = FakeSound(noise(16), then=lambda: signal.raise_signal(signal.SIGINT))
    monkeypatch.setattr("arrayse.stream.live.load_sound", lambda: sound)
    monkeypatch.setattr(Streamer, "push", broken)
    assert arrayse(monkeypatch, "stream", str(run), "live", "input=2") == 1
    assert capsys.readouterr().err == "error the network broke\n"


def test_meters_are_drawn() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(_meters(Reading(1, -15, -120, 0.25, 1.5, 2, 3)))
    lines = console.export_text().splitlines()
    assert lines[0].count("█") == 30
    assert "-15.0 dBFS" in lines[0]
    assert lines[1].count("█") == 0
    assert "silent" in lines[1]
    assert "load 25% (worst block 150%), 2 dropped blocks, 3 muted" in lines[2]


def test_devices_are_listed(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("arrayse.stream.live.load_sound", lambda: FakeSound(noise(0)))
    assert arrayse(monkeypatch, "stream", str(run), "live", "devices=true") == 0
    assert "2 USB Array 8 1" in told(capsys)


def test_what_cannot_go_live_is_told(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("arrayse.stream.live.load_sound", lambda: FakeSound(noise(0), refuses="Invalid sample rate"))
    for expected, arguments in [
        ("input: expected one of 0 Built-in Microphone (2 channels), 2 USB Array", ["input=foo"]),
        ("output: expected one of 1 Speaker (2 channels), 2 USB Array (1 channels)", ["output=foo"]),
        ("input: Built-in Microphone: expected 5 channels for the array circular, got 2", []),
        ("at 16000 Hz, got Invalid sample rate", ["input=2"]),
        ("secnds: expected a known key, got an unknown one: did you mean seconds?", ["secnds=3"]),
        ("seconds: expected a value greater than 0, got 0", ["seconds=0"]),
        ("expected a YAML file or a named config, got out.wav", ["out.wav"]),
    ]:
        fails(monkeypatch, capsys, expected, "stream", str(run), "live", *arguments)


def test_help_teaches(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert arrayse(monkeypatch, "stream", "--help") == 0
    assert "arrayse stream runs/student in.wav out.wav" in told(capsys)
