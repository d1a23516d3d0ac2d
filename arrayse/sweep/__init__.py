"""Robustness sweeps: the scenes of a dataset with one thing changed, all else held, so that results are paired."""

from __future__ import annotations

from arrayse.sweep.conditions import CONDITIONS, SNR, Condition, check_values, label_of
from arrayse.sweep.rows import System, Values, sweep_rows, systems_of
from arrayse.sweep.variants import Variant, count_paired, draw_variants, render_variant

__all__ = [
    "CONDITIONS",
    "SNR",
    "Condition",
    "System",
    "Values",
    "Variant",
    "check_values",
    "count_paired",
    "draw_variants",
    "label_of",
    "render_variant",
    "sweep_rows",
    "systems_of",
]
