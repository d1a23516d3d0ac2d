"""A dataset that is not there is named by every command that reads one, before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from arrayse.config import read_config
from arrayse.geometry import circular
from arrayse.verbs.common import open_data
from arrayse.verbs.nets import run_train
from tests.test_cli import arrayse
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
