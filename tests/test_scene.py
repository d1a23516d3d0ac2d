"""Scenes: within their ranges, a function of the seed, good for JSON and back, and errors that say why."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrayse.geometry import ArrayGeometry, circular, glasses, pairwise_distances
from arrayse.mixture import SPLITS
from simulate.corpus import Corpus, load_corpus
from simulate.devices import DeviceRecipe
from simulate.recipe import Background, Motion, Recipe
from simulate.room import Room
from simulate.scene import Scene, World, draw_scene
from tests.tiny_scenes import placed

RATE = 16000


@pytest.fixture(scope="session")
def corpora(tiny_corpus: Path) -> tuple[Corpus, Corpus]:
    speech, noise = (load_corpus(str(tiny_corpus), kind, RATE) for kind in ("speech", "noise"))
    return speech, noise


def draw(
    corpora: tuple[Corpus, Corpus],
    recipe: Recipe,
    split: str = "train",
    index: int = 0,
    seed: int = 0,
    geometry: ArrayGeometry | None = None,
) -> Scene:
    return draw_scene(World(recipe, geometry or circular(), *corpora, seed), split, index)


# --- what is drawn ------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(0, 10**6), st.sampled_from(SPLITS))
def test_a_scene_keeps_to_its_recipe(corpora: tuple[Corpus, Corpus], seed: int, index: int, split: str) -> None:
    recipe, geometry = Recipe(seconds=0.5, n_interferers=[2, 4], interferer_angle_deg=35.0), glasses()
    scene = draw(corpora, recipe, split, index, seed, geometry)
    place = placed(scene)
    room, mics, sources = (np.array(x) for x in (place.room_dim, place.mic_positions, place.source_positions))
    assert scene.n_samples == RATE // 2
    assert (np.array(recipe.room_min) <= room).all()
    assert (room <= np.array(recipe.room_max)).all()
    assert recipe.rt60[0] <= place.rt60 <= recipe.rt60[1]
    assert place.rt60 > 1.1 * Room(room, place.rt60).shortest_rt60
    assert ((mics > 0) & (mics < room)).all()
    assert ((sources > 0.4) & (sources < room - 0.4)).all()
    assert 3 <= len(sources) <= 5
    numbers = (scene.source_levels_db, place.source_azimuths_deg, scene.source_excerpts)
    assert {len(row) for row in numbers} == {len(sources)}
    assert scene.source_levels_db[0] == 0
    assert all(-5 <= level <= 5 for level in scene.source_levels_db)
    for name in ("diffuse_db", "sensor_db", "snr_db", "level_dbfs"):
        low, high = getattr(recipe, name)
        assert low <= getattr(scene, name) <= high

    away = sources - place.array_centre
    distance = np.linalg.norm(away, axis=1)
    assert 0.5 <= distance[0] <= 2.0
    assert (distance[1:] >= 1.0 - 1e-9).all()
    assert (distance[1:] <= 3.0 + 1e-9).all()
    seen = np.rad2deg(np.arctan2(away[:, 1], away[:, 0])) - place.array_yaw_deg
    turn = (seen - place.source_azimuths_deg + 180) % 360 - 180
    np.testing.assert_allclose(turn, 0, atol=1e-6)
    assert -30 <= place.source_azimuths_deg[0] <= 30
    apart = np.abs((seen[1:] - seen[0] + 180) % 360 - 180)
    assert (apart >= 35 - 1e-6).all()


def test_the_array_is_turned_but_not_bent(corpora: tuple[Corpus, Corpus]) -> None:
    geometry = glasses()
    for index in range(10):
        place = placed(draw(corpora, Recipe(), index=index, geometry=geometry))
        mics = np.array(place.mic_positions)
        inside = pairwise_distances(geometry.positions)
        np.testing.assert_allclose(pairwise_distances(mics), inside, atol=1e-12)
        np.testing.assert_allclose(mics[:, 2] - place.array_centre[2], geometry.positions[:, 2], atol=1e-12)
        front = np.deg2rad(place.array_yaw_deg)  # the bridge is in front of both hinges
        ahead = (mics[0] - mics[1:3].mean(axis=0))[:2]
        np.testing.assert_allclose(ahead, 0.015 * np.array([np.cos(front), np.sin(front)]), atol=1e-12)


def test_sources_sound_like_their_split(corpora: tuple[Corpus, Corpus]) -> None:
    for split in SPLITS:
        speakers, noises = ({file.path for file in corpus.files(split)} for corpus in corpora)
        for index in range(5):
            scene = draw(corpora, Recipe(), split, index)
            target, *others = [{Path(str(p["path"])) for p in e.pieces} for e in scene.source_excerpts]
            assert target <= speakers
            assert set.union(*others, {Path(str(p["path"])) for p in scene.diffuse_excerpts[0][0].pieces}) <= noises


def test_rooms_and_seeds_differ_between_splits_and_scenes(corpora: tuple[Corpus, Corpus]) -> None:
    scenes = [draw(corpora, Recipe(), split, index) for split in SPLITS for index in range(8)]
    for name in ("id", "seed", "snr_db"):
        assert len({str(getattr(scene, name)) for scene in scenes}) == len(scenes)
    for name in ("room_dim", "rt60", "array_centre"):
        assert len({str(getattr(placed(scene), name)) for scene in scenes}) == len(scenes)


def test_a_scene_is_a_function_of_its_arguments(corpora: tuple[Corpus, Corpus]) -> None:
    forwards = [draw(corpora, Recipe(), index=index) for index in range(4)]
    backwards = [draw(corpora, Recipe(), index=index) for index in reversed(range(4))]
    assert forwards == backwards[::-1]
    assert draw(corpora, Recipe(), seed=1) != forwards[0]


def test_a_scene_survives_json(corpora: tuple[Corpus, Corpus]) -> None:
    scene = draw(corpora, Recipe())
    numbers = json.loads(json.dumps(scene.to_dict(), allow_nan=False))
    assert Scene.from_dict(numbers | {"rt60_measured": 0.3}) == scene


def test_a_part_of_the_recipe_changes_nothing_but_its_own_draws(corpora: tuple[Corpus, Corpus]) -> None:
    """So that datasets with and without babble, walks or a device can be compared in pairs."""
    plain = Recipe(seconds=0.5)
    scene = draw(corpora, plain).to_dict()
    walking = {"target_share": 1.0, "turn_share": 1.0, "speed": [0.1, 0.2]}
    for changed, own in (
        (replace(plain, background=Background(source="recordings")), {"background", "diffuse_excerpts"}),
        (replace(plain, background=Background(wind_db=[0.0, 1.0])), {"background", "wind_db", "wind_speed"}),
        (replace(plain, motion=Motion(**walking)), {"place"}),
        (replace(plain, device=DeviceRecipe(gain_db=1.0, dead_share=1.0)), {"device"}),
        (replace(plain, n_interferers=[4, 4]), {"place", "source_levels_db", "source_excerpts"}),
    ):
        other = draw(corpora, changed).to_dict()
        assert {name for name, value in other.items() if value != scene[name]} <= own
        if "place" in own and changed.n_interferers == plain.n_interferers:
            assert {name for name in other["place"] if other["place"][name] != scene["place"][name]} <= {
                "source_walks",
                "array_turns_deg",
            }


def test_the_talker_is_not_in_the_babble(corpora: tuple[Corpus, Corpus]) -> None:
    recipe = Recipe(seconds=0.3, background=Background(source="babble", n_voices=2))
    for index in range(20):
        scene = draw(corpora, recipe, index=index)  # of three speakers two are left
        assert len(scene.diffuse_excerpts) == 5
        for track in scene.diffuse_excerpts:
            voices = [voice.group for voice in track]
            assert scene.source_excerpts[0].group not in voices
            assert len(set(voices)) == 2


# --- what cannot be drawn -----------------------------------------------------------------------------------


def test_a_reverberation_time_that_no_room_reaches(corpora: tuple[Corpus, Corpus]) -> None:
    message = r"rt60: expected a range that rooms of .* \(0\.082 s, for the smallest, to 5 s\), got \[0\.05"
    with pytest.raises(ValueError, match=message):
        draw(corpora, Recipe(rt60=[0.05, 0.06]))


@pytest.mark.parametrize(
    "ranges", [{"target_distance": [9.0, 10.0]}, {"interferer_distance": [9.0, 9.0]}, {"height": [4.0, 5.0]}]
)
def test_a_source_that_has_no_place(corpora: tuple[Corpus, Corpus], ranges: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"source: expected places .* got none in 200 draws"):
        draw(corpora, replace(Recipe(), **ranges))


def test_an_empty_split_is_told(corpora: tuple[Corpus, Corpus]) -> None:
    speech, noise = corpora
    with pytest.raises(ValueError, match=r"noise corpus .*: expected files in split test, got none"):
        draw((speech, replace(noise, splits={**noise.splits, "test": []})), Recipe(), "test")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("rt60", [0.5, 0.2], "expected [lowest, highest], got [0.5, 0.2]"),
        ("snr_db", [5.0, -5.0], "expected [lowest, highest]"),
        ("n_interferers", [3, 1], "expected [lowest, highest]"),
        ("room_min", [9.0, 3.0, 2.4], "expected no side above room_max [8.0, 6.0, 3.5], got [9.0"),
        ("room_min", [0.8, 3.0, 2.4], "expected sides above 0.8 m (2 x wall_distance), got [0.8"),
        ("rt60", [0.0, 0.2], "expected values above 0, got [0.0, 0.2]"),
        ("target_distance", [-1.0, 1.0], "expected values above 0"),
        ("interferer_distance", [0.0, 1.0], "expected values above 0"),
        ("n_interferers", [-1, 2], "expected values of 0 or more"),
        ("height", [0.0, 1.0], "expected values above 0"),
    ],
)
def test_a_recipe_that_makes_no_sense(name: str, value: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{name}: {message}")):
        Recipe(**{name: value})
    assert asdict(Recipe())[name] != value
