"""Bootstrap intervals: coverage, agreement with a plain loop and with theory, pairs, seeds, and missing values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrayse.statistics import (
    Summary,
    bootstrap,
    bootstrap_interval,
    crossed_share,
    paired_difference,
    summarise,
    summarise_crossed,
)


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
    monkeypatch.setattr(bootstrap, "BLOCK_SIZE", 37 * 7)  # 28 blocks of 7 rows and one of 4
    assert bootstrap_interval(values, draw(4), 200, 0.9) == pytest.approx(expected, abs=1e-12)
    monkeypatch.setattr(bootstrap, "BLOCK_SIZE", 1)  # less than one row
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
    assert summarise([None, 2.5], draw()) == Summary(2.5, 2.5, 2.5, 2.5, 1, 1)


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
    assert (summary.mean, summary.median, summary.n, summary.n_failed) == (3.0, 2.0, 3, 3)
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
    assert summarise(values, draw()) == Summary(None, None, None, None, 0, len(values))
    assert paired_difference(values, values, draw()) == Summary(None, None, None, None, 0, len(values))


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
    assert (summary.mean, summary.median, summary.n, summary.n_failed) == (0.75, 0.75, 2, 4)
    assert (summary.low, summary.high) == bootstrap_interval([0.5, 1.0], draw())


def test_difference_changes_sign_with_the_order() -> None:
    a, b = draw(10).standard_normal((2, 40))
    there, back = ends(paired_difference(a, b, draw())), ends(paired_difference(b, a, draw()))
    assert there == pytest.approx((-back[0], -back[2], -back[1]), abs=1e-12)


def test_pairs_need_equal_lengths() -> None:
    with pytest.raises(ValueError, match="b: expected 2 items like a, got 1"):
        paired_difference([1.0, 2.0], [1.0], draw())


def crossed(seed: int, n_seeds: int, n_items: int, seed_std: float, item_std: float, rest_std: float) -> np.ndarray:
    """Gaussian scores (n_seeds, n_items) around 0: an effect of the seed, one of the item, and the rest."""
    rng = draw(seed)
    by_seed, by_item = rng.normal(0, seed_std, (n_seeds, 1)), rng.normal(0, item_std, n_items)
    return by_seed + by_item + rng.normal(0, rest_std, (n_seeds, n_items))


def crossed_by_loops(values: np.ndarray, rng: np.random.Generator, n_resamples: int) -> list[float]:
    n_seeds, n_items = values.shape
    seeds = [[rng.integers(n_seeds) for _ in range(n_seeds)] for _ in range(n_resamples)]
    means = []
    for drawn_seeds in seeds:
        drawn_items = [rng.integers(n_items) for _ in range(n_items)]
        means.append(float(np.mean([values[i, j] for i in drawn_seeds for j in drawn_items])))
    return means


def test_crossed_interval_equals_a_plain_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    values = crossed(20, 3, 13, 0.5, 1.0, 0.3)
    expected = np.quantile(crossed_by_loops(values, draw(21), 150), [0.05, 0.95])
    for block_size in (1 << 20, 39 * 7, 1):  # 21 blocks of 7 resamples and one of 3; less than one resample
        monkeypatch.setattr(bootstrap, "BLOCK_SIZE", block_size)
        mean, low, high = ends(summarise_crossed(values, draw(21), 150, 0.9))
        assert mean == pytest.approx(values.mean(), abs=1e-12)
        assert (low, high) == pytest.approx(expected, abs=1e-12)


def test_one_seed_has_the_interval_of_its_items() -> None:
    values = draw(22).standard_normal(41)
    assert ends(summarise_crossed(values[None], draw(), 300, 0.9)) == pytest.approx(
        ends(summarise(values, draw(), 300, 0.9)), abs=1e-12
    )


def test_many_equal_seeds_change_nothing_but_the_draws() -> None:
    values = draw(23).standard_normal(200)
    alone, many = ends(summarise(values, draw(), 8000)), ends(summarise_crossed(np.stack([values] * 4), draw(), 8000))
    assert many == pytest.approx(alone, abs=0.01)  # a tenth of the half width


@pytest.mark.parametrize(
    ("n_seeds", "n_items", "stds"),
    [(3, 50, (0.3, 1, 0.5)), (6, 40, (1, 0.2, 1)), (40, 4, (0, 1, 3)), (5, 1, (1, 1, 0))],
)
def test_crossed_resamples_have_the_variance_of_the_closed_form(
    n_seeds: int, n_items: int, stds: tuple[float, float, float]
) -> None:
    values = crossed(24, n_seeds, n_items, *stds)
    by_seed, by_item = values.mean(axis=1) - values.mean(), values.mean(axis=0) - values.mean()
    rest = values - values.mean() - by_seed[:, None] - by_item
    variance = by_seed.var() / n_seeds + by_item.var() / n_items + rest.var() / (n_seeds * n_items)
    means = bootstrap._crossed_means(values[None], draw(25), 20_000)[0]
    assert means.mean() == pytest.approx(values.mean(), abs=4 * np.sqrt(variance / 20_000))
    assert means.var() == pytest.approx(variance, rel=0.06)  # its own standard error is some 0.01


def test_variance_over_experiments_is_the_one_that_theory_expects() -> None:
    n_seeds, n_items, (seed_std, item_std, rest_std) = 4, 12, (1.0, 2.0, 1.5)
    tables = [crossed(100 + k, n_seeds, n_items, seed_std, item_std, rest_std) for k in range(400)]
    found = np.mean([bootstrap._crossed_means(table[None], draw(26), 300)[0].var() for table in tables])
    s, i = (n_seeds - 1) / n_seeds, (n_items - 1) / n_items
    expected = s * seed_std**2 / n_seeds + i * item_std**2 / n_items
    expected += (s + i + s * i) * rest_std**2 / (n_seeds * n_items)  # up to three times its due
    assert found == pytest.approx(expected, rel=0.08)


@pytest.mark.parametrize(("n_seeds", "coverage"), [(2, 0.5), (3, 0.75), (5, 0.83), (10, 0.9)])
def test_intervals_of_few_seeds_cover_as_little_as_is_said(n_seeds: int, coverage: float) -> None:
    # 400 experiments: one standard deviation of the rate is 0.025 at most.
    tables = [crossed(1000 + k, n_seeds, 2, 1.0, 0.0, 0.0) for k in range(400)]
    intervals = [ends(summarise_crossed(table, draw(k), 400)) for k, table in enumerate(tables)]
    assert np.mean([low <= 0 <= high for _, low, high in intervals]) == pytest.approx(coverage, abs=0.07)


@pytest.mark.parametrize("n_seeds", [2, 3])
def test_two_or_three_seeds_reach_from_the_lowest_to_the_highest(n_seeds: int) -> None:
    table = crossed(31, n_seeds, 2, 1.0, 0.0, 0.0)
    _, low, high = ends(summarise_crossed(table, draw(), 8000))
    assert (low, high) == pytest.approx((table.min(), table.max()))


def test_an_item_counts_where_every_seed_has_a_value() -> None:
    values: list[list[float | None]] = [[1.0, None, 2.0, 6.0, np.inf], [2.0, 5.0, 4.0, np.nan, 1.0]]
    summary = summarise_crossed(values, draw())
    assert (summary.mean, summary.median, summary.n, summary.n_failed) == (2.25, 2.0, 2, 3)  # median of 1 2 2 4
    assert (summary.low, summary.high) == ends(summarise_crossed([[1.0, 2.0], [2.0, 4.0]], draw()))[1:]
    share = crossed_share(values, np.ones((2, 5)), draw())
    assert share.median is None
    assert (share.mean, share.low, share.high, share.n, share.n_failed) == pytest.approx(
        (2.25, summary.low, summary.high, 2, 3)
    )


@pytest.mark.parametrize("values", [np.empty((2, 0)), [[None, 1.0], [2.0, None]]])
def test_no_item_in_common_has_no_mean(values: np.ndarray) -> None:
    n_items = len(values[0])
    assert summarise_crossed(values, draw()) == Summary(None, None, None, None, 0, n_items)
    assert crossed_share(values, np.ones((2, n_items)), draw()) == Summary(None, None, None, None, 0, n_items)


def test_one_seed_of_one_item_is_its_own_interval() -> None:
    assert summarise_crossed([[2.5, None]], draw()) == Summary(2.5, 2.5, 2.5, 2.5, 1, 1)


def test_share_of_a_multiple_has_no_spread_and_a_share_equals_a_plain_loop() -> None:
    whole = 2 + crossed(27, 3, 30, 0.2, 0.5, 0.1)
    assert ends(crossed_share(0.8 * whole, whole, draw())) == pytest.approx((0.8, 0.8, 0.8))
    part = 0.7 * whole + crossed(28, 3, 30, 0.1, 0.2, 0.1)
    parts, wholes = (np.array(crossed_by_loops(values, draw(29), 100)) for values in (part, whole))
    mean, low, high = ends(crossed_share(part, whole, draw(29), 100, 0.9))
    assert mean == pytest.approx(part.mean() / whole.mean())
    assert (low, high) == pytest.approx(np.quantile(parts / wholes, [0.05, 0.95]))


@pytest.mark.parametrize("offset", [0.0, 0.1, -5.0])
def test_there_is_no_share_of_a_whole_that_is_not_clearly_positive(offset: float) -> None:
    whole = crossed(30, 2, 20, 0, 1, 0.1)
    assert crossed_share(whole, whole - whole.mean() + offset, draw()) == Summary(None, None, None, None, 20, 0)


@pytest.mark.parametrize("values", [[1.0, 2.0], np.empty((0, 4)), np.ones((2, 2, 2)), 1.0])
def test_crossed_forms_refuse_what_is_no_table(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"values: expected shape \(n_seeds, n_items\) with one or more seeds, got"):
        summarise_crossed(values, draw())
    with pytest.raises(ValueError, match="part: expected shape"):
        crossed_share(values, values, draw())


def test_crossed_forms_refuse_impossible_settings_and_unequal_shapes() -> None:
    for n_resamples, level in ((0, 0.95), (9, 1.0)):
        with pytest.raises(ValueError, match="bootstrap: expected"):
            summarise_crossed([[1.0, 2.0]], draw(), n_resamples, level)
        with pytest.raises(ValueError, match="bootstrap: expected"):
            crossed_share([[1.0, 2.0]], [[1.0, 2.0]], draw(), n_resamples, level)
    with pytest.raises(ValueError, match=r"whole: expected shape \(1, 2\) like part, got \(2, 2\)"):
        crossed_share([[1.0, 2.0]], [[1.0, 2.0], [1.0, 2.0]], draw())
