# SPDX-License-Identifier: Apache-2.0
"""Copies records to EventBridge: one event for each, however many of an account's trails take it.

Source: Amazon EventBridge User Guide, "AWS service events delivered via AWS CloudTrail"; EventBridge API
Reference, "PutEvents": its limits of a batch, entries that fail alone.
"""

import logging
from collections.abc import Mapping, Sequence

import msgspec

from opentrail.errors import ClientError, Unavailable
from opentrail.event.place import category_of
from opentrail.event.record import Record
from opentrail.trails.target import Copied
from opentrail.trails.target_client import Clients, Service, answer_as
from opentrail.trails.target_setting import TargetSetting
from opentrail.trails.trail import Trail

ENTRIES_MAX = 10
BATCH_BYTES_MAX = 256 * 1024
OVERHEAD_BYTES = 256
"""PutEvents counts time (14), source and detail type of an entry too: those are shorter."""
TRIES_MAX = 3
"""Of entries that fail while others of their batch are taken."""
DETAIL_TYPES: Mapping[str, str] = {
    "AwsApiCall": "AWS API Call via CloudTrail",
    "AwsServiceEvent": "AWS Service Event via CloudTrail",
    "AwsConsoleSignIn": "AWS Console Sign In via CloudTrail",
    "AwsConsoleAction": "AWS Console Action via CloudTrail",
    "AwsCloudTrailInsight": "AWS Insight via CloudTrail",
    "AwsVpceEvent": "AWS Network Activity Event via CloudTrail",
}
"""eventType -> detail type; any other is that of an API call."""

_log = logging.getLogger("opentrail.trails")
_DENIALS = ("AccessDenied", "NotAuthorized")
"""In codes that somebody can mend, at the bus or here: those entries are held."""
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

    def send(self, trail: Trail, records: Sequence[Copied], _at_ms: int) -> int:
        """See ``Copies``. A region that is none has no bus, and whoever claims it must not end all."""
        regions: dict[str, list[Copied]] = {}
        for copied in records:
            said = copied.record.aws_region
            region = said if self._clients.is_region(said) else trail.home_region
            regions.setdefault(region, []).append(copied)
        return sum(self._put(Service("events", region), some) for region, some in regions.items())

    def _put(self, service: Service, records: list[Copied]) -> int:
        """Put all; those that fail while others are taken are put again, alone.

        Return how many are given up: refused, and not for who puts them, by a bus that takes others.
        """
        taken, refused = False, list[_Result]()
        for _ in range(TRIES_MAX):
            results = zip(records, self._results(service, records), strict=True)
            failed = [(copied, result) for copied, result in results if result.error_code]
            taken = taken or len(failed) < len(records)
            records = [copied for copied, _ in failed]
            refused = [each for _, each in failed if each.error_code not in _PASSING]
            for each in refused:
                if not taken or _is_denial(each.error_code):
                    raise ClientError(each.error_code, each.error_message)
            if not records:
                return 0
        if len(refused) < len(records):
            raise Unavailable(f"events did not take {len(records)} entries")
        for copied, each in zip(records, refused, strict=True):
            text = "the bus refuses event %.64r (%s): it is given up"
            _log.warning(text, copied.record.event_id, each.error_code)
        return len(records)

    def _results(self, service: Service, records: Sequence[Copied]) -> Sequence[_Result]:
        """Return what is said of each; of a batch that is refused as a whole each is put alone."""
        entries = [self._entry(copied) for copied in records]
        try:
            answer = self._clients.call(service, "put_events", Entries=entries)
        except ClientError as error:
            if len(records) == 1 or _is_denial(error.code):
                return [_Result(error_code=error.code, error_message=error.message)] * len(records)
            return [result for each in records for result in self._results(service, [each])]
        results = answer_as(answer, _Answer, "events").entries
        if len(results) != len(records):
            raise Unavailable(f"events told of {len(results)} entries of {len(records)}")
        return results

    def _entry(self, copied: Copied) -> dict[str, object]:
        record = copied.record
        entry: dict[str, object] = {
            "Source": f"{self._setting.events_source_prefix}{service_of(record)}",
            "DetailType": DETAIL_TYPES.get(record.event_type, DETAIL_TYPES["AwsApiCall"]),
            "Detail": copied.text,
            "Resources": [],
            "EventBusName": self._setting.events_bus,
        }
        if record.event_time:
            entry["Time"] = record.event_time
        return entry


def service_of(record: Record) -> str:
    """Return whose event it is: Insights records, which name no source, are CloudTrail's own."""
    return record.event_source.removesuffix(_SUFFIX) or "cloudtrail"


def _is_denial(code: str) -> bool:
    return any(each in code for each in _DENIALS)
