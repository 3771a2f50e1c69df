# SPDX-License-Identifier: Apache-2.0
"""What can be said of one digest, or of one log file, without looking at any other.

Source: CloudTrail User Guide, "Custom implementations of CloudTrail log file integrity validation".
"""

import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec

from opentrail.errors import ClientError
from opentrail.objects.readdir import NOT_IN_COPY
from opentrail.trails.digestfile import HASH_ALGORITHM, Digest, LogFileEntry
from opentrail.trails.keys import SIGNATURE_ALGORITHM
from opentrail.verification.bucketkeys import (
    TO_FRACTION,
    TO_SECOND,
    DigestName,
    Place,
    digest_name,
    log_name,
    seconds_of,
)
from opentrail.verification.ungzip import NotOneMember, sha256_of, unpacked
from opentrail.verification.verdict import SIGNED_LATE_S, TIME_MAX, KeyRing, Verdict

FOLDERS_CACHED = 1024
"""A digest's log files lie in a few."""
GENERATED_NAME = "backfill-generation-timestamp"
GENERATED_SPAN_S = 3600
"""A backfill digest is signed within an hour of that time: what ``validate-logs`` asks keys for."""
_decode = msgspec.json.Decoder(Digest).decode

Judged = tuple[Verdict, str]
"""A verdict and the reason for it; "" when it is valid."""
_AS_LISTED: Judged = (Verdict.VALID, "")
"""One for all: handed over from process to process it is sent once."""


class Source(Protocol):
    """A bucket, or a copy of one, to be read. Trust: none."""

    @property
    def name(self) -> str:
        """The bucket's name."""
        ...

    def read(self, key: str) -> tuple[Mapping[str, str], bytes]:
        """Return an object's metadata and bytes. Raises: ClientError. Unavailable."""
        ...

    def data(self, key: str) -> bytes:
        """Return an object's bytes alone. Raises: ClientError. Unavailable."""
        ...

    def keys(self, prefix: str, after: str = "") -> Iterator[str]:
        """Yield keys in order, behind ``after``. Raises: ClientError. Unavailable."""
        ...

    def close(self) -> None:
        """Let go of what is held open, when nobody reads."""
        ...


@dataclass(frozen=True, slots=True)
class Examined:
    """A digest as it is in itself."""

    name: DigestName
    verdict: Verdict
    reason: str
    digest: Digest | None = None
    """None: it cannot be read, or is not what its place says."""
    sha256: str = ""
    """Of its uncompressed bytes, hex."""
    signature: str = ""
    """What its metadata says; "" when nothing does."""
    generated: str = ""
    """Of a backfill digest: when it was made, by its metadata."""

    @property
    def window(self) -> tuple[int, int]:
        """The time that it is about, seconds since 1970 UTC."""
        assert self.digest is not None
        return window_of(self.digest)


@dataclass(frozen=True, slots=True)
class Examiner:
    """Reads and judges single files. One for each process that reads."""

    source: Source
    elsewhere: Callable[[str], Source | None]
    """Another bucket by its name; None: it is not at hand."""
    ring: KeyRing
    bucket: str
    """Its name, as digests must say it; "": as each digest says."""
    with_metadata: bool = True
    """False: a copy that kept no metadata, where a missing signature means nothing."""

    @property
    def bucket_name(self) -> str:
        """What the bucket is called when somebody is told of it."""
        return self.bucket or self.source.name

    def there(self, bucket: str) -> "Examiner | None":
        """Return who examines another bucket; None: it is not at hand."""
        source = self.elsewhere(bucket)
        return None if source is None else replace(self, source=source, bucket=bucket)

    def digest(self, key: str) -> Examined:
        """Return what is to be said of the digest at ``key``. Raises: Unavailable."""
        name = digest_name(key)
        assert name is not None
        try:
            metadata, content = self._content(key)
            digest = _decode(content)
        except _Unreadable as error:
            return Examined(name, error.verdict, str(error))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Examined(name, Verdict.INVALID, "invalid format")
        wrong = self._misplaced(name, digest)
        if wrong:
            return Examined(name, Verdict.INVALID, wrong)
        signature = metadata.get("signature", "")
        read = Examined(
            name, Verdict.UNKNOWN, "", digest, hashlib.sha256(content).hexdigest(), signature,
            metadata.get(GENERATED_NAME, ""),
        )  # fmt: skip
        verdict, reason = self._signed(read, metadata)
        return replace(read, verdict=verdict, reason=reason)

    def original(self, key: str) -> tuple[str, str] | None:
        """Return of which bucket the digest at ``key`` is, and what its key there has before ``key``.

        None: it does not say, or says another key. Raises: Unavailable.
        """
        try:
            digest = _decode(self._content(key)[1])
        except (_Unreadable, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        base = digest.digest_s3_object.removesuffix(key)
        there = digest.digest_s3_object == base + key and (not base or base.endswith("/"))
        return (digest.digest_s3_bucket, base) if there else None

    def log(self, entry: LogFileEntry) -> Judged:
        """Return what is to be said of a log file that a digest lists. Raises: Unavailable."""
        if entry.hash_algorithm != HASH_ALGORITHM:
            return Verdict.INVALID, f"hash algorithm {entry.hash_algorithm} is not known"
        try:
            found = self._sha256(entry)
        except _Unreadable as error:
            return error.verdict, str(error)
        if found != entry.hash_value:
            return Verdict.INVALID, "hash value doesn't match"
        return _AS_LISTED

    def logs(self, entries: Sequence[LogFileEntry]) -> list[Judged]:
        """Return what is to be said of each. Raises: Unavailable."""
        return [self.log(entry) for entry in entries]

    def digests(self, keys: Sequence[str]) -> list[Examined]:
        """Return what is to be said of each. Raises: Unavailable."""
        return [self.digest(key) for key in keys]

    def signed(self, read: Examined, signature: str) -> Judged:
        """Return whether ``signature`` is one under a digest that was read."""
        digest = read.digest
        assert digest is not None
        lines = (
            digest.digest_end_time,
            f"{digest.digest_s3_bucket}/{digest.digest_s3_object}",
            read.sha256,
            digest.previous_digest_signature or "null",
        )
        text, key = "\n".join(lines).encode(), digest.digest_public_key_fingerprint
        verdict, reason = self.ring.verify(key, text, signature, _signed_between(read))
        if verdict is not Verdict.INVALID and not _names_one_wholly(digest):
            return Verdict.INVALID, "invalid format"
        return verdict, reason

    def _content(self, key: str) -> tuple[Mapping[str, str], bytes]:
        with _read():
            metadata, data = self.source.read(key)
            return metadata, unpacked(data)

    def _sha256(self, entry: LogFileEntry) -> str:
        with _read():
            if entry.s3_bucket in (self.bucket, self.source.name):
                source: Source | None = self.source
            else:
                source = self.elsewhere(entry.s3_bucket)
            if source is None:
                raise _Unreadable(Verdict.UNKNOWN, "is in another bucket")
            return sha256_of(source.data(entry.s3_object))

    def _misplaced(self, name: DigestName, digest: Digest) -> str:
        """Return why a digest is not what its place says; "" when it is."""
        if min(window_of(digest)) < 0:
            return "invalid format"
        bucket = self.bucket or digest.digest_s3_bucket
        if (digest.digest_s3_bucket, digest.digest_s3_object) != (bucket, name.key):
            return "has been moved from its original location"
        start_s, end_s = window_of(digest)
        place = name.chain.place
        if digest.aws_account_id != place.account or end_s != name.end_s or start_s >= end_s:
            return "its account or time is not that of its name"
        return ""

    def _signed(self, read: Examined, metadata: Mapping[str, str]) -> Judged:
        assert read.digest is not None
        if not read.signature and not self.with_metadata:
            return Verdict.UNKNOWN, UNSIGNED
        wrong = self._unsigned(read, metadata)
        return (Verdict.INVALID, wrong) if wrong else self.signed(read, read.signature)

    def _unsigned(self, read: Examined, metadata: Mapping[str, str]) -> str:
        """Return why nothing can be its signature; "" when something can."""
        assert read.digest is not None
        algorithms = {read.digest.digest_signature_algorithm, metadata.get("signature-algorithm")}
        algorithms -= set() if self.with_metadata else {None}
        if not read.signature or None in algorithms:
            return "signature verification failed"
        if algorithms != {SIGNATURE_ALGORITHM}:
            return f"signature algorithm is not {SIGNATURE_ALGORITHM}"
        if read.name.chain.backfill and not read.generated and self.with_metadata:
            return f"has no {GENERATED_NAME}"
        return ""


TOO_LONG = "is longer than any file that a trail delivers"
OUTSIDE = "is not in the part of the bucket that this is a copy of"
UNSIGNED = "its signature is not in this copy, and no digest after it names it"


class _Unreadable(Exception):
    """An object cannot be judged by its content."""

    def __init__(self, verdict: Verdict, reason: str) -> None:
        super().__init__(reason)
        self.verdict = verdict


@contextmanager
def _read() -> Iterator[None]:
    """Turn what prevents reading into what it says of the file. Raises: _Unreadable."""
    try:
        yield
    except ClientError as error:
        if error.code == "NoSuchKey":
            raise _Unreadable(Verdict.INVALID, "not found") from error
        if error.code == NOT_IN_COPY:
            raise _Unreadable(Verdict.UNKNOWN, OUTSIDE) from error
        if error.code == "EntityTooLarge":
            raise _Unreadable(Verdict.INVALID, TOO_LONG) from error
        raise _Unreadable(Verdict.UNKNOWN, f"cannot be read: {error.code}") from error
    except NotOneMember as error:
        raise _Unreadable(Verdict.INVALID, str(error)) from error


def _names_one_wholly(digest: Digest) -> bool:
    """Return whether a digest names one before it wholly, or not at all."""
    before = (
        digest.previous_digest_s3_bucket,
        digest.previous_digest_s3_object,
        digest.previous_digest_hash_value,
        digest.previous_digest_signature,
    )
    if not any(before):
        return True
    known = digest.previous_digest_hash_algorithm == HASH_ALGORITHM
    return all(before) and known and digest_name(digest.previous_digest_s3_object or "") is not None


def _signed_between(read: Examined) -> tuple[int, int]:
    """Return between which two moments a digest was signed, seconds since 1970 UTC."""
    end_s = read.window[1]
    if not read.name.chain.backfill:
        return end_s, end_s + SIGNED_LATE_S
    made_s = seconds_of(read.generated, TO_FRACTION)
    if made_s < end_s:
        return end_s, TIME_MAX
    return made_s - GENERATED_SPAN_S, made_s + GENERATED_SPAN_S


def window_of(digest: Digest) -> tuple[int, int]:
    """Return the start and end of a digest's window, seconds since 1970 UTC; -1: no such time."""
    start, end = digest.digest_start_time, digest.digest_end_time
    return seconds_of(start, TO_SECOND), seconds_of(end, TO_SECOND)


def is_at_home(place: Place, entry: LogFileEntry) -> bool:
    """Return whether a log file lies where those of the account and region of ``place`` do."""
    return _home_of(entry.s3_object.rpartition("/")[0]) == (place.account, place.region)


@functools.lru_cache(maxsize=FOLDERS_CACHED)
def _home_of(folder: str) -> tuple[str, str] | None:
    """Return account and region of the log files in ``folder``; None: none are there."""
    its = log_name(f"{folder}/x")
    return None if its is None else (its.place.account, its.place.region)
