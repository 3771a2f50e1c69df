# SPDX-License-Identifier: Apache-2.0
"""What the rooms may expect of the state store, whatever it is made of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Entry:
    """One value and the version that it has."""

    key: str
    value: bytes
    version: int
    """Grows with every change of this key; a deleted and remade key never gets an old one again."""


@dataclass(frozen=True, slots=True)
class Change:
    """One key's part of a commit."""

    key: str
    value: bytes | None
    """None deletes the key."""
    version: int | None
    """The version that must be there now; 0: the key must be absent; None: whatever is there."""


class Conflict(Exception):
    """Some key had another version: nothing was changed. Read again and decide anew."""


class State(Protocol):
    """A small ordered map from text to bytes. Trust: full; whoever can write here can fool us.

    Safe from several threads of the one process that changes it. A commit is seen whole or not at all,
    by whatever is read after it returned. Raises in all methods: Corrupt: what is kept does not check out.
    """

    def get(self, key: str) -> Entry | None:
        """Return the entry of ``key``. Raises: Unavailable."""
        ...

    def scan(self, prefix: str) -> Iterator[Entry]:
        """Yield all entries whose key begins with ``prefix``, in key order, as of one moment.

        Raises: Unavailable.
        """
        ...

    def first(self, prefix: str, after: str = "") -> Entry | None:
        """Return the first entry behind key ``after`` whose key begins with ``prefix``.

        For what may be many, of which ``scan`` holds all. Raises: Unavailable.
        """
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield all keys that begin with ``prefix``, in order, as of one moment. Raises: Unavailable."""
        ...

    def commit(self, changes: Sequence[Change]) -> None:
        """Make all of ``changes`` or none, durably (fsync has returned).

        Raises: Conflict: nothing was changed. Unavailable: the outcome is unknown. ValueError: a key
        is in ``changes`` twice.
        """
        ...
