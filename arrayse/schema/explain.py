"""What is wrong with a configuration, in words: what, expected, got, and the nearest name that would do."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from pydantic import BaseModel

from arrayse.schema.likely import did_you_mean, likely_keys, nearest
from arrayse.schema.tree import locate

A_TERM = (
    "add a distill config such as lin_one_step (arrayse distill --list names all), or set distill.terms.NAME.loss=…"
)
HOW_TO_SET = {
    "data": "set data=FOLDER, which arrayse simulate has made",
    "out": "set out=FOLDER, where the result is to lie",
    "model": "add a train config such as teacher or student",
    "distill": A_TERM,
    "distill.terms": A_TERM,
}
"""What is to be done about keys that are not set one by one."""

SHAPES = {
    "sets": "[taps of the student, taps of the teacher], two lists",
    "pairs": "[tap of the student, tap of the teacher]",
}
"""What lies in mappings and lists whose entries are lists themselves."""


def explain(schema: type[BaseModel], error: Any, prefix: str) -> str:
    """One error of pydantic as a line.

    Args:
        schema: that was not met.
        error: one of ``ValidationError.errors()``.
        prefix: what stands before every key.
    """
    place, siblings = locate(schema, error["loc"])
    name = prefix + place
    if error["type"] == "extra_forbidden":
        likely = did_you_mean(likely_keys(schema, place, siblings)) or _choices(siblings)
        return f"{name}: expected a known key, got an unknown one{likely}"
    if error["type"] == "missing":
        return f"{name}: expected a value, got none: {HOW_TO_SET.get(name, f'set {name}=…')}"
    if error["type"] == "union_tag_not_found":
        key = error["ctx"]["discriminator"].strip("'")
        return f"{name}.{key}: expected a value, got none: set {name}.{key}=…"
    if error["type"] in ("union_tag_invalid", "literal_error"):
        return _explain_choice(name, error)
    if error["type"] in ("too_short", "too_long"):
        return f"{name}: expected {_size(name, error)}, got {error['input']!r}"
    message = error["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    if re.match(r"[\w.]+: expected ", message):  # of the class itself, about one of its arguments
        return f"{name}.{message}"
    if message.startswith("expected "):  # of the value itself
        return f"{name}: {message}"
    comparison = message.startswith(("greater", "less"))
    return f"{name}: expected {'a value ' if comparison else ''}{message}, got {error['input']!r}"


def _explain_choice(name: str, error: Any) -> str:
    """A name outside a fixed table: of a union's member (its key is in the context) or of a literal."""
    context = error.get("ctx", {})
    key = context.get("discriminator", "").strip("'")
    expected = str(context.get("expected_tags") or context.get("expected") or "a name")
    choices = [choice.strip("' ") for choice in expected.replace(" or ", ", ").split(", ")]
    got = context.get("tag", error["input"])
    near = did_you_mean(nearest(str(got), choices))
    listed = f"one of {', '.join(choices)}" if len(choices) > 1 or key else expected
    return f"{name}{'.' + key if key else ''}: expected {listed}, got {got}{near}"


def _size(name: str, error: Any) -> str:
    """How many values a list or mapping takes."""
    above = name.split(".")[-2:-1]
    if above and above[0] in SHAPES:
        return SHAPES[above[0]]
    context = error["ctx"]
    number = context.get("min_length", context.get("max_length"))
    return f"at {'least' if 'min_length' in context else 'most'} {number} value{'s' * (number != 1)}"


def _choices(names: Collection[str]) -> str:
    return f": known are {', '.join(sorted(names))}" if names else ""
