#!/usr/bin/env python3
"""Writes forms/*.txt: PTX instructions with operands and results, for forms_test.cpp.

Results are computed here from the PTX ISA's words, in Python's integers and in NumPy's floats; nothing of the emulator is
used. A line is

    instruction | type value value ... | type value value ... => type value value ... [~ relative error]

with one column an operand and one value a thread. Types are register types of PTX and `pred`; floats are written in
hexadecimal bits, so that a line says exactly what it means.

    make_forms.py FOLDER      (needs numpy)
"""
import itertools
import math
import os
import struct
import sys

import numpy as np

lines = {}


def emit(group, instruction, columns, result, tolerance=None):
    def column(kind, values):
        return kind + " " + " ".join(write(kind, value) for value in values)

    text = instruction + " | " + " | ".join(column(*c) for c in columns) + " => " + column(*result)
    if tolerance:
        text += " ~ %g" % tolerance
    lines.setdefault(group, []).append(text)


def write(kind, value):
    if kind == "pred":
        return "1" if value else "0"
    if kind == "f32":
        return "0x%08x" % np.float32(value).view(np.uint32)
    if kind == "f64":
        return "0x%016x" % np.float64(value).view(np.uint64)
    if kind == "f16":
        return "0x%04x" % np.float16(value).view(np.uint16)
    return str(int(value))


def width(kind):
    return int(kind[1:])


def wrap(value, kind):
    value &= (1 << width(kind)) - 1
    return value - (1 << width(kind)) if kind[0] == "s" and value >> (width(kind) - 1) else value


def edges(kind):
    bits = width(kind)
    if kind[0] == "s":
        return [0, 1, -1, 2, -7, 13, (1 << (bits - 1)) - 1, -(1 << (bits - 1))]
    return [0, 1, 2, 3, 13, 200, (1 << (bits - 1)), (1 << bits) - 1]


def pairs(kind):
    both = list(itertools.product(edges(kind), edges(kind)))
    return [b for i, b in enumerate(both) if i % 2 == 0 or b[0] == b[1]][:32]


def trunc_div(a, b):
    q = abs(a) // abs(b)
    return q if (a < 0) == (b < 0) else -q


# --- Integers.

def integers():
    for kind in ("s16", "u16", "s32", "u32", "s64", "u64"):
        some = pairs(kind)
        a, b = [x for x, _ in some], [y for _, y in some]
        columns = [(kind, a), (kind, b)]
        two = {
            "add.%s" % kind: lambda x, y: wrap(x + y, kind),
            "sub.%s" % kind: lambda x, y: wrap(x - y, kind),
            "mul.lo.%s" % kind: lambda x, y: wrap(x * y, kind),
            "mul.hi.%s" % kind: lambda x, y: wrap((x * y) >> width(kind), kind),
            "min.%s" % kind: min,
            "max.%s" % kind: max,
        }
        for instruction, f in two.items():
            emit("integer", instruction, columns, (kind, [f(x, y) for x, y in some]))
        if width(kind) < 64:
            wide = kind[0] + str(2 * width(kind))
            emit("integer", "mul.wide.%s" % kind, columns, (wide, [x * y for x, y in some]))
        nonzero = [(x, y) for x, y in some if y != 0 and not (kind[0] == "s" and y == -1)]
        columns = [(kind, [x for x, _ in nonzero]), (kind, [y for _, y in nonzero])]
        emit("integer", "div.%s" % kind, columns, (kind, [trunc_div(x, y) for x, y in nonzero]))
        emit("integer", "rem.%s" % kind, columns, (kind, [x - trunc_div(x, y) * y for x, y in nonzero]))
        c = [(i * 7919 - 4000) if kind[0] == "s" else i * 7919 for i in range(len(some))]
        c = [wrap(v, kind) for v in c]
        columns = [(kind, a), (kind, b), (kind, c)]
        emit("integer", "mad.lo.%s" % kind, columns, (kind, [wrap(x * y + z, kind) for (x, y), z in zip(some, c)]))
        emit("integer", "mad.hi.%s" % kind, columns,
             (kind, [wrap(((x * y) >> width(kind)) + z, kind) for (x, y), z in zip(some, c)]))
        emit("integer", "sad.%s" % kind, columns,
             (kind, [wrap(abs(x - y) + z, kind) for (x, y), z in zip(some, c)]))
        for comparison, f in {"eq": lambda x, y: x == y, "ne": lambda x, y: x != y, "lt": lambda x, y: x < y,
                              "le": lambda x, y: x <= y, "gt": lambda x, y: x > y, "ge": lambda x, y: x >= y}.items():
            emit("compare", "setp.%s.%s" % (comparison, kind), [(kind, a), (kind, b)],
                 ("pred", [f(x, y) for x, y in some]))
        if kind[0] == "s":
            emit("integer", "abs.%s" % kind, [(kind, a)], (kind, [wrap(abs(x), kind) for x in a]))
            emit("integer", "neg.%s" % kind, [(kind, a)], (kind, [wrap(-x, kind) for x in a]))
    limits = (-(1 << 31), (1 << 31) - 1)
    some = pairs("s32")
    columns = [("s32", [x for x, _ in some]), ("s32", [y for _, y in some])]
    clamp = lambda v: max(limits[0], min(limits[1], v))
    emit("integer", "add.sat.s32", columns, ("s32", [clamp(x + y) for x, y in some]))
    emit("integer", "sub.sat.s32", columns, ("s32", [clamp(x - y) for x, y in some]))
    low24 = lambda v, kind: wrap((v & 0xFFFFFF) | ((-1 << 24) if kind == "s32" and v >> 23 & 1 else 0), "s64" if kind == "s32" else "u64")
    for kind in ("s32", "u32"):
        some = pairs(kind)
        columns = [(kind, [x for x, _ in some]), (kind, [y for _, y in some])]
        products = [low24(x, kind) * low24(y, kind) for x, y in some]
        emit("integer", "mul24.lo.%s" % kind, columns, (kind, [wrap(p, kind) for p in products]))
        emit("integer", "mul24.hi.%s" % kind, columns, (kind, [wrap(p >> 16, kind) for p in products]))


# --- Bits.

def bits():
    for size in (16, 32, 64):
        kind, shown = "b%d" % size, "u%d" % size
        some = pairs(shown)
        a, b = [x for x, _ in some], [y for _, y in some]
        mask = (1 << size) - 1
        for name, f in {"and": lambda x, y: x & y, "or": lambda x, y: x | y, "xor": lambda x, y: x ^ y}.items():
            emit("bits", "%s.%s" % (name, kind), [(kind, a), (kind, b)], (kind, [f(x, y) for x, y in some]))
        emit("bits", "not.%s" % kind, [(kind, a)], (kind, [~x & mask for x in a]))
        emit("bits", "cnot.%s" % kind, [(kind, a)], (kind, [int(x == 0) for x in a]))
        amounts = [0, 1, 7, size - 1, size, size + 1, 1000, 4294967295] * 4
        values = [0x8123456789ABCDEF & mask] * 8 + [1] * 8 + [mask] * 8 + [1 << (size - 1)] * 8
        emit("bits", "shl.%s" % kind, [(kind, values), ("u32", amounts)],
             (kind, [(v << s) & mask if s < size else 0 for v, s in zip(values, amounts)]))
        emit("bits", "shr.u%d" % size, [(kind, values), ("u32", amounts)],
             (kind, [v >> s if s < size else 0 for v, s in zip(values, amounts)]))
        signed = [wrap(v, "s%d" % size) for v in values]
        emit("bits", "shr.s%d" % size, [("s%d" % size, signed), ("u32", amounts)],
             ("s%d" % size, [v >> min(s, size - 1) for v, s in zip(signed, amounts)]))
        if size == 16:
            continue
        emit("bits", "popc.%s" % kind, [(kind, a)], ("u32", [bin(x).count("1") for x in a]))
        emit("bits", "clz.%s" % kind, [(kind, a)], ("u32", [size - x.bit_length() for x in a]))
        emit("bits", "brev.%s" % kind, [(kind, a)], (kind, [int(format(x, "0%db" % size)[::-1], 2) for x in a]))
        emit("bits", "bfind.%s" % shown, [(shown, a)], ("u32", [x.bit_length() - 1 if x else 0xFFFFFFFF for x in a]))
        emit("bits", "bfind.shiftamt.%s" % shown, [(shown, a)],
             ("u32", [size - x.bit_length() if x else 0xFFFFFFFF for x in a]))
        positions = [0, 1, 4, 8, 15, 31, 40, 255] * 4
        lengths = [8, 0, 1, 31, 32, 63, 255, 5] * 3 + [4, 4, 16, 16, 8, 8, 1, 1]
        values = [(0x9E3779B97F4A7C15 * (i + 1)) & mask for i in range(32)]

        def bfe(v, p, n, is_signed):
            result = 0
            for i in range(size):
                at = p + i
                if i < n and at < size:
                    result |= (v >> at & 1) << i
                elif is_signed and n:  # The sign is the field's last bit, or the value's where the field ends beyond.
                    result |= (v >> min(p + n - 1, size - 1) & 1) << i
            return result

        emit("bits", "bfe.u%d" % size, [(shown, values), ("u32", positions), ("u32", lengths)],
             (shown, [bfe(v, p, n, False) for v, p, n in zip(values, positions, lengths)]))
        emit("bits", "bfe.s%d" % size, [("s%d" % size, [wrap(v, "s%d" % size) for v in values]), ("u32", positions), ("u32", lengths)],
             ("s%d" % size, [wrap(bfe(v, p, n, True), "s%d" % size) for v, p, n in zip(values, positions, lengths)]))

        def bfi(field, into, p, n):
            result = into
            for i in range(min(n, size)):
                if p + i < size:
                    result = result & ~(1 << (p + i)) | (field >> i & 1) << (p + i)
            return result

        others = values[::-1]
        emit("bits", "bfi.%s" % kind, [(kind, values), (kind, others), ("u32", positions), ("u32", lengths)],
             (kind, [bfi(f, i, p, n) for f, i, p, n in zip(values, others, positions, lengths)]))
    words = [(0x9E3779B9 * (i + 1)) & 0xFFFFFFFF for i in range(32)]
    others, thirds = words[::-1], words[7:] + words[:7]
    for table in (0x80, 0xFE, 0x96, 0xE8, 0xCA, 0x1B, 0x00, 0xFF):
        def lop(a, b, c):
            return sum((table >> ((a >> i & 1) << 2 | (b >> i & 1) << 1 | (c >> i & 1)) & 1) << i for i in range(32))
        emit("bits", "lop3.b32 d, a, b, c, %d" % table, [("b32", words), ("b32", others), ("b32", thirds)],
             ("b32", [lop(*v) for v in zip(words, others, thirds)]))

    def permuted(a, b, select):
        source = a | b << 32
        result = 0
        for i in range(4):
            part = select >> 4 * i & 15
            byte = source >> 8 * (part & 7) & 255
            result |= (0xFF if byte >> 7 else 0) << 8 * i if part & 8 else byte << 8 * i
        return result

    selects = [(0x3210 + 0x1357 * i) & 0xFFFF for i in range(32)]
    emit("bits", "prmt.b32", [("b32", words), ("b32", others), ("b32", selects)],
         ("b32", [permuted(*v) for v in zip(words, others, selects)]))
    amounts = [0, 1, 7, 16, 31, 32, 33, 255] * 4
    pair = [a | b << 32 for a, b in zip(words, others)]
    for mode, amount in (("wrap", lambda s: s & 31), ("clamp", lambda s: min(s, 32))):
        emit("bits", "shf.l.%s.b32" % mode, [("b32", words), ("b32", others), ("u32", amounts)],
             ("b32", [(v << amount(s)) >> 32 & 0xFFFFFFFF for v, s in zip(pair, amounts)]))
        emit("bits", "shf.r.%s.b32" % mode, [("b32", words), ("b32", others), ("u32", amounts)],
             ("b32", [v >> amount(s) & 0xFFFFFFFF for v, s in zip(pair, amounts)]))
    byte = lambda v, i, kind: wrap(v >> 8 * i & 255, kind)
    for ka, kb in itertools.product("su", repeat=2):
        out = "u32" if ka + kb == "uu" else "s32"
        column = lambda k, v: ("%s32" % k, [wrap(x, "%s32" % k) for x in v])
        emit("integer", "dp4a.%s32.%s32" % (ka, kb), [column(ka, words), column(kb, others), (out, [wrap(x, out) for x in thirds])],
             (out, [wrap(c + sum(byte(a, i, ka + "8") * byte(b, i, kb + "8") for i in range(4)), out)
                    for a, b, c in zip(words, others, thirds)]))


# --- Floats.

f32_edges = [0.0, -0.0, 1.0, -1.0, 1.5, -2.75, 1e-40, -1e-40, 3e38, -3e38, float("inf"), -float("inf"), float("nan"),
             1e-20, 16777216.0, 0.1]


def float_pairs(dtype):
    both = list(itertools.product(f32_edges, f32_edges))
    return [(dtype(a), dtype(b)) for i, (a, b) in enumerate(both) if i % 9 == 0 or i < 4][:32]


def flushed(value):
    value = np.float32(value)
    return np.float32(math.copysign(0.0, value)) if value == value and abs(value) < np.float32(2.0 ** -126) else value


def canonical(values, kind):
    """NaN as PTX gives it."""
    nan = {"f32": np.uint32(0x7FFFFFFF).view(np.float32), "f64": np.float64("nan"), "f16": np.uint16(0x7FFF).view(np.float16)}[kind]
    return [nan if v != v else v for v in values]


def floats():
    np.seterr(all="ignore")
    for kind, dtype in (("f32", np.float32), ("f64", np.float64)):
        some = float_pairs(dtype)
        a, b = [x for x, _ in some], [y for _, y in some]
        columns = [(kind, a), (kind, b)]
        for name, f in {"add": lambda x, y: x + y, "sub": lambda x, y: x - y, "mul": lambda x, y: x * y}.items():
            emit("float", "%s.rn.%s" % (name, kind), columns, (kind, [dtype(f(x, y)) for x, y in some]))
        emit("float", "div.rn.%s" % kind, columns, (kind, [dtype(x / y) for x, y in some]))
        emit("float", "rcp.rn.%s" % kind, [(kind, a)], (kind, [dtype(dtype(1) / x) for x in a]))
        emit("float", "sqrt.rn.%s" % kind, [(kind, a)], (kind, [np.sqrt(x) for x in a]))
        emit("float", "abs.%s" % kind, [(kind, a)], (kind, [abs(x) for x in a]))
        emit("float", "neg.%s" % kind, [(kind, a)], (kind, [-x for x in a]))
        order = lambda x: (x, -math.copysign(1, x) if x == 0 else 0)

        def least(x, y):
            return y if x != x else x if y != y else (x if math.copysign(1, x) < 0 else y) if x == y else min(x, y)

        def greatest(x, y):
            return y if x != x else x if y != y else (y if math.copysign(1, x) < 0 else x) if x == y else max(x, y)

        emit("float", "min.%s" % kind, columns, (kind, [least(x, y) for x, y in some]))
        emit("float", "max.%s" % kind, columns, (kind, [greatest(x, y) for x, y in some]))
        unordered = lambda x, y: x != x or y != y
        for name, f in {"eq": lambda x, y: x == y, "ne": lambda x, y: not unordered(x, y) and x != y, "lt": lambda x, y: x < y,
                        "le": lambda x, y: x <= y, "gt": lambda x, y: x > y, "ge": lambda x, y: x >= y}.items():
            emit("compare", "setp.%s.%s" % (name, kind), columns, ("pred", [f(x, y) for x, y in some]))
            emit("compare", "setp.%su.%s" % (name, kind), columns, ("pred", [f(x, y) or unordered(x, y) for x, y in some]))
        emit("compare", "setp.num.%s" % kind, columns, ("pred", [not unordered(x, y) for x, y in some]))
        emit("compare", "setp.nan.%s" % kind, columns, ("pred", [unordered(x, y) for x, y in some]))
        emit("float", "copysign.%s" % kind, columns, (kind, [dtype(math.copysign(y, x)) for x, y in some]))
        for name, f in {"finite": np.isfinite, "infinite": np.isinf, "number": lambda x: x == x, "notanumber": np.isnan,
                        "normal": lambda x: np.isfinite(x) and abs(x) >= np.finfo(dtype).tiny,
                        "subnormal": lambda x: 0 < abs(x) < np.finfo(dtype).tiny}.items():
            emit("compare", "testp.%s.%s" % (name, kind), [(kind, a)], ("pred", [bool(f(x)) for x in a]))
    some = float_pairs(np.float32)
    columns = [("f32", [x for x, _ in some]), ("f32", [y for _, y in some])]
    for name, f in {"add": lambda x, y: x + y, "sub": lambda x, y: x - y, "mul": lambda x, y: x * y}.items():
        emit("float", "%s.rn.ftz.f32" % name, columns,
             ("f32", [flushed(np.float32(f(flushed(x), flushed(y)))) for x, y in some]))
        saturated = lambda v: np.float32(0) if v != v else np.float32(min(max(v, np.float32(0)), np.float32(1)))
        emit("float", "%s.rn.sat.f32" % name, columns, ("f32", [saturated(np.float32(f(x, y))) + np.float32(0) for x, y in some]))
    plain = [(np.float32(x), np.float32(y), np.float32(z)) for x, y, z in
             ((1.1 * i - 7, 0.37 * i + 0.01, 3.0 - i * i * 0.3) for i in range(32))]
    exact = lambda x, y, z: np.float32(float(x) * float(y) + float(z))
    from fractions import Fraction

    def fused(x, y, z):
        """x * y + z rounded once."""
        value = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
        near = np.float32(float(value))
        candidates = sorted({near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, np.float32(-np.inf))},
                            key=lambda c: (abs(Fraction(float(c)) - value), int(np.float32(c).view(np.uint32)) & 1))
        return candidates[0]

    columns = [("f32", [p[i] for p in plain]) for i in range(3)]
    emit("float", "fma.rn.f32", columns, ("f32", [fused(*p) for p in plain]))
    halves = [(np.float16(1.1 * i - 7), np.float16(0.37 * i + 0.01)) for i in range(32)]
    columns = [("f16", [x for x, _ in halves]), ("f16", [y for _, y in halves])]
    for name, f in {"add": lambda x, y: x + y, "sub": lambda x, y: x - y, "mul": lambda x, y: x * y}.items():
        emit("float", "%s.f16" % name, columns, ("f16", [np.float16(f(x, y)) for x, y in halves]))
    approximate = [np.float32(v) for v in (0.0, 1.0, -1.0, 0.5, 3.7, -3.7, 20.25, -20.25, 100.0, -100.0, 0.001, -0.001)]
    emit("float", "ex2.approx.f32", [("f32", approximate)], ("f32", [np.float32(2.0 ** float(x)) for x in approximate]), 2 ** -22)
    positive = [np.float32(v) for v in (1.5, 2.0, 0.5, 3.7, 1e-30, 1e30, 100.0, 0.001, 7.25)]
    emit("float", "lg2.approx.f32", [("f32", positive)], ("f32", [np.float32(math.log2(x)) for x in positive]), 2 ** -21)
    emit("float", "rsqrt.approx.f32", [("f32", positive)], ("f32", [np.float32(1 / math.sqrt(x)) for x in positive]), 2 ** -22)
    emit("float", "rcp.approx.f32", [("f32", positive)], ("f32", [np.float32(1 / float(x)) for x in positive]), 2 ** -22)
    angles = [np.float32(v) for v in (0.5, 1.0, -1.25, 3.0, -3.0, 0.1)]
    emit("float", "sin.approx.f32", [("f32", angles)], ("f32", [np.float32(math.sin(x)) for x in angles]), 2 ** -18)
    emit("float", "cos.approx.f32", [("f32", angles)], ("f32", [np.float32(math.cos(x)) for x in angles]), 2 ** -18)
    emit("float", "tanh.approx.f32", [("f32", angles)], ("f32", [np.float32(math.tanh(x)) for x in angles]), 2 ** -10)


# --- Conversions.

def conversions():
    values = [0.0, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 1.999, -1.999, 127.6, -128.4, 300.0, -300.0, 65535.7, 2147483520.0, 3e9, -3e9,
              1e20, -1e20, float("inf"), -float("inf"), float("nan")]
    modes = {"rni": lambda x: round(x), "rzi": math.trunc, "rmi": math.floor, "rpi": math.ceil}
    for source, dtype in (("f32", np.float32), ("f64", np.float64)):
        column = [dtype(v) for v in values]
        for target in ("s16", "u16", "s32", "u32", "s64", "u64"):
            low, high = ((-(1 << (width(target) - 1)), (1 << (width(target) - 1)) - 1) if target[0] == "s"
                         else (0, (1 << width(target)) - 1))
            for mode, f in modes.items():
                def convert(x):
                    if x != x:  # PTX ISA, cvt: NaN gives 0, but of .f64 or to 64 bits 1 << (width - 1).
                        return 0 if source != "f64" and width(target) < 64 else wrap(1 << (width(target) - 1), target)
                    return high if x == math.inf else low if x == -math.inf else max(low, min(high, f(float(x))))
                emit("convert", "cvt.%s.%s.%s" % (mode, target, source), [(source, column)], (target, [convert(x) for x in column]))
    for source in ("s16", "u16", "s32", "u32", "s64", "u64"):
        column = edges(source)
        for target in ("s16", "u16", "s32", "u32", "s64", "u64"):
            emit("convert", "cvt.%s.%s" % (target, source), [(source, column)], (target, [wrap(x, target) for x in column]))
            low, high = ((-(1 << (width(target) - 1)), (1 << (width(target) - 1)) - 1) if target[0] == "s"
                         else (0, (1 << width(target)) - 1))
            if source != target and (width(target) < width(source) or (source[0] != target[0] and width(target) <= width(source))):
                emit("convert", "cvt.sat.%s.%s" % (target, source), [(source, column)],
                     (target, [max(low, min(high, x)) for x in column]))
        for target, dtype in (("f32", np.float32), ("f64", np.float64)):
            exact = [x for x in column]
            emit("convert", "cvt.rn.%s.%s" % (target, source), [(source, column)],
                 (target, [dtype(np.float64(x)) if width(source) < 64 or target == "f64" else np.float32(x) for x in exact]))
    singles = [np.float32(v) for v in (0.0, -0.0, 1.0, 1.0009765625, 65504.0, 65519.0, 65520.0, 1e-8, 6e-8, -3.14159, float("inf"))]
    emit("convert", "cvt.rn.f16.f32", [("f32", singles)], ("f16", [np.float16(x) for x in singles]))
    emit("convert", "cvt.f32.f16", [("f16", [np.float16(x) for x in singles])], ("f32", [np.float32(np.float16(x)) for x in singles]))
    emit("convert", "cvt.f64.f32", [("f32", singles)], ("f64", [np.float64(x) for x in singles]))
    doubles = [np.float64(v) for v in (0.1, 1 / 3, 1e300, -1e-300, 16777217.0, 1e-45)]
    emit("convert", "cvt.rn.f32.f64", [("f64", doubles)], ("f32", [np.float32(x) for x in doubles]))

    def bf16(x):
        word = int(np.float32(x).view(np.uint32))
        return (word + 0x7FFF + (word >> 16 & 1)) >> 16
    finite = [x for x in singles if np.isfinite(x)]
    emit("convert", "cvt.rn.bf16.f32", [("f32", finite)], ("b16", [bf16(x) for x in finite]))


# --- Choices.

def choices():
    for kind in ("b16", "b32", "b64"):
        a, b, p = list(range(100, 132)), list(range(200, 232)), [i % 3 == 0 for i in range(32)]
        emit("choose", "selp.%s" % kind, [(kind, a), (kind, b), ("pred", p)], (kind, [x if c else y for x, y, c in zip(a, b, p)]))
    a, b = [np.float32(i) for i in range(8)], [np.float32(-i) for i in range(8)]
    signs = [0, 1, -1, 5, -5, 2147483647, -2147483648, 3]
    emit("choose", "slct.f32.s32", [("f32", a), ("f32", b), ("s32", signs)], ("f32", [x if s >= 0 else y for x, y, s in zip(a, b, signs)]))
    for name, f in {"and": lambda x, y: x and y, "or": lambda x, y: x or y, "xor": lambda x, y: x != y}.items():
        p, q = [i & 1 == 1 for i in range(32)], [i & 2 == 2 for i in range(32)]
        emit("choose", "%s.pred" % name, [("pred", p), ("pred", q)], ("pred", [f(x, y) for x, y in zip(p, q)]))
        a, b = list(range(32)), [16] * 32
        emit("choose", "setp.lt.%s.s32" % name, [("s32", a), ("s32", b), ("pred", p)], ("pred", [f(x < y, c) for x, y, c in zip(a, b, p)]))


# --- Across the warp: all 32 lanes take part.

def warps():
    a = [i * 3 + 1 for i in range(32)]
    full = 0xFFFFFFFF
    for mode, clamp, source in (("bfly", 31, lambda l, s: l ^ s), ("idx", 31, lambda l, s: s)):
        for s in (0, 1, 5, 16, 31):
            emit("warp", "shfl.sync.%s.b32 d, a, %d, %d, %d" % (mode, s, clamp, full), [("b32", a)], ("b32", [a[source(l, s)] for l in range(32)]))
    for s in (0, 1, 5, 31):
        emit("warp", "shfl.sync.up.b32 d, a, %d, 0, %d" % (s, full), [("b32", a)], ("b32", [a[l - s] if l >= s else a[l] for l in range(32)]))
        emit("warp", "shfl.sync.down.b32 d, a, %d, 31, %d" % (s, full), [("b32", a)], ("b32", [a[l + s] if l + s < 32 else a[l] for l in range(32)]))
    # Segments of 8: the mask's upper bits keep a lane's segment.
    emit("warp", "shfl.sync.bfly.b32 d, a, 9, %d, %d" % (0x1807 | 0x0000, full), [("b32", a)],
         ("b32", [a[l ^ 9] if (l ^ 9) <= (l & 0x18 | 7) else a[l] for l in range(32)]))
    p = [i % 5 == 0 for i in range(32)]
    mask = sum(1 << i for i in range(32) if p[i])
    emit("warp", "vote.sync.ballot.b32 d, a, %d" % full, [("pred", p)], ("b32", [mask] * 32))
    emit("warp", "vote.sync.any.pred d, a, %d" % full, [("pred", p)], ("pred", [True] * 32))
    emit("warp", "vote.sync.all.pred d, a, %d" % full, [("pred", p)], ("pred", [False] * 32))
    emit("warp", "vote.sync.uni.pred d, a, %d" % full, [("pred", p)], ("pred", [False] * 32))
    some = [i % 4 for i in range(32)]
    emit("warp", "match.any.sync.b32 d, a, %d" % full, [("b32", some)], ("b32", [sum(1 << j for j in range(32) if some[j] == v) for v in some]))
    signed = [i * 37 % 64 - 32 for i in range(32)]
    emit("warp", "redux.sync.add.s32 d, a, %d" % full, [("s32", signed)], ("s32", [sum(signed)] * 32))
    emit("warp", "redux.sync.min.s32 d, a, %d" % full, [("s32", signed)], ("s32", [min(signed)] * 32))
    emit("warp", "redux.sync.max.s32 d, a, %d" % full, [("s32", signed)], ("s32", [max(signed)] * 32))
    fold = lambda f: [__import__("functools").reduce(f, a)] * 32
    emit("warp", "redux.sync.and.b32 d, a, %d" % full, [("b32", a)], ("b32", fold(lambda x, y: x & y)))
    emit("warp", "redux.sync.or.b32 d, a, %d" % full, [("b32", a)], ("b32", fold(lambda x, y: x | y)))
    emit("warp", "redux.sync.xor.b32 d, a, %d" % full, [("b32", a)], ("b32", fold(lambda x, y: x ^ y)))


integers(), bits(), floats(), conversions(), choices(), warps()
for group, content in lines.items():
    with open(os.path.join(sys.argv[1], group + ".txt"), "w") as file:
        file.write("# Made by make_forms.py.\n" + "\n".join(content) + "\n")
print(sum(len(content) for content in lines.values()), "forms", file=sys.stderr)
