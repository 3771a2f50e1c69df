# SPDX-License-Identifier: Apache-2.0
"""A directory bucket that a trail filled for some hours, and what verifying it says."""

from support.open_buckets import SettableClock
from support.signed_bucket import HOUR, START, SignedBucket, Signer

from opentrail.objects.localdir import LocalDir
from opentrail.trails.verdict import KeyRing, Verdict
from opentrail.trails.verify import Asked, Verifier, survey, verify

LATER = START + 100 * HOUR
SIGNER, STRANGER = Signer(), Signer()
RING = KeyRing.of([SIGNER.der], complete=True)
HOURS = 4


class World:
    """A directory bucket with a chain of HOURS hours."""

    def __init__(self, root):
        self.root = root
        self.bucket = LocalDir(root, "logs", SettableClock())
        self.trail = SignedBucket(self.bucket, SIGNER)
        self.trail.chain(START, HOURS)

    def verify(self, ring=RING, ends=(), unlisted=LATER, elsewhere=None, **asked):
        where = Asked(bucket=asked.pop("bucket", "logs"), **asked)
        verifier = Verifier(self.bucket, (elsewhere or {}).get, ring, where)
        return list(verify(verifier, survey(self.bucket, where), ends, where, unlisted=unlisted))

    def wrong(self, **options):
        """Return (file name or span, verdict, reason) of all that is not valid."""
        return [
            (each.subject.rpartition("/")[2], each.verdict.name, each.reason)
            for each in self.verify(**options)
            if each.verdict is not Verdict.VALID
        ]

    def path(self, key):
        return self.root / key

    def rewrite(self, key, data):
        self.path(key).write_bytes(data)


def name(key):
    """Return a key's last part."""
    return key.rpartition("/")[2]
