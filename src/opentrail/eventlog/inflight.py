# SPDX-License-Identifier: Apache-2.0
"""The calls that are being forwarded, in a memory map that survives a killed process.

After docs/format.md. A claim costs no system call: the kernel keeps what a killed process had
stored. A power loss may take it, but not the fact that there was a run that did not end cleanly.
"""

import mmap
import struct
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Self

from opentrail.durable import OS_FILES, TEMPORARY_SUFFIX, Files, is_there, publish
from opentrail.errors import Corrupt, Unavailable
from opentrail.eventlog.frame import checksum
from opentrail.eventlog.unrecorded import UnrecordedCalls

MAGIC = b"OTRLINF\0"
VERSION = 1
HEADER_BYTES = 4096
"""One page: the header is written alone."""
SLOT_BYTES = 2048
"""Room for what a record of an unknown outcome says: who, which operation, from where."""
SLOTS = 4096
"""More calls at once than one gateway process can forward."""
SLOTS_MAX = 65_536
"""A file of 128 MiB; a larger number in a header is damage."""

_HEAD = struct.Struct("<8sI")
_FACTS = struct.Struct("<IIBBH16s16s")
_SLOT = struct.Struct("<Q16sH")
_U32 = struct.Struct("<I")
_FACTS_AT = 16
_BODY_AT = 8
_RUNNING = 1
_CLOSED = 2
_NO_BOOT = bytes(16)
PAYLOAD_BYTES_MAX = SLOT_BYTES - _BODY_AT - _SLOT.size
"""What is left of a slot; a caller truncates what is longer."""


class Ended(Enum):
    """How the run before this one ended."""

    CLEAN = 0
    """It was closed; no call was lost."""
    KILLED = 1
    """The process died, the machine did not: the leftovers are all there were."""
    POWER_LOSS = 2
    """The machine stopped: calls may have been forwarded that are not among the leftovers."""


@dataclass(frozen=True, slots=True)
class InFlightEntry:
    """A call that was forwarded when the process died: its outcome is unknown."""

    slot: int
    event_id: bytes
    """The UUID's 16 bytes: the eventID that its record has, or would have had."""
    started_ms: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class _Facts:
    """The changing part of the header."""

    slots: int
    state: int
    ended: Ended
    boot_id: bytes
    ended_boot_id: bytes


class InFlight:
    """The table. One process has it, under the lock of the data directory; threads may share it."""

    def __init__(self, path: Path, table: mmap.mmap, facts: _Facts, files: Files) -> None:
        """See ``open``."""
        self._path = path
        self._map = table
        self._facts = facts
        self._files = files
        self._free: list[int] = []
        self.unrecorded = UnrecordedCalls(table)

    @classmethod
    def open(
        cls, path: Path, boot_id: bytes, slots: int = SLOTS, files: Files = OS_FILES
    ) -> tuple[Self, list[InFlightEntry], Ended]:
        """Open or make the table; ``boot_id`` is ``durable.boot_id()``.

        Returns it with the calls that the runs before left, and how the last one ended.

            1. read what was left
            2. write, durably, that this run has begun and how the one before ended
            3. the caller records the leftovers and the gap, then releases and calls ``recorded``
        A crash before 3 is done: the next open returns the same again. Records made twice are
        told by their eventID. (A table that is not in use is made anew when ``slots`` changes.)

        Raises: Corrupt: the header is damaged. ValueError: more than SLOTS_MAX slots. OSError.
        """
        if slots > SLOTS_MAX:
            raise ValueError(f"{slots} slots; {SLOTS_MAX} at most")
        if not is_there(path):
            _create(path, slots, boot_id, files)
        table = _map(path)
        facts = _parse(path, table)
        self = cls(path, table, _begun(facts, boot_id), files)
        leftovers = self._leftovers()
        if not leftovers and facts.slots != slots:
            table.close()
            _create(path, slots, boot_id, files, self._facts)
            return cls.open(path, boot_id, slots, files)
        self._store()
        taken = {entry.slot for entry in leftovers}
        # Taken from the end: the pages in use stay few.
        self._free = [slot for slot in range(facts.slots - 1, -1, -1) if slot not in taken]
        return self, leftovers, self._facts.ended

    @property
    def ended_boot_id(self) -> bytes:
        """The boot id of the run that did not end cleanly, until ``recorded``; else zeros.

        It names that end: the eventID of a gap event is derived from it.
        """
        return self._facts.ended_boot_id

    def claim(self, event_id: bytes, started_ms: int, payload: bytes) -> int:
        """Note a call that is about to be forwarded; return its slot.

        ``event_id`` is 16 bytes, ``payload`` at most PAYLOAD_BYTES_MAX.
        Raises: Unavailable: the table is full. ValueError: the payload is too long.
        """
        if len(payload) > PAYLOAD_BYTES_MAX:
            raise ValueError(f"a payload of {len(payload)} bytes; {PAYLOAD_BYTES_MAX} at most")
        try:
            slot = self._free.pop()
        except IndexError:
            raise Unavailable("too many calls are being forwarded", "try again later") from None
        body = _SLOT.pack(started_ms, event_id, len(payload)) + payload
        at = HEADER_BYTES + slot * SLOT_BYTES
        table = self._map
        table[at + 4 : at + _BODY_AT + len(body)] = _U32.pack(checksum(body)) + body
        table[at] = 1
        return slot

    def release(self, slot: int) -> None:
        """Free ``slot``: its record is durable, or the call was never forwarded."""
        self._map[HEADER_BYTES + slot * SLOT_BYTES] = 0
        self._free.append(slot)

    def claimed(self) -> int:
        """Return how many slots are in use."""
        return self._facts.slots - len(self._free)

    def recorded(self) -> None:
        """Note durably that how the run before ended is in the log. Raises: OSError."""
        self._change(self._facts.state, Ended.CLEAN, _NO_BOOT)

    def close(self) -> None:
        """Note durably that this run ended cleanly, and unmap. Raises: OSError."""
        self._change(_CLOSED, self._facts.ended, self._facts.ended_boot_id)
        self._map.close()

    def _change(self, state: int, ended: Ended, ended_boot_id: bytes) -> None:
        facts = self._facts
        self._facts = _Facts(facts.slots, state, ended, facts.boot_id, ended_boot_id)
        self._store()

    def _store(self) -> None:
        self._map[: _FACTS_AT + _FACTS.size] = _pack(self._facts)
        self._map.flush()
        fd = self._files.open(self._path)
        try:
            self._files.sync(fd)
        finally:
            self._files.close(fd)

    def _leftovers(self) -> list[InFlightEntry]:
        found: list[InFlightEntry] = []
        for slot in range(self._facts.slots):
            at = HEADER_BYTES + slot * SLOT_BYTES
            if self._map[at] == 0:
                continue
            entry = _read_slot(self._map[at : at + SLOT_BYTES], slot)
            if entry is None:
                # Half of it came to the disk before the power went: the gap event stands for it.
                self._map[at] = 0
            else:
                found.append(entry)
        return found


def _read_slot(data: bytes, slot: int) -> InFlightEntry | None:
    """Return the entry in a slot's bytes; None when it was torn."""
    started_ms, event_id, size = _SLOT.unpack_from(data, _BODY_AT)
    start = _BODY_AT + _SLOT.size
    if size > PAYLOAD_BYTES_MAX:
        return None
    if checksum(data[_BODY_AT : start + size]) != _U32.unpack_from(data, 4)[0]:
        return None
    return InFlightEntry(slot, event_id, started_ms, data[start : start + size])


def _begun(before: _Facts, boot_id: bytes) -> _Facts:
    """Return what the header says once a run begins after ``before``."""
    ended, ended_boot_id = before.ended, before.ended_boot_id
    if before.state == _RUNNING and before.boot_id != boot_id:
        ended, ended_boot_id = Ended.POWER_LOSS, before.boot_id
    elif before.state == _RUNNING and ended is Ended.CLEAN:
        ended, ended_boot_id = Ended.KILLED, before.boot_id
    return _Facts(before.slots, _RUNNING, ended, boot_id, ended_boot_id)


def _pack(facts: _Facts) -> bytes:
    """Return the header's bytes without the zeros that follow."""
    head = _HEAD.pack(MAGIC, VERSION)
    body = _FACTS.pack(
        SLOT_BYTES,
        facts.slots,
        facts.state,
        facts.ended.value,
        0,
        facts.boot_id,
        facts.ended_boot_id,
    )
    return head + _U32.pack(checksum(head + body)) + body


def _parse(path: Path, table: mmap.mmap) -> _Facts:
    """Return what the header says. Raises: Corrupt."""
    head = table[: _HEAD.size]
    body = table[_FACTS_AT : _FACTS_AT + _FACTS.size]
    magic, version = _HEAD.unpack(head)
    slot_bytes, slots, state, ended, _, boot_id, ended_boot_id = _FACTS.unpack(body)
    problem = ""
    if magic != MAGIC or checksum(head + body) != _U32.unpack_from(table, _HEAD.size)[0]:
        problem = "its checksum does not fit"
    elif version != VERSION or slot_bytes != SLOT_BYTES or slots > SLOTS_MAX:
        problem = "another version of OpenTrail made it"
    elif len(table) != HEADER_BYTES + slots * SLOT_BYTES:
        problem = "its length does not fit"
    if problem:
        hint = "move the file away: calls that it holds will then not be recorded as unknown"
        raise Corrupt(problem, str(path), hint)
    return _Facts(slots, state, Ended(ended), boot_id, ended_boot_id)


def _map(path: Path) -> mmap.mmap:
    with path.open("r+b") as file:
        if path.stat().st_size < HEADER_BYTES:
            raise Corrupt("the file is cut short", str(path), "move the file away")
        return mmap.mmap(file.fileno(), 0)


def _create(
    path: Path, slots: int, boot_id: bytes, files: Files, facts: _Facts | None = None
) -> None:
    """Make an empty table, durably, all its blocks written: a full disk must show here.

    A store through a map to a block that the disk has no room for kills the process.
    """
    facts = facts or _Facts(slots, _CLOSED, Ended.CLEAN, boot_id, _NO_BOOT)
    head = _pack(_Facts(slots, facts.state, facts.ended, boot_id, facts.ended_boot_id))
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    fd = files.create(temporary)
    try:
        files.write(fd, head.ljust(HEADER_BYTES + slots * SLOT_BYTES, b"\0"), 0)
    finally:
        files.close(fd)
    publish(temporary, path, files)
