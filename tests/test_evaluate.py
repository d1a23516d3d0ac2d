"""Evaluation: rows paired over scenes, resumable, the same for any number of workers, and a summary that adds up."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from arrayse.checkpoint import load_enhancer, save_description, save_weights
from arrayse.evaluate import evaluate
from arrayse.files import read_json, read_json_lines, write_json
from arrayse.geometry import ArrayGeometry
from arrayse.metrics import score
from arrayse.mixture import open_dataset
from arrayse.models import build_enhancer
from arrayse.profile import macs_per_second, n_parameters
from arrayse.statistics import holm, signed_rank
from arrayse.summary import Request


def make_run(folder: Path, geometry: ArrayGeometry, mics: list[int] | None = None, ref_mic: int | None = None) -> Path:
    """A run folder with an untrained network."""
    torch.manual_seed(0)
    description: dict[str, Any] = {
        "net": {"name": "ft_jnf", "freq_hidden": 4, "time_hidden": 4},
        "stft": {},
        "features": {},
        "array": geometry.to_dict(),
        "mics": mics,
        "ref_mic": ref_mic,
        "sample_rate": 16000,
    }
    enhancer = build_enhancer(**description)
    save_description(folder, description)
    save_weights(folder, enhancer)
    write_json(folder / "about.json", {"objectives": ["supervised: loss = x"], "teachers": {}})
    return folder


@pytest.fixture
def request_for(tiny_dataset: Path, tmp_path: Path) -> Request:
    geometry = open_dataset(tiny_dataset).geometry
    runs = {
        "first": make_run(tmp_path / "first", geometry),
        "second": make_run(tmp_path / "second", geometry, [1, 3], 3),
    }
    return Request(runs, tiny_dataset, "test", [0.0, 10.0], None, ["si_sdr", "estoi"], "first", 1, 0)


def test_rows_are_the_scores_of_what_the_enhancers_give(request_for: Request, tmp_path: Path) -> None:
    evaluate(request_for, tmp_path / "out", 1, {})
    rows = list(read_json_lines(tmp_path / "out" / "rows.jsonl"))
    dataset = open_dataset(request_for.data)
    entries = dataset.entries("test")
    assert len(rows) == len(entries) * 2 * 4
    assert {row["system"] for row in rows} == {"noisy", "noisy mic 3", "first", "second"}
    row = next(
        row for row in rows if row["system"] == "second" and row["snr_db"] == 10 and row["scene"] == entries[1].id
    )
    import arrayse

    mixture = dataset.read(entries[1], wanted_snr_db=10)
    estimate = arrayse.load(request_for.runs["second"]).enhance(mixture.noisy, 16000)
    expected = score(estimate, mixture.target[3], 16000, ["si_sdr"])["si_sdr"].value
    assert row["si_sdr"] == pytest.approx(expected, abs=1e-4)
    noisy = next(
        row for row in rows if row["system"] == "noisy" and row["snr_db"] == 10 and row["scene"] == entries[1].id
    )
    assert noisy["si_sdr"] == score(mixture.noisy[0], mixture.target[0], 16000, ["si_sdr"])["si_sdr"].value


def test_two_workers_and_an_interruption_change_nothing(request_for: Request, tmp_path: Path) -> None:
    evaluate(request_for, tmp_path / "one", 1, {})
    evaluate(request_for, tmp_path / "two", 2, {})
    whole = (tmp_path / "one" / "rows.jsonl").read_text()
    one, two = (list(read_json_lines(tmp_path / name / "rows.jsonl")) for name in ("one", "two"))
    for first, second in zip(one, two, strict=True):
        assert (first["system"], first["scene"], first["snr_db"]) == (
            second["system"],
            second["scene"],
            second["snr_db"],
        )
        assert first["si_sdr"] == pytest.approx(second["si_sdr"], abs=1e-3)  # one thread there, several here
    (tmp_path / "one" / "rows.jsonl").write_text(whole[: 3 * len(whole) // 4])  # a kill in the second scene
    evaluate(request_for, tmp_path / "one", 1, {})
    assert (tmp_path / "one" / "rows.jsonl").read_text() == whole


def test_the_summary_adds_up(request_for: Request, tmp_path: Path) -> None:
    summary = evaluate(request_for, tmp_path / "out", 1, {"seed": 0})
    assert summary == read_json(tmp_path / "out" / "summary.json", "summary")
    rows = list(read_json_lines(tmp_path / "out" / "rows.jsonl"))
    for cell in summary["table"]:
        values = [r[cell["metric"]] for r in rows if (r["system"], r["snr_db"]) == (cell["system"], cell["snr_db"])]
        assert cell["mean"] == pytest.approx(np.mean(values))
        assert cell["low"] <= cell["mean"] <= cell["high"]
        assert (cell["n"], cell["n_failed"]) == (len(values), 0)
    for cell in summary["differences"]:
        by_system = {
            name: [r[cell["metric"]] for r in rows if (r["system"], r["snr_db"]) == (name, cell["snr_db"])]
            for name in (cell["system"], cell["baseline"])
        }
        first, second = by_system[cell["system"]], by_system[cell["baseline"]]
        assert cell["mean"] == pytest.approx(np.mean(np.subtract(first, second)))
        assert cell["p"] == signed_rank(np.subtract(first, second)).p
        family = [
            other["p"]
            for other in summary["differences"]
            if all(other[key] == cell[key] for key in ("snr_db", "metric"))
            and (other["baseline"] == "first") == (cell["baseline"] == "first")
        ]
        assert cell["p_holm"] == holm(family)[family.index(cell["p"])]
    means = {(cell["system"], cell["metric"], f"{cell['snr_db']:g}"): cell["mean"] for cell in summary["table"]}
    by_snr = [cell for cell in summary["breakdown"] if cell["condition"] == "snr"]
    found = {
        (cell["system"], cell["metric"], cell["value"].replace("−", "-").split()[0]): cell["mean"] for cell in by_snr
    }
    assert found == pytest.approx(means)
    assert summary["failures"] == []
    pairs = {(cell["system"], cell["baseline"]) for cell in summary["differences"]}
    assert pairs == {("first", "noisy"), ("second", "noisy mic 3"), ("second", "first")}
    system = next(system for system in summary["systems"] if system["name"] == "first")
    enhancer = build_enhancer(**read_json(request_for.runs["first"] / "model.json", "model"))
    assert (system["params"], system["macs_per_second"]) == (
        n_parameters(enhancer),
        macs_per_second(enhancer),
    )


def test_noise_and_distortion_are_those_of_the_parts_through_the_masks(request_for: Request, tmp_path: Path) -> None:
    """A network that makes masks has both; what makes none has a reason."""
    names = ["noise_reduction", "speech_distortion", "si_sdr_improvement"]
    evaluate(replace(request_for, metrics=names, snr_db=[0.0]), tmp_path / "out", 1, {})
    rows = {(row["system"], row["scene"]): row for row in read_json_lines(tmp_path / "out" / "rows.jsonl")}
    dataset = open_dataset(request_for.data)
    entry = dataset.entries("test")[0]
    mixture, enhancer = dataset.read(entry, wanted_snr_db=0.0), load_enhancer(request_for.runs["second"])
    rest = mixture.noisy - mixture.target
    left, right = (np.mean(np.square(wave)) for wave in (rest[3], enhancer.shadow(mixture.noisy, rest)))
    assert rows["second", entry.id]["noise_reduction"] == pytest.approx(10 * np.log10(left / right), abs=1e-3)
    assert rows["noisy", entry.id]["noise_reduction"] is None
    assert "stems" in rows["noisy", entry.id]["reasons"]["noise_reduction"]
    assert rows["noisy", entry.id]["si_sdr_improvement"] == pytest.approx(0, abs=1e-6)


def test_examples_lie_beside_the_summary(request_for: Request, tmp_path: Path) -> None:
    evaluate(request_for, tmp_path / "out", 1, {})
    (example,) = read_json(tmp_path / "out" / "examples.json", "examples")
    assert set(example["waves"]) == {"noisy", "target", "first", "second"}
    assert all((tmp_path / "out" / path).is_file() for path in example["waves"].values())
    assert example["snr_db"] == 0


def test_a_folder_of_another_evaluation_is_refused(request_for: Request, tmp_path: Path) -> None:
    evaluate(request_for, tmp_path / "out", 1, {})
    other = Request(**{**vars(request_for), "snr_db": [5.0]})
    with pytest.raises(ValueError, match="other snr_db"):
        evaluate(other, tmp_path / "out", 1, {})


def test_another_array_or_baseline_is_refused(request_for: Request, tmp_path: Path) -> None:
    elsewhere = make_run(tmp_path / "line", ArrayGeometry(np.array([[0, 0, 0], [0, 0.1, 0]])))
    with pytest.raises(ValueError, match=r"line array: expected data of array \(2 mics\), .* got data of circular"):
        evaluate(Request(**{**vars(request_for), "runs": {"line": elsewhere}}), tmp_path / "out", 1, {})
    with pytest.raises(ValueError, match="baseline: expected one of first, second, got third"):
        evaluate(Request(**{**vars(request_for), "baseline": "third"}), tmp_path / "out", 1, {})
    assert not (tmp_path / "out").exists()


def test_bad_requests(request_for: Request, tmp_path: Path) -> None:
    for change, message in (
        ({"n_scenes": 99}, "n_scenes: expected at most 2"),
        ({"runs": {"noisy": request_for.runs["first"]}}, "expected other names than noisy, target"),
    ):
        with pytest.raises(ValueError, match=message):
            evaluate(Request(**{**vars(request_for), **change}), tmp_path / "out", 1, {})
    with pytest.raises(ValueError, match="got a folder with other files"):
        evaluate(request_for, request_for.runs["first"], 1, {})


def test_a_missing_run_is_named(request_for: Request, tmp_path: Path) -> None:
    shutil.rmtree(request_for.runs["second"])
    with pytest.raises(ValueError, match=r"second.*model\.json"):
        evaluate(request_for, tmp_path / "out", 1, {})
