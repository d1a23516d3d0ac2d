"""Blocks against the sum written out; levels; images that are silent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrayse.mixture import mean_power
from simulate.convolution import convolve, mix_images

LEAD = 40


def slow(dry: np.ndarray, responses: np.ndarray, lead: int) -> np.ndarray:
    """Every output sample as its sum over the taps, in float64: (n_sources, n_mics, n_samples)."""
    n_sources, n_mics, n_taps = responses.shape
    images = np.zeros((n_sources, n_mics, dry.shape[1]))
    for source, signal in enumerate(dry.astype(np.float64)):
        for n in range(len(signal)):
            taps = [k for k in range(n_taps) if 0 <= n + lead - k < len(signal)]
            images[source, :, n] = responses[source][:, taps] @ signal[[n + lead - k for k in taps]]
    return images


def draw(seed: int, n_sources: int, n_mics: int, n_samples: int, n_taps: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise and decaying responses in float32."""
    rng = np.random.default_rng(seed)
    decay = np.exp(-3 * np.arange(n_taps) / n_taps)
    responses = rng.standard_normal((n_sources, n_mics, n_taps)) * decay
    return rng.standard_normal((n_sources, n_samples)).astype(np.float32), responses.astype(np.float32)


def assert_equal_to_rounding(image: np.ndarray, expected: np.ndarray, scale: float) -> None:
    assert image.shape == expected.shape
    assert np.abs(image - expected).max() <= 1e-6 * scale


# --- convolution --------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 3), st.integers(1, 120), st.data())
def test_every_sample_is_the_sum_over_the_taps(
    seed: int, n_sources: int, n_mics: int, n_samples: int, data: Any
) -> None:
    n_taps = data.draw(st.integers(1, 150), "n_taps")
    lead = data.draw(st.integers(0, min(LEAD, n_taps - 1)), "lead")
    dry, responses = draw(seed, n_sources, n_mics, n_samples, n_taps)
    images = convolve(dry, responses, lead)
    scale = np.sqrt(np.square(dry).sum(axis=1).max() * np.square(responses).sum(axis=2).max())
    assert images.dtype == np.float32
    assert_equal_to_rounding(images, slow(dry, responses, lead), scale)


@pytest.mark.parametrize(("n_samples", "n_taps"), [(16000, 3000), (16000, 15000), (20000, 30), (16384, 4096)])
def test_the_error_is_below_a_millionth(n_samples: int, n_taps: int) -> None:
    """Real lengths, also many blocks and powers of two, against numpy's direct sum in float64."""
    dry, responses = draw(0, 1, 2, n_samples, n_taps)
    start = min(LEAD, n_taps - 1)
    images = convolve(dry, responses, start)[0]
    for image, response in zip(images, responses[0].astype(np.float64), strict=True):
        expected = np.convolve(dry[0].astype(np.float64), response)[start : start + n_samples]
        expected = np.pad(expected, (0, n_samples - len(expected)))
        assert np.sqrt(mean_power(image - expected) / mean_power(expected)) < 1e-6
        assert_equal_to_rounding(image, expected, np.abs(expected).max())


def test_a_click_at_the_lead_changes_nothing() -> None:
    dry, _ = draw(1, 2, 1, 500, 1)
    responses = np.zeros((2, 3, 100), np.float32)
    responses[..., LEAD] = 1
    images = convolve(dry, responses, LEAD)
    assert_equal_to_rounding(images, np.repeat(dry[:, None], 3, axis=1), 3.0)


def test_the_lead_only_moves_the_response() -> None:
    dry, responses = draw(2, 2, 2, 700, 200)
    moved = np.pad(responses, ((0, 0), (0, 0), (LEAD, 0)))
    assert_equal_to_rounding(convolve(dry, moved, LEAD), convolve(dry, responses), 30.0)
    early = convolve(dry, responses, LEAD)[..., :-LEAD]
    assert_equal_to_rounding(early, convolve(dry, responses)[..., LEAD:], 30.0)


def test_convolution_is_linear() -> None:
    first, responses = draw(3, 2, 2, 900, 250)
    second, others = draw(4, 2, 2, 900, 250)
    summed = 2 * convolve(first, responses, LEAD) - convolve(second, responses, LEAD)
    assert_equal_to_rounding(convolve(2 * first - second, responses, LEAD), summed, 100.0)
    summed = 2 * convolve(first, responses, LEAD) - convolve(first, others, LEAD)
    assert_equal_to_rounding(convolve(first, 2 * responses - others, LEAD), summed, 100.0)


def test_two_responses_of_one_signal_stand_beside_each_other() -> None:
    dry, responses = draw(5, 1, 10, 3000, 400)
    both = convolve(dry, responses, LEAD)[0]
    for part in (slice(0, 5), slice(5, 10)):
        assert_equal_to_rounding(both[part], convolve(dry, responses[:, part], LEAD)[0], 30.0)


def test_the_future_cannot_change_the_past() -> None:
    """In exact arithmetic; a block's rounding knows of all its samples."""
    dry, responses = draw(6, 1, 1, 4000, 300)
    changed = dry.copy()
    changed[:, 2000:] = 0
    past = convolve(changed, responses)[..., :2000]
    assert_equal_to_rounding(past, convolve(dry, responses)[..., :2000], 30.0)


# --- mixing at levels ---------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 4), st.integers(60, 160), st.integers(1, 60))
def test_the_mixture_is_the_weighted_sum_of_the_images(
    seed: int, n_sources: int, n_mics: int, n_samples: int, n_taps: int
) -> None:
    dry, responses = draw(seed, n_sources, n_mics, n_samples, n_taps)
    rng = np.random.default_rng(seed)
    levels_db, ref, lead = rng.uniform(-20, 20, n_sources), int(rng.integers(n_mics)), int(rng.integers(n_taps))
    images = slow(dry, responses, lead)
    expected_gains = [10 ** (db / 20) / np.sqrt(np.mean(i[ref] ** 2)) for db, i in zip(levels_db, images, strict=True)]
    mix, gains = mix_images(dry, responses, ref, list(levels_db), lead)
    np.testing.assert_allclose(gains, expected_gains, rtol=2e-5)
    expected = np.einsum("s,smn->mn", expected_gains, images)
    assert mix.dtype == np.float32
    assert_equal_to_rounding(mix, expected, 20 * np.abs(expected).max())


@pytest.mark.parametrize("level_db", [-37.0, 0.0, 12.5])
def test_a_source_alone_has_its_level_at_the_reference(level_db: float) -> None:
    dry, responses = draw(7, 1, 3, 16000, 3000)
    mix, _ = mix_images(1e-4 * dry, responses, 2, [level_db], LEAD)
    assert 10 * np.log10(mean_power(mix[2])) == pytest.approx(level_db, abs=1e-5)


def test_a_mixture_is_the_sum_of_mixtures() -> None:
    dry, responses = draw(8, 6, 5, 6000, 900)
    levels_db = [0.0, 3.0, -5.0, 1.0, -2.0, 4.0]
    mix, gains = mix_images(dry, responses, 1, levels_db, LEAD)
    alone = [mix_images(dry[[k]], responses[[k]], 1, [levels_db[k]], LEAD) for k in range(6)]
    np.testing.assert_allclose(gains, [part[1][0] for part in alone], rtol=1e-6)
    assert_equal_to_rounding(mix, np.sum([part[0] for part in alone], axis=0), 10.0)


def test_the_loudness_of_the_recording_does_not_matter() -> None:
    dry, responses = draw(9, 2, 2, 2000, 300)
    mix, gains = mix_images(dry, responses, 0, [0.0, -6.0], LEAD)
    quiet, more = mix_images(np.float32(2**-20) * dry, responses, 0, [0.0, -6.0], LEAD)
    assert np.array_equal(mix, quiet)
    np.testing.assert_array_equal(more, 2**20 * gains)


def test_no_sources_make_no_sound() -> None:
    mix, gains = mix_images(np.zeros((0, 50)), np.zeros((0, 3, 20)), 0, [])
    assert mix.shape == (3, 50)
    assert not mix.any()
    assert gains.shape == (0,)


# --- repeatable ---------------------------------------------------------------------------------------------


def test_the_same_input_gives_the_same_bytes_and_stays() -> None:
    dry, responses = draw(10, 3, 2, 5000, 700)
    before = dry.tobytes(), responses.tobytes()
    images = [convolve(dry, responses, LEAD).tobytes() for _ in range(2)]
    mixes = [mix_images(dry, responses, 0, [0.0, 1.0, 2.0], LEAD)[0].tobytes() for _ in range(2)]
    doubles = convolve(dry.astype(np.float64), responses.astype(np.float64), LEAD).tobytes()
    assert images[0] == images[1] == doubles
    assert mixes[0] == mixes[1]
    assert (dry.tobytes(), responses.tobytes()) == before


# --- what cannot be done ------------------------------------------------------------------------------------


def test_a_silent_image_is_named() -> None:
    dry, responses = draw(11, 6, 2, 1000, 300)
    for number in (0, 4):
        no_sound, no_way, late, broken = dry.copy(), responses.copy(), dry.copy(), dry.copy()
        no_sound[number] = 0
        no_way[number, 1] = 0
        broken[number, 500] = np.nan
        for signals, ways in ((no_sound, responses), (dry, no_way), (broken, responses)):
            with pytest.raises(ValueError, match=rf"source {number}: expected sound at the reference"):
                mix_images(signals, ways, 1, [0.0] * 6)
        # the last 50 samples need 100 more to arrive: what the transforms leave of them is rounding
        late[number, :-50] = 0
        far = responses.copy()
        far[number, :, :100] = 0
        assert convolve(late, far)[number].any()
        with pytest.raises(ValueError, match=rf"source {number}: expected sound at the reference"):
            mix_images(late, far, 1, [0.0] * 6)


def test_shapes_that_do_not_belong_together() -> None:
    dry, responses = draw(12, 2, 3, 100, 50)
    with pytest.raises(ValueError, match=r"dry: expected shape \(n_sources, n_samples\), got \(100,\)"):
        convolve(dry[0], responses)
    with pytest.raises(ValueError, match=r"dry: expected shape .*, got \(2, 0\)"):
        convolve(dry[:, :0], responses)
    for wrong in (responses[:1], responses[0]):
        with pytest.raises(ValueError, match=r"responses: expected shape \(2, n_mics, n_taps\), got"):
            convolve(dry, wrong)
    for lead in (-1, 50):
        with pytest.raises(ValueError, match=f"lead: expected an index into 50 taps, got {lead}"):
            mix_images(dry, responses, 0, [0.0, 0.0], lead)
    for ref_mic in (-1, 3):
        with pytest.raises(ValueError, match=f"ref_mic: expected 0 to 2, got {ref_mic}"):
            mix_images(dry, responses, ref_mic, [0.0, 0.0])
    for levels_db in ([0.0], [0.0, np.inf]):
        with pytest.raises(ValueError, match=r"levels_db: expected 2 finite numbers of dB, got \[0\.0"):
            mix_images(dry, responses, 0, levels_db)
