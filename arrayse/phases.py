"""From the values of a train or distill config to the phases of a training: objectives, teachers, schedules."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from arrayse.checkpoint import fingerprint, load_enhancer
from arrayse.config import ConfigError
from arrayse.evaluate import check_fits
from arrayse.files import check_free_space, sha256_of
from arrayse.kd import (
    METHODS,
    CachedViews,
    Distillation,
    LiveViews,
    Teacher,
    Term,
    build_term,
    check_compatible,
    check_coverage,
)
from arrayse.kd.cache import Origin, ViewCache, view_bytes
from arrayse.losses import LOSSES
from arrayse.mixture import Dataset
from arrayse.models import Enhancer
from arrayse.objectives import Objective, Supervised
from arrayse.processes import Processes, is_first_process
from arrayse.train import FitSettings, Phase, precision_name

Values = dict[str, Any]

N_STEPS = {"two_step": 2, "three_step": 3}


@dataclass(frozen=True)
class Plan:
    """What is to be trained.

    Attributes:
        phases: one after the other.
        teachers: who teaches.
        hashes: fingerprint of every teacher, by name.
    """

    phases: list[Phase]
    teachers: list[Teacher] = field(default_factory=list)
    hashes: dict[str, str] = field(default_factory=dict)

    def notes(self) -> list[str]:
        """A line about every distillation term, for people."""
        return [_note(term) for teacher in self.teachers for term in teacher.terms]


def supervised_plan(values: Values, student: Enhancer) -> Plan:
    """Supervised training; every phase after the first restarts optimiser and learning rate."""
    epochs = values["phase_epochs"] or [values["epochs"]]
    names = ["supervised", *(f"supervised, restart {number}" for number in range(1, len(epochs)))]
    objective = Supervised(student, _loss(values))
    return Plan([Phase(name, objective, n, values["patience"]) for name, n in zip(names, epochs, strict=True)])


def distillation_plan(values: Values, student: Enhancer, dataset: Dataset, settings: FitSettings) -> Plan:
    """Distillation by the schedule of the config.

    Raises:
        ValueError: teachers that do not fit the student or the data, and what they refuse.
    """
    runs = _teacher_runs(values)
    hashes = {name: fingerprint(Path(section["run"])) for name, section in runs.items()}
    teachers = [_teacher(values, name, section, student, dataset) for name, section in runs.items()]
    for name, section in runs.items():
        if fingerprint(Path(section["run"])) != hashes[name]:
            raise ConfigError(f"{name}: expected a teacher that does not change, got one that is being trained")
    check_coverage(teachers, settings.snr_db)
    _check_items(teachers, settings)
    section, loss = values["distill"], _loss(values)
    alone: Objective = Distillation(student, loss, teachers, 0.0)
    both: Objective = Distillation(student, loss, teachers, section["supervised_weight"])
    objectives = {
        "one_step": [("distillation", both)],
        "two_step": [("distillation", alone), ("supervised", Supervised(student, loss))],
        "three_step": [("distillation", alone), ("both", both), ("supervised", Supervised(student, loss))],
    }[section["schedule"]]
    epochs = _epochs(values)
    if section["schedule"] == "one_step":
        objectives = objectives * len(epochs)
    last = len(epochs) - 1
    phases = [
        Phase(name, objective, n, values["patience"] if number == last else section["switch_patience"])
        for number, ((name, objective), n) in enumerate(zip(objectives, epochs, strict=True))
    ]
    return Plan(phases, teachers, hashes)


def claim_caches(values: Values, plan: Plan, dataset: Dataset, settings: FitSettings, n_scenes: int) -> list[str]:
    """Makes the cache folders of the teachers this training's, and checks that the disk has room for them.

    Returns:
        What they will take, for people.

    Raises:
        ValueError: a cache of another teacher, dataset or precision; too little space; no ``fit.draws``.
    """
    if "distill" not in values or values["distill"]["cache"] is None:
        return []
    if settings.draws is None:
        raise ConfigError(
            "fit.draws: expected a number with distill.cache, got none: "
            "where every epoch has new crops and SNRs nothing is read twice; fit.draws=1 keeps one of each scene"
        )
    precision = f"{precision_name(settings)}, {Processes().device.type}"
    data = sha256_of(dataset.folder / "dataset.json")
    told = []
    for teacher, folder in zip(plan.teachers, _cache_folders(values).values(), strict=True):
        missing = _missing_bytes(teacher, folder, dataset, settings, n_scenes)
        if is_first_process():
            ViewCache(folder).claim(Origin(plan.hashes[teacher.name], data, precision))
            check_free_space(folder, missing)
        told.append(f"teacher outputs: up to {missing / 1e9:.2g} GB more in {folder}")
    return told


def _teacher_runs(values: Values) -> dict[str, Values]:
    if (values["teacher"] is None) == (values["teachers"] is None):
        got = "none" if values["teacher"] is None else "both"
        raise ConfigError(f"teacher: expected teacher=RUN or teachers={{NAME: {{run: RUN}}}}, got {got}")
    if values["teacher"] is not None:
        return {"teacher": {"run": values["teacher"], "weight": 1.0, "snr_db": None}}
    for name, section in values["teachers"].items():
        if section["snr_db"] and not section["snr_db"][0] < section["snr_db"][1]:
            raise ConfigError(f"teachers.{name}.snr_db: expected a lower and a higher SNR, got {section['snr_db']}")
    return dict(values["teachers"])


def _teacher(values: Values, name: str, section: Values, student: Enhancer, dataset: Dataset) -> Teacher:
    enhancer = load_enhancer(Path(section["run"]))
    check_compatible(student, enhancer, "the teacher" if values["teachers"] is None else name)
    check_fits(name, enhancer, dataset)
    prefix = "" if values["teachers"] is None else f"{name}_"
    terms = []
    for term_name, term in values["distill"]["terms"].items():
        arguments = dict(term["loss"])
        method = METHODS[arguments.pop("name")]
        pairs = None if term["pairs"] is None else [(pair[0], pair[1]) for pair in term["pairs"]]
        try:
            terms.append(build_term(prefix + term_name, method, arguments, term["weight"], pairs, student, enhancer))
        except ValueError as error:
            raise ConfigError(f"distill.terms.{error}") from None
    live = LiveViews(enhancer)
    folder = _cache_folders(values).get(name)
    snr_db = None if section["snr_db"] is None else (section["snr_db"][0], section["snr_db"][1])
    return Teacher(name, CachedViews(live, ViewCache(folder)) if folder else live, terms, section["weight"], snr_db)


def _check_items(teachers: list[Teacher], settings: FitSettings) -> None:
    """Some losses compare the items of a batch: they need several."""
    n_items = settings.batch_size // Processes().world
    for teacher in teachers:
        for term in teacher.terms:
            if n_items < term.loss.min_items:
                wanted = f"expected at least {term.loss.min_items} a process for {term.name}"
                raise ConfigError(f"fit.batch_size: {wanted}, which compares the items of a batch, got {n_items}")
            if term.loss.min_items > 1 and teacher.snr_db is not None:
                raise ConfigError(
                    f"teachers.{teacher.name}.snr_db: expected none for {term.name}, which compares the items of a "
                    f"batch, got {list(teacher.snr_db)}"
                )


def _epochs(values: Values) -> list[int]:
    """Epochs of each phase of the schedule; ``one_step`` may be repeated."""
    schedule = values["distill"]["schedule"]
    wanted = N_STEPS.get(schedule)
    epochs: list[int] = values["phase_epochs"] or [values["epochs"]] * (wanted or 1)
    if wanted not in (None, len(epochs)):
        raise ConfigError(f"phase_epochs: expected {wanted} numbers for {schedule}, got {len(epochs)}")
    return epochs


def _cache_folders(values: Values) -> dict[str, Path]:
    cache = values["distill"]["cache"]
    if cache is None:
        return {}
    if values["teachers"] is None:
        return {"teacher": Path(cache)}
    return {name: Path(cache) / name for name in values["teachers"]}


def _missing_bytes(teacher: Teacher, folder: Path, dataset: Dataset, settings: FitSettings, n_scenes: int) -> int:
    """Bytes that the cache of a teacher is going to grow by."""
    live: Any = teacher.source
    enhancer = live.live.enhancer
    n_frames = enhancer.stft.n_frames(round(settings.seconds * dataset.sample_rate))
    n_items, missing = n_scenes * (settings.draws or 1), 0
    for tap, kind in dict.fromkeys(view for term in teacher.terms for view in term.views_of_teacher()):
        there = sum(path.stat().st_size for path in (folder / f"{tap}.{kind}").glob("*"))
        size = view_bytes(kind, enhancer.tap_channels[tap], enhancer.stft.n_freqs, n_frames)
        missing += max(0, n_items * size - there)
    return missing


def _loss(values: Values) -> Any:
    arguments = dict(values["loss"])
    return LOSSES[arguments.pop("name")](**arguments)


def _note(term: Term) -> str:
    pairs = ", ".join(student if student == teacher else f"{student} → {teacher}" for student, teacher in term.pairs)
    return f"  {term.name}: {term.loss.formula()} [{pairs}]"
