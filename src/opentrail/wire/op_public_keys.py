# SPDX-License-Identifier: Apache-2.0
"""ListPublicKeys: what digests are verified with.

Follows the CloudTrail API Reference, 'ListPublicKeys': the value is the PKCS #1 DER of the key.
"""

from opentrail.errors import ClientError
from opentrail.trails.keys import PublicKey as Kept
from opentrail.wire.rooms import Rooms, Scope
from opentrail.wire.shapes import ListPublicKeysRequest, ListPublicKeysResponse, PublicKey

FOREVER_S = 1e12
"""Beyond all keys: JSON has numbers whose milliseconds are none."""


def list_public_keys(
    rooms: Rooms, _scope: Scope, request: ListPublicKeysRequest
) -> ListPublicKeysResponse:
    """Return the keys that were valid in a time range, expired ones too; by default those of now.

    All are on one page, and a token is ignored, as the service does.
    Raises: ClientError InvalidTimeRangeException.
    """
    now_ms = rooms.clock.now_ms()
    start_ms, end_ms = _ms(request.start_time, now_ms), _ms(request.end_time, now_ms)
    if start_ms > end_ms:
        raise ClientError("InvalidTimeRangeException", "StartTime is after EndTime.")
    keys = rooms.public_keys(start_ms, end_ms)
    return ListPublicKeysResponse(public_key_list=[_shown(key) for key in keys])


def _ms(seconds: float | None, default_ms: int) -> int:
    if seconds is None:
        return default_ms
    return int(min(max(seconds, -FOREVER_S), FOREVER_S) * 1000)


def _shown(key: Kept) -> PublicKey:
    return PublicKey(
        value=key.value,
        validity_start_time=key.start_ms / 1000,
        validity_end_time=key.end_ms / 1000,
        fingerprint=key.fingerprint,
    )
