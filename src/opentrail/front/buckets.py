# SPDX-License-Identifier: Apache-2.0
"""Which buckets are OpenTrail's own."""

from pathlib import PurePosixPath
from urllib.parse import unquote

from opentrail.config import Settings
from opentrail.front.hello import endpoint_of


class OwnBuckets:
    """Tells the S3 calls for directory buckets, which OpenTrail answers, from all others."""

    def __init__(self, settings: Settings) -> None:
        self._buckets = settings.buckets
        self._has_upstream = bool(endpoint_of(settings, "s3"))

    def __call__(self, path: str) -> bool:
        """Return whether the bucket of a raw S3 path ("/bucket/key") is OpenTrail's own."""
        if not self._buckets and self._has_upstream:
            return False
        parts = PurePosixPath(unquote(path)).parts[1:2]
        setting = self._buckets.get(parts[0]) if parts else None
        return not self._has_upstream if setting is None else bool(setting.directory)
