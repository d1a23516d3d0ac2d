"""Training networks, with a teacher or without."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import cast

import torch

from arrayse.checkpoint import WEIGHTS, is_finished, read_training_state, save_description
from arrayse.config import ConfigError, check_same, write_config
from arrayse.config.places import placed, placed_in_network
from arrayse.data import SceneReader
from arrayse.files import alone_in, check_new_folder, read_json, sha256_of
from arrayse.fresh import FreshReader
from arrayse.geometry import ArrayGeometry
from arrayse.mixture import Dataset
from arrayse.models import NETS, Enhancer, build_enhancer
from arrayse.phases import Plan, distillation_plan, supervised_plan
from arrayse.provenance import ABOUT, provenance, write_about
from arrayse.schema.nets import TrainConfig
from arrayse.teachers import cache_claims
from arrayse.training.loop import ProgressCallback, check_fit, fit, precision_name
from arrayse.training.ranks import is_first_process
from arrayse.training.settings import FitSettings
from arrayse.training.state import State
from arrayse.verbs.common import CONFIG, Values, open_data
from arrayse.verbs.initial import Origin, begin_with
from simulate.description import open_world


def run_train(values: Values, progress: ProgressCallback, say: Callable[[str], None]) -> Path:
    """Trains a network, with a teacher if the values name one, and returns the run folder.

    Raises:
        ValueError: values that do not go together, a folder of something else, or one that another process trains in.
    """
    dataset, run = open_training_data(values), Path(values["out"])
    settings = FitSettings(**values["fit"])
    torch.manual_seed(values["seed"])
    student = build_network(values, dataset.geometry, dataset.sample_rate)
    description = describe(values, dataset.geometry, dataset.sample_rate)
    initial = _begin(values, run, student, description)
    readers = build_readers(values, dataset, settings)
    distils = "distill" in values
    plan = distillation_plan(values, student, dataset, settings) if distils else supervised_plan(values, student)
    _check_fit(plan, readers, settings, values)
    claims = cache_claims(plan.teachers, readers[0], settings) if is_first_process() and not is_finished(run) else []
    about = {**_about(values, plan, settings, dataset), "init": initial}
    with alone_in(run) if is_first_process() else nullcontext():
        if is_first_process():
            _claim(run, values, about)
            for claim in claims:
                claim.write()
            save_description(run, description)
            if not is_finished(run):
                write_about(run / ABOUT, about)
        if before := whereabouts(run):
            say(f"{run}: {before}")
        network = f"{'student' if distils else 'network'}: {values['model']['name']}, {student.describe()}"
        for line in [*plan.equations(), *plan.notes(), *map(str, claims), network]:
            say(line)
        fit(run, plan.phases, readers[0], readers[1], settings, progress)
    return run


def open_training_data(values: Values) -> Dataset:
    """The dataset that is trained on.

    Raises:
        ValueError: none there, or one without training scenes though they are not to be simulated.
    """
    dataset = open_data(Path(values["data"]))
    if not values["fresh"] and not dataset.n_scenes.get("train"):
        hint = "fresh=2000 simulates so many an epoch when they are needed"
        raise ConfigError(f"data: expected training scenes in {dataset.folder}, got none: {hint}")
    return dataset


def build_readers(values: Values, dataset: Dataset, settings: FitSettings) -> list[SceneReader]:
    """Training and validation scenes.

    Raises:
        ValueError: keys that mean nothing for fresh scenes; no corpora to simulate them from.
    """
    readers = [
        SceneReader(dataset, split, settings.snr_db, settings.seconds, values["seed"], draws=settings.draws)
        for split in ("train", "valid")
    ]
    if values["fresh"]:
        never = "expected none with fresh, whose scenes never come back"
        given = {"fit.draws": settings.draws, "distill.cache": values.get("distill", {}).get("cache")}
        told = [f"{key}: {never}, got {value}" for key, value in given.items() if value is not None]
        if told:
            raise ConfigError("\n".join(told))
        world, _ = open_world(dataset.folder)
        readers[0] = FreshReader(**vars(readers[0]), world=world, n_scenes=values["fresh"])
    return readers


def _check_fit(plan: Plan, readers: list[SceneReader], settings: FitSettings, values: Values) -> None:
    try:
        check_fit(plan.phases, readers[0], readers[1], settings)
    except ValueError as error:
        raise ConfigError(placed(str(error), ("fit", values["fit"]))) from None


def build_network(values: Values, geometry: ArrayGeometry, sample_rate: int) -> Enhancer:
    """The enhancer that a train config describes.

    Raises:
        ConfigError: what the classes refuse, with the whole key.
    """
    description = describe(values, geometry, sample_rate)
    try:
        return build_enhancer(**description)
    except ValueError as error:
        raise ConfigError(placed_in_network(str(error), values)) from None


def describe(values: Values, geometry: ArrayGeometry, sample_rate: int) -> Values:
    """The arguments of :func:`build_enhancer`, as they go into the checkpoint.

    Raises:
        ConfigError: features of their own for a network in the time domain, which hears waves.
    """
    name, features = values["model"]["name"], values["features"]
    if NETS[name].domain == "time":
        usual = TrainConfig.model_fields["features"].get_default(call_default_factory=True).model_dump()
        told = [
            f"features.{key}: expected nothing for {name}, which hears waves and has no features, got {value!r}"
            for key, value in features.items()
            if value != usual[key]
        ]
        if told:
            raise ConfigError("\n".join(told))
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


def _about(values: Values, plan: Plan, settings: FitSettings, dataset: Dataset) -> Values:
    """What makes a run, as it is kept beside it."""
    return {
        **provenance(values["seed"]),
        "precision": precision_name(settings),
        "threads": torch.get_num_threads(),
        "objectives": plan.equations(),
        "data": sha256_of(dataset.folder / "dataset.json"),
        "teachers": {teacher.name: teacher.fingerprint for teacher in plan.teachers},
    }


def _begin(values: Values, run: Path, student: Enhancer, description: Values) -> Origin | None:
    """Where the weights come from: of a training that is new from the run that ``init`` names, if one is."""
    if values["init"] is None:
        return None
    if read_training_state(run) is not None:  # it has weights of its own, and may outlive the other run
        return cast(Origin, read_json(run / ABOUT, "run").get("init"))
    return begin_with(Path(values["init"]), student, description)


def whereabouts(run: Path) -> str:
    """What is told of a training that is not new; nothing where it is."""
    stored = read_training_state(run)
    if stored is None:
        return ""
    state = State.restore(stored)
    if state.finished:
        return "training is finished, nothing is left to do"
    return f"the training goes on after {state.total_epochs} epochs and {state.step} steps"


def _claim(run: Path, values: Values, about: Values) -> None:
    """Writes the resolved config, or checks that the run there was begun with the same one, data and teacher.

    Whatever ``fit.precision`` says, it has to mean the same: a run that went on in another precision would be neither.
    """
    path, has_weights = run / CONFIG, (run / WEIGHTS).is_file()
    if path.is_file() and read_training_state(run) is None and not has_weights:
        (run / ABOUT).unlink(missing_ok=True)  # it was stopped before it had trained anything: a new beginning
    elif path.is_file():
        check_same(path, values, but=("fit.precision",))
        begun = read_json(run / ABOUT, "run") if (run / ABOUT).is_file() else about
        for what in ("data", "teachers", "init"):
            if begun.get(what, about[what]) != about[what]:
                raise ConfigError(
                    f"{what}: expected the one that {run} was begun with, got another: choose another out="
                )
        before, now = begun.get("precision", about["precision"]), about["precision"]
        if before != now and not is_finished(run):
            here = f"{now}, which auto means here" if values["fit"]["precision"] == "auto" else now
            hint = f"fit.precision={str(before).split()[0]} goes on with it"
            raise ConfigError(f"fit.precision: expected {before}, in which {run} was begun, got {here}: {hint}")
        return
    else:
        check_new_folder(run, "a run")
    write_config(path, values)
