# SPDX-License-Identifier: Apache-2.0
"""The way to the intake: one kept connection, each request signed."""

import http.client
import json
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from opentrail.sdk.posting import Delivered, NotSent
from opentrail.sdk.signing import Credentials, signed_headers
from opentrail.sdk.spool import Batch
from opentrail.sdk.system import now_s

PATH = "/_opentrail/intake"
TIMEOUT_S = 10.0
"""Longest silence of the server: an append takes milliseconds, a full disk is told at once."""
ANSWER_BYTES_MAX = 8 * 1024 * 1024
"""A thousand verdicts with the longest reasons have less."""
TOO_LONG = 413
"""A proxy's too, whose bound may be less than a batch: nginx has 1 MB unless it is told."""
_WRONG = frozenset({400, TOO_LONG, 415})
"""What is wrong with the batch itself stays wrong."""
_PASSING_CODES = ("Signature", "Token", "Expired", "Credential")
"""Of codes of status 400 that are about the sender: keys and clocks get mended."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where records go, and who sends them."""

    endpoint: str
    """"http://host:port" or "https://…"."""
    region: str
    credentials: Credentials | Callable[[], Credentials | None]
    """Who signs; a callable is asked before each request. None: requests are not signed."""


class HttpPost:
    """A ``Post``."""

    def __init__(self, target: Target) -> None:
        """Check the endpoint. Raises: ValueError: it is none."""
        parts = urlsplit(target.endpoint)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        if not usable or parts.path not in ("", "/") or parts.query or parts.fragment:
            raise ValueError(f"endpoint {target.endpoint!r} is not http(s)://HOST[:PORT]")
        self._target = target
        self._host = parts.netloc.rpartition("@")[2]
        self._secure = parts.scheme == "https"
        self._connection: http.client.HTTPConnection | None = None

    def __call__(self, batch: Batch) -> Delivered:
        """See ``Post``."""
        body = b"\n".join(batch)
        kept = self._connection is not None
        try:
            status, answer = self._exchanged(body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if kept:  # the server may have closed an idle one: that is no trouble
                return self(batch)
            reason = str(error) or type(error).__name__
            raise NotSent(f"{self._host}: {reason}", again=True) from error
        if status == TOO_LONG and len(batch) > 1:
            return self._in_halves(batch)
        if status != http.client.OK:
            raise _refused(status, answer)
        return _delivered(answer)

    def _in_halves(self, batch: Batch) -> Delivered:
        """Send a batch that is too long for something between us and the server.

        Where only the first half arrives all of it is sent again, and half of that is known then.
        """
        middle = len(batch) // 2
        first, last = self(batch[:middle]), self(batch[middle:])
        return Delivered(
            first.accepted + last.accepted,
            first.duplicates + last.duplicates,
            first.rejected + last.rejected,
        )

    def _exchanged(self, body: bytes) -> tuple[int, bytes]:
        """Send ``body``; return status and body of the answer. Raises: OSError, HTTPException."""
        if self._connection is None:
            self._connection = self._connected()
        headers = {"content-type": "application/x-ndjson", "host": self._host}
        given = self._target.credentials
        credentials = given() if callable(given) else given
        if credentials is not None:
            headers |= signed_headers(
                credentials, self._target.region, self._host, PATH, body, now_s()
            )
        self._connection.request("POST", PATH, body, headers)
        response = self._connection.getresponse()
        return response.status, response.read(ANSWER_BYTES_MAX)

    def _connected(self) -> http.client.HTTPConnection:
        """Return a connection, not opened yet. Raises: OSError: the CAs cannot be read."""
        if not self._secure:
            return http.client.HTTPConnection(self._host, timeout=TIMEOUT_S)
        context = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE") or None)
        return http.client.HTTPSConnection(self._host, timeout=TIMEOUT_S, context=context)

    def close(self) -> None:
        """See ``Post``."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _refused(status: int, answer: bytes) -> NotSent:
    code, message = _fault(answer)
    about_sender = any(part in code for part in _PASSING_CODES)
    # A stranger's answer, a proxy's for example, says nothing of the records.
    again = status != TOO_LONG and (not code or status not in _WRONG or about_sender)
    return NotSent(f"HTTP {status} {code}: {message}", again=again)


def _fault(answer: bytes) -> tuple[str, str]:
    try:
        fault = json.loads(answer)
        return str(fault["__type"])[:128], str(fault["message"])[:512]
    except (ValueError, LookupError, TypeError):
        return "", "no error of OpenTrail's: is this its address?"


def _delivered(answer: bytes) -> Delivered:
    try:
        found = json.loads(answer)
        rejected = tuple(
            f"{each.get('eventID', '')} {each['errorCode']}: {each['errorMessage']}"
            for each in found["records"]
            if each["verdict"] == "rejected"
        )
        return Delivered(found["accepted"], found["duplicates"], rejected)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise NotSent("the answer is none of the intake's", again=True) from error
