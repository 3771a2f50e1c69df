# SPDX-License-Identifier: Apache-2.0
"""Log to gzip file, one trail: events a second on one core, beside zlib-ng alone and Python's gzip.

Every round measures all of them in turn, over the same records, in a log on disk; figures are medians
over the rounds, with the spread. ``bench/delivery.py [ROUNDS [BACKLOG_MB]]``; 0 MB: no backlog.
"""

import gzip
import hashlib
import itertools
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec
from zlib_ng import zlib_ng

from opentrail.clock import SystemClock, SystemIds, iso_seconds
from opentrail.errors import ClientError
from opentrail.eventlog.base import Draft, MarkKind, Origin
from opentrail.eventlog.reader import SegmentReader
from opentrail.eventlog.segments import Segments
from opentrail.objects.base import Head, Listed, Put
from opentrail.state.sqlite import SqliteState
from opentrail.trails.deliver import Delivery, Rooms
from opentrail.trails.trail import Control, Cut, Trail

EVENTS = 100_000
BATCH = 1_000
LEVEL = 6
FEW = 10_000
"""Python's gzip is an order slower: it gets fewer."""
NOW_MS = 1_700_000_000_000


class Nowhere:
    """A bucket that keeps nothing, so that no disk is measured."""

    name = "nowhere"

    def find(self, _name: str) -> "Nowhere":
        """See ``Buckets``."""
        return self

    def put(self, _key: str, _data: bytes, _how: Put) -> None:
        """See ``Bucket``."""

    def get(self, key: str) -> tuple[Head, bytes]:
        """See ``Bucket``."""
        return self.head(key), b""

    def head(self, key: str) -> Head:
        """See ``Bucket``."""
        raise ClientError("NoSuchKey", key, 404)

    def list(self, _prefix: str, _after: str = "", _limit: int = 0) -> Iterator[Listed]:
        """See ``Bucket``."""
        return iter(())

    def acl_readable(self) -> None:
        """See ``Bucket``."""


def record(number: int) -> bytes:
    """One CreateTrainingJob-like record of about 1.3 KB, no two alike."""
    unique = hashlib.sha256(b"%d" % number).hexdigest()
    user = f"user-{number % 40}"
    arn = f"arn:aws:iam::123456789012:user/{user}"
    return json.dumps(
        {
            "eventVersion": "1.08",
            "userIdentity": {
                "type": "IAMUser",
                "principalId": f"AIDA{unique[:16].upper()}",
                "arn": arn,
                "accountId": "123456789012",
                "accessKeyId": f"AKIA{unique[16:32].upper()}",
                "userName": user,
            },
            "eventTime": iso_seconds(NOW_MS + number),
            "eventSource": "sagemaker.amazonaws.com",
            "eventName": ("DescribeEndpoint", "CreateModel", "CreateTrainingJob")[number % 3],
            "awsRegion": "us-east-1",
            "sourceIPAddress": f"10.0.{number % 250}.{number % 241}",
            "userAgent": "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux#6.1 lang/python#3.11",
            "requestParameters": {
                "modelName": f"model-{unique[:12]}",
                "primaryContainer": {
                    "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/kmeans:latest",
                    "modelDataUrl": f"s3://models/{unique[12:30]}/model.tar.gz",
                    "environment": {"STAGE": "production", "RUN": unique[30:50]},
                },
                "executionRoleArn": "arn:aws:iam::123456789012:role/service-role/sagemaker",
                "vpcConfig": {"subnets": [f"subnet-{unique[:8]}"], "securityGroupIds": ["sg-1"]},
            },
            "responseElements": {"modelArn": f"arn:aws:sagemaker:us-east-1:1:model/{unique[:12]}"},
            "requestID": f"{unique[:8]}-{unique[8:12]}-4{unique[12:15]}-8000-{unique[15:27]}",
            "eventID": f"{unique[30:38]}-{unique[38:42]}-4{unique[42:45]}-9000-{unique[45:57]}",
            "readOnly": not number % 3,
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": "123456789012",
            "eventCategory": "Management",
            "tlsDetails": {"clientProvidedHostHeader": "api.sagemaker.us-east-1.amazonaws.com"},
        },
        separators=(",", ":"),
    ).encode()


def fill(data: Path, records: Iterable[bytes]) -> int:
    """Write one trail's start, ``records`` and a cut; return the records' bytes."""
    log = Segments.open(data, SystemClock(), SystemIds())
    trail = Trail(
        id="7d3c1a52-0000-4000-8000-000000000001",
        name="bench",
        account="123456789012",
        home_region="us-east-1",
        bucket="nowhere",
        logging=True,
        started_ms=NOW_MS,
    )
    encode = msgspec.json.encode
    start = (MarkKind.CUT, encode(Cut(NOW_MS))), (MarkKind.CONTROL, encode(Control("", trail)))
    log.append_marks(start)
    total = 0
    for batch in batches(records):
        total += sum(map(len, batch))
        log.append([Draft(Origin.CAPTURE, each) for each in batch])
    log.append_marks([(MarkKind.CUT, encode(Cut(NOW_MS + 300_000)))])
    log.close()
    return total


def batches(records: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield ``records`` in lists of ``BATCH``."""
    iterator = iter(records)
    while batch := list(itertools.islice(iterator, BATCH)):
        yield batch


def deliver(data: Path) -> float:
    """Deliver the whole log with a new state; return the seconds of CPU."""
    with tempfile.TemporaryDirectory() as folder:
        log = SegmentReader(data / "log")
        state = SqliteState.open(Path(folder) / "state.db")
        delivery = Delivery(Rooms(log, state, Nowhere()), SystemClock(), 3600)
        began = time.process_time()
        while delivery.step():
            pass
        seconds = time.process_time() - began
        log.close()
        state.close()
        return seconds


def zlib_ng_alone(records: list[bytes]) -> float:
    """Compress the records' bytes in one go; return the seconds of CPU."""
    data = b",".join(records)
    began = time.process_time()
    zlib_ng.compress(data, LEVEL, 31)
    return time.process_time() - began


def python_gzip(records: list[bytes]) -> float:
    """Decode each record and write the file as scripts do; return the seconds of CPU."""
    began = time.process_time()
    body = json.dumps({"Records": [json.loads(each) for each in records]}).encode()
    gzip.compress(body, LEVEL, mtime=0)
    return time.process_time() - began


def compare(rounds: int) -> None:
    """Print the rates."""
    records = [record(number) for number in range(EVENTS)]
    print(f"{EVENTS:,} events of {sum(map(len, records)) / EVENTS:,.0f} bytes")
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        fill(data, records)
        ways: dict[str, tuple[Callable[[], float], int]] = {
            "delivery": (lambda: deliver(data), EVENTS),
            "zlib-ng 6 alone": (lambda: zlib_ng_alone(records), EVENTS),
            "json + gzip 6": (lambda: python_gzip(records[:FEW]), FEW),
        }
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, (run, count) in ways.items():
                rates[name].append(count / run())
    for name, found in rates.items():
        middle = statistics.median(found)
        print(f"{name:16} {middle:>9,.0f} events/s a core ({min(found):,.0f}-{max(found):,.0f})")


def backlog(megabytes: int) -> None:
    """Let a process of its own deliver one range of so many megabytes."""
    with tempfile.TemporaryDirectory() as folder:
        size = fill(Path(folder), map(record, range(megabytes * 1_000_000 // len(record(0)))))
        print(f"backlog of {size / 1e6:,.0f} MB in one range: ", end="", flush=True)
        subprocess.run([sys.executable, __file__, "--deliver", folder], check=True)


def deliver_backlog(folder: str) -> None:
    """Deliver, and print what it took."""
    seconds = deliver(Path(folder))
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{seconds:.1f} s, peak {peak_kb / 1024:,.0f} MB")


def main(arguments: list[str]) -> None:
    """Run what was asked for."""
    if arguments[:1] == ["--deliver"]:
        deliver_backlog(arguments[1])
        return
    compare(int(arguments[0]) if arguments else 3)
    if int(arguments[1] if len(arguments) > 1 else 0):
        backlog(int(arguments[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
