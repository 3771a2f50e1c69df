# SPDX-License-Identifier: Apache-2.0
"""What the path of a log file says, so that a file need not be read to be left out. Pure.

Source: CloudTrail User Guide, "CloudTrail log file name format" and "Finding your CloudTrail log
files": ``[prefix/]AWSLogs/[o-id/]ACCOUNT/FOLDER/REGION/YYYY/MM/DD/ACCOUNT_FOLDER_REGION_TIME_X.json.gz``.
"""

import datetime as dt
import re
from dataclasses import dataclass

LATE_S_MAX = 24 * 3600
"""CloudTrail delivers within minutes as a rule; a file this much younger than the time asked for
is still read, because some of its events may be that late."""
SKEW_S_MAX = 300
"""A file's name has the minute of its delivery: no event in it is much younger than that."""

_NAME = re.compile(
    r"(?:\A|/)([0-9]{12})_CloudTrail[A-Za-z-]*_([a-z0-9-]+)_([0-9]{8}T[0-9]{4,6})Z_?[^/]*\Z"
)
_DIGEST = re.compile(r"(?:\A|/)[0-9]{12}_CloudTrail-Digest_[^/]*\Z")
_READ = re.compile(r"\.(?:json|jsonl|ndjson|log|txt)(?:\.gz)?\Z|\.gz\Z", re.IGNORECASE)
_FIREHOSE = re.compile(
    r"-[0-9]+-[0-9]{4}(?:-[0-9]{2}){5}-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z"
)
"""How Firehose names what it does not pack, unless told an ending: "Configure Amazon S3 object name format"."""
_ARCHIVE = re.compile(
    r"\.(?:tar|zip|7z|rar)(?:\.[a-z0-9]{1,4})?\Z|\.(?:t[gbx]z2?|bz2|xz|zst|lz4|br)\Z", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be imported; empty sets and open ends leave nothing out."""

    accounts: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()
    start_s: int = 0
    """Oldest eventTime, inclusive, epoch seconds."""
    end_s: int = 1 << 60
    """Newest eventTime, inclusive."""

    def takes(self, account: str, region: str, time_s: int) -> bool:
        """Return whether a record is to be imported."""
        return (
            self.start_s <= time_s <= self.end_s
            and (not self.accounts or account in self.accounts)
            and (not self.regions or region in self.regions)
        )


def is_digest(path: str) -> bool:
    """Return whether ``path`` is that of a digest: it lists log files, and holds no records."""
    return _DIGEST.search(path) is not None


def may_hold_records(path: str) -> bool:
    """Return whether a file met in a folder is one to read, by how its name ends."""
    return _READ.search(path) is not None or _FIREHOSE.search(path) is not None


def is_archive(path: str) -> bool:
    """Return whether a file met in a folder has to be unpacked first, by how its name ends."""
    return _ARCHIVE.search(path) is not None


def left_out(path: str, wanted: Wanted) -> bool:
    """Return whether ``path`` alone tells that nothing in the file is wanted.

    A path that is not a log file's tells nothing, so that file is read.
    """
    found = _NAME.search(path)
    if found is None:
        return False
    account, region, time = found.groups()
    if wanted.accounts and account not in wanted.accounts:
        return True
    if wanted.regions and region not in wanted.regions:
        return True
    time_s = _epoch_s(time)
    return time_s is not None and not (
        wanted.start_s - SKEW_S_MAX <= time_s and time_s - LATE_S_MAX <= wanted.end_s
    )


def _epoch_s(time: str) -> int | None:
    try:
        when = dt.datetime.strptime(time[:13], "%Y%m%dT%H%M").replace(tzinfo=dt.UTC)
    except ValueError:
        return None
    return int(when.timestamp())
