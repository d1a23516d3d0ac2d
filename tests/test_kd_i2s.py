"""The whole of ``i2s_tfckd``: slow reference, who is trained, what the aim is, silence, structure, errors."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from arrayse.kd.base import Pair
from arrayse.kd.calibration import probabilities
from arrayse.kd.i2s_tfckd import DPDCRN_SETS, I2sTfckd, Sets, pairs_of
from arrayse.kd.views import look, rows
from arrayse.schema.base import schema_of
from tests.kd_cases import feature
from tests.slow_calibration import double, slow_calibration, slow_set

SETS: Sets = {"front": [["a", "b"], ["p", "q"]], "back": [["c"], ["r", "s", "t"]]}
WIDTHS = {"a": 3, "b": 2, "c": 4, "p": 5, "q": 3, "r": 2, "s": 4, "t": 3}
BINS = {"b": 3, "q": 4, "c": 2, "r": 2}  # fewer than the 5 of all others
VARIANTS: list[dict[str, Any]] = [
    {},
    {"second": "batch"},
    {"second": "none"},
    {"form": "fixed", "second": "batch", "n_frames": 4, "batch_size": 3},
    {"form": "fixed", "second": "frequency", "n_frames": 4},
]
FIXED = VARIANTS[3]
FUSIONS = pytest.mark.parametrize("teacher_fusion", ["frozen", "trained"])


def build(sets: Sets = SETS, **options: Any) -> I2sTfckd:
    pairs = [Pair(WIDTHS[s], WIDTHS[t]) for s, t in pairs_of(sets)]
    return double(I2sTfckd(pairs, sets, **{"fusion_channels": 3, **options}))


def features(n_items: int = 3, seed: int = 0) -> dict[str, Tensor]:
    """The taps of student (a, b, c) and teacher."""
    return {tap: feature(width, seed + ord(tap), n_items)[:, :, : BINS.get(tap, 5)] for tap, width in WIDTHS.items()}


def of_pairs(taps: dict[str, Tensor], sets: Sets = SETS) -> tuple[list[Tensor], list[Tensor]]:
    pairs = pairs_of(sets)
    return [taps[student] for student, _ in pairs], [taps[teacher] for _, teacher in pairs]


def value(built: I2sTfckd, taps: dict[str, Tensor], sets: Sets = SETS) -> Tensor:
    student, teacher = of_pairs(taps, sets)
    return built(look(built.views, student), look(built.views, teacher))


def fused(built: I2sTfckd, taps: dict[str, Tensor]) -> list[list[Tensor]]:
    """The fused sets of student and teacher."""
    sides = enumerate((built.student_fusions, built.teacher_fusions))
    return [
        [fusion([taps[name] for name in set_[side]]) for fusion, set_ in zip(fusions, SETS.values(), strict=True)]
        for side, fusions in sides
    ]


def targets(built: I2sTfckd, taps: dict[str, Tensor]) -> Tensor:
    """P_T of the frames of the teacher's fused sets."""
    with torch.no_grad():
        return torch.stack([probabilities(rows(x, "time", "concat")) for x in fused(built, taps)[1]])


# --- the loss -------------------------------------------------------------------------------------------------------


@FUSIONS
@pytest.mark.parametrize("options", VARIANTS)
def test_the_total_equals_the_slow_reference(options: dict[str, Any], teacher_fusion: str) -> None:
    built, taps = build(**options, teacher_fusion=teacher_fusion), features()
    sides = [([taps[s] for s in student], [taps[t] for t in teacher]) for student, teacher in SETS.values()]
    expected = [slow_calibration(each, *side) for each, side in zip(built.intra, sides, strict=True)]
    student = [slow_set(f, side[0]) for f, side in zip(built.student_fusions, sides, strict=True)]
    teacher = [slow_set(f, side[1]) for f, side in zip(built.teacher_fusions, sides, strict=True)]
    expected.append(slow_calibration(built.inter, *([torch.from_numpy(x) for x in y] for y in (student, teacher))))
    assert min(expected) > 1e-3
    assert float(value(built, taps).detach()) == pytest.approx(sum(expected), rel=1e-7)


def test_a_student_that_equals_a_teacher_of_one_layer_pays_for_the_fusions_alone() -> None:
    sets: Sets = {"all": [["a"], ["a"]]}
    built, taps = build(sets), features()
    paid = float(value(built, taps, sets).detach())
    assert paid > 1e-3  # the fusions of student and teacher are modules of their own
    built.teacher_fusions.load_state_dict(built.student_fusions.state_dict())
    assert float(value(built, taps, sets).detach()) == 0


@FUSIONS
@pytest.mark.parametrize("options", VARIANTS)
def test_the_gradient_reaches_the_student_and_all_that_is_trained_and_never_the_teacher(
    options: dict[str, Any], teacher_fusion: str
) -> None:
    built, taps = build(**options, teacher_fusion=teacher_fusion), features()
    for tap in taps.values():
        tap.requires_grad_()
    value(built, taps).backward()
    assert all(taps[name].grad is None for name in "pqrst")
    frozen = list(built.teacher_fusions.parameters())
    assert {p.requires_grad for p in frozen} == {teacher_fusion == "trained"}
    assert all((p.grad is None) == (teacher_fusion == "frozen") for p in frozen)
    trained = [p for p in (*built.inter.parameters(), *built.student_fusions.parameters(), *frozen) if p.requires_grad]
    for tensor in (*(taps[name] for name in "abc"), *trained):
        assert tensor.grad is not None
        assert torch.isfinite(tensor.grad).all()
        assert tensor.grad.abs().max() > 0


@pytest.mark.parametrize("options", VARIANTS)
def test_a_trained_fusion_of_the_teacher_learns_nothing_where_there_is_no_choice(options: dict[str, Any]) -> None:
    """With one set α between the sets is 1, and P_T is a target."""
    sets: Sets = {"all": [["a", "b"], ["p", "q"]]}
    built = build(sets, **options, teacher_fusion="trained")
    value(built, features(), sets).backward()
    assert all(p.grad is None or not p.grad.any() for p in built.teacher_fusions.parameters())
    assert all(p.grad is not None and p.grad.any() for p in built.student_fusions.parameters())


@pytest.mark.parametrize("options", VARIANTS)
def test_the_gradient_is_that_of_finite_differences(options: dict[str, Any]) -> None:
    built, taps = build(**options).requires_grad_(False), features()
    step = 0.1 * feature(WIDTHS["b"], 50, 3)[:, :, : BINS["b"]]
    start = taps["b"].clone().requires_grad_()
    value(built, {**taps, "b": start}).backward()
    ahead, behind = (float(value(built, {**taps, "b": taps["b"] + far * step})) for far in (1e-6, -1e-6))
    assert start.grad is not None
    assert (ahead - behind) / 2e-6 == pytest.approx(float((start.grad * step).sum()), rel=1e-4)


@pytest.mark.parametrize("options", VARIANTS)
@pytest.mark.parametrize("silent", ["abc", "pqrst", "abcpqrst"])
def test_silence_has_finite_values_and_gradients_in_32_bits(options: dict[str, Any], silent: str) -> None:
    built, taps = build(**options).float(), {name: tap.float() for name, tap in features().items()}
    for name in silent:
        taps[name][0] = 0
        taps[name][1] *= 1e-20
        taps[name][2, :, :, 1] = 0
    for name in "abc":
        taps[name].requires_grad_()
    got = value(built, taps)
    got.backward()
    assert math.isfinite(float(got.detach()))
    for tensor in (*(taps[name] for name in "abc"), *built.student_fusions.parameters()):
        assert tensor.grad is not None
        assert torch.isfinite(tensor.grad).all()


@pytest.mark.parametrize("second", ["frequency", "none"])
@pytest.mark.parametrize("n_frames", [1, 3])
def test_free_takes_one_item_of_any_length(second: str, n_frames: int) -> None:
    taps = {name: tap[..., :n_frames].requires_grad_() for name, tap in features(1).items()}
    built = build(second=second)
    got = value(built, taps)
    got.backward()
    assert built.min_items == 1
    assert math.isfinite(float(got.detach()))
    assert (float(got.detach()) > 0) == (n_frames > 1 or second == "frequency")  # one frame has nothing to compare
    assert all(torch.isfinite(taps[name].grad).all() for name in "abc")


@pytest.mark.parametrize("options", VARIANTS[:3])
def test_the_order_of_the_sets_does_not_matter_to_free_that_of_a_set_does(options: dict[str, Any]) -> None:
    taps, built = features(), build(**options)
    turned: Sets = dict(reversed(SETS.items()))
    other = build(turned, **options)
    for mine, theirs in (
        (other.student_fusions, built.student_fusions),
        (other.teacher_fusions, built.teacher_fusions),
    ):
        for place in (0, 1):
            mine[place].load_state_dict(theirs[1 - place].state_dict())
    expected = float(value(built, taps).detach())
    assert float(value(other, taps, turned).detach()) == pytest.approx(expected, rel=1e-9)
    same_widths: Sets = {"one": [["a"], ["q", "t"]]}
    in_turn: Sets = {"one": [["a"], ["t", "q"]]}
    before, after = (float(value(build(sets, **options), taps, sets).detach()) for sets in (same_widths, in_turn))
    assert abs(before - after) > 1e-6


@pytest.mark.parametrize("options", VARIANTS)
def test_a_frozen_fusion_of_the_teacher_keeps_its_aim_and_a_trained_one_does_not(options: dict[str, Any]) -> None:
    """From noise that has nothing to teach, new in every step."""
    for teacher_fusion in ("frozen", "trained"):
        built, probe = build(**options, teacher_fusion=teacher_fusion), features()
        before = targets(built, probe)
        optimiser = torch.optim.Adam(built.parameters(), lr=0.01)
        for step in range(1, 5):
            optimiser.zero_grad()
            value(built, features(seed=1000 * step)).backward()
            optimiser.step()
            assert torch.equal(targets(built, probe), before) == (teacher_fusion == "frozen"), step


@pytest.mark.parametrize("options", VARIANTS)
def test_training_lowers_the_loss_within_the_sets_and_between_them(options: dict[str, Any]) -> None:
    built, taps = build(**options), features()
    for name in "abc":
        taps[name].requires_grad_()

    def between() -> float:
        return float(built.inter(*fused(built, taps)).detach())

    optimiser = torch.optim.Adam([*(taps[name] for name in "abc"), *built.parameters()], lr=0.03)
    losses = []
    for _ in range(25):
        losses.append((between(), float(value(built, taps).detach())))
        optimiser.zero_grad()
        value(built, taps).backward()
        optimiser.step()
    assert losses[-1][0] < 0.6 * losses[0][0]
    assert losses[-1][1] - losses[-1][0] < 0.9 * (losses[0][1] - losses[0][0])


# --- structure and errors -------------------------------------------------------------------------------------------


def test_the_default_sets_are_those_of_the_paper() -> None:
    pairs = I2sTfckd.default_pairs({"name": "i2s_tfckd"})
    assert pairs == I2sTfckd.default_pairs({"sets": None}) == pairs_of(DPDCRN_SETS)
    assert len(pairs) == len(I2sTfckd.taps) == 3 * 3 + 1 * 4 + 3 * 3
    assert pairs[:4] == [("encoder_1", f"encoder_{k}") for k in (1, 2, 3)] + [("encoder_2", "encoder_1")]
    assert pairs[9:13] == [("mid_1", f"mid_{k}") for k in (1, 2, 3, 4)]
    assert pairs[13] == ("decoder_3", "decoder_3")
    built = I2sTfckd([Pair(8, 16)] * 22)
    assert [(len(each.time.queries), len(each.time.keys)) for each in built.intra] == [(3, 3), (1, 4), (3, 3)]
    assert built.inter.kind == "frequency"
    assert built.formula()
    assert tuple(built.student_fusions[1].first[0][0].weight.shape) == (128, 8, 1, 1)
    assert [len(fusion.steps) for fusion in built.teacher_fusions] == [2, 3, 2]


def test_pairs_are_those_of_the_sets_of_a_config() -> None:
    expected = [("a", "p"), ("a", "q"), ("b", "p"), ("b", "q"), ("c", "r"), ("c", "s"), ("c", "t")]
    assert I2sTfckd.default_pairs({"sets": SETS}) == expected
    assert build().places == [([0, 2], [0, 1]), ([4], [4, 5, 6])]


def test_the_fewest_items_are_those_that_the_second_stream_needs() -> None:
    assert [build(**options).min_items for options in VARIANTS] == [1, 2, 1, 3, 1]


def test_fixed_works_with_one_size_alone() -> None:
    assert [build(**options).fixed_sizes for options in VARIANTS] == [False, False, False, True, True]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"sets": {}}, "sets: expected one at least, got none"),
        ({"sets": {"one": [["a"]]}}, r"sets.one: expected the student's taps and the teacher's, got 1 lists"),
        ({"sets": {"one": [["a"], []]}}, r"sets.one: expected at least one tap of the teacher, got none"),
        ({"sets": {"one": [[], ["p"]]}}, r"sets.one: expected at least one tap of the student, got none"),
        ({"form": "loose"}, "form: expected one of fixed, free, got loose"),
        ({"second": "space"}, "second: expected one of batch, frequency, none, got space"),
        ({"fusion_channels": 0}, "fusion_channels: expected 1 or more, got 0"),
        ({"form": "fixed"}, "n_frames: expected a number of frames for form=fixed, got none"),
        ({**FIXED, "batch_size": None}, "batch_size: expected a number of items for form=fixed second=batch, got none"),
        ({**FIXED, "n_frames": 0}, "n_frames: expected 1 or more, got 0"),
        ({**FIXED, "batch_size": 1}, "batch_size: expected 2 or more, got 1"),
        ({"n_frames": 4}, "n_frames: expected none with form=free .*, got 4: set n_frames=null, or is form=fixed"),
        ({"second": "batch", "batch_size": 3}, "got 3: set batch_size=null, or is form=fixed meant"),
        ({"batch_size": 3}, "got 3: set batch_size=null, or is form=fixed second=batch meant"),
        ({**FIXED, "second": "frequency"}, "got 3: set batch_size=null, or is second=batch meant"),
        ({**FIXED, "form": "free"}, "n_frames and batch_size: .* 4 and 3: set n_frames=null batch_size=null, or is"),
        ({"teacher_fusion": "fixed"}, "teacher_fusion: expected one of frozen, trained, got fixed"),
    ],
)
def test_what_cannot_be_used_is_an_error(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        build(**options)


def test_other_pairs_than_those_of_the_sets_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"pairs: expected 7 for the sets front 2×2, back 1×3, got 3"):
        I2sTfckd([Pair(3, 3)] * 3, SETS)


def test_other_frames_or_items_than_fixed_was_made_for_are_errors() -> None:
    built, free = build(**FIXED), "or form=free n_frames=null batch_size=null"
    with pytest.raises(ValueError, match=f"n_frames: expected 4, got 2: set n_frames=2, {free}"):
        value(built, {name: tap[..., :2] for name, tap in features().items()})
    with pytest.raises(ValueError, match=f"batch_size: expected 3, got 2: set batch_size=2, {free}"):
        value(built, features(2))
    value(build(**{**FIXED, "form": "free", "n_frames": None, "batch_size": None}), features(2))


def test_a_config_says_sets_as_lists_of_taps() -> None:
    schema = schema_of(I2sTfckd, ("pairs",), name="i2s_tfckd")
    checked = schema.model_validate({"name": "i2s_tfckd", "sets": SETS}).model_dump()
    assert checked["sets"] == SETS
    for wrong in ({"one": [["a"]]}, {"one": ["a", "p"]}):
        with pytest.raises(ValueError, match="sets"):
            schema.model_validate({"name": "i2s_tfckd", "sets": wrong})
