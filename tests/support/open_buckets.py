# SPDX-License-Identifier: Apache-2.0
"""Every kind of bucket there is, for the contract suite: a directory, and S3 as moto serves it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from support.aws_clients import Key, client

from opentrail.objects.base import Bucket
from opentrail.objects.localdir import LocalDir
from opentrail.objects.setting import Upstream
from opentrail.objects.table import BucketTable

KEY = ("AKIATESTBUCKETS", "secret-of-the-tests")
NOW_MS = 1_700_000_000_000


class SettableClock:
    """A clock that shows what a test sets."""

    def __init__(self) -> None:
        self.ms = NOW_MS

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000


@dataclass
class Kind:
    """One kind of bucket."""

    make: Callable[[str], Bucket]
    """Make a bucket of that name."""
    absent: Bucket
    """One that is not there."""


def directories(root: Path) -> Kind:
    """Return buckets that are directories below ``root``."""
    clock = SettableClock()
    return Kind(
        make=lambda name: LocalDir(root / name, name, clock),
        absent=LocalDir(root / "absent", "absent", clock, create=False),
    )


def at_endpoint(url: str, root: Path) -> Kind:
    """Return buckets at the S3 endpoint ``url``."""
    table = BucketTable({}, root, SettableClock(), "us-east-1", Upstream(url, "", *KEY))
    creator = client("s3", url, Key(*KEY))

    def make(name: str) -> Bucket:
        creator.create_bucket(Bucket=name)
        return table.find(name)

    return Kind(make=make, absent=table.find("absent-bucket"))
