"""Trainings that begin with the weights of another: whose, of what network, and that they go on with the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from arrayse.checkpoint import load_enhancer, save_weights
from arrayse.config import ConfigError, read_config
from arrayse.files import read_json
from arrayse.geometry import compact_diamond
from arrayse.models import build_enhancer
from arrayse.verbs.initial import begin_with
from arrayse.verbs.nets import run_train, whereabouts
from tests.tiny import network, network_description
from tests.tiny_runs import saved


def train(data: Path, out: Path, *arguments: str) -> list[str]:
    """Trains the tiny FT-JNF for one epoch, and returns what is said."""
    sizes = ["model={name: ft_jnf, freq_hidden: 5, time_hidden: 4}", "features.time_constant=0.2"]
    stft = "stft={n_fft: 64, hop_length: 16, win_length: 48}"
    fit = ["fit.batch_size=2", "fit.seconds=0.2", "fit.precision=float32", "epochs=1"]
    said: list[str] = []
    values = read_config("train", [*sizes, stft, *fit, f"data={data}", f"out={out}", *arguments])
    torch.set_num_threads(1)
    run_train(values, lambda *told: None, said.append)
    return said


def test_a_training_begins_with_the_weights_of_a_run(tiny_dataset: Path, tmp_path: Path) -> None:
    train(tiny_dataset, tmp_path / "first")
    train(tiny_dataset, tmp_path / "still", "fit.learning_rate=1e-12", f"init={tmp_path / 'first'}", "seed=5")
    train(tiny_dataset, tmp_path / "random", "fit.learning_rate=1e-12", "seed=5")
    first, still, random = (load_enhancer(tmp_path / name).state_dict() for name in ("first", "still", "random"))
    torch.testing.assert_close(still, first, rtol=0, atol=1e-9)
    assert any(float((random[name] - first[name]).abs().max()) > 0.01 for name in first)
    assert read_json(tmp_path / "still" / "about.json", "run")["init"]
    assert read_json(tmp_path / "first" / "about.json", "run")["init"] is None


def test_a_training_goes_on_with_the_run_that_it_began_with(tiny_dataset: Path, tmp_path: Path) -> None:
    first = saved("ft_jnf", tmp_path / "first")
    assert whereabouts(tmp_path / "run") == ""
    train(tiny_dataset, tmp_path / "run", f"init={first}")
    (tmp_path / "moved").mkdir()
    moved = first.rename(tmp_path / "moved" / "first")
    assert "nothing is left to do" in "\n".join(train(tiny_dataset, tmp_path / "run", f"init={moved}"))
    other = saved("ft_jnf", tmp_path / "other")
    save_weights(other, network("ft_jnf", seed=9))
    with pytest.raises(ConfigError, match=r"^init: expected the one that .* was begun with"):
        train(tiny_dataset, tmp_path / "run", f"init={other}")
    with pytest.raises(ConfigError, match=r"with init .* \(now None\)"):
        train(tiny_dataset, tmp_path / "run")


@pytest.mark.parametrize("kind", ["ft_jnf", "conv_tasnet causal", "dccrn"])
def test_weights_of_any_network_are_taken_over(kind: str, tmp_path: Path) -> None:
    run, fresh = saved(kind, tmp_path / "run"), network(kind, seed=3)
    begin_with(run, fresh, network_description(kind))
    torch.testing.assert_close(fresh.state_dict(), load_enhancer(run).state_dict(), rtol=0, atol=0)


def test_another_array_of_as_many_microphones_will_do(tmp_path: Path) -> None:
    run, description = saved("ft_jnf", tmp_path / "run"), network_description("ft_jnf")
    begin_with(run, network("ft_jnf"), {**description, "array": compact_diamond().to_dict()})


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"net": {"name": "ft_jnf", "freq_hidden": 6, "time_hidden": 4}}, "model.freq_hidden 5 (now 6)"),
        ({"features": {"time_constant": 0.5}}, "features.time_constant 0.2 (now 0.5)"),
        ({"stft": {"n_fft": 64, "hop_length": 8, "win_length": 48}}, "stft.hop_length 16 (now 8)"),
        ({"mics": [0, 2]}, "number of mics 5 (now 2)"),
        ({"ref_mic": 3}, "reference among them 0 (now 3)"),
        ({"sample_rate": 8000}, "sample_rate 16000 (now 8000)"),
    ],
)
def test_a_run_of_another_network_is_refused(changed: dict[str, Any], told: str, tmp_path: Path) -> None:
    run, description = saved("ft_jnf", tmp_path / "run"), {**network_description("ft_jnf"), **changed}
    with pytest.raises(ConfigError, match=r"^init: expected a run of the same network") as error:
        begin_with(run, build_enhancer(**description), description)
    assert told in str(error.value)
    assert "config.yaml in place of a named config" in str(error.value)


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    for run, told in ((tmp_path / "none", "no such folder"), (tmp_path, "without model.json")):
        with pytest.raises(ConfigError, match=rf"^init: expected a folder that arrayse train .*{told}"):
            begin_with(run, network("ft_jnf"), network_description("ft_jnf"))
