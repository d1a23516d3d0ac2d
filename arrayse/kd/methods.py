"""The fixed table of distillation losses."""

from __future__ import annotations

from typing import Any

from arrayse.kd.base import DistillationLoss, Pair
from arrayse.kd.clskd import Clskd
from arrayse.kd.dfkd import Dfkd
from arrayse.kd.dispatch import INNER, Dispatch
from arrayse.kd.feature_regression import FeatureRegression
from arrayse.kd.fused import Fused
from arrayse.kd.gram import Gram
from arrayse.kd.i2s_tfckd import I2sTfckd
from arrayse.kd.lin import Lin
from arrayse.kd.lstm1 import Lstm1
from arrayse.kd.lstm2 import Lstm2
from arrayse.kd.magnitude import Magnitude
from arrayse.kd.mask import Mask
from arrayse.kd.similarity_preserving import SimilarityPreserving
from arrayse.kd.subband import SubBand

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
    "magnitude": Magnitude,
    "subband": SubBand,
    "dfkd": Dfkd,
    "dispatch": Dispatch,
    "i2s_tfckd": I2sTfckd,
}

WRAPPED = tuple(INNER)
"""Losses that another one can be wrapped around."""


def method_of(values: dict[str, Any]) -> type[DistillationLoss]:
    """The class of a loss as it stands in a config: ``name`` of :data:`METHODS` and the arguments of that class."""
    return METHODS[values["name"]]


def build_loss(values: dict[str, Any], pairs: list[Pair]) -> DistillationLoss:
    """Builds a loss, and the one that it is wrapped around if it has one (``inner``).

    Args:
        values: as they stand in a config.
        pairs: channels of the taps that it compares.

    Raises:
        ValueError: what the class refuses.
    """
    arguments: dict[str, Any] = {key: value for key, value in values.items() if key != "name"}
    if isinstance(arguments.get("inner"), dict):
        wrapped = method_of(arguments["inner"])
        arguments["inner"] = build_loss(arguments["inner"], pairs[: len(wrapped.default_pairs(arguments["inner"]))])
    return method_of(values)(pairs, **arguments)
