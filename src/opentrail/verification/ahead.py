# SPDX-License-Identifier: Apache-2.0
"""Reads digests in other buckets before a chain that is followed there comes to them.

Each names the one before it, so that one after another would be asked for: over a network, for years.
"""

from collections.abc import Iterator

from opentrail.errors import ClientError, Unavailable
from opentrail.verification.bucketkeys import ChainName, DigestName
from opentrail.verification.examine import Examined, Examiner
from opentrail.verification.survey import digests_of
from opentrail.verification.workers import Workers, examined


class Ahead:
    """Reads by what lies there; what a chain does not come to is read in vain."""

    def __init__(self, workers: Workers, examiner: Examiner, start_s: int) -> None:
        """Read with ``examiner``; digests that end before ``start_s`` are not asked for."""
        self._workers, self.examiner, self._start_s = workers, examiner, start_s
        self._at: tuple[str, ChainName] | None = None
        self._coming: Iterator[Examined] = iter(())
        """The newest first."""
        self._next: Examined | None = None

    def digest(self, there: Examiner, name: DigestName) -> Examined:
        """Return what is to be said of a digest in ``there``, older than the last. Raises: Unavailable."""
        if self._at != (there.bucket, name.chain):
            self._begin(there, name)
        while True:
            each, self._next = self._next or next(self._coming, None), None
            if each is None or each.name.end_s < name.end_s:
                self._next = each
                return there.digest(name.key)
            if each.name.key == name.key:
                return each

    def _begin(self, there: Examiner, newest: DigestName) -> None:
        self._at, self._next = (there.bucket, newest.chain), None
        try:
            names = digests_of(there.source, newest.chain)
        except (ClientError, Unavailable):
            names = []  # each is asked for, and told of
        span = range(self._start_s, newest.end_s + 1)
        keys = (each.key for each in reversed(names) if each.end_s in span)
        self._coming = examined(self._workers, keys, there.bucket)
