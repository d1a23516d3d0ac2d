"""Parts of the report: overview, heat maps, single utterances, size against quality, looks, sounds, older folders."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from arrayse.report.audio import LISTEN_SECONDS, flac, mp3, read_waves, sound_uri
from arrayse.report.build import FOLDER
from arrayse.report.curves import curve_figure
from arrayse.report.evaluation import read_evaluation
from arrayse.report.figures import colour_index, dash_of, marker_of
from arrayse.report.headline import headline
from arrayse.report.heat import heat_maps
from arrayse.report.overview import overview
from arrayse.report.results import parse_results
from arrayse.report.scatter import MAX_POINTS, scatter
from arrayse.report.section import shown_at_first
from arrayse.report.size_figure import pareto_front, side_by_side, size_figure
from arrayse.report.spectrograms import mask_of
from arrayse.report.text import place_name
from tests.report_example import EVIL, GAIN, SAMPLE_RATE, make_summary, whole_summary, write_whole


def test_the_overview_has_costs_gains_p_values_and_gain_kept() -> None:
    speed = {name: {"real_time_factor": 0.0834} for name in GAIN}
    found = overview(parse_results(whole_summary(), speed))
    assert [column.title for column in found.costs] == ["Params", "MACs/s", "Mics", "Latency", "RTF"]
    assert [column.title for column in found.columns["estoi"]] == ["Mean", "Gain", "− student", "p", "Kept"]
    assert [column.title for column in found.columns["si_sdr"]] == ["Mean", "Gain", "− student", "p"]
    system, costs, cells = found.rows[-1]
    assert system.name == EVIL
    assert [cell.text for cell in costs] == ["56.5 k", "900 M", "2", "32", "0.083"]
    texts = [(cell.text, cell.spread, cell.median, cell.style) for cell in cells["estoi"]]
    assert texts[:2] == [("0.550", "±0.100", "0.540", "best"), ("+0.150", "±0.100", "", "plus")]
    assert texts[2:] == [("+0.050", "±0.100", "", ""), ("0.03", "", "", ""), ("75 %", "±12 %", "", "")]
    assert [cell.text for cell in found.rows[0][2]["estoi"]] == ["0.400", "–", "–", "–", "–"]


def test_failures_are_counted_once_in_the_overview() -> None:
    summary = whole_summary()
    for row in summary["table"]:
        if row["system"] == "student" and row["metric"] == "estoi":
            row["n_failed"] = 3 if row["snr_db"] is None else 1
    found = overview(parse_results(summary))
    place = [column.title for column in found.columns["estoi"]].index("Failed")
    assert [cells["estoi"][place].text for _, _, cells in found.rows] == ["0", "0", "3", "0"]


def test_an_older_evaluation_has_means_without_interval_and_no_more() -> None:
    found = overview(parse_results(make_summary()))
    assert [column.title for column in found.columns["estoi"]] == ["Mean"]
    assert [column.title for column in found.costs] == ["Params", "MACs/s", "Mics"]
    assert [(row[2]["estoi"][0].text, row[2]["estoi"][0].spread) for row in found.rows][1] == ("0.600", "")
    assert heat_maps(parse_results(make_summary())) == ()


def test_the_headline_gives_interval_latency_speed_and_p_values() -> None:
    first = headline(parse_results(whole_summary(), {EVIL: {"real_time_factor": 0.0834}}))
    assert first is not None
    assert first.best.name == EVIL
    assert [(gain.kept, gain.kept_spread) for gain in first.gains[:2]] == [(0.75, "±12")] * 2
    assert first.gains[2].kept is None  # the teacher has no clear gain there
    assert "keeps 75 % of the teacher’s WB-PESQ gain and 75 % of its ESTOI gain" in first.sentence
    assert "latency is 32 ms; one thread of a CPU computes a second of audio in 0.083 s." in first.sentence
    (evidence,) = first.evidence
    assert "Paired against student: +0.200 ±0.100 WB-PESQ (p < 0.001), +0.0500 ±0.1000 ESTOI (p 0.03)" in evidence


def test_heat_maps_show_scores_gains_and_small_groups() -> None:
    maps = {(each.condition, each.metric): each for each in heat_maps(parse_results(whole_summary()))}
    assert {condition for condition, _ in maps} == {"Noise", "RT60"}  # scores by SNR are in the table
    found = maps["Noise", "estoi"]
    assert found.groups == (("babble", 20), ("fan", 20), ("several", 3))
    rows = dict(found.rows)
    assert [cell.score for cell in rows["teacher"] if cell] == ["0.600", "0.650", "0.700"]
    assert [cell.gain for cell in rows["student"] if cell] == ["+0.100"] * 3
    assert [cell.gain for cell in rows["noisy"] if cell] == [""] * 3
    assert [cell.few for cell in rows["noisy"] if cell] == [False, False, True]
    warmth = [[cell.warmth for cell in cells if cell] for cells in rows.values()]
    assert warmth[0][0] == 0
    assert warmth[1][2] == pytest.approx(1)
    assert [cell.gain_warmth for cell in rows["teacher"] if cell] == pytest.approx([1, 1, 0])  # few have no colour
    for row in (summary := whole_summary())["breakdown"]:
        row["mean"] = 0.4 if row["system"] == "noisy" else 0.4004
    found = next(each for each in heat_maps(parse_results(summary)) if each.metric == "estoi")
    assert {(cell.gain, cell.gain_warmth) for cell in dict(found.rows)["teacher"] if cell} == {("0.000", 0)}


def test_less_of_an_error_is_warmer() -> None:
    summary = json.loads(json.dumps(whole_summary()).replace("estoi", "log_spectral_distance"))
    found = next(each for each in heat_maps(parse_results(summary)) if each.metric == "log_spectral_distance")
    rows = dict(found.rows)
    assert next(cell.warmth for cell in rows["noisy"] if cell) == pytest.approx(1)
    assert [cell.gain_warmth < 0 for cell in rows["teacher"] if cell] == [True, True, False]
    styles = {cell.style for _, _, cells in overview(parse_results(summary)).rows for cell in cells[found.metric]}
    assert "plus" not in styles
    assert "minus" in styles


def test_single_utterances_are_means_over_seeds_and_start_with_best_against_baseline(tmp_path: Path) -> None:
    evaluation = read_evaluation(write_whole(tmp_path / "eval"))
    results, rows = evaluation.results, evaluation.rows
    found = scatter(results, rows, headline(results), colour_index(results))
    assert found is not None
    assert (found.x, found.y, found.n_left_out) == ("student", EVIL, 0)
    data = json.loads(found.data)
    assert data["names"] == list(GAIN)
    assert len(data["scenes"]) == len(data["snrs"]) == 20 * 3
    place = data["scenes"].index("test-7")
    of_seeds = [
        row["si_sdr"]
        for row in rows
        if row["scene"] == "test-7" and row["snr_db"] == -5 and "student_s" in row["system"]
    ]
    assert len(of_seeds) == 2
    assert data["values"]["si_sdr"][2][place] == pytest.approx(sum(of_seeds) / 2, abs=0.006)
    many = [row | {"scene": f"{row['scene']}-{copy}"} for row in rows for copy in range(60)]
    thinned = scatter(results, many, None, colour_index(results))
    assert thinned is not None
    shown = json.loads(thinned.data)["scenes"]
    assert MAX_POINTS / 2 < len(shown) <= MAX_POINTS
    assert thinned.n_left_out == 20 * 60 - len(set(shown))
    assert scatter(results, [row for row in rows if row["system"] == "noisy"], None, {}) is None


def test_the_front_has_what_no_smaller_network_equals() -> None:
    points = [(10.0, 1.0), (10.0, 1.5), (20.0, 1.5), (30.0, 1.2), (40.0, 2.0)]
    assert pareto_front(points) == [1, 4]
    assert pareto_front(points, higher_is_better=False) == [0]
    for place, (size, score) in enumerate(points):
        beaten = any(s <= size and q >= score and (s, q) != (size, score) for s, q in points)
        assert (place in pareto_front(points)) is not beaten
    assert pareto_front([]) == []


def test_points_of_one_size_stand_side_by_side_around_it() -> None:
    places = side_by_side([9000.0, 9000.0, 9000.0, 200_000.0])
    assert places[:3] == sorted(set(places[:3]))
    assert places[1] == pytest.approx(9000)
    assert places[3] == pytest.approx(200_000)
    assert side_by_side([5.0, 5.0])[0] < 5 < side_by_side([5.0, 5.0])[1]


def test_the_size_figure_marks_each_network_and_needs_two() -> None:
    results = parse_results(whole_summary())
    figure = size_figure(results, "estoi", "params", "a")
    assert set(re.findall(r'data-system="(\d)"', figure)) == set("0123")  # noisy is a line across
    assert "teacher" in figure
    assert size_figure(parse_results(whole_summary(names=("noisy", "student"))), "estoi", "params", "a") == ""


def test_the_size_axis_has_a_number_even_where_all_networks_are_of_one_size() -> None:
    summary = whole_summary(names=("noisy", "student", EVIL))
    for params in (490, 56_500, 99_000_000):
        for system in summary["systems"][1:]:
            system["params"] = params
        figure = size_figure(parse_results(summary), "estoi", "params", "a")
        assert re.search(r">10{1,2}(?: [kMG])?<|>1 [kMG]<", figure), params


def test_names_with_dollars_are_no_mathematics(tmp_path: Path) -> None:
    from arrayse.report.sweep_figure import draw_sweep

    cell = {"system": "$a_b$", "value": "0", "metric": "estoi", "mean": 0.5, "low": 0.4, "high": 0.6}
    summary: dict[str, Any] = {
        "condition": "snr",
        "title": "SNR in $dB$",
        "usual": None,
        "values": ["0"],
        "numbers": [0.0],
    }
    summary |= {"snr_db": None, "metrics": ["estoi"], "systems": [{"name": "$a_b$", "kind": "model"}], "rows": [cell]}
    draw_sweep(summary, tmp_path / "sweep.svg")
    text = (tmp_path / "sweep.svg").read_text()
    assert "$a_b$" in text
    assert "SNR in $dB$" in text


def colours(theme: int) -> np.ndarray:
    """Linear sRGB of ``--s0`` to ``--s12`` in light (0) or dark (1), (colour, channel)."""
    style = (FOLDER / "style.css").read_text()
    found = re.findall(r"--s(\d+): light-dark\(#(\w{6}), #(\w{6})\);", style)
    assert [int(number) for number, *_ in found] == list(range(13))
    return linear(np.array([[int(pair[theme][i : i + 2], 16) for i in (0, 2, 4)] for _, *pair in found]))


def linear(rgb: np.ndarray) -> np.ndarray:
    share = rgb / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIELAB of linear sRGB."""
    xyz = np.clip(rgb, 0, 1) @ np.array([[0.4124, 0.2126, 0.0193], [0.3576, 0.7152, 0.1192], [0.1805, 0.0722, 0.9505]])
    xyz = xyz / [0.9505, 1, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


SEEN_BY = {
    "all": np.eye(3),
    "protanopes": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopes": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
}
"""Linear sRGB as people with normal and with two-colour vision see it: Machado et al., IEEE TVCG 15 (2009)."""


@pytest.mark.parametrize("theme", [0, 1])
@pytest.mark.parametrize("people", list(SEEN_BY))
def test_twelve_systems_are_told_apart_by_colour(people: str, theme: int) -> None:
    seen = lab(colours(theme) @ np.array(SEEN_BY[people]).T)
    for one, other in itertools.combinations(range(13), 2):
        same_line = one > 0 and (one <= 6) == (other <= 6)
        needed = 20 if people == "all" else 12 if same_line else 9
        assert np.linalg.norm(seen[one] - seen[other]) > needed, (one, other)
    luminance = colours(theme) @ [0.2126, 0.7152, 0.0722]
    card = (linear(np.array([[255, 255, 255], [0x17, 0x1C, 0x23]])) @ [0.2126, 0.7152, 0.0722])[theme]
    contrast = (np.maximum(luminance, card) + 0.05) / (np.minimum(luminance, card) + 0.05)
    assert contrast.min() > 3


def test_twelve_systems_differ_in_marker_and_half_of_them_in_line() -> None:
    names = tuple(f"net {number}" for number in range(12))
    summary = make_summary()
    summary["systems"] += [summary["systems"][1] | {"name": name, "kind": "model"} for name in names]
    summary["systems"] = [system for system in summary["systems"] if system["name"] in ("noisy", *names)]
    results = parse_results(summary)
    assert len(set(marker_of(results).values())) == 13
    dashes = [str(dash_of(results)[name]) for name in names]
    assert len({*dashes[:6]}) == len({*dashes[6:]}) == 1
    assert dashes[0] != dashes[6]
    assert colour_index(results)[names[11]] == 12


def test_of_many_systems_only_the_best_are_shown_at_first() -> None:
    summary = make_summary()
    for number in range(20):
        name = f"net {number}"
        summary["systems"].append(summary["systems"][2] | {"name": name})
        cells = [row for row in summary["table"] if row["system"] == "student"]
        summary["table"] += [row | {"system": name, "mean": row["mean"] - number} for row in cells]
    results = parse_results(summary)
    assert shown_at_first(results) == frozenset({0, 1, 2, 3, *range(4, 13)})
    assert shown_at_first(parse_results(make_summary())) == frozenset(range(4))
    assert curve_figure(results, "estoi", "a").count('data-system="23"') > 0  # drawn all the same


def test_a_mask_is_the_clipped_ratio_of_magnitudes() -> None:
    noisy = np.random.default_rng(0).uniform(-0.5, 0.5, 8000)
    assert mask_of(0.25 * noisy, noisy) == pytest.approx(0.25, abs=1e-4)
    assert mask_of(3 * noisy, noisy).max() == 1
    assert not mask_of(0 * noisy, noisy).max() > 1e-3


def test_sounds_are_mp3_only_where_they_may_and_can_be(tmp_path: Path) -> None:
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
    assert sound_uri(wave, SAMPLE_RATE).startswith("data:audio/flac;base64,")
    assert sound_uri(wave, SAMPLE_RATE, lossless=False).startswith("data:audio/mpeg;base64,")
    assert sound_uri(wave, 20_000, lossless=False).startswith("data:audio/flac;base64,")
    noise = np.random.default_rng(0).uniform(-0.9, 0.9, 4 * SAMPLE_RATE)
    assert len(mp3(noise, SAMPLE_RATE)) < 0.4 * len(flac(noise, SAMPLE_RATE))
    import soundfile

    soundfile.write(tmp_path / "long.wav", np.zeros(int((LISTEN_SECONDS + 5) * 8000)), 8000)
    waves, rate = read_waves({"long": tmp_path / "long.wav"})
    assert len(waves["long"]) == LISTEN_SECONDS * rate


@pytest.mark.parametrize(
    ("data", "title"), [("data/glasses", "data/glasses"), ("/home/me/sets/data/glasses", "data/glasses"), ("/x", "/x")]
)
def test_the_heading_tells_nothing_of_the_disk(data: str, title: str) -> None:
    assert place_name(data) == title
