"""Checkpoints: bit-exact, refused when damaged or of another form, and never able to run code."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn

import arrayse
from arrayse.checkpoint import (
    MODEL,
    TRAINING,
    WEIGHTS,
    load_enhancer,
    load_training,
    load_weights,
    read_training_state,
    save_description,
    save_training,
    save_weights,
)
from arrayse.files import write_text
from arrayse.models import build_enhancer
from tests.tiny import description, enhancer, waves

FIXTURE = HealthCheck.function_scoped_fixture  # every example puts the files back
REUSED = hypothesis_settings(suppress_health_check=[FIXTURE], max_examples=60, deadline=None)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with a description, weights and a training checkpoint after two steps."""
    student = enhancer(mics=[0, 2])
    save_description(tmp_path, description(mics=[0, 2]))
    save_weights(tmp_path, student)
    save_training(tmp_path, student.state_dict(), stepped(student), {"step": 2, "best": float("inf")})
    return tmp_path


def stepped(module: nn.Module, seed: int = 0) -> torch.optim.Adam:
    """An optimiser that has made two steps with random gradients; the last parameter had none."""
    parameters = list(module.parameters())
    optimizer = torch.optim.Adam(parameters, 1e-2)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(2):
        for parameter in parameters[:-1]:
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()
    return optimizer


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_weights_come_back_bit_for_bit(run: Path) -> None:
    there = load_file(run / WEIGHTS)
    loaded = load_enhancer(run)
    assert same(loaded.state_dict(), there)
    assert not loaded.training
    assert loaded.mics == [0, 2]
    whole = waves(5, 500).numpy()
    expected = build_enhancer(**description(mics=[0, 2]))
    expected.load_state_dict(there)
    assert (arrayse.load(run).enhance(whole, 16000) == expected.enhance(whole, 16000)).all()


def test_names_of_the_weights_are_those_of_the_modules(run: Path) -> None:
    assert set(load_file(run / WEIGHTS)) == set(enhancer(mics=[0, 2]).state_dict())
    assert "net.freq_lstm.weight_ih_l0" in load_file(run / WEIGHTS)


def test_the_description_builds_the_same_form(run: Path) -> None:
    assert json.loads((run / MODEL).read_text()) == description(mics=[0, 2])


def test_a_training_goes_on_bit_for_bit(run: Path) -> None:
    module = enhancer(mics=[0, 2])
    optimizer = stepped(module)
    save_training(run, module.state_dict(), optimizer, {})
    other = enhancer(seed=5, mics=[0, 2])
    fresh = torch.optim.Adam(other.parameters(), 1e-2)
    load_training(run, other, fresh)
    assert same(other.state_dict(), module.state_dict())
    ours, theirs = optimizer.state_dict()["state"], fresh.state_dict()["state"]
    assert ours.keys() == theirs.keys()
    assert all(same(ours[index], theirs[index]) for index in ours)
    for pair in ((module, optimizer), (other, fresh)):
        generator = torch.Generator().manual_seed(9)
        for parameter in pair[0].parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        pair[1].step()
    assert same(other.state_dict(), module.state_dict())


def test_counters_come_back(run: Path) -> None:
    assert read_training_state(run) == {"step": 2, "best": float("inf")}
    assert read_training_state(run / "nowhere") is None


def test_weights_of_another_form_are_refused(run: Path) -> None:
    with pytest.raises(ValueError, match=r"model\.safetensors: expected the weights of .*model\.json, got"):
        load_weights(run, enhancer(mics=[0, 2], freq_hidden=6))
    with pytest.raises(ValueError, match="expected the weights of"):
        load_weights(run, enhancer(mics=[0, 2], causal=False))


def test_a_checkpoint_of_another_training_is_refused(run: Path) -> None:
    for other in (enhancer(mics=[0, 2], freq_hidden=6), nn.Linear(2, 2)):
        with pytest.raises(ValueError, match=r"training\.safetensors: expected the checkpoint of this training, got"):
            load_training(run, other, torch.optim.Adam(other.parameters()))


@pytest.mark.parametrize(
    "changed",
    [
        {"optimizer/0/step": None},
        {"optimizer/0/exp_avg": torch.zeros(3)},
        {"optimizer/99/step": torch.zeros(())},
        {"optimizer/0/extra": torch.zeros(())},
        {"something": torch.zeros(())},
    ],
)
def test_an_optimiser_state_that_does_not_fit_is_refused(run: Path, changed: dict[str, Any]) -> None:
    tensors = {**load_file(run / TRAINING), **changed}
    save_file({name: value for name, value in tensors.items() if value is not None}, run / TRAINING, {"state": "{}"})
    student = enhancer(mics=[0, 2])
    with pytest.raises(ValueError, match="expected the checkpoint of this training, got"):
        load_training(run, student, torch.optim.Adam(student.parameters()))


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"run: expected a folder that arrayse .*, got .* without model\.json"):
        load_enhancer(tmp_path)
    save_description(tmp_path, description())
    with pytest.raises(ValueError, match=r"weights: expected a file .*model\.safetensors, got none"):
        load_enhancer(tmp_path)


class Bomb:
    """Unpickling it would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("kind", ["pickle", "torch"])
def test_a_pickle_is_refused_and_not_run(run: Path, kind: str) -> None:
    trace = run / "trace"
    for name in (WEIGHTS, TRAINING):
        if kind == "pickle":
            (run / name).write_bytes(pickle.dumps(Bomb(trace)))
        else:
            torch.save({"net": Bomb(trace)}, run / name)
    with pytest.raises(ValueError, match=r"model\.safetensors: expected safetensors, got"):
        load_enhancer(run)
    with pytest.raises(ValueError, match=r"training\.safetensors: expected a training checkpoint, got"):
        read_training_state(run)
    student = enhancer(mics=[0, 2])
    with pytest.raises(ValueError, match=r"training\.safetensors: expected safetensors, got"):
        load_training(run, student, torch.optim.Adam(student.parameters()))
    assert not trace.exists()


def read_everything(run: Path) -> None:
    """Reads all files of a run; ValueError is the one way out."""
    read_training_state(run)
    student = enhancer(mics=[0, 2])
    load_training(run, student, torch.optim.Adam(student.parameters()))
    load_enhancer(run)


@REUSED
@given(data=st.data(), name=st.sampled_from([MODEL, WEIGHTS, TRAINING]))
def test_damaged_files_are_refused_or_read(run: Path, data: st.DataObject, name: str) -> None:
    """Bytes flipped (most of them in the header), the end cut off, rubbish added."""
    whole = (run / name).read_bytes()
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, min(len(damaged), 1500) - 1))] = data.draw(st.integers(0, 255))
    damaged = damaged[: data.draw(st.integers(0, len(damaged)))] if data.draw(st.booleans()) else damaged
    (run / name).write_bytes(bytes(damaged) + data.draw(st.binary(max_size=8)))
    try:
        read_everything(run)
    except ValueError:
        pass
    finally:
        (run / name).write_bytes(whole)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 700) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@REUSED
@given(data=st.data(), value=PLAIN)
def test_descriptions_of_anything_are_refused_or_built(run: Path, data: st.DataObject, value: object) -> None:
    """One value anywhere in the description is replaced; what can be built must then fit the weights."""
    changed = description(mics=[0, 2])
    key = data.draw(st.sampled_from(sorted(changed)))
    inner = changed[key]
    if isinstance(inner, dict) and data.draw(st.booleans()):
        changed[key] = {**inner, data.draw(st.sampled_from(sorted(inner))): value}
    else:
        changed[key] = value
    write_text(run / MODEL, json.dumps(changed))
    try:
        load_enhancer(run)
    except ValueError:
        pass
    finally:
        save_description(run, description(mics=[0, 2]))


def test_a_deeply_nested_state_is_refused(run: Path) -> None:
    save_file({"x": torch.zeros(1)}, run / TRAINING, {"state": "[" * 100_000})
    with pytest.raises(ValueError, match="expected a training checkpoint, got"):
        read_training_state(run)


@pytest.mark.parametrize("metadata", [None, {}, {"state": "nothing"}])
def test_a_checkpoint_without_counters_is_refused(run: Path, metadata: dict[str, str] | None) -> None:
    save_file({"x": torch.zeros(1)}, run / TRAINING, metadata)
    with pytest.raises(ValueError, match="expected a training checkpoint, got"):
        read_training_state(run)
