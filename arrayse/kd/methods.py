"""The table of distillation losses."""

from __future__ import annotations

from typing import Any, cast

from arrayse.installed import Table
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

METHODS = Table(
    {
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
    },
    "arrayse.distillation_losses",
    DistillationLoss,
    ("paper", "formulas", "taps"),
    ("pairs",),
)
"""The table of distillation losses, and those of installed packages: nothing else can be named in a config."""

SYMBOLS: dict[str, str] = {
    "S": "of the student; alone: the spectrum of its estimate",
    "T": "of the teacher; alone: the spectrum of its estimate",
    "M": "masks",
    "Z": "linear outputs, before the bound of the masks",
    "F": "features: outputs of a layer",
    "G": "Gram: products of all pairs of rows, or their cosines",
    "U": "rows of the F-LSTM's output",
    "V": "rows of the T-LSTM's output",
    "ᵀ": "transposed",
    "P": "similarities of a row to all rows, as probabilities",
    "cos": "cosine: 1 where the directions are equal",
    "low": "band below the crossover",
    "high": "band above the crossover",
    "α": "how much a layer of the student learns from a layer of the teacher, a softmax",
    "β": "share of the direction in the high band",
    "φ": "trained 1×1 convolution, from the student's channels to the teacher's",
    "i": "row: an item of the batch; or a layer of the student",
    "j": "row: another item of the batch; or a layer of the teacher",
    "p": "patch: some neighbouring bins of a frame",
    "k": "share of the patches",
    "E": "distance of an estimate from the clean target, within a patch",
    "inner": "the loss that it is wrapped around",
    "mean": "over bins or rows, frames and items, unless it says of what",
    "var": "variance",
    "log": "natural logarithm",
    "|·|": "absolute value, or modulus",
    "Σ": "sum",
    "∝": "proportional to",
}
"""What the symbols of the formulas mean, in all of them; one after an underscore is an index."""

WRAPPED = tuple(INNER)
"""Losses that another one can be wrapped around."""


def method_of(values: dict[str, Any]) -> type[DistillationLoss]:
    """The class of a loss as it stands in a config: ``name`` of :data:`METHODS` and the arguments of that class."""
    return cast(type[DistillationLoss], METHODS[values["name"]])


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
