"""Several trainings of a system: folded in every number of the summary, with gain kept and the family of tests."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from arrayse.checkpoint import fingerprint, load_enhancer, save_weights
from arrayse.evaluation.loop import evaluate
from arrayse.evaluation.summary import Request, Table, summarise_rows
from arrayse.files import read_json, read_json_lines, write_json
from arrayse.geometry import circular
from arrayse.statistics import crossed_share, holm, signed_rank, summarise_crossed
from tests.test_evaluate import make_run


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def quieter(source: Path, run: Path, gain: float) -> Path:
    """The same network with masks near a gain, which is better than none where there is much noise."""
    shutil.copytree(source, run)
    enhancer = load_enhancer(run)
    with torch.no_grad():
        enhancer.net.linear.weight.mul_(0.1)
        enhancer.net.linear.bias.copy_(torch.tensor([gain, 0.0]))
    save_weights(run, enhancer)
    return run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A teacher, three students that it taught, two that nobody taught and whose seeds are others."""
    folder = tmp_path_factory.mktemp("runs")
    small = make_run(folder / "small", circular(), [0, 1])
    found = {"big": quieter(make_run(folder / "plain", circular()), folder / "big", 0.4)}
    about = read_json(small / "about.json", "run") | {"teachers": {"big": fingerprint(found["big"])}}
    gains = {"taught_s0": 0.5, "taught_s1": 0.6, "taught_s2": 0.4, "alone_s2": 0.7, "alone_s1": 0.9}
    for name, gain in gains.items():
        found[name] = quieter(small, folder / name, gain)
        if name.startswith("taught"):
            write_json(found[name] / "about.json", about)
    return found


@pytest.fixture(scope="module")
def request_for(tiny_dataset: Path, runs: dict[str, Path]) -> Request:
    return Request(runs, tiny_dataset, "train", [0.0, 20.0], None, ["sdr", "log_spectral_distance"], "alone", 1, 0)


@pytest.fixture(scope="module")
def out(request_for: Request, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluation") / "out"
    evaluate(request_for, folder, 1, {})
    return folder


def table(out: Path, names: list[str], snr_db: float | None, metric: str) -> np.ndarray:
    """Scores (n_names, n_scenes), the mean over SNRs for None."""
    found: dict[tuple[str, str], list[float]] = {}
    for row in read_json_lines(out / "rows.jsonl"):
        if snr_db in (None, row["snr_db"]):
            found.setdefault((row["system"], row["scene"]), []).append(row[metric])
    scenes = list(dict.fromkeys(scene for _, scene in found))
    return np.array([[np.mean(found[name, scene]) for scene in scenes] for name in names])


def only(cells: list[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    (found,) = [cell for cell in cells if wanted.items() <= cell.items()]
    return found


CELLS = [(snr_db, metric) for snr_db in (0.0, 20.0, None) for metric in ("sdr", "log_spectral_distance")]
TAUGHT, ALONE = ["taught_s0", "taught_s1", "taught_s2"], ["alone_s1", "alone_s2"]


def test_trainings_of_a_system_are_one_entry(out: Path) -> None:
    systems = read_json(out / "summary.json", "summary")["systems"]
    told = {system["name"]: (system["kind"], system["n_seeds"], system["runs"]) for system in systems}
    assert told == {
        "noisy": ("noisy", 0, ["noisy"]),
        "big": ("teacher", 0, ["big"]),
        "taught": ("model", 3, TAUGHT),
        "alone": ("model", 2, ALONE),
    }
    assert len({row["system"] for row in read_json_lines(out / "rows.jsonl")}) == 7
    (example,) = read_json(out / "examples.json", "examples")
    assert list(example["waves"]) == ["noisy", "target", "big", "taught_s0", "alone_s1"]


@pytest.mark.parametrize(("snr_db", "metric"), CELLS)
def test_every_number_is_that_of_all_trainings(out: Path, snr_db: float | None, metric: str) -> None:
    summary, cell = read_json(out / "summary.json", "summary"), {"snr_db": snr_db, "metric": metric}
    taught, noisy, big = (table(out, names, snr_db, metric) for names in (TAUGHT, ["noisy"], ["big"]))
    mean = only(summary["table"], system="taught", **cell)
    expected = summarise_crossed(taught, rng())
    assert {key: mean[key] for key in vars(expected)} == pytest.approx(vars(expected))
    assert mean["n_seeds"] == 3
    gain = only(summary["differences"], system="taught", baseline="noisy", **cell)
    expected = summarise_crossed(taught - noisy, rng())
    assert {key: gain[key] for key in vars(expected)} == pytest.approx(vars(expected))
    assert gain["p"] == signed_rank((taught - noisy).mean(axis=0)).p
    common = [table(out, names, snr_db, metric) for names in (TAUGHT[1:], ALONE)]
    against = only(summary["differences"], system="taught", baseline="alone", **cell)
    expected = summarise_crossed(common[0] - common[1], rng())
    assert {key: against[key] for key in vars(expected)} == pytest.approx(vars(expected))
    assert against["n_seeds"] == 2
    kept = only(summary["gain_kept"], system="taught", **cell)
    whole = np.broadcast_to(big - noisy, taught.shape)
    sign = 1 if metric == "sdr" else -1  # a distance that falls is a gain
    share = crossed_share(sign * (taught - noisy), sign * whole, rng())
    assert [kept[key] for key in ("mean", "low", "high", "n")] == [share.mean, share.low, share.high, share.n]
    assert (kept["reason"] is None) == (share.mean is not None)


def test_some_gains_are_clear_and_some_are_not(out: Path) -> None:
    """Else the test above would compare nothing."""
    cells = read_json(out / "summary.json", "summary")["gain_kept"]
    assert {(cell["system"], cell["teacher"]) for cell in cells} == {("taught", "big"), ("alone", "big")}
    assert len(cells) == 2 * len(CELLS)
    clear = {cell["metric"] for cell in cells if cell["mean"] is not None}
    reasons = {cell["reason"] for cell in cells if cell["mean"] is None}
    assert clear == {"sdr", "log_spectral_distance"}
    assert reasons == {"the gain of the teacher is not clearly positive"}


def test_the_family_of_tests_is_that_of_the_systems(out: Path) -> None:
    """Five trainings are two systems: the correction is for three tests against the input, two against the baseline."""
    cells = read_json(out / "summary.json", "summary")["differences"]
    for snr_db, metric in CELLS:
        for baseline, n in (("noisy", 3), ("alone", 2)):
            family = [c for c in cells if (c["snr_db"], c["metric"], c["baseline"]) == (snr_db, metric, baseline)]
            assert len(family) == n
            assert [c["p_holm"] for c in family] == holm([c["p"] for c in family])


def test_a_teacher_can_be_chosen_and_no_teacher_means_no_gain_kept(
    out: Path, request_for: Request, runs: dict[str, Path], tmp_path: Path
) -> None:
    chosen = evaluate(replace(request_for, teacher="alone"), out, 1, {})
    assert {(cell["system"], cell["teacher"]) for cell in chosen["gain_kept"]} == {
        ("big", "alone"),
        ("taught", "alone"),
    }
    assert {s["name"]: s["kind"] for s in chosen["systems"]}["alone"] == "teacher"
    with pytest.raises(ValueError, match="teacher: expected one of big, taught, alone, got alone_s1"):
        evaluate(replace(request_for, teacher="alone_s1"), out, 1, {})
    evaluate(request_for, out, 1, {})
    alone = {name: run for name, run in runs.items() if not name.startswith("taught")}
    summary = evaluate(replace(request_for, runs=alone, baseline=None, n_scenes=1), tmp_path / "out", 1, {})
    assert (summary["gain_kept"], [s["kind"] for s in summary["systems"]]) == ([], ["noisy", "model", "model"])


def test_who_estimates_another_microphone_keeps_no_gain(
    request_for: Request, runs: dict[str, Path], tmp_path: Path
) -> None:
    named = {"big": runs["big"], "there": make_run(tmp_path / "there", circular(), [2, 3], 3)}
    wanted = replace(request_for, runs=named, baseline=None, n_scenes=2, teacher="big", beamformers=["delay_and_sum"])
    cells = evaluate(wanted, tmp_path / "out", 1, {})["gain_kept"]
    reasons = {cell["reason"] for cell in cells if cell["system"] == "there"}
    assert reasons == {"estimates speech at another microphone than the teacher"}
    assert {cell["system"] for cell in cells} == {"there", "delay_and_sum"}


def test_trainings_of_one_name_are_of_one_network(request_for: Request, runs: dict[str, Path], tmp_path: Path) -> None:
    mixed = {"a_s0": runs["taught_s0"], "a_s1": runs["big"]}
    with pytest.raises(ValueError, match="for all seeds of a, got others in a_s1 than in a_s0: names that end in _s0"):
        evaluate(replace(request_for, runs=mixed, baseline=None), tmp_path / "out", 1, {})
    evaluate(replace(request_for, runs={"a": runs["big"], **mixed}, baseline=None, n_scenes=1), tmp_path / "out", 1, {})


def test_systems_without_a_seed_in_common_are_not_compared(out: Path, request_for: Request, tiny_dataset: Path) -> None:
    from arrayse.evaluation.sources import open_source

    rows = list(read_json_lines(out / "rows.jsonl"))
    systems = {"noisy": {-1: "noisy"}, "taught": {0: "taught_s0"}, "alone": {1: "alone_s1"}}
    parts = Table(rows, {"sdr": "text"}, systems, {"taught": "noisy", "alone": "noisy"})
    summary = summarise_rows(request_for, open_source("dataset", tiny_dataset, "train"), [], [parts], "alone", {})
    assert {(c["system"], c["baseline"]) for c in summary["differences"]} == {("taught", "noisy"), ("alone", "noisy")}
    reasons = {cell["reason"] for cell in summary["gain_kept"]}
    assert reasons == {"no seed in common with what it is compared to"}
