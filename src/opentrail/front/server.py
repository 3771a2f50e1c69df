# SPDX-License-Identifier: Apache-2.0
"""The HTTP server of the front process: its port, its connections, and their orderly end."""

import asyncio
import ipaddress
import logging
import resource
import signal
import socket
import ssl
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Protocol

from opentrail.capture.arrival import Arrival, Network, RequestBody, arrive
from opentrail.capture.reply import Client
from opentrail.config import split_address
from opentrail.errors import UsageError
from opentrail.front.connection import Connection
from opentrail.front.exchange import Exchange
from opentrail.front.ops import PREFIX
from opentrail.front.tls import Certificate
from opentrail.front.turn import turn

SHUTDOWN_TIMEOUT_S = 90
"""Calls that were forwarded get this long to end: past every upstream timeout's default."""
OPEN_FILES = 65_536
"""Two for each call, client and upstream, of many more than the in-flight table holds."""
OPEN_FILES_KEPT = 128
"""Descriptors that are not for connections: segments, sockets to back, libraries."""
CONNECTIONS_MAX = 16_384
"""Four times the calls that can be under way (``inflight.SLOTS``): clients keep idle ones. Each
takes some 10 KB."""
RECORDED_TIMEOUT_S = 5.0
"""What did not end in that time is given up, and gets this long to be recorded so."""
HANDSHAKE_S_MAX = 10.0
"""Longest TLS handshake: many round trips of a slow line."""
BACKLOG = 2048
"""Connections that may wait to be accepted."""

_log = logging.getLogger("opentrail.front")


class App(Protocol):
    """What answers calls; ``front.ops.Operations`` and ``capture.gateway.Gateway``."""

    async def handle(self, arrival: Arrival, body: RequestBody, client: Client) -> None:
        """Answer one call."""
        ...

    def abandoned(self) -> None:
        """Count a call that never came to its end."""
        ...


class Operator(App, Protocol):
    """What answers what lies under /_opentrail/."""

    def begin(
        self, arrival: Arrival, body: RequestBody, client: Client
    ) -> asyncio.Future[Any] | None:
        """Begin to answer a call without a task, if that can be: else it is to be handled.

        The answer is sent when the future ends.
        """
        ...


class Server:
    """Takes connections, and hands each request to the app whose it is."""

    def __init__(
        self,
        operations: Operator,
        gateway: App,
        trusted_proxies: Sequence[str] = (),
        connections_max: int = CONNECTIONS_MAX,
        shutdown_timeout_s: float = SHUTDOWN_TIMEOUT_S,
    ) -> None:
        """``operations`` answers what lies under /_opentrail/, ``gateway`` all else."""
        self._operations = operations
        self._gateway = gateway
        self._trusted: list[Network] = [ipaddress.ip_network(text) for text in trusted_proxies]
        self._connections_max = connections_max
        self._shutdown_timeout_s = shutdown_timeout_s
        self._loop = asyncio.get_running_loop()
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Future[Any]] = set()
        self._unsent: list[Connection] = []
        """Connections that have answers to send at the end of the loop's turn."""
        self._sock: socket.socket | None = None
        self._certificate: Certificate | None = None
        self._listening: asyncio.Server | None = None
        self.refused = 0
        """Connections that were one too many."""
        self.closing = False
        """See ``connection.Calls``."""

    # For the connections

    def begin(self, exchange: Exchange) -> None:
        """See ``connection.Calls``. The loop does it: the parser is still at work on what came."""
        if exchange.path.startswith(PREFIX):
            self._loop.call_soon(self._operate, exchange)
        else:
            self._spawn(self._handle(self._gateway, exchange))

    def _arrived(self, exchange: Exchange) -> tuple[Arrival, RequestBody]:
        body = RequestBody(exchange.stream, exchange.announced)
        body.begin()
        start = (exchange.method, exchange.path, exchange.query)
        arrival = arrive(start, exchange.headers, exchange.peer, self._trusted, exchange.tls)
        return arrival, body

    def _operate(self, exchange: Exchange) -> None:
        """Answer what lies under /_opentrail/, without a task if that can be."""
        try:
            arrived = self._arrived(exchange)
            begun = self._operations.begin(*arrived, exchange)
        except Exception:
            exchange.break_off()
            raise  # the loop tells of it
        if begun is None:
            self._spawn(self._handle(self._operations, exchange, arrived))
        else:
            self._tasks.add(begun)
            begun.add_done_callback(partial(self._operated, exchange))

    def _operated(self, exchange: Exchange, begun: asyncio.Future[Any]) -> None:
        if exchange.answered:
            self._tasks.discard(begun)
        else:
            exchange.break_off()
            self._ended(begun)

    async def _handle(
        self, app: App, exchange: Exchange, arrived: tuple[Arrival, RequestBody] | None = None
    ) -> None:
        try:
            arrival, body = arrived or self._arrived(exchange)
            await app.handle(arrival, body, exchange)
        finally:
            if not exchange.answered:
                exchange.break_off()

    def abandoned(self, exchange: Exchange) -> None:
        """See ``connection.Calls``."""
        (self._operations if exchange.path.startswith(PREFIX) else self._gateway).abandoned()

    def opened(self, connection: Connection) -> bool:
        """See ``connection.Calls``."""
        self._connections.add(connection)
        if len(self._connections) <= self._connections_max:
            return True
        self.refused += 1
        return False

    def closed(self, connection: Connection) -> None:
        """See ``connection.Calls``."""
        self._connections.discard(connection)

    def flush_soon(self, connection: Connection) -> None:
        """See ``connection.Calls``."""
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(connection)

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        for connection in unsent:
            connection.flush()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run ``work`` as a task of its own."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Future[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a call failed", exc_info=error)

    # For the process

    @property
    def connections(self) -> int:
        """How many connections there are."""
        return len(self._connections)

    async def serve(
        self,
        sock: socket.socket,
        stopped: asyncio.Event,
        certificate: Certificate | None = None,
        give_up: Callable[[], None] = lambda: None,
    ) -> None:
        """Take calls until ``stopped``; then end those that have begun.

        With a ``certificate`` over TLS. Those that do not end ``give_up`` breaks off: their clients
        get what is there to say of that. Closes ``sock``.
        """
        self._sock, self._certificate = sock, certificate
        await self._listen(certificate.context if certificate else None)
        await stopped.wait()
        if self._listening is not None:
            self._listening.close()
        sock.close()  # else its backlog would take connections that nobody answers
        self.closing = True
        for connection in list(self._connections):
            connection.close_when_idle()
        await turn()  # what came in this very turn begins in the next
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._shutdown_timeout_s)
        if self._tasks:
            give_up()
            await asyncio.wait(self._tasks, timeout=RECORDED_TIMEOUT_S)
        for connection in list(self._connections):
            connection.abort()

    async def _listen(self, context: ssl.SSLContext | None) -> None:
        """Take connections with ``context`` from now on; those that there are stay as they are."""
        assert self._sock is not None
        if self._listening is not None:
            self._listening.close()
        self._listening = await self._loop.create_server(
            lambda: Connection(self),
            sock=self._sock.dup(),  # closing one leaves the port, and who waits at it, alone
            backlog=BACKLOG,
            ssl=context,
            ssl_handshake_timeout=HANDSHAKE_S_MAX if context else None,
        )

    async def renew(self, now_ms: int, *, asked: bool) -> None:
        """Read the certificate anew, if its files have changed or the operator ``asked``.

        One that cannot be used is not taken: the old one stays.
        """
        certificate = self._certificate
        if certificate is None or self.closing or not (asked or certificate.changed()):
            return
        try:
            context = certificate.read()
        except UsageError as error:
            _log.error("%s; the certificate stays as it was", error)
            return
        await self._listen(context)
        _log.info("the listener's certificate was read anew")
        if wrong := certificate.not_valid(now_ms):
            _log.warning("%s", wrong)

    def sweep(self, now_s: float) -> None:
        """Give up clients that are silent at ``now_s``, the loop's time; called every second."""
        for connection in list(self._connections):
            connection.check(now_s)


def stop_on_signals(stop: Callable[[], None], *, hang_up: bool) -> None:
    """Have SIGTERM and SIGINT call ``stop``; ``hang_up``: SIGHUP too, but not under nohup."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    if hang_up and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        loop.add_signal_handler(signal.SIGHUP, stop)


def raise_open_files_limit() -> None:
    """Allow as many open connections as the system does; a shell's usual 1,024 are few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def connections_max() -> int:
    """Return how many connections the open files allow: each call needs one more upstream."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return CONNECTIONS_MAX
    return max(1, min(CONNECTIONS_MAX, (soft - OPEN_FILES_KEPT) // 2))


def listen(address: str) -> socket.socket:
    """Return a bound socket. Raises: UsageError."""
    host, port = split_address(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise UsageError(
            f"cannot listen on {address}: {error.strerror}; choose another with --listen"
        ) from error
    return sock
