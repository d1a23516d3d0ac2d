"""Keys of the verbs about data: arrays, simulate, verify."""

# mypy: disable-error-code="valid-type"
# (types made from signatures exist at run time only)

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Ge, Le
from pydantic import AfterValidator, BaseModel, Field, create_model

from arrayse.geometry import PRESETS, ArrayGeometry
from arrayse.schema.base import Count, Mic, Place, Seed, Strict, schema_of
from simulate.recipe import Recipe


class Scenes(Strict):
    """Scenes per split.

    Attributes:
        train: scenes to learn from.
        valid: scenes that training is watched on.
        test: scenes that systems are scored on.
    """

    train: Count = 1500
    valid: Count = 100
    test: Count = 100


class SimulateConfig(Strict):
    """A dataset.

    Attributes:
        out: folder of the dataset.
        array: a named array, a YAML file, or its content: ``{preset: circular, radius: 0.04}``.
        speech: ``builtin``, a folder of mono files, or a folder with a MANIFEST.csv.
        noise: likewise.
        rooms: folder of measured room responses, in place of simulated rooms.
        room_channels: of these files, one for each microphone; None: files have as many as the array.
        sample_rate: Hz; all files have to have it.
        n_scenes: scenes per split.
        seed: start of all draws.
        workers: processes; None: one for each core.
        cluster: ``local`` or ``tcp://host:port``: on dask workers (extra ``scale``).
        preview: look at so many scenes on a page, and make no dataset; 0: make it.
        recipe: what scenes are drawn from.
    """

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
    """A check of a dataset.

    Attributes:
        workers: processes; None: one for each core.
    """

    workers: Annotated[int, Ge(1)] | None = None


class ArrayShowConfig(Strict):
    """A picture of an array.

    Attributes:
        out: the file, a .png; None: the name of the array.
        sample_rate: Hz; half of it is the highest frequency of the picture.
    """

    out: Place | None = None
    sample_rate: Annotated[int, Ge(8000), Le(192000)] = 16000


class ArrayKeys(Strict):
    """Keys that every description of an array may have.

    Attributes:
        ref_mic: channel at which speech is to be estimated, from 0.
        mics: channels that are kept, in this order; None: all.
        name: shown in reports.
    """

    ref_mic: Mic = 0
    mics: list[Mic] | None = None
    name: str | None = None


def _are_places(positions: list[list[float]]) -> list[list[float]]:
    """The same; raises ValueError for what no array can have."""
    lengths = sorted({len(row) for row in positions})
    if lengths != [3]:
        raise ValueError(f"expected rows of 3 numbers (x, y, z in metres), got rows of {lengths}")
    try:
        ArrayGeometry(positions)
    except ValueError as error:
        raise ValueError(str(error).removeprefix("positions: ")) from None
    return positions


class ExplicitArray(ArrayKeys):
    """An array by its places.

    Attributes:
        positions: (x, y, z) of every microphone in metres; x to the front, y to the left, z up.
    """

    positions: Annotated[list[list[float]], AfterValidator(_are_places)]


PRESET_ARRAYS: dict[str, type[BaseModel]] = {
    name: create_model(name, __base__=(schema_of(preset, preset=name), ArrayKeys)) for name, preset in PRESETS.items()
}
