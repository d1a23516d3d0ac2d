"""What scores mean: intervals, medians, paired differences, tests of significance, gain kept, seeds of one system.

``None`` and NaN stand for a score that is missing; whatever leaves one out counts it or gives a reason.
"""

from __future__ import annotations

from arrayse.statistics.assess import (
    Assessment,
    Estimate,
    assess,
    assess_all,
    estimate,
    estimate_difference,
    estimate_gain_kept,
)
from arrayse.statistics.bootstrap import (
    BLOCK_SIZE,
    Summary,
    bootstrap_interval,
    crossed_share,
    paired_difference,
    summarise,
    summarise_crossed,
)
from arrayse.statistics.rows import count_reasons, read_rows, scores_by_name, scores_of
from arrayse.statistics.seeds import NO_SEED, Scores, group_seeds, pair_seeds
from arrayse.statistics.significance import MIN_PAIRS, SignedRank, holm, signed_rank

__all__ = [
    "BLOCK_SIZE",
    "MIN_PAIRS",
    "NO_SEED",
    "Assessment",
    "Estimate",
    "Scores",
    "SignedRank",
    "Summary",
    "assess",
    "assess_all",
    "bootstrap_interval",
    "count_reasons",
    "crossed_share",
    "estimate",
    "estimate_difference",
    "estimate_gain_kept",
    "group_seeds",
    "holm",
    "pair_seeds",
    "paired_difference",
    "read_rows",
    "scores_by_name",
    "scores_of",
    "signed_rank",
    "summarise",
    "summarise_crossed",
]
