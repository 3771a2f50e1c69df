# SPDX-License-Identifier: Apache-2.0
"""What digests elsewhere say of a bucket: the trail that delivered there goes on in another one.

What a trail delivered just before it was given another bucket, or another prefix, is listed in its first
digest there. Where chains end, somebody says whom we believe; the digests prove themselves.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence

from opentrail.errors import ClientError, Unavailable
from opentrail.trails.bucketkeys import ChainName, DigestName, LogName, Whose, digest_name
from opentrail.trails.digestfile import LogFileEntry
from opentrail.trails.examine import Examined, Examiner
from opentrail.trails.survey import digests_of
from opentrail.trails.uncovered import MINUTE_S
from opentrail.trails.verdict import Verdict

HOPS_MAX = 16
"""So many buckets a chain is followed through: who moves a trail does so a few times in years."""

End = tuple[str, DigestName]
"""The last digest of a chain, and in which bucket it is."""
_Spot = tuple[str, ChainName]


class Elsewhere:
    """The chains that end in other buckets, or below other roots. Reads what is asked for, and keeps it."""

    def __init__(
        self, ends: Collection[End], examiner: Examiner, here: Collection[ChainName]
    ) -> None:
        """Let chains be known by their ``ends``; those of ``here`` are looked at anyway."""
        self._examiner = examiner
        self._newest: dict[Whose, End] = {}
        self._spots: dict[tuple[str, str], set[_Spot]] = defaultdict(set)
        """By account and region."""
        for bucket, name in sorted(ends, key=lambda end: end[1].end_s):
            place = name.chain.place
            self._newest[name.chain.whose] = bucket, name
            self._spots[place.account, place.region].add((bucket, name.chain))
        for chain in here:
            self._spots[chain.place.account, chain.place.region].discard((examiner.bucket, chain))
        self._here = frozenset(here)
        self._listed: dict[_Spot, Sequence[DigestName]] = {}
        self._read: dict[tuple[str, str], Examined | None] = {}

    def end(self, whose: Whose) -> End | None:
        """Return the newest digest of a chain that ends elsewhere."""
        end = self._newest.get(whose)
        here = end is not None and end[0] == self._examiner.bucket and end[1].chain in self._here
        return None if here else end

    def after(self, newest: DigestName) -> Examined | None:
        """Return the digest after ``newest``, the last one here of a chain that ends elsewhere."""
        end = self.end(newest.chain.whose)
        return None if end is None else self._first((end[0], end[1].chain), newest.end_s + 1)

    def entry(self, log: LogName) -> tuple[ChainName, LogFileEntry] | None:
        """Return what a valid digest elsewhere says of a log file here, and of which chain it is."""
        for spot in sorted(self._spots[log.place.account, log.place.region]):
            read = self._about(spot, log.minute_s)
            if read is None or read.digest is None or read.verdict is not Verdict.VALID:
                continue
            for entry in read.digest.log_files:
                if (entry.s3_bucket, entry.s3_object) == (self._examiner.bucket, log.key):
                    return read.name.chain, entry
        return None

    def _about(self, spot: _Spot, minute_s: int) -> Examined | None:
        """Return the digest of a chain in whose window a minute is."""
        for _ in range(HOPS_MAX):
            read = self._first(spot, minute_s)
            if read is None or read.digest is None or read.window[0] < minute_s + MINUTE_S:
                return read
            before = digest_name(read.digest.previous_digest_s3_object or "")
            if before is None:
                return None
            spot = read.digest.previous_digest_s3_bucket or "", before.chain
        return None

    def _first(self, spot: _Spot, end_s: int) -> Examined | None:
        """Return the first digest of a chain at a spot that ends at ``end_s`` or later."""
        name = next((each for each in self._names(spot) if each.end_s >= end_s), None)
        if name is None:
            return None
        where = spot[0], name.key
        if where not in self._read:
            there = self._there(spot[0])
            try:
                self._read[where] = None if there is None else there.digest(name.key)
            except Unavailable:
                self._read[where] = None  # as without that bucket
        return self._read[where]

    def _names(self, spot: _Spot) -> Sequence[DigestName]:
        """Return the digests of a chain at a spot, the oldest first; none where nothing is given."""
        if spot not in self._listed:
            there = self._there(spot[0])
            try:
                found = [] if there is None else digests_of(there.source, spot[1])
            except (ClientError, Unavailable):
                found = []
            self._listed[spot] = found
        return self._listed[spot]

    def _there(self, bucket: str) -> Examiner | None:
        return self._examiner if bucket == self._examiner.bucket else self._examiner.there(bucket)
