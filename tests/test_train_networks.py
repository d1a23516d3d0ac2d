"""Every kind of network is trained, stopped and taken up again by the command: same bytes as without a stop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from arrayse.checkpoint import load_enhancer
from arrayse.files import read_json_lines
from tests.tiny import waves
from tests.tiny_runs import distil, saved, values_of

FILES = ("model.json", "model.safetensors", "training.safetensors", "metrics.jsonl")


class Crash(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("kind", ["dccrn", "conv_tasnet", "dpdcrn", "subband"])
def test_a_crashed_training_of_any_network_ends_as_one_that_was_not(
    kind: str, tiny_dataset: Path, tmp_path: Path
) -> None:
    """Taught by another network, whose waves are read from disk; batch norms and what losses count go on."""
    teacher, runs = saved("ft_jnf", tmp_path / "teacher"), []
    for name, crash in (("undisturbed", 0), ("crashed", 5)):
        cache = {"cache": str(tmp_path / f"cache {name}")}
        terms = {"t": {"loss": {"name": "dfkd", "n_fft": 32, "hop_length": 8}}}
        values = values_of(tiny_dataset, teacher, tmp_path / name, kind, terms, {"draws": 1}, cache)

        def on_step(step: int, wanted: int = crash) -> None:
            if step == wanted:
                raise Crash

        if crash:
            with pytest.raises(Crash):
                distil(values, on_step)
        distil(values)
        runs.append(tmp_path / name)
    for name in FILES:
        assert (runs[0] / name).read_bytes() == (runs[1] / name).read_bytes()
    rows = list(read_json_lines(runs[0] / "metrics.jsonl"))
    assert rows[1]["train"]["loss"] < rows[0]["train"]["loss"]
    enhancer, wave = load_enhancer(runs[0]), waves(1, 5, 900)
    with torch.no_grad():
        expected = enhancer(wave).wave[0].numpy()
    np.testing.assert_allclose(enhancer.enhance(wave[0].numpy(), 16000), expected, rtol=0, atol=1e-5)
