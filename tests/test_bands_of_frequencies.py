"""Splits of a spectrum into bands: cover, widths, the Bark scale against its formula, bands without bins."""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrayse.frontend.bands import Split, band_edges, bark


def slow_bark_bands(n_freqs: int, n_bands: int, sample_rate: int) -> list[int]:
    """The band of every bin, one by one."""
    nyquist = sample_rate / 2

    def scale(frequency: float) -> float:
        return 26.81 / (1 + 1960 / frequency) - 0.53 if frequency else -0.53

    width = (scale(nyquist) + 0.53) / n_bands
    places = [(scale(number * nyquist / (n_freqs - 1)) + 0.53) / width for number in range(n_freqs)]
    return [min(int(place), n_bands - 1) for place in places]


@given(st.integers(1, 300), st.integers(1, 300))
def test_uniform_bands_cover_all_bins_and_differ_by_one_at_most(n_freqs: int, n_bands: int) -> None:
    if n_bands > n_freqs:
        with pytest.raises(ValueError, match=f"expected at most {n_freqs} uniform bands of {n_freqs} frequencies"):
            band_edges(n_freqs, n_bands, "uniform", 16000)
        return
    edges = band_edges(n_freqs, n_bands, "uniform", 16000)
    widths = np.diff(edges)
    assert (edges[0], edges[-1], len(edges)) == (0, n_freqs, n_bands + 1)
    assert widths.min() >= 1
    assert widths.max() - widths.min() <= 1


@pytest.mark.parametrize("n_bands", [1, 3, 4, 11, 20])
@pytest.mark.parametrize(("n_freqs", "sample_rate"), [(257, 16000), (201, 8000), (513, 48000)])
def test_bark_bands_are_those_of_the_formula(n_freqs: int, sample_rate: int, n_bands: int) -> None:
    edges = band_edges(n_freqs, n_bands, "bark", sample_rate)
    got = [band for band, (first, end) in enumerate(pairwise(edges)) for _ in range(first, end)]
    assert got == slow_bark_bands(n_freqs, n_bands, sample_rate)


def test_the_bark_scale_at_known_points() -> None:
    got = bark(np.array([0.0, 100.0, 1000.0, 4000.0]))
    np.testing.assert_allclose(got, [-0.53, 0.771, 8.527, 17.463], atol=1e-3)


def test_bark_bands_widen_towards_high_frequencies_and_uniform_ones_do_not() -> None:
    edges = band_edges(257, 4, "bark", 16000)  # limits by hand: 492.5, 1315.4 and 2969 Hz, of bins every 31.25 Hz
    assert np.diff(edges).tolist() == [16, 27, 53, 161]
    assert np.diff(band_edges(257, 4, "uniform", 16000)).tolist() == [64, 64, 64, 65]


@pytest.mark.parametrize("split", get_args(Split))
@pytest.mark.parametrize("n_freqs", [2, 9, 33])
def test_an_empty_band_is_named_with_the_number_that_is_possible(split: Split, n_freqs: int) -> None:
    def possible(n_bands: int) -> bool:
        try:
            band_edges(n_freqs, n_bands, split, 16000)
        except ValueError:
            return False
        return True

    most = max(n_bands for n_bands in range(1, 40) if possible(n_bands))
    with pytest.raises(ValueError, match=rf"n_bands: expected at most {most} {split} bands .* got 40, of which band "):
        band_edges(n_freqs, 40, split, 16000)


def test_the_band_that_is_named_has_no_bin() -> None:
    with pytest.raises(ValueError, match="of 5 frequencies, got 5, of which band 1 would be empty"):
        band_edges(5, 5, "bark", 16000)
    assert slow_bark_bands(5, 5, 16000) == [0, 3, 4, 4, 4]


def test_unknown_splits_and_no_bands_are_refused() -> None:
    with pytest.raises(ValueError, match="split: expected one of uniform, bark, got mel"):
        band_edges(257, 4, "mel", 16000)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="n_bands: expected at least 1, got 0"):
        band_edges(257, 0, "uniform", 16000)
