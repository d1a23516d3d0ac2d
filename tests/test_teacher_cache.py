"""Views on disk: equal to live ones up to 16 bits, computed once, checked, and of one teacher and dataset only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from arrayse.kd import CachedViews, Distillation, LiveViews, Teacher, build_term
from arrayse.kd.cache import Origin, ViewCache, view_bytes
from arrayse.kd.views import KINDS
from arrayse.losses import WaveMagnitudeL1
from arrayse.objectives import Batch
from tests.tiny import VARIANTS, batch, distillation, enhancer, network

ORIGIN = Origin("teacher" * 3, "data" * 4, "float32")
VIEW = ("linear", "whole")


class Counting(LiveViews):
    """Remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__(enhancer(seed=1, preset="metzger", freq_hidden=7, time_hidden=6))
        self.asked: list[tuple[list[str], list[tuple[str, str]]]] = []

    def __call__(self, scenes: Batch, wanted: list[tuple[str, str]]) -> dict[tuple[str, str], Tensor]:
        self.asked.append((scenes.keys, wanted))
        return super().__call__(scenes, wanted)


@pytest.mark.parametrize(("method", "arguments"), VARIANTS)
def test_cached_losses_and_gradients_are_live_ones_up_to_16_bits(
    method: str, arguments: dict[str, Any], tmp_path: Path
) -> None:
    student, live, scenes = enhancer(mics=[0, 2], preset="metzger"), Counting(), batch(n_items=3)
    objective = distillation(student, live.enhancer, method, 0.0, **arguments)
    term = objective.teachers[0].terms[0]
    cached = Distillation(
        student, WaveMagnitudeL1(), [Teacher("teacher", CachedViews(live, ViewCache(tmp_path)), [term])], 0.0
    )
    losses, gradients = [], []
    for each in (objective, cached, cached):
        student.zero_grad()
        losses.append(each(scenes)[method])
        losses[-1].backward()
        gradients.append(student.net.freq_lstm.weight_ih_l0.grad.clone())
    torch.testing.assert_close(losses[1], losses[0], rtol=5e-3, atol=1e-5)
    difference = (gradients[1] - gradients[0]).norm() / gradients[0].norm()
    assert difference < 0.02
    assert losses[1] == losses[2]
    assert torch.equal(gradients[1], gradients[2])
    assert len(live.asked) == 3  # once for each item, and never again


def test_views_are_rounded_to_16_bits_and_no_further(tmp_path: Path) -> None:
    live, scenes, wanted = Counting(), batch(), [("time_lstm", kind) for kind in KINDS]
    expected = live(scenes, wanted)
    got = CachedViews(live, ViewCache(tmp_path))(scenes, wanted)
    for view, tensor in expected.items():
        assert got[view].dtype == torch.float32
        torch.testing.assert_close(got[view], tensor, rtol=2**-11, atol=1e-6)


def test_waves_are_not_rounded(tmp_path: Path) -> None:
    """DFKD follows the relative steps between the quietest bins, which 16 bits would fill with noise."""
    live, scenes, wanted = Counting(), batch(n_items=1), [("wave", "whole"), ("spec", "whole")]
    expected, got = live(scenes, wanted), CachedViews(live, ViewCache(tmp_path))(scenes, wanted)
    assert torch.equal(got["wave", "whole"], expected["wave", "whole"])
    assert not torch.equal(got["spec", "whole"], expected["spec", "whole"])


def test_only_what_is_missing_is_computed(tmp_path: Path) -> None:
    live, scenes = Counting(), batch(n_items=3)
    cached = CachedViews(live, ViewCache(tmp_path))
    cached(scenes.items([1]), [VIEW])
    cached(scenes, [VIEW, ("mask", "whole")])
    assert live.asked == [
        ([scenes.keys[1]], [VIEW]),
        ([scenes.keys[0]], [VIEW, ("mask", "whole")]),
        ([scenes.keys[1]], [("mask", "whole")]),
        ([scenes.keys[2]], [VIEW, ("mask", "whole")]),
    ]


def test_a_view_does_not_depend_on_the_batch_it_was_computed_in(tmp_path: Path) -> None:
    scenes = batch(n_items=3)
    whole = CachedViews(Counting(), ViewCache(tmp_path / "whole"))(scenes, [VIEW])[VIEW]
    reader = CachedViews(Counting(), ViewCache(tmp_path / "parts"))
    parts = {number: reader(scenes.items([number]), [VIEW])[VIEW][0] for number in (2, 0, 1)}
    assert torch.equal(whole, torch.stack([parts[number] for number in range(3)]))


def test_the_size_foretold_is_the_size_on_disk(tmp_path: Path) -> None:
    live, scenes = Counting(), batch(n_items=1)
    wanted = [("time_lstm", kind) for kind in KINDS]
    views = live(scenes, wanted)
    shape = tuple(views["time_lstm", "whole"].shape[1:])
    CachedViews(live, ViewCache(tmp_path))(scenes, wanted)
    for tap, kind in wanted:
        (path,) = (tmp_path / f"{tap}.{kind}").iterdir()
        header = path.stat().st_size - view_bytes(tap, kind, shape)
        assert 0 < header < 400


@pytest.mark.parametrize("kind", ["dccrn", "conv_tasnet", "dptnet", "fullband"])
def test_the_size_foretold_is_that_of_features_in_any_grid(kind: str, tmp_path: Path) -> None:
    """Waves, encodings and layers of halved frequencies do not lie in the grid of the STFT."""
    scenes, cached = batch(n_items=1), CachedViews(LiveViews(network(kind)), ViewCache(tmp_path))
    wanted = [(tap, "whole") for tap in cached.live.enhancer.tap_channels]
    told = {view: cached.missing_bytes([view], {scenes.keys[0]: 1600}) for view in wanted}
    sizes = {
        view: feature.numel() * (4 if view[0] == "wave" else 2) for view, feature in cached(scenes, wanted).items()
    }
    assert told == sizes
    assert cached.missing_bytes(wanted, {scenes.keys[0]: 1600, "longer": 3200}) > sum(told.values())


@pytest.mark.parametrize("name", ["teacher", "data", "precision"])
def test_a_cache_of_something_else_is_refused(name: str, tmp_path: Path) -> None:
    cache = ViewCache(tmp_path / "cache")
    cache.claim(ORIGIN)
    cache.claim(ORIGIN)
    other = Origin(**{**vars(ORIGIN), name: "another one"})
    with pytest.raises(
        ValueError, match=rf"cache: expected a cache of this {name} \(another one\), got one of another"
    ):
        cache.claim(other)


def test_a_folder_that_is_no_cache_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match=r"expected .*a cache of teacher outputs"):
        ViewCache(tmp_path).claim(ORIGIN)
    (tmp_path / "cache.json").write_text("[]")
    with pytest.raises(ValueError, match="expected a cache of this format"):
        ViewCache(tmp_path).claim(ORIGIN)


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "text"])
def test_a_damaged_file_is_named(damage: str, tmp_path: Path) -> None:
    cache = ViewCache(tmp_path)
    cache.write("item", *VIEW, torch.arange(50.0))
    (path,) = (tmp_path / "linear.whole").iterdir()
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes({"flip": content, "cut": content[:-20], "empty": b"", "text": b"not a tensor"}[damage])
    with pytest.raises(ValueError, match=r"item\.safetensors: expected .*: delete it, or the whole cache"):
        cache.read("item", *VIEW)


def test_no_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"scene: expected a name that fits a file, got \.\./\.\./x"):
        ViewCache(tmp_path / "cache").write("../../x", *VIEW, torch.zeros(3))
    assert not list(tmp_path.iterdir())


def test_the_first_to_claim_a_cache_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two trainings find a new folder; the slower one sees what the faster one wrote."""
    cache, other = ViewCache(tmp_path / "cache"), replace(ORIGIN, teacher="another")
    check, late = ViewCache.check, [True]

    def slow_check(self: ViewCache, origin: Origin) -> None:
        check(self, origin)
        if late.pop() if late else False:
            cache.claim(ORIGIN)

    monkeypatch.setattr(ViewCache, "check", slow_check)
    with pytest.raises(ValueError, match="expected a cache of this teacher"):
        cache.claim(other)
    check(cache, ORIGIN)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["cache.json"]


@pytest.mark.parametrize("value", [1e6, float("nan"), float("inf")])
def test_what_16_bits_cannot_hold_is_refused(value: float, tmp_path: Path) -> None:
    cache = ViewCache(tmp_path)
    with pytest.raises(ValueError, match="item linear: expected numbers that 16 bits can hold, got up to"):
        cache.write("item", *VIEW, torch.tensor([0.5, value]))
    assert not cache.has("item", *VIEW)
    if value != 1e6:
        with pytest.raises(ValueError, match="item wave: expected numbers that 32 bits can hold, got up to"):
            cache.write("item", "wave", "whole", torch.tensor([0.5, value]))


def test_build_term_is_what_the_cache_is_asked_for() -> None:
    student, teacher = enhancer(), enhancer(seed=1)
    term = build_term("f", {"name": "fused", "form": "paper"}, 1.0, None, student, teacher)
    assert term.views_of_teacher() == [
        ("freq_lstm", "time_rows"),
        ("time_lstm", "frequency_rows"),
        ("linear", "whole"),
    ]
