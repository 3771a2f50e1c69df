# SPDX-License-Identifier: Apache-2.0
"""What trail operations work with, in memory: a log, a state, buckets that refuse when told to."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from support.memory_log import MemoryLog
from support.memory_state import MemoryState
from support.seeded_ids import SeededIds

from opentrail.clock import Clock
from opentrail.errors import ClientError, Unavailable
from opentrail.objects.base import Head, Listed, Put
from opentrail.objects.names import check_name
from opentrail.trails.connections import Connections
from opentrail.trails.keys import PublicKey
from opentrail.trails.organization import ListedOrganization, Organization, Organizations
from opentrail.trails.registry import Registry
from opentrail.trails.target_client import Clients, Endpoints
from opentrail.trails.target_logs import LogsTarget
from opentrail.trails.target_setting import TargetSetting
from opentrail.trails.target_sns import SnsTarget
from opentrail.trails.trail import Cut, Trail
from opentrail.wire.rooms import Targets

NOW_MS = 1_700_000_000_000
BUCKET = "trail-logs"
KEY_ID = "0f0e0d0c-1111-2222-3333-445566778899"


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


@dataclass
class SilentBucket(SmallBucket):
    """A bucket that leaves whoever asks without an answer for a while."""

    asked: threading.Event = field(default_factory=threading.Event)
    answers: threading.Event = field(default_factory=threading.Event)

    def acl_readable(self) -> None:
        self.asked.set()
        assert self.answers.wait(timeout=60)
        super().acl_readable()


class SmallBuckets(dict[str, SmallBucket]):
    """Buckets by name; those that are not in it do not exist."""

    def find(self, name: str) -> SmallBucket:
        check_name(name)
        return self.get(name) or SmallBucket(name, exists=False)


@dataclass
class SmallTargets:
    """Targets that take everything, but for what ``refusals`` names."""

    refusals: dict[str, ClientError] = field(default_factory=dict)
    tried: list[tuple[str, str]] = field(default_factory=list)
    """What was tried, and with what, in order."""

    def offered(self, trail: Trail) -> None:
        assert trail.home_region, "asked before anything is tried"

    def key_arn(self, trail: Trail) -> str:
        self._try("key", trail.kms_key_id)
        return f"arn:aws:kms:{trail.home_region}:{trail.account}:key/{KEY_ID}"

    def try_topic(self, trail: Trail) -> None:
        self._try("topic", trail.sns_topic_arn)

    def try_log_group(self, trail: Trail) -> None:
        self._try("logs", trail.log_group_arn)

    def _try(self, what: str, value: str) -> None:
        self.tried.append((what, value))
        if what in self.refusals:
            raise self.refusals[what]


def nowhere(clock: Clock) -> Connections:
    """Return the targets of a server that knows nobody to deliver to."""
    clients = Clients(TargetSetting(), Endpoints(), clock)
    return Connections(clients, SnsTarget(clients), LogsTarget(clients, 0))


class TrailRooms:
    """A registry over a log and a state in memory, and one good bucket; no targets unless set."""

    targets: Targets
    organizations: Organizations

    def __init__(self) -> None:
        self.clock = SetClock()
        self.lookup_requests_s = 0.0
        self.log = MemoryLog()
        self.state = MemoryState()
        self.ids = SeededIds(1)
        self.buckets = SmallBuckets({BUCKET: SmallBucket(BUCKET)})
        self.organizations = ListedOrganization(Organization("", ""), self.state)
        self.trails_max = 5
        self.keys: list[PublicKey] = []
        self.targets: Targets = nowhere(self.clock)
        self.asked: list[tuple[int, int]] = []
        self.registry = self.reopen()

    def reopen(self) -> Registry:
        """Open the registry anew, as after a restart."""
        self.registry = Registry.open(self.log, self.state, self.clock, self.ids)
        return self.registry

    def public_keys(self, start_ms: int, end_ms: int) -> list[PublicKey]:
        self.asked.append((start_ms, end_ms))
        return [key for key in self.keys if key.start_ms <= end_ms and start_ms < key.end_ms]


def newest_cut(registry: Registry) -> Cut:
    """Return the newest cut that the registry has taken up; one of 1970 when there is none."""
    with registry._believed():
        return Cut(registry._applied.cut_ms)
