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
from arrayse.evaluation.loop import evaluate
from arrayse.evaluation.speed import measure_speed
from arrayse.evaluation.summary import Request
from arrayse.files import read_json, read_json_lines, write_json, write_json_lines
from arrayse.geometry import ArrayGeometry
from arrayse.metrics import score
from arrayse.mixture import open_dataset
from arrayse.models import build_enhancer
from arrayse.profile.cost import macs_per_second, n_parameters
from arrayse.statistics import holm, signed_rank


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
    first = evaluate(request_for, tmp_path / "one", 1, {})
    assert evaluate(request_for, tmp_path / "two", 2, {}) == first
    one, two = (tmp_path / name / "rows.jsonl" for name in ("one", "two"))
    whole = one.read_text()
    assert two.read_text() == whole
    one.write_text(whole[: 3 * len(whole) // 4])  # a kill in the second scene
    told: list[tuple[int, int]] = []
    assert evaluate(request_for, tmp_path / "one", 1, {}, lambda *numbers: told.append(numbers)) == first
    assert one.read_text() == whole
    assert told == [(1, 2), (2, 2)]


def test_systems_that_are_added_are_scored_and_nothing_else(request_for: Request, tmp_path: Path) -> None:
    more = replace(request_for, beamformers=["delay_and_sum"])
    expected = evaluate(more, tmp_path / "whole", 1, {})
    whole = (tmp_path / "whole" / "rows.jsonl").read_text()
    fewer = replace(request_for, runs={"first": request_for.runs["first"]})
    evaluate(fewer, tmp_path / "out", 1, {})
    rows = list(read_json_lines(tmp_path / "out" / "rows.jsonl"))
    write_json_lines(tmp_path / "out" / "rows.jsonl", [row | {"estoi": 0.25} for row in rows])
    evaluate(more, tmp_path / "out", 1, {})
    changed = list(read_json_lines(tmp_path / "out" / "rows.jsonl"))
    kept = {row["system"] for row in changed if row["estoi"] == 0.25}
    assert kept == {"noisy", "first"}  # as they were found: they were not scored again
    write_json_lines(tmp_path / "out" / "rows.jsonl", [row for row in changed if row["system"] not in kept])
    assert evaluate(more, tmp_path / "out", 1, {}) == expected
    assert (tmp_path / "out" / "rows.jsonl").read_text() == whole
    with pytest.raises(ValueError, match="other runs, models, beamformers"):
        evaluate(fewer, tmp_path / "out", 1, {})


def scores_of(rows: list[dict[str, Any]], name: str, metric: str, snr_db: float | None) -> list[float]:
    """Of each scene; the mean over SNRs for None."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if row["system"] == name and snr_db in (None, row["snr_db"]):
            found.setdefault(row["scene"], []).append(row[metric])
    return [float(np.mean(each)) for each in found.values()]


def test_the_summary_adds_up(request_for: Request, tmp_path: Path) -> None:
    summary = evaluate(request_for, tmp_path / "out", 1, {"seed": 0})
    assert summary == read_json(tmp_path / "out" / "summary.json", "summary")
    assert (summary["source"], summary["split"], summary["snr_db"]) == ("dataset", "test", [0.0, 10.0])
    rows = list(read_json_lines(tmp_path / "out" / "rows.jsonl"))
    keys = {(cell["system"], cell["snr_db"], cell["metric"]) for cell in summary["table"]}
    assert len(keys) == len(summary["table"]) == 4 * 3 * 2
    assert {snr_db for _, snr_db, _ in keys} == {0.0, 10.0, None}
    for cell in summary["table"]:
        values = scores_of(rows, cell["system"], cell["metric"], cell["snr_db"])
        assert cell["mean"] == pytest.approx(np.mean(values))
        assert cell["median"] == pytest.approx(np.median(values))
        assert cell["low"] <= cell["mean"] <= cell["high"]
        assert (cell["n"], cell["n_failed"], cell["n_seeds"]) == (len(values), 0, 0)
    for cell in summary["differences"]:
        first, second = (
            scores_of(rows, name, cell["metric"], cell["snr_db"]) for name in (cell["system"], cell["baseline"])
        )
        assert cell["mean"] == pytest.approx(np.mean(np.subtract(first, second)))
        assert cell["p"] == signed_rank(np.subtract(first, second)).p
        family = [
            other["p"]
            for other in summary["differences"]
            if all(other[key] == cell[key] for key in ("snr_db", "metric"))
            and (other["baseline"] == "first") == (cell["baseline"] == "first")
        ]
        assert cell["p_holm"] == holm(family)[family.index(cell["p"])]
    means = {
        (c["system"], c["metric"], f"{c['snr_db']:g}"): c["mean"] for c in summary["table"] if c["snr_db"] is not None
    }
    by_snr = [cell for cell in summary["breakdown"] if cell["condition"] == "snr"]
    found = {
        (cell["system"], cell["metric"], cell["value"].replace("−", "-").split()[0]): cell["mean"] for cell in by_snr
    }
    assert found == pytest.approx(means)
    assert (summary["failures"], summary["gain_kept"]) == ([], [])
    pairs = {(cell["system"], cell["baseline"]) for cell in summary["differences"]}
    assert pairs == {("first", "noisy"), ("second", "noisy mic 3"), ("second", "first")}
    assert len(summary["differences"]) == 3 * 3 * 2
    system = next(system for system in summary["systems"] if system["name"] == "first")
    enhancer = build_enhancer(**read_json(request_for.runs["first"] / "model.json", "model"))
    assert (system["params"], system["macs_per_second"]) == (
        n_parameters(enhancer),
        macs_per_second(enhancer),
    )
    assert (system["n_seeds"], system["runs"], system["latency_ms"]) == (0, ["first"], 32.0)
    assert system["foreign_array"] is None


def test_p_values_need_six_scenes_and_are_corrected_over_the_systems(request_for: Request, tmp_path: Path) -> None:
    """On the training scenes, of which there are enough."""
    runs = {
        **request_for.runs,
        "third": make_run(tmp_path / "third", open_dataset(request_for.data).geometry, [2, 0], 2),
    }
    wanted = replace(request_for, runs=runs, split="train", metrics=["si_sdr"], snr_db=[0.0])
    summary = evaluate(wanted, tmp_path / "out", 1, {})
    rows = list(read_json_lines(tmp_path / "out" / "rows.jsonl"))
    for other in ("noisy", "first"):
        cells = [
            cell
            for cell in summary["differences"]
            if cell["snr_db"] == 0 and cell["baseline"].startswith(other)  # the noisy signals are of three microphones
        ]
        p_values = [
            signed_rank(np.subtract(*(scores_of(rows, c[key], "si_sdr", 0.0) for key in ("system", "baseline")))).p
            for c in cells
        ]
        assert None not in p_values
        assert len(p_values) == (3 if other == "noisy" else 2)
        assert [cell["p"] for cell in cells] == p_values
        assert [cell["p_holm"] for cell in cells] == holm(p_values)


def test_a_network_that_was_trained_again_in_the_same_folder_is_read_again(
    request_for: Request, tmp_path: Path
) -> None:
    first = evaluate(replace(request_for, n_scenes=1), tmp_path / "a", 1, {})
    run = request_for.runs["first"]
    enhancer = load_enhancer(run)
    with torch.no_grad():
        enhancer.net.linear.bias.add_(0.5)
    save_weights(run, enhancer)
    second = evaluate(replace(request_for, n_scenes=1), tmp_path / "b", 1, {})
    changed = [
        cell["system"]
        for cell, other in zip(first["table"], second["table"], strict=True)
        if cell["mean"] != other["mean"]
    ]
    assert set(changed) == {"first"}
    with pytest.raises(ValueError, match="other runs"):
        evaluate(replace(request_for, n_scenes=1), tmp_path / "a", 1, {})


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
    with pytest.raises(ValueError, match="other snr_db"):
        evaluate(replace(request_for, snr_db=[5.0]), tmp_path / "out", 1, {})


def test_unknown_names_are_refused_before_anything_is_written(request_for: Request, tmp_path: Path) -> None:
    first = request_for.runs["first"]
    cases: list[tuple[dict[str, Any], str]] = [
        ({"baseline": "third"}, "baseline: expected one of first, second, got third"),
        ({"teacher": "third"}, "teacher: expected one of first, second, got third"),
        ({"n_scenes": 99}, r"n_scenes: expected at most 2 \(split test\), got 99"),
        ({"runs": {"noisy": first}}, "expected other names than noisy, target"),
        ({"snr_db": []}, "snr_db: expected one or more SNRs for a dataset, got none"),
        ({"metrics": []}, "metrics: expected one or more, got none"),
        ({"source": "folder"}, "source: expected one of dataset, pairs, recordings, got folder"),
        ({"beamformers": ["mvdr"]}, "beamformers: expected some of delay_and_sum, .*, got mvdr"),
    ]
    for change, message in cases:
        with pytest.raises(ValueError, match=message):
            evaluate(replace(request_for, **{"baseline": None, **change}), tmp_path / "out", 1, {})
        assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match="got a folder with other files"):
        evaluate(request_for, first, 1, {})


def test_every_run_without_a_network_is_named(request_for: Request, tmp_path: Path) -> None:
    (request_for.runs["first"] / "model.safetensors").unlink()
    shutil.rmtree(request_for.runs["second"])
    with pytest.raises(ValueError, match="weights: expected a file") as info:
        evaluate(request_for, tmp_path / "out", 1, {})
    first, second = str(info.value).splitlines()
    assert first == f"weights: expected a file {request_for.runs['first'] / 'model.safetensors'}, got none"
    assert second.endswith(f"got {request_for.runs['second']} without model.json")
    (request_for.runs["first"] / "about.json").unlink()
    with pytest.raises(ValueError, match="weights: expected a file"):
        evaluate(replace(request_for, runs={"first": request_for.runs["first"]}), tmp_path / "out", 1, {})


def test_rows_of_other_scenes_are_named(request_for: Request, tmp_path: Path) -> None:
    evaluate(request_for, tmp_path / "out", 1, {})
    with (tmp_path / "out" / "rows.jsonl").open("a") as file:
        file.write('{"system": "first", "scene": "test-000099", "snr_db": 0.0}\n')
    with pytest.raises(ValueError, match=r"rows\.jsonl: line 17: expected scores .*, got .*test-000099"):
        evaluate(request_for, tmp_path / "out", 1, {})


def test_speed_lies_beside_the_summary_and_is_measured_once(request_for: Request, tmp_path: Path) -> None:
    runs = {"a_s0": request_for.runs["first"], "a_s1": request_for.runs["first"], "b": request_for.runs["second"]}
    measured = measure_speed(tmp_path, {"b": runs["b"]})
    both = measure_speed(tmp_path, runs)
    assert both == read_json(tmp_path / "speed.json", "speed")
    assert set(both) == {"a", "b"}
    assert both["b"] == measured["b"]
    assert all(each["real_time_factor"] > 0 and each["seconds"] == 4 for each in both.values())
