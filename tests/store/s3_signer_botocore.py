"""Random requests, signed by coffer (sign_s3) and by botocore, the AWS tools' own library: the
Authorization headers are equal. Google's dialect, which botocore lacks, is computed here with the
standard library alone.

    s3_signer_botocore.py path/to/sign_s3
"""

import datetime
import hashlib
import hmac
import os
import random
import subprocess
import sys
from unittest import mock

import botocore.auth
import botocore.awsrequest
import botocore.credentials

REQUESTS = 300


def text(rng, letters, least, most):
    return "".join(rng.choice(letters) for _ in range(rng.randint(least, most)))


def random_request(rng):
    plain = "abcXYZ019-._~"
    odd = plain + " +*%$&=@:,;!'()ü€\""
    query = {text(rng, plain, 1, 12): text(rng, odd.replace("&", "") + "/", 0, 20) for _ in range(rng.randint(0, 4))}
    headers = {"x-amz-" + text(rng, "abcxyz-", 1, 10): text(rng, plain + "  ", 1, 30).strip() or "v"
               for _ in range(rng.randint(0, 3))}
    if rng.random() < 0.3:
        headers["Range"] = "bytes=0-9"
    return {
        "method": rng.choice(["GET", "PUT", "POST", "DELETE", "HEAD"]),
        "host": rng.choice(["bucket.s3.eu-west-1.amazonaws.com", "127.0.0.1:7480", "s3.example"]),
        "path": "/" + "/".join(text(rng, odd, 1, 15) for _ in range(rng.randint(0, 4))),
        "query": query,
        "headers": headers,
        "body": rng.randbytes(rng.choice([0, 1, 64, 5000])).hex(),
        "region": rng.choice(["us-east-1", "default", "eu-central-1"]),
        "access": text(rng, "ABCDEFGH234567", 16, 20),
        "secret": text(rng, plain + "/+", 10, 90),
        "token": text(rng, plain + "/+=", 20, 900) if rng.random() < 0.4 else "",
        "when": rng.randint(1_000_000_000, 4_000_000_000),
    }


def quote(part, keep=""):
    return botocore.auth.quote(part, safe="-_.~" + keep)


def by_coffer(program, dialect, r):
    fields = [dialect, r["region"], r["access"], r["secret"], r["token"], r["method"], r["host"], quote(r["path"], "/"),
              "&".join(f"{name}={value}" for name, value in r["query"].items()), bytes.fromhex(r["body"]),
              str(r["when"])] + [f"{name}:{value}" for name, value in r["headers"].items()]
    line = "\t".join((f if isinstance(f, bytes) else f.encode()).hex() for f in fields)
    program.stdin.write(line + "\n")
    program.stdin.flush()
    return program.stdout.readline().strip().replace(",", ", ")


def by_botocore(r):
    url = f"http://{r['host']}{quote(r['path'], '/')}"
    if r["query"]:
        url += "?" + "&".join(f"{quote(name)}={quote(value)}" for name, value in r["query"].items())
    body = bytes.fromhex(r["body"])
    request = botocore.awsrequest.AWSRequest(method=r["method"], url=url, data=body, headers=dict(r["headers"]))
    # Signed as over plain HTTP and HTTPS alike: by the body's own hash.
    request.context["client_config"] = mock.Mock(s3={"payload_signing_enabled": True})
    keys = botocore.credentials.Credentials(r["access"], r["secret"], r["token"] or None)
    now = datetime.datetime.utcfromtimestamp(r["when"])
    with mock.patch("botocore.auth.datetime") as clock:
        clock.datetime.utcnow.return_value = now
        botocore.auth.S3SigV4Auth(keys, "s3", r["region"]).add_auth(request)
    return request.headers["Authorization"]


def by_google(r):
    moment = datetime.datetime.utcfromtimestamp(r["when"]).strftime("%Y%m%dT%H%M%SZ")
    scope = [moment[:8], r["region"], "storage", "goog4_request"]
    body_hash = hashlib.sha256(bytes.fromhex(r["body"])).hexdigest()
    headers = {**r["headers"], "host": r["host"], "x-goog-date": moment, "x-goog-content-sha256": body_hash}
    if r["token"]:
        headers["x-goog-security-token"] = r["token"]
    lines = sorted((name.lower(), " ".join(value.split())) for name, value in headers.items())
    names = ";".join(name for name, _ in lines)
    query = "&".join(f"{name}={value}" for name, value in
                     sorted((quote(name), quote(value)) for name, value in r["query"].items()))
    canonical = "\n".join([r["method"], quote(r["path"], "/"), query, *(f"{n}:{v}" for n, v in lines), "", names, body_hash])
    key = ("GOOG4" + r["secret"]).encode()
    for step in scope:
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    to_sign = "\n".join(["GOOG4-HMAC-SHA256", moment, "/".join(scope), hashlib.sha256(canonical.encode()).hexdigest()])
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    return f"GOOG4-HMAC-SHA256 Credential={r['access']}/{'/'.join(scope)}, SignedHeaders={names}, Signature={signature}"


def main():
    seed = int(os.environ.get("COFFER_TEST_SEED") or random.randrange(1 << 32))
    print(f"seed {seed} (COFFER_TEST_SEED replays it)")
    rng = random.Random(seed)
    with subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        for number in range(REQUESTS):
            request = random_request(rng)
            dialect = "google" if number % 4 == 0 else "aws"
            expected = by_google(request) if dialect == "google" else by_botocore(request)
            ours = by_coffer(program, dialect, request)
            if ours != expected:
                sys.exit(f"request {number} differs:\n{request}\nexpected {expected}\ncoffer   {ours}")
        program.stdin.close()
    print(f"{REQUESTS} signatures equal")


main()
