# SPDX-License-Identifier: Apache-2.0
"""Finds the demo's calls again, and checks what their events say.

Management events are looked up over CloudTrail's own API; data events, which it never shows, are
read from the log.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from botocore.client import BaseClient

from opentrail.cli.demo_calls import Made
from opentrail.cli.demo_steps import Actor, Step
from opentrail.cli.demo_world import ACCOUNT, REGION, ROLE, SESSION, USER
from opentrail.cli.own_server import Server
from opentrail.clock import Clock
from opentrail.eventlog.reader import SegmentReader

VISIBLE_S_MAX = 5.0
"""How long an event is waited for: five times what is promised for 99 of 100."""
WAITED_S_MAX = 20.0
"""How long all that is missing is waited for together: a broken server must not take an hour."""

_CALLERS: Mapping[Actor, tuple[str, str, str]] = {
    "user": ("IAMUser", f"arn:aws:iam::{ACCOUNT}:user/{USER}", USER),
    "role": ("AssumedRole", f"arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE}/{SESSION}", SESSION),
    "root": ("Root", f"arn:aws:iam::{ACCOUNT}:root", "root"),
}
"""Type, ARN, and the user name that LookupEvents shows."""

Record = dict[str, object]


@dataclass(frozen=True, slots=True)
class Found:
    """What became of a call."""

    made: Made
    text: str
    """Its record, as it was found; empty: there was none in time."""
    event: Record
    """The same, parsed."""
    visible_ms: float
    """From the answer until the event could be seen."""
    problems: tuple[str, ...]
    """What is not as it must be; empty: all is well."""


class Finder:
    """Looks for the events of calls, one call at a time."""

    def __init__(self, cloudtrail: BaseClient, log: Path, server: Server, clock: Clock) -> None:
        """``log`` is the log's directory, read beside the server."""
        self._cloudtrail = cloudtrail
        self._log = SegmentReader(log)
        self._read_to = 0
        self._records: dict[str, list[bytes]] = {}
        self._server = server
        self._clock = clock
        self._waited_s = 0.0

    def find(self, made: Made) -> Found:
        """Return what became of ``made``, waiting for it at most VISIBLE_S_MAX."""
        look = self._in_log if made.step.data else self._in_history
        began_s = self._clock.monotonic()
        text = look(made)
        while text is None and self._may_wait(began_s):
            self._server.pause()
            text = look(made)
        ended_s = self._clock.monotonic()
        if text is None:
            self._waited_s += ended_s - began_s
            return Found(made, "", {}, 0.0, ("no event",))
        event: Record = json.loads(text)
        visible_ms = (ended_s - made.answered_s) * 1000
        return Found(made, text, event, visible_ms, tuple(_differences(made, event)))

    def confirm(self, found: Found) -> Found:
        """Return ``found`` with what the log and a lookup by the event's id know otherwise.

        To be asked once a later call's event was seen: only then is it sure that what LookupEvents
        does not show, it never will.
        """
        if not found.text:
            return found
        return replace(found, problems=(*found.problems, *self._elsewhere(found)))

    def _may_wait(self, began_s: float) -> bool:
        waited_s = self._clock.monotonic() - began_s
        return waited_s < VISIBLE_S_MAX and self._waited_s + waited_s < WAITED_S_MAX

    def _in_history(self, made: Made) -> str | None:
        """Look the event up by its name; the request id tells which one it is."""
        for event in self._lookup("EventName", made.step.operation):
            if json.loads(event["CloudTrailEvent"]).get("requestID") == made.request_id:
                return event["CloudTrailEvent"]
        return None

    def _in_log(self, made: Made) -> str | None:
        records = self._logged(made.request_id)
        return records[0].decode() if records else None

    def _logged(self, request_id: str) -> list[bytes]:
        """Return the records of one request; what is new in the log is read first."""
        end = self._log.durable_end()
        for entry in self._log.entries(self._read_to, end):
            known = json.loads(entry.data).get("requestID", "")
            self._records.setdefault(known, []).append(entry.data)
        self._read_to = end
        return self._records.get(request_id, [])

    def _elsewhere(self, found: Found) -> Iterator[str]:
        made, text = found.made, found.text
        logged = self._logged(made.request_id)
        if logged != [text.encode()]:
            yield f"the log has {len(logged)} records of it, and not just the one that was found"
        listed = list(self._lookup("EventId", str(found.event["eventID"])))
        if made.step.data:
            if listed:
                yield "LookupEvents shows a data event"
            return
        if [event["CloudTrailEvent"] for event in listed] != [text]:
            yield f"a lookup by event id finds {len(listed)} events, and not just this one"
        yield from _wrong(listed[:1], _columns(made.step))

    def _lookup(self, key: str, value: str) -> Iterator[dict[str, str]]:
        pages = self._cloudtrail.get_paginator("lookup_events").paginate(
            LookupAttributes=[{"AttributeKey": key, "AttributeValue": value}]
        )
        for page in pages:
            yield from page["Events"]


def _differences(made: Made, event: Record) -> Iterator[str]:
    """Say where the answer or the record is not what the step wants."""
    step = made.step
    if made.error != step.error:
        yield f"the call was answered with {made.error or 'success'}"
    type_, arn, _ = _CALLERS[step.actor]
    identity = event.get("userIdentity")
    assert isinstance(identity, dict)
    caller = {"type": type_, "arn": arn, "accessKeyId": made.access_key_id}
    yield from _wrong([identity], caller | {"accountId": ACCOUNT})
    yield from _wrong(
        [event],
        {
            "eventName": step.operation,
            "errorCode": step.error or None,
            "readOnly": step.read_only,
            "managementEvent": not step.data,
            "eventCategory": "Data" if step.data else "Management",
            "awsRegion": REGION,
            "recipientAccountId": ACCOUNT,
        },
    )


def _columns(step: Step) -> Mapping[str, object]:
    """Return what LookupEvents says of an event beside its record."""
    return {
        "EventName": step.operation,
        "ReadOnly": "true" if step.read_only else "false",
        "Username": _CALLERS[step.actor][2],
    }


def _wrong(
    rows: list[Record] | list[dict[str, str]], wanted: Mapping[str, object]
) -> Iterator[str]:
    for row in rows:
        for name, value in wanted.items():
            got = row.get(name)
            if got != value:
                yield f"{name} is {got!r}, not {value!r}"
