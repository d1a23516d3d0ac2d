"""Bootstrap intervals: coverage, agreement with a plain loop and with theory, pairs, and missing values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import arrayse.statistics
from arrayse.statistics import Summary, bootstrap_interval, paired_difference, summarise


def draw(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def ends(summary: Summary) -> tuple[float, float, float]:
    assert summary.mean is not None
    assert summary.low is not None
    assert summary.high is not None
    return summary.mean, summary.low, summary.high


def test_interval_covers_the_true_mean_as_often_as_it_says() -> None:
    # 300 experiments: one standard deviation of the rate is 0.013 at 95 % and 0.023 at 80 %.
    samples = draw(1).normal(3.0, 2.0, size=(300, 60))
    for level, tolerance in ((0.95, 0.035), (0.8, 0.06)):
        intervals = [bootstrap_interval(row, draw(k), 500, level) for k, row in enumerate(samples)]
        assert np.mean([low <= 3.0 <= high for low, high in intervals]) == pytest.approx(level, abs=tolerance)


def test_interval_equals_the_normal_one_for_many_values() -> None:
    values = draw(2).normal(10.0, 4.0, size=2000)
    half = 1.96 * values.std() / np.sqrt(values.size)
    low, high = bootstrap_interval(values, draw(), 4000)
    assert low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_interval_follows_the_exact_distribution_of_two_values() -> None:
    # The mean of two draws from {0, 1} is 0, 1/2, 1 with probability 1/4, 1/2, 1/4.
    assert bootstrap_interval([0.0, 1.0], draw(), 2000, 0.4) == (0.5, 0.5)
    assert bootstrap_interval([0.0, 1.0], draw(), 2000, 0.6) == (0.0, 1.0)


def test_interval_equals_a_plain_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    values = draw(3).standard_normal(37)
    rng = draw(4)
    means = [np.mean([values[rng.integers(37)] for _ in range(37)]) for _ in range(200)]
    expected = np.quantile(means, [0.05, 0.95])
    assert bootstrap_interval(values, draw(4), 200, 0.9) == pytest.approx(expected, abs=1e-12)
    monkeypatch.setattr(arrayse.statistics, "BLOCK_SIZE", 37 * 7)  # 28 blocks of 7 rows and one of 4
    assert bootstrap_interval(values, draw(4), 200, 0.9) == pytest.approx(expected, abs=1e-12)
    monkeypatch.setattr(arrayse.statistics, "BLOCK_SIZE", 1)  # less than one row
    assert bootstrap_interval(values, draw(4), 200, 0.9) == pytest.approx(expected, abs=1e-12)


def test_the_generator_alone_decides() -> None:
    values = draw(5).standard_normal(50)
    assert bootstrap_interval(values, draw(6)) == bootstrap_interval(values, draw(6))
    assert bootstrap_interval(values, draw(6)) != bootstrap_interval(values, draw(7))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=30), st.floats(0.5, 0.99))
def test_interval_lies_within_the_values_and_moves_with_them(values: list[float], level: float) -> None:
    low, high = bootstrap_interval(values, draw(), 200, level)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    moved = bootstrap_interval([3 * value + 1 for value in values], draw(), 200, level)
    assert moved == pytest.approx((3 * low + 1, 3 * high + 1), abs=1e-9)


def test_higher_level_and_fewer_values_widen_the_interval() -> None:
    values = draw(8).standard_normal(400)

    def width(count: int, level: float) -> float:
        low, high = bootstrap_interval(values[:count], draw(), 2000, level)
        return high - low

    assert width(400, 0.8) < width(400, 0.95) < width(400, 0.99)
    assert 3 < width(25, 0.95) / width(400, 0.95) < 5  # 4 in theory


def test_one_value_is_its_own_interval() -> None:
    assert bootstrap_interval([2.5], draw()) == (2.5, 2.5)
    assert summarise([None, 2.5], draw()) == Summary(2.5, 2.5, 2.5, 1, 1)


@pytest.mark.parametrize("values", [[], [1.0, np.nan], [np.inf], [[1.0, 2.0]]])
def test_interval_refuses_missing_values(values: list[float]) -> None:
    with pytest.raises(ValueError, match="values: expected"):
        bootstrap_interval(values, draw())


@pytest.mark.parametrize(("n_resamples", "level"), [(0, 0.95), (9, 0.0), (9, 1.0), (9, 95.0), (9, np.nan)])
def test_interval_refuses_impossible_settings(n_resamples: int, level: float) -> None:
    with pytest.raises(ValueError, match="bootstrap: expected"):
        bootstrap_interval([1.0, 2.0], draw(), n_resamples, level)


def test_summary_counts_what_it_leaves_out() -> None:
    summary = summarise([1.0, None, 2.0, float("nan"), 6.0, float("inf")], draw())
    assert (summary.mean, summary.n, summary.n_failed) == (3.0, 3, 3)
    assert (summary.low, summary.high) == bootstrap_interval([1.0, 2.0, 6.0], draw())


def test_settings_reach_the_interval() -> None:
    values = draw(11).standard_normal(30)
    expected = bootstrap_interval(values, draw(), 100, 0.5)
    for summary in (
        summarise(values, draw(), 100, 0.5),
        paired_difference(values, np.zeros(30), draw(), 100, 0.5),
    ):
        assert (summary.low, summary.high) == expected


@pytest.mark.parametrize("values", [[], [None, None], [float("nan")]])
def test_nothing_left_has_no_mean(values: list[float | None]) -> None:
    assert summarise(values, draw()) == Summary(None, None, None, 0, len(values))
    assert paired_difference(values, values, draw()) == Summary(None, None, None, 0, len(values))


def test_pairs_cancel_what_the_systems_share() -> None:
    rng = draw(9)
    difficulty = rng.normal(0, 5, size=100)
    a, b = (difficulty + offset + rng.normal(0, 0.5, size=100) for offset in (1.0, 0.0))
    paired, first, second = (
        ends(item) for item in (paired_difference(a, b, draw()), summarise(a, draw()), summarise(b, draw()))
    )
    assert paired[0] == pytest.approx(a.mean() - b.mean())
    assert 0.5 < paired[1] < 1.0 < paired[2] < 1.5  # clear of zero, where the separate intervals overlap
    assert first[1] < second[2]
    assert paired[2] - paired[1] < 0.2 * (first[2] - first[1])


def test_pairs_with_a_missing_side_are_dropped_and_counted() -> None:
    a = [1.0, None, 3.0, 4.0, np.inf, 9.0]
    b = [0.5, 7.0, np.nan, 3.0, np.inf, None]
    summary = paired_difference(a, b, draw())
    assert (summary.mean, summary.n, summary.n_failed) == (0.75, 2, 4)
    assert (summary.low, summary.high) == bootstrap_interval([0.5, 1.0], draw())


def test_difference_changes_sign_with_the_order() -> None:
    a, b = draw(10).standard_normal((2, 40))
    there, back = ends(paired_difference(a, b, draw())), ends(paired_difference(b, a, draw()))
    assert there == pytest.approx((-back[0], -back[2], -back[1]), abs=1e-12)


def test_pairs_need_equal_lengths() -> None:
    with pytest.raises(ValueError, match="b: expected 2 items like a, got 1"):
        paired_difference([1.0, 2.0], [1.0], draw())
