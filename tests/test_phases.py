"""What train and distill configs become: phases, teachers, caches; what is refused before the first step."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from arrayse.checkpoint import load_enhancer, save_description, save_weights
from arrayse.config import ConfigError, read_config
from arrayse.files import read_json, read_json_lines
from arrayse.kd import CachedViews, Distillation, LiveViews
from arrayse.mixture import open_dataset
from arrayse.phases import Plan, distillation_plan, supervised_plan
from arrayse.training.settings import FitSettings
from arrayse.verbs.nets import run_train
from tests.tiny import description, enhancer

SMALL = ["student", "model.freq_hidden=3", "model.time_hidden=2", "stft={n_fft: 128, hop_length: 64}"]
FIT = ["fit.batch_size=2", "fit.seconds=0.2", "fit.precision=float32"]


@pytest.fixture
def teachers(tiny_dataset: Path, tmp_path: Path) -> list[Path]:
    """Run folders of two teachers with other weights."""
    geometry, runs = open_dataset(tiny_dataset).geometry, []
    for seed in (1, 2):
        run = tmp_path / f"teacher{seed}"
        run.mkdir()
        save_description(run, description(geometry))
        save_weights(run, enhancer(seed, array=geometry))
        runs.append(run)
    return runs


def plan(data: Path, teachers: list[Path], *arguments: str) -> Plan:
    """The plan of a distillation from the first teacher, unless the arguments say otherwise."""
    several = any(argument.startswith("teachers=") for argument in arguments)
    first = [] if several else [f"teacher={teachers[0]}"]
    values = read_config("distill", [*SMALL, *FIT, *arguments, *first, f"data={data}", "out=unused"])
    student = enhancer(array=open_dataset(data).geometry, mics=values["mics"])
    return distillation_plan(values, student, open_dataset(data), FitSettings(**values["fit"]))


def told(made: Plan) -> list[tuple[str, Any, int, int | None]]:
    """Name, weight of the supervised loss, epochs and patience of the phases."""
    return [(p.name, getattr(p.objective, "supervised_weight", None), p.epochs, p.patience) for p in made.phases]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["lin_one_step", "epochs=7"], [("distillation", 0.5, 7, 12)]),
        (
            ["lin_one_step", "phase_epochs=[3,2]"],
            [("distillation", 0.5, 3, None), ("distillation, restart 1", 0.5, 2, 12)],
        ),
        (["lin_two_step", "epochs=7"], [("distillation", 0.0, 7, 6), ("supervised", None, 7, 12)]),
        (["lin_two_step", "phase_epochs=[3,2]"], [("distillation", 0.0, 3, 6), ("supervised", None, 2, 12)]),
        (
            ["fused_three_step", "phase_epochs=[3,2,1]", "switch_patience=4"],
            [("distillation", 0.0, 3, 4), ("both", 0.5, 2, 4), ("supervised", None, 1, 12)],
        ),
    ],
)
def test_a_schedule_is_a_list_of_phases(
    arguments: list[str], expected: list[Any], tiny_dataset: Path, teachers: list[Path]
) -> None:
    assert told(plan(tiny_dataset, teachers, *arguments)) == expected


def test_supervised_training_restarts_as_often_as_it_is_told() -> None:
    values = read_config("train", [*SMALL, "phase_epochs=[3,2,2]", "switch_patience=2", "data=d", "out=o"])
    assert told(supervised_plan(values, enhancer())) == [
        ("supervised", None, 3, 2),
        ("supervised, restart 1", None, 2, 2),
        ("supervised, restart 2", None, 2, 12),
    ]


def test_several_teachers_have_terms_of_their_own(tiny_dataset: Path, teachers: list[Path]) -> None:
    several = f"teachers={{low: {{run: {teachers[0]}, snr_db: [-5,5]}}, all: {{run: {teachers[1]}, weight: 0.5}}}}"
    made = plan(tiny_dataset, teachers, "fused_one_step", several)
    objective = made.phases[0].objective
    assert isinstance(objective, Distillation)
    assert list(objective.losses) == ["low_fused", "all_fused"]
    assert [(teacher.weight, teacher.snr_db) for teacher in made.teachers] == [(1.0, (-5.0, 5.0)), (0.5, None)]
    assert made.teachers[0].fingerprint != made.teachers[1].fingerprint
    assert "0.5 all (0.2 all_fused)" in objective.equation()


def test_a_term_of_no_weight_is_not_there(tiny_dataset: Path, teachers: list[Path]) -> None:
    made = plan(tiny_dataset, teachers, "lin_one_step", "clskd_one_step", "distill.terms.clskd.weight=0")
    assert [term.name for term in made.teachers[0].terms] == ["lin"]
    assert made.teachers[0].wanted() == [("linear", "whole")]


def test_teachers_are_live_unless_there_is_a_cache(tiny_dataset: Path, teachers: list[Path]) -> None:
    assert isinstance(plan(tiny_dataset, teachers, "lin_one_step").teachers[0].source, LiveViews)
    cached = ["distill.cache=c", "fit.draws=1"]
    source = plan(tiny_dataset, teachers, "lin_one_step", *cached).teachers[0].source
    assert isinstance(source, CachedViews)
    assert source.cache.folder == Path("c")
    several = f"teachers={{a: {{run: {teachers[0]}}}, b: {{run: {teachers[1]}}}}}"
    both = plan(tiny_dataset, teachers, "lin_one_step", *cached, several).teachers
    folders = [teacher.source.cache.folder for teacher in both if isinstance(teacher.source, CachedViews)]
    assert folders == [Path("c/a"), Path("c/b")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lin_two_step", "phase_epochs=[3]"], "phase_epochs: expected 2 numbers for two_step, got 1"),
        (["fused_three_step", "phase_epochs=[3,3]"], "phase_epochs: expected 3 numbers for three_step, got 2"),
        (
            ["lin_one_step", "distill.terms.lin.pairs=[[linaer,linear]]"],
            "distill.terms.lin.pairs: expected a student tap of freq_lstm, time_lstm, linear, mask, spec, wave, got",
        ),
        (
            ["lin_one_step", "distill.terms.lin.weight=-1"],
            "distill.terms.lin.weight: expected a value greater than or equal to 0",
        ),
        (["clskd_one_step", "fit.batch_size=1"], "fit.batch_size: expected at least 2 a process for clskd"),
        (["lin_one_step", "mics=[7]"], "mics: expected distinct channel numbers from 0 to 4"),
        (
            ["lin_one_step", "distill.terms.lin.weight=0"],
            "distill.terms: expected a positive weight of one and of its teacher, got none",
        ),
        (["lin_one_step", "teachers={a: {run: x, weight: -1}}"], "teachers.a.weight: expected a value greater than or"),
        (["lin_one_step", "teachers={}"], "teachers: "),
        (
            ["lin_one_step", "teachers={../a: {run: x}}"],
            "teachers: expected names of letters, digits and _, got '../a'",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_before_the_first_step(
    arguments: list[str], message: str, tiny_dataset: Path, teachers: list[Path]
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        plan(tiny_dataset, teachers, *arguments)


def test_no_teacher_and_two_answers_are_refused(tiny_dataset: Path, teachers: list[Path]) -> None:
    values = read_config("distill", [*SMALL, "lin_one_step", f"data={tiny_dataset}", "out=unused"])
    both = {"teacher": "a", "teachers": {"b": {"run": "c"}, "d": {"run": "e"}}}
    hint = "set teachers.b.run=RUN teachers.d.run=RUN, or teachers=null for one teacher"
    for changed, message in (
        ({}, "teacher: expected teacher=RUN or teachers={NAME: {run: RUN}}, got none"),
        (both, f"teacher: expected none where a config has teachers of its own (b, d), got a: {hint}"),
    ):
        with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
            distillation_plan({**values, **changed}, enhancer(), open_dataset(tiny_dataset), FitSettings())


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("snr_db: [8,15]", r"every SNR of fit.snr_db \(-5 to 15 dB\), got none right above 5 dB"),
        ("snr_db: [15,5]", r"teachers.b.snr_db: expected a lower and a higher SNR, got \[15.0, 5.0\]"),
    ],
)
def test_ranges_that_leave_items_without_a_teacher_are_refused(
    second: str, message: str, tiny_dataset: Path, teachers: list[Path]
) -> None:
    several = f"teachers={{a: {{run: {teachers[0]}, snr_db: [-5,5]}}, b: {{run: {teachers[1]}, {second}}}}}"
    with pytest.raises(ValueError, match=message):
        plan(tiny_dataset, teachers, "lin_one_step", several)


def test_losses_over_a_batch_need_teachers_for_all_of_it(tiny_dataset: Path, teachers: list[Path]) -> None:
    several = f"teachers={{a: {{run: {teachers[0]}, snr_db: [-5,15]}}}}"
    with pytest.raises(ConfigError, match=r"teachers.a.snr_db: expected none for a_clskd, which compares the items"):
        plan(tiny_dataset, teachers, "clskd_one_step", several)


# --- through the command, on a dataset ------------------------------------------------------------------------------


def distil(data: Path, teacher: Path, out: Path, *arguments: str) -> list[str]:
    """Trains a student of one microphone that is not the teacher's reference, and returns what was said."""
    said: list[str] = []
    places = [f"data={data}", f"teacher={teacher}", f"out={out}"]
    values = read_config("distill", [*SMALL, *FIT, "mics=[3]", "epochs=2", *arguments, *places])
    run_train(values, lambda *progress: None, said.append)
    return said


def test_what_the_cache_will_take_is_told_and_true(tiny_dataset: Path, teachers: list[Path], tmp_path: Path) -> None:
    """By the items that are asked for: others that lie there do not count."""
    cache = tmp_path / "cache"

    def megabytes(out: str, *arguments: str) -> tuple[float, float]:
        before = sum(path.stat().st_size for path in cache.rglob("*.safetensors"))
        said = distil(tiny_dataset, teachers[0], tmp_path / out, "lin_one_step", f"distill.cache={cache}", *arguments)
        (line,) = [line for line in said if line.startswith("teacher outputs: ")]
        after = sum(path.stat().st_size for path in cache.rglob("*.safetensors"))
        number, unit = line.split()[2:4]
        return {"kB": 1e-3, "MB": 1.0}[unit] * float(number), (after - before) / 1e6

    for out, arguments in {
        "first": ["fit.draws=1"],
        "again": ["fit.draws=1"],
        "other SNRs": ["fit.draws=1", "fit.snr_db=[0,10]"],
        "longer": ["fit.draws=1", "fit.seconds=0.3"],
        "more draws": ["fit.draws=2"],
    }.items():
        told, taken = megabytes(out, *arguments)
        assert told == pytest.approx(taken, rel=0.05)
        assert (told == 0) == (out == "again")


def test_scenes_that_never_come_back_have_no_draws(tiny_dataset: Path, teachers: list[Path], tmp_path: Path) -> None:
    cache = f"distill.cache={tmp_path / 'cache'}"
    with pytest.raises(ConfigError) as error:
        distil(tiny_dataset, teachers[0], tmp_path / "run", "lin_one_step", "fresh=6", "fit.draws=1", cache)
    never = "expected none with fresh, whose scenes never come back, got"
    assert str(error.value).splitlines() == [f"fit.draws: {never} 1", f"distill.cache: {never} {tmp_path / 'cache'}"]
    with pytest.raises(ConfigError, match=r"teacher: expected a folder .*, got .*nowhere: no such folder"):
        distil(tiny_dataset, tmp_path / "nowhere", tmp_path / "run", "lin_one_step")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("config", ["5to1", "fused_three_step", "feature_regression_one_step"])
def test_a_cached_run_is_a_live_one_up_to_16_bits(
    config: str, tiny_dataset: Path, teachers: list[Path], tmp_path: Path
) -> None:
    arguments = [config, "fit.draws=1"]
    arguments += ["mics=[3]"] if config == "5to1" else []
    live, cached, again = (tmp_path / name for name in ("live", "cached", "again"))
    distil(tiny_dataset, teachers[0], live, *arguments)
    cache = f"distill.cache={tmp_path / 'cache'}"
    said = distil(tiny_dataset, teachers[0], cached, *arguments, cache)
    distil(tiny_dataset, teachers[0], again, *arguments, cache)
    assert any(line.startswith("teacher outputs: ") for line in said)
    assert load_enhancer(live).ref_mic == 3
    weights = [load_file(run / "model.safetensors") for run in (live, cached, again)]
    for name, value in weights[0].items():
        assert (weights[1][name] - value).abs().mean() < 2e-4  # Adam makes steps of some that have no direction
        assert weights[1][name].equal(weights[2][name])
    rows = [list(read_json_lines(run / "metrics.jsonl")) for run in (live, cached)]
    for ours, theirs in zip(*rows, strict=True):
        assert ours["train"] == pytest.approx(theirs["train"], rel=2e-3)
    assert len(rows[0][0]["train"]) == 3  # the loss, the supervised one, the term


def test_a_cache_is_of_one_teacher(tiny_dataset: Path, teachers: list[Path], tmp_path: Path) -> None:
    cache = f"distill.cache={tmp_path / 'cache'}"
    distil(tiny_dataset, teachers[0], tmp_path / "a", "lin_one_step", "fit.draws=1", cache)
    with pytest.raises(ValueError, match=r"expected a cache of this teacher .*, got one of another"):
        distil(tiny_dataset, teachers[1], tmp_path / "b", "lin_one_step", "fit.draws=1", cache)
    assert not (tmp_path / "b").exists()


def test_a_cache_without_repeated_draws_is_refused(tiny_dataset: Path, teachers: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"fit\.draws: expected a number with distill\.cache, got none"):
        distil(tiny_dataset, teachers[0], tmp_path / "a", "lin_one_step", f"distill.cache={tmp_path / 'cache'}")
    assert not (tmp_path / "cache").exists()
    assert not (tmp_path / "a").exists()


def test_nothing_is_claimed_before_all_is_checked(tiny_dataset: Path, teachers: list[Path], tmp_path: Path) -> None:
    cache, out = tmp_path / "cache", tmp_path / "thesis"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="thesis"):
        distil(tiny_dataset, teachers[0], out, "lin_one_step", "fit.draws=1", f"distill.cache={cache}")
    assert not cache.exists()


def test_a_live_run_does_not_go_on_from_disk(tiny_dataset: Path, teachers: list[Path], tmp_path: Path) -> None:
    """Its weights would not be those of an undisturbed run."""
    run = tmp_path / "run"
    distil(tiny_dataset, teachers[0], run, "lin_one_step", "fit.draws=1")
    with pytest.raises(ConfigError, match=r"distill\.cache none|distill\.cache None"):
        distil(tiny_dataset, teachers[0], run, "lin_one_step", "fit.draws=1", f"distill.cache={tmp_path / 'cache'}")


def test_a_teacher_with_another_description_is_another_one(
    tiny_dataset: Path, teachers: list[Path], tmp_path: Path
) -> None:
    """The level norm is no weight, and yet decides what comes out."""
    arguments = ["lin_one_step", "fit.draws=1", f"distill.cache={tmp_path / 'cache'}"]
    distil(tiny_dataset, teachers[0], tmp_path / "a", *arguments)
    path = teachers[0] / "model.json"
    path.write_text(path.read_text().replace("0.2", "0.3"))
    with pytest.raises(ValueError, match=r"expected a cache of this teacher .*, got one of another"):
        distil(tiny_dataset, teachers[0], tmp_path / "b", *arguments)


def test_a_run_remembers_its_teachers(tiny_dataset: Path, teachers: list[Path], tmp_path: Path) -> None:
    distil(tiny_dataset, teachers[0], tmp_path / "run", "lin_one_step")
    assert list(read_json(tmp_path / "run" / "about.json", "run")["teachers"]) == ["teacher"]
    with pytest.raises(ConfigError, match=r"teachers: expected the one that .* was begun with, got another"):
        distil(tiny_dataset, teachers[1], tmp_path / "run", "lin_one_step")
