# SPDX-License-Identifier: Apache-2.0
"""Records into the log of a running server: ``POST /_opentrail/import``, signed.

What was sent and not answered is sent again: the server finds what its log has.
"""

import gzip
import http.client
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

import msgspec

from opentrail.clock import Clock
from opentrail.errors import ClientError, Unavailable, UsageError
from opentrail.imports.answer import ImportAnswer, Refused
from opentrail.imports.importer import Outcome
from opentrail.sdk.signing import Credentials, signed_headers

PATH = "/_opentrail/import"
REQUEST_RECORDS, REQUEST_BYTES = 1000, 2 * 1024 * 1024
"""Of one request: half of what the server takes, so that calls that pass it hardly wait."""
TIMEOUT_S = 60.0
RETRY_DELAYS_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""A server that is restarted or has a full disk for a moment is waited for; twenty seconds in all."""
ANSWER_BYTES_MAX = 8 * 1024 * 1024
_PASSING = frozenset({429, 502, 503, 504})
_UNREADABLE = frozenset({400, 413})
_LEVEL = 1
"""Of gzip: it is for the way, not for keeping."""


class _Fault(msgspec.Struct, frozen=True):
    code: str = msgspec.field(name="__type")
    message: str


_answer = msgspec.json.Decoder(ImportAnswer).decode
_fault = msgspec.json.Decoder(_Fault).decode


@dataclass(frozen=True, slots=True)
class Server:
    """Which server, and who imports."""

    url: str
    region: str
    credentials: Credentials | None
    """None: requests are not signed, for a server with api.auth = "off"."""


class ServerSink:
    """An ``importer.Sink``. Requests go out in a thread of their own."""

    def __init__(self, server: Server, clock: Clock) -> None:
        """Ask the server which log it has. Raises: UsageError. ClientError. Unavailable."""
        parts = urlsplit(server.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
            raise UsageError(f"--server {server.url} is not http(s)://HOST[:PORT]")
        self._server = server
        self._clock = clock
        self._host = parts.netloc.rpartition("@")[2]
        secure = parts.scheme == "https"
        self._connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        self._connection: http.client.HTTPConnection | None = None
        self._stopped = threading.Event()
        self._records: list[bytes] = []
        self._begun: Future[Outcome] | None = None
        self._pool = ThreadPoolExecutor(1, "import")
        self.log_id = self._posted(b"[]").log_id

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._pool.shutdown()
        self._close()

    def prepare(self, records: list[bytes]) -> None:
        """See ``Sink``."""
        self._records = records

    def begin(self) -> None:
        """See ``Sink``."""
        self._begun = self._pool.submit(self._sent, self._records)

    def finish(self) -> Outcome:
        """See ``Sink``. Raises: ClientError: the server takes nothing from this key. Unavailable."""
        return Outcome() if self._begun is None else self._begun.result()

    def _sent(self, records: list[bytes]) -> Outcome:
        duplicates: set[int] = set()
        again: set[int] = set()
        refused: dict[int, str] = {}
        for first, last in _requests(records):
            for begin, answer in self._answers(records, first, last):
                duplicates.update(begin + number for number in answer.duplicates)
                refused.update((begin + each.index, each.reason) for each in answer.refused)
                again.update(begin + each.index for each in answer.refused if each.again)
        return Outcome(frozenset(duplicates), refused, frozenset(again))

    def _answers(
        self, records: list[bytes], first: int, last: int
    ) -> Iterator[tuple[int, ImportAnswer]]:
        """Yield what is answered of some records, and the first one's number.

        One that the server cannot read refuses no others: they are sent in halves then. Raises:
        ClientError. Unavailable.
        """
        try:
            yield first, self._posted(b"[" + b",".join(records[first:last]) + b"]")
        except ClientError as error:
            if error.status not in _UNREADABLE:
                raise
            if last - first == 1:
                refused = Refused(0, error.message, again=True)
                yield first, ImportAnswer(self.log_id, 0, [], [refused])
                return
            middle = (first + last) // 2
            yield from self._answers(records, first, middle)
            yield from self._answers(records, middle, last)

    def _posted(self, body: bytes) -> ImportAnswer:
        """Send one request until it is answered. Raises: ClientError. Unavailable."""
        packed = gzip.compress(body, _LEVEL, mtime=0)
        said = ""
        for delay_s in (*RETRY_DELAYS_S, None):
            try:
                status, answer = self._exchanged(packed)
            except (OSError, http.client.HTTPException) as error:
                self._close()
                said = str(error) or type(error).__name__
            else:
                if status == http.client.OK:
                    return self._decoded(answer)
                said = _said(status, answer)
                if status not in _PASSING:
                    raise ClientError("ImportRefused", f"{self._host}: {said}", status)
            if delay_s is None or self._stopped.wait(delay_s):
                break
        raise Unavailable(f"{self._host}: {said}", "run the import again: it goes on where it was")

    def _decoded(self, answer: bytes) -> ImportAnswer:
        try:
            return _answer(answer)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            message = f"{self._host}: the answer is none of OpenTrail's: is this its address?"
            raise ClientError("ImportRefused", message) from error

    def _exchanged(self, body: bytes) -> tuple[int, bytes]:
        """Send one request; return status and body of the answer. Raises: OSError. HTTPException."""
        if self._connection is None:
            self._connection = self._connect(self._host, timeout=TIMEOUT_S)
        headers = {
            "host": self._host,
            "content-type": "application/json",
            "content-encoding": "gzip",
        }
        server = self._server
        if server.credentials is not None:
            headers |= signed_headers(
                server.credentials,
                server.region,
                self._host,
                PATH,
                body,
                self._clock.now_ms() / 1000,
            )
        self._connection.request("POST", PATH, body, headers)
        response = self._connection.getresponse()
        return response.status, response.read(ANSWER_BYTES_MAX)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _requests(records: list[bytes]) -> Iterator[tuple[int, int]]:
    """Yield first and last (exclusive) of the records of each request."""
    first, size = 0, 0
    for number, record in enumerate(records):
        size += len(record)
        full = number - first == REQUEST_RECORDS or size > REQUEST_BYTES
        if full and number > first:
            yield first, number
            first, size = number, len(record)
    if first < len(records):
        yield first, len(records)


def _said(status: int, answer: bytes) -> str:
    try:
        fault = _fault(answer)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return f"HTTP {status}"
    return f"HTTP {status} {fault.code[:128]}: {fault.message[:512]}"
