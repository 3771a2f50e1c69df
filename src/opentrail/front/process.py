# SPDX-License-Identifier: Apache-2.0
"""The front process: builds the rooms of capture, owns their loops, ends in order."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import msgspec
import uvloop

from opentrail.aws.request import Credential
from opentrail.capture.call import Call
from opentrail.capture.gateway import Gateway, GatewaySettings, OwnApi, Parts
from opentrail.capture.upstream import Upstreams
from opentrail.clock import Clock, Ids, SystemClock, SystemIds
from opentrail.config import Settings
from opentrail.config.hello import Hello
from opentrail.durable import boot_id
from opentrail.errors import Unavailable
from opentrail.eventlog.base import Draft
from opentrail.eventlog.inflight import InFlight
from opentrail.eventlog.options import LogOptions
from opentrail.eventlog.segments import Segments
from opentrail.front.backend import Backend
from opentrail.front.buckets import OwnBuckets
from opentrail.front.commit import GroupCommit
from opentrail.front.datadir import discard, prepare, set_aside, whole
from opentrail.front.doors import own_doors
from opentrail.front.exclusions import exclusions_of
from opentrail.front.gaps import Gaps
from opentrail.front.health import Back, Watch, health_page
from opentrail.front.hello import hello_of
from opentrail.front.importing import ImportRooms
from opentrail.front.intake import IntakeDoor
from opentrail.front.keys import token_key
from opentrail.front.metrics import Metrics
from opentrail.front.ops import (
    INTAKE_PATH,
    RESET_HEADER,
    Endpoint,
    Operations,
    Page,
    json_page,
    refusal,
)
from opentrail.front.parts import admission_of, build_settings, identities_of, sender_of, sent_of
from opentrail.front.recovery import LastRun, recover_last_run
from opentrail.front.retention import EXPIRE_INTERVAL_S, accounts_of, keep_up
from opentrail.front.senders import SentRecords
from opentrail.front.server import (
    Server,
    connections_max,
    listen,
    raise_open_files_limit,
    stop_on_signals,
)
from opentrail.front.tls import Certificate
from opentrail.front.upstreams import made_upstreams
from opentrail.front.whose import Whose
from opentrail.memory import settle
from opentrail.wire.app import Principal

SWEEP_INTERVAL_S = 0.25
"""How late a timeout may be noticed: one look at all connections costs less than a timer a call."""
CERTIFICATE_INTERVAL_S = 10.0
"""How often the certificate's files are looked at: one is renewed days before it ends."""
READY_WAIT_S_MAX = 10.0
"""The operator is told that calls are taken after this at the latest: an index that is built anew
may take minutes, in which CloudTrail's own API answers 503."""
RESET_POLLS_MAX = 3000
"""A reset waits 30 s for the calls in flight: half of an upstream's default timeout."""
RESET_POLL_S = 0.01
"""How often a reset looks whether the calls in flight have ended."""

KEYS_INTERVAL_S = 1.0
"""How soon changed keys are taken up, and how much of what was learned a crash may lose."""
TELL_INTERVAL_S = 1.0
"""How soon after the log can be written again it says which calls passed without it."""

_log = logging.getLogger("opentrail.front")


@dataclass(frozen=True, slots=True)
class Started:
    """What the operator is told once calls can come."""

    host: str
    port: int
    recovered: int
    """Records made of calls that were in flight when the last process died."""
    refuses: str
    """Why the log takes no record, and so no call is taken; "" when all is well."""
    certificate: str
    """Why clients refuse the listener's certificate; "" when they do not."""


class Front:
    """Everything of the front process, built once."""

    def __init__(self, settings: Settings, address: str, clock: Clock, ids: Ids) -> None:
        """Open the data directory and recover what the last process left.

        ``address`` is where it will listen, for whoever finds the directory in use. Raises: UsageError: it cannot be used. Corrupt: only when not even reading is possible.
        """
        self._settings = settings
        self._address = address
        self._clock = clock
        self._ids = ids
        data = settings.data_dir
        self._certificate = Certificate(settings.listen) if settings.listen.tls_cert else None
        self._upstreams = made_upstreams(settings)
        prepare(data)
        self.log = self._open_log()
        self._upstreams.mark(self.log.log_id)
        self._inflight, leftovers, ended = InFlight.open(data / "inflight", boot_id())
        self._whose = Whose(settings, clock, ids)
        self.keys = self._whose.keys
        self.metrics = Metrics()
        self._resetting = False
        self._gaps = self._gaps_of_log()
        last = LastRun(self._inflight, leftovers, ended, self._gaps)
        self.recovered = recover_last_run(last, self.log, build_settings(settings), settings, clock)

    def _open_log(self) -> Segments:
        data, settings = self._settings.data_dir, self._settings.log
        options = LogOptions(self._address, settings.disk_reserve_bytes)
        return whole(Segments.open(data, self._clock, self._ids, options), data)

    def _gaps_of_log(self) -> Gaps:
        settings = self._settings
        calls = self._inflight.unrecorded
        return Gaps(calls, self.log.log_id, settings.account, settings.region, self._clock)

    def durable_end(self) -> int:
        """Return the log's durable end."""
        return self.log.durable_end()

    def refusing(self) -> str:
        """Return why no call is taken now; "" when calls are taken."""
        return "it is being reset" if self._resetting else self.log.writable()

    def gateway(
        self,
        upstreams: Upstreams,
        append: Callable[[Sequence[Draft]], Awaitable[Sequence[int]]],
        own_api: OwnApi,
    ) -> Gateway:
        """Return the gateway over these, and over what the process has."""
        settings = self._settings
        return Gateway(
            GatewaySettings(
                build_settings(settings), exclusions_of(settings), settings.listen.domain
            ),
            Parts(
                upstreams=upstreams,
                sender=sender_of(settings, self._clock),
                identities=identities_of(settings, self.keys),
                admission=admission_of(settings, self._whose, self.log.log_id),
                own_api=own_api,
                own_bucket=OwnBuckets(settings),
                append=append,
                refusing=self.refusing,
                durable_end=self.durable_end,
                inflight=self._inflight,
                counts=self.metrics,
                clock=self._clock,
                ids=self._ids,
            ),
        )

    def _principal(self, call: Call, credential: Credential | None) -> Principal:
        """Return who asks CloudTrail's own API; with auth = "off" everybody may do everything."""
        access_key_id = credential.access_key_id if credential else ""
        key = self.keys.find(access_key_id)
        if self._settings.api.auth == "off":
            arn = key.arn if key else self._settings.api.default_identity
            return Principal(arn, call.caller.account, access_key_id, ("CloudTrailFullAccess",))
        assert key is not None, "admission let an unknown key through"
        return Principal(key.arn, key.account, access_key_id, key.policies)

    async def serve(
        self, sock: socket.socket, hello: Hello, started: Callable[[Started], None]
    ) -> None:
        """Serve until SIGTERM or SIGINT, with a back that is told ``hello``.

        Everything that was forwarded is answered and recorded first.
        """
        commit = GroupCommit(self.log, lambda: self._inflight.claimed() + self._intake.busy <= 1)
        backend = Backend(msgspec.msgpack.encode(hello), self._principal, commit, self.durable_end)
        commit.on_durable(backend.durable)
        operations = Operations(self._settings.listen.hosts)
        gateway = self.gateway(self._upstreams, commit.append, backend)
        proxies = self._settings.listen.trusted_proxies
        server = Server(operations, gateway, proxies, connections_max())
        verify = self._settings.api.auth == "verify"
        sent = sent_of(self._settings, commit.append, self._clock, self._ids)
        self._intake = IntakeDoor(
            self.keys, sent, self.metrics, self._clock, refusing=self.refusing, verify=verify
        )
        self._intake.open(self._settings.data_dir, self._inflight.claimed)
        rooms = ImportRooms(
            backend.known, commit.append, self.durable_end, self.refusing, lambda: self.log.log_id
        )
        doors = own_doors(self._settings, self.keys, self._clock, self._ids, backend, rooms)
        operations.open_doors(
            {INTAKE_PATH: self._intake.handle, **doors}, {INTAKE_PATH: self._intake.begin}
        )
        operations.offer(self._endpoints(commit, backend, server))
        stopped = asyncio.Event()
        stop_on_signals(stopped.set, hang_up=self._certificate is None)
        tasks = [
            asyncio.create_task(backend.run()),
            asyncio.create_task(self._expire(commit, backend)),
            asyncio.create_task(self._sweep(server)),
            asyncio.create_task(self._tell(commit, sent, gateway)),
            asyncio.create_task(self._know_keys()),
            asyncio.create_task(self._announce(sock, backend, started)),
        ]
        if self._certificate is not None:
            tasks.append(asyncio.create_task(self._renew(server)))
        settle()
        await server.serve(sock, stopped, self._certificate, self._upstreams.close)
        with contextlib.suppress(Unavailable):  # sums alone are lost; what is owed keeps its slot
            await asyncio.gather(sent.tell(all_of_them=True), gateway.settle_owed())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._upstreams.close()
        commit.close()
        self.close()

    async def _sweep(self, server: Server) -> None:
        """Own the loop that ends what is silent for too long."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_INTERVAL_S)
            server.sweep(loop.time())
            self._upstreams.sweep(loop.time())

    async def _tell(self, commit: GroupCommit, sent: SentRecords, gateway: Gateway) -> None:
        """Own the loop that says later what could not be said at once, and who sent."""
        watch = Watch(self.refusing())
        while True:
            await asyncio.sleep(TELL_INTERVAL_S)
            if self._resetting:
                continue
            watch.look(why := self.refusing())
            if not why:
                with contextlib.suppress(Unavailable):  # then it refuses again, or ends
                    await self._gaps.step(commit.append_one)
                    await sent.tell()
                    await gateway.settle_owed()

    async def _know_keys(self) -> None:
        """Own the loop that takes up changed keys and writes down what was learned."""
        while True:
            await self._whose.step()
            await asyncio.sleep(KEYS_INTERVAL_S)

    async def _renew(self, server: Server) -> None:
        """Own the loop that reads the certificate anew: when it has changed, or on SIGHUP."""
        asked = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, asked.set)
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CERTIFICATE_INTERVAL_S):
                    await asked.wait()
            await server.renew(self._clock.now_ms(), asked=asked.is_set())
            asked.clear()

    async def _announce(
        self, sock: socket.socket, backend: Backend, started: Callable[[Started], None]
    ) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READY_WAIT_S_MAX):
                await backend.ready.wait()
        settle()  # once more: what was made of the first calls lives as long, too
        host, port = sock.getsockname()[:2]
        wrong = self._certificate.not_valid(self._clock.now_ms()) if self._certificate else ""
        started(Started(host, port, self.recovered, self.refusing(), wrong))

    async def _expire(self, commit: GroupCommit, backend: Backend) -> None:
        """Own the loop of the log's upkeep: old segments go, a new dictionary is taken up."""
        while True:
            await asyncio.sleep(EXPIRE_INTERVAL_S)
            floor_position = min(backend.indexed_to, backend.needed_from)
            await keep_up(self.log, self._settings, self._clock, commit, floor_position)

    def _endpoints(
        self, commit: GroupCommit, backend: Backend, server: Server
    ) -> dict[str, Endpoint]:
        async def health() -> Page:
            return self._health(backend)

        async def metrics() -> Page:
            self._measure(backend, server)
            return Page(200, self.metrics.text(), "text/plain; version=0.0.4; charset=utf-8")

        async def reset() -> Page:
            return await self._reset(commit, backend)

        endpoints = {"health": Endpoint("GET", health), "metrics": Endpoint("GET", metrics)}
        if self._settings.listen.allow_reset:
            endpoints["reset"] = Endpoint("POST", reset, RESET_HEADER)
        return endpoints

    def _health(self, backend: Backend) -> Page:
        pulse = backend.pulse
        up = backend.ready.is_set() and not pulse.is_lost
        back = Back(
            up=up, indexed_to=backend.indexed_to, silent_s=pulse.silent_s, still=backend.still
        )
        return health_page(self.log, self.refusing(), back, intake_ready=self._intake.ready)

    def _measure(self, backend: Backend, server: Server) -> None:
        metrics = self.metrics
        metrics.connections = server.connections
        metrics.connections_refused = server.refused
        self._intake.measure()
        metrics.log_end = self.log.durable_end()
        metrics.indexed_to, metrics.trails = backend.indexed_to, backend.gauges
        metrics.accounts = accounts_of(self.log, *backend.tally)
        metrics.log_writable = not self.refusing()
        metrics.identity_conflicts = self.keys.conflicts
        metrics.back_restarts = max(backend.restarts, 0)
        metrics.back_silent_s = backend.pulse.silent_s
        metrics.back_still = len(backend.still)

    async def _reset(self, commit: GroupCommit, backend: Backend) -> Page:
        """Begin a new, empty log under a new log id.

        1. refuse new calls, wait for those in flight
        2. set the old log aside by one rename     (a crash before: the old log is still there)
        3. open a new one                          (a crash before: the next start opens it)
        4. restart back; delete what was set aside (a crash before: the next start deletes it)
        """
        self._resetting = True
        try:
            await self._quiet()
            await commit.run(self._begin_anew)
            self._inflight.unrecorded.begin_anew()
            commit.use(self.log)
            self._intake.open(self._settings.data_dir, self._inflight.claimed)
            backend.restart()
        except Unavailable as error:
            return refusal(503, error.message)
        finally:
            self._resetting = False
        return json_page(200, {"log": {"id": self.log.log_id}})

    async def _quiet(self) -> None:
        """Wait until no call is in flight. Raises: Unavailable: some take too long."""
        for _ in range(RESET_POLLS_MAX):
            if not self._inflight.claimed() + self._intake.busy:
                return
            await asyncio.sleep(RESET_POLL_S)
        raise Unavailable("calls are still in flight; nothing was reset, try again")

    def _begin_anew(self) -> None:
        self.log.close()
        set_aside(self._settings.data_dir)
        self.log = self._open_log()
        self._gaps = self._gaps_of_log()
        discard(self._settings.data_dir)

    def close(self) -> None:
        """Close the files in order: whoever opens them next finds a clean end."""
        self._whose.close()
        self._inflight.close()
        self.log.close()


def run(settings: Settings, log_format: str, started: Callable[[Started], None]) -> None:
    """Run OpenTrail until it is told to stop; ``log_format`` is for back.

    Raises: UsageError before anything is served.
    """
    raise_open_files_limit()
    sock = listen(settings.listen.address)
    with sock:
        host, port = sock.getsockname()[:2]
        ids = SystemIds()
        front = Front(settings, f"{host}:{port}", SystemClock(), ids)
        hello = hello_of(settings, token_key(settings, ids), log_format)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(front.serve(sock, hello, started))
