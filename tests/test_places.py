"""What trainings say: what a class refuses by its whole key, what a network and its terms are, what is hardly meant."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from arrayse.config import ConfigError, read_config
from arrayse.config.places import placed, placed_in_network, placed_in_term
from arrayse.mixture import open_dataset
from arrayse.verbs.nets import run_train
from tests.test_evaluate import make_run

FIT = ["fit.batch_size=2", "fit.seconds=0.2", "fit.precision=float32", "epochs=1"]
TINY = ["model.freq_hidden=3", "model.time_hidden=2"]


def run(verb: str, data: Path, out: Path, *arguments: str) -> list[str]:
    """What a training says."""
    said: list[str] = []
    values = read_config(verb, ["student", *FIT, *arguments, f"data={data}", f"out={out}"])
    run_train(values, lambda *progress: None, said.append)
    return said


def test_the_first_section_with_the_argument_counts() -> None:
    sections = (("model", {"norm": 1, "causal": 2}), ("features", ["norm", "time_constant"]))
    assert placed("norm: expected cLN, got x", *sections) == "model.norm: expected cLN, got x"
    assert placed("time_constant: expected more", *sections) == "features.time_constant: expected more"
    assert placed("causal and norm: expected", *sections) == "model.causal and norm: expected"
    for told in ("mics: expected channels", ": expected", ""):
        assert placed(told, *sections) == told


def test_a_term_knows_its_loss_the_one_inside_and_its_pairs() -> None:
    term: dict[str, Any] = {
        "loss": {"name": "dispatch", "k": 1, "inner": {"beta": 1, "k": 2}},
        "weight": 1,
        "pairs": None,
    }
    place = "distill.terms.t"
    assert placed_in_term("k: expected a, got b", "t", term) == f"{place}.loss.k: expected a, got b"
    assert placed_in_term("beta: expected a, got b", "t", term) == f"{place}.loss.inner.beta: expected a, got b"
    assert placed_in_term("pairs: expected a, got b", "t", term) == f"{place}.pairs: expected a, got b"
    assert placed_in_term("layers: expected a, got b", "t", term) == f"{place}: layers: expected a, got b"
    sets: dict[str, Any] = {"loss": {"name": "i2s_tfckd", "sets": {"a": [["x"], ["y"]]}}, "weight": 1, "pairs": None}
    assert placed_in_term("pairs: expected a, got b", "t", sets) == f"{place}.loss.sets: expected a, got b"
    sets["pairs"] = [["x", "y"]]
    assert placed_in_term("pairs: expected a, got b", "t", sets) == f"{place}.pairs: expected a, got b"


def test_the_number_of_frequencies_follows_from_the_transform() -> None:
    values: dict[str, Any] = {"model": {}, "stft": {}, "features": {}}
    assert placed_in_network("n_freqs: expected 9, got 5", values) == "stft.n_fft: n_freqs: expected 9, got 5"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model.preset=metzger", "model.causal=false"], "model.causal: expected true for metzger"),
        (["model={name: dpdcrn, channels: 7}"], "model.channels: expected "),
        (["model={name: dpdcrn}", "stft.n_fft=132", "stft.hop_length=66"], "stft.n_fft: n_freqs: expected 9 or more"),
        (["model={name: conv_tasnet, norm: gLN, causal: true}"], "model.norm: expected cLN for a causal network"),
        (["mics=[7]"], "mics: expected distinct channel numbers from 0 to 4, got [7]"),
        (["mics=[1]", "ref_mic=0"], "ref_mic: expected one of the mics [1], got 0"),
        (["fit.batch_size=9"], "fit.batch_size: expected at most 6 (the scenes), got 9"),
        (["fit.epoch_steps=4"], "fit.epoch_steps: expected at most 3 (batches of 6 scenes), got 4"),
        (
            ["model={name: conv_tasnet}", "features={norm: none, time_constant: 2.0}"],
            "features.norm: expected nothing for conv_tasnet, which hears waves and has no features, got 'none'\n"
            "features.time_constant: expected nothing for conv_tasnet, which hears waves and has no features, got 2.0",
        ),
    ],
)
def test_what_a_network_or_training_refuses_is_told_by_its_key(
    arguments: list[str], message: str, tiny_dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="^" + re.escape(message)):
        run("train", tiny_dataset, tmp_path / "run", *arguments)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["lin_one_step", "distill.terms.lin.pairs=[[linaer, linear]]"],
            "distill.terms.lin.pairs: expected a student tap",
        ),
        (["i2s_tfckd_dccrn"], "distill.terms.i2s_tfckd.loss.sets: expected a student tap of "),
        (["dfkd_one_step", "distill.terms.dfkd.loss.fixed_bin=3"], "distill.terms.dfkd.loss.fixed_bin: expected none"),
        (
            ["dispatch_dfkd", "distill.terms.dispatch.loss.inner.fixed_bin=3"],
            "distill.terms.dispatch.loss.inner.fixed_bin: expected none",
        ),
        (
            ["dispatch_dfkd", "distill.terms.dispatch.loss.n_bins=3"],
            "distill.terms.dispatch.loss.n_bins: expected none",
        ),
        (
            ["lin_one_step", "distill.terms.supervised={loss: {name: lin}}"],
            "distill.terms.supervised: expected a name of its own",
        ),
        (["lin_one_step", "teacher={here}"], "teacher: expected a folder that arrayse train or distill wrote, got "),
        (
            ["lin_one_step", "teacher=null", "teachers={a: {run: {here}}}"],
            "teachers.a.run: expected a folder that arrayse train or distill wrote, got ",
        ),
        (
            ["i2s_tfckd_ft_jnf", "teacher=null", "teachers={a: {run: {teacher}}}", "distill.terms.i2s_tfckd.pairs=[]"],
            "distill.terms.i2s_tfckd.pairs: expected at least one for ",
        ),
    ],
)
def test_what_a_term_or_teacher_refuses_is_told_by_its_key(
    arguments: list[str], message: str, tiny_dataset: Path, tmp_path: Path
) -> None:
    teacher = make_run(tmp_path / "teacher", open_dataset(tiny_dataset).geometry)
    (tmp_path / "here").mkdir()
    places = {"{here}": str(tmp_path / "here"), "{teacher}": str(teacher)}
    for name, place in places.items():
        arguments = [argument.replace(name, place) for argument in arguments]
    with pytest.raises(ConfigError, match="^" + re.escape(message)):
        run("distill", tiny_dataset, tmp_path / "run", *TINY, f"teacher={teacher}", *arguments)
    assert not (tmp_path / "run").exists()


def test_a_loss_on_features_that_a_network_lacks_is_told_with_losses_that_any_network_takes(
    tiny_dataset: Path, tmp_path: Path
) -> None:
    teacher = f"teacher={make_run(tmp_path / 'teacher', open_dataset(tiny_dataset).geometry)}"
    other = ["model={name: conv_tasnet, n_filters: 8, bottleneck: 4, hidden: 4, n_blocks: 1, n_repeats: 1}"]
    for config, tap in (("lin_one_step", "linear"), ("i2s_tfckd_dccrn", "encoder_1")):
        with pytest.raises(ConfigError, match=f"got {tap}: losses on waves compare any two networks: ") as error:
            run("distill", tiny_dataset, tmp_path / "run", teacher, config, *other)
    for config in str(error.value).rpartition(": ")[2].split(", "):
        run("distill", tiny_dataset, tmp_path / config, teacher, config, *other)
    slip = ["lin_one_step", "distill.terms.lin.pairs=[[linaer, spec]]"]
    with pytest.raises(ConfigError, match=r"expected a student tap of .*, got linaer$"):
        run("distill", tiny_dataset, tmp_path / "run", teacher, *slip)


def test_fixed_sizes_can_be_freed(tiny_dataset: Path, tmp_path: Path) -> None:
    """Sizes that a config says are taken back by null, and what is then said has no number."""
    teacher = make_run(tmp_path / "teacher", open_dataset(tiny_dataset).geometry)
    loss = "distill.terms.i2s_tfckd.loss"
    fixed = ["i2s_tfckd_ft_jnf", f"teacher={teacher}", f"{loss}.form=fixed", f"{loss}.n_frames=100"]
    with pytest.raises(ConfigError, match=rf"^{re.escape(loss)}\.n_frames: expected 100, got "):
        run("distill", tiny_dataset, tmp_path / "run", *TINY, *fixed)
    with pytest.raises(ConfigError, match=rf"^{re.escape(loss)}\.n_frames: expected none .*got 100"):
        run("distill", tiny_dataset, tmp_path / "run", *TINY, *fixed, f"{loss}.form=free")
    run("distill", tiny_dataset, tmp_path / "run", *TINY, *fixed, f"{loss}.form=free", f"{loss}.n_frames=null")


def test_a_network_without_a_teacher_is_no_student(tiny_dataset: Path, tmp_path: Path) -> None:
    said = run("train", tiny_dataset, tmp_path / "run", *TINY)
    assert [line.split(":")[0] for line in said] == ["supervised", "network"]


def test_a_term_is_told_as_it_was_built(tiny_dataset: Path, tmp_path: Path) -> None:
    """With what its formula leaves open: the loss inside, its share, the patches."""
    teacher = f"teacher={make_run(tmp_path / 'teacher', open_dataset(tiny_dataset).geometry)}"
    said = run("distill", tiny_dataset, tmp_path / "run", *TINY, "dispatch_dfkd", teacher)
    assert [line.split(":")[0] for line in said] == ["distillation", "  dispatch", "student"]
    assert all(word in said[1] for word in ("(dfkd; ", "80 %", "10 bins", "40 above", "[wave]"))


def test_a_loss_that_leaves_the_level_open_is_warned_of_where_levels_are_compared(
    tiny_dataset: Path, tmp_path: Path
) -> None:
    teacher = f"teacher={make_run(tmp_path / 'teacher', open_dataset(tiny_dataset).geometry)}"

    def warned(name: str, *arguments: str) -> list[str]:
        said = run("distill", tiny_dataset, tmp_path / name, *TINY, teacher, *arguments)
        return [line for line in said if line.startswith("warning: ")]

    open_level = "loss={name: negative_si_sdr}"
    assert warned("a", "dfkd_one_step", "lin_one_step", open_level) == [
        "warning: loss negative_si_sdr leaves the level open that dfkd compares; 'loss={name: negative_snr}' does not"
    ]
    assert warned("b", "dfkd_one_step", "loss={name: negative_snr}") == []
    assert warned("c", "lstm2_one_step", open_level) == []
