"""What the preview measures and draws, against closed forms."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrayse.geometry import circular, pairwise_distances, phone
from arrayse.preview.words import span
from arrayse.report.preview_figures import (
    coherence_figure,
    decay_figure,
    mics_figure,
    response_figure,
    spectra_figure,
    t30_line,
)
from arrayse.report.preview_measures import level_dbfs, real_coherence, spread_pairs, third_octave_levels
from arrayse.report.preview_overview import overview_figure, sources_figure
from arrayse.report.preview_room import ZOOM, _low_zoom, _reach, room_figure
from arrayse.report.preview_scene import (
    Preview,
    PreviewCoherence,
    PreviewResponse,
    PreviewRoom,
    PreviewScene,
    PreviewSource,
)
from simulate.decay import energy_decay_db, measure_rt60
from simulate.noise import FIELDS, diffuse_noise
from tests.test_report import Page

RATE = 16000
PREVIEW = Preview(
    "data", "recorded speech", "train", circular(), (), (), (), {"rt60": (0.2, 0.5), "snr_db": (-5.0, 15.0)}
)


def response(t30: float = 0.3, drr_db: float = 0.0) -> PreviewResponse:
    """An impulse at 100, then a smooth exponential decay with so much energy."""
    full = np.zeros((1, 8000))
    full[0, 200:] = 10 ** (-3 * np.arange(7800) / RATE / t30)
    full[0] *= 10 ** (-drr_db / 20) / np.sqrt(np.sum(full[0] ** 2))
    full[0, 100] = 1
    direct = np.where(np.arange(8000) <= 100, full, 0)
    decays = np.stack([energy_decay_db(each) for each in full])
    return PreviewResponse(full, direct, decays, measure_rt60(full[0], RATE), lead=40)


def scene(**changes: Any) -> PreviewScene:
    """The target one metre in front of an array that faces y, an interferer two metres to its left."""
    rng = np.random.default_rng(0)
    levels = np.array([0.1, 0.01, 0.1])[:, None]
    stems = {name: levels * rng.standard_normal((3, RATE)) for name in ("noisy", "speech", "target", "noise")}
    centre = np.array([3.0, 2.0, 1.5])
    corners = np.array([[0.0, 0], [5, 0], [5, 4], [0, 4]])
    sources = (
        PreviewSource("ann", (), 0.0, centre[None] + [[0.0, 1, 0]]),
        PreviewSource("hiss", (), 0.0, centre[None] + [[-2.0, 0, 0]]),
    )
    room = PreviewRoom(corners, 2.5, (1.0,) * 6, 0.8, centre, np.array([90.0]), centre[None], centre[None], None)
    fields: dict[str, Any] = {
        "id": "train-000000",
        "tags": (),
        "findings": (),
        "facts": (),
        "sample_rate": RATE,
        "stems": stems,
        "ref_mic": 2,
        "mic_notes": {1: "dead"},
        "clip_dbfs": None,
        "early_ms": 0.0,
        "snr_db": 5.0,
        "rt60_asked": 0.3,
        "rt60": 0.31,
        "sources": sources,
        "room": room,
        "response": response(),
        "coherence": None,
    }
    return PreviewScene(**{**fields, **changes})


@given(st.floats(-20, 20))
def test_the_direct_to_reverberant_ratio_is_that_of_the_energies(drr_db: float) -> None:
    assert response(drr_db=drr_db).drr_db == pytest.approx(drr_db, abs=1e-9)


def test_without_reverberation_the_ratio_is_infinite_and_not_drawn() -> None:
    only = response()
    dry = PreviewResponse(only.direct, only.direct, only.decays_db, 0.0, 40)
    assert dry.drr_db == np.inf
    assert "Direct to reverberant" in overview_figure(PREVIEW, [scene()], ["s1"], "a")
    assert "Direct to reverberant" not in overview_figure(PREVIEW, [scene(response=dry)], ["s1"], "a")
    assert "T30" not in decay_figure(scene(response=dry), "a")


def test_the_t30_line_lies_on_an_exponential_decay() -> None:
    exact = response(t30=0.25, drr_db=-60.0)
    assert exact.t30 == pytest.approx(0.25, rel=1e-3)
    times, levels = t30_line(exact.decays_db[0], exact.t30, RATE)
    assert levels.tolist() == [0.0, -65.0]
    np.testing.assert_allclose(times, 200 / RATE + levels / (-60 / 0.25), atol=5e-4)


@given(st.sampled_from([100.0, 315.0, 1000.0, 5000.0]), st.floats(0.01, 1.0))
def test_a_tone_has_its_power_in_its_third_octave(hertz: float, amplitude: float) -> None:
    centres, levels = third_octave_levels(amplitude * np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE), RATE)
    band = int(np.abs(np.log(centres / hertz)).argmin())
    assert levels.argmax() == band
    assert levels[band] == pytest.approx(20 * np.log10(amplitude) - 10 * np.log10(2), abs=0.2)


def test_white_noise_rises_a_decibel_a_band_and_keeps_its_power() -> None:
    wave = 0.1 * np.random.default_rng(0).standard_normal(30 * RATE)
    centres, levels = third_octave_levels(wave, RATE)
    assert centres[0] == pytest.approx(50, rel=0.01)
    assert centres[-1] == pytest.approx(6300, rel=0.01)
    density = 10 * np.log10(0.01 / (RATE / 2) * centres * (10**0.05 - 10**-0.05))
    np.testing.assert_allclose(levels, density, atol=1.0)
    assert levels[10:] == pytest.approx(density[10:], abs=0.25)


def test_levels_are_root_mean_squares_and_silence_is_the_floor() -> None:
    np.testing.assert_allclose(level_dbfs(np.array([[0.1, -0.1], [0.0, 0.0]])), [-20, -140])


def test_coherence_of_copies_opposites_strangers_and_delays() -> None:
    rng = np.random.default_rng(0)
    wave, other = rng.standard_normal((2, 40 * RATE))
    draws = np.stack([wave, 3 * wave, -wave, other, np.roll(wave, 2)])
    pairs = ((0, 1), (0, 2), (0, 3), (0, 4))
    same, opposite, strange, late = real_coherence(np.split(draws, 4, axis=1), pairs, 1024)
    np.testing.assert_allclose(same, 1, atol=1e-9)
    np.testing.assert_allclose(opposite, -1, atol=1e-9)
    assert np.sqrt(np.mean(strange**2)) < 0.03
    np.testing.assert_allclose(late, np.cos(2 * np.pi * 2 * np.arange(513) / 1024), atol=0.02)
    with pytest.raises(ValueError, match="draws: expected one or more, got none"):
        real_coherence([], pairs, 1024)


@pytest.mark.parametrize("field", FIELDS)
def test_draws_of_a_field_measure_as_its_theory(field: str) -> None:
    rng, places = np.random.default_rng(0), circular().positions
    pairs = spread_pairs(pairwise_distances(places), 3)
    source = rng.standard_normal(2 * RATE)
    draws = (diffuse_noise(source, places, RATE, rng, field) for _ in range(12))
    theory = FIELDS[field](places, np.fft.rfftfreq(1024, 1 / RATE))
    for (first, second), measured in zip(pairs, real_coherence(draws, pairs, 1024), strict=True):
        assert np.sqrt(np.mean((measured - theory[:, first, second]) ** 2)) < 0.05


def test_pairs_reach_from_the_closest_to_the_widest_and_differ() -> None:
    line = np.array([[0.0, 0, 0], [0.01, 0, 0], [0.03, 0, 0], [0.07, 0, 0]])
    assert spread_pairs(pairwise_distances(line), 3) == ((0, 1), (0, 2), (0, 3))
    assert spread_pairs(pairwise_distances(line[:2]), 3) == ((0, 1),)
    assert len(spread_pairs(pairwise_distances(circular().positions), 5)) == 2  # a ring of five has two distances


def test_places_are_seen_from_the_array() -> None:
    shown = scene()
    assert (shown.distance(0), shown.azimuth_deg(0)) == pytest.approx((1.0, 0.0))
    assert (shown.distance(1), shown.azimuth_deg(1)) == pytest.approx((2.0, 90.0))
    svg = sources_figure(PREVIEW, [shown], "a")
    Page(svg)
    target, other = (marks(svg, colour)[0] for colour in ("accent", "s2"))
    centre = marks(svg, "card")[0]
    assert target[0] == pytest.approx(centre[0], abs=0.01)  # in front: above
    assert other[1] == pytest.approx(centre[1], abs=0.01)  # to the left
    assert centre[0] - other[0] == pytest.approx(2 * (centre[1] - target[1]), abs=0.01)
    assert target[1] < centre[1]


def marks(svg: str, colour: str) -> list[tuple[float, float]]:
    found = re.findall(rf' x="([\d.]+)" y="([\d.]+)" style="fill: var\(--{colour}\)', svg)
    return [(float(x), float(y)) for x, y in found]


def test_the_glance_has_a_row_a_scene_and_links_to_it() -> None:
    others = [scene(id=f"train-{number:06d}", rt60=0.2 + 0.1 * number) for number in range(3)]
    svg = overview_figure(PREVIEW, others, ["s0", "s1", "s2"], "a")
    page = Page(svg)
    assert [link["xlink:href"] for link in page.find("a")] == ["#s0", "#s1", "#s2"]
    x, y = np.diff(marks(svg, "accent")[:3], axis=0).T  # of the first panel, RT60
    assert x[0] == pytest.approx(x[1], abs=1e-3)  # equal steps
    assert x[0] > 0
    assert (y > 0).all()  # the first scene is the topmost


def test_levels_of_microphones_are_drawn_where_they_are_and_notes_told() -> None:
    svg = mics_figure(scene(clip_dbfs=-6.0), "a")
    assert "dead" in Page(svg).text
    assert "clipping" in Page(svg).text
    assert "clipping" not in mics_figure(scene(), "a")
    heights = [y for _, y in marks(svg, "s3")][:3]  # speech: 20 dB between microphones
    assert heights[1] - heights[0] == pytest.approx(heights[1] - heights[2], abs=1.0)
    assert heights[1] > heights[0]


def test_every_figure_is_whole_and_in_the_colours_of_the_page() -> None:
    frequencies = np.fft.rfftfreq(1024, 1 / RATE)
    flat = np.ones((1, len(frequencies)))
    coherence = PreviewCoherence("spherical", 24.0, frequencies, ((0, 1),), np.array([0.05]), 0.9 * flat, flat)
    shown = scene(early_ms=20.0)
    svgs = [figure(shown, "a") for figure in (response_figure, decay_figure, spectra_figure, mics_figure)]
    for svg in [*svgs, coherence_figure(coherence, "a")]:
        Page(svg)
        assert not re.search(r"#0[13]0[0-9a-f]{3}", svg)
        assert 'role="img" aria-label=' in svg
    assert "0 and 1, 50 mm" in coherence_figure(coherence, "a")
    assert "target" in Page(svgs[0]).text  # the early part is marked
    assert "target" not in Page(response_figure(scene(), "a")).text
    assert f"T30 {shown.response.t30:.2f} s" in svgs[1]


@pytest.mark.parametrize(("reach", "rings"), [(2.0, ["1 m", "2 m"]), (2.8, ["1 m", "2 m"]), (0.6, ["0.25 m", "0.5 m"])])
def test_no_ring_is_drawn_beyond_the_picture(reach: float, rings: list[str]) -> None:
    centre = np.array([3.0, 2.0, 1.5])
    near = scene(sources=(PreviewSource("ann", (), 0.0, centre[None] + [[0.0, reach, 0]]),))
    picture = sources_figure(PREVIEW, [near], "a")
    assert re.findall(r">([\d.]+ m)<", picture) == rings


def test_plans_tell_their_directions() -> None:
    drawing = room_figure(scene(), "a")
    for title in ("Plan (m): x to the right, y up", "From the south (m): x to the right, z up"):
        assert title in drawing


def test_the_legend_tells_of_what_is_drawn_and_of_nothing_else() -> None:
    always = ["front of the array", "direct path of the target", "critical distance"]
    still = scene()
    room = still.room
    assert room is not None
    assert legend(still) == always
    turning = replace(room, yaws_deg=np.array([90.0, 120.0]))
    assert legend(replace(still, room=turning)) == [always[0], "where it turns", *always[1:]]
    walking = replace(still.sources[1], path=np.array([[1.0, 2, 1.5], [1, 3, 1.5]]))
    assert legend(replace(still, sources=(still.sources[0], walking))) == [always[0], "walk of a source", *always[1:]]
    shifted = replace(room, mics=room.mics + 0.001)
    assert legend(replace(still, room=shifted)) == [*always, "microphone as designed"]


def legend(shown: PreviewScene) -> list[str]:
    told = ("front of", "where it", "walk of", "direct path", "critical", "microphone as")
    return [words for words in re.findall(r">([a-z ]+)</text>", room_figure(shown, "a")) if words.startswith(told)]


def test_an_array_that_stands_is_drawn_whole_from_the_side() -> None:
    still = scene()
    assert still.room is not None
    flat = replace(still.room, mics=circular().positions + 1, nominal_mics=circular().positions + 1)
    assert _low_zoom(flat) == 0
    for mics in (phone().positions, phone().positions * [1, 1, 0.1]):
        standing = replace(flat, array_centre=np.ones(3), mics=mics + 1, nominal_mics=mics + 1)
        shown_mm = 2 * _reach(standing) * _low_zoom(standing) / ZOOM
        assert shown_mm > 1.2e3 * np.ptp(mics[:, 2])
    assert "Array from the south" in room_figure(replace(still, room=standing, ref_mic=0), "a")
    assert "Array from the south" not in room_figure(still, "a")


def test_ranges_read_as_people_write_them() -> None:
    assert span([0.2, 0.5], " s") == "0.2 to 0.5 s"
    assert span([-5.0, 15.0], " dB") == "−5 to 15 dB"
    assert span([3.0, 3.0]) == "3"
