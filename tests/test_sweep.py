"""Sweeps from scenes to numbers: two roads to the same ones, resume, every error."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from arrayse.config import read_config
from arrayse.evaluation.loop import evaluate
from arrayse.evaluation.summary import Request
from arrayse.files import alone_in, read_json, read_json_lines
from arrayse.mixture import open_dataset
from arrayse.report.sweep_table import sweep_csv, sweep_markdown
from arrayse.sweep import sweep_rows, systems_of
from arrayse.verbs.sweep import run_sweep
from tests.test_evaluate import make_run

Config = dict[str, Any]


def config(data: Path, out: Path, *arguments: str, name: str = "gain_error") -> Config:
    """A sweep config of one fast score."""
    common = [f"data={data}", f"out={out}", "metrics=[si_sdr]", "workers=1"]
    return read_config("sweep", [name, *common, *arguments])


@pytest.fixture(scope="module")
def runs(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two trainings of one network, of which the second hears and estimates microphone 3."""
    folder, geometry = tmp_path_factory.mktemp("runs"), open_dataset(tiny_dataset).geometry
    return {
        "net_s0": make_run(folder / "net_s0", geometry),
        "other": make_run(folder / "other", geometry, [1, 3], 3),
    }


GAINS = ["values=[0,2,6]", "beamformers=[delay_and_sum]", "baseline=delay_and_sum", "reference=2"]


@pytest.fixture(scope="module")
def folder(tiny_dataset: Path, runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of three gain errors."""
    out = tmp_path_factory.mktemp("sweep") / "gain"
    run_sweep(config(tiny_dataset, out, *GAINS), runs)
    return out


@pytest.fixture
def swept(folder: Path) -> Config:
    return dict(read_json(folder / "sweep.json", "sweep"))


def row_of(summary: Config, system: str, value: str) -> Config:
    (row,) = (r for r in summary["rows"] if (r["system"], r["value"]) == (system, value))
    return dict(row)


# --- numbers ------------------------------------------------------------------------------------------------


def test_a_sweep_says_what_the_rows_of_its_evaluations_say(swept: Config, folder: Path) -> None:
    scores: dict[tuple[str, str], list[float]] = {}
    for value in ("0", "2", "6"):
        for row in read_json_lines(folder / "evaluations" / value / "rows.jsonl"):
            assert row["snr_db"] == 5.0
            scores.setdefault((row["system"], value), []).append(row["si_sdr"])
    assert [system["name"] for system in swept["systems"]] == ["noisy", "noisy mic 3", "delay_and_sum", "net", "other"]
    assert [s["kind"] for s in swept["systems"]] == ["noisy", "noisy", "beamformer", "model", "model"]
    for name, run in (("noisy", "noisy"), ("delay_and_sum", "delay_and_sum"), ("net", "net_s0"), ("other", "other")):
        for value in ("0", "2", "6"):
            row, own = row_of(swept, name, value), np.array(scores[run, value])
            assert row["mean"] == pytest.approx(own.mean())
            assert (row["n"], row["n_failed"]) == (2, 0)
            assert row["low"] <= row["mean"] <= row["high"]
            to_two = row["to_reference"]
            assert (to_two is None) == (value == "2")
            if to_two is not None:
                assert to_two["mean"] == pytest.approx((own - scores[run, "2"]).mean())
            beamformed = row["to_baseline"]
            assert (beamformed is None) == (name == "delay_and_sum")
            if beamformed is not None:
                assert beamformed["mean"] == pytest.approx((own - scores["delay_and_sum", value]).mean())
    assert (swept["usual"], swept["n_paired"], swept["n_scenes"]) == ([0.0, 0.0], 2, 2)
    assert (folder / "table.md").read_text() == sweep_markdown(swept)
    assert (folder / "table.csv").read_text() == sweep_csv(swept)


def test_what_is_not_disturbed_has_equal_scores_at_all_values(swept: Config) -> None:
    """The reference microphone has no gain error, one of the others has."""
    for value in ("0", "6"):
        assert row_of(swept, "noisy", value)["to_reference"]["mean"] == pytest.approx(0, abs=1e-3)
        assert abs(row_of(swept, "delay_and_sum", value)["to_reference"]["mean"]) > 0.01


def test_the_value_that_changes_nothing_scores_like_the_dataset(
    folder: Path, tiny_dataset: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    request = Request(runs, tiny_dataset, "test", [5.0], None, ["si_sdr"], None, 0, 0, ["delay_and_sum"])
    evaluate(request, tmp_path / "plain", 1, {})
    rows = list(read_json_lines(tmp_path / "plain" / "rows.jsonl"))
    assert rows == list(read_json_lines(folder / "evaluations" / "0" / "rows.jsonl"))


def test_snr_is_swept_on_the_stems(tiny_dataset: Path, runs: dict[str, Path], tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    values = config(tiny_dataset, tmp_path / "out", "values=[-5,5,15]", name="snr")
    summary = run_sweep(values, runs, lambda done, total: seen.append((done, total)))
    assert seen == [(0, 2), (1, 2), (2, 2)]
    assert not (tmp_path / "out" / "scenes").exists()
    assert (summary["usual"], summary["snr_db"], summary["reference"]) == (None, None, "-5")
    means = [row_of(summary, "noisy", value)["mean"] for value in ("-5", "5", "15")]
    assert means == sorted(means)
    rows = [r for r in read_json_lines(tmp_path / "out" / "evaluation" / "rows.jsonl") if r["system"] == "noisy"]
    assert means[0] == pytest.approx(np.mean([row["si_sdr"] for row in rows if row["snr_db"] == -5.0]))


def test_seeds_are_folded_and_paired() -> None:
    rows: dict[str, list[Config]] = {
        value: [
            {"system": name, "scene": scene, "snr_db": 5.0, "m": base + slope * k + scene_level}
            for name, base in (("a_s0", 1.0), ("a_s1", 3.0), ("noisy", 0.0))
            for scene, scene_level in (("x", 0.0), ("y", 10.0), ("z", 2.0))
        ]
        for k, (value, slope) in enumerate((("0", 0.0), ("1", -0.5)))
    }
    systems = systems_of([], ["a_s0", "a_s1"])
    found = sweep_rows(rows, systems, ["m"], "0", "noisy", np.random.default_rng(0))
    keyed = {(row["system"], row["value"]): row for row in found}
    assert keyed["a", "1"]["mean"] == pytest.approx(2 - 0.5 + 4)
    assert keyed["a", "1"]["n_seeds"] == 2
    change = keyed["a", "1"]["to_reference"]
    assert [change[key] for key in ("mean", "low", "high")] == pytest.approx([-0.5] * 3)  # scenes and seeds cancel
    beside = keyed["a", "1"]["to_baseline"]
    assert (beside["mean"], beside["n"]) == (pytest.approx(2.0), 3)
    assert (keyed["a", "0"]["to_reference"], keyed["noisy", "1"]["to_baseline"]) == (None, None)


def test_a_score_that_failed_is_counted_and_leaves_its_pair_out() -> None:
    rows: dict[str, list[Config]] = {
        "0": [{"system": "noisy", "scene": s, "snr_db": 0.0, "m": v} for s, v in (("x", 1.0), ("y", 2.0))],
        "1": [{"system": "noisy", "scene": s, "snr_db": 0.0, "m": v} for s, v in (("x", 4.0), ("y", None))],
    }
    found = sweep_rows(rows, systems_of([], []), ["m"], "0", None, np.random.default_rng(0))
    assert [(row["mean"], row["n"], row["n_failed"]) for row in found] == [(1.5, 2, 0), (4.0, 1, 1)]
    assert (found[1]["to_reference"]["mean"], found[1]["to_reference"]["n"]) == (3.0, 1)


def test_a_system_that_is_not_there_at_a_value_has_not_failed() -> None:
    rows: dict[str, list[Config]] = {
        value: [{"system": name, "scene": "x", "snr_db": 0.0, "m": 1.0} for name in names]
        for value, names in (("a", ["noisy"]), ("b", ["noisy", "noisy mic 3"]))
    }
    found = sweep_rows(rows, systems_of([], [], ["noisy", "noisy mic 3"]), ["m"], "a", None, np.random.default_rng(0))
    there = {(row["system"], row["value"]): (row["mean"], row["n"], row["n_failed"]) for row in found}
    assert there["noisy mic 3", "a"] == (None, 0, 0)
    assert there["noisy mic 3", "b"] == (1.0, 1, 0)


# --- resume -------------------------------------------------------------------------------------------------


def test_a_stopped_sweep_goes_on_where_it_was(
    swept: Config, folder: Path, tiny_dataset: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "copy"
    shutil.copytree(folder, out)
    (out / "sweep.json").unlink()
    shutil.rmtree(out / "scenes" / "6")  # it was killed before the last value
    shutil.rmtree(out / "evaluations" / "6")
    rows = out / "evaluations" / "2" / "rows.jsonl"
    rows.write_text("".join(rows.read_text().splitlines(keepends=True)[:5]) + '{"system": "no')
    kept = (out / "scenes" / "0" / "test" / "shard-00000" / "test-000000.wav").stat().st_mtime_ns
    seen: list[int] = []
    again = run_sweep(config(tiny_dataset, out, *GAINS), runs, lambda done, total: seen.append(done))
    assert again["rows"] == swept["rows"]
    assert (out / "scenes" / "0" / "test" / "shard-00000" / "test-000000.wav").stat().st_mtime_ns == kept
    assert seen == sorted(seen)
    assert seen[-1] == 12


def test_a_folder_of_something_else_is_refused(
    folder: Path, tiny_dataset: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    cases = [
        ("a sweep of position_error, got one of gain_error", ["values=[0,2]"], "position_error"),
        ("or the same sweep, got one with other sweep", ["values=[0,2]"], "gain_error"),
        ("got one with other n_scenes", ["values=[0,2,6]", "n_scenes=1"], "gain_error"),
        ("got one with other beamformers", ["values=[0,2,6]"], "gain_error"),
    ]
    before = (folder / "config.yaml").read_text()
    for told, arguments, name in cases:
        with pytest.raises(ValueError, match=told):
            run_sweep(config(tiny_dataset, folder, *arguments, name=name), runs)
    assert (folder / "config.yaml").read_text() == before  # that of what is in sweep.json
    with alone_in(folder), pytest.raises(ValueError, match="no other process writes into"):
        run_sweep(config(tiny_dataset, folder, *GAINS), runs)
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ValueError, match="expected an empty folder or a sweep, got a folder with other files"):
        run_sweep(config(tiny_dataset, tmp_path), runs)


# --- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("snr", ["snr_db=5"], "snr_db: expected none with condition snr, whose values it is, got 5"),
        ("rt60", ["values=[0.3,7.0]"], r"values: expected numbers from 0.05 to 5 \(RT60 \(s\)\), got 7"),
        ("rt60", ["values=[0.06,0.3]"], r"values: rt60 0.06 in scene test-000000: rt60: expected"),
        ("rt60", ["reference=0.4"], "reference: expected one of 0.2, 0.3, 0.45, 0.6, 0.8, 1, got 0.4"),
        ("rt60", ["baseline=nobody"], "baseline: expected one of noisy, net, other, got nobody"),
        ("other_array", ["values=[own,circular]"], "got circular twice or more"),
        ("other_array", ["values=[own,3]"], "values: expected arrays: own, a name, a YAML file or its content, got 3"),
        ("other_array", ["values=[own,nowhere]"], "got nowhere"),
        ("dead_mic", ["values=[none,0]"], "not the reference, 0"),
        (
            "rt60",
            ["split=valid", "data=nowhere"],
            "expected a folder that arrayse simulate wrote, got nowhere: no such folder",
        ),
    ],
)
def test_what_makes_no_sweep_is_told_before_any_work(
    tiny_dataset: Path, runs: dict[str, Path], tmp_path: Path, name: str, arguments: list[str], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        run_sweep(config(tiny_dataset, tmp_path / "out", *arguments, name=name), runs)
    assert not (tmp_path / "out" / "scenes").exists()


def test_runs_are_needed_and_looked_at(tiny_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="runs: expected run folders or beamformers, got none"):
        run_sweep(config(tiny_dataset, tmp_path / "out"), {})
    with pytest.raises(ValueError, match=f"runs: expected run folders, got {tmp_path} without model.json"):
        run_sweep(config(tiny_dataset, tmp_path / "out"), {"net": tmp_path})


def test_a_dataset_without_a_recipe_has_only_its_stems(
    tiny_dataset: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(tiny_dataset, tmp_path / "data")
    there = tmp_path / "data" / "dataset.json"
    there.write_text(there.read_text().replace('"recipe"', '"prescription"'))
    with pytest.raises(ValueError, match="expected the description of a dataset, got none of its keys recipe"):
        run_sweep(config(tmp_path / "data", tmp_path / "rt60", name="rt60"), runs)
    values = config(tmp_path / "data", tmp_path / "snr", "values=[0,10]", "n_scenes=1", name="snr")
    assert run_sweep(values, runs)["n_scenes"] == 1
