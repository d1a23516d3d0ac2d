"""Weights of octave bands: a partition of one."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simulate.bands import band_weights


@given(st.lists(st.integers(20, 20000), min_size=1, max_size=10, unique=True).map(sorted), st.floats(0, 3e4))
def test_the_weights_of_the_bands_sum_to_one(centres: list[int], frequency: float) -> None:
    weights = band_weights(np.array([frequency, *centres]), np.array(centres))
    np.testing.assert_allclose(weights.sum(axis=0), 1, rtol=1e-12)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights[:, 1:], np.eye(len(centres)), atol=1e-9)  # each centre is of its own band


def test_between_two_centres_the_weight_goes_over_as_cosine_squared() -> None:
    centres = np.array([500.0, 1000.0])
    between = 500 * 2 ** np.array([-1, 0, 1 / 3, 1 / 2, 1, 2])
    np.testing.assert_allclose(band_weights(between, centres)[0], [1, 1, 0.75, 0.5, 0, 0], atol=1e-12)
