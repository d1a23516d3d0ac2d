"""The command line as people meet it: help, exit codes, one-line errors, nothing half-written."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file

from arrayse.cli import main
from arrayse.files import read_json, write_json
from arrayse.mixture import open_dataset
from tests.test_evaluate import make_run
from tests.tiny_scenes import hashes


def arrayse(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Exit code of a command."""
    monkeypatch.setattr(sys, "argv", ["arrayse", *arguments])
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)  # which a signal silences
    before = signal.getsignal(signal.SIGTERM)
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], expected: str, *arguments: str) -> None:
    code = arrayse(monkeypatch, *arguments)
    told = capsys.readouterr().err
    assert code == 2, told
    assert expected in told
    assert "Traceback" not in told


def test_bad_commands(
    tmp_path: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    out, data = "out=o", f"data={tiny_dataset}"
    cases = [
        ("did you mean simulate/office?", ["simulate", "offise", out]),
        ("no such file", ["simulate", "office", out, "speech=nowhere"]),
        ("expected a value, got none: set out=FOLDER", ["simulate", "office"]),
        ("simulate wrote, got nowhere: no such folder", ["train", "teacher", "data=nowhere", out]),
        ("did you mean ft_jnf?", ["train", "teacher", data, out, "model.name=ftjnf"]),
        (
            "mics: expected distinct channel numbers from 0 to 4, got [7]",
            ["train", "teacher", data, out, "mics=[7]"],
        ),
        (
            "error fit.batch_size: expected at most 6 (the scenes), got 64",
            ["train", "teacher", data, out, "fit.batch_size=64"],
        ),
        ("got nowhere: no such folder", ["distill", "student", "lin_one_step", "teacher=nowhere", data, out]),
        ("runs: expected run folders", ["evaluate", data, out]),
        ("did you mean array/glasses?", ["array", "show", "glases"]),
        ("expected summary.json", ["report", str(tmp_path)]),
        ("simulate wrote, got nowhere: no such folder", ["verify", "nowhere"]),
        ("got . without dataset.json", ["verify", "."]),
        ("workers: expected a value greater than or equal to 1, got 0", ["verify", str(tiny_dataset), "workers=0"]),
        ("got nowhere without model.json", ["enhance", "nowhere", "in.wav", "out.wav"]),
    ]
    for expected, arguments in cases:
        fails(monkeypatch, capsys, expected, *arguments)
    assert not list(tmp_path.iterdir())


def test_teacher_and_student_on_other_transforms(
    tmp_path: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher = make_run(tmp_path / "teacher", open_dataset(tiny_dataset).geometry)
    arguments = ["student", "lin_one_step", f"teacher={teacher}", f"data={tiny_dataset}", f"out={tmp_path / 'student'}"]
    expected = "error distill.terms.lin.pairs: expected stft.hop_length 256 as the teacher has, got 128"
    fails(monkeypatch, capsys, expected, "distill", *arguments, "stft.hop_length=128")
    assert not (tmp_path / "student").exists()


def test_enhance_checks_what_it_is_given(
    tmp_path: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run", open_dataset(tiny_dataset).geometry)
    rng, good, out = np.random.default_rng(0), tmp_path / "good.wav", tmp_path / "out.wav"
    wave = 0.1 * rng.standard_normal((8000, 5))
    soundfile.write(good, wave, 16000)
    soundfile.write(tmp_path / "rate.wav", wave, 8000)
    soundfile.write(tmp_path / "mono.wav", wave[:, 0], 16000)
    soundfile.write(tmp_path / "empty.wav", wave[:0], 16000)
    soundfile.write(tmp_path / "silent.wav", 0 * wave, 16000)
    wave[3, 2] = np.nan
    soundfile.write(tmp_path / "nan.wav", wave, 16000, "FLOAT")
    (tmp_path / "text.wav").write_text("no audio")
    for name, expected in {
        "rate.wav": "expected 16000 Hz, got 8000 Hz",
        "mono.wav": "expected 5 channels for the array circular, got 1",
        "empty.wav": "got no samples",
        "nan.wav": "expected finite samples, got 1 NaN",
        "silent.wav": "expected sound, got silence",
        "text.wav": "expected an audio file, got",
        "missing.wav": "expected an audio file, got none there",
    }.items():
        fails(monkeypatch, capsys, expected, "enhance", str(run), str(tmp_path / name), str(out))
        assert not out.exists()
    assert arrayse(monkeypatch, "enhance", str(run), str(good), str(out)) == 0
    assert soundfile.info(out).frames == 8000


def test_an_estimate_that_is_no_sound_is_not_written(
    tmp_path: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, recording = make_run(tmp_path / "run", open_dataset(tiny_dataset).geometry), tmp_path / "in.wav"
    weights = load_file(run / "model.safetensors")
    next(iter(weights.values())).view(-1)[0] = torch.nan
    save_file(weights, run / "model.safetensors")
    soundfile.write(recording, 0.1 * np.random.default_rng(0).standard_normal((4000, 5)), 16000)
    told = f"estimate for {tmp_path / 'out.wav'}: expected finite samples, got 4000 NaN or infinite ones"
    fails(monkeypatch, capsys, told, "enhance", str(run), str(recording), str(tmp_path / "out.wav"))
    assert not (tmp_path / "out.wav").exists()


def test_enhance_does_not_overwrite_the_recording(
    tmp_path: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, recording = make_run(tmp_path / "run", open_dataset(tiny_dataset).geometry), tmp_path / "in.wav"
    soundfile.write(recording, 0.1 * np.random.default_rng(0).standard_normal((4000, 5)), 16000)
    before = recording.read_bytes()
    fails(monkeypatch, capsys, "expected another file", "enhance", str(run), str(recording), str(recording))
    assert recording.read_bytes() == before


def test_a_result_that_would_clip_is_refused_and_a_gain_helps(
    tmp_path: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, recording = make_run(tmp_path / "run", open_dataset(tiny_dataset).geometry), tmp_path / "in.wav"
    soundfile.write(recording, 0.1 * np.random.default_rng(0).standard_normal((4000, 5)), 16000)
    out = tmp_path / "out.wav"
    fails(monkeypatch, capsys, "lowers it", "enhance", str(run), str(recording), str(out), "gain_db=60")
    assert not out.exists()
    assert arrayse(monkeypatch, "enhance", str(run), str(recording), str(out), "gain_db=-20") == 0
    quiet = np.abs(soundfile.read(out)[0]).max()
    assert arrayse(monkeypatch, "enhance", str(run), str(recording), str(out), "gain_db=-14") == 0
    assert np.abs(soundfile.read(out)[0]).max() == pytest.approx(quiet * 10 ** (6 / 20), rel=0.05)


def test_array_show_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_pair.yaml").write_text("{name: other, positions: [[0, 0, 0], [0, 0.02, 0]]}\n")
    monkeypatch.chdir(tmp_path)
    assert arrayse(monkeypatch, "array", "show", "my_pair.yaml") == 0
    assert (tmp_path / "my_pair.png").is_file()
    assert arrayse(monkeypatch, "array", "show", "phone3", f"out={tmp_path / 'a.png'}") == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_names_that_say_another_format_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fails(monkeypatch, capsys, "ending in .png", "array", "show", "glasses", f"out={tmp_path / 'a.pdf'}")
    fails(monkeypatch, capsys, "ending in .html", "report", str(tmp_path), f"out={tmp_path / 'a.pdf'}")


def test_a_run_begun_with_other_data_is_not_continued(
    tmp_path: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    shutil.copytree(tiny_dataset, data)
    small = ["model.freq_hidden=2", "model.time_hidden=2", "epochs=1", "fit.batch_size=6", "fit.seconds=0.3"]
    arguments = ["train", "teacher", f"data={data}", f"out={tmp_path / 'r'}", *small]
    assert arrayse(monkeypatch, *arguments) == 0
    description = data / "dataset.json"
    description.write_text(description.read_text().replace('"seed": ', '"seed": 1'))
    fails(monkeypatch, capsys, "was begun with, got another", *arguments)


def test_training_on_fresh_scenes_needs_the_corpora(
    tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = Path(shutil.copytree(tiny_dataset, tmp_path / "data"))
    shutil.rmtree(data / "train")
    small = ["model.freq_hidden=2", "model.time_hidden=2", "epochs=1", "fit.batch_size=4", "fit.seconds=0.3"]
    arguments = ["train", "teacher", f"data={data}", *small, "fresh=8"]
    assert arrayse(monkeypatch, *arguments, f"out={tmp_path / 'r'}") == 0
    assert "supervised epoch 1/1" in capsys.readouterr().out
    description = data / "dataset.json"
    description.write_text(re.sub('"speech": ".*"', '"speech": "nowhere"', description.read_text()))
    fails(monkeypatch, capsys, "got nowhere: no such file", *arguments, f"out={tmp_path / 'other'}")
    assert not (tmp_path / "other").exists()


def test_a_run_of_another_config_is_not_overwritten(
    tmp_path: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["model.freq_hidden=2", "model.time_hidden=2", "epochs=1", "fit.batch_size=6", "fit.seconds=0.3"]
    arguments = ["train", "teacher", f"data={tiny_dataset}", f"out={tmp_path / 'r'}", *small]
    assert arrayse(monkeypatch, *arguments) == 0
    weights = (tmp_path / "r" / "model.safetensors").read_bytes()
    fails(monkeypatch, capsys, "with seed 0 (now 3)", *arguments, "seed=3")
    assert arrayse(monkeypatch, *arguments) == 0  # finished: nothing to do
    assert (tmp_path / "r" / "model.safetensors").read_bytes() == weights


# --- verify -------------------------------------------------------------------------------------------------


def test_verify_counts_shards_that_an_interruption_left_out(
    tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = Path(shutil.copytree(tiny_dataset, tmp_path / "data"))
    described = read_json(data / "dataset.json", "dataset")
    write_json(data / "dataset.json", {**described, "n_scenes": {**described["n_scenes"], "test": 200}})
    assert arrayse(monkeypatch, "verify", str(data), "workers=1") == 1
    told = capsys.readouterr().out
    assert told.count(": expected a shard folder, got none") == 4
    assert "bad  … and 6 more shards, up to test/shard-00009: expected a shard folder, got none" in told
    assert "9 of them are shards that are not there" in told
    assert "of 208 scenes are there and right" in told


def test_verify_tells_names_and_mends(
    tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = Path(shutil.copytree(tiny_dataset, tmp_path / "data"))
    before = hashes(data)
    verify = ["verify", str(data), "workers=1"]
    assert arrayse(monkeypatch, *verify) == 0
    told = capsys.readouterr().out
    assert "10 of 10 scenes are there and right" in told
    assert re.search(r"^SNR \(dB\): -?[\d.]+ to [\d.]+, mean -?[\d.]+$", told, re.MULTILINE)
    assert re.search(rf"^ok +{data}$", told, re.MULTILINE)
    (data / "valid" / "shard-00000" / "valid-000001.wav").write_bytes(b"RIFF")
    shutil.rmtree(data / "test" / "shard-00000")
    assert arrayse(monkeypatch, *verify) == 1
    told = capsys.readouterr().out
    assert "bad  test/shard-00000: expected a shard folder, got none" in told
    assert "1 of them are shards that are not there: if it was interrupted, the same simulate command goes on" in told
    assert "bad  valid/shard-00000: expected valid-000001.wav with SHA-256" in told
    assert "7 of 10 scenes are there and right" in told
    assert "2 problems: --repair makes these shards again" in told
    assert hashes(data) != before
    assert arrayse(monkeypatch, *verify, "--repair") == 0
    told = capsys.readouterr().out
    assert "made again: test/shard-00000: expected a shard folder, got none" in told
    assert "10 of 10 scenes are there and right" in told
    assert hashes(data) == before
    (data / "test" / "shard-00009").mkdir()
    assert arrayse(monkeypatch, *verify, "--repair") == 1
    told = capsys.readouterr().out
    assert "bad  test/shard-00009: expected 1 shards in test, got this one too" in told
    assert "made again" not in told


def test_python_dash_m_works() -> None:
    done = subprocess.run([sys.executable, "-m", "arrayse", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0.1.0"
