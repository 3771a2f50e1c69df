# SPDX-License-Identifier: Apache-2.0
"""From what a file holds to records, each with the very bytes that it has there. Pure.

Taken are CloudTrail's log files (``{"Records": […]}``), records and lists of them, any number of JSON
values behind each other or one a line, and the envelopes in which records travel: EventBridge
(``detail``), CloudWatch Logs (``logEvents``, ``events``, ``awslogs``, or lines of an export),
LookupEvents (``Events``).
"""

import base64
import binascii
import codecs
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from opentrail.errors import Corrupt
from opentrail.event import codec
from opentrail.event.record import ABSENT
from opentrail.eventlog.base import RECORD_BYTES_MAX
from opentrail.imports.ungzip import NotReadable, unpacked

PACKED_BYTES_MAX = 64 * 1024 * 1024
"""Of what is packed in a JSON value: CloudWatch Logs sends 1 MB at once, unpacked 6 MB."""


@dataclass(frozen=True, slots=True)
class Unread:
    """Something that is no record."""

    position: int
    """Where it begins, in bytes of the unpacked file."""
    reason: str


class _LogFile(msgspec.Struct):
    records: list[msgspec.Raw] = msgspec.field(name="Records")


class _Message(msgspec.Struct):
    message: str


class _Event(msgspec.Struct):
    record: str = msgspec.field(name="CloudTrailEvent")


class _Packed(msgspec.Struct):
    data: str


class _Envelope(msgspec.Struct):
    """Whatever a JSON object may carry records in."""

    records: list[msgspec.Raw] | None = msgspec.field(name="Records", default=None)
    detail: msgspec.Raw = ABSENT
    log_events: list[_Message] | None = msgspec.field(name="logEvents", default=None)
    events: list[_Message] | None = None
    looked_up: list[_Event] | None = msgspec.field(name="Events", default=None)

    def carried(self, *, travels: bool) -> Sequence[msgspec.Raw | bytes] | None:
        """Return the records in it; ``travels``: whether EventBridge's other word is there, too."""
        if self.records is not None:
            return self.records
        if self.detail and travels:
            return [self.detail]
        for messages in (self.log_events, self.events):
            if messages is not None:
                return [each.message.encode() for each in messages]
        if self.looked_up is not None:
            return [each.record.encode() for each in self.looked_up]
        return None


class _Subscription(msgspec.Struct):
    """What a subscription of CloudWatch Logs invokes a function with."""

    awslogs: _Packed


_log_file = msgspec.json.Decoder(_LogFile).decode
_envelope = msgspec.json.Decoder(_Envelope).decode
_subscription = msgspec.json.Decoder(_Subscription).decode
_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_raw = msgspec.json.Decoder(msgspec.Raw).decode
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

_FRAME = b'{"Records":[]}'


def plain_records(data: bytes) -> list[bytes] | None:
    """Return the records of a log file as CloudTrail makes them; None when it is any other file.

    A fast way for what nearly every file is; an element may be no JSON object.
    """
    if b"\n" in data or b"\r" in data or not data.startswith(_FRAME[:-2]):
        return None
    try:
        found = _log_file(data).records
    except _UNREADABLE:
        return None
    records = list(map(bytes, found))
    sizes = list(map(len, records))
    # What else there is must not hide records: a second "Records" would replace the first.
    exact = sum(sizes) + max(len(sizes) - 1, 0) + len(_FRAME) == len(data)
    return records if exact and max(sizes, default=0) <= RECORD_BYTES_MAX else None


def records_of(data: bytes) -> Iterator[bytes | Unread]:
    """Yield every record of an unpacked file, and what is none. Nothing is dropped unsaid."""
    try:
        text = _as_utf8(data)
    except UnicodeDecodeError as error:
        yield Unread(error.start, f"not the UTF-16 or UTF-32 that it seems to be: {error.reason}")
        return
    start = len(data) - len(text) if data.endswith(text) else 0
    try:
        whole = _raw(text)
    except _UNREADABLE:
        yield from _several(text, start)
    else:
        yield from _value(bytes(whole), start)


_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BARE = {b"{\0": "utf-16-le", b"[\0": "utf-16-le", b"\0{": "utf-16-be", b"\0[": "utf-16-be"}
"""How JSON begins in UTF-16 without a mark: Windows PowerShell writes it."""


def _as_utf8(data: bytes) -> bytes:
    """Return what a file holds in UTF-8, without a mark. Raises: UnicodeDecodeError."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding).encode()
    encoding = _BARE.get(data[:2], "")
    return data.decode(encoding).encode() if encoding else data.removeprefix(codecs.BOM_UTF8)


_OPENED = re.compile(rb'\s*\{\s*"Records"\s*:\s*\[\s*')
_BETWEEN = re.compile(rb"\s*,\s*|\s*\]\s*\}\s*")
_BLANKS = re.compile(rb"\s*")
# Numbers stay text: Python refuses to convert very long ones.
_decode = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode
_DAMAGED = (ValueError, RecursionError)


def _several(data: bytes, start: int) -> Iterator[bytes | Unread]:
    """Read a file that is not one JSON value: several, on lines or not, or a damaged one."""
    newline = data.find(b"\n")
    if newline < 0 or (not _is_json(data[:newline]) and _begins_with_value(data)):
        yield from _joined(data, start)
    else:
        yield from lines(data, start)


def _is_json(data: bytes) -> bool:
    try:
        _raw(data)
    except _UNREADABLE:
        return False
    return True


def _begins_with_value(data: bytes) -> bool:
    """Whether the first JSON value of ``data`` is on several lines."""
    if _OPENED.match(data):
        return True
    at = _past_blanks(data, 0)
    try:
        _decode(data.decode("latin-1"), at)
    except _DAMAGED:
        return False
    return data[at : at + 1] in b"{["


def _past_blanks(data: bytes, at: int) -> int:
    found = _BLANKS.match(data, at)
    return at if found is None else found.end()


def _joined(data: bytes, start: int) -> Iterator[bytes | Unread]:
    """Read JSON values that follow each other, on one line or on many."""
    # As Latin-1 a character is a byte, so that ends of values are those of the bytes.
    text = data.decode("latin-1")
    at = _past_blanks(data, 0)
    while at < len(data):
        try:
            _, end = _decode(text, at)
        except _DAMAGED as error:
            opened = _OPENED.match(data, at)
            if opened is not None:
                yield from _salvaged(data, opened.end(), start)
                return
            yield Unread(start + at, f"not JSON: {error}"[:200])
            newline = data.find(b"\n", at)
            if newline >= 0:
                yield from lines(data[newline + 1 :], start + newline + 1)
            return
        yield from _value(data[at:end], start + at)
        at = _past_blanks(data, end)


def _salvaged(data: bytes, at: int, start: int) -> Iterator[bytes | Unread]:
    """Yield the records of a damaged log file that lie before the damage."""
    text = data.decode("latin-1")
    while at < len(text):
        try:
            _, end = _decode(text, at)
        except _DAMAGED as error:
            yield Unread(start + at, f"the file is damaged from here on: {error}"[:200])
            return
        yield from records([data[at:end]], start + at)
        between = _BETWEEN.match(data, end)
        if between is None:
            yield Unread(start + end, "the file is damaged from here on: no comma or end follows")
            return
        at = between.end()
        if b"]" in between[0]:
            yield from _joined(data[at:], start + at)
            return
    yield Unread(start + len(data), "the file is cut short")


def lines(data: bytes, start: int) -> Iterator[bytes | Unread]:
    """Read JSON values on lines, a time before them or not, as exports of CloudWatch Logs have it."""
    at = start
    for line in data.split(b"\n"):
        brace = line.find(b"{") if _TIMED.match(line) else 0
        value = line[brace:].strip()
        if value:
            try:
                yield from _value(bytes(_raw(value)), at + brace)
            except _UNREADABLE:
                yield from _joined(value, at + brace)
        at += len(line) + 1


_TIMED = re.compile(rb"\d{4}-\d\d-\d\dT\S*\s+\{")


def _value(data: bytes, at: int) -> Iterator[bytes | Unread]:
    """Read one JSON value: a record, or what records travel in."""
    if data[:1] == b"[":
        for element in _list(data):
            yield from _value(bytes(element), at)
        return
    if b'"awslogs"' in data and (packed := _unpacked(data)) is not None:
        yield from packed
        return
    found = _carried(data)
    yield from records([data] if found is None else found, at)
    if found is not None and _hides(data):
        yield Unread(at, _HIDDEN)


def _unpacked(data: bytes) -> Sequence[bytes | Unread] | None:
    """Return the records that a subscription's event has packed; None when it is none."""
    try:
        packed = base64.b64decode(_subscription(data).awslogs.data, validate=True)
        pieces: list[bytes] = []
        for piece in unpacked([packed]):
            pieces.append(piece)
            if sum(map(len, pieces)) > PACKED_BYTES_MAX:
                return None
        return [each for value in [b"".join(pieces)] for each in records_of(value)]
    except (*_UNREADABLE, NotReadable, binascii.Error):
        return None


_HIDDEN = "records may be hidden in it: it has several envelopes, or one more than once"
_ENVELOPES = frozenset(("Records", "detail", "logEvents", "events", "Events"))


def _hides(data: bytes) -> bool:
    """Whether an envelope holds more than one list of records, of which only one was read."""
    last: list[tuple[str, object]] = []

    def pairs(found: list[tuple[str, object]]) -> None:
        last[:] = found  # the outermost object comes last

    try:
        text = data.decode("utf-8", "replace").removeprefix("\ufeff")
        json.loads(text, object_pairs_hook=pairs, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return True
    return sum(name in _ENVELOPES for name, _ in last) > 1


def _carried(data: bytes) -> Sequence[msgspec.Raw | bytes] | None:
    """Return the records that an envelope carries; None when it is none."""
    try:
        envelope = _envelope(data)
    except _UNREADABLE:
        return None
    return envelope.carried(travels=b'"detail-type"' in data)


def records(values: Sequence[msgspec.Raw | bytes], at: int) -> Iterator[bytes | Unread]:
    """Yield ``values``, which lie at ``at``, as records: on one line, and none that is too large."""
    for value in values:
        data = bytes(value)
        if data[:1] != b"{":
            yield Unread(at, "not a JSON object")
        elif len(data) > RECORD_BYTES_MAX and len(_minified(data)) > RECORD_BYTES_MAX:
            yield Unread(at, f"larger than a record can be ({RECORD_BYTES_MAX} bytes)")
        else:
            yield _minified(data)


def _minified(data: bytes) -> bytes:
    try:
        return codec.minify(data)
    except Corrupt:
        return data
