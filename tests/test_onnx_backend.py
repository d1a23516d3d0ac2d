"""Exported files as backends of streams, and files that are none."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from arrayse.export import check  # noqa: E402
from arrayse.export.build import export  # noqa: E402
from arrayse.stream import Streamer  # noqa: E402
from arrayse.stream.onnx_backend import OnnxBackend  # noqa: E402
from arrayse.stream.onnx_content import read_content  # noqa: E402
from arrayse.stream.onnx_metadata import KEY, Metadata, parse  # noqa: E402
from tests.test_stream_memory import growth, wide_net  # noqa: E402
from tests.tiny import network, waves  # noqa: E402

ROOT = Path(__file__).parents[1]
FILES = {"frame": ("ft_jnf", "frame"), "wave": ("ft_jnf", "wave"), "late": ("dccrn", "frame")}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of tiny networks, by name."""
    folder, made = tmp_path_factory.mktemp("files"), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(check, "BLOCKS", (3,))
        for name, (kind, form) in FILES.items():
            made[name] = folder / f"{name}.onnx"
            export(network(kind, [3, 1], 1), made[name], form)  # type: ignore[arg-type]
    return made


def changed(files: dict[str, Path], tmp_path: Path, change: Callable[[Any], None], name: str = "frame") -> Path:
    """The file with something else in it."""
    model = onnx.load(files[name])
    change(model)
    path = tmp_path / "changed.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def told(change: Callable[[dict[str, Any]], None]) -> Callable[[Any], None]:
    """Other metadata."""

    def apply(model: Any) -> None:
        entry = next(entry for entry in model.metadata_props if entry.key == KEY)
        values = json.loads(entry.value)
        change(values)
        entry.value = json.dumps(values)

    return apply


@pytest.mark.parametrize("name", FILES)
@given(sizes=st.lists(st.integers(0, 70), min_size=1, max_size=6))
@settings(max_examples=5)
def test_streams_of_any_blocks_equal_the_network(name: str, sizes: list[int], files: dict[str, Path]) -> None:
    net, noisy = network(FILES[name][0], [3, 1], 1), waves(5, 300).numpy()
    streamer, pieces, first = Streamer(OnnxBackend(files[name])), [], 0
    while first < 300:
        size = max(1, sizes.pop(0)) if len(sizes) > 1 else max(1, sizes[0])
        pieces.append(streamer.push(noisy[:, first : first + size]))
        first += size
    got = np.concatenate([*pieces, streamer.flush()])[streamer.delay_samples :]
    np.testing.assert_allclose(got, net.enhance(noisy, 16000), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", FILES)
def test_a_state_is_not_changed_by_what_comes_after_it(name: str, files: dict[str, Path]) -> None:
    backend = OnnxBackend(files[name])
    blocks = waves(3, 2, backend.block_samples).numpy()
    _, state = backend.push(blocks[0], backend.start())
    first, _ = backend.push(blocks[1], state)
    backend.push(blocks[2], state)
    again, _ = backend.push(blocks[1], state)
    assert first.dtype == np.float32
    assert np.array_equal(first, again)


@pytest.mark.parametrize("form", ["frame", "wave"])
def test_memory_does_not_grow_with_a_stream(form: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block has 17 kB of states: kept, they would be 15 MB."""
    monkeypatch.setattr(check, "BLOCKS", (3,))
    export(wide_net(), tmp_path / "a.onnx", form)
    of_stream, of_process = growth(Streamer(OnnxBackend(tmp_path / "a.onnx")), 100)
    assert of_stream == 0
    assert of_process < 4e6


def test_two_streams_share_a_backend(files: dict[str, Path]) -> None:
    backend, noisy = OnnxBackend(files["late"]), waves(2, 5, 96).numpy()
    alone = [Streamer(backend).push(wave) for wave in noisy]
    streams = [Streamer(backend), Streamer(backend)]
    pieces = [[s.push(wave[:, n : n + 16]) for s, wave in zip(streams, noisy, strict=True)] for n in range(0, 96, 16)]
    for number, whole in enumerate(alone):
        assert np.array_equal(np.concatenate([piece[number] for piece in pieces]), whole)


def test_torch_is_not_needed(files: dict[str, Path]) -> None:
    code = (
        "import sys, pathlib, numpy\n"
        "from arrayse.stream.onnx_backend import OnnxBackend\n"
        "from arrayse.stream import Streamer\n"
        f"Streamer(OnnxBackend(pathlib.Path({str(files['frame'])!r}))).push(numpy.zeros((5, 99), 'float32'))\n"
        "print([name for name in ('torch', 'onnx', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_package_is_told_with_its_extra(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(
        ValueError, match=r"onnxruntime: expected the package, got none: pip install 'arrayse\[export\]'"
    ):
        OnnxBackend(files["frame"])


# --- files that are refused ------------------------------------------------------------------------------------------


def elsewhere(model: Any) -> None:
    """Weights in a file that is there."""
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="secret.bin")


def in_an_attribute(model: Any) -> None:
    constant = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.zeros(3, np.float32)))
    constant.attribute[0].t.external_data.add(key="location", value="/etc/hostname")
    model.graph.node.append(constant)


def graph_in_graph(model: Any) -> None:
    inner = helper.make_graph([], "inner", [], [])
    model.graph.node.append(helper.make_node("If", ["c"], ["d"], then_branch=inner, else_branch=inner))


def own_function(model: Any) -> None:
    model.functions.append(helper.make_function("mine", "F", ["a"], ["b"], [], []))


def without_metadata(model: Any) -> None:
    del model.metadata_props[:]


REFUSED: list[tuple[str, Callable[[Any], None]]] = [
    ("expected all weights in this file, got some in another file", elsewhere),
    ("expected all weights in this file, got some in another file", in_an_attribute),
    ("expected plain attributes, got graphs in a graph", graph_in_graph),
    ("expected a plain graph, got one with functions", own_function),
    ("expected a plain graph, got one with functions or training", lambda m: m.training_info.add()),
    ("expected dense weights, got sparse ones", lambda m: m.graph.sparse_initializer.add()),
    (
        "expected operators of ONNX, got Run of my.domain",
        lambda m: m.graph.node.append(helper.make_node("Run", [], ["q"], domain="my.domain")),
    ),
    (
        "expected operators of ONNX, got EPContext of com.microsoft",
        lambda m: m.graph.node.append(helper.make_node("EPContext", [], ["q"], domain="com.microsoft")),
    ),
    ("expected a file that arrayse export wrote, got one without its metadata", without_metadata),
    ("metadata: expected version 1, got 2", told(lambda v: v.update(version=2))),
    ("metadata: expected what arrayse export writes, got other values: .*int8", told(lambda v: v.pop("int8"))),
    ("metadata: form: expected frame or wave, got waves", told(lambda v: v.update(form="waves"))),
    ("metadata: mics: expected channels of 5 microphones", told(lambda v: v.update(mics=[1, 5]))),
    ("metadata: ref_mic: expected one of", told(lambda v: v.update(ref_mic=0))),
    ("metadata: delay_samples: expected a latency less a block", told(lambda v: v.update(delay_samples=3))),
    (
        "metadata: delay_samples: expected that of the transform",
        told(lambda v: v.update(delay_samples=33, latency_samples=49)),
    ),
    ("metadata: hop_length: expected 16, got 8", told(lambda v: v["stft"].update(hop_length=8))),
    ("metadata: stft: expected a transform with its windows", told(lambda v: v["stft"]["dual"].pop())),
    ("metadata: stft: expected a transform with its windows", told(lambda v: v.update(stft=None))),
    ("metadata: stft: expected a transform", told(lambda v: v["stft"]["window"].__setitem__(0, float("nan")))),
    ("metadata: stft: expected a transform", told(lambda v: v["stft"]["dual"].__setitem__(0, 10**400))),
    ("metadata: expected what arrayse", told(lambda v: v["array"]["positions"][0].__setitem__(0, 10**400))),
    (r"metadata: positions: expected shape \(n_mics, 3\)", told(lambda v: v["array"].update(positions=[[0, 0]]))),
    ("metadata: signal: expected .*, got .*3, 33, 2", told(lambda v: v["signal"].update(shape=[3, 33, 2]))),
    ("expected inputs as its metadata say, got others: .*spec", told(lambda v: v["signal"].update(name="speck"))),
    ("expected inputs as its metadata say, got others", told(lambda v: v["states"].pop())),
    ("expected inputs as its metadata say, got others", told(lambda v: v["states"][0].update(shape=[2, 2]))),
    ("expected inputs as its metadata say, got others", told(lambda v: v["states"][0].update(dtype="float64"))),
    ("expected outputs as its metadata say, got others", told(lambda v: v["states"][0].update(next="next"))),
    ("expected a model that ONNX Runtime opens, got ", lambda m: m.graph.node[0].input.__setitem__(0, "nobody")),
]


@pytest.mark.parametrize(("expected", "change"), REFUSED)
def test_a_file_of_another_kind_is_refused(
    expected: str, change: Callable[[Any], None], files: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(10**5))
    path = changed(files, tmp_path, change)
    with pytest.raises(ValueError, match=f"changed.onnx: .*{expected}"):
        OnnxBackend(path)


def test_transforms_in_the_graph_have_to_fit_the_stream_too(files: dict[str, Path], tmp_path: Path) -> None:
    for values in ({"delay_samples": 33, "latency_samples": 49}, {"block_samples": 8, "latency_samples": 40}):
        path = changed(files, tmp_path, told(lambda v, values=values: v.update(values)), "wave")
        with pytest.raises(ValueError, match=r"metadata: (delay_samples|hop_length): expected "):
            OnnxBackend(path)


@pytest.mark.parametrize("content", [b"", b"\x00", b"RIFF....WAVE", b"\x3a\x05ab", b"\xff" * 30, b"{}"])
def test_other_bytes_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    with pytest.raises(ValueError, match=r"a\.onnx: expected an ONNX file, got none"):
        OnnxBackend(path)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.onnx: expected "):
        OnnxBackend(path)


@given(data=st.data())
@settings(max_examples=60)
def test_damaged_files_are_read_or_refused_and_nothing_else(data: st.DataObject, files: dict[str, Path]) -> None:
    content = bytearray(files["frame"].read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=8)):
        content[place] = data.draw(st.integers(0, 255))
    damaged = files["frame"].with_name("damaged.onnx")
    damaged.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        _, properties = read_content(damaged)
        parse(properties.get(KEY, ""))
    except ValueError:
        pass


def test_metadata_come_back_as_they_were(files: dict[str, Path]) -> None:
    metadata = OnnxBackend(files["frame"]).metadata
    assert parse(metadata.properties()[KEY]) == metadata
    for name in ("[]", "null", "{", "3", '{"version": 1}'):
        with pytest.raises(ValueError, match="expected "):
            parse(name)


FREE = {"states": ([], {}, ""), "stft": (None,), "run": (None,), "git": (None,)}
"""Values that a file may have; without states it is the graph that does not fit, without a transform the form."""


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Metadata)])
@pytest.mark.parametrize("value", [None, [], {}, "", -1])
def test_metadata_of_other_types_are_refused(name: str, value: Any, files: dict[str, Path]) -> None:
    values = json.loads(OnnxBackend(files["wave"]).metadata.properties()[KEY])
    values[name] = value
    if value in FREE.get(name, ()):
        parse(json.dumps(values))
        return
    with pytest.raises(ValueError, match="expected"):
        parse(json.dumps(values))
