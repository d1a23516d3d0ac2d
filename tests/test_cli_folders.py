"""Folders as people name them: missing datasets, home folders, runs and configs of one name, runs in use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from arrayse.config import read_config
from arrayse.files import alone_in
from arrayse.geometry import circular
from arrayse.verbs.common import open_data
from arrayse.verbs.nets import run_train
from tests.test_cli import arrayse, fails
from tests.test_evaluate import make_run


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "teacher", "out=o"],
        ["distill", "student", "lin_one_step", "teacher=run", "out=o"],
        ["evaluate", "run", "out=o"],
        ["sweep", "snr", "run", "out=o"],
        ["balance", "student", "lin_one_step", "teacher=run"],
    ],
)
@pytest.mark.parametrize("data", ["nowhere", "run"])
def test_a_missing_dataset_is_told_by_its_folder(
    data: str,
    arguments: list[str],
    tiny_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "run", circular())
    if arguments[0] == "balance":
        small = ["student", "model.freq_hidden=2", "model.time_hidden=2", "epochs=1", "fit.seconds=0.2"]
        values = read_config("train", [*small, "fit.batch_size=2", f"data={tiny_dataset}", "out=student"])
        run_train(values, lambda *progress: None, lambda line: None)
    assert arrayse(monkeypatch, *arguments, f"data={data}") == 2
    what = "nowhere: no such folder" if data == "nowhere" else "run without dataset.json"
    assert capsys.readouterr().err == f"error dataset: expected a folder that arrayse simulate wrote, got {what}\n"
    assert not (tmp_path / "o").exists()


def test_a_dataset_that_is_there_is_opened(tiny_dataset: Path) -> None:
    assert open_data(tiny_dataset).n_scenes == {"train": 6, "valid": 2, "test": 2}


SMALL = ["model.freq_hidden=2", "model.time_hidden=2", "epochs=1", "fit.batch_size=6", "fit.seconds=0.2"]


def test_the_home_folder_is_known_to_every_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    make_run(tmp_path / "run", circular())
    soundfile.write(tmp_path / "in.wav", 0.1 * np.random.default_rng(0).standard_normal((4000, 5)), 16000)
    for verb in ("enhance", "stream"):
        assert arrayse(monkeypatch, verb, "~/run", "~/in.wav", f"~/{verb}.wav") == 0
        assert (tmp_path / f"{verb}.wav").is_file()
    for expected, arguments in [
        (f"summary.json in {tmp_path / 'e'}", ["report", "~/e"]),
        (f"got {tmp_path / 'e'}", ["patches", "~/e"]),
        (f"got {tmp_path / 'e'}", ["verify", "~/e"]),
        (f"got {tmp_path / 'e'}", ["export", "~/e", "a.onnx"]),
        (f"got {tmp_path / 'e.pdf'}", ["report", "e", "out=~/e.pdf"]),
        (f"got {tmp_path / 'e.pdf'}", ["patches", "e", "out=~/e.pdf"]),
    ]:
        fails(monkeypatch, capsys, expected, *arguments)


@pytest.mark.parametrize("verb", ["evaluate", "sweep"])
def test_a_folder_without_a_network_does_not_take_the_place_of_a_config(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "run", circular())
    config = {"evaluate": "quickstart", "sweep": "rt60"}[verb]
    for folder in (config, "empty"):
        Path(folder).mkdir()
    arguments = [verb, config, "run", "out=o"]
    fails(monkeypatch, capsys, "dataset: expected a folder", *arguments, "data=nowhere")
    told = f"error {verb}: expected a run folder or a config, got empty without model.json"
    fails(monkeypatch, capsys, told, *arguments, "empty")


def test_two_trainings_do_not_share_a_folder(
    tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    train = ["train", "student", *SMALL, f"data={tiny_dataset}", f"out={run}"]
    with alone_in(run):
        fails(monkeypatch, capsys, f"out: expected a folder that no other process writes into, got {run}", *train)
        assert not list(run.iterdir())
    assert arrayse(monkeypatch, *train) == 0


@pytest.mark.parametrize("variables", [{"RANK": "1"}, {"RANK": "1", "WORLD_SIZE": "1", "LOCAL_RANK": "3"}])
def test_a_single_process_is_the_first_one_whatever_its_environment_says(
    variables: dict[str, str],
    tiny_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    train = ["train", "student", *SMALL, f"data={tiny_dataset}", f"out={tmp_path / 'run'}"]
    assert arrayse(monkeypatch, *train) == 0
    assert "supervised" in capsys.readouterr().out
    assert (tmp_path / "run" / "model.safetensors").is_file()
    fails(monkeypatch, capsys, "error ", *train, "seed=3")


def test_a_named_array_tells_of_the_file_of_its_name_that_lies_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("arrayse.report.array_figure.draw_array", lambda *_: None)
    Path("glasses.yaml").write_text("positions: [[0, 0.05, 0], [0, -0.05, 0]]\nref_mic: 0\n")
    Path("own").write_text(Path("glasses.yaml").read_text())
    hint = "the file glasses.yaml that lies here is drawn by arrayse array show ./glasses.yaml"
    for name, n_mics, hints in (
        ("glasses", 5, 1),
        ("./glasses", 2, 0),
        ("glasses.yaml", 2, 0),
        ("own", 2, 0),
        ("phone3", 3, 0),
    ):
        assert arrayse(monkeypatch, "array", "show", name) == 0
        told = capsys.readouterr().out
        assert (f": {n_mics} microphones" in told, told.count(hint)) == (True, hints), name
    wanted = "expected a YAML file with positions and ref_mic, or a named array, got my_own: "
    fails(monkeypatch, capsys, wanted, "array", "show", "my_own")
