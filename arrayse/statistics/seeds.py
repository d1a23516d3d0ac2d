"""Several trainings of one system: whose names belong together, and whose scores pair up."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from arrayse.statistics.bootstrap import as_floats

SEEDED = re.compile(r"(?P<system>.+)_s(?P<seed>0|[1-9][0-9]*)")

NO_SEED = -1
"""Stands in place of a seed where a system has none: the noisy input, a beamformer, the one teacher."""

Scores = Mapping[int, Sequence[float | None] | np.ndarray]
"""Scores (n_items,) of a system by seed, or under :data:`NO_SEED`; the items are the same for all."""


def group_seeds(names: Iterable[str]) -> dict[str, dict[int, str]]:
    """Names that end in ``_s0``, ``_s1`` … are trainings of the system named before that.

    Any other name is a system of its own. So is a seeded one where the name before ``_s`` is itself among the
    names: two trainings of which one has no seed are not paired by guess.

    Args:
        names: of runs; their order is that of the systems.

    Returns:
        For each system its names by rising seed, or its one name under :data:`NO_SEED`.
    """
    distinct = list(dict.fromkeys(names))
    systems: dict[str, dict[int, str]] = {}
    for name in distinct:
        found = SEEDED.fullmatch(name)
        if found and found["system"] not in distinct:
            systems.setdefault(found["system"], {})[int(found["seed"])] = name
        else:
            systems[name] = {NO_SEED: name}
    return {system: dict(sorted(seeds.items())) for system, seeds in systems.items()}


def pair_seeds(*systems: Scores) -> tuple[list[np.ndarray], int]:
    """Tables of scores whose rows belong together: the seeds that all systems have.

    A system without seeds goes with every seed of the others.

    Args:
        systems: scores of each system by seed.

    Returns:
        For each system (n_seeds, n_items) with NaN for what is missing, and how many seeds that are: tables of no row
        where there is no seed in common; one row and 0 where no system has seeds.

    Raises:
        ValueError: a system without scores, one with scores both with and without a seed, unequal numbers of items.
    """
    for seeds in map(set, systems):
        if not seeds or (NO_SEED in seeds and len(seeds) > 1):
            raise ValueError(f"scores: expected seeds, or {NO_SEED} alone for no seed, got {sorted(seeds)}")
    rows = [{seed: as_floats("scores", values) for seed, values in system.items()} for system in systems]
    sizes = {row.size for system in rows for row in system.values()}
    if len(sizes) > 1:
        raise ValueError(f"scores: expected the same items for all systems and seeds, got {sorted(sizes)} items")
    seeded = [set(system) for system in systems if NO_SEED not in system]
    common = sorted(set.intersection(*seeded)) if seeded else [NO_SEED]
    shape = (len(common), sizes.pop())
    tables = [np.array([system.get(seed, system.get(NO_SEED)) for seed in common]).reshape(shape) for system in rows]
    return [np.where(np.isfinite(table), table, np.nan) for table in tables], len(common) if seeded else 0
