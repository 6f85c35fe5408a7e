#!/usr/bin/env python3
"""Seeds of the fatbin fuzzer: containers as fatbinary writes them, plain and with an LZ4 block. fatbin_seeds.py FOLDER"""
import pathlib
import struct
import sys

TEXT = b".version 9.0\n.target sm_90a\n.address_size 64\n"


def image(payload: bytes, flags: int, compressed: int, plain: int) -> bytes:
    padded = payload + bytes(-len(payload) % 8)
    head = struct.pack("<HHIQIIHHIIIQQQ", 1, 0x101, 80, len(padded), compressed, 64, 0, 9, 90, 0, 0, flags, 0, plain)
    return head + bytes(16) + padded


def container(images: bytes) -> bytes:
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(images)) + images


def lz4_block(text: bytes) -> bytes:
    """Literals alone."""
    extra = len(text) - 15
    return bytes([0xF0]) + bytes([255] * (extra // 255) + [extra % 255]) + text


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    plain = image(TEXT, 0x11, 0, 0)
    block = lz4_block(TEXT)
    packed = image(block, 0x2011, len(block), len(TEXT))
    (folder / "plain").write_bytes(container(plain))
    (folder / "lz4").write_bytes(container(packed))
    (folder / "both").write_bytes(container(plain + packed))


main()
