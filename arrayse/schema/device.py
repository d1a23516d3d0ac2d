"""Keys of the verbs about what runs on a device: enhance, profile."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le

from arrayse.schema.base import Place, Strict


class ProfileConfig(Strict):
    out: Place | None = None
    array: Place | dict[str, Any] = "circular"
    sample_rate: Annotated[int, Ge(8000), Le(48000)] = 16000
    rtf: bool = True
    seconds: Annotated[float, Ge(0.1), Le(60)] = 4.0
    repeats: Annotated[int, Ge(1), Le(100)] = 3
    device: bool = False
    onnx: Place | None = None


class ExportConfig(Strict):
    form: Literal["frame", "wave"] | None = None
    int8: bool = False
    data: Place | None = None
    n_scenes: Annotated[int, Ge(1)] | None = None


class EnhanceConfig(Strict):
    gain_db: Annotated[float, Ge(-60), Le(60)] = 0.0


class StreamConfig(EnhanceConfig):
    block: Annotated[int, Ge(1), Le(2**20)] | None = None
    backend: Literal["torch", "onnx"] | None = None


class LiveConfig(StreamConfig):
    input: str | None = None
    output: str | None = None
    seconds: Annotated[float, Gt(0)] | None = None
    devices: bool = False
