"""Keys of the verbs about what runs on a device: enhance, profile."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Ge, Le

from arrayse.schema.base import Place, Strict


class ProfileConfig(Strict):
    out: Place | None = None
    array: Place | dict[str, Any] = "circular"
    sample_rate: Annotated[int, Ge(8000), Le(48000)] = 16000
    rtf: bool = True
    seconds: Annotated[float, Ge(0.1), Le(60)] = 4.0
    repeats: Annotated[int, Ge(1), Le(100)] = 3


class EnhanceConfig(Strict):
    gain_db: Annotated[float, Ge(-60), Le(60)] = 0.0
