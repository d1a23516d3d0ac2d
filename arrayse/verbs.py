"""The verbs of the command line as functions: checked values in, objects built, work done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from arrayse.audio import audio_info, check_rate, check_suffix, read_audio, write_audio
from arrayse.checkpoint import is_finished, load_enhancer, save_description
from arrayse.config import ConfigError, check_same, read_array, write_config
from arrayse.data import SceneReader
from arrayse.evaluate import evaluate
from arrayse.files import check_new_folder, read_json, sha256_of, write_text
from arrayse.fresh import FreshReader
from arrayse.geometry import ArrayGeometry
from arrayse.mixture import SPLITS, Dataset, open_dataset
from arrayse.models import NETS, build_enhancer
from arrayse.models.enhancer import check_channels
from arrayse.parallel import available_cores
from arrayse.phases import distillation_plan, supervised_plan
from arrayse.preview import build_preview
from arrayse.processes import is_first_process
from arrayse.provenance import ABOUT, provenance, write_about
from arrayse.report.table import csv_table, markdown_table
from arrayse.schema import TrainConfig
from arrayse.summary import Request
from arrayse.teachers import cache_claims
from arrayse.train import FitSettings, ProgressCallback, check_fit, fit, precision_name
from simulate.corpus import load_corpus
from simulate.description import open_world
from simulate.generate import generate
from simulate.measured import load_rooms
from simulate.recipe import Recipe, recipe_from
from simulate.scene import World
from simulate.verify import repair, verify

CONFIG = "config.yaml"
Values = dict[str, Any]


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
    findings, statistics = verify(folder, n_workers, progress)
    lines = []
    if findings and mend:
        before = findings
        changed = repair(folder, before, n_workers, progress)
        findings, statistics = verify(folder, n_workers, progress)
        findings = [*changed, *findings]
        lines = [f"made again: {finding.problem}" for finding in before if finding not in findings]
    lines.append(f"{statistics.n_scenes} scenes in order")
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


def run_train(values: Values, progress: ProgressCallback, say: Callable[[str], None]) -> Path:
    """Trains a network, with a teacher if the values name one, and returns the run folder."""
    dataset, run = open_dataset(Path(values["data"])), Path(values["out"])
    settings = _build("fit", FitSettings, values["fit"])
    torch.manual_seed(values["seed"])
    description = describe(values, dataset.geometry, dataset.sample_rate)
    student = build_enhancer(**description)
    distils = "distill" in values
    plan = distillation_plan(values, student, dataset, settings) if distils else supervised_plan(values, student)
    readers = _readers(values, dataset, settings)
    check_fit(plan.phases, readers[0], readers[1], settings)
    claims = cache_claims(plan.teachers, readers[0], settings) if is_first_process() and not is_finished(run) else []
    about = {
        **provenance(values["seed"]),
        "precision": precision_name(settings),
        "threads": torch.get_num_threads(),
        "objectives": plan.equations(),
        "data": sha256_of(dataset.folder / "dataset.json"),
        "teachers": {teacher.name: teacher.fingerprint for teacher in plan.teachers},
    }
    if is_first_process():
        _claim(run, values, about)
        for claim in claims:
            claim.write()
        save_description(run, description)
        if not is_finished(run):
            write_about(run / ABOUT, about)
    if is_finished(run):
        say(f"{run}: training is finished, nothing is left to do")
    for line in [*plan.equations(), *plan.notes(), *map(str, claims), f"student: {student.describe()}"]:
        say(line)
    fit(run, plan.phases, readers[0], readers[1], settings, progress)
    return run


def _readers(values: Values, dataset: Dataset, settings: FitSettings) -> list[SceneReader]:
    """Training and validation scenes."""
    readers = [
        SceneReader(dataset, split, settings.snr_db, settings.seconds, values["seed"], draws=settings.draws)
        for split in ("train", "valid")
    ]
    if values["fresh"]:
        if settings.draws is not None:
            raise ConfigError(
                f"fit.draws: expected none with fresh, whose scenes never come back, got {settings.draws}"
            )
        world, _ = open_world(dataset.folder)
        readers[0] = FreshReader(**vars(readers[0]), world=world, n_scenes=values["fresh"])
    return readers


def run_evaluate(values: Values, runs: dict[str, Path], progress: Callable[[int, int], None]) -> Values:
    """Evaluates runs and returns the summary; tables lie beside it as Markdown and CSV."""
    out = Path(values["out"])
    request = Request(
        runs=runs,
        data=Path(values["data"]),
        split=values["split"],
        snr_db=values["snr_db"],
        n_scenes=values["n_scenes"],
        metrics=values["metrics"],
        baseline=values["baseline"],
        n_examples=values["n_examples"],
        seed=values["seed"],
        beamformers=values["beamformers"],
    )
    workers = values["workers"] or available_cores()
    summary = evaluate(request, out, workers, provenance(values["seed"]), progress)
    write_config(out / CONFIG, values)
    write_text(out / "table.md", markdown_table(summary))
    write_text(out / "table.csv", csv_table(summary))
    return summary


def run_enhance(run: Path, source: Path, destination: Path, gain_db: float) -> None:
    """Enhances one audio file and changes its level by ``gain_db``.

    Raises:
        ValueError: no run, wrong number of channels or rate, unreadable, silent or NaN audio, a result that would
            clip.
    """
    enhancer = load_enhancer(run)
    check_suffix(destination)
    if destination.exists() and destination.samefile(source):
        raise ValueError(f"{destination}: expected another file than the recording, got the recording itself")
    info = audio_info(source)
    check_rate(info.sample_rate, enhancer.sample_rate, str(source))
    check_channels(info.n_channels, enhancer, str(source))
    noisy = read_audio(source, enhancer.sample_rate)
    if not noisy.any():
        raise ValueError(f"{source}: expected sound, got silence")
    wave = 10 ** (gain_db / 20) * enhancer.enhance(noisy, enhancer.sample_rate)
    peak = float(np.abs(wave).max())
    if peak > 1:
        above_db = 20 * np.log10(peak)
        hint = f"gain_db={np.floor(gain_db - above_db):g} lowers it"
        raise ValueError(f"{destination}: expected samples within [-1, 1], got {above_db:.1f} dB above: {hint}")
    write_audio(destination, wave, enhancer.sample_rate)


def describe(values: Values, geometry: ArrayGeometry, sample_rate: int) -> Values:
    """The arguments of :func:`build_enhancer`, as they go into the checkpoint.

    Raises:
        ConfigError: features of their own for a network in the time domain, which hears waves.
    """
    name, features = values["model"]["name"], values["features"]
    if NETS[name].domain == "time":
        if features != TrainConfig.model_fields["features"].get_default(call_default_factory=True).model_dump():
            raise ConfigError(f"features: expected none for {name}, which hears waves, got {features}")
        features = {}
    return {
        "net": values["model"],
        "stft": values["stft"],
        "features": features,
        "array": geometry.to_dict(),
        "mics": values["mics"],
        "ref_mic": values["ref_mic"],
        "sample_rate": sample_rate,
    }


def _build(section: str, target: Callable[..., Any], arguments: Values) -> Any:
    """Builds an object; what only it can see to be wrong is told with the section's name."""
    try:
        return target(**arguments)
    except ValueError as error:
        raise ConfigError(f"{section}.{error}") from None


def _claim(run: Path, values: Values, about: Values) -> None:
    """Writes the resolved config, or checks that the run there was begun with the same one, data and teacher."""
    path = run / CONFIG
    if path.is_file():
        check_same(path, values)
        begun = read_json(run / ABOUT, "run") if (run / ABOUT).is_file() else about
        for what in ("data", "teachers"):
            if begun.get(what, about[what]) != about[what]:
                raise ConfigError(
                    f"{what}: expected the one that {run} was begun with, got another: choose another out="
                )
        return
    check_new_folder(run, "a run")
    write_config(path, values)
