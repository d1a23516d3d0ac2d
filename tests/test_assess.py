"""Cells of tables: each number equals the function it comes from, seeds pair up, and what is missing has a reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrayse.statistics import (
    NO_SEED,
    Estimate,
    Summary,
    assess,
    assess_all,
    crossed_share,
    estimate,
    estimate_difference,
    estimate_gain_kept,
    holm,
    paired_difference,
    signed_rank,
    summarise,
    summarise_crossed,
)

N_ITEMS = 20


def draw(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def trained(seed: int, offset: float, seeds: tuple[int, ...] = (0, 1, 2)) -> dict[int, np.ndarray]:
    """Scores of a system whose items are as hard as those of all others."""
    difficulty = draw(99).normal(0, 1, N_ITEMS)
    return {each: difficulty + offset + draw(1000 * seed + each).normal(0, 0.3, N_ITEMS) for each in seeds}


NOISY = {NO_SEED: draw(99).normal(0, 1, N_ITEMS)}
TEACHER = {NO_SEED: NOISY[NO_SEED] + draw(98).normal(2.0, 0.3, N_ITEMS)}
STUDENT, BASELINE = trained(3, 1.5), trained(4, 1.0)


def table(scores: dict[int, np.ndarray]) -> np.ndarray:
    return np.stack(list(scores.values()))


def test_every_number_of_a_cell_is_that_of_its_function() -> None:
    found = assess(STUDENT, draw(), BASELINE, NOISY, TEACHER, 300, 0.9)
    differences = table(STUDENT) - table(BASELINE)
    assert found.score == Estimate(summarise_crossed(table(STUDENT), draw(), 300, 0.9), 3)
    assert found.score.summary.median == np.median(table(STUDENT))
    assert found.difference == Estimate(summarise_crossed(differences, draw(), 300, 0.9), 3)
    assert found.test == signed_rank(differences.mean(axis=0))
    whole = np.broadcast_to(TEACHER[NO_SEED] - NOISY[NO_SEED], (3, N_ITEMS))
    assert found.gain_kept == Estimate(crossed_share(table(STUDENT) - NOISY[NO_SEED], whole, draw(), 300, 0.9), 3)
    assert (found.p_holm, found.reasons) == (None, {})


def test_one_training_has_the_intervals_of_its_items() -> None:
    student, baseline = {NO_SEED: STUDENT[0]}, {NO_SEED: BASELINE[0]}
    found = assess(student, draw(), baseline)
    assert found.score.n_seeds == 0
    assert vars(found.score.summary) == pytest.approx(vars(summarise(STUDENT[0], draw())))
    assert found.difference is not None
    assert vars(found.difference.summary) == pytest.approx(vars(paired_difference(STUDENT[0], BASELINE[0], draw())))


def test_no_number_depends_on_what_else_is_asked_for_and_the_generator_stays() -> None:
    rng = draw(5)
    whole = assess(STUDENT, rng, BASELINE, NOISY, TEACHER)
    assert assess(STUDENT, rng).score == whole.score
    assert assess(STUDENT, rng, BASELINE).difference == whole.difference
    assert assess(STUDENT, rng, noisy=NOISY, teacher=TEACHER).gain_kept == whole.gain_kept
    assert rng.random() == draw(5).random()


def test_only_common_seeds_are_subtracted() -> None:
    found = assess(trained(3, 1.5, (0, 1, 2)), draw(), trained(4, 1.0, (2, 7)))
    assert found.difference is not None
    assert (found.score.n_seeds, found.difference.n_seeds) == (3, 1)
    assert found.difference.summary.mean == pytest.approx((STUDENT[2] - BASELINE[2]).mean())
    with_teacher = assess(STUDENT, draw(), TEACHER)
    assert with_teacher.difference is not None
    assert with_teacher.difference.n_seeds == 3


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 3), st.integers(1, 15))
def test_differences_change_sign_with_the_order(seed: int, n_seeds: int, n_items: int) -> None:
    a, b = (dict(enumerate(draw(seed + k).normal(size=(n_seeds, n_items)))) for k in (0, 5000))
    there, back = assess(a, draw(), b, n_resamples=100), assess(b, draw(), a, n_resamples=100)
    assert there.difference is not None
    assert back.difference is not None
    first, second = there.difference.summary, back.difference.summary
    expected = {"mean": first.mean, "median": first.median, "low": first.high, "high": first.low}
    for name, value in expected.items():
        assert -value == pytest.approx(getattr(second, name), abs=1e-12)  # type: ignore[operator]
    assert there.test is not None
    assert back.test is not None
    assert there.test.p == (None if back.test.p is None else pytest.approx(back.test.p))


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(N_ITEMS)))
def test_the_order_of_items_changes_only_the_draws(order: list[int]) -> None:
    def shuffled(scores: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
        return {seed: values[order] for seed, values in scores.items()}

    a = assess(STUDENT, draw(), BASELINE, NOISY, TEACHER, n_resamples=10)
    student, baseline, noisy, teacher = map(shuffled, (STUDENT, BASELINE, NOISY, TEACHER))
    b = assess(student, draw(), baseline, noisy, teacher, n_resamples=10)
    assert a.test is not None
    assert b.test is not None
    assert a.test.p == pytest.approx(b.test.p)
    for first, second in ((a.score, b.score), (a.difference, b.difference), (a.gain_kept, b.gain_kept)):
        assert first is not None
        assert second is not None
        assert first.summary.mean == pytest.approx(second.summary.mean)
        assert first.summary.n == second.summary.n


def test_intervals_of_differences_cover_the_true_one_as_often_as_they_say() -> None:
    # 300 experiments with 12 seeds and 30 items: one standard deviation of the rate is 0.013.
    held = []
    for k in range(300):
        rng = draw(k)
        item, part = rng.normal(0, 3, 30), rng.normal(0, 0.3, 30)  # what an item does to both, and to one of them
        a, b = ({s: item + rng.normal(0, 0.2) + rng.normal(0, 0.3, 30) for s in range(12)} for _ in range(2))
        shifted = {seed: values + 0.5 + part for seed, values in a.items()}
        found = estimate_difference(shifted, b, rng, 300)
        assert found is not None
        assert found.summary.low is not None
        assert found.summary.high is not None
        held.append(found.summary.low <= 0.5 <= found.summary.high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.04)


def test_missing_scores_are_counted_where_they_count() -> None:
    student = {seed: values.copy() for seed, values in STUDENT.items()}
    student[1][3], baseline, teacher = np.nan, {**BASELINE, 2: BASELINE[2].copy()}, {NO_SEED: TEACHER[NO_SEED].copy()}
    baseline[2][4], teacher[NO_SEED][5] = np.inf, np.nan
    found = assess(student, draw(), baseline, NOISY, teacher)
    assert found.difference is not None
    assert found.gain_kept is not None
    assert found.test is not None
    assert [each.summary.n_failed for each in (found.score, found.difference, found.gain_kept)] == [1, 2, 2]
    assert (found.test.n, found.test.n_failed) == (N_ITEMS - 2, 2)
    assert found.reasons == {}


def test_what_has_no_value_has_a_reason() -> None:
    few = {seed: np.where(np.arange(N_ITEMS) < 4, values, np.nan) for seed, values in STUDENT.items()}
    none = dict.fromkeys(STUDENT, np.full(N_ITEMS, np.nan))
    item, seed = "no item with all scores", "no seed in common with what it is compared to"
    p = {"p": "4 differences other than zero, fewer than 6"}
    assert assess(few, draw(), BASELINE, NOISY, TEACHER).reasons == p
    lost = dict.fromkeys(("score", "difference", "p", "gain_kept"), item)
    assert assess(none, draw(), BASELINE, NOISY, TEACHER).reasons == lost
    apart = assess(STUDENT, draw(), {7: BASELINE[0]}, NOISY, {8: TEACHER[NO_SEED]})
    assert (apart.difference, apart.test, apart.gain_kept) == (None, None, None)
    assert apart.reasons == dict.fromkeys(("difference", "p", "gain_kept"), seed)
    no_gain = {"gain_kept": "the gain of the teacher is not clearly positive"}
    assert assess(STUDENT, draw(), noisy=NOISY, teacher=NOISY).reasons == no_gain


def test_systems_are_corrected_for_each_other_and_not_for_the_baseline() -> None:
    systems = {"none": BASELINE, "a": STUDENT, "b": trained(5, 1.1), "c": trained(6, 1.0), "d": {9: STUDENT[0]}}
    others = [name for name in systems if name != "none"]
    found = assess_all(systems, draw(), dict.fromkeys(others, BASELINE), dict.fromkeys(systems, NOISY), TEACHER)
    alone = assess(STUDENT, draw(), BASELINE, NOISY, TEACHER)
    p_values = [each.test.p if each.test else None for each in found.values()]
    assert [each.p_holm for each in found.values()] == holm(p_values)
    assert (found["none"].difference, found["none"].test, found["none"].p_holm) == (None, None, None)
    assert (found["d"].test, found["d"].p_holm) == (None, None)
    assert found["a"].test == alone.test
    assert found["a"].test is not None
    assert found["a"].test.p is not None
    assert found["a"].p_holm == pytest.approx(3 * found["a"].test.p)  # the smallest of three tests
    assert all(each.p_holm is None and each.difference is None for each in assess_all(systems, draw()).values())


def test_every_system_has_a_baseline_and_an_input_of_its_own() -> None:
    inputs = {"a": NOISY, "b": {NO_SEED: NOISY[NO_SEED] + 1}}
    found = assess_all({"a": STUDENT, "b": BASELINE, "c": STUDENT}, draw(), inputs, inputs, TEACHER)
    for name, scores in (("a", STUDENT), ("b", BASELINE)):
        alone = assess(scores, draw(), inputs[name], inputs[name], TEACHER)
        assert found[name].difference == alone.difference
        assert found[name].gain_kept == alone.gain_kept
    assert (found["c"].difference, found["c"].gain_kept) == (None, None)


def test_where_less_is_better_a_fall_is_the_gain() -> None:
    turned = [{seed: -values for seed, values in scores.items()} for scores in (STUDENT, BASELINE, NOISY, TEACHER)]
    there = assess(STUDENT, draw(), BASELINE, NOISY, TEACHER)
    back = assess(turned[0], draw(), *turned[1:], higher_is_better=False)
    assert back.gain_kept == there.gain_kept
    assert back.score.summary.mean == pytest.approx(-there.score.summary.mean)  # type: ignore[operator]
    assert assess(turned[0], draw(), *turned[1:]).reasons["gain_kept"].startswith("the gain of the teacher is not")


def test_an_estimate_is_one_level_of_plain_numbers() -> None:
    numbers = {"mean": 1.0, "median": 2.0, "low": 0.0, "high": 3.0, "n": 4, "n_failed": 5}
    assert Estimate(Summary(**numbers), 6).to_dict() == {**numbers, "n_seeds": 6}  # type: ignore[arg-type]


def test_wrong_questions_are_refused() -> None:
    message = "gain kept: expected both noisy and teacher or neither"
    questions: list[dict[str, Any]] = [{"noisy": NOISY}, {"teacher": TEACHER}]
    for question in questions:
        with pytest.raises(ValueError, match=message):
            assess(STUDENT, draw(), **question)
    with pytest.raises(ValueError, match="baselines: expected some of a, got b"):
        assess_all({"a": STUDENT}, draw(), {"b": BASELINE})
    with pytest.raises(ValueError, match="noisy: expected some of a, got b, c"):
        assess_all({"a": STUDENT}, draw(), noisy={"b": NOISY, "a": NOISY, "c": NOISY}, teacher=TEACHER)
    for call in (
        lambda: estimate(STUDENT, draw(), 0),
        lambda: estimate_difference(STUDENT, BASELINE, draw(), 0),
        lambda: estimate_gain_kept(STUDENT, NOISY, TEACHER, draw(), 9, 1.0),
    ):
        with pytest.raises(ValueError, match="bootstrap: expected"):
            call()
