"""Distillation: a file per published method, and the objective that joins methods, teachers and student."""

from __future__ import annotations

from arrayse.kd.base import DistillationLoss
from arrayse.kd.clskd import Clskd
from arrayse.kd.distiller import Distillation, check_compatible
from arrayse.kd.feature_regression import FeatureRegression
from arrayse.kd.fused import Fused
from arrayse.kd.gram import Gram
from arrayse.kd.lin import Lin
from arrayse.kd.lstm1 import Lstm1
from arrayse.kd.lstm2 import Lstm2
from arrayse.kd.mask import Mask
from arrayse.kd.similarity_preserving import SimilarityPreserving
from arrayse.kd.teacher import CachedViews, LiveViews, Teacher, check_coverage
from arrayse.kd.term import Term, build_term

__all__ = [
    "METHODS", "CachedViews", "Clskd", "Distillation", "DistillationLoss", "FeatureRegression", "Fused", "Gram", "Lin",
    "LiveViews", "Lstm1", "Lstm2", "Mask", "SimilarityPreserving", "Teacher", "Term", "build_term", "check_compatible",
    "check_coverage",
]  # fmt: skip

METHODS: dict[str, type[DistillationLoss]] = {
    "mask": Mask,
    "lin": Lin,
    "lstm1": Lstm1,
    "lstm2": Lstm2,
    "fused": Fused,
    "gram": Gram,
    "similarity_preserving": SimilarityPreserving,
    "clskd": Clskd,
    "feature_regression": FeatureRegression,
}
"""The fixed table of distillation losses."""
