# SPDX-License-Identifier: Apache-2.0
"""A digest's bytes, key, and the text that is signed. Pure.

Source: CloudTrail User Guide, "CloudTrail digest file structure" and "Custom implementations of
CloudTrail log file integrity validation"; field order and nulls as the service writes them.
"""

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from opentrail.clock import iso_seconds
from opentrail.trails.keys import SIGNATURE_ALGORITHM
from opentrail.trails.logfile import key_root
from opentrail.trails.progress import Chain, Due
from opentrail.trails.trail import DeliveredFile

HASH_ALGORITHM = "SHA-256"


class LogFileEntry(msgspec.Struct, frozen=True, rename="camel"):
    """One of a digest's ``logFiles``."""

    s3_bucket: str
    s3_object: str
    hash_value: str
    """SHA-256 of the uncompressed file, hex."""
    hash_algorithm: str
    newest_event_time: str | None = None
    oldest_event_time: str | None = None


class Digest(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A digest file's content, in the order of its fields."""

    aws_account_id: str
    digest_start_time: str
    digest_end_time: str
    digest_s3_bucket: str
    digest_s3_object: str
    digest_public_key_fingerprint: str
    digest_signature_algorithm: str
    newest_event_time: str | None = None
    oldest_event_time: str | None = None
    previous_digest_s3_bucket: str | None = None
    previous_digest_s3_object: str | None = None
    previous_digest_hash_value: str | None = None
    previous_digest_hash_algorithm: str | None = None
    previous_digest_signature: str | None = None
    log_files: tuple[LogFileEntry, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """A digest's bytes, and what is to be signed of it."""

    key: str
    data: bytes
    """Uncompressed JSON."""
    sha256: str
    to_sign: bytes


_encode = msgspec.json.Encoder().encode


def write_digest(
    due: Due,
    scope: tuple[str, str],
    files: Sequence[DeliveredFile],
    previous: Chain | None,
    fingerprint: str,
) -> Written:
    """Return the digest of one window for ``scope``: account and region.

    ``previous``: the chain's last digest; None begins a chain. ``fingerprint``: the signing key's.
    """
    account, region = scope
    bucket, key = due.trail.bucket, digest_key(due, account, region)
    newest = max((file.newest_ms for file in files), default=None)
    oldest = min((file.oldest_ms for file in files), default=None)
    digest = Digest(
        aws_account_id=account,
        digest_start_time=iso_seconds(due.start_s * 1000),
        digest_end_time=iso_seconds(due.end_s * 1000),
        digest_s3_bucket=bucket,
        digest_s3_object=key,
        digest_public_key_fingerprint=fingerprint,
        digest_signature_algorithm=SIGNATURE_ALGORITHM,
        newest_event_time=None if newest is None else iso_seconds(newest),
        oldest_event_time=None if oldest is None else iso_seconds(oldest),
        previous_digest_s3_bucket=None if previous is None else previous.bucket,
        previous_digest_s3_object=None if previous is None else previous.key,
        previous_digest_hash_value=None if previous is None else previous.sha256,
        previous_digest_hash_algorithm=None if previous is None else HASH_ALGORITHM,
        previous_digest_signature=None if previous is None else previous.signature,
        log_files=tuple(map(_log_file_entry, files)),
    )
    data = _encode(digest)
    sha256 = hashlib.sha256(data).hexdigest()
    before = "null" if previous is None else previous.signature
    lines = (digest.digest_end_time, f"{bucket}/{key}", sha256, before)
    return Written(key, data, sha256, "\n".join(lines).encode())


def digest_key(due: Due, account: str, region: str) -> str:
    """Return the key of a digest: its time is the window's end, its trail named with its home.

    >>> [prefix/]AWSLogs/[o-id/]<acct>/CloudTrail-Digest/<region>/YYYY/MM/DD/
    ...     <acct>_CloudTrail-Digest_<region>_<trail>_<homeRegion>_YYYYMMDDTHHMMSSZ.json.gz
    """
    trail = due.trail
    end = dt.datetime.fromtimestamp(due.end_s, tz=dt.UTC)
    return (
        f"{key_root(trail)}{account}/CloudTrail-Digest/{region}/{end:%Y/%m/%d}/"
        f"{account}_CloudTrail-Digest_{region}_{trail.name}_{trail.home_region}_"
        f"{end:%Y%m%dT%H%M%SZ}.json.gz"
    )


def _log_file_entry(file: DeliveredFile) -> LogFileEntry:
    return LogFileEntry(
        s3_bucket=file.bucket,
        s3_object=file.key,
        hash_value=file.sha256,
        hash_algorithm=HASH_ALGORITHM,
        newest_event_time=iso_seconds(file.newest_ms),
        oldest_event_time=iso_seconds(file.oldest_ms),
    )
