"""What is said, in the terminal too, and coloured: worse than noisy, beaten, written as zero, of few scenes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from arrayse.report.cells import Difference
from arrayse.report.headline import headline
from arrayse.report.overview import better_or_worse
from arrayse.report.results import parse_results
from arrayse.report.table import print_table
from tests.report_example import EVIL, SNRS, cell_of, whole_summary
from tests.test_report import page_of


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
    for row in summary["differences"]:
        row["n"] = 19
    assert told(summary) == ()  # of so few scenes that is no evidence


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


# --- others that are ahead ----------------------------------------------------------------------------------

TOLD = "(told the talker’s direction, which no network is)"


def with_beamformer(name: str, mean: float, paired: tuple[float, float, float] | None = None) -> dict[str, Any]:
    """The example with a beamformer, its WB-PESQ over all SNRs, and its difference to the teacher, if one is taken."""
    summary = changed("student", {"estoi": 0.2})
    about = {"kind": "beamformer", "params": None, "macs_per_second": None, "mics": [0, 1], "causal": True}
    summary["systems"].insert(1, {"name": name, "description": "a beam", **about})
    cells = [row for row in summary["table"] if row["system"] == "teacher" and row["metric"] == "pesq_wb"]
    summary["table"] += [row | {"system": name, "mean": mean} for row in cells]
    if paired is not None:
        where = {"system": name, "baseline": "teacher", "snr_db": None, "metric": "pesq_wb", "n": 60}
        summary["differences"].append(where | dict(zip(("mean", "low", "high"), paired, strict=True)))
    return summary


def test_a_beamformer_that_beats_all_networks_is_named_with_what_it_is_told() -> None:
    (sentence,) = told(with_beamformer("mwf_estimated", 2.5, (0.5, 0.3, 0.9)))
    assert sentence == (
        f"mwf_estimated {TOLD} beats teacher, the network with the best mean, in WB-PESQ: +0.50 (0.30 to 0.90)."
    )
    turned = with_beamformer("mwf_estimated", 2.5, (-0.5, -0.9, -0.3))
    turned["differences"][-1] |= {"system": "teacher", "baseline": "mwf_estimated"}
    assert told(turned) == (sentence,)


def test_nothing_is_said_of_beamformers_that_are_behind_level_or_bounds() -> None:
    assert told(with_beamformer("mwf_estimated", 1.9, (0.5, 0.3, 0.9))) == ()
    assert told(with_beamformer("mwf_estimated", 2.5, (0.5, -0.1, 0.9))) == ()  # holds zero
    assert told(with_beamformer("mwf_oracle", 2.5, (0.5, 0.3, 0.9))) == ()
    few = with_beamformer("mwf_estimated", 2.5, (0.5, 0.3, 0.9))
    few["differences"][-1]["n"] = 19
    assert told(few) == ()


def test_a_mean_that_is_ahead_without_a_paired_difference_is_said_to_be_just_that() -> None:
    (sentence,) = told(with_beamformer("mvdr_estimated", 2.5))
    assert sentence == (
        f"mvdr_estimated {TOLD} has a better mean WB-PESQ than every network: 2.50 (mvdr_estimated) against 2.00 "
        "(teacher), not compared in pairs (baseline=teacher does)."
    )


def test_a_baseline_that_is_told_more_is_no_plain_baseline() -> None:
    said = []
    for name in ("mwf_estimated", "mwf_oracle"):
        summary = with_beamformer(name, 1.9)
        over_noisy = [row for row in summary["differences"] if row["baseline"] == "noisy"]
        behind = {"baseline": name, "mean": -0.5, "low": -0.6, "high": -0.4}
        summary["differences"] = [*over_noisy, *(row | behind for row in over_noisy)]
        said.append(told(summary))
    why = "no 95 % interval of a paired difference is on the better side of zero"
    assert said == [(f"No student beats the baseline mwf_estimated {TOLD}: {why}.",), ()]


def ahead_of_teacher(share: float | None) -> dict[str, Any]:
    """The example with a best student of 2.3 where the teacher has 2.0, and its share of the gain, ±0.12."""
    summary = changed("student", {"estoi": 0.2})
    cell_of(summary, EVIL, None, "pesq_wb")["mean"] = 2.3
    for row in summary["gain_kept"]:
        if row["system"] == EVIL and row["metric"] == "pesq_wb":
            numbers = (None,) * 3 if share is None else (share, share - 0.12, share + 0.12)
            row |= dict(zip(("mean", "low", "high"), numbers, strict=True))
    return summary


def test_a_student_that_is_better_than_the_teacher_is_said_to_be() -> None:
    ahead = f"{EVIL} is better than the teacher, teacher, in WB-PESQ"
    assert told(ahead_of_teacher(1.375)) == (f"{ahead}: it has 138 ±12 % of its gain over the noisy input.",)
    assert told(ahead_of_teacher(1.1)) == ()  # 0.98 to 1.22
    (sentence,) = told(ahead_of_teacher(None))
    assert sentence.startswith(
        f"{EVIL} has a better mean WB-PESQ than the teacher: 2.30 ({EVIL}) against 2.00 (teacher)"
    )
    for low, expected in ((0.1, (f"{ahead}: +0.30 (0.10 to 0.40).",)), (-0.1, ())):
        summary = ahead_of_teacher(1.375)  # a difference tells more than two gains
        where = {"system": EVIL, "baseline": "teacher", "snr_db": None, "metric": "pesq_wb", "n": 60}
        summary["differences"].append(where | {"mean": 0.3, "low": low, "high": 0.4})
        assert told(summary) == expected


def test_a_best_student_that_nobody_taught_is_said_to_be_the_baseline() -> None:
    summary = changed("student", {"estoi": 0.2})
    for snr in (*SNRS, None):
        cell_of(summary, "student", snr, "pesq_wb")["mean"] = 1.9
    itself = "The best student by WB-PESQ, student, is the baseline itself"
    assert not any(itself in line for line in told(summary))  # a paired difference is clear for the other one
    for row in summary["differences"]:
        if (row["metric"], row["baseline"]) == ("pesq_wb", "student"):
            row |= {"mean": 0.0, "low": -0.1, "high": 0.1}
    assert told(summary)[0] == f"{itself}: no other has a better mean."
    for system in summary["systems"]:
        system["distilled"] = system["name"] == EVIL
    assert told(summary)[0] == f"{itself} and was trained without distillation: no other has a better mean."
    summary["differences"] = [row for row in summary["differences"] if row["baseline"] != "student"]
    assert told(summary)[0] == (
        "The best student by WB-PESQ, student, was trained without distillation: no other has a better mean."
    )
    summary["systems"][2]["distilled"] = True
    assert told(summary) == ()


# --- where it is said ---------------------------------------------------------------------------------------


def test_the_terminal_says_what_the_page_says(tmp_path: Path) -> None:
    summary = with_beamformer("mwf_estimated", 2.5, (0.5, 0.3, 0.9)) | {"n_scenes": 8}
    first = headline(parse_results(summary))
    assert first is not None
    assert len(first.verdict) == 1
    few = "Only 8 scenes: intervals and p values are not to be trusted."
    print_table(summary, Console(file=(buffer := io.StringIO()), width=1000, force_terminal=True))
    lines = buffer.getvalue().splitlines()
    assert lines[-2:] == [f"\x1b[1m{line}\x1b[0m" for line in (first.sentence, *first.verdict)]
    assert lines.count(f"\x1b[1m{few}\x1b[0m") == 1
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    page = page_of([tmp_path], tmp_path / "report.html")
    shown = page.text.replace("\xa0", " ")
    assert all(line in shown for line in (first.sentence, *first.verdict, few))
    assert [each["class"] for each in page.find("p") if each.get("class") == "finding"] == ["finding"] * 2
    (tmp_path / "summary.json").write_text(json.dumps(summary | {"n_scenes": 20}))
    page = page_of([tmp_path], tmp_path / "report.html")
    assert len([each for each in page.find("p") if each.get("class") == "finding"]) == 1


def test_the_page_writes_uneven_intervals_out(tmp_path: Path) -> None:
    summary = whole_summary()
    cell_of(summary, "student", 0, "estoi")["high"] += 0.05
    wanted = {"system": "student", "baseline": "noisy", "snr_db": 5, "metric": "estoi"}
    (row,) = (each for each in summary["differences"] if each.items() >= wanted.items())
    row["low"] -= 0.05
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    cells = [cell.strip() for line in page_of([tmp_path], tmp_path / "report.html").rows for cell in line]
    assert cells.count("0.5000.490(0.400 to 0.650)") == 1  # mean, median, interval
    assert cells.count("+0.100*(−0.050 to 0.200)") == 1
