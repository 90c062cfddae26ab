"""Five operations that Numba cannot express, written in LLVM's own language, each with a twin in Python.

Numba calls the function below ``@_in_llvm_for(plain)`` with the types of the arguments and gets back a
signature and a generator: a function that appends LLVM's instructions to the code of the caller, by
``builder``, and returns the value of the call. With NUMBA_DISABLE_JIT=1 the plain twin runs instead; tests
compare the two.
"""

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, config
from numba.extending import intrinsic

_ONE, _TWO, _THREE, _FOUR = (np.uint64(number) for number in (1, 2, 3, 4))
_INT32, _INT64, _BYTE_POINTER = ir.IntType(32), ir.IntType(64), ir.PointerType(ir.IntType(8))
_FOUR_DOUBLES, _FOUR_WORDS = ir.VectorType(ir.DoubleType(), 4), ir.VectorType(_INT64, 4)


def _in_llvm_for(plain):
    """Return a decorator of the function that writes `plain` for LLVM."""
    # Set when Numba is imported, which type checkers do not see
    plainly: bool = getattr(config, "DISABLE_JIT")  # noqa: B009
    return lambda written: plain if plainly else intrinsic(written)


# --- prefetching, and claiming a chunk


def _plain_prefetch(array, k):
    """Do nothing: plain Python has no caches to fill."""


@_in_llvm_for(_plain_prefetch)
def prefetch(typing, array, k):
    """Prefetch the cache line of ``array[k]`` for reading; beyond the end of the array this does nothing."""

    def generate(context, builder, signature, arguments):
        (pointer,) = _data_pointers(context, builder, signature, arguments[:1])
        address = builder.bitcast(builder.gep(pointer, [arguments[1]]), _BYTE_POINTER)
        kind = ir.FunctionType(ir.VoidType(), [_BYTE_POINTER, _INT32, _INT32, _INT32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        read, into_first_cache, data = _INT32(0), _INT32(3), _INT32(1)
        builder.call(function, [address, read, into_first_cache, data])
        return context.get_dummy_value()

    return numba.void(array, k), generate


def _plain_claim(taken, chunk):
    """Mark a chunk as taken; return whether it was free."""
    free = taken[chunk] == 0
    taken[chunk] = 1
    return free


@_in_llvm_for(_plain_claim)
def claim(typing, taken, chunk):
    """Mark a chunk as taken; return whether it was free. Of several threads one gets True."""

    def generate(context, builder, signature, arguments):
        (pointer,) = _data_pointers(context, builder, signature, arguments[:1])
        mark = builder.gep(pointer, [arguments[1]])
        before = builder.atomic_rmw("xchg", mark, _INT64(1), "monotonic")
        return builder.icmp_unsigned("==", before, _INT64(0))

    return numba.boolean(taken, chunk), generate


# --- four entries at a time
#
# LLVM does not vectorise a sum of products by itself, because the order of the additions is fixed. Here four
# sums run side by side, as the four numbers of one vector.


def _plain_dot_fours(data, indices, rows, first, n_fours):
    """Return the sum of ``data[k] * rows[indices[k]]``, `n_fours` groups of four entries from `first` on."""
    s0 = s1 = s2 = s3 = 0.0
    for k in range(first, first + _FOUR * n_fours, _FOUR):
        s0 += data[k] * rows[indices[k]]
        s1 += data[k + _ONE] * rows[indices[k + _ONE]]
        s2 += data[k + _TWO] * rows[indices[k + _TWO]]
        s3 += data[k + _THREE] * rows[indices[k + _THREE]]
    return (s0 + s1) + (s2 + s3)


@_in_llvm_for(_plain_dot_fours)
def dot_fours(typing, data, indices, rows, first, n_fours):
    """Return the sum of ``data[k] * rows[indices[k]]``, `n_fours` groups of four entries from `first` on."""

    def generate(context, builder, signature, arguments):
        *arrays, start, count = arguments
        data_at, indices_at, rows_at = _data_pointers(context, builder, signature, arrays)
        sums = cgutils.alloca_once_value(builder, ir.Constant(_FOUR_DOUBLES, [0.0] * 4))
        with cgutils.for_range(builder, count) as loop:
            k = builder.add(start, builder.shl(loop.index, loop.index.type(2)))
            factors = _load_rows(builder, rows_at, _load_indices(builder, indices_at, k))
            products = builder.fmul(_load_entries(builder, data_at, k), factors)
            builder.store(builder.fadd(builder.load(sums), products), sums)
        s = [builder.extract_element(builder.load(sums), _INT32(i)) for i in range(4)]
        return builder.fadd(builder.fadd(s[0], s[1]), builder.fadd(s[2], s[3]))

    return numba.float64(data, indices, rows, first, n_fours), generate


def _plain_add_fours(data, indices, coefficient, first, n_fours, bits, out):
    """Add ``coefficient * data[k]`` to ``out[indices[k]]``, `n_fours` groups of four from `first` on."""
    for k in range(first, first + _FOUR * n_fours):
        out[indices[k]] += _plain_with_bits(coefficient * data[k], bits)


@_in_llvm_for(_plain_add_fours)
def add_fours(typing, data, indices, coefficient, first, n_fours, bits, out):
    """Add ``coefficient * data[k]`` to ``out[indices[k]]``, `n_fours` groups of four from `first` on.

    The rows within a group must differ, as those of a column do: all four are read before any is written.
    In each product the bits of `bits`, a uint64, are set (`with_bits`).
    """

    def generate(context, builder, signature, arguments):
        data_, indices_, factor, start, count, bits_, out_ = arguments
        data_at, indices_at, out_at = _data_pointers(context, builder, signature, [data_, indices_, out_])
        factors, masks = ir.Constant(_FOUR_DOUBLES, ir.Undefined), ir.Constant(_FOUR_WORDS, ir.Undefined)
        for i in range(4):
            factors = builder.insert_element(factors, factor, _INT32(i))
            masks = builder.insert_element(masks, bits_, _INT32(i))
        with cgutils.for_range(builder, count) as loop:
            k = builder.add(start, builder.shl(loop.index, loop.index.type(2)))
            row_numbers = _load_indices(builder, indices_at, k)
            products = builder.fmul(factors, _load_entries(builder, data_at, k))
            words = builder.or_(builder.bitcast(products, _FOUR_WORDS), masks)
            changes = builder.bitcast(words, _FOUR_DOUBLES)
            sums = builder.fadd(_load_rows(builder, out_at, row_numbers), changes)
            for i, row in enumerate(row_numbers):
                builder.store(builder.extract_element(sums, _INT32(i)), builder.gep(out_at, [row]))
        return context.get_dummy_value()

    return numba.void(data, indices, coefficient, first, n_fours, bits, out), generate


# --- bits of a number


def _plain_with_bits(x, bits):
    """Return a float64 with the bits of a uint64 set in it."""
    return (np.float64(x).view(np.uint64) | np.uint64(bits)).view(np.float64)


@_in_llvm_for(_plain_with_bits)
def with_bits(typing, x, bits):
    """Return a float64 with the bits of a uint64 set in it: with 1, the last bit of the mantissa."""

    def generate(context, builder, signature, arguments):
        word = builder.or_(builder.bitcast(arguments[0], _INT64), arguments[1])
        return builder.bitcast(word, ir.DoubleType())

    return numba.float64(numba.float64, numba.uint64), generate


def _data_pointers(context, builder, signature, arrays):
    """Return the address of the first element of each array; `arrays` are all arrays among the arguments."""
    kinds = [kind for kind in signature.args if isinstance(kind, numba.types.Array)]
    pairs = zip(kinds, arrays, strict=True)
    return [context.make_array(kind)(context, builder, array).data for kind, array in pairs]


def _load_entries(builder, data_at, k):
    """Return the four numbers ``data[k]`` to ``data[k + 3]`` as one vector of doubles."""
    element = data_at.type.pointee
    address = builder.bitcast(builder.gep(data_at, [k]), ir.VectorType(element, 4).as_pointer())
    four = builder.load(address, align=4)
    return four if element == ir.DoubleType() else builder.fpext(four, _FOUR_DOUBLES)


def _load_indices(builder, indices_at, k):
    """Return the four numbers ``indices[k]`` to ``indices[k + 3]``, widened to 64 bits."""
    addresses = [builder.gep(indices_at, [builder.add(k, _INT64(i))]) for i in range(4)]
    return [builder.zext(builder.load(address), _INT64) for address in addresses]


def _load_rows(builder, rows_at, row_numbers):
    """Return the elements of these rows as one vector."""
    four = ir.Constant(_FOUR_DOUBLES, ir.Undefined)
    for i, row in enumerate(row_numbers):
        four = builder.insert_element(four, builder.load(builder.gep(rows_at, [row])), _INT32(i))
    return four
