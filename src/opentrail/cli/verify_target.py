# SPDX-License-Identifier: Apache-2.0
"""What ``opentrail verify`` is pointed at: a trail of a server here, an S3 location, a directory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from opentrail.access.credentials import read_credentials
from opentrail.clock import Clock
from opentrail.config import Settings
from opentrail.errors import UsageError
from opentrail.front.keys import credentials_file
from opentrail.objects.base import Bucket
from opentrail.objects.localdir import LocalDir
from opentrail.objects.names import OWN_FOLDER
from opentrail.objects.table import BucketTable, Upstream
from opentrail.state.base import State
from opentrail.state.sqlite import SqliteState
from opentrail.trails.keys import PUBLIC_KEY_PREFIX, PublicKey
from opentrail.trails.progress import Chain, chain_prefix
from opentrail.trails.trail import Trail
from opentrail.trails.verdict import KeyRing
from opentrail.trails.verify import Asked, Link

_SCHEME = "s3://"


@dataclass(frozen=True, slots=True)
class Place:
    """How S3 is reached, when the settings do not say."""

    settings: Settings
    clock: Clock
    endpoint: str
    profile: str


@dataclass(frozen=True, slots=True)
class Target:
    """All that a verification needs."""

    bucket: Bucket
    elsewhere: Callable[[str], Bucket | None]
    keys: KeyRing
    asked: Asked
    ends: Sequence[Link]


def target_of(text: str, asked: Asked, keys: KeyRing | None, place: Place) -> Target:
    """Return what ``text`` names; ``keys`` None: those that the server's state here has.

    Raises: UsageError: it names nothing. Corrupt. Unavailable.
    """
    if text.startswith(_SCHEME):
        return _of_location(text, asked, keys or _known_keys(place), place)
    if Path(text).is_dir():
        return _of_directory(Path(text), asked, keys or _known_keys(place), place)
    return _of_trail(text, asked, keys, place)


def _of_location(text: str, asked: Asked, keys: KeyRing, place: Place) -> Target:
    name, _, prefix = text.removeprefix(_SCHEME).partition("/")
    table = _buckets(place, name)
    where = replace(asked, bucket=name, prefix=prefix.rstrip("/") if prefix else asked.prefix)
    return Target(table.find(name), table.find, keys, where, ())


def _of_directory(path: Path, asked: Asked, keys: KeyRing, place: Place) -> Target:
    bucket = LocalDir(path, asked.bucket or path.name, place.clock, create=False)
    kept = (path / OWN_FOLDER).is_dir()
    where = replace(asked, with_metadata=kept, bucket=asked.bucket or (path.name if kept else ""))
    return Target(bucket, lambda _name: None, keys, where, ())


def _of_trail(text: str, asked: Asked, keys: KeyRing | None, place: Place) -> Target:
    state = _state(place)
    if state is None:
        raise UsageError(
            f"{text} is no directory, and {place.settings.data_dir} has no trails:"
            " name a trail of the server there (--data), a directory, or s3://BUCKET"
        )
    trail = _find(state, text)
    table = _buckets(place, trail.bucket)
    asked = replace(
        asked,
        bucket=trail.bucket,
        prefix=trail.prefix,
        trail=trail.name,
        home_region=trail.home_region,
    )
    if not trail.is_organization and not asked.account:
        asked = replace(asked, account=trail.account)
    ring = keys or KeyRing.of(_values(state), complete=True)
    ends = [
        Link(chain.key, chain.sha256, chain.signature, "the server's state")
        for chain in _chains(state, trail)
        if chain.bucket == trail.bucket
    ]
    return Target(table.find(trail.bucket), table.find, ring, asked, ends)


def _find(state: State, text: str) -> Trail:
    trails = [msgspec.json.decode(entry.value, type=Trail) for entry in state.scan("trail/")]
    found = [trail for trail in trails if text in (trail.name, trail.arn)]
    if not found:
        known = ", ".join(sorted(trail.name for trail in trails)) or "none"
        raise UsageError(f"there is no trail {text}; trails: {known}")
    if len(found) > 1:
        raise UsageError(
            f"{text} is a trail in several places: give one of their ARNs, {found[0].arn} …"
        )
    return found[0]


def _chains(state: State, trail: Trail) -> list[Chain]:
    found = state.scan(chain_prefix(trail.id))
    return [msgspec.json.decode(entry.value, type=Chain) for entry in found]


def _values(state: State) -> list[bytes]:
    found = state.scan(PUBLIC_KEY_PREFIX)
    return [msgspec.json.decode(entry.value, type=PublicKey).value for entry in found]


def _known_keys(place: Place) -> KeyRing:
    """Return the keys of the server here; the bucket may be another's, so there may be more."""
    state = _state(place)
    return KeyRing.of([] if state is None else _values(state), complete=False)


def _state(place: Place) -> State | None:
    path = place.settings.data_dir / "state.db"
    return SqliteState.open(path) if path.exists() else None


def _buckets(place: Place, name: str) -> BucketTable:
    """Return the buckets as the server here has them, or as the options say.

    Without both, a bucket that is no directory of the server is AWS's.
    """
    settings = place.settings
    folder = settings.data_dir / "buckets"
    if place.endpoint or place.profile:
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
