"""What an array accepts and refuses, and the sizes of the presets."""

from __future__ import annotations

import dataclasses
import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrayse.geometry import (
    PRESETS,
    SPEED_OF_SOUND,
    ArrayGeometry,
    check_mics,
    circular,
    compact_diamond,
    direction,
    earbuds,
    glasses,
    linear,
    pairwise_distances,
    phone,
)

SQUARE = np.array([[0.0, 0, 0], [0.1, 0, 0], [0, 0.1, 0], [0.1, 0.1, 0]])


def extent(geometry: ArrayGeometry) -> list[float]:
    """Length along x, y and z in millimetres, without the rounding."""
    return np.round(np.ptp(geometry.positions, axis=0) * 1e3, 9).tolist()


# --- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_mics", [1, 2, 4, 5, 16])
def test_a_transposed_array_is_told_to_transpose(n_mics: int) -> None:
    transposed = linear(n_mics).positions.T
    with pytest.raises(ValueError, match=rf"expected shape \(n_mics, 3\), got \(3, {n_mics}\): transpose it"):
        ArrayGeometry(transposed)


@pytest.mark.parametrize("shape", [(3,), (2, 2), (1, 2, 3), (5, 4)])
def test_other_shapes_are_refused_without_the_hint(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected shape \(n_mics, 3\)") as error:
        ArrayGeometry(np.zeros(shape))
    assert "transpose" not in str(error.value)


def test_no_microphone_is_no_array() -> None:
    with pytest.raises(ValueError, match="expected at least one microphone"):
        ArrayGeometry(np.zeros((0, 3)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_positions_must_be_finite(bad: float) -> None:
    with pytest.raises(ValueError, match="positions: expected finite numbers"):
        ArrayGeometry(np.array([[0, 0, 0], [0.01, bad, 0]]))


def test_duplicates_are_named_by_pair() -> None:
    with pytest.raises(ValueError, match=r"same place for 0 and 2, 1 and 3$"):
        ArrayGeometry(np.array([[0, 0, 0], [0.1, 0, 0], [0, 0, 1e-4], [0.1, 0, 0]]))
    ArrayGeometry(np.array([[0, 0, 0], [0.0006, 0, 0]]))


@pytest.mark.parametrize("preset", PRESETS.values())
def test_millimetres_in_place_of_metres_are_noticed(preset: object) -> None:
    geometry: ArrayGeometry = preset()  # type: ignore[operator]
    with pytest.raises(ValueError, match=r"expected metres .* are these millimetres"):
        ArrayGeometry(geometry.positions * 1e3)


@pytest.mark.parametrize("ref_mic", [-1, 4, 100])
def test_the_reference_must_exist(ref_mic: int) -> None:
    with pytest.raises(ValueError, match=f"ref_mic: expected 0 to 3, got {ref_mic}"):
        ArrayGeometry(SQUARE, ref_mic)


@pytest.mark.parametrize("ref_mic", [1.0, 1.5, True, np.True_, "1", None])
def test_the_reference_is_a_whole_number(ref_mic: object) -> None:
    with pytest.raises(ValueError, match="ref_mic: expected a whole number, got "):
        ArrayGeometry(SQUARE, ref_mic)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", ["front", [["a", 0, 0]], [[0, 0, 0], [1, 0]], None])
def test_positions_are_numbers(bad: object) -> None:
    with pytest.raises(ValueError, match=r"positions: expected (numbers of )?shape \(n_mics, 3\)"):
        ArrayGeometry(bad)  # type: ignore[arg-type]


# --- what is kept -------------------------------------------------------------------------------------------


def test_an_array_cannot_be_changed() -> None:
    mine = SQUARE.copy()
    geometry = ArrayGeometry(mine)
    with pytest.raises(ValueError, match="read-only"):
        geometry.positions[0, 0] = 1.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        geometry.ref_mic = 1  # type: ignore[misc]
    mine[0, 0] = 0.05  # the caller's own copy stays writable and is not ours
    assert geometry.positions[0, 0] == 0
    geometry.to_dict()["positions"][0][0] = 9.0  # type: ignore[index]
    assert geometry.positions[0, 0] == 0


@pytest.mark.parametrize("geometry", [*(make() for make in PRESETS.values()), ArrayGeometry(SQUARE, 2, "é")])
def test_an_array_survives_json(geometry: ArrayGeometry) -> None:
    again = ArrayGeometry(**json.loads(json.dumps(geometry.to_dict())))
    assert np.array_equal(again.positions, geometry.positions)
    assert (again.ref_mic, again.name) == (geometry.ref_mic, geometry.name)
    assert again.positions.dtype == np.float64


def test_lists_and_numpys_numbers_become_plain() -> None:
    geometry = ArrayGeometry(SQUARE.tolist(), np.int64(2))
    assert np.array_equal(geometry.positions, SQUARE)
    assert type(geometry.ref_mic) is int
    assert json.loads(json.dumps(geometry.to_dict()))["ref_mic"] == 2
    assert dataclasses.replace(geometry, ref_mic=1).ref_mic == 1
    assert pickle.loads(pickle.dumps(geometry)).to_dict() == geometry.to_dict()


def test_aliasing_is_that_of_the_closest_pair() -> None:
    assert earbuds().aliasing_hz == pytest.approx(SPEED_OF_SOUND / (2 * 0.014))  # not that between the ears


def test_aperture_and_aliasing() -> None:
    square = ArrayGeometry(SQUARE)
    assert square.aperture == pytest.approx(0.1 * np.sqrt(2))
    assert square.aliasing_hz == pytest.approx(SPEED_OF_SOUND / 0.2)
    assert linear(1).aperture == 0
    assert linear(1).aliasing_hz == float("inf")


def test_distances() -> None:
    points = np.array([[0.0, 0, 0], [3, 4, 0], [0, 0, 2]])
    expected = [[0, 5, 2], [5, 0, np.sqrt(29)], [2, np.sqrt(29), 0]]
    np.testing.assert_allclose(pairwise_distances(points), expected)


# --- subsets ------------------------------------------------------------------------------------------------


def test_a_subset_keeps_order_and_reference() -> None:
    square = ArrayGeometry(SQUARE, ref_mic=1, name="square")
    part = square.subset([3, 1, 0])
    assert np.array_equal(part.positions, SQUARE[[3, 1, 0]])
    assert part.ref_mic == 1  # microphone 1, the old reference, is second in the list
    assert part.name == "square[3,1,0]"


def test_the_reference_of_a_subset() -> None:
    square = ArrayGeometry(SQUARE, ref_mic=2)
    assert square.subset([3, 0]).ref_mic == 0  # the old one is gone: the first of the list
    assert square.subset([3, 0], ref_mic=0).ref_mic == 1  # counted in the old array
    assert square.subset([3, 2], ref_mic=3).ref_mic == 0
    with pytest.raises(ValueError, match=r"ref_mic: expected one of mics \[3, 0\], got 2"):
        square.subset([3, 0], ref_mic=2)


@pytest.mark.parametrize("mics", [[], [0, 0], [4], [-1], [0, 1, 2, 3, 4]])
def test_bad_channel_lists_are_refused(mics: list[int]) -> None:
    with pytest.raises(ValueError, match="mics: expected distinct channel numbers from 0 to 3"):
        check_mics(mics, 4)
    with pytest.raises(ValueError, match="mics: expected distinct channel numbers from 0 to 3"):
        ArrayGeometry(SQUARE).subset(mics)


@pytest.mark.parametrize("mics", [[True, 0], [0.0, 1.0], ["0"]])
def test_channels_are_whole_numbers(mics: list[int]) -> None:
    with pytest.raises(ValueError, match="mics: expected a whole number, got "):
        ArrayGeometry(SQUARE).subset(mics)


@given(st.permutations(range(5)), st.integers(1, 5))
def test_a_subset_of_a_subset_is_a_subset(order: list[int], keep: int) -> None:
    ring = circular(5)
    twice, once = ring.subset(order).subset(list(range(keep))), ring.subset(order[:keep])
    assert np.array_equal(twice.positions, once.positions)


# --- directions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("azimuth_deg", "elevation_deg", "expected"),
    [(0, 0, [1, 0, 0]), (90, 0, [0, 1, 0]), (180, 0, [-1, 0, 0]), (-90, 0, [0, -1, 0]), (17, 90, [0, 0, 1])],
)
def test_front_left_and_up(azimuth_deg: float, elevation_deg: float, expected: list[float]) -> None:
    np.testing.assert_allclose(direction(azimuth_deg, elevation_deg), expected, atol=1e-15)


@given(st.floats(-360, 360), st.floats(-90, 90))
def test_a_direction_has_length_one_and_gives_its_angles_back(azimuth_deg: float, elevation_deg: float) -> None:
    x, y, z = direction(azimuth_deg, elevation_deg)
    assert x**2 + y**2 + z**2 == pytest.approx(1)
    assert np.arcsin(np.clip(z, -1, 1)) == pytest.approx(np.deg2rad(elevation_deg), abs=1e-6)
    turn = np.arctan2(y, x) - np.deg2rad(azimuth_deg)
    assert np.hypot(x, y) * np.sin(turn) == pytest.approx(0, abs=1e-9)
    assert np.hypot(x, y) < 1e-9 or np.cos(turn) > 0


# --- presets ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
def test_presets_carry_their_name_and_hold_the_rules(name: str) -> None:
    geometry = PRESETS[name]()
    assert geometry.name.startswith(name)
    assert geometry.ref_mic == 0


def test_compact_diamond_is_12_by_7_mm_around_the_reference() -> None:
    geometry = compact_diamond()
    assert geometry.n_mics == 5
    assert extent(geometry) == [12, 7, 0]
    assert geometry.positions[0].tolist() == [0, 0, 0]
    np.testing.assert_allclose(pairwise_distances(geometry.positions)[0, 1:] * 1e3, [6, 6, 3.5, 3.5])
    assert extent(compact_diamond(0.02, 0.01)) == [20, 10, 0]


@pytest.mark.parametrize(("n_mics", "radius"), [(2, 0.01), (5, 0.05), (8, 0.1)])
def test_circular_is_a_ring_that_starts_in_front_and_turns_left(n_mics: int, radius: float) -> None:
    positions = circular(n_mics, radius).positions
    np.testing.assert_allclose(np.linalg.norm(positions, axis=1), radius)
    np.testing.assert_allclose(positions[0], [radius, 0, 0])
    np.testing.assert_allclose(positions[1], radius * direction(360 / n_mics), atol=1e-15)
    steps = np.linalg.norm(np.roll(positions, -1, axis=0) - positions, axis=1)
    np.testing.assert_allclose(steps, 2 * radius * np.sin(np.pi / n_mics))


@pytest.mark.parametrize(("n_mics", "spacing"), [(1, 0.1), (2, 0.01), (7, 0.03)])
def test_linear_is_centred_on_y(n_mics: int, spacing: float) -> None:
    positions = linear(n_mics, spacing).positions
    assert np.all(positions[:, [0, 2]] == 0)
    np.testing.assert_allclose(np.diff(positions[:, 1]), spacing)
    assert positions.mean() == pytest.approx(0, abs=1e-15)


def test_earbuds_are_two_ears_with_front_and_rear() -> None:
    positions = earbuds().positions
    assert extent(earbuds()) == [14, 175, 0]
    assert (positions[:, 1] > 0).tolist() == [True, True, False, False]  # left, left, right, right
    assert (positions[:, 0] > 0).tolist() == [True, False, True, False]  # front, rear, front, rear


def test_phone_has_two_or_three_microphones_at_its_ends() -> None:
    assert [phone(n_mics).name for n_mics in (2, 3)] == ["phone2", "phone3"]
    assert extent(phone(2, height=0.15))[2] == 150
    bottom, top, camera = phone(3).positions
    assert bottom[2] < camera[2] < top[2]
    assert camera[0] < 0  # on the back
    with pytest.raises(ValueError, match="n_mics: expected 2 or 3"):
        phone(4)


def test_glasses_are_left_right_symmetric_behind_the_bridge() -> None:
    positions = glasses(0.15, 0.07).positions
    assert extent(glasses(0.15, 0.07))[:2] == [85, 150]
    assert np.array_equal(positions[[1, 3]] * [1, -1, 1], positions[[2, 4]])
    assert (positions[1:, 0] < positions[0, 0]).all()
