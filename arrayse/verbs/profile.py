"""What the networks of named configs, YAML files and runs cost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from arrayse.checkpoint import fingerprint, load_enhancer
from arrayse.config import ConfigError, config_root, find_config, read_array, read_config
from arrayse.files import write_text
from arrayse.geometry import ArrayGeometry
from arrayse.models import Enhancer
from arrayse.profile.cost import Profile, cost, real_time_factor
from arrayse.profile.device import DeviceProfile, device_profile
from arrayse.report.costs import csv_costs, markdown_costs
from arrayse.report.device import csv_device, markdown_device
from arrayse.verbs.common import NETWORK_KEYS, Values, is_run
from arrayse.verbs.nets import build_network

DEVICE_BLOCKS = 1000
"""Blocks that are timed of each system at most."""

GROUPS = ("model", "train")
"""Groups of named configs that hold a network."""


def split_keys(overrides: list[str]) -> tuple[list[str], list[str]]:
    """``key=value`` for the networks of configs, and those that say how they are looked at."""
    of_networks = [each for each in overrides if each.split("=")[0].split(".")[0] in NETWORK_KEYS]
    return of_networks, [each for each in overrides if each not in of_networks]


def run_profile(
    values: Values, names: list[str], overrides: list[str], progress: Callable[[int, int], None]
) -> tuple[list[Profile], list[Path]]:
    """Counts and times networks, and writes the table where ``out`` says.

    Args:
        values: of a profile config.
        names: run folders, YAML files and named configs of networks; none: every config of the group ``model``.
        overrides: ``key=value`` for the networks of configs, see :data:`arrayse.verbs.common.NETWORK_KEYS`.
        progress: called with networks done and networks in all.

    Returns:
        A row for each name, and the files written.

    Raises:
        ValueError: a name that means nothing, a config that builds nothing, or an ``out`` of another kind.
    """
    paths, geometry = table_paths(values["out"]), read_array(values["array"])
    names = names or named_networks()
    enhancers = [_enhancer(name, overrides, geometry, values["sample_rate"]) for name in names]
    profiles: list[Profile] = []
    for name, enhancer in zip(names, enhancers, strict=True):
        progress(len(profiles), len(names))
        timing = real_time_factor(enhancer, values["seconds"], values["repeats"]) if values["rtf"] else None
        profiles.append(Profile(name, cost(enhancer), timing))
    progress(len(names), len(names))
    for path in paths:
        markdown = path.suffix == ".md"
        write_text(path, markdown_costs(profiles, values) if markdown else csv_costs(profiles))
    return profiles, paths


def run_device_profile(values: Values, names: list[str], overrides: list[str]) -> tuple[DeviceProfile, list[Path]]:
    """Measures one causal network as a device would run it, and writes the table where ``out`` says.

    Args:
        values: of a profile config; ``seconds`` times ``repeats`` are timed, but :data:`DEVICE_BLOCKS` at most.
        names: a run folder, or a config, whose network is not trained.
        overrides: see :func:`run_profile`.

    Returns:
        The profile, and the files written.

    Raises:
        ValueError: another number of names, and see :func:`run_profile` and :func:`device_profile`.
    """
    if len(names) != 1:
        raise ConfigError(f"device: expected one run folder or config, got {', '.join(names) or 'none'}")
    paths, geometry = table_paths(values["out"], "device"), read_array(values["array"])
    enhancer = _enhancer(names[0], overrides, geometry, values["sample_rate"])
    if not enhancer.causal:
        raise ConfigError(f"device: expected a causal network, got {names[0]}, which needs the whole utterance")
    folder, file = Path(names[0]).expanduser(), None if values["onnx"] is None else Path(values["onnx"])
    n_blocks = int(values["seconds"] * values["repeats"] * enhancer.sample_rate / enhancer.block_samples)
    run = fingerprint(folder) if is_run(names[0]) else None
    profile = device_profile(names[0], enhancer, max(1, min(n_blocks, DEVICE_BLOCKS)), file, run)
    for path in paths:
        write_text(path, markdown_device(profile) if path.suffix == ".md" else csv_device(profile))
    return profile, paths


def named_networks() -> list[str]:
    """The named configs that replace a network, in alphabetical order."""
    return sorted(path.stem for path in (config_root() / "model").glob("*.yaml"))


def table_paths(out: str | None, name: str = "profile") -> list[Path]:
    """Where the table goes: a file by its ending, or one of this name ending in .md and .csv each in a folder.

    Raises:
        ValueError: a file of another kind.
    """
    if out is None:
        return []
    path = Path(out)
    if path.suffix in (".md", ".csv") and not path.is_dir():
        return [path]
    if path.suffix and not path.is_dir():
        raise ValueError(f"out: expected a folder, or a name ending in .md or .csv, got {path}")
    return [path / f"{name}.md", path / f"{name}.csv"]


def _enhancer(name: str, overrides: list[str], geometry: ArrayGeometry, sample_rate: int) -> Enhancer:
    """Of a run, or of a config, where loss, epochs and the like do not matter."""
    folder = Path(name).expanduser()
    if is_run(name):
        if overrides:
            raise ConfigError(f"{name}: expected no keys of a network for a run, which has its own, got {overrides[0]}")
        return load_enhancer(folder)
    path = _find(name)
    try:
        config = read_config("train", [str(path), *overrides, "data=unused", "out=unused"])
        return build_network(config, geometry, sample_rate)
    except ValueError as error:
        raise ConfigError("\n".join(f"{name}: {line}" for line in str(error).splitlines())) from None


def _find(name: str) -> Path:
    """The YAML file of a network."""
    path = find_config(name, "model", "a run folder, a YAML file or a named config")
    if path.is_relative_to(config_root()) and path.parent.name not in GROUPS:
        wanted = f"expected a run folder, a YAML file or one of {', '.join(named_networks())}"
        raise ConfigError(f"profile: {wanted}, got {path.parent.name}/{path.stem}")
    return path
