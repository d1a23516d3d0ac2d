"""Keys of the verb that sweeps a condition."""

# mypy: disable-error-code="valid-type"
# (types made from signatures exist at run time only)

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, MinLen
from pydantic import AfterValidator, Field

from arrayse.evaluation.baselines import BEAMFORMERS
from arrayse.metrics import DEFAULT_METRICS, METRICS
from arrayse.mixture import SPLITS
from arrayse.schema.base import Place, Seed, Strict, unique
from arrayse.sweep import CONDITIONS

SweepValue = float | str | dict[str, Any]


class SweepConfig(Strict):
    """What is scored while one thing changes.

    Attributes:
        condition: what changes.
        values: that it takes.
        data: folder of the dataset, which ``arrayse simulate`` made.
        out: folder of the sweep.
        runs: run folders, beside those that stand in the command.
        split: of the dataset.
        n_scenes: the first so many.
        snr_db: SNR in dB of all scenes; None: 5.
        metrics: what is scored.
        beamformers: baselines, and bounds that are told the truth.
        reference: value that the others are compared with; None: the first one.
        baseline: system that the others are compared with; None: none.
        workers: processes; None: one for each core.
        seed: of the resampling that gives intervals.
    """

    condition: Literal[tuple(CONDITIONS)]
    values: Annotated[list[SweepValue], MinLen(2)]
    data: Place
    out: Place
    runs: list[Place] = Field(default_factory=list)
    split: Literal[SPLITS] = "test"
    n_scenes: Annotated[int, Ge(1)] = 40
    snr_db: float | None = None
    metrics: Annotated[list[Literal[tuple(METRICS)]], MinLen(1), AfterValidator(unique)] = Field(
        default_factory=lambda: list(DEFAULT_METRICS)
    )
    beamformers: Annotated[list[Literal[tuple(BEAMFORMERS)]], AfterValidator(unique)] = Field(default_factory=list)
    reference: float | str | None = None
    baseline: str | None = None
    workers: Annotated[int, Ge(1)] | None = None
    seed: Seed = 0
