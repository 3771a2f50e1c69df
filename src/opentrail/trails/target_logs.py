# SPDX-License-Identifier: Apache-2.0
"""Copies records to a trail's log group in CloudWatch Logs, one log event each.

Source: CloudTrail User Guide, "Sending events to CloudWatch Logs"; CloudWatch Logs API Reference,
"PutLogEvents": its limits of a batch.
"""

import logging
import re
import threading
from collections.abc import Sequence

from opentrail.errors import ClientError, Unavailable
from opentrail.event.record import Record
from opentrail.trails.target import Copied
from opentrail.trails.target_client import Clients, Service
from opentrail.trails.trail import Trail

EVENTS_MAX = 10_000
BATCH_BYTES_MAX = 1_048_576
OVERHEAD_BYTES = 26
"""PutLogEvents' own: counted for each event beside its bytes."""
EVENT_BYTES_MAX = 256 * 1024
"""CloudTrail sends none that is larger, the overhead included."""
STREAMS_KNOWN_MAX = 10_000
"""Streams that need not be made: forgotten all at once, and made again, which does no harm."""

REASON_CHARS_MAX = 500
"""Of what the server's own log tells."""

_log = logging.getLogger("opentrail.trails")
_REGION = re.compile(r"[a-z0-9-]{1,32}")


class LogsTarget:
    """``target.Copies``: one feed for each trail, one stream for each account and region.

    All events of a batch have the time of delivery, so they are in order, and no two of them are a
    day apart.
    """

    name = "logs"
    shared = False
    batch_max = EVENTS_MAX
    bytes_max = BATCH_BYTES_MAX
    overhead = OVERHEAD_BYTES
    event_bytes_max = EVENT_BYTES_MAX

    def __init__(self, clients: Clients, retention_days: int) -> None:
        """``retention_days`` is set on a group when its first stream is made; 0: not touched."""
        self._clients = clients
        self._retention_days = retention_days
        self._lock = threading.Lock()
        self._streams: set[tuple[str, str]] = set()

    def wants(self, trail: Trail) -> bool:
        """See ``Copies``."""
        return bool(trail.log_group_arn)

    def takes(self, _record: Record) -> bool:
        """See ``Copies``."""
        return True

    def send(self, trail: Trail, records: Sequence[Copied], at_ms: int) -> int:
        """See ``Copies``."""
        streams: dict[str, list[Copied]] = {}
        for copied in records:
            streams.setdefault(stream_of(trail, copied), []).append(copied)
        for stream, some in streams.items():
            self._ensure(trail, stream)
            try:
                self._put(trail, stream, some, at_ms)
            except ClientError as error:
                if error.code != "ResourceNotFoundException":
                    raise
                # Somebody deleted the stream, or the group: the latter is an error that stays.
                self._forget(trail, stream)
                self._ensure(trail, stream)
                self._put(trail, stream, some, at_ms)
        return 0

    def ensure_home(self, trail: Trail) -> None:
        """Make the stream of a trail's own account and region. Raises: ClientError. Unavailable."""
        stream = f"{_owner(trail, trail.account)}_CloudTrail_{trail.home_region}"
        if self._retention_days:
            self._retain(trail)
        self._forget(trail, stream)
        self._ensure(trail, stream)

    def try_put(self, trail: Trail) -> None:
        """See whether the role may put events, without putting one.

        Raises: ClientError AccessDeniedException. Unavailable.
        """
        stream = f"{_owner(trail, trail.account)}_CloudTrail_{trail.home_region}"
        try:
            self._call(trail, "put_log_events", logStreamName=stream, logEvents=[])
        except ClientError as error:
            # None are too few, which is told after the permission was looked at.
            if "AccessDenied" in error.code:
                raise

    def _ensure(self, trail: Trail, stream: str) -> None:
        known = trail.log_group_arn, stream
        with self._lock:
            if known in self._streams:
                return
        if self._retention_days:
            try:
                self._retain(trail)
            except ClientError as error:
                # A role may be for streams and events alone: those do not wait for it.
                text = "the retention of %s is not set: %r"
                _log.warning(text, trail.log_group_arn, str(error)[:REASON_CHARS_MAX])
        try:
            self._call(trail, "create_log_stream", logStreamName=stream)
        except ClientError as error:
            if error.code != "ResourceAlreadyExistsException":
                raise
        with self._lock:
            if len(self._streams) >= STREAMS_KNOWN_MAX:
                self._streams.clear()
            self._streams.add(known)

    def _retain(self, trail: Trail) -> None:
        self._call(trail, "put_retention_policy", retentionInDays=self._retention_days)

    def _forget(self, trail: Trail, stream: str) -> None:
        with self._lock:
            self._streams.discard((trail.log_group_arn, stream))

    def _put(self, trail: Trail, stream: str, records: Sequence[Copied], at_ms: int) -> None:
        events = [{"timestamp": at_ms, "message": each.text} for each in records]
        answer = self._call(trail, "put_log_events", logStreamName=stream, logEvents=events)
        if answer.get("rejectedLogEventsInfo"):
            # All have the time of now, so one of the two clocks is days off.
            raise Unavailable("logs rejected events as too old or too new: look at the clocks")

    def _call(self, trail: Trail, operation: str, **arguments: object) -> dict[str, object]:
        parts = trail.log_group_arn.split(":")
        service = Service("logs", parts[3], trail.log_role_arn)
        answer = self._clients.call(service, operation, logGroupName=parts[6], **arguments)
        return dict(answer)


def stream_of(trail: Trail, copied: Copied) -> str:
    """Return the stream of a record: ``[o-id_]<account>_CloudTrail_<region>``."""
    region = copied.record.aws_region
    known = region if _REGION.fullmatch(region) else trail.home_region
    return f"{_owner(trail, copied.account)}_CloudTrail_{known}"


def _owner(trail: Trail, account: str) -> str:
    return f"{trail.organization_id}_{account}" if trail.organization_id else account
