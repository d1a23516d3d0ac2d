"""Pairs of networks at two ears: scored by interaural cues, beside the microphones that they stand for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import arrayse
from arrayse.evaluation.loop import evaluate
from arrayse.evaluation.summary import Request
from arrayse.files import read_json, read_json_lines
from arrayse.geometry import circular
from arrayse.metrics import ild_error_db, itd_error_us
from arrayse.mixture import open_dataset
from tests.test_evaluate import make_run

RATE = 16000


@pytest.fixture
def wanted(tiny_dataset: Path, tmp_path: Path) -> Request:
    left, right = (make_run(tmp_path / f"at{mic}", circular(), [0, 1, 4], mic) for mic in (1, 4))
    runs = {"left_s0": left, "left_s1": left, "right_s0": right, "right_s1": right}
    ears = {"ears_s0": ("left_s0", "right_s0"), "ears_s1": ("left_s1", "right_s1")}
    return Request(runs, tiny_dataset, "test", [5.0], None, ["si_sdr"], None, 1, 0, binaural=ears)


def test_cues_are_those_of_both_estimates(wanted: Request, tmp_path: Path) -> None:
    summary = evaluate(wanted, tmp_path / "out", 1, {})
    rows = {(row["system"], row["scene"]): row for row in read_json_lines(tmp_path / "out" / "rows.jsonl")}
    dataset = open_dataset(wanted.data)
    entry = dataset.entries("test")[1]
    mixture = dataset.read(entry, wanted_snr_db=5.0)
    pair = np.stack([arrayse.load(wanted.runs[name]).enhance(mixture.noisy, RATE) for name in ("left_s0", "right_s0")])
    for name, waves in (("ears_s0", pair), ("noisy mics 1 and 4", mixture.noisy[[1, 4]])):
        row = rows[name, entry.id]
        assert row["itd_error_us"] == pytest.approx(itd_error_us(waves, mixture.target[[1, 4]], RATE).value, abs=0.5)
        assert row["ild_error_db"] == pytest.approx(ild_error_db(waves, mixture.target[[1, 4]], RATE).value, abs=1e-3)
        assert "si_sdr" not in row
    assert summary["metrics"] == ["si_sdr", "itd_error_us", "ild_error_db"]
    assert list(summary["implementations"]) == summary["metrics"]
    scored = {(cell["system"], cell["metric"]) for cell in summary["table"]}
    mono = {"noisy", "noisy mic 1", "noisy mic 4", "left", "right"}
    both = {(name, cue) for name in ("ears", "noisy mics 1 and 4") for cue in ("itd_error_us", "ild_error_db")}
    assert scored == {*((name, "si_sdr") for name in mono), *both}
    cell = next(cell for cell in summary["differences"] if cell["metric"] == "ild_error_db" and cell["snr_db"] == 5)
    assert (cell["system"], cell["baseline"], cell["n_seeds"]) == ("ears", "noisy mics 1 and 4", 2)
    systems = {system["name"]: system for system in summary["systems"]}
    one, two = systems["left"], systems["ears"]
    assert two["params"] == 2 * one["params"]
    assert two["macs_per_second"] == 2 * one["macs_per_second"]
    assert (two["kind"], two["mics"], two["latency_ms"]) == ("model", [0, 1, 4], one["latency_ms"])
    assert two["description"] == "left ear left_s0 at microphone 1, right ear right_s0 at 4"
    assert summary["failures"] == []
    assert {cell["system"] for cell in summary["breakdown"] if cell["metric"] == "itd_error_us"} == {s for s, _ in both}
    assert evaluate(wanted, tmp_path / "out", 1, {}) == summary
    (example,) = read_json(tmp_path / "out" / "examples.json", "examples")
    assert list(example["waves"]) == ["noisy", "target", "left_s0", "right_s0"]


def test_pairs_that_are_none_are_refused(wanted: Request, tmp_path: Path) -> None:
    for ears, message in (
        (
            {"left_s0": ("left_s0", "right_s0")},
            "binaural: expected other names than those of other systems, got left, left_s0",
        ),
        ({"left": ("left_s0", "right_s0")}, "binaural: expected other names than those of other systems, got left"),
        (
            {"right_s7": ("left_s0", "right_s0")},
            "binaural: expected other names than those of other systems, got right",
        ),
        ({"ears": ("left_s0", "middle")}, "binaural.ears: expected two of left_s0, .*, got middle"),
        ({"ears": ("left_s0", "left_s1")}, "binaural.ears: expected estimates at two microphones, got both at 1"),
    ):
        with pytest.raises(ValueError, match=message):
            evaluate(replace(wanted, binaural=ears), tmp_path / "out", 1, {})
    assert not (tmp_path / "out").exists()
    evaluate(wanted, tmp_path / "out", 1, {})
    with pytest.raises(ValueError, match="got one with other binaural"):
        evaluate(replace(wanted, binaural={}), tmp_path / "out", 1, {})
