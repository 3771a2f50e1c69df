# SPDX-License-Identifier: Apache-2.0
"""What digests elsewhere say of a bucket: the trail that delivered there goes on in another one.

What a trail delivered just before it was given another bucket, or another prefix, is listed in its first
digest there. Where chains end, somebody says whom we believe; the digests prove themselves.
"""

from collections import defaultdict
from collections.abc import Collection

from opentrail.clock import iso_seconds
from opentrail.errors import ClientError, Unavailable
from opentrail.trails.digestfile import LogFileEntry
from opentrail.verification.bucketkeys import ChainName, DigestName, LogName, Whose, digest_name
from opentrail.verification.examine import Examined, Examiner
from opentrail.verification.survey import END_ANY, digests_folder
from opentrail.verification.uncovered import MINUTE_S
from opentrail.verification.verdict import Verdict

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
        self._last_s: dict[_Spot, int] = {}
        """When the last digest ends that is known of a spot, seconds since 1970 UTC."""
        self._spots: dict[tuple[str, str], set[_Spot]] = defaultdict(set)
        """By account and region."""
        for bucket, name in sorted(ends, key=lambda end: end[1].end_s):
            place = name.chain.place
            self._newest[name.chain.whose] = bucket, name
            self._last_s[bucket, name.chain] = name.end_s
            self._spots[place.account, place.region].add((bucket, name.chain))
        for chain in here:
            self._spots[chain.place.account, chain.place.region].discard((examiner.bucket, chain))
        self._here = frozenset(here)
        self._found: dict[tuple[_Spot, int], str] = {}
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
        if end_s > self._last_s.get(spot, END_ANY):
            return None
        if (spot, end_s) not in self._found:
            self._found[spot, end_s] = self._key(spot, end_s)
        where = spot[0], self._found[spot, end_s]
        if where[1] and where not in self._read:
            there = self._there(spot[0])
            try:
                self._read[where] = None if there is None else there.digest(where[1])
            except Unavailable:
                self._read[where] = None  # as without that bucket
        return self._read.get(where)

    def _key(self, spot: _Spot, end_s: int) -> str:
        """Return the key of that digest; "" where there is none, or nothing is given."""
        (bucket, chain), day = spot, iso_seconds(end_s * 1000)[:10].replace("-", "/")
        there, folder = self._there(bucket), digests_folder(chain)
        try:
            keys = iter(()) if there is None else there.source.keys(folder, f"{folder}{day}/")
            names = (each for each in map(digest_name, keys) if each is not None)
            found = (each.key for each in names if each.chain == chain and each.end_s >= end_s)
            return next(found, "")
        except (ClientError, Unavailable):
            return ""

    def _there(self, bucket: str) -> Examiner | None:
        return self._examiner if bucket == self._examiner.bucket else self._examiner.there(bucket)
