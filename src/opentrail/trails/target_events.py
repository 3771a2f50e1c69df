# SPDX-License-Identifier: Apache-2.0
"""Copies records to EventBridge: one event for each, however many of an account's trails take it.

Source: Amazon EventBridge User Guide, "Events from AWS services via AWS CloudTrail"; EventBridge API
Reference, "PutEvents": its limits of a batch, entries that fail alone.
"""

from collections.abc import Mapping, Sequence

import msgspec

from opentrail.errors import ClientError, Unavailable
from opentrail.event.place import category_of
from opentrail.event.record import Record
from opentrail.trails.target import Copied
from opentrail.trails.target_client import Clients, Service
from opentrail.trails.target_setting import TargetSetting
from opentrail.trails.trail import Trail

ENTRIES_MAX = 10
BATCH_BYTES_MAX = 256 * 1024
OVERHEAD_BYTES = 256
"""PutEvents counts time (14), source and detail type of an entry too: those are shorter."""
TRIES_MAX = 3
"""Of entries that fail for a passing reason while others of their batch were taken."""
DETAIL_TYPES: Mapping[str, str] = {
    "AwsApiCall": "AWS API Call via CloudTrail",
    "AwsServiceEvent": "AWS Service Event via CloudTrail",
    "AwsConsoleSignIn": "AWS Console Sign In via CloudTrail",
    "AwsConsoleAction": "AWS Console Action via CloudTrail",
    "AwsCloudTrailInsight": "AWS Insight via CloudTrail",
}
"""eventType -> detail type; any other is that of an API call."""

_PASSING = frozenset({"InternalFailure", "InternalException", "ThrottlingException"})
_SUFFIX = ".amazonaws.com"


class _Result(msgspec.Struct, rename="pascal"):
    event_id: str = ""
    error_code: str = ""
    error_message: str = ""


class _Answer(msgspec.Struct, rename="pascal"):
    failed_entry_count: int = 0
    entries: list[_Result] = []


class EventsTarget:
    """``target.Copies``: one feed for each account."""

    name = "events"
    shared = True
    batch_max = ENTRIES_MAX
    bytes_max = BATCH_BYTES_MAX
    overhead = OVERHEAD_BYTES
    event_bytes_max = BATCH_BYTES_MAX

    def __init__(self, clients: Clients, setting: TargetSetting) -> None:
        self._clients = clients
        self._setting = setting

    def wants(self, _trail: Trail) -> bool:
        """See ``Copies``."""
        return self._setting.events

    def takes(self, record: Record) -> bool:
        """See ``Copies``: rules see reads of the management plane only where they ask for them."""
        if record.read_only is not True or category_of(record) != "Management":
            return True
        return self._setting.events_read_only

    def send(self, _trail: Trail, records: Sequence[Copied], _at_ms: int) -> None:
        """See ``Copies``."""
        regions: dict[str, list[dict[str, object]]] = {}
        for copied in records:
            regions.setdefault(copied.record.aws_region, []).append(self._entry(copied))
        for region, entries in regions.items():
            self._put(Service("events", region), entries)

    def _put(self, service: Service, entries: list[dict[str, object]]) -> None:
        """Put all; those that fail while others are taken are put again, alone."""
        for _ in range(TRIES_MAX):
            answer = self._clients.call(service, "put_events", Entries=entries)
            results = msgspec.convert(answer, _Answer).entries
            failed = [number for number, each in enumerate(results) if each.error_code]
            if not failed:
                return
            refused = [results[number] for number in failed]
            for each in refused:
                if each.error_code not in _PASSING:
                    raise ClientError(each.error_code, each.error_message)
            entries = [entries[number] for number in failed]
        raise Unavailable(f"events did not take {len(entries)} entries")

    def _entry(self, copied: Copied) -> dict[str, object]:
        record = copied.record
        service = record.event_source.removesuffix(_SUFFIX)
        entry: dict[str, object] = {
            "Source": f"{self._setting.events_source_prefix}{service}",
            "DetailType": DETAIL_TYPES.get(record.event_type, DETAIL_TYPES["AwsApiCall"]),
            "Detail": copied.text,
            "Resources": [],
            "EventBusName": self._setting.events_bus,
        }
        if record.event_time:
            entry["Time"] = record.event_time
        return entry
