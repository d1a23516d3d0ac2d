"""Distillation: a file per published method, and the objective that joins methods, teacher and student."""

from __future__ import annotations

from arrayse.kd.distiller import Distillation, Term, build_term
from arrayse.kd.fused import Fused
from arrayse.kd.lin import Lin
from arrayse.kd.lstm1 import Lstm1
from arrayse.kd.lstm2 import Lstm2

__all__ = ["METHODS", "Distillation", "Fused", "Lin", "Lstm1", "Lstm2", "Term", "build_term"]

METHODS = {"lin": Lin, "lstm1": Lstm1, "lstm2": Lstm2, "fused": Fused}
"""The fixed table of distillation losses."""
