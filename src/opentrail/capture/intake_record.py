# SPDX-License-Identifier: Apache-2.0
"""What a record that is sent to us must be, before it may be evidence. Pure.

Source: CloudTrail User Guide, "CloudTrail record contents", "CloudTrail Insights record contents"
and "AWS Management Console sign-in events". Only what readers cannot do without is required; all
versions of the record come in, and what a record has besides stays as it is.
"""

import json
import re
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from itertools import repeat
from operator import attrgetter

import msgspec
from msgspec import UNSET, Raw, UnsetType

from opentrail.errors import Corrupt
from opentrail.event.caps import RECORD_BYTES_MAX
from opentrail.event.codec import decode, minify
from opentrail.event.place import account_of

NESTING_MAX = 100
"""Objects and arrays within each other: real records have a dozen at most, and readers of other
people's make give up at a few hundred."""
EVENT_ID_CHARS_MAX = 128
"""A UUID has 36. Published records have others too, all shorter than this."""
NAME_CHARS_MAX = 256
"""eventSource, eventName, eventVersion, eventType and eventCategory: four times the longest known."""
AHEAD_S_MAX = 24 * 3600
"""How far an eventTime may lie in the future: a sender's clock or zone may be wrong, but an event
of next year would head every list until then."""
OLDEST = "2000-01-01T00:00:00Z"
"""No event of AWS is older: an eventTime before it is a broken clock's."""
TIMES_CACHED = 4096
"""Distinct seconds remembered: a batch spans few."""

_REGION = re.compile(r"[a-z0-9-]{1,32}")
"""As in the settings. Regions become parts of the names of log files."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_BRACE = ord("{")
_COUNTED_MAX = NESTING_MAX + 1
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

KINDS_MAX = 4096
"""Sources, names, regions and so on that were found good together: an installation has some
hundred; a hostile sender's come and go."""
CALLERS_MAX, CALLER_BYTES_MAX = 2048, 1024
"""userIdentities that were found good, and how long one is that is remembered: 2 MB; senders tell of
the same callers again and again."""
FAR_S = 2**62
"""Later than any eventTime."""
_KINDS: set["Kind"] = set()
_TIMES: dict["Text", int] = {}
_CALLERS: set[bytes] = set()

Text = str | None | UnsetType
Kind = tuple[Text, Text, Text, Text, Text, Text]
Part = Raw | UnsetType


class Rejection(Exception):
    """Why a record does not come in. ``code`` is for programs, the text for people."""

    def __init__(self, code: str, message: str, event_id: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.event_id = event_id
        """The record's, where it could be read."""


class Fields(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """All fields that records have.

    Encoded again it has as many bytes as a record without blanks, unless that has a field twice
    or one that is not known: nothing cheaper tells.
    """

    event_version: Text = UNSET
    user_identity: Part = UNSET
    event_time: Text = UNSET
    event_source: Text = UNSET
    event_name: Text = UNSET
    aws_region: Text = UNSET
    source_ip_address: Part = msgspec.field(default=UNSET, name="sourceIPAddress")
    user_agent: Part = UNSET
    error_code: Part = UNSET
    error_message: Part = UNSET
    request_parameters: Part = UNSET
    response_elements: Part = UNSET
    additional_event_data: Part = UNSET
    request_id: Part = msgspec.field(default=UNSET, name="requestID")
    event_id: Text = msgspec.field(default=UNSET, name="eventID")
    read_only: Part = UNSET
    resources: Part = UNSET
    event_type: Text = UNSET
    api_version: Part = UNSET
    management_event: Part = UNSET
    recipient_account_id: Text = UNSET
    shared_event_id: Part = msgspec.field(default=UNSET, name="sharedEventID")
    vpc_endpoint_id: Part = UNSET
    vpc_endpoint_account_id: Part = UNSET
    service_event_details: Part = UNSET
    event_category: Text = UNSET
    tls_details: Part = UNSET
    session_credential_from_console: Part = UNSET
    event_context: Part = UNSET
    addendum: Part = UNSET
    edge_device_details: Part = UNSET
    insight_details: Part = UNSET
    annotation: Part = UNSET


class _Issuer(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    type: Part = UNSET
    principal_id: Part = UNSET
    arn: Part = UNSET
    account_id: Part = UNSET
    user_name: Part = UNSET


class _Attributes(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    creation_date: Text = UNSET
    mfa_authenticated: Text = UNSET


class _Context(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    session_issuer: _Issuer | UnsetType = UNSET
    attributes: _Attributes | UnsetType = UNSET
    source_identity: Text = UNSET


class _Caller(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The members that a userIdentity usually has; as ``Fields`` it shows by its length if all is well."""

    type: Part = UNSET
    principal_id: Part = UNSET
    arn: Part = UNSET
    account_id: Part = UNSET
    access_key_id: Part = UNSET
    user_name: Part = UNSET
    session_context: _Context | UnsetType = UNSET
    invoked_by: Part = UNSET


class Checked(msgspec.Struct, frozen=True, gc=False):
    """A record that may come in."""

    data: bytes
    """Its bytes as they were sent; on one line, if they were not."""
    event_id: str
    account: str
    """Whose record it says it is: twelve digits, or not an account at all."""


kind_of: Callable[[Fields], Kind] = attrgetter(
    "event_source", "event_name", "event_version", "aws_region", "event_category", "event_type"
)
"""The names in a record by which others are as good or bad as it: few differ."""
_decode_fields = msgspec.json.Decoder(Fields).decode
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_caller = msgspec.json.Decoder(_Caller).decode
_encode = msgspec.json.Encoder().encode


def check(data: bytes, now_s: int) -> Checked:
    """Return the record ``data``, if it is one, at ``now_s`` (epoch seconds). Raises: Rejection."""
    if len(data) > RECORD_BYTES_MAX:
        data = _small(data)
    if brackets(data) > NESTING_MAX:
        _check_nesting(data)
    data, fields = _read(data)
    kind = kind_of(fields)
    event_id = fields.event_id
    if not event_id or len(event_id) > EVENT_ID_CHARS_MAX or not event_id.isprintable():
        message = f"It needs an eventID of 1 to {EVENT_ID_CHARS_MAX} printable characters."
        raise Rejection("InvalidField", message)
    fault = kind_fault(kind) or _time_fault(fields.event_time, now_s) or _part_fault(fields, kind)
    if fault:
        raise Rejection("InvalidField", fault, event_id)
    return Checked(data, event_id, fields.recipient_account_id or _caller_account(data))


def brackets(data: bytes) -> int:
    """Return how many objects and arrays begin in ``data``; of more than may be nested, not all.

    ``bytes.count`` looks at one byte after another and takes four times as long.
    """
    without = data.replace(b"{", b"", _COUNTED_MAX).replace(b"[", b"", _COUNTED_MAX)
    return len(data) - len(without)


def _read(data: bytes) -> tuple[bytes, Fields]:
    """Return a record on one line, and its fields. Raises: Rejection."""
    try:
        fields = _decode_fields(data)
        if not data.isascii():
            data.decode()  # what msgspec skips it does not check
    except _UNREADABLE as error:
        raise _unreadable(data, error) from None
    if len(_encode(fields)) != len(data) or data.find(b"\n") >= 0 or data.find(b"\r") >= 0:
        data = _check_odd(data, fields)
    return data, fields


def _caller_account(data: bytes) -> str:
    """Return the account of a record that names no receiver. Raises: Rejection."""
    _check_names(data)
    return account_of(decode(data))


def _small(data: bytes) -> bytes:
    """Return a large record on one line, if it is small enough then. Raises: Rejection."""
    try:
        data = minify(data)
    except Corrupt as error:
        raise Rejection("InvalidRecord", f"It is not JSON: {error.message}.") from None
    if len(data) > RECORD_BYTES_MAX:
        raise Rejection("RecordTooLarge", f"It has {len(data)} bytes; {RECORD_BYTES_MAX} at most.")
    return data


def _unreadable(data: bytes, error: Exception) -> Rejection:
    """Return why ``data`` cannot be read: not JSON, not an object, or oddly typed."""
    if isinstance(error, msgspec.ValidationError):
        return Rejection("InvalidField", f"It is no record: {error}.", _event_id(data))
    return Rejection("InvalidRecord", f"It is not JSON: {error}.")


def _event_id(data: bytes) -> str:
    """Return the eventID of a record in which something else is wrong."""
    try:
        return decode(data).event_id[:EVENT_ID_CHARS_MAX]
    except Corrupt:
        return ""


def kind_fault(kind: Kind) -> str:
    """Return what is wrong with the names in a record; "" when nothing is, and remember them."""
    if kind in _KINDS:
        return ""
    source, name, version, region, _, _ = kind
    if not version or any(type(each) is str and len(each) > NAME_CHARS_MAX for each in kind):
        return f"It needs an eventVersion; names have {NAME_CHARS_MAX} characters at most."
    if not region or _REGION.fullmatch(region) is None:
        return "It needs an awsRegion (lower-case letters, digits and hyphens)."
    if not is_insight(kind) and not (source and name):
        return "It needs eventSource and eventName."
    if len(_KINDS) >= KINDS_MAX:
        _KINDS.clear()
    _KINDS.add(kind)
    return ""


def is_insight(kind: Kind) -> bool:
    """Insights records have no caller, source or name of their own, but details."""
    return kind[4] == "Insight" or kind[5] == "AwsCloudTrailInsight"


def _part_fault(fields: Fields, kind: Kind) -> str:
    insight, caller = is_insight(kind), fields.user_identity
    if type(caller) is Raw:
        check_caller(bytes(caller))
    part = fields.insight_details if insight else caller
    if type(part) is Raw and bytes(part)[0] == _BRACE:
        return ""
    return f"It needs {'insightDetails' if insight else 'a userIdentity'}, which is an object."


def check_caller(data: bytes) -> None:
    """Refuse a userIdentity in which a member stands twice, and remember one that is good.

    Two readers would not see the same caller. ``data`` is not nested deeply. Raises: Rejection.
    """
    if data in _CALLERS:
        return
    try:
        usual = len(_encode(_decode_caller(data))) == len(data)
    except _UNREADABLE:
        usual = False
    if not usual:
        json.loads(data, object_pairs_hook=_each_once, parse_int=str, parse_float=str)
    if len(_CALLERS) >= CALLERS_MAX:
        _CALLERS.clear()
    if len(data) <= CALLER_BYTES_MAX:
        _CALLERS.add(data)


def _each_once(pairs: list[tuple[str, object]]) -> None:
    """Refuse an object in which a name stands twice. Raises: Rejection."""
    twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if twice:
        message = f"The field {twice[0][:NAME_CHARS_MAX]} stands twice."
        raise Rejection("DuplicateField", message)


def any_time_fault(texts: set[Text], now_s: int) -> bool:
    """Whether something is wrong with one of several eventTimes."""
    known = max(map(_TIMES.get, texts, repeat(FAR_S))) <= now_s
    return not known and any(_time_fault(text, now_s) for text in texts)


def _time_fault(text: Text, now_s: int) -> str:
    """Return what is wrong with an eventTime; "" when nothing is, and remember it."""
    if _TIMES.get(text, FAR_S) <= now_s:
        return ""
    if type(text) is not str or len(text) != len(OLDEST) or (time_s := _epoch_s(text)) is None:
        return "It needs an eventTime like 2026-01-31T12:00:00Z, of 2000 or later."
    if len(_TIMES) >= TIMES_CACHED:
        _TIMES.clear()
    _TIMES[text] = time_s
    if time_s > now_s + AHEAD_S_MAX:
        return f"Its eventTime is over {AHEAD_S_MAX // 3600} hours ahead of this server's clock."
    return ""


def _epoch_s(text: str) -> int | None:
    """Return an eventTime as epoch seconds; None when it is none."""
    if _TIME.fullmatch(text) is None or text < OLDEST:
        return None
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except ValueError:
        return None


def _check_odd(data: bytes, fields: Fields) -> bytes:
    """Return a record with blanks, unknown fields or escapes; on one line. Raises: Rejection."""
    small = msgspec.json.format(data, indent=-1)
    if len(_encode(fields)) != len(small):
        _check_names(small)
    return minify(data)


def _check_names(data: bytes) -> None:
    """Refuse a record, without blanks, in which a field stands twice. Raises: Rejection.

    Its readers would not read the same.
    """
    if len(_encode(_decode_members(data))) == len(data):
        return
    # Numbers stay text: Python refuses to convert very long ones.
    pairs = json.loads(data, object_pairs_hook=list, parse_int=str, parse_float=str)
    _each_once(pairs)


def _check_nesting(data: bytes) -> None:
    """Refuse a record that is nested more than NESTING_MAX deep. Raises: Rejection."""
    depth = 0
    for bracket in _STRING.sub(b"", data).translate(None, _NOT_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > NESTING_MAX:
            raise Rejection("NestedTooDeeply", f"It is nested more than {NESTING_MAX} deep.")
