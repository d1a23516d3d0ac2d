"""Weights that make gradients alike, at the weights of a student and with the config that it was trained by."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from arrayse.config import read_config
from arrayse.kd.lin import Lin
from arrayse.mixture import open_dataset
from arrayse.verbs.balance import balanced_weights, read_student
from arrayse.verbs.nets import run_train
from tests.test_cli import arrayse, fails
from tests.test_evaluate import make_run

SMALL = ["model.freq_hidden=3", "model.time_hidden=2", "fit.batch_size=2", "fit.seconds=0.2", "epochs=1"]


def trained(verb: str, data: Path, out: Path, *arguments: str) -> Path:
    """A run of one epoch."""
    values = read_config(verb, ["student", *SMALL, *arguments, f"data={data}", f"out={out}"])
    return run_train(values, lambda *progress: None, lambda line: None)


@pytest.fixture(scope="module")
def folder(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student of two microphones that was trained and restarted, by a loss that is not the usual one; a teacher."""
    folder = tmp_path_factory.mktemp("balance")
    own = ["mics=[0,1]", "loss={name: negative_snr}", "phase_epochs=[1,1]", "fit.snr_db=[0,5]"]
    trained("train", tiny_dataset, folder / "student", *own)
    make_run(folder / "teacher", open_dataset(tiny_dataset).geometry)
    return folder


def test_a_student_keeps_its_config_but_for_what_is_given(folder: Path, tiny_dataset: Path) -> None:
    values = read_student(folder / "student", ["lin_one_step", "teacher=t", "fit.batch_size=3"])
    assert (values["data"], values["mics"], values["loss"]) == (str(tiny_dataset), [0, 1], {"name": "negative_snr"})
    assert (values["model"]["freq_hidden"], values["fit"]["seconds"]) == (3, 0.2)
    assert (values["fit"]["snr_db"], values["fit"]["batch_size"], values["teacher"]) == ([0, 5], 3, "t")
    assert list(values["distill"]["terms"]) == ["lin"]
    assert read_student(folder / "student", ["dfkd_one_step", "loss={name: magnitude_mse}"])["loss"]["name"] == (
        "magnitude_mse"
    )
    again = ["student", *SMALL[:2], "mics=[0,1]", "lin_one_step"]  # the network of the run, said once more
    assert read_student(folder / "student", again)["model"] == values["model"]


@pytest.mark.parametrize("config", ["lin_one_step", "lin_two_step"])
def test_weights_are_ratios_of_gradients(config: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss four times as large has a fourth of the weight; schedule and weights in the config do not count."""
    arguments = [config, f"teacher={folder / 'teacher'}"]
    weight = balanced_weights(read_student(folder / "student", arguments), folder / "student")["lin"]
    assert weight > 0
    distance_map = Lin.distance_map
    monkeypatch.setattr(Lin, "distance_map", lambda self, *views: 4 * distance_map(self, *views))
    values = read_student(folder / "student", [*arguments, "distill.terms.lin.weight=9"])
    assert balanced_weights(values, folder / "student")["lin"] == pytest.approx(weight / 4, rel=0.06)  # two figures
    monkeypatch.setattr(Lin, "distance_map", lambda self, *views: 0 * distance_map(self, *views))
    with pytest.raises(ValueError, match=r"^distill\.terms\.lin: expected a gradient in the student, got none over 3"):
        balanced_weights(values, folder / "student")


def test_the_command_needs_no_more_than_a_run_a_config_and_a_teacher(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["balance", str(folder / "student"), "lin_one_step", "dfkd_one_step", f"teacher={folder / 'teacher'}"]
    assert arrayse(monkeypatch, *arguments) == 0
    told = [re.fullmatch(r"(.*)=(\S+)  \(now (\S+)\)", line) for line in capsys.readouterr().out.splitlines()]
    found = [line.groups() for line in told if line]
    assert [key for key, *_ in found] == ["distill.terms.lin.weight", "distill.terms.dfkd.weight"]
    assert all(float(weight) > 0 for _, weight, _ in found)
    values = read_student(folder / "student", arguments[2:] + [f"{key}={weight}" for key, weight, _ in found])
    weights = [term["weight"] for term in values["distill"]["terms"].values()]  # they are keys
    assert weights == [float(weight) for _, weight, _ in found]
    before = read_student(folder / "student", arguments[2:])["distill"]["terms"].values()
    assert [float(now) for *_, now in found] == [term["weight"] for term in before]


def test_a_run_folder_may_hold_a_sign(folder: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(folder / "student", tmp_path / "runs" / "lr=1e-3"))
    assert read_student(run, ["lin_one_step", "teacher=t"])["model"]["freq_hidden"] == 3


def test_several_teachers_share_a_weight_by_the_sum_of_their_gradients(folder: Path) -> None:
    """The same teacher twice halves the weight of the term, half the weight of a teacher doubles it."""
    teacher, calls = folder / "teacher", list[tuple[int, int]]()

    def weights(*teachers: str) -> dict[str, float]:
        told = ", ".join(f"{name}: {{run: {teacher}, {more}}}" for name, more in zip("ab", teachers, strict=False))
        values = read_student(folder / "student", ["lin_one_step", f"teachers={{{told}}}"])
        return balanced_weights(values, folder / "student", lambda *call: calls.append(call))

    one = weights("weight: 1")
    assert list(one) == ["lin"]
    assert calls == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert weights("weight: 1", "weight: 1")["lin"] == pytest.approx(one["lin"] / 2, rel=0.06)
    assert weights("weight: 0.5")["lin"] == pytest.approx(one["lin"] * 2, rel=0.06)
    assert weights("snr_db: [-5, 2]", "snr_db: [2, 15]")["lin"] == pytest.approx(one["lin"], rel=0.06)


def test_what_has_no_balance_is_told_by_name(
    folder: Path,
    tiny_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    student, teacher = folder / "student", f"teacher={folder / 'teacher'}"
    distilled = trained("distill", tiny_dataset, tmp_path / "distilled", "lin_one_step", teacher)
    shutil.copytree(student, tmp_path / "copy")
    (tmp_path / "empty").mkdir()
    for expected, arguments in [
        (
            "balance: expected a run folder of arrayse train, got runs/nowhere: no such",
            ["runs/nowhere", "lin_one_step"],
        ),
        ("balance: expected a run folder of arrayse train, got empty without config.yaml", ["empty", "lin_one_step"]),
        ("balance: expected one run folder of a student, got copy, distilled", ["copy", "distilled", "lin_one_step"]),
        ("balance: expected one run folder of a student, got none", [teacher]),
        ("trained without a teacher, got distilled, which was distilled", [distilled.name, "lin_one_step", teacher]),
        ("distill: expected a value, got none: add a distill config", [str(student), teacher]),
        (
            "teacher: expected another network than the student, got copy itself",
            ["copy", "lin_one_step", "teacher=copy"],
        ),
        ("teacher: expected another network than the", ["copy", "lin_one_step", f"teacher={student}"]),
        ("teachers.b.run: expected another", ["copy", "lin_one_step", f"teachers={{b: {{run: {student}}}}}"]),
        ("teacher: expected teacher=RUN or teachers=", ["copy", "lin_one_step"]),
        ("mics: expected [0, 1] as copy has, whose gradients are asked for, got [0]", ["copy", "5to1", teacher]),
        (
            "model.freq_hidden: expected 3 as copy has, whose",
            ["copy", "student", "mics=[0,1]", "lin_one_step", teacher],
        ),
        ("model.name: expected ft_jnf as copy has", ["copy", "model/dccrn", "lin_one_step", teacher]),
        ("features.norm: expected recursive as copy has", ["copy", "lin_one_step", teacher, "features.norm=none"]),
        ("fit.batch_size: expected at most 6 (the", ["copy", "lin_one_step", teacher, "fit.batch_size=7"]),
        ("config: expected a YAML file or a named config, got lin_on_step", ["copy", "lin_on_step", teacher]),
    ]:
        fails(monkeypatch, capsys, expected, "balance", *arguments)
