"""Distillation: a file per published method, and the objective that joins methods, teachers and student."""

from __future__ import annotations

from arrayse.kd.base import DistillationLoss
from arrayse.kd.distiller import Distillation, check_compatible
from arrayse.kd.methods import METHODS
from arrayse.kd.teacher import CachedViews, LiveViews, Teacher, check_coverage
from arrayse.kd.term import Term, build_term

__all__ = [
    "METHODS",
    "CachedViews",
    "Distillation",
    "DistillationLoss",
    "LiveViews",
    "Teacher",
    "Term",
    "build_term",
    "check_compatible",
    "check_coverage",
]
