# SPDX-License-Identifier: Apache-2.0
"""Records that are sent to us: which of them come in, and what the sender is told of each.

No I/O but the look into the log that ``Window`` takes. A request's records go into the log together
or not at all: ``take`` them, append ``Batch.drafts``, then ``settle`` or ``give_up``.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, repeat
from typing import Protocol, TypeVar

import msgspec

from opentrail.access.keys import is_account
from opentrail.capture.intake_body import BLANKS, Text, split
from opentrail.capture.intake_columns import columns_of
from opentrail.capture.intake_record import Checked, Rejection, check
from opentrail.capture.intake_window import Window, exact_key_of, having, key_of, keys_of
from opentrail.eventlog.base import Draft, Origin

MESSAGE_CHARS_MAX = 512
"""Of a verdict's text: it may repeat what a hostile record says of itself."""
PLACED_AT_ONCE = 100
"""Records looked at one by one between two looks at whatever else there is to do: some 2 ms."""


class Verdict(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, rename="camel"):
    """What became of one record."""

    index: int
    """Its place in the request, from 0; of lines, blank ones not counted."""
    verdict: str
    """"accepted", "duplicate" or "rejected"."""
    event_id: str = msgspec.field(default="", name="eventID")
    conflict: bool = False
    """Whether a record with this eventID and another content came in within the last day: both are
    kept."""
    error_code: str = ""
    error_message: str = ""


class Counts(Protocol):
    """What is counted of records that are sent to us."""

    def intake(self, verdict: str, count: int) -> None:
        """Count records by verdict; "conflict" counts beside "accepted"."""
        ...


@dataclass(slots=True, eq=False)
class Batch:
    """The records of one request."""

    verdicts: list[Verdict] = field(default_factory=list)
    """Of each record, in the request's order. They hold only once the batch is durable."""
    drafts: list[Draft] = field(default_factory=list)
    """What is to be appended."""
    keys: list[int] = field(default_factory=list)
    """Of each draft, for the window."""
    relies_on: "set[Batch]" = field(default_factory=set)
    """Batches that are not durable yet, and have records that are told to be duplicates here."""
    durable: bool = False
    over: bool = False
    """Whether all is done for it: it is durable then, or never will be."""
    duplicates: int = 0
    conflicts: int = 0

    def all_rejected(self, code: str) -> bool:
        """Return whether every record was rejected, for one and the same reason."""
        return not self.drafts and all(verdict.error_code == code for verdict in self.verdicts)

    def counted(self) -> tuple[int, int, int]:
        """Return how many records were accepted, duplicates and rejected."""
        accepted, duplicates = len(self.drafts), self.duplicates
        return accepted, duplicates, len(self.verdicts) - accepted - duplicates


class Intake:
    """Takes in records. Owned by one thread."""

    def __init__(self, window: Window, counts: Counts) -> None:
        self.window = window
        self._counts = counts
        self._pending: dict[int, tuple[Batch, bytes]] = {}

    def take(
        self, batch: Batch, text: Text, may_write: Callable[[str], bool], now_ms: int
    ) -> Generator[None]:
        """Put into ``batch`` what is to become of the records of ``text``; yield between pieces.

        ``may_write`` says whether the sender may write records of an account. Until ``settle`` or
        ``give_up`` the batch's records count as being under way. Raises: ClientError: they cannot
        be told apart. Corrupt: the log cannot be read. Nothing is under way then, nor once it is closed
        before its end.
        """
        try:
            yield from self._take(batch, text, may_write, now_ms // 1000)
        except BaseException:
            self._leave(batch)  # else its records would be taken for ones that are being written
            raise

    def take_one(
        self, batch: Batch, data: bytes, may_write: Callable[[str], bool], now_ms: int
    ) -> None:
        """Take one record as ``take`` does: to look at one is quicker than to look at all there are.

        Raises: Corrupt.
        """
        self._take_each(batch, [data.rstrip(BLANKS)], may_write, now_ms // 1000)

    def _take(
        self, batch: Batch, text: Text, may_write: Callable[[str], bool], now_s: int
    ) -> Iterator[None]:
        columns = columns_of(text, now_s)
        if columns is None or not all(
            is_account(account) and may_write(account) for account in columns.accounts
        ):
            for piece in _pieces(split(text)):
                if batch.verdicts:
                    yield
                self._take_each(batch, piece, may_write, now_s)
            return
        event_ids, records = columns.event_ids, columns.records
        keys = keys_of(event_ids)
        if self._are_new(keys):
            batch.drafts = list(map(Draft, repeat(Origin.INTAKE), records))
            batch.keys = keys
            batch.verdicts = list(map(Verdict, count(), repeat("accepted"), event_ids))
            self._pending.update(zip(keys, zip(repeat(batch), records), strict=False))
            return
        for some in _pieces(list(zip(event_ids, records, strict=True))):
            if batch.verdicts:
                yield
            for record in some:
                batch.verdicts.append(self._place(batch, len(batch.verdicts), *record))

    def _are_new(self, keys: list[int]) -> bool:
        """Whether nothing under one of ``keys`` has come in, and all differ."""
        different = set(keys)
        if len(different) < len(keys) or not self._pending.keys().isdisjoint(different):
            return False
        return not self.window.has_any(keys)

    def _take_each(
        self, batch: Batch, records: list[bytes], may_write: Callable[[str], bool], now_s: int
    ) -> None:
        """Take records of which some may be odd, bad, or not the sender's to write."""
        allowed: dict[str, bool] = {}
        for index, data in enumerate(records, len(batch.verdicts)):
            try:
                record = check(data, now_s)
                account = record.account
                if account not in allowed:
                    allowed[account] = is_account(account) and may_write(account)
                if not allowed[account]:
                    raise _not_allowed(record)
            except Rejection as error:
                verdict = _rejected(index, error)
            else:
                verdict = self._place(batch, index, record.event_id, record.data)
            batch.verdicts.append(verdict)

    def _place(self, batch: Batch, index: int, event_id: str, data: bytes) -> Verdict:
        """Say what becomes of a good record."""
        key = key_of(event_id)
        if key in self._pending or self.window.has(key):
            return self._repeated(batch, index, event_id, data)
        self._put(batch, key, data)
        return Verdict(index, "accepted", event_id)

    def _repeated(self, batch: Batch, index: int, event_id: str, data: bytes) -> Verdict:
        """Tell a record that came in before from another one with the same eventID."""
        key = key_of(event_id)
        known = self._known(key, having(event_id))
        conflict = known is not None and known[1] != data
        if conflict:
            key = exact_key_of(event_id, data)
            known = self._known(key, data.__eq__)
        if known is None:
            self._put(batch, key, data)
            batch.conflicts += conflict
            return Verdict(index, "accepted", event_id, conflict)
        other = known[0]
        if other is not None and other is not batch:
            batch.relies_on.add(other)
        batch.duplicates += 1
        return Verdict(index, "duplicate", event_id)

    def _known(self, key: int, same: Callable[[bytes], bool]) -> tuple[Batch | None, bytes] | None:
        """Return the ``same`` record under ``key``, and the batch that it is under way in, if it is."""
        pending = self._pending.get(key)
        if pending is not None and same(pending[1]):
            return pending
        data = self.window.find(key, same)
        return None if data is None else (None, data)

    def _put(self, batch: Batch, key: int, data: bytes) -> None:
        batch.drafts.append(Draft(Origin.INTAKE, data))
        batch.keys.append(key)
        self._pending[key] = (batch, data)

    def settle(self, batch: Batch, positions: Sequence[int], now_ms: int) -> None:
        """Note that the batch's drafts are durable at ``positions``."""
        self.window.note(batch.keys, positions, now_ms)
        batch.durable = True
        self._leave(batch)
        accepted, duplicates, rejected = batch.counted()
        if accepted:
            self._counts.intake("accepted", accepted)
        if duplicates:
            self._counts.intake("duplicate", duplicates)
        if rejected:
            self._counts.intake("rejected", rejected)
        if batch.conflicts:
            self._counts.intake("conflict", batch.conflicts)

    def give_up(self, batch: Batch) -> None:
        """Note that the batch did not become durable, as far as is known: it may be sent again."""
        self._leave(batch)
        self._counts.intake("failed", len(batch.verdicts))

    def _leave(self, batch: Batch) -> None:
        for _ in map(self._pending.pop, batch.keys, repeat(None)):
            pass


_Item = TypeVar("_Item")


def _pieces(items: list[_Item]) -> Iterator[list[_Item]]:
    for first in range(0, len(items), PLACED_AT_ONCE):
        yield items[first : first + PLACED_AT_ONCE]


def _rejected(index: int, error: Rejection) -> Verdict:
    return Verdict(
        index,
        "rejected",
        error.event_id,
        error_code=error.code,
        error_message=error.message[:MESSAGE_CHARS_MAX],
    )


def _not_allowed(record: Checked) -> Rejection:
    if not is_account(record.account):
        message = (
            "It names no account: recipientAccountId or userIdentity.accountId, twelve digits."
        )
        return Rejection("InvalidField", message, record.event_id)
    return Rejection(
        "AccountNotAllowed",
        f"The sender's policies do not allow records of account {record.account}.",
        record.event_id,
    )


class _Answer(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    accepted: int
    duplicates: int
    rejected: int
    records: list[Verdict]


_encode = msgspec.json.Encoder().encode


def answer_of(batch: Batch) -> bytes:
    """Return what the sender is told, as JSON."""
    return _encode(_Answer(*batch.counted(), batch.verdicts))
