"""YAML files and ``key=value`` overrides → checked plain values.

Several files merge left to right, overrides last. What may be set, its type, range and default are read off the
signatures of the library's own classes and functions, so nothing is stated twice. Every error is collected and told
at once. Values are data: interpolations (``${…}``) are refused, so no config reads the environment or other files.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ValidationError

from arrayse.config.merge import merge_files, merge_overrides, names_network
from arrayse.files import one_line, write_text
from arrayse.schema import SCHEMAS
from arrayse.schema.explain import explain
from arrayse.schema.likely import nearest
from arrayse.schema.tree import takes_text

ENDINGS = (".yaml", ".yml")
"""Of YAML files."""

PLACES = ("out", "data", "init", "teacher", "distill.cache")
"""Keys that tell where something lies, which may be moved."""


class ConfigError(ValueError):
    """One or more things wrong with a configuration, a line each."""


def config_root() -> Path:
    """The folder of the named configs: inside an installed wheel, or beside the package in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def find_config(name: str, group: str, expected: str = "a YAML file or a named config") -> Path:
    """The file that a name means: a named config, with or without ``configs/``, group and ending, or a path.

    A name without an ending, such as ``student`` or ``train/student``, means a named config first, so that no file
    that happens to lie here takes its place; ``student.yaml`` and ``./student`` mean a file first. A name without its
    group is looked for in ``group`` first, then in the others in alphabetical order.

    Args:
        name: as it was given.
        group: folder of named configs.
        expected: what else the name might have meant, for the message.

    Raises:
        ConfigError: nothing of that name.
    """
    given = Path(os.path.expanduser(name))
    inside = Path(*given.parts[1:]) if given.parts[:1] == ("configs",) else given
    others = sorted(path for path in config_root().glob("*") if path.is_dir())
    named = [config_root() / inside, *(folder / inside for folder in (config_root() / group, *others))]
    is_path = given.suffix in ENDINGS or name.startswith((".", "/", "~"))
    for candidate in (given, *named) if is_path else (*named, given):
        for path in (candidate, candidate.parent / (candidate.name + ".yaml")):
            if os.path.isfile(path):  # False, no error, for what is too long for a name
                return path
    if given.suffix in ENDINGS and given.parts[:1] != ("configs",):
        raise ConfigError(f"config: expected a YAML file, got {name}: no such file")
    hint = _hint(inside.as_posix().removesuffix(".yaml"), group)
    raise ConfigError(f"config: expected {expected}, got {name}: {hint}")


def _hint(name: str, group: str) -> str:
    """The named configs that a misspelt or shortened name is likely to mean; if there is none, all of its group."""
    groups: dict[str, list[str]] = {}
    for path in sorted(config_root().glob("*/*.yaml")):
        groups.setdefault(path.parent.name, []).append(path.stem)
    told, _, stem = name.rpartition("/")
    meant = nearest(told, groups) if told else [group]
    places = {each: names for each, names in groups.items() if each in meant}
    if not told and not _near(stem, places.get(group, [])):
        places = groups
    found = _near(stem, [each for names in places.values() for each in names])
    near = [f"{each}/{name}" for each, names in places.items() for name in names if name in found]
    if near:
        return f"did you mean {' or '.join(near)}?"
    lists = [f"configs/{each} has {', '.join(groups[each])}" for each in meant if each in groups]
    return "".join(lists) or "no such file"


def _near(stem: str, names: list[str]) -> list[str]:
    """Names that begin with a shortened one, or the one that a misspelt one is likely to mean."""
    return [name for name in names if stem and name.startswith(f"{stem}_")] or nearest(stem, names)


def named_configs(group: str) -> dict[str, dict[str, Any]]:
    """What stands in the named configs of a group, by name."""
    files = sorted((config_root() / group).glob("*.yaml"))
    return {path.stem: read_yaml(path) for path in files}


def read_config(
    group: str, arguments: list[str], untold: str | None = None, network: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Reads, merges (see :mod:`arrayse.config.merge`) and checks a configuration.

    Args:
        group: the verb, one of :data:`arrayse.schema.SCHEMAS`.
        arguments: config files or names, and overrides (see :func:`is_override`), in any order.
        untold: stands for files and folders that have to be told and are not; None: they are asked for.
        network: what makes one, where no file names any.

    Returns:
        Plain values with every default filled in.

    Raises:
        ConfigError: everything that is wrong.
    """
    files = [argument for argument in arguments if not is_override(argument)]
    overrides = [argument for argument in arguments if is_override(argument)]
    texts, values = _split_overrides(SCHEMAS[group], overrides)
    try:
        layers = [(name, read_yaml(find_config(name, group))) for name in files]
        if network is not None and not any(names_network(layer) for _, layer in layers):
            layers.insert(0, ("init", network))
        merged = merge_overrides(merge_files(layers), [_parse(override) for override in values])
    except RecursionError:
        raise ConfigError("config: expected a few levels of sections, got far too many in one another") from None
    except ValueError as error:
        raise ConfigError(str(error)) from None
    given, schema = {**merged, **texts}, SCHEMAS[group]
    needed = [key for key, field in schema.model_fields.items() if field.is_required() and takes_text(schema, key)]
    missing = {} if untold is None else {key: untold for key in needed if key not in given}
    return {**check_values(schema, {**dict.fromkeys(missing, "."), **given}), **missing}


def is_override(argument: str) -> bool:
    """Whether an argument is ``key=value``, not a YAML file in a folder such as ``lr=1e-3``."""
    is_yaml = argument.endswith(ENDINGS) and os.path.isfile(os.path.expanduser(argument))
    return "=" in argument and not is_yaml


def _parse(override: str) -> tuple[str, dict[str, Any]]:
    """The key of an override, and the mapping that it makes with its value."""
    key, text = override.split("=", maxsplit=1)
    try:
        plain: Any = OmegaConf.to_container(OmegaConf.from_dotlist([override]), resolve=False)
    except yaml.MarkedYAMLError as error:
        raise ConfigError(f"{key}: expected a value as in YAML, got {text!r}: {error.problem}") from None
    except (OmegaConfBaseException, yaml.YAMLError) as error:
        raise ConfigError(f"config: expected key=value pairs, got {override!r}: {one_line(error)}") from None
    return key, dict(plain)


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
        problems += [explain(schema, item, prefix) for item in error.errors()]
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
            texts.pop(key.split(".")[0], None)  # the last one counts
            others.append(override)
    return texts, others


def check_same(path: Path, values: dict[str, Any], but: tuple[str, ...] = ()) -> None:
    """Raises ConfigError unless the config in ``path`` is ``values``, but for some keys and where files lie."""
    before, now = flatten(read_yaml(path)), flatten(values)
    keys = sorted(key for key in {*before, *now} - {*but} if not _agree(key, before.get(key), now.get(key)))
    if keys:
        told = [f"{key} {before.get(key, 'not set')} (now {now.get(key, 'not set')})" for key in keys[:4]]
        other = ", ".join([*told, *(["…"] if len(keys) > len(told) else [])])
        wanted = "expected a new folder or a run of the same config"
        raise ConfigError(f"out: {wanted}, got {path.parent} with {other}: choose another out=")


def _agree(key: str, before: Any, now: Any) -> bool:
    """Whether two values of a key mean the same run: where something lies does not count, whether there is one does."""
    place = key in PLACES or (key.startswith("teachers.") and key.endswith(".run"))
    return (before is None) == (now is None) if place else bool(before == now)


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every value by its whole key, with dots."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value})
    return flat


def write_config(path: Path, values: dict[str, Any]) -> None:
    """Writes resolved values as YAML."""
    write_text(path, to_yaml(values))


def to_yaml(values: dict[str, Any]) -> str:
    """Resolved values as they stand in the config of a run."""
    return OmegaConf.to_yaml(OmegaConf.create(values))


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping; tags that would build objects are refused by the loader."""
    try:
        loaded = OmegaConf.load(path)
    except yaml.MarkedYAMLError as error:
        raise ConfigError(_explain_yaml(path, error)) from None
    except (OmegaConfBaseException, yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path}: expected a YAML mapping, got {one_line(error)}") from None
    if not OmegaConf.is_dict(loaded):
        raise ConfigError(f"{path}: expected a YAML mapping, got a list")
    plain: Any = OmegaConf.to_container(loaded, resolve=False)
    return dict(plain)


def _explain_yaml(path: Path, error: yaml.MarkedYAMLError) -> str:
    """A file that is no YAML: which line, what it says, and what is wrong there."""
    mark = error.problem_mark or error.context_mark
    lines = path.read_text(encoding="utf-8").splitlines()
    if mark is None or mark.line >= len(lines):
        return f"{path}: expected YAML, got the end of the file too early: {_problem(error)}"
    text = lines[mark.line]
    hint = ", which begins with a tab: YAML indents with spaces" if text.startswith("\t") else f": {_problem(error)}"
    return f"{path} line {mark.line + 1}: expected YAML, got {text.strip()[:80]!r}{hint}"


def _problem(error: yaml.MarkedYAMLError) -> str:
    """What a parser did not like, and since where, if that is another line."""
    begun, found = error.context_mark, error.problem_mark
    since = f" {error.context} from line {begun.line + 1} on" if begun and found and begun.line != found.line else ""
    return f"{one_line(Exception(error.problem or error.context))}{since}"


def _interpolations(values: Any, path: str = "") -> list[tuple[str, str]]:
    if isinstance(values, dict):
        return [hit for key, value in values.items() for hit in _interpolations(value, f"{path}.{key}".lstrip("."))]
    if isinstance(values, list):
        return [hit for index, value in enumerate(values) for hit in _interpolations(value, f"{path}.{index}")]
    return [(path, values)] if isinstance(values, str) and "${" in values else []
