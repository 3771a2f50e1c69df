# SPDX-License-Identifier: Apache-2.0
"""What the key of an object in a trail's bucket says. Pure.

Source: CloudTrail User Guide, "CloudTrail log file name format" and "CloudTrail digest file
structure".
"""

import calendar
import datetime as dt
import functools
import re
from dataclasses import dataclass

_ROOT = r"(?P<root>(?:.*/)?AWSLogs/(?:o-[a-z0-9]+/)?)(?P<account>[0-9]{12})/"
_DAY = r"[0-9]{4}/[0-9]{2}/[0-9]{2}/"
_DIGEST = re.compile(
    _ROOT + r"CloudTrail-Digest/(?P<region>[a-z0-9-]+)/" + _DAY
    + r"(?P=account)_CloudTrail-Digest_(?P=region)_(?P<trail>[^/]+)_(?P<home>[a-z0-9-]+)_"
    r"(?P<end>[0-9]{8}T[0-9]{6}Z)(?P<backfill>_backfill)?\.json\.gz",
    re.DOTALL,
)  # fmt: skip
_LOG = re.compile(
    _ROOT + r"(?P<folder>CloudTrail(?:-Insight|-NetworkActivity|-Aggregated)?)/"
    r"(?P<region>[a-z0-9-]+)/(?P<rest>.+)",
    re.DOTALL,
)
_OUTER_LOG = re.compile(_LOG.pattern.replace("(?:.*/)?", "(?:.*?/)??", 1), re.DOTALL)
_STRAY = re.compile(
    _ROOT + r"CloudTrail(?:-Insight|-NetworkActivity|-Aggregated)?/(?P<rest>.+)", re.DOTALL
)
_AMONG_DIGESTS = re.compile(
    _ROOT + r"CloudTrail-Digest/(?:(?P<region>[a-z0-9-]+)/)?.*[^/]", re.DOTALL
)
_LIKE_A_LOG, _DELIVERED = (
    "_CloudTrail",
    re.compile(r"_[0-9]{8}T[0-9]{4}Z_\w+\.json\.gz\Z", re.ASCII),
)
"""What readers that go by names alone take for a log file, wherever below AWSLogs/ it lies."""
_HOME = re.compile(
    r"(?P<root>(?:.*/)?AWSLogs/(?:o-[a-z0-9]+/)?)(?:(?P<account>[0-9]{12})/)?", re.DOTALL
)
_WAY = re.compile(
    r"(?:.*/)?AWSLogs(?:/o-[a-z0-9]+)?(?:/(?P<account>[0-9]{12})(?:/CloudTrail[A-Za-z-]*)?)?",
    re.DOTALL,
)
_LOG_NAME = re.compile(
    r"(?P<day>[0-9]{4}/[0-9]{2}/[0-9]{2})/(?P<account>[0-9]{12})_(?P<folder>CloudTrail[A-Za-z-]*)_(?P<region>[a-z0-9-]+)_"
    r"(?P<minute>[0-9]{8}T[0-9]{4}Z)_[A-Za-z0-9]+\.json\.gz"
)

_HOUR, _SIXTY = "([01][0-9]|2[0-3])", "([0-5][0-9])"
_SAID = rf"([0-9]{{4}})-([0-9]{{2}})-([0-9]{{2}})T{_HOUR}:{_SIXTY}:{_SIXTY}"
TO_SECOND = re.compile(_SAID + "Z")
"""A time as digests and receipts say it."""
TO_FRACTION = re.compile(_SAID + r"(?:\.[0-9]{1,6})?Z")
_NAMED = rf"([0-9]{{4}})([0-9]{{2}})([0-9]{{2}})T{_HOUR}{_SIXTY}"
_SECOND_NAMED, _MINUTE_NAMED = re.compile(f"{_NAMED}{_SIXTY}Z"), re.compile(f"{_NAMED}Z")
DAY_S = 86_400
DAYS_CACHED = 4096
"""Eleven years of days."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where files of one account and region lie, whichever trail's they are."""

    root: str
    """What stands before the account: ``[prefix/]AWSLogs/[o-id/]``."""
    account: str
    region: str


Whose = tuple[str, str, str, str, bool]
"""Account, region, trail, home region, whether the digests came late: a chain, wherever it lies."""


@dataclass(frozen=True, slots=True, order=True)
class ChainName:
    """Whose digests follow one another."""

    place: Place
    trail: str
    home_region: str
    backfill: bool

    @property
    def whose(self) -> Whose:
        """The same of chains that differ in nothing but what stands before the account."""
        place = self.place
        return place.account, place.region, self.trail, self.home_region, self.backfill


@dataclass(frozen=True, slots=True)
class DigestName:
    """A digest's key, taken apart."""

    key: str
    chain: ChainName
    end_s: int
    """When its window ends, seconds since 1970 UTC."""


@dataclass(frozen=True, slots=True)
class LogName:
    """The key of an object where log files lie, taken apart."""

    key: str
    place: Place
    folder: str
    """Below which it lies, with all others like it: ``[prefix/]AWSLogs/…/<region>/``."""
    minute_s: int
    """Beginning of the minute of its delivery; -1: no log file has such a name."""
    day_s: int = -1
    """Beginning of the day that its folder is of: the same, or the one before or after."""

    def is_of(self, start_s: int, last_s: int) -> bool:
        """Return whether readers may take it for one of the time between, both ends included."""
        if start_s <= self.minute_s <= last_s:
            return True
        alike = self.day_s <= self.minute_s < self.day_s + DAY_S
        return not alike and self.day_s <= last_s and start_s < self.day_s + DAY_S


def digest_name(key: str) -> DigestName | None:
    """Return what a digest's key says; None: it is no digest's."""
    found = _DIGEST.fullmatch(key)
    end_s = seconds_of(found["end"], _SECOND_NAMED) if found else -1
    if found is None or end_s < 0:
        return None
    place = Place(found["root"], found["account"], found["region"])
    chain = ChainName(place, found["trail"], found["home"], backfill=bool(found["backfill"]))
    return DigestName(key, chain, end_s)


def log_name(key: str) -> LogName | None:
    """Return what a log file's key says; None: it is not where log files are."""
    found = _LOG.fullmatch(key)
    if found is None:
        return None
    place = Place(found["root"], found["account"], found["region"])
    folder = key[: found.start("rest")]
    name = _LOG_NAME.fullmatch(found["rest"])
    if name is None or name["account"] != place.account or name["region"] != place.region:
        return LogName(key, place, folder, -1)
    minute_s = seconds_of(name["minute"], _MINUTE_NAMED)
    day_s = _midnight_s(*map(int, name["day"].split("/")))
    if not day_s - DAY_S <= minute_s < day_s + 2 * DAY_S:
        return LogName(key, place, folder, -1)
    return LogName(key, place, folder, minute_s, day_s)


def outer_place(key: str) -> Place | None:
    """Return where a log file lies whose key, read from its beginning, is one; None: it is none.

    Another one than ``log_name`` says when one such folder lies in another.
    """
    found = _OUTER_LOG.fullmatch(key)
    return found and Place(found["root"], found["account"], found["region"])


def stray_place(key: str) -> Place | None:
    """Return where an object lies that readers of log files find, and that lies where none are.

    Account and region are "" where nothing says them. None: it is no such object.
    """
    if key.endswith("/") or _LOG.fullmatch(key) is not None:
        return None
    found = _STRAY.fullmatch(key)
    if found is not None:
        return Place(found["root"], found["account"], "")
    folder, _, name = key.rpartition("/")
    delivered, home = _DELIVERED.search(name), _HOME.match(f"{folder}/")
    if home is None or delivered is None or _LIKE_A_LOG not in name[: delivered.start()]:
        return None
    region = name[: delivered.start()].rpartition("_")[2]
    return Place(home["root"], home["account"] or "", region)


def among_digests(key: str) -> Place | None:
    """Return where an object lies that is among digests, whatever its name; None: it is not.

    The region is "" where nothing says it.
    """
    found = _AMONG_DIGESTS.fullmatch(key)
    return found and Place(found["root"], found["account"], found["region"] or "")


def account_on_way(key: str) -> str | None:
    """Return whose log files a folder called ``key`` would have below it: "": anybody's; None: none."""
    found = _WAY.fullmatch(key)
    return None if found is None else found["account"] or ""


def seconds_of(text: str, form: re.Pattern[str]) -> int:
    """Return seconds since 1970 UTC of a time in ``form``, one of those above; -1: it is none."""
    found = form.fullmatch(text)
    if found is None:
        return -1
    year, month, day, hour, minute, *second = map(int, found.groups())
    midnight_s = _midnight_s(year, month, day)
    return -1 if midnight_s < 0 else midnight_s + hour * 3600 + minute * 60 + sum(second)


@functools.lru_cache(maxsize=DAYS_CACHED)
def _midnight_s(year: int, month: int, day: int) -> int:
    """Return when a day begins, seconds since 1970 UTC; -1: there is no such day since then."""
    try:
        return max(calendar.timegm(dt.date(year, month, day).timetuple()), -1)
    except ValueError:
        return -1
