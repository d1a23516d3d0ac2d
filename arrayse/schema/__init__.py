"""What a configuration may hold: schemas read off the signatures of the library, and the few keys of the verbs."""

from __future__ import annotations

from pydantic import BaseModel

from arrayse.schema.base import Place, Strict
from arrayse.schema.data import ArrayShowConfig, SimulateConfig, VerifyConfig
from arrayse.schema.device import EnhanceConfig, ExportConfig, LiveConfig, ProfileConfig, StreamConfig
from arrayse.schema.nets import DistillConfig, PatchesConfig, TrainConfig
from arrayse.schema.results import BenchmarkConfig, EvaluateConfig, ReportConfig
from arrayse.schema.sweep import SweepConfig


class QuickstartConfig(Strict):
    """The whole path.

    Attributes:
        out: folder of all that it makes.
    """

    out: Place = "runs/quickstart"


SCHEMAS: dict[str, type[BaseModel]] = {
    "simulate": SimulateConfig,
    "train": TrainConfig,
    "distill": DistillConfig,
    "evaluate": EvaluateConfig,
    "sweep": SweepConfig,
    "enhance": EnhanceConfig,
    "export": ExportConfig,
    "stream": StreamConfig,
    "stream_live": LiveConfig,
    "report": ReportConfig,
    "patches": PatchesConfig,
    "profile": ProfileConfig,
    "verify": VerifyConfig,
    "benchmark": BenchmarkConfig,
    "array_show": ArrayShowConfig,
    "quickstart": QuickstartConfig,
}
