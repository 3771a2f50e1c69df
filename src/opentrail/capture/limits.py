# SPDX-License-Identifier: Apache-2.0
"""CloudTrail's caps on a record: scalars are truncated, objects are omitted.

Source: CloudTrail User Guide, "CloudTrail record contents"; the form of the omission marker is
that of delivered records.
"""

from opentrail.event.caps import OBJECT_BYTES_MAX, TEXT_BYTES_MAX

RESOURCES_MAX = 100
"""Entries of resources[]: what BatchGetRecord, the largest batch of names, accepts."""
ARN_BYTES_MAX = 2048
"""IAM's longest ARN; a longer name is no resource's."""


def truncated(text: str) -> str:
    """Return ``text``, or as many of its first characters as TEXT_BYTES_MAX of UTF-8 hold."""
    if len(text) * 4 <= TEXT_BYTES_MAX:
        return text
    encoded = text.encode()
    if len(encoded) <= TEXT_BYTES_MAX:
        return text
    return encoded[:TEXT_BYTES_MAX].decode(errors="ignore")


def omitted(name: str, size: int) -> bytes:
    """Return the object that stands for one that is too large; ``size`` is its size in bytes."""
    return b'{"reason":"%b too large","omitted":true,"originalSize":%d}' % (name.encode(), size)


def capped(name: str, data: bytes, bytes_max: int = OBJECT_BYTES_MAX) -> bytes:
    """Return the object's JSON, or its omission marker when it is longer than ``bytes_max``."""
    return data if len(data) <= bytes_max else omitted(name, len(data))
