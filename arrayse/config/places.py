"""Where in a configuration the argument lies that a class complains about: ``norm: …`` → ``model.norm: …``."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

Values = dict[str, Any]


def placed(told: str, *sections: tuple[str, Collection[str]]) -> str:
    """An error with the whole key of what it is about.

    Args:
        told: ``what: expected …``, where what begins with the name of an argument.
        sections: keys with dots, and the arguments that lie there; the first one that has the argument counts.
    """
    what = re.match(r"\w*", told)
    for place, arguments in sections:
        if what and what.group() in arguments:
            return f"{place}.{told}"
    return told


def placed_in_network(told: str, values: Values) -> str:
    """An error that came up while the network of a train config was built."""
    if told.startswith("n_freqs: "):  # nobody sets it
        return f"stft.n_fft: {told}"
    return placed(told, *((section, values[section]) for section in ("model", "stft", "features")))


def placed_in_term(told: str, name: str, term: Values) -> str:
    """An error of a distillation term: of its loss, of the loss that this is wrapped around, of its pairs of taps."""
    place, loss = f"distill.terms.{name}", term["loss"]
    if told.startswith("pairs: ") and term["pairs"] is None and loss.get("sets"):  # they follow from the sets
        return f"{place}.loss.sets: {told.removeprefix('pairs: ')}"
    inner = loss.get("inner") or {}
    found = placed(told, (f"{place}.loss", loss), (f"{place}.loss.inner", inner), (place, term))
    return f"{place}: {told.removeprefix('term: ')}" if found == told else found
