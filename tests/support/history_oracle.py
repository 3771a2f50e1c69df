# SPDX-License-Identifier: Apache-2.0
"""Event history, slow and obvious: every lookup reads and sorts the whole log."""

import datetime as dt
from typing import Any

import msgspec
from support.memory_log import MemoryLog

from opentrail.history.derive import derive
from opentrail.history.index import LOOKUP_WINDOW_S
from opentrail.history.indexed import indexed
from opentrail.history.lookup import Found, Lookup, Page

NOW_S = 1_750_000_000


class FixedClock:
    """A clock that a test moves by hand."""

    def __init__(self, now_s: int = NOW_S) -> None:
        self.now_s = now_s

    def now_ms(self) -> int:
        return self.now_s * 1000

    def monotonic(self) -> float:
        return float(self.now_s)


def record(number: int = 0, time_s: int = NOW_S, **fields: Any) -> bytes:
    """Return one record; ``fields`` replace or add top-level fields, ... takes one away."""
    when = dt.datetime.fromtimestamp(time_s, dt.UTC)
    parts: dict[str, object] = {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser",
            "accountId": "111122223333",
            "accessKeyId": "AKIAEXAMPLE",
            "userName": "alice",
        },
        "eventTime": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": "sagemaker.amazonaws.com",
        "eventName": "CreateModel",
        "awsRegion": "us-east-1",
        "requestParameters": {"modelName": f"model-{number}"},
        "responseElements": None,
        "eventID": f"00000000-0000-4000-8000-{number:012d}",
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": "111122223333",
        "eventCategory": "Management",
    }
    kept = {name: value for name, value in (parts | fields).items() if value is not ...}
    return msgspec.json.encode(kept)


def obvious_lookup(
    log: MemoryLog,
    query: Lookup,
    now_s: int,
    end: int | None = None,
    *,
    window_s: int = LOOKUP_WINDOW_S,
) -> Page:
    """Answer ``query`` from the records of ``log`` below ``end``."""
    matching = []
    for entry in log.entries(log.first(), end):
        derived, read = derive(entry.data), indexed(entry.data)
        if derived and read and derived.event_time_s >= now_s - window_s:
            scope = (derived.account, derived.region, derived.category)
            found = Found(entry.position, derived.event_time_s, entry.data, read, scope)
            if _matches(query, found):
                matching.append(found)
    matching.sort(key=lambda found: (found.derived.event_time_s, found.position), reverse=True)
    return Page(matching[: query.limit], len(matching) > query.limit)


def _matches(query: Lookup, found: Found) -> bool:
    derived = found.derived
    return (
        (derived.account, derived.region, derived.category)
        == (query.account, query.region, query.category)
        and (query.attribute is None or query.attribute[1] in derived.values(query.attribute[0]))
        and (query.start_s is None or derived.event_time_s >= query.start_s)
        and (query.end_s is None or derived.event_time_s <= query.end_s)
        and (query.after is None or (derived.event_time_s, found.position) < query.after)
    )
