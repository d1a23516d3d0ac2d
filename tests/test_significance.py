"""Signed ranks against all signs by hand, scipy and theory; Holm against its definition and known values."""

from __future__ import annotations

import itertools
from random import Random

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from arrayse.statistics import MIN_PAIRS, SignedRank, holm, signed_rank
from arrayse.statistics.significance import EXACT_PAIRS

P_VALUES = st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=12)
WHOLE = st.lists(st.integers(-4, 4), min_size=MIN_PAIRS, max_size=9)


def p_of(differences: object) -> float:
    found = signed_rank(np.asarray(differences, dtype=float))
    assert found.p is not None
    return found.p


def p_by_all_signs(differences: list[int]) -> float:
    """Twice the share of the signs of the mid-ranks with as little, or as much, above zero; zeros dropped."""
    kept = [each for each in differences if each]
    sizes = sorted(map(abs, kept))
    ranks = [np.mean([place for place, size in enumerate(sizes, 1) if size == abs(each)]) for each in kept]
    sums = np.array([sum(itertools.compress(ranks, signs)) for signs in itertools.product((0, 1), repeat=len(kept))])
    found = sum(rank for rank, each in zip(ranks, kept, strict=True) if each > 0)
    below, above = (float(np.mean(np.sign(sums - found) != sign)) for sign in (1, -1))
    return min(1.0, 2 * min(below, above))


def holm_by_definition(p_values: list[float | None]) -> list[float | None]:
    """The lowest level at which step-down testing rejects: the largest (m - k) p_k up to the place of the test."""
    made = sorted(value for value in p_values if value is not None)
    steps = [(len(made) - place) * value for place, value in enumerate(made)]
    return [None if p is None else min(1.0, max(steps[: made.index(p) + 1])) for p in p_values]


@settings(max_examples=60, deadline=None)
@given(WHOLE)
def test_p_is_exact_with_ties_and_zeros(differences: list[int]) -> None:
    found = signed_rank(differences)
    n_zero = differences.count(0)
    assert (found.n, found.n_zero) == (len(differences) - n_zero, n_zero)
    if found.n < MIN_PAIRS:
        assert found.p is None
    else:
        assert found.p == pytest.approx(p_by_all_signs(differences))


@pytest.mark.parametrize("n", [6, 13, 50])
def test_p_without_ties_equals_the_exact_one_of_scipy(n: int) -> None:
    differences = np.random.default_rng(n).normal(0.3, 1, n)
    assert p_of(differences) == pytest.approx(scipy.stats.wilcoxon(differences, method="exact").pvalue, rel=1e-9)


def test_differences_of_one_sign_have_the_closed_form() -> None:
    for n in (6, 20, 50):
        assert p_of(np.arange(1, n + 1)) == pytest.approx(2.0 ** (1 - n), rel=1e-9)
        assert p_of(np.ones(n)) == pytest.approx(2.0 ** (1 - n), rel=1e-9)  # all ties


def test_many_differences_have_the_normal_p_with_the_variance_of_ties() -> None:
    differences = np.random.default_rng(1).integers(-3, 5, 300)
    kept = differences[differences != 0]
    ranks = scipy.stats.rankdata(np.abs(kept))
    z = (ranks[kept > 0].sum() - ranks.sum() / 2) / np.sqrt(np.sum(ranks**2) / 4)
    assert p_of(differences) == pytest.approx(2 * scipy.stats.norm.sf(abs(z)), rel=1e-9)


def test_both_ways_to_p_agree_where_they_meet() -> None:
    differences = np.random.default_rng(2).normal(0.25, 1, EXACT_PAIRS + 1)
    exact = scipy.stats.wilcoxon(differences, method="exact").pvalue
    assert p_of(differences) == pytest.approx(exact, rel=0.05)
    assert p_of(differences) != exact


def test_a_true_null_hypothesis_is_rejected_as_often_as_is_said() -> None:
    # 1000 experiments: one standard deviation of the rate is 0.007.
    rng = np.random.default_rng(3)
    for n in (12, 60):
        assert np.mean([p_of(row) < 0.05 for row in rng.laplace(size=(1000, n))]) == pytest.approx(0.05, abs=0.022)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-50, 50).filter(bool), min_size=MIN_PAIRS, max_size=70), st.randoms(use_true_random=False))
def test_p_knows_neither_order_nor_unit_nor_direction(differences: list[int], random: Random) -> None:
    p = p_of(differences)
    shuffled = list(differences)
    random.shuffle(shuffled)
    assert p_of(shuffled) == pytest.approx(p)
    assert p_of(np.multiply(differences, -4.0)) == pytest.approx(p)
    assert 0 < p <= 1


def test_too_few_differences_have_a_reason_and_what_is_left_out_is_counted() -> None:
    values = [1.0, 2.0, -3.0, 4.0, 5.0, 0.0, 0.0, None, np.nan, np.inf]
    assert signed_rank(values) == SignedRank(None, 5, 2, 3, "5 differences other than zero, fewer than 6")
    found = signed_rank([*values, 6.0])
    assert (found.n, found.n_zero, found.n_failed, found.reason) == (6, 2, 3, "")
    assert found.p == pytest.approx(p_by_all_signs([1, 2, -3, 4, 5, 6]))
    assert signed_rank([]).n == 0


def test_differences_are_one_list() -> None:
    with pytest.raises(ValueError, match=r"differences: expected shape \(n,\), got \(1, 2\)"):
        signed_rank(np.ones((1, 2)))


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        # p.adjust(p, "holm") of R and multipletests(p, method="holm") of statsmodels
        ([0.01, 0.02, 0.03, 0.04, 0.05], [0.05, 0.08, 0.09, 0.09, 0.09]),
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.3, 0.9, 0.5], [0.9, 1.0, 1.0]),
        ([0.02], [0.02]),
        ([], []),
    ],
)
def test_known_families_are_adjusted_as_elsewhere(p_values: list[float], expected: list[float]) -> None:
    assert holm(p_values) == pytest.approx(expected)


def test_tests_that_were_not_made_do_not_count_in_the_family() -> None:
    assert holm([None, 0.01, np.nan, 0.03]) == [None, pytest.approx(0.02), None, pytest.approx(0.03)]
    assert holm([None, None]) == [None, None]


@settings(max_examples=100, deadline=None)
@given(P_VALUES, st.randoms(use_true_random=False))
def test_holm_is_its_definition_in_any_order(p_values: list[float | None], random: Random) -> None:
    adjusted = holm(p_values)
    for found, expected in zip(adjusted, holm_by_definition(p_values), strict=True):
        assert found == (None if expected is None else pytest.approx(expected))
    order = list(range(len(p_values)))
    random.shuffle(order)
    assert holm([p_values[place] for place in order]) == [adjusted[place] for place in order]


@settings(max_examples=100, deadline=None)
@given(P_VALUES)
def test_holm_keeps_the_order_and_never_lies_below_p_nor_above_bonferroni(p_values: list[float | None]) -> None:
    pairs = [(p, q) for p, q in zip(p_values, holm(p_values), strict=True) if p is not None and q is not None]
    assert len(pairs) == len(p_values) - p_values.count(None)
    assert all(p <= q <= min(1.0, len(pairs) * p) for p, q in pairs)
    ordered = [q for _, q in sorted(pairs)]
    assert ordered == sorted(ordered)


def test_holm_holds_the_level_for_the_whole_family() -> None:
    # 1500 families of 8 true hypotheses, independent and with a common part: one standard deviation is 0.006.
    rng = np.random.default_rng(4)
    for shared in (0.0, 0.8):
        z = np.sqrt(shared) * rng.normal(size=(1500, 1)) + np.sqrt(1 - shared) * rng.normal(size=(1500, 8))
        p_values = 2 * scipy.stats.norm.sf(np.abs(z))
        rate = np.mean([min(q for q in holm(row) if q is not None) < 0.05 for row in p_values])
        assert rate < 0.05 + 0.018
        assert np.mean(p_values.min(axis=1) < 0.05) > 2 * rate  # what happens without a correction


@pytest.mark.parametrize("value", [-0.1, 1.1, np.inf])
def test_holm_refuses_what_is_no_probability(value: float) -> None:
    with pytest.raises(ValueError, match="p_values: expected values from 0 to 1, got"):
        holm([0.5, value])
