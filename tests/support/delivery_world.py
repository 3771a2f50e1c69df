# SPDX-License-Identifier: Apache-2.0
"""Deliveries and digests over stores in memory: a log, trails, a clock that jumps, buckets."""

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from support.hand_threads import HandThreads
from support.memory_bucket import MemoryBuckets
from support.memory_log import MemoryLog
from support.memory_state import MemoryState
from support.seeded_ids import SeededIds
from support.trail_rooms import newest_cut

from opentrail.clock import iso_seconds
from opentrail.durable import OS_FILES
from opentrail.event.selectors import AdvancedSelector, DataResource, EventSelector, FieldSelector
from opentrail.eventlog.base import Draft, Entry, MarkKind, Origin
from opentrail.state.base import Entry as StateEntry
from opentrail.trails.backlog import Patience
from opentrail.trails.deliver import Delivery, Rooms
from opentrail.trails.digest import Digests, SigningRooms
from opentrail.trails.keys import DigestKeys, SigningKey
from opentrail.trails.parts import Limits
from opentrail.trails.registry import Registry
from opentrail.trails.trail import Control, Trail

ACCOUNTS = ("111111111111", "222222222222")
REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
BUCKETS = ("trail-logs-1", "trail-logs-2")
NOW_MS = 1_700_000_000_000
DATA_TYPE = "AWS::S3::Object"
SELECTORS: dict[str, dict[str, object]] = {
    "default": {"event_selectors": None, "advanced_selectors": None},
    "writes": {"event_selectors": (EventSelector(read_write_type="WriteOnly"),)},
    "data": {
        "event_selectors": (
            EventSelector(data_resources=(DataResource(DATA_TYPE, ("arn:aws:s3",)),)),
        )
    },
    "only data": {
        "event_selectors": None,
        "advanced_selectors": (
            AdvancedSelector(
                (
                    FieldSelector("eventCategory", equals=("Data",)),
                    FieldSelector("resources.type", equals=(DATA_TYPE,)),
                )
            ),
        ),
    },
}

_keys_dir = Path(tempfile.mkdtemp())
_keys: list[SigningKey] = []
"""Private keys for the whole run: making one takes long, as reading one does, and no test is about that here."""


class JumpingClock:
    """Both times moved by hand; the wall clock either way."""

    def __init__(self) -> None:
        self.ms = NOW_MS
        self.seconds = 0.0

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.seconds


class Steady:
    """A jumping clock whose monotonic time is moved by itself: waits that a test passes over are
    none for the time of cuts.
    """

    def __init__(self, clock: JumpingClock) -> None:
        self.clock = clock
        self.seconds = 0.0

    def now_ms(self) -> int:
        return self.clock.ms

    def monotonic(self) -> float:
        return self.seconds


def record(number: int, account: str, region: str, **more: object) -> bytes:
    """A record of the kind that the gateway makes, small."""
    category = more.get("category", "Management")
    return json.dumps(
        {
            "eventVersion": "1.08",
            "userIdentity": {"type": "IAMUser", "accountId": account},
            "eventTime": iso_seconds(NOW_MS + number * 1000),
            "eventSource": "s3.amazonaws.com",
            "eventName": "PutObject",
            "awsRegion": region,
            "requestParameters": {"note": more.get("note", "")},
            "responseElements": None,
            "eventID": str(number),
            "readOnly": more.get("read_only", False),
            "resources": [{"type": DATA_TYPE, "ARN": "arn:aws:s3:::b/k"}],
            "eventType": "AwsApiCall",
            "managementEvent": category == "Management",
            "recipientAccountId": account,
            "eventCategory": category,
        },
        separators=(",", ":"),
    ).encode()


class World:
    """One log, whatever restarts around it."""

    def __init__(
        self,
        limits: Limits | None = None,
        digest_interval_s: int = 60,
        patience: Patience | None = None,
    ) -> None:
        self.clock = JumpingClock()
        self.steady = Steady(self.clock)
        self.log = MemoryLog(now_ms=self.clock.now_ms)
        self.state = MemoryState()
        self.buckets = MemoryBuckets(*BUCKETS, write_once=True)
        self.limits = limits or Limits()
        self.patience = patience
        self.interval_s = digest_interval_s
        self.ids = SeededIds(1)
        self.numbers = 0
        self.threads = HandThreads()
        self.strays: list[Callable[[], None]] = []
        self.restart()

    def restart(self, backup: dict[str, StateEntry] | None = None) -> None:
        """Begin anew with what is stored, or with an older state."""
        if backup is not None:
            self.state.restore(backup)
        self.registry = Registry.open(self.log, self.state, self.steady, self.ids)
        self.keys = self.opened_keys()
        # What was under way when the process died may still happen, or never.
        self.strays += self.threads.waiting
        self.threads = HandThreads()
        rooms = Rooms(self.log, self.state, self.buckets, self.threads)
        self.delivery = Delivery(rooms, self.clock, self.interval_s, self.limits, self.patience)
        self.digests = Digests(
            SigningRooms(self.state, self.buckets, self.keys, self.threads), self.clock
        )

    def opened_keys(self) -> DigestKeys:
        """Open the keys of all worlds; none is read again, which would take long."""
        again = DigestKeys(_keys_dir, self.state, OS_FILES, _keys)
        for key in _keys:
            again.publish(key.public)
        return again

    def create(self, name: str = "trail", account: str = ACCOUNTS[0], **more: object) -> Trail:
        words = {
            "name": name,
            "account": account,
            "home_region": REGIONS[0],
            "bucket": BUCKETS[0],
            "log_file_validation": True,
            **more,
        }
        trail = msgspec.convert({"id": self.registry.new_id(), **words}, Trail)
        return self.registry.change(trail, "CreateTrail")

    def update(self, trail: Trail, **changes: object) -> Trail:
        """Change a trail as it is now."""
        now = next(each for each in self.registry.trails() if each.id == trail.id)
        return self.registry.change(msgspec.structs.replace(now, **changes), "UpdateTrail")

    def write(
        self,
        account: str = ACCOUNTS[0],
        region: str = REGIONS[0],
        origin: Origin = Origin.CAPTURE,
        **more: object,
    ) -> str:
        """Append one record; return its eventID."""
        self.numbers += 1
        self.log.append([Draft(origin, record(self.numbers, account, region, **more))])
        return str(self.numbers)

    def pass_time(self) -> None:
        """Let every open file end, and then every digest window."""
        for _ in range(2):
            newest_ms = newest_cut(self.registry).cut_ms
            self.clock.ms = max(self.clock.ms, newest_ms) + 2 * self.interval_s * 1000
            self.registry.cut()

    def run(self) -> None:
        """Do all there is to do; what failed once is tried again."""
        idle = 0
        for _ in range(10_000):
            self.clock.seconds += 1000  # past every wait
            idle = 0 if self.delivery.step() or self.digests.step() else idle + 1
            if idle > 1:
                return
        raise AssertionError("it never ends")

    def objects(self, folder: str) -> Iterator[tuple[str, str]]:
        """Yield bucket and key of all objects below ``/folder/``."""
        for bucket in self.buckets.all.values():
            for key in sorted(bucket.objects):
                if f"/{folder}/" in key:
                    yield bucket.name, key

    def delivered(self) -> Counter[tuple[str, str, str, str, str]]:
        """Count bucket, prefix, account, region and eventID over all log files."""
        found: Counter[tuple[str, str, str, str, str]] = Counter()
        for bucket, key in self.objects("CloudTrail"):
            found.update(self.events_in(bucket, key))
        return found

    def events_in(self, bucket: str, key: str) -> list[tuple[str, str, str, str, str]]:
        body = json.loads(self.buckets.all[bucket].unpacked(key))
        prefix, _, rest = key.partition("AWSLogs/")
        account, _, region = rest.split("/")[:3]
        return [(bucket, prefix, account, region, each["eventID"]) for each in body["Records"]]

    def expected(self, *, validated: bool = False) -> Counter[tuple[str, str, str, str, str]]:
        """Count the same from the log alone, the obvious way: who logged, who selected, where to."""
        trails: dict[str, Trail] = {}
        found: Counter[tuple[str, str, str, str, str]] = Counter()
        for item in self.log.items(0):
            if not isinstance(item, Entry):
                if item.kind is MarkKind.CONTROL:
                    trail = msgspec.json.decode(item.payload, type=Control).trail
                    trails[trail.id] = trail
                continue
            event = json.loads(item.data)
            for trail in trails.values():
                if is_wanted(trail, item, event) and (trail.log_file_validation or not validated):
                    prefix = f"{trail.prefix}/" if trail.prefix else ""
                    where = (event["recipientAccountId"], event["awsRegion"], event["eventID"])
                    found[trail.bucket, prefix, *where] += 1
        return found


def is_wanted(trail: Trail, entry: Entry, event: dict[str, object]) -> bool:
    """Say the obvious way whether a trail takes a record; knows ``SELECTORS`` only."""
    in_scope = (
        trail.logging
        and entry.origin is not Origin.IMPORT
        and event["recipientAccountId"] == trail.account
        and (trail.is_multi_region or event["awsRegion"] == trail.home_region)
    )
    is_data = event["eventCategory"] == "Data"
    if not in_scope or trail.advanced_selectors:
        return in_scope and is_data
    selector = (trail.event_selectors or (EventSelector(),))[0]
    if selector.read_write_type == "WriteOnly" and event["readOnly"]:
        return False
    return bool(selector.data_resources) if is_data else True
