"""Configurations: checking, and errors that name what, expected, got, and the nearest valid name."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrayse.config import ConfigError, check_values, read_config, write_config
from arrayse.losses import LOSSES
from arrayse.models import NETS
from arrayse.models.ft_jnf import FTJNF
from arrayse.schema import SCHEMAS
from arrayse.schema.nets import TrainConfig
from arrayse.schema.tree import locate
from arrayse.training.settings import FitSettings
from simulate.recipe import Recipe, recipe_from

TRAIN = ["train/teacher", "data=d", "out=o"]


def lines(error: pytest.ExceptionInfo[ConfigError]) -> list[str]:
    return str(error.value).splitlines()


def test_defaults_are_those_of_the_classes() -> None:
    values = read_config("train", ["data=d", "out=o", "model.name=ft_jnf"])
    assert FitSettings(**values["fit"]) == FitSettings()
    signature = inspect.signature(FTJNF).parameters
    for name in ("preset", "freq_hidden", "time_hidden", "causal"):
        assert values["model"][name] == signature[name].default
    assert recipe_from(read_config("simulate", ["out=o"])["recipe"]) == Recipe()


def test_all_errors_are_told_at_once_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError) as error:
        read_config("train", [*TRAIN, "model.freq_hiden=64", "epochs=ten", "sed=1", "fit.batch_size=0"])
    told = lines(error)
    assert len(told) == 4
    assert "model.freq_hiden: expected a known key, got an unknown one: did you mean freq_hidden?" in told
    assert "sed: expected a known key, got an unknown one: did you mean seed?" in told
    assert any(line.startswith("epochs: expected a valid integer") and line.endswith("'ten'") for line in told)
    assert any(line.startswith("fit.batch_size: expected a value greater than or equal to 1") for line in told)


def test_unknown_names_of_models_and_losses_list_the_choices() -> None:
    with pytest.raises(ConfigError) as error:
        read_config("train", [*TRAIN, "model.name=ft_jnv", "loss.name=mse"])
    assert f"model.name: expected one of {', '.join(NETS)}, got ft_jnv: did you mean ft_jnf?" in lines(error)
    assert f"loss.name: expected one of {', '.join(LOSSES)}, got mse" in [
        line.split(": did you")[0] for line in lines(error)
    ]


def test_an_error_inside_a_distillation_term_names_its_place() -> None:
    with pytest.raises(ConfigError) as error:
        read_config(
            "distill", ["student", "lin_one_step", "data=d", "out=o", "teacher=t", "distill.terms.lin.loss.frm=paper"]
        )
    assert lines(error) == ["distill.terms.lin.loss.frm: expected a known key, got an unknown one: did you mean form?"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("inner.powr=l1", "inner.powr: expected a known key, got an unknown one: did you mean power?"),
        ("inner.power=l3", "inner.power: expected one of l1, l2, got l3"),
        ("inner.name=gram", "inner.name: expected one of magnitude, dfkd, lin, mask, subband, got gram"),
        ("inner={power: l1, name: dfkd}", "inner.power: expected a known key, got an unknown one"),
        ("inner=null", "inner: expected a valid dictionary"),
        ("k=0", "k: expected a value greater than 0, got 0"),
    ],
)
def test_an_error_inside_a_wrapped_loss_names_its_place(override: str, message: str) -> None:
    base = ["student", "dispatch_l2", "data=d", "out=o", "teacher=t"]
    with pytest.raises(ConfigError) as error:
        read_config("distill", [*base, f"distill.terms.dispatch.loss.{override}"])
    assert [line.startswith(f"distill.terms.dispatch.loss.{message}") for line in lines(error)] == [True]


def test_types_are_strict() -> None:
    for override in ("epochs=1.5", "epochs='3'", "model.causal=1", "mics=[0.5]", "mics=0"):
        with pytest.raises(ConfigError):
            read_config("train", [*TRAIN, override])


@pytest.mark.parametrize("text", ["${oc.env:HOME}", "${data}", "a${oc.decode:1}"])
def test_interpolations_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="interpolation"):
        read_config("train", [*TRAIN[:1], "out=o", f"data={text}"])


def test_yaml_tags_run_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    (tmp_path / "evil.yaml").write_text(f"data: !!python/object/apply:os.system ['touch {marker}']\n")
    with pytest.raises(ConfigError):
        read_config("train", [str(tmp_path / "evil.yaml")])
    assert not marker.exists()


def test_what_only_the_class_sees_is_told_with_the_rest() -> None:
    with pytest.raises(ConfigError) as error:
        read_config("train", [*TRAIN, "stft.hop_length=100", "fit.snr_db=[3,1]", "epochs=0", "phase_epochs=[]"])
    assert lines(error) == [
        "stft.hop_length: expected a proper divisor of n_fft 512, got 100",
        "epochs: expected a value greater than or equal to 1, got 0",
        "phase_epochs: expected at least 1 value, got []",
        "fit.snr_db: expected the lowest and the highest SNR, got [3.0, 1.0]",
    ]


def test_lists_of_the_wrong_length_are_told_by_what_they_hold() -> None:
    arguments = ["student", "lin_one_step", "data=d", "out=o", "teacher=t", "fit.snr_db=[1,2,3]"]
    with pytest.raises(ConfigError) as error:
        read_config("distill", [*arguments, "distill.terms.lin.pairs=[[spec]]"])
    assert lines(error) == [
        "fit.snr_db: expected at most 2 values, got [1, 2, 3]",
        "distill.terms.lin.pairs.0: expected [tap of the student, tap of the teacher], got ['spec']",
    ]


def test_a_loss_without_arguments_is_configurable() -> None:
    assert read_config("train", [*TRAIN, "loss={name: negative_si_sdr}"])["loss"] == {"name": "negative_si_sdr"}


def test_text_is_taken_as_it_stands() -> None:
    values = read_config("train", ["train/teacher", "data=/a b/#1: {x}", "out=2026"])
    assert (values["data"], values["out"]) == ("/a b/#1: {x}", "2026")
    home = read_config("train", ["train/teacher", "data=~/d", "out=o"])["data"]
    assert home == str(Path("~/d").expanduser())


@pytest.mark.parametrize("text", ["2024", "a: b", "1e-3", "[x]", "no"])
def test_places_that_need_not_be_told_are_text_too(text: str) -> None:
    assert read_config("report", [f"out={text}"])["out"] == text
    assert read_config("simulate", ["out=o", f"rooms={text}", f"array={text}"])["array"] == text
    assert read_config("evaluate", ["out=o", f"data={text}"])["data"] == text
    assert read_config("report", ["out=a", "out=null"])["out"] is None
    assert read_config("report", ["out=null", "out=a"])["out"] == "a"
    assert read_config("simulate", ["out=o", "array=a", "array.name=x"])["array"] == {"name": "x"}


def test_lists_and_mappings_are_no_text() -> None:
    base = ["sweep/snr", "data=d", "out=o"]
    assert read_config("sweep", [*base, "runs=[~/a,b]"])["runs"] == [str(Path("~/a").expanduser()), "b"]
    assert read_config("simulate", ["out=o", "array={name: x}"])["array"] == {"name": "x"}


def test_a_file_in_a_folder_with_a_sign_is_no_override(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lr=1e-3").mkdir()
    Path("lr=1e-3/c.yaml").write_text("n: 5\n")
    assert read_config("patches", ["lr=1e-3/c.yaml"])["n"] == 5
    Path("n=7").write_text("")
    assert read_config("patches", ["n=7"])["n"] == 7


@pytest.mark.parametrize("override", ["fit.seconds=.inf", "fit.learning_rate=.nan", "out="])
def test_infinities_and_empty_paths_are_refused(override: str) -> None:
    with pytest.raises(ConfigError):
        read_config("train", [*TRAIN, override])


def test_lists_hold_every_value_once() -> None:
    with pytest.raises(ConfigError, match="snr_db: expected every value once"):
        read_config("evaluate", ["data=d", "out=o", "snr_db=[0,0]"])


def test_a_resolved_config_reads_back_the_same(tmp_path: Path) -> None:
    values = read_config("distill", ["student", "fused_two_step", "data=d", "out=o", "teacher=t"])
    write_config(tmp_path / "c.yaml", values)
    assert read_config("distill", [str(tmp_path / "c.yaml")]) == values


def nested(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)


SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5)


@settings(max_examples=30)
@given(st.recursive(SCALARS, nested, max_leaves=8))
def test_any_value_is_accepted_or_explained(value: object) -> None:
    for schema in SCHEMAS.values():
        for values in (value, {"model": value}, {"distill": {"terms": {"a": value}}}, {"fit": value}):
            problems = ""
            try:
                check_values(schema, values)
            except ConfigError as error:
                problems = str(error)
            assert all("expected " in line for line in problems.split("\n") if line)


def test_locate_leaves_out_what_nobody_writes() -> None:
    assert locate(TrainConfig, ("model", "ft_jnf", "freq_hidden"))[0] == "model.freq_hidden"
    place, siblings = locate(TrainConfig, ("fit", "learning_rat"))
    assert place == "fit.learning_rat"
    assert "learning_rate" in siblings
