"""Groups of scenes: bins and their edges, the noise that prevails, directions, and what measured rooms do not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrayse.evaluation.baselines import target_direction
from arrayse.evaluation.conditions import (
    MOVING,
    NO_INTERFERER,
    RT60_EDGES,
    SEVERAL,
    conditions,
    group_order,
    prevailing_noise,
    rt60_group,
    sector,
)
from arrayse.manifest import SceneEntry
from arrayse.mixture import open_dataset


def scene(noise: list[tuple[str, float]] | None = None, **changes: Any) -> SceneEntry:
    """A scene with interferers of these kinds and levels in dB."""
    noise = [("rain", 0.0)] if noise is None else noise
    place = {"array_turns_deg": [], "source_walks": [[], [[1.0, 1.0, 1.0]]], "source_azimuths_deg": [12.0, 100.0]}
    numbers = {
        "source_excerpts": [{"group": "talker"}, *({"group": kind} for kind, _ in noise)],
        "source_levels_db": [0.0, *(level for _, level in noise)],
        "rt60_measured": 0.31,
        "place": place,
    }
    return SceneEntry(Path(), numbers | changes)


def test_a_scene_has_its_four_conditions_from_its_manifest() -> None:
    found = conditions(scene([("rain", 0.0), ("rain", -9.0)]))
    assert found.values == {"noise": "rain", "rt60": "0.3–0.4 s", "doa": "0 to 30°", "n_interferers": "2"}
    assert found.reasons == {}


def test_simulated_scenes_lie_in_the_sector_that_beamformers_look_to(tiny_dataset: Path) -> None:
    dataset = open_dataset(tiny_dataset)
    for entry in [*dataset.entries("train"), *dataset.entries("test")]:
        azimuth_deg = target_direction(entry, dataset.geometry)[0]
        found = conditions(entry)
        assert found.values["doa"] == sector(azimuth_deg)
        assert set(found.values) == {"noise", "rt60", "doa", "n_interferers"}
        assert found.values["noise"] in {SEVERAL, *(each["group"] for each in entry.numbers["source_excerpts"][1:])}


@pytest.mark.parametrize(
    ("noise", "expected"),
    [
        ([], NO_INTERFERER),
        ([("rain", -30.0)], "rain"),
        ([("rain", 0.0), ("crowd", -1.0)], "rain"),
        ([("rain", 0.0), ("crowd", 0.0)], SEVERAL),
        ([("rain", 0.0), ("crowd", -3.0), ("train", -3.0)], SEVERAL),  # 1 of 2.002
        ([("rain", 0.0), ("crowd", -3.1), ("train", -3.1)], "rain"),
        ([("rain", 0.0), ("crowd", -2.0), ("crowd", -2.0)], "crowd"),  # two of a kind count together
    ],
)
def test_the_noise_is_the_kind_with_more_than_half_of_the_power(noise: list[tuple[str, float]], expected: str) -> None:
    assert prevailing_noise(scene(noise).numbers) == expected
    assert prevailing_noise(scene(noise[::-1]).numbers) == expected
    assert prevailing_noise(scene([(kind, level + 17) for kind, level in noise]).numbers) == expected


@pytest.mark.parametrize(
    ("rt60", "group"),
    [
        (0.0, "below 0.2 s"),
        (0.1999, "below 0.2 s"),
        (0.2, "0.2–0.3 s"),
        (0.55, "0.5–0.6 s"),
        (0.6, "0.6–0.8 s"),
        (0.9999, "0.8–1.0 s"),
        (1.0, "1.0 s and above"),
        (7.0, "1.0 s and above"),
    ],
)
def test_an_edge_belongs_to_the_group_above(rt60: float, group: str) -> None:
    assert rt60_group(rt60) == group


@pytest.mark.parametrize(
    ("azimuth_deg", "expected"),
    [
        (0.0, "0 to 30°"),
        (-0.1, "−30 to 0°"),
        (29.9, "0 to 30°"),
        (30.0, "30 to 60°"),
        (179.0, "150 to 180°"),
        (180.0, "−180 to −150°"),
        (-180.0, "−180 to −150°"),
        (200.0, "−180 to −150°"),
        (-190.0, "150 to 180°"),
        (360.0, "0 to 30°"),
    ],
)
def test_directions_have_sectors_all_around(azimuth_deg: float, expected: str) -> None:
    assert sector(azimuth_deg) == expected


@given(st.floats(-720, 720))
def test_a_direction_lies_between_the_ends_of_its_sector(azimuth_deg: float) -> None:
    low, high = (float(end.replace("−", "-")) for end in sector(azimuth_deg).removesuffix("°").split(" to "))
    assert high == low + 30
    inside = (azimuth_deg - low) % 360
    assert inside < 30 or inside == pytest.approx(360)


def test_measured_rooms_know_no_direction_but_all_else() -> None:
    found = conditions(scene(place=None, measured={"responses": []}))
    assert found.values == {"noise": "rain", "rt60": "0.3–0.4 s", "n_interferers": "1"}
    assert found.reasons == {"doa": "measured room, of which no places are known"}


@pytest.mark.parametrize("rt60", [None, 0.0, float("nan"), float("inf")])
def test_a_scene_without_reverberation_time_says_so(rt60: float | None) -> None:
    found = conditions(scene(rt60_measured=rt60))
    assert "rt60" not in found.values
    assert found.reasons == {"rt60": "no RT60 was measured"}


def test_a_target_or_array_that_moves_has_no_direction_but_interferers_may() -> None:
    place = scene().numbers["place"]
    walks = [[[1.0, 2.0, 1.5]], []]
    for changed in (place | {"array_turns_deg": [0.0, 20.0]}, place | {"source_walks": walks}):
        assert conditions(scene(place=changed)).values["doa"] == MOVING


def test_groups_come_by_rising_value_and_kinds_of_noise_by_name() -> None:
    rng = np.random.default_rng(0)
    ordered = {
        "rt60": [rt60_group(edge) for edge in (0.0, *RT60_EDGES)],
        "doa": [*(sector(azimuth) for azimuth in range(-180, 180, 30)), MOVING],
        "n_interferers": ["0", "2", "10"],
        "noise": ["crowd", "rain", "train", NO_INTERFERER, SEVERAL],
        "of my own": ["a", "b"],
    }
    for condition, values in ordered.items():
        mixed = list(rng.permutation(values))
        assert sorted(mixed, key=lambda value: group_order(condition, value)) == values
