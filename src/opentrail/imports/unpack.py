# SPDX-License-Identifier: Apache-2.0
"""From what a file holds to records, each with the very bytes that it has there. Pure.

Taken are CloudTrail's log files (``{"Records": […]}``), records and lists of them, any number of JSON
values behind each other or one a line, and the envelopes in which records travel: EventBridge
(``detail``), CloudWatch Logs (``logEvents``, ``events``, or lines of an export), LookupEvents
(``Events``), and those of ``wrapped``.
"""

import codecs
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import msgspec

from opentrail.errors import Corrupt
from opentrail.event import codec
from opentrail.event.record import ABSENT
from opentrail.eventlog.base import RECORD_BYTES_MAX
from opentrail.imports import wrapped

LAYERS_MAX = 8
"""Of envelopes in each other: CloudWatch Logs through Kinesis has five."""


@dataclass(frozen=True, slots=True)
class Unread:
    """Something that is no record."""

    position: int
    """Where it begins, in bytes of the unpacked file."""
    reason: str


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A JSON object that may carry records in the ways of ``wrapped``; ``opened`` makes them of it."""

    position: int
    data: bytes


Found = bytes | Unread | Wrapped


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
    kind: str = msgspec.field(name="messageType", default="")

    def carried(self, *, travels: bool) -> Sequence[msgspec.Raw | bytes] | None:
        """Return the records in it; ``travels``: whether EventBridge's other word is there, too."""
        if self.records is not None:
            return self.records
        if self.detail and travels:
            return [self.detail]
        for messages in (self.log_events, self.events):
            if messages is not None:
                # CloudWatch Logs asks whether anybody listens.
                asks = self.kind == "CONTROL_MESSAGE"
                return [] if asks else [each.message.encode() for each in messages]
        if self.looked_up is not None:
            return [each.record.encode() for each in self.looked_up]
        return None


_log_file = msgspec.json.Decoder(_LogFile).decode
_envelope = msgspec.json.Decoder(_Envelope).decode
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
    if not exact or max(sizes, default=0) > RECORD_BYTES_MAX:
        return None
    # What a function gets of a queue or a stream is a list of the same name.
    return None if records and wrapped.may_wrap(records[0]) else records


def records_of(data: bytes, layers: int = LAYERS_MAX) -> Iterator[bytes | Unread]:
    """Yield every record of an unpacked file, and what is none. Nothing is dropped unsaid.

    ``layers``: how many envelopes in each other are opened.
    """
    try:
        text = _as_utf8(data)
    except UnicodeDecodeError as error:
        yield Unread(error.start, f"not the UTF-16 or UTF-32 that it seems to be: {error.reason}")
        return
    start = len(data) - len(text) if data.endswith(text) else 0
    try:
        whole = _raw(text)
    except _UNREADABLE:
        yield from opened(_several(text, start), layers)
    else:
        yield from opened(_value(bytes(whole), start), layers)


def opened(found: Iterable[Found], layers: int = LAYERS_MAX) -> Iterator[bytes | Unread]:
    """Yield what is ``found``, and in the place of what is ``Wrapped`` what it carries."""
    for each in found:
        if not isinstance(each, Wrapped):
            yield each
        elif layers:
            yield from _carried_by(each, layers - 1)
        else:
            yield _itself(each)


def _carried_by(wrapping: Wrapped, layers: int) -> Iterator[bytes | Unread]:
    """Yield what ``wrapping`` carries, or itself when that is no record."""
    before: list[bytes | Unread] = []
    documents = wrapped.inside(wrapping.data)
    found = chain.from_iterable(records_of(document, layers) for document in documents)
    at = wrapping.position
    inside = (Unread(at, each.reason) if isinstance(each, Unread) else each for each in found)
    for each in inside:
        before.append(each)
        if isinstance(each, bytes) and not wrapped.may_wrap(each):
            yield from chain(before, inside)
            if _hides(wrapping.data):
                yield Unread(at, _HIDDEN)
            return
    yield _itself(wrapping)


def _itself(wrapping: Wrapped) -> bytes | Unread:
    data = wrapping.data
    return _too_large(wrapping.position) if len(data) > RECORD_BYTES_MAX else data


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


def _several(data: bytes, start: int) -> Iterator[Found]:
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


def _joined(data: bytes, start: int) -> Iterator[Found]:
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


def _salvaged(data: bytes, at: int, start: int) -> Iterator[Found]:
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


def lines(data: bytes, start: int) -> Iterator[Found]:
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


def _value(data: bytes, at: int) -> Iterator[Found]:
    """Read one JSON value: a record, or what records travel in."""
    if data[:1] == b"[":
        for element in _list(data):
            yield from _value(bytes(element), at)
        return
    found = _carried(data)
    yield from records([data] if found is None else found, at)
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
    lists = [name for name, _ in last if name in _ENVELOPES]
    others = [name for name, _ in last if name in wrapped.NAMES]
    return len(lists + others) > 1 if lists else len(set(others)) < len(others)


def _carried(data: bytes) -> Sequence[msgspec.Raw | bytes] | None:
    """Return the records that an envelope carries; None when it is none."""
    try:
        envelope = _envelope(data)
    except _UNREADABLE:
        return None
    return envelope.carried(travels=b'"detail-type"' in data)


def records(values: Sequence[msgspec.Raw | bytes], at: int) -> Iterator[Found]:
    """Yield ``values``, which lie at ``at``, as records: on one line, and none that is too large."""
    for value in values:
        data = bytes(value)
        if data[:1] != b"{":
            yield Unread(at, "not a JSON object")
        elif wrapped.may_wrap(data):
            yield Wrapped(at, _minified(data))
        elif len(data) > RECORD_BYTES_MAX and len(_minified(data)) > RECORD_BYTES_MAX:
            yield _too_large(at)
        else:
            yield _minified(data)


def _minified(data: bytes) -> bytes:
    try:
        return codec.minify(data)
    except Corrupt:
        return data


def _too_large(at: int) -> Unread:
    return Unread(at, f"larger than a record can be ({RECORD_BYTES_MAX} bytes)")
