"""Every YAML file of the project builds what it describes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from arrayse.config import config_root, read_array, read_config
from arrayse.frontend.stft import Stft
from arrayse.kd import Distillation, build_term
from arrayse.losses import WaveMagnitudeL1
from arrayse.models import build_enhancer
from arrayse.training.settings import FitSettings
from arrayse.verbs.data import build_world
from arrayse.verbs.nets import describe
from arrayse.verbs.quickstart import TRAININGS
from simulate.recipe import recipe_from
from simulate.render import render
from simulate.scene import draw_scene
from tests.tiny import batch, taught_by

ROOT = Path(__file__).parents[1]
FILES = sorted([*config_root().glob("*/*.yaml"), *ROOT.glob("experiments/*/*.yaml")])
NEEDED = {
    "simulate": ["out=o"],
    "train": ["data=d", "out=o"],
    "model": ["data=d", "out=o"],
    "distill": ["data=d", "out=o", "teacher=t"],
    "evaluate": ["data=d", "out=o"],
    "sweep": ["data=d", "out=o"],
}


def kind_of(path: Path) -> str:
    """The group of a named config; of an experiment's file, what its keys are for."""
    if path.is_relative_to(config_root()):
        return path.parent.name
    keys = set(OmegaConf.load(path))
    kinds = {"distill": "distill", "recipe": "simulate", "model": "train", "fit": "train"}
    return next(kind for key, kind in kinds.items() if key in keys)


@pytest.mark.parametrize("name", [path.stem for path in sorted((config_root() / "simulate").glob("*.yaml"))])
def test_a_simulate_config_makes_scenes(name: str, tiny_corpus: Path) -> None:
    """Merged after the office, shortened: what it says can be drawn and rendered."""
    base = [] if name in ("office", "quickstart") else ["office"]
    small = ["recipe.seconds=0.3", "recipe.rt60=[0.25,0.25]", "recipe.n_interferers=[1,1]"]
    if name == "babble":
        small.append("recipe.background.n_voices=1")
    places = [f"speech={tiny_corpus}", f"noise={tiny_corpus}", "out=unused"]
    world = build_world(read_config("simulate", [*base, name, *places, *small]))
    scene = draw_scene(world, "train", 0)
    mixture, measured = render(scene, world.geometry)
    assert measured["rt60_measured"] == pytest.approx(0.25, rel=0.02)
    assert np.isfinite(mixture.noisy).all()


FOR = {
    "dfkd_snr_one_step": ["conv_tasnet_student", "dccrn_sixteenth", "dptnet_student"],
    "i2s_tfckd_dccrn": ["dccrn_sixteenth", "dccrn_quarter", "dccrn"],
    "i2s_tfckd_dpdcrn": ["dpdcrn_student"],
    "subband_one_step": ["subband"],
}
"""Distill configs that are made for other networks than FT-JNF, and these."""


def before(path: Path) -> list[str]:
    """What a config is merged after."""
    if kind_of(path) == "distill":
        return ["student", *(f"model/{name}" for name in FOR.get(path.stem, [])[:1])]
    return ["student"] if kind_of(path) == "train" and "model" not in OmegaConf.load(path) else []


@pytest.mark.parametrize(("recipe", "network"), [(recipe, name) for recipe, names in FOR.items() for name in names])
def test_a_recipe_for_some_networks_names_them_and_their_loss(recipe: str, network: str) -> None:
    """The supervised loss that its weight is made for, whatever that of the network's own config."""
    text = (config_root() / "distill" / f"{recipe}.yaml").read_text()
    assert f"model/{network}" in text or network in ("dccrn_quarter", "dccrn")
    values = read_config("distill", ["student", f"model/{network}", recipe, *NEEDED["distill"]])
    assert values["loss"]["name"] in text
    plain = read_config("train", [f"model/{network}", *NEEDED["train"]])
    assert [values[key] for key in ("model", "stft", "mics")] == [plain[key] for key in ("model", "stft", "mics")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_config_builds(path: Path) -> None:
    kind = kind_of(path)
    if kind == "array":
        assert read_array(str(path)).n_mics >= 2
        return
    verb = "train" if kind == "model" else kind
    values = read_config(verb, [*before(path), str(path), *NEEDED[kind]])
    if verb == "simulate":
        recipe_from(values["recipe"])
        read_array(values["array"])
    if verb in ("train", "distill"):
        FitSettings(**values["fit"])
        student, teacher = (
            build_enhancer(**describe(each, read_array("circular"), 16000)) for each in (values, deeper(values))
        )
        for name, term in values.get("distill", {}).get("terms", {}).items():
            pairs = term["pairs"] and [(pair[0], pair[1]) for pair in term["pairs"]]
            built = build_term(name, term["loss"], term["weight"], pairs, student, teacher)
            assert built.loss.formula()
            assert_made_for_its_batches(term["loss"], values)


@pytest.mark.parametrize("path", [path for path in FILES if kind_of(path) == "distill"], ids=lambda path: path.stem)
def test_a_distillation_config_has_losses_that_can_be_computed(path: Path) -> None:
    """Between networks of the sizes that it says, on a tenth of a second."""
    values = read_config("distill", [*before(path), str(path), *NEEDED["distill"]])
    terms = values["distill"]["terms"].values()
    if any(term["loss"].get("form") == "fixed" for term in terms):
        pytest.skip("made for crops of seconds")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        student, teacher = (
            build_enhancer(**describe(each, read_array("circular"), 16000)) for each in (values, deeper(values))
        )
        built = [
            build_term(f"t{k}", term["loss"], term["weight"], term["pairs"], student, teacher)
            for k, term in enumerate(terms)
        ]
        with torch.no_grad():
            got = Distillation(student, WaveMagnitudeL1(), [taught_by(teacher.eval(), built)], 0.0)(batch())
    assert all(0 < float(value) < 1e4 for value in got.values())


def assert_made_for_its_batches(loss: dict[str, Any], values: dict[str, Any]) -> None:
    """Losses with weights for every frame or item are made for those of the config."""
    if loss.get("form") == "fixed":
        n_samples = round(16000 * values["fit"]["seconds"])
        assert loss["n_frames"] == Stft(**values["stft"]).n_frames(n_samples)
        assert loss["batch_size"] in (None, values["fit"]["batch_size"])


def deeper(values: dict[str, Any]) -> dict[str, Any]:
    """The config of a teacher for a student's: layers of both are paired where there are several."""
    more = {"n_layers": 4} if values["model"]["name"] == "dpdcrn" else {}
    return {**values, "model": {**values["model"], **more}}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_config_is_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 40


SIZES = {
    "conv_tasnet": 8_645_184,
    "conv_tasnet_causal": 3_380_272,
    "conv_tasnet_small": 3_380_272,
    "conv_tasnet_student": 985_884,
    "dccrn": 3_671_053,
    "dccrn_quarter": 920_589,
    "dccrn_sixteenth": 231_565,
    "dpdcrn_causal": 595_494,
    "dpdcrn_student": 595_494,
    "dpdcrn_teacher": 3_218_118,
    "dptnet": 2_830_785,
    "dptnet_student": 974_785,
    "fullband": 3_812_097,
    "low_latency": 32_330,
    "low_latency_asymmetric": 41_000,
    "metzger": 1_403_146,
    "subband": 1_823_617,
    "subband_elite": 4 * 1_823_617,
    "tesch": 1_206_786,
}
"""Parameters of every model config: those of one microphone hear the reference, the others all five."""


def test_every_model_config_has_a_size() -> None:
    assert list(SIZES) == [path.stem for path in sorted((config_root() / "model").glob("*.yaml"))]


@pytest.mark.parametrize("base", [[], ["student"]], ids=str)
@pytest.mark.parametrize(
    ("name", "overrides", "count"),
    [
        *((name, [], count) for name, count in SIZES.items()),
        ("tesch", ["model.causal=true"], 877_826),
        ("tesch", ["model.freq_hidden=512"], 3_328_514),
        ("metzger", ["model.freq_hidden=88", "model.time_hidden=40"], 56_410),
    ],
)
def test_named_models_have_the_published_sizes(name: str, overrides: list[str], count: int, base: list[str]) -> None:
    values = read_config("train", [*base, f"model/{name}", "data=d", "out=o", *overrides])
    with torch.device("meta"):
        enhancer = build_enhancer(**describe(values, read_array("circular"), 16000))
    assert sum(parameter.numel() for parameter in enhancer.parameters()) == count


def test_the_quickstart_names_configs_that_are_there() -> None:
    trainings = [read_config(verb, [*configs, *NEEDED[verb]]) for _, verb, configs, _ in TRAININGS]
    assert all(values["model"]["causal"] for values in trainings)
    students = trainings[1:]
    for key in ("model", "epochs", "fit", "seed"):  # a fair comparison: only the distillation differs
        assert students[0][key] == students[1][key]
