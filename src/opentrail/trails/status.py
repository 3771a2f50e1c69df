# SPDX-License-Identifier: Apache-2.0
"""What GetTrailStatus tells of a trail's deliveries. Data only; deliveries and digests write it.

Source: CloudTrail API Reference, "GetTrailStatus". An error stays beside the last success until a
delivery succeeds.
"""

import msgspec

NO_BUCKET = "NoSuchBucket"
"""The error of a bucket that is not there, and so neither is what was put there."""


class DeliveryStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Of the log files. Milliseconds since 1970 UTC; 0: never. State: ``delivery_status_key``."""

    delivered_ms: int = 0
    """The last put that succeeded (LatestDeliveryTime, LatestDeliveryAttemptSucceeded)."""
    attempted_ms: int = 0
    """The last put that was tried (LatestDeliveryAttemptTime)."""
    error: str = ""
    """S3's error code of the last put; "" when it succeeded (LatestDeliveryError)."""
    bucket: str = ""
    """Which bucket said so; it may be one that the trail had before."""
    failing_ms: int = 0
    """How long puts have been tried since one succeeded, milliseconds."""
    given_up: int = 0
    given_up_files: int = 0
    """Records, and the files with them, that the bucket was never given."""


class DigestStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Of the digests. State: ``digest_status_key``."""

    delivered_ms: int = 0
    """LatestDigestDeliveryTime."""
    error: str = ""
    """LatestDigestDeliveryError."""


class TargetStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Of one target beside the bucket. State: ``target_status_key``."""

    delivered_ms: int = 0
    """The last time that it took something (LatestNotificationTime …)."""
    attempted_ms: int = 0
    error: str = ""
    """The code of the last failure; "" since a success, or since the trail does without the target
    (LatestNotificationError …)."""
    failing_ms: int = 0
    """How long it has been tried since it took something, milliseconds."""
    given_up: int = 0
    """Files or records that it never took: too large, refused for GIVE_UP_MS, refused by a bus that
    takes others, or refused until the trail did without it."""


class TrailStatus(msgspec.Struct, frozen=True):
    """All of them."""

    delivery: DeliveryStatus = DeliveryStatus()
    digest: DigestStatus = DigestStatus()
    notification: TargetStatus = TargetStatus()
    """Of the SNS topic."""
    logs: TargetStatus = TargetStatus()
    """Of CloudWatch Logs."""


def status_prefix(owner: str) -> str:
    """Return what the keys of all statuses of a trail (or, of a shared target, account) begin with."""
    return f"status/{owner}/"


def target_status_key(owner: str, target: str) -> str:
    """Return where state keeps a ``TargetStatus``, as JSON; ``owner``: as for ``status_prefix``."""
    return f"{status_prefix(owner)}target/{target}"


def delivery_status_key(trail_id: str) -> str:
    """Return where state keeps a trail's ``DeliveryStatus``, as JSON."""
    return f"status/{trail_id}/delivery"


def digest_status_key(trail_id: str) -> str:
    """Return where state keeps a trail's ``DigestStatus``, as JSON."""
    return f"status/{trail_id}/digest"
