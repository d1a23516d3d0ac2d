"""Where a distilled student learns from its teachers: patches that ``dispatch`` selects, crossovers of ``dfkd``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch
from torch import Tensor

from arrayse.checkpoint import load_enhancer
from arrayse.config import ConfigError, read_config
from arrayse.data import SceneReader, collate
from arrayse.files import read_json, sha256_of, write_text
from arrayse.kd import Distillation, LiveViews, Teacher, Term
from arrayse.kd.dfkd import Dfkd
from arrayse.kd.dispatch import Dispatch
from arrayse.kd.estimates import Band, EstimateLoss
from arrayse.losses import WaveMagnitudeL1
from arrayse.mixture import Dataset, open_dataset
from arrayse.models import Enhancer
from arrayse.objectives import Batch
from arrayse.provenance import ABOUT
from arrayse.report.build import render_page
from arrayse.report.patches_figure import PatchView, patches_figure
from arrayse.report.players import PlayerView, player_of
from arrayse.teachers import load_teachers
from arrayse.training.settings import FitSettings
from arrayse.verbs.common import CONFIG, Values

Progress = Callable[[int, int], None]
Seen = tuple[list[Tensor], ...]
"""What a loss is called with: views of student and teacher and, if it wants them, of the clean target."""


@dataclass(frozen=True)
class LessonView:
    """What the page shows of a scene; figures are SVG text."""

    id: str
    title: str
    figures: tuple[str, ...]
    player: PlayerView


@dataclass(frozen=True)
class Lesson:
    """A student and who taught it, with the terms that say where they look.

    Attributes:
        student: with its best weights.
        teachers: live, with terms of ``dispatch`` and ``dfkd`` only; those without such terms are left out.
        dataset: that it learned from.
        reader: of the validation scenes.
    """

    student: Enhancer
    teachers: list[Teacher]
    dataset: Dataset
    reader: SceneReader


def draw_patches(run: Path, n_scenes: int, out: Path, progress: Progress = lambda done, total: None) -> Path:
    """Draws where a student learns from its teachers in the first validation scenes, as one HTML page.

    Args:
        run: folder of a student that was distilled with ``dispatch`` or ``dfkd``.
        n_scenes: how many scenes at most.
        out: the HTML file to write.
        progress: called with scenes done and scenes in all.

    Returns:
        ``out``.

    Raises:
        ValueError: see :func:`load_lesson`.
    """
    lesson = load_lesson(run)
    entries = lesson.reader.entries()[:n_scenes]
    scenes: list[LessonView] = []
    progress(0, len(entries))
    for entry in entries:
        scenes.append(_scene(f"s{len(scenes) + 1}", lesson, collate(lesson.reader, [entry], 0)))
        progress(len(scenes), len(entries))
    terms = [(term.name, term.loss.formula()) for teacher in lesson.teachers for term in teacher.terms]
    page = {"title": run.resolve().name, "label": lesson.dataset.label, "terms": terms, "scenes": scenes}
    write_text(out, render_page("patches.html", page))
    return out


def load_lesson(run: Path) -> Lesson:
    """Loads all that a distillation was made of, from the config in its folder.

    Raises:
        ValueError: no run of ``arrayse distill``, none of these terms, or data or a teacher that is gone or another.
    """
    values = _config(run)
    dataset, settings = open_dataset(Path(values["data"])), FitSettings(**values["fit"])
    student = load_enhancer(run)
    teachers = load_teachers(values, student, dataset, settings)
    _check_origin(run, dataset, teachers)
    chosen = [replace(each, terms=[term for term in each.terms if _is_drawn(term)]) for each in teachers]
    chosen = [teacher for teacher in chosen if teacher.terms]
    if not chosen:
        _refuse(run, f"terms {', '.join(values['distill']['terms'])}")
    reader = SceneReader(dataset, "valid", settings.snr_db, settings.seconds, values["seed"], draws=settings.draws)
    return Lesson(student, chosen, dataset, reader)


@torch.no_grad()
def patch_views(student: Enhancer, teacher: Teacher, batch: Batch) -> list[PatchView]:
    """What the terms of a teacher look at in a batch of one item; none if the teacher is not asked about it.

    The losses are called as training calls them, and what they are called with is looked at.
    """
    seen: dict[str, Seen] = {}
    hooks = [
        term.loss.register_forward_pre_hook(lambda _, views, name=term.name: seen.update({name: views}))
        for term in teacher.terms
    ]
    try:
        Distillation(student, WaveMagnitudeL1(), [teacher], 0.0).eval()(batch)  # any supervised loss would do
    finally:
        for hook in hooks:
            hook.remove()
    return [_view(term, seen[term.name], student, batch) for term in teacher.terms if term.name in seen]


def _view(term: Term, seen: Seen, student: Enhancer, batch: Batch) -> PatchView:
    selected: Tensor | None = None
    stft, bands = student.stft, []
    if isinstance(term.loss, Dispatch):
        found = term.loss.selected(*seen)
        selected, bands = torch.stack([each.bins()[0] for each in found]).any(dim=0), [each.band for each in found]
        if isinstance(term.loss.inner, EstimateLoss):
            stft = term.loss.inner.stft
    elif isinstance(term.loss, Dfkd):
        stft, bands = term.loss.stft, term.loss.bands(term.loss.spectrum(seen[1][0]))
    spectrum = stft(batch.noisy[0, student.ref_mic])
    return PatchView(
        term=term.name,
        scene=batch.ids[0],
        snr_db=float(batch.snr_db[0]),
        levels_db=(20 * (spectrum.abs() + 1e-6).log10()).numpy(),
        bins_hz=student.sample_rate / stft.n_fft,
        hop_seconds=stft.hop_length / student.sample_rate,
        first_seconds=(stft.hop_length - stft.latency_samples / 2) / student.sample_rate,
        selected=None if selected is None else selected.numpy(),
        crossover=_crossover(bands),
    )


def _crossover(bands: list[Band]) -> np.ndarray | None:
    """The highest bin of the low band in each frame, (frame,)."""
    for band in bands:
        if band.region == "low":
            highest: np.ndarray = band.mask[0].sum(dim=0).numpy() - 1
            return highest
    return None


def _scene(name: str, lesson: Lesson, batch: Batch) -> LessonView:
    """Figures of all terms, and all that can be heard; ``name`` starts every id."""
    views = [view for teacher in lesson.teachers for view in patch_views(lesson.student, teacher, batch)]
    figures = tuple(patches_figure(view, f"{name}-{view.term}") for view in views)
    return LessonView(name, batch.ids[0], figures, _player(f"{name}-p", lesson, batch))


@torch.inference_mode()
def _player(name: str, lesson: Lesson, batch: Batch) -> PlayerView:
    student, rate = lesson.student, lesson.student.sample_rate
    waves = {"noisy": batch.noisy[0, student.ref_mic], "target": batch.target[0, student.ref_mic]}
    captions = {"noisy": f"microphone {student.ref_mic}", "target": "what is asked for"}
    heard = {"student": student, **{_title(each): _enhancer(each) for each in lesson.teachers}}
    for title, enhancer in heard.items():
        waves[title] = enhancer(batch.noisy).wave[0]
        captions[title] = f"microphones {', '.join(map(str, enhancer.mics))}"
    heard_waves = {title: wave.numpy() for title, wave in waves.items()}
    return player_of(name, batch.ids[0], float(batch.snr_db[0]), heard_waves, rate, captions)


def _title(teacher: Teacher) -> str:
    return "teacher" if teacher.name == "teacher" else f"teacher {teacher.name}"


def _enhancer(teacher: Teacher) -> Enhancer:
    source = teacher.source
    assert isinstance(source, LiveViews)  # load_lesson names no cache
    enhancer: Enhancer = source.enhancer
    return enhancer


def _is_drawn(term: Term) -> bool:
    return isinstance(term.loss, Dispatch | Dfkd)


def _config(run: Path) -> Values:
    """The values of a distillation, its teachers live.

    Raises:
        ValueError: no run, or one without a teacher.
    """
    path = run / CONFIG
    if not path.is_file():
        raise ValueError(f"run: expected a folder that arrayse distill wrote, got {run} without {CONFIG}")
    if _is_supervised(path):
        _refuse(run, "no teacher")
    values = read_config("distill", [str(path)])
    return {**values, "distill": {**values["distill"], "cache": None}}


def _is_supervised(path: Path) -> bool:
    """Whether a config is one of ``arrayse train``."""
    try:
        read_config("train", [str(path)])
    except ConfigError:
        return False
    return True


def _refuse(run: Path, got: str) -> NoReturn:
    raise ValueError(
        f"{run}: expected a student that was distilled with dispatch or dfkd, got {got}: "
        "arrayse distill student dispatch_l2 teacher=RUN data=FOLDER out=FOLDER makes one"
    )


def _check_origin(run: Path, dataset: Dataset, teachers: list[Teacher]) -> None:
    """Raises ValueError if data or teachers are not those that the run was made with."""
    about = read_json(run / ABOUT, "run")
    now = {
        "data": sha256_of(dataset.folder / "dataset.json"),
        "teachers": {teacher.name: teacher.fingerprint for teacher in teachers},
    }
    for what, there in now.items():
        if about.get(what) != there:
            raise ValueError(f"{what}: expected what {run} was made with, got another")
