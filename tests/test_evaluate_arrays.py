"""Networks made for one array on recordings of another: allowed by a flag, by channel, and labelled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import arrayse
from arrayse.checkpoint import load_enhancer
from arrayse.evaluation.lineup import Fit, check_fits, fit
from arrayse.evaluation.loop import evaluate
from arrayse.evaluation.sources import open_source
from arrayse.evaluation.summary import Request
from arrayse.files import read_json, read_json_lines
from arrayse.geometry import ArrayGeometry, circular, linear
from arrayse.metrics import score
from arrayse.mixture import open_dataset
from tests.test_evaluate import make_run

RATE = 16000
LINE = linear(4)
PAIR = ArrayGeometry([[0, 0, 0], [0, 0.1, 0]], name="pair")


def wanted(data: Path, runs: dict[str, Path], **changes: object) -> Request:
    return replace(Request(runs, data, "test", [0.0], None, ["si_sdr"], None, 1, 0), **changes)  # type: ignore[arg-type]


def test_another_array_needs_the_flag_and_is_labelled(tiny_dataset: Path, tmp_path: Path) -> None:
    runs = {"line": make_run(tmp_path / "line", LINE, [3, 1], 1), "own": make_run(tmp_path / "own", circular())}
    message = (
        r"line array: expected data of linear \(4 mics\), which it was trained for, got data of circular \(5 mics\): "
        r"other_array=true takes its channels \[3, 1\] all the same"
    )
    with pytest.raises(ValueError, match=message):
        evaluate(wanted(tiny_dataset, runs), tmp_path / "out", 1, {})
    assert not (tmp_path / "out").exists()
    summary = evaluate(wanted(tiny_dataset, runs, other_array=True), tmp_path / "out", 1, {})
    foreign = {system["name"]: (system["foreign_array"], system["mics"]) for system in summary["systems"]}
    assert foreign == {
        "noisy": (None, None),
        "noisy mic 1": (None, None),
        "line": ("linear", [3, 1]),
        "own": (None, [0, 1, 2, 3, 4]),
    }
    dataset = open_dataset(tiny_dataset)
    entry = dataset.entries("test")[0]
    mixture = dataset.read(entry, wanted_snr_db=0.0)
    estimate = arrayse.load(runs["line"]).enhance(mixture.noisy[:4], RATE)
    rows = {(row["system"], row["scene"]): row for row in read_json_lines(tmp_path / "out" / "rows.jsonl")}
    expected = score(estimate, mixture.target[1], RATE, ["si_sdr"])["si_sdr"].value
    assert rows["line", entry.id]["si_sdr"] == pytest.approx(expected, abs=1e-4)
    (example,) = read_json(tmp_path / "out" / "examples.json", "examples")
    assert list(example["waves"]) == ["noisy", "target", "line", "own"]
    own = wanted(tiny_dataset, {"own": runs["own"]})
    evaluate(own, tmp_path / "own_alone", 1, {})
    with pytest.raises(ValueError, match=r"got one with other other_array$"):
        evaluate(replace(own, other_array=True), tmp_path / "own_alone", 1, {})


def test_a_smaller_array_will_do_if_it_has_the_channels(tiny_dataset: Path, tmp_path: Path) -> None:
    """The larger array has them by number, whatever else it has; a smaller one may lack them."""
    folder = tmp_path / "pairs"
    for kind, n_channels in (("noisy", 2), ("clean", 1)):
        (folder / kind).mkdir(parents=True)
        wave = 0.1 * np.random.default_rng(0).standard_normal((RATE, n_channels))
        soundfile.write(folder / kind / "a.wav", wave, RATE)
    files, scenes = open_source("pairs", folder), open_source("dataset", tiny_dataset)
    for mics, name, here, in_scenes in (
        ([1], "one", "files", (1,)),
        ([1, 0], "two", "files", (1, 0)),
        ([3], "far", None, (3,)),
    ):
        enhancer = load_enhancer(make_run(tmp_path / name, LINE, mics))
        assert fit(name, enhancer, scenes, True) == Fit(in_scenes, min(mics), "linear")
        if here is None:
            with pytest.raises(ValueError, match=r"far: expected files of 4 channels .*, got files of 2"):
                fit(name, enhancer, files, True)
        elif len(mics) == 2:
            assert fit(name, enhancer, files, False) == Fit((0, 1), 1)  # just the channels that it hears, in its order
        else:
            with pytest.raises(ValueError, match=r"other_array=true takes its channels \[1\]"):
                fit(name, enhancer, files, False)
            assert fit(name, enhancer, files, True) == Fit((1,), 1, "linear")


def test_channels_that_are_not_there_are_named(tiny_dataset: Path, tmp_path: Path) -> None:
    larger = load_enhancer(make_run(tmp_path / "run", linear(8), [0, 6, 7]))
    with pytest.raises(
        ValueError, match=r"net array: .*, got data of circular \(5 mics\), which have no microphones \[6"
    ):
        fit("net", larger, open_source("dataset", tiny_dataset), True)


def test_teachers_need_the_very_array(tiny_dataset: Path, tmp_path: Path) -> None:
    dataset = open_dataset(tiny_dataset)
    own, other = (load_enhancer(make_run(tmp_path / g.name, g)) for g in (dataset.geometry, PAIR))
    check_fits("own", own, dataset)
    with pytest.raises(
        ValueError, match=r"other array: expected data of pair \(2 mics\), which it was trained for, got"
    ):
        check_fits("other", other, dataset)
    for check in (
        lambda: check_fits("own", own, replace(dataset, sample_rate=8000)),
        lambda: fit("own", own, replace(open_source("dataset", tiny_dataset), sample_rate=8000), True),
    ):
        with pytest.raises(ValueError, match="own sample_rate: expected 8000 Hz as the data, got 16000"):
            check()


def test_the_order_of_microphones_is_that_of_the_network(tiny_dataset: Path, tmp_path: Path) -> None:
    """A network that hears all of its array in another order, on more microphones than that has."""
    runs = {"turned": make_run(tmp_path / "turned", PAIR, [1, 0], 0)}
    evaluate(wanted(tiny_dataset, runs, other_array=True), tmp_path / "out", 1, {})
    rows = {(row["system"], row["scene"]): row for row in read_json_lines(tmp_path / "out" / "rows.jsonl")}
    dataset = open_dataset(tiny_dataset)
    entry = dataset.entries("test")[1]
    mixture = dataset.read(entry, wanted_snr_db=0.0)
    estimate = arrayse.load(runs["turned"]).enhance(mixture.noisy[:2], RATE)
    expected = score(estimate, mixture.target[0], RATE, ["si_sdr"])["si_sdr"].value
    assert rows["turned", entry.id]["si_sdr"] == pytest.approx(expected, abs=1e-4)
