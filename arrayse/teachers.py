"""From the values of a distill config to teachers: loaded, checked against student and data, live or from disk."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arrayse.checkpoint import fingerprint, load_enhancer
from arrayse.config import ConfigError
from arrayse.config.places import placed_in_term
from arrayse.data import SceneReader
from arrayse.evaluation.lineup import check_fits
from arrayse.files import check_free_space, sha256_of
from arrayse.kd import CachedViews, LiveViews, Teacher, Term, build_term, check_compatible, check_coverage
from arrayse.kd.cache import Origin, ViewCache
from arrayse.kd.methods import method_of
from arrayse.mixture import Dataset
from arrayse.models import Enhancer
from arrayse.sizes import bytes_in_words
from arrayse.training.loop import precision_name
from arrayse.training.processes import Processes
from arrayse.training.settings import FitSettings

Values = dict[str, Any]

ON_WAVES = ("output_l2", "dfkd_one_step", "dispatch_l2")
"""Some of the named configs with losses on estimated waves, which every network leaves."""


def load_teachers(values: Values, student: Enhancer, dataset: Dataset, settings: FitSettings) -> list[Teacher]:
    """The teachers that a config names, with their terms.

    Raises:
        ValueError: teachers that do not fit the student or the data, and terms that cannot be used.
    """
    _check_cache(values, settings)
    teachers = [_load(values, name, section, student, dataset) for name, section in _runs(values).items()]
    check_coverage(teachers, settings.snr_db)
    n_items = settings.batch_size // Processes().world
    for teacher in teachers:
        for term in teacher.terms:
            _check_items(teacher, term, n_items)
    return teachers


@dataclass(frozen=True)
class CacheClaim:
    """A cache that a training wants to use, checked.

    Attributes:
        cache: where.
        origin: what its views come from.
        missing_bytes: how much it may still grow.
    """

    cache: ViewCache
    origin: Origin
    missing_bytes: int

    def __str__(self) -> str:
        return f"teacher outputs: {bytes_in_words(self.missing_bytes)} more in {self.cache.folder}"

    def write(self) -> None:
        """Makes the folder this cache."""
        self.cache.claim(self.origin)


def cache_claims(teachers: list[Teacher], reader: SceneReader, settings: FitSettings) -> list[CacheClaim]:
    """What the caches of teachers are to hold of the training items; nothing is written yet.

    Raises:
        ValueError: a cache of another teacher, dataset or precision; too little space.
    """
    cached = [(teacher, teacher.source) for teacher in teachers if isinstance(teacher.source, CachedViews)]
    if not cached:
        return []
    data, crops, claims = sha256_of(reader.dataset.folder / "dataset.json"), reader.crops(), []
    for teacher, source in cached:
        origin = Origin(teacher.fingerprint, data, f"{precision_name(settings)}, {Processes().device.type}")
        source.cache.check(origin)
        n_samples = {key: length for key, (length, snr_db) in crops.items() if teacher.is_asked(snr_db)}
        claims.append(CacheClaim(source.cache, origin, source.missing_bytes(teacher.wanted(), n_samples)))
    check_free_space(cached[0][1].cache.folder, sum(claim.missing_bytes for claim in claims))
    return claims


def _check_cache(values: Values, settings: FitSettings) -> None:
    if values["distill"]["cache"] is not None and settings.draws is None:
        raise ConfigError(
            "fit.draws: expected a number with distill.cache, got none: where every epoch has new crops and SNRs "
            "nothing is read twice; fit.draws=1 keeps one of each scene"
        )


def _runs(values: Values) -> dict[str, Values]:
    """The section of every teacher by its name."""
    teacher, teachers = values["teacher"], values["teachers"]
    if teacher is not None and teachers is not None:
        runs = " ".join(f"teachers.{name}.run=RUN" for name in teachers)
        wanted = f"expected none where a config has teachers of its own ({', '.join(teachers)})"
        raise ConfigError(f"teacher: {wanted}, got {teacher}: set {runs}, or teachers=null for one teacher")
    if teachers is None:
        if teacher is None:
            raise ConfigError("teacher: expected teacher=RUN or teachers={NAME: {run: RUN}}, got none")
        return {"teacher": {"run": teacher, "weight": 1.0, "snr_db": None}}
    for name, section in teachers.items():
        if not re.fullmatch(r"\w+", name):
            raise ConfigError(f"teachers: expected names of letters, digits and _, got {name!r}")
        if section["snr_db"] and not section["snr_db"][0] < section["snr_db"][1]:
            raise ConfigError(f"teachers.{name}.snr_db: expected a lower and a higher SNR, got {section['snr_db']}")
    return dict(teachers)


def open_run(key: str, run: Path) -> tuple[str, Enhancer]:
    """The fingerprint of a run that a key of a config names, and its network.

    Raises:
        ConfigError: no run there, or one whose files do not fit together.
    """
    if not run.is_dir():
        raise ConfigError(f"{key}: expected a folder that arrayse train or distill wrote, got {run}: no such folder")
    try:
        return fingerprint(run), load_enhancer(run)
    except ValueError as error:
        raise ConfigError(f"{key}: {str(error).removeprefix('run: ')}") from None


def _load(values: Values, name: str, section: Values, student: Enhancer, dataset: Dataset) -> Teacher:
    run, several = Path(section["run"]), values["teachers"] is not None
    key = f"teachers.{name}.run" if several else "teacher"
    before, enhancer = open_run(key, run)
    if fingerprint(run) != before:
        raise ConfigError(f"{key}: expected a teacher that does not change, got {run}, which is being trained")
    check_compatible(student, enhancer, name if several else "the teacher")
    check_fits(name, enhancer, dataset)
    prefix = f"{name}_" if several else ""
    terms = [
        _term(prefix, term_name, term, student, enhancer)
        for term_name, term in values["distill"]["terms"].items()
        if term["weight"] > 0
    ]
    live, cache = LiveViews(enhancer), values["distill"]["cache"]
    folder = None if cache is None else Path(cache) / name if several else Path(cache)
    source = live if folder is None else CachedViews(live, ViewCache(folder))
    snr_db = None if section["snr_db"] is None else (section["snr_db"][0], section["snr_db"][1])
    return Teacher(name, source, terms, section["weight"], snr_db, before)


def _term(prefix: str, name: str, section: Values, student: Enhancer, teacher: Enhancer) -> Term:
    """A term; the prefix of its name is that of its teacher, where there are several."""
    pairs = None if section["pairs"] is None else [(pair[0], pair[1]) for pair in section["pairs"]]
    try:
        return build_term(prefix + name, section["loss"], section["weight"], pairs, student, teacher)
    except ValueError as error:
        told = placed_in_term(str(error).removeprefix(f"{prefix}{name} "), name, section)
        raise ConfigError(told + _hint(section, student, teacher)) from None


def _hint(section: Values, student: Enhancer, teacher: Enhancer) -> str:
    """What else can be taught, where a loss by itself looks at features that one of the networks does not have."""
    usual = [] if section["pairs"] else method_of(section["loss"]).default_pairs(section["loss"])
    lost = [each for each in usual if each[0] not in student.tap_channels or each[1] not in teacher.tap_channels]
    return f": losses on waves compare any two networks: {', '.join(ON_WAVES)}" if lost else ""


def _check_items(teacher: Teacher, term: Term, n_items: int) -> None:
    """Some losses compare the items of a batch: they need several."""
    if term.loss.min_items == 1:
        return
    if n_items < term.loss.min_items:
        wanted = f"expected at least {term.loss.min_items} a process for {term.name}"
        raise ConfigError(f"fit.batch_size: {wanted}, which compares the items of a batch, got {n_items}")
    if teacher.snr_db is not None:
        raise ConfigError(
            f"teachers.{teacher.name}.snr_db: expected none for {term.name}, which compares the items of a batch, "
            f"got {list(teacher.snr_db)}"
        )
