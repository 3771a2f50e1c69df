# SPDX-License-Identifier: Apache-2.0
"""The one socket between the process that writes the log (front) and one that reads it (back).

A frame is: u32 length of what follows, u8 kind, u64 number, payload; little-endian. The number
pairs an answer with its question. The socket is a private socketpair made by front: it needs no
name in the file system and ends with either process, so neither outlives the other unnoticed.
"""

import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from enum import IntEnum
from pathlib import Path

import msgspec

from opentrail.errors import Unavailable
from opentrail.eventlog.base import Draft, MarkKind, Origin
from opentrail.eventlog.reader import SegmentReader
from opentrail.eventlog.through import ReadsThrough

FRAME_BYTES_MAX = 64 * 1024 * 1024
"""A whole answer with 50 events of 256 KB, JSON-escaped at worst, stays well below."""
READ_BYTES = 64 * 1024
"""Read at once: many calls and notices, which are small."""
APPEND_TIMEOUT_S = 30.0
"""Longer than any disk that still works needs for an fdatasync."""
_HEAD = struct.Struct("<IBQ")
HEAD_BYTES = _HEAD.size
_AFTER_LENGTH = HEAD_BYTES - 4


class Kind(IntEnum):
    """What a frame means."""

    HELLO = 1
    """front -> back, first: the settings (``config.hello``)."""
    READY = 2
    """back -> front: ready for calls."""
    DURABLE = 3
    """front -> back: the log's durable end has moved; the number is the new end."""
    INDEXED = 4
    """back -> front: event history has everything below this position; the payload counts it."""
    APPEND = 5
    """back -> front: append these drafts."""
    APPENDED = 6
    """front -> back: the positions of what was appended; it is durable."""
    REFUSED = 7
    """front -> back: it was not acknowledged; the payload says why (``encode_refusal``)."""
    CALL = 8
    """front -> back: a call of CloudTrail's API, authenticated."""
    REPLY = 9
    """back -> front: the answer to a CALL or a READ."""
    MARKS = 10
    """back -> front: append these marks."""
    READ = 11
    """front -> back: a call of S3's for a directory bucket, authenticated."""
    NEEDED = 12
    """back -> front: trails still need the log from this position on."""
    GAUGES = 13
    """back -> front: figures of trails for the metrics page: lists of name, target, trail, value."""
    SEARCH = 14
    """front -> back: a search, authenticated; answered by a REPLY."""
    KNOWN = 15
    """front -> back: records that may be in the log already; answered by a REPLY."""
    BEAT = 16
    """front -> back, and back as the answer: whether calls are answered."""
    STILL = 17
    """back -> front: part of it goes no further; the payload says which, and why. With a number, none
    of it does: it could not start."""


_KINDS = {int(kind): kind for kind in Kind}


_UNSETTLED = "front has not answered an earlier append yet"

_encode = msgspec.msgpack.Encoder().encode
_drafts = msgspec.msgpack.Decoder(list[tuple[int, bytes]])
_marks = msgspec.msgpack.Decoder(list[tuple[MarkKind, bytes]])
_positions = msgspec.msgpack.Decoder(list[int])
_refusal = msgspec.msgpack.Decoder(tuple[str, str])


def frame(kind: Kind, number: int, payload: bytes = b"") -> bytes:
    """Return one frame's bytes."""
    return _HEAD.pack(_AFTER_LENGTH + len(payload), kind, number) + payload


def parse_head(head: bytes) -> tuple[Kind, int, int]:
    """Return kind, number and payload length of a frame's first HEAD_BYTES.

    Raises: Unavailable: the other side does not speak this protocol.
    """
    length, kind, number = _HEAD.unpack(head)
    known = _KINDS.get(kind)
    if known is None or not _AFTER_LENGTH <= length <= FRAME_BYTES_MAX:
        raise Unavailable("the other process sent a frame that is none", "restart opentrail")
    return known, number, length - _AFTER_LENGTH


def encode_drafts(drafts: Sequence[Draft]) -> bytes:
    """Return the payload of an APPEND."""
    return _encode([(int(draft.origin), draft.data) for draft in drafts])


def decode_drafts(payload: bytes) -> list[Draft]:
    """Return the drafts of an APPEND."""
    return [Draft(Origin(origin), data) for origin, data in _drafts.decode(payload)]


def encode_marks(marks: Sequence[tuple[MarkKind, bytes]]) -> bytes:
    """Return the payload of a MARKS."""
    return _encode(marks)


def decode_marks(payload: bytes) -> list[tuple[MarkKind, bytes]]:
    """Return the marks of a MARKS."""
    return _marks.decode(payload)


def encode_positions(positions: Sequence[int]) -> bytes:
    """Return the payload of an APPENDED."""
    return _encode(positions)


def encode_refusal(error: Unavailable) -> bytes:
    """Return the payload of a REFUSED."""
    return _encode((error.message, error.hint))


def decode_refusal(payload: bytes) -> Unavailable:
    """Return the error that a REFUSED tells of."""
    return Unavailable(*_refusal.decode(payload))


class Link:
    """The blocking end of the socket, for back: many senders, one receiver."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._received = sock.makefile("rb", READ_BYTES)
        self._sending = threading.Lock()

    def send(self, kind: Kind, number: int, payload: bytes = b"") -> None:
        """Send one frame. Raises: Unavailable: front is gone."""
        try:
            with self._sending:
                self._sock.sendall(frame(kind, number, payload))
        except OSError as error:
            raise Unavailable("front is gone") from error

    def frames(self) -> Iterator[tuple[Kind, int, bytes]]:
        """Yield what arrives until front closes the socket; nothing can be received after that."""
        with self._received:
            while True:
                head = self._read(HEAD_BYTES)
                if len(head) < HEAD_BYTES:
                    return
                kind, number, length = parse_head(head)
                payload = self._read(length)
                if len(payload) < length:
                    return
                yield kind, number, payload

    def _read(self, count: int) -> bytes:
        """Return ``count`` bytes, fewer when front has closed the socket."""
        try:
            return self._received.read(count) or b""
        except ConnectionError:
            return b""


class LinkedLog(ReadsThrough):
    """The event log as another process sees it: reads the files, appends through front.

    Satisfies ``EventLog``. Whoever receives the link's frames hands APPENDED and REFUSED to
    ``answered``.
    """

    def __init__(self, log_dir: Path, send: Callable[[Kind, int, bytes], None]) -> None:
        self._reader = SegmentReader(log_dir)
        self._send = send
        self._waiting: dict[int, Future[list[int]]] = {}
        self._lock = threading.Lock()
        self._last = 0
        self._closed = ""
        self._unsettled: set[int] = set()

    def durable_end(self) -> int:
        """See ``LogReader``."""
        return self._reader.durable_end()

    def writable(self) -> str:
        """See ``EventLog``; what front refuses is known only when it is asked."""
        with self._lock:
            return self._closed or (_UNSETTLED if self._unsettled else "")

    def append(self, drafts: Sequence[Draft]) -> list[int]:
        """See ``EventLog``: front appends, and answers when it is durable."""
        return self._ask(Kind.APPEND, encode_drafts(drafts))

    def append_marks(self, marks: Sequence[tuple[MarkKind, bytes]]) -> list[int]:
        """See ``EventLog``: front appends, and answers when they are durable."""
        return self._ask(Kind.MARKS, encode_marks(marks))

    def _ask(self, kind: Kind, payload: bytes) -> list[int]:
        """Return the positions that front answers with. Raises: Unavailable.

        While an append that front did not answer in time may still happen, no other is made: who
        looks into the log for what became of it, and then repeats it, must not be overtaken.
        """
        waiting: Future[list[int]] = Future()
        with self._lock:
            if self._closed or self._unsettled:
                raise Unavailable(self._closed or _UNSETTLED)
            self._last += 1
            number = self._last
            self._waiting[number] = waiting
        try:
            self._send(kind, number, payload)
            return waiting.result(timeout=APPEND_TIMEOUT_S)
        except FutureTimeoutError as error:
            with self._lock:
                if number in self._waiting:
                    self._unsettled.add(number)
            raise Unavailable("front did not answer; what was sent may be in the log") from error
        finally:
            with self._lock:
                self._waiting.pop(number, None)

    def answered(self, kind: Kind, number: int, payload: bytes) -> None:
        """Take an APPENDED or REFUSED from the link."""
        with self._lock:
            waiting = self._waiting.pop(number, None)
            self._unsettled.discard(number)
        if waiting is None:
            return
        if kind is Kind.APPENDED:
            waiting.set_result(_positions.decode(payload))
        else:
            waiting.set_exception(decode_refusal(payload))

    def close(self) -> None:
        """Front is gone: whoever waits learns that the outcome is unknown."""
        with self._lock:
            self._closed = "front is gone"
            waiting = list(self._waiting.values())
            self._waiting.clear()
        for future in waiting:
            future.set_exception(Unavailable("front is gone; what was sent may be in the log"))
