"""Ways through a schema: its members, the place of an error in it, the type of a key."""

from __future__ import annotations

import inspect
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

NAME = "NAME"
"""Stands in a key for what people name themselves."""


def members_of(annotation: Any) -> list[type[BaseModel]]:
    """The schemas that a field's type is made of."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return [annotation]
    return [member for part in get_args(annotation) for member in members_of(part)]


def section_of(key: str, field: FieldInfo) -> str:
    """What stands before the keys inside a key: ``fit.``, or ``terms.NAME.`` where people choose names."""
    named = any(get_origin(part) is dict for part in (field.annotation, *_parts(field.annotation)))
    return f"{key}.{NAME}." if named else f"{key}."


def _parts(annotation: Any) -> list[Any]:
    """Everything that a type is made of."""
    return [inner for part in get_args(annotation) for inner in (part, *_parts(part))]


def keys_of(schema: type[BaseModel], prefix: str = "") -> list[str]:
    """Every key of a schema with dots, sections included, each once."""
    keys: list[str] = []
    for name, field in schema.model_fields.items():
        keys.append(prefix + name)
        for member in members_of(field.annotation):
            keys += keys_of(member, section_of(prefix + name, field))
    return list(dict.fromkeys(keys))


def locate(schema: type[BaseModel], location: tuple[int | str, ...]) -> tuple[str, set[str]]:
    """Where an error of pydantic lies as people write it, and the keys that may stand there.

    Pydantic puts the tag of a chosen union member into the location; nobody writes that.
    """
    members, place, siblings = [schema], [], set(schema.model_fields)
    for part in location:
        chosen = [member for member in members if part == tag_of(member)]
        if chosen:
            members = chosen
            continue
        place.append(str(part) if str(part).isprintable() else ascii(part))
        siblings = {key for member in members for key in member.model_fields}
        fields = [m.model_fields[part] for m in members if isinstance(part, str) and part in m.model_fields]
        if fields:
            members = [member for field in fields for member in members_of(field.annotation)]
    return ".".join(place), siblings


def tag_of(schema: type[BaseModel]) -> str | None:
    for field in schema.model_fields.values():
        if get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1:
            return str(get_args(field.annotation)[0])
    return None


def takes_text(schema: type[BaseModel], key: str) -> bool:
    """Whether a key of the top level takes text, which an override gives as it stands."""
    field = schema.model_fields.get(key)
    if field is None:
        return False
    choices = get_args(field.annotation) if get_origin(field.annotation) in (Union, UnionType) else [field.annotation]
    return any(_bare(choice) is str for choice in choices)


def _bare(annotation: Any) -> Any:
    """A type without what is said about it."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
