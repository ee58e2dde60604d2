"""Random requests, signed by coffer (sign_azure) and by azure-storage-blob, Microsoft's own library: the
Authorization headers are equal.

    azure_signer_sdk.py path/to/sign_azure
"""

import base64
import datetime
import os
import random
import subprocess
import sys
from urllib.parse import quote

from azure.core.pipeline import PipelineContext, PipelineRequest
from azure.core.pipeline.transport import HttpRequest
from azure.storage.blob._shared.authentication import SharedKeyCredentialPolicy

REQUESTS = 300
DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def text(rng, letters, least, most):
    return "".join(rng.choice(letters) for _ in range(rng.randint(least, most)))


def random_request(rng):
    plain = "abcXYZ019-._~"
    odd = plain + " +*%$=@:,;!'()ü€\""
    headers = {"x-ms-" + text(rng, "abcxyz-09", 1, 10): text(rng, plain + "  ", 1, 30).strip() or "v"
               for _ in range(rng.randint(0, 4))}
    for name, value in {"x-ms-range": "bytes=0-9", "If-None-Match": "*", "Content-Type": "application/octet-stream",
                        "Content-MD5": base64.b64encode(rng.randbytes(16)).decode()}.items():
        if rng.random() < 0.4:
            headers[name] = value
    return {
        "account": text(rng, "abcxyz019", 3, 24),
        "key": base64.b64encode(rng.randbytes(rng.choice([1, 2, 3, 32, 64]))).decode(),
        "method": rng.choice(["GET", "PUT", "DELETE", "HEAD"]),
        "path": quote("/" + "/".join(text(rng, odd, 1, 15) for _ in range(rng.randint(0, 4))), safe="-_.~/"),
        "query": {text(rng, "abcxyz019", 1, 12): text(rng, odd + "/", 1, 20) for _ in range(rng.randint(0, 4))},
        "headers": headers,
        "body": rng.randbytes(rng.choice([0, 1, 64, 5000])),
        "when": rng.randint(1_000_000_000, 4_000_000_000),
    }


def by_coffer(program, r):
    fields = [r["account"], r["key"], r["method"], r["path"], "&".join(f"{n}={v}" for n, v in r["query"].items()),
              r["body"], str(r["when"])] + [f"{name}:{value}" for name, value in r["headers"].items()]
    line = "\t".join((f if isinstance(f, bytes) else f.encode()).hex() for f in fields)
    program.stdin.write(line + "\n")
    program.stdin.flush()
    return program.stdout.readline().strip()


def by_library(r):
    t = datetime.datetime.utcfromtimestamp(r["when"])
    headers = {**r["headers"], "x-ms-version": "2021-12-02",
               "x-ms-date": f"{DAYS[t.weekday()]}, {t.day:02} {MONTHS[t.month - 1]} {t.year} {t:%H:%M:%S} GMT"}
    if r["body"]:
        headers["Content-Length"] = str(len(r["body"]))
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in r["query"].items())
    request = HttpRequest(r["method"], f"https://h{r['path']}{'?' if query else ''}{query}", headers=headers)
    SharedKeyCredentialPolicy(r["account"], r["key"]).on_request(PipelineRequest(request, PipelineContext(None)))
    return request.headers["Authorization"]


def main():
    seed = int(os.environ.get("COFFER_TEST_SEED") or random.randrange(1 << 32))
    print(f"seed {seed} (COFFER_TEST_SEED replays it)")
    rng = random.Random(seed)
    with subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        for number in range(REQUESTS):
            request = random_request(rng)
            expected = by_library(request)
            ours = by_coffer(program, request)
            if ours != expected:
                sys.exit(f"request {number} differs:\n{request}\nexpected {expected}\ncoffer   {ours}")
        program.stdin.close()
    print(f"{REQUESTS} signatures equal")


main()
