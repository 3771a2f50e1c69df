# SPDX-License-Identifier: Apache-2.0
"""What is to be verified, and what of it lies in the bucket, by name."""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter

from opentrail.errors import ClientError
from opentrail.verification.bucketkeys import (
    ChainName,
    DigestName,
    LogName,
    Place,
    account_on_way,
    among_digests,
    digest_name,
    log_name,
    outer_place,
    stray_place,
)
from opentrail.verification.examine import Source

END_ANY = 1 << 40
"""Later than any digest ends."""
LAST_CHARACTER = "\U0010ffff"
"""Of Unicode, and the last one in UTF-8 too."""
STRAYS_MAX = 10_000
"""So many are told, and their names lie in memory."""
LITTER = frozenset((".DS_Store", "Thumbs.db", "desktop.ini"))
"""What macOS and Windows leave in the folders of a copy that somebody looked at. No reader takes it for
log files."""
APPLE_DOUBLE, APPLE_DOUBLE_MAGIC = "._", b"\0\5\x16\7"
"""What macOS puts beside each file where a file system, or an archive, keeps no attributes (RFC 1740):
called like the file, but for the beginning, so that its content must say what it is."""


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
    """… and at or before this; besides the one that is about it, if it ends in a window's midst."""

    @property
    def root(self) -> str:
        """What all keys asked for begin with."""
        if self.prefix is None:
            return ""
        return f"{self.prefix}/AWSLogs/" if self.prefix else "AWSLogs/"

    def takes(self, chain: ChainName) -> bool:
        """Return whether this chain is asked for."""
        return self.is_of(chain) and self.holds(chain.place)

    def is_of(self, chain: ChainName) -> bool:
        """Return whether the trail of this chain is asked for, wherever it lies."""
        named = self.home_region in ("", chain.home_region)
        return named and self.trail in ("", chain.trail)

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

    def parted(self, names: Sequence[DigestName]) -> tuple[list[DigestName], list[DigestName]]:
        """Return those of a chain that are of the time asked for, and those behind it."""
        in_time = [each for each in names if self.is_in_time(each.end_s)]
        return in_time, [each for each in names if each.end_s > self.end_s]


@dataclass(frozen=True, slots=True)
class Survey:
    """What lies in the bucket."""

    digests: dict[ChainName, list[DigestName]]
    """The newest first."""
    folders: dict[Place, set[str]] = field(default_factory=dict)
    """Where log files lie: for each place, what their keys begin with."""
    strays: list[str] = field(default_factory=list)
    """Keys of objects beside those folders, where readers of log files find them; STRAYS_MAX at most."""
    closed: list[str] = field(default_factory=list)
    """Keys where folders with log files should be, and links are; nobody looks behind them."""
    litter: list[str] = field(default_factory=list)
    """Names of files that operating systems leave; those beside log files as soon as these are listed."""

    @property
    def count(self) -> int:
        """How many digests there are."""
        return sum(map(len, self.digests.values()))


def survey(source: Source, asked: Asked) -> Survey:
    """Look for digests and for folders with log files; the files in those are not listed yet.

    Raises: ClientError. Unavailable.
    """
    found = Survey({})
    after = ""
    while True:
        for key in source.keys(asked.root, after):
            folder = _noted(found, key, asked, source)
            if not folder and _is_closed(source, key, asked):
                found.closed.append(key)
            if folder and key < (behind := folder + LAST_CHARACTER):
                after = behind
                break
        else:
            break
    for chain in found.digests.values():
        chain.sort(key=lambda name: name.end_s, reverse=True)
    return found


def digests_folder(chain: ChainName) -> str:
    """Return what the keys of a chain's digests begin with, in front of the day."""
    place = chain.place
    return f"{place.root}{place.account}/CloudTrail-Digest/{place.region}/"


def digests_of(source: Source, chain: ChainName) -> list[DigestName]:
    """Return the digests of one chain, the oldest first. Raises: ClientError. Unavailable."""
    names = map(digest_name, source.keys(digests_folder(chain)))
    found = [each for each in names if each is not None and each.chain == chain]
    return sorted(found, key=attrgetter("end_s"))


def _noted(found: Survey, key: str, asked: Asked, source: Source) -> str:
    """Note what lies at ``key``; return the folder whose other keys need not be looked at, or ""."""
    digest = digest_name(key)
    if digest is not None:
        if asked.holds(digest.chain.place):
            found.digests.setdefault(digest.chain, []).append(digest)
        return ""
    log = log_name(key)
    if log is not None and asked.holds(log.place):
        found.folders.setdefault(log.place, set()).add(log.folder)
    elif len(found.strays) < STRAYS_MAX and _is_stray(key, asked):
        (found.litter if is_litter(source, key) else found.strays).append(key)
    return "" if log is None else log.folder


def _is_closed(source: Source, key: str, asked: Asked) -> bool:
    account = account_on_way(key)
    if account is None or (account and asked.account not in ("", account)):
        return False
    try:
        source.data(key)
    except ClientError as error:
        return error.code == "NoSuchKey"
    return False  # an object, odd as it is


def _is_stray(key: str, asked: Asked) -> bool:
    """Return whether readers find ``key``, which is not to be looked at as a log file is."""
    if (outer := outer_place(key)) is not None:
        return asked.holds(outer)  # log files of others within the folder of ours
    place = stray_place(key) or among_digests(key)
    return place is not None and asked.holds(replace(place, account=place.account or asked.account))


def is_litter(source: Source, key: str) -> bool:
    """Return whether an operating system left a file there. Raises: Unavailable."""
    name = key.rpartition("/")[2]
    if name not in LITTER and not name.startswith(APPLE_DOUBLE):
        return False
    try:
        data = source.data(key)
    except ClientError:
        return False  # a link, say
    return name in LITTER or data.startswith(APPLE_DOUBLE_MAGIC)


def log_names(
    source: Source, folder: str, listed: Container[int], litter: list[str]
) -> Iterator[LogName]:
    """Yield the log files in a folder that ``survey`` found, but for those that are ``listed``.

    ``listed`` has the ``hash`` of their keys; ``litter`` gets what an operating system left there.
    Raises: ClientError. Unavailable.
    """
    for key in source.keys(folder):
        if hash(key) in listed:
            continue
        log = log_name(key)
        if log is None or (key.endswith("/") and _is_empty(source, key)):
            continue
        if log.minute_s < 0 and is_litter(source, key):
            litter.append(key)
        else:
            yield log


def _is_empty(source: Source, key: str) -> bool:
    """Return whether nothing is in an object whose name ends as a folder's does."""
    try:
        return not source.data(key)
    except ClientError:
        return True  # a directory
