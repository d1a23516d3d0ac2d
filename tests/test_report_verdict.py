"""What is said and coloured: worse than noisy, no better than the baseline, written as zero, of few scenes."""

from __future__ import annotations

from typing import Any

import pytest

from arrayse.report.cells import Difference
from arrayse.report.headline import headline
from arrayse.report.overview import better_or_worse
from arrayse.report.results import parse_results
from tests.report_example import EVIL, cell_of, whole_summary


def difference(mean: float | None, half: float = 0.001, n: int = 60) -> Difference:
    if mean is None:
        return Difference(None, None, None, 0, 0)
    return Difference(mean, mean - half, mean + half, n, 0)


@pytest.mark.parametrize(
    ("cell", "metric", "style"),
    [
        (difference(0.2), "pesq_wb", "plus"),
        (difference(-0.2), "pesq_wb", "minus"),
        (difference(0.2), "log_spectral_distance", "minus"),
        (difference(0.2, half=0.3), "pesq_wb", ""),  # holds zero
        (difference(0.004), "pesq_wb", ""),  # written as 0.00
        (difference(-0.004), "pesq_wb", ""),
        (difference(0.004), "estoi", "plus"),  # written as 0.004
        (difference(0.04, half=0.01), "si_sdr", ""),  # written as 0.0
        (difference(0.2, n=19), "pesq_wb", ""),
        (difference(0.2, n=20), "pesq_wb", "plus"),
        (difference(None), "pesq_wb", ""),
    ],
)
def test_only_differences_that_are_seen_and_can_be_trusted_have_a_colour(
    cell: Difference, metric: str, style: str
) -> None:
    assert better_or_worse(cell, metric) == style


def told(summary: dict[str, Any]) -> tuple[str, ...]:
    first = headline(parse_results(summary))
    assert first is not None
    return first.verdict


def changed(baseline: str, changes: dict[str, float], half: float = 0.1) -> dict[str, Any]:
    """The example with other differences to a baseline, in all systems alike, and means that follow from them."""
    summary = whole_summary()
    for row in summary["differences"]:
        if row["baseline"] == baseline and row["metric"] in changes:
            mean = changes[row["metric"]]
            row |= {"mean": mean, "low": mean - half, "high": mean + half}
    return summary


def test_nothing_is_said_against_models_that_gain_and_beat() -> None:
    assert told(changed("student", {"estoi": 0.2})) == ()


def test_the_best_that_is_worse_than_its_input_is_said_to_be() -> None:
    summary = changed("noisy", {"pesq_wb": -0.3, "estoi": -0.02, "si_sdr": 0.01})
    (sentence,) = [line for line in told(summary) if "noisy" in line]
    assert sentence == (
        f"Even the best student, {EVIL}, is worse than the noisy input in WB-PESQ (−0.30 ±0.10) "
        "and no better in ESTOI (−0.020 ±0.100) and SI-SDR (0.0 ±0.1 dB)."
    )
    only = changed("noisy", {"si_sdr": -2.0})
    assert f"{EVIL} is worse than the noisy input in SI-SDR (−2.0 ±0.1 dB)." in told(only)


def test_of_an_older_evaluation_the_means_tell() -> None:
    summary = whole_summary(names=("noisy", "student")) | {"differences": [], "gain_kept": []}
    for snr in (-5.0, 0.0, 5.0, None):
        cell_of(summary, "student", snr, "estoi")["mean"] = 0.1
    assert told(summary) == ("student is worse than the noisy input in ESTOI (−0.300).",)


def test_a_baseline_that_no_student_beats_is_named() -> None:
    nowhere = "No student beats the baseline teacher: no 95 % interval of a paired difference is on the better side"
    summary = whole_summary()
    for row in summary["differences"]:
        row["baseline"] = "teacher" if row["baseline"] == "student" else row["baseline"]
        if row["baseline"] == "teacher" and row["system"] == "teacher":
            row["system"] = "student"
        if row["baseline"] == "teacher":
            row |= {"mean": -0.2, "low": -0.3, "high": -0.1}
    assert [line[: len(nowhere)] for line in told(summary)] == [nowhere]


def test_metrics_in_which_the_baseline_stands_are_named() -> None:
    (sentence,) = told(changed("student", {"estoi": 0.05, "si_sdr": 2.0}))  # ±0.1 holds zero
    assert sentence.startswith(f"{EVIL} does not beat the baseline student in ESTOI: no 95 % interval")
    assert told(changed("student", {"estoi": 0.11})) == ()
    at_one_snr = changed("student", {"estoi": 0.0})
    at_one_snr["differences"] = [row for row in at_one_snr["differences"] if row["snr_db"] is not None]
    for row in at_one_snr["differences"]:
        if row["snr_db"] == 5 and row["metric"] == "estoi":
            row |= {"mean": 0.3, "low": 0.2, "high": 0.4}
    assert told(at_one_snr) == ()  # means over SNR are not known


def test_less_of_an_error_beats() -> None:
    summary = changed("student", {"estoi": -0.3, "pesq_wb": 0.5, "si_sdr": 0.5})
    for part in ("table", "differences", "gain_kept", "breakdown"):
        for row in summary[part]:
            row["metric"] = row["metric"].replace("estoi", "log_spectral_distance")
    summary["metrics"] = ["pesq_wb", "log_spectral_distance", "si_sdr"]
    assert not [line for line in told(summary) if "beat" in line]
