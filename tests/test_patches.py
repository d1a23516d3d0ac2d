"""Pictures of selected patches: what is drawn is what the loss selects in the scenes that validation hears."""

from __future__ import annotations

import copy
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib import colormaps

from arrayse.checkpoint import load_enhancer, save_description, save_weights
from arrayse.config import read_config
from arrayse.data import Share, collate, valid_batches
from arrayse.frontend.stft import Stft
from arrayse.kd import LiveViews
from arrayse.kd.views import look
from arrayse.mixture import open_dataset
from arrayse.objectives import Batch
from arrayse.report.patches_figure import GREY, PatchView, patches_figure, picture
from arrayse.training.settings import FitSettings
from arrayse.verbs.nets import build_readers, run_train
from arrayse.verbs.patches import Lesson, draw_patches, load_lesson, patch_views
from tests.estimate_cases import slow_crossover
from tests.test_report import Page
from tests.tiny import description, enhancer

SMALL = ["student", "model.freq_hidden=3", "model.time_hidden=2", "stft={n_fft: 128, hop_length: 64}", "mics=[3]"]
FIT = ["fit.batch_size=2", "fit.seconds=0.2", "fit.precision=float32", "epochs=1", "seed=3"]
TERMS = {
    "magnitude": "{name: dispatch, inner: {name: magnitude}}",
    "scales": "{name: dispatch, inner: {name: dfkd}, mssp: true}",
    "lin": "{name: dispatch, inner: {name: lin}, rule: positive, n_bins: 10}",
    "masks": "{name: dispatch, inner: {name: mask}, k: 0.5, n_bins: 10}",
    "dfkd": "{name: dfkd, crossover: absolute, n_fft: 256, hop_length: 64}",
    "mask": "{name: mask}",
}
DRAWN = ["magnitude", "scales", "lin", "masks", "dfkd"]


def distil(data: Path, folder: Path, *arguments: str) -> Path:
    values = read_config("distill", [*SMALL, *FIT, *arguments, f"data={data}", f"out={folder}"])
    return run_train(values, lambda *progress: None, lambda text: None)


@pytest.fixture(scope="module")
def teacher(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    geometry, run = open_dataset(tiny_dataset).geometry, tmp_path_factory.mktemp("runs") / "teacher"
    run.mkdir()
    save_description(run, description(geometry, ref_mic=3))  # that of the students
    save_weights(run, enhancer(1, array=geometry, ref_mic=3))
    return run


@pytest.fixture(scope="module")
def student(tiny_dataset: Path, teacher: Path) -> Path:
    terms = ", ".join(f"{name}: {{loss: {loss}}}" for name, loss in TERMS.items())
    cache = [f"distill.cache={teacher.parent / 'cache'}", "fit.draws=1"]
    return distil(
        tiny_dataset, teacher.parent / "student", f"distill={{terms: {{{terms}}}}}", f"teacher={teacher}", *cache
    )


@pytest.fixture(scope="module")
def lesson(student: Path) -> Lesson:
    return load_lesson(student)


@pytest.fixture(scope="module")
def batch(lesson: Lesson) -> Batch:
    return collate(lesson.reader, lesson.reader.entries()[1:2], 0)


@pytest.fixture(scope="module")
def views(lesson: Lesson, batch: Batch) -> dict[str, PatchView]:
    return {view.term: view for view in patch_views(lesson.student, lesson.teachers[0], batch)}


def test_scenes_are_those_of_the_validation(lesson: Lesson, student: Path, batch: Batch) -> None:
    values = read_config("distill", [str(student / "config.yaml")])
    reader = build_readers(values, lesson.dataset, FitSettings(**values["fit"]))[1]
    assert lesson.reader == reader
    (heard,) = valid_batches(reader, reader.entries(), 2, Share())
    assert heard.keys[1] == batch.keys[0]
    assert torch.equal(heard.noisy[1], batch.noisy[0])


def test_only_terms_that_select_or_split_are_drawn(views: dict[str, PatchView], lesson: Lesson, batch: Batch) -> None:
    assert list(views) == DRAWN
    assert all((view.scene, view.snr_db) == (batch.ids[0], batch.snr_db[0]) for view in views.values())
    assert {name for name, view in views.items() if view.selected is None} == {"dfkd"}
    assert {name for name, view in views.items() if view.crossover is None} == {"magnitude", "lin", "masks"}


def test_the_magnitude_selects_by_the_definition(
    views: dict[str, PatchView], student: Path, teacher: Path, batch: Batch
) -> None:
    """With waves and spectra of numpy, patch by patch."""
    with torch.no_grad():
        waves = [load_enhancer(run)(batch.noisy).wave[0].numpy() for run in (student, teacher)]
    waves += [batch.target[0, 3].numpy()]
    frames = -(-(len(waves[0]) + 384) // 128)
    window = np.hanning(513)[:512]
    padded = [np.pad(wave, (384, 512)) for wave in waves]
    ours, theirs, clean = (
        np.abs([np.fft.rfft(window * wave[128 * t :][:512]) for t in range(frames)]).T for wave in padded
    )
    gaps = (ours - clean) ** 2 - (theirs - clean) ** 2
    scores = {(p, t): gaps[20 * p : 20 * p + 20, t].sum() for p in range(13) for t in range(frames)}
    best = sorted(scores, key=lambda place: -scores[place])[: int(0.8 * len(scores))]
    expected = np.zeros((257, frames), dtype=bool)
    for p, t in best:
        expected[20 * p : 20 * p + 20, t] = True
    got = views["magnitude"]
    assert got.selected is not None
    assert got.selected.shape == expected.shape
    assert (got.selected != expected).mean() < 0.005  # patches whose scores are equal up to rounding
    assert got.share == pytest.approx(expected.mean(), abs=0.005)


def test_as_many_cells_are_drawn_as_the_loss_selects(views: dict[str, PatchView], lesson: Lesson, batch: Batch) -> None:
    ours, source = lesson.student, lesson.teachers[0].source
    assert isinstance(source, LiveViews)
    for term in lesson.teachers[0].terms[:4]:
        with torch.no_grad():
            taps, theirs = ours(batch.noisy).taps, source.enhancer(batch.noisy).taps
            seen = [[each[pair[side]] for pair in term.pairs] for side, each in enumerate((taps, theirs))]
            target = [
                ours.tap_of_target(term.pairs[view.tap][0], batch.target[:, 3]) for view in term.loss.target_views
            ]
            found = term.loss.selected(*(look(term.loss.views, features) for features in seen), target)
        union = torch.stack([selection.bins() for selection in found]).any(dim=0)[0].numpy()
        view = views[term.name]
        assert view.selected is not None
        np.testing.assert_array_equal(view.selected, union)
        assert 0 < union.sum() < union.size
        colours = picture(view)
        grey = (np.ptp(colours, axis=-1) == 0).sum()
        assert view.selected.sum() == union.size - grey


@pytest.mark.parametrize(("term", "crossover", "n_fft"), [("scales", "cumulative", 512), ("dfkd", "absolute", 256)])
def test_the_line_is_the_crossover_of_the_teacher(
    term: str, crossover: str, n_fft: int, views: dict[str, PatchView], lesson: Lesson, teacher: Path, batch: Batch
) -> None:
    loss = next(each.loss for each in lesson.teachers[0].terms if each.name == term)
    stft = loss.stft if term == "dfkd" else loss.inner.stft
    with torch.no_grad():
        spectrum = stft(load_enhancer(teacher)(batch.noisy).wave)[0].numpy()
    expected = [slow_crossover(list(frame), crossover) for frame in spectrum.T]
    got = views[term].crossover
    assert got is not None
    assert got.tolist() == expected
    assert views[term].bins_hz == 16000 / n_fft
    assert not any(loss.histograms()["crossover"])  # what is drawn does not count as training


def test_frames_stand_where_their_windows_do(views: dict[str, PatchView]) -> None:
    view = views["dfkd"]
    assert view.levels_db.shape == (129, 53)
    assert view.hop_seconds == 64 / 16000
    assert view.first_seconds == pytest.approx((64 - 256 / 2) / 16000)


def test_frames_of_asymmetric_windows_stand_where_they_give_back(lesson: Lesson, batch: Batch) -> None:
    (teacher,) = lesson.teachers
    term = next(each for each in teacher.terms if each.name == "dfkd")
    loss = copy.deepcopy(term.loss)
    loss.stft = Stft(256, 64, "asymmetric", synthesis_length=128)
    (view,) = patch_views(lesson.student, replace(teacher, terms=[replace(term, loss=loss)]), batch)
    dual = loss.stft.dual.numpy()
    first, last = np.flatnonzero(dual)[[0, -1]]
    middle = 64 - 256 + (first + last) / 2  # frame 0 sees the 256 samples before 64
    assert view.first_seconds == pytest.approx(middle / 16000, abs=1 / 16000)


def test_the_spectrogram_is_of_the_noisy_input(views: dict[str, PatchView], batch: Batch) -> None:
    frame = 20  # sees the samples before 21 · 64
    piece = np.hanning(257)[:256] * batch.noisy[0, 3].numpy()[21 * 64 - 256 : 21 * 64]
    expected = 20 * np.log10(np.abs(np.fft.rfft(piece)) + 1e-6)
    np.testing.assert_allclose(views["dfkd"].levels_db[:, frame], expected, atol=0.01)


# --- figure ---------------------------------------------------------------------------------------------------------


def view_of(selected: np.ndarray | None, crossover: np.ndarray | None) -> PatchView:
    levels = np.linspace(-40, 0, 12).reshape(3, 4)
    return PatchView("term", "valid-000007", -0.04, levels, 1000.0, 0.01, 0.0, selected, crossover)


def test_the_title_tells_scene_snr_and_share() -> None:
    selected = np.arange(12).reshape(3, 4) < 3
    assert view_of(selected, None).title() == "valid-000007 at 0 dB SNR · term selects 25 % of the bins"
    both = view_of(selected, np.array([0, 1, 1, 2])).title()
    assert both == "valid-000007 at 0 dB SNR · term selects 25 % of the bins · median crossover 1000 Hz"
    assert view_of(None, np.array([2, 2, 2, 2])).title() == "valid-000007 at 0 dB SNR · term: median crossover 2000 Hz"


def test_what_is_left_out_is_grey() -> None:
    selected = np.arange(12).reshape(3, 4) < 3
    colours = picture(view_of(selected, None))
    level = 1 + np.linspace(-40, 0, 12).reshape(3, 4) / 65
    np.testing.assert_allclose(colours[~selected], np.repeat(GREY * level[~selected][:, None], 3, axis=1))
    np.testing.assert_allclose(colours[selected], colormaps["magma"](level[selected])[:, :3])
    np.testing.assert_allclose(picture(view_of(None, None)), colormaps["magma"](level)[..., :3])


def test_the_figure_is_one_picture_and_one_line() -> None:
    svg = patches_figure(view_of(None, np.array([0, 1, 1, 2])), "a")
    assert svg.count("<image") == 1
    assert svg.count("#4be3f2") == 1
    assert "#4be3f2" not in patches_figure(view_of(np.ones((3, 4), dtype=bool), None), "a")


# --- page -----------------------------------------------------------------------------------------------------------


def test_the_page_shows_every_scene_and_term(student: Path, tmp_path: Path) -> None:
    done: list[tuple[int, int]] = []
    out = draw_patches(student, 5, tmp_path / "page.html", lambda *progress: done.append(progress))
    assert out == tmp_path / "page.html"
    assert done == [(0, 2), (1, 2), (2, 2)]
    text = out.read_text(encoding="utf-8")
    page = Page(text)
    assert len([tag for tag, _ in page.tags if tag == "svg"]) == 2 * len(DRAWN)
    assert len([tag for tag, _ in page.tags if tag == "audio"]) == 2 * 4
    assert re.findall(r"valid-00000\d at [−\d.]+ dB SNR · \w+", page.text)[4].endswith("dfkd")
    assert len(re.findall(r"selects \d+(?:\.\d)? % of the bins", page.text)) == 2 * 4
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", text)
    for told in (
        *("dispatch(magnitude; top 80 % of patches of 20 bins)", "dispatch(mask; top 50 % of patches of 10 bins)"),
        "dispatch(dfkd; top 80 % of patches of 10 bins in the low band, 40 above)",
        "dispatch(lin; patches of 10 bins, if the teacher is ahead)",
        "(β = 0.5, crossover absolute)",
    ):
        assert page.text.count(told) == 1
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert len(re.findall("<h2", draw_patches(student, 1, tmp_path / "one.html").read_text())) == 2


def test_a_teacher_that_is_not_asked_selects_nothing(tiny_dataset: Path, teacher: Path, tmp_path: Path) -> None:
    several = f"teachers={{low: {{run: {teacher}, snr_db: [-5,5]}}, high: {{run: {teacher}, snr_db: [5,15]}}}}"
    run = distil(tiny_dataset, tmp_path / "student", "dispatch_l2", several)
    lesson = load_lesson(run)
    for entry in lesson.reader.entries():
        batch = collate(lesson.reader, [entry], 0)
        terms = [view.term for each in lesson.teachers for view in patch_views(lesson.student, each, batch)]
        assert terms == ["low_dispatch" if batch.snr_db[0] < 5 else "high_dispatch"]
    assert "teacher high" in draw_patches(run, 1, tmp_path / "page.html").read_text()


def test_pictures_of_other_data_or_teachers_are_refused(
    student: Path, teacher: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(student, tmp_path / "run"))
    config = run / "config.yaml"
    other, data = tmp_path / "other", Path(shutil.copytree(tiny_dataset, tmp_path / "data"))
    shutil.copytree(teacher, other)
    save_weights(other, enhancer(2))
    text = config.read_text()
    config.write_text(text.replace(str(teacher), str(other)))
    with pytest.raises(ValueError, match=r"teachers: expected what .*run was made with, got another"):
        load_lesson(run)
    path = data / "dataset.json"
    path.write_text(path.read_text().replace('"seed": ', '"seed": 1'))
    config.write_text(text.replace(str(tiny_dataset), str(data)))
    with pytest.raises(ValueError, match=r"data: expected what .*run was made with, got another"):
        load_lesson(run)
    config.write_text(text.replace(str(teacher), str(tmp_path / "gone")))
    with pytest.raises(ValueError, match=r"gone: no such folder"):
        load_lesson(run)
