#!/usr/bin/env python3
"""Writes the seed corpus of fuzz_control_request beside this file, from docs/API.md alone."""
import json
import pathlib

HERE = pathlib.Path(__file__).resolve().parent / "corpus" / "fuzz_control_request"


def request(method, target, body=None, piece=255, extra=""):
    text = b"" if body is None else (body if isinstance(body, bytes) else json.dumps(body).encode())
    head = f"{method} {target} HTTP/1.1\r\nHost: coffer\r\n{extra}Content-Length: {len(text)}\r\n\r\n"
    return bytes([piece]) + head.encode() + text


INIT = {"volume": "photos", "store": "/mnt/store", "size_bytes": 1 << 30, "alias": "home",
        "single_writer": True, "password_hex": "736563726574"}
OPEN = {"exports": [{"kind": "nbd", "address": "tcp:127.0.0.1:10809"}, {"kind": "nbd"}],
        "read_only": True, "take_over": False, "password": "secret"}

SEEDS = {
    "version": request("GET", "/v1/version"),
    "version-byte-by-byte": request("GET", "/v1/version", piece=0),
    "vaults": request("GET", "/v1/vaults"),
    "probe": request("POST", "/v1/vaults/probe", {"store": "/vault"}),
    "init": request("POST", "/v1/vaults/init", INIT, piece=16),
    "add": request("POST", "/v1/vaults/add", {"store": "/vault", "password": "right"}),
    "volumes": request("GET", "/v1/volumes"),
    "volume": request("GET", "/v1/volumes/photos"),
    "volume-in-vault": request("GET", "/v1/volumes/home%2Fphotos"),
    "open": request("PUT", "/v1/volumes/photos/open", OPEN),
    "sync": request("POST", "/v1/volumes/photos/sync"),
    "close": request("POST", "/v1/volumes/photos/close", {"no_wait": True}),
    "close-all": request("POST", "/v1/close", {}),
    "jobs": request("GET", "/v1/jobs"),
    "job": request("GET", "/v1/jobs/1"),
    "stop": request("POST", "/v1/daemon/stop"),
    "events": request("GET", "/v1/events"),
    "unknown": request("GET", "/v1/tomorrow?x=%41#y"),
    "wrong-method": request("DELETE", "/v1/version"),
    "bad-escape": request("GET", "/v1/volumes/%zz"),
    "expect": request("POST", "/v1/close", {}, extra="Expect: 100-continue\r\n"),
    "wrong-types": request("POST", "/v1/vaults/init", {"volume": 1, "size_bytes": -1.5e300}),
    "nested": request("PUT", "/v1/volumes/photos/open", b'{"exports":' + b"[" * 200 + b"]" * 200 + b"}"),
    "bad-utf8": request("POST", "/v1/vaults/probe", b'{"store":"\xff\xfe"}'),
    "chunked": bytes([40]) + b"POST /v1/close HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"5\r\n{\"no_\r\nb\r\nwait\":true}\r\n0\r\n\r\n",
    "too-large": bytes([255]) + b"POST /v1/close HTTP/1.1\r\nContent-Length: 4294967296\r\n\r\n{",
    "no-http": bytes([255]) + b"NBDMAGICIHAVEOPT\0\0\0\x07",
    "http-1.0": bytes([255]) + b"GET /v1/version HTTP/1.0\r\n\r\n",
}

HERE.mkdir(parents=True, exist_ok=True)
for name, data in SEEDS.items():
    (HERE / name).write_bytes(data)
