"""Keys of the verbs that measure networks, and show what was measured."""

# mypy: disable-error-code="valid-type"
# (types made from signatures exist at run time only)

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Le, Len, MinLen
from pydantic import AfterValidator, Field

from arrayse.evaluation.baselines import BEAMFORMERS
from arrayse.metrics import METRICS
from arrayse.mixture import SPLITS
from arrayse.schema.base import Count, Place, Seed, Strict, unique

Names = Literal[tuple(METRICS)]


def _expanded(text: str | None) -> str | None:
    if text == "":
        raise ValueError("a file or folder")
    return text and str(Path(text).expanduser())


def _unique(values: list[float] | None) -> list[float] | None:
    return values if values is None else unique(values)


OptionalPlace = Annotated[str | None, AfterValidator(_expanded)]
"""A :data:`Place` that need not be told, whose text is taken as it stands all the same."""


class EvaluateConfig(Strict):
    """None stands for what goes with the source: see :func:`arrayse.verbs.results.build_request`."""

    data: OptionalPlace = None
    pairs: OptionalPlace = None
    recordings: OptionalPlace = None
    out: Place
    split: Literal[SPLITS] | None = None
    snr_db: Annotated[Annotated[list[float], MinLen(1)] | None, AfterValidator(_unique)] = None
    n_scenes: Annotated[int, Ge(1)] | None = None
    metrics: Annotated[list[Names] | None, AfterValidator(_unique)] = None
    beamformers: Annotated[list[Literal[tuple(BEAMFORMERS)]], AfterValidator(unique)] = Field(default_factory=list)
    other_array: bool = False
    binaural: dict[str, Annotated[list[str], Len(2, 2)]] = Field(default_factory=dict)
    baseline: str | None = None
    teacher: str | None = None
    n_examples: Count = 3
    speed: bool = True
    workers: Annotated[int, Ge(1)] | None = None
    cluster: str | None = None
    seed: Seed = 0


class BenchmarkConfig(Strict):
    data: Place | None = None
    speech: Place = "builtin"
    noise: Place = "builtin"
    repeats: Annotated[int, Ge(1), Le(100)] = 7
    out: Place | None = None


class ReportConfig(Strict):
    out: Place | None = None
