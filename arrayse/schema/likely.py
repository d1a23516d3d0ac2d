"""What a misspelt name or a misplaced key is likely to mean."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Collection

from pydantic import BaseModel

from arrayse.schema.tree import NAME, keys_of


def nearest(name: str, choices: Collection[str]) -> list[str]:
    """The choice that a misspelt name is likely to mean, if there is one."""
    return difflib.get_close_matches(name, sorted(choices), n=1, cutoff=0.6)


def did_you_mean(near: list[str]) -> str:
    """The end of an error."""
    return f": did you mean {' or '.join(near)}?" if near else ""


def likely_keys(schema: type[BaseModel], place: str, siblings: Collection[str]) -> list[str]:
    """Known keys that an unknown one may mean: of its name elsewhere, else one like it beside it, else elsewhere.

    Of several elsewhere those that share the most sections with it, and of them those in the fewest.

    Args:
        schema: of the whole configuration.
        place: the unknown key, with its sections.
        siblings: the keys that may stand there, which are told without their sections.
    """
    told = place.split(".")
    keys = [key.split(".") for key in keys_of(schema)]
    named = [[*told[: _n_shared(key, told)], *key[_n_shared(key, told) :]] for key in keys]  # as people named them
    elsewhere = [key for key in named if key != told]
    names = {key[-1] for key in elsewhere}
    if told[-1] not in names and (near := nearest(told[-1], siblings)):
        return near
    wanted = [told[-1]] if told[-1] in names else nearest(told[-1], names)

    def distance(key: list[str]) -> tuple[int, int]:
        return -_n_shared(key, told), len(key)

    found = [key for key in elsewhere if key[-1] in wanted]
    return [".".join(key) for key in found if distance(key) == min(map(distance, found))]


def _n_shared(key: list[str], told: list[str]) -> int:
    """How many sections a key of a schema has in common with another."""
    pairs = zip(key, told, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] in (NAME, pair[1]), pairs))
