"""Simulating and checking datasets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from arrayse.config import ConfigError, read_array, write_config
from arrayse.mixture import SPLITS
from arrayse.parallel import available_cores
from arrayse.preview import build_preview
from arrayse.provenance import ABOUT, provenance, write_about
from arrayse.verbs.common import CONFIG, Values, open_data
from simulate.corpus import load_corpus
from simulate.generate import generate
from simulate.measured import load_rooms
from simulate.recipe import Recipe, recipe_from
from simulate.scene import World
from simulate.verify import repair, verify


def run_simulate(
    values: Values,
    progress: Callable[[int, int], None],
    say: Callable[[str], None],
    opening: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Simulates a dataset and returns its folder, or a page about its first scenes; says what the corpora hold.

    ``opening`` is called with corpus files looked at and files in all.
    """
    world = build_world(values, opening)
    told = [world.speech.describe(), world.noise.describe()]
    for line in told if world.rooms is None else [*told, world.rooms.describe()]:
        say(line)
    out, workers = Path(values["out"]), values["workers"] or available_cores()
    if values["preview"]:
        split = next((split for split in SPLITS if values["n_scenes"][split]), "train")
        n_scenes = min(values["preview"], values["n_scenes"][split] or values["preview"])
        page = out.with_name(out.name + ".preview.html")
        return build_preview(world, n_scenes, page, progress, split, values["n_scenes"])
    generate(out, world, values["n_scenes"], workers, progress, values["cluster"])
    if not (out / ABOUT).is_file():
        write_config(out / CONFIG, {**values, "array": world.geometry.to_dict()})
        write_about(out / ABOUT, provenance(values["seed"]))
    return out


def run_verify(
    folder: Path, workers: int | None, mend: bool, progress: Callable[[int, int], None]
) -> tuple[list[str], list[str]]:
    """Checks a dataset, makes again what is broken if ``mend``, and returns what is still wrong and its statistics."""
    n_workers = workers or available_cores()
    n_meant = sum(open_data(folder).n_scenes.values())
    findings, statistics = verify(folder, n_workers, progress)
    lines = []
    if findings and mend:
        before = findings
        changed = repair(folder, before, n_workers, progress)
        findings, statistics = verify(folder, n_workers, progress)
        findings = [*changed, *findings]
        lines = [f"made again: {finding.problem}" for finding in before if finding not in findings]
    lines.append(f"{statistics.n_scenes} of {n_meant} scenes are there and right")
    lines += [
        f"{name}: {low:.3g} to {high:.3g}, mean {mean:.3g}" for name, (low, mean, high) in statistics.ranges.items()
    ]
    return [finding.problem for finding in findings], lines


def build_world(values: Values, opening: Callable[[int, int], None] = lambda done, total: None) -> World:
    """What scenes are drawn from, by the values of a simulate config."""
    try:
        recipe = recipe_from(values["recipe"])
    except ValueError as error:
        raise ConfigError(f"recipe.{error}") from None
    _check_rooms(values, recipe)
    geometry, rate = read_array(values["array"]), values["sample_rate"]
    speech, noise = (load_corpus(values[kind], kind, rate, opening) for kind in ("speech", "noise"))
    rooms = values["rooms"] and load_rooms(values["rooms"], rate, geometry.n_mics, values["room_channels"], opening)
    return World(recipe, geometry, speech, noise, values["seed"], rooms)


def _check_rooms(values: Values, recipe: Recipe) -> None:
    """Raises ConfigError for keys that could do nothing: measured rooms are as they were measured."""
    if values["rooms"] is None:
        if values["room_channels"] is not None:
            raise ConfigError("room_channels: expected rooms=FOLDER with it, got none")
        return
    for name in ("acoustics", "motion", "carrier"):
        if getattr(recipe, name) != getattr(Recipe(), name):
            raise ConfigError(f"recipe.{name}: expected the default with rooms={values['rooms']}, got other values")
    if recipe.device.position_mm:
        raise ConfigError(f"recipe.device.position_mm: expected 0 with rooms, got {recipe.device.position_mm:g}")
