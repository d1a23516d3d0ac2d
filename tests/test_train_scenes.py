"""Training on the tiny dataset: the loss falls, 16 bits, adapters, a poisoned scene, another run's checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from arrayse.data import SceneReader
from arrayse.files import read_json_lines
from arrayse.losses import NegativeSiSdr, WaveMagnitudeL1
from arrayse.mixture import open_dataset
from arrayse.objectives import Supervised
from arrayse.training.loop import fit
from arrayse.training.processes import has_bfloat16
from arrayse.training.settings import FitSettings, Phase
from tests.tiny import enhancer
from tests.train_program import POISONED, phases_of, train


class Stop(Exception):
    """Ends a training in the middle, with what is saved by then."""


def stop_at_six(step: int) -> None:
    if step == 6:
        raise Stop


@pytest.mark.parametrize("loss", [WaveMagnitudeL1(), NegativeSiSdr()])
def test_the_loss_falls_on_real_scenes(loss: nn.Module, tiny_dataset: Path, tmp_path: Path) -> None:
    dataset = open_dataset(tiny_dataset)
    readers = [SceneReader(dataset, split, [0.0, 0.0], 0.5, 0) for split in ("train", "valid")]
    phase = Phase("supervised", Supervised(enhancer(freq_hidden=8, time_hidden=8), loss), 6)
    fit(tmp_path, [phase], *readers, FitSettings(batch_size=2, learning_rate=1e-2, precision="float32"))
    rows = list(read_json_lines(tmp_path / "metrics.jsonl"))
    losses = [row["train"]["loss"] for row in rows]
    assert losses[-1] < losses[0] - 0.1 * abs(losses[0])
    assert rows[-1]["valid"]["loss"] < rows[0]["valid"]["loss"]


def test_bfloat16_trains_like_float32(tiny_dataset: Path, tmp_path: Path) -> None:
    runs = {}
    for precision in ("float32", "bfloat16"):
        train(tiny_dataset, tmp_path / precision, "two_step", precision=precision)
        runs[precision] = list(read_json_lines(tmp_path / precision / "metrics.jsonl"))
        weights = load_file(tmp_path / precision / "model.safetensors")
        assert all(value.dtype == torch.float32 and torch.isfinite(value).all() for value in weights.values())
    for exact, rounded in zip(runs["float32"], runs["bfloat16"], strict=True):
        assert rounded["valid"]["loss"] == pytest.approx(exact["valid"]["loss"], rel=0.05)
        assert rounded["valid"]["loss"] != exact["valid"]["loss"]


def test_automatic_precision_follows_the_hardware(tiny_dataset: Path, tmp_path: Path) -> None:
    chosen = "bfloat16" if has_bfloat16("cpu") and not torch.cuda.is_available() else None
    if chosen is None:
        pytest.skip("no bfloat16 on this CPU, or a GPU is used")
    for precision in ("auto", chosen):
        train(tiny_dataset, tmp_path / precision, "supervised", precision=precision)
    assert (tmp_path / "auto" / "metrics.jsonl").read_text() == (tmp_path / chosen / "metrics.jsonl").read_text()


def test_the_adapter_is_trained_and_saved_for_resuming_but_is_no_part_of_the_model(
    tiny_dataset: Path, tmp_path: Path
) -> None:
    before = {name: value.clone() for name, value in phases_of("two_step", tmp_path)[0].objective.state_dict().items()}
    with pytest.raises(Stop):
        train(tiny_dataset, tmp_path, "two_step", stop_at_six)
    saved, name = load_file(tmp_path / "training.safetensors"), "losses.lin.adapter.weight"
    assert not torch.equal(saved[f"weights/{name}"], before[name])
    assert not any("losses" in key for key in load_file(tmp_path / "model.safetensors"))
    assert not any("teacher" in key for key in saved)


def test_a_poisoned_scene_among_real_ones(tiny_dataset: Path, tmp_path: Path) -> None:
    train(tiny_dataset, tmp_path, "poisoned")
    rows = [row for row in read_json_lines(tmp_path / "metrics.jsonl") if row["event"] == "not_finite"]
    assert len(rows) == 2
    assert all(POISONED in row["ids"] for row in rows)
    assert all(torch.isfinite(value).all() for value in load_file(tmp_path / "model.safetensors").values())


def test_the_checkpoint_of_another_training_is_refused(tiny_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(Stop):
        train(tiny_dataset, tmp_path, "two_step", stop_at_six)
    kept = (tmp_path / "training.safetensors").read_bytes()
    with pytest.raises(ValueError, match="expected the checkpoint of this training, got"):
        train(tiny_dataset, tmp_path, "supervised")
    assert (tmp_path / "training.safetensors").read_bytes() == kept
