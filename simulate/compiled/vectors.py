"""Additions of short vectors that the compiler would not make by itself, since the arrays might overlap."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

TAPS = 4
"""Cells of the fine grid of free air that an image is spread over: one vector of 128 bits."""

RING_TAPS = 8
"""Cells of the coarse grids of directions that an image is spread over: one vector of 256 bits."""

BANDS = 8
"""Octave bands that a grid holds side by side: one vector of 256 bits."""

_FAST = ("fast",)
_intrinsic: Any = intrinsic  # its own annotations know nothing of the first argument


def _adder(taps: int) -> Any:
    """Compiled ``grid[cell : cell + taps] += size * table[entry : entry + taps]`` on flat float32 arrays, unchecked."""

    @_intrinsic
    def add(typing: Any, grid: Any, cell: Any, table: Any, entry: Any, size: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            vector = ir.VectorType(ir.FloatType(), taps)
            data = [context.make_array(signature.args[k])(context, builder, values[k]).data for k in (0, 2)]
            kernel = builder.load(_place(builder, data[1], values[3], vector), align=4)
            _add(builder, data[0], values[1], builder.fmul(_repeat(builder, values[4], vector), kernel, flags=_FAST))
            return context.get_dummy_value()

        return types.void(grid, cell, table, entry, size), code

    return add


add_taps, add_ring_taps = _adder(TAPS), _adder(RING_TAPS)


@_intrinsic
def add_bands(
    typing: Any, grid: Any, cell: Any, table: Any, entry: Any, walls: Any, image: Any, wall: Any, row: Any, size: Any
) -> Any:
    """Adds TAPS cells of BANDS bands side by side, each ``size * walls[image] * wall[row]`` strong; unchecked.

    ``cell``, ``image`` and ``row`` are indices of the first band.
    """

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        vector = ir.VectorType(ir.FloatType(), BANDS)
        data = [context.make_array(signature.args[k])(context, builder, values[k]).data for k in (0, 2, 4, 6)]
        product = _repeat(builder, values[8], vector)
        for array, index in ((data[2], values[5]), (data[3], values[7])):
            product = builder.fmul(product, builder.load(_place(builder, array, index, vector), align=4), flags=_FAST)
        kernel = [builder.load(_place(builder, data[1], _plus(builder, values[3], tap))) for tap in range(TAPS)]
        for tap in range(TAPS):
            amount = builder.fmul(product, _repeat(builder, kernel[tap], vector), flags=_FAST)
            _add(builder, data[0], _plus(builder, values[1], tap * BANDS), amount)
        return context.get_dummy_value()

    return types.void(grid, cell, table, entry, walls, image, wall, row, size), code


def _place(builder: Any, array: Any, index: Any, vector: Any = None) -> Any:
    """Pointer to an element, or to the vector that begins there."""
    pointer = builder.gep(array, [index])
    return pointer if vector is None else builder.bitcast(pointer, vector.as_pointer())


def _plus(builder: Any, index: Any, offset: int) -> Any:
    return builder.add(index, ir.Constant(index.type, offset))


def _repeat(builder: Any, scalar: Any, vector: Any) -> Any:
    number, nothing = ir.IntType(32), ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(nothing, scalar, ir.Constant(number, 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(number, vector.count), [0] * vector.count))


def _add(builder: Any, array: Any, index: Any, amount: Any) -> None:
    """Adds a vector to the elements from ``index`` on; multiplication and addition may become one."""
    place = _place(builder, array, index, amount.type)
    builder.store(builder.fadd(builder.load(place, align=4), amount, flags=_FAST), place, align=4)
