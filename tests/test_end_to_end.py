"""The whole path on a tiny synthetic set: corpus → dataset → teacher → students → table → page → enhanced file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

import arrayse
from arrayse.config import read_config
from arrayse.files import read_json, read_json_lines
from arrayse.mixture import open_dataset
from arrayse.report.build import build_report
from arrayse.verbs.data import run_simulate, run_verify
from arrayse.verbs.device import run_enhance
from arrayse.verbs.nets import run_train
from arrayse.verbs.results import run_evaluate

SIMULATE = [
    "recipe.seconds=1.0",
    "recipe.room_max=[3.6,3.4,2.6]",
    "recipe.rt60=[0.15,0.2]",
    "recipe.target_distance=[0.4,1.0]",
    "recipe.interferer_distance=[0.8,1.4]",
    "n_scenes={train: 8, valid: 2, test: 2}",
    "workers=1",
]
SMALL = ["epochs=2", "fit.batch_size=4", "fit.seconds=0.8"]


def quiet(*anything: object) -> None:
    """Nobody watches."""


def test_the_whole_path(tiny_corpus: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    corpora = [f"speech={tiny_corpus}", f"noise={tiny_corpus}", f"out={data}"]
    run_simulate(read_config("simulate", ["quickstart", *corpora, *SIMULATE]), quiet, quiet)
    dataset = open_dataset(data)
    assert [len(dataset.entries(split)) for split in ("train", "valid", "test")] == [8, 2, 2]
    problems, lines = run_verify(data, 1, False, quiet)
    assert (problems, lines[0]) == ([], "12 of 12 scenes are there and right")

    common = [f"data={data}", *SMALL]
    teacher, student, taught = (tmp_path / name for name in ("teacher", "student", "taught"))
    big, little = (
        ["model.freq_hidden=8", "model.time_hidden=8"],
        ["model.freq_hidden=4", "model.time_hidden=4"],
    )
    run_train(read_config("train", ["quickstart_teacher", *common, *big, f"out={teacher}"]), quiet, quiet)
    fresh = ["quickstart_student", *common, *little, "fresh=8", f"out={student}"]
    run_train(read_config("train", fresh), quiet, quiet)
    distill = [
        "quickstart_student",
        "fused_two_step",
        *common,
        *little,
        f"teacher={teacher}",
        "mics=[0,1]",
        "patience=null",
        f"out={taught}",
    ]
    said: list[str] = []
    run_train(read_config("distill", distill), quiet, said.append)
    assert said == [
        "distillation: loss = 0 WaveMagnitudeL1 + 1 (1 fused)",
        "supervised: loss = WaveMagnitudeL1",
        "  fused: lstm1 + lstm2 + lin, each as published [freq_lstm, time_lstm, linear]",
        "student: ft_jnf, 554 parameters, causal with 32 ms of latency, hears microphones [0, 1], "
        "estimates speech at 0",
    ]
    epochs = [row for row in read_json_lines(taught / "metrics.jsonl") if row["event"] == "epoch"]
    assert [(row["phase"], row["epoch"]) for row in epochs] == [
        ("distillation", 1),
        ("distillation", 2),
        ("supervised", 1),
        ("supervised", 2),
    ]
    assert "fused" in epochs[0]["train"]

    evaluation = tmp_path / "evaluation"
    values = read_config(
        "evaluate",
        [
            f"data={data}",
            f"out={evaluation}",
            "snr_db=[0,10]",
            "n_examples=1",
            "workers=1",
            "baseline=student",
        ],
    )
    summary = run_evaluate(values, {"teacher": teacher, "student": student, "taught": taught}, quiet)
    kinds = {system["name"]: system["kind"] for system in summary["systems"]}
    assert kinds == {"noisy": "noisy", "teacher": "teacher", "student": "model", "taught": "model"}
    cells = {(cell["system"], cell["snr_db"], cell["metric"]): cell["mean"] for cell in summary["table"]}
    assert cells["noisy", 10, "si_sdr"] > cells["noisy", 0, "si_sdr"] + 3
    assert "teacher" in (evaluation / "table.md").read_text()

    page = build_report([evaluation], tmp_path / "report.html").read_text()
    assert all(name in page for name in ("teacher", "student", "taught", "noisy"))

    recording = tmp_path / "in.wav"
    soundfile.write(recording, dataset.read(dataset.entries("test")[0]).noisy.T, 16000)
    run_enhance(taught, recording, tmp_path / "out.wav", 0.0)
    wave, rate = soundfile.read(tmp_path / "out.wav")
    assert (wave.shape, rate) == ((16000,), 16000)
    expected = arrayse.load(taught).enhance(soundfile.read(recording, dtype="float32")[0].T, 16000)
    np.testing.assert_allclose(wave, expected, atol=1 / 32768)

    for run in (teacher, student, taught):
        assert {"config.yaml", "about.json", "metrics.jsonl", "model.json", "model.safetensors"} <= {
            p.name for p in run.iterdir()
        }
        about = read_json(run / "about.json", "about")
        assert {"git", "seed", "versions", "command"} <= set(about)
    assert not list(tmp_path.rglob("*.tmp"))
