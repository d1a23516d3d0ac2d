"""Keys of the verbs that measure networks, and show what was measured."""

# mypy: disable-error-code="valid-type"
# (types made from signatures exist at run time only)

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Le, Len, MinLen
from pydantic import AfterValidator, Field

from arrayse.evaluation.baselines import BEAMFORMERS
from arrayse.metrics import METRICS
from arrayse.mixture import SPLITS
from arrayse.schema.base import Count, Place, Seed, Strict, unique

Names = Literal[tuple(METRICS)]


def _unique(values: list[float] | None) -> list[float] | None:
    return values if values is None else unique(values)


class EvaluateConfig(Strict):
    """An evaluation of runs; None mostly stands for what goes with the source.

    Attributes:
        data: a dataset of ``arrayse simulate``; or else one of the next two.
        pairs: folder with noisy and clean files, named as in public test sets.
        recordings: folder of recordings without a reference.
        out: folder of the evaluation.
        split: of the dataset; None: test.
        snr_db: SNRs in dB that scenes are mixed at; None: [-5,0,5,10,15].
        n_scenes: the first so many; None: all.
        metrics: what is scored; None: WB-PESQ, ESTOI and SI-SDR, of recordings DNSMOS where it is installed.
        beamformers: baselines, and bounds that are told the truth.
        other_array: let networks hear another array than theirs, channel by channel.
        binaural: names of pairs of runs, ``{ears: [LEFT, RIGHT]}``, whose interaural errors are scored.
        baseline: system that the others are compared with; None: none.
        teacher: run of which it is told how much of its gain the others keep; None: the largest that taught another.
        n_examples: scenes to be heard in a report.
        speed: measure real-time factors too.
        workers: processes; None: one for each core.
        cluster: ``local`` or ``tcp://host:port``: on dask workers (extra ``scale``).
        seed: of the resampling that gives intervals.
    """

    data: Place | None = None
    pairs: Place | None = None
    recordings: Place | None = None
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
    """A measurement of speed.

    Attributes:
        data: dataset, for ``distillation`` and ``evaluation``.
        speech: corpus, for ``simulator``: see ``arrayse keys simulate``.
        noise: likewise.
        repeats: measurements, whose median counts.
        out: file for the table; None: it is only printed.
    """

    data: Place | None = None
    speech: Place = "builtin"
    noise: Place = "builtin"
    repeats: Annotated[int, Ge(1), Le(100)] = 7
    out: Place | None = None


class ReportConfig(Strict):
    """A page about evaluations.

    Attributes:
        out: the page, a .html; None: report.html in the first folder.
    """

    out: Place | None = None
