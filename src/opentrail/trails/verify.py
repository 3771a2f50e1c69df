# SPDX-License-Identifier: Apache-2.0
"""Checks the digests and log files in a bucket, with public keys and nothing else of a server.

Source: CloudTrail User Guide, "Custom implementations of CloudTrail log file integrity validation".
Beyond what the AWS CLI checks: that each digest is the very one that its successor names, that no
digest is missing behind one that is signed, that the newest is there (where a server's state says
which it is), and that no log file lies there which no digest lists (``uncovered``).
"""

import hashlib
import heapq
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from opentrail.clock import iso_seconds
from opentrail.errors import ClientError
from opentrail.objects.base import Bucket
from opentrail.trails.bucketkeys import (
    ChainName,
    DigestName,
    LogName,
    Place,
    digest_name,
    log_name,
    seconds_of,
)
from opentrail.trails.digestfile import Digest, LogFileEntry
from opentrail.trails.uncovered import MINUTE_S, Coverage, uncovered
from opentrail.trails.ungzip import NotOneMember, sha256_of, unpacked
from opentrail.trails.verdict import NOTE, Finding, KeyRing, Verdict

END_ANY = 1 << 40
"""Later than any digest ends."""
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_NO_LIMIT = 1 << 62
"""A listing is read to its end."""


@dataclass(frozen=True, slots=True)
class Link:
    """What a digest must be, as somebody whom we believe says."""

    key: str
    sha256: str
    """Hex, of the uncompressed bytes."""
    signature: str
    said_by: str
    """"the digest after it", "the server's state"."""


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
    with_metadata: bool = True
    """False: a copy that kept no object metadata, where a missing signature means nothing."""

    def spans(self, log: LogName, covered: Coverage) -> bool:
        """Return whether a log file is of the time asked for; its digest comes up to one later."""
        last_s = self.end_s
        if last_s != END_ANY:
            last_s = max((end for _, end in covered.windows), default=0) - MINUTE_S
        return log.minute_s < 0 or self.start_s <= log.minute_s <= last_s

    def takes(self, chain: ChainName) -> bool:
        """Return whether this chain is asked for."""
        return self.trail in ("", chain.trail) and self.home_region in ("", chain.home_region)


@dataclass(frozen=True, slots=True)
class Survey:
    """What lies in the bucket, by name."""

    digests: dict[ChainName, list[DigestName]]
    """In order of time."""
    logs: dict[Place, list[LogName]]


def survey(bucket: Bucket, asked: Asked) -> Survey:
    """List the bucket. Raises: ClientError. Unavailable."""
    digests: dict[ChainName, list[DigestName]] = defaultdict(list)
    logs: dict[Place, list[LogName]] = defaultdict(list)
    for one in bucket.list(_root(asked), limit=_NO_LIMIT):
        digest = digest_name(one.key)
        if digest is not None:
            if _in_place(asked, digest.chain.place):
                digests[digest.chain].append(digest)
        elif (log := log_name(one.key)) is not None and _in_place(asked, log.place):
            logs[log.place].append(log)
    for chain in digests.values():
        chain.sort(key=lambda name: name.end_s)
    return Survey(digests, logs)


def _root(asked: Asked) -> str:
    if asked.prefix is None:
        return ""
    return f"{asked.prefix}/AWSLogs/" if asked.prefix else "AWSLogs/"


def _in_place(asked: Asked, place: Place) -> bool:
    return (
        asked.account in ("", place.account)
        and asked.region in ("", place.region)
        and place.root.startswith(_root(asked))
    )


@dataclass(frozen=True, slots=True)
class _Read:
    """A digest that was read."""

    digest: Digest
    sha256: str
    signature: str
    """"" when nothing beside the object says it."""


class _Unreadable(Exception):
    """An object cannot be judged by its content."""

    def __init__(self, verdict: Verdict, reason: str) -> None:
        super().__init__(reason)
        self.verdict = verdict
        self.reason = reason


def verify(
    verifier: "Verifier", found: Survey, ends: Sequence[Link], asked: Asked, *, unlisted: int | None
) -> Iterator[Finding]:
    """Check all chains of ``found`` that are asked for, place by place.

    ``ends``: the newest digest of each chain, as a server's state says. ``unlisted``: the time
    (seconds since 1970 UTC) as of which files in no digest are looked for; None: they are not.
    Raises: ClientError: NoSuchBucket. Unavailable.
    """
    newest: dict[ChainName, list[Link]] = defaultdict(list)
    for link in ends:
        name = digest_name(link.key)
        if name is not None:
            newest[name.chain].append(link)
    chains = sorted({*found.digests, *newest})
    places = sorted({chain.place for chain in chains if asked.takes(chain)})
    for place in places:
        covered = Coverage()
        here = [chain for chain in chains if chain.place == place]
        for chain in here:
            names, links = found.digests.get(chain, []), newest.get(chain, [])
            if asked.takes(chain):
                yield from verifier.chain(names, links, covered, logs=True)
            elif unlisted is not None:  # another trail's files are not ours to doubt
                deque(verifier.chain(names, links, covered, logs=False), maxlen=0)
        if unlisted is not None:
            logs = [log for log in found.logs.get(place, []) if asked.spans(log, covered)]
            yield from uncovered(logs, covered, verifier.name, unlisted)


class Verifier:
    """Checks chains in one bucket. ``elsewhere`` finds another bucket, or None."""

    def __init__(
        self,
        bucket: Bucket,
        elsewhere: Callable[[str], Bucket | None],
        keys: KeyRing,
        asked: Asked,
    ) -> None:
        self._bucket = bucket
        self._elsewhere = elsewhere
        self._keys = keys
        self._asked = asked
        self.name = asked.bucket
        """The bucket's name as digests say it."""

    def chain(
        self, names: Sequence[DigestName], ends: Sequence[Link], covered: Coverage, *, logs: bool
    ) -> Iterator[Finding]:
        """Check a chain from its newest digest to its oldest, and with ``logs`` their log files.

        Each digest that is valid says what the one before it must be; ``ends`` say it of the newest.
        ``covered`` learns what the digests list. Raises: Unavailable.
        """
        links = {link.key: link for link in ends}
        named = {name.key: name for name in names}
        named |= {key: name for key in links if (name := digest_name(key)) is not None}
        queued = {name.key: name for name in named.values() if self._in_time(name)}
        todo = [(-name.end_s, name.key) for name in queued.values()]
        heapq.heapify(todo)
        began = ""
        while todo:
            name = queued[heapq.heappop(todo)[1]]
            if began:
                yield _gap(name, began)
            verdict, reason, digest = self._judge(name, links.get(name.key))
            yield Finding(_kind(name), self._url(name.key), verdict, reason)
            began = ""
            if digest is None:
                continue
            yield from self._files(digest, verdict, covered, logs=logs)
            before = digest_name(digest.previous_digest_s3_object or "")
            if before is None:
                began = digest.digest_end_time
            elif verdict is Verdict.VALID and self._in_time(before):
                yield from self._follow(digest, before, links)
                if before.key in links and before.key not in queued:
                    queued[before.key] = before
                    heapq.heappush(todo, (-before.end_s, before.key))

    def _follow(
        self, digest: Digest, before: DigestName, links: dict[str, Link]
    ) -> Iterator[Finding]:
        """Remember what the digest before must be."""
        bucket = digest.previous_digest_s3_bucket
        if bucket != self.name:
            url = f"s3://{bucket}/{before.key}"
            yield Finding(NOTE, url, Verdict.VALID, "the chain goes on there")
        else:
            sha256 = digest.previous_digest_hash_value or ""
            signature = digest.previous_digest_signature or ""
            links[before.key] = Link(before.key, sha256, signature, "the digest after it")

    def _judge(self, name: DigestName, link: Link | None) -> tuple[Verdict, str, Digest | None]:
        """Return what is to be said of a digest, and what it says when it can be believed."""
        try:
            read = self._read(name.key)
        except _Unreadable as error:
            return error.verdict, error.reason, None
        if not self.name:
            self.name = read.digest.digest_s3_bucket
        where = (read.digest.digest_s3_bucket, read.digest.digest_s3_object)
        if where != (self.name, name.key):
            return Verdict.INVALID, "has been moved from its original location", None
        verdict, reason = self._authentic(read, link)
        return verdict, reason, None if verdict is Verdict.INVALID else read.digest

    def _authentic(self, read: _Read, link: Link | None) -> tuple[Verdict, str]:
        digest = read.digest
        signature = read.signature or (link.signature if link else "")
        if link is not None and (link.sha256, link.signature) != (read.sha256, signature):
            return Verdict.INVALID, f"is not the one that {link.said_by} names"
        if not signature:
            if self._asked.with_metadata:
                return Verdict.INVALID, "signature verification failed"
            return (
                Verdict.UNKNOWN,
                "its signature is not in this copy, and no digest after it names it",
            )
        lines = (
            digest.digest_end_time,
            f"{digest.digest_s3_bucket}/{digest.digest_s3_object}",
            read.sha256,
            digest.previous_digest_signature or "null",
        )
        text = "\n".join(lines).encode()
        verdict, reason = self._keys.verify(digest.digest_public_key_fingerprint, text, signature)
        if link is not None and verdict is Verdict.UNKNOWN:
            return Verdict.VALID, ""  # one that is valid vouches for it, hash and all
        return verdict, reason

    def _read(self, key: str) -> _Read:
        head, data = _get(self._bucket, key)
        try:
            content = unpacked(data)
            digest = msgspec.json.decode(content, type=Digest)
        except NotOneMember as error:
            raise _Unreadable(Verdict.INVALID, str(error)) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _Unreadable(Verdict.INVALID, "invalid format") from error
        if min(_window(digest)) < 0:
            raise _Unreadable(Verdict.INVALID, "invalid format")
        return _Read(digest, hashlib.sha256(content).hexdigest(), head.get("signature", ""))

    def _files(
        self, digest: Digest, verdict: Verdict, covered: Coverage, *, logs: bool
    ) -> Iterator[Finding]:
        covered.listed.update(file.s3_object for file in digest.log_files)
        if verdict is Verdict.VALID and digest.previous_digest_s3_object is not None:
            covered.windows.append(_window(digest))
        for file in digest.log_files if logs else ():
            found, reason = self._log(file)
            if found is Verdict.VALID and verdict is not Verdict.VALID:
                found, reason = verdict, "as its digest says, which cannot be verified"
            yield Finding("Log file", f"s3://{file.s3_bucket}/{file.s3_object}", found, reason)

    def _log(self, file: LogFileEntry) -> tuple[Verdict, str]:
        bucket = self._bucket if file.s3_bucket == self.name else self._elsewhere(file.s3_bucket)
        if bucket is None:
            return Verdict.UNKNOWN, "is in another bucket"
        try:
            found = sha256_of(_get(bucket, file.s3_object)[1])
        except _Unreadable as error:
            return error.verdict, error.reason
        except NotOneMember as error:
            return Verdict.INVALID, str(error)
        if found != file.hash_value:
            return Verdict.INVALID, "hash value doesn't match"
        return Verdict.VALID, ""

    def _in_time(self, name: DigestName) -> bool:
        return self._asked.start_s <= name.end_s <= self._asked.end_s

    def _url(self, key: str) -> str:
        return f"s3://{self.name or self._bucket.name}/{key}"


def _get(bucket: Bucket, key: str) -> tuple[dict[str, str], bytes]:
    """Return an object's metadata and bytes. Raises: _Unreadable. Unavailable."""
    try:
        head, data = bucket.get(key)
    except ClientError as error:
        if error.code == "NoSuchKey":
            raise _Unreadable(Verdict.INVALID, "not found") from error
        raise _Unreadable(Verdict.UNKNOWN, f"cannot be read: {error.code}") from error
    return dict(head.metadata), data


def _kind(name: DigestName) -> str:
    return "Backfill digest file" if name.chain.backfill else "Digest file"


def _gap(older: DigestName, began: str) -> Finding:
    span = f"{iso_seconds(older.end_s * 1000)} to {began}"
    return Finding(NOTE, span, Verdict.VALID, "no digests: a new chain begins")


def _window(digest: Digest) -> tuple[int, int]:
    start, end = digest.digest_start_time, digest.digest_end_time
    return seconds_of(start, _TIME), seconds_of(end, _TIME)
