# SPDX-License-Identifier: Apache-2.0
"""Tells an HTTP receiver of the files of a range, signed so that it can believe what it gets.

The signature is HMAC-SHA256 over the time of sending, a full stop and the body, as payment services
do it: who records a message cannot send it again later, if the receiver looks at the time.
"""

import contextlib
import hashlib
import hmac
import http.client
import socket
import ssl
import threading
from urllib.parse import urlsplit

import msgspec

from opentrail.clock import Clock, iso_seconds
from opentrail.errors import ClientError, Unavailable
from opentrail.trails.notice import Notice
from opentrail.trails.target_setting import WebhookSetting
from opentrail.trails.trail import Trail

TIMEOUT_S = 10.0
"""A receiver that needs longer should answer first and work then."""
ANSWER_S_MAX = 30.0
"""Of one message in all: who answers a byte now and then is silent too, and its status must say so."""
FILES_MAX = 100
"""Told in one message: it stays below 100 KB."""
_RETRIED = frozenset({408, 425, 429})
_SERVER_ERROR_MIN = 500
_SUCCESS = range(200, 300)

_encode = msgspec.json.Encoder().encode


class Webhook:
    """``target.Announces``: one POST for the files of a range, or for each FILES_MAX of them."""

    def __init__(self, name: str, setting: WebhookSetting, clock: Clock) -> None:
        self.name = f"webhook-{name}"
        self._setting = setting
        self._clock = clock

    def wants(self, trail: Trail) -> bool:
        """See ``Announces``."""
        names = self._setting.trails
        return not names or trail.name in names or trail.arn in names

    def announce(self, notice: Notice) -> int:
        """See ``Announces``. A repeated message has the same body and Idempotency-Key."""
        until = min(notice.told + FILES_MAX, len(notice.files))
        key = self._message_id(notice)
        body = _encode(_message(notice, until, key))
        second = self._clock.now_ms() // 1000
        self._post(
            body,
            {
                "Content-Type": "application/json",
                "User-Agent": "OpenTrail",
                "Idempotency-Key": key,
                "OpenTrail-Signature": f"t={second},v1={signature(self._setting.secret, second, body)}",
            },
        )
        return until

    def _message_id(self, notice: Notice) -> str:
        cause = "\n".join((self.name, notice.trail.id, str(notice.position), str(notice.told)))
        return hashlib.sha256(cause.encode()).hexdigest()[:32]

    def _post(self, body: bytes, headers: dict[str, str]) -> None:
        parts = urlsplit(self._setting.url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            connection = self._connection(parts.scheme, parts.netloc)
        except (OSError, http.client.HTTPException) as error:
            # Certificates that are gone, say: the file may be back the next time.
            kind = type(error).__name__
            raise Unavailable(f"{self.name}: the receiver cannot be asked: {kind}") from error
        hung_up = threading.Event()
        late = threading.Timer(ANSWER_S_MAX, _hang_up, (connection, hung_up))
        late.daemon = True
        late.start()
        try:
            connection.request("POST", path, body, headers)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException, ValueError, OverflowError) as error:
            # ValueError: a host's or path's letters that no request can have.
            kind = type(error).__name__
            raise Unavailable(f"{self.name}: the receiver did not answer: {kind}") from error
        finally:
            late.cancel()
            connection.close()
        if hung_up.is_set():
            # What came until then looks like a whole answer to http.client.
            raise Unavailable(f"{self.name}: the receiver did not answer within {ANSWER_S_MAX:g} s")
        if status in _SUCCESS:
            return
        if status in _RETRIED or status >= _SERVER_ERROR_MIN:
            raise Unavailable(f"{self.name}: the receiver answered {status}")
        raise ClientError(f"HTTP{status}", f"{self.name}: the receiver answered {status}", status)

    def _connection(self, scheme: str, netloc: str) -> http.client.HTTPConnection:
        if scheme == "http":
            return http.client.HTTPConnection(netloc, timeout=TIMEOUT_S)
        context = ssl.create_default_context(cafile=self._setting.ca or None)
        return http.client.HTTPSConnection(netloc, timeout=TIMEOUT_S, context=context)


def _hang_up(connection: http.client.HTTPConnection, hung_up: threading.Event) -> None:
    """End a connection whose time is up; whoever waits for its answer gets none."""
    hung_up.set()
    sock = connection.sock
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


def signature(secret: str, second: int, body: bytes) -> str:
    """Return the hex HMAC-SHA256 that proves who sent ``body`` at ``second``, since 1970 UTC."""
    return hmac.new(secret.encode(), b"%d." % second + body, hashlib.sha256).hexdigest()


def _message(notice: Notice, until: int, message_id: str) -> dict[str, object]:
    files = notice.files[notice.told : until]
    return {
        "id": message_id,
        "trailARN": notice.trail.arn,
        "s3Bucket": files[0].bucket,
        "s3ObjectKey": [file.key for file in files],
        "files": [
            {
                "key": file.key,
                "sha256": file.sha256,
                "records": file.records,
                "oldestEventTime": iso_seconds(file.oldest_ms),
                "newestEventTime": iso_seconds(file.newest_ms),
            }
            for file in files
        ],
    }
