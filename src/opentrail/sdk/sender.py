# SPDX-License-Identifier: Apache-2.0
"""Send records from a thread, so that nobody who makes one ever waits or fails.

Each record has its eventID before it is sent, and the server knows what it has: after an unknown
outcome the same is simply sent again.
"""

import atexit
import logging
import os
import threading
import weakref
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from opentrail.sdk.guard import Guard
from opentrail.sdk.posting import Delivered, NotSent, Post, posted
from opentrail.sdk.spool import Batch, Store
from opentrail.sdk.system import at_worker_end, monotonic_s, now_s

QUEUE_BYTES_MAX = 16 * 1024 * 1024
"""Records that wait for the thread: more are counted and lost. Some ten thousand."""
BATCH_RECORDS_MAX = 1000
BATCH_BYTES_MAX = 4 * 1024 * 1024
"""Half of what the intake takes at once."""
LINGER_S = 0.1
"""How long the thread waits for more to send along: each turn of it takes time from the program."""
RETRY_S_MIN = 0.5
RETRY_S_MAX = 30.0
"""A server that is away is asked again after this long at the latest."""
ADOPT_INTERVAL_S = 60.0
"""How often what dead processes left is looked for, whether there is anything to record or not."""
CLOSE_S_MAX = 5.0
"""How long a program's end waits for its last records to be sent."""

MADE_AT_ONCE = 16
"""Records that the thread makes before it lets others run: some 0.2 ms, a request's fair wait."""
MADE_SHARE = 4
"""Or so many times fewer than wait, if that is more: in a program that is busy all the time the thread
gets its turn a hundred times a second, and must keep up."""
PAUSE_S = 0.0005
"""How long it lets them: the interpreter runs one thread at a time."""

REASONS_LOGGED_MAX = 10
"""Of one batch: all of them are counted."""

_log = logging.getLogger("opentrail.sdk")

Make = Callable[[], bytes]
"""Returns a record's bytes. The thread calls it: what it reads must not change any more."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Records that never reached the log."""

    from_s: float
    to_s: float
    count: int


@dataclass(frozen=True, slots=True)
class Told:
    """What a sender has to say."""

    gap: Callable[[Lost], bytes]
    """Makes the record that says what was lost."""
    failed: Callable[[Exception], None]
    """Hears of a record that could not be made; it is counted as lost, too."""


class Sender:
    """A queue, a store and a thread. Safe from any thread, and in processes that fork."""

    def __init__(self, post: Post, store: Store, told: Told, linger_s: float = LINGER_S) -> None:
        self._post = post
        self._store = store
        self._gap = told.gap
        self._linger_s = linger_s
        self._making = Guard(told.failed)
        self._guard = Guard(lambda error: self._later(f"{type(error).__name__}: {error}"))
        self.counts: Counter[str] = Counter()
        """put, adopted (of a dead process's), sent, duplicates, rejected, lost: the first two are the
        sum of the others and of what waits. Besides: excluded."""
        self._begin()
        ours = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _forked(ours))
        atexit.register(_close, ours)

    def _begin(self) -> None:
        # A handler of a signal may record, too, whatever it interrupts.
        self._lock = threading.RLock()
        self._queue: deque[tuple[bytes | Make, int]] = deque()
        self._ready: deque[bytes] = deque()
        self._bytes = 0
        self._lost: Lost | None = None
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._retry_s = 0.0
        self._next_s = 0.0
        self._adopt_s = 0.0
        self._told_left = False

    def put(self, record: bytes | Make, size: int) -> None:
        """Have ``record`` sent. Never waits for the network or the disk, and raises nothing.

        ``size`` is what it keeps in memory until then, in bytes.
        """
        starting = None
        with self._lock:
            self.counts["put"] += 1
            full = self._bytes + size > QUEUE_BYTES_MAX or self._stop.is_set()
            if not full:
                self._queue.append((record, size))
                self._bytes += size
                if self._thread is None:
                    starting = self._thread = self._new_thread()
                elif len(self._queue) > 1:
                    return  # it is awake already
        if full:
            self._lose(1)
        if starting is not None:
            self._start(starting)
        self._wake.set()

    def count(self, name: str) -> None:
        """Count something that is not sent."""
        with self._lock:
            self.counts[name] += 1

    def _new_thread(self) -> threading.Thread:
        return threading.Thread(target=self._run, name="opentrail-sender", daemon=True)

    def _start(self, thread: threading.Thread) -> None:
        """Start the thread. The lock must be free: under gevent others have their turns meanwhile."""
        at_worker_end(_close, weakref.ref(self))
        try:
            thread.start()
        except RuntimeError:  # the interpreter is on its way out
            self._thread = None

    def _lose(self, count: int, reason: str = "the queue or the spool is full") -> None:
        """Note records that are lost."""
        at_s = now_s()
        with self._lock:
            self.counts["lost"] += count
            before = self._lost
            from_s, counted = (before.from_s, before.count) if before else (at_s, 0)
            self._lost = Lost(from_s, at_s, counted + count)
        if (
            before is None
        ):  # not under the lock: a handler of logs may have calls of its own recorded
            _log.warning("records are being lost: %s", reason)

    def _run(self) -> None:
        while not self._stop.is_set():
            owed_s = max(0.05, self._next_s - monotonic_s())
            self._wake.wait(owed_s if self._owing() else ADOPT_INTERVAL_S)
            self._wake.clear()
            self._stop.wait(self._linger_s)
            with self._guard:
                self._step()
        self._finish()

    def _finish(self) -> None:
        with self._guard:
            self._step()
        self._tell_left()
        self._post.close()
        self._store.close()

    def _owing(self) -> bool:
        return self._next_s > 0 or self._lost is not None

    def _step(self) -> None:
        """Store what waits, then send what is stored, the oldest first.

        1. queue -> store        (a crash before: what waited is lost, a tenth of a second's worth)
        2. send                  (a crash before 3: the next process sends it again)
        3. forget it
        While 2 waits for the server, what comes meanwhile is stored.
        """
        try:
            self._store_waiting()
            self._tell_gap()
            if monotonic_s() >= self._next_s or self._stop.is_set():
                self._adopt()
                self._send_all()
        except OSError as error:
            self._later(f"the spool: {error.strerror}")

    def _store_waiting(self) -> None:
        while batch := self._taken():
            self._keep(batch)

    def _taken(self) -> Batch:
        """Return the next records that wait, as many as one request takes."""
        batch: list[bytes] = []
        size = 0
        while len(batch) < BATCH_RECORDS_MAX and self._is_ready():
            size += len(self._ready[0])
            if batch and size > BATCH_BYTES_MAX:
                break
            batch.append(self._ready.popleft())
        return batch

    def _is_ready(self) -> bool:
        """Whether there is a record to send, after as many are made as it takes."""
        while not self._ready and self._make_some():
            pass
        return bool(self._ready)

    def _make_some(self) -> bool:
        """Make the next few records that wait; False: none waits."""
        with self._lock:
            waiting = len(self._queue)
            count = min(waiting, max(MADE_AT_ONCE, waiting // MADE_SHARE))
            some = [self._queue.popleft() for _ in range(count)]
            self._bytes -= sum(size for _, size in some)
        made = [each if isinstance(each, bytes) else self._made(each) for each, _ in some]
        self._ready.extend(filter(None, made))
        if waiting > count:
            self._stop.wait(PAUSE_S)
        return count > 0

    def _made(self, make: Make) -> bytes:
        """Return the record that ``make`` makes; nothing, and it is lost, if it cannot."""
        with self._making:
            return make()
        self._lose(1, "they cannot be made")
        return b""

    def _keep(self, batch: Batch) -> None:
        kept = False
        try:
            kept = self._store.add(batch)
        finally:
            if not kept:
                self._lose(len(batch))

    def _tell_gap(self) -> None:
        """Have the log say what was lost, once there is room for that again."""
        lost = self._lost
        if lost is not None and self._store.add([self._gap(lost)]):
            with self._lock:
                self.counts["put"] += 1
                more = self._lost.count - lost.count if self._lost is not None else 0
                self._lost = Lost(lost.to_s, now_s(), more) if more else None

    def _adopt(self) -> None:
        if monotonic_s() >= self._adopt_s:
            self._adopt_s = monotonic_s() + ADOPT_INTERVAL_S
            adopted = self._store.adopt()
            with self._lock:
                self.counts["adopted"] += adopted

    def _send_all(self) -> None:
        while batch := self._oldest():
            try:
                delivered = self._posted(batch)
            except NotSent as error:
                if error.again:
                    self._later(str(error))
                    return
                delivered = Delivered(0, 0, (str(error),) * len(batch))
            self._store.drop_oldest()
            self._count(delivered)
            self._retry_s = self._next_s = 0.0

    def _posted(self, batch: Batch) -> Delivered:
        """Post ``batch``; what comes meanwhile is stored. Raises: NotSent."""

        def store() -> None:
            with self._guard:
                self._store_waiting()

        return posted(self._post, batch, store)

    def _oldest(self) -> Batch | None:
        batch = self._store.oldest()
        if gone := self._store.vanished():
            self._lose(gone, "somebody emptied the spool")
        return batch

    def _count(self, delivered: Delivered) -> None:
        for reason in delivered.rejected[:REASONS_LOGGED_MAX]:
            _log.error("the server does not take a record: %s", reason)
        with self._lock:  # now ``flush`` may return, and all is told
            self.counts["sent"] += delivered.accepted
            self.counts["duplicates"] += delivered.duplicates
            self.counts["rejected"] += len(delivered.rejected)

    def _later(self, reason: str) -> None:
        if not self._retry_s:
            _log.warning("records wait: %s", reason)
        self._retry_s = min(max(self._retry_s * 2, RETRY_S_MIN), RETRY_S_MAX)
        self._next_s = monotonic_s() + self._retry_s

    def flush(self, timeout_s: float = CLOSE_S_MAX) -> bool:
        """Wait until all that was put so far is with the server, and that something was lost is told.

        Returns: False: it is not, in that time.
        """
        return self._drained(timeout_s, lambda: False)

    def hand_over(self, timeout_s: float = CLOSE_S_MAX) -> None:
        """Have what waits sent if the server takes it now, else stored; what comes later is sent, too."""
        self._drained(timeout_s, lambda: self._retry_s > 0 and not self._queue)

    def _drained(self, timeout_s: float, enough: Callable[[], bool]) -> bool:
        deadline_s = monotonic_s() + timeout_s
        while self.waiting() or self._lost is not None:
            left_s = deadline_s - monotonic_s()
            thread = self._thread
            if left_s <= 0 or thread is None or not thread.is_alive() or enough():
                return False
            self._wake.set()
            self._stop.wait(min(left_s, 0.02))
        return True

    def waiting(self) -> int:
        """Return how many records wait in the queue and the store, or are yet to say what was lost."""
        with self._lock:
            return self._undone() + (self._lost is not None)

    def _undone(self) -> int:
        counts = self.counts
        done = counts["sent"] + counts["duplicates"] + counts["rejected"] + counts["lost"]
        return counts["put"] + counts["adopted"] - done

    def close(self, timeout_s: float = CLOSE_S_MAX) -> None:
        """Send what waits, within ``timeout_s``; what is left stays in the spool, if there is one."""
        self._stop.set()
        self._wake.set()
        thread = self._thread
        if thread is not None and thread.is_alive():
            thread.join(timeout_s)
            if thread.is_alive():
                self._tell_left()
        elif self._queue:  # it could not be started any more
            self._finish()

    def _tell_left(self) -> None:
        """Say how many records the server does not have, and go with the process."""
        with self._guard:
            with self._lock:
                left = self._undone() - self._store.outlasting()
            if left > 0 and not self._told_left:
                self._told_left = True
                _log.warning(
                    "%d records are lost with the process: the server has not taken them", left
                )

    def forked(self) -> None:
        """Begin anew in a child process: what waits is the parent's to send."""
        self.counts.clear()
        self._store.forked()
        self._post.close()
        self._begin()


def _forked(ours: "weakref.ref[Sender]") -> None:
    sender = ours()
    if sender is not None:
        sender.forked()


def _close(ours: "weakref.ref[Sender]") -> None:
    sender = ours()
    if sender is not None:
        sender.close()
