"""Numbers of bytes in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrayse.sizes import bytes_in_words


@pytest.mark.parametrize(
    ("n_bytes", "told"),
    [
        (0, "0 kB"),
        (512, "0.512 kB"),
        (3_840, "3.84 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (3_840_000, "3.84 MB"),
        (999_600_000, "1 GB"),
        (12_345_678_901, "12.3 GB"),
    ],
)
def test_sizes_have_three_figures_and_a_unit(n_bytes: int, told: str) -> None:
    assert bytes_in_words(n_bytes) == told


@given(st.integers(0, 999_000_000_000))
def test_no_size_needs_an_exponent_or_is_wrong_by_more_than_rounding(n_bytes: int) -> None:
    number, unit = bytes_in_words(n_bytes).split()
    if n_bytes >= 1:
        assert float(number) * {"kB": 1e3, "MB": 1e6, "GB": 1e9}[unit] == pytest.approx(n_bytes, rel=5.1e-3)
    assert "e+" not in number
