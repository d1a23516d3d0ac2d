"""What all schemas are made of: strictness, schemas read off signatures, and types that many keys have."""

# mypy: disable-error-code="valid-type"
# (types made from signatures exist at run time only)

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_type_hints

from annotated_types import Ge, Le
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model

from arrayse.schema.docstrings import documentation_of

NEEDED = "…"
"""In place of a default or value that has to be told."""


def _expanded(text: str) -> str:
    if text in ("", NEEDED):
        raise ValueError("a file or folder")
    return str(Path(text).expanduser())


def unique(values: list[Any]) -> list[Any]:
    """The same list; raises ValueError where a value comes twice."""
    if len(set(values)) < len(values):
        raise ValueError("every value once")
    return values


class Strict(BaseModel):
    """No unknown keys, no conversions ("5" is not 5), no infinities."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def schema_of(
    target: Callable[..., Any], given: tuple[str, ...] = (), parts: dict[str, Any] | None = None, **tag: str
) -> type[BaseModel]:
    """A schema with the arguments, types, ranges, defaults and meanings of a function, class or dataclass.

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
    return create_model(target.__name__, __base__=Strict, __doc__=documentation_of(target), **arguments)


def builds(target: Callable[..., Any]) -> AfterValidator:
    """Checks also what only the class itself can see: the values of its schema have to build it."""

    def check(values: BaseModel) -> BaseModel:
        target(**values.model_dump())
        return values

    return AfterValidator(check)


def one_of(table: Mapping[str, Any], key: str, given: tuple[str, ...] = (), parts: dict[str, Any] | None = None) -> Any:
    """Any member of a table, told by ``key``."""
    members = tuple(schema_of(member, given, parts, **{key: name}) for name, member in table.items())
    return Annotated[Union[members], Field(discriminator=key)]  # noqa: UP007


Mic = Annotated[int, Ge(0)]
Count = Annotated[int, Ge(0)]
Seed = Annotated[int, Ge(0), Le(2**32 - 1)]
Place = Annotated[str, AfterValidator(_expanded)]
"""A file or folder; ~ is the home folder."""
