# SPDX-License-Identifier: Apache-2.0
"""Signs what was delivered: a chain of digests for each trail, account and region.

Source: CloudTrail User Guide, "Validating CloudTrail log file integrity". The home region has a
digest for every window; another region from its first file on, with its own chain, until the chain
ends. Windows are planned where the cursor moves (``progress.plan``): what a digest says is in state
before it is put, and follows from the log alone.
"""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace

import msgspec

from opentrail.clock import Clock
from opentrail.errors import ClientError, Unavailable
from opentrail.objects.base import Buckets, Put
from opentrail.state.base import Change, Conflict, Entry, State
from opentrail.state.stored import read
from opentrail.trails.digestfile import write_digest
from opentrail.trails.feedstate import feed_prefix
from opentrail.trails.flight import encrypted
from opentrail.trails.gzipped import gzipped
from opentrail.trails.jobs import Jobs, Threads, code_of, failure
from opentrail.trails.keys import SIGNATURE_ALGORITHM, Signers
from opentrail.trails.notice import notice_prefix
from opentrail.trails.progress import (
    DUE_PREFIX,
    PROGRESS_PREFIX,
    Chain,
    Due,
    Progress,
    chain_key,
    chain_prefix,
    delivered_prefix,
    due_prefix,
    edge_prefix,
    head_key,
)
from opentrail.trails.retry import Retry
from opentrail.trails.status import NO_BUCKET, DigestStatus, digest_status_key, status_prefix
from opentrail.trails.statuses import tell_why
from opentrail.trails.trail import DeliveredFile, Trail, cursor_key, moved, trail_key

_encode = msgspec.json.Encoder().encode

FILE_BYTES = 500
"""What a digest takes for each file that it lists, about."""

Scope = tuple[str, str]
"""Account and region."""


@dataclass(frozen=True, slots=True)
class _Window:
    """A closed window: what its digests say."""

    entry: Entry
    due: Due
    files: dict[Scope, list[DeliveredFile]]
    listed: list[str]
    """State's keys of all of ``files``."""
    previous: dict[Scope, Chain | None]
    """One digest for each: None begins a chain."""


@dataclass(frozen=True, slots=True)
class _Signed:
    """A window whose digests are on their way."""

    window: _Window
    chains: dict[Scope, Chain]
    """Their new ends: complete when ``put`` has ended well."""
    put: Future[None]


@dataclass(frozen=True, slots=True)
class SigningRooms:
    """What signing reads and writes."""

    state: State
    buckets: Buckets
    keys: Signers
    threads: Threads
    """Where puts are made."""
    moved: Callable[[], None] = lambda: None
    """Called, in any thread, when a put ends."""


class Digests:
    """Puts the digests of closed windows. One thread; one per data directory."""

    def __init__(self, rooms: SigningRooms, clock: Clock) -> None:
        """Begin where state says."""
        self._state = rooms.state
        self._buckets = rooms.buckets
        self._keys = rooms.keys
        self._clock = clock
        self._retry = Retry(clock)
        self._jobs = Jobs(rooms.threads, rooms.moved)
        self._signed: dict[str, _Signed] = {}
        """By trail id: the window that a trail is at."""
        self._waiting: dict[str, _Window] = {}
        """By trail id: the window that is to be put, again or once there is room for it. What it lists
        stays the same, and in a long outage state has the files of many windows to search through."""

    def step(self) -> bool:
        """Let each trail go on with the first of its windows; return whether one was done with.

        A bucket that refuses or fails makes its own trail wait, and its status says why. A trail's
        later windows wait for the earlier ones. Raises: Unavailable: the state store.
        """
        closed = self._settle()
        for entry in self._firsts():
            self._begin(entry)
        return self._settle() or closed or self._sweep()

    def _firsts(self) -> list[Entry]:
        """Return the first window of each trail that is at rest."""
        firsts: dict[str, Entry] = {}
        for entry in self._state.scan(DUE_PREFIX):
            trail_id = entry.key.removeprefix(DUE_PREFIX).partition("/")[0]
            firsts.setdefault(trail_id, entry)
        rest = {each for each in firsts if each not in self._signed and not self._retry.waits(each)}
        return [entry for trail_id, entry in firsts.items() if trail_id in rest]

    def _begin(self, entry: Entry) -> None:
        """Put the digests of a window; ``_settle`` goes on when that has ended.

        1. read what they say from state     (whoever repeats this reads the same: only 3 changes it)
        2. sign and put them                 (same text, same key: the same bytes at the same place)
        3. one commit: the chains' new ends, for the next digests and for whoever verifies; the
           window and its files are done with; the status
        A crash before 3, or a 3 that was lost, repeats all. A 3 whose outcome is unknown: the next
        step finds the window, or finds it gone.
        """
        window = self._again(entry) or self._window(entry)
        trail, now = window.due.trail, self._newest(window.due.trail)
        chains: dict[Scope, Chain] = {}

        def work() -> None:
            # Signing too: a key may be in a KMS that stays silent.
            bucket = self._buckets.find(trail.bucket)
            for scope in sorted(window.previous):
                chains[scope], (key, data, how) = self._sign(window, scope)
                bucket.put(key, data, encrypted(how, trail, now))

        size = FILE_BYTES * len(window.listed)
        future = self._jobs.start(trail.bucket, size, work)
        if future is None:
            self._waiting[trail.id] = window
        else:
            self._signed[trail.id] = _Signed(window, chains, future)

    def _settle(self) -> bool:
        """Look at the puts that ended; return whether a window is done with."""
        closed = False
        for trail_id in [each for each, signed in self._signed.items() if signed.put.done()]:
            signed = self._signed.pop(trail_id)
            error = failure(signed.put)
            if error is not None:
                self._waiting[trail_id] = signed.window
                self._failed(signed.window.due.trail, error)
            else:
                self._retry.worked(trail_id)
                self._close(signed)
                closed = True
        return closed

    def _close(self, signed: _Signed) -> None:
        window, trail = signed.window, signed.window.due.trail
        status = DigestStatus(delivered_ms=self._clock.now_ms())
        changes = [Change(window.entry.key, None, window.entry.version)]
        changes += [Change(key, None, None) for key in window.listed]
        for scope, chain in signed.chains.items():
            changes.append(Change(chain_key(trail.id, *scope), _encode(chain), None))
            changes.append(Change(head_key(trail, scope, chain.chain), _encode(chain), None))
        changes.append(Change(digest_status_key(trail.id), _encode(status), None))
        try:
            self._state.commit(changes)
        except Conflict:
            return  # the window is done with: the next step sees that

    def _again(self, entry: Entry) -> _Window | None:
        """Return the window of ``entry`` as it was read before; None: it was not."""
        due = self._placed(read(entry, Due))
        kept = self._waiting.pop(due.trail.id, None)
        return replace(kept, due=due) if kept is not None and kept.entry == entry else None

    def _window(self, entry: Entry) -> _Window:
        due = self._placed(read(entry, Due))
        trail = due.trail
        files: dict[Scope, list[DeliveredFile]] = {}
        listed: list[str] = []
        for found in self._state.scan(delivered_prefix(trail.id)):
            file = read(found, DeliveredFile)
            position = int(found.key.split("/")[-2])
            if position <= due.through and file.cut_ms <= due.end_s * 1000:
                files.setdefault((file.account, file.region), []).append(file)
                listed.append(found.key)
        chains = self._chains(due)
        scopes = {(trail.account, trail.home_region), *files, *chains}
        previous = {scope: chains.get(scope) for scope in scopes}
        return _Window(entry, due, files, listed, previous)

    def _placed(self, due: Due) -> Due:
        """Return ``due``, of a bucket that is gone with that in which the trail delivers by now."""
        trail = due.trail
        if self._status(trail.id).error != NO_BUCKET:
            return due
        return msgspec.structs.replace(due, trail=moved(trail, self._newest(trail)))

    def _chains(self, due: Due) -> dict[Scope, Chain]:
        """Return the ends of the chains that the window belongs to."""
        chains: dict[Scope, Chain] = {}
        for entry in self._state.scan(chain_prefix(due.trail.id)):
            chain = read(entry, Chain)
            if chain.chain == due.chain:
                _, account, region = entry.key.rsplit("/", 2)
                chains[account, region] = chain
        return chains

    def _sign(self, window: _Window, scope: Scope) -> tuple[Chain, tuple[str, bytes, Put]]:
        """Return the new end of a chain and the digest to put there.

        Raises: ClientError. Unavailable: there is no key.
        """
        due = window.due
        key = self._keys.signing_key(due.end_s)
        files, previous = window.files.get(scope, ()), window.previous[scope]
        digest = write_digest(due, scope, files, previous, key.public.fingerprint)
        signature = key.sign(digest.to_sign)
        metadata = {"signature": signature, "signature-algorithm": SIGNATURE_ALGORITHM}
        before = previous or Chain(due.chain, "", "", "", "")
        chain = Chain(
            chain=due.chain,
            bucket=due.trail.bucket,
            key=digest.key,
            sha256=digest.sha256,
            signature=signature,
            end_s=due.end_s,
            digests=before.digests + 1,
            log_files=before.log_files + len(files),
            records=before.records + sum(file.records for file in files),
        )
        return chain, (digest.key, gzipped(digest.data), Put(metadata=metadata))

    def _newest(self, trail: Trail) -> Trail:
        """Return the trail as it is by now; one that is deleted, as it was."""
        entry = self._state.get(trail_key(trail))
        now = trail if entry is None else read(entry, Trail)
        return now if now.id == trail.id else trail

    def _failed(self, trail: Trail, error: ClientError | Unavailable) -> None:
        """Let the trail wait, and its status say why."""
        self._retry.failed(trail.id)
        before = self._status(trail.id)
        tell_why("digest", trail, before.error, error)
        status = msgspec.structs.replace(before, error=code_of(error))
        self._state.commit([Change(digest_status_key(trail.id), _encode(status), None)])

    def _status(self, trail_id: str) -> DigestStatus:
        entry = self._state.get(digest_status_key(trail_id))
        return DigestStatus() if entry is None else read(entry, DigestStatus)

    def _sweep(self) -> bool:
        """Drop what state has of a deleted trail that has nothing left to be signed, told or copied.

        Return whether there was one. Delivery is past its end too: its last commit says "deleted".
        """
        for entry in self._state.scan(PROGRESS_PREFIX):
            trail = read(entry, Progress).trail
            owing = (due_prefix, notice_prefix, feed_prefix)
            if trail.deleted and not any(
                self._state.first(of(trail.id)) is not None for of in owing
            ):
                prefixes = (chain_prefix, edge_prefix, delivered_prefix, status_prefix)
                keys = [each.key for of in prefixes for each in self._state.scan(of(trail.id))]
                keys += [cursor_key(trail.id), entry.key]
                self._state.commit([Change(key, None, None) for key in keys])
                return True
        return False
