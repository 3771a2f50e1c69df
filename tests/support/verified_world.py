# SPDX-License-Identifier: Apache-2.0
"""A directory bucket that a trail filled for some hours, and what verifying it says."""

from collections.abc import Iterable

from support.open_buckets import SettableClock
from support.signed_bucket import HOUR, REGION, START, TRAIL, SignedBucket, Signer

from opentrail.objects.localdir import LocalDir
from opentrail.objects.readdir import ReadDir
from opentrail.verification.examine import Examiner
from opentrail.verification.survey import Asked, survey
from opentrail.verification.verdict import Finding, KeyRing, KnownKey, Tally, Verdict
from opentrail.verification.verify import Expected, Files, verify
from opentrail.verification.workers import Here

LATER = START + 100 * HOUR
SIGNER, STRANGER = Signer(), Signer()
RING = KeyRing.of([KnownKey(SIGNER.der)], complete=True)
HOURS = 4


class World:
    """A directory bucket with a chain of HOURS hours."""

    def __init__(self, root, hours=HOURS):
        self.root = root
        self.source = None
        self.bucket = LocalDir(root, "logs", SettableClock())
        self.trail = SignedBucket(self.bucket, SIGNER)
        self.trail.chain(START, hours)

    def verify(self, ring=RING, ends=(), unlisted=LATER, elsewhere=None, **asked):
        """Return all findings; ``unlisted``: the time as of which files in no digest are sought."""
        until_s, with_metadata = asked.pop("until_s", 0), asked.pop("with_metadata", True)
        said = ("known", "others", "derived", "derived_since_s", "all_ends")
        state = {each: asked.pop(each) for each in said if each in asked}
        where = Asked(bucket=asked.pop("bucket", "logs"), **asked)
        source = self.source or ReadDir(self.root, "logs")
        find = (elsewhere or {}).get
        examiner = Examiner(source, find, ring, where.bucket, with_metadata)
        return list(
            verify(
                Files(examiner, Here(examiner), survey(source, where)),
                Expected(ends, until_s, (TRAIL, REGION), **state),
                where,
                unlisted or LATER,
                unlisted=unlisted is not None,
            )
        )

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


def overall(findings: Iterable[Finding]) -> Verdict:
    """Return the verdict over all findings."""
    tally = Tally()
    for finding in findings:
        tally.add(finding)
    return tally.verdict
