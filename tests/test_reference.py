"""The reference engine: repeatable, on its own, and in agreement with the fast engine and with closed forms."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyroomacoustics
import pytest
from scipy.signal import csd

from arrayse.geometry import SPEED_OF_SOUND
from simulate import reference
from simulate.decay import measure_rt60
from simulate.interpolation import LEAD
from simulate.noise import spherical_coherence
from simulate.rir import FittedRoom, RoomResponse, fit_room, room_responses
from simulate.room import Acoustics, Room
from simulate.walls import Walls

RATE = 16000
DIM = np.array([4.0, 3.5, 2.6])
SOURCES = np.array([[2.8, 2.1, 1.43], [1.2, 2.8, 1.56]])
MICS = np.array([[1.6, 1.45, 1.04], [1.6, 1.35, 1.04], [1.63, 1.4, 1.04]])
L_SHAPE = [[0.0, 0.0], [4.0, 0.0], [4.0, 2.0], [2.0, 2.0], [2.0, 3.5], [0.0, 3.5]]
KITE = [[0.0, 0.5], [4.0, 0.0], [3.5, 3.0], [1.0, 3.5]]


def error_db(wave: np.ndarray, expected: np.ndarray, lowest: float = 0, highest: float = RATE) -> float:
    """Energy of the difference in dB of the energy of what is expected, in a band."""
    hertz = np.fft.rfftfreq(expected.shape[-1], 1 / RATE)
    band = (hertz >= lowest) & (hertz <= highest)
    first, second = (np.fft.rfft(x)[..., band] for x in (wave, expected))
    return float(10 * np.log10(np.sum(np.abs(first - second) ** 2) / np.sum(np.abs(second) ** 2)))


def drr_db(response: RoomResponse) -> np.ndarray:
    reflections = response.full - response.direct
    return 10 * np.log10(np.sum(response.direct**2, axis=-1) / np.sum(reflections**2, axis=-1))


def both_engines(rt60: float, **acoustics: Any) -> tuple[RoomResponse, RoomResponse]:
    """The fast engine's and the reference's responses of a room with the same walls."""
    fitted = fit_room(Room(DIM, rt60, Acoustics(**acoustics)), SOURCES, MICS, RATE)
    room = Room(DIM, rt60, Acoustics("pyroomacoustics", **acoustics))
    rooms = (fitted, FittedRoom(room, fitted.walls, RATE))
    fast, slow = (RoomResponse(r.full(SOURCES, MICS), r.direct(SOURCES, MICS), r.rt60, r.engine) for r in rooms)
    assert (fast.engine, slow.engine) == ("ism", f"pyroomacoustics {pyroomacoustics.__version__}")
    return fast, slow


# --- two engines, one answer --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rt60", "acoustics", "errors_db"),
    [
        (0.2, {}, (-52, -57)),
        (0.35, {}, (-51, -57)),
        (0.2, {"walls": [0.5, 2, 1, 1, 3, 0.7]}, (-52, -57)),
        # its octave filters are others than those of the fast engine
        (0.12, {"band_rt60": [[125, 1.5], [250, 1.3], [4000, 0.8], [8000, 0.8]]}, (-45, -46)),
    ],
)
def test_both_engines_give_the_same_responses(
    rt60: float, acoustics: dict[str, Any], errors_db: tuple[float, float]
) -> None:
    fast, slow = both_engines(rt60, **acoustics)
    assert fast.full.shape == slow.full.shape
    assert error_db(fast.full, slow.full) < errors_db[0]
    assert error_db(fast.full, slow.full, 50, 7000) < errors_db[1]
    for first, second in zip(fast.full.reshape(6, -1), slow.full.reshape(6, -1), strict=True):
        assert measure_rt60(first, RATE) == pytest.approx(measure_rt60(second, RATE), rel=2e-3)
    np.testing.assert_allclose(drr_db(fast), drr_db(slow), atol=0.02)

    hertz = np.fft.rfftfreq(fast.direct.shape[-1], 1 / RATE)
    band = (hertz > 300) & (hertz < 6000)
    ratio = (np.fft.rfft(fast.direct) / np.fft.rfft(slow.direct))[..., band]  # the high-pass is in both
    delay = np.polyfit(2 * np.pi * hertz[band] / RATE, np.angle(ratio).reshape(6, -1).T, 1)[0]
    assert np.abs(delay).max() < 0.005  # samples
    between_mics = np.rad2deg(np.angle(ratio / ratio[:, :1]))
    assert np.abs(between_mics).max() < 0.5
    assert np.abs(20 * np.log10(np.abs(ratio))).max() < 0.05


def test_every_image_within_the_response_is_there() -> None:
    """Against the images counted one by one, in a room whose far images have been reflected by all walls."""
    rng = np.random.default_rng(0)
    for _ in range(5):
        dim, seconds = rng.uniform([2.5, 2.5, 2.2], [4, 4, 3]), rng.uniform(0.01, 0.1)
        source, mic = rng.uniform(0.05, dim - 0.05), rng.uniform(0.05, dim - 0.05)
        count = int(np.ceil(SPEED_OF_SOUND * seconds / dim.min())) + 1
        cells = np.array(list(itertools.product(range(-count, count + 1), repeat=3)))
        images = cells * dim + np.where(cells % 2 == 0, source, dim - source)
        heard = np.linalg.norm(images - mic, axis=1) <= SPEED_OF_SOUND * seconds
        order = np.abs(cells)[heard].sum(axis=1).max()
        assert order <= reference.max_order(Room(dim, 0.3), seconds) <= 1.25 * order + 3


def test_all_images_together_are_the_exact_sum() -> None:
    """A slow sum over mirrored rooms in double precision, by its own rule for the images."""
    source, mic, n_taps = SOURCES[0], MICS[0], 800
    reflection = np.array([0.9, 0.5, -0.3, 0.7, 0.2, 0.8])
    room = Room(DIM, 0.2, Acoustics("pyroomacoustics"))
    response = reference.image_responses(room, np.abs(reflection)[None], source[None], mic[None], RATE, n_taps)[0, 0]
    hertz = np.fft.rfftfreq(2048, 1 / RATE)
    exact = np.zeros(len(hertz), dtype=complex)
    for cell in itertools.product(range(-8, 9), repeat=3):
        image = cell * DIM + np.where(np.array(cell) % 2 == 0, source, DIM - source)
        distance = float(np.linalg.norm(image - mic))
        if distance < SPEED_OF_SOUND * n_taps / RATE:
            # mirroring once per wall crossed on the way to room number `cell`: high side first going up
            crossed = [(abs(n) // 2 + (n < 0) * (n % 2), abs(n) // 2 + (n > 0) * (n % 2)) for n in cell]
            gain = np.prod(np.abs(reflection) ** np.array(crossed).ravel()) / distance
            exact += gain * np.exp(-2j * np.pi * hertz * (distance / SPEED_OF_SOUND + LEAD / RATE))
    expected = np.fft.irfft(exact)[: LEAD + n_taps]
    assert error_db(response[: n_taps - LEAD], expected[: n_taps - LEAD], 50, 7000) < -50


# --- on its own ---------------------------------------------------------------------------------------------

SETTINGS = {
    "num_threads": 3,
    "rir_hpf_enable": True,
    "c": 340.0,
    "frac_delay_length": 61,
    "sinc_lut_granularity": 5,
    "octave_bands_base_freq": 250.0,
}


@pytest.fixture
def own_settings() -> Iterator[None]:
    """Someone else's settings of the engine."""
    before = {name: pyroomacoustics.constants.get(name) for name in SETTINGS}
    for name, value in SETTINGS.items():
        pyroomacoustics.constants.set(name, value)
    yield
    for name, value in before.items():
        pyroomacoustics.constants.set(name, value)


def few_responses() -> list[np.ndarray]:
    """Of everything that the engine is used for, shortly: bands, ray tracing, a floor plan, a directional source."""
    bands = np.repeat(np.linspace(0.6, 0.8, 7)[:, None], 6, axis=1)
    full = {"engine": "pyroomacoustics", "ray_tracing": True}
    variants = [
        ({"engine": "pyroomacoustics"}, bands),
        (full, bands[:1]),
        ({**full, "floor_plan": L_SHAPE, "directivity": "cardioid"}, bands[:1]),
    ]
    return [
        responses
        for acoustics, reflection in variants
        for room in [Room(DIM, 0.2, Acoustics(**acoustics))]
        for responses in (
            reference.image_responses(room, reflection, SOURCES[1:], MICS[:2], RATE, 800),
            reference.direct_responses(room, SOURCES[1:], MICS[:2], RATE, 800),
        )
    ]


@pytest.fixture(scope="module")
def undisturbed() -> list[np.ndarray]:
    return few_responses()


def test_responses_are_repeatable(undisturbed: list[np.ndarray]) -> None:
    np.random.seed(1)
    pyroomacoustics.random.seed(7)
    for first, second in zip(few_responses(), undisturbed, strict=True):
        assert first.tobytes() == second.tobytes()


@pytest.mark.usefixtures("own_settings")
def test_someone_elses_settings_do_not_matter_and_are_put_back(
    undisturbed: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    pyroomacoustics.random.seed(5)
    state = pyroomacoustics.random.get_rng().bit_generator.state
    for first, second in zip(few_responses(), undisturbed, strict=True):
        assert first.tobytes() == second.tobytes()
    assert {name: pyroomacoustics.constants.get(name) for name in SETTINGS} == SETTINGS
    assert pyroomacoustics.random.get_rng().bit_generator.state == state

    def fail(*arguments: object) -> None:
        assert pyroomacoustics.constants.get("num_threads") == 1
        raise MemoryError

    monkeypatch.setattr(reference, "_responses", fail)
    with pytest.raises(MemoryError):
        few_responses()
    assert {name: pyroomacoustics.constants.get(name) for name in SETTINGS} == SETTINGS
    assert pyroomacoustics.random.get_rng().bit_generator.state == state


# --- its own features ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "p"), [("subcardioid", 0.75), ("cardioid", 0.5), ("hypercardioid", 0.25), ("figure_eight", 0.0)]
)
def test_a_directional_source_faces_the_array(pattern: str, p: float) -> None:
    """Its direct sound falls as p + (1 - p) cos of the angle to the centre of the microphones."""
    room = Room(DIM, 0.2, Acoustics("pyroomacoustics", directivity=pattern))
    source, rng = np.array([2.0, 1.8, 1.3]), np.random.default_rng(3)
    for _ in range(3):
        ahead, aside = np.linalg.qr(rng.standard_normal((3, 2)))[0].T
        angles = np.array([0.7, -0.7, 2.2, -2.2, 0, 0, 0])  # in the mean ahead
        away = np.array([0.8, 0.8, 0.8, 0.8, 0.8, 0.9, 1.1])
        mics = source + away[:, None] * (np.cos(angles)[:, None] * ahead + np.sin(angles)[:, None] * aside)
        direct = reference.direct_responses(room, source[None], mics, RATE, 400)[0]
        gain = direct.sum(axis=-1) * away
        np.testing.assert_allclose(gain, p + (1 - p) * np.cos(angles), atol=5e-3)
        full = reference.image_responses(room, np.full((1, 6), 0.8), source[None], mics, RATE, 400)[0]
        before = LEAD + int(0.8 * RATE / SPEED_OF_SOUND) + 2
        np.testing.assert_allclose(full[:, :before], direct[:, :before], atol=0.05)


def test_a_directional_source_excites_less_reverberation() -> None:
    """By the directivity factor of a cardioid, 4.8 dB in a diffuse field."""
    ratios = []
    for name in ("omnidirectional", "cardioid"):
        walls = Walls(np.full((1, 6), 0.8), np.array([0.2]))
        room = FittedRoom(Room(DIM, 0.2, Acoustics("pyroomacoustics", directivity=name)), walls, RATE)
        response = RoomResponse(room.full(SOURCES, MICS), room.direct(SOURCES, MICS), 0.2, room.engine)
        ratios.append(drr_db(response))
        assert response.full.shape == (2, 3, LEAD + 3200)
    assert 3 < np.mean(ratios[1] - ratios[0]) < 7


@pytest.mark.parametrize("floor_plan", [None, L_SHAPE, KITE])
def test_ray_tracing_gives_the_asked_rt60_and_leaves_the_direct_path(floor_plan: list[list[float]] | None) -> None:
    acoustics = Acoustics("pyroomacoustics", ray_tracing=True, floor_plan=floor_plan)
    source, mics = np.array([[2.7, 1.5, 1.6]]), np.array([[1.3, 1.2, 1.3], [1.35, 1.2, 1.3]])
    response = room_responses(Room(DIM, 0.22, acoustics), source, mics, RATE)
    assert response.rt60 == pytest.approx(0.22, rel=0.02)
    assert measure_rt60(response.full[0, 1], RATE) == pytest.approx(0.22, rel=0.15)
    ideal = room_responses(Room(DIM, 0.22), source, mics, RATE).direct
    assert error_db(response.direct, ideal, 50, 7000) < -50
    arrivals = LEAD + (np.linalg.norm(source - mics, axis=1) * RATE / SPEED_OF_SOUND).astype(int)
    for full, direct, arrival in zip(response.full[0], response.direct[0], arrivals, strict=True):
        assert np.abs(full[: arrival + 20] - direct[: arrival + 20]).max() < 0.1 * np.abs(direct).max()


def test_traced_tails_have_the_coherence_of_a_diffuse_field() -> None:
    """In the mean over sources, between microphones 2 and 10 cm apart."""
    room = Room(DIM, 0.4, Acoustics("pyroomacoustics", ray_tracing=True))
    mics = np.array([1.6, 1.4, 1.2]) + np.array([[0, 0, 0], [0.02, 0, 0], [0, 0.1, 0]])
    sources = np.random.default_rng(0).uniform([2.2, 0.5, 0.5], [3.5, 3.0, 2.1], (6, 3))
    responses = reference.image_responses(room, np.full((1, 6), 0.9), sources, mics, RATE, 6400)[..., 1600:]
    tails = responses * 10 ** (3 * np.arange(responses.shape[-1]) / RATE / 0.35)
    hertz, cross = csd(tails[:, :, None], tails[:, None], RATE, nperseg=256)
    power = np.real(np.einsum("smmf->smf", cross)).mean(axis=0)
    coherence = np.real(cross).mean(axis=0) / np.sqrt(power[:, None] * power)
    expected = np.moveaxis(spherical_coherence(mics, hertz), 0, -1)
    band = (hertz > 100) & (hertz < 7000)
    assert np.sqrt(np.mean((coherence - expected)[..., band] ** 2)) < 0.12


def test_bands_are_traced_too() -> None:
    acoustics = Acoustics("pyroomacoustics", ray_tracing=True, band_rt60=[[125, 1.5], [250, 1.5], [500, 1.5]])
    response = room_responses(Room(DIM, 0.2, acoustics), SOURCES[:1], MICS[:1], RATE)
    assert response.rt60 == pytest.approx(0.2, rel=0.02)
    spectrum, hertz = np.fft.rfft(response.full[0, 0]), np.fft.rfftfreq(response.full.shape[-1], 1 / RATE)
    times = []
    for low, high in ((88, 500), (2000, 7000)):
        band = np.fft.irfft(np.where((hertz > low) & (hertz < high), spectrum, 0), response.full.shape[-1])
        times.append(measure_rt60(band, RATE))
    assert times[0] / times[1] == pytest.approx(1.5, rel=0.15)
