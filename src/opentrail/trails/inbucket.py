# SPDX-License-Identifier: Apache-2.0
"""A bucket of any kind as what is verified: read, and nothing else."""

from collections.abc import Iterator, Mapping

from opentrail.objects.base import Bucket

_NO_LIMIT = 1 << 62
"""A listing is read to its end."""


class InBucket:
    """``examine.Source`` over a ``Bucket``."""

    def __init__(self, bucket: Bucket) -> None:
        self.name = bucket.name
        self._bucket = bucket

    def read(self, key: str) -> tuple[Mapping[str, str], bytes]:
        """See ``Source``."""
        head, data = self._bucket.get(key)
        return head.metadata, data

    def keys(self, prefix: str, after: str = "") -> Iterator[str]:
        """See ``Source``."""
        for each in self._bucket.list(prefix, after, _NO_LIMIT):
            yield each.key
