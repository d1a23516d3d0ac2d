"""Thinned tails: the energies of the images, their decay and directions, and what is the same for all microphones."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.signal

from arrayse.geometry import SPEED_OF_SOUND
from simulate.ism import LEAD, image_responses
from tests.test_ism import BANDS, RATE, ROOM, SOURCE, difference_db, mirrored_rooms, spectrum

HARD = np.array([0.97, 0.93, 0.95, 0.96, 0.75, 0.7])
"""Walls that reverberate; little comes from above and below."""

STAR = np.array([1.9, 1.6, 1.2]) + 0.02 * np.concatenate([np.eye(3), -np.eye(3)])
"""Six places around a centre."""

AROUND = np.array([1.9, 1.6, 1.2]) + np.random.default_rng(5).uniform(-1, 1, (3, 3))
STRETCHES = np.linspace(2400, 4800, 5)
"""In samples; from about 1700 on there are more than 10 images a sample, at the end 75."""

BAND = scipy.signal.butter(4, [500, 1500], "bandpass", fs=RATE, output="sos")


def heard_energy(responses: np.ndarray) -> np.ndarray:
    """Energy in each stretch at one place and from six sides, (7, 4).

    What comes from a side is the difference of two places, one of them delayed: a cardioid.
    """
    spectra = np.fft.rfft(scipy.signal.sosfilt(BAND, responses.astype(np.float64)), 1 << 13)
    late = np.exp(-2j * np.pi * 0.04 / SPEED_OF_SOUND * np.fft.rfftfreq(1 << 13, 1 / RATE))
    beams = [spectra[..., 0, :]] + [spectra[..., k, :] - late * spectra[..., (k + 3) % 6, :] for k in range(6)]
    waves_of_beams = np.fft.irfft(np.array(beams))
    edges = STRETCHES.astype(int) + LEAD
    parts = [waves_of_beams[..., start:stop] for start, stop in itertools.pairwise(edges)]
    return np.stack([np.sum(part**2, axis=(1, 2)) for part in parts], axis=-1)


def added_energy(source: np.ndarray) -> np.ndarray:
    """The same if the energies of the images add up, not their waves: what many rooms have on average."""
    centre = STAR.mean(axis=0)
    places, products = mirrored_rooms(HARD[None], source, centre, STRETCHES[-1] * SPEED_OF_SOUND / RATE)
    distance = np.linalg.norm(places[:, None] - STAR, axis=-1)
    size = products[0][:, None] / distance
    ahead = distance[:, [3, 4, 5, 0, 1, 2]] + 0.04 - distance
    energy = np.zeros((len(places), 7))
    for hertz in np.arange(200, 2400, 200):
        gain = np.abs(scipy.signal.sosfreqz(BAND, worN=[hertz], fs=RATE)[1]) ** 2 * 200 / (RATE / 2)
        late = np.exp(-2j * np.pi * hertz / SPEED_OF_SOUND * ahead)
        energy[:, 0] += gain * size[:, 0] ** 2
        energy[:, 1:] += gain * np.abs(size - late * size[:, [3, 4, 5, 0, 1, 2]]) ** 2
    arrival = np.linalg.norm(places - centre, axis=-1) * RATE / SPEED_OF_SOUND
    return np.stack([np.histogram(arrival, STRETCHES, weights=column)[0] for column in energy.T])


def test_a_thinned_tail_keeps_the_decay_and_the_directions_of_the_energy() -> None:
    expected = sum(added_energy(source) for source in AROUND)
    n_draws = 16  # every source has its own
    responses = image_responses(ROOM, HARD, np.tile(AROUND, (n_draws, 1)), STAR, RATE, 5000, max_density=10)
    thinned = heard_energy(responses) / n_draws
    assert expected[0, 0] > 3 * expected[0, -1]
    assert expected[[1, 2, 4, 5], -1].min() > 1.2 * expected[[3, 6], -1].max()  # the sides; above and below
    ratio = 10 * np.log10(thinned / expected)
    assert np.abs(ratio).max() < 0.8
    assert np.abs(ratio.mean(axis=0)).max() < 0.4
    assert np.abs(ratio.mean(axis=1)).max() < 0.4


def thinned_from(max_density: float) -> float:
    """Distance in metres within which the images of the room stay below a density in images per sample."""
    return float(np.sqrt(max_density * np.prod(ROOM) * RATE / (4 * np.pi * SPEED_OF_SOUND)))


def test_thinning_leaves_the_early_part_alone_and_is_repeatable() -> None:
    first, again = (image_responses(ROOM, HARD, AROUND[[0, 0, 1]], STAR, RATE, 4000, max_density=10) for _ in range(2))
    assert first.tobytes() == again.tobytes()
    whole = image_responses(ROOM, HARD, AROUND[[0, 0, 1]], STAR, RATE, 4000)
    dense = int(thinned_from(10) * RATE / SPEED_OF_SOUND)
    early, late = slice(0, dense - 10), slice(LEAD + dense + 200, None)  # 10: the array is not a point
    assert difference_db(first[..., early], whole[..., early]) < -100
    assert difference_db(first[0, :, late], first[1, :, late]) > -12  # each source has its own draw
    everything = image_responses(ROOM, HARD, AROUND[[0, 0, 1]], STAR, RATE, 4000, max_density=1e6)
    assert difference_db(everything, whole) < -90


@pytest.mark.parametrize("axis", range(3))
def test_all_microphones_hear_the_same_images_thinned(axis: int) -> None:
    """Between two walls alone: from what is kept at the first place follows what arrives at the others, and when."""
    walls, n_taps = np.zeros(6), 1500
    walls[2 * axis : 2 * axis + 2] = 0.98, -0.97
    mics = STAR + [0.03, 0.05, -0.04] * np.arange(6)[:, None]
    source = np.array([2.65, 2.05, 1.45])  # no two images come at the same time
    responses = image_responses(ROOM, walls, np.tile(source, (4, 1)), mics, RATE, n_taps, max_density=1.0)
    places, products = mirrored_rooms(walls[None], source, mics.mean(axis=0), n_taps * SPEED_OF_SOUND / RATE - 1)
    there = np.flatnonzero(products[0])
    distance, products = np.linalg.norm(places[there, None] - mics, axis=-1), products[0, there]
    rarity = np.linalg.norm(places[there] - mics.mean(axis=0), axis=-1) / thinned_from(1.0)

    def each(mic: int) -> np.ndarray:
        return products / distance[:, mic] * np.exp(-2j * np.pi * hertz[:, None] * distance[:, mic] / SPEED_OF_SOUND)

    shares = []
    for response in responses:
        hertz, measured = spectrum(response[:, : n_taps - 100])
        gains = np.linalg.lstsq(each(0), measured[0], rcond=None)[0].real
        kept = gains > 0.5
        assert kept[rarity < 1].all()
        shares.append(kept[rarity > 1.5].mean())
        np.testing.assert_allclose(gains, np.where(kept, np.maximum(1, rarity), 0), atol=0.05)
        for mic in range(1, 6):
            assert difference_db(each(mic) @ gains, measured[mic]) < -35
    assert len(set(shares)) > 1
    assert 0.1 < np.mean(shares) < 0.6


def test_thinning_with_bands() -> None:
    walls, args = np.tile(HARD, (6, 1)), (SOURCE[None], STAR, RATE, 4000)
    one = image_responses(ROOM, HARD, *args, max_density=8.0)
    bands = image_responses(ROOM, walls, *args, max_density=8.0, bands=BANDS)
    assert difference_db(bands, one) < -100
