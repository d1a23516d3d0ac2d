"""Keys of the verbs about data: arrays, simulate, verify."""

# mypy: disable-error-code="valid-type"
# (types made from signatures exist at run time only)

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Ge, Le
from pydantic import BaseModel, Field, create_model

from arrayse.geometry import PRESETS
from arrayse.schema.base import Count, Mic, Place, Seed, Strict, schema_of
from simulate.recipe import Recipe


class Scenes(Strict):
    """Scenes per split."""

    train: Count = 1500
    valid: Count = 100
    test: Count = 100


class SimulateConfig(Strict):
    out: Place
    array: Place | dict[str, Any] = "circular"
    speech: Place = "builtin"
    noise: Place = "builtin"
    rooms: Place | None = None
    room_channels: list[Mic] | None = None
    sample_rate: Annotated[int, Ge(8000), Le(48000)] = 16000
    n_scenes: Scenes = Field(default_factory=Scenes)
    seed: Seed = 0
    workers: Annotated[int, Ge(1)] | None = None
    cluster: str | None = None
    preview: Count = 0
    recipe: schema_of(Recipe) = Field(default_factory=lambda: schema_of(Recipe)())


class VerifyConfig(Strict):
    workers: Annotated[int, Ge(1)] | None = None


class ArrayShowConfig(Strict):
    out: Place | None = None
    sample_rate: Annotated[int, Ge(8000), Le(192000)] = 16000


class ArrayKeys(Strict):
    """Keys that every description of an array may have; ``mics`` keeps a subset of the channels."""

    ref_mic: Mic = 0
    mics: list[Mic] | None = None
    name: str | None = None


class ExplicitArray(ArrayKeys):
    positions: list[list[float]]


PRESET_ARRAYS: dict[str, type[BaseModel]] = {
    name: create_model(name, __base__=(schema_of(preset, preset=name), ArrayKeys)) for name, preset in PRESETS.items()
}
