# SPDX-License-Identifier: Apache-2.0
"""``opentrail verify TRAIL --against-log``: what the log of the server here gives the trail."""

from collections.abc import Iterator
from dataclasses import replace

from opentrail.cli.trails_here import trails_here
from opentrail.clock import iso_seconds
from opentrail.config import Settings
from opentrail.errors import UsageError
from opentrail.eventlog.reader import SegmentReader
from opentrail.trails.confess import told_given_up
from opentrail.trails.digestfile import LogFileEntry
from opentrail.trails.trail import Trail
from opentrail.verification.rederive import Rederivation
from opentrail.verification.survey import Asked
from opentrail.verification.verdict import NOTE, Finding, Verdict
from opentrail.verification.verify import Expected, Files, as_derived


class AgainstLog:
    """Compares a bucket with the log.

    Made after the survey: what digests list then was delivered before the cursor that is read here.
    """

    def __init__(self, settings: Settings, name: str, asked: Asked) -> None:
        """Read how far the trail is delivered.

        Raises: UsageError: there is no such trail here. Corrupt. Unavailable.
        """
        self._settings = settings
        self._asked = asked
        self._trail, self._through = _cursor(settings, name)
        self._keys: set[int] = set()
        self._since_ms = 0
        self._given_up: frozenset[str] = frozenset()

    def findings(self, files: Files) -> Iterator[Finding]:
        """Yield what is to be said of each file that the log gives. Raises: Corrupt. Unavailable."""
        log = SegmentReader(self._settings.data_dir / "log")
        try:
            found = Rederivation(log, self._trail, self._through)
            self._since_ms = found.since_ms
            counts = [0, 0]
            self._given_up = told_given_up(log, self._trail.arn)
            yield from as_derived(files, self._entries(found, counts))
        finally:
            log.close()
        if self._given_up:
            said = "files given up, as DeliveryGap events of the log say, and not looked for"
            count = len(self._given_up)
            yield Finding(NOTE, self._trail.arn, Verdict.VALID, f"{said}: {count}")
        said = f"the log gives it {counts[0]} records in {counts[1]} files"
        if self._since_ms:
            said += f", delivered since {iso_seconds(self._since_ms)}"
        yield Finding(NOTE, self._trail.arn, Verdict.VALID, said)

    def expected(self, before: Expected) -> Expected:
        """Return what must hold of digests too, when all ``findings`` were taken."""
        since_s = -(-self._since_ms // 1000)
        return replace(before, derived=frozenset(self._keys), derived_since_s=since_s)

    def _entries(self, found: Rederivation, counts: list[int]) -> Iterator[LogFileEntry]:
        for each in found.files():
            self._keys.add(hash(each.entry.s3_object))
            if each.entry.s3_object in self._given_up:
                continue
            if self._asked.is_in_time(each.cut_ms // 1000):
                counts[0] += each.records
                counts[1] += 1
                yield each.entry


def _cursor(settings: Settings, name: str) -> tuple[Trail, int]:
    with trails_here(settings) as here:
        if here is None:
            raise UsageError("--against-log is for a trail of a server here: name its --data")
        trail = here.find(name)
        return trail, here.cursor(trail)
