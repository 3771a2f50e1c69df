# SPDX-License-Identifier: Apache-2.0
"""A state store in memory: the contract of ``state.base.State``, and faults when a test wants some."""

import threading
from collections.abc import Iterator, Sequence

from support.log_files import Fault

from opentrail.errors import Unavailable
from opentrail.state.base import Change, Conflict, Entry


class MemoryState:
    """Satisfies ``State``. ``fault`` is met by the next commit: Unavailable, and lost or kept."""

    def __init__(self) -> None:
        self.fault = Fault.NONE
        self.commits = 0
        self._lock = threading.Lock()
        self._entries: dict[str, Entry] = {}
        self._version = 0

    def get(self, key: str) -> Entry | None:
        with self._lock:
            return self._entries.get(key)

    def scan(self, prefix: str) -> Iterator[Entry]:
        with self._lock:
            return iter([self._entries[k] for k in sorted(self._entries) if k.startswith(prefix)])

    def first(self, prefix: str, after: str = "") -> Entry | None:
        with self._lock:
            behind = [k for k in self._entries if k.startswith(prefix) and k > after]
            return self._entries[min(behind)] if behind else None

    def keys(self, prefix: str) -> Iterator[str]:
        with self._lock:
            return iter(sorted(k for k in self._entries if k.startswith(prefix)))

    def commit(self, changes: Sequence[Change]) -> None:
        if len({change.key for change in changes}) < len(changes):
            raise ValueError("a key twice in one commit")
        with self._lock:
            fault, self.fault = self.fault, Fault.NONE
            if fault is Fault.LOST:
                raise Unavailable("injected: the commit was lost")
            for change in changes:
                there = self._entries.get(change.key)
                version = 0 if there is None else there.version
                if change.version not in (None, version):
                    raise Conflict(f"{change.key} has version {version}, not {change.version}")
            for change in changes:
                self._entries.pop(change.key, None)
                if change.value is not None:
                    self._version += 1
                    self._entries[change.key] = Entry(change.key, change.value, self._version)
            self.commits += 1
            if fault is Fault.KEPT:
                raise Unavailable("injected: the commit was kept")

    def copy(self) -> dict[str, Entry]:
        """Return what is there now, as a backup."""
        with self._lock:
            return dict(self._entries)

    def restore(self, backup: dict[str, Entry]) -> None:
        """Go back to what ``copy`` returned; versions go back too, as a restored file's do."""
        with self._lock:
            self._entries = dict(backup)
            self._version = max((entry.version for entry in backup.values()), default=0)
