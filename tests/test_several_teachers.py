"""Several teachers through one objective: weighted, or each asked about its own SNRs."""

from __future__ import annotations

import pytest
import torch

from arrayse.kd import Distillation, Teacher, build_term, check_coverage
from arrayse.losses import WaveMagnitudeL1
from arrayse.models import Enhancer
from tests.tiny import batch, distillation, enhancer, taught_by

NEAR, FAR = enhancer(seed=1, freq_hidden=7), enhancer(seed=2, time_hidden=6)


def teacher(
    student: Enhancer,
    network: Enhancer,
    name: str,
    method: str = "lin",
    weight: float = 1.0,
    snr_db: tuple[float, float] | None = None,
) -> Teacher:
    term = build_term(f"{name}_{method}", {"name": method}, 1.0, None, student, network)
    return taught_by(network, [term], name, weight=weight, snr_db=snr_db)


def test_weighted_teachers_add_up() -> None:
    student, scenes = enhancer(), batch()
    both = [teacher(student, NEAR, "near", weight=0.7), teacher(student, FAR, "far", weight=0.3)]
    got = Distillation(student, WaveMagnitudeL1(), both, 0.25)(scenes)
    alone = [distillation(student, network, "lin")(scenes)["lin"] for network in (NEAR, FAR)]
    torch.testing.assert_close(got["near_lin"], alone[0])
    torch.testing.assert_close(got["far_lin"], alone[1])
    expected = 0.25 * got["supervised"] + 0.75 * (0.7 * alone[0] + 0.3 * alone[1])
    torch.testing.assert_close(got["loss"], expected)


@pytest.mark.parametrize("method", ["lin", "lstm2", "fused", "feature_regression"])
def test_every_item_is_taught_by_the_teacher_of_its_snr(method: str) -> None:
    """Items at 0, 10 and 20 dB: the mean over the items of what each one's teacher says."""
    student, scenes = enhancer(), batch(n_items=3)
    low = teacher(student, NEAR, "low", method, snr_db=(-5.0, 5.0))
    high = teacher(student, FAR, "high", method, snr_db=(5.0, 20.0))
    got = Distillation(student, WaveMagnitudeL1(), [low, high], 0.0)(scenes)
    expected = []
    for number, asked in enumerate((low, high, high)):
        alone = Teacher(asked.name, asked.source, asked.terms)
        expected.append(Distillation(student, WaveMagnitudeL1(), [alone], 0.0)(scenes.items([number]))["loss"])
    torch.testing.assert_close(got["loss"], torch.stack(expected).mean())
    torch.testing.assert_close(got[f"low_{method}"], expected[0] / 3)


def test_a_teacher_without_items_costs_nothing_and_is_not_run() -> None:
    student, scenes = enhancer(), batch(n_items=1)

    def never(*arguments: object) -> dict[tuple[str, str], torch.Tensor]:
        raise AssertionError("asked")

    (term,) = teacher(student, FAR, "far").terms
    absent = Teacher("far", never, [term], snr_db=(10.0, 20.0))
    got = Distillation(student, WaveMagnitudeL1(), [teacher(student, NEAR, "near"), absent], 0.0)(scenes)
    assert float(got["far_lin"]) == 0
    torch.testing.assert_close(got["loss"], got["near_lin"])
    got["loss"].backward()


def test_each_teacher_trains_its_own_adapter() -> None:
    student = enhancer(mics=[0, 1], preset="metzger")
    networks = [enhancer(seed=seed, preset="metzger") for seed in (1, 2)]
    both = [teacher(student, network, name) for network, name in zip(networks, ("a", "b"), strict=True)]
    objective = Distillation(student, WaveMagnitudeL1(), both, 0.0)
    objective(batch())["loss"].backward()
    adapters = [name for name, p in objective.named_parameters() if "adapter" in name and p.grad.any()]
    assert adapters == [f"losses.{name}_lin.adapter.{part}" for name in "ab" for part in ("weight", "bias")]


def test_the_equation_names_teachers_weights_and_ranges() -> None:
    student = enhancer()
    both = [teacher(student, NEAR, "near", weight=0.7, snr_db=(-5.0, 5.0)), teacher(student, FAR, "far")]
    told = Distillation(student, WaveMagnitudeL1(), both, 0.5).equation()
    assert told == "loss = 0.5 WaveMagnitudeL1 + 0.5 (0.7 near [-5 to 5 dB] (1 near_lin) + 1 far (1 far_lin))"


@pytest.mark.parametrize("weights", [(-1.0, 1.0), (0.0, 0.0)])
def test_weights_of_teachers_that_leave_nothing_are_refused(weights: tuple[float, float]) -> None:
    student = enhancer()
    both = [teacher(student, NEAR, name, weight=weight) for name, weight in zip("ab", weights, strict=True)]
    with pytest.raises(ValueError, match=r"expected 0 or more|expected a positive weight of one"):
        Distillation(student, WaveMagnitudeL1(), both, 0.5)


def test_a_single_training_snr_needs_a_teacher_too() -> None:
    teachers = [teacher(enhancer(), NEAR, "near", snr_db=(5.0, 10.0))]
    check_coverage(teachers, [5.0, 5.0])
    with pytest.raises(ValueError, match=r"every SNR of fit\.snr_db \(0 to 0 dB\), got none right above 0 dB"):
        check_coverage(teachers, [0.0, 0.0])


@pytest.mark.parametrize(
    ("ranges", "gap"),
    [
        ([(-5.0, 5.0), (5.0, 15.0)], None),
        ([(5.0, 20.0), (-10.0, 5.0)], None),
        ([(-5.0, 0.0), None], None),
        ([(-5.0, 15.0), (0.0, 1.0)], None),
        ([(-5.0, 5.0), (6.0, 15.0)], "5"),
        ([(-4.0, 15.0)], "-5"),
        ([(-5.0, 5.0), (0.0, 14.0)], "14"),
    ],
)
def test_training_snrs_without_a_teacher_are_refused(ranges: list[tuple[float, float] | None], gap: str | None) -> None:
    student = enhancer()
    teachers = [teacher(student, NEAR, f"t{number}", snr_db=snr_db) for number, snr_db in enumerate(ranges)]
    if gap is None:
        check_coverage(teachers, [-5.0, 15.0])
        return
    with pytest.raises(ValueError, match=rf"every SNR of fit\.snr_db \(-5 to 15 dB\), got none right above {gap} dB"):
        check_coverage(teachers, [-5.0, 15.0])
