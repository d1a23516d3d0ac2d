"""Which names are trainings of one system, which seeds pair up, and rows as arrays with what is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrayse.statistics import NO_SEED, Scores, count_reasons, group_seeds, pair_seeds, scores_by_name, scores_of
from arrayse.statistics.rows import NO_REASON


def row(system: str, scene: str, snr_db: float, value: float | None, reason: str = "") -> dict[str, Any]:
    return {"system": system, "scene": scene, "snr_db": snr_db, "m": value, "reasons": {"m": reason} if reason else {}}


ROWS = [
    row("a_s0", "one", 0.0, 1.0),
    row("a_s0", "one", 5.0, 3.0),
    row("a_s0", "two", 0.0, None, "silent estimate"),
    row("a_s0", "two", 5.0, 4.0),
    row("a_s1", "one", 0.0, 2.0),
    row("a_s1", "two", 5.0, None, "silent estimate"),
    row("noisy", "two", 0.0, None),
]


def test_seeds_of_a_system_come_together_in_order() -> None:
    names = ["noisy", "tiny_lin_s10", "tiny_lin_s2", "teacher", "small_lin_s0"]
    assert group_seeds(names) == {
        "noisy": {NO_SEED: "noisy"},
        "tiny_lin": {2: "tiny_lin_s2", 10: "tiny_lin_s10"},
        "teacher": {NO_SEED: "teacher"},
        "small_lin": {0: "small_lin_s0"},
    }
    assert list(group_seeds(names)) == ["noisy", "tiny_lin", "teacher", "small_lin"]
    assert list(group_seeds(names)["tiny_lin"]) == [2, 10]


@pytest.mark.parametrize("name", ["_s0", "a_s", "a_s-1", "a_s01", "a_s1b", "a-s1", "as1", "a_s1\n", "a_s٣", "a_S1"])
def test_other_names_are_systems_of_their_own(name: str) -> None:
    assert group_seeds([name]) == {name: {NO_SEED: name}}


def test_a_seed_is_not_folded_into_a_system_that_has_none() -> None:
    assert group_seeds(["x_s1", "x", "x_s1_s0"]) == {
        "x_s1": {NO_SEED: "x_s1"},
        "x": {NO_SEED: "x"},
        "x_s1_s0": {NO_SEED: "x_s1_s0"},
    }


@given(st.lists(st.from_regex(r"[ab](_s[0-9]{1,2}){0,2}", fullmatch=True), unique=True))
def test_every_name_is_in_one_group_once(names: list[str]) -> None:
    grouped = [name for seeds in group_seeds(names).values() for name in seeds.values()]
    assert sorted(grouped) == sorted(names)


def test_common_seeds_pair_up_and_a_system_without_seeds_goes_with_all() -> None:
    student: Scores = {0: [1.0, 2.0], 2: [3.0, None], 3: [5.0, 6.0]}
    other: Scores = {3: [50.0, np.inf], 0: [10.0, 20.0], 1: [0.0, 0.0]}
    (first, second, third), n_seeds = pair_seeds(student, other, {NO_SEED: [7.0, 8.0]})
    assert n_seeds == 2
    np.testing.assert_array_equal(first, [[1.0, 2.0], [5.0, 6.0]])
    np.testing.assert_array_equal(second, [[10.0, 20.0], [50.0, np.nan]])
    np.testing.assert_array_equal(third, [[7.0, 8.0], [7.0, 8.0]])


def test_without_seeds_there_is_one_row_and_without_common_ones_none() -> None:
    (table,), n_seeds = pair_seeds({NO_SEED: [1.0, None]})
    assert n_seeds == 0
    np.testing.assert_array_equal(table, [[1.0, np.nan]])
    tables, n_seeds = pair_seeds({0: [1.0, 2.0]}, {1: [1.0, 2.0]})
    assert [table.shape for table in tables] == [(0, 2), (0, 2)]
    assert n_seeds == 0


@pytest.mark.parametrize(
    ("systems", "message"),
    [
        ([{}], "expected seeds, or -1 alone for no seed, got"),
        ([{NO_SEED: [1.0], 0: [1.0]}], "expected seeds, or -1 alone for no seed, got"),
        ([{0: [1.0], 1: [1.0, 2.0]}], r"expected the same items for all systems and seeds, got \[1, 2\] items"),
        ([{0: [1.0]}, {NO_SEED: [1.0, 2.0]}], "expected the same items"),
        ([{0: [[1.0]]}], r"scores: expected shape \(n,\), got \(1, 1\)"),
    ],
)
def test_scores_that_do_not_belong_together_are_refused(systems: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pair_seeds(*systems)


def test_rows_become_arrays_in_which_failed_and_absent_scores_are_nan() -> None:
    scores = scores_by_name(ROWS, "m", ["two", "one"])
    np.testing.assert_array_equal(scores["a_s0", 0.0], [np.nan, 1.0])
    np.testing.assert_array_equal(scores["a_s1", 0.0], [np.nan, 2.0])  # there is no row of scene two
    np.testing.assert_array_equal(scores["noisy", 0.0], [np.nan, np.nan])
    found = scores_of(scores, {0: "a_s0", 1: "a_s1"}, [0.0, 5.0])
    np.testing.assert_array_equal(found[0], [np.nan, 2.0])
    np.testing.assert_array_equal(found[1], [np.nan, np.nan])
    np.testing.assert_array_equal(scores_of(scores, {0: "a_s0"}, [5.0])[0], [4.0, 3.0])
    np.testing.assert_array_equal(scores_of(scores, {NO_SEED: "none"}, [5.0])[NO_SEED], [np.nan, np.nan])


@pytest.mark.parametrize(
    ("rows", "metric", "message"),
    [
        ([ROWS[0], ROWS[0]], "m", r"expected one row for each system, SNR and scene, got two: \('a_s0', 0.0, 'one'\)"),
        ([row("a", "three", 0.0, 1.0)], "m", "expected 2 known scenes, got another: three"),
        (ROWS, "pesq", r"expected a value or None for pesq, got none in \('a_s0', 0.0, 'one'\)"),
    ],
)
def test_rows_that_tell_two_things_or_nothing_are_refused(rows: Any, metric: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        scores_by_name(rows, metric, ["one", "two"])


def test_no_score_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one or more rows and SNRs, got 0 and 1"):
        scores_of({}, {0: "a"}, [0.0])
    with pytest.raises(ValueError, match="got 1 and 0"):
        scores_of({("a", 0.0): np.ones(2)}, {0: "a"}, [])


def test_reasons_are_counted_by_system_and_metric() -> None:
    assert count_reasons(ROWS, ["m"]) == [
        {"system": "a_s0", "metric": "m", "reason": "silent estimate", "n": 1},
        {"system": "a_s1", "metric": "m", "reason": "silent estimate", "n": 1},
        {"system": "noisy", "metric": "m", "reason": NO_REASON, "n": 1},
    ]
    assert count_reasons([*ROWS, row("a_s0", "three", 0.0, None, "silent estimate")], ["m"])[0]["n"] == 2
    assert count_reasons(ROWS[:2], ["m"]) == []
