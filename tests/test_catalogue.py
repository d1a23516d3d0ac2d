"""The list of distillation losses: every one with its configs, every symbol explained, no tap twice."""

from __future__ import annotations

import re

import pytest

from arrayse.config import config_root, read_config
from arrayse.config.catalogue import catalogue
from arrayse.kd import METHODS
from arrayse.kd.methods import SYMBOLS
from tests.test_cli import arrayse


def test_a_method_names_the_configs_that_use_it() -> None:
    """As they are once read, wrapped losses too."""
    listed = {method.name: set(method.configs) for method in catalogue()}
    assert list(listed) == list(METHODS)
    found: dict[str, set[str]] = {name: set() for name in METHODS}
    for path in (config_root() / "distill").glob("*.yaml"):
        values = read_config("distill", ["student", f"distill/{path.stem}", "data=d", "out=o"])
        for term in values["distill"]["terms"].values():
            found[term["loss"]["name"]].add(path.stem)
            if "inner" in term["loss"]:
                found[term["loss"]["inner"]["name"]].add(path.stem)
    assert listed == found
    assert all(found.values())


def test_taps_are_told_once() -> None:
    assert {method.name: method.taps for method in catalogue()}["i2s_tfckd"].split(", ") == [
        *("encoder_1", "encoder_2", "encoder_3"),
        *("mid_1", "decoder_3", "decoder_2", "decoder_1"),
    ]


@pytest.mark.parametrize("name", METHODS)
def test_every_symbol_of_a_formula_is_in_the_legend(name: str) -> None:
    """Capital and Greek letters, and functions of three letters; an index after _ counts by itself."""
    for formula in METHODS[name].formulas.values():
        symbols = re.findall(r"(?<![\w-])(?:[A-ZŜΑ-Ωα-ω]|sg|var|cos|log|mean|inner)(?![a-zA-Z-])", formula)
        assert not {symbol for symbol in symbols if symbol not in SYMBOLS}, formula


def test_the_list_shows_formulas_configs_and_the_legend(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert arrayse(monkeypatch, "distill", "--list") == 0
    told = capsys.readouterr().out
    words = " ".join(told.split())  # however wide the terminal is
    for method in catalogue():
        assert f"configs {', '.join(method.configs)}" in words
    assert all(" ".join([symbol, *meaning.split()]) in words for symbol, meaning in SYMBOLS.items())
    assert told.count("encoder_1") == 1
