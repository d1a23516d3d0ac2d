"""The table of methods: a legend of the formulas, and errors that name the term."""

from __future__ import annotations

import re
from typing import Any

import pytest

from arrayse.kd.methods import METHODS, SYMBOLS
from arrayse.kd.term import build_term

FORMULAS = [formula for method in METHODS.values() for formula in method.formulas.values()]
WORDS = {"a"}
FUNCTIONS = {"mean", "var", "log", "cos", "inner"}


def symbols(formula: str) -> set[str]:
    """Signs, functions, single letters, and what stands behind an underscore: letters one by one, or a word."""
    text = re.sub(r"\w+(?:[-'’]\w+)+", " ", formula)  # F-LSTM, utterance's
    found = set(re.findall(r"[Σ∝ᵀ]", text)) | ({"|·|"} if "|" in text else set())
    for word in re.findall(r"\w+", text.replace("ᵀ", " ").replace("Σ", " ")):
        head, _, index = word.partition("_")
        if (len(head) == 1 and head.isalpha()) or head in FUNCTIONS:
            found.add(head)
        found |= {index} if index in SYMBOLS or len(index) > 2 else set(index)
    return found - WORDS


def test_symbols_are_found() -> None:
    found = symbols("Σ_j |P_T| of a cos_low − var(G_ij) ∝ F-LSTM's U Uᵀ, 1×1 β of an utterance's mean")
    assert found == set("ΣjPTGijUᵀβ∝") | {"|·|", "cos", "low", "var", "mean"}


@pytest.mark.parametrize("formula", FORMULAS)
def test_every_symbol_of_a_formula_is_explained(formula: str) -> None:
    assert symbols(formula) <= set(SYMBOLS)


def test_every_explained_symbol_stands_in_a_formula() -> None:
    assert set(SYMBOLS) == set().union(*map(symbols, FORMULAS))
    assert all(0 < len(meaning) < 90 for meaning in SYMBOLS.values())


@pytest.mark.parametrize(
    ("loss", "told"),
    [
        (
            {"name": "i2s_tfckd", "sets": {"middle": [[], ["mid_1"]]}},
            "near sets.middle: expected at least one tap of the student, got none",
        ),
        (
            {"name": "dispatch", "inner": {"name": "gram"}},
            "near inner: expected one of magnitude, dfkd, lin, mask, subband, got gram",
        ),
    ],
)
def test_arguments_that_name_no_taps_are_errors_of_their_term(loss: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=f"^{told}$"):
        build_term("near", loss, 1.0, None, None, None)
