# SPDX-License-Identifier: Apache-2.0
"""Verifying a bucket, beside the AWS CLI's ``validate-logs`` on the same bucket.

The bucket is a directory of OpenTrail's, and asked for at its S3 endpoint, which has processes of its
own; we also read it where it lies. And from disk, beside the CLI's own code given files instead of
S3's answers, both without the start of their program. Rounds alternate between all of them.
"""

import base64
import functools
import hashlib
import json
import multiprocessing
import operator
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import botocore.session
from awscli.customizations.cloudtrail import validation
from botocore.response import StreamingBody

from bench.gateway import admin_key
from bench.load import started
from bench.machine import spread_percent
from bench.sample import drafts
from opentrail.clock import SystemClock, iso_seconds
from opentrail.objects.base import Put
from opentrail.objects.localdir import LocalDir
from opentrail.objects.s3ask import S3Key, Where
from opentrail.objects.s3get import S3Get
from opentrail.state.sqlite import SqliteState
from opentrail.trails.digestfile import write_digest
from opentrail.trails.gzipped import gzipped
from opentrail.trails.keys import SIGNATURE_ALGORITHM, DigestKeys
from opentrail.trails.progress import Chain, Due
from opentrail.trails.trail import DeliveredFile, Trail
from opentrail.verification.ungzip import sha256_of

TRAIL = Trail(
    id="7d3c1a52-0000-4000-8000-000000000001",
    name="bench",
    account="123456789012",
    home_region="us-east-1",
    bucket="bench-logs",
)
START_S = 1_700_000_000 // 3600 * 3600
HOUR_S = 3600
FILES_PER_HOUR = 12
"""One each five minutes."""
PROFILES = (("busy", 4000, 100), ("quiet", 40, 500))
"""Name, records of a file (a kilobyte each), and files for each second that is to be measured."""
WITHOUT_START = "... less its start"
SHA256_HEX = 64


@dataclass(frozen=True)
class Signed:
    """A digest that was put."""

    key: str
    to_sign: bytes
    sha256: str
    signature: str


@dataclass(frozen=True)
class Filled:
    """A data directory with a bucket that a trail filled."""

    data: Path
    files: int
    digests: tuple[Signed, ...]
    public_key: bytes
    """PKCS #1, DER."""
    size: int
    """Uncompressed bytes of all log files."""

    @property
    def bucket(self) -> Path:
        """The bucket's directory."""
        return self.data / "buckets" / TRAIL.bucket


def fill(data: Path, records: int, files: int) -> Filled:
    """Write log files of so many records each, and their digests."""
    state = SqliteState.open(data / "state.db")
    keys = DigestKeys.open(data / "keys", state)
    bucket = LocalDir(data / "buckets" / TRAIL.bucket, TRAIL.bucket, SystemClock())
    rest = b",".join(draft.data for draft in drafts(records))
    digests: list[Signed] = []
    size = 0
    previous: Chain | None = None
    signer = keys.signing_key(START_S)
    for hour in range(-(-files // FILES_PER_HOUR)):
        begin_s = START_S + hour * HOUR_S
        count = min(FILES_PER_HOUR, files - hour * FILES_PER_HOUR)
        listed = []
        for number in range(count):
            body = b'{"Records":[{"n":%d},%b]}' % (hour * FILES_PER_HOUR + number, rest)
            size += len(body)
            listed.append(_put_log(bucket, body, begin_s + number * 300))
        due = Due(TRAIL, begin_s, begin_s + HOUR_S, 1, 0)
        scope = (TRAIL.account, TRAIL.home_region)
        digest = write_digest(due, scope, listed, previous, signer.public.fingerprint)
        signature = signer.sign(digest.to_sign)
        metadata = {"signature": signature, "signature-algorithm": SIGNATURE_ALGORITHM}
        bucket.put(digest.key, gzipped(digest.data), Put(metadata=metadata))
        previous = Chain(1, TRAIL.bucket, digest.key, digest.sha256, signature)
        digests.append(Signed(digest.key, digest.to_sign, digest.sha256, signature))
    state.close()
    return Filled(data, files, tuple(digests), signer.public.value, size)


def _put_log(bucket: LocalDir, body: bytes, second: int) -> DeliveredFile:
    minute = iso_seconds(second * 1000).replace("-", "").replace(":", "")[:13] + "Z"
    sha256 = hashlib.sha256(body).hexdigest()
    where = (
        f"{TRAIL.account}/CloudTrail/{TRAIL.home_region}/{minute[:4]}/{minute[4:6]}/{minute[6:8]}"
    )
    name = f"{TRAIL.account}_CloudTrail_{TRAIL.home_region}_{minute}_{sha256[:16]}.json.gz"
    key = f"AWSLogs/{where}/{name}"
    bucket.put(key, gzipped(body), Put())
    return DeliveredFile(
        bucket=TRAIL.bucket,
        key=key,
        sha256=sha256,
        oldest_ms=second * 1000,
        newest_ms=second * 1000,
        records=1,
        cut_ms=second * 1000,
        account=TRAIL.account,
        region=TRAIL.home_region,
        folder="CloudTrail",
    )


def opentrail(filled: Filled, *arguments: str, **environment: str) -> float:
    """Let ``opentrail verify`` find all valid; return the seconds it took, its start too."""
    program = [sys.executable, "-m", "opentrail.cli.main", "verify", *arguments]
    return _seconds(program, f"{filled.files}/{filled.files} log files valid", environment)


def aws(filled: Filled, **environment: str) -> float:
    """Let ``validate-logs`` find all valid; return the seconds it took, its start too."""
    program = [sys.executable, "-m", "awscli", "cloudtrail", "validate-logs"]
    program += ["--trail-arn", TRAIL.arn, "--s3-bucket", TRAIL.bucket]
    program += ["--start-time", iso_seconds(START_S * 1000)]
    program += ["--end-time", iso_seconds((START_S + len(filled.digests) * HOUR_S) * 1000)]
    return _seconds(program, f"{filled.files}/{filled.files} log files valid", environment)


def _seconds(program: Sequence[str], said: str, more: dict[str, str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(
        program, env=os.environ | more, capture_output=True, text=True, check=False
    )
    took = time.perf_counter() - began
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-500:]
    assert said in done.stdout, done.stdout[-500:]
    return took


class _OfDisk:
    """What the CLI's code asks for an S3 client, and then for objects: files."""

    def __init__(self, bucket: Path) -> None:
        self._bucket = bucket

    def get_client(self, _name: str) -> "_OfDisk":
        """Return itself."""
        return self

    def get_object(self, **asked: str) -> dict[str, object]:
        """GetObject."""
        path = self._bucket / asked["Key"]
        return {"Body": StreamingBody(path.open("rb"), path.stat().st_size)}


def inner_loop(filled: Filled) -> float:
    """Let the code of ``validate-logs`` check each file, in this process; return the seconds."""
    command = validation.CloudTrailValidateLogs(botocore.session.Session())
    command.s3_client_provider = _OfDisk(filled.bucket)
    check = validation.Sha256RSADigestValidator()
    key = base64.b64encode(filled.public_key)
    began = time.perf_counter()
    for digest in filled.digests:
        content = zlib.decompress((filled.bucket / digest.key).read_bytes(), zlib.MAX_WBITS | 16)
        said = json.loads(content) | {"_signature": digest.signature}
        check.validate(TRAIL.bucket, digest.key, key, said, content)
        for entry in said["logFiles"]:
            operator.methodcaller("_download_log", entry)(command)
    took = time.perf_counter() - began
    assert vars(command)["_valid_logs"] == filled.files
    return took


def beginning(filled: Filled) -> float:
    """Return the seconds that ``opentrail verify`` takes where there is nothing to verify."""
    empty = filled.data / "empty"
    empty.mkdir(exist_ok=True)
    keys = ("--public-keys", str(filled.data / "keys.json"), "--data", str(filled.data / "none"))
    program = [sys.executable, "-m", "opentrail.cli.main", "verify", str(empty), *keys]
    began = time.perf_counter()
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    assert "No digests found" in done.stdout, done.stdout + done.stderr
    return took


def bare(filled: Filled, where: Where) -> float:
    """Read every object at the endpoint once, no more; return the seconds."""
    keys = [str(path.relative_to(filled.bucket)) for path in filled.bucket.rglob("*.json.gz")]
    return _in_two(functools.partial(_read, where), keys)


def _read(where: Where, keys: Sequence[str]) -> int:
    client = S3Get(where, TRAIL.bucket, SystemClock())
    with ThreadPoolExecutor(8) as threads:
        return sum(found is not None for found in threads.map(client.get, keys))


def bare_and_hashed(filled: Filled, where: Where) -> float:
    """Read every object at the endpoint, inflate and hash it, no more; return the seconds."""
    keys = [str(path.relative_to(filled.bucket)) for path in filled.bucket.rglob("*.json.gz")]
    return _in_two(functools.partial(_read_and_hash, where), keys)


def _read_and_hash(where: Where, keys: Sequence[str]) -> int:
    client = S3Get(where, TRAIL.bucket, SystemClock())

    def one(key: str) -> bool:
        found = client.get(key)
        return found is not None and len(sha256_of(found[1])) == SHA256_HEX

    with ThreadPoolExecutor(8) as threads:
        return sum(threads.map(one, keys))


def hashed(filled: Filled) -> float:
    """Read, inflate and hash every file, no more; return the seconds."""
    return _in_two(_hash, [str(path) for path in filled.bucket.rglob("*.json.gz")])


def _hash(paths: Sequence[str]) -> int:
    return sum(len(sha256_of(Path(path).read_bytes())) == SHA256_HEX for path in paths)


def _in_two(work: Callable[[Sequence[str]], int], items: Sequence[str]) -> float:
    """Let two processes, which have begun, work on all items; return the seconds."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(work, [items[:2], items[-2:]]))
        began = time.perf_counter()
        done = sum(pool.map(work, [items[::2], items[1::2]]))
        took = time.perf_counter() - began
    assert done == len(items)
    return took


def run(directory: Path, rounds: int, seconds: float) -> None:
    """Measure and print, once with large log files and once with small ones."""
    for name, records, files_per_s in PROFILES:
        files = max(int(seconds * files_per_s), FILES_PER_HOUR + 1)
        with tempfile.TemporaryDirectory(dir=directory) as folder:
            _measure(name, fill(Path(folder), records, files), rounds)


def _cpu_s() -> float:
    """Return what this process and those that it waited for have used: not the server."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _measure(name: str, filled: Filled, rounds: int) -> None:
    keys = filled.data / "keys.json"
    exported = [sys.executable, "-m", "opentrail.cli.main", "public-keys", "export", "--data"]
    listed = subprocess.run([*exported, str(filled.data)], capture_output=True, check=True)
    keys.write_bytes(listed.stdout)
    known = ("--public-keys", str(keys), "--data", str(filled.data / "none"))
    serve = ("-m", "opentrail.cli.main", "serve", "--data", str(filled.data))
    with started(*serve, "--listen", "127.0.0.1:0") as (port, _):
        key_id, secret = admin_key(filled.data)
        endpoint = f"http://127.0.0.1:{port}"
        client = {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": key_id,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_DEFAULT_REGION": TRAIL.home_region,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
        where = Where(endpoint, TRAIL.home_region, S3Key(key_id, secret))
        disk = functools.partial(opentrail, filled, str(filled.bucket), *known)
        here = (f"s3://{TRAIL.bucket}", *known[:2], "--data", str(filled.data))
        remote = (f"s3://{TRAIL.bucket}", *known, "--endpoint-url", endpoint)
        subjects: list[tuple[str, Callable[[], float], bool]] = [
            ("validate-logs, S3", lambda: aws(filled, **client), True),
            ("opentrail verify, S3", lambda: opentrail(filled, *remote, **client), False),
            ("GET of each object alone", lambda: bare(filled, where), False),
            ("GET, inflate, hash alone", lambda: bare_and_hashed(filled, where), False),
            ("opentrail verify, here", lambda: opentrail(filled, *here), False),
            ("its inner loop, disk", lambda: inner_loop(filled), True),
            ("inflate and hash alone", lambda: hashed(filled), False),
            ("opentrail verify, disk", disk, False),
            (WITHOUT_START, lambda: max(disk() - beginning(filled), 0.001), False),
        ]
        took: dict[str, list[float]] = {subject: [] for subject, _, _ in subjects}
        cpu: dict[str, list[float]] = {subject: [] for subject, _, _ in subjects}
        for _ in range(rounds):
            for subject, work, _ in subjects:
                before = _cpu_s()
                took[subject].append(work())
                cpu[subject].append(_cpu_s() - before)
    each_kb = filled.size / filled.files / 1000
    print(
        f"\nverify, {name}: {filled.files} log files of {each_kb:,.0f} kB, {os.cpu_count()} cores"
    )
    _print_table([(subject, is_base) for subject, _, is_base in subjects], took, cpu)


def _print_table(
    subjects: Sequence[tuple[str, bool]], took: dict[str, list[float]], cpu: dict[str, list[float]]
) -> None:
    """Print a row for each subject; the ratio is to the last one before it that is a base."""
    print(f"  {'':26}{'seconds':>9}{'spread':>8}{'CPU s':>8}{'ratio':>8}")
    base = 0.0
    for subject, is_base in subjects:
        middle = statistics.median(took[subject])
        base = middle if is_base else base
        spread = f"{spread_percent(took[subject]):.0f} %"
        busy = "" if subject == WITHOUT_START else f"{statistics.median(cpu[subject]):.2f}"
        print(f"  {subject:26}{middle:9.2f}{spread:>8}{busy:>8}{base / middle:8.2f}")
