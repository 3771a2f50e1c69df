# SPDX-License-Identifier: Apache-2.0
"""What is to be verified, and what of it lies in the bucket, by name."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from opentrail.errors import ClientError
from opentrail.trails.bucketkeys import (
    ChainName,
    DigestName,
    LogName,
    Place,
    digest_name,
    log_name,
    stray_place,
)
from opentrail.trails.examine import Source

END_ANY = 1 << 40
"""Later than any digest ends."""
STRAYS_MAX = 10_000
"""So many are told, and their names lie in memory."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be checked; an empty text means any."""

    bucket: str = ""
    """Its name, as digests must say it; empty: as the first digest says."""
    prefix: str | None = None
    """S3KeyPrefix; None: any."""
    account: str = ""
    region: str = ""
    trail: str = ""
    home_region: str = ""
    start_s: int = 0
    """Digests are checked that end at or after this, seconds since 1970 UTC …"""
    end_s: int = END_ANY
    """… and at or before this."""

    @property
    def root(self) -> str:
        """What all keys asked for begin with."""
        if self.prefix is None:
            return ""
        return f"{self.prefix}/AWSLogs/" if self.prefix else "AWSLogs/"

    def takes(self, chain: ChainName) -> bool:
        """Return whether this chain is asked for."""
        return (
            self.trail in ("", chain.trail)
            and self.home_region in ("", chain.home_region)
            and self.holds(chain.place)
        )

    def holds(self, place: Place) -> bool:
        """Return whether this place is asked for."""
        return (
            self.account in ("", place.account)
            and self.region in ("", place.region)
            and place.root.startswith(self.root)
        )

    def is_in_time(self, end_s: int) -> bool:
        """Return whether a digest that ends then is asked for."""
        return self.start_s <= end_s <= self.end_s


@dataclass(frozen=True, slots=True)
class Survey:
    """What lies in the bucket."""

    digests: dict[ChainName, list[DigestName]]
    """The newest first."""
    folders: dict[Place, set[str]] = field(default_factory=dict)
    """Where log files lie: for each place, what their keys begin with."""
    strays: list[str] = field(default_factory=list)
    """Keys of objects beside those folders, where readers of log files find them; STRAYS_MAX at most."""

    @property
    def count(self) -> int:
        """How many digests there are."""
        return sum(map(len, self.digests.values()))


def survey(source: Source, asked: Asked) -> Survey:
    """Look for digests and for folders with log files; the files in those are not listed yet.

    Raises: ClientError. Unavailable.
    """
    digests: dict[ChainName, list[DigestName]] = defaultdict(list)
    folders: dict[Place, set[str]] = defaultdict(set)
    strays: list[str] = []
    after = ""
    while True:
        for key in source.keys(asked.root, after):
            digest = digest_name(key)
            if digest is not None and asked.holds(digest.chain.place):
                digests[digest.chain].append(digest)
            log = None if digest is not None else log_name(key)
            if (
                digest is None
                and log is None
                and len(strays) < STRAYS_MAX
                and _is_stray(key, asked)
            ):
                strays.append(key)
            if log is not None:
                if asked.holds(log.place) and not key.endswith("/"):
                    folders[log.place].add(log.folder)
                after = _past(log.folder)
                break
        else:
            break
    for chain in digests.values():
        chain.sort(key=lambda name: name.end_s, reverse=True)
    return Survey(digests, folders, strays)


def _is_stray(key: str, asked: Asked) -> bool:
    place = stray_place(key)
    return place is not None and asked.holds(place)


def _past(folder: str) -> str:
    """Return what lies behind every key in ``folder``, which ends in "/", and before any other."""
    return folder[:-1] + chr(ord("/") + 1)


def log_names(source: Source, folder: str) -> Iterator[LogName]:
    """Yield the log files in a folder that ``survey`` found. Raises: ClientError. Unavailable."""
    for key in source.keys(folder):
        log = log_name(key)
        if log is not None and not (key.endswith("/") and _is_empty(source, key)):
            yield log


def _is_empty(source: Source, key: str) -> bool:
    """Return whether nothing is in an object whose name ends as a folder's does."""
    try:
        return not source.data(key)
    except ClientError:
        return True  # a directory
