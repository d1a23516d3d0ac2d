"""Under which conditions a scene was recorded, as groups of a breakdown: noise, RT60, direction, interferers."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from arrayse.manifest import SceneEntry

RT60_EDGES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
"""Edges in seconds of the groups by RT60; what lies on an edge belongs to the group above it."""

SECTOR_DEG = 30
"""Width of the groups by direction, which start at -180 degrees; an edge belongs to the sector above it."""

NO_INTERFERER, SEVERAL, MOVING = "diffuse noise alone", "several", "moving"
"""Groups of scenes without interferers, without one noise that prevails, and whose target or array moves."""


@dataclass(frozen=True)
class Conditions:
    """The groups that a scene belongs to.

    Attributes:
        values: name of the group by condition.
        reasons: for each condition that is not known, why.
    """

    values: dict[str, str]
    reasons: dict[str, str]


def conditions(entry: SceneEntry) -> Conditions:
    """The conditions of one scene, from its line in the manifest.

    - ``noise``: the kind of interferer that has more than half of the power of all interferers at the reference
      microphone, reverberant; else ``several``. Without an interferer ``diffuse noise alone``.
    - ``rt60``: measured, between :data:`RT60_EDGES`. Measured rooms without a usable decay have none.
    - ``doa``: azimuth of the target seen from the front of the array, to the left positive, in sectors of
      :data:`SECTOR_DEG` degrees; ``moving`` where target or array moves. Measured rooms know no places.
    - ``n_interferers``: how many directional noise sources there are.
    """
    numbers = entry.numbers
    values, reasons = {"noise": prevailing_noise(numbers)}, {}
    rt60 = numbers.get("rt60_measured")
    if rt60 and math.isfinite(rt60):  # none: a measured room without a usable decay; 0 in older datasets
        values["rt60"] = rt60_group(rt60)
    else:
        reasons["rt60"] = "no RT60 was measured"
    place: Mapping[str, Any] | None = numbers.get("place")
    if place is None:
        reasons["doa"] = "measured room, of which no places are known"
    elif place["array_turns_deg"] or place["source_walks"][0]:
        values["doa"] = MOVING
    else:
        values["doa"] = sector(place["source_azimuths_deg"][0])
    values["n_interferers"] = str(len(numbers["source_excerpts"]) - 1)
    return Conditions(values, reasons)


def prevailing_noise(numbers: Mapping[str, Any]) -> str:
    """The kind of noise, see :func:`conditions`; interferers of one kind count together."""
    powers: dict[str, float] = defaultdict(float)
    for excerpt, level_db in zip(numbers["source_excerpts"][1:], numbers["source_levels_db"][1:], strict=True):
        powers[excerpt["group"]] += 10 ** (level_db / 10)
    if not powers:
        return NO_INTERFERER
    loudest = max(powers, key=lambda group: powers[group])
    return loudest if powers[loudest] > sum(powers.values()) / 2 else SEVERAL


def rt60_group(rt60: float) -> str:
    """``0.2–0.3 s`` for a reverberation time in seconds, or below the lowest edge, or above the highest."""
    above = sum(rt60 >= edge for edge in RT60_EDGES)
    return _rt60_groups()[above]


def sector(azimuth_deg: float) -> str:
    """``0 to 30°`` for an azimuth in degrees, which may be beyond a full turn."""
    return _sectors()[int((azimuth_deg + 180) % 360 // SECTOR_DEG)]


def group_order(condition: str, value: str) -> tuple[int, float, str]:
    """Key that sorts the groups of a condition: bins and numbers by rising value, kinds of noise by name."""
    known = {"rt60": _rt60_groups(), "doa": [*_sectors(), MOVING]}.get(condition, [])
    if value in known:
        return 0, known.index(value), value
    if value.isdecimal():
        return 0, int(value), value
    return 2 if value in (NO_INTERFERER, SEVERAL) else 1, 0, value


def _rt60_groups() -> list[str]:
    inner = [f"{low:.1f}–{high:.1f} s" for low, high in itertools.pairwise(RT60_EDGES)]
    return [f"below {RT60_EDGES[0]:.1f} s", *inner, f"{RT60_EDGES[-1]:.1f} s and above"]


def _sectors() -> list[str]:
    starts = range(-180, 180, SECTOR_DEG)
    return [f"{start} to {start + SECTOR_DEG}°".replace("-", "−") for start in starts]
