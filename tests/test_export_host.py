"""The program in experiments/host against the command stream, where it can be built."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from arrayse.checkpoint import load_enhancer
from arrayse.export import check
from arrayse.export.build import export
from arrayse.export.quality import streamed
from arrayse.stream import TorchBackend
from tests.tiny import waves
from tests.tiny_runs import saved

HOST = Path(__file__).parents[1] / "experiments" / "host"
HEADERS = Path(os.environ.get("ORT_INCLUDE", "/usr/include/onnxruntime"))

pytestmark = [
    pytest.mark.skipif(
        not (HEADERS / "onnxruntime_cxx_api.h").is_file(),
        reason=f"no headers of ONNX Runtime in {HEADERS}: ORT_INCLUDE names their folder",
    ),
    pytest.mark.skipif(shutil.which("make") is None or shutil.which("c++") is None, reason="no C++ compiler"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="its Makefile is for Linux"),
]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program."""
    build = tmp_path_factory.mktemp("build")
    settings = [f"BUILD={build}", f"PYTHON={sys.executable}", f"ORT_INCLUDE={HEADERS}"]
    subprocess.run(["make", "-C", str(HOST), *settings], check=True, capture_output=True)
    return build / "host"


def told_by(host: Path, *arguments: Path) -> tuple[int, str]:
    """Exit code and what is said."""
    done = subprocess.run([str(host), *map(str, arguments)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("kind", ["ft_jnf", "ft_jnf folded", "dccrn", "conv_tasnet causal"])
@pytest.mark.parametrize("subtype", ["FLOAT", "PCM_16"])
def test_the_program_gives_what_the_network_gives(
    kind: str, subtype: str, host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "BLOCKS", (2,))
    enhancer = load_enhancer(saved(kind, tmp_path / "run"))
    export(enhancer, tmp_path / "a.onnx", "wave")
    noisy = waves(5, 1001)
    noisy[:, 300:600] = 0
    soundfile.write(tmp_path / "in.wav", noisy.numpy().T, 16000, subtype)
    code, said = told_by(host, tmp_path / "a.onnx", tmp_path / "in.wav", tmp_path / "out.wav")
    assert (code, "latency" in said) == (0, True)
    got, rate = soundfile.read(tmp_path / "out.wav")
    wanted = enhancer.enhance(soundfile.read(tmp_path / "in.wav")[0].T, 16000)
    assert (rate, len(got)) == (16000, 1001)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-4)


def test_the_program_mutes_what_is_no_sound_as_a_stream_does(
    host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "BLOCKS", (2,))
    enhancer = load_enhancer(saved("ft_jnf", tmp_path / "run"))
    export(enhancer, tmp_path / "a.onnx", "wave")
    noisy = waves(5, 1001).numpy()
    noisy[3, 200], noisy[0, 500], noisy[1, 700] = np.nan, -np.inf, 1e11
    soundfile.write(tmp_path / "in.wav", noisy.T, 16000, "FLOAT")
    code, said = told_by(host, tmp_path / "a.onnx", tmp_path / "in.wav", tmp_path / "out.wav")
    assert (code, "3 muted blocks" in said) == (0, True)
    wanted = streamed(TorchBackend(enhancer), noisy)
    np.testing.assert_allclose(soundfile.read(tmp_path / "out.wav")[0], wanted, rtol=0, atol=1e-4)


def test_the_program_says_what_it_cannot_do(host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "BLOCKS", (2,))
    enhancer = load_enhancer(saved("ft_jnf", tmp_path / "run"))
    frame, wave, out = tmp_path / "frame.onnx", tmp_path / "wave.onnx", tmp_path / "out.wav"
    export(enhancer, frame, "frame")
    export(enhancer, wave, "wave")
    recordings = {"good": (100, 5, 16000), "two": (100, 2, 16000), "slow": (100, 5, 8000), "empty": (0, 5, 16000)}
    for name, (length, n_channels, rate) in recordings.items():
        soundfile.write(tmp_path / f"{name}.wav", np.zeros((length, n_channels)), rate)
    for expected, arguments in [
        ("form=wave, got another", [frame, tmp_path / "good.wav", out]),
        ("expected 5 channels", [wave, tmp_path / "two.wav", out]),
        ("expected 16000 Hz", [wave, tmp_path / "slow.wav", out]),
        ("cannot be opened", [wave, tmp_path / "none.wav", out]),
        ("expected a WAV file", [wave, wave, out]),
        ("expected samples", [wave, tmp_path / "empty.wav", out]),
        ("error ", [tmp_path / "none.onnx", tmp_path / "good.wav", out]),
        ("expected: host network.onnx", [wave]),
    ]:
        code, said = told_by(host, *arguments)
        assert code == 2
        assert expected in said
