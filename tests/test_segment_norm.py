"""Masks that are made from the spectrum itself, and features whose mean was subtracted."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from arrayse.models import Enhancer, build_enhancer

SMALL = {"name": "dccrn", "channels": [4], "lstm_hidden": 4, "lookahead_frames": 1}


def built(net: dict[str, Any], norm: str) -> Enhancer:
    """Of one microphone, 33 frequencies."""
    array = {"positions": [[0.0, 0.0, 0.0]], "ref_mic": 0, "name": "one"}
    return build_enhancer(net, {"n_fft": 64, "hop_length": 32}, {"norm": norm}, array, None, None, 16000)


@pytest.mark.parametrize("net", [{"name": "subband"}, {"name": "fullband"}, {**SMALL, "mask": "R"}])
def test_masks_that_are_made_from_the_spectrum_do_not_take_a_norm_that_moves_it(net: dict[str, Any]) -> None:
    with pytest.raises(
        ValueError, match=f"features.norm: expected recursive or none for masks of {net['name']} .*, got"
    ):
        built(net, "segment")
    for norm in ("recursive", "none"):
        built(net, norm)


@pytest.mark.parametrize("net", [{"name": "subband", "outputs": 2}, {**SMALL, "mask": "E"}, {**SMALL, "mask": "C"}])
def test_masks_of_their_own_take_any_norm(net: dict[str, Any]) -> None:
    for norm in ("recursive", "none", "segment"):
        built(net, norm)


def test_a_mask_r_multiplies_the_parts_of_the_spectrum_at_any_level() -> None:
    """M_r · Y_r + jM_i · Y_i, with the numbers M that the last layer gives."""
    torch.manual_seed(0)
    enhancer, wave = built({**SMALL, "mask": "R"}, "recursive").eval(), torch.randn(1, 1, 400)
    with torch.no_grad():
        enhanced = enhancer(wave)
        spec = enhancer.stft(wave)[:, :, 1:]  # the mask has no 0 Hz
    of_real, of_imag = enhanced.taps["decoder_1"].chunk(2, dim=1)
    torch.testing.assert_close(enhanced.spec[:, :, 1:], torch.complex(of_real * spec.real, of_imag * spec.imag))
