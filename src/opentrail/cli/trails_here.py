# SPDX-License-Identifier: Apache-2.0
"""What the state of a server here says of trails; read beside the server, nothing is changed."""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from opentrail.config import Settings
from opentrail.durable import is_there
from opentrail.errors import UsageError
from opentrail.state.base import State
from opentrail.state.sqlite import SqliteState
from opentrail.state.stored import read
from opentrail.trails.departed import departed
from opentrail.trails.keys import PUBLIC_KEY_PREFIX, PublicKey
from opentrail.trails.progress import (
    HEAD_PREFIX,
    PROGRESS_PREFIX,
    Progress,
    delivered_prefix,
    head_prefix,
)
from opentrail.trails.registry import APPLIED_KEY, LIVE_PREFIX, Applied
from opentrail.trails.status import status_prefix
from opentrail.trails.trail import DeliveredFile, Trail, cursor_key
from opentrail.verification.receipt import Head, heads_of
from opentrail.verification.verdict import KnownKey


class Delivered(msgspec.Struct, frozen=True):
    """What the statuses of all targets have."""

    delivered_ms: int = 0
    """The last success, milliseconds since 1970 UTC; 0: never."""
    error: str = ""
    """The code of the last failure; "" since a success."""
    failing_ms: int = 0
    """Of a bucket: how long puts have been tried since one succeeded."""
    given_up: int = 0
    given_up_files: int = 0
    """Records that it never took; of a bucket, the files that they were in."""


class TrailsHere:
    """The trails of a data directory."""

    def __init__(self, state: State) -> None:
        self._state = state

    def trails(self) -> list[Trail]:
        """Return all trails that are not deleted, by account, home region and name."""
        found = self._state.scan(LIVE_PREFIX)
        return [read(entry, Trail) for entry in found]

    def departed(self) -> list[Trail]:
        """Return the trails that are deleted and not done with."""
        return departed(self._state, self.trails())

    def find(self, text: str) -> Trail:
        """Return the trail of that name or ARN. Raises: UsageError."""
        trails = self.trails()
        found = [trail for trail in trails if text in (trail.name, trail.arn)]
        if not found:
            known = ", ".join(sorted(trail.name for trail in trails)) or "none"
            raise UsageError(f"there is no trail {text}; trails: {known}")
        if len(found) > 1:
            raise UsageError(
                f"{text} is a trail in several places: give one of their ARNs, {found[0].arn} …"
            )
        return found[0]

    def behind(self, trail: Trail, end: int) -> int | None:
        """Return how many bytes of the log, which ends at ``end``, the trail has not delivered.

        None: it has not delivered anything yet.
        """
        entry = self._state.get(cursor_key(trail.id))
        return None if entry is None else end - read(entry, int)

    def accounts(self) -> list[str]:
        """Return the accounts whose records trails take: some targets are theirs, not a trail's."""
        return sorted({each for trail in self.trails() for each in (trail.account, *trail.members)})

    def statuses(self, owner: str) -> Iterator[tuple[str, Delivered]]:
        """Yield what became of the last delivery to each target of a trail (its id), or an account."""
        for entry in self._state.scan(status_prefix(owner)):
            yield entry.key.rpartition("/")[2], read(entry, Delivered)

    def log_id(self) -> str:
        """Return the id of the log that the trails follow from; "" when there is none yet."""
        entry = self._state.get(APPLIED_KEY)
        return "" if entry is None else read(entry, Applied).log_id

    def heads(self, trail: Trail) -> Iterator[Head]:
        """Yield the last digests of all chains of a trail's name."""
        prefix = head_prefix(trail.account, trail.home_region, trail.name)
        return heads_of(prefix, self._state.scan(prefix))

    def all_heads(self) -> Iterator[Head]:
        """Yield the last digests of all chains of all trails, deleted ones too."""
        for entry in self._state.scan(HEAD_PREFIX):
            prefix = "/".join(entry.key.split("/")[:5]) + "/"
            yield from heads_of(prefix, [entry])

    def progress(self) -> dict[str, Progress]:
        """Return what holds at the cursors of all trails, by their ids."""
        found = self._state.scan(PROGRESS_PREFIX)
        return {entry.key.removeprefix(PROGRESS_PREFIX): read(entry, Progress) for entry in found}

    def delivered(self, trail_id: str) -> Iterator[DeliveredFile]:
        """Yield the files of a trail that wait for their digest."""
        for entry in self._state.scan(delivered_prefix(trail_id)):
            yield read(entry, DeliveredFile)

    def cursor(self, trail: Trail) -> int:
        """Return up to which position of the log a trail is delivered."""
        entry = self._state.get(cursor_key(trail.id))
        return 0 if entry is None else read(entry, int)

    def public_keys(self) -> list[PublicKey]:
        """Return all public keys that ever signed here, the oldest first."""
        found = self._state.scan(PUBLIC_KEY_PREFIX)
        keys = [read(entry, PublicKey) for entry in found]
        return sorted(keys, key=lambda key: (key.start_ms, key.fingerprint))

    def keys(self) -> list[KnownKey]:
        """Return the same as what verification takes."""
        return [
            KnownKey(key.value, key.start_ms // 1000, key.end_ms // 1000)
            for key in self.public_keys()
        ]


@contextmanager
def trails_here(settings: Settings) -> Iterator[TrailsHere | None]:
    """Yield the trails of the data directory; None: there is no server's state.

    Raises: Corrupt. Unavailable.
    """
    path = settings.data_dir / "state.db"
    if not is_there(path):
        yield None
        return
    state = SqliteState.open(path)
    try:
        yield TrailsHere(state)
    finally:
        state.close()
