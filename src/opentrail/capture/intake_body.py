# SPDX-License-Identifier: Apache-2.0
"""From the body of an intake request to the records in it, each as the bytes that were sent. Pure.

Source: CloudTrail User Guide, "CloudTrail log file examples" (``{"Records":[…]}``); RFC 8259 (JSON),
RFC 1952 (gzip); NDJSON is one JSON text a line.
"""

import re
import zlib
from collections.abc import Mapping

import msgspec

from opentrail.capture.call import MEMBERS_MAX
from opentrail.errors import ClientError
from opentrail.event.caps import RECORD_BYTES_MAX
from opentrail.event.parts import is_json, value_end, whole
from opentrail.eventlog.frame import FRAMES_BYTES_MAX

SENDER_BYTES_MAX = 16 * 1024
"""Of the event that says who sent the records (``intake_senders``): names and addresses."""
BODY_BYTES_MAX = FRAMES_BYTES_MAX - SENDER_BYTES_MAX
"""Of a request, unpacked: all of it goes into the log at once or not at all, and this is what one
append takes. Thirty-one of the largest records."""
RECORDS_MAX = 10_000
"""Records of one request: more would keep all other calls waiting for more than a tenth of a second."""

LINES_MAX = 10 * RECORDS_MAX
"""Of a request, blank ones included."""
COMMAS_MAX = 100 * RECORDS_MAX
"""Of an array, before it is looked at more closely."""

BRACKETS_MAX = 30 * RECORDS_MAX
"""Of an array in which a record is bad: real records have a third as many; a fifth of a second."""

_GZIP = 31
"""zlib's window bits for the largest window with a gzip header."""
_GZIP_MAGIC = b"\x1f\x8b"
BLANKS = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"
"""Says that what follows is UTF-8 (RFC 8259, 8.1: it may be ignored). It is of no record."""
_CONTAINER = re.compile(rb'\{[ \t\r\n]*"Records"[ \t\r\n]*:')
_NDJSON_TYPES = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/json-lines"}
)
_split_array = msgspec.json.Decoder(list[msgspec.Raw]).decode


class _Object(msgspec.Struct, gc=False):
    """Any object, of which nothing is kept."""


_count_objects = msgspec.json.Decoder(list[_Object]).decode


def too_long() -> ClientError:
    """Return the error of a request that is longer than one append."""
    return ClientError(
        "RequestEntityTooLargeException",
        f"The request is longer than {BODY_BYTES_MAX} bytes: send fewer records at once.",
        413,
    )


def unpacked(body: bytes, encoding: str) -> bytes:
    """Return ``body`` without its Content-Encoding, ``encoding``.

    Raises: ClientError: it is none that is known, not what it says, or too long unpacked.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        if len(body) > BODY_BYTES_MAX:
            raise too_long()
        return body
    if name not in ("gzip", "x-gzip"):
        raise ClientError(
            "UnsupportedMediaTypeException",
            "The Content-Encoding may be gzip or identity.",
            415,
        )
    return _gunzipped(body)


def _gunzipped(body: bytes) -> bytes:
    """Unpack one gzip member or several (RFC 1952, 2.2), to the bound and no further."""
    pieces: list[bytes] = []
    left = BODY_BYTES_MAX + 1
    try:
        while body:
            if len(pieces) == MEMBERS_MAX:
                message = f"The gzip stream has more than {MEMBERS_MAX} members."
                raise ClientError("InvalidRequestException", message)
            inflate = zlib.decompressobj(_GZIP)
            piece = inflate.decompress(body, left)
            left -= len(piece)
            if left <= 0:
                raise too_long()
            if not inflate.eof:
                raise ClientError("InvalidRequestException", "The gzip stream is cut short.")
            pieces.append(piece)
            body = inflate.unused_data
    except zlib.error:
        raise ClientError("InvalidRequestException", "The body is not gzip.") from None
    return b"".join(pieces)


class Text(msgspec.Struct, frozen=True, gc=False):
    """The records of one request, in one of two forms; yet to be taken apart."""

    data: bytes
    """A JSON array, or one JSON text a line."""
    lines: bool = False
    """Whether it is lines."""


def is_one_record(body: bytes, headers: Mapping[str, str]) -> bool:
    """Whether a body is, at first sight, one record on one line: then it needs no taking apart.

    ``headers``: the request's. Whether it is JSON is not looked at.
    """
    one = body.startswith(b"{") and body.find(b"\n") < 0 and "content-encoding" not in headers
    return one and len(body) <= BODY_BYTES_MAX and _CONTAINER.match(body) is None


def read(body: bytes, content_type: str = "") -> Text:
    """Return in which form ``body`` has its records.

    A JSON array, an object ``{"Records":[…]}``, one record, or one record a line. Raises:
    ClientError: it is none of these.
    """
    if body.startswith(_GZIP_MAGIC):
        message = "The body is gzipped: say so with Content-Encoding: gzip."
        raise ClientError("InvalidRequestException", message)
    kind = content_type.partition(";")[0].strip().lower() if content_type else ""
    text = body.removeprefix(_BOM).strip(BLANKS)
    if kind in _NDJSON_TYPES:
        return Text(text, lines=True)
    if text.startswith(b"["):
        return Text(text)
    container = _CONTAINER.match(text)
    if container is not None:
        # What follows the list makes it no list: a second "Records" is refused, not lost.
        if not text.endswith(b"}"):
            raise ClientError("InvalidRequestException", "The body is cut short.")
        return Text(text[container.end() : -1].strip(BLANKS))
    if text.find(b"\n") < 0 or _is_record(text.partition(b"\n")[0].strip(BLANKS)):
        return Text(text, lines=True)
    if not is_json(text):
        raise ClientError(
            "InvalidRequestException",
            "The body is neither a JSON array, nor an object with Records and nothing else,"
            " nor one JSON object a line.",
        )
    return Text(b"[" + text + b"]")  # one record on several lines


def split(text: Text) -> list[bytes]:
    """Return the records in ``text``, each as it was sent.

    What of a line is no JSON stands in its place, so that each line can be told its verdict.
    Raises: ClientError: it is no array; too many records, or none.
    """
    records = _lines(text.data) if text.lines else _array(text.data)
    if not records:
        raise ClientError("InvalidRequestException", "The request has no records.")
    if len(records) > RECORDS_MAX:
        raise ClientError(
            "RequestEntityTooLargeException",
            f"The request has {len(records)} records; {RECORDS_MAX} at most.",
            413,
        )
    return records


def _lines(text: bytes) -> list[bytes]:
    # Both look at one byte after another, ``find`` at many at once.
    if len(text) > LINES_MAX and text.count(b"\n") > LINES_MAX:
        raise ClientError("RequestEntityTooLargeException", "The request has too many lines.", 413)
    lines = text.split(b"\n") if text.find(b"\n") >= 0 else [text]
    stripped = [line.strip(BLANKS) for line in lines]
    return [line for line in stripped if line]


def _too_many(text: bytes) -> bool:
    """Whether the array ``text`` surely has too many elements, or one that is no object.

    A record has a hundred commas and some hundred bytes; millions of elements must not first become
    millions of objects here. Raises: DecodeError.
    """
    if text.count(b",") <= COMMAS_MAX:
        return False
    return len(_count_objects(text)) > RECORDS_MAX


def _array(text: bytes) -> list[bytes]:
    try:
        if _too_many(text):
            raise ClientError(
                "RequestEntityTooLargeException",
                f"The request has more than {RECORDS_MAX} records.",
                413,
            )
        return [bytes(raw) for raw in _split_array(text)]
    except (msgspec.DecodeError, RecursionError) as error:
        # One that is bad has a verdict of its own, and refuses no others.
        records = whole(text, BRACKETS_MAX)
        message = f"The body is not a JSON array of records: {error}"
    if records is None:
        raise ClientError("InvalidRequestException", message)
    return records


def _is_record(line: bytes) -> bool:
    """Whether ``line`` is a JSON value, or one by its brackets: a bad record, not a part of one."""
    if is_json(line):
        return True
    return len(line) <= RECORD_BYTES_MAX and value_end(line, 0) == len(line)
