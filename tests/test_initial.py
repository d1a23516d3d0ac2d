"""Trainings that begin with the weights of another: whose, of what network, and that they go on with the same."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from arrayse.checkpoint import load_enhancer, save_training, save_weights
from arrayse.config import ConfigError, read_config, read_yaml
from arrayse.files import read_json, write_json
from arrayse.geometry import compact_diamond
from arrayse.models import build_enhancer
from arrayse.provenance import training_of
from arrayse.training.state import State
from arrayse.verbs.initial import begin_with, network_of
from arrayse.verbs.nets import run_train, whereabouts
from tests.tiny import network, network_description
from tests.tiny_runs import saved


def of_training(data: Path, out: Path, *arguments: str) -> dict[str, Any]:
    """The tiny FT-JNF for one epoch."""
    sizes = ["model={name: ft_jnf, freq_hidden: 5, time_hidden: 4}", "features.time_constant=0.2"]
    stft = "stft={n_fft: 64, hop_length: 16, win_length: 48}"
    fit = ["fit.batch_size=2", "fit.seconds=0.2", "fit.precision=float32", "epochs=1"]
    return read_config("train", [*sizes, stft, *fit, f"data={data}", f"out={out}", *arguments])


def train(data: Path, out: Path, *arguments: str) -> None:
    torch.set_num_threads(1)
    run_train(of_training(data, out, *arguments), lambda *told: None, lambda line: None)


def test_a_training_begins_with_the_weights_of_a_run(tiny_dataset: Path, tmp_path: Path) -> None:
    train(tiny_dataset, tmp_path / "first")
    train(tiny_dataset, tmp_path / "still", "fit.learning_rate=1e-12", f"init={tmp_path / 'first'}", "seed=5")
    train(tiny_dataset, tmp_path / "random", "fit.learning_rate=1e-12", "seed=5")
    first, still, random = (load_enhancer(tmp_path / name).state_dict() for name in ("first", "still", "random"))
    torch.testing.assert_close(still, first, rtol=0, atol=1e-9)
    assert any(float((random[name] - first[name]).abs().max()) > 0.01 for name in first)
    assert read_json(tmp_path / "still" / "about.json", "run")["init"]
    assert read_json(tmp_path / "first" / "about.json", "run")["init"] is None


def test_a_training_outlives_the_run_that_it_began_with(tiny_dataset: Path, tmp_path: Path) -> None:
    first = saved("ft_jnf", tmp_path / "first")
    assert whereabouts(tmp_path / "run") == ""
    train(tiny_dataset, tmp_path / "run", f"init={first}")
    begun = read_json(tmp_path / "run" / "about.json", "run")["init"]
    weights = (tmp_path / "run" / "model.safetensors").read_bytes()
    shutil.rmtree(first)
    said: list[str] = []
    run_train(of_training(tiny_dataset, tmp_path / "run", f"init={first}"), lambda *told: None, said.append)
    assert "nothing is left to do" in said[0]
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == weights
    assert read_json(tmp_path / "run" / "about.json", "run")["init"] == begun
    with pytest.raises(ConfigError, match=r"with init .* \(now None\)"):
        train(tiny_dataset, tmp_path / "run")


def test_before_its_first_checkpoint_a_training_wants_the_run_that_it_began_with(
    tiny_dataset: Path, tmp_path: Path
) -> None:
    first = saved("ft_jnf", tmp_path / "first")
    train(tiny_dataset, tmp_path / "run", f"init={first}")
    (tmp_path / "run" / "training.safetensors").unlink()
    save_weights(first, network("ft_jnf", seed=9))
    with pytest.raises(ConfigError, match=r"^init: expected the one that .* was begun with"):
        train(tiny_dataset, tmp_path / "run", f"init={first}")


def test_the_network_is_that_of_the_run_unless_a_config_names_one(tiny_dataset: Path, tmp_path: Path) -> None:
    first = tmp_path / "first"
    train(tiny_dataset, first, "loss={name: negative_snr}", "mics=[0,3]", "ref_mic=3")
    told = ["data=d", "out=o", f"init={first}"]
    values, before = (read_config("train", told, network=network_of(told)), read_yaml(first / "config.yaml"))
    for key in ("model", "stft", "features", "mics", "ref_mic", "loss"):
        assert values[key] == before[key]
    assert values["epochs"] != before["epochs"]
    named = ["student", *told]
    assert read_config("train", named, network=network_of(named))["model"]["freq_hidden"] != 5
    part = ["model.freq_hidden=9", *told]
    assert read_config("train", part, network=network_of(part))["model"]["freq_hidden"] == 9
    assert network_of([f"init={first}", "init=null"]) is None
    with pytest.raises(ConfigError, match=r"^init: expected a folder that arrayse train .* without config\.yaml"):
        network_of([f"init={tmp_path / 'none'}"])


def test_what_a_run_began_with_is_told_of_it(tiny_dataset: Path, tmp_path: Path) -> None:
    train(tiny_dataset, tmp_path / "first")
    about = read_json(tmp_path / "first" / "about.json", "run")
    write_json(tmp_path / "first" / "about.json", {**about, "objectives": ["distillation: x"], "teachers": {"t": "1"}})
    train(tiny_dataset, tmp_path / "next", f"init={tmp_path / 'first'}")
    found = training_of(read_json(tmp_path / "next" / "about.json", "run"))
    assert found["distilled"]
    assert [text.split(":")[0] for text in found["objectives"]] == ["distillation", "supervised"]
    assert training_of({}) == {"objectives": [], "distilled": False}


def test_a_run_that_still_changes_is_refused(tmp_path: Path) -> None:
    run, fresh = saved("ft_jnf", tmp_path / "run"), network("ft_jnf")
    save_training(run, {}, torch.optim.Adam(fresh.parameters()), asdict(State()))
    with pytest.raises(ConfigError, match=r"^init: expected a run that is finished, got "):
        begin_with(run, fresh, network_description("ft_jnf"))


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
    assert "without a config that names a network it is that of the run" in str(error.value)


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    for run, told in ((tmp_path / "none", "no such folder"), (tmp_path, "without model.json")):
        with pytest.raises(ConfigError, match=rf"^init: expected a folder that arrayse train .*{told}"):
            begin_with(run, network("ft_jnf"), network_description("ft_jnf"))


def test_a_run_in_which_nothing_was_trained_is_begun_anew(tiny_dataset: Path, tmp_path: Path) -> None:
    train(tiny_dataset, tmp_path / "run")
    (tmp_path / "run" / "training.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"with seed 0 \(now 3\)"):  # weights are there
        train(tiny_dataset, tmp_path / "run", "seed=3")
    (tmp_path / "run" / "model.safetensors").unlink()
    train(tiny_dataset, tmp_path / "run", "seed=3")
    assert read_yaml(tmp_path / "run" / "config.yaml")["seed"] == 3
    assert read_json(tmp_path / "run" / "about.json", "run")["seed"] == 3
