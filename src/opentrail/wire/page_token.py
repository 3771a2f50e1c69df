# SPDX-License-Identifier: Apache-2.0
"""NextToken: where the next page goes on, signed together with the parameters it belongs to.

A token is 64 characters: base64url of the last event's time (i64) and position (u64), big-endian,
and an HMAC-SHA256 over both and over every parameter. Nothing is kept on the server, so a token
outlives restarts, and events that arrive meanwhile do not move the place that it names.
"""

import base64
import binascii
import hashlib
import hmac
import struct

from opentrail.errors import ClientError

PLACE = struct.Struct(">qQ")
MAC_BYTES = hashlib.sha256().digest_size


def seal(key: bytes, parameters: bytes, place: tuple[int, int]) -> str:
    """Return the token for ``place``, the (eventTime in seconds, position) of the last event shown.

    ``parameters`` is any unambiguous form of the request's parameters and its scope.
    """
    packed = PLACE.pack(*place)
    mac = hmac.digest(key, packed + parameters, "sha256")
    return base64.urlsafe_b64encode(packed + mac).decode()


def unseal(key: bytes, parameters: bytes, token: str) -> tuple[int, int]:
    """Return the place that ``token`` names.

    Raises: ClientError: we did not make this very token for these very parameters.
    """
    place = _place(token)
    # Comparing whole tokens also refuses other spellings of the same base64.
    if place is None or not hmac.compare_digest(
        seal(key, parameters, place).encode(), token.encode()
    ):
        raise ClientError(
            "InvalidNextTokenException",
            "The token is not valid, or it was made for a request with other parameters.",
        )
    return place


def _place(token: str) -> tuple[int, int] | None:
    try:
        raw = base64.urlsafe_b64decode(token)
    except (binascii.Error, ValueError):
        return None
    if len(raw) != PLACE.size + MAC_BYTES:
        return None
    seconds, position = PLACE.unpack_from(raw)
    return seconds, position
