"""What a verb can be told: every key with its default and what it may be, read off the schema."""

from __future__ import annotations

from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from arrayse.schema.tree import members_of, tag_of


def list_keys(schema: type[BaseModel], prefix: str = "") -> list[tuple[str, str, str]]:
    """Rows of (key, default, what it may be); keys of a union's members follow the key that chooses the member."""
    rows: list[tuple[str, str, str]] = []
    for name, field in schema.model_fields.items():
        key = prefix + name
        members = members_of(field.annotation)
        if not members:
            rows.append((key, _default(field), _kind(field.annotation, field.metadata)))
        for member in members:
            tag = tag_of(member)
            if tag is not None and len(members) > 1:
                rows.append((key, "", f"for {tag}:"))
            inner = f"{key}.NAME." if _is_named(field) else f"{key}."
            rows += list_keys(member, inner)
    return rows


def _is_named(field: FieldInfo) -> bool:
    """Whether the value is a mapping from names that the user chooses."""
    return any(get_origin(part) is dict for part in (field.annotation, *_parts(field.annotation)))


def _parts(annotation: Any) -> list[Any]:
    """Everything that a type is made of."""
    return [inner for part in get_args(annotation) for inner in (part, *_parts(part))]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    return "none" if value is None else str(value)


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
            return f"{sign} {getattr(limit, name):g}"
    if getattr(limit, "max_length", None) is not None:
        return f"{limit.max_length} values"
    return ""
