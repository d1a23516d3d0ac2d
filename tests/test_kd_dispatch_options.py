"""DISPatch: what it declares, how high its patches are, which options and pairs it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from arrayse.kd.base import Pair
from arrayse.kd.dfkd import Dfkd
from arrayse.kd.dispatch import Dispatch
from arrayse.kd.gram import Gram
from arrayse.kd.lin import Lin
from arrayse.kd.magnitude import Magnitude
from arrayse.kd.methods import WRAPPED
from arrayse.kd.subband import SubBand
from arrayse.schema.base import schema_of
from tests.dispatch_cases import MAPS, SPECS, around, is_map, parts
from tests.estimate_cases import WAVES, spectra

FIXED_LOW, FIXED_HIGH = (Dfkd(WAVES, crossover="fixed", fixed_bin=fixed_bin) for fixed_bin in (5, 250))
APART = Pair(2, 2, False)


def test_pairs_are_those_of_the_inner_loss_and_of_the_scores() -> None:
    for name in ("magnitude", "dfkd"):
        assert Dispatch.default_pairs({"inner": {"name": name}}) == [("wave", "wave")]
    for name, compared in (("lin", "linear"), ("mask", "mask"), ("subband", "spec")):
        assert Dispatch.default_pairs({"inner": {"name": name}}) == [(compared, compared), ("spec", "spec")]
    with pytest.raises(ValueError, match="inner: expected one of magnitude, dfkd, lin, mask, subband, got gram"):
        Dispatch.default_pairs({"inner": {"name": "gram"}})
    assert WRAPPED == ("magnitude", "dfkd", "lin", "mask", "subband")
    assert {name for name in WRAPPED if is_map(name)} == {name for name, _ in MAPS}
    for built, tap in ((around("dfkd", {})[0], 0), *((around(name, options)[0], 1) for name, options in MAPS)):
        assert [view.tap for view in built.views] == list(range(tap + 1))
        assert [(view.tap, view.kind) for view in built.target_views] == [(tap, "whole")]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, "dispatch(magnitude; top 80 % of patches of 20 bins) = Σ_p inner(S_p, T_p) / number, over the share k"),
        ({"k": 0.125, "n_bins": 7}, "dispatch(magnitude; top 12.5 % of patches of 7 bins) = Σ"),
        (
            {"rule": "positive"},
            "dispatch(magnitude; patches of 20 bins, if the teacher is ahead) = Σ_p inner(S_p, T_p) / number, over the "
            "patches p with E_p(S) > E_p(T); inner = mean(|S| − |T|)²",
        ),
        (
            {"inner": Dfkd(WAVES, 0.25, "fixed", 40), "mssp": True, "high_bins": 30},
            "dispatch(dfkd; top 80 % of patches of 10 bins in the low band, 30 above) = Σ",
        ),
        ({"mssp": True, "split_bin": 60}, "dispatch(magnitude; top 80 % of patches of 10 bins below bin 60, 40 above)"),
        ({"inner": Lin(SPECS[:1]), "pairs": SPECS, "n_bins": 3}, "dispatch(lin; top 80 % of patches of 3 bins) = Σ"),
    ],
)
def test_its_text_says_inner_loss_share_and_patches(arguments: dict[str, Any], told: str) -> None:
    text = Dispatch(**{"pairs": WAVES, "inner": Magnitude(WAVES), **arguments}).formula()
    assert text.startswith(told)
    assert text.endswith(f"; inner = {arguments.get('inner', Magnitude(WAVES)).formula()}")


@pytest.mark.parametrize(
    ("inner", "arguments", "message"),
    [
        (Magnitude(WAVES), {"n_bins": 258}, "n_bins: expected at most 257, and at least 1, got 258"),
        (Magnitude(WAVES), {"n_bins": 0}, "n_bins: expected at most 257, and at least 1, got 0"),
        (Magnitude(WAVES), {"mssp": True, "low_bins": 81}, "low_bins: expected at most 80, and at least 1, got 81"),
        (Magnitude(WAVES), {"mssp": True, "high_bins": 178}, "high_bins: expected at most 177, and at least 1"),
        (Magnitude(WAVES), {"mssp": True, "split_bin": 257}, "split_bin: expected at most 256, and at least 1"),
        (Dfkd(WAVES), {"mssp": True, "low_bins": 258}, "low_bins: expected at most 257, and at least 1, got 258"),
        (Dfkd(WAVES), {"mssp": True, "high_bins": 300}, "high_bins: expected at most 257, and at least 1, got 300"),
        (Dfkd(WAVES), {"rule": "best"}, "rule: expected one of top_k, positive, got best"),
        (Dfkd(WAVES), {"k": 0.0}, "k: expected more than 0 and at most 1, got 0.0"),
        (Dfkd(WAVES), {"k": 1.1}, "k: expected more than 0 and at most 1, got 1.1"),
        (FIXED_LOW, {"n_bins": 7}, "n_bins: expected at most 6, and at least 1, got 7"),
        (FIXED_LOW, {"mssp": True, "low_bins": 7}, "low_bins: expected at most 6, and at least 1, got 7"),
        (FIXED_HIGH, {"n_bins": 8}, "n_bins: expected at most 7, and at least 1, got 8"),
        (FIXED_HIGH, {"mssp": True, "high_bins": 8}, "high_bins: expected at most 7, and at least 1, got 8"),
        (
            Dfkd(WAVES),
            {"mssp": True, "n_bins": 20},
            "n_bins: expected none with mssp=true around a loss with bands, wh",
        ),
        (
            Magnitude(WAVES),
            {"mssp": True, "n_bins": 20},
            "n_bins: expected none with mssp=true, which uses low_bins, h",
        ),
        (Magnitude(WAVES), {"mssp": True, "n_bins": 20}, "split_bin, got 20: set n_bins=null"),
        (Magnitude(WAVES), {"low_bins": 10}, "low_bins: expected none with mssp=false, which uses n_bins, got 10"),
        (Dfkd(WAVES), {"low_bins": 5, "high_bins": 6}, "uses n_bins, got 5, 6: set low_bins=null high_bins=null"),
        (Lin(WAVES), {"high_bins": 40, "pairs": SPECS}, "high_bins: expected none with mssp=false, which uses n_bins,"),
        (Dfkd(WAVES), {"split_bin": 80}, "split_bin: expected none with mssp=false around a loss with bands, which us"),
        (Dfkd(WAVES), {"mssp": True, "split_bin": 80}, "which uses low_bins, high_bins, got 80"),
        (Gram(WAVES), {}, "inner: expected one of magnitude, dfkd, lin, mask, subband, got Gram"),
        (
            Lin(WAVES),
            {"pairs": [Pair(2, 2), APART]},
            "pairs: expected estimates at one microphone, got outputs",
        ),
        (
            SubBand(SPECS[:1]),
            {"pairs": [Pair(2, 2), APART]},
            "pairs: expected estimates at one microphone, got outputs",
        ),
        (Dfkd(WAVES), {"pairs": WAVES * 2}, "pairs: expected 1, of waves, got 2"),
        (Lin(WAVES), {}, "pairs: expected 2, the second of spectra with 2 channels each"),
        (Lin(WAVES), {"pairs": [Pair(4, 4), Pair(2, 4)]}, "pairs: expected 2, the second of spectra with 2 channels"),
    ],
)
def test_what_makes_no_sense_is_refused(inner: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Dispatch(**{"pairs": WAVES, "inner": inner, **arguments})


def test_sizes_are_those_of_the_paper_unless_told_otherwise() -> None:
    assert Dispatch(WAVES, Magnitude(WAVES)).sizes["n_bins"] == 20
    for inner in (Dfkd(WAVES), Dfkd(WAVES, crossover="fixed"), Magnitude(WAVES)):
        sizes = Dispatch(WAVES, inner, mssp=True).sizes
        assert (sizes["low_bins"], sizes["high_bins"], sizes["split_bin"]) == (10, 40, 80)
    schema = schema_of(Dispatch, ("pairs", "inner"))().model_dump()
    assert schema == {"rule": "top_k", "k": 0.8, "mssp": False, **dict.fromkeys(sizes)}
    assert Dispatch(WAVES, FIXED_LOW, n_bins=6).inner is FIXED_LOW
    assert Dispatch(WAVES, FIXED_HIGH, mssp=True, high_bins=7).inner is FIXED_HIGH


def test_outputs_have_to_lie_in_the_grid_of_the_spectra() -> None:
    built, _ = around("lin", {})
    student = [parts(spectra(0))[:, :, 1:], parts(spectra(0))]
    with pytest.raises(
        ValueError, match=r"pairs: expected taps in the grid of the spectra \(2, 9, 5\), got \(2, 8, 5\)"
    ):
        built(student, student, student[1:])
    with pytest.raises(ValueError, match="n_bins: expected at most 9, and at least 1, got 10"):
        around("lin", {}, n_bins=10)[0](student, student, student[1:])
