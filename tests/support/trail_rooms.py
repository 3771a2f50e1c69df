# SPDX-License-Identifier: Apache-2.0
"""What trail operations work with, in memory: a log, a state, buckets that refuse when told to."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from support.memory_log import MemoryLog
from support.memory_state import MemoryState
from support.seeded_ids import SeededIds

from opentrail.errors import ClientError, Unavailable
from opentrail.objects.base import Head, Listed, Put
from opentrail.objects.names import check_name
from opentrail.trails.keys import PublicKey
from opentrail.trails.registry import Registry

NOW_MS = 1_700_000_000_000
BUCKET = "trail-logs"


class SetClock:
    """A clock that a test sets."""

    def __init__(self, ms: int = NOW_MS) -> None:
        self.ms = ms

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000


@dataclass
class SmallBucket:
    """A bucket in memory; ``denied`` are the keys, or "acl", that its policy refuses."""

    name: str
    exists: bool = True
    silent: bool = False
    """It does not answer."""
    denied: set[str] = field(default_factory=set)
    objects: dict[str, tuple[bytes, Put]] = field(default_factory=dict)

    def put(self, key: str, data: bytes, how: Put) -> None:
        self._ask(key)
        self.objects[key] = (data, how)

    def get(self, key: str) -> tuple[Head, bytes]:
        raise NotImplementedError

    def head(self, key: str) -> Head:
        raise NotImplementedError

    def list(self, prefix: str, after: str = "", limit: int = 1000) -> Iterator[Listed]:
        raise NotImplementedError

    def acl_readable(self) -> None:
        self._ask("acl")

    def _ask(self, what: str) -> None:
        if self.silent:
            raise Unavailable("no answer")
        if not self.exists:
            raise ClientError("NoSuchBucket", "The specified bucket does not exist", 404)
        if what in self.denied:
            raise ClientError("AccessDenied", "Access Denied", 403)


class SmallBuckets(dict[str, SmallBucket]):
    """Buckets by name; those that are not in it do not exist."""

    def find(self, name: str) -> SmallBucket:
        check_name(name)
        return self.get(name) or SmallBucket(name, exists=False)


class TrailRooms:
    """A registry over a log and a state in memory, and one good bucket."""

    def __init__(self) -> None:
        self.clock = SetClock()
        self.log = MemoryLog()
        self.state = MemoryState()
        self.ids = SeededIds(1)
        self.buckets = SmallBuckets({BUCKET: SmallBucket(BUCKET)})
        self.keys: list[PublicKey] = []
        self.asked: list[tuple[int, int]] = []
        self.registry = self.reopen()

    def reopen(self) -> Registry:
        """Open the registry anew, as after a restart."""
        self.registry = Registry.open(self.log, self.state, self.clock, self.ids)
        return self.registry

    def public_keys(self, start_ms: int, end_ms: int) -> list[PublicKey]:
        self.asked.append((start_ms, end_ms))
        return [key for key in self.keys if key.start_ms <= end_ms and start_ms < key.end_ms]
