#!/usr/bin/python3
"""Prints the constants of golden_test.cc: what core/crypto must give in format version 1, computed as
docs/FORMAT.md says, with OpenSSL's libcrypto and libargon2 and none of coffer's code. Run it by hand
after a change of format, never from a test."""

import ctypes
import hashlib
import hmac
import struct

CRYPTO = ctypes.CDLL("libcrypto.so.3")
ARGON2 = ctypes.CDLL("libargon2.so.1")
CRYPTO.EVP_CIPHER_CTX_new.restype = ctypes.c_void_p
CRYPTO.EVP_aes_256_gcm.restype = ctypes.c_void_p


def mac(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def hkdf32(key, salt, info):
    return mac(mac(salt or bytes(32), key), info, b"\x01")


def derive_key(parent, label, context=b""):
    return hkdf32(parent, b"", label.encode() + b"\0" + context)


def gcm(key, nonce, aad, plain):
    context = ctypes.c_void_p(CRYPTO.EVP_CIPHER_CTX_new())
    out, tag = ctypes.create_string_buffer(len(plain)), ctypes.create_string_buffer(16)
    written = ctypes.c_int()
    calls = [
        CRYPTO.EVP_EncryptInit_ex(context, ctypes.c_void_p(CRYPTO.EVP_aes_256_gcm()), None, key,
                                  nonce),
        CRYPTO.EVP_EncryptUpdate(context, None, ctypes.byref(written), aad, len(aad)),
        CRYPTO.EVP_EncryptUpdate(context, out, ctypes.byref(written), plain, len(plain)),
        CRYPTO.EVP_EncryptFinal_ex(context, ctypes.create_string_buffer(16), ctypes.byref(written)),
        CRYPTO.EVP_CIPHER_CTX_ctrl(context, 0x10, 16, tag),
    ]
    assert calls == [1] * 5
    return out.raw + tag.raw


def seal(purpose_key, salt, context, number, aad, plain):
    object_key = hkdf32(purpose_key, salt, b"coffer/1/object\0" + context)
    return gcm(object_key, struct.pack("<QI", number, 0), aad, plain)


class Argon2Context(ctypes.Structure):
    _fields_ = [(name, kind) for names, kind in [
        (["out"], ctypes.c_char_p), (["outlen"], ctypes.c_uint32),
        (["pwd"], ctypes.c_char_p), (["pwdlen"], ctypes.c_uint32),
        (["salt"], ctypes.c_char_p), (["saltlen"], ctypes.c_uint32),
        (["secret"], ctypes.c_char_p), (["secretlen"], ctypes.c_uint32),
        (["ad"], ctypes.c_char_p), (["adlen"], ctypes.c_uint32),
        (["t_cost", "m_cost", "lanes", "threads", "version"], ctypes.c_uint32),
        (["allocate", "free"], ctypes.c_void_p), (["flags"], ctypes.c_uint32)] for name in names]


def argon2id(password, salt, secret, ad, m, t, p):
    out = ctypes.create_string_buffer(32)
    context = Argon2Context(
        ctypes.cast(out, ctypes.c_char_p), 32, password, len(password), salt, len(salt), secret,
        len(secret), ad, len(ad), t, m, p, p, 0x13, None, None, 0)
    assert ARGON2.argon2id_ctx(ctypes.byref(context)) == 0
    return out.raw


def counting(count, start=0):
    return bytes((start + i) % 256 for i in range(count))


LABELS = ("slot-wrap slot-commit header-mac keyring pack head catalog content-id page-id "
          "pack-id-hedge host-key-wrap journal frame-cache trust").split()


def main():
    parent = counting(32)
    for label in LABELS:
        print(f"{label}: {derive_key(parent, 'coffer/1/' + label, b'context').hex()}")
    print("sealed:", seal(parent, counting(32, 100), b"context", 0x0102030405060708, b"aad",
                          b"plaintext").hex())
    plain = counting(100)
    longer = bytes(i * 7 % 251 for i in range(70001))
    for content in (plain, longer):
        digests = [hashlib.sha256(content[at:at + 4096]).digest()
                   for at in range(0, len(content), 4096)]
        print("content id:", mac(parent, struct.pack("<QQ", 3, len(content)), *digests)[:16].hex())
    print("page id:", mac(parent, struct.pack("<Q", len(plain)), plain)[:16].hex())

    m, t, p = 64, 2, 2
    uk, salt, vault, index, kind = counting(32, 200), counting(32, 50), counting(16, 10), 5, 3
    costs = struct.pack("<III", m, t, p)
    place = struct.pack("<H16sBB", 1, vault, index, kind)
    kek = argon2id(b"password", salt, counting(32, 7), b"coffer/1/kek\0" + costs + salt + place,
                   m, t, p)
    sealed_uk = seal(derive_key(kek, "coffer/1/slot-wrap"), salt, b"", 0, place, uk)
    commitment = mac(derive_key(kek, "coffer/1/slot-commit"), b"coffer/1/slot\0", costs, place, salt,
                     sealed_uk)
    print("slot sealed uk:", sealed_uk.hex())
    print("slot commitment:", commitment.hex())


main()
