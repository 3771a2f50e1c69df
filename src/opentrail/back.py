# SPDX-License-Identifier: Apache-2.0
"""The back process: indexes the log and answers CloudTrail's API. It may die at any moment.

It owns no truth: the log is front's, the index is rebuilt from it. Started by front as
``python -m opentrail.back FD`` with one end of a socketpair; it ends when that closes.
"""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import msgspec

from opentrail.capture.tuning import TuningWatcher
from opentrail.capture.tuning_upstream import SageMaker
from opentrail.clock import Clock, SystemClock, SystemIds
from opentrail.config.hello import Hello
from opentrail.config.ownlog import log_to_stderr
from opentrail.errors import Corrupt, Unavailable, UsageError
from opentrail.eventlog.answering import Answering
from opentrail.eventlog.link import Kind, Link, LinkedLog
from opentrail.eventlog.standing import Waiting, cannot_start, run_or_end, stand_still
from opentrail.eventlog.training import Trainer
from opentrail.history.alone import hold
from opentrail.history.index import History
from opentrail.memory import settle, share_heaps
from opentrail.objects.setting import Upstream
from opentrail.objects.table import BucketTable
from opentrail.state.sqlite import SqliteState
from opentrail.trails.announce import Announcer
from opentrail.trails.cuts import Cuts
from opentrail.trails.deliver import Delivery
from opentrail.trails.deliver import Rooms as DeliveryRooms
from opentrail.trails.digest import Digests, SigningRooms
from opentrail.trails.feed import Feeder
from opentrail.trails.gauges import gauges
from opentrail.trails.keys import DigestKeys
from opentrail.trails.kmskeys import signers_of
from opentrail.trails.membership import Membership
from opentrail.trails.organization_upstream import organizations_of
from opentrail.trails.registry import Registry
from opentrail.trails.target import TargetRooms
from opentrail.trails.target_client import Endpoints
from opentrail.trails.targets import Targets, targets_of
from opentrail.wire.app import ApiRequest, ApiResponse, CloudTrailApi, may_wait
from opentrail.wire.known_door import KnownDoor
from opentrail.wire.rooms import Rooms
from opentrail.wire.s3_door import S3Door, S3Request
from opentrail.wire.search_door import Asked, SearchDoor
from opentrail.wire.throttle import Throttle

IDLE_WAIT_S = 0.25
"""A missed announcement costs this much: the typical visibility that is promised."""
SEARCH_THREADS = 1
"""Searches at once: each computes all the time, and the others wait for a second at most."""
API_THREADS = 4
"""Calls answered at once; each waits for disk now and then, none computes for long."""
CHANGE_THREADS = 16
"""Calls at once that may wait for a bucket, or for each other: more than one client has open."""

WATCH_WAIT_S = 1.0
"""How often tuning jobs and members are looked for: they stay for minutes at least."""
WAITING_THREADS = 96
"""For what waits for other servers: as many as three rooms use at most. They are made when needed."""
GAUGES_INTERVAL_S = 2.0
"""How old the figures of trails on the metrics page may be."""
COPY_WAIT_S = 0.25
"""How often targets are looked at: copies come within a second."""
DELIVERY_WAIT_S = 0.1
"""How often trails are looked at: a tenth of a second is nothing beside their intervals."""
NICE = 10
"""Calls that pass go before what reads them: on a busy machine back gets a tenth of front's time."""
FAILED = ApiResponse(
    500,
    [(b"content-type", b"application/x-amz-json-1.1")],
    b'{"__type":"InternalFailure","message":"The call failed; see the log of the server."}',
)
"""The answer to a call that met an error of ours."""

_log = logging.getLogger("opentrail.back")
_request = msgspec.msgpack.Decoder(ApiRequest).decode
_s3_request = msgspec.msgpack.Decoder(S3Request).decode
_asked = msgspec.msgpack.Decoder(Asked).decode
_encode = msgspec.msgpack.Encoder().encode


class Back:
    """The rooms that read the log."""

    def __init__(self, link: Link, hello: Hello) -> None:
        """Open the rooms. Raises: Unavailable: front is gone."""
        self._link = link
        data, clock = Path(hello.data), SystemClock()
        self._alone = hold(data / "history")
        self._log = LinkedLog(data / "log", link.send)
        self._history = History.open(
            data / "history", self._log, clock=clock, lookup_window_s=int(hello.lookup_window_s)
        )
        self._state = SqliteState.open(data / "state.db")
        self._registry = Registry.open(self._log, self._state, clock, SystemIds())
        self._news, self._stopping = threading.Event(), threading.Event()
        self._moved, self._copied = threading.Event(), threading.Event()
        buckets = _buckets(hello, clock)
        endpoints = Endpoints(hello.endpoints, hello.s3_key, hello.regions)
        organizations = organizations_of(
            hello.organization, endpoints, self._state, clock, hello.region
        )
        keys = DigestKeys.open(data / "keys", self._state)
        targets = targets_of(hello.targets, hello.webhooks, endpoints, clock)
        self._api = CloudTrailApi(
            Rooms(
                history=self._history,
                trails=self._registry,
                buckets=buckets,
                targets=targets.connections,
                organizations=organizations,
                trails_max=hello.trails_max,
                public_keys=keys.public_keys,
                clock=clock,
                throttle=Throttle(hello.lookup_requests_s, clock),
                token_key=hello.token_key,
            )
        )
        self._door = S3Door(buckets, hello.account, hello.region)
        self._search_door = SearchDoor(self._history.searcher, hello.token_key, clock)
        self._calls = Answering(API_THREADS, "api")
        # Of their own, so that a silent bucket, or a long search, holds up no call of CloudTrail's API.
        self._changes = Answering(CHANGE_THREADS, "changes")
        self._searches = Answering(SEARCH_THREADS, "search")
        self._membership = Membership(self._registry, organizations, clock)
        jobs = SageMaker(hello.sagemaker_endpoint, hello.tuning_profiles)
        self._tuning = TuningWatcher(
            self._log, self._history, self._state, jobs, clock, hello.tuning_poll_interval_s
        )
        self._watched = {"tuning jobs": self._tuning.step, "members": self._membership.step}
        if hello.train_dictionary:
            self._watched["dictionaries"] = Trainer(data, clock).step
        self._open_delivery(hello, buckets, keys, targets, clock)

    def _open_delivery(
        self,
        hello: Hello,
        buckets: BucketTable,
        keys: DigestKeys,
        targets: Targets,
        clock: Clock,
    ) -> None:
        """Open what takes records out of the log: files, digests, notices, copies."""
        waiting = ThreadPoolExecutor(WAITING_THREADS, thread_name_prefix="waiting")
        told = TargetRooms(self._log, self._state, waiting, self._registry.trails, self._copied.set)
        self._announcer = Announcer(targets.announced, told, clock)
        self._feeder = Feeder(targets.copied, told, clock)
        rooms = DeliveryRooms(
            self._log, self._state, buckets, waiting, self._moved.set, self._announcer.notices
        )
        self._cuts = Cuts(self._registry, clock, hello.file_interval_s)
        self._patience = hello.backlog
        self._delivery = Delivery(rooms, clock, hello.digest_interval_s, patience=self._patience)
        signers = signers_of(hello.digest, keys)
        self._digests = Digests(
            SigningRooms(self._state, buckets, signers, waiting, self._moved.set), clock
        )

    def run(self) -> None:
        """Serve until front closes the link."""
        threads = [
            threading.Thread(target=run_or_end, args=(loop,), name=name, daemon=True)
            for name, loop in (
                ("history", self._index),
                ("trails", self._deliver),
                ("targets", self._copy),
                *((what, partial(self._watch, what, step)) for what, step in self._watched.items()),
            )
        ]
        for thread in threads:
            thread.start()
        try:
            for kind, number, payload in self._link.frames():
                self._take(kind, number, payload)
        finally:
            self._stopping.set()
            self._news.set()
            self._moved.set()
            self._copied.set()
            self._log.close()
            self._calls.close()
            self._changes.close()
            self._searches.close()
            for thread in threads:
                thread.join()
            self._state.close()

    def _take(self, kind: Kind, number: int, payload: bytes) -> None:
        if kind is Kind.DURABLE:
            self._news.set()
        elif kind is Kind.CALL:
            self._call(number, payload)
        elif kind is Kind.READ:
            self._calls.give(partial(self._read, number, payload))
        elif kind is Kind.SEARCH:
            self._searches.give(partial(self._search, number, payload))
        elif kind is Kind.KNOWN:
            known = partial(KnownDoor(self._history).handle, payload)
            self._calls.give(partial(self._answer, number, known))
        elif kind is Kind.BEAT:  # behind the calls: they are answered when this is
            self._calls.give(partial(self._send, kind, number))
        elif kind in (Kind.APPENDED, Kind.REFUSED):
            self._log.answered(kind, number, payload)

    def _call(self, number: int, payload: bytes) -> None:
        request = _request(payload)
        threads = self._changes if may_wait(request) else self._calls
        threads.give(partial(self._answer, number, partial(self._api.handle, request)))

    def _read(self, number: int, payload: bytes) -> None:
        self._answer(number, lambda: self._door.handle(_s3_request(payload)))

    def _search(self, number: int, payload: bytes) -> None:
        self._answer(number, lambda: self._search_door.handle(_asked(payload)))

    def _answer(self, number: int, answer: Callable[[], ApiResponse]) -> None:
        """Reply, whatever comes: without a reply the client waits until its time is up."""
        response = None
        try:
            response = answer()
        finally:
            if response is None:
                _log.critical("a call of OpenTrail's own failed", exc_info=True)
            self._reply(number, FAILED if response is None else response)

    def _reply(self, number: int, response: ApiResponse) -> None:
        try:
            self._link.send(Kind.REPLY, number, _encode(response))
        except Unavailable:
            return  # front is gone, and with it whoever asked

    def _index(self) -> None:
        """Own the index's loop: everything that is durable, then wait for news."""
        waiting = self._waiting("event history waits")
        told: object = None
        ready = False
        while not self._stopping.is_set():
            try:
                while not self._stopping.is_set() and self._history.step():
                    pass
                if not ready:
                    # Before that, a lookup would not find what the last back process found.
                    self._send(Kind.READY, 0)
                    ready = True
            except Unavailable as error:
                waiting.wait(error)
            except Corrupt as error:
                # Lookups go on over what is indexed; nothing newer can be shown.
                self._send(Kind.READY, 0)
                self._stand_still("event history stands still", error)
                return
            told = self._tell(told)
            self._news.wait(IDLE_WAIT_S)
            self._news.clear()

    def _deliver(self) -> None:
        """Own the loop of trails: cut, deliver and sign what is due, then wait a little."""
        waiting, told = self._waiting("trails wait"), -1
        while not self._stopping.is_set():
            if self._state.refusal:
                # It never takes a change again in this process: a disk that failed once is not asked.
                self._stand_still("trails stand still", "state.db could not be written")
                return
            busy = False
            try:
                busy = self._deliver_due()
                needed = min(self._delivery.floor(), self._feeder.floor(), self._tuning.floor())
                if needed != told:
                    self._link.send(Kind.NEEDED, needed)
                    told = needed
            except Unavailable as error:
                waiting.wait(error)
            except Corrupt as error:
                # What is damaged cannot be delivered; fsck tells the operator where it is.
                self._stand_still("trails stand still", error)
                return
            if not busy:
                self._moved.wait(DELIVERY_WAIT_S)
                self._moved.clear()

    def _deliver_due(self) -> bool:
        """Do a little of what is due; return whether there is more to do at once."""
        self._cuts.step()
        delivered = self._delivery.step()
        return self._digests.step() or delivered

    def _copy(self) -> None:
        """Own the loop of targets: tell and copy what is due, then wait a little."""
        waiting, clock, told_s = self._waiting("targets wait"), SystemClock(), 0.0
        while not self._stopping.is_set():
            busy = False
            try:
                busy = self._announcer.step()
                busy = self._feeder.step() or busy
                if clock.monotonic() >= told_s + GAUGES_INTERVAL_S:
                    told_s = clock.monotonic()
                    self._tell_gauges()
            except Unavailable as error:
                waiting.wait(error)
            except Corrupt as error:
                self._stand_still("targets stand still", error)
                return
            if not busy:
                self._copied.wait(COPY_WAIT_S)
                self._copied.clear()

    def _tell_gauges(self) -> None:
        """Tell front the figures of trails for the metrics page. Raises: Unavailable."""
        trails, end = self._registry.trails(), self._log.durable_end()
        found = gauges(self._state, trails, end, self._feeder.behind(), self._patience)
        self._link.send(Kind.GAUGES, 0, _encode(found))

    def _watch(self, what: str, step: Callable[[], bool]) -> None:
        """Own a loop that looks after something: all there is to do, then wait a little.

        Each has a thread of its own: an upstream that is silent holds up nobody else.
        """
        waiting = self._waiting(f"{what} are not looked after")
        while not self._stopping.is_set():
            try:
                while not self._stopping.is_set() and step():
                    pass
            except Unavailable as error:
                waiting.wait(error)
            except Corrupt as error:
                self._stand_still(f"{what} are looked after no more", error)
                return
            self._stopping.wait(WATCH_WAIT_S)

    def _waiting(self, what: str) -> Waiting:
        return Waiting(what, self._stopping, SystemClock())

    def _stand_still(self, what: str, why: object) -> None:
        stand_still(what, why, self._link.send, self._stopping)

    def _tell(self, told: object) -> object:
        """Tell front how far the index is and of how many records, if that has changed."""
        state = self._history.indexed_to(), self._history.tally()
        if state != told:
            self._send(Kind.INDEXED, state[0], _encode(state[1]))
        return state

    def _send(self, kind: Kind, number: int, payload: bytes = b"") -> None:
        """Tell front something; without front there is nothing left to do."""
        try:
            self._link.send(kind, number, payload)
        except Unavailable:
            self._stopping.set()


def _buckets(hello: Hello, clock: Clock) -> BucketTable:
    """Return the buckets by name. Raises: UsageError: a setting that cannot be meant."""
    there = hello.s3_endpoint
    upstream = Upstream(there, "", *hello.s3_key) if there else None
    return BucketTable(hello.buckets, Path(hello.data) / "buckets", clock, hello.region, upstream)


def main() -> int:
    """Run the back process."""
    os.nice(NICE)
    share_heaps()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # for front, which ends us
        signal.signal(number, signal.SIG_IGN)
    link = Link(socket.socket(fileno=int(sys.argv[1])))
    for kind, _, payload in link.frames():
        if kind is Kind.HELLO:
            hello = msgspec.msgpack.decode(payload, type=Hello)
            log_to_stderr(hello.log_format)
            try:
                back = Back(link, hello)
            except (Corrupt, Unavailable, UsageError) as error:
                cannot_start(error, link.send)
                return 1
            settle()
            back.run()
            break
    return 0


if __name__ == "__main__":
    sys.exit(main())
