# SPDX-License-Identifier: Apache-2.0
"""From one observed call to the bytes of its CloudTrail record: pure, no clock, no I/O.

Source: CloudTrail User Guide, "CloudTrail record contents"; field order of delivered log files.
"""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from opentrail.aws.protocol import (
    ERROR_STATUS_MIN,
    error_of,
    late_error,
    request_members,
    response_members,
)
from opentrail.aws.request import Target
from opentrail.capture.beside import beside
from opentrail.capture.call import EMPTY, Call, Outcome, Tls, plain
from opentrail.capture.echoed import without_echoes
from opentrail.capture.elements import Element
from opentrail.capture.elements_s3 import additional as s3_additional
from opentrail.capture.home_region import home_region
from opentrail.capture.limits import capped, omitted, truncated
from opentrail.capture.plan import Category, Plan, plan
from opentrail.capture.resources import Members, Resource, resources
from opentrail.capture.resources_s3 import MAKING, s3_resources
from opentrail.capture.rules import Form, Redaction
from opentrail.clock import iso_seconds
from opentrail.event.caps import ADDITIONAL_BYTES_MAX, RECORD_BYTES_MAX
from opentrail.event.url_secrets import without_url_secrets

HOST_CHARS_MAX = 255 + 6
"""Of the Host header: the longest DNS name (RFC 1035, 2.3.4) and a port."""
NO_MARKS: Mapping[str, object] = {}
_NULL = b"null"
_S3_FORMS = (Form.S3, Form.S3_CONTROL)
_SERVER_ERROR_STATUS_MIN = 500
_THROTTLED_BY_EC2 = "RequestLimitExceeded"
"""Comes with the status 503, and is the client's fault in delivered records all the same."""

_json = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """What the operator can choose about records."""

    service_profile: Literal["current", "2023"] = "current"
    """"2023": InvokeEndpoint and InvokeEndpointAsync are not recorded, as documented then."""
    record_unlogged: bool = False
    """Whether calls that CloudTrail itself does not record become data events."""
    regions: frozenset[str] = frozenset()
    """Regions that events may be of; empty: all."""


class Built(msgspec.Struct, frozen=True, gc=False):
    """A record."""

    data: bytes
    """One line of JSON, UTF-8, at most 256 KB; final."""
    event_id: str
    category: Category


@dataclass(frozen=True, slots=True)
class Skipped:
    """A call that is counted, and not recorded."""

    event_source: str
    event_name: str
    reason: Literal["unlogged", "profile"]
    """A metric label: CloudTrail does not record it, or ``service_profile`` does not."""


class _Parts(msgspec.Struct, frozen=True, gc=False):
    """Fields of a record as JSON. All but the first may have to shrink."""

    region: bytes
    request: bytes = _NULL
    response: bytes = _NULL
    additional: bytes = b""
    resources: bytes = b""


def build(call: Call, settings: BuildSettings) -> Built | Skipped:
    """Return the record of ``call``, or that it is not to be recorded."""
    how = plan(call.target)
    skipped = _skipped(how, settings)
    if skipped is not None:
        return skipped
    error = _error(call, how)
    read = _request_members(call, how)
    members = _head_members(call, how) if read is None else read
    answer = _answer_members(call, how) if error is None else {}
    is_unread = error is not None and error[0] in how.unparsed_errors
    parts = _Parts(
        region=_region(call, how, settings),
        request=_NULL if is_unread else _request_parameters(call, how, members),
        response=_NULL if error is not None else _response_elements(call, how, answer),
        additional=_additional(
            call,
            how,
            marks={**beside(call, how, members, answer), **_unread(call, error, read, answer)},
        ),
        resources=_resources(call, how, {} if is_unread else members, answer),
    )
    return _built(call, how, parts, error)


def build_unknown(call: Call, settings: BuildSettings) -> Built | Skipped:
    """Return the record of a call of which only the in-flight table tells.

    As ``build`` for Outcome.UNKNOWN, but requestParameters null: nobody kept the request. Only
    ``event_id``, ``target``, ``caller``, ``source_ip``, ``user_agent``, ``finished_ms`` and
    ``additional`` of ``call`` are used.
    """
    how = plan(call.target)
    skipped = _skipped(how, settings)
    if skipped is not None:
        return skipped
    parts = _Parts(
        region=_region(call, how, settings),
        additional=_additional(call, None, Outcome.UNKNOWN),
        resources=_type_alone(call, how),
    )
    return _built(call, how, parts, None)


def response_recorded(target: Target, settings: BuildSettings) -> bool:
    """Return whether the record of a successful call needs the answer's body.

    When not, the reply may be released as soon as its status and headers are known and the record
    is durable. (The body of an error is always needed.)
    """
    how = plan(target)
    return how.response_body and _skipped(how, settings) is None


def fails_late(target: Target) -> bool:
    """Return whether an error may come in the body of an answer whose status is a success."""
    return plan(target).late_errors


def _skipped(how: Plan, settings: BuildSettings) -> Skipped | None:
    if not how.logged and not settings.record_unlogged:
        return Skipped(how.event_source, how.event_name, "unlogged")
    if not how.in_2023 and settings.service_profile == "2023":
        return Skipped(how.event_source, how.event_name, "profile")
    return None


def _error(call: Call, how: Plan) -> tuple[str, str] | None:
    """Return errorCode and errorMessage ("" where there is none); None for a success."""
    if call.outcome is not Outcome.ANSWERED:
        return call.error_code, call.error_message
    said = _said_error(call, how)
    if said is None:
        return None
    code, message = said
    code = next((row.name for row in how.renamed_errors if row.code == code), code)
    if how.form is Form.EC2:
        is_client = call.status < _SERVER_ERROR_STATUS_MIN or code == _THROTTLED_BY_EC2
        code = f"{'Client' if is_client else 'Server'}.{code}"
    # A denial by policy is recorded under one name, whatever the service calls it.
    code = "AccessDenied" if code == "AccessDeniedException" else code
    if not message or how.hide_messages:
        return code, Redaction.HIDDEN.value if message else ""
    if code in how.quoting_errors:
        before, quoted, _ = message.partition('"')
        message = f"{before if quoted else ''}{Redaction.HIDDEN.value}"
    return code, without_echoes(message, call, how.operation, how.secret_names)


def _said_error(call: Call, how: Plan) -> tuple[str, str] | None:
    """Return code and message of an error as the answer says them; None: it is no error."""
    if call.status < ERROR_STATUS_MIN and not how.late_errors:
        return None
    body = plain(call.response, call.response_headers)
    if call.status < ERROR_STATUS_MIN:
        return late_error(body.data) if body.complete else None
    return error_of(call.target, call.status, call.response_headers, body.data)


def _request_members(call: Call, how: Plan) -> Members | None:
    """Return the members that the record needs; None when the request cannot be parsed."""
    if how.operation is None or (how.request is None and not how.named):
        return {}
    body = plain(call.request, call.head.headers) if how.request_body else EMPTY
    return request_members(how.operation, call.head, body.data) if body.complete else None


def _head_members(call: Call, how: Plan) -> Members | None:
    """Return what path and headers say of a request whose body cannot be read."""
    if how.operation is None or not how.operation.protocol.startswith("rest-"):
        return None
    return request_members(how.operation, call.head, b"")


def _unread(
    call: Call, error: tuple[str, str] | None, request: Members | None, answer: Members | None
) -> Mapping[str, object]:
    """Return the marks of bodies that were not read, though the service may well have."""
    said: dict[str, object] = {}
    taken = error is None or call.outcome is Outcome.UNKNOWN
    if taken and request is None and plain(call.request, call.head.headers).complete:
        said["requestUnreadable"] = True
    if answer is None and plain(call.response, call.response_headers).complete:
        said["responseUnreadable"] = True
    return said


def _answer_members(call: Call, how: Plan) -> Members | None:
    """Return the members of a successful answer that the record needs."""
    if how.operation is None or how.operation.output is None:
        return {}
    if how.response is None and not how.response_body:
        return {}
    body = plain(call.response, call.response_headers)
    if not body.complete or (how.response_body and not body.data):
        return {}
    return response_members(how.operation, call.status, call.response_headers, body.data)


def _request_parameters(call: Call, how: Plan, members: Members | None) -> bytes:
    if how.request is None:
        return _NULL
    sent = plain(call.request, call.head.headers)
    if how.request_body and not sent.complete:
        return omitted("requestParameters", sent.size)
    return _element("requestParameters", how.request, members, call)


def _response_elements(call: Call, how: Plan, members: Members | None) -> bytes:
    if how.response is None:
        return _NULL
    answer = plain(call.response, call.response_headers)
    if how.response_body and not answer.complete:
        return omitted("responseElements", answer.size)
    return _element("responseElements", how.response, members, call)


def _element(name: str, make: Element, members: Members | None, call: Call) -> bytes:
    """Return the object's JSON: null when it is empty, the marker when it is too large."""
    shown = make(members, call)
    return capped(name, _json(shown)) if shown else _NULL


def _additional(
    call: Call,
    how: Plan | None,
    outcome: Outcome | None = None,
    marks: Mapping[str, object] = NO_MARKS,
) -> bytes:
    """Return additionalEventData, b"" when there is nothing to say.

    ``how`` is None for a call of which only the in-flight table tells.
    """
    is_s3 = how is not None and how.form in _S3_FORMS
    of_s3 = s3_additional(call) if is_s3 else NO_MARKS
    said = {**of_s3, **call.caller.additional, **call.additional, **marks}
    if not call.caller.verified:
        said["identityVerified"] = False
    if (outcome or call.outcome) is Outcome.UNKNOWN:
        said["outcome"] = Outcome.UNKNOWN.value
    if not said:
        return b""
    return capped("additionalEventData", _json(said), ADDITIONAL_BYTES_MAX)


def _region(call: Call, how: Plan, settings: BuildSettings) -> bytes:
    region = call.caller.region
    return _json(region if how.homes is None else home_region(how.homes, region, settings.regions))


def _resources(call: Call, how: Plan, members: Members | None, answer: Members | None) -> bytes:
    account, region = call.caller.account, call.caller.region
    if how.form is Form.S3 and call.target.operation not in MAKING:
        found = s3_resources(members or {}, account, region, data=bool(how.data_type))
    elif how.named:
        found = resources(how.named, members or {}, answer or {}, account, region)
    else:
        found = []
    return _json(found) if found else _type_alone(call, how)


def _type_alone(call: Call, how: Plan) -> bytes:
    """Return what a data event has at least: selectors of trails ask for the type."""
    return _json([Resource(call.caller.account, how.data_type)]) if how.data_type else b""


def _built(call: Call, how: Plan, parts: _Parts, error: tuple[str, str] | None) -> Built:
    """Return the record, within RECORD_BYTES_MAX: the largest objects give way, in turn."""
    data = without_url_secrets(_record(call, how, parts, error))
    for smaller in _shrunk(parts, _type_alone(call, how)) if len(data) > RECORD_BYTES_MAX else ():
        data = without_url_secrets(_record(call, how, smaller, error))
        if len(data) <= RECORD_BYTES_MAX:
            break
    return Built(data, call.event_id, how.category)


def _record(call: Call, how: Plan, parts: _Parts, error: tuple[str, str] | None) -> bytes:
    caller = call.caller
    return b"".join(
        (
            how.opening,
            caller.user_identity,
            b',"eventTime":"',
            _event_time(call.finished_ms // 1000),
            b'"',
            how.names,
            parts.region,
            b',"sourceIPAddress":',
            _json(call.source_ip),
            _text(b',"userAgent":', _user_agent(call, how)),
            b"" if error is None else _text(b',"errorCode":', error[0]),
            b"" if error is None else _text(b',"errorMessage":', error[1]),
            b',"requestParameters":',
            parts.request,
            b',"responseElements":',
            parts.response,
            b',"additionalEventData":' if parts.additional else b"",
            parts.additional,
            _text(b',"requestID":', call.given_request_id),
            b',"eventID":',
            _json(call.event_id),
            how.read_only,
            b',"resources":' if parts.resources else b"",
            parts.resources,
            how.kind,
            _json(caller.account),
            _text(b',"sharedEventID":', call.shared_event_id) if call.shared_event_id else b"",
            how.closing,
            b"" if call.tls is None else _tls_details(call, call.tls, how),
            b',"sessionCredentialFromConsole":"true"' if caller.from_console else b"",
            b"}",
        )
    )


def _user_agent(call: Call, how: Plan) -> str:
    """Return what the client calls itself; records of S3 have that in brackets."""
    is_bare = how.form not in _S3_FORMS or call.caller.invoked_by or not call.user_agent
    return call.user_agent if is_bare else f"[{call.user_agent}]"


def _tls_details(call: Call, tls: Tls, how: Plan) -> bytes:
    """Return tlsDetails; nothing where the service shows none, or another service calls."""
    if not how.tls or call.caller.invoked_by:
        return b""
    details = {"tlsVersion": tls.version, "cipherSuite": tls.cipher}
    if host := call.head.headers.get("host", "")[:HOST_CHARS_MAX]:
        details["clientProvidedHostHeader"] = host
    return b',"tlsDetails":' + _json(details)


def _shrunk(parts: _Parts, type_alone: bytes) -> Iterator[_Parts]:
    """Yield ``parts`` with one more object given up each time, the resources' names last."""
    replace = msgspec.structs.replace
    parts = replace(parts, response=_given_up("responseElements", parts.response))
    yield parts
    parts = replace(parts, request=_given_up("requestParameters", parts.request))
    yield parts
    parts = replace(parts, additional=_given_up("additionalEventData", parts.additional))
    yield parts
    yield replace(parts, resources=type_alone)


def _given_up(name: str, data: bytes) -> bytes:
    return data if data in {b"", _NULL} else omitted(name, len(data))


def _text(name: bytes, text: str) -> bytes:
    """Return an optional text field, truncated; nothing when it is empty."""
    return name + _json(truncated(text)) if text else b""


@functools.lru_cache(maxsize=8)  # calls of one moment finish in the same second
def _event_time(epoch_s: int) -> bytes:
    return iso_seconds(epoch_s * 1000).encode()
