"""Every term is tried before a distillation writes anything: what cannot be compared is refused by name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from arrayse.config import ConfigError
from arrayse.kd import Distillation, Term
from arrayse.mixture import open_dataset
from arrayse.models import Enhancer, build_enhancer
from arrayse.objectives import Batch
from arrayse.phases import Plan, distillation_plan
from arrayse.training.settings import FitSettings
from arrayse.verbs.nets import describe
from tests.tiny_runs import FRAMES, distil, saved, values_of

LAYERS = ["encoder_1", "encoder_2", "encoder_3"]


def config(
    data: Path, folder: Path, learns: str, teaches: str, term: dict[str, Any], fit: Any = None, distill: Any = None
) -> dict[str, Any]:
    """Values for one term ``t``, and a teacher beside the run that is to come."""
    teacher = folder / "teacher"
    run = teacher if teacher.is_dir() else saved(teaches, teacher)
    return values_of(data, run, folder / "run", learns, {"t": term}, fit, distill)


def student_of(values: dict[str, Any]) -> Enhancer:
    dataset = open_dataset(Path(values["data"]))
    return build_enhancer(**describe(values, dataset.geometry, dataset.sample_rate))


def plan_of(values: dict[str, Any], student: Enhancer | None = None) -> Plan:
    dataset, settings = open_dataset(Path(values["data"])), FitSettings(**values["fit"])
    return distillation_plan(values, student or student_of(values), dataset, settings)


def between(pairs: list[tuple[str, str]], name: str = "lin", **options: Any) -> dict[str, Any]:
    return {"loss": {"name": name, **options}, "pairs": [list(pair) for pair in pairs]}


def i2s(**options: Any) -> dict[str, Any]:
    sets = {"encoder": [LAYERS, LAYERS], "mask": [["mask"], ["mask"]]}
    return {"loss": {"name": "i2s_tfckd", "sets": sets, "fusion_channels": 4, **options}}


OUTPUTS: dict[str, Any] = {"loss": {"name": "lin"}, "pairs": [["mask", "mask"]]}
ITEMS: dict[str, Any] = {"loss": {"name": "similarity_preserving"}, "pairs": [["mask", "mask"]]}
DIFFERENT = "pairs: expected .*, got .*"
REFUSED: list[tuple[str, str, dict[str, Any], str]] = [
    ("dccrn", "dccrn", between([("encoder_1", "encoder_2")]), DIFFERENT),
    ("dccrn", "dccrn", between([("mask", "mask"), ("encoder_3", "encoder_2")], "feature_regression"), DIFFERENT),
    ("ft_jnf", "dccrn", between([("freq_lstm", "decoder_1")]), DIFFERENT),
    ("ft_jnf", "conv_tasnet", between([("freq_lstm", "mid_1")], "gram"), DIFFERENT),
    ("ft_jnf", "dpdcrn", between([("time_lstm", "mid_1")], "lstm2"), DIFFERENT),
    ("ft_jnf", "conv_tasnet", between([("time_lstm", "mid_1")], "clskd"), DIFFERENT),
    (
        "dccrn",
        "dccrn",
        between([("encoder_2", "encoder_2"), ("spec", "spec")], "dispatch", inner={"name": "lin"}),
        r"pairs: expected taps in the grid of the spectra \(1, 33, 202\), got \(1, 8, 202\)",
    ),
    (
        "dccrn",
        "dccrn",
        i2s(form="fixed", n_frames=100),
        f"loss.n_frames: expected 100, got {FRAMES}: set n_frames={FRAMES}, or form=free ",
    ),
    (
        "dccrn",
        "dccrn",
        i2s(form="fixed", n_frames=FRAMES, second="batch", batch_size=3),
        "fit.batch_size: expected at least 3 a process for t, which compares the items of a batch, got 2",
    ),
    (
        "ft_jnf",
        "conv_tasnet",
        {"loss": {"name": "i2s_tfckd", "sets": {"a": [["time_lstm"], ["mid_1"]]}}},
        r"layers: expected as many frames in all, got 202 and 4\d\d",
    ),
    (
        "conv_tasnet",
        "conv_tasnet",
        {"loss": {"name": "i2s_tfckd", "sets": {"a": [["mid_1"], ["mid_2"]]}}},
        "loss.second: expected layers of 2 frequencies or more for frequency, got one of 1",
    ),
]
SPREAD = [
    ("fullband", "subband", between([("mid_1", "mid_1")])),
    ("subband", "fullband", between([("mid_2", "mid_2")])),
    ("fullband", "subband", between([("mid_1", "mid_1")], "feature_regression", form="paper")),
    ("fullband", "ft_jnf", between([("mid_1", "time_lstm")], "gram", flows=["frequency"])),
    ("fullband", "ft_jnf", between([("mid_1", "time_lstm")], "lstm2")),
    ("fullband", "ft_jnf", between([("mid_1", "mask")], "mask")),
]
"""Features with one frequency: torch would compare it with each of the others'."""


@pytest.mark.parametrize(("learns", "teaches", "term", "message"), REFUSED)
def test_taps_that_cannot_be_compared_are_refused_before_anything_is_written(
    learns: str, teaches: str, term: dict[str, Any], message: str, tiny_dataset: Path, tmp_path: Path
) -> None:
    cache = {"cache": str(tmp_path / "cache")}
    values = config(tiny_dataset, tmp_path, learns, teaches, term, {"draws": 1}, cache)
    before = "" if message.startswith("fit.") else r"^distill\.terms\.t(\.|: )"
    with pytest.raises(ConfigError, match=before + message):
        distil(values)
    assert {path.name for path in tmp_path.iterdir()} == {"teacher"}


@pytest.mark.parametrize(("learns", "teaches", "term"), SPREAD)
def test_one_frequency_is_not_compared_with_many(
    learns: str, teaches: str, term: dict[str, Any], tiny_dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"^distill\.terms\.t\.pairs: expected .*, got .*"):
        plan_of(config(tiny_dataset, tmp_path, learns, teaches, term))


@pytest.mark.parametrize(
    ("term", "message"),
    [
        (i2s(n_frames=FRAMES), f"n_frames: expected none .*, got {FRAMES}"),
        ({"loss": {"name": "dfkd", "fixed_bin": 5}}, "fixed_bin: expected none for a crossover that is cumulative"),
        ({"loss": {"name": "dispatch", "inner": {"name": "mask"}, "low_bins": 5}}, "low_bins: expected none with mssp"),
        (
            {"loss": {"name": "dispatch", "inner": {"name": "dfkd", "fixed_bin": 5}}},
            "inner.fixed_bin: expected none for a crossover that is cumulative",
        ),
    ],
)
def test_options_that_nothing_uses_are_refused(
    term: dict[str, Any], message: str, tiny_dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=rf"^distill\.terms\.t\.loss\.{message}"):
        plan_of(config(tiny_dataset, tmp_path, "dccrn", "dccrn", term))


def test_a_batch_of_another_size_than_a_loss_was_made_for_is_refused(tiny_dataset: Path, tmp_path: Path) -> None:
    term = i2s(form="fixed", n_frames=FRAMES, second="batch", batch_size=2)
    wanted = "distill.terms.t.loss.batch_size: expected 2, got 3: set batch_size=3, or form=free "
    with pytest.raises(ConfigError, match=re.escape(wanted)):
        plan_of(config(tiny_dataset, tmp_path, "dccrn", "dccrn", term, fit={"batch_size": 3}))


def test_crops_are_no_longer_than_the_scenes(tiny_dataset: Path, tmp_path: Path) -> None:
    """Scenes of one second, whatever longer crops a config asks for."""
    loss, frames, longer = {"name": "i2s_tfckd", "sets": {"a": [["mask"], ["mask"]]}, "form": "fixed"}, 1002, 1202
    for n_frames in (frames, longer):
        term = {"loss": {**loss, "n_frames": n_frames}}
        values = config(tiny_dataset, tmp_path, "dccrn", "dccrn", term, fit={"seconds": 1.2})
        if n_frames == frames:
            plan_of(values)
            continue
        with pytest.raises(ConfigError, match=f"n_frames: expected {longer}, got {frames}: set n_frames={frames}"):
            plan_of(values)


@pytest.mark.parametrize(
    ("terms", "fit", "n_processes", "expected"),
    [
        ({"a": OUTPUTS}, {}, 1, (1, 5, 8000)),
        ({"a": OUTPUTS}, {"seconds": 0.3}, 1, (1, 5, 4800)),
        ({"a": OUTPUTS, "b": ITEMS}, {}, 1, (2, 5, 8000)),
        ({"a": OUTPUTS, "b": i2s(second="batch")}, {}, 1, (2, 5, 8000)),
        ({"a": i2s(form="fixed", n_frames=902), "b": OUTPUTS}, {}, 1, (4, 5, 14400)),
        ({"a": i2s(form="fixed", n_frames=902), "b": OUTPUTS}, {}, 2, (2, 5, 14400)),
        ({"a": i2s(form="fixed", n_frames=1002)}, {"seconds": 1.5}, 1, (4, 5, 16000)),
    ],
)
def test_terms_are_tried_on_as_little_as_they_take(
    terms: dict[str, Any],
    fit: dict[str, Any],
    n_processes: int,
    expected: tuple[int, ...],
    tiny_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half a second of one item; as many items as one of them needs; what one of them was made for."""
    run = saved("dccrn", tmp_path / "teacher")
    fit = {"batch_size": 4, "seconds": 0.9, **fit}
    values = values_of(tiny_dataset, run, tmp_path / "run", "dccrn", terms, fit)
    tried: list[tuple[str, tuple[int, ...]]] = []

    def try_term(_: Distillation, term: Term, batch: Batch) -> None:
        tried.append((term.name, tuple(batch.noisy.shape)))

    monkeypatch.setenv("WORLD_SIZE", str(n_processes))
    monkeypatch.setattr("arrayse.phases._try_term", try_term)
    plan_of(values)
    assert tried == [(name, expected) for name in terms]


def test_networks_that_hear_waves_have_no_features_to_set(tiny_dataset: Path, tmp_path: Path) -> None:
    values = config(tiny_dataset, tmp_path, "conv_tasnet", "dccrn", {"loss": {"name": "magnitude"}})
    values["features"]["norm"] = "none"
    wanted = "features.norm: expected nothing for conv_tasnet, which hears waves and has no features, got 'none'"
    with pytest.raises(ConfigError, match=f"^{wanted}$"):
        distil(values)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("learns", "teaches", "term"),
    [
        ("dccrn", "dccrn", between([("encoder_1", "encoder_3")], "similarity_preserving")),
        ("dccrn", "dccrn", between([("encoder_1", "encoder_3")], "clskd")),
        ("conv_tasnet", "ft_jnf", between([("mid_1", "time_lstm")], "similarity_preserving")),
        ("ft_jnf", "dpdcrn", between([("time_lstm", "mid_1")], "lstm2", flows=["time"])),
        ("fullband", "subband", between([("mid_1", "mid_1")], "gram", flows=["time"])),
        ("dccrn", "dccrn", i2s(form="fixed", n_frames=FRAMES, second="batch", batch_size=2)),
        ("dccrn", "dccrn", i2s(second="frequency")),
        ("dpdcrn", "dccrn", {"loss": {"name": "dispatch", "inner": {"name": "dfkd"}}}),
    ],
)
def test_a_plan_leaves_the_student_as_it_was(
    learns: str, teaches: str, term: dict[str, Any], tiny_dataset: Path, tmp_path: Path
) -> None:
    """Weights, statistics of norms, what losses count; and features of any grid go where a loss takes them."""
    values = config(tiny_dataset, tmp_path, learns, teaches, term)
    student = student_of(values)
    before = {name: value.clone() for name, value in student.state_dict().items()}
    plan = plan_of(values, student)
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())
    assert all(parameter.grad is None for parameter in student.parameters())
    (phase,) = plan.phases
    assert all(not any(counts) for counts in phase.objective.histograms().values())
    assert list(phase.objective.histograms()) == (["t.crossover"] if "dispatch" in str(term) else [])
