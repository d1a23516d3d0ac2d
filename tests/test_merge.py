"""How files and overrides become one configuration: what is changed, what is taken whole, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrayse.config import ConfigError, config_root, named_configs, read_config
from arrayse.config.merge import merge_files, merge_overrides

NEEDED = ["data=d", "out=o"]
TAUGHT = [*NEEDED, "teacher=t"]
OF_NETWORK = ("model", "stft", "features", "loss")
I2S = "distill.terms.i2s_tfckd.loss"


def written(folder: Path, **files: str) -> list[str]:
    """YAML files, in this order."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return [str(folder / f"{name}.yaml") for name in files]


def network_of(values: dict[str, Any]) -> dict[str, Any]:
    return {key: values[key] for key in OF_NETWORK}


def test_files_merge_left_to_right_and_overrides_win(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("data: a\nout: a\nepochs: 1\nfit: {seconds: 1.0, batch_size: 1}\n")
    (tmp_path / "b.yaml").write_text("epochs: 2\nfit: {batch_size: 2}\n")
    arguments = ["model/tesch", str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml"), "out=c"]
    values = read_config("train", arguments)
    assert (values["data"], values["out"], values["epochs"]) == ("a", "c", 2)
    assert (values["fit"]["seconds"], values["fit"]["batch_size"]) == (1.0, 2)
    swapped = read_config("train", [arguments[0], arguments[2], arguments[1]])
    assert (swapped["epochs"], swapped["fit"]["batch_size"]) == (1, 1)


def test_a_name_that_is_a_mere_label_replaces_nothing(tmp_path: Path) -> None:
    (tmp_path / "rings.yaml").write_text("array: {preset: circular, n_mics: 7, name: ring}\n")
    array = read_config("simulate", [str(tmp_path / "rings.yaml"), "out=o", "array.name=other"])["array"]
    assert array == {"preset": "circular", "n_mics": 7, "name": "other"}


# --- networks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", ["model/conv_tasnet_causal", "model/metzger", "model/dccrn"])
@pytest.mark.parametrize("name", sorted(path.stem for path in (config_root() / "model").glob("*.yaml")))
def test_nothing_is_left_of_the_network_of_a_file_before(name: str, before: str) -> None:
    """Not of another class, and not of the same one."""
    alone = read_config("train", [f"model/{name}", *NEEDED])
    merged = read_config("train", ["student", before, f"model/{name}", *NEEDED])
    assert network_of(merged) == network_of(alone)


def test_a_network_without_sections_of_its_own_has_the_defaults(tmp_path: Path) -> None:
    plain = read_config("train", ["model.name=ft_jnf", *NEEDED])
    values = read_config("train", ["model/dccrn", *written(tmp_path, bare="model: {name: ft_jnf}\n"), *NEEDED])
    assert values["model"]["name"] == "ft_jnf"
    assert all(values[key] == plain[key] for key in ("stft", "features", "loss"))
    assert values["mics"] == [0]  # of the recording, not of the network


def test_a_file_without_the_name_of_a_network_changes_the_keys_that_it_gives(tmp_path: Path) -> None:
    files = written(tmp_path, narrow="model: {lstm_hidden: 8}\nstft: {window: sqrt_hann}\nloss: {name: negative_snr}\n")
    values = read_config("train", ["student", "model/dccrn", *files, *NEEDED])
    assert (values["model"]["name"], values["model"]["lstm_hidden"]) == ("dccrn", 8)
    assert values["model"]["channels"][0] == 32
    assert (values["stft"]["win_length"], values["stft"]["window"]) == (400, "sqrt_hann")
    assert values["loss"] == {"name": "negative_snr"}


@pytest.mark.parametrize("key", OF_NETWORK)
def test_changes_of_a_network_that_a_later_one_would_undo_are_refused(key: str, tmp_path: Path) -> None:
    section = {"model": "freq_hidden: 3", "loss": "name: negative_snr", "stft": "n_fft: 1024", "features": "norm: none"}
    changes, other = written(tmp_path, changes=f"{key}: {{{section[key]}}}\n", other="model: {name: ft_jnf}\n")
    with pytest.raises(ConfigError) as error:
        read_config("train", ["student", changes, other, *NEEDED])
    expected = f"{key}: expected after {other}, whose network comes with its own, got it before, in {changes}: swap"
    assert str(error.value).startswith(expected)
    assert read_config("train", ["student", other, changes, *NEEDED])


def test_a_recipe_with_its_loss_comes_after_the_network() -> None:
    with pytest.raises(
        ConfigError, match=r"loss: expected after model/conv_tasnet_causal, .* in dfkd_snr_one_step: swa"
    ):
        read_config("distill", ["student", "dfkd_snr_one_step", "model/conv_tasnet_causal", *TAUGHT])
    values = read_config("distill", ["student", "model/conv_tasnet_causal", "dfkd_snr_one_step", *TAUGHT])
    assert values["loss"] == {"name": "negative_snr"}
    assert values["model"] == read_config("train", ["model/conv_tasnet_causal", *NEEDED])["model"]
    for other in (["lin_one_step", "model/dccrn"], ["model/dccrn", "lin_one_step"]):  # nothing that could be undone
        values = read_config("distill", ["student", *other, *TAUGHT])
        assert network_of(values) == network_of(read_config("train", ["model/dccrn", *NEEDED]))


def test_no_distill_config_holds_a_network() -> None:
    held = {name: {"model", "stft", "features"} & set(config) for name, config in named_configs("distill").items()}
    assert not any(held.values()), held


def test_overrides_change_single_keys_of_a_network_and_replace_one_of_another_class() -> None:
    same = read_config("train", ["model/dccrn", *NEEDED, "model.name=dccrn", "model={lstm_hidden: 8}"])
    assert (same["model"]["channels"][0], same["model"]["lstm_hidden"]) == (32, 8)
    assert (same["stft"]["win_length"], same["loss"]) == (400, {"name": "negative_si_sdr"})
    other = read_config("train", ["model/dccrn", *NEEDED, "stft.n_fft=1024", "model.name=subband", "model.hidden=64"])
    assert (other["model"]["hidden"], other["model"]["n_layers"]) == (64, 2)
    assert (other["stft"]["n_fft"], other["stft"]["win_length"]) == (1024, None)
    assert other["loss"]["name"] == "wave_magnitude_l1"


def test_an_override_that_names_another_class_replaces_the_section() -> None:
    """Arguments of the network before are not those of the new one; the same name keeps them."""
    other = read_config("train", ["teacher", *NEEDED, "model={name: subband, hidden: 8}"])["model"]
    assert other["name"] == "subband"
    assert "freq_hidden" not in other
    same = read_config("train", ["teacher", *NEEDED, "model={name: ft_jnf, time_hidden: 8}"])["model"]
    assert (same["freq_hidden"], same["time_hidden"]) == (256, 8)


def test_a_section_without_a_name_so_far_keeps_its_arguments_when_it_gets_one(tmp_path: Path) -> None:
    (tmp_path / "narrow.yaml").write_text("model: {freq_hidden: 7}\n")
    named = read_config("train", [str(tmp_path / "narrow.yaml"), "data=d", "out=o", "model.name=ft_jnf"])["model"]
    assert (named["name"], named["freq_hidden"]) == ("ft_jnf", 7)


def test_another_network_on_the_command_line_keeps_what_belongs_to_the_training() -> None:
    base = ["student", "model/dccrn", "data=d", "out=o", "mics=[1,2]", "seed=4", "fit.seconds=1.0"]
    values = read_config("train", [*base, "model.name=fullband", "stft.n_fft=256", "stft.hop_length=64"])
    assert values["model"]["name"] == "fullband"
    assert "channels" not in values["model"]
    assert (values["mics"], values["seed"], values["epochs"], values["patience"]) == ([1, 2], 4, 60, 12)
    assert (values["fit"]["seconds"], values["fit"]["batch_size"]) == (1.0, 6)
    plain = read_config("train", ["data=d", "out=o", "model.name=ft_jnf"])
    assert values["stft"] == plain["stft"] | {"n_fft": 256, "hop_length": 64}
    assert values["loss"] == plain["loss"]
    same = read_config("train", [*base, "model.name=dccrn", "model.lstm_hidden=8"])
    assert (same["stft"]["win_length"], same["loss"]) == (400, {"name": "negative_si_sdr"})
    assert (same["model"]["channels"][0], same["model"]["lstm_hidden"]) == (32, 8)


def test_a_student_that_replaces_its_network_keeps_the_distillation() -> None:
    arguments = ["student", "lin_one_step", "model/dccrn", "data=d", "out=o", "teacher=t"]
    values = read_config("distill", [*arguments, "model.name=dptnet"])
    assert list(values["distill"]["terms"]) == ["lin"]
    assert (values["mics"], values["fit"]["batch_size"]) == ([0], 6)
    assert values["stft"]["win_length"] is None


def test_overrides_of_a_network_keep_what_files_without_one_say(tmp_path: Path) -> None:
    """So experiments/seed_systems: a file with the transform, networks as overrides."""
    (common,) = written(tmp_path, common="mics: [0]\nstft: {n_fft: 512, hop_length: 256, window: hann}\n")
    values = read_config("train", [common, "model.name=subband", "model.hidden=64", *NEEDED])
    assert (values["stft"]["window"], values["mics"], values["model"]["hidden"]) == ("hann", [0], 64)
    arguments = [common, "model.name=subband", "model={name: fullband, hidden: 256}", *NEEDED]
    assert read_config("train", arguments)["model"] == {"name": "fullband", "hidden": 256, "n_layers": 2}


# --- losses and terms -----------------------------------------------------------------------------------------------


def test_a_loss_that_a_file_names_is_whole(tmp_path: Path) -> None:
    files = written(tmp_path, a="loss: {name: wave_magnitude_l1, wave_weight: 3.0}\n", b="loss: {wave_weight: 4.0}\n")
    (again,) = written(tmp_path, c="loss: {name: wave_magnitude_l1}\n")
    assert read_config("train", ["student", files[0], files[1], *NEEDED])["loss"]["wave_weight"] == 4.0
    assert read_config("train", ["student", files[0], again, *NEEDED])["loss"]["wave_weight"] == 10.0


def test_a_loss_that_another_one_wraps_is_replaced_whole_too() -> None:
    base = ["student", "dispatch_l2", "data=d", "out=o", "teacher=t"]
    other = read_config("distill", [*base, "distill.terms.dispatch.loss.inner={name: dfkd, beta: 0.2}"])
    inner = other["distill"]["terms"]["dispatch"]["loss"]["inner"]
    assert (inner["name"], inner["beta"], inner["crossover"], "power" in inner) == ("dfkd", 0.2, "cumulative", False)
    same = read_config("distill", [*base, "distill.terms.dispatch.loss.inner.power=l1"])
    assert same["distill"]["terms"]["dispatch"]["loss"]["inner"]["power"] == "l1"
    bare = read_config("distill", [*base, "distill.terms.dispatch.loss={name: lin}"])
    assert bare["distill"]["terms"]["dispatch"]["loss"] == {"name": "lin", "form": "normalised"}


@pytest.mark.parametrize(
    ("first", "second", "term"),
    [("output_one_step", "output_l2", "output"), ("dispatch_l2", "dispatch_dfkd", "dispatch")],
)
def test_a_term_that_two_files_name_is_that_of_the_second(first: str, second: str, term: str) -> None:
    """No pairs, weight or patches of the first one."""
    both = read_config("distill", ["student", first, second, *TAUGHT])["distill"]["terms"]
    assert both == read_config("distill", ["student", second, *TAUGHT])["distill"]["terms"]
    assert list(both) == [term]


def test_terms_of_other_names_add_up_and_their_weights_can_be_changed(tmp_path: Path) -> None:
    (weights,) = written(tmp_path, weights="distill: {terms: {lin: {weight: 0.7}}}\n")
    terms = read_config("distill", ["student", "lin_one_step", "dfkd_one_step", weights, *TAUGHT])["distill"]["terms"]
    assert {name: term["weight"] for name, term in terms.items()} == {"lin": 0.7, "dfkd": 0.04}
    assert terms["lin"]["loss"] == {"name": "lin", "form": "normalised"}


# --- sets and null --------------------------------------------------------------------------------------------------


def i2s(*arguments: str) -> dict[str, Any]:
    """The loss of i2s_tfckd_ft_jnf with changes."""
    values = read_config("distill", ["student", "i2s_tfckd_ft_jnf", *arguments, *TAUGHT])
    return dict(values["distill"]["terms"]["i2s_tfckd"]["loss"])


def test_sets_are_replaced_whole(tmp_path: Path) -> None:
    other = {"all": [["freq_lstm"], ["time_lstm"]]}
    assert list(i2s()["sets"]) == ["recurrent", "output"]
    assert i2s(f"{I2S}.sets={{all: [[freq_lstm], [time_lstm]]}}")["sets"] == other
    assert i2s(f"{I2S}={{sets: {{all: [[freq_lstm], [time_lstm]]}}}}")["sets"] == other
    assert (
        i2s(f"{I2S}.sets={{a: [[mask], [mask]]}}", f"{I2S}.sets={{all: [[freq_lstm], [time_lstm]]}}")["sets"] == other
    )
    (later,) = written(
        tmp_path, later="distill: {terms: {i2s_tfckd: {loss: {sets: {all: [[freq_lstm], [time_lstm]]}}}}}\n"
    )
    assert i2s(later)["sets"] == other
    assert i2s(later)["fusion_channels"] == 32
    assert i2s(f"{I2S}.sets=null")["sets"] is None


def test_one_set_can_be_changed() -> None:
    sets = i2s(f"{I2S}.sets.output=[[mask], [mask]]")["sets"]
    assert sets == {"recurrent": [["freq_lstm", "time_lstm"]] * 2, "output": [["mask"], ["mask"]]}


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ("sets={}", "sets: expected "),
        ("sets={a: []}", "sets.a: expected [taps of the student, taps of the teacher], two lists, got []"),
        ("sets={a: [[linear]]}", "sets.a: expected [taps of the student, taps of the teacher], two lists, got [["),
        ("sets={a: [[], [linear]]}", "sets.a: expected at least one tap of the student, got none"),
        ("sets={a: [[linear], []]}", "sets.a: expected at least one tap of the teacher, got none"),
        ("sets.output=[]", "sets.output: expected [taps of the student, taps of the teacher], two lists, got []"),
    ],
)
def test_sets_without_layers_are_refused_by_their_whole_key(sets: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        i2s(f"{I2S}.{sets}")
    assert [line.startswith(f"{I2S}.{message}") for line in str(error.value).splitlines()] == [True]


def test_null_takes_back_what_a_file_says() -> None:
    keys = [f"{I2S}.{key}" for key in ("n_frames=null", "batch_size=null", "form=free", "second=frequency")]
    values = read_config("distill", ["student", "i2s_tfckd_dpdcrn", *keys, *TAUGHT])
    loss = values["distill"]["terms"]["i2s_tfckd"]["loss"]
    assert (loss["n_frames"], loss["batch_size"], loss["form"]) == (None, None, "free")
    patches = "distill.terms.dispatch.loss"
    values = read_config(
        "distill", ["student", "dispatch_l2", f"{patches}.n_bins=null", f"{patches}.mssp=true", *TAUGHT]
    )
    assert values["distill"]["terms"]["dispatch"]["loss"]["n_bins"] is None


# --- plain mappings -------------------------------------------------------------------------------------------------

KEYS = st.sampled_from(["a", "b", "name", "model", "stft", "loss", "terms", "sets"])
VALUES = st.recursive(
    st.integers() | st.none() | st.just("x"), lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=10
)
LAYERS = st.dictionaries(KEYS, VALUES, max_size=4)


@given(LAYERS)
def test_a_layer_alone_and_one_over_itself_are_the_layer(layer: dict[str, Any]) -> None:
    assert merge_files([("one", layer)]) == layer
    if "model" not in layer:
        assert merge_files([("one", layer), ("two", layer)]) == layer
    assert merge_overrides(layer, []) == layer


@given(LAYERS, LAYERS)
def test_what_is_merged_stays_as_it_was(first: dict[str, Any], second: dict[str, Any]) -> None:
    before = repr((first, second))
    for layers in ([("one", first)], [("two", second)]):
        merge_overrides(merge_files(layers), [("", second)])
    assert repr((first, second)) == before


@given(LAYERS, KEYS, st.integers())
def test_an_override_is_what_it_says(layer: dict[str, Any], key: str, value: int) -> None:
    assert merge_overrides(layer, [(key, {key: value})])[key] == value


def test_a_training_does_not_replace_the_network_that_was_asked_for() -> None:
    network: dict[str, Any] = {"model": {"name": "conv_tasnet"}, "mics": [0]}
    training: dict[str, Any] = {"model": {"name": "ft_jnf"}, "epochs": 60}
    assert merge_files([("student", training), ("model/a", network)])["model"] == {"name": "conv_tasnet"}
    with pytest.raises(ValueError, match=r"model: expected student before model/a, whose network it would replace"):
        merge_files([("model/a", network), ("student", training)])
    assert merge_files([("model/a", network), ("model/b", {"model": {"name": "x"}})])["model"] == {"name": "x"}
