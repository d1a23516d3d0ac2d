"""What a verb can be told: every key, its default, what it may be and what it means, read off schema and classes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from arrayse.schema.base import NEEDED
from arrayse.schema.docstrings import summary_of, told_of_arguments
from arrayse.schema.tree import members_of, section_of, tag_of


@dataclass(frozen=True)
class Key:
    """One thing that can be told.

    Attributes:
        key: with its sections.
        default: as it would be told; :data:`NEEDED` where it has to be.
        kind: what it may be, in words.
        meaning: in a sentence, or nothing.
        chooses: whether it is the name of a class whose arguments follow.
    """

    key: str
    default: str
    kind: str
    meaning: str = ""
    chooses: bool = False


def list_keys(schema: type[BaseModel], prefix: str = "") -> list[Key]:
    """All keys; the arguments of a class that can be chosen follow the key that chooses it."""
    keys, meanings = list[Key](), told_of_arguments(schema)
    for name, field in schema.model_fields.items():
        key, members = prefix + name, members_of(field.annotation)
        if not members:
            kind = _kind(field.annotation, field.metadata)
            keys.append(Key(key, _default(field), kind, _meaning(meanings.get(name, ""), kind)))
        for member in members:
            inside = list_keys(member, section_of(key, field))
            tag = tag_of(member)
            if tag is not None:
                usual = "default" if _default_of(field).get(inside[0].key.rpartition(".")[2]) == tag else ""
                inside[0] = Key(inside[0].key, tag, usual, summary_of(member), chooses=True)
            keys += inside
    return keys


def _meaning(told: str, kind: str) -> str:
    """What is told of a key, with null for None, as it is written; nothing where it is no more than the choices."""
    words, choices = (set(re.findall(r"\w+", text)) for text in (told, kind))
    return "" if words - {"or"} <= choices else re.sub(r"\bNone\b", "null", told)


def _default_of(field: FieldInfo) -> dict[str, Any]:
    """The default of a section; empty where there is none."""
    value = None if field.is_required() else field.get_default(call_default_factory=True, validated_data={})
    return dict(value) if value else {}


def _default(field: FieldInfo) -> str:
    """As it would be written after the sign: without spaces, null for none."""
    if field.is_required():
        return NEEDED
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _kind(annotation: Any, limits: list[Any]) -> str:
    """A type and its limits in words: ``list of float, 2 values``."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(parts[0], [*parts[1:], *limits])
    if origin is Literal:
        text = " | ".join(str(part) for part in parts)
    elif origin in (Union, UnionType):
        text = " or ".join(_kind(part, []) for part in parts if part is not type(None))
    elif origin is list:
        text = f"list of {_kind(parts[0], [])}"
    else:
        text = {str: "text", dict: "mapping"}.get(
            origin or annotation, getattr(annotation, "__name__", str(annotation))
        )
    return ", ".join([text, *filter(None, map(_limit, limits))])


def _limit(limit: Any) -> str:
    for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤")):
        if hasattr(limit, name):
            return f"{sign} {getattr(limit, name):.12g}"
    if getattr(limit, "max_length", None) is not None:
        return f"{limit.max_length} values"
    return ""
