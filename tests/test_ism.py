"""The image-source engine against a slow sum over mirrored rooms, symmetries, what is left out and refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrayse.geometry import SPEED_OF_SOUND, circular
from simulate.bands import band_weights
from simulate.ism import LEAD, direct_responses, image_responses

RATE = 16000
ROOM = np.array([4.0, 3.5, 2.6])
SOURCE = np.array([2.7, 1.9, 1.5])
MICS = np.array([1.6, 1.5, 1.3]) + circular(3, 0.05).positions + [[0, 0, 0.02], [0, 0, 0], [0, 0, 0]]
UNEQUAL = np.array([0.9, 0.2, 0.7, 0.5, 0.4, 0.8])
BANDS = 125 * 2.0 ** np.arange(6)


def mirrored_rooms(walls: np.ndarray, source: np.ndarray, mic: np.ndarray, reach: float) -> tuple[np.ndarray, ...]:
    """Places (n_images, 3) and reflections (n_bands, n_images): one image in each room mirrored at the walls.

    Room number q along an axis is |q| walls away, the far and the near wall in turn.
    """
    along, products = [], []
    for axis in range(3):
        room = np.arange(-int(reach / ROOM[axis]) - 2, int(reach / ROOM[axis]) + 3)
        along.append(room * ROOM[axis] + np.where(room % 2 == 0, source[axis], ROOM[axis] - source[axis]))
        first, second = (np.abs(room) + 1) // 2, np.abs(room) // 2
        low, high = np.where(room > 0, second, first), np.where(room > 0, first, second)
        products.append(walls[:, 2 * axis, None] ** low * walls[:, 2 * axis + 1, None] ** high)
    a, b, c = products
    places = np.stack(np.meshgrid(*along, indexing="ij"), axis=-1)
    near = np.linalg.norm(places - mic, axis=-1) <= reach
    return places[near], (a[:, :, None, None] * b[:, None, :, None] * c[:, None, None, :])[:, near]


def paths(walls: np.ndarray, mic: np.ndarray, n_taps: int) -> tuple[np.ndarray, np.ndarray]:
    """Distances (n_images,) and amplitudes (n_bands, n_images) of all that arrives from SOURCE in time."""
    places, products = mirrored_rooms(walls, SOURCE, mic, n_taps * SPEED_OF_SOUND / RATE)
    distance = np.linalg.norm(places - mic, axis=-1)
    return distance, products / distance


def waves(distance: np.ndarray, amplitude: np.ndarray, hertz: np.ndarray) -> np.ndarray:
    """Sum of delayed impulses in double precision, (n_bands, n_freqs)."""
    total = np.zeros((len(amplitude), len(hertz)), dtype=complex)
    for start in range(0, len(distance), 2000):
        part = slice(start, start + 2000)
        total += amplitude[:, part] @ np.exp(-2j * np.pi * distance[part, None] / SPEED_OF_SOUND * hertz)
    return total


def spectrum(response: np.ndarray, lowest: float = 50, highest: float = 7000) -> tuple[np.ndarray, np.ndarray]:
    """Every seventh frequency of a band in Hz and the spectrum there, counted from the moment of emission."""
    n_fft = 1 << 13
    hertz = np.fft.rfftfreq(n_fft, 1 / RATE)
    kept = np.flatnonzero((hertz >= lowest) & (hertz <= highest))[::7]
    shift = np.exp(2j * np.pi * hertz[kept] * LEAD / RATE)
    return hertz[kept], np.fft.rfft(response.astype(np.float64), n_fft)[..., kept] * shift


def difference_db(first: np.ndarray, second: np.ndarray) -> float:
    """Energy of the difference over that of the second."""
    return float(10 * np.log10(max(1e-30, np.sum(np.abs(first - second) ** 2) / np.sum(np.abs(second) ** 2))))


# --- the exact sum ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("walls", [np.full(6, 0.6), UNEQUAL, -UNEQUAL, UNEQUAL[::-1], np.zeros(6)])
def test_the_response_is_the_sum_over_mirrored_rooms(walls: np.ndarray) -> None:
    n_taps = 2000
    response = image_responses(ROOM, walls, SOURCE[None], MICS, RATE, n_taps)
    assert response.shape == (1, 3, LEAD + n_taps)
    assert response.dtype == np.float32
    for mic, place in enumerate(MICS):
        hertz, measured = spectrum(response[0, mic])
        assert difference_db(measured, waves(*paths(walls[None], place, n_taps), hertz)[0]) < -70


def test_walls_of_octave_bands_are_joined_by_their_weights() -> None:
    n_taps, walls = 1600, np.array([np.roll(UNEQUAL, band) * 0.9**band for band in range(6)])
    response = image_responses(ROOM, walls, SOURCE[None], MICS, RATE, n_taps, bands=BANDS)
    hertz, measured = spectrum(response[0, 0])
    exact = np.sum(waves(*paths(walls, MICS[0], n_taps), hertz) * band_weights(hertz, BANDS), axis=0)
    # the weights ring, longest in the lowest band: what comes before the start of the response is cut
    assert difference_db(measured, exact) < -60
    kept = hertz > 700
    assert difference_db(measured[kept], exact[kept]) < -70


def test_the_ringing_of_bands_does_not_come_round_to_the_end() -> None:
    walls = np.array([np.full(6, 0.5), np.zeros(6), np.zeros(6)])
    short, long = (
        image_responses(ROOM, walls, SOURCE[None], MICS, RATE, n_taps, bands=[60, 125, 250])[..., 1500:1900]
        for n_taps in (2000, 4000)
    )
    assert difference_db(short, long) < -20


@settings(max_examples=12)
@given(st.lists(st.floats(0.05, 0.95), min_size=9, max_size=9), st.permutations([3.0, 4.3, 6.1]), st.floats(0, 0.9))
def test_equal_bands_are_one_band_and_places_may_be_anywhere(
    places: list[float], sides: list[float], wall: float
) -> None:
    room = np.array(sides)
    source, near, far = np.array(places).reshape(3, 3) * room
    if np.linalg.norm(source - near) < 0.01 or np.linalg.norm(source - far) < 0.01:
        return
    mics, walls = np.array([near, far]), wall * UNEQUAL
    response = image_responses(room, walls, source[None], mics, RATE, 700)
    same = image_responses(room, np.tile(walls, (6, 1)), source[None], mics, RATE, 700, bands=BANDS)
    assert difference_db(same, response) < -110
    swapped = image_responses(room, walls, mics, source[None], RATE, 700)  # reciprocity
    assert difference_db(swapped[:, 0], response[0]) < -90
    mirror = np.array([1.0, 0, 0]) * room
    moved = image_responses(
        room, walls[[1, 0, 2, 3, 4, 5]], np.abs(mirror - source)[None], np.abs(mirror - mics), RATE, 700
    )
    assert difference_db(moved, response) < -90
    turned = image_responses(
        room[[2, 0, 1]], walls[[4, 5, 0, 1, 2, 3]], source[None, [2, 0, 1]], mics[:, [2, 0, 1]], RATE, 700
    )
    assert difference_db(turned, response) < -90


def test_images_end_with_the_response() -> None:
    """A longer one begins with the shorter, but for halves of filters at the end of that."""
    short, long = (image_responses(ROOM, UNEQUAL, SOURCE[None], MICS, RATE, n_taps) for n_taps in (600, 1500))
    assert difference_db(short[..., : 600 - 1], long[..., : 600 - 1]) < -70
    distance, _ = paths(UNEQUAL[None], MICS[0], 600)
    assert distance.max() * RATE / SPEED_OF_SOUND > 595  # there was something to cut
    assert difference_db(short[..., 600:], long[..., 600 : 600 + LEAD]) > -40


# --- the direct path ----------------------------------------------------------------------------------------


def test_the_direct_path_is_late_by_distance_over_c_and_falls_as_one_over_r() -> None:
    sources = np.array([SOURCE, [0.3, 0.4, 0.5], MICS[0] + [0, 0.01, 0]])
    response = direct_responses(sources, MICS, RATE, 400)
    distance = np.linalg.norm(sources[:, None] - MICS, axis=-1)
    for source, mic in np.ndindex(3, 3):
        hertz, measured = spectrum(response[source, mic])
        exact = waves(distance[source, mic, None], 1 / distance[source, mic, None, None], hertz)[0]
        assert difference_db(measured, exact) < -75
    absorbing = image_responses(ROOM, np.zeros(6), sources, MICS, RATE, 400)
    assert response.shape == absorbing.shape
    assert difference_db(absorbing, response) < -60
    assert not direct_responses(SOURCE[None], MICS, RATE, 20).any()  # not arrived yet
    assert difference_db(direct_responses(sources, MICS, RATE, 100), response[..., : LEAD + 100]) < -200


# --- fewer images -------------------------------------------------------------------------------------------


def test_the_threshold_drops_only_what_is_faint() -> None:
    n_taps, threshold = 2000, 3e-3
    whole, cut = (
        image_responses(ROOM, UNEQUAL, SOURCE[None], MICS, RATE, n_taps, threshold=level)[0] for level in (0, threshold)
    )
    for mic, place in enumerate(MICS):
        distance, amplitude = paths(UNEQUAL[None], place, n_taps)
        faint = amplitude[0] < 1.02 * threshold / np.linalg.norm(MICS - SOURCE, axis=1).min()
        hertz, dropped = spectrum(whole[mic] - cut[mic])
        assert np.abs(dropped).max() > 1e-3
        assert np.abs(dropped).max() < 1.01 * np.sum(amplitude[0, faint])
        all_faint = waves(distance[faint], amplitude[:, faint], hertz)
        assert np.sum(np.abs(dropped) ** 2) < 1.05 * np.sum(np.abs(all_faint) ** 2)
    fine = image_responses(ROOM, UNEQUAL, SOURCE[None], MICS, RATE, n_taps, threshold=3e-5)[0]
    assert -100 < difference_db(fine, whole) < -50


# --- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"reflection": np.ones(5)}, r"reflection: expected \(1, 6\) numbers from -1 to 1"),
        ({"reflection": np.full(6, 1.1)}, "reflection: expected"),
        ({"reflection": np.full(6, np.nan)}, "reflection: expected"),
        ({"bands": BANDS}, r"reflection: expected \(6, 6\) numbers"),
        ({"bands": np.arange(1, 10), "reflection": np.ones((9, 6))}, "bands: expected at most 8, got 9"),
        ({"bands": [500, 250], "reflection": np.ones((2, 6))}, "bands: expected ascending centre frequencies"),
        ({"bands": [0, 250], "reflection": np.ones((2, 6))}, "bands: expected ascending centre frequencies"),
        ({"sources": SOURCE}, r"sources: expected shape \(n, 3\)"),
        ({"mics": MICS[:, :2]}, r"mics: expected shape \(n, 3\), got \(3, 2\)"),
        ({"sources": [[1, 1, 2.6]]}, "sources: expected places inside the room"),
        ({"mics": [[1, 1, np.nan]]}, "mics: expected places inside the room"),
        ({"sources": MICS[1:]}, "sources: expected places apart from the mics"),
        ({"max_density": 0.5}, "max_density: expected at least 1 image per sample, got 0.5"),
        ({"max_density": np.nan}, "max_density: expected at least 1"),
        ({"threshold": -1.0}, "threshold: expected 0 to 1, got -1"),
        ({"n_taps": 0}, "n_taps: expected at least 1, got 0"),
    ],
)
def test_what_is_refused(changed: dict[str, object], message: str) -> None:
    arguments = {
        "room_dim": ROOM,
        "reflection": UNEQUAL,
        "sources": SOURCE[None],
        "mics": MICS,
        "sample_rate": RATE,
        "n_taps": 100,
    }
    with pytest.raises(ValueError, match=message):
        image_responses(**{**arguments, **changed})
