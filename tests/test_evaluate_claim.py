"""What an evaluation may go on from: the same microphones and metrics, scores that are whole, nobody else's folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from arrayse.checkpoint import load_enhancer, save_weights
from arrayse.evaluation.loop import evaluate
from arrayse.evaluation.summary import Request
from arrayse.files import read_json, read_json_lines, write_json
from arrayse.geometry import circular
from arrayse.metrics import METRICS
from tests.test_evaluate import make_run
from tests.test_evaluate_files import request_for as request_for_files
from tests.test_evaluate_files import write_pairs


@pytest.fixture
def wanted(tiny_dataset: Path, tmp_path: Path) -> Request:
    runs = {"first": make_run(tmp_path / "first", circular())}
    return Request(runs, tiny_dataset, "test", [0.0, 10.0], None, ["si_sdr"], None, 0, 0)


@pytest.fixture
def more(wanted: Request, tmp_path: Path) -> Request:
    return replace(wanted, runs={**wanted.runs, "second": make_run(tmp_path / "second", circular(), [3], 3)})


class Stopped(Exception):
    """An evaluation that fails."""


def stop_at(place: int) -> Any:
    def progress(done: int, total: int) -> None:
        if done == place:
            raise Stopped

    return progress


def test_growing_does_not_move_the_noisy_input(tiny_dataset: Path, tmp_path: Path) -> None:
    """Files tell no reference microphone: it is that of the first run."""
    folder, out = write_pairs(tmp_path / "pairs", tiny_dataset, 5), tmp_path / "out"
    first = make_run(tmp_path / "first", circular())
    second = make_run(tmp_path / "second", circular(), [2], 2)
    evaluate(request_for_files(folder, {"first": first}), out, 1, {})
    before = (out / "rows.jsonl").read_text()
    told = "expected noisy to be microphone 0, as in the scores that are there, got 2: name a run first that"
    with pytest.raises(ValueError, match=told):
        evaluate(request_for_files(folder, {"second": second, "first": first}), out, 1, {})
    assert (out / "rows.jsonl").read_text() == before
    evaluate(request_for_files(folder, {"first": first, "second": second}), out, 1, {})
    assert read_json(out / "request.json", "request")["inputs"] == {"noisy": 0, "noisy mic 2": 2}


def test_scores_of_other_versions_are_not_mixed(
    wanted: Request, more: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate(wanted, tmp_path / "out", 1, {})
    request = read_json(tmp_path / "out" / "request.json", "request")
    monkeypatch.setitem(METRICS, "si_sdr", replace(METRICS["si_sdr"], about=lambda: "version 2"))
    with pytest.raises(ValueError, match=r"scores of si_sdr: version 2, got scores of si_sdr: .* by arrayse on numpy"):
        evaluate(more, tmp_path / "out", 1, {})
    write_json(tmp_path / "out" / "request.json", {k: v for k, v in request.items() if k != "implementations"})
    with pytest.raises(ValueError, match="got scores of si_sdr: an earlier version of arrayse that did not note it"):
        evaluate(wanted, tmp_path / "out", 1, {})


def test_a_system_that_was_added_by_mistake_binds_nobody(wanted: Request, more: Request, tmp_path: Path) -> None:
    out = tmp_path / "out"
    before = evaluate(wanted, out, 1, {})
    with pytest.raises(Stopped):
        evaluate(more, out, 1, {}, stop_at(0))
    with (out / "rows.jsonl").open("a") as file:  # and of a scene that was cut short
        file.write(json.dumps({"system": "second", "scene": "test-000000", "snr_db": 0.0, "si_sdr": 1.0}) + "\n")
    assert evaluate(wanted, out, 1, {}) == before
    with pytest.raises(Stopped):
        evaluate(more, out, 1, {}, stop_at(0))
    enhancer = load_enhancer(more.runs["second"])
    save_weights(more.runs["second"], enhancer.train())
    enhancer.net.linear.bias.data.add_(0.5)
    save_weights(more.runs["second"], enhancer)  # trained again
    with pytest.raises(Stopped):
        evaluate(more, out, 1, {}, stop_at(1))
    with pytest.raises(ValueError, match=r"got one with other runs, models$"):
        evaluate(wanted, out, 1, {})
    grown = evaluate(more, out, 1, {})
    assert evaluate(more, tmp_path / "whole", 1, {}) == grown


def test_nobody_else_writes_into_the_folder(wanted: Request, tmp_path: Path) -> None:
    out, told = tmp_path / "out", []

    def intrude(done: int, total: int) -> None:
        with pytest.raises(ValueError, match="out: expected a folder that no other process writes into, got ") as info:
            evaluate(wanted, out, 1, {})
        told.append(str(info.value))

    evaluate(wanted, out, 1, {}, intrude)
    assert len(told) == 3
    assert {path.name for path in out.iterdir()} == {"rows.jsonl", "request.json", "summary.json", "examples.json"}


def test_complete_means_every_snr_once(wanted: Request, tmp_path: Path) -> None:
    out = tmp_path / "out"
    evaluate(wanted, out, 1, {})
    whole = (out / "rows.jsonl").read_text()
    lines = whole.splitlines(keepends=True)
    (out / "rows.jsonl").write_text("".join([*lines[1:], lines[2]]))  # as many rows as there should be
    told = f"line {len(lines)}: expected one row for each scene, system and SNR, got two: "
    with pytest.raises(ValueError, match=told):
        evaluate(wanted, out, 1, {})
    (out / "rows.jsonl").write_text("".join(lines[1:]))
    evaluate(wanted, out, 1, {})
    assert (out / "rows.jsonl").read_text() == whole


def test_what_is_kept_and_what_is_scored_is_told(wanted: Request, more: Request, tmp_path: Path) -> None:
    """Two scenes at two SNRs."""
    out, told = tmp_path / "out", list[str]()

    def again(request: Request, n_lines: int | None = None) -> str:
        if n_lines is not None:
            lines = (out / "rows.jsonl").read_text().splitlines(keepends=True)
            (out / "rows.jsonl").write_text("".join(lines[:n_lines]))
        told.clear()
        evaluate(request, out, 1, {}, tell=told.append)
        return "\n".join(told)

    assert again(wanted) == ""
    assert again(wanted) == "all 8 rows of noisy, first were there: nothing to score"
    assert again(more) == "kept: 8 rows of noisy, first; to score: noisy mic 3 (4), second (4)"
    assert again(more) == "all 16 rows of noisy, noisy mic 3, first, second were there: nothing to score"
    # ordered by scene, SNR and system: the second SNR of the second scene lacks the last two systems
    told_now = "kept: 12 rows of noisy, noisy mic 3, first, second; to score: first (2), second (2)"
    assert again(more, 14) == told_now
    assert again(more, 0) == ""


def systems(out: Path) -> Iterator[str]:
    return (row["system"] for row in read_json_lines(out / "rows.jsonl"))


def test_trainings_do_not_make_a_system_of_a_name_that_is_taken(wanted: Request, tmp_path: Path) -> None:
    run = wanted.runs["first"]
    for name in ("noisy", "target", "delay_and_sum"):
        request = replace(wanted, runs={f"{name}_s0": run, f"{name}_s1": run}, beamformers=["delay_and_sum"])
        with pytest.raises(ValueError, match=f"runs: expected other names than noisy, target and .*, got {name}$"):
            evaluate(request, tmp_path / "out", 1, {})
    assert not (tmp_path / "out").exists()
    evaluate(replace(wanted, runs={"delay_and_sum_s0": run}, n_scenes=1), tmp_path / "out", 1, {})
    assert set(systems(tmp_path / "out")) == {"noisy", "delay_and_sum_s0"}


@pytest.mark.parametrize("row", [[], {"scene": ["x"]}, {"snr_db": "0"}, {"si_sdr": [1]}, {"reasons": []}])
def test_rows_that_are_none_are_refused(row: Any, wanted: Request, tmp_path: Path) -> None:
    out = tmp_path / "out"
    evaluate(wanted, out, 1, {})
    first = json.loads((out / "rows.jsonl").read_text().splitlines()[0])
    without_snr = {key: first[key] for key in first if key != "snr_db"}
    for spoiled in ({**first, **row} if row else row, without_snr):
        (out / "rows.jsonl").write_text(json.dumps(spoiled) + "\n")
        with pytest.raises(ValueError, match=r"rows\.jsonl: line 1: expected system, scene, SNR and scores, got"):
            evaluate(wanted, out, 1, {})


@pytest.mark.parametrize("key", ["runs", "beamformers", "inputs", "implementations"])
def test_a_request_of_another_form_is_refused(key: str, wanted: Request, tmp_path: Path) -> None:
    out = tmp_path / "out"
    evaluate(wanted, out, 1, {})
    request = read_json(out / "request.json", "request")
    for spoiled in (3, [[]], None):
        write_json(out / "request.json", {**request, key: spoiled})
        with pytest.raises(ValueError, match=rf"request\.json: {key}: expected names of what is evaluated here"):
            evaluate(wanted, out, 1, {})
