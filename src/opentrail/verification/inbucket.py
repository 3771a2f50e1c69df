# SPDX-License-Identifier: Apache-2.0
"""A bucket at an S3 endpoint as what is verified: read, and nothing else."""

import functools
from collections.abc import Callable, Iterator, Mapping

from opentrail.errors import ClientError, Unavailable
from opentrail.objects.base import Bucket
from opentrail.objects.s3get import S3Get

FAILED_MAX = 3
"""In a row: then it is no longer one object that the endpoint does not give, but the endpoint."""
_NO_LIMIT = 1 << 62
"""A listing is read to its end."""


class InBucket:
    """``examine.Source`` over a ``Bucket``, which is opened when it is needed first."""

    def __init__(self, name: str, find: Callable[[], Bucket], fast: S3Get | None = None) -> None:
        """``fast`` reads most objects, if there is such a way."""
        self.name = name
        self._find = functools.cache(find)
        self._fast = fast
        self._failed = 0

    def read(self, key: str) -> tuple[Mapping[str, str], bytes]:
        """See ``Source``. Raises: ClientError ServiceUnavailable: this object is not given."""
        found = None if self._fast is None else self._fast.get(key)
        if found is None:
            found = self._slow(key)
        self._failed = 0
        return found

    def _slow(self, key: str) -> tuple[Mapping[str, str], bytes]:
        try:
            head, data = self._find().get(key)
        except Unavailable as error:
            self._failed += 1
            if self._failed >= FAILED_MAX:
                raise
            raise ClientError("ServiceUnavailable", error.message, 503) from error
        return head.metadata, data

    def data(self, key: str) -> bytes:
        """See ``Source``."""
        return self.read(key)[1]

    def keys(self, prefix: str, after: str = "") -> Iterator[str]:
        """See ``Source``."""
        while self._fast is not None:
            page = self._fast.page(prefix, after)
            if page is None:
                break
            yield from page[0]
            if not page[1]:
                return
            after = page[0][-1]
        for each in self._find().list(prefix, after, _NO_LIMIT):
            yield each.key

    def close(self) -> None:
        """See ``Source``."""
        if self._fast is not None:
            self._fast.close()
