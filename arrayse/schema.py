"""What a configuration may hold: schemas read off the signatures of the library, and the few keys of the verbs."""

# mypy: disable-error-code="valid-type"
# (types made from signatures exist at run time only)

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_type_hints

from annotated_types import Ge, Le, Len, MinLen
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model

from arrayse.beamform import BEAMFORMERS
from arrayse.frontend.features import Features
from arrayse.frontend.stft import Stft
from arrayse.geometry import PRESETS
from arrayse.kd.methods import METHODS, WRAPPED
from arrayse.losses import LOSSES
from arrayse.metrics import DEFAULT_METRICS, METRICS
from arrayse.mixture import SPLITS
from arrayse.models import GIVEN, NETS
from arrayse.train import FitSettings
from simulate.recipe import Recipe


def _expanded(text: str) -> str:
    return str(Path(text).expanduser())


def _unique(values: list[Any]) -> list[Any]:
    if len(set(values)) < len(values):
        raise ValueError("every value once")
    return values


class Strict(BaseModel):
    """No unknown keys, no conversions ("5" is not 5), no infinities."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def schema_of(
    target: Callable[..., Any], given: tuple[str, ...] = (), parts: dict[str, Any] | None = None, **tag: str
) -> type[BaseModel]:
    """A schema with the arguments, types, ranges and defaults of a function, class or dataclass.

    Args:
        target: whose signature counts.
        given: arguments that the program gives, not the user.
        parts: what arguments that are objects look like in a configuration.
        tag: one key with a fixed value that tells this schema from others, such as ``name="ft_jnf"``.
    """
    hints = get_type_hints(target.__init__ if inspect.isclass(target) else target, include_extras=True)
    hints |= {name: part for name, part in (parts or {}).items() if name in hints}
    factories = {}
    if dataclasses.is_dataclass(target):
        hints = get_type_hints(target, include_extras=True)
        fields = dataclasses.fields(target)
        factories = {f.name: f.default_factory for f in fields if f.default_factory is not dataclasses.MISSING}
    arguments: dict[str, Any] = {key: (Literal[value], ...) for key, value in tag.items()}
    for name, parameter in inspect.signature(target).parameters.items():
        if name in given or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        default = ... if parameter.default is parameter.empty else parameter.default
        if dataclasses.is_dataclass(hints[name]):  # a part with a schema of its own
            part = schema_of(hints[name])
            arguments[name] = (part, Field(default_factory=part))
        elif name in factories:
            arguments[name] = (hints[name], Field(default_factory=factories[name]))
        else:
            arguments[name] = (hints[name], default)
    return create_model(target.__name__, __base__=Strict, **arguments)


def one_of(table: dict[str, Any], key: str, given: tuple[str, ...] = (), parts: dict[str, Any] | None = None) -> Any:
    """Any member of a fixed table, told by ``key``."""
    members = tuple(schema_of(member, given, parts, **{key: name}) for name, member in table.items())
    return Annotated[Union[members], Field(discriminator=key)]  # noqa: UP007


Net = one_of(NETS, "name", given=GIVEN)
Loss = one_of(LOSSES, "name")
Wrapped = one_of({name: METHODS[name] for name in WRAPPED}, "name", given=("pairs",))
Method = one_of(METHODS, "name", given=("pairs",), parts={"inner": Wrapped})
Mic = Annotated[int, Ge(0)]
Count = Annotated[int, Ge(0)]
Seed = Annotated[int, Ge(0), Le(2**32 - 1)]
Place = Annotated[str, MinLen(1), AfterValidator(_expanded)]
"""A file or folder; ~ is the home folder."""
Names = Literal[tuple(METRICS)]


Epochs = Annotated[int, Ge(1)]


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


class TrainConfig(Strict):
    """A training of one phase or several, each with a fresh optimiser and the full learning rate.

    A phase takes ``epochs``, or its own of ``phase_epochs``, at most. It ends when the validation loss has not improved
    for ``patience`` epochs, or, if it is not the last one, ``switch_patience``; None: never early.
    """

    data: Place
    fresh: Count = 0
    out: Place
    model: Net
    stft: schema_of(Stft) = Field(default_factory=lambda: schema_of(Stft)())
    features: schema_of(Features, ("frame_rate",)) = Field(
        default_factory=lambda: schema_of(Features, ("frame_rate",))()
    )
    mics: list[Mic] | None = None
    ref_mic: Mic | None = None
    loss: Loss = Field(default_factory=lambda: {"name": "wave_magnitude_l1"}, validate_default=True)
    epochs: Epochs = 20
    phase_epochs: Annotated[list[Epochs], MinLen(1)] | None = None
    patience: Annotated[int, Ge(1)] | None = None
    switch_patience: Annotated[int, Ge(1)] | None = None
    seed: Seed = 0
    fit: schema_of(FitSettings) = Field(default_factory=lambda: schema_of(FitSettings)())


class TermConfig(Strict):
    """One distillation term; ``pairs`` of (student's tap, teacher's tap), by default those of the method."""

    loss: Method
    weight: Annotated[float, Ge(0)] = 1.0
    pairs: list[Annotated[list[str], Len(2, 2)]] | None = None


class DistillSection(Strict):
    """How a student learns from teachers.

    ``one_step``: one phase with ``supervised_weight`` on the supervised loss and the rest on the terms.
    ``two_step``: the terms alone, then the supervised loss alone. ``three_step``: the terms alone, then both as in
    ``one_step``, then the supervised loss alone. ``cache`` is a folder for the teachers' outputs.
    """

    schedule: Literal["one_step", "two_step", "three_step"] = "one_step"
    supervised_weight: Annotated[float, Ge(0), Le(1)] = 0.5
    terms: Annotated[dict[str, TermConfig], MinLen(1)]
    cache: Place | None = None


class TeacherConfig(Strict):
    """One of several teachers; ``snr_db``: lowest and highest SNR of the items that it is asked about."""

    run: Place
    weight: Annotated[float, Ge(0)] = 1.0
    snr_db: Annotated[list[float], Len(2, 2)] | None = None


class DistillConfig(TrainConfig):
    teacher: Place | None = None
    teachers: Annotated[dict[str, TeacherConfig], MinLen(1)] | None = None
    distill: DistillSection


class EvaluateConfig(Strict):
    data: Place
    out: Place
    split: Literal[SPLITS] = "test"
    snr_db: Annotated[list[float], MinLen(1), AfterValidator(_unique)] = Field(
        default_factory=lambda: [-5.0, 0.0, 5.0, 10.0, 15.0]
    )
    n_scenes: Annotated[int, Ge(1)] | None = None
    metrics: Annotated[list[Names], MinLen(1), AfterValidator(_unique)] = Field(
        default_factory=lambda: list(DEFAULT_METRICS)
    )
    beamformers: Annotated[list[Literal[tuple(BEAMFORMERS)]], AfterValidator(_unique)] = Field(default_factory=list)
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


class VerifyConfig(Strict):
    workers: Annotated[int, Ge(1)] | None = None


class ReportConfig(Strict):
    out: Place | None = None


class PatchesConfig(Strict):
    out: Place | None = None
    n: Annotated[int, Ge(1)] = 3


class ProfileConfig(Strict):
    out: Place | None = None
    array: Place | dict[str, Any] = "circular"
    sample_rate: Annotated[int, Ge(8000), Le(48000)] = 16000
    rtf: bool = True
    seconds: Annotated[float, Ge(0.1), Le(60)] = 4.0
    repeats: Annotated[int, Ge(1), Le(100)] = 3


class EnhanceConfig(Strict):
    gain_db: Annotated[float, Ge(-60), Le(60)] = 0.0


class ArrayShowConfig(Strict):
    out: Place | None = None
    sample_rate: Annotated[int, Ge(8000), Le(192000)] = 16000


class QuickstartConfig(Strict):
    out: Place = "runs/quickstart"


SCHEMAS: dict[str, type[BaseModel]] = {
    "simulate": SimulateConfig,
    "train": TrainConfig,
    "distill": DistillConfig,
    "evaluate": EvaluateConfig,
    "enhance": EnhanceConfig,
    "report": ReportConfig,
    "patches": PatchesConfig,
    "profile": ProfileConfig,
    "verify": VerifyConfig,
    "benchmark": BenchmarkConfig,
    "array_show": ArrayShowConfig,
    "quickstart": QuickstartConfig,
}


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
