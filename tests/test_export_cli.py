"""The command export as people meet it, and what quantisation costs."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from arrayse.checkpoint import fingerprint, load_enhancer
from arrayse.doctor import installable
from arrayse.export import check
from arrayse.export.quality import int8_losses, streamed
from arrayse.geometry import ArrayGeometry, circular, linear
from arrayse.mixture import open_dataset
from arrayse.stream import TorchBackend
from arrayse.stream.onnx_backend import OnnxBackend
from tests.test_cli import arrayse, fails
from tests.test_evaluate import make_run
from tests.tiny import waves
from tests.tiny_runs import saved


@pytest.fixture
def run(tmp_path: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of two microphones in the working folder, compared over a few blocks only."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(check, "BLOCKS", (5,))
    return make_run(tmp_path / "run", open_dataset(tiny_dataset).geometry, [1, 3], 3)


def test_help_teaches(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert arrayse(monkeypatch, "export", "--help") == 0
    told = capsys.readouterr().out
    assert "arrayse export runs/student student.onnx" in told


def test_a_run_becomes_a_file_that_streams(
    run: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert arrayse(monkeypatch, "export", "run", "a.onnx", "int8=true", f"data={tiny_dataset}") == 0
    told = " ".join(capsys.readouterr().out.split())
    for part in (
        "form frame, opset 17,",
        "latency 32 ms",
        "spec (2, 257, 2) → estimate (257, 2), 3 states of 8.23 kB together",
        "differs from torch by",
        "int8: differs from float by",
        "SI-SDR (dB): float",
        "WB-PESQ: float",
        "(n = 2)",
        "exported: a.onnx",
    ):
        assert part in told, told
    metadata = OnnxBackend(Path("a.onnx")).metadata
    assert (metadata.int8, metadata.run, metadata.mics) == (True, fingerprint(run), [1, 3])
    assert arrayse(monkeypatch, "export", "run", "b.onnx", "form=wave") == 0
    soundfile.write("in.wav", waves(5, 4000).numpy().T, 16000, "FLOAT")
    assert arrayse(monkeypatch, "stream", "b.onnx", "in.wav", "out.wav") == 0
    wanted = load_enhancer(run).enhance(waves(5, 4000).numpy(), 16000)
    np.testing.assert_allclose(soundfile.read("out.wav")[0], wanted, rtol=0, atol=1e-4)


def test_what_is_done_is_told_before_the_long_scoring(
    run: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who stops the scoring knows that there is a file, and what of."""

    def stopped(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("arrayse.export.quality.score", stopped)
    assert arrayse(monkeypatch, "export", "run", "a.onnx", "int8=true", f"data={tiny_dataset}", "n_scenes=1") == 130
    told = " ".join(capsys.readouterr().out.split())
    assert "exported: a.onnx scoring float and int8 on 1 test scenes; the file is there already" in told
    assert OnnxBackend(Path("a.onnx")).metadata.int8


def test_what_cannot_be_exported_is_told_by_name(
    run: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offline = saved("ft_jnf both ways", Path("offline"))
    in_time = saved("conv_tasnet causal", Path("tasnet"))
    for expected, arguments in [
        ("data: expected it with int8=true, whose cost it tells, got it without", [run, "a.onnx", "data=x"]),
        ("expected a file name ending in .onnx, got a.tflite", [run, "a.tflite"]),
        ("nowhere without model.json", ["nowhere", "a.onnx"]),
        ("expected a causal network, got one that needs the whole utterance", [offline, "a.onnx"]),
        ("form: expected wave for a network that hears waves, got frame", [in_time, "a.onnx", "form=frame"]),
        ("form: expected", [run, "a.onnx", "form=blocks"]),
        ("did you mean int8?", [run, "a.onnx", "int9=true"]),
        ("dataset: expected", [run, "a.onnx", "int8=true", "data=nowhere"]),
    ]:
        fails(monkeypatch, capsys, expected, "export", *map(str, arguments))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    wanted = installable("onnx: expected the package, got none: pip install 'arrayse[export]'")
    fails(monkeypatch, capsys, wanted, "export", "run", "a.onnx")
    assert not list(Path().glob("*.onnx"))


def test_a_file_as_good_as_its_network_loses_nothing(run: Path, tiny_dataset: Path) -> None:
    enhancer, calls = load_enhancer(run), list[tuple[int, int]]()
    losses = int8_losses(
        enhancer, TorchBackend(enhancer), open_dataset(tiny_dataset), None, lambda *done: calls.append(done)
    )
    assert [loss.metric for loss in losses] == ["si_sdr", "pesq_wb"]
    for loss in losses:
        assert loss.difference.mean == pytest.approx(0, abs=1e-3)
        assert (loss.difference.n, loss.difference.n_failed) == (2, 0)
    assert calls == [(0, 2), (1, 2), (2, 2)]


def test_a_quieter_file_loses_nothing_and_another_one_something(run: Path, tiny_dataset: Path) -> None:
    """SI-SDR does not see levels; what the file gives counts, not what the network gives."""
    enhancer, dataset = load_enhancer(run), open_dataset(tiny_dataset)

    class Changed(TorchBackend):
        gain, noise = 0.5, 0.0

        def push(self, wave: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
            estimate, state = super().push(wave, state)
            return self.gain * estimate + self.noise * waves(len(estimate)).numpy(), state

    quieter = Changed(enhancer)
    (si_sdr, _) = int8_losses(enhancer, quieter, dataset, 1, lambda *done: None)
    assert (si_sdr.difference.mean, si_sdr.difference.n) == (pytest.approx(0, abs=1e-3), 1)
    quieter.noise = 1.0
    (si_sdr, _) = int8_losses(enhancer, quieter, dataset, 1, lambda *done: None)
    assert si_sdr.difference.mean is not None
    assert si_sdr.difference.mean < -1


def test_a_stream_through_a_file_is_not_late(run: Path) -> None:
    enhancer, noisy = load_enhancer(run), waves(5, 3000).numpy()
    got = streamed(TorchBackend(enhancer), noisy)
    np.testing.assert_allclose(got, enhancer.enhance(noisy, 16000), rtol=0, atol=1e-5)


@pytest.mark.parametrize("geometry", [linear(5, 0.03), circular(3)])
def test_scenes_of_another_array_are_refused_before_there_is_a_file(
    geometry: ArrayGeometry,
    tiny_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run, out = make_run(tmp_path / "run", geometry), tmp_path / "a.onnx"
    told = f"{run} array: expected data of {geometry.name} ({geometry.n_mics} mics), which it was trained for, got data"
    fails(monkeypatch, capsys, told, "export", str(run), str(out), "int8=true", f"data={tiny_dataset}")
    assert not out.exists()


def test_a_dataset_without_test_scenes_is_refused_before_there_is_a_file(
    run: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(tiny_dataset, "data")
    shutil.rmtree("data/test")
    fails(monkeypatch, capsys, "data/test: expected", "export", "run", "a.onnx", "int8=true", "data=data")
    assert not Path("a.onnx").exists()
