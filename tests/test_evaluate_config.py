"""The verb and the command: keys, what stands for a source when nothing is said, and what lies in the folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from omegaconf import OmegaConf
from typer.testing import CliRunner

from arrayse.cli import app
from arrayse.config import ConfigError, check_values, read_config
from arrayse.doctor import installable
from arrayse.files import read_json
from arrayse.geometry import ArrayGeometry
from arrayse.metrics import DEFAULT_METRICS
from arrayse.schema import SCHEMAS
from arrayse.verbs import results
from arrayse.verbs.results import build_request, run_evaluate
from tests.test_evaluate import make_run

ONE_MIC = ArrayGeometry([[0, 0, 0]], name="one")
RATINGS = ["dnsmos_sig", "dnsmos_bak", "dnsmos_ovrl"]


def request_of(*arguments: str) -> Any:
    return build_request(read_config("evaluate", [*arguments, "out=o"]), {})


def test_what_is_not_said_goes_with_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = request_of("data=d")
    assert (dataset.source, dataset.data, dataset.split) == ("dataset", Path("d"), "test")
    assert (dataset.snr_db, dataset.metrics) == ([-5.0, 0.0, 5.0, 10.0, 15.0], list(DEFAULT_METRICS))
    pairs = request_of("pairs=p")
    assert (pairs.source, pairs.data, pairs.snr_db, pairs.metrics) == ("pairs", Path("p"), [], list(DEFAULT_METRICS))
    for there, metrics in ((True, RATINGS), (False, [])):
        monkeypatch.setattr(results, "installed", lambda there=there: there)
        recordings = request_of("recordings=r")
        assert (recordings.source, recordings.snr_db, recordings.metrics) == ("recordings", [], metrics)
    told = request_of("data=d", "split=valid", "snr_db=[3]", "metrics=[stoi]", "teacher=big", "other_array=true")
    assert (told.split, told.snr_db, told.metrics, told.teacher) == ("valid", [3.0], ["stoi"], "big")
    assert told.other_array
    ears = request_of("data=d", "binaural={ears: [left, right]}")
    assert ears.binaural == {"ears": ("left", "right")}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected one of data=DATASET, pairs=FOLDER or recordings=FOLDER, got none"),
        (["data=d", "pairs=p"], "got data and pairs"),
        (["pairs=p", "snr_db=[0]"], r"snr_db: expected none with pairs=, whose files are as they are, got \[0.0\]"),
        (["recordings=r", "split=valid"], "split: expected none with recordings=, .*, got valid"),
        (["data=d", "snr_db=[]"], "snr_db"),
        (["data=d", "metrics=[stoi,stoi]"], "metrics: expected every value once"),
        (["data=d", "binaural={ears: [left]}"], r"binaural.ears: expected .*2"),
        (["data="], "data: expected a file or folder"),
    ],
)
def test_keys_that_contradict_each_other(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        request_of(*arguments)


def test_a_folder_is_taken_as_it_stands() -> None:
    assert read_config("evaluate", ["pairs=/a b/#1: {x}", "out=o"])["pairs"] == "/a b/#1: {x}"
    assert read_config("evaluate", ["recordings=~/r", "out=o"])["recordings"] == str(Path("~/r").expanduser())


def write_recordings(folder: Path) -> Path:
    for number in range(2):
        wave = 0.1 * np.random.default_rng(number).standard_normal(16000)
        folder.mkdir(exist_ok=True)
        soundfile.write(folder / f"{number}.wav", wave, 16000)
    return folder


def test_the_folder_says_what_was_decided_and_is_ready_for_the_report(
    tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path / "net", ONE_MIC)
    values = read_config("evaluate", [f"data={tiny_dataset}", f"out={tmp_path / 'o'}", "other_array=true", "workers=1"])
    values["snr_db"], values["metrics"] = [0.0], ["si_sdr"]
    run_evaluate(values, {"net": run}, lambda done, total: None)
    there = {path.name for path in (tmp_path / "o").iterdir()}
    files = {"config.yaml", "examples.json", "request.json", "rows.jsonl", "speed.json", "summary.json"}
    assert there == files | {"audio", "table.csv", "table.md", "table.tex"}
    config = OmegaConf.to_container(OmegaConf.load(tmp_path / "o" / "config.yaml"))
    assert isinstance(config, dict)
    assert (config["split"], config["snr_db"], config["metrics"]) == ("test", [0.0], ["si_sdr"])
    assert check_values(SCHEMAS["evaluate"], config) == config
    assert set(read_json(tmp_path / "o" / "speed.json", "speed")) == {"net"}


@pytest.mark.parametrize("there", [True, False])
def test_the_command_takes_recordings(there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, folder = make_run(tmp_path / "net", ONE_MIC), write_recordings(tmp_path / "recordings")
    monkeypatch.setattr(results, "installed", lambda: there)
    arguments = [str(run), f"recordings={folder}", f"out={tmp_path / 'o'}", "speed=false", "workers=1", "n_examples=2"]
    result = CliRunner().invoke(app, ["evaluate", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    assert not (tmp_path / "o" / "speed.json").exists()
    summary = read_json(tmp_path / "o" / "summary.json", "summary")
    assert summary["metrics"] == (RATINGS if there else [])
    hint = installable("no scores without a reference: pip install 'arrayse[dnsmos]'")
    assert (hint in result.output.replace("\n", " ")) == (not there)
    assert len(read_json(tmp_path / "o" / "examples.json", "examples")) == 2


def test_every_key_is_listed() -> None:
    listed = CliRunner().invoke(app, ["keys", "evaluate"]).output
    assert all(
        key in listed for key in ("pairs", "recordings", "teacher", "other_array", "binaural", "cluster", "speed")
    )
