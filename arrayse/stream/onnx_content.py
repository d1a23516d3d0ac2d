"""Looks into the bytes of an ONNX file before anything else may: what it says of itself, and what is refused.

ONNX Runtime would read whatever other file a model names as the place of its weights. So the file is walked through
here first, as far as that needs: messages of protocol buffers, a number and a length before each field. The numbers are
those of ``onnx.proto``, IR version 8.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

MAX_BYTES = 2**31 - 1
"""The largest protocol buffer that there can be."""

OWN_DOMAIN, OWN_OPERATORS = "com.microsoft", ("DynamicQuantizeLSTM",)
"""Operators of ONNX Runtime beside those of ONNX that an export has."""

GRAPH, PROPERTIES, TRAINING, FUNCTIONS = 7, 14, 20, 25
NODES, TENSORS, SPARSE_TENSORS = 1, 5, 15
OPERATOR, ATTRIBUTES, DOMAIN = 4, 5, 7
ATTRIBUTE_TENSOR, ATTRIBUTE_TENSORS, PLAIN_ATTRIBUTE = 5, 10, (1, 2, 3, 4, 7, 8, 9, 13, 20, 21)
ELSEWHERE, PLACE = 13, 14

Field = tuple[int, bytes | int]


def read_content(path: Path) -> tuple[bytes, dict[str, str]]:
    """The bytes of a model that lies in this file alone, and its metadata properties.

    Raises:
        ValueError: no file, no ONNX model, or one with weights in other files, with functions or operators of its own,
            with graphs in graphs, or with sparse weights.
    """
    if not path.is_file():
        raise ValueError(f"{path}: expected an ONNX file, got none")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path}: expected an ONNX file below 2 GiB, got {path.stat().st_size} bytes")
    content = path.read_bytes()
    try:
        properties = _check_model(content)
    except (IndexError, UnicodeDecodeError, TypeError):
        raise ValueError(f"{path}: expected an ONNX file, got other bytes") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return content, properties


def _check_model(content: bytes) -> dict[str, str]:
    properties, has_graph = {}, False
    for number, value in _fields(content):
        if number in (TRAINING, FUNCTIONS):
            raise ValueError("expected a plain graph, got one with functions or training of its own")
        if number == GRAPH:
            _check_graph(_message(value))
            has_graph = True
        if number == PROPERTIES:
            entry = dict(_fields(_message(value)))
            properties[_message(entry.get(1, b"")).decode()] = _message(entry.get(2, b"")).decode()
    if not has_graph:
        raise ValueError("expected an ONNX file, got other bytes")
    return properties


def _check_graph(content: bytes) -> None:
    for number, value in _fields(content):
        if number == SPARSE_TENSORS:
            raise ValueError("expected dense weights, got sparse ones")
        if number == TENSORS:
            _check_tensor(_message(value))
        if number == NODES:
            _check_node(_message(value))


def _check_node(content: bytes) -> None:
    operator, domain = "", ""
    for number, value in _fields(content):
        if number == OPERATOR:
            operator = _message(value).decode()
        elif number == DOMAIN:
            domain = _message(value).decode()
        elif number == ATTRIBUTES:
            _check_attribute(_message(value))
    if domain not in ("", "ai.onnx") and not (domain == OWN_DOMAIN and operator in OWN_OPERATORS):
        raise ValueError(f"expected operators of ONNX, got {operator} of {domain}")


def _check_attribute(content: bytes) -> None:
    for number, value in _fields(content):
        if number in (ATTRIBUTE_TENSOR, ATTRIBUTE_TENSORS):
            _check_tensor(_message(value))
        elif number not in PLAIN_ATTRIBUTE:
            raise ValueError("expected plain attributes, got graphs in a graph or sparse weights")


def _check_tensor(content: bytes) -> None:
    for number, value in _fields(content):
        if number == ELSEWHERE or (number == PLACE and value != 0):
            raise ValueError("expected all weights in this file, got some in another file")


def _fields(content: bytes) -> Iterator[Field]:
    """Number and value of every field of a message: its bytes, or a whole number.

    Raises:
        IndexError: an end in the middle of a field.
        TypeError: a kind of field that there is not.
    """
    place = 0
    while place < len(content):
        tag, place = _varint(content, place)
        kind = tag & 7
        if kind == 0:
            value, place = _varint(content, place)
            yield tag >> 3, value
            continue
        if kind == 2:
            length, place = _varint(content, place)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise TypeError(f"field of kind {kind}")
        if place + length > len(content):
            raise IndexError("end of file")
        yield tag >> 3, content[place : place + length]
        place += length


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """A number in groups of seven bits, the low ones first, and where the next thing begins."""
    number = 0
    for shift in range(0, 70, 7):
        byte = content[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, place
    raise IndexError("number too long")


def _message(value: bytes | int) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("expected bytes")
    return value
