"""YAML files and ``key=value`` overrides → checked plain values.

Several files merge left to right, overrides last. What may be set, its type, range and default are read off the
signatures of the library's own classes and functions, so nothing is stated twice. Every error is collected and told
at once. Values are data: interpolations (``${…}``) are refused, so no config reads the environment or other files.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ValidationError

from arrayse.files import one_line, write_text
from arrayse.geometry import PRESETS, ArrayGeometry
from arrayse.schema import SCHEMAS
from arrayse.schema.data import PRESET_ARRAYS, ExplicitArray
from arrayse.schema.tree import locate, takes_text


class ConfigError(ValueError):
    """One or more things wrong with a configuration, a line each."""


def config_root() -> Path:
    """The folder of the named configs: inside an installed wheel, or beside the package in a checkout."""
    inside = Path(__file__).parent / "configs"
    return inside if inside.is_dir() else Path(__file__).parents[1] / "configs"


def find_config(name: str, group: str) -> Path:
    """The file that a name means: a path, or a named config with or without ``configs/``, group and ending.

    A name without its group is looked for in ``group`` first, then in the others in alphabetical order.

    Raises:
        ConfigError: nothing of that name.
    """
    given = Path(name).expanduser()
    inside = Path(*given.parts[1:]) if given.parts[:1] == ("configs",) else given
    others = sorted(path for path in config_root().glob("*") if path.is_dir())
    for candidate in (given, config_root() / inside, *(folder / inside for folder in (config_root() / group, *others))):
        for path in (candidate, candidate.parent / (candidate.name + ".yaml")):
            if path.is_file():
                return path
    if given.suffix in (".yaml", ".yml") and given.parts[:1] != ("configs",):
        raise ConfigError(f"config: expected a YAML file, got {name}: no such file")
    named = [path.relative_to(config_root()).with_suffix("").as_posix() for path in config_root().glob("*/*.yaml")]
    near = _nearest(name.removeprefix("configs/").removesuffix(".yaml"), named) or _nearest(f"{group}/{name}", named)
    choices = ", ".join(sorted(n for n in named if n.startswith(group + "/")))
    raise ConfigError(f"config: expected a YAML file or one of {choices}, got {name}{_did_you_mean(near)}")


NAMED = ("model", "loss", "inner")
"""Sections whose ``name`` says which class the others are arguments of."""

OF_NETWORK = ("stft", "features", "loss")
"""Sections that belong to a network."""


def read_config(group: str, arguments: list[str]) -> dict[str, Any]:
    """Reads, merges and checks a configuration.

    Args:
        group: the verb: ``simulate``, ``train``, ``distill`` or ``evaluate``.
        arguments: config files or names, and ``key=value`` overrides, in any order.

    Returns:
        Plain values with every default filled in.

    Raises:
        ConfigError: everything that is wrong.
    """
    files = [argument for argument in arguments if "=" not in argument]
    overrides = [argument for argument in arguments if "=" in argument]
    texts, values = _split_overrides(SCHEMAS[group], overrides)
    try:
        layers = [_load_file(find_config(name, group)) for name in files]
        plain: dict[str, Any] = {}
        for layer in [*layers, OmegaConf.from_dotlist(values)]:
            plain = _merged(plain, OmegaConf.to_container(layer, resolve=False))
    except (OmegaConfBaseException, yaml.YAMLError) as error:
        raise ConfigError(f"config: expected key=value pairs and YAML mappings, got {one_line(error)}") from None
    return check_values(SCHEMAS[group], {**plain, **texts})


def _merged(before: dict[str, Any], after: Any) -> dict[str, Any]:
    """A config with one that comes after it; another network comes without what belonged to the one before."""
    names = [layer["model"].get("name") if isinstance(layer.get("model"), dict) else None for layer in (before, after)]
    if None not in names and names[0] != names[1]:
        before = {key: value for key, value in before.items() if key not in OF_NETWORK}
    merged: dict[str, Any] = _merge(before, after)
    return merged


def _merge(before: Any, after: Any, key: str = "") -> Any:
    """Mappings key by key, all else replaced, also a section that names another class, which has other arguments."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    if key in NAMED and "name" in before and after.get("name", before["name"]) != before["name"]:
        return after
    return {**before, **{name: _merge(before.get(name), value, name) for name, value in after.items()}}


def read_array(array: str | dict[str, Any]) -> ArrayGeometry:
    """Builds an array from a named config, a YAML file, or the values themselves.

    Raises:
        ConfigError: everything that is wrong with them.
    """
    values: Any = array
    if isinstance(array, str):
        values = OmegaConf.to_container(_load_file(find_config(array, "array")), resolve=False)
    if "positions" in values:
        arguments = check_values(ExplicitArray, values, "array.")
    elif isinstance(values.get("preset"), str) and values["preset"] in PRESETS:
        arguments = check_values(PRESET_ARRAYS[values["preset"]], values, "array.")
    else:
        raise ConfigError(_explain_array(values))
    ref_mic, mics, name = (arguments.pop(key) for key in ("ref_mic", "mics", "name"))
    try:
        if "positions" in arguments:
            geometry = ArrayGeometry(_rectangular(arguments["positions"]), ref_mic, name or "array")
        else:
            preset = PRESETS[arguments.pop("preset")](**arguments)
            geometry = ArrayGeometry(preset.positions, ref_mic, name or preset.name)
        return geometry if mics is None else geometry.subset(mics)
    except ValueError as error:
        raise ConfigError(f"array.{error}") from None


def _explain_array(values: dict[str, Any]) -> str:
    """What is wrong with an array that has neither positions nor a known preset."""
    if "preset" in values:
        near = _did_you_mean(_nearest(str(values["preset"]), list(PRESETS)))
        return f"array.preset: expected one of {', '.join(PRESETS)}, got {values['preset']}{near}"
    typo = _nearest("positions", list(values)) or _nearest("preset", list(values))
    hint = f": is {typo} meant to be one?" if typo else ""
    return f"array: expected positions or preset, got {', '.join(values) or 'an empty file'}{hint}"


def check_values(schema: type[BaseModel], values: Any, prefix: str = "") -> dict[str, Any]:
    """Checks plain values against a schema and fills in the defaults.

    Raises:
        ConfigError: all unknown keys, wrong types and values out of range, a line each.
    """
    problems = [
        f"{prefix}{path}: expected a plain value, got the interpolation {text}"
        for path, text in _interpolations(values)
    ]
    try:
        checked = schema.model_validate(values)
    except ValidationError as error:
        problems += [_explain(schema, item, prefix) for item in error.errors()]
    if problems:
        raise ConfigError("\n".join(dict.fromkeys(problems)))
    return checked.model_dump()


def _split_overrides(schema: type[BaseModel], overrides: list[str]) -> tuple[dict[str, str], list[str]]:
    """Keys that take text, with the text as it stands (a path may hold spaces and signs), and the other overrides."""
    texts, others = {}, []
    for override in overrides:
        key, value = override.split("=", maxsplit=1)
        if not key.strip() or key != key.strip():
            raise ConfigError(f"config: expected key=value without spaces around the sign, got {override!r}")
        if takes_text(schema, key) and not value.startswith("{") and value != "null":
            texts[key] = value
        else:
            others.append(override)
    return texts, others


def check_same(path: Path, values: dict[str, Any]) -> None:
    """Raises ConfigError unless the resolved config in ``path`` is ``values``; where the files lie does not count."""
    there: Any = OmegaConf.to_container(_load_file(path), resolve=False)
    before, now = _flat(there), _flat(values)
    keys = sorted(key for key in {*before, *now} if not _agree(key, before.get(key), now.get(key)))
    if keys:
        told = [f"{key} {before.get(key, 'not set')} (now {now.get(key, 'not set')})" for key in keys[:4]]
        other = ", ".join([*told, *(["…"] if len(keys) > len(told) else [])])
        wanted = "expected a new folder or a run of the same config"
        raise ConfigError(f"out: {wanted}, got {path.parent} with {other}: choose another out=")


def _agree(key: str, before: Any, now: Any) -> bool:
    """Whether two values of a key mean the same run: where something lies does not count, whether there is one does."""
    place = key in ("out", "data", "teacher", "distill.cache") or (key.startswith("teachers.") and key.endswith(".run"))
    return (before is None) == (now is None) if place else bool(before == now)


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value})
    return flat


def write_config(path: Path, values: dict[str, Any]) -> None:
    """Writes resolved values as YAML."""
    write_text(path, OmegaConf.to_yaml(OmegaConf.create(values)))


def _load_file(path: Path) -> Any:
    """A YAML mapping; tags that would build objects are refused by the loader."""
    try:
        loaded = OmegaConf.load(path)
    except (OmegaConfBaseException, yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path}: expected a YAML mapping, got {one_line(error)}") from None
    if not OmegaConf.is_dict(loaded):
        raise ConfigError(f"{path}: expected a YAML mapping, got a list")
    return loaded


def _interpolations(values: Any, path: str = "") -> list[tuple[str, str]]:
    if isinstance(values, dict):
        return [hit for key, value in values.items() for hit in _interpolations(value, f"{path}.{key}".lstrip("."))]
    if isinstance(values, list):
        return [hit for index, value in enumerate(values) for hit in _interpolations(value, f"{path}.{index}")]
    return [(path, values)] if isinstance(values, str) and "${" in values else []


def _explain(schema: type[BaseModel], error: Any, prefix: str) -> str:
    """One pydantic error as a line that says what, expected, got."""
    place, siblings = locate(schema, error["loc"])
    name = prefix + place
    if error["type"] == "extra_forbidden":
        near = _nearest(str(error["loc"][-1]), sorted(siblings))
        return f"{name}: expected a known key, got an unknown one{_did_you_mean(near) or _choices(siblings)}"
    if error["type"] == "missing":
        how = {
            "model": "add a train config such as teacher or student",
            "distill": "add a distill config such as lin_one_step",
        }.get(name, f"set {name}=…")
        return f"{name}: expected a value, got none: {how}"
    if error["type"] == "union_tag_not_found":
        key = error["ctx"]["discriminator"].strip("'")
        return f"{name}.{key}: expected a value, got none: set {name}.{key}=…"
    if error["type"] in ("union_tag_invalid", "literal_error"):
        return _explain_choice(name, error)
    message = error["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    comparison = message.startswith(("greater", "less"))
    return f"{name}: expected {'a value ' if comparison else ''}{message}, got {error['input']!r}"


def _explain_choice(name: str, error: Any) -> str:
    """A name outside a fixed table: of a union's member (its key is in the context) or of a literal."""
    context = error.get("ctx", {})
    key = context.get("discriminator", "").strip("'")
    expected = str(context.get("expected_tags") or context.get("expected") or "a name")
    choices = [choice.strip("' ") for choice in expected.replace(" or ", ", ").split(", ")]
    got = context.get("tag", error["input"])
    near = _did_you_mean(_nearest(str(got), choices))
    listed = f"one of {', '.join(choices)}" if len(choices) > 1 or key else expected
    return f"{name}{'.' + key if key else ''}: expected {listed}, got {got}{near}"


def _nearest(name: str, choices: list[str]) -> str | None:
    found = difflib.get_close_matches(name, choices, n=1, cutoff=0.6)
    return found[0] if found else None


def _did_you_mean(near: str | None) -> str:
    return f": did you mean {near}?" if near else ""


def _choices(names: set[str]) -> str:
    return f": known are {', '.join(sorted(names))}" if names else ""


def _rectangular(positions: list[list[float]]) -> np.ndarray:
    lengths = sorted({len(row) for row in positions})
    if lengths != [3]:
        raise ValueError(f"positions: expected rows of 3 numbers (x, y, z in metres), got rows of {lengths}")
    return np.array(positions)
