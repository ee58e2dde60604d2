#!/usr/bin/python3
"""Writes corpus/fuzz_decompress: frames of each codec, good and bad, made with the libraries."""

import ctypes
import pathlib
import struct

ZSTD = ctypes.CDLL("libzstd.so.1")
LZ4 = ctypes.CDLL("liblz4.so.1")
ZSTD.ZSTD_compressBound.restype = ZSTD.ZSTD_compress.restype = ctypes.c_size_t
ZSTD.ZSTD_compressBound.argtypes = [ctypes.c_size_t]
ZSTD.ZSTD_compress.argtypes = [ctypes.c_char_p, ctypes.c_size_t] * 2 + [ctypes.c_int]

STORED, LZ4_BLOCK, ZSTD_FRAME = 0, 1, 2


def zstd(plain, level=1):
    out = ctypes.create_string_buffer(ZSTD.ZSTD_compressBound(len(plain)))
    return out.raw[:ZSTD.ZSTD_compress(out, len(out), plain, len(plain), level)]


def lz4(plain):
    out = ctypes.create_string_buffer(len(plain) + len(plain) // 255 + 16)
    return out.raw[:LZ4.LZ4_compress_default(plain, out, len(plain), len(out))]


def frame(codec, plain_size, stored):
    return struct.pack("<I", plain_size << 8 | codec) + stored


def main():
    folder = pathlib.Path(__file__).parent / "corpus" / "fuzz_decompress"
    folder.mkdir(parents=True, exist_ok=True)
    text = b"".join(b"line %d of a file that compresses\n" % (i * i) for i in range(60))
    zeros, mixed = bytes(4096), text[:500] + bytes(range(256)) + text[500:1200]
    magic, skippable = struct.pack("<I", 0xFD2FB528), struct.pack("<II", 0x184D2A50, 4) + b"skip"
    files = {
        "stored": frame(STORED, 9, b"plaintext"),
        "stored-wrong-length": frame(STORED, 8, b"plaintext"),
        "unknown-codec": frame(3, 9, b"plaintext"),
        "zstd-bomb": frame(ZSTD_FRAME, 65536, magic + b"\xe0" + struct.pack("<Q", 1 << 40) + bytes(3)),
        "zstd-skippable": frame(ZSTD_FRAME, len(text), skippable + zstd(text)),
        "zstd-trailing": frame(ZSTD_FRAME, len(text), zstd(text) + b"x"),
        "zstd-cut": frame(ZSTD_FRAME, len(text), zstd(text)[:-9]),
        "zstd-level-19": frame(ZSTD_FRAME, len(text), zstd(text, 19)),
        "lz4-cut": frame(LZ4_BLOCK, len(text), lz4(text)[:-9]),
    }
    for name, plain in {"text": text, "zeros": zeros, "mixed": mixed}.items():
        files["zstd-" + name] = frame(ZSTD_FRAME, len(plain), zstd(plain))
        files["lz4-" + name] = frame(LZ4_BLOCK, len(plain), lz4(plain))
    for name, data in files.items():
        (folder / name).write_bytes(data)


main()
