"""The verbs of the command line as functions: checked values in, objects built, work done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from arrayse.audio import audio_info, check_rate, read_audio, write_audio
from arrayse.checkpoint import load_enhancer, save_description
from arrayse.config import ConfigError, check_same, read_array, write_config
from arrayse.data import SceneReader
from arrayse.evaluate import Request, check_fits, evaluate
from arrayse.files import write_json, write_text
from arrayse.kd import METHODS, Distillation, build_term
from arrayse.losses import LOSSES
from arrayse.mixture import Dataset, open_dataset
from arrayse.models import Enhancer, build_enhancer
from arrayse.objectives import Objective, Supervised
from arrayse.parallel import available_cores
from arrayse.provenance import provenance
from arrayse.report.table import csv_table, markdown_table
from arrayse.train import FitSettings, Phase, ProgressCallback, fit
from simulate.corpus import load_corpus
from simulate.generate import generate
from simulate.scene import Recipe

CONFIG, ABOUT = "config.yaml", "about.json"
Values = dict[str, Any]


def run_simulate(values: Values, progress: Callable[[int, int], None]) -> Path:
    """Simulates a dataset and returns its folder."""
    geometry = read_array(values["array"])
    recipe = _build("recipe", Recipe, values["recipe"])
    speech = load_corpus(values["speech"], "speech", values["sample_rate"])
    noise = load_corpus(values["noise"], "noise", values["sample_rate"])
    out, workers = Path(values["out"]).expanduser(), values["workers"] or available_cores()
    generate(out, recipe, geometry, speech, noise, values["n_scenes"], values["seed"], workers, progress)
    write_config(out / CONFIG, values)
    write_json(out / ABOUT, provenance(values["seed"]))
    return out


def run_train(values: Values, progress: ProgressCallback, say: Callable[[str], None]) -> Path:
    """Trains a network, with a teacher if the values name one, and returns the run folder."""
    dataset, run = open_dataset(Path(values["data"]).expanduser()), Path(values["out"]).expanduser()
    settings = _build("fit", FitSettings, values["fit"])
    torch.manual_seed(values["seed"])
    description = _describe(values, dataset)
    student = _build_enhancer(description)
    teacher_run = Path(values["teacher"]).expanduser() if "teacher" in values else None
    phases = _supervised(values, student)
    if teacher_run is not None:
        teacher = load_enhancer(teacher_run)
        check_fits("teacher", teacher, dataset)
        phases = _distillation(values, student, teacher)
    readers = [
        SceneReader(dataset, split, settings.snr_db, settings.seconds, values["seed"]) for split in ("train", "valid")
    ]
    for reader in readers:
        reader.entries()  # an empty or unfinished split is told before anything is written
    _claim(run, values)
    save_description(run, description)
    objectives = [f"{phase.name}: {phase.objective.equation()}" for phase in phases]
    teacher_path = str(teacher_run.resolve()) if teacher_run else None
    write_json(run / ABOUT, {**provenance(values["seed"]), "objectives": objectives, "teacher": teacher_path})
    for objective in objectives:
        say(objective)
    fit(run, phases, readers[0], readers[1], settings, progress)
    return run


def run_evaluate(values: Values, runs: dict[str, Path], progress: Callable[[int, int], None]) -> Values:
    """Evaluates runs and returns the summary; tables lie beside it as Markdown and CSV."""
    out = Path(values["out"]).expanduser()
    request = Request(
        runs=runs,
        data=Path(values["data"]).expanduser(),
        split=values["split"],
        snr_db=values["snr_db"],
        n_scenes=values["n_scenes"],
        metrics=values["metrics"],
        baseline=values["baseline"],
        n_examples=values["n_examples"],
        seed=values["seed"],
    )
    workers = values["workers"] or available_cores()
    summary = evaluate(request, out, workers, provenance(values["seed"]), progress)
    write_config(out / CONFIG, {**values, "runs": {name: str(run) for name, run in runs.items()}})
    write_text(out / "table.md", markdown_table(summary))
    write_text(out / "table.csv", csv_table(summary))
    return summary


def run_enhance(run: Path, source: Path, destination: Path) -> None:
    """Enhances one audio file.

    Raises:
        ValueError: no run, wrong number of channels or rate, unreadable or NaN audio, a result that would clip.
    """
    enhancer = load_enhancer(run)
    info = audio_info(source)
    check_rate(info.sample_rate, enhancer.sample_rate, str(source))
    if info.n_channels != enhancer.geometry.n_mics:
        raise ValueError(
            f"{source}: expected {enhancer.geometry.n_mics} channels for the array {enhancer.geometry.name}, "
            f"got {info.n_channels}"
        )
    wave = enhancer.enhance(read_audio(source, enhancer.sample_rate), enhancer.sample_rate)
    write_audio(destination, wave, enhancer.sample_rate)


def _describe(values: Values, dataset: Dataset) -> Values:
    """The arguments of :func:`build_enhancer`, as they go into the checkpoint."""
    return {
        "net": values["model"],
        "stft": values["stft"],
        "features": values["features"],
        "array": dataset.geometry.to_dict(),
        "mics": values["mics"],
        "ref_mic": values["ref_mic"],
        "sample_rate": dataset.sample_rate,
    }


def _build_enhancer(description: Values) -> Enhancer:
    return build_enhancer(**description)


def _loss(values: Values) -> Any:
    arguments = dict(values["loss"])
    return LOSSES[arguments.pop("name")](**arguments)


def _supervised(values: Values, student: Enhancer) -> list[Phase]:
    return [Phase("supervised", Supervised(student, _loss(values)), values["epochs"], values["patience"])]


def _distillation(values: Values, student: Enhancer, teacher: Enhancer) -> list[Phase]:
    section = values["distill"]
    terms = []
    for name, term in section["terms"].items():
        arguments = dict(term["loss"])
        method = METHODS[arguments.pop("name")]
        pairs = (
            None if term["pairs"] is None else [(of_student, of_teacher) for of_student, of_teacher in term["pairs"]]
        )
        terms.append(build_term(name, method, arguments, term["weight"], pairs, student, teacher))
    one_step = section["schedule"] == "one_step"
    weight = section["supervised_weight"] if one_step else 0.0
    objective: Objective = Distillation(student, _loss(values), teacher, terms, weight)
    if one_step:
        return [Phase("distillation", objective, values["epochs"], values["patience"])]
    return [
        Phase("distillation", objective, values["epochs"], section["switch_patience"]),
        *_supervised(values, student),
    ]


def _build(section: str, target: Callable[..., Any], arguments: Values) -> Any:
    """Builds an object; what only it can see to be wrong is told with the section's name."""
    try:
        return target(**arguments)
    except ValueError as error:
        raise ConfigError(f"{section}.{error}") from None


def _claim(run: Path, values: Values) -> None:
    """Writes the resolved config, or checks that the run there was begun with the same one."""
    path = run / CONFIG
    if path.is_file():
        check_same(path, values)
    write_config(path, values)
