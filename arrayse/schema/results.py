"""Keys of the verbs that measure networks, and show what was measured."""

# mypy: disable-error-code="valid-type"
# (types made from signatures exist at run time only)

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Le, MinLen
from pydantic import AfterValidator, Field

from arrayse.beamform import BEAMFORMERS
from arrayse.metrics import DEFAULT_METRICS, METRICS
from arrayse.mixture import SPLITS
from arrayse.schema.base import Count, Place, Seed, Strict, unique

Names = Literal[tuple(METRICS)]


class EvaluateConfig(Strict):
    data: Place
    out: Place
    split: Literal[SPLITS] = "test"
    snr_db: Annotated[list[float], MinLen(1), AfterValidator(unique)] = Field(
        default_factory=lambda: [-5.0, 0.0, 5.0, 10.0, 15.0]
    )
    n_scenes: Annotated[int, Ge(1)] | None = None
    metrics: Annotated[list[Names], MinLen(1), AfterValidator(unique)] = Field(
        default_factory=lambda: list(DEFAULT_METRICS)
    )
    beamformers: Annotated[list[Literal[tuple(BEAMFORMERS)]], AfterValidator(unique)] = Field(default_factory=list)
    baseline: str | None = None
    n_examples: Count = 3
    workers: Annotated[int, Ge(1)] | None = None
    seed: Seed = 0


class BenchmarkConfig(Strict):
    data: Place | None = None
    speech: Place = "builtin"
    noise: Place = "builtin"
    repeats: Annotated[int, Ge(1), Le(100)] = 7
    out: Place | None = None


class ReportConfig(Strict):
    out: Place | None = None
