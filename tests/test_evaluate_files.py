"""Evaluation of files: pairs of noisy and clean ones, and recordings without reference, with and without DNSMOS."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import arrayse
from arrayse.evaluation.baselines import oracle
from arrayse.evaluation.loop import evaluate
from arrayse.evaluation.summary import Request
from arrayse.files import read_json, read_json_lines
from arrayse.geometry import ArrayGeometry, circular
from arrayse.metrics import METRICS, Score, score
from arrayse.mixture import open_dataset
from arrayse.statistics import summarise
from tests.test_evaluate import make_run

RATE = 16000
ONE_MIC = ArrayGeometry([[0, 0, 0]], name="one")


def write_pairs(folder: Path, data: Path, n_mics: int, n_clean: int = 1) -> Path:
    """The test scenes of a dataset as noisy and clean files, the latter at microphone 0 or at all."""
    dataset = open_dataset(data)
    for kind in ("noisy", "clean"):
        (folder / kind).mkdir(parents=True)
    for entry in dataset.entries("test"):
        mixture = dataset.read(entry, wanted_snr_db=5.0)
        soundfile.write(folder / "noisy" / f"{entry.id}.wav", 0.3 * mixture.noisy[:n_mics].T, RATE)
        soundfile.write(folder / "clean" / f"{entry.id}.wav", 0.3 * mixture.target[:n_clean].T, RATE)
    return folder


def request_for(folder: Path, runs: dict[str, Path], source: str = "pairs", **changes: Any) -> Request:
    plain: dict[str, Any] = {"split": "test", "snr_db": [], "n_scenes": None, "metrics": ["si_sdr"], "baseline": None}
    return Request(runs, folder, **plain | {"n_examples": 1, "seed": 0, "source": source} | changes)


@pytest.fixture
def runs(tmp_path: Path) -> dict[str, Path]:
    """Networks that hear one microphone: of an array that has no other, and the third one of a ring."""
    return {"one": make_run(tmp_path / "one", ONE_MIC), "third": make_run(tmp_path / "third", circular(), [2], 2)}


def test_pairs_are_scored_as_they_are(tiny_dataset: Path, runs: dict[str, Path], tmp_path: Path) -> None:
    folder = write_pairs(tmp_path / "pairs", tiny_dataset, 1)
    wanted = request_for(folder, runs, beamformers=["irm_oracle"], baseline="one")
    summary = evaluate(wanted, tmp_path / "out", 1, {})
    rows = {(row["system"], row["scene"]): row for row in read_json_lines(tmp_path / "out" / "rows.jsonl")}
    assert {row["snr_db"] for row in rows.values()} == {None}
    scenes = ["test-000000", "test-000001"]
    assert set(rows) == {(name, scene) for name in ("noisy", "irm_oracle", "one", "third") for scene in scenes}
    noisy, clean = (
        soundfile.read(folder / kind / f"{scenes[1]}.wav", dtype="float32", always_2d=True)[0].T
        for kind in ("noisy", "clean")
    )
    waves = {name: arrayse.load(run).enhance(noisy, RATE) for name, run in runs.items()}
    waves |= {"noisy": noisy[0], "irm_oracle": oracle("irm_oracle", noisy, clean, 0, RATE)}
    for name, wave in waves.items():
        expected = score(wave, clean[0], RATE, ["si_sdr"])["si_sdr"].value
        assert rows[name, scenes[1]]["si_sdr"] == pytest.approx(expected, abs=1e-4)
    assert (summary["source"], summary["snr_db"], summary["split"]) == ("pairs", [], None)
    assert (summary["array"], summary["label"], summary["data"]) == (None, "noisy and clean files", str(folder))
    assert (summary["breakdown"], summary["unknown_conditions"]) == ([], [])
    assert {cell["snr_db"] for part in ("table", "differences") for cell in summary[part]} == {None}
    mean = next(cell for cell in summary["table"] if cell["system"] == "third")
    expected_mean = summarise([rows["third", scene]["si_sdr"] for scene in scenes], np.random.default_rng(0))
    assert {key: mean[key] for key in vars(expected_mean)} == pytest.approx(vars(expected_mean))
    pairs = {(cell["system"], cell["baseline"]) for cell in summary["differences"]}
    assert pairs == {
        *((name, "noisy") for name in ("irm_oracle", "one", "third")),
        ("irm_oracle", "one"),
        ("third", "one"),
    }
    (example,) = read_json(tmp_path / "out" / "examples.json", "examples")
    assert (example["snr_db"], example["title"]) == (None, "test-000000.wav")
    assert list(example["waves"]) == ["noisy", "target", "irm_oracle", "one", "third"]
    assert evaluate(wanted, tmp_path / "out", 1, {}) == summary  # nothing is scored again


def test_the_content_of_the_files_is_part_of_the_evaluation(
    tiny_dataset: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    folder = write_pairs(tmp_path / "pairs", tiny_dataset, 1)
    evaluate(request_for(folder, runs), tmp_path / "out", 1, {})
    moved = shutil.move(folder, tmp_path / "elsewhere")
    evaluate(request_for(Path(moved), runs), tmp_path / "out", 1, {})
    first, second = sorted((tmp_path / "elsewhere" / "clean").iterdir())
    shutil.copy(first, second)
    with pytest.raises(ValueError, match="one with other data"):
        evaluate(request_for(Path(moved), runs), tmp_path / "out", 1, {})


def test_files_of_all_microphones(tiny_dataset: Path, runs: dict[str, Path], tmp_path: Path) -> None:
    """One clean channel stands for all microphones; that which the first network estimates is the reference."""
    folder = write_pairs(tmp_path / "pairs", tiny_dataset, 5)
    all_five = make_run(tmp_path / "five", circular(), None, 1)
    named = {"five": all_five, "third": runs["third"]}
    metrics = ["si_sdr", "noise_reduction"]
    summary = evaluate(request_for(folder, named, metrics=metrics), tmp_path / "out", 1, {})
    assert [system["name"] for system in summary["systems"]] == ["noisy", "noisy mic 2", "five", "third"]
    rows = {row["system"]: row for row in read_json_lines(tmp_path / "out" / "rows.jsonl")}
    noisy, clean = (
        soundfile.read(folder / kind / "test-000001.wav", dtype="float32")[0].T for kind in ("noisy", "clean")
    )
    assert rows["noisy"]["si_sdr"] == score(noisy[1], clean, RATE, ["si_sdr"])["si_sdr"].value
    expected = score(arrayse.load(all_five).enhance(noisy, RATE), clean, RATE, ["si_sdr"])["si_sdr"].value
    assert rows["five"]["si_sdr"] == pytest.approx(expected, abs=1e-4)
    assert "stems" in rows["five"]["reasons"]["noise_reduction"]  # the rest is not known at all microphones
    with pytest.raises(ValueError, match="beamformers: expected clean files of 5 channels for mvdr_oracle"):
        evaluate(request_for(folder, named, beamformers=["mvdr_oracle"]), tmp_path / "other", 1, {})


def test_clean_files_of_all_microphones_allow_all_oracles(tiny_dataset: Path, tmp_path: Path) -> None:
    folder = write_pairs(tmp_path / "pairs", tiny_dataset, 5, 5)
    run = make_run(tmp_path / "five", circular(), None, 1)
    wanted = request_for(folder, {"five": run}, metrics=["si_sdr", "noise_reduction"], beamformers=["mvdr_oracle"])
    summary = evaluate(wanted, tmp_path / "out", 1, {})
    rows = {row["system"]: row for row in read_json_lines(tmp_path / "out" / "rows.jsonl")}
    assert rows["mvdr_oracle"]["si_sdr"] > rows["noisy"]["si_sdr"] + 5
    assert np.isfinite(rows["five"]["noise_reduction"])
    system = next(system for system in summary["systems"] if system["name"] == "mvdr_oracle")
    assert (system["mics"], "oracle: told the covariances" in system["description"]) == ([0, 1, 2, 3, 4], True)


def test_networks_hear_what_the_files_have(tiny_dataset: Path, tmp_path: Path) -> None:
    folder = write_pairs(tmp_path / "pairs", tiny_dataset, 1)
    for mics, wanted in (
        (None, r"net: expected files of 5 channels for the array circular, got files of 1"),
        ([0, 3], r"net: expected files of 5 channels .*, or 2 \(its microphones \[0, 3\]\), got files of 1"),
    ):
        run = make_run(tmp_path / f"net{mics}", circular(), mics)
        with pytest.raises(ValueError, match=wanted):
            evaluate(request_for(folder, {"net": run}), tmp_path / "out", 1, {})
    with pytest.raises(ValueError, match="beamformers: expected none that is told a direction"):
        evaluate(request_for(folder, {}, beamformers=["delay_and_sum"]), tmp_path / "out", 1, {})
    with pytest.raises(ValueError, match=r"snr_db: expected none for pairs, which are as they are, got \[0.0\]"):
        evaluate(request_for(folder, {}, snr_db=[0.0]), tmp_path / "out", 1, {})
    with pytest.raises(ValueError, match="n_scenes: expected at most 2"):
        evaluate(request_for(folder, {}, n_scenes=3), tmp_path / "out", 1, {})
    assert not (tmp_path / "out").exists()


# --- recordings ---------------------------------------------------------------------------------------------


def test_recordings_are_rated_without_a_reference(
    tiny_dataset: Path, runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a stand-in for DNSMOS: the level of the estimate."""
    folder = write_pairs(tmp_path / "pairs", tiny_dataset, 1) / "noisy"
    level = METRICS["dnsmos_ovrl"].__class__(
        "dnsmos_ovrl", lambda utterance: Score(float(np.abs(utterance.estimate).mean())), lambda: "a level", needs=()
    )
    monkeypatch.setitem(METRICS, "dnsmos_ovrl", level)
    wanted = request_for(folder, runs, "recordings", metrics=["dnsmos_ovrl"])
    summary = evaluate(wanted, tmp_path / "out", 1, {})
    assert (summary["source"], summary["implementations"]) == ("recordings", {"dnsmos_ovrl": "dnsmos_ovrl: a level"})
    rows = {(row["system"], row["scene"]): row for row in read_json_lines(tmp_path / "out" / "rows.jsonl")}
    wave = soundfile.read(folder / "test-000000.wav", dtype="float32")[0]
    assert rows["noisy", "test-000000"]["dnsmos_ovrl"] == pytest.approx(np.abs(wave).mean())
    assert len(summary["differences"]) == 2
    (example,) = read_json(tmp_path / "out" / "examples.json", "examples")
    assert list(example["waves"]) == ["noisy", "one", "third"]


def test_without_metrics_there_is_something_to_hear(tiny_dataset: Path, runs: dict[str, Path], tmp_path: Path) -> None:
    folder = write_pairs(tmp_path / "pairs", tiny_dataset, 1) / "noisy"
    soundfile.write(folder / "aa_silent.wav", np.zeros(1600), RATE)
    told: list[tuple[int, int]] = []
    wanted = request_for(folder, runs, "recordings", metrics=[], n_examples=2)
    summary = evaluate(wanted, tmp_path / "out", 1, {}, lambda *numbers: told.append(numbers))
    assert (summary["metrics"], summary["table"], summary["n_scenes"], told) == ([], [], 3, [])
    assert [system["name"] for system in summary["systems"]] == ["noisy", "one", "third"]
    silent, first = read_json(tmp_path / "out" / "examples.json", "examples")
    assert (silent["scene"], first["scene"]) == ("aa_silent", "test-000000")
    estimate = soundfile.read(tmp_path / "out" / first["waves"]["one"])[0]
    noisy = soundfile.read(folder / "test-000000.wav", dtype="float32")[0]
    np.testing.assert_allclose(estimate, arrayse.load(runs["one"]).enhance(noisy[None], RATE), atol=1 / 32768)


def test_what_recordings_cannot_give_is_refused(tiny_dataset: Path, runs: dict[str, Path], tmp_path: Path) -> None:
    folder = write_pairs(tmp_path / "pairs", tiny_dataset, 1) / "noisy"
    for change, message in (
        ({"metrics": ["si_sdr", "dnsmos_sig"]}, "metrics: expected some of dnsmos_sig, .* for recordings, got si_sdr"),
        ({"metrics": [], "beamformers": ["irm_oracle"]}, "beamformers: expected none for recordings"),
        ({"metrics": [], "binaural": {"both": ("one", "third")}}, "binaural.both: expected estimates at two"),
    ):
        with pytest.raises(ValueError, match=message):
            evaluate(request_for(folder, runs, "recordings", **change), tmp_path / "out", 1, {})
    (folder / "b.wav").write_text("no audio")
    with pytest.raises(ValueError, match=r"b\.wav: expected an audio file"):
        evaluate(request_for(folder, runs, "recordings", metrics=[]), tmp_path / "out", 1, {})
