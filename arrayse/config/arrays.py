"""Microphone arrays by name, from YAML files, or by their values."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from arrayse.config.read import ConfigError, check_values, find_config, read_yaml
from arrayse.geometry import PRESETS, ArrayGeometry, check_mics
from arrayse.schema.data import PRESET_ARRAYS, ArrayKeys, ExplicitArray
from arrayse.schema.likely import did_you_mean, nearest

Values = dict[str, Any]

NOT_OF_PRESETS = ("preset", "ref_mic", "mics", "name")
"""Keys of an array that are no arguments of its preset."""


def read_array(array: str | Values) -> ArrayGeometry:
    """Builds an array from a named config, a YAML file, or the values themselves.

    Raises:
        ConfigError: everything that is wrong with them, a line each.
    """
    values = read_yaml(find_config(array, "array")) if isinstance(array, str) else array
    schema, values, problems = _schema_of(values)
    try:
        arguments = check_values(schema, values, "array.")
        whole = _whole(arguments)
    except ConfigError as error:
        problems += str(error).splitlines()
    except ValueError as error:  # of arguments that do not go together
        problems.append(f"array.{error}")
    problems += _told_of_channels(values, _n_mics(schema, values))
    if problems:
        raise ConfigError("\n".join(problems))
    geometry = ArrayGeometry(whole.positions, arguments["ref_mic"], whole.name)
    return geometry if arguments["mics"] is None else geometry.subset(arguments["mics"])


def _schema_of(values: Values) -> tuple[type[BaseModel], Values, list[str]]:
    """What an array may hold: places, or the arguments of a preset; the values with the right name for the places.

    Raises:
        ConfigError: neither is there.
    """
    preset = values.get("preset")
    if "positions" in values:
        return ExplicitArray, values, []
    if isinstance(preset, str) and preset in PRESETS:
        return PRESET_ARRAYS[preset], values, []
    if "preset" in values:
        near = did_you_mean(nearest(str(preset), list(PRESETS)))
        raise ConfigError(f"array.preset: expected one of {', '.join(PRESETS)}, got {preset}{near}")
    for wanted in ("positions", "preset"):
        for typo in nearest(wanted, list(values)):
            told = f"array.{typo}: expected a known key, got an unknown one: did you mean {wanted}?"
            if wanted == "preset":
                raise ConfigError(told)
            return ExplicitArray, {wanted if key == typo else key: value for key, value in values.items()}, [told]
    raise ConfigError(f"array: expected positions or preset, got {', '.join(values) or 'an empty file'}")


def _whole(arguments: Values) -> ArrayGeometry:
    """The array with all its channels; its reference is not looked at."""
    rest = {key: value for key, value in arguments.items() if key not in NOT_OF_PRESETS}
    if "positions" in rest:
        return ArrayGeometry(rest["positions"], name=arguments["name"] or "array")
    preset = PRESETS[arguments["preset"]](**rest)
    return ArrayGeometry(preset.positions, name=arguments["name"] or preset.name)


def _n_mics(schema: type[BaseModel], values: Values) -> int | None:
    """How many channels the whole array has, as far as its values tell."""
    if schema is ExplicitArray:
        return len(values["positions"]) if isinstance(values["positions"], list) else None
    known = {key: values[key] for key in schema.model_fields if key in values and key not in NOT_OF_PRESETS}
    try:
        return PRESETS[values["preset"]](**known).n_mics
    except (TypeError, ValueError):
        return None


def _told_of_channels(values: Values, n_mics: int | None) -> list[str]:
    """What is wrong with ``ref_mic`` and ``mics``, where they are numbers and the number of channels is known."""
    try:
        checked = check_values(ArrayKeys, {key: values[key] for key in ArrayKeys.model_fields if key in values})
    except ConfigError:  # told already, as all of the array is checked
        return []
    if not n_mics:
        return []
    ref_mic, mics, told = checked["ref_mic"], checked["mics"], []
    if ref_mic >= n_mics:
        told.append(f"array.ref_mic: expected 0 to {n_mics - 1}, got {ref_mic}")
    elif mics is not None and "ref_mic" in values and ref_mic not in mics:
        told.append(f"array.ref_mic: expected one of the mics {mics}, got {ref_mic}")
    try:
        check_mics([0] if mics is None else mics, n_mics)
    except ValueError as error:
        told.append(f"array.{error}")
    return told
