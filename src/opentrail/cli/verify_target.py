# SPDX-License-Identifier: Apache-2.0
"""What ``opentrail verify`` is pointed at: a trail of a server here, an S3 location, a directory."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from opentrail.access.credentials import read_credentials
from opentrail.cli.trails_here import TrailsHere, trails_here
from opentrail.clock import Clock
from opentrail.config import Settings
from opentrail.errors import ClientError, UsageError
from opentrail.front.keys import credentials_file
from opentrail.objects.base import Bucket
from opentrail.objects.names import OWN_FOLDER
from opentrail.objects.readdir import ReadDir
from opentrail.objects.s3ask import Where
from opentrail.objects.s3get import S3Get
from opentrail.objects.setting import Upstream
from opentrail.objects.table import BucketTable, check_profile
from opentrail.trails.digestfile import HASH_ALGORITHM, LogFileEntry
from opentrail.trails.names import Arn, parse_arn
from opentrail.trails.trail import Trail
from opentrail.verification.bucketkeys import digest_name
from opentrail.verification.elsewhere import End
from opentrail.verification.examine import Examiner, Source
from opentrail.verification.inbucket import InBucket
from opentrail.verification.link import Link
from opentrail.verification.receipt import links
from opentrail.verification.survey import Asked
from opentrail.verification.uncovered import UNKNOWN_YET, Known
from opentrail.verification.verdict import KeyRing
from opentrail.verification.verify import Expected

_SCHEME = "s3://"
STATE = "the server's state"


@dataclass(frozen=True, slots=True)
class Place:
    """How S3 is reached, when the settings do not say."""

    settings: Settings
    clock: Clock
    endpoint: str
    profile: str

    @property
    def is_elsewhere(self) -> bool:
        """Whether the options say where buckets are."""
        return bool(self.endpoint or self.profile)


@dataclass(frozen=True, slots=True)
class Opening:
    """Opens what is verified; each process of the pool does so for itself."""

    place: Place
    bucket: str
    """Its name, as digests must say it; "": as the first digest says."""
    ring: KeyRing
    directory: Path | None = None
    """None: it is at an S3 endpoint."""
    base: str = ""
    """Of a copy: what the keys of the original begin with in front of the paths here."""
    is_copy: bool = False
    """There are no other buckets beside it."""
    with_metadata: bool = True
    fast: Where | None = None
    lies_in: str = ""
    """Of a replica: the bucket that is read; "": the one that digests name."""

    def __call__(self) -> Examiner:
        """Return what files are looked at with. Raises: ClientError: the bucket has no such name."""
        elsewhere = _nowhere if self.is_copy else functools.cache(self._find)
        name = self.lies_in or self.bucket
        source: Source = InBucket(name, self._open, self._fast())
        if self.directory is not None:
            source = ReadDir(self.directory, name or self.directory.name, self.base)
        return Examiner(source, elsewhere, self.ring, self.bucket, self.with_metadata)

    def _open(self) -> Bucket:
        name = self.lies_in or self.bucket
        return buckets_of(self.place, name).find(name)

    def _fast(self) -> S3Get | None:
        return (
            None
            if self.fast is None
            else S3Get(self.fast, self.lies_in or self.bucket, self.place.clock)
        )

    def _find(self, name: str) -> Source | None:
        table = buckets_of(self.place, name)
        here = table.directory(name)
        return (
            InBucket(name, lambda: table.find(name)) if here is None else ReadDir(here.path, name)
        )


def _opening(place: Place, bucket: str, ring: KeyRing) -> Opening:
    """Return how a bucket is opened by its name. Raises: UsageError: there is no such name."""
    table = buckets_of(place, bucket)
    try:
        here = table.directory(bucket)
    except ClientError as error:
        raise UsageError(f"s3://{bucket}: {error.message}") from error
    if here is not None:
        return Opening(place, bucket, ring, here.path)
    return Opening(place, bucket, ring, fast=table.where(bucket))


def _nowhere(_name: str) -> None:
    """Return no bucket: beside a copy of one there is no other."""


@dataclass(frozen=True, slots=True)
class Target:
    """All that a verification needs."""

    opening: Opening
    asked: Asked
    expected: Expected


def target_of(text: str, asked: Asked, keys: KeyRing | None, place: Place) -> Target:
    """Return what ``text`` names; ``keys`` None: those that the server's state here has.

    Raises: UsageError: it names nothing. Corrupt. Unavailable.
    """
    with trails_here(place.settings) as here:
        return _target(text, asked, keys, place, here)


def target_in(location: str, arn: str, asked: Asked, keys: KeyRing | None, place: Place) -> Target:
    """Return what trail ``arn`` has in ``location``, ``BUCKET/PREFIX``: it may be of any server, or AWS's.

    Raises: UsageError: the ARN is no trail's, or there is no such bucket. Corrupt. Unavailable.
    """
    bucket, prefix = split_location(location)
    its = _trail_arn(arn)
    with trails_here(place.settings) as here:
        trails = [] if here is None or place.is_elsewhere else here.trails()
        for trail in trails:
            if (trail.arn, trail.bucket) == (arn, bucket) and prefix in ("", trail.prefix):
                assert here is not None
                return _of_trail(trail, asked, keys, place, here)
        account = asked.account or its.account
        asked = replace(
            asked, prefix=prefix, trail=its.name, home_region=its.region, account=account
        )
        known = keys or KeyRing.of([] if here is None else here.keys(), complete=False)
        return _of_location(f"{_SCHEME}{bucket}", asked, known, place, here)


def _trail_arn(text: str) -> Arn:
    try:
        arn = parse_arn(text)
    except ClientError as error:
        raise UsageError(error.message) from error
    if arn.kind != "trail":
        raise UsageError(f"{text} is the ARN of no trail")
    return arn


def _target(
    text: str, asked: Asked, keys: KeyRing | None, place: Place, here: TrailsHere | None
) -> Target:
    known = keys or KeyRing.of([] if here is None else here.keys(), complete=False)
    if text.startswith(_SCHEME):
        return _of_location(text, asked, known, place, here)
    if Path(text).is_dir():
        if here is not None and text in {trail.name for trail in here.trails()}:
            raise UsageError(
                f"{text} is a directory and a trail of the server here: write ./{text} or its ARN"
            )
        return _of_directory(Path(text), asked, known, place)
    if here is None and text.startswith("arn:"):
        raise UsageError(
            f"{place.settings.data_dir} has no trails: name that of the trail's server (--data),"
            " or the bucket where its digests are (--s3-bucket)"
        )
    if here is None:
        raise UsageError(
            f"{text} is no directory, and {place.settings.data_dir} has no trails:"
            " name a trail of the server there (--data), a directory, or s3://BUCKET"
        )
    return _of_trail(here.find(text), asked, keys, place, here)


def split_location(text: str) -> tuple[str, str]:
    """Return bucket and prefix (without "/" at its end) of ``s3://BUCKET/PREFIX`` or ``BUCKET``."""
    name, _, prefix = text.removeprefix(_SCHEME).partition("/")
    return name, prefix.rstrip("/")


def _of_location(
    text: str, asked: Asked, ring: KeyRing, place: Place, here: TrailsHere | None
) -> Target:
    name, prefix = split_location(text)
    original, base = split_location(asked.bucket)
    if base:
        raise UsageError("--original of a bucket is a bucket: s3://BUCKET, without a prefix")
    before, folder, _ = f"/{prefix}/".partition("/AWSLogs/")
    if folder:
        whole = f"{_SCHEME}{name}{before}"
        raise UsageError(
            f"{text}: name what stands before AWSLogs/, {whole}; --account, --region say what of it"
        )
    where = replace(asked, bucket=original or name, prefix=prefix or asked.prefix)
    opening = replace(_opening(place, name, ring), bucket=where.bucket, lies_in=name)
    expected = Expected()
    if here is not None and not place.is_elsewhere and where.bucket == name:
        ends = [link for link in links(here.all_heads(), name, STATE) if _is_below(link, where)]
        expected = Expected(ends, all_ends=_all_ends(here))
    return Target(opening, where, expected)


def _all_ends(here: TrailsHere) -> list[End]:
    """Return where the newest digests of all chains are."""
    named = ((head, digest_name(head.digest_s3_object)) for head in here.all_heads())
    return [(head.digest_s3_bucket, name) for head, name in named if name is not None]


def _is_below(link: Link, asked: Asked) -> bool:
    return link.key.startswith(asked.root)


def _of_directory(path: Path, asked: Asked, ring: KeyRing, place: Place) -> Target:
    original, base = split_location(asked.bucket)
    kept = (path / OWN_FOLDER).is_dir()
    name = original or _name_here(path, place.settings)
    opening = Opening(
        place, name, ring, path, f"{base}/" if base else "", is_copy=True, with_metadata=kept
    )
    return Target(opening, replace(asked, bucket=name), Expected())


def _name_here(path: Path, settings: Settings) -> str:
    """Return which bucket of the server here a directory is; "": none."""
    path = path.resolve()
    for name, setting in settings.buckets.items():
        if setting.directory and Path(setting.directory).resolve() == path:
            return name
    return path.name if path.parent == (settings.data_dir / "buckets").resolve() else ""


def _of_trail(
    trail: Trail, asked: Asked, keys: KeyRing | None, place: Place, here: TrailsHere
) -> Target:
    asked = replace(
        asked,
        bucket=trail.bucket,
        prefix=trail.prefix,
        trail=trail.name,
        home_region=trail.home_region,
    )
    if not trail.is_organization and not asked.account:
        asked = replace(asked, account=trail.account)
    ring = keys or KeyRing.of(here.keys(), complete=True)
    # Before the files that wait: what is delivered meanwhile is among those, or later.
    known = _known(here, trail)
    expected = Expected(
        links(here.heads(trail), "", STATE),
        all_ends=_all_ends(here),
        until_s=place.clock.now_ms() // 1000,
        trail=(trail.name, trail.home_region),
        waiting=tuple(_waiting(here, trail)),
        others=frozenset(_delivered(here, trail.bucket)),
        known=known,
    )
    return Target(_opening(place, trail.bucket, ring), asked, expected)


def _known(here: TrailsHere, trail: Trail) -> Known:
    """Return when all is known that trails delivered to the trail's bucket.

    That is since each of them had a chain of digests open, and as long as all that was cut is
    delivered. Nothing is known where one of them has no digests, or has delivered nothing yet.
    """
    moved, trails = here.progress(), here.trails()
    places = {(each.id, each.bucket, each.prefix) for each in trails if each.started_ms}
    places |= {(id_, each.trail.bucket, each.trail.prefix) for id_, each in moved.items()}
    here_too = (trail.bucket, trail.prefix)
    there = sorted({id_ for id_, *place in places if tuple(place) == here_too})
    found = [moved[each] for each in there if each in moved and moved[each].window_s]
    if not found or len(found) < len(there):
        return UNKNOWN_YET
    return Known(
        since_s=max(each.window_s for each in found),
        until_s=min(each.cut_ms for each in found) // 1000,
        alone=there == [trail.id],
        trails=frozenset(
            (name.chain.trail, name.chain.home_region)
            for head in here.all_heads()
            if (name := digest_name(head.digest_s3_object)) is not None
        ),
    )


def _delivered(here: TrailsHere, bucket: str) -> Iterator[int]:
    """Yield ``hash`` of the keys of files in a bucket that wait for a digest, of trails that moved, too."""
    for trail_id in here.progress():
        for file in here.delivered(trail_id):
            if file.bucket == bucket:
                yield hash(file.key)


def _waiting(here: TrailsHere, trail: Trail) -> Iterator[LogFileEntry]:
    for file in here.delivered(trail.id):
        if file.bucket == trail.bucket:
            yield LogFileEntry(file.bucket, file.key, file.sha256, HASH_ALGORITHM)


def buckets_of(place: Place, name: str) -> BucketTable:
    """Return the buckets as the server here has them, or as the options say.

    Without both, a bucket that is no directory of the server is AWS's.
    """
    settings = place.settings
    folder = settings.data_dir / "buckets"
    if place.is_elsewhere:
        check_profile(place.profile)
        upstream = Upstream(place.endpoint, place.profile)
        return BucketTable({}, folder, place.clock, settings.region, upstream)
    found = settings.upstream.get("s3") or settings.upstream.get("default")
    known = None
    if found is not None:
        known = Upstream(found.url, "", *_own_key(settings))
    elif not (folder / name).is_dir():
        known = Upstream("")
    return BucketTable(settings.buckets, folder, place.clock, settings.region, known)


def _own_key(settings: Settings) -> tuple[str, str]:
    """Return OpenTrail's own key for an upstream that takes any, or nothing."""
    file = credentials_file(settings)
    if not file.exists():
        return "", ""
    key = read_credentials(file, settings.account)
    return key.access_key_id, key.secret_access_key
