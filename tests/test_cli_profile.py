"""The commands profile and patches as people meet them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from arrayse.mixture import open_dataset
from arrayse.verbs.profile import named_networks
from tests.test_cli import arrayse, fails
from tests.test_evaluate import make_run


@pytest.mark.parametrize("verb", ["profile", "patches"])
def test_help_teaches(verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert arrayse(monkeypatch, verb, "--help") == 0
    told = capsys.readouterr().out
    assert len(told) > 200
    assert f"arrayse {verb} " in told


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_without_names_all_networks_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert arrayse(monkeypatch, "profile", "rtf=false", f"out={tmp_path / 'all'}") == 0
    rows = rows_of(tmp_path / "all" / "profile.csv")
    assert [row["network"] for row in rows] == named_networks()
    assert all(int(row["params"]) > 0 and float(row["macs_per_second"]) > 0 for row in rows)
    assert not any(row["real_time_factor"] for row in rows)
    assert len((tmp_path / "all" / "profile.md").read_text().splitlines()) == len(rows) + 4


def test_configs_and_runs_stand_side_by_side(
    tmp_path: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run", open_dataset(tiny_dataset).geometry, [1, 3], 3)
    table = tmp_path / "costs.csv"
    profile = ["profile", "quickstart_student", str(run), "seconds=0.1", "repeats=1", f"out={table}"]
    assert arrayse(monkeypatch, *profile) == 0
    student, untrained = rows_of(table)
    assert (student["mics"], untrained["mics"]) == ("0 1 2 3 4", "1 3")
    assert (student["causal"], untrained["params"]) == ("true", "554")
    assert all(float(row["real_time_factor"]) > 0 and row["seconds_timed"] == "0.1" for row in (student, untrained))
    told = " ".join(capsys.readouterr().out.split())
    assert "quickstart_student" in told
    assert "1 pass over 0.1 s" in told
    assert not (tmp_path / "costs.md").exists()


def test_the_networks_of_configs_can_be_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = ["model.freq_hidden=88", "model.time_hidden=40"]
    profile = ["profile", "metzger", *sizes, "rtf=false", f"out={tmp_path / 'a.csv'}"]
    assert arrayse(monkeypatch, *profile) == 0
    (row,) = rows_of(tmp_path / "a.csv")
    assert (row["params"], row["latency_ms"]) == ("56410", "")
    assert (
        arrayse(monkeypatch, *profile, "features.norm=recursive", "mics=[2]", "array=phone3", "sample_rate=8000") == 0
    )
    (row,) = rows_of(tmp_path / "a.csv")
    assert (row["mics"], row["latency_ms"]) == ("2", "64.0")


def test_one_network_is_measured_as_on_a_device(
    tmp_path: Path,
    tiny_dataset: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr("arrayse.export.check.BLOCKS", (2,))
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "run", open_dataset(tiny_dataset).geometry, [1, 3], 3)
    assert arrayse(monkeypatch, "export", "run", "run.onnx", "form=wave") == 0
    capsys.readouterr()
    short = ["seconds=0.1", "repeats=1"]
    assert arrayse(monkeypatch, "profile", "run", "device=true", "onnx=run.onnx", "out=costs", *short) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "run: 554 parameters, " in told
    assert "6 blocks of noise each" in told
    rows = rows_of(tmp_path / "costs" / "device.csv")
    wanted = ["torch", "ONNX", "ONNX int8", "ONNX int8, form wave", "run.onnx", "ONNX int8, graph alone"]
    assert [row["system"] for row in rows] == wanted
    assert (tmp_path / "costs" / "device.md").is_file()
    for expected, arguments in [
        ("device: expected one run folder or config, got none", ["device=true"]),
        ("device: expected one run folder or config, got run, tesch", ["run", "tesch", "device=true"]),
        ("device: expected a causal network, got tesch, which needs the whole utterance", ["tesch", "device=true"]),
        ("onnx: expected it with device=true, got it without", ["run", "onnx=run.onnx"]),
        ("none.onnx: expected an ONNX file, got none", ["run", "device=true", "onnx=none.onnx", *short]),
    ]:
        fails(monkeypatch, capsys, expected, "profile", *arguments)


def test_a_folder_with_a_sign_or_the_name_of_a_config_is_no_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("lr=1e-3", "tesch"):
        Path(folder).mkdir()
    Path("lr=1e-3/mine.yaml").write_text("model: {name: fullband, hidden: 2}\n")
    assert arrayse(monkeypatch, "profile", "lr=1e-3/mine.yaml", "tesch", "rtf=false", "out=costs.csv") == 0
    assert [row["network"] for row in rows_of(Path("costs.csv"))] == ["lr=1e-3/mine.yaml", "tesch"]


def test_what_cannot_be_profiled_is_told_by_name(
    tmp_path: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run", open_dataset(tiny_dataset).geometry)
    monkeypatch.chdir(tmp_path)
    for expected, arguments in [
        (
            "error config: expected a run folder, a YAML file or a named config, got dcrn: did you mean model/dccrn?",
            ["dcrn"],
        ),
        ("or one of conv_tasnet, ", ["simulate/office"]),
        ("got simulate/office", ["office"]),
        ("expected a run folder, a YAML file or a named config, got .", ["."]),
        (
            "tesch: model.freq_hiden: expected a known key, got an unknown one: did you mean",
            ["tesch", "model.freq_hiden=3"],
        ),
        ("tesch: model.causal: expected true for metzger", ["tesch", "model.preset=metzger"]),
        ("tesch: stft.hop_length: expected a proper divisor of n_fft 512, got 3", ["tesch", "stft.hop_length=3"]),
        ("tesch: mics: expected distinct channel numbers from 0 to 4, got [7]", ["tesch", "mics=[7]"]),
        ("run: expected no keys of a network for a run, which has its own, got mics=[0]", ["run", "mics=[0]"]),
        ("repeats: expected a value greater than or equal to 1, got 0", ["tesch", "repeats=0"]),
        ("second: expected a known key, got an unknown one: did you mean seconds?", ["tesch", "second=1"]),
        ("out: expected a folder, or a name ending in .md or .csv, got a.html", ["tesch", "out=a.html"]),
        ("did you mean array/circular?", ["tesch", "array=cicular"]),
    ]:
        fails(monkeypatch, capsys, expected, "profile", *arguments)
    assert list(tmp_path.iterdir()) == [run]


def test_what_has_no_patches_is_told_by_name(
    tmp_path: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    small = ["model.freq_hidden=2", "model.time_hidden=2", "epochs=1", "fit.batch_size=6", "fit.seconds=0.3"]
    assert arrayse(monkeypatch, "train", "teacher", f"data={tiny_dataset}", "out=teacher", *small) == 0
    lin = ["distill", "student", "lin_one_step", "teacher=teacher", f"data={tiny_dataset}", "out=student", *small]
    assert arrayse(monkeypatch, *lin) == 0
    capsys.readouterr()
    for expected, arguments in [
        ("got nowhere without config.yaml", ["nowhere"]),
        ("teacher: expected a student that was distilled with dispatch or dfkd, got no teacher: ", ["teacher"]),
        ("student: expected a student that was distilled with dispatch or dfkd, got terms lin: ", ["student"]),
        ("arrayse distill student dispatch_l2 teacher=RUN data=FOLDER out=FOLDER makes one", ["student"]),
        ("out: expected a name ending in .html, got a.png", ["student", "out=a.png"]),
        ("n: expected a value greater than or equal to 1, got 0", ["student", "n=0"]),
    ]:
        fails(monkeypatch, capsys, expected, "patches", *arguments)
    assert not list(tmp_path.rglob("*.html"))
