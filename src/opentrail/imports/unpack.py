# SPDX-License-Identifier: Apache-2.0
"""From a file's bytes to records, each with the very bytes that it has there. Pure.

Taken are CloudTrail's log files (``{"Records": […]}``), one record or a list of them, one JSON value a
line, and the envelopes in which records travel: EventBridge (``detail``), CloudWatch Logs
(``logEvents``, ``events``, or lines of an export), LookupEvents (``Events``). Gzipped or not.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import msgspec
from zlib_ng import zlib_ng

from opentrail.errors import Corrupt
from opentrail.event import codec
from opentrail.event.record import ABSENT
from opentrail.eventlog.base import RECORD_BYTES_MAX

FILE_BYTES_MAX = 128 * 1024 * 1024
"""Unpacked; more than twice CloudTrail's largest log file. It lies in memory while it is read."""
MEMBERS_MAX = 10_000
"""Of a file that was joined from others; each one costs a copy of what follows it."""
_GZIP = 31
"""zlib's window bits for the largest window with a gzip header."""
_Damaged = cast("type[Exception]", zlib_ng.error)
_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Unread:
    """Something that is no record."""

    position: int
    """Where it begins, in bytes of the unpacked file."""
    reason: str


class NotReadable(Exception):
    """The file cannot be unpacked; its text says why."""


def inflate(data: bytes) -> bytes:
    """Return what a gzipped file holds, all members of it; any other file as it is.

    Raises: NotReadable.
    """
    if not data.startswith(_MAGIC):
        if len(data) > FILE_BYTES_MAX:
            raise NotReadable(f"it is larger than {FILE_BYTES_MAX} bytes: split it")
        return data
    parts: list[bytes] = []
    left = FILE_BYTES_MAX
    try:
        while data:
            if len(parts) == MEMBERS_MAX:
                raise NotReadable(f"it has more than {MEMBERS_MAX} gzip members")
            member = zlib_ng.decompressobj(wbits=_GZIP)
            part = member.decompress(data, left + 1)
            left -= len(part)
            if left < 0:
                raise NotReadable(f"it unpacks to more than {FILE_BYTES_MAX} bytes")
            if not member.eof:
                raise NotReadable("its gzip data is cut short")
            parts.append(part)
            data = member.unused_data.lstrip(b"\0")
    except _Damaged as error:
        raise NotReadable("its gzip data is damaged") from error
    return b"".join(parts)


class _LogFile(msgspec.Struct):
    records: list[msgspec.Raw] = msgspec.field(name="Records")


class _Message(msgspec.Struct):
    message: str


class _Event(msgspec.Struct):
    record: str = msgspec.field(name="CloudTrailEvent")


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


_log_file = msgspec.json.Decoder(_LogFile).decode
_envelope = msgspec.json.Decoder(_Envelope).decode
_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_raw = msgspec.json.Decoder(msgspec.Raw).decode
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def records_of(data: bytes) -> Iterator[bytes | Unread]:
    """Yield every record of an unpacked file, and what is none. Nothing is dropped unsaid."""
    try:
        records = _log_file(data).records  # what nearly every file is
    except _UNREADABLE:
        yield from _other(data)
    else:
        yield from _records(records, 0)
        # What else there is must not hide records: a second "Records" would replace the first.
        rest = len(data) - sum(map(len, records)) - max(len(records) - 1, 0)
        if rest != len(_FRAME) and _hides(data):
            yield Unread(0, _HIDDEN)


_FRAME = b'{"Records":[]}'


def _other(data: bytes) -> Iterator[bytes | Unread]:
    """Read a file that is not simply ``{"Records": […]}``."""
    text = data.removeprefix(b"\xef\xbb\xbf")
    start = len(data) - len(text)
    try:
        whole = _raw(text)
    except _UNREADABLE:
        opened = _OPENED.match(text)
        if opened is None or _is_json(text[: text.find(b"\n") + 1]):
            yield from _lines(text, start)
        else:
            yield from _salvaged(text, opened.end(), start)
    else:
        yield from _value(bytes(whole), start)


def _is_json(data: bytes) -> bool:
    try:
        _raw(data)
    except _UNREADABLE:
        return False
    return True


_OPENED = re.compile(rb'\s*\{\s*"Records"\s*:\s*\[\s*')
_BETWEEN = re.compile(rb"\s*,\s*|\s*\]\s*\}\s*\Z")


def _salvaged(data: bytes, at: int, start: int) -> Iterator[bytes | Unread]:
    """Yield the records of a damaged log file that lie before the damage."""
    # As Latin-1 a character is a byte, so that ends of values are those of the bytes.
    text = data.decode("latin-1")
    decode = json.JSONDecoder().raw_decode
    while at < len(text):
        try:
            _, end = decode(text, at)
        except (ValueError, RecursionError) as error:
            yield Unread(start + at, f"the file is damaged from here on: {error}"[:200])
            return
        yield from _records([data[at:end]], start + at)
        between = _BETWEEN.match(data, end)
        if between is None:
            yield Unread(start + end, "the file is damaged from here on: no comma or end follows")
            return
        at = between.end()
    if not data.rstrip().endswith(b"}"):
        yield Unread(start + len(data), "the file is cut short")


def _lines(data: bytes, start: int) -> Iterator[bytes | Unread]:
    """Read one JSON value a line, a time before it or not, as exports of CloudWatch Logs have it."""
    at = start
    for line in data.split(b"\n"):
        brace = line.find(b"{") if _TIMED.match(line) else 0
        value = line[brace:].strip()
        if value:
            try:
                yield from _value(bytes(_raw(value)), at + brace)
            except _UNREADABLE as error:
                yield Unread(at, f"not JSON: {error}"[:200])
        at += len(line) + 1


_TIMED = re.compile(rb"\d{4}-\d\d-\d\dT\S*\s+\{")


def _value(data: bytes, at: int) -> Iterator[bytes | Unread]:
    """Read one JSON value: a record, or what records travel in."""
    if data[:1] == b"[":
        for element in _list(data):
            yield from _value(bytes(element), at)
        return
    found = _carried(data)
    yield from _records([data] if found is None else found, at)
    if found is not None and _hides(data):
        yield Unread(at, _HIDDEN)


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


def _records(values: Sequence[msgspec.Raw | bytes], at: int) -> Iterator[bytes | Unread]:
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
