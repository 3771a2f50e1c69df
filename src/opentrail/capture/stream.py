# SPDX-License-Identifier: Apache-2.0
"""Bytes on their way through: pushed by a connection, taken by one coroutine.

When too many wait to be taken, the connection stops reading, and the sender has to wait.
"""

import asyncio

WAITING_BYTES_MAX = 64 * 1024
"""Bytes that may wait to be taken before the sender has to: a socket's usual buffer."""


class Stream:
    """The body of one message while it comes in."""

    __slots__ = (
        "_error",
        "_paused",
        "_pieces",
        "_transport",
        "_waiter",
        "_waiting",
        "done",
        "waiting_bytes_max",
    )

    def __init__(
        self, transport: asyncio.ReadTransport, waiting_bytes_max: int = WAITING_BYTES_MAX
    ) -> None:
        """``transport`` is what the bytes come from; it is told to pause and to go on."""
        self._transport = transport
        self.waiting_bytes_max = waiting_bytes_max
        """Bytes that may wait to be taken; it may be changed at any time."""
        self._pieces: list[bytes] = []
        self._waiting = 0
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self.done = False
        """Whether all of it has come."""

    def feed(self, piece: bytes) -> None:
        """Take what has come."""
        self._pieces.append(piece)
        self._waiting += len(piece)
        if self._waiting > self.waiting_bytes_max and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        if self._waiter is not None:
            self._wake()

    def end(self) -> None:
        """Note that no more comes: it is all here."""
        self.done = True
        self._go_on()  # what comes next is another message's
        if self._waiter is not None:
            self._wake()

    def fail(self, error: Exception) -> None:
        """Note that the rest never comes; nothing changes once it has ended."""
        if not self.done and self._error is None:
            self._error = error
            self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    @property
    def paused(self) -> bool:
        """Whether the sender has to wait for us."""
        return self._paused

    @property
    def waiting(self) -> int:
        """Bytes that can be taken now."""
        return self._waiting

    @property
    def ended(self) -> bool:
        """Whether all of it has come and has been taken."""
        return self.done and not self._pieces

    def take(self) -> bytes:
        """Return what has come and was not taken yet, without waiting."""
        pieces = self._pieces
        if not pieces:
            return b""
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._pieces = []
        self._waiting = 0
        self._go_on()
        return data

    def _go_on(self) -> None:
        """Have the sender go on, if it has to wait."""
        if self._paused:
            self._paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()

    async def next(self) -> bytes:
        """Return what comes next; b"" at the end. Raises: what ``fail`` was given."""
        while not self._pieces and not self.done:
            if self._error is not None:
                raise self._error
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self.take()
