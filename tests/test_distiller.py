"""Distillation as an objective: the sum of its terms, who learns, arrays of different microphones, what is refused."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch

from arrayse.config import check_values
from arrayse.frontend.features import real_channels
from arrayse.geometry import circular, linear
from arrayse.kd import METHODS, Distillation, Term, build_term, check_compatible
from arrayse.kd.base import Pair
from arrayse.kd.lin import Lin
from arrayse.kd.lstm2 import Lstm2
from arrayse.kd.views import look
from arrayse.losses import WaveMagnitudeL1
from arrayse.models import Enhancer
from arrayse.objectives import Supervised
from arrayse.schema.nets import TermConfig
from tests.tiny import VARIANTS, batch, distillation, enhancer, taught_by

TRAINED = ("mask", "lin", "fused", "clskd", "feature_regression", "i2s_tfckd")
"""Methods with weights of their own between networks of different microphones."""
OF_ESTIMATES = ("magnitude", "dfkd", "subband", "dispatch")
"""Methods that compare estimates, or look at them, bin by bin."""
TAPS = "freq_lstm, time_lstm, linear, mask, spec, wave"


def teacher_of(**arguments: Any) -> Enhancer:
    """A wider enhancer with other weights."""
    return enhancer(seed=1, freq_hidden=7, time_hidden=6, **arguments)


def two_terms(student: Enhancer, teacher: Enhancer, supervised_weight: float) -> Distillation:
    terms = [
        build_term("outputs", {"name": "lin", "form": "paper"}, 2.0, [("spec", "spec")], student, teacher),
        build_term("rhythm", {"name": "lstm2"}, 0.5, [("freq_lstm", "time_lstm")], student, teacher),
    ]
    return Distillation(student, WaveMagnitudeL1(), [taught_by(teacher, terms)], supervised_weight)


def lin_term(name: str = "lin", weight: float = 1.0) -> Term:
    return Term(name, weight, [("linear", "linear")], Lin([Pair(2, 2)]))


@pytest.mark.parametrize("supervised_weight", [0.0, 0.3, 1.0])
def test_the_loss_is_the_weighted_sum_of_its_parts(supervised_weight: float) -> None:
    student, teacher, scenes = enhancer(mics=[0, 1]), teacher_of(), batch()
    got = two_terms(student, teacher, supervised_weight)(scenes)
    s, t = student(scenes.noisy).taps, teacher(scenes.noisy).taps
    assert list(got) == ["loss", "supervised", "outputs", "rhythm"]
    torch.testing.assert_close(got["supervised"], Supervised(student, WaveMagnitudeL1())(scenes)["loss"])
    torch.testing.assert_close(got["outputs"], (s["spec"] - t["spec"]).abs().mean())
    rhythm = Lstm2([Pair(10, 6)])
    expected = rhythm(look(rhythm.views, [s["freq_lstm"]]), look(rhythm.views, [t["time_lstm"]]))
    torch.testing.assert_close(got["rhythm"], expected)
    terms = 2.0 * got["outputs"] + 0.5 * got["rhythm"]
    torch.testing.assert_close(got["loss"], supervised_weight * got["supervised"] + (1 - supervised_weight) * terms)


@pytest.mark.parametrize("supervised_weight", [0.0, 0.3])
def test_the_gradient_is_the_weighted_sum_of_its_parts(supervised_weight: float) -> None:
    student, teacher, scenes = enhancer(), teacher_of(), batch()
    gradients = []
    for objective in (
        two_terms(student, teacher, supervised_weight),
        Supervised(student, WaveMagnitudeL1()),
        two_terms(student, teacher, 0.0),
    ):
        student.zero_grad()
        objective(scenes)["loss"].backward()
        gradients.append(student.net.freq_lstm.weight_ih_l0.grad.clone())
    expected = supervised_weight * gradients[1] + (1 - supervised_weight) * gradients[2]
    torch.testing.assert_close(gradients[0], expected, rtol=1e-4, atol=1e-6)


def test_the_equation_says_what_is_computed() -> None:
    objective = two_terms(enhancer(), teacher_of(), 0.25)
    assert objective.equation() == "loss = 0.25 WaveMagnitudeL1 + 0.75 (2 outputs + 0.5 rhythm)"


@pytest.mark.parametrize(("method", "arguments"), VARIANTS)
def test_only_the_student_and_its_adapters_learn(method: str, arguments: dict[str, Any]) -> None:
    student, teacher = enhancer(mics=[0, 1], preset="metzger"), teacher_of(preset="metzger")
    objective = distillation(student, teacher, method, supervised_weight=0.0, **arguments)
    objective(batch())["loss"].backward()
    learns = {name: parameter for name, parameter in objective.named_parameters() if parameter.requires_grad}
    adapters = {name for name in learns if name.startswith("losses.")}
    assert bool(adapters) == (method in TRAINED or arguments.get("inner") in ({"name": "lin"}, {"name": "mask"}))
    of_teacher = any("teacher_fusions" in name for name in adapters)
    assert of_teacher == (arguments.get("teacher_fusion") == "trained")
    reached = {name for name, parameter in learns.items() if parameter.grad is not None and parameter.grad.any()}
    last = METHODS[method].default_pairs(arguments)[-1][0]  # what comes after the last tap has no part in the loss
    behind = {"freq_lstm": ("time_lstm", "linear"), "time_lstm": ("linear",)}.get(last, ())
    assert reached == {name for name in learns if not any(part in name for part in behind)}
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in teacher.parameters())


def test_the_teacher_is_neither_saved_nor_switched_to_training() -> None:
    student, teacher = enhancer(), teacher_of()
    objective = distillation(student, teacher, "lin").train()
    assert set(objective.state_dict()) == {f"student.{name}" for name in student.state_dict()}
    assert student.training
    assert not teacher.training


@pytest.mark.parametrize(("method", "arguments"), VARIANTS)
def test_five_microphones_teach_two(method: str, arguments: dict[str, Any]) -> None:
    student, teacher = enhancer(mics=[3, 0], preset="metzger"), teacher_of(preset="metzger")
    got = distillation(student, teacher, method, **arguments)(batch())
    assert torch.isfinite(got["loss"])
    assert float(got[method].detach()) > 0


@pytest.mark.parametrize(("method", "arguments"), VARIANTS)
def test_a_student_that_is_its_teacher_has_nothing_to_learn(method: str, arguments: dict[str, Any]) -> None:
    """But where weights of the loss stand between the two."""
    got = distillation(enhancer(), enhancer(), method, **arguments)(batch())[method].detach()
    assert (float(got) == 0) == (method not in ("clskd", "feature_regression", "i2s_tfckd"))


@pytest.mark.parametrize(("method", "arguments"), VARIANTS)
def test_a_config_computes_what_its_keys_and_the_defaults_say(method: str, arguments: dict[str, Any]) -> None:
    """Also where a loss is wrapped around another, which has keys and defaults of its own."""
    filled = dict(check_values(TermConfig, {"loss": {"name": method, **arguments}})["loss"])
    assert filled.pop("name") == method
    assert set(filled) == set(inspect.signature(METHODS[method]).parameters) - {"pairs"}
    student, teacher, losses = enhancer(mics=[0, 1]), teacher_of(preset="metzger"), []
    for options in (arguments, filled):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            losses.append(distillation(student, teacher, method, **options)(batch())[method])
    assert torch.equal(*losses)


@pytest.mark.parametrize(("method", "arguments"), VARIANTS)
def test_terms_are_computed_in_32_bits_under_autocast(method: str, arguments: dict[str, Any]) -> None:
    """Gram matrices of 16 bits would leave gradients of noise between networks that resemble each other."""
    student, teacher = enhancer(mics=[0, 1], preset="metzger"), teacher_of(preset="metzger")
    objective, scenes = distillation(student, teacher, method, **arguments), batch()
    with torch.autocast("cpu", torch.bfloat16):
        got = objective(scenes)[method]
        s, t = student(scenes.noisy).taps, teacher(scenes.noisy).taps
    loss, target = objective.teachers[0].terms[0].loss, scenes.target[:, student.ref_mic]
    perfect = {"wave": target[:, None, None], "spec": real_channels(student.stft(target)[:, None])}
    pairs = METHODS[method].default_pairs(arguments)
    seen = [look(loss.views, [side[names[k]].float() for names in pairs]) for k, side in enumerate((s, t))]
    if loss.target_views:
        seen.append([perfect[pairs[view.tap][0]] for view in loss.target_views])
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, loss(*seen))


def test_validation_is_that_of_supervised_training() -> None:
    student, scenes = enhancer(), batch()
    with torch.no_grad():
        got = distillation(student, teacher_of(), "lstm1").validate(scenes)
        expected = Supervised(student, WaveMagnitudeL1()).validate(scenes)
    assert got == expected


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sample_rate": 8000}, "student sample_rate: expected 16000 as the teacher has, got 8000"),
        (
            {"array": linear(5)},
            r"array: expected the teacher's \(circular, 5 mics\), got another \(linear, 5 mics\)",
        ),
        ({"array": circular(4)}, r"array: expected the teacher's .*, got another \(circular, 4 mics\)"),
    ],
)
def test_students_of_another_rate_or_array_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_compatible(enhancer(**changed), teacher_of())


@pytest.mark.parametrize(
    ("key", "name", "value"),
    [
        ("n_fft", "n_fft", 256),
        ("win_length", "win_length", 96),
        ("hop_length", "hop_length", 32),
        ("window", "kind", "hann"),
    ],
)
def test_taps_of_another_transform_are_refused(key: str, name: str, value: object) -> None:
    student = enhancer()
    setattr(student.stft, name, value)
    with pytest.raises(ValueError, match=f"t pairs: expected stft.{key} .* as the teacher has, got {value}: .* wave"):
        build_term("t", {"name": "lin"}, 1.0, None, student, teacher_of())


def test_waves_of_networks_with_different_transforms_can_be_compared() -> None:
    student, teacher, scenes = enhancer(n_fft=64), teacher_of(), batch()
    term = build_term("t", {"name": "lin", "form": "paper"}, 1.0, [("wave", "wave")], student, teacher)
    got = Distillation(student, WaveMagnitudeL1(), [taught_by(teacher, [term])], 0.5)(scenes)["t"]
    torch.testing.assert_close(got, (student(scenes.noisy).wave - teacher(scenes.noisy).wave).abs().mean())


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([("linaer", "linear")], f"t pairs: expected a student tap of {TAPS}, got linaer"),
        ([("linear", "masks")], f"t pairs: expected a teacher tap of {TAPS}, got masks"),
        ([("linear", "linear"), ("mask", "mask")], "t pairs: expected 1 for linear, got 2"),
        ([], "t pairs: expected 1 for linear, got 0"),
    ],
)
def test_pairs_that_cannot_be_compared_are_refused(pairs: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_term("t", {"name": "lin"}, 1.0, pairs, enhancer(), teacher_of())


def test_outputs_of_other_microphones_are_compared_through_an_adapter() -> None:
    """As many channels, but of another microphone or in another order."""
    several = {"preset": "metzger"}
    for student, teacher in (
        (enhancer(mics=[0, 1], ref_mic=1), teacher_of()),
        (enhancer(mics=[1, 0], **several), teacher_of(mics=[0, 1], **several)),
        (enhancer(mics=[2, 1], **several), teacher_of(**several)),
        (enhancer(ref_mic=1, **several), teacher_of(**several)),
    ):
        for method in ("lin", "mask", "fused"):
            assert list(distillation(student, teacher, method).losses.parameters())
        assert not list(distillation(student, teacher, "lstm2").losses.parameters())
    same = distillation(enhancer(mics=[0, 1], **several), teacher_of(mics=[0, 1], **several), "lin")
    assert not list(same.losses.parameters())


@pytest.mark.parametrize(("method", "arguments"), VARIANTS)
def test_estimates_at_two_microphones_are_compared_by_no_loss_that_has_no_adapter(
    method: str, arguments: dict[str, Any]
) -> None:
    """Between features inside the networks it does not matter what they are for."""
    student, teacher = enhancer(mics=[3, 0], ref_mic=3), teacher_of()
    if method not in OF_ESTIMATES:
        assert torch.isfinite(distillation(student, teacher, method, **arguments)(batch())["loss"])
        return
    with pytest.raises(
        ValueError, match="pairs: expected estimates at one microphone, got outputs at different ref_mic"
    ):
        distillation(student, teacher, method, **arguments)


def test_masks_and_what_tanh_bounds_to_masks_are_not_the_same() -> None:
    """With one microphone both presets have two channels, which hold other things before the bound."""
    one = {"mics": [0], "ref_mic": 0}
    student, teacher = enhancer(**one), teacher_of(**one, preset="metzger")
    assert list(distillation(student, teacher, "lin").losses.parameters())
    assert not list(distillation(student, teacher, "mask").losses.parameters())


def test_features_inside_two_networks_have_no_common_order() -> None:
    """Equal widths or not: an adapter stands between them."""
    inner = [("time_lstm", "time_lstm")]
    term = build_term("t", {"name": "lin"}, 1.0, inner, enhancer(), enhancer(seed=1))
    assert [tuple(p.shape) for p in term.loss.parameters()] == [(4, 4, 1, 1), (4,)]


@pytest.mark.parametrize("name", ["loss", "supervised", "a.b", "", "keys", "training"])
def test_names_that_would_hide_something_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="term: expected a name of its own without dots, got"):
        Distillation(enhancer(), WaveMagnitudeL1(), [taught_by(teacher_of(), [lin_term(name)])], 0.5)
    with pytest.raises(ValueError, match="term: expected a name of its own without dots, got 'lin'"):
        Distillation(enhancer(), WaveMagnitudeL1(), [taught_by(teacher_of(), [lin_term(), lin_term()])], 0.5)


@pytest.mark.parametrize(
    ("weights", "supervised_weight", "message"),
    [
        ([-1.0], 0.5, r"a weight: expected 0 or more, got -1\.0"),
        ([float("nan")], 0.5, "a weight: expected 0 or more, got nan"),
        ([0.0, 0.0], 0.5, "terms: expected a positive weight of one and of its teacher, got none"),
        ([], 0.0, "terms: expected a positive weight of one and of its teacher, got none"),
        ([1.0], 1.5, r"supervised_weight: expected 0 to 1, got 1\.5"),
        ([1.0], -0.1, r"supervised_weight: expected 0 to 1, got -0\.1"),
    ],
)
def test_weights_that_leave_nothing_to_minimise_are_refused(
    weights: list[float], supervised_weight: float, message: str
) -> None:
    terms = [lin_term(name, weight) for name, weight in zip("ab", weights, strict=False)]
    with pytest.raises(ValueError, match=message):
        Distillation(enhancer(), WaveMagnitudeL1(), [taught_by(teacher_of(), terms)], supervised_weight)
