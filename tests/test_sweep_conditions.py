"""Conditions of a sweep: what is changed is what was asked, all else is as it was drawn, and rendered the same."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from arrayse.evaluation.baselines import target_direction
from arrayse.geometry import ArrayGeometry, circular, linear
from arrayse.manifest import SceneEntry
from arrayse.mixture import Mixture
from arrayse.sweep import CONDITIONS, SNR, Variant, check_values, count_paired, draw_variants, label_of
from simulate.description import open_world
from simulate.measured import MeasuredRoom, RoomBank
from simulate.render import render
from simulate.scene import Scene, World, draw_scene
from tests.tiny_scenes import placed

VALUES: dict[str, list[Any]] = {
    "rt60": [0.15, 0.2, 0.4],
    "doa": [-120.0, 0.0, 30.0, 180.0],
    "n_interferers": [0, 1, 3],
    "position_error": [0.0, 1.0, 4.0],
    "gain_error": [0.0, 1.0, 4.0],
    "dead_mic": ["none", 1.0, 4.0],
    "other_array": [circular(), circular(4, 0.03), linear(5)],
}
"""The last but one of ``doa`` lies within the directions of the dataset."""


@pytest.fixture(scope="module")
def world(tiny_dataset: Path) -> World:
    return open_world(tiny_dataset)[0]


def variants_of(world: World, name: str, values: list[Any] | None = None, n_scenes: int = 2) -> list[Variant]:
    return draw_variants(name, VALUES[name] if values is None else values, world, "test", n_scenes)


def stems(variant: Variant, number: int = 0) -> Mixture:
    return render(variant.scenes[number], variant.geometry)[0]


def differing(first: Scene, other: Scene) -> set[str]:
    """Names of the numbers that differ, those of the place with a dot."""
    a, b = ({**asdict(s), **{f"place.{k}": v for k, v in asdict(placed(s)).items()}} for s in (first, other))
    return {key for key in a if key != "place" and a[key] != b[key]}


# --- what is held -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VALUES)
def test_sources_play_the_same_from_the_same_places_at_all_values(world: World, name: str) -> None:
    variants = variants_of(world, name, n_scenes=6)
    assert [variant.label for variant in variants] == [label_of(value) for value in VALUES[name]]
    assert count_paired(variants) == 6
    for scenes in zip(*(variant.scenes for variant in variants), strict=True):
        assert len({scene.id for scene in scenes}) == 1
        for key in ("room_dim", "array_centre", "source_positions"):
            found = [getattr(placed(scene), key) for scene in scenes]
            assert all(each[:1] == found[0][:1] for each in found)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("rt60", {"place.rt60"}),
        ("doa", {"place.array_yaw_deg", "place.mic_positions", "place.source_azimuths_deg"}),
        ("position_error", {"device", "place.mic_positions"}),
        ("gain_error", {"device"}),
        ("dead_mic", {"device"}),
        ("other_array", {"device", "place.mic_positions"}),
    ],
)
def test_nothing_else_is_changed(world: World, name: str, changed: set[str]) -> None:
    first, *others = variants_of(world, name)
    for other in others:
        for a, b in zip(first.scenes, other.scenes, strict=True):
            assert set() < differing(a, b) <= changed


@pytest.mark.parametrize("name", ["position_error", "gain_error", "dead_mic", "other_array"])
def test_the_value_of_the_dataset_gives_its_own_scenes(world: World, name: str) -> None:
    assert variants_of(world, name)[0].scenes == [draw_scene(world, "test", index) for index in range(2)]


def test_scenes_that_had_to_move_are_counted(world: World) -> None:
    first, second = variants_of(world, "gain_error", [0.0, 1.0], n_scenes=3)
    place = placed(second.scenes[1])
    moved = replace(place, source_positions=[[1.0, 1.0, 1.0], *place.source_positions[1:]])
    scenes = [second.scenes[0], replace(second.scenes[1], place=moved), second.scenes[2]]
    assert count_paired([first, replace(second, scenes=scenes)]) == 2


# --- what is changed ----------------------------------------------------------------------------------------


def test_rt60_is_what_was_asked_and_the_direct_sound_stays(world: World) -> None:
    dry, _, wet = variants_of(world, "rt60")
    for variant, rt60 in ((dry, 0.15), (wet, 0.4)):
        _, measured = render(variant.scenes[0], variant.geometry)
        assert measured["rt60_measured"] == pytest.approx(rt60, rel=0.02)
    a, b = stems(dry).target[0], stems(wet).target[0]
    np.testing.assert_allclose(a / np.linalg.norm(a), b / np.linalg.norm(b), atol=1e-6)  # the level is of the speech


def test_the_target_is_seen_where_it_was_asked(world: World) -> None:
    for variant, azimuth in zip(variants_of(world, "doa"), VALUES["doa"], strict=True):
        for scene in variant.scenes:
            entry = SceneEntry(Path(), scene.to_dict())
            seen = target_direction(entry, variant.geometry)[0]  # from yaw and places
            assert (seen - azimuth + 180) % 360 - 180 == pytest.approx(0, abs=1e-6)
            place = placed(scene)
            mics = np.array(place.mic_positions) - place.array_centre
            to_source = np.array(place.source_positions[0]) - place.array_centre
            front = np.rad2deg(np.arctan2(mics[0, 1], mics[0, 0]))  # microphone 0 of the ring
            seen = np.rad2deg(np.arctan2(to_source[1], to_source[0])) - front
            assert (seen - azimuth + 180) % 360 - 180 == pytest.approx(0, abs=1e-6)
            for source, told in zip(place.source_positions, place.source_azimuths_deg, strict=True):
                away = np.array(source) - place.array_centre
                turn = np.rad2deg(np.arctan2(away[1], away[0])) - place.array_yaw_deg - told
                assert (turn + 180) % 360 - 180 == pytest.approx(0, abs=1e-6)


def test_an_array_that_turns_keeps_its_turn(world: World) -> None:
    turning = replace(world.recipe, motion=replace(world.recipe.motion, turn_share=1.0))
    place, other = (placed(v.scenes[0]) for v in variants_of(replace(world, recipe=turning), "doa", [0.0, 90.0]))
    assert place.array_turns_deg[0] - place.array_yaw_deg == pytest.approx(
        other.array_turns_deg[0] - other.array_yaw_deg
    )


def test_the_direction_that_it_had_gives_the_same_sound(world: World) -> None:
    scene = draw_scene(world, "test", 0)
    (variant,) = variants_of(world, "doa", [placed(scene).source_azimuths_deg[0]], n_scenes=1)
    mine, own = stems(variant), render(scene, world.geometry)[0]
    np.testing.assert_allclose(mine.speech, own.speech, atol=1e-5 * np.abs(own.speech).max())
    np.testing.assert_allclose(mine.noise, own.noise, atol=1e-5 * np.abs(own.noise).max())


def test_fewer_interferers_are_the_first_of_more(world: World) -> None:
    none, one, three = (variant.scenes[0] for variant in variants_of(world, "n_interferers"))
    assert [len(scene.source_excerpts) for scene in (none, one, three)] == [1, 2, 4]
    for fewer in (none, one):
        n = len(fewer.source_excerpts)
        assert fewer.source_excerpts == three.source_excerpts[:n]
        assert fewer.source_levels_db == three.source_levels_db[:n]
        assert placed(fewer).source_positions == placed(three).source_positions[:n]
        assert placed(fewer).source_azimuths_deg == placed(three).source_azimuths_deg[:n]
        assert len(placed(fewer).source_walks) == n
    speech = [stems(variant).speech[0] for variant in variants_of(world, "n_interferers")]
    assert np.corrcoef(speech)[0].min() > 0.99  # the walls are fitted to the sources that are there


def test_interferers_that_hardly_have_a_place_push_nobody_aside(world: World) -> None:
    tight = replace(world, recipe=replace(world.recipe, interferer_distance=[1.5, 2.0], interferer_angle_deg=120.0))
    assert count_paired(variants_of(tight, "n_interferers", n_scenes=8)) == 8
    apart = [variants_of(tight, "n_interferers", [n], n_scenes=8)[0] for n in (1, 5)]  # each drawn for itself
    assert count_paired(apart) < 8


def test_errors_of_devices_grow_in_proportion(world: World) -> None:
    ideal, one, four = (variant.scenes[0] for variant in variants_of(world, "position_error"))
    offsets = [np.array(scene.device.position_offsets) for scene in (ideal, one, four)]
    np.testing.assert_allclose(offsets[2], 4 * offsets[1])
    assert not offsets[0].any()
    assert 2e-4 < np.std(offsets[1]) < 2e-3
    moved = np.array(placed(one).mic_positions) - placed(ideal).mic_positions
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), np.linalg.norm(offsets[1], axis=1))
    gains = [np.array(variant.scenes[0].device.gains_db) for variant in variants_of(world, "gain_error")]
    np.testing.assert_allclose(gains[2], 4 * gains[1])
    assert gains[2][0] == 0
    assert np.count_nonzero(gains[2]) == 4


def test_a_dead_microphone_hears_no_source_and_the_others_as_before(world: World) -> None:
    alive, dead, _ = (stems(variant) for variant in variants_of(world, "dead_mic"))
    assert not dead.speech[1].any()
    assert not dead.target[1].any()
    others = [0, 2, 3, 4]
    np.testing.assert_array_equal(dead.speech[others], alive.speech[others])
    np.testing.assert_allclose(dead.noise[others], alive.noise[others], rtol=1e-5)
    assert 0 < np.square(dead.noise[1]).mean() < 0.1 * np.square(alive.noise[1]).mean()


def test_another_array_hangs_in_the_same_place(world: World) -> None:
    _, ring, line = variants_of(world, "other_array")
    assert (ring.geometry.n_mics, line.geometry.n_mics) == (4, 5)
    place = placed(ring.scenes[0])
    apart = np.linalg.norm(np.array(place.mic_positions) - place.array_centre, axis=1)
    np.testing.assert_allclose(apart, 0.03)
    assert stems(ring).speech.shape[0] == 4


def test_what_the_dataset_was_drawn_from_is_told(world: World) -> None:
    usual = {name: condition.usual(world.recipe) for name, condition in CONDITIONS.items()}
    assert usual.pop("rt60") == [0.15, 0.2]
    assert usual.pop("doa") == [-30.0, 30.0]
    assert usual.pop("n_interferers") == [1.0, 2.0]
    assert (usual.pop("position_error"), usual.pop("gain_error")) == ([0.0, 0.0], [0.0, 0.0])
    assert set(usual.values()) == {None}


# --- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "values", "told"),
    [
        ("rt60", [0.3, 9.0], r"from 0.05 to 5 \(RT60 \(s\)\), got 9"),
        ("rt60", [0.3, "long"], "expected numbers from 0.05 to 5 .*, got long"),
        ("doa", [0.0, 200.0], "from -180 to 180 .*, got 200"),
        ("n_interferers", [1.0, 1.5], "expected whole numbers from 0 to 20 .*, got 1.5"),
        ("position_error", [-1.0, 1.0], "from 0 to 20 .*, got -1"),
        ("gain_error", [0.0, True], "got True"),
        (SNR, [0.0, float("nan")], "got nan"),
        (SNR, [0.0, 0], "expected every value once, got 0 twice"),
        ("dead_mic", ["none", 0.0], r"none, each or channels 1, 2, 3, 4 \(not the reference, 0\), got 0"),
        ("dead_mic", ["none", 5.0], "got 5"),
        ("dead_mic", ["none", "all"], "got all"),
        ("dead_mic", [2.0, "each"], "got 2 twice"),
        ("other_array", [circular(), circular(4)], "got circular twice or more: name: tells arrays apart"),
    ],
)
def test_values_that_make_no_sweep_are_refused(name: str, values: list[Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        check_values(name, values, circular())


def test_whole_numbers_come_out_whole() -> None:
    assert [repr(value) for value in check_values("n_interferers", [0.0, 2.0], circular())] == ["0", "2"]


def test_each_dead_microphone_is_named() -> None:
    array = ArrayGeometry(circular(4).positions, ref_mic=2)
    assert check_values("dead_mic", ["none", "each"], array) == ["none", 0, 1, 3]


def test_a_room_that_cannot_have_the_rt60_is_named(world: World) -> None:
    with pytest.raises(ValueError, match=r"values: rt60 0\.06 in scene test-000000: rt60: expected 0\.\d+ to 5 s in a"):
        variants_of(world, "rt60", [0.06, 0.3])


def test_measured_rooms_are_as_they_were_measured(world: World, tmp_path: Path) -> None:
    room = MeasuredRoom("hall", [(tmp_path / f"{n}.wav", "0") for n in range(5)])
    bank = RoomBank(str(tmp_path), {"test": [room]}, 16000, [0, 1, 2, 3, 4], {})
    measured = replace(world, rooms=bank)
    for name in ("rt60", "doa", "position_error", "other_array"):
        with pytest.raises(ValueError, match=f"condition: expected one that measured rooms can have, got {name}"):
            variants_of(measured, name)
    few, _, many = (variant.scenes[0].measured for variant in variants_of(measured, "n_interferers"))
    assert few is not None
    assert many is not None
    assert few["responses"] == many["responses"][:1]
    assert len(many["responses"]) == 4
    assert variants_of(measured, "dead_mic")[1].scenes[0].device.dead_mic == 1
