# SPDX-License-Identifier: Apache-2.0
"""Tells the log which files were given up: one gap event for each range of a trail."""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from opentrail.clock import Clock, uuid_bytes
from opentrail.errors import Unavailable
from opentrail.event.codec import decode
from opentrail.event.gap import DELIVERY_GAP_EVENT_NAME, Gap, gap_event
from opentrail.event.service_event import event_id_of
from opentrail.eventlog.base import Draft, EventLog, LogReader, Origin
from opentrail.eventlog.recorded import recorded
from opentrail.state.base import Change, Conflict, Entry, State
from opentrail.state.stored import read
from opentrail.trails.backlog import GIVEN_UP_PREFIX, GivenUp
from opentrail.trails.retry import Retry

KEYS_BYTES_MAX: Final = 64 * 1024
"""Of the keys in one gap event, well below CloudTrail's 100 KB for serviceEventDetails: some 400
files. ``files`` says how many there are."""
_LOG: Final = "log"

_encode = msgspec.json.Encoder().encode


class Confessor:
    """Takes what was given up out of state. One thread; one per data directory."""

    def __init__(self, log: EventLog, state: State, clock: Clock) -> None:
        self._log = log
        self._state = state
        self._clock = clock
        self._retry = Retry(clock)
        self._due = True
        """There may be something in state: the last process may have left it."""

    def add(self) -> None:
        """Know that there is something to tell."""
        self._due = True

    def step(self) -> bool:
        """Tell the log of one range; return whether there was one.

            1. look whether the log has the event  (from where its end was when it was given up)
            2. append it                           (its eventID follows from the range)
            3. cross it off
        A crash before 3 repeats 1, which finds what 2 did. A log that refuses is tried again later.
        Raises: Unavailable: the state. Corrupt.
        """
        if not self._due or self._retry.waits(_LOG):
            return False
        entry = next(iter(self._state.scan(GIVEN_UP_PREFIX)), None)
        if entry is None:
            self._due = False
            return False
        try:
            self._tell(entry)
        except Unavailable:
            self._retry.failed(_LOG)
            return False
        self._retry.worked(_LOG)
        try:
            self._state.commit([Change(entry.key, None, entry.version)])
        except Conflict:
            return True  # it is as it was not read here: the next step reads it anew
        return True

    def _tell(self, entry: Entry) -> None:
        given_up = read(entry, GivenUp)
        event_id = event_id_of(self._log.log_id, entry.key)
        if recorded([uuid_bytes(event_id)], self._log, given_up.log_end):
            return
        now_ms = self._clock.now_ms()
        gap = _gap_of(given_up)
        data = gap_event(gap, event_id, given_up.account, given_up.region, now_ms)
        self._log.append([Draft(Origin.INTERNAL, data)])


class _Details(msgspec.Struct, rename={"trail_arn": "trailARN", "keys": "s3ObjectKeys"}):
    trail_arn: str
    keys: tuple[str, ...]


class _Told(msgspec.Struct, rename={"details": "serviceEventDetails"}):
    details: _Details


_decode_told = msgspec.json.Decoder(_Told).decode


def told_given_up(log: LogReader, trail_arn: str) -> frozenset[str]:
    """Return the keys of a trail's files that gap events of the log name. Raises: Corrupt.

    Only our own events count: anybody may send a record that looks like one.
    """
    name = DELIVERY_GAP_EVENT_NAME.encode()
    found: set[str] = set()
    for entry in log.entries(0):
        if entry.origin is Origin.INTERNAL and name in entry.data:
            if decode(entry.data, "log").event_name != DELIVERY_GAP_EVENT_NAME:
                continue
            details = _decode_told(entry.data).details
            found.update(details.keys if details.trail_arn == trail_arn else ())
    return frozenset(found)


def _first(keys: Iterable[str]) -> Iterator[str]:
    """Yield so many of ``keys`` as a gap event may have."""
    left = KEYS_BYTES_MAX
    for key in keys:
        left -= len(_encode(key)) + 1
        if left < 0:
            return
        yield key


def _gap_of(given_up: GivenUp) -> Gap:
    """Return what the gap event says."""
    more: dict[str, object] = {
        "trailARN": given_up.trail_arn,
        "s3Bucket": given_up.bucket,
        "error": given_up.error,
        "records": given_up.records,
        "files": len(given_up.keys),
        "s3ObjectKeys": list(_first(given_up.keys)),
    }
    return Gap(
        given_up.why,
        given_up.oldest_ms,
        given_up.newest_ms,
        more=more,
        event_name=DELIVERY_GAP_EVENT_NAME,
    )
