# SPDX-License-Identifier: Apache-2.0
"""What the in-flight table remembers of a call, and the record made of it after a crash."""

from collections.abc import Sequence

import msgspec

from opentrail.aws.request import RequestHead, Target
from opentrail.capture.build import BuildSettings, Built, build_unknown
from opentrail.capture.call import Call, Caller, Outcome
from opentrail.clock import uuid_text
from opentrail.eventlog.base import Draft, LogReader, Origin
from opentrail.eventlog.inflight import PAYLOAD_BYTES_MAX, InFlightEntry
from opentrail.eventlog.recorded import recorded

USER_AGENT_KEPT_MAX = 256
"""Characters of a user agent that fit a slot beside the longest identity."""


class Remembered(msgspec.Struct, frozen=True, array_like=True):
    """A call in flight: when, who, which operation. The bytes of an in-flight slot (msgpack)."""

    log_end: int
    """The log's durable end when the call came: its record can only lie behind it."""
    service: str
    event_source: str
    operation: str
    protocol: str
    method: str
    user_identity: bytes
    account: str
    region: str
    verified: bool
    source_ip: str
    user_agent: str
    request_id: str
    shared_event_id: str = ""
    invoked_by: str = ""
    from_console: bool = False


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Remembered).decode


def remember(call: Call, log_end: int) -> bytes:
    """Return what is kept of ``call`` while it is in flight, at most PAYLOAD_BYTES_MAX bytes."""
    payload = _remember(call, log_end, bytes(call.caller.user_identity))
    if len(payload) > PAYLOAD_BYTES_MAX:
        payload = _remember(call, log_end, b'{"type":"Unknown"}')
    return payload


def _remember(call: Call, log_end: int, user_identity: bytes) -> bytes:
    target, caller = call.target, call.caller
    return _encode(
        Remembered(
            log_end,
            target.service,
            target.event_source,
            target.operation,
            target.protocol,
            call.head.method,
            user_identity,
            caller.account,
            caller.region,
            caller.verified,
            call.source_ip,
            call.user_agent[:USER_AGENT_KEPT_MAX],
            call.request_id,
            call.shared_event_id,
            caller.invoked_by,
            caller.from_console,
        )
    )


def recover(
    leftovers: Sequence[InFlightEntry], log: LogReader, settings: BuildSettings
) -> list[Draft]:
    """Return the records that are missing for calls that were in flight when the process died.

    A call whose event id is in the log was recorded; it only had not been crossed off.
    """
    remembered = [(entry, _decode(entry.payload)) for entry in leftovers]
    if not remembered:
        return []
    since = min(memory.log_end for _, memory in remembered)
    known = recorded([entry.event_id for entry in leftovers], log, since)
    missing = [_call(entry, memory) for entry, memory in remembered if entry.event_id not in known]
    built = [build_unknown(call, settings) for call in missing]
    return [Draft(Origin.INTERNAL, each.data) for each in built if isinstance(each, Built)]


def _call(entry: InFlightEntry, memory: Remembered) -> Call:
    target = Target(memory.service, memory.event_source, memory.operation, memory.protocol)
    return Call(
        event_id=uuid_text(entry.event_id),
        target=target,
        head=RequestHead(memory.method, "/", "", {}),
        caller=Caller(
            msgspec.Raw(memory.user_identity),
            memory.account,
            memory.region,
            memory.verified,
            invoked_by=memory.invoked_by,
            from_console=memory.from_console,
        ),
        source_ip=memory.source_ip,
        user_agent=memory.user_agent,
        finished_ms=entry.started_ms,
        outcome=Outcome.UNKNOWN,
        request_id=memory.request_id,
        shared_event_id=memory.shared_event_id,
    )
