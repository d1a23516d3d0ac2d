"""Breakdowns: cells are the plain means of their scenes, few scenes are marked, and nothing goes without a count."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from arrayse.evaluation.breakdown import MIN_SCENES, breakdown, count_unknown
from arrayse.evaluation.conditions import Conditions
from arrayse.statistics import group_seeds, summarise, summarise_crossed

SNRS = [-5.0, 0.0]
SCENES = [f"test-{number:02d}" for number in range(12)]
CONDITIONS = {
    scene: Conditions({"noise": "rain" if number < 8 else "crowd", "rt60": "0.2–0.3 s"}, {"doa": "measured room"})
    for number, scene in enumerate(SCENES)
}
NAMES = ["noisy", "a_s0", "a_s1", "b_s1", "c_s7"]
SYSTEMS = group_seeds(NAMES)


def draw(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def value(name: str, scene: str, snr_db: float) -> float:
    """The score of a system, some number of its own for each."""
    return float(draw(NAMES.index(name) * 1000 + SCENES.index(scene) * 10 + int(snr_db) + 5).normal(2.0, 0.5))


ROWS: list[dict[str, Any]] = [
    {"system": name, "scene": scene, "snr_db": snr_db, "m": value(name, scene, snr_db), "reasons": {}}
    for scene in SCENES
    for snr_db in SNRS
    for name in NAMES
]


def cells(rows: list[dict[str, Any]] = ROWS) -> dict[tuple[str, str, str], dict[str, Any]]:
    found = breakdown(rows, CONDITIONS, "m", SYSTEMS, draw())
    keyed = {(cell["system"], cell["condition"], cell["value"]): cell for cell in found}
    assert len(keyed) == len(found)
    return keyed


def numbers(cell: dict[str, Any]) -> dict[str, Any]:
    return {key: cell[key] for key in ("mean", "median", "low", "high", "n", "n_failed")}


def test_a_cell_is_the_mean_over_the_scenes_of_its_group_and_over_all_snrs() -> None:
    found = cells()
    scores = [sum(value("noisy", scene, snr_db) for snr_db in SNRS) / 2 for scene in SCENES]
    rain, crowd = found["noisy", "noise", "rain"], found["noisy", "noise", "crowd"]
    assert numbers(rain) == pytest.approx(vars(summarise(scores[:8], draw())))
    assert numbers(crowd) == pytest.approx(vars(summarise(scores[8:], draw())))
    assert numbers(found["noisy", "rt60", "0.2–0.3 s"]) == pytest.approx(vars(summarise(scores, draw())))
    about = {"system": "noisy", "condition": "noise", "value": "rain", "metric": "m", "snr_db": None}
    assert {key: rain[key] for key in about} == about
    assert (rain["n_seeds"], rain["few"]) == (0, False)
    assert (crowd["n"], crowd["few"]) == (MIN_SCENES - 1, True)


def test_every_snr_is_a_group_of_all_scenes() -> None:
    found = cells()
    for snr_db, name in ((-5.0, "−5 dB"), (0.0, "0 dB")):
        cell = found["noisy", "snr", name]
        expected = summarise([value("noisy", scene, snr_db) for scene in SCENES], draw())
        assert numbers(cell) == pytest.approx(vars(expected))
        assert cell["snr_db"] == snr_db


def test_seeds_are_folded_in() -> None:
    scores = [[[value(name, scene, snr_db) for snr_db in SNRS] for scene in SCENES[:8]] for name in ("a_s0", "a_s1")]
    found = cells()["a", "noise", "rain"]
    assert numbers(found) == pytest.approx(vars(summarise_crossed(np.mean(scores, axis=-1), draw())))
    assert found["n_seeds"] == 2


def test_missing_scores_and_rows_are_counted_in_their_group() -> None:
    rows = [dict(row) for row in ROWS if (row["system"], row["scene"], row["snr_db"]) != ("noisy", SCENES[1], 0.0)]
    rows[0] |= {"m": None, "reasons": {"m": "silent"}}
    assert (rows[0]["system"], rows[0]["scene"], rows[0]["snr_db"]) == ("noisy", SCENES[0], -5.0)
    found = cells(rows)
    rain = found["noisy", "noise", "rain"]
    assert (rain["n"], rain["n_failed"], rain["few"]) == (6, 2, False)
    assert [found["noisy", "snr", name]["n_failed"] for name in ("−5 dB", "0 dB")] == [1, 1]
    assert found["noisy", "noise", "crowd"]["n_failed"] == 0
    for row in rows:
        row["m"] = None if row["scene"] in SCENES[:4] else row["m"]
    rain = cells(rows)["noisy", "noise", "rain"]
    assert (rain["n"], rain["n_failed"], rain["few"]) == (4, 4, True)  # eight scenes, of which too few have a score


def test_a_group_without_any_score_has_no_mean() -> None:
    rows = [row | {"m": None} if row["scene"] in SCENES[8:] else row for row in ROWS]
    crowd = cells(rows)["noisy", "noise", "crowd"]
    assert (crowd["mean"], crowd["low"], crowd["n"], crowd["n_failed"], crowd["few"]) == (None, None, 0, 4, True)


def test_the_order_of_rows_changes_nothing_and_that_of_cells_is_by_group() -> None:
    mixed = [ROWS[place] for place in draw(3).permutation(len(ROWS))]
    assert cells(mixed) == cells()
    order = [(condition, name, system) for system, condition, name in cells()]
    assert order[:5] == [
        *(("noise", "crowd", system) for system in SYSTEMS),
        ("noise", "rain", "noisy"),
    ]
    assert order[-1] == ("snr", "0 dB", "c")


def test_scenes_without_a_condition_are_counted_with_the_reason() -> None:
    assert count_unknown(CONDITIONS) == [{"condition": "doa", "reason": "measured room", "n": 12}]
    assert count_unknown({"one": Conditions({"doa": "0 to 30°"}, {})}) == []
    assert "doa" not in {condition for _, condition, _ in cells()}


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 12 known scenes, got another: else"):
        cells([*ROWS, {"system": "noisy", "scene": "else", "snr_db": 0.0, "m": 1.0}])
